"""A J-Link: its firmware's requests, and pylink's own code on the library that stands in for SEGGER's."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pylink
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylink.enums import JLinkInterfaces
from pylink.errors import JLinkException

from msdflash.sim import client
from msdflash.sim.port import Ack, Drive
from msdflash.sim.usb.jlink import ANSWER, REQUEST, STATE, Ask, JLink
from msdflash.sim.usb.jlinkarm import JLinkArm

if TYPE_CHECKING:
    from pathlib import Path

DPIDR = 0x2BA01477
SERIAL = 600123456


@pytest.fixture
def firmware(target: Any) -> JLink:
    return JLink(target, lambda _: None)


def ask(firmware: JLink, what: int, register: int = 0, value: int = 0) -> tuple[int, int]:
    (answer,) = firmware.message(REQUEST.pack(what, register, value))
    status, word = ANSWER.unpack(answer)
    return status, word


def test_access_port_reads_are_waited_for_and_writes_posted(firmware: JLink, target: Any) -> None:
    assert ask(firmware, Ask.READ) == (0, DPIDR)
    assert ask(firmware, Ask.WRITE, 4, 0x23000002) == (0, 0)  # CSW
    assert ask(firmware, Ask.WRITE, 5, 0x20000000) == (0, 0)
    assert ask(firmware, Ask.WRITE, 7, 0x12345678) == (0, 0)
    ask(firmware, Ask.WRITE, 5, 0x20000000)
    assert (ask(firmware, Ask.READ, 7), target.memory) == ((0, 0x12345678), {0x20000000: 0x12345678})
    ask(firmware, Ask.WRITE, 5, 0x1000)
    assert ask(firmware, Ask.WRITE, 7, 1) == (0, 0)  # refused by the bus, which is not known yet
    assert ask(firmware, Ask.WRITE, 7, 1) == (-1, 0)
    assert ask(firmware, Ask.READ, 1)[1] & 0x20


def test_all_that_can_go_wrong_on_the_wire_is_one_error(firmware: JLink, target: Any) -> None:
    for ack in (Ack.FAULT, Ack.NONE, Ack.LOW, Ack.PARITY):
        target.answers = [ack]
        target.sequences.clear()
        assert ask(firmware, Ask.READ) == (-1, 0)
        assert bool(target.sequences) == (ack != Ack.FAULT), "a line reset brings the port back"
        assert ask(firmware, Ask.READ) == (0, DPIDR)
    target.answers = [Ack.WAIT] * 100
    assert ask(firmware, Ask.READ) == (0, DPIDR)
    target.answers = [Ack.WAIT] * 101
    assert ask(firmware, Ask.READ) == (-1, 0)


def test_pins_and_voltage(firmware: JLink, target: Any) -> None:
    target.volts, target.level = 1.8, False
    assert STATE.unpack(firmware.message(REQUEST.pack(Ask.STATE, 0, 0))[0])[::5] == (1800, 0)
    ask(firmware, Ask.RESET, 0, 0)
    ask(firmware, Ask.RESET, 0, 1)
    ask(firmware, Ask.RESET, 0, 0)
    firmware.released()
    assert target.drives[-4:] == [Drive.LOW, Drive.FLOAT, Drive.LOW, Drive.FLOAT]
    ask(firmware, Ask.SPEED, 0, 4000)
    assert target.hertz == 4_000_000


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=12), max_size=5))
def test_any_bytes_are_taken(messages: list[bytes]) -> None:
    silent = SimpleNamespace(
        transfer=lambda _request, _data=0: (Ack.NONE, 0), sequence=lambda *_: None, set_clock=lambda _: None, set_nreset=lambda _: None,
        vtref=lambda: -1.0, swdio=lambda: True, nreset=lambda: True,
    )  # fmt: skip
    made: Any = JLink(silent, lambda _: None)
    for message in messages:
        assert all(len(answer) == 8 for answer in made.message(message))


@pytest.fixture(scope="module")
def served(serve: Callable[..., client.RunningBoard]) -> client.RunningBoard:
    return serve(f"nucleo-l476rg,probe=jlink,serial={SERIAL}")


@pytest.fixture
def boards(served: client.RunningBoard) -> client.RunningBoard:
    served.set("fault=none")
    served.set("replug")
    return served


@pytest.fixture
def link(boards: client.RunningBoard) -> Iterator[Callable[[], Any]]:
    """Makes pylink's objects on a library of their own each, as each process has."""
    with contextlib.ExitStack() as stack:

        def make() -> Any:
            library = JLinkArm(boards.bus)
            found = pylink.JLink(lib=SimpleNamespace(dll=lambda: library), log=str, detailed_log=str, error=str, warn=str)
            stack.callback(found.close)
            return found

        yield make


