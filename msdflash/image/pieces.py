"""Pieces of memory in the order in which a file names them, sorted and joined to segments.

Bounded: gaps cost nothing, and pieces are joined as soon as there are :data:`MERGE_AT` of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msdflash.errors import ImageError
from msdflash.image.segments import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Walk: TypeAlias = Callable[[list[str]], Iterator[tuple[int, int, bytes]]]
    """Walks the file: ``(where in the file, address, bytes)`` of each piece; adds notes to the list; raises at the first damage."""

MERGE_AT = 1 << 17
MAX_SEGMENTS = 1 << 16
"""More separate pieces than any real program has: such a file is refused before it eats the memory."""
MAX_RECORDS = 2_500_000
"""Lines of a text format that are read: one line for every 8 bytes of 16 MiB leaves room to spare. More only cost time."""


def collect(walk: Walk, number: Callable[[int], int], unit: str = "line") -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Segments (sorted, joined, not empty) and notes.

    Args:
        walk: called once, and once more if two pieces contradict each other.
        number: number for people of a place in the file.
        unit: what is counted there: ``line`` or ``block``.

    Raises:
        ImageError: ``image-overlap``, ``image-empty``, ``image-too-big``, and whatever ``walk`` raises.
    """
    notes: list[str] = []
    pieces: list[tuple[int, bytearray]] = []
    repeated = 0
    clash: int | None = None
    for _, address, chunk in walk(notes):
        if pieces and pieces[-1][0] + len(pieces[-1][1]) == address:
            pieces[-1][1].extend(chunk)
            continue
        pieces.append((address, bytearray(chunk)))
        if len(pieces) >= MERGE_AT:
            pieces, again, clash = _merge(pieces)
            if clash is not None:
                raise _overlap(walk, number, unit, clash)
            repeated += again
            if len(pieces) > MAX_SEGMENTS:
                raise ImageError(
                    "image-too-big",
                    f"the file is scattered over more than {MAX_SEGMENTS} separate pieces of memory; no program is",
                    pieces=len(pieces),
                    limit=MAX_SEGMENTS,
                )
    pieces, again, clash = _merge(pieces)
    if clash is not None:
        raise _overlap(walk, number, unit, clash)
    repeated += again
    if not pieces:
        raise ImageError("image-empty", "the file holds no data")
    if repeated:
        notes.append(f"{repeated} bytes stand in the file more than once, each time with the same value")
    return tuple(Segment(address, bytes(chunk)) for address, chunk in pieces), tuple(notes)


def _merge(pieces: list[tuple[int, bytearray]]) -> tuple[list[tuple[int, bytearray]], int, int | None]:
    """Sort and join pieces; count bytes given twice with equal values; the first address whose values differ, or None."""
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
            return merged, repeated, address + next(index for index in range(common) if have[at + index] != chunk[index])
        repeated += common
        have += chunk[common:]
    return merged, repeated, None


def _overlap(walk: Walk, number: Callable[[int], int], unit: str, address: int) -> ImageError:
    """Two places give one address different bytes: walk the file again to name them."""
    seen: list[tuple[int, int]] = []
    for where, first, chunk in walk([]):
        value = chunk[address - first] if first <= address < first + len(chunk) else None
        if value is not None and value not in [byte for _, byte in seen]:
            seen.append((number(where), value))
        if len(seen) > 1:
            break
    (one_at, one), (other_at, other) = seen[0], seen[-1]
    return ImageError(
        "image-overlap",
        f"{unit}s {one_at} and {other_at} both give address 0x{address:08X}, with 0x{one:02X} and 0x{other:02X}",
        **{"address": address, unit: one_at, f"other_{unit}": other_at, "expected": one, "found": other},
    )


def too_many(limit: int) -> ImageError:
    """More lines than any firmware has."""
    return ImageError("image-too-big", f"the file has more than {limit} lines; no firmware has", limit=limit)


def line_of(data: bytes, offset: int) -> int:
    """Number of the line (from 1) on which an offset stands; CR, LF and CRLF each end one."""
    before = data[:offset]
    ends = before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")
    return ends + 1
