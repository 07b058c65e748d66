"""Boards as processes: what host processes see of them, on the level of pyusb."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import usb.core
import usb.util

from msdflash.sim import client
from msdflash.sim.client import RunningBoard
from msdflash.sim.spec import parse
from msdflash.sim.usb.backend import Backend
from msdflash.sim.usb.wire import Caller, Role, dial, pack_hello, pack_request

Serve = Callable[[str], RunningBoard]
GET_INFO = b"\x00\xf0"
INFO = b"\x00\x01\x11"


@pytest.fixture(scope="module")
def boards(serve: Serve) -> dict[str, RunningBoard]:
    return {probe: serve(f"nucleo-l476rg,probe={probe}") for probe in ("cmsis-dap", "stlink-v3", "cmsis-dap-const0")}


@pytest.fixture
def dap(boards: dict[str, RunningBoard]) -> Iterator[RunningBoard]:
    yield boards["cmsis-dap"]
    boards["cmsis-dap"].set("replug")
    boards["cmsis-dap"].set("fault=none")


def find_all(bus: Path) -> list[Any]:
    return list(usb.core.find(find_all=True, backend=Backend(bus, lambda: None)))


@pytest.fixture
def device(bus: Path) -> Iterator[Callable[[RunningBoard], Any]]:
    """A pyusb device by its board; closed at the end."""
    opened: list[Any] = []

    def find(board: RunningBoard) -> Any:
        for each in find_all(bus):
            if each.serial_number == board.serial:
                opened.append(each)
                return each
            usb.util.dispose_resources(each)
        raise LookupError(board.serial)

    yield find
    for each in opened:
        usb.util.dispose_resources(each)


def number(error: pytest.ExceptionInfo[usb.core.USBError]) -> tuple[int | None, int | None]:
    return error.value.errno, error.value.backend_error_code


def test_every_kind_is_on_the_bus_with_its_strings(bus: Path, boards: dict[str, RunningBoard]) -> None:
    found = {}
    for each in find_all(bus):
        found[each.serial_number] = (each.idVendor, each.idProduct, each.speed, each.product)
        usb.util.dispose_resources(each)
    assert found == {
        boards["cmsis-dap"].serial: (0x0D28, 0x0204, 3, "DAPLink CMSIS-DAP"),
        boards["cmsis-dap-const0"].serial: (0x0D28, 0x0204, 2, "DAPLink CMSIS-DAP"),
        boards["stlink-v3"].serial: (0x0483, 0x374F, 3, "STLINK-V3"),
    }


def test_a_missing_bus_is_an_empty_one(tmp_path: Path) -> None:
    assert find_all(tmp_path / "nowhere") == []


def test_real_devices_stand_beside_them(bus: Path, boards: dict[str, RunningBoard]) -> None:
    class Real:
        """Stands for libusb with one device."""

        def enumerate_devices(self) -> Iterator[str]:
            yield "real device"

        def open_device(self, dev: str) -> str:
            return f"handle of {dev}"

    backend = Backend(bus, Real)
    everything = list(backend.enumerate_devices())
    assert len(everything) == len(boards) + 1
    assert backend.open_device(everything[-1]) == "handle of real device"


def test_messages_go_and_come(dap: RunningBoard, device: Callable[[RunningBoard], Any]) -> None:
    dev = device(dap)
    before = dap.tallies()["usb"]
    assert dev.write(0x01, GET_INFO, 1000) == 2
    assert bytes(dev.read(0x81, 512, 1000)) == INFO
    after = dap.tallies()["usb"]
    assert (after["out"] - before["out"], after["in"] - before["in"]) == (1, 1)


def test_nothing_to_read_is_a_timeout(dap: RunningBoard, device: Callable[[RunningBoard], Any]) -> None:
    with pytest.raises(usb.core.USBTimeoutError) as error:
        device(dap).read(0x81, 512, 1)
    assert number(error) == (errno.ETIMEDOUT, -7)


def test_second_open_is_busy_until_the_first_lets_go(dap: RunningBoard, device: Callable[[RunningBoard], Any]) -> None:
    first, second = device(dap), device(dap)
    usb.util.claim_interface(first, 0)
    with pytest.raises(usb.core.USBError) as error:
        usb.util.claim_interface(second, 0)
    assert number(error) == (errno.EBUSY, -6)
    with pytest.raises(usb.core.USBError) as error:
        second.write(0x01, GET_INFO, 1000)
    assert error.value.errno == errno.EBUSY
    usb.util.dispose_resources(first)
    second.write(0x01, GET_INFO, 1000)
    assert bytes(second.read(0x81, 512, 1000)) == INFO


def test_an_answer_nobody_fetched_waits_for_the_next(dap: RunningBoard, device: Callable[[RunningBoard], Any]) -> None:
    first = device(dap)
    first.write(0x01, GET_INFO, 1000)
    usb.util.dispose_resources(first)
    assert bytes(device(dap).read(0x81, 512, 1000)) == INFO


def test_full_buffers_are_not_acknowledged(dap: RunningBoard, device: Callable[[RunningBoard], Any]) -> None:
    dev = device(dap)
    for _ in range(4):
        dev.write(0x01, GET_INFO, 1000)
    with pytest.raises(usb.core.USBTimeoutError):
        dev.write(0x01, GET_INFO, 20)
    assert bytes(dev.read(0x81, 512, 1000)) == INFO
    dev.write(0x01, GET_INFO, 1000)


def test_wrong_endpoints_and_interfaces(dap: RunningBoard, device: Callable[[RunningBoard], Any], bus: Path) -> None:
    dev = device(dap)
    with pytest.raises(usb.core.USBError) as error:
        usb.util.claim_interface(dev, 3)
    assert number(error) == (errno.ENOENT, -5)
    backend = Backend(bus, lambda: None)
    handle = backend.open_device(next(iter(backend.enumerate_devices())))
    try:
        for endpoint in (0x05, 0x85):
            with pytest.raises(usb.core.USBError) as error:
                handle.transfer(1, endpoint, 100, 0, b"x")
            assert error.value.errno == errno.ENOENT
        with pytest.raises(usb.core.USBError) as error:
            handle.transfer(1, 0x81, 100, 0, b"x")
        assert error.value.errno == errno.EINVAL
    finally:
        handle.close()


def test_stall_lasts_until_it_is_cleared(dap: RunningBoard, device: Callable[[RunningBoard], Any]) -> None:
    dap.set("fault=stall")
    dev = device(dap)
    for _ in range(2):
        with pytest.raises(usb.core.USBError) as error:
            dev.write(0x01, GET_INFO, 1000)
        assert number(error) == (errno.EPIPE, -9)
    dev.clear_halt(0x01)
    assert dev.write(0x01, GET_INFO, 1000) == 2


def test_hang_is_a_timeout_both_ways(dap: RunningBoard, device: Callable[[RunningBoard], Any]) -> None:
    dev = device(dap)
    dev.write(0x01, GET_INFO, 1000)
    dap.set("fault=hang")
    with pytest.raises(usb.core.USBTimeoutError):
        dev.write(0x01, GET_INFO, 10)
    with pytest.raises(usb.core.USBTimeoutError):
        dev.read(0x81, 512, 10)
    dap.set("fault=none")
    assert bytes(dev.read(0x81, 512, 1000)) == INFO


def test_unplug_ends_a_waiting_read_and_the_handle_stays_dead(
    dap: RunningBoard, device: Callable[[RunningBoard], Any], bus: Path, eventually: Callable[..., None]
) -> None:
    dev = device(dap)
    address = dev.address
    usb.util.claim_interface(dev, 0)
    seen: list[usb.core.USBError] = []
    naks = dap.tallies()["usb"]["nak"]

    def read() -> None:
        try:
            dev.read(0x81, 512, 10_000)
        except usb.core.USBError as error:
            seen.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    eventually(lambda: dap.tallies()["usb"]["nak"] > naks, what="the read waits")
    dap.set("unplug")
    reader.join(5)
    assert [each.errno for each in seen] == [errno.ENODEV]
    assert dap.serial not in [each.serial_number for each in find_all(bus)]
    dap.set("replug")
    with pytest.raises(usb.core.USBError) as error:
        dev.write(0x01, GET_INFO, 100)
    assert number(error) == (errno.ENODEV, -4)
    with pytest.raises(usb.core.USBError):
        usb.util.release_interface(dev, 0)
    again = device(dap)
    assert again.address != address
    assert again.write(0x01, GET_INFO, 1000) == 2


def test_unplug_after_counts_transfers(dap: RunningBoard, device: Callable[[RunningBoard], Any]) -> None:
    dev = device(dap)
    dap.set("fault=unplug-after:3")
    dev.write(0x01, GET_INFO, 1000)
    dev.read(0x81, 512, 1000)
    dev.write(0x01, GET_INFO, 1000)
    with pytest.raises(usb.core.USBError) as error:
        dev.read(0x81, 512, 1000)
    assert error.value.errno == errno.ENODEV
    assert [each.plugged for each in client.boards(dap.bus) if each.serial == dap.serial] == [False]


def test_a_board_without_its_cable_has_no_power(boards: dict[str, RunningBoard], device: Callable[[RunningBoard], Any]) -> None:
    link = boards["stlink-v3"]
    dev = device(link)
    dev.write(0x01, bytes([0xF2, 0x30, 0xA3]).ljust(16, b"\0"), 1000)
    assert bytes(dev.read(0x81, 512, 1000)) == b"\x80\x00"
    link.set("power=off")
    dev.write(0x01, bytes([0xF7]).ljust(16, b"\0"), 1000)
    assert bytes(dev.read(0x81, 512, 1000))[4:] == bytes(4)
    link.set("replug")  # the switch is still off
    dev = device(link)
    dev.write(0x01, bytes([0xF2, 0x30, 0xA3]).ljust(16, b"\0"), 1000)
    assert bytes(dev.read(0x81, 512, 1000)) == b"\x09\x00"
    link.set("power=on")
    dev.write(0x01, bytes([0xF2, 0x30, 0xA3]).ljust(16, b"\0"), 1000)
    assert bytes(dev.read(0x81, 512, 1000)) == b"\x80\x00"


DIE_IN_A_WRITE = """
import os, sys, usb.core
from pathlib import Path
from msdflash.sim.usb.backend import Backend
from msdflash.sim.usb.wire import Caller, Role, dial, pack_hello, pack_request
(dev,) = [d for d in usb.core.find(find_all=True, backend=Backend(Path(sys.argv[1]), lambda: None)) if d.serial_number == sys.argv[2]]
dev.write(0x01, bytes.fromhex("f208000000204000").ljust(16, b"\\0"), 1000)
dev.write(0x01, bytes(20), 1000)
os._exit(9) if os.name == "nt" else os.kill(os.getpid(), 9)
"""


def test_a_client_killed_inside_a_write_leaves_nothing_behind(
    boards: dict[str, RunningBoard], bus: Path, device: Callable[[RunningBoard], Any], eventually: Callable[..., None]
) -> None:
    link = boards["stlink-v3"]
    died = subprocess.run([sys.executable, "-c", DIE_IN_A_WRITE, str(bus), link.serial], timeout=20, check=False)
    assert died.returncode != 0
    dev = device(link)
    usb.util.claim_interface(dev, 0)
    dev.write(0x01, b"\xf1".ljust(16, b"\0"), 1000)
    assert bytes(dev.read(0x81, 512, 1000)) == b"\x30\x00\x83\x04\x4f\x37"


def test_a_serial_is_served_once(boards: dict[str, RunningBoard], bus: Path) -> None:
    spec = boards["cmsis-dap"].spec
    again = subprocess.run(
        [sys.executable, "-m", "msdflash.sim.serve", "--bus", str(bus), spec.text()],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert again.returncode == client.ALREADY_SERVED
    assert spec.serial in again.stderr
    attached = client.start(spec, bus=bus)
    attached.stop()  # not ours: it goes on
    assert spec.serial in [each.serial for each in client.boards(bus)]


def test_wrong_changes_are_refused_with_what_there_is(dap: RunningBoard) -> None:
    for text, says in (("explode", "replug"), ("fault=fire", "reset-held"), ("fault=ram-bad:x", "ram-bad"), ("power=maybe", "power=on")):
        with pytest.raises(client.BenchError, match=says):
            dap.set(text)
    with pytest.raises(client.BenchError, match=dap.serial):
        client.change("nobody", "unplug", dap.bus)


# Boards that come and go.


def test_flash_outlives_the_process_however_it_ends(tmp_path: Path, eventually: Callable[..., None]) -> None:
    spec = parse("nucleo-l476rg,serial=KEEP")
    with client.start(spec, bus=tmp_path) as board:
        process = board.process
        assert process is not None
        blank = board.flash()
        assert blank == b"\xff" * (1 << 20)
    assert not (tmp_path / "KEEP.board").exists()
    state = (tmp_path / "KEEP.state").read_bytes()
    with client.start(spec, bus=tmp_path) as board:
        board.set("power=off")
        eventually(lambda: (tmp_path / "KEEP.state").read_bytes() != state, what="the change is saved while it runs")
        assert board.process is not None
        board.process.kill()
    assert (tmp_path / "KEEP.board").exists()
    assert client.boards(tmp_path) == []
    assert find_all(tmp_path) == []
    with client.start(spec, bus=tmp_path) as board:
        assert board.flash(0x100, 16) == b"\xff" * 16
        assert [each.serial for each in client.boards(tmp_path)] == ["KEEP"]


def test_a_damaged_state_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "ODD.state").write_bytes(
        b"msdflash bench state 1\n" + json.dumps({"board": "nucleo-l476rg", "powered": True}).encode() + b"\nx"
    )
    with client.start(parse("nucleo-l476rg,serial=ODD"), bus=tmp_path) as board:
        assert board.flash(0, 4) == b"\xff" * 4
    assert (tmp_path / "ODD.state-unused").exists()
    assert "ODD.state-unused" in (tmp_path / "ODD.log").read_text(encoding="utf-8")


def test_an_owned_board_ends_with_its_owner(tmp_path: Path, eventually: Callable[..., None]) -> None:
    code = (
        "import os, sys; from pathlib import Path; from msdflash.sim import client; from msdflash.sim.spec import parse;"
        "board = client.start(parse('nucleo-l476rg,serial=OWNED'), bus=Path(sys.argv[1]));"
        "print(board.process.pid, flush=True); os._exit(1)"
    )
    owner = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=30, check=False)
    pid = int(owner.stdout)
    eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, what="the board ends")
    assert client.boards(tmp_path) == []


def test_a_bad_fault_argument_ends_the_start_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(client.BenchError, match=r"status 2.*ram-bad"):
        client.start(parse("nucleo-l476rg,fault=ram-bad:x"), bus=tmp_path)


def test_timed_boards_take_the_time_of_usb(tmp_path: Path, device: Callable[[RunningBoard], Any]) -> None:
    with client.start(parse("nucleo-l476rg,serial=SLOW,time=on"), bus=tmp_path) as board:
        (dev,) = find_all(tmp_path)
        usb.util.claim_interface(dev, 0)
        started = time.monotonic()
        for _ in range(100):
            dev.write(0x01, GET_INFO, 1000)
            assert bytes(dev.read(0x81, 512, 1000)) == INFO
        assert time.monotonic() - started >= 100 * 125e-6
        # At 1 kHz a DPIDR read is 46 clock cycles.
        dev.write(0x01, b"\x11\xe8\x03\x00\x00", 1000)
        dev.read(0x81, 512, 1000)
        started = time.monotonic()
        dev.write(0x01, b"\x05\x00\x01\x02", 1000)
        assert len(dev.read(0x81, 512, 1000)) >= 3
        assert time.monotonic() - started >= 0.046
        usb.util.dispose_resources(dev)
        assert board.tallies()["usb"]["out"] == 102


def test_over_tcp_only_who_can_read_the_file_gets_in(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    with client.start(parse("nucleo-l476rg,serial=TCP"), bus=folder) as board:
        (served,) = client.boards(folder)
        assert served.address.path is None
        (dev,) = find_all(folder)
        dev.write(0x01, GET_INFO, 1000)
        assert bytes(dev.read(0x81, 512, 1000)) == INFO
        usb.util.dispose_resources(dev)
        with pytest.raises(OSError, match="token"):
            Caller(served.address._replace(token=bytes(16)), Role.ADMIN)
        assert board.tallies()["usb"]["out"] == 1


def test_nonsense_on_the_socket_ends_only_its_own_connection(dap: RunningBoard, device: Callable[[RunningBoard], Any]) -> None:
    (served,) = [each for each in client.boards(dap.bus) if each.serial == dap.serial]
    dev = device(dap)
    dev.write(0x01, GET_INFO, 1000)
    greeting = pack_hello(Role.CONTROL, 0, served.address.token)
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n".ljust(64), greeting + b"\xff" * 64, greeting + pack_request(99, 9, 9, 9, 9, b"x" * 99)):
        with dial(served.address, 2) as peer:
            peer.sendall(nonsense)
            assert peer.recv(200)
    with pytest.raises(OSError, match="session"):
        Caller(served.address, Role.ENDPOINT, 4711)
    assert bytes(dev.read(0x81, 512, 1000)) == INFO


def test_bus_folder_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSDFLASH_SIM_BUS", str(tmp_path / "b"))
    assert client.bus_folder() == tmp_path / "b"
    if os.name == "posix":
        assert (tmp_path / "b").stat().st_mode & 0o777 == 0o700
    assert client.environment(tmp_path) == {"MSDFLASH_SIM_BUS": str(tmp_path)}
    assert client.environment(tmp_path, only=True)["MSDFLASH_SIM_ONLY"] == "1"
    monkeypatch.delenv("MSDFLASH_SIM_BUS")
    assert client.bus_folder(create=False).name == "bus"


@pytest.mark.skipif(os.name != "posix", reason="owners of files are a POSIX matter")
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSDFLASH_SIM_BUS", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(client.BenchError, match="another user"):
        client.bus_folder()


def test_a_fault_ends_with_the_board(tmp_path: Path) -> None:
    """Option bytes that a fault set are not what the board keeps."""
    states = []
    for faults in ("", ",fault=rdp1,fault=write-protect:2"):
        client.start(parse(f"nucleo-l476rg,probe=stlink-v3{faults}"), bus=tmp_path).stop()
        states.append(next(tmp_path.glob("*.state")).read_bytes())
    assert states[0] == states[1]
