"""What proves a cause, taken away; and twins that share most of a cause's evidence and are something else."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.finding import Confidence, Diagnosis
from msdflash.diagnose.proofs import KIND, PROOFS
from msdflash.diagnose.rules import diagnose
from msdflash.job.readings import READINGS

scenes: Any = sys.modules["diagnose_scenes"]
RESET, RUNS = scenes.RESET, scenes.RUNS

TWINS: dict[str, dict[str, Any]] = {
    "no-probe": {"usb.node": {"present": True, "vid": 0x0D28, "pid": 0x204}},  # there, and not to be opened
    "usb-permission": {"probe.holder": "st-util (pid 7, user ann)"},  # Windows says EACCES for a device that another has open
    "probe-ambiguous": {"probe.twins": 1},
    "probe-no-serial": {"engine.error": "stlink: USBError: [Errno 5] Input/output error"},
    "probe-busy": {"probe.holder": "", "usb.drivers": ["cdc_acm"]},  # the same EBUSY from the system's own driver
    "probe-vanished": {"probe.present": True},  # gone for a moment
    "probe-hung": {"probe.present": None},
    "probe-fw-too-old": {"engine.error": "ProbeError: STLink 1 is using firmware of another maker"},
    "probe-in-bootloader": {"usb.node": {"present": True, "vid": 0x0483, "pid": 0x374B}},
    "probe-cannot-reach-chip": {"engine.error": "TargetSupportError: unknown target"},
    "disk-full": {"engine.error": "OSError: [Errno 30] Read-only file system"},
    "vtref-not-wired": {"swd.dpidr": None, "swd.ack": "no-ack", KIND: "no-dp"},  # 0 V and silence: it may be the supply
    "link-noise": {"swd.sweep": {"100000": [3, 3], "1000000": [3, 3], "4000000": [0, 3]}},  # a sleeper in luck reads so
    "held-in-reset": {"core.reset_catch": "halted"},  # a loop of 3 us
    "reset-loop": {"core.dhcsr": [RESET, RESET, RUNS, RUNS]},  # a finger on the button
    "nrf-approtect": {"lock.status": [0, 1]},
    "kinetis-security": {"lock.status": [0x2E] * 3 + [0x26] * 37},  # a blank part that loops: few reads are valid
    "nrf51-readback": {"option.rdp": [0, 0xFF]},
    "rdp1": {"option.rdp": [0xBB]},
    "write-protected-sector": {"option.wrp": []},  # a flag that the old program left
    "lpc55-debug-locked": {"mailbox.session": [{"answer": 1, "idr": 0}]},  # asked once
    "boot-rom-only": {"mailbox.session": [{"answer": 1, "idr": 0}, {"answer": 1, "idr": 0}]},
    "flash-chip-silent": {"flash.chip_id": "ef4015"},
    "locks-at-reset": {"flash.critical": {"open": True, "address": 0x400}},
    "wrong-target": {"chip.dev_id": 0x415, KIND: "algo-init"},
    "ram-unclocked": {"core.dhcsr": [RESET] * 6},  # RAM of most chips does not answer in reset
    "ram-lost": {"core.dhcsr": [RESET] * 6},
    "ram-bad": {"swd.errors": {"reads": 6400, "errors": 9, "kinds": {"parity": 9}}},
    "algo-download-corrupt": {"ram.test": {"ok": False, "kind": "stuck"}},
    "algo-faulted": {"algo.call": scenes.OVERRUN, "core.fault": {}, KIND: "algo-timeout"},
    "algo-reset": {"algo.reset_seen": False, KIND: "algo-timeout"},
    "algo-timeout-flash-busy": {"flash.busy": False},
    "verify-misread": {"verify.reread": "same"},
    "boot-source": {"core.pcsr": [0x0800_0200, 0x0800_0204, 0x0800_0200, 0x0800_0202]},  # the program itself mapped the ROM at 0
    "nreset-no-effect": {"nreset.no_effect": False},
}
"""Cause -> what is otherwise on a board that shares the rest of its evidence. Each cause that can be certain has one."""

BY_DEFINITION = frozenset(cause for cause, proof in PROOFS.items() if proof.decisive == (KIND,))
"""The failure itself says it: nothing but the failure's own kind can be changed."""


def told(scene: Any, readings: dict[str, Any], kind: str) -> Diagnosis:
    return diagnose(scenes.outcome(scene, readings, kind))


def test_every_cause_says_what_proves_it() -> None:
    assert set(PROOFS) == set(CATALOGUE)
    for cause, proof in PROOFS.items():
        assert proof.decisive, cause
        assert set(proof.decisive) <= {*READINGS, KIND}, cause
        assert proof.proves, cause
        assert proof.refutes, cause
    for scene in scenes.SCENES:
        assert set(scene.decisive) <= {*PROOFS[scene.cause].decisive, "running"}, scene.cause


def test_without_its_proof_no_cause_leads() -> None:
    wrong = []
    for scene in scenes.SCENES:
        proof = PROOFS[scene.cause]
        readings = {name: value for name, value in scene.readings.items() if name not in proof.decisive} | scene.instead
        kind = readings.pop(KIND, scene.kind)
        if KIND in proof.decisive and not scene.instead:
            kind = "usb" if scene.kind == "unexpected" else "unexpected"
        other = msgspec.structs.replace(scene, running="running")
        result = told(other, readings, kind)
        now = scenes.standing(result, scene.cause)
        first = result.first is not None and result.first.cause == scene.cause
        if (now is not None and now.rank <= Confidence(scene.confidence).rank) and (first or not scene.first):
            wrong.append((scene.cause, now))
    assert wrong == []


def test_twins_are_never_certain() -> None:
    wrong: list[object] = []
    certain = [scene for scene in scenes.SCENES if scene.confidence == "certain" and not CATALOGUE[scene.cause].symptom]
    for scene in certain:
        if scene.cause in BY_DEFINITION:
            continue
        if scene.cause not in TWINS:
            wrong.append((scene.cause, "has no twin"))
            continue
        changes = dict(TWINS[scene.cause])
        kind = changes.pop(KIND, scene.kind)
        readings = scene.readings | changes
        shared = [name for name, value in scene.readings.items() if readings[name] == value]
        if 2 * len(shared) < len(scene.readings) - 1:
            wrong.append((scene.cause, "its twin shares too little"))
        if scenes.standing(told(scene, readings, kind), scene.cause) is Confidence.CERTAIN:
            wrong.append((scene.cause, "its twin is certain, too"))
    assert wrong == []
