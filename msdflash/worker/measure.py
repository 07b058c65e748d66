"""The first look: raw measurements from the probe's pins to the running core, before pyOCD's board initialisation.

Order matters. The undriven level of nRESET exists only between opening the probe and DAP_Connect; DHCSR clears its sticky bits by being
read; a core that is being held looks like one that is looping until the reset-catch test tells them apart (Arm DDI 0403E C1.6).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pyocd.probe.debug_probe import DebugProbe

from msdflash.job.readings import latest
from msdflash.worker import vendor_lock
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.probe import note_timeout
from msdflash.worker.raw import AP_CSW, AP_IDR, RawTarget
from msdflash.worker.trouble import Trouble, classify, deepen, is_gone, is_nonsense

T = TypeVar("T")

CPUID = 0xE000ED00
DHCSR = 0xE000EDF0
DEMCR = 0xE000EDFC

DBGKEY = 0xA05F0000
C_DEBUGEN = 1 << 0
C_HALT = 1 << 1
S_HALT = 1 << 17
S_SLEEP = 1 << 18
S_LOCKUP = 1 << 19
S_RETIRE_ST = 1 << 24
S_RESET_ST = 1 << 25
VC_CORERESET = 1 << 0
VC_HARDERR = 1 << 10
"""DHCSR and DEMCR bits: Arm DDI 0403E C1.6.2, C1.6.5."""

HELD_PATIENCE = 1.2
"""Seconds to wait for a core in reset to come out by itself: a reset supervisor stretches by up to a second or so."""

SWEEP_CLOCKS = (100_000, 1_000_000, 4_000_000)


def usb_failed(channel: Channel, trouble: Trouble) -> StepFailed:
    """Record an error of the probe itself."""
    trouble = deepen(trouble, channel.opened)
    if trouble.errno is not None:
        channel.measure("probe.errno", trouble.errno)
    note_timeout(channel, trouble, latest(tuple(channel.readings), "probe.kind"))
    channel.measure("engine.error", trouble.text)
    return StepFailed("usb", "the probe vanished" if is_gone(trouble) else "the probe stopped answering over USB")


def sample_nreset(probe: DebugProbe, count: int, seconds: float) -> list[int] | None:
    """Levels of nRESET, or None where this probe has no read-back (ST-LINK returns what was last written)."""
    if DebugProbe.Capability.PIN_ACCESS in probe.capabilities:
        pin = DebugProbe.ProtocolPin.nRESET

        def read() -> int:
            return 1 if probe.read_pins(DebugProbe.PinGroup.PROTOCOL_PINS, pin) & pin else 0

    elif type(probe).__name__ == "JLinkProbe":

        def read() -> int:
            return 0 if probe.is_reset_asserted() else 1

    else:
        return None
    levels = []
    pause = seconds / max(count - 1, 1)
    for index in range(count):
        if index and pause:
            time.sleep(pause)
        levels.append(read())
    return levels


def target_voltage(probe: DebugProbe) -> float | None:
    """Voltage at the probe's target-voltage pin, measured now; None where the probe cannot (CMSIS-DAP has no such command)."""
    link: Any = getattr(probe, "_link", None)
    if hasattr(link, "get_target_voltage"):
        link.get_target_voltage()
        volts = link.target_voltage
        return None if volts is None else round(float(volts), 3)
    status = getattr(link, "hardware_status", None)
    if status is not None and hasattr(status, "voltage"):
        return round(float(status.voltage) / 1000, 3)
    return None


def first_look(channel: Channel, probe: DebugProbe, raw: RawTarget, *, pin_proven: bool, may_write: bool, may_reset: bool) -> None:
    """Measure from pins to core; afterwards ``raw`` reaches a target whose core can be worked with.

    Args:
        pin_proven: this probe's nRESET read-back was seen high before.
        may_write: debug registers may be written (reset-catch test); False for a passive diagnosis.
        may_reset: the target may be reset to find out more.

    Raises:
        StepFailed: ``usb``, ``no-dp``, ``no-power-ack``, ``no-ap``, ``core-in-reset`` or ``transfer``.
    """
    _probe_pins(channel, probe, pin_proven)
    _debug_port(channel, probe, raw, may_reset=may_reset)
    proven = pin_proven or bool(channel_saw_high(channel))
    levels = _usb_guard(channel, lambda: sample_nreset(probe, 5, 0.0))
    if levels is not None:
        channel.measure("nreset.connected", levels)
        channel.measure("nreset.pin_proven", proven or 1 in levels)
    _power_and_ap(channel, raw)
    core(channel, raw, may_write=may_write)


