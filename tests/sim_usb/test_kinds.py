"""Kinds of probe: CMSIS-DAP v1 with and without an OUT endpoint, ST-LINK/V2-1, and one whose firmware is too old."""

from __future__ import annotations

import errno
import json
import random
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import usb.core
import usb.util

from msdflash.sim.client import RunningBoard
from msdflash.sim.spec import PROBES
from msdflash.sim.usb import cmsisdap
from msdflash.sim.usb.backend import Backend
from msdflash.sim.usb.cmsisdap import PROFILES, CmsisDap
from msdflash.sim.usb.device import Device, PipeStall
from msdflash.sim.usb.stlink import MODELS, StLink

KINDS = ("cmsis-dap-v1", "cmsis-dap-v1-ep0", "stlink-v2-1", "stlink-v2-old")
OK, UNKNOWN = b"\x80\x00", b"\x42\x00"
INFO = b"\x00\xf0".ljust(64, b"\0")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's HID driver is modelled on Linux")


def hid(target: Any, kind: str) -> Device:
    identity = cmsisdap.Identity("0765" + "a" * 44)
    return Device(cmsisdap.description(PROFILES[kind], identity), CmsisDap(target, PROFILES[kind], identity, lambda _: None))


def link(target: Any, kind: str = "stlink-v2-1", foreign: bool = False) -> StLink:
    return StLink(MODELS[kind], target, "0765", foreign, lambda _: None)


def ask(probe: StLink, *command: int | bytes) -> bytes:
    data = b"".join(bytes([part]) if isinstance(part, int) else part for part in command)
    return b"".join(probe.message(data.ljust(16, b"\0")))


# CMSIS-DAP v1.


@pytest.mark.parametrize(("kind", "endpoints"), [("cmsis-dap-v1", [0x81, 0x01]), ("cmsis-dap-v1-ep0", [0x81])])
def test_descriptors_of_a_hid_probe(target: Any, kind: str, endpoints: list[int]) -> None:
    device = hid(target, kind)
    data = device.description.configuration()
    assert int.from_bytes(data[2:4], "little") == len(data)
    assert data[9:18] == bytes((9, 4, 0, 0, len(endpoints), 3, 0, 0, 4))
    report = device.control(struct.pack("<BBHHH", 0x81, 6, 0x2200, 0, 255))
    assert data[18:27] == struct.pack("<BBHBBBH", 9, 0x21, 0x0111, 0, 1, 0x22, len(report))
    assert device.control(struct.pack("<BBHHH", 0x81, 6, 0x2100, 0, 255)) == data[18:27]
    assert [data[at + 2] for at in range(27, len(data), 7)] == endpoints
    assert {data[at + 3 : at + 7] for at in range(27, len(data), 7)} == {struct.pack("<BHB", 3, 64, 1)}  # interrupt, 64 bytes, each frame
    with pytest.raises(PipeStall):
        device.control(struct.pack("<BBHHH", 0x81, 6, 0x2200, 1, 255))


def test_reports_always_have_64_bytes(target: Any) -> None:
    device = hid(target, "cmsis-dap-v1")
    assert device.out(INFO) == (b"\x00\x01\x11".ljust(64, b"\0"),)
    assert device.out(b"\x00\x04".ljust(64, b"\0"))[0].startswith(b"\x00\x061.3.0\0")
    device.in_pipe.put(device.out(INFO)[0])
    assert len(device.in_pipe) == 1  # a full report is not followed by an empty packet


def test_set_report_is_for_devices_without_an_out_endpoint(target: Any) -> None:
    setup = struct.pack("<BBHHH", 0x21, 9, 0x0200, 0, 64)
    assert hid(target, "cmsis-dap-v1-ep0").is_report(setup)
    assert not hid(target, "cmsis-dap-v1").is_report(setup)
    assert not hid(target, "cmsis-dap-v1-ep0").is_report(struct.pack("<BBHHH", 0x21, 9, 0x0300, 0, 64))  # a feature report
    assert not hid(target, "cmsis-dap-v1-ep0").is_report(struct.pack("<BBHHH", 0x21, 9, 0x0200, 1, 64))


