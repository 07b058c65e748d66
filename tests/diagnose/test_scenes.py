"""Every cause: an evidence set that shows it, and the same set without its decisive evidence, which must not.

The evidence is written down from the manuals' and the probes' behaviour (register bits, acknowledge values, error numbers), not from
the rules.
"""

from __future__ import annotations

from typing import Any

import msgspec

from msdflash.diagnose.causes import CATALOGUE, UNEXPLAINED
from msdflash.diagnose.causes_drive import DRIVE_CAUSES
from msdflash.diagnose.causes_host import HOST_CAUSES
from msdflash.diagnose.causes_image import IMAGE_CAUSES
from msdflash.diagnose.finding import Confidence, Diagnosis
from msdflash.diagnose.rules import diagnose
from msdflash.job.outcome import Changed, Failure, Outcome, ProbeFacts, TargetFacts
from msdflash.job.readings import READINGS, Reading
from msdflash.job.steps import Step

RESET = 0x0201_0001  # S_RESET_ST, S_REGRDY, C_DEBUGEN
RUNS = 0x0101_0000  # S_RETIRE_ST, S_REGRDY
SLEEPS = 0x0005_0000  # S_SLEEP, S_REGRDY
LOCKUP = 0x0009_0000  # S_LOCKUP, S_REGRDY
DP = 0x2BA0_1477
ANSWERS: dict[str, Any] = {"swd.dpidr": DP, "dp.power_ack": True, "ap.idr": 0x2477_0011, "ap.csw": 0x2300_0052, "core.cpuid": 0x410F_C241}
LOOPS = ANSWERS | {"core.dhcsr": [RESET, RESET, RUNS, RESET, RUNS, RESET]}
HELD = ANSWERS | {"core.dhcsr": [RESET] * 6, "core.dhcsr_ms": 101.0, "core.reset_catch": "still-in-reset"}
SILENT: dict[str, Any] = {"swd.ack": "no-ack", "swd.sweep": {"100000": [0, 3], "1000000": [0, 3], "4000000": [0, 3]}}
CALL = {"function": "EraseSector", "address": 0x0800_1000, "length": 2048, "r0": 1, "pc": 0x2000_0000, "ipsr": 0, "timeout_s": None}
OVERRUN = CALL | {"r0": None, "timeout_s": 5.0}
BAD = {"ok": False, "address": 0x2000_0040, "wrote": 0x2000_0040, "read": 0x2000_0044, "bad": 3, "words": 256}
DIFFERS = {"address": 0x0800_0400, "expected": 0x12, "read": 0xFF, "bad": 64, "bytes": 4096}


def _cell(*flags: str) -> dict[str, Any]:
    return {"flags": list(flags), "words": [0]}


class Scene(msgspec.Struct, frozen=True):
    """An outcome by its parts, and what makes its cause: readings to take away, or "kind"."""

    cause: str
    confidence: str
    kind: str
    readings: dict[str, Any]
    decisive: tuple[str, ...]
    first: bool = True
    step: Step = Step.MEASURE
    probe: str = "cmsis-dap"
    target: str = "stm32l476rg"
    running: str = "unknown"
    instead: dict[str, Any] = msgspec.field(default_factory=dict)


def outcome(scene: Scene, readings: dict[str, Any], kind: str) -> Outcome:
    failure = Failure(scene.step, kind, "it stopped") if kind else None
    return Outcome(
        job="7",
        proved=not kind,
        failure=failure,
        running=scene.running,
        readings=tuple(Reading(name, value, index / 10) for index, (name, value) in enumerate(_one_by_one(readings))),
        probe=ProbeFacts("0240", scene.probe),
        target=TargetFacts(scene.target) if scene.target else None,
        changed=Changed(connected=True),
    )


def _one_by_one(readings: dict[str, Any]) -> list[tuple[str, Any]]:
    """Readings in time order; those that are taken twice are written as a list."""
    twice = {"vtref", "reset.cause"}
    return [(name, item) for name, value in readings.items() for item in (value if name in twice and isinstance(value, list) else [value])]


PACK_CAUSES = tuple(entry for entry in HOST_CAUSES if entry.id.startswith("pack-"))
"""Proved by reading the pack, as those of the file are by reading the file."""