def connect_under_reset(channel: Channel, probe: DebugProbe, raw: RawTarget, *, pin_proven: bool) -> None:
    """Connect while nRESET is low, trap the first instruction, let go: for programs that sleep or take the SWD pins.

    nRESET is asserted *after* DAP_Connect, because several probes let go of it or drive it high there (DAPLink's PORT_SWD_SETUP).
    Leaves the core halted at its reset vector.
    """
    _probe_pins(channel, probe, pin_proven)

    def under() -> None:
        # An ST-LINK refuses to enter SWD mode while the target is silent, and takes reset commands before.
        with contextlib.suppress(Exception):
            probe.connect(DebugProbe.Protocol.SWD)
        probe.assert_reset(True)
        time.sleep(0.02)
        try:
            channel.measure("swd.dpidr", raw.attach() if not _has_sequences(probe) else raw.identify(), "nRESET held low by this probe")
            channel.touch(connected=True)
            _power_and_ap(channel, raw)
            raw.write32(DHCSR, DBGKEY | C_DEBUGEN)
            raw.write32(DEMCR, raw.read32(DEMCR) | VC_CORERESET)
        finally:
            probe.assert_reset(False)

    _link_step(channel, raw, "no-dp", "the debug port did not answer while nRESET was held low", under)
    end = time.monotonic() + HELD_PATIENCE
    while not _link_step(channel, raw, "transfer", "reading the core's state failed", lambda: raw.read32(DHCSR)) & S_HALT:
        if time.monotonic() > end:
            break
    core(channel, raw, may_write=True)


def _has_sequences(probe: DebugProbe) -> bool:
    return DebugProbe.Capability.SWJ_SEQUENCE in probe.capabilities


def channel_saw_high(channel: Channel) -> bool:
    """An undriven nRESET sample of this job read high."""
    return any(reading.name == "nreset.undriven" and 1 in reading.value for reading in channel.readings)


def _usb_guard(channel: Channel, action: Callable[[], T]) -> T:
    try:
        return action()
    except Exception as error:
        trouble = classify(error)
        if trouble.kind == "usb":
            raise usb_failed(channel, trouble) from error
        raise


def _probe_pins(channel: Channel, probe: DebugProbe, pin_proven: bool) -> None:
    levels = _usb_guard(channel, lambda: sample_nreset(probe, 10, 0.005))
    if levels is not None:
        channel.measure("nreset.undriven", levels)
        channel.measure("nreset.pin_proven", pin_proven or 1 in levels)
    volts = _usb_guard(channel, lambda: target_voltage(probe))
    if volts is not None:
        channel.measure("vtref", volts)


def _debug_port(channel: Channel, probe: DebugProbe, raw: RawTarget, *, may_reset: bool) -> None:
    error: Exception | None = None
    for attempt in range(2):
        try:
            dpidr = raw.attach()
        except Exception as failed:
            trouble = classify(failed)
            if trouble.kind == "usb":
                raise usb_failed(channel, trouble) from failed
            channel.measure("swd.ack", trouble.ack or trouble.kind, f"attempt {attempt + 1}")
            error = failed
            continue
        channel.measure("swd.dpidr", dpidr)
        channel.touch(connected=True)
        return
    channel.measure("engine.error", classify(error).text if error else "")
    silent_port(channel, probe, raw, may_reset=may_reset)
    raise StepFailed("no-dp", "the debug port did not answer") from error


