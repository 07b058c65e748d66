"""Intel hex and micro:bit universal hex: records to pieces of memory.

Sources: Intel, "Hexadecimal Object File Format Specification", revision A, 1988; micro:bit universal hex (record types 0A to
0E): tech.microbit.org, "Universal Hex Format Specification" 0.4.0. Line layout is taken as files in the field have it:
CR, LF or CRLF, none at the end, blank lines, trailing blanks. Everything else that departs from the specification is refused with its
line, since a wrong guess would be flashed.

Bounded: records are walked one by one, at most :data:`~msdflash.image.pieces.MAX_RECORDS` of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import bincopy

from msdflash.errors import ImageError
from msdflash.image import microbit, pieces
from msdflash.image.pieces import collect, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msdflash.image.segments import Segment

_LINE = re.compile(rb"[^\r\n]+")
_LONGEST = 1 + 2 * (255 + 5)
_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START_LINEAR = range(6)
_BLOCK_START, _BLOCK_END, _PADDED, _CUSTOM, _OTHER = range(0x0A, 0x0F)
_FIXED = {_END: 0, _SEGMENT: 2, _START_SEGMENT: 4, _LINEAR: 2, _START_LINEAR: 4}
_OPEN = frozenset((_DATA, _BLOCK_END, _PADDED, _CUSTOM, _OTHER))
"""Types with any number of data bytes; a block start has at least two."""
_NAMES = {_END: "end", _SEGMENT: "segment", _START_SEGMENT: "start", _LINEAR: "address", _START_LINEAR: "start"}
_HEX = frozenset(b"0123456789ABCDEFabcdef")
_BLANKS = b" \t\f\v"
_PADDING = b"\r\n \t\f\v\x00\x1a"
_4GIB = 1 << 32
_64KIB = 1 << 16


def decode_ihex(data: bytes, board_id: int | None = None) -> tuple[tuple[Segment, ...], tuple[str, ...], bool]:
    """Segments (sorted, merged, not empty), notes, and whether it was a universal hex.

    Args:
        board_id: of the board that the file is for; only a universal hex needs it.

    Raises:
        ImageError: ``hex-checksum``, ``hex-syntax``, ``image-truncated``, ``image-overlap``, ``image-empty``, ``image-too-big``,
            ``image-no-part-for-board``, each with ``line`` where a line is to blame.
    """
    walker = _Walker(data, board_id)
    segments, notes = collect(walker.walk, lambda where: line_of(data, where))
    return segments, notes, bool(walker.blocks)


class _Walker:
    """One walk over the records; the state that they leave behind."""

    def __init__(self, data: bytes, board_id: int | None) -> None:
        self.data = data
        self.board_id = board_id
        self.blocks: dict[int, int] = {}  # id of each block's board -> line of its first block
        self.block: int | None = None
        self.outside: int | None = None

    def walk(self, notes: list[str]) -> Iterator[tuple[int, int, bytes]]:
        """``(offset of the line, address, bytes)`` of each data record for this board, in file order; raises at the first damage."""
        data, last_good, self.notes = self.data, 0, notes
        self.base, self.segmented, self.started, self.others = 0, False, False, 0
        self.blocks, self.block, self.outside = {}, None, None
        start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
        if start:
            notes.append("a byte order mark before the first record was ignored")
        for count, match in enumerate(_LINE.finditer(data, start)):
            if count >= pieces.MAX_RECORDS:
                raise pieces.too_many(pieces.MAX_RECORDS)
            kind, offset, payload = _record(data, match, last_good)
            if kind in (_DATA, _CUSTOM):
                if self._wanted(kind, match.start()):
                    for address, chunk in _place(self.base, offset, payload, segmented=self.segmented):
                        yield match.start(), address, chunk
            elif kind == _END:
                _after_end(data, match.end(), notes)
                self._finish()
                return
            else:
                self._other(kind, payload, match.start())
            if kind >= 0:
                last_good = match.start() + 1
        raise _truncated(data, last_good)

    def _wanted(self, kind: int, at: int) -> bool:
        """Whether a data record is for this board. In a universal hex each must stand in a block, or it is not told for whom it is."""
        if self.block is not None:
            return microbit.fits(self.block, self.board_id)
        if kind == _CUSTOM or self.blocks:
            raise self._stray(at)
        if self.outside is None:
            self.outside = at
        return True

    def _stray(self, at: int) -> ImageError:
        line = line_of(self.data, at)
        return _syntax(f"line {line} holds data outside the blocks of a universal hex: it does not say for which board", line=line)

    def _other(self, kind: int, payload: bytes, at: int) -> None:
        """Records that hold no data for flash."""
        if kind == _SEGMENT:
            self.base, self.segmented = int.from_bytes(payload, "big") << 4, True
        elif kind == _LINEAR:
            self.base, self.segmented = int.from_bytes(payload, "big") << 16, False
        elif kind in (_START_SEGMENT, _START_LINEAR) and not self.started:
            self.started = True  # once: a hostile file may hold millions
            self.notes.append(f"line {line_of(self.data, at)}: start address 0x{payload.hex()} is not used by the hardware")
        elif kind == _BLOCK_START:
            if self.outside is not None:
                raise self._stray(self.outside)
            self.block = int.from_bytes(payload[:2], "big")
            if self.block not in self.blocks:
                self.blocks[self.block] = line_of(self.data, at)
        elif kind == _BLOCK_END:
            self.block = None
        elif kind == _OTHER:
            self.others += 1

    def _finish(self) -> None:
        """The end record was reached: was this board's part among the blocks?"""
        if self.others:
            self.notes.append(f"{self.others} records of type 0E (data of other programs, such as the source text) were left out")
        if not self.blocks:
            return
        mine = [block for block in self.blocks if microbit.fits(block, self.board_id)]
        if not mine:
            raise microbit.no_part(tuple(self.blocks), self.board_id)
        self.notes.append(f"universal hex: the part for {microbit.title(mine[0])} was taken, of {len(self.blocks)}")


