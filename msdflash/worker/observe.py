"""After flashing: reset into the new program and look, without halting, at what the core does."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from msdflash.chips.model import Family
from msdflash.worker.channel import Channel
from msdflash.worker.measure import DBGKEY, DEMCR, DHCSR, S_HALT, S_LOCKUP, S_RESET_ST, S_RETIRE_ST, S_SLEEP
from msdflash.worker.trouble import classify

DWT_PCSR = 0xE000101C
TRCENA = 1 << 24
"""Arm DDI 0403E C1.8.3 and C1.6.5. PCSR reads all ones while the core is halted or where it is not implemented."""

VTOR = 0xE000ED08
"""Arm DDI 0403E B3.2.5; reads as zero on an Armv6-M core without it."""

LOOKS = 6
INTERVAL = 0.02
"""Six looks over a tenth of a second: enough to tell running, asleep, locked up and held apart; not a test of the program."""

LATE = 4.0
"""Seconds after our own reset in which a core may still leave it: reset supervisors hold for up to a few seconds (their data sheets)."""


def release(core: Any) -> None:
    """Reset with debug off, as after power-on: traps cleared, core running."""
    core.write32(DEMCR, TRCENA)
    core.reset(None)  # some cores of pyOCD's insist on an argument
    core.write32(DHCSR, DBGKEY)


def watch(channel: Channel, core: Any, since: float | None = None) -> str:
    """Look at the running core. Returns the word for ``Outcome.running``; sets ``core.dhcsr`` and ``core.pcsr``.

    Args:
        since: when our own reset began (``time.monotonic``): a core that is in reset still is given ``LATE`` seconds from then, and what
            came of it is ``core.left_reset_ms``. None: it is looked at once.
    """
    running = _look(channel, core)
    if running != "held-in-reset" or since is None:
        return running
    try:
        while core.read32(DHCSR) & S_RESET_ST:
            if time.monotonic() > since + LATE:
                channel.measure("core.left_reset_ms", None, f"watched for {(time.monotonic() - since) * 1000:.0f} ms")
                return running
            time.sleep(INTERVAL)
    except Exception as error:  # noqa: BLE001  (as while looking)
        channel.log.append(classify(error).text)
        return "debug-unreachable"
    channel.measure("core.left_reset_ms", round((time.monotonic() - since) * 1000, 1))
    return _look(channel, core)


def _look(channel: Channel, core: Any) -> str:
    looks: list[int] = []
    counters: list[int] = []
    start = time.monotonic()
    try:
        core.read32(DHCSR)  # tells of the reset that we made
        for index in range(LOOKS):
            if index:
                time.sleep(INTERVAL)
            looks.append(int(core.read32(DHCSR)))
            counters.append(int(core.read32(DWT_PCSR)))
    except Exception as error:  # noqa: BLE001  (a program may take the debug port away; that is a finding)
        trouble = classify(error)
        channel.log.append(trouble.text)
        if trouble.kind == "usb":
            return "unknown"
        return "debug-unreachable"
    finally:
        channel.measure("core.dhcsr", looks, "after the reset into the new program")
        channel.measure("core.dhcsr_ms", round((time.monotonic() - start) * 1000, 1), "after the reset into the new program")
        channel.measure("core.pcsr", counters, "after the reset into the new program")
    return judge(looks, counters)


def boot_source(channel: Channel, core: Any, family: Family | None) -> None:
    """Sets ``core.vtor`` and ``boot.shown``: the vector table in force; the first two words where the core starts, and of the flash.

    Nothing is halted. The words only of chips that show one of several memories there (STM32 at address 0, by boot pins and options).
    """
    with contextlib.suppress(Exception):  # the program may have taken the debug port away
        channel.measure("core.vtor", int(core.read32(VTOR)))
        if family is None or family.boot_alias is None or family.boot_alias == family.flash_base:
            return
        shown, flash = ([int(core.read32(base + offset)) for offset in (0, 4)] for base in (family.boot_alias, family.flash_base))
        channel.measure("boot.shown", {"at": family.boot_alias, "shown": shown, "flash": flash})


def judge(looks: list[int], counters: list[int]) -> str:
    """Word for what the samples show (Arm DDI 0403E C1.6.2).

    ``held-in-reset`` in reset at every look; ``locked-up``; ``halted``; ``sleeping`` asleep at the last looks; ``running`` instructions
    retired or the program counter moved; ``unknown`` otherwise.
    """
    last = looks[-1]
    if all(look & S_RESET_ST for look in looks):
        return "held-in-reset"
    if last & S_LOCKUP:
        return "locked-up"
    if last & S_HALT:
        return "halted"
    if any(look & S_SLEEP for look in looks[-3:]):
        return "sleeping"
    moving = len({counter for counter in counters if counter != 0xFFFFFFFF}) > 1
    if moving or any(look & S_RETIRE_ST for look in looks):
        return "running"
    return "unknown"


def leave(core: Any, demcr: int, *, halted: bool) -> None:
    """Put the debug registers back as they were found; ``halted`` keeps a half-written program from running."""
    with contextlib.suppress(Exception):
        core.write32(DEMCR, demcr)
        if not halted:
            core.write32(DHCSR, DBGKEY)
