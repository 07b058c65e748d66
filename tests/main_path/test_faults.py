"""Every fault of the bench through the whole path: its own cause, never a false success, never a wrong certainty, never a hang."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

faults = sys.modules["main_path_faults"]
Start = Callable[..., Any]
HALVES = 2


@pytest.mark.timeout(150)
@pytest.mark.parametrize("half", range(HALVES))
@pytest.mark.parametrize("probe", faults.PROBES)
def test_each_fault_is_told(stage: Start, probe: str, half: int) -> None:
    rows = [row for row in faults.ROWS[half::HALVES] if not row.fault.startswith(("reset-", "probe-stuck"))]  # those are in test_reset
    seen = faults.play(stage, probe, rows, boards=2)
    assert len(seen) == sum(len(row.targets) for row in rows)
    wrong = [f"{item.row.fault}: {item.wrong}\n{item.evidence()}" for item in seen if item.wrong]
    assert not wrong, "\n".join(wrong)
    for item in seen:
        if item.report["outcome"] == "flashed" and item.row.fault.startswith("corrupt-write"):
            assert item.report["tried"], "it was repaired, and nothing says so"


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
