"""The system's own list of USB devices, asked without pyOCD: is the probe there, may it be opened, who has it open.

Linux is read from sysfs and /proc (Documentation/ABI/stable/sysfs-bus-usb), macOS from ``ioreg``, Windows from its configuration manager
(CM_Get_Device_ID_ListW, cfgmgr32.h). Whatever cannot be read is None or "", never a guess. Where ``MSDFLASH_SIM_BUS`` names a bus of
the simulated bench, the file tree below it is read in addition.
"""

from __future__ import annotations

import contextlib
import os
import plistlib
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import msgspec

from msdflash.job.usbnode import plain_id, serial_ids

BENCH_VARIABLE, BENCH_TREE = "MSDFLASH_SIM_BUS", "host"
HIDDEN = "a program of another user, which msdflash may not see"
PROGRAM_DRIVER = "usbfs"
"""Linux: the driver of an interface that some program has claimed."""

_WINDOWS_ID = re.compile(r"USB\\VID_([0-9A-F]{4})&PID_([0-9A-F]{4})\\([^\\]+)", re.IGNORECASE)
_MOST_HOLDERS = 3


class UsbNode(msgspec.Struct, frozen=True):
    """One USB device as the system lists it.

    Attributes:
        vid: vendor id.
        pid: product id.
        serial: serial number, "" for none.
        bus: bus number, 0 where the system tells none.
        address: address on the bus, 0 where the system tells none.
        path: its device file, "" where there is none.
        drivers: Linux: what drives its interfaces.
    """

    vid: int
    pid: int
    serial: str
    bus: int = 0
    address: int = 0
    path: str = ""
    drivers: tuple[str, ...] = ()

    def unique_ids(self) -> frozenset[str]:
        """What pyOCD may call it, in lower case."""
        if not self.serial:
            return frozenset((_generated(self),)) if self.bus else frozenset()
        return serial_ids(self.vid, self.serial)


def _generated(node: UsbNode) -> str:
    from pyocd.probe.pydapaccess.interface.common import generate_device_unique_id

    return str(generate_device_unique_id(node.pid, node.vid, node.bus, node.address)).lower()


def nodes(trees: Sequence[Path] | None = None) -> list[UsbNode] | None:
    """Every USB device, or None when the system's list cannot be read.

    Args:
        trees: roots of file trees with ``sys`` and ``dev`` to read instead of this system.
    """
    if trees is not None:
        lists = [_sysfs(tree) for tree in trees]
    else:
        bench = os.environ.get(BENCH_VARIABLE)
        lists = [_own(), *([_sysfs(Path(bench) / BENCH_TREE)] if bench else [])]
    known = [found for found in lists if found is not None]
    return [node for found in known for node in found] if known else None


def matching(unique_id: str, listed: Sequence[UsbNode]) -> list[UsbNode]:
    """The devices that pyOCD would call so."""
    return [node for node in listed if plain_id(unique_id) in node.unique_ids()]


def twins(unique_id: str, listed: Sequence[UsbNode]) -> int:
    """How many devices of one kind have this unique id; 0 when none is listed."""
    found = matching(unique_id, listed)
    return max((sum((each.vid, each.pid) == (node.vid, node.pid) for each in found) for node in found), default=0)


def _own() -> list[UsbNode] | None:
    if sys.platform == "linux":
        return _sysfs(Path("/"))
    if sys.platform == "darwin":
        return _ioreg()
    if sys.platform == "win32":
        return _configuration_manager()
    return None


# --- Linux --------------------------------------------------------------------------------------------------------------------------


def _sysfs(tree: Path) -> list[UsbNode] | None:
    try:
        folders = sorted((tree / "sys" / "bus" / "usb" / "devices").iterdir())
    except OSError:
        return None
    found = []
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):  # an interface's folder, or unplugged this moment
            found.append(_read_node(tree, folder))
    return found


