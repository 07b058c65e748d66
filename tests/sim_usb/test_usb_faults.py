"""USB faults: what the host sees of each, and what pyOCD's own drivers make of it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import usb.core
import usb.util

from msdflash.sim import client
from msdflash.sim.client import RunningBoard
from msdflash.sim.spec import SpecError, parse_fault
from msdflash.sim.usb.backend import Backend
from msdflash.sim.usb.faults import USB_FAULTS

KINDS = ("cmsis-dap", "cmsis-dap-v1", "stlink-v3")
INFO = b"\x00\xf0"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="device files are Linux's")


@pytest.fixture(scope="module")
def boards(serve: Callable[[str], RunningBoard]) -> dict[str, RunningBoard]:
    return {probe: serve(f"nucleo-l476rg,probe={probe}") for probe in KINDS}


@pytest.fixture
def dap(boards: dict[str, RunningBoard]) -> Iterator[RunningBoard]:
    yield boards["cmsis-dap"]
    boards["cmsis-dap"].set("fault=none")
    boards["cmsis-dap"].set("replug")


@pytest.fixture
def devices(bus: Path) -> Iterator[Callable[[], list[Any]]]:
    opened: list[Any] = []

    def find() -> list[Any]:
        opened.extend(usb.core.find(find_all=True, backend=Backend(bus, lambda: None)))
        return opened[-len(KINDS) :]

    yield find
    for each in opened:
        usb.util.dispose_resources(each)


def listed(board: RunningBoard) -> dict[str, Any]:
    """The board's device as the bench announces it."""
    record: dict[str, Any] = json.loads((board.bus / f"{board.serial}.board").read_text(encoding="utf-8"))
    return record


def device_of(found: list[Any], board: RunningBoard) -> Any:
    return next(each for each in found if each.address == listed(board)["number"])


def folder(board: RunningBoard) -> Path:
    return board.bus / "host" / "sys" / "bus" / "usb" / "devices" / f"255-{listed(board)['number']}"


def number(action: Callable[[], object]) -> int | None:
    with pytest.raises(usb.core.USBError) as error:
        action()
    found: int | None = error.value.errno
    return found


def test_arguments_are_checked() -> None:
    for text in ("no-permission", "busy", "stall", "stall:in", "short-packet", "short-packet:3", "slow", "slow:20", "no-serial", "hang"):
        assert parse_fault(text).text() == text
    for text in ("disconnect-reenumerate", "disconnect-reenumerate:5", "disconnect-reenumerate:5:100", "equal-serial:AB"):
        assert parse_fault(text).text() == text
    for text, says in (
        ("stall:up", "stall:in"),
        ("slow:fast", "a number"),
        ("no-permission:1", "takes no argument"),
        ("equal-serial", "equal-serial:"),
        ("equal-serial:../x", "equal-serial:"),
        ("disconnect-reenumerate:1:2:3", "disconnect-reenumerate:1000:300"),
        ("slow:" + "\u0663", "a number"),
    ):
        with pytest.raises(SpecError, match=says):
            parse_fault(text)
    assert all(row.text and (bool(row.form) == bool(row.example)) for row in USB_FAULTS.values())


def test_no_permission_is_told_at_open_and_ends(dap: RunningBoard, devices: Callable[[], list[Any]]) -> None:
    dap.set("fault=no-permission")
    assert number(lambda: device_of(devices(), dap).get_active_configuration()) == errno.EACCES
    if sys.platform == "linux":
        assert Path(listed(dap)["node"]).stat().st_mode & 0o777 == 0
    dap.set("replug")  # a rule of the system holds for the next plug, too
    assert number(lambda: device_of(devices(), dap).get_active_configuration()) == errno.EACCES
    dap.set("fault=none")
    assert device_of(devices(), dap).get_active_configuration().bConfigurationValue == 1


def test_busy_is_told_at_claim_and_by_transfers(dap: RunningBoard, devices: Callable[[], list[Any]]) -> None:
    dap.set("fault=busy")
    device = device_of(devices(), dap)
    assert device.serial_number == dap.serial  # strings can be read all the same
    assert number(lambda: usb.util.claim_interface(device, 0)) == errno.EBUSY
    assert number(lambda: device.write(0x01, INFO, 100)) == errno.EBUSY
    dap.set("fault=none")
    usb.util.claim_interface(device, 0)


