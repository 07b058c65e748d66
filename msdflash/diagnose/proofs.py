"""What proves each cause, and what speaks against it: one row a cause, for its page and for the tests that break it.

A test takes the decisive readings away from every scene of a cause: then it must not lead any more.
"""

from __future__ import annotations

import msgspec

from msdflash.diagnose.causes_drive import DRIVE_CAUSES
from msdflash.diagnose.causes_image import IMAGE_CAUSES

KIND = "kind"
"""Stands in :attr:`Proof.decisive` for the failure itself, and for the state of the program after a good job."""


class Proof(msgspec.Struct, frozen=True):
    """The evidence for and against a cause.

    Attributes:
        decisive: readings without which it cannot lead; :data:`KIND` for the failure or state as such.
        proves: what shows it.
        refutes: what speaks against it.
    """

    decisive: tuple[str, ...]
    proves: str
    refutes: str


def _row(decisive: str, proves: str, refutes: str) -> Proof:
    return Proof(tuple(decisive.split()), proves, refutes)


_STATED = _row("kind", "the check itself, before the chip is touched; both sides stand in the report", "the check passes")

PROOFS: dict[str, Proof] = {
    **{entry.id: _STATED for entry in (*IMAGE_CAUSES, *DRIVE_CAUSES)},
    # --- computer, USB, probe, engine ---------------------------------------------------------------------------------------------
    "no-probe": _row("kind usb.node", "neither pyOCD nor the system's own USB list has it", "the system lists the device"),
    "usb-permission": _row("probe.errno usb.node", "opening its USB device gives EACCES", "it opens"),
    "probe-ambiguous": _row("probe.twins", "several connected devices have this id", "one has it"),
    "probe-no-serial": _row("usb.nameless", "the system lists a debug probe without a serial number", "every probe has one"),
    "probe-slow": _row("kind", "opening overran its time, and no transfer failed", "a transfer failed"),
    "probe-busy": _row("probe.errno probe.holder", "EBUSY, and the process that has the device file open", "nobody has it open"),
    "probe-interface-taken": _row(
        "usb.drivers probe.errno", "EBUSY, drivers of the system on its interfaces, and no program", "a program has claimed an interface"
    ),
    "probe-cannot-reach-chip": _row("engine.error", "the engine says which ability this kind of probe lacks", "another text"),
    "pack-unreadable": _row("kind", "the pack file cannot be read", "it can"),
    "pack-invalid": _row("kind", "the pack file is no CMSIS-Pack", "it can be taken apart"),
    "pack-lacks-target": _row("kind", "the part does not stand in the pack", "it does"),
    "pack-lacks-algorithm": _row("kind", "the pack has no algorithm for a range of flash", "it has"),
    "probe-vanished": _row("probe.errno probe.present", "ENODEV, or not listed after the failure", "still listed"),
    "probe-hung": _row("probe.errno probe.hung", "a transfer without reply for its whole time, and the probe still listed", "not listed"),
    "usb-unstable": _row("probe.errno", "a signal error on the bus (EPROTO, EOVERFLOW, EIO)", "other error numbers"),
    "probe-fw-fault": _row("probe.errno engine.error", "a stall, or a reply that the driver cannot take apart", "well-formed replies"),
    "probe-fw-too-old": _row("engine.error", "the driver refuses the version by name", "it opens"),
    "probe-fw-refuses-target": _row("swd.ack engine.error", "ST-LINK code 29 on a chip that is not an STM32", "the chip is an STM32"),
    "probe-in-bootloader": _row("usb.node", "the USB id of the probe's own boot loader", "another USB id"),
    "probe-open-failed": _row("kind", "opening failed; the symptom only", "-"),
    "disk-full": _row("engine.error", "ENOSPC from this computer's own writing", "another error number"),
    "undo-not-kept": _row("kind", "writing the file of what stands beside the image failed, before anything was erased", "it was written"),
    "engine-crash": _row("kind", "the worker process ended without its last message", "it came"),
    "engine-timeout": _row("kind", "a step overran its deadline; the symptom only", "-"),
    "interrupted": _row("kind", "the journal holds a job without an end", "it has one"),
    "cancelled": _row("kind", "somebody asked to stop, or took the file away", "nobody did"),
    "unexplained": _row("kind", "nothing else is likely", "a cause is likely"),
    # --- power, wires, reset ------------------------------------------------------------------------------------------------------
    "swd-silent": _row("kind", "no answer to DPIDR at any clock; the symptom only", "an answer, WAIT and FAULT included"),
    "target-lost": _row("swd.errors", "DPIDR came earlier in this job, and not once after the failure", "any answer after it"),
    "no-target-power": _row("vtref", "less than 0.3 V at the probe's target-voltage pin, and silence", "any answer of the debug port"),
    "target-voltage-low": _row("vtref", "0.3 to 1.6 V at that pin, and silence", "an answer, or more volts"),
    "vtref-not-wired": _row("vtref", "less than 1.6 V at that pin while the chip answers", "more volts"),
    "level-mismatch": _row("kind vtref", "more than 3.7 V at that pin; not excluded by silence where it cannot be measured", "fewer volts"),
    "swd-open": _row("kind", "silence; nothing here tells it from missing power or crossed wires", "any answer; SWDIO held low"),
    "swd-swapped": _row("kind", "silence; nothing here tells it from an open wire", "any answer"),
    "swd-short": _row("swd.ack", "acknowledge 0: SWDIO is low while nobody drives it, with power present", "acknowledge 7"),
    "debug-off": _row(
        "swd.dpidr_under_reset swd.after_pulse kind", "silence, and an answer while nRESET is low or right after", "silence there, too"
    ),
    "chip-dead": _row("kind", "nothing; it is only never excluded by silence", "any answer"),
    "link-noise": _row(
        "swd.sweep swd.turns swd.errors",
        "errors among right reads of known registers; certain where two clocks by turns always read so",
        "no errors",
    ),
    "held-in-reset": _row(
        "core.dhcsr core.reset_catch",
        "the reset flag on every look, and a trapped first instruction that is never reached",
        "the core runs, halts or stops at the trap",
    ),
    "reset-held-by-board": _row(
        "nreset.undriven core.dhcsr", "nRESET low while this probe drives nothing, on a proven pin", "it reads high"
    ),
    "reset-held-by-probe": _row("nreset.undriven core.dhcsr", "a read-back never seen high; unplugging tells", "it reads high"),
    "reset-held-by-own-session": _row("nreset.connected", "nRESET high before connecting and low after", "low before"),
    "reset-released-late": _row("nreset.rise_ms", "the core left reset by itself, late", "it never did, or at once"),
    "reset-weakly-held": _row("nreset.connected", "nRESET low before connecting and high after", "low after"),
    "reset-loop": _row(
        "core.dhcsr core.reset_catch lock.status",
        "resets between two looks, or a core in reset that stops at its trapped first instruction",
        "a core that never leaves reset, or runs on",
    ),
    "nreset-no-effect": _row("nreset.no_effect", "the core's reset flag, cleared before, stays clear through a pulse", "it is set"),
    # --- the program in the chip --------------------------------------------------------------------------------------------------
    "deep-sleep": _row("kind", "silence, and an answer under reset; not told from re-used SWD pins", "silence under a proven reset"),
    "swd-pins-taken": _row("kind", "silence, and an answer under reset; not told from deep sleep", "silence under a proven reset"),
    "watchdog": _row("reset.cause", "resets were seen, and a watchdog's flag is set, best since the first look", "the flag is clear"),
    "lockup-reset": _row("reset.cause", "resets were seen, and the lockup flag is set", "the flag is clear"),
    "brown-out": _row("reset.cause vtref", "a brown-out or new power-on flag, or a voltage that fell during the job", "a level voltage"),
    "reset-by-pin": _row("reset.cause", "resets were seen, and the pin's flag is set and no other source's", "another flag is set"),
    "boot-source": _row(
        "core.pcsr boot.shown core.vtor", "the program counter, or the vector table in force, lies in the boot ROM", "in flash"
    ),
    "memory-guard-left-on": _row("core.limits", "MPU or stack limits on while the algorithm ran, and its fault says so", "both off"),
    "supply-set-wrong": _row("kind", "nothing; silence of an STM32H7 only does not exclude it", "any answer"),
    "lpc-crp": _row("kind", "nothing; silence of an LPC only does not exclude it", "any answer"),
    "second-debugger": _row("core.debug_was_on", "debug mode was on at the first look", "it was off"),
    # --- the chip -----------------------------------------------------------------------------------------------------------------
    "debug-power-not-acknowledged": _row("kind dp.power_ack", "CTRL/STAT shows no acknowledge; the symptom only", "it does"),
    "asleep": _row(
        "core.dhcsr swd.ack kind", "the sleep flag, WAIT and nothing else, or no debug power behind a live port", "the core runs"
    ),
    "core-will-not-halt": _row("kind", "no halt after the request; the symptom only", "it halts"),
    "bus-fault": _row("swd.ack", "an access answered with FAULT; the symptom only", "no FAULT"),
    "no-ap": _row("kind", "access port 0 is not there or does not answer; the symptom only", "it answers"),
    "app-locked-up": _row("kind", "the lockup flag after a good flash and a reset", "it is clear"),
    "app-halted": _row("kind", "the core is halted after a good flash and a reset", "it runs"),
    "rdp1": _row("option.rdp", "the protection field twice, and flash that faults when read", "it reads open, or two values"),
    "rdp2": _row("option.rdp", "the protection field twice", "it reads another level"),
    "nrf-approtect": _row("lock.status", "CTRL-AP says so on each read", "it says open, or changes"),
    "nrf51-readback": _row("option.rdp", "RBPCONF.PALL twice", "it reads 0xFF"),
    "kinetis-security": _row("lock.status", "MDM-AP says so on ten valid reads", "no read is valid, or some say open"),
    "locks-at-reset": _row("flash.critical", "the deciding words, read back after the failure", "they keep the chip open"),
    "lpc55-debug-locked": _row(
        "mailbox.session",
        "the boot ROM answers two requests for a debug session, and opens nothing",
        "it does not answer, or opens the port",
    ),
    "boot-rom-only": _row("lock.family mailbox.session", "the maker's mailbox is there, and the core's access port is hidden", "it opens"),
    "debug-locked": _row("kind ap.csw", "an access port that is there and switched off (DeviceEn)", "it is on"),
    "write-protected-sector": _row(
        "option.wrp flash.sr", "a protected range covers the address, and the controller or the plan says so", "no range covers it"
    ),
    "wrong-target": _row(
        "chip.dev_id core.cpuid kind", "the identity register, or core and debug port, are not the target's", "they match"
    ),
    "clone-chip": _row("swd.dpidr", "a known device id behind another debug port than the genuine part has", "the genuine port"),
    "target-unknown": _row("kind", "nothing names a target that the engine has", "something does"),
    "ram-unclocked": _row("ram.test swd.ack", "every access to RAM faults", "some succeed"),
    "ram-smaller": _row("ram.test", "RAM ends or repeats before the target's map does", "it holds"),
    "ram-lost": _row("ram.test", "not one word arrived", "some did; the core is in reset"),
    "ram-bad": _row("ram.test", "words or one data line differ from what was written", "the test passes; the link makes errors, too"),
    "algo-download-corrupt": _row(
        "algo.readback", "the algorithm reads back otherwise, in RAM that passed its test", "it reads back right"
    ),
    "algo-faulted": _row("kind algo.call core.fault", "an exception ended the call", "it stopped where it should"),
    "algo-wrong-architecture": _row(
        "core.fault core.cpuid", "an undefined instruction, or Armv6-M and a fault in an intact algorithm", "-"
    ),
    "algo-init-failed": _row("kind", "Init returned an error; the symptom only", "it returned 0"),
    "algo-reset": _row("kind algo.reset_seen", "the core's reset flag, cleared before the call, was set in it", "it stayed clear"),
    "algo-timeout": _row("algo.call", "no end within the data sheet's worst case; the symptom only", "it ended"),
    "algo-timeout-flash-busy": _row("flash.busy", "the controller's busy flag after that time", "it is clear"),
    "flash-unreadable": _row("kind", "reading flash faults; the symptom only", "it reads"),
    "erase-failed": _row("kind", "EraseSector returned an error; the symptom only", "it returned 0"),
    "program-failed": _row("kind", "ProgramPage returned an error; the symptom only", "it returned 0"),
    "program-mismatch": _row("kind", "read-back differs; the symptom only", "it is the file"),
    "erase-ineffective": _row("verify.pattern", "what is read is old content and new content, combined", "another pattern"),
    "program-ineffective": _row("verify.pattern", "whole areas read as erased", "another pattern"),
    "flash-unchanged": _row("verify.pattern", "flash holds exactly what it held", "another pattern"),
    "flash-chip-silent": _row("flash.chip_id kind", "the flash chip's identification reads as nothing, three times", "it answers"),
    "flash-worn": _row("verify.reread verify.pattern", "few bits differ, the same ones when read again", "they move, or a page differs"),
    "verify-misread": _row("verify.reread", "reading again gives other differences", "the same ones"),
    "stale-buffer": _row("verify.pattern", "a page equals an earlier part of the file", "another pattern"),
    "data-corrupted-on-the-way": _row("buffer.readback", "the page buffer, sent again, reads back otherwise", "it reads back right"),
}
"""Every cause of the catalogue."""
