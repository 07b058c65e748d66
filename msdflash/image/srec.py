"""Motorola S-records to pieces of memory.

Source: Motorola, "M68000 Family Programmer's Reference Manual", appendix C (S-record output format). Lines are taken as files in
the field have them (any line end, blank lines, trailing blanks); everything else that departs from it is refused with its line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import bincopy

from msdflash.errors import ImageError
from msdflash.image import pieces
from msdflash.image.pieces import collect, line_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msdflash.image.segments import Segment

_LINE = re.compile(rb"[^\r\n]+")
_BLANKS = b" \t\f\v"
_PADDING = b"\r\n \t\f\v\x00\x1a"
_LONGEST = 2 + 2 * 256
_HEX = frozenset(b"0123456789ABCDEFabcdef")
_WIDTH = {"0": 2, "1": 2, "2": 3, "3": 4, "5": 2, "6": 3, "7": 4, "8": 3, "9": 2}
"""Record type -> bytes of its address field. Type 4 is reserved."""
_DATA, _END, _COUNT = "123", "789", "56"
_PAIR = 10
"""S1 ends with S9, S2 with S8, S3 with S7."""


def decode_srec(data: bytes) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Segments (sorted, merged, not empty) and notes.

    Raises:
        ImageError: ``srec-checksum``, ``srec-syntax``, ``image-truncated``, ``image-overlap``, ``image-empty``, ``image-too-big``, each
            with ``line`` where a line is to blame.
    """
    return collect(lambda notes: _walk(data, notes), lambda where: line_of(data, where))


def _walk(data: bytes, notes: list[str]) -> Iterator[tuple[int, int, bytes]]:
    """``(offset of the line, address, bytes)`` of each data record, in file order; adds notes; raises at the first damage."""
    last_good = records = 0
    used = ""
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    if start:
        notes.append("a byte order mark before the first record was ignored")
    for count, match in enumerate(_LINE.finditer(data, start)):
        if count >= pieces.MAX_RECORDS:
            raise pieces.too_many(pieces.MAX_RECORDS)
        kind, address, payload = _record(data, match, last_good)
        if not kind:
            continue
        wrong = _misplaced(kind, used, address, records, first=not last_good)
        if wrong:
            line = line_of(data, match.start())
            facts = {"expected": address, "found": records} if kind in _COUNT else {}
            raise _syntax(f"line {line} {wrong}", line=line, type=f"S{kind}", **facts)
        if kind in _DATA:
            used = kind
            records += 1
            if address + len(payload) > 1 << 32:
                line = line_of(data, match.start())
                raise _syntax(f"line {line} goes beyond the last address of 32 bits", line=line)
            if payload:
                yield match.start(), address, payload
        elif kind in _END:
            _after_end(data, match.end(), notes)
            return
        last_good = match.start() + 1
    raise _truncated(data, last_good)


def _misplaced(kind: str, used: str, address: int, records: int, *, first: bool) -> str:
    """What is wrong with a record's type at this place, or "".

    The checksum leaves the type out, and another type moves or drops the data. So a file must keep to what every writer of S-records does.
    """
    if kind == "0" and (not first or address):
        return "is a header (S0), which belongs on the first line and has the address 0"
    if kind in _DATA and used not in ("", kind):
        return f"is a record of type S{kind}, the data before it are S{used}: the type is damaged, or two files were joined"
    if kind in _COUNT and address != records:
        return f"counts {address} data records, the file has {records} before it: some are missing or too many"
    if kind in _END and used and int(kind) + int(used) != _PAIR:
        return f"ends the file with S{kind}, which does not go with data of type S{used}"
    return ""


