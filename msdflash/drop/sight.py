"""One look at the folder: what lies there, without opening any of it."""

from __future__ import annotations

import os
import stat
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from msdflash.drop.place import Place, identity, is_link

if TYPE_CHECKING:
    from collections.abc import Iterable


class EntryKind(StrEnum):
    """What an entry is."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    SPECIAL = "special"


class Sight(msgspec.Struct, frozen=True):
    """One entry as it was at one moment.

    Attributes:
        name: as the system gives it; may hold undecodable bytes as lone surrogates.
        identity: device and inode.
        size: bytes; for a folder the number of its entries, as far as it could be counted.
        mtime_ns: time of the last change of content, as the writer may have set it.
        ctime_ns: time of the last change of anything, set by the system (on Windows: creation).
        special: what kind of special file, in words.
    """

    name: str
    kind: EntryKind
    identity: str
    size: int
    mtime_ns: int
    ctime_ns: int
    special: str = ""

    @property
    def sign(self) -> tuple[str, int, int, int]:
        """Differs whenever something happened to the entry."""
        return self.identity, self.size, self.mtime_ns, self.ctime_ns


_SPECIAL = ((stat.S_ISFIFO, "named pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISBLK, "block device"), (stat.S_ISCHR, "character device"))


def sight_of(name: str, status: os.stat_result) -> Sight:
    """The sight out of a status that did not follow links."""
    special = ""
    if is_link(status):
        kind = EntryKind.SYMLINK
    elif stat.S_ISREG(status.st_mode):
        kind = EntryKind.FILE
    elif stat.S_ISDIR(status.st_mode):
        kind = EntryKind.FOLDER
    else:
        kind = EntryKind.SPECIAL
        special = next((words for test, words in _SPECIAL if test(status.st_mode)), "special file")
    return Sight(name, kind, identity(status), status.st_size, status.st_mtime_ns, status.st_ctime_ns, special)


def look(place: Place, names: Iterable[str] | None = None) -> list[Sight]:
    """Everything in the folder, sorted by name. What vanishes while we look is left out. Raises OSError if the folder cannot be read."""
    sights = []
    for name in sorted(place.names() if names is None else names):
        try:
            sight = sight_of(name, place.lstat(name))
        except OSError:
            continue
        if sight.kind is EntryKind.FOLDER:
            sight = msgspec.structs.replace(sight, size=_count(place, name))
        sights.append(sight)
    return sights


def _count(place: Place, name: str) -> int:
    try:
        with place.sub(name) as inside:
            return len(inside.names())
    except OSError:
        return 1  # cannot be read, so not known to be empty
