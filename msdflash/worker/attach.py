"""Getting hold of a chip whose program shuts the debugger out: it sleeps deeply, or uses the SWD pins for something else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from pyocd.probe.debug_probe import DebugProbe

from msdflash.job.measurements import Phase
from msdflash.worker import mailbox, measure, reset_line
from msdflash.worker.channel import StepFailed
from msdflash.worker.ladder import Ladder
from msdflash.worker.measure import C_DEBUGEN, C_HALT, DBGKEY, DEMCR, DHCSR, S_HALT, VC_CORERESET
from msdflash.worker.trouble import classify

WAKES = 0.5
"""Seconds that a chip may take from the end of a pulse on nRESET until its debug port answers."""


def under_reset(ladder: Ladder) -> None:
    """Connect while nRESET is low, trap the first instruction, let go. Leaves the core halted at its reset vector.

    Raises:
        StepFailed: as :meth:`Ladder.first_look`.
    """
    channel, probe, raw = ladder.channel, ladder.probe, ladder.raw
    ladder.climb(Phase.PINS)

    def under() -> None:
        try:
            with reset_line.held(probe, raw) as dpidr:
                channel.measure("swd.dpidr", dpidr, "nRESET held low by this probe")
                channel.touch(connected=True)
                ladder.holding = True
                ladder.behind()
                ladder.debugging = True
                raw.write32(DHCSR, DBGKEY | C_DEBUGEN)
                raw.write32(DEMCR, raw.read32(DEMCR) | VC_CORERESET)
        finally:
            ladder.holding = False

    try:
        measure.link_step(channel, raw, "no-dp", "the debug port did not answer while nRESET was held low", under)
    except StepFailed as hidden:
        if hidden.kind != "no-ap" or mailbox.find(channel, raw) is None:
            raise
        # In reset only the mailbox is there. Its own reset does what this one is for: the boot ROM waits, and no program has started.
        measure.link_step(channel, raw, "transfer", "the boot ROM's mailbox does not work", lambda: mailbox.knock(channel, raw))
        ladder.core()
        return
    end = time.monotonic() + measure.HELD_PATIENCE
    message = "reading the core's state failed"
    while not measure.link_step(channel, raw, "transfer", message, lambda: raw.read32(DHCSR)) & S_HALT:
        if time.monotonic() > end:
            break
    ladder.core()


def after_pulse(ladder: Ladder) -> None:
    """Pulse nRESET, take the first answer of the debug port and halt the core at once, before its program shuts the port again.

    For chips that are silent while nRESET is low, where nothing can be prepared. Leaves the core halted in its start-up code.

    Raises:
        StepFailed: as :meth:`Ladder.first_look`.
    """
    channel, probe, raw = ladder.channel, ladder.probe, ladder.raw
    ladder.climb(Phase.PINS)

    def at_once() -> int:
        # As in :func:`reset_line.held`: the probe is connected first, so that nothing but the port is waited for afterwards.
        with contextlib.suppress(Exception):
            probe.connect(DebugProbe.Protocol.SWD)
        reset_line.pulse(probe)
        dpidr = reset_line.answer_after(probe, raw, WAKES)
        try:
            raw.clear_sticky()
            raw.power_up()
            ladder.debugging = True
            raw.write32(DHCSR, DBGKEY | C_DEBUGEN | C_HALT)
        except Exception as error:
            if classify(error).kind == "usb":
                raise
            # What keeps the core from being halted, a lock for one, is measured below.
            raw.clear_sticky()
        return dpidr

    dpidr = measure.link_step(channel, raw, "no-dp", "the debug port did not answer after a pulse on nRESET", at_once)
    channel.measure("swd.dpidr", dpidr, "right after a pulse on nRESET by this probe")
    channel.touch(connected=True)
    ladder.behind()
    ladder.core()


ATTACH: dict[str, Callable[[Ladder], None]] = {"under-reset": under_reset, "pre-reset": after_pulse}
"""``Connection.connect`` -> how it is done here, before pyOCD connects. All others are pyOCD's own ways."""
