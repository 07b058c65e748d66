"""File operations of a volume over a board's folder: names as on FAT, who still writes, and the moment at which nobody does.

No FUSE in here: a mount calls these, and so do tests. Paths begin with ``/`` and count from the volume's root. Case does not matter in a
name, and what was written first keeps its spelling. Links, pipes and the like are not shown and cannot be made, as on FAT; msdflash's own
hidden sub-folder does not exist here. One thread at a time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from typing import TYPE_CHECKING

import msgspec

from msdflash.drive.folder import HIDDEN
from msdflash.drop.place import Place, identity, is_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIZE = 64 * 1024 * 1024
"""Bytes of the volume: as a DAPLink's (vfs_user.c line 46), and as much as a drop may have."""
BLOCK = 4096
_DEEPEST = 16


class Released(msgspec.Struct, frozen=True):
    """The last writer has closed a file in the root: nobody writes it through this volume now.

    Attributes:
        name: as it stands in the real folder.
        identity: device and inode there, see :func:`msdflash.drop.place.identity`.
        size: bytes.
        mtime_ns: time of the last change.
    """

    name: str
    identity: str
    size: int
    mtime_ns: int


class _Handle:
    def __init__(self, descriptor: int, *, writes: bool) -> None:
        self.descriptor = descriptor
        self.writes = writes
        self.failed = False


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Passthrough:
    """The operations. Each raises OSError with the error's number, as the system's own calls do."""

    def __init__(self, root: Path, released: Callable[[Released], None]) -> None:
        """Serve ``root``; ``released`` is told each time the last writer of a file closes it, and when its times are set afterwards."""
        self._root = root
        self._released = released
        self._handles: dict[int, _Handle] = {}
        self._writers: dict[str, int] = {}
        self._next = 1

    # --- names ------------------------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _at(self, path: str) -> Iterator[tuple[Place, str]]:
        """The folder of an entry, opened, and the entry's real name there; a new name is as it was asked for. "" for the root itself."""
        words = [word for word in path.split("/") if word]
        if len(words) > _DEEPEST:
            raise _error(errno.ENAMETOOLONG)
        if not {".", ".."}.isdisjoint(words):  # the kernel resolves these itself
            raise _error(errno.ENOENT)
        with contextlib.ExitStack() as stack:
            place = stack.enter_context(Place.open(self._root))
            for index, word in enumerate(words):
                name = _spelt(place, word)
                if index == 0 and name.casefold() == HIDDEN:
                    raise _error(errno.ENOENT)
                if index == len(words) - 1:
                    yield place, name
                    return
                place = stack.enter_context(place.sub(name))
            yield place, ""

    @staticmethod
    def _seen(place: Place, name: str) -> os.stat_result:
        """Status of an entry that FAT could hold. Raises FileNotFoundError for others."""
        status = place.lstat(name)
        if is_link(status) or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise _error(errno.ENOENT)
        return status

    def names(self, path: str) -> list[str]:
        """What lies in a folder; of names that differ in case alone, one."""
        with self._at(path) as (place, name):
            folder = place.sub(name) if name else place
            with folder if name else contextlib.nullcontext():
                found: dict[str, str] = {}
                for each in sorted(folder.names()):  # capitals sort first, and are what FAT shows
                    with contextlib.suppress(OSError):
                        self._seen(folder, each)
                        found.setdefault(each.casefold(), each)
                if not name:
                    found.pop(HIDDEN, None)
                return list(found.values())

    def status(self, path: str, handle: int | None = None) -> os.stat_result:
        """Status of an entry, or of an open file."""
        if handle is not None and handle in self._handles:
            return os.fstat(self._handles[handle].descriptor)
        with self._at(path) as (place, name):
            return self._seen(place, name) if name else place.status()

    # --- files ------------------------------------------------------------------------------------------------------------------------

    def create(self, path: str, flags: int = os.O_RDWR) -> int:
        """Make and open a file; a handle."""
        with self._at(path) as (place, name):
            if not name:
                raise _error(errno.EISDIR)
            return self._keep(place.open_file(name, (flags & _MODES) | os.O_CREAT | (flags & os.O_EXCL), 0o644), writes=True)

    def open(self, path: str, flags: int) -> int:
        """Open a file; a handle. Opening it for writing makes the caller one of its writers."""
        with self._at(path) as (place, name):
            if not name or stat.S_ISDIR(self._seen(place, name).st_mode):
                raise _error(errno.EISDIR)
            writes = flags & _MODES != os.O_RDONLY
            return self._keep(place.open_file(name, flags & (_MODES | os.O_TRUNC)), writes=writes)

    def _keep(self, descriptor: int, *, writes: bool) -> int:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise _error(errno.EPERM)
        if writes:
            key = identity(status)
            self._writers[key] = self._writers.get(key, 0) + 1
        number, self._next = self._next, self._next + 1
        self._handles[number] = _Handle(descriptor, writes=writes)
        return number

    def read(self, handle: int, size: int, offset: int) -> bytes:
        """Bytes of an open file."""
        if sys.platform == "win32":
            raise _error(errno.ENOSYS)
        return os.pread(self._handle(handle).descriptor, size, offset)

    def write(self, handle: int, data: bytes, offset: int) -> int:
        """Write to an open file; how many bytes were written. ENOSPC behind the volume's size."""
        if sys.platform == "win32":
            raise _error(errno.ENOSYS)
        each = self._handle(handle)
        try:
            if offset + len(data) > SIZE:
                raise _error(errno.ENOSPC)
            return os.pwrite(each.descriptor, data, offset)
        except OSError:
            each.failed = True
            raise

    def truncate(self, path: str, length: int, handle: int | None = None) -> None:
        """Set a file's length."""
        if length > SIZE:
            raise _error(errno.ENOSPC)
        if handle is not None and handle in self._handles:
            os.ftruncate(self._handles[handle].descriptor, length)
            return
        number = self.open(path, os.O_RDWR)
        try:
            os.ftruncate(self._handles[number].descriptor, length)
        finally:
            self.release(path, number)

    def sync(self, handle: int) -> None:
        """Force an open file to the disk."""
        os.fsync(self._handle(handle).descriptor)

    def release(self, path: str, handle: int) -> None:
        """The last copy of a handle was closed. After the file's last writer this is told."""
        each = self._handles.pop(handle, None)
        if each is None:
            raise _error(errno.EBADF)
        status = os.fstat(each.descriptor)
        os.close(each.descriptor)
        if each.writes:
            key = identity(status)
            self._writers[key] -= 1
            if not self._writers[key]:
                del self._writers[key]
                if not each.failed:  # a copy that failed is not whole because it was closed
                    self._tell(path)

    def writers(self, path: str) -> int:
        """How many handles can write to a file now."""
        return self._writers.get(identity(self.status(path)), 0)

    def close(self) -> None:
        """Let go of every open file."""
        for each in self._handles.values():
            os.close(each.descriptor)
        self._handles.clear()
        self._writers.clear()

    def _handle(self, handle: int) -> _Handle:
        try:
            return self._handles[handle]
        except KeyError:
            raise _error(errno.EBADF) from None

    def _tell(self, path: str) -> None:
        """A file that nobody writes has changed. One that has another name by now was told under that one, or is gone."""
        with contextlib.suppress(OSError), self._at(path) as (place, name):
            if name and path.count("/") == 1:
                status = self._seen(place, name)
                if identity(status) not in self._writers and stat.S_ISREG(status.st_mode):
                    self._released(Released(name, identity(status), status.st_size, status.st_mtime_ns))

    # --- entries ----------------------------------------------------------------------------------------------------------------------

    def rename(self, old: str, new: str) -> None:
        """Rename, also over another file, and to another spelling of the same name."""
        with self._at(old) as (place, name), self._at(new) as (other, target):
            self._seen(place, name)
            if not name or not target:
                raise _error(errno.EBUSY)
            if name.casefold() == target.casefold():  # the same entry, or both spellings of one: the wish decides
                target = new.rsplit("/", 1)[-1]
            place.replace(name, other, target)
        self._tell(new)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        with self._at(path) as (place, name):
            self._seen(place, name)
            place.unlink(name)

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        with self._at(path) as (place, name):
            place.mkdir(name, 0o755)

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        with self._at(path) as (place, name):
            self._seen(place, name)
            place.rmdir(name)

    def set_times(self, path: str, times: tuple[int, int] | None) -> None:
        """Set access and modification time in ns, or both to now. Copiers do it after the last byte."""
        with self._at(path) as (place, name):
            if not name:
                return
            self._seen(place, name)
            descriptor = place.open_file(name)
            try:
                if os.utime in os.supports_fd and times is not None:
                    os.utime(descriptor, ns=times)
                elif os.utime in os.supports_fd:
                    os.utime(descriptor)
            finally:
                os.close(descriptor)
        self._tell(path)

    def space(self) -> dict[str, int]:
        """The volume's size, what is used of it and what is free: no more than the disk below has."""
        used = 0
        with self._at("/") as (place, _):
            for name in place.names():
                with contextlib.suppress(OSError):
                    used += self._seen(place, name).st_size if stat.S_ISREG(self._seen(place, name).st_mode) else 0
        free = max(SIZE - used, 0)
        if sys.platform != "win32":
            below = os.statvfs(self._root)
            free = min(free, below.f_bavail * below.f_frsize)
        blocks = SIZE // BLOCK
        return {
            "f_bsize": BLOCK,
            "f_frsize": BLOCK,
            "f_blocks": blocks,
            "f_bfree": free // BLOCK,
            "f_bavail": free // BLOCK,
            "f_files": blocks,
            "f_ffree": free // BLOCK,
            "f_namemax": 255,
        }


_MODES = os.O_RDONLY | os.O_WRONLY | os.O_RDWR


def _spelt(place: Place, word: str) -> str:
    """The entry that a word means: itself, else one that differs in case alone, else the word."""
    names = place.names()
    if word in names:
        return word
    folded = word.casefold()
    return next((name for name in sorted(names) if name.casefold() == folded), word)
