"""What all orders that change a chip share: the chip is measured, opened where that was ordered, connected, written and left."""

from __future__ import annotations

import contextlib
import time

from msdflash.chips import families
from msdflash.chips.model import Family, SerialFlash
from msdflash.job.measurements import Phase
from msdflash.job.order import Connection
from msdflash.job.outcome import Tried
from msdflash.job.readings import Effect
from msdflash.job.steps import Step
from msdflash.worker import erased, measure, observe, plan, probe, program, serialflash, silicon, target, unlock
from msdflash.worker.attach import ATTACH
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.ladder import Ladder
from msdflash.worker.measure import DEMCR, DHCSR, S_HALT
from msdflash.worker.probe_job import ProbeJob
from msdflash.worker.raw import RawTarget
from msdflash.worker.salvage import locks_at_reset
from msdflash.worker.shared import SharedRaw, queued_writes, quick_errors
from msdflash.worker.trouble import classify
from msdflash.worker.write import ALGORITHM_FAILED, Writer

_LINK_MATTERS = {"transfer", "flash-read", "no-ap", "unexpected", "ram", "algo-readback", "verify", "no-halt"}
"""Failures that a bad link can cause, too: then the link itself is measured."""


class TargetJob(ProbeJob):
    """The state of one such order while it runs.

    Attributes:
        silicon: what the chip's own registers say.
        family: of the chip, or of its target where it does not name itself; None where no table has it.
        locks_next: the chip would be locked for good by its next reset, because an earlier job failed.
    """

    def __init__(self, channel: Channel, connection: Connection, *, unlocks: bool, starts: bool = True) -> None:
        """``unlocks``: a locked chip is unlocked, on the user's order. ``starts``: the program is started afterwards."""
        super().__init__(channel, connection)
        self._unlocks = unlocks
        self._starts = starts
        self.silicon = silicon.Silicon()
        self.family: Family | None = None
        self.locks_next = False
        self._demcr = 0
        self._chip_protects: tuple[tuple[int, int], ...] = ()

    # --- reaching the chip ----------------------------------------------------------------------------------------------------------

    def _measure(self) -> None:
        try:
            self._look()
        except StepFailed as failed:
            if failed.kind != "locked" or not self._unlocks:
                raise
            self._unlock()
            self._look()

    def _unlock(self) -> None:
        """On the user's order: the chip, which two readings called locked, is opened, and what was on it is gone."""
        try:
            unlock.carry_out(self.channel, self._raw())
        except StepFailed:
            raise
        except Exception as error:
            raise self._trouble("transfer", "the link failed while the chip was being unlocked", error) from error
        self.channel.tried.append(Tried("removed the read-out protection, as ordered", "the chip was erased by that"))

    def _look(self) -> None:
        channel = self.channel
        ladder = self._begin_look(Effect.RESET)
        attach = ATTACH.get(self.connection.connect)
        if attach is not None:
            channel.touch(reset=True, halted=True)
            attach(ladder)
        else:
            ladder.first_look()
        channel.begin(Step.IDENTIFY, 5)
        try:
            ladder.climb(Phase.CHIP)
            self.silicon = ladder.silicon
        except StepFailed:
            raise
        except Exception as error:
            raise self._trouble("transfer", "reading the chip's identity failed", error) from error

    def _connect(self) -> None:
        channel, connection = self.channel, self.connection
        chosen = target.choose(channel, connection, channel.probe, self.silicon)
        self.family = self.silicon.family or families.family_of_target(chosen.name)
        channel.begin(Step.CONNECT, 20)
        options = probe.safe_options(connection, self._project)
        if connection.connect in ATTACH:
            options["connect_mode"] = "halt"  # the core is halted already
        # A reset would lock a chip for good whose last job failed in the words that keep it open.
        self.locks_next = self.family is not None and locks_at_reset(channel, self._raw(), self.family)
        channel.touch(halted=True, reset=not self.locks_next)
        queued_writes(self._probe())
        try:
            self.session = target.open_target(channel, self._probe(), options, chosen)
            # PyOCD keeps a Kinetis in reset whose loop made one of its reads fail, and lets go only when told to mass-erase.
            self._probe().assert_reset(False)
            core = self._core()
            self._demcr = core.read32(DEMCR)
            if self.locks_next:
                core.halt()
            else:
                self._reset_and_halt()
            halted = bool(core.read32(DHCSR) & S_HALT)
            if self.family is not None:
                spans = [(int(region.start), int(region.start + region.length)) for region in target.flash_regions(self._session())]
                erased.install(core, self.family.blank_check, spans)
        except StepFailed:
            raise
        except Exception as error:
            raise self._trouble("transfer", "connecting to the target failed", error) from error
        if not halted:
            raise self._not_halted()
        if self.family is not None and self.family.serial is not None:
            self._ask_flash_chip(self.family.serial)

    def _reset_and_halt(self) -> None:
        self._session().target.reset_and_halt()
        if self.family is not None and self.family.flash_shown is not None:
            self._core().write32(*self.family.flash_shown)

    def _not_halted(self) -> StepFailed:
        """After our own reset the core does not stop: in reset still, or refusing."""
        samples, spent = measure.sample_dhcsr(self._raw())
        self.channel.measure("core.dhcsr", samples, "after our reset")
        self.channel.measure("core.dhcsr_ms", round(spent * 1000, 1), "after our reset")
        if all(value & measure.S_RESET_ST for value in samples[1:]):
            caught, seconds = measure.reset_catch(self._raw())
            self.channel.measure("core.reset_catch", caught, f"after our reset, watched for {seconds * 1000:.0f} ms")
            levels = measure.sample_nreset(self._probe(), 5, 0.0)
            if levels is not None:
                self.channel.measure("nreset.released", levels)
            return StepFailed("core-in-reset", "the core did not come out of the reset that we made")
        self.channel.measure("core.halt", samples[-1])
        return StepFailed("no-halt", "the core did not halt")

    def _ask_flash_chip(self, serial: SerialFlash) -> None:
        """A flash chip beside the processor: its answer, its length, and its window readable."""
        try:
            found = self._show_flash_chip(serial)
        except StepFailed:
            raise
        except Exception as error:
            raise self._trouble("transfer", "asking the flash chip failed", error) from error
        kib = found.kib or serial.least
        how = "out of the flash chip's identification" if found.kib else "the shortest that such boards have; this chip does not tell"
        self.channel.measure("chip.flash_kib", kib, how)
        self._chip_protects = found.protected
        target.cut_flash(self._session(), kib)
        target.tell_flash(self.channel, self._session())

    def _show_flash_chip(self, serial: SerialFlash) -> serialflash.Found:
        region = target.flash_regions(self._session())[0]
        return serialflash.look(self.channel, self._core(), region.flash, serial, int(region.start))

    # --- changing it ----------------------------------------------------------------------------------------------------------------

    def _refuse_protected(self, plans: list[plan.RegionPlan]) -> None:
        """Stop where a sector that is to be changed is protected. Raises StepFailed ``write-protected``."""
        if self.family is None or not any(item.changes for item in plans):
            return
        main = silicon.main_flash(target.flash_regions(self._session()))
        ranges = silicon.protected_ranges(self.channel, self._raw_on_session(), self.family, main) + self._chip_protects
        for item in plans:
            program.refuse_protected(item, ranges)

    def _write_plans(self, plans: list[plan.RegionPlan], beside: int = 0) -> None:
        """Write and prove them. ``beside``: bytes beside the image that are erased with it."""
        one_page = self.connection.one_page
        writer = Writer(self.channel, self._session().target, self._core(), self.family, beside, one_page=one_page)
        try:
            writer.write(plans)
        except StepFailed as failed:
            if failed.kind in ALGORITHM_FAILED:
                self._look_after_call()
            raise
        except Exception as error:
            raise self._trouble("transfer", f"the link failed in step {self.channel.step.value}", error) from error

    def _look_after_call(self) -> None:
        if self.ladder is not None and self.family is not None:
            with contextlib.suppress(Exception):
                self.ladder.after(self._raw_on_session(), self.family).climb(Phase.CALL)
                if self.family.serial is not None:
                    serialflash.note_busy(self.channel, self._core(), self.family.serial)

    # --- endings ------------------------------------------------------------------------------------------------------------------

    def _observe(self) -> None:
        channel = self.channel
        channel.begin(Step.RESET, 10)
        if not self._starts:
            self._stay_halted()
            return
        channel.touch(reset=True, state="running")
        try:
            since = time.monotonic()
            observe.release(self._core())
            channel.begin(Step.OBSERVE, 5 + observe.LATE)
            channel.running = observe.watch(channel, self._core(), since)
            observe.boot_source(channel, self._core(), self.family)
        except Exception as error:  # noqa: BLE001  (flash is proved; what the program does now is a second result)
            channel.log.append(classify(error).text)
            channel.running = "debug-unreachable"

    def _stay_halted(self) -> None:
        """HARD_RST.CFG: the new program waits at its first instruction."""
        self.channel.touch(reset=True, state="halted")
        try:
            self._session().target.reset_and_halt()
            self.channel.running = "halted"
        except Exception as error:  # noqa: BLE001  (flash is proved all the same)
            self.channel.log.append(classify(error).text)
            self.channel.running = "debug-unreachable"

    def autopsy(self, failed: StepFailed) -> None:
        """As the base; after a failure that the link can make, the link itself is measured."""
        if failed.kind in _LINK_MATTERS:
            self._measure_link()
        unreadable_by_design = self.family is not None and self.family.blank_check is not None
        if failed.kind == "flash-read" and self.channel.target is not None and not unreadable_by_design:
            with contextlib.suppress(Exception):
                silicon.confirm_read_fault(self.channel, self._raw(), [first for first, _ in self.channel.target.flash])
        super().autopsy(failed)

    def _measure_link(self) -> None:
        if self.raw is None:
            return
        with contextlib.suppress(Exception):
            quick_errors(self._probe())
            self._ladder().climb(Phase.LINK)

    def _leave(self) -> None:
        channel = self.channel
        if self.session is None or self.session.board is None or self.raw is None:
            return
        if channel.proved:
            with contextlib.suppress(Exception):
                observe.leave(self._core(), self._demcr & ~1, halted=not self._starts)
            return
        if not channel.changed.halted or not channel.changed.connected:
            return
        half = bool(channel.changed.erased or channel.changed.programmed or self.locks_next)
        try:
            if not half:
                observe.release(self._core())
            observe.leave(self._core(), self._demcr & ~1, halted=half)
            channel.touch(state="halted" if half else "running")
        except Exception:  # noqa: BLE001  (the target is out of reach: say so)
            channel.touch(state="unknown")

    # --- parts that exist from some step on -----------------------------------------------------------------------------------------

    def _ladder(self) -> Ladder:
        """The ladder, with nothing remembered of what pyOCD may have changed meanwhile."""
        self._raw()
        if self.ladder is None:
            raise StepFailed("unexpected", "the target was not measured")
        return self.ladder

    def _raw_on_session(self) -> RawTarget:
        """Raw access while pyOCD's session is open: both write SELECT, CSW and TAR, so pyOCD's memory of them must go."""
        return SharedRaw(self._core())
