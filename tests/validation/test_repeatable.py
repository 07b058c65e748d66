"""One seed gives one result: in ten runs against a fault flash, outcome, causes and the trace of the wires are equal. Opt-in.

The cheap form, with pyOCD in this process, is ``tests/sim/test_trace.py``.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from msdflash.sim import client
from msdflash.sim.spec import parse

RUNS = 10
FAULTS = (
    "", "noise:0.0005:1", "noise:0.002:7", "noise:0.01:3", "reset-held", "bad-cell", "write-protect:3", "corrupt-write:0x20001000:2:1",
    "fault-write:0x20001000", "unplug-after:400",
)  # fmt: skip


def once(folder: Path, probe: str, fault: str, image: bytes) -> tuple[Any, ...]:
    """Flash a blank board: outcome, step, causes with their confidence, the whole array, and the trace."""
    folder.mkdir()
    (folder / "image.bin").write_bytes(image)
    spec = parse(f"nucleo-l476rg,probe={probe},trace=on" + (f",fault={fault}" if fault else ""))
    with client.start(spec, bus=folder / "bus") as board:
        done = subprocess.run(
            [sys.executable, "-m", "msdflash", "flash", "--json", "--target", "stm32l476rg", "--probe", board.serial, "image.bin"],
            cwd=folder,
            env=os.environ | client.environment(folder / "bus", only=True) | {"MSDFLASH_HOME": str(folder / "home")},
            capture_output=True,
            timeout=120,
            check=False,
        )
        array = board.flash()
    report = json.loads(done.stdout)
    trace = (folder / "bus" / f"{spec.serial}.trace").read_text(encoding="utf-8").splitlines()
    causes = [(cause["cause"], cause["confidence"]) for cause in report["causes"]]
    return report["outcome"], report["step"], report["failure"], causes, [tried["result"] for tried in report["tried"]], array, trace


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("probe", ["cmsis-dap", "stlink-v3"])
@pytest.mark.parametrize("fault", FAULTS)
def test_ten_runs_are_equal(tmp_path: Path, probe: str, fault: str) -> None:
    program = (Path(client.__file__).parent / "firmware" / "blinky.bin").read_bytes()
    image = program + random.Random(1).randbytes(5000 - len(program))
    first = once(tmp_path / "0", probe, fault, image)
    assert first[-1], "there is a trace"
    for number in range(1, RUNS):
        again = once(tmp_path / str(number), probe, fault, image)
        for part, (left, right) in enumerate(zip(first, again, strict=True)):
            assert left == right, f"run {number}, part {part}"