def _place(base: int, offset: int, payload: bytes, *, segmented: bool) -> Iterator[tuple[int, bytes]]:
    """A data record's bytes at absolute addresses. Segmented offsets wrap at 64 KiB, linear addresses at 4 GiB (the specification)."""
    address = base + offset
    room = _64KIB - offset if segmented else _4GIB - address
    if len(payload) <= room:
        if payload:
            yield address, payload
        return
    yield address, payload[:room]
    yield (base if segmented else 0), payload[room:]


def _record(data: bytes, match: re.Match[bytes], last_good: int) -> tuple[int, int, bytes]:
    """Type, address field and data of the record on a line; type -1 for a line of blanks. Raises at damage."""
    if match.end() - match.start() <= _LONGEST:
        line = match.group().strip(_BLANKS)
        if not line:
            return -1, 0, b""
        try:
            kind, offset, size, payload = bincopy.unpack_ihex(line.decode("ascii"))
        except (bincopy.Error, ValueError):
            pass
        else:
            # bincopy lets blanks inside a record pass, so the length of the text is checked, too.
            if len(line) == 11 + 2 * size and (kind in _OPEN or _FIXED.get(kind) == size or (kind == _BLOCK_START and size >= 2)):
                return kind, offset, bytes(payload)
    elif not data[match.start() : match.end()].strip(_BLANKS):
        return -1, 0, b""
    raise _explain(data, match, last_good)


def _explain(data: bytes, match: re.Match[bytes], last_good: int) -> ImageError:
    """The slow path, once a file: what is wrong with a line."""
    first, end = match.span()
    while data[first] in _BLANKS:
        first += 1
    while data[end - 1] in _BLANKS:
        end -= 1
    number, column = line_of(data, match.start()), first - match.start() + 1
    if data[first] != ord(":"):
        return _bad_character(data, number, column, first, "a record begins with ':'", last_good)
    for at in range(first + 1, min(end, first + _LONGEST)):
        if data[at] not in _HEX:
            return _bad_character(data, number, at - match.start() + 1, at, "only hex digits may follow ':'", last_good)
    digits = end - first - 1
    wanted = 2 * (int(data[first + 1 : first + 3], 16) + 5) if digits >= 2 else 10
    if digits < wanted and match.end() == len(data):
        return _truncated(data, last_good)
    if digits != wanted:
        return _syntax(
            f"line {number} has {digits} hex digits, its length field asks for {wanted}",
            line=number,
            column=column + 1 + min(digits, wanted),
            digits=digits,
            expected=wanted,
        )
    raw = bytes.fromhex(data[first + 1 : end].decode("ascii"))
    expected = -sum(raw[:-1]) & 0xFF
    if raw[-1] != expected:
        return ImageError(
            "hex-checksum",
            f"line {number} ends in checksum 0x{raw[-1]:02X}, its bytes add up to 0x{expected:02X}: the line is damaged",
            line=number,
            expected=expected,
            found=raw[-1],
        )
    return _wrong_type(raw[3], raw[0], number)


def _wrong_type(kind: int, size: int, number: int) -> ImageError:
    """Intel hex has no such record type, or not with this many data bytes."""
    if kind == _BLOCK_START:
        message = f"line {number}: a block start (type 0A) names a board with at least 2 bytes, this one has {size}"
        return _syntax(message, line=number, type=kind)
    if kind not in _FIXED:
        return _syntax(f"line {number} has record type 0x{kind:02X}, which Intel hex does not have", line=number, type=kind)
    return _syntax(
        f"line {number}: a record of type {kind:02X} ({_NAMES[kind]}) has {_FIXED[kind]} data bytes, this one {size}",
        line=number,
        type=kind,
    )


def _bad_character(data: bytes, line: int, column: int, at: int, rule: str, last_good: int) -> ImageError:
    if data[at] == 0 and not data[at:].strip(b"\x00"):
        return _truncated(data, last_good, zeros=len(data) - at)
    shown = f"'{chr(data[at])}'" if 0x20 < data[at] < 0x7F else f"byte 0x{data[at]:02X}"
    return _syntax(f"line {line}, column {column}: {shown} found, but {rule}", line=line, column=column, found=data[at])


def _syntax(message: str, **facts: int) -> ImageError:
    return ImageError("hex-syntax", message, **facts)


def _truncated(data: bytes, last_good: int, zeros: int = 0) -> ImageError:
    """The file stops before its end record. ``last_good`` is 1 + the offset of the last good record, 0 if there is none."""
    line = line_of(data, last_good - 1) if last_good else 0
    what = f"the last good record is on line {line}" if line else "there is no good record in it"
    rest = f", after which come {zeros} zero bytes" if zeros else ""
    return ImageError("image-truncated", f"the hex file stops before its end record (:00000001FF); {what}{rest}", line=line, size=len(data))


def _after_end(data: bytes, end: int, notes: list[str]) -> None:
    """Nothing but blanks may follow the end record: more records mean two files joined, of which only one would be flashed."""
    rest = data[end:].lstrip(_PADDING)
    if rest:
        position = len(data) - len(rest)
        ended, follows = line_of(data, end - 1), line_of(data, position)
        raise _syntax(
            f"line {ended} ends the hex file, but line {follows} goes on: two files joined? Merge them into one hex file",
            line=follows,
            column=1,
            end_line=ended,
        )
    if data[end:].strip(b"\r\n" + _BLANKS):
        notes.append("padding after the end record was ignored")
