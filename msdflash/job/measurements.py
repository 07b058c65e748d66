"""The ladder: every measurement, from the computer's own USB list to the running program, with its price and what it proves.

The worker climbs it phase by phase (:mod:`msdflash.worker.ladder`) and ends where a cause is proved. Within a phase the mildest comes
first. Nothing here writes flash or options. ``docs/measurements.md`` is made from this table.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from msdflash.job.readings import READINGS, Effect


class Phase(StrEnum):
    """When a measurement is made, in the order of a job."""

    HOST = "host"  # finding and opening the probe
    PINS = "pins"  # the probe is open and drives nothing yet
    PORT = "port"  # the first words with the debug port
    SILENT = "silent"  # only where the debug port did not answer
    DARK = "dark"  # only where debug power is not acknowledged, or the core keeps its debugger waiting
    DEBUG = "debug"  # the debug port answers: is there power, and what is behind it
    CORE = "core"  # the processor
    CHIP = "chip"  # what the silicon says of itself
    OPTIONS = "options"  # what the chip is set to
    WORK = "work"  # while flashing
    LINK = "link"  # only after a failure that a bad link can make
    CALL = "call"  # only after a call of the flash algorithm that failed
    AFTER = "after"  # the program was started
    LEAVE = "leave"  # after any failure, last


class Measurement(msgspec.Struct, frozen=True):
    """One rung of the ladder.

    Attributes:
        id: stable name; the worker's function has it as key.
        phase: when it is made.
        title: what is looked at.
        readings: names in :data:`msdflash.job.readings.READINGS` that it may leave.
        seconds: it ends within this time; the probe's own patience with one USB transfer comes on top.
        proves: what follows from it.
        effect: the worst that it does to the target.
        probes: kinds of probe that can make it; empty: all.
        repair: what it changes is put back before it ends.
    """

    id: str
    phase: Phase
    title: str
    readings: tuple[str, ...]
    seconds: float
    proves: str
    effect: Effect = Effect.PASSIVE
    probes: tuple[str, ...] = ()
    repair: bool = False


_PINS = ("cmsis-dap", "jlink")
"""Probes that read nRESET back; an ST-LINK or picoprobe returns what it wrote last (pyOCD 0.46, stlink_probe.py, picoprobe.py)."""
_VOLTS = ("stlink", "jlink")
"""Probes with a command for the target's voltage; CMSIS-DAP has none."""
_OWN_PORTS = ("cmsis-dap", "jlink", "picoprobe", "other")
"""Probes that reach any access port; a newer ST-LINK refuses those of other makers."""

