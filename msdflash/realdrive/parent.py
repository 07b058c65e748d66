r"""To which USB device a volume belongs. The tie is the device itself, never an id that stands in a file.

Linux: sysfs (Documentation/ABI/stable/sysfs-bus-usb): the folder of a block device lies below that of its USB device. macOS: the tree that
``ioreg`` prints. Windows: ``HKLM\SYSTEM\MountedDevices`` names the device of a letter, and the configuration manager its parents
(CM_Locate_DevNodeW, CM_Get_Parent, cfgmgr32.h). Names of macOS and Windows are from memory, and were not run there.
"""

from __future__ import annotations

import os
import plistlib
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError

import msgspec

from msdflash.job.usbnode import serial_ids

if TYPE_CHECKING:
    from msdflash.realdrive.mounts import Mount

_WINDOWS_DEVICE = re.compile(r"USB\\VID_([0-9A-F]{4})&PID_([0-9A-F]{4})\\([^\\]+)", re.IGNORECASE)
_MOST_PARENTS = 8
_NUMBER = re.compile(r"[0-9]{1,6}:[0-9]{1,9}")
_SECTORS_WRITTEN = 6


class Parent(msgspec.Struct, frozen=True):
    """The USB device that shows a volume. ``place`` tells it from another one with the same ids, where the system does."""

    vid: int
    pid: int
    serial: str
    place: str = ""

    def is_probe(self, plain: str) -> bool:
        """Whether pyOCD calls it so; ``plain`` as :func:`msdflash.job.usbnode.plain_id` gives it."""
        return plain in serial_ids(self.vid, self.serial)


def parent_of(mount: Mount) -> Parent | None:
    """The USB device of a volume; None where there is none or it cannot be found. Never raises."""
    if sys.platform == "linux":
        return sysfs_parent(mount)
    if sys.platform == "darwin":
        return _ioreg(mount.device)
    if sys.platform == "win32":
        return _configuration_manager(mount.device)
    return None


def written(mount: Mount) -> int | None:
    """How many sectors were written to the volume's device since it came (Documentation/block/stat.rst); None where nobody tells."""
    if not _NUMBER.fullmatch(mount.number):
        return None
    try:
        words = (Path(mount.tree) / "sys" / "dev" / "block" / mount.number / "stat").read_text(encoding="ascii").split()
        return int(words[_SECTORS_WRITTEN])
    except (OSError, ValueError, IndexError):
        return None


def sysfs_parent(mount: Mount) -> Parent | None:
    """Linux: up from the block device's folder to the first one that is a USB device's."""
    if not _NUMBER.fullmatch(mount.number):
        return None
    root = Path(os.path.realpath(Path(mount.tree) / "sys"))
    folder = Path(os.path.realpath(root / "dev" / "block" / mount.number))
    while folder != root and root in folder.parents:
        try:
            return Parent(
                int(_text(folder / "idVendor"), 16),
                int(_text(folder / "idProduct"), 16),
                _text(folder / "serial") if (folder / "serial").exists() else "",
                folder.name,
            )
        except (OSError, ValueError):
            folder = folder.parent
    return None


def _text(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as opened:
        return opened.read(1024).strip()


def _ioreg(device: str) -> Parent | None:
    try:
        done = subprocess.run(
            ["/usr/sbin/ioreg", "-a", "-l", "-r", "-c", "IOUSBHostDevice"],
            capture_output=True,
            timeout=5,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_ioreg_media(done.stdout, device.removeprefix("/dev/"))


def parse_ioreg_media(data: bytes, name: str) -> Parent | None:
    """The USB device that has a disk of this BSD name below it, in the property list that ``ioreg -a -l -r`` prints."""
    try:
        tree: Any = plistlib.loads(data)
    except (plistlib.InvalidFileException, ExpatError, ValueError, OverflowError, RecursionError, AttributeError):
        return None
    todo: list[tuple[Any, Parent | None]] = [(tree, None)]
    while todo:
        entry, above = todo.pop()
        if isinstance(entry, list):
            todo.extend((each, above) for each in entry)
        elif isinstance(entry, dict):
            vid, pid = entry.get("idVendor"), entry.get("idProduct")
            if isinstance(vid, int) and isinstance(pid, int):
                serial = entry.get("USB Serial Number") or entry.get("kUSBSerialNumberString") or ""
                above = Parent(vid, pid, str(serial), str(entry.get("locationID", "")))
            if entry.get("BSD Name") == name and above is not None:
                return above
            todo.append((entry.get("IORegistryEntryChildren"), above))
    return None


def _configuration_manager(letter: str) -> Parent | None:
    if sys.platform != "win32":
        return None
    import ctypes
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\MountedDevices") as key:
            value, _ = winreg.QueryValueEx(key, "\\DosDevices\\" + letter[:2].upper())
    except OSError:
        return None
    instance = parse_mounted_device(value if isinstance(value, bytes) else b"")
    manager = ctypes.WinDLL("cfgmgr32")
    node = ctypes.c_ulong()
    if not instance or manager.CM_Locate_DevNodeW(ctypes.byref(node), instance, 0):
        return None
    for _ in range(_MOST_PARENTS):
        above = ctypes.c_ulong()
        if manager.CM_Get_Parent(ctypes.byref(above), node, 0):
            return None
        text = ctypes.create_unicode_buffer(256)
        if manager.CM_Get_Device_IDW(above, text, 256, 0):
            return None
        parent = parse_instance(text.value)
        if parent is not None:
            return parent
        node = above
    return None


def parse_mounted_device(value: bytes) -> str:
    r"""The device instance in a value of MountedDevices: ``\??\USBSTOR#Disk&Ven_MBED...#6&1&0#{guid}`` in UTF-16; "" for others."""
    text = value.decode("utf-16-le", "replace")
    if not text.startswith(("\\??\\", "_??_")):
        return ""
    words = text[4:].split("#")
    return "\\".join(words[:3]) if len(words) >= 3 and words[0].upper() in {"USBSTOR", "STORAGE"} else ""


def parse_instance(text: str) -> Parent | None:
    r"""The device of an instance id such as ``USB\VID_0D28&PID_0204\SERIAL``; None for an interface (``&MI_00``) and for others.

    A last part with "&" in it was made up by Windows: the device has no serial.
    """
    match = _WINDOWS_DEVICE.fullmatch(text)
    return Parent(int(match[1], 16), int(match[2], 16), "" if "&" in match[3] else match[3], text) if match else None
