"""A board whose nRESET is held, late or pulled by the probe: told at once, nothing touched, and nobody accused who is not proved guilty."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(150)  # its own waits end first, also on a busy machine
scene = sys.modules["main_path_stage"]
Start = Callable[..., Any]

CULPRITS = {"reset-held-by-board", "reset-held-by-probe", "reset-loop"}


def untouched(result: Any) -> None:
    """The report says that flash was left alone, and so does FAIL.TXT."""
    assert not result.proved
    changed = result.report["changed"]
    assert (changed["erased"], changed["programmed"], changed["ram_overwritten"]) == (0, 0, False)
    assert b"Nothing was erased or written" in result.drive["FAIL.TXT"]


def test_held_then_let_go(stage: Start) -> None:
    """On probes that read the pin, that always read it as low, and that drive it high."""
    turn, took = threading.Lock(), []
    old = {scene.BASE: scene.image(1)}
    room = stage(
        None,
        dict.fromkeys(("stlink", "cmsis", "const", "push"), old),
        stlink="nucleo-l476rg,probe=stlink-v3",
        cmsis="nucleo-l476rg,probe=cmsis-dap",
        const="nucleo-l476rg,probe=cmsis-dap-const0",
        push="nucleo-l476rg,probe=cmsis-dap-pushpull",
    )

    def drops(name: str, drive: Any) -> None:
        before, count = drive.flash(), int(scene.details_of(drive.files()["DETAILS.TXT"])["Remount count"])

        with turn:  # one at a time: here time counts, and the boards share this machine's processors
            drive.set("fault=reset-held")
            held = drive.drop("held.hex", scene.intel_hex({scene.BASE: scene.image(2)}))
        assert held.first == ("held-in-reset", "certain")
        untouched(held)
        assert drive.flash() == before
        assert sum(held.report["timings"].values()) < 3.0, held.report["timings"]
        took.append(held.report["duration"])
        assert held.count == count + 1
        assert "held.hex" not in held.drive
        evidence(held)
        assert not held.having("certain") & CULPRITS, "who pulls the line cannot be measured from here"
        if name == "const":
            pin_says_nothing(held)

        drive.set("fault=none")
        if name in ("const", "push"):
            return
        after = drive.drop("after.hex", scene.intel_hex({scene.BASE: scene.image(2)}))
        assert after.proved, after.report
        assert after.report["running"] == "running"
        assert "FAIL.TXT" not in after.drive
        assert drive.flash()[:5000] == scene.image(2)

    room.each(drops)
    assert min(took) < 3.0, "seconds from the file being whole to FAIL.TXT, the worker's start and all"


def evidence(result: Any) -> None:
    """What proves a reset that lasts is named, in the report and in FAIL.TXT."""
    samples = result.reading("core.dhcsr")
    assert len(samples) > 2
    assert all(value & 1 << 25 for value in samples), "S_RESET_ST (Arm DDI 0403E C1.6.2)"
    assert result.reading("core.reset_catch") == "still-in-reset"
    scene.fail_of(result.drive["FAIL.TXT"])
    text = result.drive["FAIL.TXT"].decode("ascii")
    assert "DHCSR" in text
    last = json.loads(text.strip().splitlines()[-1])
    assert (last["cause"], last["confidence"], last["flash_changed"]) == ("held-in-reset", "certain", False)


def pin_says_nothing(result: Any) -> None:
    """This probe reads 0 whatever the line does: nothing may be concluded from that."""
    for cause in result.report["causes"]:
        if cause["confidence"] in ("certain", "likely"):
            assert cause["cause"] not in CULPRITS
            told = [reason for reason in cause["reasons"] if "nRESET" in reason]
            assert not told or "proves nothing" in told[-1], cause


FAULTS = {"stuck": "probe-stuck-reset", "soon": "reset-late:400", "late": "reset-late:3000"}
KINDS = {"s": "stlink-v3", "c": "cmsis-dap"}


@pytest.mark.parametrize(
    "names",
    [("stucks", "soons", "latec"), pytest.param(("stuckc", "soonc", "lates"), marks=pytest.mark.slow)],
    ids=["usual", "others"],
)
def test_late_or_pulled_by_the_probe(stage: Start, names: tuple[str, ...]) -> None:
    """A supervisor that lets go late, and a probe that pulls itself, are not told as the board that holds its reset for sure."""
    room = stage(**{name: f"nucleo-l476rg,probe={KINDS[name[-1]]},fault={FAULTS[name[:-1]]}" for name in names})

    def drops(name: str, drive: Any) -> None:
        before = drive.flash()
        result = drive.drop("a.hex", scene.intel_hex({scene.BASE: scene.image(1)}))
        assert "reset-held-by-board" not in result.having("certain"), result.report["causes"]
        assert result.report["duration"] < 15
        if name.startswith("stuck"):
            assert result.first == ("held-in-reset", "certain")
            untouched(result)
            assert drive.flash() == before
        elif name.startswith("soon"):
            assert result.proved, result.report
        if result.proved:
            assert drive.flash()[:5000] == scene.image(1)

    room.each(drops)
