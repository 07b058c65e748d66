"""Rules about the chip's state, its locks and its identity."""

from __future__ import annotations

from msdflash.diagnose.evidence import ANSWERED_ACKS, FAMILY, Evidence, is_register
from msdflash.diagnose.finding import Finding
from msdflash.diagnose.rules_reset import blocked
from msdflash.diagnose.words import CERTAIN, LIKELY, POSSIBLE, RULED_OUT, UNLIKELY, dp_words, engine_said, found, hex32

S_SLEEP = 1 << 18
S_LOCKUP = 1 << 19
"""Bits of DHCSR (Arm DDI 0403E C1.6.2)."""

DEVICE_EN = 1 << 6
"""AP CSW.DeviceEn (Arm IHI 0031G C2.6.4): 0 = this access port is switched off."""

FLASH_KINDS = frozenset({"locked", "flash-read", "algo-timeout", "algo-fault", "algo-init", "erase", "program", "verify", "timeout"})

GENUINE_DPIDR = {0x410: 0x1BA01477, 0x414: 0x1BA01477}
"""STM32F103 (RM0008 31.6.1, 31.8.1: DEV_ID 0x410 medium and 0x414 high density): Cortex-M3 r1p1, DPIDR 0x1BA01477. Copies: 0x2BA01477."""


def debug_power(e: Evidence) -> Finding | None:
    """The power-up request in DP CTRL/STAT got no acknowledge."""
    if e.kind != "no-power-ack" and e.flag("dp.power_ack") is not False:
        return None
    status = e.register("dp.ctrl_stat")
    words = "the request for debug power was not acknowledged within 100 ms"
    return found(
        "debug-power-not-acknowledged", CERTAIN, words + (f" (CTRL/STAT {hex32(status)})" if status is not None else ""), dp_words(e)
    )


def asleep(e: Evidence) -> Finding | None:
    """Clocks stopped by WFI or a stop mode: sleep flag, WAIT, or no power acknowledge with a living debug port."""
    later = e.series("core.dhcsr")[1:]
    sleeping = sum(1 for value in later if value & S_SLEEP)
    if sleeping and e.kind in {"no-halt", "transfer", "no-power-ack"}:
        return found("asleep", LIKELY, f"the core's sleep flag (DHCSR bit 18) was set on {sleeping} of {len(later)} reads")
    if e.kind in {"no-dp", "no-power-ack"} and any(ack in {"stlink-11", "stlink-20"} for ack in e.acks):
        return found("asleep", LIKELY, f"the ST-LINK answered with {' and '.join(sorted(set(e.acks)))}: somebody is there, without clocks")
    if e.flag("dp.power_ack_under_reset") is True and e.kind == "no-power-ack":
        return found("asleep", LIKELY, "debug power was acknowledged while nRESET was low, and not while the program ran", dp_words(e))
    if e.kind == "no-power-ack" or e.flag("dp.power_ack") is False:
        return found("asleep", POSSIBLE, dp_words(e), "debug power is not acknowledged in deep sleep")
    if e.kind == "no-ap" and e.flag("core.seen_under_reset") is True:
        return found("asleep", LIKELY, "the core kept its debugger waiting, and answered while nRESET was low", dp_words(e))
    if e.kind in {"transfer", "no-ap", "no-dp"} and any(ack in {"wait", "stlink-16", "stlink-20"} for ack in e.acks):
        return found("asleep", POSSIBLE, "the chip answered WAIT and nothing else: its bus clock is stopped or the bus is stuck")
    return None


def core_will_not_halt(e: Evidence) -> Finding | None:
    """C_HALT without S_HALT."""
    if e.kind != "no-halt":
        return None
    seen = e.value("core.halt")
    return found(
        "core-will-not-halt",
        CERTAIN,
        f"100 ms after the halt request DHCSR was {hex32(seen)}"
        if is_register(seen)
        else "the core did not halt within 100 ms of the request",
        blocked(e),
    )


def bus_fault(e: Evidence) -> Finding | None:
    """The target's bus, not the link, refused an access."""
    if e.kind != "transfer":
        return None
    ack = e.acks[-1] if e.acks else ""
    if ack in {"fault", "stlink-17", "stlink-21", "stlink-25"}:
        return found("bus-fault", CERTAIN, "an access was answered with FAULT", dp_words(e), engine_said(e))
    return None


def no_ap(e: Evidence) -> Finding | None:
    """Nothing answers behind the debug port."""
    if e.kind != "no-ap":
        return None
    idr = e.register("ap.idr")
    # An access that was lost on the way to the chip says nothing of what is behind the port.
    lost = bool(e.acks) and e.acks[-1] not in ANSWERED_ACKS
    return found(
        "no-ap",
        POSSIBLE if lost else CERTAIN,
        f"access port 0 identifies itself as {hex32(idr)}" if idr is not None else "access port 0 did not answer",
        dp_words(e),
        engine_said(e),
    )


def debug_locked(e: Evidence) -> Finding | None:
    """The access port is there and switched off: the cheapest sign of a lock. It cannot say which lock."""
    if e.kind == "locked" and not e.has("option.rdp") and not e.has("lock.status") and not e.has("mailbox.session"):
        return found("debug-locked", LIKELY, e.failure.message if e.failure else "", dp_words(e))
    if e.kind not in {"no-ap", "transfer", "no-halt"}:
        return None
    csw = e.register("ap.csw")
    if csw is not None and not csw & DEVICE_EN:
        return found("debug-locked", LIKELY, f"access port 0 is switched off (CSW {hex32(csw)}, DeviceEn bit 6 is 0)", dp_words(e))
    if e.kind == "no-ap" and csw is None:
        return found("debug-locked", POSSIBLE, "a locked chip may hide its access port", dp_words(e))
    return None