def silent_port(channel: Channel, probe: DebugProbe, raw: RawTarget, *, may_reset: bool) -> None:
    """Nobody answers: look again at other clocks, at the voltage, and under reset where that is allowed."""
    channel.measure("swd.sweep", sweep(probe, raw, reads=3))
    levels = _usb_guard(channel, lambda: sample_nreset(probe, 5, 0.0))
    if levels is not None:
        channel.measure("nreset.connected", levels)
    volts = _usb_guard(channel, lambda: target_voltage(probe))
    if volts is not None:
        channel.measure("vtref", volts, "again")
    if may_reset:
        channel.touch(reset=True)
        channel.measure("swd.dpidr_under_reset", under_reset(probe, raw))


def sweep(probe: DebugProbe, raw: RawTarget, reads: int) -> dict[str, list[int]]:
    """``{clock in Hz: [good DPIDR reads, of how many]}``; leaves the clock at its highest good value, or as it was."""
    result: dict[str, list[int]] = {}
    best = None
    for clock in SWEEP_CLOCKS:
        good = 0
        try:
            probe.set_clock(clock)
            for _ in range(reads):
                raw.attach()
                good += 1
        except Exception as error:
            if classify(error).kind == "usb" and is_gone(classify(error)):
                raise
        if good == reads:
            best = clock
        result[str(clock)] = [good, reads]
    probe.set_clock(best or 1_000_000)
    return result


def under_reset(probe: DebugProbe, raw: RawTarget) -> int | None:
    """DPIDR while we hold nRESET low, asserted *after* connecting: some probes let go of it in DAP_Connect."""
    # An ST-LINK refuses to enter SWD mode while the target is silent, and takes reset commands before.
    with contextlib.suppress(Exception):
        probe.connect(DebugProbe.Protocol.SWD)
    try:
        probe.assert_reset(True)
        time.sleep(0.02)
        return raw.identify() if _has_sequences(probe) else raw.attach()
    except Exception:  # noqa: BLE001  (silence is the answer)
        return None
    finally:
        probe.assert_reset(False)


def _link_step(channel: Channel, raw: RawTarget, kind: str, message: str, action: Callable[[], T]) -> T:
    """Run one raw access; turn its error into evidence and a step failure.

    CTRL/STAT is read before anything clears it: its flags say whether the bus refused (STICKYERR) or the link broke (WDATAERR).
    """
    try:
        return action()
    except StepFailed:
        raise
    except Exception as error:
        trouble = classify(error)
        if trouble.kind == "usb":
            raise usb_failed(channel, trouble) from error
        channel.measure("swd.ack", trouble.ack or trouble.kind, message)
        channel.measure("engine.error", trouble.text)
        after_error(channel, raw)
        raise StepFailed(kind, message) from error


def after_error(channel: Channel, raw: RawTarget) -> None:
    """The sticky flags as a failed access left them, if the debug port still answers; then they are cleared."""
    with contextlib.suppress(Exception):
        channel.measure("dp.ctrl_stat", raw.read_ctrl_stat(), "after the error")
        raw.clear_sticky()


def _power_and_ap(channel: Channel, raw: RawTarget) -> None:
    def look() -> None:
        raw.clear_sticky()
        acknowledged, status = raw.power_up()
        channel.measure("dp.ctrl_stat", status)
        channel.measure("dp.power_ack", acknowledged)
        if not acknowledged:
            raise StepFailed("no-power-ack", "the target did not acknowledge the request for debug power")
        raw.clear_sticky()
        idr = raw.read_ap(AP_IDR)
        channel.measure("ap.idr", idr)
        if idr == 0:
            raise StepFailed("no-ap", "there is no access port 0 behind the debug port")
        channel.measure("ap.csw", raw.read_ap(AP_CSW))
        vendor_lock.check(channel, raw)

    _link_step(channel, raw, "transfer", "reading the debug port's registers failed", look)