S = Scene
SCENES: tuple[Scene, ...] = (
    # --- computer, USB, probe ---------------------------------------------------------------------------------------------
    S(
        "no-probe",
        "certain",
        "no-probe",
        {"probe.found": False, "probe.listed": [], "usb.node": {"present": False}},
        ("kind",),
        step=Step.OPEN,
    ),
    S(
        "usb-permission",
        "certain",
        "no-probe",
        {"probe.found": False, "probe.errno": 13, "usb.node": {"present": True, "vid": 0x0D28, "pid": 0x204}},
        ("probe.errno", "usb.node"),
        step=Step.OPEN,
    ),
    S("probe-ambiguous", "certain", "probe-ambiguous", {"probe.found": True, "probe.twins": 2}, ("probe.twins",), step=Step.OPEN),
    S(
        "probe-no-serial",
        "certain",
        "no-probe",
        {
            "probe.found": False,
            "usb.node": {"present": True, "vid": 0x0483, "pid": 0x374B, "serial": "0240"},
            "usb.nameless": ["0483:374b"],
            "engine.error": "stlink: TypeError: object of type 'NoneType' has no len()",
        },
        ("usb.nameless",),
        step=Step.OPEN,
    ),
    S("probe-slow", "likely", "timeout", {"probe.found": True, "engine.deadline": 15.0}, ("kind",), step=Step.OPEN),
    S(
        "probe-busy",
        "certain",
        "probe-open",
        {"probe.errno": 16, "probe.holder": "openocd (pid 812)"},
        ("probe.errno", "probe.holder"),
        step=Step.OPEN,
    ),
    S("probe-vanished", "certain", "usb", {"probe.errno": 19, "probe.present": False}, ("probe.errno", "probe.present"), step=Step.PROGRAM),
    S(
        "probe-hung",
        "certain",
        "usb",
        {"probe.errno": 110, "probe.present": True, "probe.hung": 10.0},
        ("probe.errno", "probe.hung"),
        step=Step.ERASE,
    ),
    S("usb-unstable", "likely", "usb", {"probe.errno": 71, "probe.present": True}, ("probe.errno",), step=Step.PROGRAM),
    S("probe-fw-fault", "likely", "usb", {"probe.errno": 32}, ("probe.errno",), step=Step.OPEN),
    S(
        "probe-fw-too-old",
        "certain",
        "probe-open",
        {"engine.error": "ProbeError: STLink 1 is using an unsupported, older firmware version. Please update"},
        ("engine.error",),
        step=Step.OPEN,
    ),
    S(
        "probe-fw-refuses-target",
        "likely",
        "no-ap",
        {"swd.dpidr": DP, "swd.ack": "stlink-29"},
        ("swd.ack",),
        probe="stlink",
        target="nrf52832",
    ),
    S(
        "probe-in-bootloader",
        "certain",
        "no-probe",
        {"probe.found": False, "usb.node": {"present": True, "vid": 0x0483, "pid": 0x374D}},
        ("usb.node",),
        step=Step.OPEN,
    ),
    S("probe-open-failed", "certain", "probe-open", {"engine.error": "RuntimeError: no"}, ("kind",), step=Step.OPEN),
    S(
        "disk-full",
        "certain",
        "unexpected",
        {"engine.error": "OSError: [Errno 28] No space left on device"},
        ("engine.error",),
        step=Step.TAKE,
    ),
    S("undo-not-kept", "certain", "undo", {"engine.error": "[Errno 13] Permission denied"}, ("kind",), step=Step.PLAN),
    S("engine-crash", "certain", "crash", {"engine.exit": "signal 11"}, ("kind",), step=Step.PROGRAM),
    S("engine-timeout", "certain", "timeout", {"engine.deadline": 10.0}, ("kind",), step=Step.CONNECT),
    S("interrupted", "certain", "interrupted", {"engine.interrupted": 2}, ("kind",), step=Step.PROGRAM),
    S("cancelled", "certain", "cancelled", {}, ("kind",), step=Step.PROGRAM),
    S("unexplained", "possible", "unexpected", {"engine.error": "KeyError: 1"}, ("kind",), instead={"kind": "cancelled"}),
    # --- power and wires --------------------------------------------------------------------------------------------------
    S("swd-silent", "certain", "no-dp", SILENT, ("kind",), target=""),
    S("no-target-power", "likely", "no-dp", SILENT | {"vtref": 0.02}, ("vtref",), probe="stlink"),
    S("target-voltage-low", "likely", "no-dp", SILENT | {"vtref": 1.1}, ("vtref",), probe="jlink"),
    S("vtref-not-wired", "certain", "verify", ANSWERS | {"vtref": 0.0, "verify.first": DIFFERS}, ("vtref",), first=False, probe="stlink"),
    S("level-mismatch", "likely", "no-dp", SILENT | {"vtref": 5.02}, ("vtref",), probe="stlink"),
    S("swd-open", "possible", "no-dp", SILENT, ("kind",), first=False, target=""),
    S("swd-swapped", "possible", "no-dp", SILENT, ("kind",), first=False, target=""),
    S("chip-dead", "possible", "no-dp", SILENT, ("kind",), first=False, target=""),
    S("swd-short", "likely", "no-dp", SILENT | {"swd.ack": "ack-0", "vtref": 3.3}, ("swd.ack",), probe="jlink"),
    S("debug-off", "likely", "no-dp", SILENT | {"swd.dpidr_under_reset": DP}, ("swd.dpidr_under_reset",)),
    S(
        "link-noise",
        "certain",
        "no-dp",
        {
            "swd.ack": "parity",
            "swd.sweep": {"100000": [3, 3], "1000000": [23, 23], "4000000": [2, 23]},
            "swd.turns": [[4000000, 1, 10], [1000000, 10, 10], [4000000, 0, 10], [1000000, 10, 10]],
        },
        ("swd.sweep", "swd.turns"),
    ),
    S(
        "link-noise",
        "likely",
        "transfer",
        ANSWERS | {"swd.errors": {"reads": 6400, "errors": 41, "kinds": {"parity": 30, "no-ack": 11}}},
        ("swd.errors",),
    ),
    S(
        "target-lost",
        "certain",
        "transfer",
        ANSWERS | {"swd.ack": "no-ack", "swd.errors": {"reads": 640, "errors": 10, "kinds": {"no-ack": 10}}},
        ("swd.errors",),
        step=Step.PROGRAM,
    ),
    # --- reset ------------------------------------------------------------------------------------------------------------
    S(
        "held-in-reset",
        "certain",
        "core-in-reset",
        HELD,
        ("core.dhcsr", "core.reset_catch"),
        probe="stlink",
        instead={"core.dhcsr": [RUNS] * 2},
    ),
    S(
        "reset-held-by-board",
        "likely",
        "core-in-reset",
        HELD | {"nreset.undriven": [0] * 10, "nreset.pin_proven": True, "nreset.connected": [0] * 5},
        ("nreset.undriven",),
        first=False,
        instead={"nreset.undriven": [1] * 10},
    ),
    S(
        "reset-held-by-probe",
        "possible",
        "core-in-reset",
        HELD | {"nreset.undriven": [0] * 10, "nreset.pin_proven": False},
        ("nreset.undriven",),
        first=False,
        instead={"nreset.undriven": [1] * 10},
    ),
    S(
        "reset-held-by-own-session",
        "likely",
        "core-in-reset",
        HELD | {"nreset.undriven": [1] * 10, "nreset.connected": [0] * 5},
        ("nreset.connected",),
        first=False,
    ),
    S(
        "reset-released-late",
        "likely",
        "no-halt",
        HELD | {"core.reset_catch": "halted", "nreset.rise_ms": 420.0},
        ("nreset.rise_ms",),
        probe="stlink",
    ),
    S(
        "reset-weakly-held",
        "likely",
        "verify",
        ANSWERS | {"nreset.undriven": [0] * 10, "nreset.connected": [1] * 5, "verify.first": DIFFERS},
        ("nreset.connected",),
        first=False,
    ),
    S("reset-loop", "certain", "no-halt", ANSWERS | {"core.dhcsr": [RESET, RESET, RUNS, RESET, RUNS, RESET]}, ("core.dhcsr",)),
    S(
        "reset-loop",
        "likely",
        "no-halt",
        HELD | {"core.reset_catch": "halted", "nreset.rise_ms": 0.4},
        ("core.reset_catch",),
        probe="stlink",
    ),
    # --- the program in the chip, and what resets it ----------------------------------------------------------------------
    S("deep-sleep", "possible", "no-dp", SILENT | {"swd.dpidr_under_reset": DP}, ("kind",), first=False),
    S("swd-pins-taken", "possible", "no-dp", SILENT | {"swd.dpidr_under_reset": DP}, ("kind",), first=False),
    S("debug-off", "likely", "no-dp", SILENT | {"swd.dpidr_under_reset": None, "swd.after_pulse": True}, ("swd.after_pulse",)),
    S("lpc-crp", "possible", "no-dp", SILENT, ("kind",), first=False, target="lpc1768"),
    S("supply-set-wrong", "possible", "no-dp", SILENT, ("kind",), first=False, target="stm32h743xx"),
    S(
        "watchdog",
        "likely",
        "reset-under-algorithm",
        ANSWERS | {"algo.reset_seen": True, "reset.cause": [_cell("PINRSTF"), _cell("PINRSTF", "IWDGRSTF")]},
        ("reset.cause",),
        step=Step.ERASE,
    ),
    S("watchdog", "likely", "no-halt", LOOPS | {"reset.cause": _cell("PINRSTF", "IWDGRSTF")}, ("reset.cause",)),
    S(
        "lockup-reset",
        "likely",
        "no-halt",
        LOOPS | {"chip.family": "kinetis-k6x", "reset.cause": _cell("LOCKUP")},
        ("reset.cause",),
        target="k64f",
    ),
    S(
        "brown-out",
        "likely",
        "reset-under-algorithm",
        ANSWERS | {"algo.reset_seen": True, "vtref": [3.29, 2.41]},
        ("vtref",),
        step=Step.ERASE,
        probe="stlink",
    ),
    S(
        "brown-out",
        "likely",
        "reset-under-algorithm",
        ANSWERS | {"algo.reset_seen": True, "reset.cause": [_cell("PINRSTF"), _cell("PINRSTF", "BORRSTF")]},
        ("reset.cause",),
        step=Step.ERASE,
    ),
    S("reset-by-pin", "likely", "no-halt", LOOPS | {"reset.cause": _cell("PINRSTF")}, ("reset.cause",)),
    S(
        "boot-source",
        "certain",
        "",
        {
            "chip.family": "stm32l4",
            "core.pcsr": [0x1FFF_0A10, 0x1FFF_0A14, 0x1FFF_0A10, 0x1FFF_0A12],
            "boot.shown": {"at": 0, "shown": [0x2000_2000, 0x1FFF_0D01], "flash": [0x2001_0000, 0x0800_0189]},
        },
        ("core.pcsr", "boot.shown"),
        running="running",
    ),
    S(
        "memory-guard-left-on",
        "likely",
        "algo-fault",
        ANSWERS | {"core.limits": {"mpu": 5}, "core.fault": {"cfsr": 0x82, "ipsr": 4}, "algo.call": CALL | {"ipsr": 4}},
        ("core.limits",),
        first=False,
        step=Step.ERASE,
    ),
    S("second-debugger", "possible", "ram", ANSWERS | {"core.debug_was_on": True, "ram.test": BAD}, ("core.debug_was_on",), first=False),
    S("nreset-no-effect", "certain", "", ANSWERS | {"nreset.no_effect": True}, ("nreset.no_effect",), running="running"),
    S(
        "probe-interface-taken",
        "likely",
        "probe-open",
        {"probe.errno": 16, "usb.drivers": ["cdc_acm"]},
        ("usb.drivers",),
        first=False,
        step=Step.OPEN,
    ),
    S(
        "probe-cannot-reach-chip",
        "certain",
        "unexpected",
        {"engine.error": "TargetSupportError: RP2040 requires a debug probe with SWD sequence capability"},
        ("engine.error",),
        step=Step.CONNECT,
    ),
    # --- chip -------------------------------------------------------------------------------------------------------------
    S(
        "debug-power-not-acknowledged",
        "certain",
        "no-power-ack",
        {"swd.dpidr": DP, "dp.power_ack": False, "dp.ctrl_stat": 0x5000_0000},
        ("kind", "dp.power_ack"),
    ),
    S("asleep", "likely", "no-halt", ANSWERS | {"core.dhcsr": [SLEEPS] * 2}, ("core.dhcsr",)),
    S("asleep", "likely", "no-dp", {"swd.ack": "stlink-11", "vtref": 3.3}, ("swd.ack",), probe="stlink"),
    S("core-will-not-halt", "certain", "no-halt", ANSWERS | {"core.dhcsr": [RUNS] * 2, "core.halt": RUNS}, ("kind",)),
    S("bus-fault", "certain", "transfer", ANSWERS | {"swd.ack": "fault"}, ("swd.ack",)),
    S("no-ap", "certain", "no-ap", {"swd.dpidr": DP, "ap.idr": 0}, ("kind",)),
    S("debug-locked", "likely", "no-ap", ANSWERS | {"ap.csw": 0x0000_0002}, ("ap.csw",)),
    S("app-locked-up", "certain", "", {"core.dhcsr": [LOCKUP] * 4}, ("running",), running="locked-up"),
    S("app-halted", "certain", "", {}, ("running",), running="halted"),
    S(
        "nrf-approtect",
        "certain",
        "locked",
        {"swd.dpidr": DP, "ap.idr": 0x2477_0011, "ap.csw": 0x0300_0000, "lock.family": "nrf52", "lock.status": [0, 0]},
        ("lock.status",),
        target="",
    ),
    S(
        "kinetis-security",
        "certain",
        "locked",
        {"swd.dpidr": DP, "ap.idr": 0x2477_0011, "ap.csw": 0x0300_0000, "lock.family": "kinetis-k6x", "lock.status": [0x2E] * 10},
        ("lock.status",),
        target="",
    ),
    S(
        "lpc55-debug-locked",
        "certain",
        "locked",
        {
            "swd.dpidr": 0x6BA0_2477,
            "ap.idr": 0,
            "lock.family": "lpc55xx",
            "mailbox.session": [{"answer": 1, "idr": 0}, {"answer": 1, "idr": 0}],
        },
        ("mailbox.session",),
        target="",
    ),
    S(
        "boot-rom-only",
        "certain",
        "no-ap",
        {"swd.dpidr": 0x6BA0_2477, "ap.idr": 0, "lock.family": "lpc55xx"},
        ("lock.family",),
        target="",
    ),
    S(
        "nrf51-readback",
        "certain",
        "locked",
        {"swd.dpidr": 0x0BB1_1477, "chip.family": "nrf51", "option.rdp": [0, 0]},
        ("option.rdp",),
        target="",
    ),
    S(
        "rdp1",
        "certain",
        "locked",
        ANSWERS | {"chip.family": "stm32l4", "option.rdp": [0xBB, 0xBB], "flash.read_fault": 0x0800_0000},
        ("option.rdp",),
    ),
    S("rdp2", "likely", "locked", ANSWERS | {"chip.family": "stm32l4", "option.rdp": [0xCC, 0xCC]}, ("option.rdp",)),
    S(
        "write-protected-sector",
        "certain",
        "erase",
        ANSWERS | {"chip.family": "stm32l4", "algo.call": CALL, "option.wrp": [[0x0800_1000, 0x0800_17FF]], "flash.sr": 0x10},
        ("option.wrp", "flash.sr"),
        step=Step.ERASE,
    ),
    S(
        "wrong-target",
        "certain",
        "wrong-chip",
        ANSWERS | {"chip.dev_id": 0x435, "target.expected": {"target": "stm32l475xg", "dev_ids": [0x415]}},
        ("chip.dev_id",),
        instead={"chip.dev_id": 0x415, "kind": "algo-init"},
    ),
    S(
        "clone-chip",
        "likely",
        "algo-init",
        ANSWERS | {"chip.dev_id": 0x410, "algo.call": CALL},
        ("swd.dpidr",),
        instead={"swd.dpidr": 0x1BA0_1477},
        target="stm32f103rb",
    ),
    S("target-unknown", "certain", "unknown-target", ANSWERS | {"chip.idcode": 0x1000_6999}, ("kind",)),
    S("ram-unclocked", "certain", "ram", ANSWERS | {"ram.test": BAD | {"kind": "fault"}}, ("ram.test",), step=Step.LOAD),
    S("ram-smaller", "likely", "ram", ANSWERS | {"ram.test": BAD | {"kind": "alias"}}, ("ram.test",), step=Step.LOAD),
    S("ram-lost", "certain", "ram", ANSWERS | {"ram.test": BAD | {"bad": 256, "kind": "lost"}}, ("ram.test",), step=Step.LOAD),
    S("ram-bad", "certain", "ram", ANSWERS | {"ram.test": BAD | {"kind": "stuck"}}, ("ram.test",), step=Step.LOAD),
    S(
        "algo-download-corrupt",
        "certain",
        "algo-readback",
        ANSWERS | {"ram.test": {"ok": True, "words": 512}, "algo.readback": BAD},
        ("algo.readback",),
        step=Step.LOAD,
    ),
    S(
        "algo-faulted",
        "certain",
        "algo-fault",
        ANSWERS | {"algo.call": CALL | {"ipsr": 3}, "core.fault": {"pc": 0x2000_0100, "ipsr": 3, "cfsr": 0x8200}},
        ("kind", "algo.call", "core.fault"),
        step=Step.ERASE,
    ),
    S(
        "algo-wrong-architecture",
        "likely",
        "algo-fault",
        ANSWERS | {"core.fault": {"pc": 0x2000_0100, "cfsr": 0x1_0000}},
        ("core.fault",),
        first=False,
        step=Step.ERASE,
    ),
    S("algo-init-failed", "certain", "algo-init", ANSWERS | {"algo.call": CALL | {"function": "Init"}}, ("kind",), step=Step.ERASE),
    S("algo-reset", "certain", "reset-under-algorithm", ANSWERS | {"algo.reset_seen": True}, ("kind", "algo.reset_seen"), step=Step.ERASE),
    S("algo-timeout", "certain", "algo-timeout", ANSWERS | {"algo.call": OVERRUN}, ("algo.call",), step=Step.ERASE),
    S(
        "algo-timeout-flash-busy",
        "certain",
        "algo-timeout",
        ANSWERS | {"algo.call": OVERRUN, "flash.busy": True},
        ("flash.busy",),
        step=Step.ERASE,
    ),
    S(
        "locks-at-reset",
        "certain",
        "program",
        ANSWERS | {"algo.call": CALL, "flash.critical": {"address": 0x400, "open": False, "effect": "the chip is secured"}},
        ("flash.critical",),
        first=False,
        step=Step.PROGRAM,
    ),
    # --- flash ------------------------------------------------------------------------------------------------------------
    S("flash-unreadable", "certain", "flash-read", ANSWERS | {"flash.read_fault": 0x0800_0000}, ("kind",), step=Step.PLAN),
    S("erase-failed", "certain", "erase", ANSWERS | {"algo.call": CALL}, ("kind",), step=Step.ERASE),
    S("program-failed", "certain", "program", ANSWERS | {"algo.call": CALL | {"function": "ProgramPage"}}, ("kind",), step=Step.PROGRAM),
    S(
        "program-mismatch",
        "certain",
        "verify",
        ANSWERS | {"verify.first": DIFFERS, "verify.pattern": "mixed", "verify.reread": "same"},
        ("kind",),
        step=Step.VERIFY,
    ),
    S(
        "erase-ineffective",
        "likely",
        "verify",
        ANSWERS | {"verify.first": DIFFERS, "verify.pattern": "not-erased", "verify.reread": "same"},
        ("verify.pattern",),
        step=Step.VERIFY,
    ),
    S(
        "program-ineffective",
        "likely",
        "verify",
        ANSWERS | {"verify.first": DIFFERS, "verify.pattern": "not-programmed", "verify.reread": "same"},
        ("verify.pattern",),
        step=Step.VERIFY,
    ),
    S(
        "flash-unchanged",
        "likely",
        "verify",
        ANSWERS | {"verify.first": DIFFERS, "verify.pattern": "old-content", "verify.reread": "same"},
        ("verify.pattern",),
        step=Step.VERIFY,
    ),
    S("flash-chip-silent", "certain", "flash-chip", ANSWERS | {"flash.chip_id": "ffffff"}, ("flash.chip_id",), step=Step.CONNECT),
    S(
        "flash-worn",
        "likely",
        "verify",
        ANSWERS | {"verify.first": DIFFERS, "verify.pattern": "bits", "verify.reread": "same"},
        ("verify.reread",),
        step=Step.VERIFY,
    ),
    S(
        "verify-misread",
        "certain",
        "verify",
        ANSWERS | {"verify.first": DIFFERS, "verify.pattern": "bits", "verify.reread": "moved"},
        ("verify.reread",),
        step=Step.VERIFY,
    ),
    S(
        "stale-buffer",
        "likely",
        "verify",
        ANSWERS | {"verify.first": DIFFERS, "verify.pattern": "stale-buffer", "verify.reread": "same"},
        ("verify.pattern",),
        step=Step.VERIFY,
    ),
    S(
        "data-corrupted-on-the-way",
        "likely",
        "verify",
        ANSWERS | {"verify.first": DIFFERS, "verify.pattern": "mixed", "buffer.readback": BAD},
        ("buffer.readback",),
        step=Step.VERIFY,
    ),
)