def _record(data: bytes, match: re.Match[bytes], last_good: int) -> tuple[str, int, bytes]:
    """Type, address field and data of the record on a line; type "" for a line of blanks. Raises at damage."""
    if match.end() - match.start() <= _LONGEST + 64:
        line = match.group().strip(_BLANKS)
        if not line:
            return "", 0, b""
        try:
            kind, address, _, payload = bincopy.unpack_srec(line.decode("ascii"))
        except (bincopy.Error, ValueError, IndexError):
            pass
        else:
            # bincopy lets blanks inside a record and records too short for their address pass, so the text's length is checked, too.
            count = int(line[2:4], 16)
            if len(line) == 4 + 2 * count and count > _WIDTH[kind] and (kind in "0123" or not payload):
                return str(kind), int(address), bytes(payload)
    elif not data[match.start() : match.end()].strip(_BLANKS):
        return "", 0, b""
    raise _explain(data, match, last_good)


def _explain(data: bytes, match: re.Match[bytes], last_good: int) -> ImageError:
    """The slow path, once a file: what is wrong with a line."""
    first, end = match.span()
    while data[first] in _BLANKS:
        first += 1
    while data[end - 1] in _BLANKS:
        end -= 1
    number = line_of(data, match.start())
    rest = match.end() == len(data)
    for at in range(first, min(end, first + _LONGEST)):
        rule = _rule(at - first, data[at])
        if rule:
            if data[at] == 0 and not data[at:].strip(b"\x00"):
                return _truncated(data, last_good, zeros=len(data) - at)
            shown = f"'{chr(data[at])}'" if 0x20 < data[at] < 0x7F else f"byte 0x{data[at]:02X}"
            column = at - match.start() + 1
            return _syntax(f"line {number}, column {column}: {shown} found, but {rule}", line=number, column=column, found=data[at])
    digits = end - first - 2
    if digits < 2 and rest:
        return _truncated(data, last_good)
    wanted = 2 * (int(data[first + 2 : first + 4], 16) + 1) if digits >= 2 else 8
    if digits < wanted and rest:
        return _truncated(data, last_good)
    if digits != wanted:
        message = f"line {number} has {digits} hex digits, its count field asks for {wanted}"
        return _syntax(message, line=number, digits=digits, expected=wanted)
    raw = bytes.fromhex(data[first + 2 : end].decode("ascii"))
    expected = ~sum(raw[:-1]) & 0xFF
    if raw[-1] != expected:
        return ImageError(
            "srec-checksum",
            f"line {number} ends in checksum 0x{raw[-1]:02X}, its bytes add up to 0x{expected:02X}: the line is damaged",
            line=number,
            expected=expected,
            found=raw[-1],
        )
    kind = chr(data[first + 1])
    return _syntax(f"line {number}: a record of type S{kind} cannot have {raw[0]} bytes", line=number, type=kind)


def _rule(at: int, code: int) -> str:
    """What should stand at this place of a record instead, or "" if the byte is right."""
    if at == 0:
        return "" if code == ord("S") else "a record begins with 'S'"
    if at == 1:
        return "" if chr(code) in _WIDTH else "a digit from 0 to 9 without 4 follows the 'S'"
    return "" if code in _HEX else "only hex digits may follow the record's type"


def _syntax(message: str, **facts: int | str) -> ImageError:
    return ImageError("srec-syntax", message, **facts)


def _truncated(data: bytes, last_good: int, zeros: int = 0) -> ImageError:
    """The file stops before its end record. ``last_good`` is 1 + the offset of the last good record, 0 if there is none."""
    line = line_of(data, last_good - 1) if last_good else 0
    what = f"the last good record is on line {line}" if line else "there is no good record in it"
    rest = f", after which come {zeros} zero bytes" if zeros else ""
    message = f"the S-record file stops before its end record (S7, S8 or S9); {what}{rest}"
    return ImageError("image-truncated", message, line=line, size=len(data))


def _after_end(data: bytes, end: int, notes: list[str]) -> None:
    """Nothing but blanks may follow the end record: more records mean two files joined, of which only one would be flashed."""
    rest = data[end:].lstrip(_PADDING)
    if rest:
        ended, follows = line_of(data, end - 1), line_of(data, len(data) - len(rest))
        message = f"line {ended} ends the S-record file, but line {follows} goes on: two files joined? Merge them into one"
        raise _syntax(message, line=follows, column=1, end_line=ended)
    if data[end:].strip(b"\r\n" + _BLANKS):
        notes.append("padding after the end record was ignored")
