"""From the bytes of a whole file to an :class:`~msdflash.image.segments.Image`."""

from __future__ import annotations

import hashlib

from msdflash.errors import ImageError
from msdflash.image.detect import BIN, IHEX, Kind, detect
from msdflash.image.ihex import decode_ihex
from msdflash.image.segments import Image, Segment

MAX_FILE = 64 * 1024 * 1024
"""Bytes. More than any supported flash holds, also as hex text."""

_PLACED = ("mcuboot", "zeros", "blank")
"""Kinds that may be flashed once the user said where."""


def decode(name: str, data: bytes, *, placed: bool = False) -> Image:
    """Decode a raw binary or an Intel hex file.

    Args:
        name: the file's name; a hint only.
        data: the whole file.
        placed: the user gave a base address, so a file without vector table (a signed slot, erased data) is what they want.

    Returns:
        Segments at absolute addresses; for a raw binary one segment at 0 and ``relocatable``.

    Raises:
        ImageError: the file is something else (``image-unknown-format``, fact ``kind``), empty (``image-empty``), needs a base
            (``image-needs-base``), is larger than :data:`MAX_FILE` (``image-too-big``) or damaged (see
            :func:`~msdflash.image.ihex.decode_ihex`).
    """
    if len(data) > MAX_FILE:
        raise ImageError("image-too-big", f"the file has {len(data)} bytes, the limit is {MAX_FILE}", size=len(data), limit=MAX_FILE)
    kind = detect(data, name)
    digest = hashlib.sha256(data).hexdigest()
    if kind is IHEX:
        segments, notes = decode_ihex(data)
        inside = detect(segments[0].data)
        if inside.id.startswith("daplink"):
            raise _refused(inside, name)
        return Image(name, IHEX.id, digest, len(data), segments, notes=notes)
    if kind is not BIN and not (placed and kind.id in _PLACED):
        raise _refused(kind, name)
    notes = ("the name says Intel hex, the content is a raw binary",) if name.lower().endswith((".hex", ".ihex", ".ihx")) else ()
    return Image(name, BIN.id, digest, len(data), (Segment(0, bytes(data)),), relocatable=True, notes=notes)


def _refused(kind: Kind, name: str) -> ImageError:
    advice = f" {kind.advice}" if kind.advice else ""
    return ImageError(kind.cause, f"{name} is {kind.title}.{advice}", kind=kind.id, title=kind.title)
