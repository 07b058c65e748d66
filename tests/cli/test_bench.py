"""The commands end to end: real workers, stock pyOCD, simulated boards, through the command line only."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import pytest

from msdflash.cli.boards import table
from msdflash.daemon.locks import hold_probe
from msdflash.job.outcome import ListedProbe

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the extra `sim` is not installed")

FIRMWARE = Path(__file__).parents[2] / "msdflash" / "sim" / "firmware" / "blinky.bin"
PROBES = ("stlink-v3", "cmsis-dap")
Run = Callable[..., Any]
Spawn = Callable[..., "subprocess.Popen[str]"]
Eventually = Callable[..., None]


@pytest.mark.parametrize("probe", PROBES)
def test_good_flash_then_nothing_to_do_then_healthy(msdflash: Run, probe: str) -> None:
    spec = f"nucleo-l476rg,probe={probe}"
    first = msdflash("flash", str(FIRMWARE), "--sim", spec, "--json")
    assert first.status == 0
    report = first.report
    assert report["schema"] == "msdflash/report/1"
    assert report["outcome"] == "flashed"
    assert report["image"]["size"] == FIRMWARE.stat().st_size
    assert report["changed"]["programmed"] > 0
    assert report["changed"]["verified"] >= report["changed"]["programmed"]
    if probe == "stlink-v3":
        again = msdflash("flash", str(FIRMWARE), "--sim", spec)
        assert again.status == 0
        assert "already in flash" in again.out
        return
    healthy = msdflash("diagnose", "--sim", spec, "--json")
    assert (healthy.status, healthy.report["outcome"]) == (0, "healthy")


@pytest.mark.parametrize("probe", PROBES)
def test_held_in_reset_is_named_and_nothing_written(msdflash: Run, probe: str) -> None:
    spec = f"nucleo-l476rg,probe={probe},fault=reset-held"
    flash = msdflash("flash", str(FIRMWARE), "--sim", spec, "--json")
    assert flash.status == 1
    report = flash.report
    assert report["outcome"] == "not-flashed"
    assert "held-in-reset" in {cause["cause"] for cause in report["causes"] if cause["confidence"] in ("certain", "likely")}
    assert (report["changed"]["erased"], report["changed"]["programmed"]) == (0, 0)
    if probe == "stlink-v3":
        diagnosis = msdflash("diagnose", "--sim", spec)
        assert diagnosis.status == 1
        assert "reset" in diagnosis.out.splitlines()[1]  # the first says that it is not healthy


def test_several_probes_are_listed_and_none_is_guessed(msdflash: Run) -> None:
    from msdflash.sim.client import start
    from msdflash.sim.spec import parse

    stlink = "B" * 24
    with start(parse("nucleo-l476rg,serial=AA")), start(parse(f"nucleo-l476rg,probe=stlink-v3,serial={stlink}")):
        result = msdflash("flash", str(FIRMWARE))
        assert result.status == 2
        assert "--probe AA" in result.err
        assert f"--probe {stlink}" in result.err
        assert result.out == ""
        listed = msdflash("boards", "--json")
    assert listed.status == 0
    probes = listed.report["probes"]
    assert {probe["unique_id"] for probe in probes} == {"AA", stlink}
    text = table([msgspec.convert(probe, ListedProbe) for probe in probes])
    assert text.splitlines()[0].split() == ["UNIQUE", "ID", "KIND", "PROBE", "BOARD", "TARGET"]
    assert "NUCLEO-L476RG" in text


def test_nothing_lying_about_is_imported_or_executed(msdflash: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyOCD runs pyocd_user.py and Python imports modules from a working directory: where a user drops files is none."""
    evil = f"open({str(tmp_path / 'executed')!r}, 'a').write(__file__)\n"
    for name in ("pyocd_user.py", ".pyocd_user.py", "usb.py", "pyocd.py", "sitecustomize.py", "msgspec.py"):
        (tmp_path / name).write_text(evil, encoding="utf-8")
    (tmp_path / "pyocd.yaml").write_text("user_script: pyocd_user.py\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYOCD_PROJECT_DIR", str(tmp_path))
    shutil.copyfile(FIRMWARE, tmp_path / "a.bin")
    result = msdflash("flash", "a.bin", "--probe", "none-such", "--json")
    assert result.report["cause"] == "no-probe"
    assert not (tmp_path / "executed").exists()


def test_no_probe_is_a_report(msdflash: Run) -> None:
    result = msdflash("diagnose", "--json")
    assert result.status == 1
    assert result.report["cause"] == "no-probe"


def test_held_probe(msdflash: Run, home: Path) -> None:
    (home / "run").mkdir(parents=True)
    with hold_probe(home / "run", "P1", "msdflash run"):
        result = msdflash("flash", str(FIRMWARE), "--probe", "P1")
    assert result.status == 3
    assert f"held by msdflash run (pid {os.getpid()}" in result.err
    assert "since 20" in result.err


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_interrupt_leaves_nothing_behind(spawn: Spawn, eventually: Eventually) -> None:
    """A probe that has stopped answering would take its deadline; Ctrl-C does not wait for it."""
    process = spawn("flash", str(FIRMWARE), "--sim", "nucleo-l476rg,probe=stlink-v3,fault=hang")

    def busy() -> bool:
        workers = [child for child in psutil.Process(process.pid).children() if "msdflash.worker" in " ".join(child.cmdline())]
        return any(child.cpu_times().user > 0.2 for child in workers)

    eventually(busy, 15, "a worker at work")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "Nothing was erased or written" in err
    assert "was not programmed" in out


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_daemon_serves_refuses_a_second_and_ends(spawn: Spawn, msdflash: Run, home: Path, eventually: Eventually) -> None:
    spec = "nucleo-l476rg,probe=stlink-v3,serial=CCCCCCCCCCCCCCCCCCCCCCCC"
    daemon = spawn("run", "--sim", spec)
    drive = home / "drives" / "NUCLEO_L476RG"
    eventually((drive / "DETAILS.TXT").exists, 15, "the drive")
    shutil.copyfile(FIRMWARE, drive / "a.bin")
    eventually(lambda: b"Last result: flashed" in (drive / "DETAILS.TXT").read_bytes(), 15, "the answer")
    assert not (drive / "FAIL.TXT").exists()
    assert not (drive / "a.bin").exists()

    held = msdflash("flash", str(FIRMWARE), "--probe", "CCCCCCCCCCCCCCCCCCCCCCCC")
    assert held.status == 3
    assert f"msdflash run (pid {daemon.pid}" in held.err

    (drive / "note.txt").write_text("no firmware", encoding="utf-8")
    eventually((drive / "FAIL.TXT").exists, 15, "FAIL.TXT")
    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    _, err = daemon.communicate(timeout=15)
    assert daemon.returncode == 0
    assert time.monotonic() - began < 10
    assert "a.bin: flashed and proved" in err
    assert "note.txt: not flashed" in err
    assert "Traceback" not in err
