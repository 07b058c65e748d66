"""The spool: private copies of what was taken. The engine works from these, never from the folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from msdflash.drop.place import Place, private_directory
from msdflash.drop.sight import Sight, sight_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHUNK = 1024 * 1024


class ChangedError(Exception):
    """What was opened is not what was seen, or it changed while it was copied: it is not whole yet."""


class SpoolError(Exception):
    """The copy could not be written here; ``cause`` is the OSError. The dropped file is untouched."""

    def __init__(self, cause: OSError) -> None:
        self.cause = cause
        super().__init__(str(cause))


class Copied(msgspec.Struct, frozen=True):
    """A finished copy: its name in the spool, its hash, and the file as it was just after the last byte was read."""

    spool: str
    sha256: str
    sight: Sight


class Spool:
    """A directory that only we can enter."""

    def __init__(self, path: Path) -> None:
        """Open or make it. Raises OSError."""
        self.path = private_directory(path)

    def copy(self, place: Place, sight: Sight, spool: str, limit: int) -> Copied:
        """Copy the file that ``sight`` shows, as ``spool``, with its SHA-256, forced to the disk.

        It is opened once, links refused, and everything is asked of that one descriptor.

        Raises:
            ChangedError: it is not, or no longer, what was seen.
            SpoolError: our side failed; no piece of the copy is left.
            OSError: the file cannot be read.
        """
        descriptor = place.open_file(sight.name)
        with os.fdopen(descriptor, "rb", buffering=0) as source:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or (status.st_size, status.st_mtime_ns) != (sight.size, sight.mtime_ns):
                raise ChangedError(sight.name)
            digest = hashlib.sha256()
            with self._writing(spool) as target:
                total = 0
                while piece := source.read(_CHUNK):
                    total += len(piece)
                    if total > limit or total > sight.size:
                        raise ChangedError(sight.name)
                    digest.update(piece)
                    self._write(target, piece)
                after = os.fstat(descriptor)
                if total != sight.size or (after.st_size, after.st_mtime_ns) != (sight.size, sight.mtime_ns):
                    raise ChangedError(sight.name)
                self._write(target, b"", last=True)
            return Copied(spool, digest.hexdigest(), sight_of(sight.name, after))

    @contextlib.contextmanager
    def _writing(self, spool: str) -> Iterator[int]:
        try:
            place = Place.open(self.path)
        except OSError as error:
            raise SpoolError(error) from error
        with place:
            try:
                with contextlib.suppress(FileNotFoundError):
                    place.unlink(spool)
                descriptor = place.open_file(spool, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except OSError as error:
                raise SpoolError(error) from error
            try:
                try:
                    yield descriptor
                finally:
                    os.close(descriptor)
                place.sync()
            except BaseException:
                with contextlib.suppress(OSError):
                    place.unlink(spool)
                raise

    @staticmethod
    def _write(descriptor: int, piece: bytes, *, last: bool = False) -> None:
        try:
            view = memoryview(piece)
            while view:
                view = view[os.write(descriptor, view) :]
            if last:
                os.fsync(descriptor)
        except OSError as error:
            raise SpoolError(error) from error

    def opened(self) -> Place:
        """The spool's directory, for moving a copy out of it. Raises OSError."""
        return Place.open(self.path)

    def file(self, spool: str) -> Path:
        """Where a copy is."""
        return self.path / spool

    def sha256(self, spool: str) -> str | None:
        """Hash of a copy as it is on the disk now, or None if it cannot be read."""
        try:
            with self.file(spool).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None

    def begins(self, place: Place, sight: Sight, spool: str) -> bool:
        """Whether the file in the folder begins with (or equals) the copy. False also if either cannot be read."""
        try:
            with self.file(spool).open("rb") as ours, os.fdopen(place.open_file(sight.name), "rb") as theirs:
                if not stat.S_ISREG(os.fstat(theirs.fileno()).st_mode):
                    return False
                while piece := ours.read(_CHUNK):
                    if theirs.read(len(piece)) != piece:
                        return False
                return True
        except OSError:
            return False

    def remove(self, spool: str) -> None:
        """Remove a copy; nothing happens if there is none."""
        with contextlib.suppress(FileNotFoundError):
            self.file(spool).unlink()

    def sweep(self, keep: Iterable[str]) -> list[str]:
        """Remove copies that no record names: their files are still in the folder. Returns their names."""
        wanted = set(keep)
        gone = []
        with Place.open(self.path) as place:
            for name in place.names():
                if name not in wanted:
                    with contextlib.suppress(OSError):
                        place.unlink(name)
                        gone.append(name)
        return gone