def _read_node(tree: Path, folder: Path) -> UsbNode:
    def text(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8", errors="replace").strip()

    serial = ""
    with contextlib.suppress(FileNotFoundError):
        serial = text("serial")
    bus, address = int(text("busnum")), int(text("devnum"))
    return UsbNode(
        vid=int(text("idVendor"), 16),
        pid=int(text("idProduct"), 16),
        serial=serial,
        bus=bus,
        address=address,
        path=str(tree / "dev" / "bus" / "usb" / f"{bus:03}" / f"{address:03}"),
        drivers=tuple(sorted({name for part in folder.glob(f"{folder.name}:*") if (name := _driver(part))})),
    )


def _driver(part: Path) -> str:
    with contextlib.suppress(OSError):
        return (part / "driver").readlink().name
    return ""


def holder(node: UsbNode, proc: Path = Path("/proc")) -> str:
    """Who has the device's file open, as "name (pid 1, user u)"; :data:`HIDDEN` when somebody has whom we may not see; "" when unknown."""
    if not node.path:
        return ""
    wanted = os.path.realpath(node.path)
    found: list[str] = []
    hidden = False
    try:
        processes = [entry for entry in proc.iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()]
    except OSError:
        return ""
    for process in processes:
        try:
            if _has_open(process / "fd", wanted):
                found.append(_who(process))
        except PermissionError:
            hidden = True
        except OSError:  # it has ended
            continue
    if found:
        return ", ".join(found[:_MOST_HOLDERS])
    return HIDDEN if hidden and PROGRAM_DRIVER in node.drivers else ""


def _has_open(folder: Path, wanted: str) -> bool:
    for entry in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if str(entry.readlink()) == wanted:
                return True
    return False


def _who(process: Path) -> str:
    name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    if name.startswith("python"):
        name = _called((process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")) or name
    return f"{name[:40]} (pid {process.name}, user {_user(process.stat().st_uid)})"


def _called(words: Sequence[str]) -> str:
    """What an interpreter runs: the module after ``-m`` or the script's name."""
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        if word == "-m" and rest:
            return rest[0]
        if word and not word.startswith("-"):
            return Path(word).name
    return ""


def _user(uid: int) -> str:
    if sys.platform != "win32":
        import pwd

        with contextlib.suppress(KeyError):
            return pwd.getpwuid(uid).pw_name
    return str(uid)


# --- macOS --------------------------------------------------------------------------------------------------------------------------


def _ioreg() -> list[UsbNode] | None:
    try:
        done = subprocess.run(
            ["/usr/sbin/ioreg", "-a", "-l", "-p", "IOUSB"], capture_output=True, timeout=5, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_ioreg(done.stdout)


def parse_ioreg(data: bytes) -> list[UsbNode] | None:
    """The devices in the property list that ``ioreg -a -l -p IOUSB`` prints; None when it is none."""
    try:
        todo: list[Any] = [plistlib.loads(data)]
    except (plistlib.InvalidFileException, ExpatError, ValueError, OverflowError, RecursionError, AttributeError):
        return None
    found = []
    while todo:
        entry = todo.pop()
        if isinstance(entry, list):
            todo.extend(entry)
        elif isinstance(entry, dict):
            todo.append(entry.get("IORegistryEntryChildren"))
            vid, pid = entry.get("idVendor"), entry.get("idProduct")
            serial = entry.get("USB Serial Number") or entry.get("kUSBSerialNumberString") or ""
            if isinstance(vid, int) and isinstance(pid, int):
                found.append(UsbNode(vid, pid, str(serial)))
    return found


# --- Windows ------------------------------------------------------------------------------------------------------------------------


def _configuration_manager() -> list[UsbNode] | None:
    """CM_Get_Device_ID_ListW for the enumerator USB, devices that are present only (flags 0x1 and 0x100)."""
    if sys.platform != "win32":
        return None
    import ctypes

    manager = ctypes.WinDLL("cfgmgr32")
    size = ctypes.c_ulong()
    if manager.CM_Get_Device_ID_List_SizeW(ctypes.byref(size), "USB", 0x101):
        return None
    text = ctypes.create_unicode_buffer(size.value + 1)
    if manager.CM_Get_Device_ID_ListW("USB", text, size, 0x101):
        return None
    return parse_instance_ids(ctypes.wstring_at(text, size.value).split("\0"))


def parse_instance_ids(ids: Sequence[str]) -> list[UsbNode]:
    r"""Devices out of instance ids such as ``USB\VID_0D28&PID_0204\SERIAL``.

    A last part with "&" in it was made up by Windows: the device has no serial.
    """
    found = []
    for text in ids:
        match = _WINDOWS_ID.fullmatch(text)
        if match:
            found.append(UsbNode(int(match[1], 16), int(match[2], 16), "" if "&" in match[3] else match[3]))
    return found


# --- through libusb -----------------------------------------------------------------------------------------------------------------


def open_errno(node: UsbNode) -> int | None:
    """The error number that opening the device gives; None when it opens, or libusb does not show it."""
    import usb.core
    import usb.util

    try:
        from libusb_package import find
    except ImportError:
        from usb.core import find

    def is_it(device: Any) -> bool:
        same = (device.idVendor, device.idProduct) == (node.vid, node.pid)
        return same and (not node.bus or (device.bus, device.address) == (node.bus, node.address))

    try:
        device = next(iter(find(find_all=True, custom_match=is_it)), None)
    except usb.core.NoBackendError:
        return None
    if device is None:
        return None
    try:
        device.get_active_configuration()
    except usb.core.USBError as error:
        return error.errno if isinstance(error.errno, int) else None
    except NotImplementedError:  # Windows: no driver that libusb can use
        return None
    finally:
        usb.util.dispose_resources(device)
    return None
