"""The undo file: bytes beside an image, kept on the disk before their sectors are erased, and put back by whoever comes next.

A sector is erased whole, so until it is programmed again what the image does not fill of it is nowhere but in this process' memory. With
the file, whatever ends the job, the bytes can be put back: by the rescue after a failure, by the next attempt at the same drop, or by the
next job on the same chip. A folder holds the files of one board, one a chip, named after the chip's unique id. A chip without one has a
file for each job, which only that job's own attempts use: nothing else could tell that it is the same chip.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from msdflash.image.segments import Image
from msdflash.worker.plan import RegionPlan, Sector

_LARGEST = 64 * 1024 * 1024
_ENDING = ".undo"
MOST_FILES = 64
"""Chips whose bytes are kept for one board; of more, the oldest go. Each was told when its job failed."""


class Piece(msgspec.Struct, frozen=True):
    """Bytes beside an image, within one sector, as they must stand when all is done."""

    address: int
    data: bytes

    @property
    def end(self) -> int:
        """First address after it."""
        return self.address + len(self.data)


class _Kept(msgspec.Struct, frozen=True):
    chip: str
    pieces: tuple[Piece, ...]


class Undo:
    """The undo file of one chip on one board.

    Args:
        folder: of the board; made when something is kept.
        chip: unique id, or None where the chip has none.
        job: id of the job, the same for each attempt at one drop.
    """

    def __init__(self, folder: Path, chip: str | None, job: str) -> None:
        self._folder = folder
        self._chip = chip or f"job-{job}"
        self.path = folder / f"{self._chip}{_ENDING}"

    def pending(self) -> tuple[Piece, ...]:
        """What an earlier job on this chip could not put back; nothing where the file is not whole or not of this chip."""
        try:
            with self.path.open("rb") as file:
                kept = msgspec.msgpack.decode(file.read(_LARGEST), type=_Kept)
        except (OSError, msgspec.MsgspecError):
            return ()
        return kept.pieces if kept.chip == self._chip else ()

    def forget(self) -> None:
        """Nothing is kept any more. A file that cannot be removed is one that the next job reads, compares and settles."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def strangers(self) -> tuple[str, ...]:
        """Names of the files that belong to other chips, oldest first. They are never written to this one."""
        with contextlib.suppress(OSError):
            files = [(path.stat().st_mtime, path.name) for path in self._folder.glob(f"*{_ENDING}") if path != self.path]
            return tuple(name for _, name in sorted(files))
        return ()

    def keep(self, pieces: Iterable[Piece]) -> None:
        """Write pieces down in place of what the file held, forced to the disk; without any, there is no file. Raises OSError."""
        pieces = tuple(pieces)
        if not pieces:
            self.path.unlink(missing_ok=True)
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in self.strangers()[: -(MOST_FILES - 1)]:
            (self._folder / name).unlink(missing_ok=True)
        # Whole or not at all: the old file may be the only copy of what an earlier job lost.
        draft = self.path.with_suffix(".new")
        try:
            with draft.open("wb") as file:
                file.write(msgspec.msgpack.encode(_Kept(self._chip, pieces)))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise


def outside(start: int, end: int, image: Image) -> Iterator[tuple[int, int]]:
    """``(first, end)`` of the parts of a range that the image does not fill."""
    at = start
    for segment in sorted(image.segments, key=lambda item: item.address):
        if segment.end <= at or segment.address >= end:
            continue
        if at < segment.address:
            yield at, segment.address
        at = segment.end
    if at < end:
        yield at, end


def beside(plans: Iterable[RegionPlan], image: Image) -> tuple[Piece, ...]:
    """What must be kept before a plan is carried out: bytes beside the image in the sectors that change, blank ends left out."""
    found = []
    for plan in plans:
        blank = bytes([plan.erased])
        for sector in plan.changes:
            for first, end in outside(sector.address, sector.end, image):
                for start, stop in _written(sector, first, end):
                    data = sector.new[start - sector.address : stop - sector.address]
                    lead = 0 if sector.page else len(data) - len(data.lstrip(blank))
                    data = data if sector.page else data.strip(blank)
                    if data:
                        found.append(Piece(start + lead, data))
    return tuple(found)


def _written(sector: Sector, first: int, end: int) -> Iterator[tuple[int, int]]:
    """The range, without pages that are erased and cannot be read: nothing stands there that could be lost."""
    if not sector.page:
        yield first, end
        return
    for at in range(0, len(sector.new), sector.page):
        start, stop = max(first, sector.address + at), min(end, sector.address + at + sector.page)
        if start < stop and at not in sector.fresh:
            yield start, stop


def could_be(now: bytes, kept: bytes, erased: int) -> bool:
    """Flash that holds ``now`` held ``kept`` before, and was only erased since, wholly or in part: each bit is as it was or erased."""
    have, want = int.from_bytes(now, "big"), int.from_bytes(kept, "big")
    return have & want == want if erased == 0xFF else have | want == want


class Restored(msgspec.Struct, frozen=True):
    """Plans that put kept bytes back, how many bytes these are, and how many hold something else by now and are left alone."""

    plans: list[RegionPlan]
    back: int = 0
    foreign: int = 0


def restore(
    plans: list[RegionPlan],
    pieces: Iterable[Piece],
    image: Image,
    transform: Callable[[int, bytes], bytes],
    look: Callable[[int], tuple[RegionPlan, Sector] | None],
) -> Restored:
    """Lay kept bytes over the plans, as far as the image does not fill their place.

    Only where flash still could be what was kept, erased or not: anything else was written by somebody since.

    Args:
        look: a plan of one unchanged sector at an address that no plan has, read now; None where there is no flash.
    """
    by_region = {plan.region.start: plan for plan in plans}
    back = foreign = 0
    for piece in pieces:
        for first, end in outside(piece.address, piece.end, image):
            found = _sector_at(by_region, first) or look(first)
            if found is None or end > found[1].end:
                foreign += end - first
                continue
            plan, sector = found
            here = slice(first - sector.address, end - sector.address)
            kept, now = piece.data[first - piece.address : end - piece.address], sector.old[here]
            if len(sector.old) != len(sector.new) or not could_be(now, kept, plan.erased):
                foreign += end - first
            elif now != kept or sector.page:
                back += sum(1 for have, want in zip(now, kept, strict=True) if have != want)
                new = sector.new[: here.start] + kept + sector.new[here.stop :]
                pages = tuple(at for at in sector.fresh if at < here.stop and here.start < at + sector.page)
                sector = msgspec.structs.replace(sector, new=transform(sector.address, new), touched=sector.touched + pages)
                known = by_region.get(plan.region.start, plan)
                others = tuple(item for item in known.sectors if item.address != sector.address)
                together = tuple(sorted((*others, sector), key=lambda item: item.address))
                by_region[plan.region.start] = msgspec.structs.replace(known, sectors=together)
    return Restored(sorted(by_region.values(), key=lambda plan: int(plan.region.start)), back, foreign)


def _sector_at(by_region: dict[int, RegionPlan], address: int) -> tuple[RegionPlan, Sector] | None:
    for plan in by_region.values():
        for sector in plan.sectors:
            if sector.address <= address < sector.end:
                return plan, sector
    return None
