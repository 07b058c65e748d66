"""Who still writes a file? Only Linux tells, through /proc; asked only when a drop is about to be taken.

Source: proc_pid_fd(5), proc_pid_fdinfo(5): the links of a process's descriptors, and their open flags in octal.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from msdflash.drop.place import identity
from msdflash.drop.settle import Writer
from msdflash.drop.sight import Sight


class Writers(msgspec.Struct, frozen=True):
    """The answer, with the first process found (0 if none) and its name."""

    writer: Writer
    pid: int = 0
    program: str = ""


def writers_of(sight: Sight, proc: Path = Path("/proc")) -> Writers:
    """Look for a process with this file open for writing. Processes that we may not see count as not writing; never raises."""
    if not sys.platform.startswith("linux"):
        return Writers(Writer.HIDDEN)
    try:
        with os.scandir(proc) as entries:
            pids = [entry.name for entry in entries if entry.name.isdigit()]
    except OSError:
        return Writers(Writer.HIDDEN)
    for pid in pids:
        if _writes(proc / pid, sight):
            return Writers(Writer.OPEN, int(pid), _program(proc / pid))
    return Writers(Writer.NONE)


def _writes(process: Path, sight: Sight) -> bool:
    folder = f"{process}/fd"
    try:
        with os.scandir(folder) as entries:
            numbers = [entry.name for entry in entries]
    except OSError:
        return False
    for number in numbers:
        link = f"{folder}/{number}"
        try:
            # The link's text costs no look at the file; a stat of some other file on a dead network share could hang.
            if os.readlink(link).rpartition("/")[2] == sight.name and identity(os.stat(link)) == sight.identity:  # noqa: PTH115, PTH116
                flags = _flags(process / "fdinfo" / number)
                if flags & (os.O_WRONLY | os.O_RDWR):
                    return True
        except (OSError, ValueError):
            continue
    return False


def _flags(path: Path) -> int:
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8)
    return 0


def _program(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
