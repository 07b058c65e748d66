"""Linux: a FUSE mount, served by a process of its own. The daemon never touches the mount, so one that hangs cannot hold it up.

What is mounted is known from /proc alone. The serving process ends, and with it its mount, when its standard input does: that is when the
daemon ends, however it ends. What a killed one leaves is unmounted at the next start.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from msdflash.drive.mountinfo import MountRow, mount_rows
from msdflash.engine.environment import worker_environment
from msdflash.volume.passthrough import Released

if TYPE_CHECKING:
    from collections.abc import Callable

KIND = "fuse.msdflash"
"""The file system's name in the list of mounts: FUSE and our subtype."""
READY = 10.0
"""Seconds that a mount gets to begin."""
END = 5.0
"""Seconds that one gets to end by itself, and that unmounting gets."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between the death of a mount and the next: the first, doubled each time, and the limit."""
_LONGEST_LINE = 64 * 1024
_PROGRAMS = ("fusermount3", "fusermount")


class FuseVolume:
    """One board's mount, and the thread that looks after it."""

    def __init__(self, root: Path, point: Path, released: Callable[[Released], None], tell: Callable[[str], None]) -> None:
        self.mounted = threading.Event()
        self._root = root
        self._point = point
        self._released = released
        self._tell = tell
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name=f"msdflash-volume-{point.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> bool:
        """Unmount; False if the mount or its process is still there."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            _end(process)
        if self._thread.ident is not None:
            self._thread.join(END)
        if is_mounted(self._point):
            unmount(self._point)
        self.mounted.clear()
        with contextlib.suppress(OSError):
            if not is_mounted(self._point):
                self._point.rmdir()  # only an empty folder goes
        return not self._thread.is_alive() and not is_mounted(self._point)

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                why = self._serve()
            except (OSError, ValueError) as error:
                why = str(error)
            self.mounted.clear()
            if self._stopping.is_set():
                return
            self._tell(f"the volume {self._point} is not there: {why}; use the folder {self._root}")
            if self._stopping.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE)

    def _serve(self) -> str:
        """Mount, and listen until the mount ends; why it ended. Raises OSError."""
        self._clear()
        command = [sys.executable, "-P", "-m", "msdflash.volume", str(self._root), str(self._point)]
        with self._lock:
            if self._stopping.is_set():
                return "stopped"
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env=worker_environment(os.environ),
                start_new_session=True,
            )
            self._process = process
        # A mount that never begins is ended by this; it is called off when the first line comes.
        late = threading.Timer(READY, _end, (process,))
        late.start()
        words: list[str] = []
        drain = threading.Thread(target=_last_words, args=(process, words), daemon=True)
        drain.start()
        try:
            if process.stdout is not None:
                while line := process.stdout.readline(_LONGEST_LINE):
                    late.cancel()
                    self._hear(line)
        finally:
            late.cancel()
            _end(process)
            drain.join(END)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            with self._lock:
                self._process = None
        return words[-1] if words else f"its process ended with status {process.returncode}"

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)  # it may hold names that are no valid Unicode, which msgspec refuses
            if said == {"ready": True}:
                self.mounted.set()
                self._tell(f"also as the volume {self._point}")
            else:
                self._released(msgspec.convert(said, Released))
        except (ValueError, msgspec.ValidationError):
            return

    def _clear(self) -> None:
        """Make the mount point, and unmount what a killed daemon left there. Raises OSError if it cannot be used."""
        for _ in range(4):  # several may lie on top of each other
            found = mounted_at(self._point)
            if found is None:
                break
            if found.kind != KIND:
                raise OSError(f"{self._point} is the mount point of something else ({found.kind})")
            unmount(self._point)
        self._point.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._point.is_symlink():
            raise OSError(f"{self._point} is a link")
        with os.scandir(self._point) as entries:
            if next(entries, None) is not None:
                raise OSError(f"{self._point} is not empty")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a serving process end by itself, else kill it."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(END)
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END)


def _last_words(process: subprocess.Popen[bytes], words: list[str]) -> None:
    if process.stderr is not None:
        for line in iter(lambda: process.stderr.readline(_LONGEST_LINE) if process.stderr else b"", b""):
            if line.strip():
                words[:] = [line.decode("utf-8", "replace").strip()[:200]]


def mounted_at(point: Path) -> MountRow | None:
    """The topmost mount at this very place, without touching it."""
    with contextlib.suppress(OSError):
        place = str(point.parent.resolve() / point.name)
        return next((row for row in reversed(mount_rows()) if row.point == place), None)
    return None


def is_mounted(point: Path) -> bool:
    """Whether one of our mounts is there."""
    found = mounted_at(point)
    return found is not None and found.kind == KIND


def unmount(point: Path) -> bool:
    """Unmount at once, also while somebody stands in it; what hangs there is cut off. False if it is still there."""
    for program in _PROGRAMS:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run([program, "-u", "-z", str(point)], capture_output=True, timeout=END, check=True, stdin=subprocess.DEVNULL)
            break
    return not is_mounted(point)
