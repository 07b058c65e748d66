"""Writing a plan, region by region: RAM test, algorithm, erase, program, proof; and once more where that can tell what was wrong."""

from __future__ import annotations

from typing import Any

import msgspec

from msdflash.chips.model import Family
from msdflash.job.outcome import Tried
from msdflash.job.readings import latest
from msdflash.job.steps import Step
from msdflash.worker import program
from msdflash.worker.algorithm import Algorithm
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.memory import first_difference
from msdflash.worker.plan import RegionPlan, Sector

MOST_REWRITTEN = 8
"""More sectors than this that read back wrong are no accident on the link; programming them again would only take time."""

ALGORITHM_FAILED = {"erase", "program", "algo-timeout", "algo-init", "algo-fault", "reset-under-algorithm"}
"""Failures after which the flash controller's status register is evidence."""


class Writer:
    """Writes plans to one target.

    Args:
        target: pyOCD's target (memory).
        core: pyOCD's core (registers); halted.
        family: what the tables know of the chip, or None.
        beside: bytes beside the image that will be erased with it, and programmed again.
        one_page: the algorithm gets one page at a time, because RAM behind that is damaged.
    """

    def __init__(self, channel: Channel, target: Any, core: Any, family: Family | None, beside: int = 0, *, one_page: bool = False) -> None:
        self._channel = channel
        self._target = target
        self._core = core
        self._family = family
        self._beside = beside
        self._one_page = one_page

    def write(self, plans: list[RegionPlan]) -> None:
        """Write and prove every region. Raises StepFailed; whatever the link raises goes through."""
        for item in plans:
            if item.changes:
                self._region(item)
        if len(plans) > 1:
            # One algorithm may have hit another region: all of them are read once more at the end.
            self._channel.touch(verified=0)
            for item in plans:
                self._prove(item)
        self._channel.touch(beside=0)

    def _prove(self, item: RegionPlan) -> None:
        bad = program.verify(self._channel, self._target, item)
        if bad:
            program.describe(self._channel, self._target, item, bad)
            raise StepFailed("verify", "flash that was right before is no longer", address=bad[0][0].address)

    def _region(self, item: RegionPlan) -> None:
        channel = self._channel
        algorithm = self.algorithm(item)
        channel.begin(Step.LOAD, program.transfer_deadline(4 * algorithm.chunk + 4 * len(algorithm.code)))
        algorithm.test_ram()
        algorithm.load()
        channel.touch(beside=self._beside)
        program.write_plan(channel, item, algorithm, self._family)
        channel.begin(Step.VERIFY, program.transfer_deadline(sum(len(sector.new) for sector in item.sectors)))
        bad = program.verify(channel, self._target, item)
        if not bad:
            return
        program.describe(channel, self._target, item, bad, algorithm.chunk)
        sector, found = bad[0]
        algorithm.recheck_buffer(sector.new[: algorithm.chunk])
        if not self._rewrite(item, bad, algorithm):
            index = first_difference(sector.new, found) or 0
            raise StepFailed("verify", "flash is not what was programmed", address=sector.address + index)

    def _rewrite(self, item: RegionPlan, bad: list[tuple[Sector, bytes]], algorithm: Algorithm) -> bool:
        """Erase and program the wrong sectors of the same image once more: a word lost on the way comes right, a bad cell does not.

        Only where the data reach the page buffer intact and few sectors are wrong; returns True when all is proved now.
        """
        channel = self._channel
        buffer = latest(tuple(channel.readings), "buffer.readback")
        if len(bad) > MOST_REWRITTEN or not (buffer and buffer["ok"]):
            return False
        again = RegionPlan(item.region, tuple(_again(sector, found) for sector, found in bad), item.erased)
        algorithm.load()
        program.write_plan(channel, again, algorithm, self._family)
        channel.begin(Step.VERIFY, program.transfer_deadline(channel.changed.affected))
        channel.touch(verified=0)
        still = program.verify(channel, self._target, item)
        outcome = "right" if not still else "same" if still[0] == bad[0] else "moved"
        channel.measure("verify.rewrite", outcome, f"{len(bad)} sector(s)")
        channel.tried.append(
            Tried(
                f"erased and programmed {len(bad)} sector(s) once more, because read-back differed",
                "read-back is right now" if outcome == "right" else "read-back still differs",
            )
        )
        return not still

    def algorithm(self, item: RegionPlan) -> Algorithm:
        """The algorithm of a plan's region, not loaded yet."""
        flash = item.region.flash
        page = int(item.region.page_size)
        if self._one_page:
            return Algorithm(self._channel, self._core, flash, page)
        ram = self._target.memory_map.get_region_for_address(flash.page_buffers[0])
        end = ram.start + ram.length if ram is not None else flash.page_buffers[0]
        wanted = sum(len(sector.new) for sector in item.changes)
        chunk = program.chunk_for(item.region, flash, self._family, end, wanted)
        return Algorithm(self._channel, self._core, flash, chunk, least=page)


def _again(sector: Sector, found: bytes) -> Sector:
    """A sector that holds something else than it should; where erased flash cannot be read it is erased first whatever it holds."""
    return msgspec.structs.replace(sector, old=found, damaged=bool(sector.page))
