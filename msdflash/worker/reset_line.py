"""nRESET as this probe drives it: held low while somebody looks, or pulled low once and let go."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from pyocd.probe.debug_probe import DebugProbe

from msdflash.worker.raw import RawTarget

HOLD = 0.02
"""Seconds that the line is low before anything is expected of it: a capacitor of 100 nF at a pull-up of 40 kOhm is down long before."""


def has_sequences(probe: DebugProbe) -> bool:
    """The probe sends any sequence of bits on the wires: it can talk to a port that an ST-LINK would not enter."""
    return DebugProbe.Capability.SWJ_SEQUENCE in probe.capabilities


def ask(probe: DebugProbe, raw: RawTarget) -> int:
    """DPIDR without connecting anew, where the probe can: several let go of nRESET or drive it high when they connect."""
    return raw.identify() if has_sequences(probe) else raw.attach()


@contextlib.contextmanager
def held(probe: DebugProbe, raw: RawTarget) -> Iterator[int]:
    """The target in reset, with its DPIDR; the line is let go of at the end. Raises what the probe raises.

    nRESET is asserted *after* connecting, because several probes let go of it or drive it high there (DAPLink's PORT_SWD_SETUP).
    """
    # An ST-LINK refuses to enter SWD mode while the target is silent, and takes reset commands before.
    with contextlib.suppress(Exception):
        probe.connect(DebugProbe.Protocol.SWD)
    try:
        probe.assert_reset(True)
        time.sleep(HOLD)
        dpidr = ask(probe, raw)
        probe.assert_reset(True)  # an ST-LINK lets go of it when it enters SWD mode (OpenOCD, stlink_usb.c, asserts it twice, too)
        yield dpidr
    finally:
        probe.assert_reset(False)


def pulse(probe: DebugProbe) -> None:
    """Low once, and let go."""
    try:
        probe.assert_reset(True)
        time.sleep(HOLD)
    finally:
        probe.assert_reset(False)


def answer_after(probe: DebugProbe, raw: RawTarget, seconds: float) -> int:
    """DPIDR as soon as it comes, after nRESET was let go: asked for again and again. Raises the last error where it does not come."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask(probe, raw)
        except Exception:
            if time.monotonic() > end:
                raise