def test_stall_of_either_direction(dap: RunningBoard, devices: Callable[[], list[Any]]) -> None:
    dap.set("fault=stall:in")
    device = device_of(devices(), dap)
    assert device.write(0x01, INFO, 1000) == 2
    assert number(lambda: device.read(0x81, 512, 1000)) == errno.EPIPE
    device.clear_halt(0x81)
    assert bytes(device.read(0x81, 512, 1000)) == b"\x00\x01\x11"
    dap.set("fault=stall:out")
    assert number(lambda: device.write(0x01, INFO, 1000)) == errno.EPIPE


def test_short_packets_begin_after_their_number(dap: RunningBoard, devices: Callable[[], list[Any]]) -> None:
    dap.set("fault=short-packet:1")
    device = device_of(devices(), dap)
    got = []
    for _ in range(3):
        device.write(0x01, INFO, 1000)
        got.append(bytes(device.read(0x81, 512, 1000)))
    assert got == [b"\x00\x01\x11", b"\x00", b"\x00"]


def test_slow_answers_come_late_and_not_never(dap: RunningBoard, devices: Callable[[], list[Any]]) -> None:
    dap.set("fault=slow:150")
    device = device_of(devices(), dap)
    device.write(0x01, INFO, 1000)
    with pytest.raises(usb.core.USBTimeoutError):
        device.read(0x81, 512, 20)
    assert bytes(device.read(0x81, 512, 5000)) == b"\x00\x01\x11"


def test_it_comes_back_with_another_address_and_the_target_keeps_its_power(
    dap: RunningBoard, devices: Callable[[], list[Any]], eventually: Callable[..., None]
) -> None:
    before = listed(dap)["number"]
    device = device_of(devices(), dap)
    dap.set("fault=disconnect-reenumerate:1:50")
    device.write(0x01, INFO, 1000)
    assert number(lambda: device.read(0x81, 512, 1000)) == errno.ENODEV
    eventually(lambda: listed(dap)["plugged"], 5, "it comes back")
    assert listed(dap)["number"] != before
    again = device_of(devices(), dap)
    again.write(0x01, INFO, 1000)
    assert bytes(again.read(0x81, 512, 1000)) == b"\x00\x01\x11"
    assert number(lambda: device.write(0x01, INFO, 1000)) == errno.ENODEV  # the old handle is dead for ever


def test_serials_can_be_missing_or_equal(dap: RunningBoard, boards: dict[str, RunningBoard], devices: Callable[[], list[Any]]) -> None:
    other = boards["cmsis-dap-v1"]
    dap.set(f"fault=equal-serial:{other.serial}")
    assert [each.serial_number for each in devices()].count(other.serial) == 2
    dap.set("fault=no-serial")
    found = device_of(devices(), dap)
    assert (found.iSerialNumber, found.serial_number) == (0, None)
    assert not (folder(dap) / "serial").exists()
    dap.set("fault=none")
    assert device_of(devices(), dap).serial_number == dap.serial
    assert (folder(dap) / "serial").read_text(encoding="utf-8").strip() == dap.serial


@linux_only
def test_the_host_tree_follows_claims_and_the_plug(
    dap: RunningBoard, boards: dict[str, RunningBoard], devices: Callable[[], list[Any]]
) -> None:
    def driver(board: RunningBoard) -> str:
        link = folder(board) / f"{folder(board).name}:1.0" / "driver"
        return link.readlink().name if link.is_symlink() else ""

    boards["cmsis-dap-v1"].set("replug")
    assert (driver(dap), driver(boards["cmsis-dap-v1"])) == ("", "usbhid")
    device = device_of(devices(), dap)
    usb.util.claim_interface(device, 0)
    assert driver(dap) == "usbfs"
    node = Path(listed(dap)["node"])
    held = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    assert str(node) in held  # as libusb holds it
    usb.util.dispose_resources(device)
    assert driver(dap) == ""
    before = folder(dap)
    dap.set("unplug")
    assert not before.exists()
    assert not node.exists()
    dap.set("replug")
    assert folder(dap) != before
    assert (folder(dap) / "idVendor").read_text(encoding="ascii") == "0d28\n"


def test_a_killed_board_leaves_files_that_its_next_process_takes_away(tmp_path: Path) -> None:
    from msdflash.sim.spec import parse

    spec = parse("nucleo-l476rg,serial=K1")
    with client.start(spec, bus=tmp_path) as board:
        first = folder(board)
        assert board.process is not None
        board.process.kill()
        board.process.wait()
        if board.process.stdin is not None:
            board.process.stdin.close()
        board.process = None
    assert first.exists()
    with client.start(spec, bus=tmp_path) as board:
        assert len(list(first.parent.iterdir())) == 1
        last = folder(board)
    assert not last.exists()


