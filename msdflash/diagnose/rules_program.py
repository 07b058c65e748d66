"""Rules about what the program in the chip does to its debugger, and about where the chip starts from."""

from __future__ import annotations

from msdflash.chips.families import boot_rom, family_of_target
from msdflash.diagnose.evidence import FAMILY, Evidence, is_register
from msdflash.diagnose.finding import Finding
from msdflash.diagnose.rules_wires import NO_SUPPLY, all_failed, mute
from msdflash.diagnose.words import CERTAIN, LIKELY, POSSIBLE, dp_words, found, hex32, sweep_words

CALL_FAILED = frozenset({"algo-fault", "algo-timeout", "algo-init", "erase", "program"})
GUARD_FAULTS = 1 << 0 | 1 << 1 | 1 << 20
"""CFSR IACCVIOL, DACCVIOL (Arm DDI 0403E B3.2.15) and, on Armv8-M, STKOF (from memory: Arm DDI 0553, UFSR bit 4)."""

ALL_ONES = 0xFFFFFFFF


def _only_without_program(e: Evidence) -> bool:
    """The port answered while the program did not run, and not otherwise."""
    if any(good == reads for _, good, reads in e.sweep):
        return False
    return e.silent and (e.dpidr_under_reset is not None or e.flag("swd.after_pulse") is True)


def _now_and_then(e: Evidence) -> bool:
    """It came right on some reads and not on others, in no order with the clock."""
    rows = e.sweep
    mixed = [row for row in rows if 0 < row[1] < row[2]]
    return e.silent and bool(mixed) and len({row[1] == row[2] for row in rows}) == 1


def _unpowered(e: Evidence) -> bool:
    return e.vtref is not None and e.vtref < NO_SUPPLY


def deep_sleep(e: Evidence) -> Finding | None:
    """Standby, Shutdown, System OFF: the port is dead until the next reset."""
    if _now_and_then(e):
        return found("deep-sleep", POSSIBLE, sweep_words(e), "a chip that sleeps most of the time answers now and then, at any clock")
    return _by_program(e, "deep-sleep", "stop, standby and shutdown modes end with a reset, and the port answered only so")


def swd_pins_taken(e: Evidence) -> Finding | None:
    """SWDIO or SWCLK as a port pin: dead from that line of the program on."""
    return _by_program(e, "swd-pins-taken", "pins that the program took go back to the debug port in reset, and it answered only so")


def _by_program(e: Evidence, cause: str, because: str) -> Finding | None:
    if e.dpidr is not None and all_failed(e) and not e.outcome.changed.halted:
        return found(cause, POSSIBLE, "the port answered at first, and nothing did any more while the program ran on")
    if _only_without_program(e):
        return found(
            cause, POSSIBLE, because, dp_words(e) if e.dpidr_under_reset is not None else "it answered right after a pulse on nRESET"
        )
    if not mute(e) or any(good for _, good, _ in e.sweep) or _unpowered(e):
        return None
    if not e.has("swd.dpidr_under_reset"):
        return found(cause, POSSIBLE, "it would look like this; not tried under reset")
    return found(cause, POSSIBLE, "silent under reset, too, but whether nRESET reaches the chip is not proven")


def lpc_crp(e: Evidence) -> Finding | None:
    """The word at 0x2FC switches the whole port off (UM10360 32.6): told where the board has such a chip."""
    if not mute(e) or not e.is_family("lpc17", "lpc11", "lpc13", "lpc8", "lpc40", "lpc43", "lpc18") or _unpowered(e):
        return None
    return found(
        "lpc-crp", POSSIBLE, f"the board has an {e.families[0]}, and code read protection makes its debug port deaf, also in reset"
    )


def supply_set_wrong(e: Evidence) -> Finding | None:
    """STM32H7 with an SMPS: a wrong choice lasts until power is gone, and bites after the next power-on."""
    if not mute(e) or not e.is_family("stm32h7") or _unpowered(e):
        return None
    return found(
        "supply-set-wrong", POSSIBLE, f"the board has an {e.families[0]}; with a supply chosen that it is not wired for it is silent"
    )


def boot_source(e: Evidence) -> Finding | None:
    """Where the core starts, and where it is, after a good flash or in a plain look."""
    if e.kind:
        return None
    family = FAMILY.get(e.text("chip.family")) or (family_of_target(e.outcome.target.name) if e.outcome.target else None)
    roms = boot_rom(family) if family is not None else ()

    def in_rom(address: int) -> bool:
        return any(first <= address <= last for first, last in roms)

    # Zero is what a core without such samples gives (DDI 0419 C1.8).
    counters = [value for value in e.series("core.pcsr") if value not in (ALL_ONES, 0)]
    there = len(counters) >= 3 and all(in_rom(value) for value in counters)
    words = (
        f"the program counter was in the maker's boot ROM on {len(counters)} of {len(counters)} looks ({hex32(counters[-1])})"
        if there
        else ""
    )
    cell = e.table("boot.shown")
    vector = cell["shown"][1] if _pair(cell.get("shown")) and _pair(cell.get("flash")) else None
    shown = vector is not None and cell["shown"] != cell["flash"] and in_rom(vector)
    table = (
        f"at {hex32(cell.get('at'))}, where the core starts, stands the reset vector {hex32(vector)}, which lies in the boot ROM"
        if shown
        else ""
    )
    vtor = e.register("core.vtor")
    in_force = vtor is not None and vtor != 0 and in_rom(vtor)
    if not there and not shown:
        return None
    vectors = f"the vector table in force lies in the boot ROM (VTOR {hex32(vtor)})" if in_force else ""
    return found("boot-source", CERTAIN if there and (shown or in_force) else LIKELY, words, table, vectors)


def _pair(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(is_register, value))


def memory_guard(e: Evidence) -> Finding | None:
    """MPU or stack limits that are on while a call of the algorithm fails."""
    cell = e.table("core.limits")
    on = [name for name in ("msplim", "psplim") if is_register(cell.get(name)) and cell[name]]
    if is_register(cell.get("mpu")) and cell["mpu"] & 1:
        on.insert(0, "MPU_CTRL")
    if not on or e.kind not in CALL_FAILED:
        return None
    faults = e.table("core.fault").get("cfsr")
    guilty = is_register(faults) and bool(faults & GUARD_FAULTS)
    shown = ", ".join(f"{name} {hex32(cell['mpu' if name == 'MPU_CTRL' else name])}" for name in on)
    reason = f"CFSR {hex32(faults)} says that a protected address was touched" if guilty else ""
    return found("memory-guard-left-on", LIKELY if guilty else POSSIBLE, f"still set while the algorithm ran: {shown}", reason)


def second_debugger(e: Evidence) -> Finding | None:
    """Debug mode was on before we came, and then something went wrong that somebody else can have done."""
    if e.flag("core.debug_was_on") is not True or e.kind not in {"no-halt", "reset-under-algorithm", "algo-readback", "ram", "transfer"}:
        return None
    return found("second-debugger", POSSIBLE, "the core's debug mode (C_DEBUGEN) was on at the first look", aside=True)


PROGRAM_RULES = (deep_sleep, swd_pins_taken, boot_source, memory_guard, lpc_crp, supply_set_wrong, second_debugger)
