"""``msdflash sim list``, ``serve`` and ``set``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from msdflash.cli import sim
from msdflash.sim import client
from msdflash.sim.client import RunningBoard

SPEC = "nucleo-l476rg,probe=cmsis-dap,serial=CLI"


@pytest.fixture(scope="module")
def board(serve: Callable[[str], RunningBoard]) -> RunningBoard:
    return serve(SPEC)


def call(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    sim.add_parser(parser.add_subparsers())
    options = parser.parse_args(["sim", *arguments])
    status: int = options.handler(options)
    return status


def test_list_for_people_and_programs(board: RunningBoard, bus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "--bus", str(bus)) == 0
    assert SPEC in capsys.readouterr().out
    assert call("list", "--json", "--bus", str(bus)) == 0
    listed = json.loads(capsys.readouterr().out)
    assert board.process is not None
    assert listed["served"] == [{"serial": "CLI", "spec": SPEC, "pid": board.process.pid, "plugged": True}]
    assert "stlink-v3" in listed["probes"]


def test_list_of_an_empty_bus_makes_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "--bus", str(tmp_path / "b")) == 0
    assert "no board is served" in capsys.readouterr().out
    assert not (tmp_path / "b").exists()


def test_set(board: RunningBoard, bus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("set", "CLI", "unplug", "--bus", str(bus)) == 0
    assert [each.plugged for each in client.boards(bus)] == [False]
    assert call("set", "CLI", "replug", "fault=swd-open", "fault=none", "--bus", str(bus)) == 0
    assert call("set", "CLI", "jump", "--bus", str(bus)) == 2
    assert "replug" in capsys.readouterr().err
    assert call("set", "NOBODY", "unplug", "--bus", str(bus)) == 2
    assert "CLI" in capsys.readouterr().err


def test_serve_refuses_wrong_specs_and_served_serials(board: RunningBoard, bus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("serve", "teapot", "--bus", str(bus)) == 2
    assert "nucleo-l476rg" in capsys.readouterr().err
    assert call("serve", SPEC, "--bus", str(bus)) == 3


def test_serve_until_interrupted(tmp_path: Path) -> None:
    code = (
        "import argparse, sys; from msdflash.cli import sim; parser = argparse.ArgumentParser(); sim.add_parser(parser.add_subparsers());"
        "options = parser.parse_args(sys.argv[1:]); sys.exit(options.handler(options))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "sim", "serve", SPEC, "--bus", str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as said:
        try:
            assert "CLI is on the bus" in said.readline()
            assert str(tmp_path) in said.readline()
        finally:
            process.terminate()
            status = process.wait(10)
    if os.name == "posix":
        assert status == 0
        assert not (tmp_path / "CLI.board").exists()
        assert (tmp_path / "CLI.state").exists()
