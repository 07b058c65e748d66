"""A private home for every test of the command line, and boards of the bench."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from msdflash.cli import main
from msdflash.daemon.paths import HOME_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRMWARE = Path(__file__).parents[2] / "msdflash" / "sim" / "firmware" / "blinky.bin"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State, logs, locks and drives of this test only; no board but those of the test's own bus."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv("MSDFLASH_SIM_BUS", str(tmp_path / "bus"))
    monkeypatch.setenv("MSDFLASH_SIM_ONLY", "1")
    return tmp_path / "home"


class Result(msgspec.Struct):
    """What a command gave."""

    status: int
    out: str
    err: str

    @property
    def report(self) -> Any:
        """The one JSON object on standard output."""
        return json.loads(self.out)


@pytest.fixture
def msdflash(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command in this process."""

    def run(*argv: str) -> Result:
        status = main(argv)
        return Result(status, *capfd.readouterr())

    return run


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Run a command in a process of its own; it is ended after the test."""
    running: list[subprocess.Popen[str]] = []

    def start(*argv: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "msdflash", *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ,
            start_new_session=os.name != "nt",
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate(timeout=10)
