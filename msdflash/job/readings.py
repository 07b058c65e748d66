"""Readings: every measured fact, who measured it, how, and what the measuring did to the target.

The table :data:`READINGS` is the vocabulary between the worker that measures and the rules that conclude: a rule may only use names
that stand here, and the worker may only send such names.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Effect(StrEnum):
    """What taking a reading does to the target, mildest first."""

    PASSIVE = "passive"
    STICKY = "sticky"  # clears a sticky flag by reading it
    WRITE = "write"  # writes RAM or debug registers, restored where possible
    HALT = "halt"
    RESET = "reset"


class Reading(msgspec.Struct, frozen=True):
    """One measured fact.

    Attributes:
        name: a key of :data:`READINGS`.
        value: JSON value. Registers are integers here and printed as hex; a list is a series of samples in time order.
        at: seconds since the job began.
        how: how it was taken this time, if the table's text is not enough ("after the failure", "at 100 kHz").
    """

    name: str
    value: Any
    at: float = 0.0
    how: str = ""


class ReadingKind(msgspec.Struct, frozen=True):
    """What a reading means: one row of the vocabulary."""

    unit: str
    how: str
    effect: Effect = Effect.PASSIVE


def _kind(unit: str, how: str, effect: Effect = Effect.PASSIVE) -> ReadingKind:
    return ReadingKind(unit, how, effect)


READINGS: dict[str, ReadingKind] = {
    # --- host and probe -----------------------------------------------------------------------------------------------------------
    "probe.found": _kind("bool", "pyOCD lists a probe with this unique id"),
    "probe.listed": _kind("list", "unique ids of all probes that pyOCD lists"),
    "probe.kind": _kind("", "driver that pyOCD uses: cmsis-dap, stlink, jlink, picoprobe or other"),
    "probe.product": _kind("", "vendor, product and firmware that the probe reports"),
    "probe.errno": _kind("errno", "error number of the USB transfer that failed"),
    "probe.present": _kind("bool", "probe still listed after the failure"),
    "probe.holder": _kind("", "process that has the probe's device node open"),
    "probe.twins": _kind("count", "connected probes that have this unique id"),
    "usb.node": _kind("dict", "the probe's USB device in the system's own list, not through pyOCD: {present, vid, pid, serial}"),
    "usb.nameless": _kind("list", "USB ids of debug probes without a serial number in the system's own list"),
    "usb.drivers": _kind("list", "Linux: kernel drivers that have the interfaces of the probe's USB device"),
    "probe.hung": _kind("s", "probe did not answer a USB transfer for this long"),
    "probe.late": _kind("s", "an answer of the probe came, after its driver had given up, when so much time had passed"),
    # --- power and wires ----------------------------------------------------------------------------------------------------------
    "vtref": _kind("V", "voltage at the probe's target-voltage pin (not the chip's own supply pin)"),
    "nreset.undriven": _kind("level", "nRESET samples between opening the probe and DAP_Connect, while this probe drives nothing"),
    "nreset.connected": _kind("level", "nRESET samples after DAP_Connect (some probes drive the line high from here on)"),
    "nreset.pin_proven": _kind("bool", "this probe's nRESET read-back has been seen high before, so a low level means something"),
    "nreset.released": _kind("level", "nRESET samples after this probe pulled it low and let go", Effect.RESET),
    "nreset.rise_ms": _kind("ms", "time from release until nRESET read high", Effect.RESET),
    "nreset.no_effect": _kind("bool", "a pulse on nRESET by this probe left no trace in the core's reset flag", Effect.RESET),
    "swd.clock": _kind("Hz", "SWD clock of the job"),
    "swd.dpidr": _kind("reg", "DPIDR, the first access after a line reset (ADIv5.2 B5.2)"),
    "swd.ack": _kind("", "what came instead of an answer: no-ack, ack-0, wait, fault, parity, error, or the probe's own code"),
    "swd.sweep": _kind("dict", "reads of DPIDR, or of the ROM table, that came back right, of how many, by SWD clock in Hz"),
    "swd.turns": _kind("list", "the same at the two clocks around the border, by turns, in time order: [clock in Hz, right, of how many]"),
    "swd.dpidr_under_reset": _kind("reg", "DPIDR while this probe holds nRESET low; null when silent", Effect.RESET),
    "swd.after_pulse": _kind("bool", "DPIDR came back after this probe let go of nRESET, on a port else silent", Effect.RESET),
    "swd.errors": _kind(
        "dict",
        "link errors (at most one a block of 64) counted over register reads: {reads, errors, kinds, revived}; revived: how often "
        "the debug port answered when it was picked up after one",
    ),
    "dp.power_ack": _kind("bool", "debug and system power-up acknowledged in DP CTRL/STAT within 100 ms"),
    "dp.power_ack_under_reset": _kind("bool", "the same while this probe holds nRESET low", Effect.RESET),
    "dp.ctrl_stat": _kind("reg", "DP CTRL/STAT"),
    "ap.idr": _kind("reg", "IDR of access port 0"),
    "ap.csw": _kind("reg", "CSW of access port 0; bit 6 DeviceEn"),
    # --- core ---------------------------------------------------------------------------------------------------------------------
    "core.cpuid": _kind("reg", "CPUID 0xE000ED00"),
    "core.dhcsr": _kind("reg", "DHCSR 0xE000EDF0, series: two back to back, then every 25 ms; the first tells of the past", Effect.STICKY),
    "core.dhcsr_ms": _kind("ms", "time from the first to the last DHCSR sample"),
    "core.reset_catch": _kind("", "reset-catch test (DEMCR.VC_CORERESET, 150 ms): halted, still-in-reset, not-caught", Effect.WRITE),
    "core.halt": _kind("", "result of C_HALT within 100 ms: halted or the DHCSR read instead", Effect.HALT),
    "core.debug_was_on": _kind("bool", "C_DEBUGEN was set at the first look: another debugger or a crashed session"),
    "core.left_reset_ms": _kind("ms", "time from our reset into the new program until the core was seen out of reset; null if it was not"),
    "core.seen_under_reset": _kind("bool", "CPUID came back while this probe held nRESET low", Effect.RESET),
    "core.debug_lost": _kind("bool", "C_DEBUGEN, which this job had set, was clear after the failure: only a power-on clears it"),
    "core.pcsr": _kind("reg", "DWT_PCSR 0xE000101C samples without halting"),
    "core.vtor": _kind("reg", "VTOR 0xE000ED08: where the vector table in force lies"),
    "boot.shown": _kind("dict", "first two words where the core starts, and of the flash: {at, shown, flash}"),
    "core.fault": _kind("dict", "registers after a fault: pc, ipsr, cfsr, hfsr, bfar"),
    "core.limits": _kind("dict", "what guards memory from the core's own code: {mpu: MPU_CTRL, msplim, psplim}; limits on Armv8-M"),
    # --- chip ---------------------------------------------------------------------------------------------------------------------
    "chip.family": _kind("", "row of the family table that the identity registers select"),
    "chip.idcode": _kind("reg", "the family's identity register"),
    "chip.dev_id": _kind("reg", "device id out of the identity register"),
    "chip.flash_kib": _kind("KiB", "flash size register"),
    "chip.uid": _kind("", "the chip's unique id, with its family: ties bytes that are kept here to this chip"),
    "target.expected": _kind("dict", "what the chosen target stands for: {target, dev_ids}"),
    "lock.family": _kind("", "row of the family table whose own access port was found"),
    "lock.status": _kind("reg", "status of the maker's own access port (Nordic CTRL-AP, NXP MDM-AP), read several times over 20 ms"),
    "mailbox.session": _kind(
        "list",
        "what the boot ROM answered to each request for a debug session (null: nothing), and IDR of access port 0 after it: {answer, idr}",
        Effect.RESET,
    ),
    "option.rdp": _kind("reg", "read-out protection byte; one that looks locked is read again 20 ms later"),
    "option.wrp": _kind("list", "write-protected ranges [first, last] out of the option registers"),
    "lock.after": _kind("reg", "status of the maker's own access port after a failed job on a chip that an erased word locks"),
    "lock.ordered": _kind("dict", "the user's order to unlock was carried out: {family, destroys}", Effect.WRITE),
    "flash.read_fault": _kind("reg", "address in flash that faulted on reading"),
    "flash.pages": _kind("dict", "a page that is not as it must be where erased flash cannot be read: {address, erased, readable}"),
    "flash.sr": _kind("reg", "flash status register before the next call could clear it"),
    "flash.busy": _kind("bool", "flash controller still busy after the call's deadline"),
    "reset.cause": _kind("dict", "reset-cause registers: {flags: names of the bits set, words: the registers}"),
    "flash.chip_id": _kind("", "identification (9Fh, three bytes) of a flash chip beside the processor, three times", Effect.WRITE),
    "flash.chip_status": _kind("reg", "status register 1 (05h) of that chip", Effect.WRITE),
    "flash.critical": _kind("dict", "words that lock the chip at its next reset, after a failed job: {address, open, effect}"),
    # --- algorithm, RAM, flash result ---------------------------------------------------------------------------------------------
    "ram.test": _kind(
        "dict",
        "address-in-data then inverse over the algorithm's RAM: {ok, address, wrote, read, bad, words, kind}; "
        "kind: lost (nothing arrived), alias, above, stuck (one bit), cell, fault or mixed; after a failure, spare: what a page buffer of "
        "one page needs holds data",
        Effect.WRITE,
    ),
    "algo.readback": _kind("dict", "algorithm read back after loading: {ok, address, wrote, read, bad, words}", Effect.WRITE),
    "algo.call": _kind("dict", "the failing call: {function, address, length, r0, pc, ipsr, timeout_s}", Effect.WRITE),
    "algo.reset_seen": _kind("bool", "the core was reset during an algorithm call (debug enable or trap bits lost)"),
    "buffer.readback": _kind("dict", "page buffer sent again and read back: {ok, address, wrote, read, bad, words}", Effect.WRITE),
    "verify.first": _kind("dict", "first difference after programming: {address, expected, read, bad, bytes}"),
    "verify.pattern": _kind("", "pattern of the differences: not-erased, not-programmed, old-content, bits, stale-buffer, mixed"),
    "verify.rewrite": _kind(
        "", "the sectors that differed erased, programmed and read once more: right, same (the same differences) or moved", Effect.WRITE
    ),
    "verify.reread": _kind("", "same differences when read again: same or moved"),
    # --- image --------------------------------------------------------------------------------------------------------------------
    "image.facts": _kind("dict", "what is wrong with the file or where it does not fit, with both sides in numbers"),
    "image.map": _kind("list", "the chip's flash and RAM ranges [name, first, last]"),
    "pack.facts": _kind("dict", "what is wrong with the CMSIS-Pack that the order names: {pack, why, target, parts}"),
    # --- engine -------------------------------------------------------------------------------------------------------------------
    "engine.error": _kind("", "error text of pyOCD or of the USB layer, verbatim"),
    "engine.exit": _kind("", "exit status or signal of a worker that died"),
    "engine.deadline": _kind("s", "deadline of the step that overran"),
    "engine.interrupted": _kind("count", "times this drop's job was cut off"),
}
"""Every reading that exists: unit, how it is taken, what that does to the target."""


def latest(readings: tuple[Reading, ...], name: str) -> Any:
    """The value of the last reading with this name, or None."""
    for reading in reversed(readings):
        if reading.name == name:
            return reading.value
    return None
