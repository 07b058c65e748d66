"""Causes that lie in the program in the chip, and in what resets it: they outlive every retry until something else is flashed."""

from __future__ import annotations

from msdflash.diagnose.cause import Cause, Remedy, cause

_UNDER_RESET = Remedy(
    "Wire nRESET to the probe: msdflash then connects while the chip is in reset, by itself, and flashes it.", "resets the program"
)
_BOOT_ROM = Remedy("Or set the boot pin (BOOT0) for the maker's boot loader, power the board again, and drop the file.", "a jumper")

PROGRAM_CAUSES: tuple[Cause, ...] = (
    cause(
        "deep-sleep",
        "the program in the chip puts it into deep sleep, and the debug port sleeps with it",
        "ERROR_RESET",
        "Press RESET while the file is being dropped.",
        _UNDER_RESET,
        _BOOT_ROM,
        Remedy("Let the program set the debug bits for sleep (DBGMCU_CR on an STM32) while you develop.", "a build; more current in sleep"),
        retryable=True,
    ),
    cause(
        "swd-pins-taken",
        "the program in the chip uses the SWD pins for something else",
        "ERROR_RESET",
        _UNDER_RESET,
        _BOOT_ROM,
        Remedy("Leave SWDIO and SWCLK to the debugger in the program's pin set-up (CubeMX: SYS, Debug, Serial Wire).", "a build"),
        retryable=True,
    ),
    cause(
        "watchdog",
        "a watchdog in the chip resets it",
        "ERROR_ERASE_SECTOR",
        "Drop the file again: a watchdog that the program starts does not run before the program does.",
        _UNDER_RESET,
        Remedy("Where an option bit starts the watchdog (IWDG_SW, WDG_SW): clear it with the maker's tool.", "changes option bytes"),
        retryable=True,
    ),
    cause(
        "lockup-reset",
        "the program in flash crashes at once, or there is none, and the chip resets itself each time",
        "ERROR_RESET",
        "Drop a good image: flashing cures it.",
        _UNDER_RESET,
        retryable=True,
    ),
    cause(
        "brown-out",
        "the chip's supply breaks down for moments",
        "ERROR_ERASE_SECTOR",
        "Feed the target from its own supply, not through the probe or a long USB cable.",
        Remedy("Measure the supply at the chip while the file is being dropped; erasing draws most.", "a voltmeter and a minute"),
        Remedy("Add 10 uF beside the chip's supply pins.", "a capacitor"),
        retryable=True,
    ),
    cause(
        "reset-by-pin",
        "something on the board pulses the chip's reset pin",
        "ERROR_ERASE_SECTOR",
        "Stop what resets the board: an external watchdog, a hand on RESET, a serial program that pulls DTR.",
        Remedy("Lift what hangs on nRESET, one part after the other.", "soldering"),
        retryable=True,
    ),
    cause(
        "boot-source",
        "the chip starts from its maker's boot loader, not from the flash that was written",
        "ERROR_RESET",
        "Set the boot pin (BOOT0, ISP) for flash, then press RESET.",
        Remedy("Check the option bits that choose the boot memory (nBOOT0, nSWBOOT0) with the maker's tool.", "changes option bytes"),
    ),
    cause(
        "memory-guard-left-on",
        "a memory protection unit or stack limit that the old program set stands in the flash algorithm's way",
        "ERROR_INIT",
        _UNDER_RESET,
        Remedy("Take the target's power away for ten seconds, then drop the file again.", "restarts the board"),
        retryable=True,
    ),
    cause(
        "supply-set-wrong",
        "the program in the chip has chosen a supply (LDO or SMPS) that this board does not have",
        "ERROR_RESET",
        _BOOT_ROM,
        Remedy("Build the program with the supply that the board is wired for.", "a build"),
    ),
    cause(
        "lpc-crp",
        "code read protection switches the chip's debug port off",
        "ERROR_UNLOCK",
        "Hold the ISP pin low while you let go of RESET: the boot loader answers on its serial port, while the debug port stays shut.",
        Remedy("Unlock it over the ISP with the maker's tool (CRP1, CRP2; with CRP3 nothing can).", "ERASES THE WHOLE CHIP"),
    ),
    cause(
        "second-debugger",
        "another debugger works on the same chip, or has left its debug mode on",
        "ERROR_RESET",
        "Close every other debug session on this board, and unplug a second probe.",
        Remedy("Take the target's power away for ten seconds, then drop the file again.", "restarts the board"),
        retryable=True,
    ),
)
"""Causes that a new program, a reset at the right moment or a jumper gets around."""
