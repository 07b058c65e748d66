"""One diagnose order: look at a board. Passive unless the whole ladder was asked for; flash and options are never written."""

from __future__ import annotations

import contextlib
import shutil

from pyocd.core.session import Session
from pyocd.probe.debug_probe import DebugProbe

from msdflash.job.measurements import Phase
from msdflash.job.order import DiagnoseOrder
from msdflash.job.outcome import TargetFacts
from msdflash.job.readings import Effect
from msdflash.job.steps import Step
from msdflash.worker import measure, observe, probe
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.ladder import Ladder
from msdflash.worker.measure import C_HALT, DBGKEY, DEMCR, DHCSR, S_HALT
from msdflash.worker.raw import DP_CTRL_STAT, RawTarget
from msdflash.worker.shared import quick_errors
from msdflash.worker.trouble import classify


class DiagnoseJob:
    """The state of one diagnose order while it runs."""

    def __init__(self, channel: Channel, order: DiagnoseOrder) -> None:
        self.channel = channel
        self.order = order
        self.probe: DebugProbe | None = None
        self.session: Session | None = None
        self.raw: RawTarget | None = None
        self.ladder: Ladder | None = None
        self._project = probe.private_project()

    def run(self) -> None:
        """Measure; raises StepFailed at the first thing that is wrong, with everything measured until then."""
        channel, connection = self.channel, self.order.connection
        channel.begin(Step.OPEN, 15)
        self.probe, self.session = probe.open_probe(channel, connection, self._project)
        channel.begin(Step.MEASURE, 10)
        quick_errors(self.probe)
        reset = self.order.reset
        self.raw = RawTarget(self.probe)
        named = connection.target or (channel.probe.target if channel.probe is not None else None)
        pays = Effect.RESET if reset else Effect.STICKY
        self.ladder = ladder = Ladder(channel, self.probe, self.raw, pays=pays, pin_proven=connection.pin_proven, target=named)
        ladder.first_look()
        channel.begin(Step.IDENTIFY, 5)
        ladder.climb(Phase.CHIP)
        ladder.climb(Phase.OPTIONS)
        found = ladder.silicon
        if found.device is not None and found.flash_kib is not None:
            channel.target = TargetFacts(name="", part=found.device.part, how="chip")
        errors = measure.link_quality(channel, self.raw, blocks=40)
        if errors:
            if reset:
                ladder.climb(Phase.LINK)
            raise StepFailed("transfer", f"{errors} of 40 block reads failed")
        channel.begin(Step.OBSERVE, 10)
        self._state()

    def _state(self) -> None:
        """Is the core running? Without ``reset`` by two looks at DHCSR; with it halt, reset and watch."""
        if self.raw is None:
            return
        if not self.order.reset:
            self.channel.running = observe.judge(measure.sample_dhcsr(self.raw)[0][1:], [])
            if self.ladder is not None:
                observe.boot_source(self.channel, self.raw, self.ladder.family())
            return
        if self.probe is None:
            return
        self.channel.touch(halted=True, reset=True)
        self.raw.write32(DHCSR, DBGKEY | measure.C_DEBUGEN | C_HALT)
        status = self.raw.read32(DHCSR)
        self.channel.measure("core.halt", "halted" if status & S_HALT else status)
        if not status & S_HALT:
            raise StepFailed("no-halt", "the core did not halt")
        self._pulse()
        self.channel.running = observe.watch(self.channel, self.raw)
        if self.ladder is not None:
            observe.boot_source(self.channel, self.raw, self.ladder.family())
        self.channel.touch(state="running")

    def _pulse(self) -> None:
        """Pull nRESET low and let go: does the line rise, does the core see it?"""
        opened, raw = self.probe, self.raw
        if opened is None or raw is None:
            return
        import time

        raw.write32(DEMCR, observe.TRCENA)
        raw.read32(DHCSR)  # whatever reset it before is old
        opened.assert_reset(True)
        time.sleep(0.02)
        opened.assert_reset(False)
        start = time.monotonic()
        levels = measure.sample_nreset(opened, 5, 0.02)
        if levels is not None:
            self.channel.measure("nreset.released", levels)
        raw.identify()
        raw.clear_sticky()
        raw.power_up()
        seen = raw.read32(DHCSR)
        self.channel.measure("nreset.no_effect", not seen & measure.S_RESET_ST)
        while seen & measure.S_RESET_ST and time.monotonic() - start < measure.HELD_PATIENCE:
            time.sleep(0.005)
            seen = raw.read32(DHCSR)
        self.channel.measure("nreset.rise_ms", round((time.monotonic() - start) * 1000, 1), "until the core left reset after our pulse")
        raw.write32(DHCSR, DBGKEY)

    def autopsy(self, _failed: StepFailed) -> None:
        """The ladder itself was the look; only whether the probe is still there is worth another one."""
        probe.note_presence(self.channel, self.order.connection.probe)

    def close(self) -> None:
        """Let go of nRESET and the probe. Never raises."""
        if self.raw is not None and not self.order.reset:
            # Passive means passive: the power requests go, the core was never touched.
            with contextlib.suppress(Exception):
                self.raw.write_dp(DP_CTRL_STAT, 0)
        if self.probe is not None:
            with contextlib.suppress(Exception):
                self.probe.assert_reset(False)
        if self.session is not None:
            try:
                self.session.close()
            except Exception as error:  # noqa: BLE001  (closing after an unplug raises USBError)
                self.channel.log.append(classify(error).text)
        shutil.rmtree(self._project, ignore_errors=True)
