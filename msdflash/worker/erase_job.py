"""One order to destroy: erase the whole flash, or remove read-out protection. Carried out once, told in full, and proved by reading."""

from __future__ import annotations

from typing import Any

from msdflash.chips.model import Family
from msdflash.job.order import EraseOrder
from msdflash.job.outcome import Tried
from msdflash.job.steps import Step
from msdflash.worker import chipid, memory, plan, program, silicon, target
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.keeping import Keeping
from msdflash.worker.target_job import TargetJob


class EraseJob(TargetJob):
    """The state of one such order while it runs."""

    def __init__(self, channel: Channel, order: EraseOrder) -> None:
        super().__init__(channel, order.connection, unlocks=order.unlock)
        self._only_unlock = order.unlock
        self._keeping = Keeping(channel, order.job, order.beside)

    def run(self) -> None:
        """See the base."""
        channel = self.channel
        self._open()
        self._measure()
        if self._only_unlock:
            if not channel.changed.unlocked:
                channel.tried.append(Tried("looked at the chip's protection twice", "it is open already: nothing was erased"))
            else:
                self._keeping.erased_as_ordered(chipid.unique_id(channel, self._raw(), self.silicon.family))
            channel.proved = True
            return
        self._connect()
        plans = self._blank()
        if any(item.changes for item in plans):
            self._write_plans(plans)
        else:
            channel.unchanged = True
            channel.touch(verified=channel.changed.affected)
        channel.proved = True
        self._keeping.erased_as_ordered(chipid.unique_id(channel, self._raw_on_session(), self.family))
        self._observe()

    def _blank(self) -> list[plan.RegionPlan]:
        """Every sector of the flash as it stands, and blank; words that keep the chip open stay what they must be."""
        channel, engine = self.channel, self._session().target
        regions = target.flash_regions(self._session())
        first, size = silicon.main_flash(regions)
        regions = [region for region in regions if first <= int(region.start) < first + size]  # no option words, no EEPROM
        length = sum(int(region.length) for region in regions)
        channel.begin(Step.PLAN, program.transfer_deadline(length))
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            channel.progress(min(done, length), length, program.transfer_deadline(count))

        plans = []
        try:
            for region in regions:
                erased = target.erased_byte(region, self.family)
                plans.append(plan.RegionPlan(region, tuple(self._sectors(engine, region, erased, advance)), erased))
        except StepFailed:
            raise
        except Exception as error:
            raise self._trouble("flash-read", "reading the flash failed", error) from error
        channel.touch(affected=length, total=sum(program.planned_bytes(item) for item in plans))
        self._refuse_protected(plans)
        return plans

    def _sectors(self, engine: Any, region: Any, erased: int, advance: Any) -> list[plan.Sector]:
        sectors = []
        address, end = int(region.start), int(region.start) + int(region.length)
        while address < end:
            first, size = plan.sector_bounds(region, address)
            old = memory.read(engine, first, size, advance)
            sectors.append(plan.Sector(first, old, _open(self.family, first, bytes([erased]) * size)))
            address = first + size
        return sectors


def _open(family: Family | None, address: int, blank: bytes) -> bytes:
    """A blank sector with the words in it that keep the chip open."""
    new = bytearray(blank)
    for item in family.critical if family is not None else ():
        at = item.field.address - address
        if 0 <= at < len(new):
            new[at] = new[at] & ~(item.field.mask << item.field.shift) | item.open << item.field.shift
    return bytes(new)
