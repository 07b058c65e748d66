"""Linux: what is mounted where, as ``/proc/self/mountinfo`` tells (proc_pid_mountinfo(5)). Reading it touches no mount, and cannot hang."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

_OCTAL = re.compile(r"\\([0-7]{3})")
_LARGEST = 4 * 1024 * 1024


class MountRow(msgspec.Struct, frozen=True):
    """One mount.

    Attributes:
        ident: number of the mount; another one each time.
        number: ``major:minor`` of the device.
        root: the folder of the file system that is shown, ``/`` for all of it.
        point: where it is mounted.
        kind: the file system.
        source: what it calls its device.
    """

    ident: str
    number: str
    root: str
    point: str
    kind: str
    source: str


def parse_rows(text: str) -> list[MountRow]:
    """The mounts in a mountinfo file; lines that are none are left out."""
    found = []
    for line in text.splitlines():
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        before, dash, after = line.partition(" - ")
        fields, tail = before.split(" "), after.split(" ")
        if dash and len(fields) >= 6 and len(tail) >= 2:
            found.append(MountRow(fields[0], fields[2], _plain(fields[3]), _plain(fields[4]), tail[0], _plain(tail[1])))
    return found


def mount_rows(tree: Path = Path("/")) -> list[MountRow]:
    """What is mounted now. ``tree``: a file tree with ``proc`` to read. Raises OSError."""
    # Undecodable bytes of a path must come through: the path is opened later.
    with (tree / "proc" / "self" / "mountinfo").open(encoding="utf-8", errors="surrogateescape") as file:
        return parse_rows(file.read(_LARGEST))


def _plain(field: str) -> str:
    """Blanks, tabs, line ends and backslashes stand there as octal numbers of bytes."""
    return os.fsdecode(_OCTAL.sub(lambda match: chr(int(match[1], 8) & 0xFF), os.fsencode(field).decode("latin-1")).encode("latin-1"))
