"""A sample of all chips, probes and faults in every run, all of them when asked: nothing hangs, lies or is too sure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

matrix = sys.modules["matrix_cells"]
Start = Callable[..., Any]
SEEDS = (1, 2)


def judge(seen: Sequence[Any], count: int) -> None:
    wrong = [f"{item.cell}: {item.answer}: {item.wrong}\n  {item.evidence}" for item in seen if item.wrong]
    assert not wrong, "\n".join(wrong)
    assert len(seen) == count


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sample(stage: Start, seed: int) -> None:
    lots = matrix.sample(seed, pairs=2, each=3)
    judge(matrix.play(stage, lots), sum(1 + len(whats) for whats in lots.values()))


def test_every_fault_has_a_row_here() -> None:
    """A new fault of the bench belongs into the matrix, or here with a reason."""
    from msdflash.sim.faults import FAULTS
    from msdflash.sim.usb.faults import USB_FAULTS

    elsewhere = {
        "corrupt-write", "fault-write",  # at addresses of one algorithm's buffer: in tests/main_path
        "slow",  # takes its time by definition
        "no-serial", "equal-serial",  # change the name by which a drive knows its board
        "sleep-port", "swdio-low",  # matter with a program that sleeps, or after flashing: tests/validation/scenarios.py
    }  # fmt: skip
    here = {name.partition(":")[0] for name in matrix.FAULTS}
    assert here | elsewhere == set(FAULTS) | set(USB_FAULTS)
    assert not here & elsewhere


def test_the_check_sees_what_it_must() -> None:
    """A success whose flash is not the file, a lost neighbour, and a wrong certainty."""
    cell = matrix.Cell("frdm-k64f", "cmsis-dap", "noise:0.01:7")
    wanted = matrix.program("frdm-k64f")
    before = b"\xff" * len(wanted) + b"beside and the last 16 bytes"
    report: dict[str, Any] = {
        "outcome": "flashed",
        "cause": None,
        "confidence": None,
        "causes": [],
        "duration": 1.0,
        "changed": {"programmed": 1},
    }
    drive = {"DETAILS.TXT": b""}
    good = matrix.scene.Result(report, drive)
    assert matrix.check(cell, good, before, wanted + before[len(wanted) :], wanted) == ""
    assert "FALSE SUCCESS" in matrix.check(cell, good, before, b"\x01" + wanted[1:] + before[len(wanted) :], wanted)
    assert "beside" in matrix.check(cell, good, before, wanted + b"B" + before[len(wanted) + 1 :], wanted)
    sure = [{"cause": "held-in-reset", "confidence": "certain"}]
    bad = matrix.scene.Result(report | {"outcome": "not-flashed", "causes": sure}, drive | {"FAIL.TXT": b""})
    assert "certain of ['held-in-reset']" in matrix.check(cell, bad, before, before, wanted)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_all_of_it(request: pytest.FixtureRequest) -> None:
    if "slow" not in str(request.config.option.markexpr).replace("not slow", ""):
        pytest.skip("opt-in: slow")
    lots: dict[tuple[str, str], list[str]] = {}
    for cell in matrix.cells():
        lots.setdefault((cell.board, cell.probe), []).append(cell.what)
    seen: list[Any] = []
    for pair, whats in lots.items():
        seen += matrix.on_their_own({pair: whats})
    judge(seen, sum(len(whats) for whats in lots.values()))
