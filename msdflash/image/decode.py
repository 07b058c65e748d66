"""From the bytes of a whole file to an :class:`~msdflash.image.segments.Image`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from msdflash.errors import ImageError
from msdflash.image.detect import BIN, ELF, IHEX, SREC, UF2, Kind, detect
from msdflash.image.elf import decode_elf
from msdflash.image.ihex import decode_ihex
from msdflash.image.segments import Image, Segment
from msdflash.image.srec import decode_srec
from msdflash.image.uf2 import decode_uf2

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FILE = 64 * 1024 * 1024
"""Bytes. More than any supported flash holds, also as hex text."""

_PLACED = ("mcuboot", "mcuboot-v1", "zeros", "blank", "daplink-interface", "daplink-bootloader")
"""Kinds that may be flashed once the user said where."""

_UNFINISHED = (".crdownload", ".opdownload", ".part", ".partial", ".download", ".filepart", ".aria2", ".!ut")
"""Names that browsers and download programs give to what is not complete yet."""

_SUFFIXES: dict[str, tuple[str, ...]] = {
    BIN.id: (".bin",),
    IHEX.id: (".hex", ".ihex", ".ihx"),
    SREC.id: (".srec", ".s19", ".s28", ".s37", ".mot"),
    UF2.id: (".uf2",),
    ELF.id: (".elf", ".axf", ".out"),
}


class Options(msgspec.Struct, frozen=True):
    """What is known besides the file.

    Attributes:
        board_id: of the board that the file is for, 16 bits, or None: chooses the part of a universal hex.
    """

    board_id: int | None = None


def decode(name: str, data: bytes, *, placed: bool = False, board_id: int | None = None) -> Image:
    """Decode a raw binary, Intel hex, universal hex, S-record, UF2 or ELF file. The content decides which it is.

    Args:
        name: the file's name; a hint only.
        data: the whole file.
        placed: the user gave a base address, so a file without vector table (a signed slot, erased data) is what they want.
        board_id: of the board that the file is for (16 bits), or None: chooses the part of a universal hex.

    Returns:
        Segments at absolute addresses; for a raw binary one segment at 0 and ``relocatable``.

    Raises:
        ImageError: the file is something else (``image-unknown-format``, fact ``kind``), a probe's firmware (``probe-firmware``), an
            unfinished download by its name (``half-download``), empty (``image-empty``), needs a base (``image-needs-base``), is larger
            than :data:`MAX_FILE` (``image-too-big``) or damaged (see the decoder of its format).
    """
    if len(data) > MAX_FILE:
        raise ImageError("image-too-big", f"the file has {len(data)} bytes, the limit is {MAX_FILE}", size=len(data), limit=MAX_FILE)
    if name.lower().endswith(_UNFINISHED):
        raise ImageError("half-download", f"{name} is the name of a download that is not finished", name=name)
    kind = detect(data, name)
    decoder = _DECODERS.get(kind.id)
    if decoder is None and kind is not BIN and not (placed and kind.id in _PLACED):
        raise _refused(kind, name)
    found = (decoder or _bin)(data, Options(board_id))
    inside = detect(found.segments[0].data)
    if inside.cause == "probe-firmware" and not placed:
        raise _refused(inside, name)
    notes = (*_misnamed(name, kind if decoder is not None else BIN), *found.notes)
    return msgspec.structs.replace(found, name=name, sha256=hashlib.sha256(data).hexdigest(), file_size=len(data), notes=notes)


def _bin(data: bytes, _options: Options) -> Image:
    return Image("", BIN.id, "", 0, (Segment(0, bytes(data)),), relocatable=True)


def _ihex(data: bytes, options: Options) -> Image:
    segments, notes, universal = decode_ihex(data, options.board_id)
    return Image("", "universal-hex" if universal else IHEX.id, "", 0, segments, notes=notes)


def _srec(data: bytes, _options: Options) -> Image:
    segments, notes = decode_srec(data)
    return Image("", SREC.id, "", 0, segments, notes=notes)


def _uf2(data: bytes, _options: Options) -> Image:
    segments, notes, family = decode_uf2(data)
    return Image("", UF2.id, "", 0, segments, notes=notes, uf2_family=family)


def _elf(data: bytes, _options: Options) -> Image:
    segments, notes, architecture = decode_elf(data)
    return Image("", ELF.id, "", 0, segments, notes=notes, architecture=architecture)


_DECODERS: dict[str, Callable[[bytes, Options], Image]] = {IHEX.id: _ihex, SREC.id: _srec, UF2.id: _uf2, ELF.id: _elf}
"""Kind -> its decoder; the file's own facts are filled in afterwards."""


def _misnamed(name: str, kind: Kind) -> tuple[str, ...]:
    """A note where the name promises another format than the content has."""
    lower = name.lower()
    promised = next((other for other, suffixes in _SUFFIXES.items() if lower.endswith(suffixes)), kind.id)
    titles = {item.id: item.title for item in (BIN, IHEX, SREC, UF2, ELF)}
    return () if promised == kind.id else (f"the name says {titles[promised]}, the content is {kind.title}",)


def _refused(kind: Kind, name: str) -> ImageError:
    advice = f" {kind.advice}" if kind.advice else ""
    return ImageError(kind.cause, f"{name} is {kind.title}.{advice}", kind=kind.id, title=kind.title)