def standing(diagnosis: Diagnosis, cause: str) -> Confidence | None:
    return next((item.confidence for item in diagnosis.findings if item.cause == cause), None)


def test_evidence_names_its_cause() -> None:
    """One test over all scenes: the guards around each test cost more than the scene."""
    wrong: list[object] = []
    for scene in SCENES:
        assert set(scene.readings) <= set(READINGS)
        result = diagnose(outcome(scene, scene.readings, scene.kind))
        first = result.first.cause if result.first else None
        if standing(result, scene.cause) != scene.confidence or (scene.first and first != scene.cause):
            wrong.append((scene.cause, standing(result, scene.cause), first))
        if scene.first and result.first and not (all(result.first.reasons) and result.first.reasons):
            wrong.append((scene.cause, "no reasons", first))
    assert wrong == []


def test_without_its_decisive_evidence_it_leads_no_more() -> None:
    wrong: list[object] = []
    for scene in SCENES:
        readings = {name: value for name, value in scene.readings.items() if name not in scene.decisive} | scene.instead
        kind = scene.kind
        if "kind" in (*scene.decisive, *scene.instead):
            kind = readings.pop("kind", "usb" if scene.kind == "unexpected" else "unexpected")
        other = msgspec.structs.replace(scene, running="running") if "running" in scene.decisive else scene
        result = diagnose(outcome(other, readings, kind))
        now = standing(result, scene.cause)
        weaker = now is None or now.rank > Confidence(scene.confidence).rank
        if not weaker and (not scene.first or (result.first is not None and result.first.cause == scene.cause)):
            wrong.append((scene.cause, now, result.first))
    assert wrong == []


def test_a_cause_that_the_check_proved_is_certain() -> None:
    facts = Reading(
        "image.facts", {"line": 12, "title": "a ZIP archive", "first": 0x2000_0000, "cause": "x", "aside": 1, "flash": [[0, 1]]}
    )
    for entry in (*IMAGE_CAUSES, *PACK_CAUSES):
        good = Outcome("1", failure=Failure(Step.IMAGE, "image", "line 12 is wrong", cause=entry.id), readings=(facts,))
        first = diagnose(good).first
        assert first is not None
        assert (first.cause, first.confidence) == (entry.id, "certain")
        assert "line 12" in " ".join(first.reasons)
        assert "0x20000000" in " ".join(first.reasons)
        assert "{" not in CATALOGUE[entry.id].say(first.slots)
        again = diagnose(Outcome("1", failure=Failure(Step.IMAGE, "image", "line 12 is wrong"), readings=(facts,))).first
        assert again is not None
        assert again.cause == UNEXPLAINED


def test_every_cause_has_a_scene() -> None:
    told = {scene.cause for scene in SCENES} | {entry.id for entry in (*IMAGE_CAUSES, *DRIVE_CAUSES, *PACK_CAUSES)}
    assert set(CATALOGUE) - told == set()