# ST-LINK.


def test_a_v2_tells_its_versions_in_one_word(target: Any) -> None:
    word = int.from_bytes(ask(link(target), 0xF1)[:2], "big")
    assert (word >> 12, word >> 6 & 0x3F, word & 0x3F) == (2, 37, 26)
    assert ask(link(target), 0xF1)[2:] == struct.pack("<HH", 0x0483, 0x374B)
    assert ask(link(target), 0xFB) == UNKNOWN
    assert int.from_bytes(ask(link(target, "stlink-v2-old"), 0xF1)[:2], "big") >> 6 & 0x3F < 24


def test_a_v2_has_divisors_for_speeds_and_a_v3_has_not(target: Any) -> None:
    probe = link(target)
    for divisor, hertz in ((0, 4_600_000), (1, 1_800_000), (40, 100_000)):
        assert ask(probe, 0xF2, 0x43, divisor) == OK
        assert target.hertz == hertz
    assert ask(probe, 0xF2, 0x43, 4) == b"\x41\x00"
    assert ask(probe, 0xF2, 0x61, 0, 0, struct.pack("<I", 1000)) == UNKNOWN
    assert ask(link(target, "stlink-v3"), 0xF2, 0x43, 1) == UNKNOWN


def test_an_8_bit_access_takes_one_packet(target: Any) -> None:
    for kind, most in (("stlink-v2-1", 64), ("stlink-v3", 512)):
        probe = link(target, kind)
        ask(probe, 0xF2, 0x30, 0xA3)
        for length, status in ((most, 0x80), (most + 1, 0x0A)):
            assert len(ask(probe, 0xF2, 0x0C, struct.pack("<IH", 0x20000000, length))) == length
            assert ask(probe, 0xF2, 0x3E)[0] == status


def test_old_firmware_lacks_what_came_later(target: Any) -> None:
    old = link(target, "stlink-v2-old", foreign=True)
    assert ask(old, 0xF2, 0x30, 0xA3) == OK
    for command in (0x45, 0x46, 0x47, 0x4B, 0x56):
        assert ask(old, 0xF2, command) == UNKNOWN
    assert ask(old, 0xF2, 0x43, 1) == OK
    assert ask(old, 0xF2, 0x48) == UNKNOWN  # and does not wait for data
    assert ask(old, 0xF5) == b"\x02\x00"


def test_banks_of_the_debug_port_can_be_selected(target: Any) -> None:
    probe = link(target)
    ask(probe, 0xF2, 0x30, 0xA3)
    ask(probe, 0xF2, 0x45, struct.pack("<HH", 0xFFFF, 0x34))
    assert target.select & 0xF == 3


@pytest.mark.parametrize("kind", ["stlink-v2-1", "stlink-v3"])
def test_another_makers_chip_is_refused_at_its_access_port(target: Any, kind: str) -> None:
    probe = link(target, kind, foreign=True)
    assert ask(probe, 0xF2, 0x30, 0xA3) == OK
    assert ask(probe, 0xF2, 0x4B, 0) == b"\x1d\x00"
    assert ask(link(target, kind), 0xF2, 0x4B, 0) == OK


# On the bus.


@pytest.fixture(scope="module")
def boards(serve: Callable[[str], RunningBoard]) -> dict[str, RunningBoard]:
    return {probe: serve(f"nucleo-l476rg,probe={probe}") for probe in KINDS}


@pytest.fixture
def devices(bus: Path, boards: dict[str, RunningBoard]) -> Iterator[Callable[[str], Any]]:
    opened: list[Any] = []

    def find(kind: str) -> Any:
        found = next(
            each for each in usb.core.find(find_all=True, backend=Backend(bus, lambda: None)) if each.serial_number == boards[kind].serial
        )
        opened.append(found)
        return found

    yield find
    for each in opened:
        usb.util.dispose_resources(each)


def test_every_kind_is_in_the_table_of_probes() -> None:
    assert set(KINDS) < set(PROBES)


