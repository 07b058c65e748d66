"""Which FAT volumes are mounted, and when that changes.

Linux: ``/proc/self/mountinfo`` (proc_pid_mountinfo(5)), which also gives each mount a number of its own and the device; the kernel flags
a poll on it with an error when anything was mounted or unmounted, so waiting costs nothing. Elsewhere psutil's list is compared with the
last one, once a second.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FAT = frozenset({"vfat", "msdos", "fat", "fat12", "fat16", "fat32"})
"""Names of the file system in lower case, as Linux, macOS and Windows call it. Both firmwares show FAT and nothing else."""

BLIND = 1.0
"""Seconds between looks where the system says nothing by itself. A firmware's drive is away for more than twice that."""

_OCTAL = re.compile(r"\\([0-7]{3})")
_LARGEST = 4 * 1024 * 1024


class Mount(msgspec.Struct, frozen=True):
    r"""One mounted volume.

    Attributes:
        path: where it is mounted: a folder, or a drive's letter.
        device: what the system calls the device: ``/dev/sdb``, ``/dev/disk4s1``, ``E:\``.
        number: Linux: ``major:minor`` of the device, else "".
        ident: differs after each mounting, where the system tells.
        tree: root of the file tree with ``sys`` to which it belongs: ``/``, but for the simulated bench.
    """

    path: str
    device: str
    number: str = ""
    ident: str = ""
    tree: str = "/"


def parse_mountinfo(text: str, tree: str = "/") -> list[Mount]:
    """The FAT volumes in a mountinfo file; lines that are none are left out. A device that is mounted twice is listed once."""
    found: dict[str, Mount] = {}
    for line in text.splitlines():
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        before, dash, after = line.partition(" - ")
        fields, tail = before.split(" "), after.split(" ")
        if not dash or len(fields) < 6 or len(tail) < 2 or tail[0].lower() not in FAT or fields[3] != "/":
            continue
        found.setdefault(fields[2], Mount(_plain(fields[4]), _plain(tail[1]), fields[2], fields[0], tree))
    return list(found.values())


def _plain(field: str) -> str:
    """Blanks, tabs, line ends and backslashes stand there as octal numbers of bytes."""
    return os.fsdecode(_OCTAL.sub(lambda match: chr(int(match[1], 8) & 0xFF), os.fsencode(field).decode("latin-1")).encode("latin-1"))


def mounts(trees: Sequence[Path] = (Path("/"),)) -> list[Mount]:
    """The FAT volumes that are mounted now. ``trees``: Linux: file trees with ``proc`` and ``sys`` to read. Never raises."""
    if sys.platform != "linux":
        return _elsewhere()
    found: list[Mount] = []
    for tree in trees:
        try:
            # Undecodable bytes of a path must come through: the path is opened later.
            with (tree / "proc" / "self" / "mountinfo").open(encoding="utf-8", errors="surrogateescape") as file:
                found += parse_mountinfo(file.read(_LARGEST), str(tree))
        except OSError:
            continue
    return found


def _elsewhere() -> list[Mount]:
    try:
        listed = psutil.disk_partitions(all=True)
    except OSError:
        return []
    # Windows lists card readers without a card, too; they have no file system.
    return [Mount(each.mountpoint, each.device) for each in listed if each.fstype.lower() in FAT]


class MountChanges:
    """Waits until something was mounted or unmounted, or somebody woke it, or a time has passed."""

    def __init__(self, file: Path = Path("/proc/self/mountinfo")) -> None:
        self._wake = threading.Event()
        self._info: int | None = None
        self._pipe: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._poll: Callable[[float | None], object] = lambda _milliseconds: None
        if sys.platform == "linux":
            try:
                self._info = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return  # without /proc it looks once a second, as elsewhere
            self._pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            poll = select.poll()
            poll.register(self._info, select.POLLERR | select.POLLPRI)
            poll.register(self._pipe[0], select.POLLIN)
            self._poll = poll.poll

    @property
    def told(self) -> bool:
        """The system tells of changes by itself."""
        return self._info is not None

    def wait(self, seconds: float | None) -> None:
        """Wait at most so long (None: until something happens; where the system tells nothing, :data:`BLIND`)."""
        if self._info is None or self._pipe is None:
            self._wake.wait(BLIND if seconds is None else min(seconds, BLIND))
            self._wake.clear()
            return
        self._poll(None if seconds is None else max(seconds, 0.0) * 1000)
        with contextlib.suppress(BlockingIOError):
            while os.read(self._pipe[0], 64):
                pass

    def wake(self) -> None:
        """End a wait, from any thread."""
        self._wake.set()
        with self._lock:
            if self._pipe is not None:
                with contextlib.suppress(BlockingIOError):  # it is awake already
                    os.write(self._pipe[1], b"x")

    def close(self) -> None:
        """Let go, when nobody waits any more."""
        with self._lock:
            for descriptor in (self._info, *(self._pipe or ())):
                if descriptor is not None:
                    os.close(descriptor)
            self._info = self._pipe = None