# What pyOCD's drivers make of it: the outcomes, and nothing else.

PYOCD = """
import json, os, sys
from pyocd.core.session import Session
from pyocd.probe.aggregator import DebugProbeAggregator, PROBE_CLASSES
from pyocd.probe.pydapaccess.interface.interface import Interface
from msdflash.sim import client

Interface.DEFAULT_USB_TIMEOUT_S, Interface.DEFAULT_USB_TIMEOUT_MS = 0.3, 300
bus = client.bus_folder()
for line in sys.stdin:
    kind, serial, fault = line.split()
    client.change(serial, "fault=" + fault, bus)
    try:
        driver = PROBE_CLASSES["stlink" if kind.startswith("stlink") else "cmsisdap"]
        probe = driver.get_probe_with_id(serial, False)
        if probe is None:
            said = [["not listed", "", None]]
        else:
            session = Session(probe, no_config=True, project_dir=os.getcwd(), target_override="cortex_m")
            session.open()
            said = []
            session.close()
    except BaseException as error:
        said = []
        while error is not None and len(said) < 4:
            said.append([type(error).__name__, str(error), getattr(error, "errno", None)])
            error = error.__cause__
    print("said " + json.dumps([kind, fault, said]), flush=True)
    client.change(serial, "fault=none", bus)
    client.change(serial, "replug", bus)
os._exit(0)
"""
DAP, HID, LINK = KINDS
NOT_LISTED: set[tuple[str, int | None]] = {("not listed", None)}
# What may stand first, with the error number somewhere in its chain. AssertionError without a text: pyOCD lost the cause.
# What fails at an IN transfer depends on a race between pyOCD's reading thread and its caller, so there are several.
READING: set[tuple[str, int | None]] = {("AssertionError", None), ("ProbeError", 32), ("ProbeError", None)}
TIMED_OUT: set[tuple[str, int | None]] = {("USBTimeoutError", 110), ("ProbeError", 110), ("ProbeError", None)}
OUTCOMES: dict[str, dict[str, set[tuple[str, int | None]]]] = {
    "no-permission": {DAP: NOT_LISTED, HID: NOT_LISTED, LINK: NOT_LISTED},
    "busy": {DAP: {("ProbeError", 16)}, HID: {("ProbeError", 16)}, LINK: {("USBError", 16)}},
    "stall:out": {DAP: {("USBError", 32)}, HID: {("USBError", 32)}, LINK: {("ProbeError", 32)}},
    "stall:in": {DAP: READING, HID: READING, LINK: {("ProbeError", 32)}},
    "short-packet": {DAP: {("IndexError", None)}, HID: {("AssertionError", None)}, LINK: {("ProbeError", None)}},
    "no-serial": {DAP: NOT_LISTED, HID: NOT_LISTED, LINK: {("TypeError", None)}},
    "hang": {DAP: TIMED_OUT, HID: TIMED_OUT, LINK: {("ProbeError", 110)}},
    "slow:700": {DAP: TIMED_OUT | {("AssertionError", None)}},
    # The assertion: pyOCD's first, suppressed open failed and left the interface open, so the second one trips over it.
    "disconnect-reenumerate:4:100": {
        DAP: {("USBError", 19), ("ProbeError", 19), ("ProbeError", None), ("AssertionError", None)},
        LINK: {("ProbeError", 19)},
    },
}


def test_each_fault_is_one_of_the_known_outcomes_of_each_driver(bus: Path, boards: dict[str, RunningBoard]) -> None:
    asked = "".join(f"{kind} {boards[kind].serial} {fault}\n" for fault, kinds in OUTCOMES.items() for kind in kinds)
    done = subprocess.run(
        [sys.executable, "-c", PYOCD],
        env=os.environ | client.environment(bus, only=True),
        input=asked,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=bus,
    )
    heard = [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("said ")]
    assert len(heard) == asked.count("\n"), done.stderr[-2000:]
    wrong = []
    for kind, fault, said in heard:
        first = said[0][0] if said else "opened"
        found = next((item[2] for item in said if item[2] is not None), None)
        if (first, found) not in OUTCOMES[fault][kind]:
            wrong.append((kind, fault, said))
    assert not wrong, "\n".join(map(str, wrong))
