"""Climbing the ladder of measurements: the table walked in its order, each entry within its price, its probes and its time.

What is measured and why stands in :mod:`msdflash.job.measurements`; here each entry gets its function. A function that proves a cause
raises StepFailed, and the climb ends there.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import msgspec
from pyocd.probe.debug_probe import DebugProbe

from msdflash.chips import families
from msdflash.chips.model import Family
from msdflash.job.measurements import LADDER, TOTAL_SECONDS, Measurement, Phase, of_phase
from msdflash.job.readings import Effect, latest
from msdflash.job.steps import Step
from msdflash.worker import mailbox, measure, reset_line, silicon, vendor_lock
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.measure import DHCSR, S_RESET_ST
from msdflash.worker.probe import kind_of
from msdflash.worker.raw import AP_CSW, AP_IDR, RawTarget
from msdflash.worker.trouble import classify, silence_tells

_ORDER = list(Effect)
MAILBOX = next(item for item in LADDER if item.id == "mailbox")


class Ladder:
    """One climb on one target.

    Attributes:
        silicon: what the chip's own registers say, as far as the climb has come.
        pin_proven: this probe's nRESET read-back was seen high in an earlier job.
        holding: this probe holds nRESET low now: whatever is silent then may be so for that.
        debugging: this job switched the core's debug mode on before it looked.
    """

    def __init__(self, channel: Channel, probe: DebugProbe, raw: RawTarget, *, pays: Effect, pin_proven: bool, target: str | None) -> None:
        """``pays``: the worst that may be done to the target. ``target``: what the board or the user names, for chips that do not."""
        self.channel = channel
        self.probe = probe
        self.raw = raw
        self.silicon = silicon.Silicon()
        self._pays = pays
        self.pin_proven = pin_proven
        self.holding = False
        self.debugging = False
        self._target = target
        self._kind = kind_of(probe)
        self._end = time.monotonic()

    # --- walking --------------------------------------------------------------------------------------------------------------------

    def may(self, item: Measurement) -> bool:
        """Whether this climb pays the measurement's price, on a probe that can make it."""
        return _ORDER.index(item.effect) <= _ORDER.index(self._pays) and (not item.probes or self._kind in item.probes)

    def climb(self, phase: Phase) -> None:
        """Make a phase's measurements. Raises StepFailed where a cause is proved, ``usb`` where the probe fails."""
        end = time.monotonic() + TOTAL_SECONDS.get(phase, 60.0)
        for item in of_phase(phase):
            left = end - time.monotonic()
            if left <= 0:
                self.channel.log.append(f"no time was left for the measurement {item.id}")
                return
            if self.may(item) and NEEDED.get(item.id, _always)(self):
                self._end = time.monotonic() + min(item.seconds, left)
                if item.effect is Effect.RESET and item is not MAILBOX:  # that resets only what is shut
                    self.channel.touch(reset=True)
                self._make(item)

    def left(self) -> float:
        """Seconds that the present measurement still has."""
        return max(0.0, self._end - time.monotonic())

    def _make(self, item: Measurement) -> None:
        try:
            DOING[item.id](self)
        except StepFailed:
            raise
        except Exception as error:
            trouble = classify(error)
            if trouble.kind == "usb":
                raise measure.usb_failed(self.channel, trouble) from error
            raise

    def after(self, raw: RawTarget, family: Family) -> Ladder:
        """The same climb further up, with another way to the target's memory, for a family that was settled meanwhile."""
        later = Ladder(self.channel, self.probe, raw, pays=self._pays, pin_proven=self.pin_proven, target=self._target)
        later.silicon = msgspec.structs.replace(self.silicon, family=family)
        return later

    # --- the whole look -------------------------------------------------------------------------------------------------------------

    def first_look(self) -> None:
        """From the probe's pins to the core; afterwards the target's memory can be worked with.

        Raises:
            StepFailed: ``usb``, ``no-dp``, ``no-power-ack``, ``no-ap``, ``locked``, ``core-in-reset`` or ``transfer``.
        """
        self.climb(Phase.PINS)
        self.climb(Phase.PORT)
        self.behind()
        self.core()

    def behind(self) -> None:
        """What is behind a debug port that answers."""
        measure.link_step(self.channel, self.raw, "transfer", "reading the debug port's registers failed", lambda: self.climb(Phase.DEBUG))

    def core(self) -> None:
        """The processor. Raises StepFailed ``core-in-reset``, ``no-ap`` or ``transfer``."""
        self.climb(Phase.CORE)
        readings = tuple(self.channel.readings)
        if self.always_in_reset() and latest(readings, "core.reset_catch") is None:
            raise StepFailed("core-in-reset", "the core is in reset")

    def always_in_reset(self) -> bool:
        """The core showed reset on every look that counts."""
        samples = latest(tuple(self.channel.readings), "core.dhcsr") or []
        return len(samples) > 1 and all(value & S_RESET_ST for value in samples[1:])

    def family(self) -> Family | None:
        """The silicon's own family; else that of the name that was given, where nothing measured speaks against it."""
        if self.silicon.family is not None:
            return self.silicon.family
        named = families.family_of_target(self._target) if self._target else None
        readings = tuple(self.channel.readings)
        fitting = families.candidates(latest(readings, "swd.dpidr"), latest(readings, "ap.idr"), latest(readings, "core.cpuid"))
        return named if named in fitting else None


