"""What the system says of mounts and devices, and what a firmware writes on its drive: read right, and nothing makes the readers fail."""

from __future__ import annotations

import os
import plistlib
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.drive.mountinfo import parse_rows
from msdflash.job.usbnode import plain_id, serial_ids
from msdflash.realdrive.facts import DriveKind, facts_of
from msdflash.realdrive.mounts import Mount, MountChanges, fat_volumes, mounts
from msdflash.realdrive.parent import Parent, parse_instance, parse_ioreg_media, parse_mounted_device, sysfs_parent, written

MOUNTINFO = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
90 22 8:16 / /media/me/NODE\\040L476RG rw,nosuid shared:50 - vfat /dev/sdb rw,uid=1000
91 22 8:16 / /mnt/again rw - vfat /dev/sdb rw
92 22 8:17 /sub /mnt/part rw - vfat /dev/sdb1 rw
93 22 0:44 / /mnt/share rw - cifs //host/vfat rw
94 22 8:32 / /mnt/\\303\\244 rw master:1 propagate_from:2 - msdos /dev/sdc rw
nonsense
"""


def test_the_fat_volumes_of_a_mountinfo_file_and_no_others() -> None:
    assert fat_volumes(parse_rows(MOUNTINFO)) == [
        Mount("/media/me/NODE L476RG", "/dev/sdb", "8:16", "90"),
        Mount("/mnt/ä", "/dev/sdc", "8:32", "94"),
    ]


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=200), st.binary(max_size=120))
def test_no_text_makes_a_reader_fail(text: str, data: bytes) -> None:
    parse_rows(f"1 2 8:0 / {text} rw - vfat {text} rw\n{text}")
    parse_ioreg_media(data, text)
    parse_instance(parse_mounted_device(data))
    facts_of({"DETAILS.TXT": data, "MBED.HTM": text.encode(), "FAIL.TXT": data})


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: /proc/self/mountinfo")
def test_the_list_of_this_system_can_be_read() -> None:
    assert all(mount.number and mount.path.startswith("/") for mount in mounts())
    assert mounts((Path("/nowhere"),)) == []


def test_a_wait_for_mounts_ends_when_somebody_wakes_it() -> None:
    changes = MountChanges()
    try:
        waiter = threading.Thread(target=changes.wait, args=(None,))
        waiter.start()
        changes.wake()
        waiter.join(5)
        assert not waiter.is_alive()
        changes.wake()
        changes.wake()
        changes.wait(30)  # a wake is not lost, and two count as one
    finally:
        changes.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Sysfs of one probe with a drive, and of a disk that is on no USB."""
    device = tmp_path / "sys" / "devices" / "pci0" / "usb1" / "1-2"
    block = device / "1-2:1.2" / "host6" / "target6:0:0" / "6:0:0:0" / "block" / "sdb"
    plain = tmp_path / "sys" / "devices" / "pci0" / "ata1" / "block" / "sda"
    links = tmp_path / "sys" / "dev" / "block"
    for folder in (block, plain, links):
        folder.mkdir(parents=True)
    for name, text in (("idVendor", "0483"), ("idProduct", "374b"), ("serial", "066DFF49")):
        (device / name).write_text(f"{text}\n")
    (block / "stat").write_text("   10 0 80 5   7 0 56 9 0 1 2\n")
    for number, folder in (("8:16", block), ("8:0", plain)):
        (links / number).symlink_to(os.path.relpath(folder, links))
    return tmp_path


def test_a_block_device_leads_up_to_its_usb_device(tree: Path) -> None:
    mount = Mount("/x", "/dev/sdb", "8:16", "1", str(tree))
    assert sysfs_parent(mount) == Parent(0x0483, 0x374B, "066DFF49", "1-2")
    assert written(mount) == 56
    for other in ("8:0", "8:99", "", "../..:1", "8:16/../8:0"):
        assert sysfs_parent(Mount("/x", "/dev/sda", other, "1", str(tree))) is None
        assert written(Mount("/x", "/dev/sda", other, "1", str(tree))) is None


def test_the_ids_of_a_probe_are_those_that_pyocd_uses() -> None:
    assert Parent(0x0483, 0x3748, "\x13\x57r\x06g\x88\x00\x00\x00\x00\x00\x01").is_probe("135772066788000000000001")
    assert Parent(0x1366, 0x0101, "000600123456").is_probe(plain_id("jlink:600123456"))
    assert not Parent(0x0D28, 0x0204, "").is_probe("")
    assert serial_ids(0x0D28, "") == frozenset()


def test_macos_finds_the_device_above_a_disk() -> None:
    media = {"IORegistryEntryChildren": [{"BSD Name": "disk4"}]}
    probe = {"idVendor": 0x0D28, "idProduct": 0x0204, "USB Serial Number": "0240", "locationID": 7, "IORegistryEntryChildren": [media]}
    data = plistlib.dumps([{"idVendor": 1, "idProduct": 2, "IORegistryEntryChildren": [probe]}])
    assert parse_ioreg_media(data, "disk4") == Parent(0x0D28, 0x0204, "0240", "7")
    assert parse_ioreg_media(data, "disk5") is None


def test_windows_names_the_device_of_a_letter() -> None:
    value = "_??_USBSTOR#Disk&Ven_MBED&Prod_VFS&Rev_0.1#7&1a2b&0&0240&0#{53f56307-b6bf-11d0-94f2-00a0c91efb8b}".encode("utf-16-le")
    assert parse_mounted_device(value) == "USBSTOR\\Disk&Ven_MBED&Prod_VFS&Rev_0.1\\7&1a2b&0&0240&0"
    assert parse_mounted_device(bytes(12)) == ""  # a signature and an offset: a disk with partitions
    assert parse_instance(r"USB\VID_0D28&PID_0204\0240ABC") == Parent(0x0D28, 0x0204, "0240ABC", r"USB\VID_0D28&PID_0204\0240ABC")
    assert parse_instance(r"USB\VID_0D28&PID_0204&MI_00\6&1") is None
    made_up = parse_instance(r"USB\VID_0D28&PID_0204\6&1a2b")
    assert made_up is not None
    assert made_up.serial == ""


PAGE = b'<script>window.location.replace("https://mbed.org/device/?code=07650221A5&version=0221");</script>'


def test_whose_drive_it_is() -> None:
    dap = facts_of(
        {
            "PRODINFO.HTM": PAGE,
            "DETAILS.TXT": b"# DAPLink\r\nUnique ID: 0240abc\r\nInterface Version: 0259\r\nRemount count: 7\r\n",
            "FAIL.TXT": b"error: x\r\n",
        }
    )
    assert dap is not None
    assert (dap.kind, dap.unique_id, dap.version, dap.remounts, dap.fail, dap.failing) == (
        DriveKind.DAPLINK, "0240abc", "0259", 7, "error: x\r\n", True,
    )  # fmt: skip
    old = facts_of({"MBED.HTM": PAGE, "DETAILS.TXT": b"Version: 0221\r\nBuild:   Jan  7 2019 10:26:09\r\n"})
    assert old is not None
    assert (old.kind, old.version, old.remounts, old.code, old.failing) == (DriveKind.ST_LINK, "0221", None, "07650221A5", False)
    assert facts_of({"INDEX.HTM": b"", "INFO_UF2.TXT": b"UF2"}) is None
    assert facts_of({"DETAILS.TXT": b"Version: 1"}) is None
    assert facts_of({"INDEX.HTM": PAGE, "DETAILS.TXT": b"Version: 1"}) is None
