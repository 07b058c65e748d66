"""One look at a drive that belongs to a firmware: its names and a few small files, bounded, without following links, without writing.

Reading may change a file's access time, which on a FAT volume would be a write to the firmware's directory: Linux is asked to leave it
(O_NOATIME, open(2)), where it lets us.
"""

from __future__ import annotations

import os
import stat
import sys

import msgspec

from msdflash.drop.place import Place
from msdflash.realdrive.mounts import Mount
from msdflash.realdrive.parent import written

TEXTS = ("DETAILS.TXT", "FAIL.TXT", "ASSERT.TXT")
LARGEST = 4096
"""Bytes that are read of a file: a cluster of DAPLink's drive; its own texts are smaller."""
_MOST_NAMES = 512
"""DAPLink's directory has 32 entries (virtual_fs.c lines 128-137); a drive with many more is somebody's storage."""


class Look(msgspec.Struct, frozen=True):
    """What stands on a drive at one moment.

    Attributes:
        mount: where.
        names: all names in the root, sorted.
        texts: content of the files of :data:`TEXTS` and of the HTML page that are there, by their names in upper case.
        written: sectors that this computer has written to the device, where it is told.
    """

    mount: Mount
    names: tuple[str, ...]
    texts: dict[str, bytes]
    written: int | None = None

    @property
    def sign(self) -> tuple[object, ...]:
        """Differs whenever something happened on the drive."""
        return self.mount.ident, self.mount.path, self.names, tuple(sorted(self.texts.items())), self.written


def look(mount: Mount) -> Look | None:
    """Look once. None if the drive is not there any more, cannot be read, or is no firmware's by its number of files."""
    from pathlib import Path

    count = written(mount)
    try:
        with Place.open(Path(mount.path)) as root:
            if mount.tree == "/" and mount.number and not _is_on(root, mount.number):
                return None  # unmounted since it was listed: this is the empty folder below
            names = root.names()
            if len(names) > _MOST_NAMES:
                return None
            wanted = {name.upper(): name for name in names if name.upper() in TEXTS or name.upper().endswith(".HTM")}
            texts = {upper: _read(root, name) for upper, name in sorted(wanted.items())[:8]}
    except OSError:
        return None
    return Look(mount, tuple(sorted(names)), texts, count)


def _is_on(root: Place, number: str) -> bool:
    device = root.status().st_dev
    return sys.platform == "win32" or f"{os.major(device)}:{os.minor(device)}" == number


def _read(root: Place, name: str) -> bytes:
    try:
        descriptor = root.open_file(name, os.O_RDONLY | getattr(os, "O_NOATIME", 0))
    except PermissionError:  # O_NOATIME is for a file's owner
        descriptor = root.open_file(name)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return file.read(LARGEST)
