"""Boards that the plain way does not flash, and another way does: the drop succeeds, and tells what was needed and what that means."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from msdflash.daemon import retry
from msdflash.diagnose.rungs import BY_ID
from msdflash.sim import contents

pytestmark = pytest.mark.timeout(150)
scene = sys.modules["main_path_stage"]
Start = Callable[..., Any]
SIZE = 9000


class Case(msgspec.Struct, frozen=True):
    """One board.

    Attributes:
        before: what stands in its flash (``msdflash.sim.contents.BEFORE``).
        faults: put in before the drop.
        rung: what helps; "": the plain way does.
        hint: it is remembered for the next drop of the same program.
    """

    board: str
    probe: str
    rung: str
    before: str = ""
    faults: tuple[str, ...] = ()
    hint: bool = True


L4, DAP, V3 = "nucleo-l476rg", "cmsis-dap", "stlink-v3"
BEHIND_ONE_PAGE = "ram-bad:0x20001904"
"""Behind the first page of the algorithm's buffer at 0x20001000, in front of its end for images of some KiB."""

QUICK: dict[str, Case] = {
    "pico": Case("pico", DAP, "pulse-then-connect", before="pins-taken-late"),
    "ram": Case(L4, V3, "one-page", faults=(BEHIND_ONE_PAGE,)),
}
WIRES: dict[str, Case] = {
    "edges": Case(L4, V3, "lower-clock", faults=("slow-edges:500000",)),
    "edges2": Case("nucleo-f429zi", DAP, "lower-clock", faults=("slow-edges:300000:parity",)),
    "noise": Case(L4, DAP, "lower-clock", faults=("noise:0.001:5",), hint=False),
    "refused": Case(L4, V3, "same-again", faults=("fault-write:0x20001010:3",), hint=False),
}
PROGRAMS: dict[str, Case] = {
    "pins": Case("stm32f103rc", "stlink-v2-1", "under-reset", before="pins-taken"),
    "pins2": Case("frdm-k64f", DAP, "under-reset", before="pins-taken-late"),
    "standby": Case(L4, DAP, "under-reset", before="standby"),
    "stop": Case(L4, DAP, "under-reset", before="stop"),
    "stop2": Case(L4, V3, "under-reset", before="stop"),
}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long ways are tried for is held in tests/retry; here a busy machine must not end them."""
    monkeypatch.setattr(retry, "WINDOW", 30.0)


def image(board: str, version: int) -> bytes:
    return contents.intel_hex({contents.base(board): contents.program(board, version, SIZE)})


def help_of(result: Any) -> str:
    return str(scene.details_of(result.drive["DETAILS.TXT"]).get("Last help", ""))


def helped(drive: Any, case: Case, version: int, *, again: bool = False) -> Any:
    """A drop that this way got through, and that says so."""
    result = drive.drop(f"{version}.hex", image(case.board, version))
    assert result.proved, (
        f"{case}: {result.report['message']}; {[str(item) for item in result.report['tried']]}; {result.report['evidence']}"
    )
    assert drive.flash()[:SIZE] == contents.program(case.board, version, SIZE)
    tried = [f"{item['what']}: {item['result']}" for item in result.report["tried"]]
    if not case.rung:
        assert not help_of(result), tried
        return result
    rung = BY_ID[case.rung]
    said = rung.what.partition("{")[0]
    if again:
        assert tried[0].startswith(f"began with {said}"), tried
    else:
        assert tried[0].startswith("tried the plain way: it failed in step "), tried
        assert tried[-1].startswith(f"tried {said}"), tried
        assert tried[-1].endswith(rung.tells), tried
    assert said in help_of(result)
    return result


def play(stage: Start, cases: dict[str, Case], *, again: bool = True) -> None:
    specs = {name: f"{case.board},probe={case.probe}" for name, case in cases.items()}
    room = stage(None, {name: case.before for name, case in cases.items() if case.before}, **specs)

    def drops(name: str, drive: Any) -> None:
        case = cases[name]
        for fault in case.faults:
            drive.set(f"fault={fault}")
        helped(drive, case, 1)
        if again and case.hint:
            # What got around a program is not needed with the next one.
            helped(drive, msgspec.structs.replace(case, rung="") if case.before else case, 2, again=True)

    room.each(drops)


def test_what_helps_is_found_and_told(stage: Start) -> None:
    play(stage, QUICK, again=False)


@pytest.mark.slow
@pytest.mark.parametrize("cases", [QUICK, WIRES, PROGRAMS], ids=["quick", "wires", "programs"])
def test_the_whole_ladder(stage: Start, cases: dict[str, Case]) -> None:
    assert {case.rung for case in (QUICK | WIRES | PROGRAMS).values()} == set(BY_ID)
    play(stage, cases)


@pytest.mark.slow
def test_what_helped_goes_first_until_the_plain_way_has_its_turn(tmp_path: Path) -> None:
    """Five jobs begin with it; so do none after a replug, and after new firmware in the probe only the one that finds that out."""
    case = QUICK["ram"]
    spec = f"{case.board},probe={case.probe}"
    with scene.Stage(tmp_path, {"b": spec}) as room:
        drive = room["b"]
        drive.set(f"fault={BEHIND_ONE_PAGE}")
        version = 0
        for again in (False, *[True] * retry.USES, False, True):
            version += 1
            helped(drive, case, version, again=again)
        for change in ("unplug", "replug"):
            drive.set(change)
            room.daemon._serve(room.daemon._list(), first=False)  # as after an event on USB
        helped(drive, case, version + 1)
    with scene.Stage(tmp_path, {"b": spec.replace(V3, "stlink-v2-1")}) as room:
        drive = room["b"]
        drive.set(f"fault={BEHIND_ONE_PAGE}")
        for number, again in ((2, True), (3, False)):
            helped(drive, case, version + number, again=again)
