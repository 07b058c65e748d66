"""The "not flashed" store: what was dropped and did not end up in flash is kept here for a while, never just deleted.

Bounded by count and by bytes; the oldest goes first. Nothing whose drop has no final answer yet is thrown out.
"""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from msdflash.drop.names import stored
from msdflash.drop.place import Place, is_link, private_directory, same_mount

if TYPE_CHECKING:
    from collections.abc import Collection

LINK_NOTE = ".link.txt"
"""Ending of the note that stands for a link."""

_DEPTH = 64


class Attic:
    """One such store. Names in it begin with the drop's id, so they sort by age.

    Attributes:
        path: the directory.
        count: most entries kept.
        size: most bytes kept, links and special files counted as nothing.
    """

    def __init__(self, path: Path, count: int = 50, size: int = 256 * 1024 * 1024, under: Place | None = None) -> None:
        """``under``: the already opened parent of ``path``, when that lies where others can write."""
        self.path = path
        self.count = count
        self.size = size
        self._under = under

    def _open(self) -> Place:
        if self._under is None:
            return Place.open(private_directory(self.path))
        with contextlib.suppress(FileExistsError):
            self._under.mkdir(self.path.name)
        return self._under.sub(self.path.name)

    def place_for(self, drop: str, name: str) -> Path:
        """Where the entry called ``name`` of this drop is, or would be, kept."""
        return self.path / f"{drop}-{stored(name)}"

    def accept(self, place: Place, entry: str, drop: str, name: str) -> Path:
        """Move an entry here by rename: files, folders and special files alike, nothing is opened or followed.

        A link is not kept as a link: its target's text is written down and the link itself removed.

        Raises OSError: EXDEV if this store is on another file system, EBUSY for a mount point. The entry is then where it was.
        """
        with self._open() as here:
            target = self._free(here, f"{drop}-{stored(name)}")
            if is_link(place.lstat(entry)):
                note = target + LINK_NOTE
                with contextlib.suppress(FileExistsError):
                    here.create(note, f"This was a link to: {place.readlink(entry)!a}\n".encode("ascii"))
                place.unlink(entry)
                return self.path / note
            place.replace(entry, here, target)
            here.sync()
            return self.path / target

    @staticmethod
    def _free(here: Place, name: str) -> str:
        candidate, number = name, 1
        while here.exists(candidate):
            candidate, number = f"{name}.{number}", number + 1
        return candidate

    def trim(self, keep: Collection[str] = ()) -> list[str]:
        """Throw out the oldest until both bounds hold, except entries of the drops in ``keep``. Returns what was thrown out."""
        gone: list[str] = []
        with self._open() as here:
            names = sorted(here.names())
            sizes = {name: _size(here, name) for name in names}
            count, total = len(names), sum(sizes.values())
            for name in names:
                if count <= self.count and total <= self.size:
                    break
                if any(name.startswith(drop) for drop in keep) or not _remove(here, name, _DEPTH):
                    continue
                gone.append(name)
                count -= 1
                total -= sizes[name]
        return gone


def _size(place: Place, name: str, depth: int = _DEPTH) -> int:
    try:
        status = place.lstat(name)
        if is_link(status) or not depth:
            return 0
        if stat.S_ISREG(status.st_mode):
            return status.st_size
        if stat.S_ISDIR(status.st_mode):
            with place.sub(name) as inside:
                if not same_mount(place, inside):
                    return 0
                return sum(_size(inside, child, depth - 1) for child in inside.names())
    except OSError:
        return 0
    return 0


def _remove(place: Place, name: str, depth: int) -> bool:
    """Delete an entry of our own store. Never through a link, never into a mounted file system; then it stays, and False is returned."""
    try:
        status = place.lstat(name)
        if is_link(status) or not stat.S_ISDIR(status.st_mode):
            place.unlink(name)
            return True
        if not depth:
            return False
        with place.sub(name) as inside:
            if not same_mount(place, inside):
                return False
            removed = [_remove(inside, child, depth - 1) for child in inside.names()]  # all that can be, also after a failure
            if not all(removed):
                return False
        place.rmdir(name)
    except OSError:
        return False
    return True