# --- one function a measurement ---------------------------------------------------------------------------------------------------------


def _nreset_undriven(ladder: Ladder) -> None:
    levels = measure.sample_nreset(ladder.probe, 10, 0.005)
    if levels is not None:
        ladder.channel.measure("nreset.undriven", levels)
        ladder.channel.measure("nreset.pin_proven", ladder.pin_proven or 1 in levels)


def _voltage(how: str) -> Callable[[Ladder], None]:
    def look(ladder: Ladder) -> None:
        volts = measure.target_voltage(ladder.probe)
        if volts is not None:
            ladder.channel.measure("vtref", volts, how)

    return look


def _dpidr(ladder: Ladder) -> None:
    """Twice at most; then everything that can be asked of a silent port, and the end."""
    channel = ladder.channel
    error: Exception | None = None
    for attempt in range(2):
        try:
            dpidr = ladder.raw.attach()
        except Exception as failed:
            trouble = classify(failed)
            if trouble.kind == "usb":
                raise
            channel.measure("swd.ack", trouble.ack or trouble.kind, f"attempt {attempt + 1}")
            error = failed
            continue
        channel.measure("swd.dpidr", dpidr)
        channel.touch(connected=True)
        return
    channel.measure("engine.error", classify(error).text if error else "")
    ladder.climb(Phase.SILENT)
    raise StepFailed("no-dp", "the debug port did not answer") from error


def _clock_sweep(ladder: Ladder) -> None:
    measure.sweep(ladder.channel, ladder.probe, ladder.raw.attach, "DPIDR", ladder.left)


def _nreset_silent(ladder: Ladder) -> None:
    levels = measure.sample_nreset(ladder.probe, 5, 0.0)
    if levels is not None:
        ladder.channel.measure("nreset.connected", levels)


def _under_reset(ladder: Ladder) -> None:
    """And of chips that may be dead in reset, right after it."""
    dpidr: int | None = None
    with silence_tells(), reset_line.held(ladder.probe, ladder.raw) as found:
        dpidr = found
    ladder.channel.measure("swd.dpidr_under_reset", dpidr)
    family = ladder.family()
    if dpidr is None or (family is not None and family.dp_under_reset is False):
        answered = False
        with silence_tells():
            reset_line.answer_after(ladder.probe, ladder.raw, min(0.15, ladder.left()))
            answered = True
        ladder.channel.measure("swd.after_pulse", answered)


def _nreset_connected(ladder: Ladder) -> None:
    levels = measure.sample_nreset(ladder.probe, 5, 0.0)
    if levels is not None:
        ladder.channel.measure("nreset.connected", levels)
        ladder.channel.measure("nreset.pin_proven", ladder.pin_proven or 1 in levels or measure.channel_saw_high(ladder.channel))


def _debug_power(ladder: Ladder) -> None:
    ladder.raw.clear_sticky()
    acknowledged, status = ladder.raw.power_up()
    ladder.channel.measure("dp.ctrl_stat", status)
    ladder.channel.measure("dp.power_ack", acknowledged)
    if not acknowledged:
        ladder.climb(Phase.DARK)
        raise StepFailed("no-power-ack", "the target did not acknowledge the request for debug power")


def _power_under_reset(ladder: Ladder) -> None:
    """A chip whose clocks its program stopped has them back while it is in reset."""
    raw = ladder.raw
    with silence_tells(), reset_line.held(ladder.probe, raw) as dpidr:
        ladder.channel.measure("swd.dpidr_under_reset", dpidr)
        raw.clear_sticky()
        ladder.channel.measure("dp.power_ack_under_reset", raw.power_up()[0])
        ladder.channel.measure("core.seen_under_reset", raw.read32(measure.CPUID) not in (0, 0xFFFFFFFF))


