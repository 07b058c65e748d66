"""Erase, program, read back: only sectors that differ are touched, and every byte of every affected sector is compared afterwards."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from msdflash.chips.model import Critical, Family, Timing
from msdflash.job.steps import Step
from msdflash.worker import memory
from msdflash.worker.algorithm import ERASE, PROGRAM, Algorithm
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.erased import guard_of
from msdflash.worker.plan import RegionPlan, Sector, chunks, runs

CALL_FLOOR = 0.75
"""Seconds that any algorithm call may take beyond its data sheet's time: USB, scheduling, a slow hub."""

CALL_MARGIN = 2
"""A call may take this many times the data sheet's guaranteed worst case before the flash counts as stuck: that case is for good supply,
allowed temperatures and endurance, and this board may be beyond one of them."""

UNKNOWN_ERASE, UNKNOWN_PROGRAM = 5.0, 2.0
"""Seconds for one sector and one chunk where no data sheet time stands in the tables (as generous as pyOCD's own)."""

USB_RATE = 10_000
"""Bytes per second that the slowest useful link moves (a HID probe at 100 kHz); only deadlines are made of it."""

CHUNK_SCALE = 32
"""A call costs 10 to 40 ms (registers by single accesses; a busy computer), a word 46 us at 1 MHz: the least lies between 14 and 30."""

FEW_STALE = 16
"""Fewer equal bytes than this are no page of an earlier part of the file, but chance."""

_STEP_GRACE = 5.0


def erase_deadline(timing: Timing | None, length: int) -> float:
    """Seconds for one EraseSector call of a sector of ``length`` bytes."""
    return UNKNOWN_ERASE if timing is None else CALL_FLOOR + CALL_MARGIN * timing.erase_of(length)