def connect(link: Any) -> Any:
    link.disable_dialog_boxes()
    link.open(SERIAL)
    link.set_tif(JLinkInterfaces.SWD)
    link.coresight_configure()
    return link


def test_pylink_finds_opens_and_reads(boards: client.RunningBoard, link: Callable[[], Any]) -> None:
    jlink = link()
    assert [(info.SerialNumber, info.acProduct) for info in jlink.connected_emulators()] == [(SERIAL, b"J-Link")]
    with pytest.raises(JLinkException, match="No emulator with serial number 1 found"):
        jlink.open(1)
    connect(jlink)
    assert (jlink.opened(), jlink.connected(), jlink.target_connected()) == (True, True, False)
    assert (jlink.hardware_status.voltage, jlink.hardware_status.tres) == (3300, 1)
    assert jlink.coresight_read(0, ap=False) == DPIDR
    with pytest.raises(JLinkException, match="J-Link is already open"):
        link().open(SERIAL)
    jlink.set_reset_pin_low()
    assert jlink.hardware_status.tres == 0
    jlink.set_reset_pin_high()
    boards.set("fault=reset-held")
    assert jlink.hardware_status.tres == 0
    boards.set("fault=swd-open")
    with pytest.raises(JLinkException) as told:
        jlink.coresight_read(0, ap=False)
    assert (told.value.code, str(told.value)) == (-1, "Unspecified error.")
    boards.set("fault=no-power")
    assert jlink.hardware_status.voltage == 0
    boards.set("unplug")
    with pytest.raises(JLinkException, match="Emulator connection error"):
        jlink.coresight_read(0, ap=False)
    with pytest.raises(JLinkException, match="J-Link connection has been lost"):
        jlink.set_speed(1000)
    assert jlink.connected_emulators() == []


def test_what_the_usb_side_lets_this_boundary_show(boards: client.RunningBoard, link: Callable[[], Any]) -> None:
    jlink = link()
    boards.set("fault=busy")
    assert len(jlink.connected_emulators()) == 1
    with pytest.raises(JLinkException, match="Cannot connect"):
        jlink.open(SERIAL)
    boards.set("fault=none")
    for fault in ("no-permission", "no-serial", "equal-serial:ABC"):
        boards.set(f"fault={fault}")
        assert jlink.connected_emulators() == [], fault
        boards.set("fault=none")
        assert [info.SerialNumber for info in jlink.connected_emulators()] == [SERIAL]
    boards.set("fault=equal-serial:000000000007")
    assert [info.SerialNumber for info in jlink.connected_emulators()] == [7]
    boards.set("fault=none")
    connect(jlink)
    boards.set("fault=short-packet:0")
    with pytest.raises(JLinkException, match="Emulator connection error"):
        jlink.coresight_read(0, ap=False)


def test_the_library_is_as_old_as_it_says_and_lacks_what_nobody_calls(tmp_path: Path) -> None:
    library = JLinkArm(tmp_path)
    assert pylink.JLink(lib=SimpleNamespace(dll=lambda: library)).version == "8.12"
    with pytest.raises(AttributeError, match="symbol not found"):
        library.JLINK_EraseChip  # noqa: B018


@pytest.mark.slow
def test_a_stock_pyocd_loads_over_it(boards: client.RunningBoard, tmp_path: Path) -> None:
    """Also where pyOCD, for want of SEGGER's library, had left its J-Link driver out before the bench's entry point was asked."""
    image = bytes(range(256)) * 4
    (tmp_path / "image.bin").write_bytes(image)
    environment = os.environ | client.environment(boards.bus, only=True)
    command = [
        sys.executable,
        "-m",
        "pyocd",
        "load",
        "-W",
        "-u",
        str(SERIAL),
        "-t",
        "stm32l475xg",
        "--no-config",
        str(tmp_path / "image.bin"),
    ]
    subprocess.run(command, check=True, env=environment, cwd=tmp_path, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    assert boards.flash(0, 1026) == image + b"\xff\xff"
