"""An unmodified pyOCD on the bench, through its own drivers, as its users start it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from msdflash.sim import client
from msdflash.sim.client import RunningBoard

Run = Callable[..., subprocess.CompletedProcess[str]]
PROBES = ("cmsis-dap", "cmsis-dap-pushpull", "cmsis-dap-const0", "stlink-v3")
TARGET = "stm32l475xg"  # the builtin that fits a NUCLEO-L476RG


@pytest.fixture(scope="module")
def boards(serve: Callable[[str], RunningBoard]) -> dict[str, RunningBoard]:
    return {probe: serve(f"nucleo-l476rg,probe={probe}") for probe in PROBES}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "firmware.bin"
    path.write_bytes(random.Random(5).randbytes(6000))
    return path


def load(run: Run, board: RunningBoard, image: Path) -> subprocess.CompletedProcess[str]:
    return run("-m", "pyocd", "load", "-W", "--no-config", "-u", board.serial, "-t", TARGET, str(image))


def test_list_shows_each_kind_and_nothing_else(run: Run, boards: dict[str, RunningBoard]) -> None:
    listed = json.loads(run("-m", "pyocd", "json", "--probes").stdout)
    assert listed["status"] == 0
    assert {each["unique_id"] for each in listed["boards"]} == {board.serial for board in boards.values()}
    assert {each["board_name"] for each in listed["boards"]} == {"NUCLEO-L476RG"}


@pytest.mark.parametrize("probe", ["cmsis-dap-const0", "stlink-v3"])
def test_load_flashes_the_image_and_nothing_else(run: Run, boards: dict[str, RunningBoard], image: Path, probe: str) -> None:
    board = boards[probe]
    done = load(run, board, image)
    assert done.returncode == 0, done.stderr
    flash = board.flash()
    data = image.read_bytes()
    assert flash[: len(data)] == data
    assert flash.count(0xFF, len(data)) == len(flash) - len(data)


PROGRAM = """
import errno, json, os, sys
from pyocd.core.session import Session
from pyocd.flash.file_programmer import FileProgrammer
from pyocd.probe.aggregator import DebugProbeAggregator
from pyocd.probe.pydapaccess.interface.interface import Interface
from msdflash.sim import client

Interface.DEFAULT_USB_TIMEOUT_S, Interface.DEFAULT_USB_TIMEOUT_MS = 1, 1000
serial, image, after = sys.argv[1:4]
probe = DebugProbeAggregator.get_probe_with_id(serial)
session = Session(probe, target_override="stm32l475xg", no_config=True, hide_programming_progress=True, project_dir=os.getcwd())
session.open()
client.change(serial, "fault=unplug-after:" + after)
try:
    FileProgrammer(session).program(image, base_address=0x08000000)
except Exception as error:
    chain = [error] + ([error.__cause__] if error.__cause__ else [])
    print(json.dumps([[type(each).__name__, str(each), getattr(each, "errno", None)] for each in chain]), flush=True)
try:
    session.close()
except Exception as error:
    print("close:", error, flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("probe", ["cmsis-dap", "stlink-v3"])
def test_unplugging_while_it_programs_is_one_of_the_known_outcomes(
    run: Run, boards: dict[str, RunningBoard], image: Path, probe: str
) -> None:
    """What pyOCD makes of it: a raw USB error, or its own with or without the cause, by which endpoint notices first."""
    board = boards[probe]
    board.set("replug")
    done = run("-c", PROGRAM, board.serial, str(image), "60")
    board.set("replug")
    chain = json.loads(done.stdout.splitlines()[0])
    name, text, number = chain[0]
    if probe == "stlink-v3":
        assert (name, text) == ("ProbeError", "USB Error: [Errno 19] No such device (it may have been disconnected)")
        assert chain[1][2] == 19
    elif name == "USBError":
        assert number == 19
    else:
        assert name == "ProbeError"
        assert "read thread exited unexpectedly" in text or "Timeout reading" in text


def test_a_killed_load_is_followed_by_a_good_one(
    run: Run, boards: dict[str, RunningBoard], image: Path, bus: Path, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    board = boards["cmsis-dap"]
    long = tmp_path / "long.bin"
    long.write_bytes(random.Random(6).randbytes(100_000))
    before = board.tallies()["words"]
    victim = subprocess.Popen(
        [sys.executable, "-m", "pyocd", "load", "-W", "--no-config", "-u", board.serial, "-t", TARGET, str(long)],
        env=os.environ | client.environment(bus, only=True),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: board.tallies()["words"] > before + 4000, 20, "it programs")
    finally:
        victim.kill()
        victim.wait()
    done = load(run, board, image)
    assert done.returncode == 0, done.stderr
    assert board.flash(0, image.stat().st_size) == image.read_bytes()


# The plugin.

LOADED = "import sys, pyocd.probe.aggregator; print(sorted(name for name in sys.modules if name.startswith('msdflash')))"


def test_without_the_variable_nothing_is_loaded_and_nothing_changes() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MSDFLASH")}
    code = LOADED + "; import libusb_package; print(libusb_package.get_libusb1_backend.__module__)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=30, check=True)
    modules, module = done.stdout.splitlines()
    assert modules == "['msdflash', 'msdflash.sim', 'msdflash.sim.pyocd_plugin']"
    assert module == "libusb_package"
    assert done.stderr == ""


def test_with_the_variable_only_the_bench_is_loaded_and_no_probe_class_of_ours_is_added(run: Run) -> None:
    code = (
        "; from pyocd.probe.aggregator import PROBE_CLASSES as found; print({each.__module__.partition('.')[0] for each in found.values()})"
    )
    done = run("-c", LOADED + code)
    modules, added = done.stdout.splitlines()
    allowed = ("msdflash.sim.pyocd_plugin", "msdflash.sim.usb", "msdflash.sim.port")
    assert all(name in ("msdflash", "msdflash.sim") or name.startswith(allowed) for name in json.loads(modules.replace("'", '"')))
    assert "msdflash.sim.usb.backend" in modules
    assert added == "{'pyocd'}"
    assert done.stderr == ""


def test_a_second_install_does_not_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import libusb_package

    from msdflash.sim.usb.backend import install

    monkeypatch.setattr(libusb_package, "get_libusb1_backend", libusb_package.get_libusb1_backend)
    original = libusb_package.get_libusb1_backend
    install(str(tmp_path), only=True)
    backend = install(str(tmp_path), only=False)
    assert libusb_package.get_libusb1_backend() is backend
    assert libusb_package.get_libusb1_backend.original is original
