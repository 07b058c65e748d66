"""Which cause answers which known failure: the field cases by number, and each fault whose handling by plain pyOCD was measured.

``python tests/diagnose/cases.py > docs/cases.md`` writes the page. A test holds that nothing is missing and that every cause exists.
"""

from __future__ import annotations

import sys

NOTHING = "nothing is wrong with board or file: it is flashed and proved"

FIELD: dict[str, tuple[str, str, str]] = {
    # number: what happened; causes, the one that leads first; a note
    "FC-01": ("Windows update changes how files are written to a drive", "copy-altered hex-checksum", ""),
    "FC-02": (
        "the PC sends zeros out of order, the probe's drive takes them",
        "copy-altered image-truncated",
        "the folder is a real one: it takes writes in any order",
    ),
    "FC-03": ("as FC-01, large files", "copy-altered", ""),
    "FC-04": ("Finder's extra files beside the firmware", "", "such names are ignored; the firmware is flashed"),
    "FC-05": ("a system folder appears in mid copy", "", "such names are ignored; the firmware is flashed"),
    "FC-06": ("the browser saves straight to the drive", "half-download image-truncated", ""),
    "FC-07": ("a buffered copy reorders blocks", "copy-altered", "the folder is a real one: it takes writes in any order"),
    "FC-08": ("hex file without a suffix", "", NOTHING),
    "FC-09": ("no space left on the drive", "disk-full", ""),
    "FC-10": ("no udev rule", "usb-permission", ""),
    "FC-11": ("another process holds the probe", "probe-busy", ""),
    "FC-12": ("a driver of the system sits on the probe's interface", "probe-interface-taken probe-busy", ""),
    "FC-13": ("USB cable, hub or port", "probe-vanished usb-unstable no-probe", ""),
    "FC-14": ("micro:bit V1 program on a V2", "image-wrong-chip image-no-part-for-board", ""),
    "FC-15": ("probe firmware on the drive for programs", "probe-firmware", ""),
    "FC-16": ("the file does not begin with a vector table", "image-bad-vectors", ""),
    "FC-17": ("MCUboot-signed binary without an address", "image-needs-base", ""),
    "FC-19": (
        "program of another maker's chip",
        "image-wrong-chip image-bad-vectors",
        "likely: its vector table fits other chips of the tables",
    ),
    "FC-20": ("ELF file dropped as .bin", "", "known by its content, placed by its own addresses"),
    "FC-22": ("hex records out of order", "", NOTHING),
    "FC-23": ("32-byte hex records", "", NOTHING),
    "FC-24": ("type 02 hex records", "", NOTHING),
    "FC-25": ("SoftDevice and program overlap, or one is missing", "softdevice-overlap softdevice-mismatch bootloader-missing", ""),
    "FC-26": ("probe firmware with SWD on other pins", "swd-silent swd-open swd-swapped", "a set: silence tells no more"),
    "FC-27": ("probe firmware too old", "probe-fw-too-old", ""),
    "FC-28": ("newer ST-LINK firmware refuses a chip of another maker", "probe-fw-refuses-target", ""),
    "FC-29": (
        "locked nRF52 behind an ST-LINK",
        "probe-fw-refuses-target debug-locked",
        "both stand in the report: this probe cannot tell them apart",
    ),
    "FC-30": ("malformed packets of the probe", "probe-fw-fault", ""),
    "FC-31": (
        "the board's identity names another chip",
        "wrong-target",
        "refused before the job, by identity register or by core and debug port",
    ),
    "FC-32": ("the probe's own flash loader is the wrong one", "", "msdflash brings its own; halt, RAM test and Init are measured apart"),
    "FC-33": ("the flash loader does not fit the flash chip", "algo-init-failed flash-chip-silent", ""),
    "FC-34": ("the probe's own build is wrong", "", "msdflash does not use the probe's loader"),
    "FC-35": ("reset switch mounted rotated", "held-in-reset reset-held-by-board reset-held-by-probe", ""),
    "FC-36": ("nRESET shorted on an inner layer", "held-in-reset reset-held-by-board", ""),
    "FC-38": ("cold joint and wrong capacitor on nRESET", "reset-released-late held-in-reset reset-weakly-held", ""),
    "FC-39": (
        "an idle probe holds SWDIO low and with it an nRF51 in reset",
        "reset-held-by-probe swd-short",
        "after flashing; unplugging the probe tells",
    ),
    "FC-40": ("nRESET is not wired and this chip needs it", "nreset-no-effect swd-silent debug-off", ""),
    "FC-42": ("another pinout, SWDIO and SWCLK swapped", "swd-silent swd-swapped swd-open", "a set: silence tells no more"),
    "FC-44": ("long wires, no series resistors", "link-noise", "certain where a lower clock is clean"),
    "FC-45": ("logic levels do not match", "level-mismatch swd-silent", "only where the probe measures the voltage"),
    "FC-46": (
        "the target has no power",
        "no-target-power swd-silent swd-open",
        "likely with a measured voltage; else a set with open wires",
    ),
    "FC-48": ("VDDA and VSSA not connected", "swd-silent chip-dead", "not measurable from here; the remedy names the pins"),
    "FC-49": ("H7 with the wrong supply chosen by its program", "swd-silent debug-off supply-set-wrong", "silence tells no more"),
    "FC-50": ("slow ramps of the supply erase a block", "brown-out program-mismatch", "what happens after the job is not seen"),
    "FC-51": ("deep sleep of an i.MX RT", "asleep debug-off deep-sleep", ""),
    "FC-53": ("the clock is stopped by WFI", "asleep debug-power-not-acknowledged deep-sleep", ""),
    "FC-54": ("deep sleep; deaf in reset, too", "swd-silent deep-sleep debug-off asleep", ""),
    "FC-55": ("the program gave the SWD pins away", "debug-off swd-pins-taken deep-sleep", "a set of two: only the program's text tells"),
    "FC-56": ("the SWD pins are port pins", "debug-off swd-pins-taken deep-sleep", ""),
    "FC-57": ("SWD pins and the reset pin re-used", "swd-silent debug-off swd-pins-taken nreset-no-effect", ""),
    "FC-58": ("blank Kinetis resets itself for ever", "reset-loop lockup-reset", "flashed all the same where it can be caught"),
    "FC-59": ("a watchdog fires while the algorithm runs", "watchdog algo-reset reset-loop", ""),
    "FC-61": ("read-out protection level 1", "rdp1", ""),
    "FC-62": ("write protection in the option bytes", "write-protected-sector", ""),
    "FC-64": ("the flash configuration field locks the chip", "kinetis-security image-would-lock locks-at-reset", ""),
    "FC-65": ("pages locked by the firmware before", "write-protected-sector flash-unchanged", ""),
    "FC-66": ("debug is shut unless the program opens it", "nrf-approtect debug-locked", ""),
    "FC-67": (
        "boot loader protection, security bit, lock bits of SAM",
        "write-protected-sector debug-locked flash-unchanged",
        "no table of SAM's registers",
    ),
    "FC-68": ("blank LPC55: flash cannot be read, the core is hidden", "boot-rom-only lpc55-debug-locked flash-unreadable", ""),
    "FC-70": (
        "the algorithm's RAM is not RAM on this chip",
        "ram-unclocked ram-lost ram-smaller algo-faulted",
        "found by the RAM test, before it runs",
    ),
    "FC-71": ("blank vector: the T bit is clear", "", "xPSR is written before each operation"),
    "FC-72": ("page arithmetic of the tool", "erase-ineffective erase-failed flash-unchanged", "found by reading back"),
    "FC-75": ("Armv7-M code on a Cortex-M0+", "algo-wrong-architecture algo-faulted", ""),
    "FC-77": ("wrong or incomplete target definition, clones", "wrong-target clone-chip target-unknown", ""),
    "FC-78": ("LPC vector checksum", "", "completed by a named transform, then compared"),
    "FC-80": ("QSPI flash: XIP off, other chip, protection bits", "flash-chip-silent image-bad-boot-header write-protected-sector", ""),
}
"""Field cases: failures that people met with real boards, by the number that they have in the bench's library of scenarios."""

