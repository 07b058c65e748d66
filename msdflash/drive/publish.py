"""Putting our files into the folder, atomically and in the one safe order.

Readers wait for different things: some for their file to vanish and then look once for FAIL.TXT, others for the remount count in
DETAILS.TXT to change and then look for FAIL.TXT. So when a job starts the old FAIL.TXT goes; at the end the new FAIL.TXT comes first, then
MBED.HTM, then the dropped file goes, and DETAILS.TXT with the new count is last.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

import msgspec

from msdflash.drive.folder import HIDDEN, KEPT, Folder, Opened
from msdflash.drop.attic import LINK_NOTE, Attic
from msdflash.drop.place import Place
from msdflash.drop.record import Drop, Publication, new_id
from msdflash.drop.sight import EntryKind, Sight, sight_of
from msdflash.report.drive_txt import MARK as NOTE_MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["DETAILS", "FAIL", "MBED", "NOTE", "Publication", "Publisher", "inside", "keep", "kept_at"]

DETAILS = "DETAILS.TXT"
MBED = "MBED.HTM"
FAIL = "FAIL.TXT"
NOTE = "DRIVE.TXT"
"""What was found behind a failure of the probe's own drive. It comes and goes with no drop here, and a drop's start removes it."""
_MARKS = {DETAILS: b"Remount count: ", MBED: b"<", FAIL: b"error: ", NOTE: NOTE_MARK.encode("ascii")}
_LARGEST = 256 * 1024
_MODE = 0o644
_TWINS = {DETAILS: "details.txt", MBED: "mbed.htm"}
"""Old readers open these in lower case, as FAT lets them; where case matters the same bytes are there under both names."""


def keep(opened: Opened, place: Place, entry: str, drop: str, name: str, attic: Attic) -> Path:
    """Move an entry into the "not flashed" store; if that is on another file system, into the one in the folder's hidden sub-folder.

    Returns where it is now. Raises OSError (EBUSY for a mount point); then it is where it was.
    """
    try:
        return attic.accept(place, entry, drop, name)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    return inside(opened, attic).accept(place, entry, drop, name)


def inside(opened: Opened, attic: Attic) -> Attic:
    """The "not flashed" store in the hidden sub-folder, with the same bounds."""
    return Attic(opened.hidden.path / KEPT, attic.count, attic.size, under=opened.hidden)


def kept_at(folder: Folder, attic: Attic, drop: Drop) -> Path:
    """Where a drop that is not flashed will be kept, for the report that is written before it is moved there."""
    store = attic
    if drop.spool is None:
        with contextlib.suppress(OSError):
            if os.lstat(folder.path).st_dev != os.lstat(attic.path.parent).st_dev:
                store = Attic(folder.path / HIDDEN / KEPT)
    path = store.place_for(drop.id, drop.name)
    return path.with_name(path.name + LINK_NOTE) if drop.kind is EntryKind.SYMLINK else path


class _Known(msgspec.Struct, frozen=True):
    data: bytes
    sign: tuple[str, int, int, int]


class Publisher:
    """Our files in one folder. ``clock`` is monotonic seconds; ``still``: how long a changed file of ours is left alone."""

    def __init__(self, folder: Folder, attic: Attic, clock: Callable[[], float], still: float = 1.0) -> None:
        self._folder = folder
        self._attic = attic
        self._clock = clock
        self._still = still
        self._known: dict[str, _Known] = {}
        self._suspects: dict[str, tuple[Sight, float]] = {}
        self._extras: set[str] = set()

    def forget(self) -> None:
        """The folder was away: believe nothing about it."""
        self._known.clear()
        self._suspects.clear()

    def owns(self, name: str) -> bool:
        """Whether this name is ours, in whatever case."""
        folded = name.casefold()
        return folded in {own.casefold() for own in (DETAILS, MBED, FAIL, NOTE, *self._extras)}

    def adopt_extras(self, names: Iterable[str]) -> None:
        """Names that an earlier run published."""
        self._extras.update(names)

    def recognise(self, opened: Opened) -> None:
        """After a start or an absence: files under our names that bear our mark are ours, as an earlier run left them. Raises OSError."""
        for name in opened.root.names():
            mark = next((mark for own, mark in _MARKS.items() if own.casefold() == name.casefold()), None)
            sight = None if mark is None else _see(opened.root, name)
            if mark is None or sight is None or sight.kind is not EntryKind.FILE or sight.size > _LARGEST:
                continue
            data = opened.root.read(name, _LARGEST)
            if mark in data and len(data) == sight.size:
                self._known[name] = _Known(data, sight.sign)

    def begin(self, opened: Opened) -> None:
        """A job starts: the last failure's files go. Raises OSError."""
        for name in (FAIL, *sorted({NOTE, *self._extras})):
            self._remove(opened, name)
        opened.root.sync()

    def publish(self, opened: Opened, publication: Publication, retire: Callable[[], None]) -> None:
        """A job is over: publish in the safe order; ``retire`` takes the dropped file away. Safe to repeat. Raises OSError."""
        for stale in sorted(self._extras - set(publication.extras)):
            self._remove(opened, stale)
        self._extras = set(publication.extras)
        for name, data in publication.extras.items():
            self._put(opened, name, data)
        if publication.fail is None:
            self._remove(opened, FAIL)
        else:
            self._put(opened, FAIL, publication.fail)
        self._put_both(opened, MBED, publication.mbed_htm)
        opened.root.sync()
        retire()
        self._put_both(opened, DETAILS, publication.details)
        opened.root.sync()

    def rest(self, opened: Opened, publication: Publication) -> float | None:
        """Between jobs: put back what is missing or was overwritten; move foreign content under our names to the "not flashed" store.

        A removed FAIL.TXT stays removed: whoever did that has read it. Returns seconds until a look is due, or None. Raises OSError.
        """
        self._extras.update(publication.extras)
        wanted = {DETAILS: publication.details, MBED: publication.mbed_htm}
        if self._folder.cased:
            wanted |= {_TWINS[name]: data for name, data in wanted.items()}
        optional = dict(publication.extras)
        if publication.fail is not None:
            optional[FAIL] = publication.fail
        present = {name for name in opened.root.names() if self.owns(name)}
        if not self._folder.cased:
            spelled = {name.casefold(): name for name in (*wanted, *optional)}
            present = {spelled.get(name.casefold(), name) for name in present}
        delay: float | None = None
        for name in sorted(present):
            if not self._undisturbed(opened, name, (wanted | optional).get(name)):
                delay = self._still / 4
        for name, data in wanted.items():
            if name not in present:
                self._put(opened, name, data)
        return delay

    def refresh(self, opened: Opened, publication: Publication) -> None:
        """The facts changed between jobs: renew DETAILS.TXT, MBED.HTM and the note where they differ. Raises OSError."""
        if NOTE in publication.extras:
            self._put(opened, NOTE, publication.extras[NOTE])
        else:
            self._remove(opened, NOTE)
        self._put_both(opened, MBED, publication.mbed_htm)
        self._put_both(opened, DETAILS, publication.details)

    # --- one file -----------------------------------------------------------------------------------------------------------------

    def _put_both(self, opened: Opened, name: str, data: bytes) -> None:
        if self._folder.cased:
            self._put(opened, _TWINS[name], data)
        self._put(opened, name, data)

    def _put(self, opened: Opened, name: str, data: bytes) -> None:
        sight = _see(opened.root, name)
        if sight is not None:
            known = self._known.get(name)
            if known is not None and known.data == data and known.sign == sight.sign:
                return
            if sight.kind is not EntryKind.FILE or not self._ours(opened, name, sight, known):
                self._evict(opened, name)
        fresh = f"publish-{name}"
        with contextlib.suppress(FileNotFoundError):
            opened.temp.unlink(fresh)
        opened.temp.create(fresh, data, _MODE)
        opened.temp.replace(fresh, opened.root, name)
        self._suspects.pop(name, None)
        sight = _see(opened.root, name)
        if sight is not None:
            self._known[name] = _Known(data, sight.sign)

    def _remove(self, opened: Opened, name: str) -> None:
        """Remove a file of ours; what is not our content is kept instead."""
        sight = _see(opened.root, name)
        if sight is None:
            return
        known = self._known.pop(name, None)
        if sight.kind is EntryKind.FILE and self._ours(opened, name, sight, known):
            opened.root.unlink(name)
        else:
            self._evict(opened, name)

    def _undisturbed(self, opened: Opened, name: str, data: bytes | None) -> bool:
        """Whether the file is as we left it. If not, it is set right once nothing has touched it for a while."""
        sight = _see(opened.root, name)
        known = self._known.get(name)
        if sight is None or (known is not None and known.sign == sight.sign and known.data == data):
            return True
        suspect, since = self._suspects.get(name, (None, 0.0))
        if known is not None or data is None:  # a stranger wrote here while we run: let him finish
            if suspect is None or suspect.sign != sight.sign:
                self._suspects[name] = (sight, self._clock())
                return False
            if self._clock() - since < self._still:
                return False
        self._suspects.pop(name, None)
        if data is not None and sight.kind is EntryKind.FILE and sight.size == len(data) and opened.root.read(name, len(data) + 1) == data:
            self._known[name] = _Known(data, sight.sign)
            return True
        self._evict(opened, name)
        if data is not None:
            self._put(opened, name, data)
        return True

    @staticmethod
    def _ours(opened: Opened, name: str, sight: Sight, known: _Known | None) -> bool:
        """Whether the file still holds what we put there."""
        if known is None:
            return False
        return known.sign == sight.sign or (sight.size == len(known.data) and opened.root.read(name, len(known.data) + 1) == known.data)

    def _evict(self, opened: Opened, name: str) -> None:
        keep(opened, opened.root, name, new_id(), name, self._attic)
        self._known.pop(name, None)


def _see(place: Place, name: str) -> Sight | None:
    try:
        return sight_of(name, place.lstat(name))
    except FileNotFoundError:
        return None
