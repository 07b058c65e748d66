"""What became of a dropped file while its job ran, and taking it out of the folder afterwards.

A file is first renamed into our hidden sub-folder and only then, when nobody else can reach it by name, compared once more with what
was taken: what changed in the last moment is put back and is a new drop.
"""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import TYPE_CHECKING

from msdflash.drive.publish import keep
from msdflash.drop.sight import EntryKind, Sight, sight_of

if TYPE_CHECKING:
    from msdflash.drive.folder import Opened
    from msdflash.drop.attic import Attic
    from msdflash.drop.place import Place
    from msdflash.drop.record import Drop
    from msdflash.drop.spool import Spool

_CLAIM = "claim-"


class Fate(StrEnum):
    """What the folder now shows under a drop's name."""

    SAME = "same"  # what was taken
    GROWN = "grown"  # what was taken, and more after it: the copy had not been finished
    OTHER = "other"  # something else: a new drop
    GONE = "gone"


def fate(place: Place, drop: Drop, spool: Spool, name: str | None = None) -> tuple[Fate, Sight | None]:
    """Compare the entry (called ``name`` by now, if it was renamed) with what was taken. Raises OSError if the folder fails."""
    name = drop.filename if name is None else name
    try:
        sight = sight_of(name, place.lstat(name))
    except FileNotFoundError:
        return Fate.GONE, None
    if drop.kind is not EntryKind.FILE or drop.spool is None:
        return (Fate.SAME if drop.is_at(sight) else Fate.OTHER), sight
    if sight.kind is not EntryKind.FILE:
        return Fate.OTHER, sight
    if sight.identity != drop.identity:
        # Numbers of devices, and on some file systems of files, change when they are mounted again; size, time and all bytes do not.
        same = (sight.size, sight.mtime_ns) == (drop.size, drop.mtime_ns) and spool.begins(place, sight, drop.spool)
        return (Fate.SAME if same else Fate.OTHER), sight
    if drop.is_at(sight) and sight.ctime_ns == drop.ctime_ns:
        return Fate.SAME, sight
    if sight.size < drop.size or not spool.begins(place, sight, drop.spool):
        return Fate.OTHER, sight
    if sight.size > drop.size:
        return Fate.GROWN, sight
    # Same bytes. Copiers set times after the last byte, mostly back to the original's; a time that moved on is a second copy of the same.
    return (Fate.OTHER if sight.mtime_ns > drop.mtime_ns else Fate.SAME), sight


def retire(opened: Opened, drop: Drop, spool: Spool, attic: Attic, *, flashed: bool, name: str | None = None) -> bool:
    """Take the dropped entry out of the folder, unless a newer one lies there.

    A file that was flashed, or of which the spool holds a copy, is deleted; anything else goes to the "not flashed" store.

    Returns False if the entry is still there and cannot be taken away (a mount point, no permission).
    """
    name = drop.filename if name is None else name
    claim = _CLAIM + drop.id
    with contextlib.suppress(FileNotFoundError):  # from an attempt that was cut off
        opened.temp.lstat(claim)
        _dispose(opened, claim, drop, spool, attic, flashed=flashed)
    try:
        what, sight = fate(opened.root, drop, spool, name)
        if sight is None or what in {Fate.OTHER, Fate.GROWN}:
            return True
        opened.root.replace(name, opened.temp, claim)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    now = sight_of(name, opened.temp.lstat(claim))
    if (now.kind, now.identity) != (sight.kind, sight.identity) or (
        now.kind is EntryKind.FILE and (now.size, now.mtime_ns) != (sight.size, sight.mtime_ns)
    ):
        _put_back(opened, claim, name, attic)
        return True
    _dispose(opened, claim, drop, spool, attic, flashed=flashed)
    return True


def sweep(opened: Opened, attic: Attic, known: set[str]) -> None:
    """Clean up after a run that was cut off: half-written files of ours go, claimed drops that nobody knows any more are kept."""
    for name in opened.temp.names():
        with contextlib.suppress(OSError):
            if name.startswith(_CLAIM):
                if name.removeprefix(_CLAIM) not in known:
                    keep(opened, opened.temp, name, name.removeprefix(_CLAIM), "claimed", attic)
            else:
                opened.temp.unlink(name)


def _dispose(opened: Opened, claim: str, drop: Drop, spool: Spool, attic: Attic, *, flashed: bool) -> None:
    if drop.kind is EntryKind.FILE and drop.spool is not None and (flashed or spool.file(drop.spool).exists()):
        opened.temp.unlink(claim)
    else:
        keep(opened, opened.temp, claim, drop.id, drop.name, attic)


def _put_back(opened: Opened, claim: str, name: str, attic: Attic) -> None:
    if opened.root.exists(name):  # a third one came meanwhile; none of them is thrown away
        keep(opened, opened.temp, claim, claim.removeprefix(_CLAIM), name, attic)
    else:
        opened.temp.replace(claim, opened.root, name)