PYOCD: dict[str, tuple[str, str, str]] = {
    # row: what was broken; causes; a note
    "a1": ("nRESET low, bus faults", "held-in-reset", ""),
    "a2": ("nRESET low, accesses ignored", "held-in-reset", ""),
    "a3": ("the same, connecting under reset", "held-in-reset", ""),
    "a4": ("the same, reset before connecting", "held-in-reset", ""),
    "a5": ("nRESET low, nRF52840", "held-in-reset debug-power-not-acknowledged swd-silent", "what answers in reset differs by report"),
    "b": ("no target power", "no-target-power swd-silent", ""),
    "c1": ("RAM writes lost", "ram-lost", ""),
    "c2": ("RAM bit stuck", "ram-bad", ""),
    "d1": ("RDP level 1", "rdp1", "before anything runs: no wait of 30 s"),
    "d1b": ("the same, without pyOCD's analyser", "rdp1", ""),
    "d2": ("APPROTECT, pyOCD's defaults erase the chip", "nrf-approtect", "never unlocked unasked"),
    "d3": ("APPROTECT, auto_unlock off", "nrf-approtect", ""),
    "e1": ("write-protected page, L4", "write-protected-sector", ""),
    "e2": ("the same with chip erase", "write-protected-sector", "msdflash erases sectors only"),
    "e3": ("protected page, nRF52: pyOCD tells success", "write-protected-sector flash-unchanged", ""),
    "e4": ("protected sector, K64F", "write-protected-sector", ""),
    "f1": ("PROGERR at one word", "program-failed flash-worn", ""),
    "f2": ("worn cell without a flag: pyOCD tells success", "flash-worn program-mismatch", ""),
    "f3": ("erase without effect, L4", "program-failed erase-ineffective", ""),
    "f4": ("erase without effect, nRF52: pyOCD tells success", "erase-ineffective flash-unchanged", ""),
    "f5": ("program error, K64F", "program-failed", ""),
    "f6": ("program error, LPC1768", "program-failed", ""),
    "g1": ("unplugged in mid program", "probe-vanished", ""),
    "g2": ("unplugged while connecting", "probe-vanished", ""),
    "h1": ("other DPIDR: pyOCD tells success", "wrong-target clone-chip", "DPIDR alone proves no part; with CPUID it refuses"),
    "h2": ("STM32 with another flash controller", "wrong-target", ""),
    "h3": ("nRF52840 chip, L4 target", "wrong-target", ""),
    "h4": ("STM32 chip, nRF52840 target", "wrong-target", ""),
    "h5": ("K64F chip, L4 target", "wrong-target", ""),
    "h6": ("DBGMCU says another L4: pyOCD tells success", "wrong-target", ""),
    "h7": ("STM32 chip, K64F target", "wrong-target", ""),
    "h8": ("unknown target name", "target-unknown", ""),
    "h9": ("target cortex_m and a .bin", "target-unknown image-needs-base", ""),
    "i1": ("low-power sleep", "asleep debug-off deep-sleep", ""),
    "i2": ("the same, connecting under reset", "", "it works"),
    "i3": ("the same, reset before connecting", "asleep debug-off deep-sleep", ""),
    "j1": ("BSY stuck on erase", "algo-timeout-flash-busy", "within the data sheet's worst case, with the address"),
    "j2": ("BSY stuck on program", "algo-timeout-flash-busy", ""),
    "j3": ("BSY stuck on chip erase", "", "msdflash never orders one by itself"),
    "k1": ("single WAIT", "", "the probe repeats it"),
    "k2": ("permanent WAIT", "asleep bus-fault", ""),
    "k3": ("FAULT, no ACK, protocol errors now and then", "link-noise", ""),
    "k4": (
        "undetected double bit flip: pyOCD tells success",
        "data-corrupted-on-the-way program-mismatch",
        "written once more and proved where it was an accident",
    ),
    "k5": ("one FAULT on a page buffer: pyOCD tells success", "stale-buffer bus-fault data-corrupted-on-the-way", ""),
    "l1": ("data outside every region: pyOCD tells success", "image-outside-flash image-too-big", ""),
    "l2": ("RAM data in a hex file", "image-uses-ram", ""),
    "m": ("no probe: pyOCD waits for ever", "no-probe", ""),
}
"""Faults for which it was measured what unmodified pyOCD 0.46 says, by row."""


