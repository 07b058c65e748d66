"""The commands on boards that are already there: exit status, one JSON object, and a look that changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from msdflash.cli import main
from msdflash.daemon.paths import HOME_VARIABLE
from msdflash.report.record import Report
from msdflash.sim import client
from msdflash.sim.spec import parse

pytestmark = pytest.mark.timeout(150)  # its own waits end first, also on a busy machine
scene = sys.modules["main_path_stage"]

LOOK = """
import json, sys
from pyocd.core.helpers import ConnectHelper
write = len(sys.argv) > 2
options = {"connect_mode": "attach", "resume_on_disconnect": False, "target_override": "cortex_m"}
with ConnectHelper.session_with_chosen_probe(unique_id=sys.argv[1], blocking=False, options=options) as session:
    core = session.target.selected_core
    if write:
        core.write_memory_block32(0x20000400, [0x5EED0000 + n for n in range(0x800)])
    first = core.read32(0x20000100)
    status = [core.read32(0xE000EDF0) for _ in range(4)]
    print(json.dumps({
        "first": first, "status": status, "later": core.read32(0x20000100), "version": core.read32(0x20000108),
        "ram": core.read_memory_block32(0x20000400, 0x800), "demcr": core.read32(0xE000EDFC),
    }))
"""
S_HALT, S_RESET_ST = 1 << 17, 1 << 25
PATTERN = [0x5EED0000 + n for n in range(0x800)]


@pytest.fixture(params=["stlink-v3", "cmsis-dap"])
def board(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[client.RunningBoard]:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    for name, value in client.environment(tmp_path / "bus", only=True).items():
        monkeypatch.setenv(name, value)
    with client.start(parse(f"nucleo-l476rg,probe={request.param}"), bus=tmp_path / "bus") as running:
        yield running


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Run a command with ``--json``: its exit status and the one object on standard output."""

    def run(*argv: str) -> tuple[int, Any]:
        status = main([*argv, "--json"])
        out, _ = capfd.readouterr()
        return status, json.loads(out)  # anything before or behind the object is an error

    return run


def look(board: client.RunningBoard, *write: str) -> Any:
    """What an independent, unmodified pyOCD sees that attaches without halting or resetting."""
    child = [sys.executable, "-c", LOOK, board.serial, *write]
    done = subprocess.run(child, env=os.environ, capture_output=True, text=True, timeout=40, cwd=board.bus, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def report_of(status: int, report: Any) -> Report:
    assert report["schema"] == "msdflash/report/1"
    found = msgspec.convert(report, Report)
    assert status == (0 if found.good else 1)
    return found


def test_flash_looks_and_lists(board: client.RunningBoard, command: Callable[..., tuple[int, Any]], tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(scene.image(1))
    good = report_of(*command("flash", str(file), "--probe", board.serial))
    assert (good.outcome, good.running) == ("flashed", "running")
    flash = board.flash()
    assert flash[:5000] == scene.image(1)

    before = look(board, "write")
    assert before["version"] == 1
    healthy = report_of(*command("diagnose", "--probe", board.serial))
    assert (healthy.outcome, healthy.causes) == ("healthy", ())
    changed = healthy.changed
    assert (changed.halted, changed.reset, changed.ram_overwritten, changed.erased, changed.programmed) == (False, False, False, 0, 0)
    after = look(board)
    assert after["ram"] == PATTERN, "RAM was changed"
    assert board.flash() == flash
    assert not any(value & (S_HALT | S_RESET_ST) for value in after["status"]), "the core was halted or reset"
    assert before["first"] < before["later"] < after["first"] < after["later"], "the program did not simply go on"

    board.set("fault=reset-held")
    file.write_bytes(scene.image(2))
    failed = report_of(*command("flash", str(file), "--probe", board.serial))
    assert (failed.outcome, failed.cause, failed.confidence) == ("not-flashed", "held-in-reset", "certain")
    held = report_of(*command("diagnose", "--probe", board.serial))
    assert held.outcome == "not-healthy"
    assert held.cause == "held-in-reset"
    assert held.confidence in ("certain", "likely", "possible"), "without touching the core it may not be told from a reset loop"
    assert (held.changed.halted, held.changed.reset) == (False, False)
    assert not any(item.effect in ("write", "halt", "reset") for item in held.evidence), "passive means passive"
    assert board.flash() == flash

    status, listed = command("boards")
    assert status == 0
    (probe,) = listed["probes"]
    assert probe["unique_id"] == board.serial
    assert probe["kind"] == ("stlink" if "stlink" in board.spec.probe else "cmsis-dap")
    assert probe["board"] == "NUCLEO-L476RG"
