"""After a failed job: bytes beside the image that were erased with it are programmed again, and so are words that keep the chip open.

The image itself is not completed here: that is what the next attempt is for. Only what nobody else has goes back, a few pieces at a
time, and a piece that cannot be programmed does not keep the others from it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from msdflash.chips.model import Critical, Family
from msdflash.worker import memory, program
from msdflash.worker.algorithm import ERASE, PROGRAM, Algorithm
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.erased import guard_of
from msdflash.worker.plan import RegionPlan, Sector
from msdflash.worker.raw import RawTarget
from msdflash.worker.silicon import read_field
from msdflash.worker.undo import Piece
from msdflash.worker.write import Writer

_GRACE = 6.0
_LONGEST = 60.0
"""Seconds that a rescue may take beyond its calls' own times, and at most."""


class Salvage:
    """One rescue on one halted target.

    Args:
        target: pyOCD's target.
        plans: what the failed job was about to do; ``new`` of each sector is what must stand there.
        pieces: the bytes beside the image that these plans put at risk.
        one_page: as the failed job's.
    """

    def __init__(
        self,
        channel: Channel,
        target: Any,
        core: Any,
        family: Family | None,
        plans: list[RegionPlan],
        pieces: tuple[Piece, ...],
        *,
        one_page: bool = False,
    ) -> None:
        self._channel = channel
        self._target = target
        self._family = family
        self._plans = plans
        self._pieces = pieces
        self._writer = Writer(channel, target, core, family, one_page=one_page)
        self._timing = family.timing if family is not None else None
        self._end = time.monotonic() + self.seconds()

    def seconds(self) -> float:
        """How long all of it may take."""
        calls = sum(
            program.erase_deadline(self._timing, len(sector.new)) + program.program_deadline(self._timing, len(sector.new))
            for _, sector in self._concerned()
        )
        return min(_GRACE + calls, _LONGEST)

    def missing(self) -> tuple[Piece, ...]:
        """The pieces that flash does not hold now."""
        return tuple(
            piece
            for piece in self._pieces
            if self._read(piece.address, piece.end) != piece.data or self._unwritten(piece.address, piece.end)
        )

    def shut(self) -> tuple[Critical, ...]:
        """Critical words in sectors of these plans whose value in flash would lock the chip at its next reset."""
        return tuple(
            item
            for plan in self._plans
            for sector in plan.changes
            for item in self._critical_in(sector)
            if not is_open(item, self._read(item.field.address, item.field.address + item.field.size))
        )

    def repair(self) -> None:
        """One pass over all sectors that lack something. Raises StepFailed, or what the link raises; a refused piece raises nothing."""
        for plan in self._plans:
            lacking = [(sector, self._lacks(sector)) for sector in plan.changes]
            if not any(lacks for _, lacks in lacking):
                continue
            algorithm = self._writer.algorithm(plan)
            algorithm.load()
            # What keeps the chip open comes before what is only missed.
            for sector, lacks in sorted(lacking, key=lambda item: not self._critical_in(item[0])):
                if lacks and time.monotonic() < self._end:
                    self._mend(plan, sector, lacks, algorithm)
            algorithm.finish(program.UNKNOWN_ERASE)

    # ------------------------------------------------------------------------------------------------------------------------------

    def _read(self, start: int, end: int) -> bytes:
        first = start & ~3
        return memory.read(self._target, first, (end - first + 3) & ~3)[start - first : end - first]

    def _unwritten(self, start: int, end: int) -> bool:
        """A page of a range was erased when it was last read, where erased flash cannot be read: what came back is only a filler."""
        guard = guard_of(self._target)
        return guard is not None and any(page in guard.blank for page in guard.pages(start, end - start))

    def _critical_in(self, sector: Sector) -> tuple[Critical, ...]:
        known = self._family.critical if self._family is not None else ()
        return tuple(item for item in known if sector.address <= item.address < sector.end)

    def _wanted(self, sector: Sector) -> list[tuple[int, int]]:
        """``(first, end)`` of all that must not be lost in a sector, critical words first."""
        critical = [(item.address, item.address + item.length) for item in self._critical_in(sector)]
        pieces = [(piece.address, piece.end) for piece in self._pieces if sector.address <= piece.address < sector.end]
        return critical + pieces

    def _concerned(self) -> Iterator[tuple[RegionPlan, Sector]]:
        for plan in self._plans:
            for sector in plan.changes:
                if self._wanted(sector):
                    yield plan, sector

    def _lacks(self, sector: Sector) -> list[tuple[int, int]]:
        return [span for span in self._wanted(sector) if self._read(*span) != _part(sector, span) or self._unwritten(*span)]

    def _mend(self, plan: RegionPlan, sector: Sector, lacks: list[tuple[int, int]], algorithm: Algorithm) -> None:
        unit = self._unit(plan)
        blank = bytes([plan.erased]) * unit
        todo = self._stale(sector, lacks, unit)
        if any(
            found not in (blank, _part(sector, (at, at + unit))) or (sector.page and not self._unwritten(at, at + unit))
            for at, found in todo
        ):
            self._erase(plan, sector, algorithm)
            todo = self._stale(sector, self._wanted(sector), unit)
        for start, end in _runs([at for at, found in todo if found == blank], unit, algorithm.chunk):
            data = _part(sector, (start, end))
            algorithm.enter(PROGRAM, plan.region.start, program.UNKNOWN_ERASE)
            self._channel.touch(programmed=min(self._channel.changed.programmed + len(data), self._channel.changed.total))
            try:
                algorithm.program(start, data, program.program_deadline(self._timing, len(data)))
            except StepFailed as refused:
                if refused.kind != "program" or time.monotonic() > self._end:
                    raise

    def _erase(self, plan: RegionPlan, sector: Sector, algorithm: Algorithm) -> None:
        deadline = program.erase_deadline(self._timing, len(sector.new))
        algorithm.enter(ERASE, plan.region.start, deadline)
        self._channel.touch(erased=self._channel.changed.erased + len(sector.new))
        algorithm.erase(sector.address, len(sector.new), deadline)

    def _unit(self, plan: RegionPlan) -> int:
        """Bytes that can be programmed alone: less than a page only where the algorithm is known to take that."""
        family = self._family
        if family is None or family.timing is None or not family.program_chunk:
            return int(plan.region.page_size)
        return max(family.timing.unit, family.program_unit, 4)

    def _stale(self, sector: Sector, spans: Iterable[tuple[int, int]], unit: int) -> list[tuple[int, bytes]]:
        """``(address, what flash holds)`` of the units that cover spans and are not what they must be, each once, in the spans' order."""
        found: dict[int, bytes] = {}
        for first, end in spans:
            start = first - (first - sector.address) % unit
            stop = min(end + -(end - sector.address) % unit, sector.end)
            content = self._read(start, stop)
            for at in range(start, stop, unit):
                now = content[at - start : at - start + unit]
                if now != _part(sector, (at, at + unit)) or self._unwritten(at, at + unit):
                    found.setdefault(at, now)
        return list(found.items())


def locks_at_reset(channel: Channel, raw: RawTarget, family: Family) -> bool:
    """A chip that is open now, and would not be after its next reset: its critical words hold another value. Raises StepFailed ``usb``."""
    values = [(item, read_field(channel, raw, item.field)) for item in family.critical]
    return any(value is not None and value != item.open for item, value in values)


def is_open(item: Critical, data: bytes) -> bool:
    """The field's bytes leave the chip open."""
    return item.field.of(int.from_bytes(data, "little")) == item.open


def _part(sector: Sector, span: tuple[int, int]) -> bytes:
    return sector.new[span[0] - sector.address : span[1] - sector.address]


def _runs(units: list[int], unit: int, most: int) -> Iterator[tuple[int, int]]:
    """``(first, end)`` of neighbouring units, in their order, each no longer than ``most`` bytes."""
    start = end = -1
    for at in units:
        if at != end or end + unit - start > most:
            if end > start:
                yield start, end
            start = at
        end = at + unit
    if end > start:
        yield start, end