def _access_port(ladder: Ladder) -> None:
    ladder.raw.clear_sticky()
    idr = ladder.raw.read_ap(AP_IDR)
    ladder.channel.measure("ap.idr", idr)
    if idr != 0:
        ladder.channel.measure("ap.csw", ladder.raw.read_ap(AP_CSW))
        return
    family = mailbox.find(ladder.channel, ladder.raw)
    if family is not None and ladder.holding:
        mailbox.announce(ladder.raw, family)
    if family is None or not ladder.may(MAILBOX) or ladder.holding:
        raise StepFailed("no-ap", "there is no access port 0 behind the debug port")


def _maker_lock(ladder: Ladder) -> None:
    vendor_lock.check(ladder.channel, ladder.raw)


def _mailbox(ladder: Ladder) -> None:
    """Only where access port 0 is hidden."""
    if latest(tuple(ladder.channel.readings), "ap.idr") == 0:
        ladder.channel.touch(reset=True, state="unknown")
        mailbox.knock(ladder.channel, ladder.raw)


def _cpuid(ladder: Ladder) -> None:
    raw, channel = ladder.raw, ladder.channel
    message = "the core's identity register cannot be read"
    try:
        channel.measure("core.cpuid", measure.link_step(channel, raw, "no-ap", message, lambda: raw.read32(measure.CPUID)))
    except StepFailed:
        if latest(tuple(channel.readings), "swd.ack") in _WAITS:
            ladder.climb(Phase.DARK)
        raise


_WAITS = frozenset({"wait", "stlink-16", "stlink-20"})


def _core_state(ladder: Ladder) -> None:
    raw, channel = ladder.raw, ladder.channel
    message = "reading the core's state failed"
    samples, spent = measure.link_step(channel, raw, "transfer", message, lambda: measure.sample_dhcsr(raw))
    channel.measure("core.dhcsr", samples)
    channel.measure("core.dhcsr_ms", round(spent * 1000, 1))
    if not ladder.debugging:
        channel.measure("core.debug_was_on", bool(samples[0] & measure.C_DEBUGEN))


def _reset_catch(ladder: Ladder) -> None:
    """Only where the core was in reset on every look. At the vector a looping chip stands still: then it is asked who it is."""
    raw, channel = ladder.raw, ladder.channel
    if not ladder.always_in_reset():
        return

    def at_vector() -> None:
        with contextlib.suppress(Exception):
            ladder.silicon = silicon.identify(channel, raw)
            silicon.reset_cause(channel, raw, ladder.family(), "while the core stood at its trapped first instruction")

    caught, seconds = measure.link_step(
        channel, raw, "core-in-reset", "the reset-catch test failed", lambda: measure.reset_catch(raw, at_vector=at_vector)
    )
    channel.measure("core.reset_catch", caught, f"watched for {seconds * 1000:.0f} ms")
    if caught == "still-in-reset":
        raise StepFailed("core-in-reset", "the core is in reset and does not come out of it")
    channel.measure("nreset.rise_ms", round(seconds * 1000, 1), "until the core left reset, from our first look")


def _identity(ladder: Ladder) -> None:
    found = silicon.identify(ladder.channel, ladder.raw)
    if found.family is not None or ladder.silicon.family is None:
        ladder.silicon = found


def _new_resets(ladder: Ladder) -> None:
    raw, channel = ladder.raw, ladder.channel
    if ladder.always_in_reset() or not raw.read32(DHCSR) & S_RESET_ST:
        return
    samples, spent = measure.watch_resets(raw, ladder.left())
    channel.measure("core.dhcsr", samples, "after a reset that came between two looks")
    channel.measure("core.dhcsr_ms", round(spent * 1000, 1))


def _reset_cause(ladder: Ladder) -> None:
    silicon.reset_cause(ladder.channel, ladder.raw, ladder.family(), "before this job's own resets")


def _read_protection(ladder: Ladder) -> None:
    if ladder.silicon.family is not None:
        silicon.check_lock(ladder.channel, ladder.raw, ladder.silicon.family)


def _flash_status(ladder: Ladder) -> None:
    family = ladder.family()
    if family is not None:
        silicon.flash_status(ladder.channel, ladder.raw, family)


