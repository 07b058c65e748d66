"""The system's own list of USB devices: file trees, real processes that hold a real file, and what other systems print."""

from __future__ import annotations

import os
import plistlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.worker import hostusb
from msdflash.worker.hostusb import HIDDEN, UsbNode

NODE = UsbNode(0x0D28, 0x0204, "0240AB", 1, 7)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the process table of Linux")


def add(tree: Path, name: str, node: UsbNode, driver: str = "") -> Path:
    """A device as Linux shows it; returns its node."""
    folder = tree / "sys" / "bus" / "usb" / "devices" / name
    part = folder / f"{name}:1.0"
    part.mkdir(parents=True)
    texts = {"idVendor": f"{node.vid:04x}", "idProduct": f"{node.pid:04x}", "busnum": str(node.bus), "devnum": str(node.address)}
    if node.serial:
        texts["serial"] = node.serial
    for key, text in texts.items():
        (folder / key).write_text(f"{text}\n", encoding="utf-8")
    if driver:
        (part / "driver").symlink_to(f"../../../../drivers/{driver}")
    path = tree / "dev" / "bus" / "usb" / f"{node.bus:03}" / f"{node.address:03}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@contextmanager
def process(code: str, *arguments: str) -> Iterator[int]:
    """A real second process that runs ``code``, says a line when it is so far, and ends with its input; its pid."""
    command = [sys.executable, "-c", f"import sys\n{code}\nprint('ready', flush=True)\nsys.stdin.read()", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        yield child.pid


def test_no_tree_is_no_answer_and_an_empty_one_is(tmp_path: Path) -> None:
    assert hostusb.nodes([tmp_path]) is None
    (tmp_path / "sys" / "bus" / "usb" / "devices" / "usb1-broken").mkdir(parents=True)
    assert hostusb.nodes([tmp_path]) == []


@linux_only
def test_a_tree_is_read(tmp_path: Path) -> None:
    path = add(tmp_path, "1-2", NODE, "usbfs")
    add(tmp_path, "1-3", UsbNode(0x0483, 0x374B, "", 1, 9))
    probe, nameless = hostusb.nodes([tmp_path]) or []
    assert (probe.vid, probe.pid, probe.serial, probe.bus, probe.address) == (0x0D28, 0x0204, "0240AB", 1, 7)
    assert (probe.path, probe.drivers) == (str(path), ("usbfs",))
    assert (nameless.serial, nameless.drivers) == ("", ())
    assert hostusb.matching("0240ab", [probe, nameless]) == [probe]
    assert hostusb.matching("cmsisdap:0240AB", [probe, nameless]) == [probe]
    (made_up,) = nameless.unique_ids()
    assert hostusb.matching(made_up.upper(), [probe, nameless]) == [nameless]


def test_unique_ids_are_those_of_pyocd() -> None:
    from pyocd.probe.pydapaccess.interface.common import generate_device_unique_id

    assert UsbNode(1, 2, "", 3, 4).unique_ids() == {generate_device_unique_id(2, 1, 3, 4).lower()}
    assert "4f3f" in next(each for each in UsbNode(0x0483, 0x3748, "O?\x06I\x06g" * 2).unique_ids() if each.startswith("4f"))
    assert "12345678" in UsbNode(0x1366, 0x0101, "000012345678").unique_ids()
    assert UsbNode(1, 2, "").unique_ids() == frozenset()  # no address: nothing to make an id of


def test_twins_are_devices_of_one_kind() -> None:
    stick = UsbNode(0x0951, 0x1666, "0240AB", 1, 3)
    assert hostusb.twins("0240AB", [NODE, stick]) == 1
    assert hostusb.twins("0240AB", [NODE, stick, UsbNode(0x0D28, 0x0204, "0240ab", 1, 8)]) == 2
    assert hostusb.twins("X", [NODE]) == 0


@linux_only
def test_the_holder_of_a_file_is_found_by_name_pid_and_user(tmp_path: Path) -> None:
    add(tmp_path, "1-2", NODE)
    (node,) = hostusb.nodes([tmp_path]) or []
    assert hostusb.holder(node) == ""
    script = tmp_path / "debugger.py"
    script.write_text("import sys\nfile = open(sys.argv[1])\nprint('ready', flush=True)\nsys.stdin.read()\n", encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script), node.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        who = hostusb.holder(node)
        assert who.startswith(f"debugger.py (pid {child.pid}, user ")
    assert hostusb.holder(node) == ""


@linux_only
def test_the_holder_of_a_character_device_is_found(tmp_path: Path) -> None:
    """A terminal stands for the node: a device file of the kernel's own."""
    import pty

    ours, theirs = pty.openpty()
    try:
        name = os.ttyname(theirs)
        os.close(theirs)
        node = UsbNode(1, 2, "S", 1, 1, name)
        assert hostusb.holder(node) == ""  # that this process holds the other end does not count
        with process("import os; held = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)", name) as pid:
            assert f"(pid {pid}, user " in hostusb.holder(node)
    finally:
        os.close(ours)


CHILD = """
import os, sys
from msdflash.worker.hostusb import UsbNode, holder
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for driver in ("usbfs", "usbhid"):
    print(holder(UsbNode(1, 2, "S", 1, 1, sys.argv[1], (driver,))))
"""


@linux_only
def test_a_holder_of_another_user_is_told_as_one_that_cannot_be_seen(tmp_path: Path) -> None:
    """Only where the kernel says that some program has claimed the device; a driver of its own is no program."""
    command = [sys.executable, "-c", CHILD, str(tmp_path / "007")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True, cwd=Path(hostusb.__file__).parents[2])
    assert done.stdout.splitlines() == [HIDDEN, ""]


def test_ioreg_is_read() -> None:
    tree = {
        "IORegistryEntryChildren": [
            {
                "idVendor": 0x0D28,
                "idProduct": 0x0204,
                "USB Serial Number": "0240",
                "IORegistryEntryChildren": [{"idVendor": 5, "idProduct": 6}],
            },
            {"idVendor": "junk"},
        ]
    }
    found = hostusb.parse_ioreg(plistlib.dumps(tree)) or []
    assert sorted((node.vid, node.pid, node.serial) for node in found) == [(5, 6, ""), (0x0D28, 0x0204, "0240")]


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda tail: b"<?xml version='1.0'?><plist>" + tail))
def test_any_bytes_are_a_list_or_none(data: bytes) -> None:
    found = hostusb.parse_ioreg(data)
    assert found is None or isinstance(found, list)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=40)))
def test_instance_ids_are_read_among_anything(noise: list[str]) -> None:
    ids = [*noise, r"USB\VID_0D28&PID_0204\0240AB", r"USB\VID_0483&PID_374B\5&2F8A&0&3", r"USB\VID_0D28&PID_0204&MI_03\6&1"]
    assert hostusb.parse_instance_ids(ids)[-2:] == [UsbNode(0x0D28, 0x0204, "0240AB"), UsbNode(0x0483, 0x374B, "")]