@linux_only
def test_the_kernels_driver_is_in_the_way_until_it_is_detached(devices: Callable[[str], Any], boards: dict[str, RunningBoard]) -> None:
    boards["cmsis-dap-v1"].set("replug")
    device = devices("cmsis-dap-v1")
    assert device.is_kernel_driver_active(0)
    with pytest.raises(usb.core.USBError) as error:
        usb.util.claim_interface(device, 0)
    assert error.value.errno == errno.EBUSY
    device.detach_kernel_driver(0)
    assert not device.is_kernel_driver_active(0)
    with pytest.raises(usb.core.USBError) as error:
        device.detach_kernel_driver(0)
    assert error.value.errno == errno.ENOENT
    usb.util.claim_interface(device, 0)
    with pytest.raises(usb.core.USBError) as error:
        device.attach_kernel_driver(0)
    assert error.value.errno == errno.EBUSY
    assert device.write(0x01, INFO, 1000) == 64
    assert bytes(device.read(0x81, 64, 1000)) == b"\x00\x01\x11".ljust(64, b"\0")
    usb.util.release_interface(device, 0)
    device.attach_kernel_driver(0)
    assert device.is_kernel_driver_active(0)
    assert not devices("stlink-v2-1").is_kernel_driver_active(0)


def test_a_report_over_endpoint_0_is_answered_and_can_time_out(devices: Callable[[str], Any], boards: dict[str, RunningBoard]) -> None:
    device = devices("cmsis-dap-v1-ep0")
    if sys.platform == "linux":
        device.detach_kernel_driver(0)
    assert device.ctrl_transfer(0x21, 9, 0x0200, 0, INFO, 1000) == 64
    assert bytes(device.read(0x81, 64, 1000)) == b"\x00\x01\x11".ljust(64, b"\0")
    boards["cmsis-dap-v1-ep0"].set("fault=hang")
    with pytest.raises(usb.core.USBTimeoutError):
        device.ctrl_transfer(0x21, 9, 0x0200, 0, INFO, 20)
    boards["cmsis-dap-v1-ep0"].set("fault=none")
    boards["cmsis-dap-v1-ep0"].set("fault=stall")
    with pytest.raises(usb.core.USBError) as error:
        device.ctrl_transfer(0x21, 9, 0x0200, 0, INFO, 1000)
    assert error.value.errno == errno.EPIPE
    boards["cmsis-dap-v1-ep0"].set("fault=none")
    boards["cmsis-dap-v1-ep0"].set("replug")


LOAD = """
import json, os, sys
from pyocd.core.session import Session
from pyocd.flash.file_programmer import FileProgrammer
from pyocd.probe.aggregator import DebugProbeAggregator

image, *serials = sys.argv[1:]
listed = [probe.unique_id for probe in DebugProbeAggregator.get_all_connected_probes()]
said = {}
for serial in serials:
    options = {"target_override": "stm32l475xg", "no_config": True, "hide_programming_progress": True, "project_dir": os.getcwd()}
    try:
        with Session(DebugProbeAggregator.get_probe_with_id(serial), **options) as session:
            FileProgrammer(session).program(image, base_address=0x08000000)
        said[serial] = ""
    except Exception as error:
        said[serial] = f"{type(error).__name__}: {error}"
print(json.dumps([listed, said]))
"""


def test_stock_pyocd_lists_them_all_flashes_three_and_refuses_the_old_one(
    run: Callable[..., subprocess.CompletedProcess[str]], boards: dict[str, RunningBoard], tmp_path: Path
) -> None:
    image = tmp_path / "firmware.bin"
    image.write_bytes(random.Random(7).randbytes(3000))
    done = run("-c", LOAD, str(image), *(board.serial for board in boards.values()))
    listed, said = json.loads(done.stdout.splitlines()[-1])
    assert set(listed) == {board.serial for board in boards.values()}
    for kind, board in boards.items():
        flash = board.flash()
        if kind == "stlink-v2-old":
            assert "unsupported, older firmware version" in said[board.serial]
            assert flash == b"\xff" * len(flash)
        else:
            assert said[board.serial] == ""
            assert flash == image.read_bytes().ljust(len(flash), b"\xff")