def page() -> str:
    """``docs/cases.md``, newline at the end."""
    lines = [
        "# Which cause answers which failure",
        "",
        "Two lists of failures, and the [causes](causes.md) that a report names for each: the first is the one that should lead, the",
        "others are told beside it, or where less can be measured. This page is made by `python tests/diagnose/cases.py`; a test holds",
        "that nothing is missing. What was really answered on the bench stands in [scenarios.md](scenarios.md) and",
        "[faults.md](faults.md).",
        "",
        "## Field cases",
        "",
        "Failures that people met with real boards, by the numbers that they have in `msdflash/sim/scenarios.py`.",
        "",
        *_table(FIELD),
        "",
        "## Faults that were tried on plain pyOCD",
        "",
        "What unmodified pyOCD 0.46 says of each was measured on an earlier simulator. Where it told success although flash was wrong,",
        "the row says so.",
        "",
        *_table(PYOCD),
    ]
    return "\n".join(lines) + "\n"


def _table(rows: dict[str, tuple[str, str, str]]) -> list[str]:
    lines = ["| Case | What happened | Causes | |", "| --- | --- | --- | --- |"]
    for name, (what, causes, note) in rows.items():
        linked = ", ".join(f"[{cause}](causes.md#{cause})" for cause in causes.split()) or "none"
        lines.append(f"| {name} | {what} | {linked} | {note} |")
    return lines


if __name__ == "__main__":
    sys.stdout.write(page())
