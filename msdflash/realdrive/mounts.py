"""Which FAT volumes are mounted, and when that changes.

Linux: ``/proc/self/mountinfo``, which also gives each mount a number of its own and the device; the kernel flags a poll on it with an
error when anything was mounted or unmounted (proc_pid_mounts(5)), so waiting costs nothing. Elsewhere psutil lists once a second.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil

from msdflash.drive.mountinfo import MountRow, mount_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

FAT = frozenset({"vfat", "msdos", "fat", "fat12", "fat16", "fat32"})
"""Names of the file system in lower case, as Linux, macOS and Windows call it. Both firmwares show FAT and nothing else."""

BLIND = 1.0
"""Seconds between looks where the system says nothing by itself. A firmware's drive is away for more than twice that."""


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


def fat_volumes(rows: Iterable[MountRow], tree: str = "/") -> list[Mount]:
    """The whole FAT volumes among mounts. A device that is mounted twice is listed once."""
    found: dict[str, Mount] = {}
    for row in rows:
        if row.kind.lower() in FAT and row.root == "/":
            found.setdefault(row.number, Mount(row.point, row.source, row.number, row.ident, tree))
    return list(found.values())


def mounts(trees: Sequence[Path] = (Path("/"),)) -> list[Mount]:
    """The FAT volumes that are mounted now. ``trees``: Linux: file trees with ``proc`` and ``sys`` to read. Never raises."""
    if sys.platform != "linux":
        return _elsewhere()
    found: list[Mount] = []
    for tree in trees:
        with contextlib.suppress(OSError):
            found += fat_volumes(mount_rows(tree), str(tree))
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