def _write_protection(ladder: Ladder) -> None:
    found = ladder.silicon
    if found.family is not None and found.flash_kib is not None:
        silicon.protected_ranges(ladder.channel, ladder.raw, found.family, (found.family.flash_base, found.flash_kib * 1024))


def _sticky_flags(ladder: Ladder) -> None:
    """Failures of the look itself have left them already."""
    if ladder.channel.step not in {Step.MEASURE, Step.IDENTIFY}:
        measure.after_error(ladder.channel, ladder.raw)


def _debug_kept(ladder: Ladder) -> None:
    """Only after pyOCD's connection had switched debug mode on. That nobody answers is for the count of errors to tell."""
    measure.pick_up(ladder.raw)
    if ladder.channel.step in _CONNECTED:
        with silence_tells():
            ladder.channel.measure("core.debug_lost", not ladder.raw.read32(DHCSR) & measure.C_DEBUGEN)


_CONNECTED = frozenset({Step.CHECK, Step.PLAN, Step.LOAD, Step.ERASE, Step.PROGRAM, Step.VERIFY})


def _link_errors(ladder: Ladder) -> None:
    measure.link_quality(ladder.channel, ladder.raw, seconds=ladder.left())


def _link_clocks(ladder: Ladder) -> None:
    cell = latest(tuple(ladder.channel.readings), "swd.errors")
    if cell and cell["errors"] > 0 and cell["errors"] * measure.LINK_BLOCK < cell["reads"]:
        raw = ladder.raw

        def read() -> object:
            return raw.read_block(measure.ROM_TABLE, measure.LINK_BLOCK)

        measure.sweep(ladder.channel, ladder.probe, read, "64 words of the ROM table", ladder.left, repair=lambda: measure.pick_up(raw))


def _reset_cause_after(ladder: Ladder) -> None:
    with silence_tells():
        silicon.reset_cause(ladder.channel, ladder.raw, ladder.family(), "after the failure")


DOING: dict[str, Callable[[Ladder], None]] = {
    "nreset-undriven": _nreset_undriven,
    "target-voltage": _voltage(""),
    "dpidr": _dpidr,
    "clock-sweep": _clock_sweep,
    "nreset-silent": _nreset_silent,
    "target-voltage-again": _voltage("again"),
    "dpidr-under-reset": _under_reset,
    "power-under-reset": _power_under_reset,
    "nreset-connected": _nreset_connected,
    "debug-power": _debug_power,
    "access-port": _access_port,
    "maker-lock": _maker_lock,
    "mailbox": _mailbox,
    "cpuid": _cpuid,
    "core-state": _core_state,
    "reset-catch": _reset_catch,
    "identity": _identity,
    "new-resets": _new_resets,
    "reset-cause": _reset_cause,
    "read-protection": _read_protection,
    "flash-status": _flash_status,
    "write-protection": _write_protection,
    "sticky-flags": _sticky_flags,
    "debug-kept": _debug_kept,
    "reset-cause-late": _reset_cause_after,
    "link-errors": _link_errors,
    "link-clocks": _link_clocks,
    "target-voltage-after": _voltage("after the failure"),
    "flash-status-after": _flash_status,
    "reset-cause-after": _reset_cause_after,
    "limits": lambda ladder: silicon.limits(ladder.channel, ladder.raw),
}
"""Measurement -> what makes it. Those of the phases host, work, after and leave are made where the job is at that point."""


def _always(_ladder: Ladder) -> bool:
    return True


def _no_clock_is_clean(ladder: Ladder) -> bool:
    """Where the port answers at a lower clock, it says nothing that it answers under reset, too."""
    cells = latest(tuple(ladder.channel.readings), "swd.sweep") or {}
    return not any(good == reads for good, reads in cells.values())


def _nobody_answered(ladder: Ladder) -> bool:
    """An answer that is not DPIDR comes from somebody who hears the clock."""
    return latest(tuple(ladder.channel.readings), "swd.ack") not in {"wait", "fault", "stlink-11", "stlink-16", "stlink-20"}


def _answers_at_once(ladder: Ladder) -> bool:
    """A chip that keeps its debugger waiting would be counted as errors of the link."""
    return latest(tuple(ladder.channel.readings), "swd.ack") not in _WAITS


NEEDED: dict[str, Callable[[Ladder], bool]] = {
    "clock-sweep": _nobody_answered,
    "dpidr-under-reset": _no_clock_is_clean,
    "link-errors": _answers_at_once,
}
"""Measurements that are left out where what was measured already makes them pointless."""
