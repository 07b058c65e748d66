"""Cheap signs that a file has arrived completely, for deciding when it has settled: its first and last bytes and its size."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TAIL = 64
"""Bytes of a file's end that :func:`hex_is_whole` needs at most."""
EDGE = 1024
"""Bytes of a file's beginning and end that :func:`is_whole` makes use of."""

_END = re.compile(rb":00([0-9A-Fa-f]{4})01([0-9A-Fa-f]{2})[\s\x00\x1a]*\Z")
_END_RECORD = b":00000001FF"
"""End-of-file record. Intel, Hexadecimal Object File Format Specification, revision A (1988), section 2."""
_S_RECORD = re.compile(rb"S[0-9][0-9A-Fa-f]{8}")
_S_END = re.compile(rb"S[789]((?:[0-9A-Fa-f]{2}){4,6})\Z")
_BLANKS = b"\r\n \t\x1a"
_BLOCK = 512
_UF2_START, _UF2_END = b"UF2\nWQ]\x9e", b"\x30\x6f\xb1\x0a"


def is_whole(head: bytes, tail: bytes, size: int) -> bool | None:
    """True: the format's end mark is there. False: it is missing. None: the format has none, or the file is too short to tell.

    Args:
        head: the first bytes of the file, :data:`EDGE` at most.
        tail: the last bytes.
        size: of the file in bytes.
    """
    start = head.lstrip(b"\xef\xbb\xbf\r\n \t")
    for applies, judge in _FORMATS:
        if applies(start):
            return judge(head, tail, size)
    return None


def hex_is_whole(tail: bytes) -> bool:
    """The last bytes of a file are an Intel hex end record with a right checksum (white space may follow).

    A raw binary has no such mark: False says nothing about it.
    """
    match = _END.search(tail[-TAIL:])
    if match is None:
        return False
    raw = bytes.fromhex(match.group(1).decode("ascii"))
    return int(match.group(2), 16) == -(sum(raw) + 1) & 0xFF


def _hex(_head: bytes, tail: bytes, _size: int) -> bool:
    """Also a universal hex: it ends with the same record, and only there."""
    return tail.rstrip(_BLANKS).upper().endswith(_END_RECORD) or hex_is_whole(tail)


def _srec(_head: bytes, tail: bytes, _size: int) -> bool:
    """The last line is S7, S8 or S9 with a right length and checksum."""
    match = _S_END.search(tail.rstrip(_BLANKS)[-TAIL:])
    if match is None:
        return False
    raw = bytes.fromhex(match.group(1).decode("ascii"))
    return raw[0] == len(raw) - 1 and sum(raw) & 0xFF == 0xFF


def _uf2(head: bytes, tail: bytes, size: int) -> bool | None:
    """As many blocks as the first one says that there are, and the last of them is marked as one at both ends."""
    if len(head) < 32:
        return False
    (count,) = struct.unpack_from("<I", head, 24)
    if count == 2 and len(head) >= _BLOCK + 32 and struct.unpack_from("<I", head, _BLOCK + 20) == (0,):
        # a block in front with a count of its own, as RP2350 tools add it: see uf2.py
        count = 1 + int(struct.unpack_from("<I", head, _BLOCK + 24)[0])
    if size > count * _BLOCK:
        return None  # several files joined: not for us to say
    last = tail[-_BLOCK:]
    return size == count * _BLOCK and last.startswith(_UF2_START) and last.endswith(_UF2_END)


def _elf(head: bytes, tail: bytes, size: int) -> bool | None:
    """Program headers, segments and section headers lie within the file, and its end is not merely reserved space."""
    if len(head) < 52 or head[4] != 1 or head[5] != 1:
        return None
    phoff, shoff = struct.unpack_from("<II", head, 28)
    phsize, phnum, shsize, shnum = struct.unpack_from("<4H", head, 42)
    ends = [phoff + phsize * phnum, shoff + shsize * shnum]
    if phsize >= 32:
        for at in range(phoff, min(phoff + phnum * phsize, len(head) - 31), phsize):
            offset, filled = struct.unpack_from("<I", head, at + 4)[0], struct.unpack_from("<I", head, at + 16)[0]
            ends.append(offset + filled)
    return max(ends) <= size and bool(tail.strip(b"\0"))


_FORMATS: tuple[tuple[Callable[[bytes], object], Callable[[bytes, bytes, int], bool | None]], ...] = (
    (lambda start: start.startswith(b":"), _hex),
    (_S_RECORD.match, _srec),
    (lambda start: start.startswith(_UF2_START), _uf2),
    (lambda start: start.startswith(b"\x7fELF"), _elf),
)
"""Does a file begin so? Then this judges it."""
