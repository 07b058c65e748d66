"""One diagnose order: look at a board. Passive unless the whole ladder was asked for; flash and options are never written."""

from __future__ import annotations

import contextlib
import time

from msdflash.job.measurements import Phase
from msdflash.job.order import DiagnoseOrder
from msdflash.job.outcome import TargetFacts
from msdflash.job.readings import Effect
from msdflash.job.steps import Step
from msdflash.worker import measure, observe, reset_line
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.measure import C_HALT, DBGKEY, DEMCR, DHCSR, S_HALT
from msdflash.worker.probe_job import ProbeJob
from msdflash.worker.raw import DP_CTRL_STAT


class DiagnoseJob(ProbeJob):
    """The state of one diagnose order while it runs."""

    def __init__(self, channel: Channel, order: DiagnoseOrder) -> None:
        super().__init__(channel, order.connection)
        self.order = order

    def run(self) -> None:
        """Measure; raises StepFailed at the first thing that is wrong, with everything measured until then."""
        channel = self.channel
        self._open()
        reset = self.order.reset
        ladder = self._begin_look(Effect.RESET if reset else Effect.STICKY)
        ladder.first_look()
        channel.begin(Step.IDENTIFY, 5)
        ladder.climb(Phase.CHIP)
        ladder.climb(Phase.OPTIONS)
        found = ladder.silicon
        if found.device is not None and found.flash_kib is not None:
            channel.target = TargetFacts(name="", part=found.device.part, how="chip")
        errors = measure.link_quality(channel, ladder.raw, blocks=40)
        if errors:
            if reset:
                ladder.climb(Phase.LINK)
            raise StepFailed("transfer", f"{errors} of 40 block reads failed")
        channel.begin(Step.OBSERVE, 10)
        self._state()

    def _state(self) -> None:
        """Is the core running? Without ``reset`` by two looks at DHCSR; with it halt, reset and watch."""
        raw = self._raw()
        family = self.ladder.family() if self.ladder is not None else None
        if not self.order.reset:
            self.channel.running = observe.judge(measure.sample_dhcsr(raw)[0][1:], [])
            observe.boot_source(self.channel, raw, family)
            return
        self.channel.touch(halted=True, reset=True)
        raw.write32(DHCSR, DBGKEY | measure.C_DEBUGEN | C_HALT)
        status = raw.read32(DHCSR)
        self.channel.measure("core.halt", "halted" if status & S_HALT else status)
        if not status & S_HALT:
            raise StepFailed("no-halt", "the core did not halt")
        self._pulse()
        self.channel.running = observe.watch(self.channel, raw)
        observe.boot_source(self.channel, raw, family)
        self.channel.touch(state="running")

    def _pulse(self) -> None:
        """Pull nRESET low and let go: does the line rise, does the core see it?"""
        opened, raw = self._probe(), self._raw()
        raw.write32(DEMCR, observe.TRCENA)
        raw.read32(DHCSR)  # whatever reset it before is old
        reset_line.pulse(opened)
        start = time.monotonic()
        levels = measure.sample_nreset(opened, 5, 0.02)
        if levels is not None:
            self.channel.measure("nreset.released", levels)
        measure.pick_up(raw)
        seen = raw.read32(DHCSR)
        self.channel.measure("nreset.no_effect", not seen & measure.S_RESET_ST)
        while seen & measure.S_RESET_ST and time.monotonic() - start < measure.HELD_PATIENCE:
            time.sleep(0.005)
            seen = raw.read32(DHCSR)
        self.channel.measure("nreset.rise_ms", round((time.monotonic() - start) * 1000, 1), "until the core left reset after our pulse")
        raw.write32(DHCSR, DBGKEY)

    def _leave(self) -> None:
        """Passive means passive: the power requests go, the core was never touched."""
        if self.raw is not None and not self.order.reset:
            with contextlib.suppress(Exception):
                self.raw.write_dp(DP_CTRL_STAT, 0)
