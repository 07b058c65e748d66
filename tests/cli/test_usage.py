"""Wrong use: exit status 2, what is allowed on standard error, nothing on standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

import msdflash as package
from msdflash.cli.boards import table
from msdflash.cli.session import describe
from msdflash.job.outcome import ListedProbe

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        pytest.param([], "COMMAND", id="nothing"),
        pytest.param(["fly"], "flash", id="command"),
        pytest.param(["flash"], "IMAGE", id="no-image"),
        pytest.param(["flash", "/no/such/file.hex"], "there is no file", id="no-file"),
        pytest.param(["flash", "."], "is no file", id="folder"),
        pytest.param(["flash", "x", "--frequency", "fast"], "4M or 400k", id="frequency"),
        pytest.param(["flash", "x", "--base", "here"], "0x08000000", id="base"),
        pytest.param(["flash", "x", "--connect", "now"], "under-reset", id="connect"),
        pytest.param(["flash", "x", "--target", "a b"], "stm32l476rgtx", id="target"),
        pytest.param(["flash", "x", "--pack", "/no/pack"], "there is no file", id="pack"),
        pytest.param(["flash", "x", "--probe", " "], "msdflash boards", id="probe"),
        pytest.param(["flash", "x", "--probe", "1", "--sim", "y"], "not allowed with", id="both"),
        pytest.param(["flash", "x", "--pro", "1"], "--pro", id="abbreviated"),
        pytest.param(["boards", "--sim", "pear"], "nucleo-l476rg", id="sim-board"),
        pytest.param(["diagnose", "--sim", "nucleo-l476rg,probe=x"], "stlink-v3", id="sim-probe"),
        pytest.param(["explain", "held-in-rest"], "held-in-reset", id="explain"),
        pytest.param(["run", "--config", "/no/config"], "/no/config", id="config"),
    ],
)
def test_wrong_use(msdflash: Run, argv: list[str], told: str) -> None:
    result = msdflash(*argv)
    assert result.status == 2
    assert told in result.err
    assert result.out == ""


def test_wrong_configuration(msdflash: Run, tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text("[board.X]\nconnect = 'fast'", encoding="utf-8")
    result = msdflash("run", "--config", str(file))
    assert result.status == 2
    for words in (str(file), "connect", "'fast'", "under-reset"):
        assert words in result.err


def test_version_and_help(msdflash: Run) -> None:
    assert msdflash("--version").out == f"msdflash {package.__version__}\n"
    help_text = msdflash("--help").out
    for command in ("run", "flash", "diagnose", "boards", "explain", "demo", "sim"):
        assert f"    {command} " in help_text
    assert msdflash("flash", "--help").status == 0


def test_every_cause_is_explained(msdflash: Run) -> None:
    listed = msdflash("explain")
    assert listed.status == 0
    causes = [line.split()[0] for line in listed.out.splitlines() if line.startswith("  ")]
    assert "held-in-reset" in causes
    for cause in causes:
        result = msdflash("explain", cause)
        assert result.status == 0
        assert result.out.startswith(cause + "\n")


def test_missing_extra_is_told(msdflash: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = msdflash("boards", "--sim", "nucleo-l476rg")
    assert result.status == 2
    assert "pip install 'msdflash[sim]'" in result.err


def test_reader_that_leaves(spawn: Callable[..., subprocess.Popen[str]]) -> None:
    process = spawn("explain")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(10) in (0, 1)
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_list_that_fails_is_a_report(msdflash: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = [sys.executable, "-S", "-E", "-c", "raise SystemExit('libusb is broken')"]
    monkeypatch.setattr("msdflash.engine.pool.worker_command", lambda: dead)
    (tmp_path / "a.bin").write_bytes(b"x")
    result = msdflash("flash", str(tmp_path / "a.bin"), "--json")
    assert result.status == 1
    assert result.report["outcome"] == "not-flashed"
    assert "libusb is broken" in result.report["message"]
    assert msdflash("boards").status == 1


def test_huge_file_is_not_read(msdflash: Run, tmp_path: Path) -> None:
    huge = tmp_path / "huge.bin"
    with huge.open("wb") as stream:
        stream.truncate(1 << 34)
    assert "larger than 64 MiB" in msdflash("flash", str(huge)).err


@pytest.mark.skipif(not hasattr(__import__("os"), "mkfifo"), reason="no pipes in folders")
def test_pipe_is_not_waited_for(msdflash: Run, tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.bin")
    assert msdflash("flash", str(tmp_path / "pipe.bin")).status == 2


def test_probes_cannot_write_to_the_terminal() -> None:
    """What a device calls itself is foreign text."""
    evil = ListedProbe("S\x1b[2J1", "stlink", "ven\x07dor", "pro\nduct", problem="bad\x1b]0;x")
    assert "\x1b" not in table([evil]) + describe(evil)
    assert len(table([evil]).splitlines()) == 3
    assert "\n" not in describe(evil)
