"""Intel hex: records to pieces of memory.

Sources: Intel, "Hexadecimal Object File Format Specification", revision A, 1988; micro:bit universal hex (record types 0A to
0E): tech.microbit.org. Line layout is taken as files in the field have it:
CR, LF or CRLF, none at the end, blank lines, trailing blanks. Everything else that departs from the specification is refused with its
line, since a wrong guess would be flashed.

Bounded: records are walked one by one, gaps cost nothing, and pieces are merged as soon as there are :data:`MERGE_AT` of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import bincopy

from msdflash.errors import ImageError
from msdflash.image.segments import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator

MERGE_AT = 1 << 17
MAX_SEGMENTS = 1 << 16
"""More separate pieces than any real program has: such a file is refused before it eats the memory."""

_LINE = re.compile(rb"[^\r\n]+")
_LONGEST = 1 + 2 * (255 + 5)
_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START_LINEAR = range(6)
_FIXED = {_END: 0, _SEGMENT: 2, _START_SEGMENT: 4, _LINEAR: 2, _START_LINEAR: 4}
_NAMES = {_END: "end", _SEGMENT: "segment", _START_SEGMENT: "start", _LINEAR: "address", _START_LINEAR: "start"}
_BLOCK_TYPES = range(0x0A, 0x0F)
_HEX = frozenset(b"0123456789ABCDEFabcdef")
_BLANKS = b" \t\f\v"
_PADDING = b"\r\n \t\f\v\x00\x1a"
_4GIB = 1 << 32
_64KIB = 1 << 16


def decode_ihex(data: bytes) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Segments (sorted, merged, not empty) and notes.

    Raises:
        ImageError: ``hex-checksum``, ``hex-syntax``, ``image-truncated``, ``image-overlap``, ``image-empty``, ``image-too-big``,
            ``image-unknown-format`` (universal hex), each with ``line`` where a line is to blame.
    """
    pieces: list[tuple[int, bytearray]] = []
    notes: list[str] = []
    repeated = 0
    for address, chunk in _pieces(data, notes):
        if pieces and pieces[-1][0] + len(pieces[-1][1]) == address:
            pieces[-1][1].extend(chunk)
            continue
        pieces.append((address, bytearray(chunk)))
        if len(pieces) >= MERGE_AT:
            pieces, again = _merge(pieces, data)
            repeated += again
            if len(pieces) > MAX_SEGMENTS:
                raise ImageError(
                    "image-too-big",
                    f"the file is scattered over more than {MAX_SEGMENTS} separate pieces of memory; no program is",
                    pieces=len(pieces),
                    limit=MAX_SEGMENTS,
                )
    pieces, again = _merge(pieces, data)
    repeated += again
    if not pieces:
        raise ImageError("image-empty", "the hex file holds no data records")
    if repeated:
        notes.append(f"{repeated} bytes stand in the file more than once, each time with the same value")
    return tuple(Segment(address, bytes(chunk)) for address, chunk in pieces), tuple(notes)


def _pieces(data: bytes, notes: list[str]) -> Iterator[tuple[int, bytes]]:
    """``(absolute address, bytes)`` of each data record, in file order; adds notes; raises at the first damage."""
    base, segmented, last_good, started = 0, False, 0, False
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    if start:
        notes.append("a byte order mark before the first record was ignored")
    for match in _LINE.finditer(data, start):
        kind, offset, payload = _record(data, match, last_good)
        if kind == _DATA:
            yield from _place(base, offset, payload, segmented=segmented)
        elif kind == _END:
            _after_end(data, match.end(), notes)
            return
        elif kind == _SEGMENT:
            base, segmented = int.from_bytes(payload, "big") << 4, True
        elif kind == _LINEAR:
            base, segmented = int.from_bytes(payload, "big") << 16, False
        elif kind in (_START_SEGMENT, _START_LINEAR) and not started:
            started = True  # once: a hostile file may hold millions
            notes.append(f"line {line_of(data, match.start())}: start address 0x{payload.hex()} is not used by the hardware")
        if kind >= 0:
            last_good = match.start() + 1
    raise _truncated(data, last_good)


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
            if len(line) == 11 + 2 * size and (kind == _DATA or _FIXED.get(kind) == size):
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
    if kind in _BLOCK_TYPES:
        return ImageError(
            "image-unknown-format",
            f"line {number} has record type 0x{kind:02X}: this is a micro:bit universal hex (several programs in one file). "
            "Save it for one board version, or drop that version's own hex",
            kind="universal-hex",
            line=number,
        )
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


def _merge(pieces: list[tuple[int, bytearray]], data: bytes) -> tuple[list[tuple[int, bytearray]], int]:
    """Sort and join pieces; count bytes given twice with equal values. Raises ``image-overlap`` where values differ."""
    merged: list[tuple[int, bytearray]] = []
    repeated = 0
    for address, chunk in sorted(pieces, key=lambda piece: piece[0]):
        if not merged or merged[-1][0] + len(merged[-1][1]) < address:
            merged.append((address, chunk))
            continue
        start, have = merged[-1]
        at = address - start
        common = min(len(have) - at, len(chunk))
        if have[at : at + common] != chunk[:common]:
            differs = next(index for index in range(common) if have[at + index] != chunk[index])
            raise _overlap(data, address + differs)
        repeated += common
        have += chunk[common:]
    return merged, repeated


def _overlap(data: bytes, address: int) -> ImageError:
    """Two records give one address different bytes: walk the file again to name them."""
    seen: list[tuple[int, int]] = []
    base, segmented = 0, False
    for match in _LINE.finditer(data, 3 if data.startswith(b"\xef\xbb\xbf") else 0):
        kind, offset, payload = _record(data, match, 0)
        if kind == _SEGMENT:
            base, segmented = int.from_bytes(payload, "big") << 4, True
        elif kind == _LINEAR:
            base, segmented = int.from_bytes(payload, "big") << 16, False
        elif kind == _DATA:
            for first, chunk in _place(base, offset, payload, segmented=segmented):
                value = chunk[address - first] if first <= address < first + len(chunk) else None
                if value is not None and value not in [byte for _, byte in seen]:
                    seen.append((line_of(data, match.start()), value))
        if len(seen) > 1:
            break
    (line, one), (other_line, other) = seen[0], seen[-1]
    return ImageError(
        "image-overlap",
        f"lines {line} and {other_line} both give address 0x{address:08X}, with 0x{one:02X} and 0x{other:02X}",
        address=address,
        line=line,
        other_line=other_line,
        expected=one,
        found=other,
    )


def line_of(data: bytes, offset: int) -> int:
    """Number of the line (from 1) on which an offset stands; CR, LF and CRLF each end one."""
    before = data[:offset]
    ends = before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")
    return ends + 1