def program_deadline(timing: Timing | None, length: int) -> float:
    """Seconds for one ProgramPage call of ``length`` bytes."""
    return UNKNOWN_PROGRAM if timing is None else CALL_FLOOR + CALL_MARGIN * timing.program * -(-length // timing.unit)


def transfer_deadline(length: int) -> float:
    """Seconds for moving ``length`` bytes over the slowest useful link."""
    return _STEP_GRACE + length / USB_RATE


def write_plan(channel: Channel, plan: RegionPlan, algorithm: Algorithm, family: Family | None) -> None:
    """Erase and program the sectors of a plan that differ. The algorithm is loaded.

    A sector with critical words (see :class:`msdflash.chips.model.Critical`) comes first and alone: erased, those words programmed at
    once, then the rest of it. So what goes wrong in another sector finds the chip open, and little can go wrong in between.
    """
    for part in stages(plan, family):
        _erase(channel, part, algorithm, family.timing if family is not None else None)
        _program(channel, part, algorithm, family)
    algorithm.finish(UNKNOWN_ERASE)


def stages(plan: RegionPlan, family: Family | None) -> list[RegionPlan]:
    """The plan in the parts that are erased and programmed one after the other."""
    critical = family.critical if family is not None else ()
    urgent = [sector for sector in plan.changes if any(_holds(sector, item) for item in critical)]
    rest = tuple(sector for sector in plan.changes if sector not in urgent)
    parts = [*((sector,) for sector in urgent), *([rest] if rest else [])]
    return [msgspec.structs.replace(plan, sectors=part) for part in parts]


def _holds(sector: Sector, critical: Critical) -> bool:
    return sector.address <= critical.address < sector.end


def urgent_first(pieces: list[tuple[int, bytes]], family: Family | None) -> list[tuple[int, bytes]]:
    """Pieces with the critical words cut out and put in front, where the algorithm takes less than a page."""
    if family is None or not family.program_chunk:
        return pieces
    for critical in family.critical:
        first: list[tuple[int, bytes]] = []
        others: list[tuple[int, bytes]] = []
        for address, data in pieces:
            start, end = critical.address - address, critical.address + critical.length - address
            if start >= 0 and end <= len(data):
                first.append((critical.address, data[start:end]))
                others += [(address, data[:start]), (address + end, data[end:])]
            else:
                others.append((address, data))
        pieces = [*first, *((address, data) for address, data in others if data)]
    return pieces


def _erase(channel: Channel, plan: RegionPlan, algorithm: Algorithm, timing: Timing | None) -> None:
    todo = [sector for sector in plan.changes if not sector.is_blank(plan.erased)]
    if not todo:
        return
    longest = max(erase_deadline(timing, len(sector.new)) for sector in todo)
    total = sum(len(sector.new) for sector in todo)
    done = 0
    channel.begin(Step.ERASE, _STEP_GRACE + longest)
    algorithm.enter(ERASE, plan.region.start, longest)
    for sector in todo:
        channel.touch(erased=channel.changed.erased + len(sector.new))
        algorithm.erase(sector.address, len(sector.new), erase_deadline(timing, len(sector.new)))
        channel.tally("sectors_erased")
        done += len(sector.new)
        channel.progress(done, total, _STEP_GRACE + longest)


def _program(channel: Channel, plan: RegionPlan, algorithm: Algorithm, family: Family | None) -> None:
    region, timing = plan.region, family.timing if family is not None else None
    pieces = urgent_first(list(chunks(plan.changes, region.page_size, algorithm.chunk, plan.erased)), family)
    if not pieces:
        return
    total = sum(len(data) for _, data in pieces)
    done = 0
    longest = program_deadline(timing, algorithm.chunk) + transfer_deadline(algorithm.chunk)
    channel.begin(Step.PROGRAM, longest + _STEP_GRACE)
    algorithm.enter(PROGRAM, region.start, UNKNOWN_ERASE)
    for address, data in pieces:
        channel.touch(programmed=min(channel.changed.programmed + len(data), channel.changed.total))
        algorithm.program(address, data, program_deadline(timing, len(data)))
        channel.tally("chunks_programmed")
        done += len(data)
        channel.progress(done, total, longest)


def verify(channel: Channel, target: Any, plan: RegionPlan) -> list[tuple[Sector, bytes]]:
    """Read every affected sector back and compare all of it. Returns each sector that differs, with what was read instead."""
    by_address = {sector.address: sector for sector in plan.sectors}
    total = sum(len(sector.new) for sector in plan.sectors)
    bad: list[tuple[Sector, bytes]] = []
    equal = read = 0

    def advance(count: int) -> None:
        nonlocal read
        read += count
        channel.progress(read, total, transfer_deadline(memory.BLOCK))

    for length, part in runs([(sector.address, len(sector.new)) for sector in plan.sectors]):
        base = part[0][0]
        guard = guard_of(target)
        if guard is not None:
            for address, size in part:
                guard.expect(address, size, by_address[address].left)
        content = memory.read(target, base, length, advance)
        for address, size in part:
            sector = by_address[address]
            found = content[address - base : address - base + size]
            if sector.page:
                _check_pages(channel, target, sector)
            if found == sector.new:
                equal += size - len(sector.left) * sector.page
            else:
                bad.append((sector, found))
    channel.touch(verified=min(channel.changed.verified + equal, channel.changed.affected))
    return bad


def _check_pages(channel: Channel, target: Any, sector: Sector) -> None:
    """Where erased flash cannot be read: just the pages that nothing was written to are erased, and all others can be read.

    Raises:
        StepFailed: ``verify``.
    """
    guard = guard_of(target)
    if guard is None:
        return
    blank, broken = guard.blank_in(sector.address, len(sector.new)), guard.broken_in(sector.address, len(sector.new))
    for wrong, what in ((broken, "fails its error correction"), (set(blank) - set(sector.left), "is erased, and was programmed")):
        for at in sorted(wrong):
            channel.measure("flash.pages", {"address": sector.address + at, "erased": at in blank, "readable": at not in broken})
            raise StepFailed("verify", f"the page at 0x{sector.address + at:08X} {what}", address=sector.address + at)
    for at in sorted(set(sector.left) - set(blank)):
        channel.measure("flash.pages", {"address": sector.address + at, "erased": False, "readable": True})
        raise StepFailed("verify", f"the page at 0x{sector.address + at:08X} was erased, and is no longer", address=sector.address + at)


def describe(channel: Channel, target: Any, plan: RegionPlan, bad: list[tuple[Sector, bytes]], chunk: int = 0) -> None:
    """Record how flash differs from what should stand there: first address, both sides, how many, pattern, and a second reading.

    ``chunk``: bytes of one ProgramPage call, where the plan was programmed just now; else 0.
    """
    sector, found = bad[0]
    index = memory.first_difference(sector.new, found) or 0
    wrong = sum(1 for item, content in bad for want, have in zip(item.new, content, strict=True) if want != have)
    total = sum(len(item.new) for item in plan.sectors)
    channel.measure(
        "verify.first",
        {
            "address": sector.address + index,
            "expected": sector.new[index],
            "read": found[index],
            "word": {
                "address": sector.address + (index & ~3),
                "expected": int.from_bytes(sector.new[index & ~3 : (index & ~3) + 4], "little"),
                "read": int.from_bytes(found[index & ~3 : (index & ~3) + 4], "little"),
            },
            "bad": wrong,
            "bytes": total,
            "sectors": len(bad),
        },
    )
    known = "" if len(sector.old) == len(sector.new) else f"old content known of the first {len(sector.old)} bytes"
    stale = chunk > 0 and stale_buffer(plan, sector, found, chunk)
    channel.measure("verify.pattern", "stale-buffer" if stale else pattern(sector, found, plan.erased), known)
    again = memory.read(target, sector.address, len(sector.new))
    channel.measure("verify.reread", "same" if again == found else "moved")


def pattern(sector: Sector, found: bytes, erased: int) -> str:
    """How a sector that failed the compare differs from what should stand there (measurements on NOR flash, erased to ones).

    ``old-content`` nothing happened; ``not-programmed`` the differing bytes read erased; ``not-erased`` they are old AND new;
    ``bits`` at most eight bytes differ; ``mixed`` otherwise. Where only the sector's first bytes were read before, the old content is
    compared in these.
    """
    known = len(sector.old)
    differing = [index for index in range(len(found)) if found[index] != sector.new[index]]
    if found[:known] == sector.old:
        return "old-content"
    if all(found[index] == erased for index in differing):
        return "not-programmed"
    if len(differing) <= 8:
        return "bits"
    seen = [index for index in differing if index < known]
    if erased == 0xFF and seen and all(found[index] == sector.old[index] & sector.new[index] for index in seen):
        return "not-erased"
    return "mixed"


def stale_buffer(plan: RegionPlan, sector: Sector, found: bytes, chunk: int) -> bool:
    """The first piece of a sector that reads back wrong holds what the call before it programmed: the page buffer was not filled anew."""
    before: bytes = b""
    for address, data in chunks(plan.changes, plan.region.page_size, chunk, plan.erased):
        first, end = max(address, sector.address), min(address + len(data), sector.end)
        if first < end:
            here = found[first - sector.address : end - sector.address]
            stale = before[first - address : end - address]
            if here != data[first - address : end - address]:
                return len(stale) >= FEW_STALE and here[: len(stale)] == stale and len(set(stale)) > 1
        before = data
    return False


def planned_bytes(plan: RegionPlan) -> int:
    """Bytes that will be programmed: whole pages of the sectors that differ, erased pages left out."""
    return sum(len(data) for _, data in chunks(plan.changes, plan.region.page_size, plan.region.page_size, plan.erased))


def chunk_for(region: Any, flash: Any, family: Family | None, ram_end: int, wanted: int) -> int:
    """Bytes of one ProgramPage call: as many as the table allows for this algorithm, the RAM holds and the job needs; else one page.

    Each byte of the buffer is moved four times by the RAM test before it is used, so a small job gets a small buffer: the least of test
    and calls together lies near ``CHUNK_SCALE`` times the square root of the job's bytes.
    """
    page = int(region.page_size)
    most = family.program_chunk if family is not None else 0
    room = ram_end - int(flash.page_buffers[0])
    useful = max(CHUNK_SCALE * math.isqrt(wanted), page)
    size = min(most, room, -(-wanted // page) * page, -(-useful // page) * page)
    size -= size % page
    return max(size, page)


def protected_overlap(plan: RegionPlan, ranges: tuple[tuple[int, int], ...]) -> tuple[Sector, tuple[int, int]] | None:
    """The first sector to be changed that the option registers protect, with the range that does."""
    for sector in plan.changes:
        for first, last in ranges:
            if first < sector.end and sector.address <= last:
                return sector, (first, last)
    return None


def refuse_protected(plan: RegionPlan, ranges: tuple[tuple[int, int], ...]) -> None:
    """Stop before anything is erased when a sector of the plan is write-protected.

    Raises:
        StepFailed: ``write-protected``.
    """
    hit = protected_overlap(plan, ranges)
    if hit is not None:
        sector, (first, last) = hit
        raise StepFailed(
            "write-protected",
            f"flash 0x{first:08X}..0x{last:08X} is write-protected and the image needs the sector at 0x{sector.address:08X}",
            address=sector.address,
        )
