"""How causes are told apart: for each, what shows it, and the command that measures that.

A cause without a row here is measured by :attr:`Command.LOOK` as far as that goes; a new cause needs no row to be explained.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Command(StrEnum):
    """What a user runs, mildest first."""

    BOARDS = "msdflash boards"
    LOOK = "msdflash diagnose"
    RESET = "msdflash diagnose --reset"
    FLASH = "msdflash flash FILE"


PRICES: dict[Command, str] = {
    Command.BOARDS: "lists the probes; touches no target",
    Command.LOOK: "looks without disturbing the running program",
    Command.RESET: "measures more; halts and resets the target, writes no flash",
    Command.FLASH: "checks the file first, then writes it, reads every byte back and compares",
}
"""What a command does to the target."""


class Telling(msgspec.Struct, frozen=True):
    """What shows a cause, as a clause, and the command that looks there."""

    by: str
    command: Command = Command.LOOK


_BOARDS, _LOOK, _RESET, _FLASH = Command.BOARDS, Command.LOOK, Command.RESET, Command.FLASH
_SILENT = "no answer at any clock. A CMSIS-DAP cannot tell this from a missing supply; an ST-LINK or J-Link also reads the voltage"

_ROWS: tuple[tuple[str, str, Command], ...] = (
    # --- computer and probe -------------------------------------------------------------------------------------------------------
    ("no-probe", "the system's own USB list does not have the probe", _BOARDS),
    ("usb-permission", "the system lists the probe, and opening it is refused (error 13)", _BOARDS),
    ("probe-ambiguous", "two probes of the list have the same unique id", _BOARDS),
    ("probe-no-serial", "a probe of the list has no serial number", _BOARDS),
    ("probe-in-bootloader", "the probe shows the USB id of its update mode", _BOARDS),
    ("probe-busy", "opening it is refused as busy (error 16); on Linux the program that holds it is named", _LOOK),
    ("probe-slow", "opening it takes longer than 15 s", _LOOK),
    ("probe-vanished", "the probe is gone from the system's USB list (error 19)", _LOOK),
    ("probe-hung", "the probe is still listed, and a transfer got no answer in its time", _LOOK),
    ("usb-unstable", "transfers end in errors of the USB line itself (error 71 or 75)", _LOOK),
    ("probe-fw-fault", "the probe refuses a transfer (error 32) or answers another question", _LOOK),
    ("probe-fw-too-old", "the engine names the firmware version when it opens the probe", _LOOK),
    ("probe-fw-refuses-target", "an ST-LINK answers 29 for a chip that is not from ST", _LOOK),
    ("probe-open-failed", "the probe is listed and does not open", _LOOK),
    ("disk-full", "the system says so when the file is copied to the spool", _FLASH),
    # --- the file -------------------------------------------------------------------------------------------------------------------
    ("copy-altered", "the file is read twice and compared; a hex file's checksums are checked", _FLASH),
    ("half-download", "the file's name, and whether it ever comes to rest", _FLASH),
    ("hex-checksum", "the line with the wrong checksum is named", _FLASH),
    ("hex-syntax", "the line that is no record is named", _FLASH),
    ("image-truncated", "the end record or the announced length is missing", _FLASH),
    ("image-empty", "the file has no bytes that could be flashed", _FLASH),
    ("image-bad-vectors", "the first two words: a stack pointer in RAM and an odd address in flash, or not", _FLASH),
    ("image-needs-base", "the header of a signed or packed image is recognised", _FLASH),
    ("image-unknown-format", "the file's own signature: a ZIP, a page, a text, source code", _FLASH),
    ("probe-firmware", "texts and vectors of a probe's firmware stand in the file", _FLASH),
    ("image-outside-flash", "each address range against the chip's memory map", _FLASH),
    ("image-too-big", "the file's length against the chip's flash size register", _FLASH),
    ("image-uses-ram", "each address range against the chip's memory map", _FLASH),
    ("image-wrong-chip", "what the file says it was built for, against the chip's identity", _FLASH),
    ("image-no-part-for-board", "the board numbers in the file against this board's", _FLASH),
    ("image-would-lock", "the words at the chip's protection addresses", _FLASH),
    ("bootloader-missing", "the program's first address, and blank flash below it", _FLASH),
    # --- power and wires ----------------------------------------------------------------------------------------------------------------
    ("no-target-power", "no answer, and less than 0.3 V at the probe's target-voltage pin (an ST-LINK or J-Link reads it)", _LOOK),
    ("target-voltage-low", "0.3 to 1.6 V at the probe's target-voltage pin", _LOOK),
    ("vtref-not-wired", "the chip answers, and the target-voltage pin reads next to nothing", _LOOK),
    ("swd-open", _SILENT, _LOOK),
    ("swd-swapped", _SILENT, _LOOK),
    ("swd-silent", "no answer at any clock", _LOOK),
    ("swd-short", "the answer reads as all zeros: something holds SWDIO low", _LOOK),
    ("chip-dead", "no answer at any clock, voltage good, and none while RESET is held", _RESET),
    ("debug-off", "silence while the program runs, and an answer while nRESET is held low", _RESET),
    ("target-lost", "the debug port answered at first, and then no more", _LOOK),
    ("link-noise", "errors counted over many reads, at several clocks", _LOOK),
    ("level-mismatch", "the voltage at the target-voltage pin against what the probe drives", _LOOK),
    # --- reset --------------------------------------------------------------------------------------------------------------------------
    ("held-in-reset", "the core's reset flag is set on every read, and the core never reaches its first instruction", _RESET),
    ("reset-held-by-board", "nRESET reads low before the probe drives anything (a CMSIS-DAP or J-Link can read it)", _LOOK),
    ("reset-held-by-probe", "looks the same from here: unplug the probe and see whether the board starts", _LOOK),
    ("reset-released-late", "the time from letting go of nRESET until the core runs", _RESET),
    ("reset-loop", "the core reaches its first instruction again and again", _RESET),
    # --- the chip -------------------------------------------------------------------------------------------------------------------------
    ("asleep", "the debug port answers, and the bus waits; or the core's sleep flag is set", _LOOK),
    ("debug-power-not-acknowledged", "the debug port answers and does not confirm its power-up", _LOOK),
    ("core-will-not-halt", "the core is told to halt, and its halt flag stays clear", _RESET),
    ("bus-fault", "the debug port answers, and an access behind it is refused", _LOOK),
    ("no-ap", "the access port's id reads as zero", _LOOK),
    ("app-locked-up", "the core's lockup flag is set", _LOOK),
    ("rdp1", "the protection byte, read twice; reading flash faults", _LOOK),
    ("rdp2", "the protection byte, read twice, says level 2", _LOOK),
    ("nrf-approtect", "the maker's own access port says so, twice (a CMSIS-DAP or J-Link reaches it)", _LOOK),
    ("kinetis-security", "the maker's own access port says so ten times, with the chip out of reset", _LOOK),
    ("debug-locked", "the access port exists and is switched off", _LOOK),
    ("write-protected-sector", "the protected ranges in the option registers, and the flash status after the call", _FLASH),
    ("wrong-target", "the chip's own identity register against the target", _LOOK),
    ("clone-chip", "the debug port's id against that of the genuine part", _LOOK),
    ("target-unknown", "the chip's own identity register, and whether a target fits it", _LOOK),
    ("flash-unreadable", "reading the flash faults, and no lock register explains it", _FLASH),
    # --- RAM and algorithm ----------------------------------------------------------------------------------------------------------
    ("ram-unclocked", "every word of the RAM test is refused", _FLASH),
    ("ram-smaller", "the RAM test fails from one address on, or wraps round", _FLASH),
    ("ram-lost", "not one word of the RAM test arrives", _FLASH),
    ("ram-bad", "single words or bits of the RAM test come back wrong", _FLASH),
    ("algo-download-corrupt", "the RAM test passes, and the algorithm reads back otherwise than it was sent", _FLASH),
    ("algo-faulted", "the core's exception number and address after the call", _FLASH),
    ("algo-wrong-architecture", "the undefined-instruction flag after the crash, and the core's id", _FLASH),
    ("algo-init-failed", "the result that the algorithm's Init returns", _FLASH),
    ("algo-reset", "debug settings that a reset clears are gone after the call", _FLASH),
    ("algo-timeout", "the call does not come back in the data sheet's time", _FLASH),
    ("algo-timeout-flash-busy", "the flash controller's busy flag after the call's deadline", _FLASH),
    # --- flash ---------------------------------------------------------------------------------------------------------------------------
    ("erase-failed", "the algorithm's result, and the flash status register before it is cleared", _FLASH),
    ("program-failed", "the algorithm's result, and the flash status register before it is cleared", _FLASH),
    ("program-mismatch", "every byte read back and compared", _FLASH),
    ("erase-ineffective", "bytes that read as old AND new content", _FLASH),
    ("program-ineffective", "whole pages that read as erased", _FLASH),
    ("flash-unchanged", "whole sectors that read as their old content", _FLASH),
    ("flash-chip-silent", "its three bytes of identification are all zeros or all ones, three times", _FLASH),
    ("flash-worn", "the same few bits differ, also after writing once more", _FLASH),
    ("verify-misread", "two readings of the same bytes differ", _FLASH),
    ("data-corrupted-on-the-way", "the page buffer in RAM, sent again and read back", _FLASH),
)

TELLING: dict[str, Telling] = {cause: Telling(by, command) for cause, by, command in _ROWS}
"""Cause id -> what shows it."""


def telling(cause: str) -> Telling:
    """What shows a cause; for one without a row: an honest nothing, and the mildest look."""
    return TELLING.get(cause, Telling(""))


def commands_for(causes: tuple[str, ...]) -> tuple[Command, ...]:
    """The commands that tell these causes apart, each once, mildest first."""
    wanted = {telling(cause).command for cause in causes}
    return tuple(command for command in Command if command in wanted)
