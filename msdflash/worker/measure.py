"""Raw measurements, from the probe's pins to the running core: what the ladder (:mod:`msdflash.worker.ladder`) is made of.

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
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.probe import note_timeout
from msdflash.worker.raw import RawTarget
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

SWEEP_CLOCKS = (50_000, 100_000, 1_000_000, 4_000_000)


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


def channel_saw_high(channel: Channel) -> bool:
    """An undriven nRESET sample of this job read high."""
    return any(reading.name == "nreset.undriven" and 1 in reading.value for reading in channel.readings)


def sweep(
    channel: Channel,
    probe: DebugProbe,
    read: Callable[[], object],
    what: str,
    left: Callable[[], float],
    repair: Callable[[], object] | None = None,
) -> None:
    """Sets ``swd.sweep``: how many reads came right at each clock. Leaves the clock at its highest clean value, or at 1 MHz.

    Where the clocks differ, the highest clean one and the one above it are read twenty times more, by turns, and ``swd.turns`` tells each
    turn: neither a burst of noise nor a chip that answers now and then would come and go in step with the clock.

    Args:
        read: raises when it did not come right.
        what: what it reads.
        left: seconds that there are.
        repair: makes the link usable again after an error.
    """
    counts: dict[int, list[int]] = {}

    def turn(clock: int, reads: int) -> list[int]:
        good = done = 0
        for _ in range(reads):
            if left() <= 0:
                break
            done += 1
            good += _comes_right(probe, clock, read, repair)
        cell = counts.setdefault(clock, [0, 0])
        cell[0] += good
        cell[1] += done
        return [clock, good, done]

    for clock in SWEEP_CLOCKS:
        turn(clock, 3)
    turns = [turn(clock, TURN) for clock in _border(counts) * 2]
    done = {clock: cell for clock, cell in sorted(counts.items()) if cell[1]}
    channel.measure("swd.sweep", {str(clock): cell for clock, cell in done.items()}, what)
    if turns:
        channel.measure("swd.turns", [item for item in turns if item[2]], what)
    clean = [clock for clock, (good, reads) in done.items() if good == reads]
    probe.set_clock(max(clean, default=1_000_000))
    if repair is not None:
        repair()


TURN = 10
"""Reads at one clock before the other has its turn."""


def _border(counts: dict[int, list[int]]) -> list[int]:
    """The clocks that tell most: around the border between clean and not, or all where there is none; empty where all agree."""
    clean = [clock for clock, (good, done) in counts.items() if good == done]
    dirty = [clock for clock in counts if clock not in clean]
    if not clean or not dirty:
        return []
    return [min(dirty), max(clean)] if max(clean) < min(dirty) else sorted(counts, reverse=True)


def _comes_right(probe: DebugProbe, clock: int, read: Callable[[], object], repair: Callable[[], object] | None) -> bool:
    try:
        probe.set_clock(clock)
        read()
        return True
    except Exception as error:
        trouble = classify(error)
        if trouble.kind == "usb" and is_gone(trouble):
            raise
        if repair is not None:
            repair()
        return False


def link_step(channel: Channel, raw: RawTarget, kind: str, message: str, action: Callable[[], T]) -> T:
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


def sample_dhcsr(raw: RawTarget) -> tuple[list[int], float]:
    """Six DHCSR samples: two back to back, then every 25 ms while the core is in reset. A core that is not is told by the second."""
    start = time.monotonic()
    samples = [raw.read32(DHCSR), raw.read32(DHCSR)]
    while len(samples) < 6 and samples[-1] & S_RESET_ST:
        time.sleep(0.025)
        samples.append(raw.read32(DHCSR))
    return samples, time.monotonic() - start


def watch_resets(raw: RawTarget, seconds: float) -> tuple[list[int], float]:
    """DHCSR samples after one that showed a new reset, which stands first as set: at most ten more, 25 ms apart."""
    start = time.monotonic()
    samples = [S_RESET_ST, S_RESET_ST]  # the first never counts
    while len(samples) < 12 and time.monotonic() - start < seconds:
        time.sleep(0.025)
        samples.append(raw.read32(DHCSR))
    return samples, time.monotonic() - start


def reset_catch(raw: RawTarget, patience: float = HELD_PATIENCE, at_vector: Callable[[], None] | None = None) -> tuple[str, float]:
    """Does the core ever leave reset? Traps its first instruction and waits (Arm DDI 0403E C1.6.5, VC_CORERESET).

    Returns ``("halted" | "still-in-reset" | "not-caught", seconds until then)``; debug registers are restored.

    Args:
        at_vector: done while the core stands at its trapped first instruction.
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
        spent = time.monotonic() - start
        if result == "halted" and at_vector is not None:
            at_vector()
        return result, spent
    finally:
        raw.write32(DEMCR, demcr & ~(VC_CORERESET | VC_HARDERR))
        raw.write32(DHCSR, DBGKEY | (dhcsr & C_DEBUGEN))


ROM_TABLE = 0xE00FF000
"""The Cortex-M ROM table (Arm DDI 0403E table C1-3): reading it changes nothing, and its content does not move."""


def link_quality(channel: Channel, raw: RawTarget, blocks: int = 100, seconds: float = 5.0) -> int:
    """Read one constant block of the ROM table again and again; each read that fails or differs is a link error.

    Sets ``swd.errors``; returns the number of errors. Ends early when the probe itself is gone (then ``probe.errno`` is set).
    """
    errors = done = revived = 0
    kinds: dict[str, int] = {}
    expected: list[int] | None = None
    end = time.monotonic() + seconds
    for _ in range(blocks):
        if time.monotonic() > end:
            break
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
            revived += pick_up(raw)
        else:
            if expected is None or words == expected:
                expected = words
                continue
            kind = "differs"
        errors += 1
        kinds[kind] = kinds.get(kind, 0) + 1
        if errors == done == _HOPELESS:
            break
    channel.measure("swd.errors", {"reads": done * LINK_BLOCK, "errors": errors, "kinds": kinds, "revived": revived})
    return errors


LINK_BLOCK = 64
_HOPELESS = 10


def pick_up(raw: RawTarget) -> bool:
    """Make the link usable again after an error: a line reset, else the probe's whole connection. Whether the debug port answered."""
    for again in (raw.identify, raw.attach):
        with contextlib.suppress(Exception):
            again()
            raw.clear_sticky()
            if raw.power_up()[0]:
                return True
    return False