M = Measurement
LADDER: tuple[Measurement, ...] = (
    # --- the computer -------------------------------------------------------------------------------------------------------------
    M(
        "usb-list", Phase.HOST, "the system's own list of USB devices", ("probe.found", "probe.listed", "usb.node", "usb.nameless"), 1.0,
        "whether the probe is plugged in, may only not be opened, or is in its update mode",
    ),
    M("usb-names", Phase.HOST, "equal unique ids", ("probe.twins",), 0.5, "that a drive would flash a board that was not meant"),
    M(
        "usb-open", Phase.HOST, "opening the probe",
        ("probe.kind", "probe.product", "probe.errno", "probe.hung", "probe.late", "engine.error", "swd.clock"), 5.0,
        "permission, another user of the probe, firmware that is too old or answers nonsense",
    ),
    M(
        "usb-holder", Phase.HOST, "who has the probe's device file open, and which driver has its interfaces",
        ("probe.holder", "usb.drivers"), 1.0,
        "the program that is in the way, by name, process and user; that it is another user's is an answer, too",
    ),
    # --- wires --------------------------------------------------------------------------------------------------------------------
    M(
        "nreset-undriven", Phase.PINS, "nRESET, ten times over 5 ms, before this probe drives anything",
        ("nreset.undriven", "nreset.pin_proven"), 0.2,
        "the level that the board gives the line; low counts only on a probe that was seen to read high", probes=_PINS,
    ),
    M("target-voltage", Phase.PINS, "the target-voltage pin", ("vtref",), 0.2, "no or low supply, or that this pin is not wired",
      probes=_VOLTS),
    M("dpidr", Phase.PORT, "DPIDR, twice at most; of a silent port also after TARGETSEL, for parts that share the line",
      ("swd.dpidr", "swd.ack", "engine.error"), 0.5,
      "power, wires and debug port; what came instead tells open, low and disturbed wires apart"),
    M(
        "clock-sweep", Phase.SILENT, "DPIDR at 50 and 100 kHz, 1 and 4 MHz; around the border 20 times more, by turns",
        ("swd.sweep", "swd.turns", "engine.error"), 1.5, "edges that are too slow for a clock; that nobody is there at any",
    ),
    M("nreset-silent", Phase.SILENT, "nRESET once more, connected", ("nreset.connected",), 0.1,
      "a line that fell or rose when this probe connected", probes=_PINS),
    M("target-voltage-again", Phase.SILENT, "the target-voltage pin once more", ("vtref",), 0.2, "a supply that comes and goes",
      probes=_VOLTS),
    M(
        "dpidr-under-reset", Phase.SILENT, "DPIDR while this probe holds nRESET low, and right after it lets go",
        ("swd.dpidr_under_reset", "swd.after_pulse"), 0.5,
        "that the program in the chip shut the port: deep sleep, or SWD pins used otherwise; which way in is open", Effect.RESET,
    ),
    M("power-under-reset", Phase.DARK, "DPIDR, debug power and CPUID once more, while this probe holds nRESET low",
      ("swd.dpidr_under_reset", "dp.power_ack_under_reset", "core.seen_under_reset"), 0.5,
      "that only the program in the chip stopped its clocks", Effect.RESET),
    M("nreset-connected", Phase.DEBUG, "nRESET, five times, connected", ("nreset.connected", "nreset.pin_proven"), 0.1,
      "a probe that pulls the line itself, or lifts one that the board holds weakly", probes=_PINS),
    M("debug-power", Phase.DEBUG, "power-up request and acknowledge in CTRL/STAT", ("dp.ctrl_stat", "dp.power_ack"), 0.3,
      "deep sleep and switched-off debug domains"),
    M("access-port", Phase.DEBUG, "IDR and CSW of access port 0", ("ap.idr", "ap.csw", "lock.family"), 0.3,
      "whether anything is behind the debug port, and whether it is switched on"),
    M(
        "maker-lock", Phase.DEBUG, "the maker's own access port, up to 40 times over 80 ms", ("lock.family", "lock.status"), 0.5,
        "a lock, where enough readings are valid and all say so; a reset loop, where they change", probes=_OWN_PORTS,
    ),
    M(
        "mailbox", Phase.DEBUG, "where access port 0 is hidden: the boot ROM is asked to let the debugger in, twice at most",
        ("mailbox.session", "ap.idr", "ap.csw"), 1.0,
        "a lock, where the ROM answers twice and opens nothing; else that only the ROM was running, without a program", Effect.RESET,
    ),
    # --- processor ----------------------------------------------------------------------------------------------------------------
    M("cpuid", Phase.CORE, "CPUID", ("core.cpuid",), 0.3, "which core it is; it can refute a target"),
    M(
        "core-state", Phase.CORE, "DHCSR twice, and while it shows reset four times more at 25 ms",
        ("core.dhcsr", "core.dhcsr_ms", "core.debug_was_on"), 0.5,
        "running, asleep, locked up, halted by somebody, reset now and then, or in reset on every look", Effect.STICKY,
    ),
    M(
        "reset-catch", Phase.CORE, "whether a core in reset ever leaves it: its first instruction is trapped, for up to 1.2 s",
        ("core.reset_catch", "nreset.rise_ms", "chip.family", "chip.idcode", "chip.dev_id", "chip.flash_kib", "reset.cause"), 1.5,
        "held against looping and late; a looping chip stands still for a moment, and then says who it is and what reset it",
        Effect.WRITE, repair=True,
    ),
    # --- chip ---------------------------------------------------------------------------------------------------------------------
    M(
        "identity", Phase.CHIP, "the identity register of each family that DPIDR, access port and CPUID allow, and the flash size",
        ("chip.family", "chip.idcode", "chip.dev_id", "chip.flash_kib"), 0.5, "the chip, and whether it is the one that was meant",
    ),
    M("new-resets", Phase.CHIP, "DHCSR once more; where it shows a reset since the last look, ten times over 250 ms",
      ("core.dhcsr", "core.dhcsr_ms"), 0.5, "resets that come too slowly for the first look", Effect.STICKY),
    M("reset-cause", Phase.CHIP, "the reset-cause register", ("reset.cause",), 0.2,
      "what reset the chip before this job did: watchdog, lockup, brown-out, pin"),
    M(
        "read-protection", Phase.CHIP, "read-out protection; twice, 20 ms apart, where it looks locked, then three reads of flash",
        ("option.rdp", "flash.read_fault"), 0.3, "a lock, and its level",
    ),
    M("flash-status", Phase.OPTIONS, "the flash controller's status, before anything clears it", ("flash.sr", "flash.busy"), 0.2,
      "error flags left by the old program; a controller that hangs"),
    M("write-protection", Phase.OPTIONS, "write-protected ranges out of the option registers", ("option.wrp",), 0.3,
      "flash that erasing and programming will not change"),
    # --- work ---------------------------------------------------------------------------------------------------------------------
    M("ram-test", Phase.WORK, "each word of the algorithm's RAM: its own address, then the inverse; after a failure what one page needs",
      ("ram.test",), 5.0,
      "RAM that is missing, smaller, aliased, stuck or not clocked", Effect.WRITE),
    M("algorithm-read-back", Phase.WORK, "the algorithm, read back after its download", ("algo.readback",), 5.0,
      "an algorithm that arrived damaged", Effect.WRITE),
    M("flash-chip", Phase.WORK, "a flash chip beside the processor: identification three times, and status, after the algorithm's Init",
      ("flash.chip_id", "flash.chip_status", "chip.flash_kib", "option.wrp"), 5.0,
      "that it is there, how long it is, and what it protects; its window can be read afterwards", Effect.WRITE),
    M("call", Phase.WORK, "each call: result, where it stopped, exception, reset", ("algo.call", "algo.reset_seen", "core.fault"), 60.0,
      "crashes, resets and time-outs in the algorithm", Effect.WRITE),
    M("flash-compare", Phase.WORK, "every byte of every affected sector, and the pattern of differences",
      ("verify.first", "verify.pattern", "verify.reread", "verify.rewrite", "buffer.readback"), 60.0,
      "that the flash is the file; else not erased, not programmed, stale, worn, or misread", Effect.WRITE),
    # --- after a failure ----------------------------------------------------------------------------------------------------------
    M("sticky-flags", Phase.LINK, "CTRL/STAT as the failed access left it", ("dp.ctrl_stat",), 0.2,
      "whether the chip's bus refused the access or the wires damaged it", Effect.STICKY),
    M("debug-kept", Phase.LINK, "after a new line reset: is the debug mode still on that this job had switched on",
      ("core.debug_lost",), 0.5, "only a power-on clears it: the supply was gone for a moment", Effect.STICKY),
    M("reset-cause-late", Phase.LINK, "the reset-cause register once more", ("reset.cause",), 0.2,
      "a flag that is new names what reset the chip"),
    M("link-errors", Phase.LINK, "64 words of the ROM table, 100 times", ("swd.errors", "probe.errno"), 2.0,
      "how often the wires make errors, and of which kind; that nobody answers any more"),
    M("link-clocks", Phase.LINK, "after errors: the same words at 50 and 100 kHz, 1 and 4 MHz, around the border 20 times more, by turns",
      ("swd.sweep", "swd.turns"), 1.5, "that it is the clock: the highest one without errors"),
    M("target-voltage-after", Phase.LINK, "the target-voltage pin once more", ("vtref",), 0.2, "a supply that broke down under load",
      probes=_VOLTS),
    M("flash-status-after", Phase.CALL, "the flash controller's status, before the next call clears it", ("flash.sr", "flash.busy"), 0.2,
      "protection, wrong order, a controller that hangs"),
    M("reset-cause-after", Phase.CALL, "the reset-cause register once more", ("reset.cause",), 0.2,
      "a flag that is new names what reset the chip under the algorithm"),
    M("limits", Phase.CALL, "the MPU's and the stack limits' registers", ("core.limits",), 0.3,
      "protection units that the old program left on, in the algorithm's way"),
    # --- the program --------------------------------------------------------------------------------------------------------------
    M("running", Phase.AFTER, "DHCSR and program counter, six times over 100 ms, without halting; longer while in reset",
      ("core.dhcsr", "core.dhcsr_ms", "core.pcsr", "core.left_reset_ms"), 4.5,
      "running, asleep, locked up, resetting, in reset until late, or in the boot ROM", Effect.STICKY),
    M("boot-source", Phase.AFTER, "VTOR, and what stands where the core starts, beside the flash", ("core.vtor", "boot.shown"), 0.2,
      "that the chip starts from something else than the flash that was written"),
    M("presence", Phase.LEAVE, "whether the probe is still listed", ("probe.present",), 2.0, "unplugged against hanging"),
)  # fmt: skip
"""Every measurement, in the order in which a job can come to it."""

