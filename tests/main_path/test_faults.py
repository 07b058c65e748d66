"""Every fault of the bench through the whole path: its own cause, never a false success, never a wrong certainty, never a hang."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

faults = sys.modules["main_path_faults"]
Start = Callable[..., Any]
IN_TEST_RESET = ("reset-", "probe-stuck")
ROWS = [row for row in faults.ROWS if not row.fault.startswith(IN_TEST_RESET)]


def usual(probe: str) -> list[Any]:
    """Rows for one probe of the two: each fault has its turn on one of them, on both where they measure differently."""
    common = [row for row in ROWS if not row.rare]
    return [row for number, row in enumerate(common) if row.stlink is not None or number % 2 == faults.PROBES.index(probe)]


def judge(stage: Start, probe: str, rows: list[Any]) -> None:
    seen = faults.play(stage, probe, rows, boards=2)
    assert len(seen) == sum(len(row.targets) for row in rows)
    wrong = [f"{item.row.fault}: {item.wrong}\n{item.evidence()}" for item in seen if item.wrong]
    assert not wrong, "\n".join(wrong)
    for item in seen:
        if item.report["outcome"] == "flashed" and item.row.fault.startswith("corrupt-write"):
            assert item.report["tried"], "it was repaired, and nothing says so"


@pytest.mark.timeout(150)
@pytest.mark.parametrize("probe", faults.PROBES)
def test_each_fault_is_told(stage: Start, probe: str) -> None:
    judge(stage, probe, usual(probe))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("probe", faults.PROBES)
def test_each_fault_is_told_on_each_probe(stage: Start, probe: str) -> None:
    judge(stage, probe, ROWS)


def test_no_fault_is_forgotten() -> None:
    """What is not in the table is a fault that this board cannot have, or a field case with a program (tests/validation/scenarios.py)."""
    from msdflash.sim.board import Board
    from msdflash.sim.electric import ELECTRIC
    from msdflash.sim.faults import FAULTS, FaultError

    board = Board("nucleo-l476rg", "cmsis-dap", 1)
    try:
        for name in set(FAULTS) - set(ELECTRIC) - {row.fault.partition(":")[0] for row in faults.ROWS}:
            with pytest.raises(FaultError):
                board.set_fault(name, "")
    finally:
        board.close()