def core(channel: Channel, raw: RawTarget, *, may_write: bool) -> None:
    """CPUID and the state of the core.

    Raises:
        StepFailed: ``core-in-reset``, ``no-ap`` or ``transfer``.
    """
    cpuid = _link_step(channel, raw, "no-ap", "the core's identity register cannot be read", lambda: raw.read32(CPUID))
    channel.measure("core.cpuid", cpuid)
    samples, spent = _link_step(channel, raw, "transfer", "reading the core's state failed", lambda: sample_dhcsr(raw))
    channel.measure("core.dhcsr", samples)
    channel.measure("core.dhcsr_ms", round(spent * 1000, 1))
    channel.measure("core.debug_was_on", bool(samples[0] & C_DEBUGEN))
    if not all(value & S_RESET_ST for value in samples[1:]):
        return
    if not may_write:
        raise StepFailed("core-in-reset", "the core is in reset")
    caught, seconds = _link_step(channel, raw, "core-in-reset", "the reset-catch test failed", lambda: reset_catch(raw))
    channel.measure("core.reset_catch", caught, f"watched for {seconds * 1000:.0f} ms")
    if caught == "still-in-reset":
        raise StepFailed("core-in-reset", "the core is in reset and does not come out of it")
    channel.measure("nreset.rise_ms", round(seconds * 1000, 1), "until the core left reset, from our first look")


def sample_dhcsr(raw: RawTarget) -> tuple[list[int], float]:
    """Six DHCSR samples: two back to back, then every 25 ms while the core is in reset. A core that is not is told by the second."""
    start = time.monotonic()
    samples = [raw.read32(DHCSR), raw.read32(DHCSR)]
    while len(samples) < 6 and samples[-1] & S_RESET_ST:
        time.sleep(0.025)
        samples.append(raw.read32(DHCSR))
    return samples, time.monotonic() - start


def reset_catch(raw: RawTarget, patience: float = HELD_PATIENCE) -> tuple[str, float]:
    """Does the core ever leave reset? Traps its first instruction and waits (Arm DDI 0403E C1.6.5, VC_CORERESET).

    Returns ``("halted" | "still-in-reset" | "not-caught", seconds watched)``; debug registers are restored.
    """
    start = time.monotonic()
    demcr = raw.read32(DEMCR)
    dhcsr = raw.read32(DHCSR)
    raw.write32(DHCSR, DBGKEY | C_DEBUGEN)
    raw.write32(DEMCR, demcr | VC_CORERESET | VC_HARDERR)
    result = "still-in-reset"
    try:
        while time.monotonic() - start < patience:
            value = raw.read32(DHCSR)
            if value & S_HALT:
                result = "halted"
                break
            if not value & S_RESET_ST:
                # Out of reset, but not stopped at its first instruction: reset took the trap's enable with it.
                result = "not-caught"
                break
            time.sleep(0.005)
        return result, time.monotonic() - start
    finally:
        raw.write32(DEMCR, demcr & ~(VC_CORERESET | VC_HARDERR))
        raw.write32(DHCSR, DBGKEY | (dhcsr & C_DEBUGEN))


ROM_TABLE = 0xE00FF000
"""The Cortex-M ROM table (Arm DDI 0403E table C1-3): reading it changes nothing, and its content does not move."""


def link_quality(channel: Channel, raw: RawTarget, blocks: int = 100) -> int:
    """Read one constant block of the ROM table again and again; each read that fails or differs is a link error.

    Sets ``swd.errors``; returns the number of errors. Ends early when the probe itself is gone (then ``probe.errno`` is set).
    """
    errors = done = 0
    kinds: dict[str, int] = {}
    expected: list[int] | None = None
    for _ in range(blocks):
        done += 1
        try:
            words = raw.read_block(ROM_TABLE, LINK_BLOCK)
        except Exception as error:  # noqa: BLE001  (each error is a count)
            trouble = classify(error)
            if trouble.kind == "usb":
                if trouble.errno is not None:
                    channel.measure("probe.errno", trouble.errno, "while the link was measured")
                return errors
            if is_nonsense(error):  # the probe's fault, not the link's
                return errors
            kind = trouble.ack or trouble.kind
            _pick_up(raw)
        else:
            if expected is None or words == expected:
                expected = words
                continue
            kind = "differs"
        errors += 1
        kinds[kind] = kinds.get(kind, 0) + 1
        if errors == done == _HOPELESS:
            break
    channel.measure("swd.errors", {"reads": done * LINK_BLOCK, "errors": errors, "kinds": kinds})
    return errors


LINK_BLOCK = 64
_HOPELESS = 10


def _pick_up(raw: RawTarget) -> None:
    with contextlib.suppress(Exception):
        raw.identify()
        raw.clear_sticky()
        raw.power_up()