TOTAL_SECONDS: dict[Phase, float] = {
    Phase.SILENT: 2.5,
    Phase.CORE: 2.5,
    Phase.LINK: 3.0,
    Phase.CALL: 1.0,
}
"""Seconds for all of a phase, where that is less than its measurements' own: what is left then is not begun."""


def of_phase(phase: Phase) -> tuple[Measurement, ...]:
    """The measurements of a phase, in order."""
    return tuple(item for item in LADDER if item.phase is phase)


def page() -> str:
    """``docs/measurements.md``, newline at the end."""
    lines = [
        "# Measurements",
        "",
        "What msdflash measures to find out why a board cannot be flashed, in the order in which it does. This page is made from",
        "`msdflash/job/measurements.py` and `msdflash/job/readings.py` by `python -m msdflash.job.measurements`; do not edit it by hand.",
        "",
        "The ladder is climbed until a cause is proved. It goes through raw accesses before pyOCD's board initialisation, which would",
        "clear the evidence, and lets go of what it drove. Nothing in it writes flash, option bytes or lock registers, and nothing",
        "unlocks. *Price* is what a measurement does to the target: **passive** nothing; **sticky** clears a flag by reading it;",
        "**write** writes RAM or debug registers; **halt** and **reset** are what they say. `msdflash diagnose` without `--reset` pays",
        "no more than *sticky*; a flash job pays all.",
        "",
    ]
    for phase in Phase:
        lines += [f"## {_TITLES[phase]}", "", "| Measurement | Price | Within | Probes | What it proves |", "| --- " * 5 + "|"]
        for item in of_phase(phase):
            price = item.effect.value + (", put back" if item.repair else "")
            probes = ", ".join(item.probes) or "all"
            lines.append(f"| **{item.id}**: {item.title} | {price} | {item.seconds:g} s | {probes} | {item.proves} |")
        limit = TOTAL_SECONDS.get(phase)
        lines += ["", *([f"All of them together: {limit:g} s; what is left then is not begun.", ""] if limit else [])]
    lines += ["## Readings", "", "| Reading | Unit | How it is taken | Measured by |", "| --- | --- | --- | --- |"]
    for name, kind in READINGS.items():
        by = ", ".join(item.id for item in LADDER if name in item.readings) or "the job itself"
        lines.append(f"| `{name}` | {kind.unit} | {kind.how} | {by} |")
    return "\n".join(lines) + "\n"


_TITLES = {
    Phase.HOST: "Computer and USB",
    Phase.PINS: "Pins, before this probe drives anything",
    Phase.PORT: "Debug port",
    Phase.SILENT: "Where the debug port is silent",
    Phase.DARK: "Where debug power is not acknowledged, or the core keeps its debugger waiting",
    Phase.DEBUG: "Behind the debug port",
    Phase.CORE: "The processor",
    Phase.CHIP: "The chip",
    Phase.OPTIONS: "What the chip is set to",
    Phase.WORK: "While flashing",
    Phase.LINK: "After a failure that a bad link can make",
    Phase.CALL: "After a call of the flash algorithm that failed",
    Phase.AFTER: "The program, after its start",
    Phase.LEAVE: "Last",
}

if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