def rdp(e: Evidence) -> Finding | None:
    """STM32 read-out protection, read twice; confirmed by flash that faults when read. What a value means, the family's table says."""
    values = e.registers("option.rdp")
    rule = e.family.rdp if e.family else None
    if not values or rule is None:
        return None
    shown = " and ".join(f"0x{value:02X}" for value in values[:3])
    levels = {dict(rule.levels).get(value, rule.otherwise) for value in values}
    if len(set(values)) > 1:
        return found("rdp1", UNLIKELY, f"the protection field read {shown}: two different values are no reading")
    level = levels.pop()
    if level == "0":
        return found("rdp1", RULED_OUT, f"the protection field read {shown}: open") if e.kind in FLASH_KINDS else None
    if e.family and e.family.id == "nrf51":
        sure = CERTAIN if len(values) > 1 else LIKELY
        return found("nrf51-readback", sure, f"RBPCONF.PALL read {shown}; 0xFF would be open", dp_words(e))
    read = f"the protection field read {shown}: level {level}"
    if level == "2":
        return found("rdp2", LIKELY if len(values) > 1 else POSSIBLE, read)
    fault = e.register("flash.read_fault")
    confirmed = f"reading flash at {hex32(fault)} faulted" if fault is not None else ""
    if len(values) < 2:
        return found("rdp1", LIKELY if confirmed else POSSIBLE, read + ", read once", confirmed)
    return found("rdp1", CERTAIN if confirmed else LIKELY, read, confirmed)


def wrong_target(e: Evidence) -> Finding | None:
    """The identity register against what the chosen target stands for."""
    expected = e.table("target.expected")
    given = expected.get("dev_ids")
    # A device id of 0 in the table stands for a family without one.
    ids = [item for item in given if is_register(item) and item] if isinstance(given, (list, tuple)) else []
    dev_id = e.register("chip.dev_id")
    name = str(expected.get("target") or (e.outcome.target.name if e.outcome.target else ""))[:40]
    if dev_id not in (None, 0, 0xFFF, 0xFFFFFFFF) and ids:
        should = " or ".join(f"0x{item:03X}" for item in ids[:4])
        if dev_id in ids and _same_family(e):
            if e.kind in {"image", ""}:
                return None
            return found("wrong-target", RULED_OUT, f"the chip's device id 0x{dev_id:03X} matches the target {name}")
        return found(
            "wrong-target", CERTAIN, f"the chip's device id is 0x{dev_id:03X}; {name} has {should}", expected=name, found=f"0x{dev_id:03X}"
        )
    by_core = _wrong_core(e, expected.get("family"), name) if dev_id is None else None
    if by_core is None and e.kind == "wrong-chip":
        return found("wrong-target", LIKELY, e.failure.message if e.failure else "", dp_words(e))
    return by_core


def _wrong_core(e: Evidence, family_id: object, name: str) -> Finding | None:
    """Where the chip did not name itself: its core against those of the chosen target's family. Two registers make it certain."""
    family = FAMILY.get(str(family_id))
    cpuid = e.register("core.cpuid")
    if family is None or cpuid is None or cpuid in (0, 0xFFFFFFFF) or cpuid >> 4 & 0xFFF in family.cores:
        return None
    other_port = e.dpidr is not None and e.dpidr not in family.dpidrs
    words = f"the core is none that chips of the family {family.title} have (CPUID {hex32(cpuid)}), and {name} is one of these"
    return found("wrong-target", CERTAIN if other_port else LIKELY, words, dp_words(e) if other_port else "", expected=name)


def _same_family(e: Evidence) -> bool:
    expected, seen = e.table("target.expected").get("family"), e.text("chip.family")
    return not isinstance(expected, str) or not seen or expected == seen


def clone_chip(e: Evidence) -> Finding | None:
    """A known device id with another debug port than the genuine part has."""
    dev_id, dpidr = e.register("chip.dev_id"), e.dpidr
    genuine = GENUINE_DPIDR.get(dev_id) if dev_id is not None else None
    if genuine is None or dpidr is None or dpidr == genuine:
        return None
    relevant = e.kind in FLASH_KINDS | {"ram", "wrong-chip", "unknown-target"}
    return found(
        "clone-chip",
        LIKELY,
        f"device id 0x{dev_id:03X} comes with DPIDR {hex32(dpidr)}; the genuine part has {hex32(genuine)}",
        aside=not relevant,
    )


def target_unknown(e: Evidence) -> Finding | None:
    """Neither the user nor the silicon names a target that the engine knows."""
    if e.kind != "unknown-target":
        return None
    idcode, cpuid = e.register("chip.idcode"), e.register("core.cpuid")
    return found(
        "target-unknown",
        CERTAIN,
        f"identity register {hex32(idcode)}" if idcode is not None else "",
        f"CPUID {hex32(cpuid)}" if cpuid is not None else "",
        dp_words(e),
        e.failure.message if e.failure else "",
    )


def app_state(e: Evidence) -> Finding | None:
    """What the chip does after its flash was proved."""
    if e.outcome.running == "locked-up":
        later = e.series("core.dhcsr")[1:]
        locked = sum(1 for value in later if value & S_LOCKUP)
        return found(
            "app-locked-up",
            CERTAIN,
            f"the core's lockup flag (DHCSR bit 19) was set on {locked} of {len(later)} reads"
            if locked
            else "after the reset the core went into lockup",
        )
    if e.outcome.running == "halted" and e.outcome.proved:
        return found("app-halted", CERTAIN, "after the reset the core was halted")
    return None


CHIP_RULES = (debug_locked, asleep, rdp, wrong_target, clone_chip, target_unknown, app_state)
CHIP_SYMPTOMS = (debug_power, no_ap, core_will_not_halt, bus_fault)
