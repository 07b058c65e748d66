"""An opened directory: every file operation relative to it, never through a link.

Where the system offers operations relative to a directory descriptor, they are used: a name that is checked and then opened cannot
be swapped in between for a link that leads elsewhere. Windows has no such calls; there the same operations go by path, and what was opened
is compared with what was looked at.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

HAVE_DIR_FD = os.open in os.supports_dir_fd and os.scandir in os.supports_fd
"""Whether this system has operations relative to a directory descriptor."""

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NEVER = NO_FOLLOW | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
_SHARING = frozenset({5, 32, 33})
"""Windows errors that mean "somebody else has it open just now": access denied, sharing violation, lock violation."""


def patiently(action: Callable[[], T], tries: int = 20, pause: float = 0.05) -> T:
    """Do it again while Windows says that another program has the file open just now; at most ``tries`` x ``pause`` seconds.

    Virus scanners and indexers open each new file for a moment. Elsewhere the first error is final. Raises the last OSError.
    """
    for left in range(tries - 1, -1, -1):
        try:
            return action()
        except OSError as error:
            if not left or getattr(error, "winerror", None) not in _SHARING:
                raise
            time.sleep(pause)
    raise OSError("unreachable")


def is_link(status: os.stat_result) -> bool:
    """Whether this (not followed) status is a symbolic link, or on Windows any reparse point such as a junction."""
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_reparse_tag", 0))


def identity(status: os.stat_result) -> str:
    """What makes a file this file and no other, as text: device and inode. Windows inodes may exceed 64 bits, so no integer."""
    return f"{status.st_dev:x}:{status.st_ino:x}"


class Place:
    """One opened directory.

    Attributes:
        path: where it was opened; only for messages and, without directory descriptors, for the operations themselves.
    """

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.path = path
        self._fd = descriptor

    @classmethod
    def open(cls, path: Path, *, use_fd: bool = HAVE_DIR_FD) -> Self:
        """Open a directory that is no link. Raises NotADirectoryError for anything else, FileNotFoundError, PermissionError."""
        if use_fd:
            try:
                return cls(path, os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NEVER))
            except OSError as error:
                if path.is_symlink():
                    raise NotADirectoryError(f"{path} is a link") from error
                raise
        _must_be_directory(os.lstat(path), path)
        return cls(path, None)

    def sub(self, name: str) -> Place:
        """Open a directory in this one, that is no link. Raises as :meth:`open`."""
        if self._fd is None:
            return Place.open(self.path / name, use_fd=False)
        try:
            descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NEVER, dir_fd=self._fd)
        except OSError as error:
            if is_link(self.lstat(name)):
                raise NotADirectoryError(f"{self.path / name} is a link") from error
            raise
        return Place(self.path / name, descriptor)

    def close(self) -> None:
        """Close it; twice is harmless."""
        if self._fd is not None:
            descriptor, self._fd = self._fd, -1
            if descriptor >= 0:
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _at(self, name: str) -> str | Path:
        if not name or name in {".", ".."} or "/" in name or (os.sep != "/" and os.sep in name):
            raise ValueError(f"not a plain file name: {name!r}")
        return self.path / name if self._fd is None else name

    @property
    def _relative(self) -> int | None:
        return self._fd

    def names(self) -> list[str]:
        """What lies in it."""
        with os.scandir(self.path if self._fd is None else self._fd) as entries:
            return [entry.name for entry in entries]

    def status(self) -> os.stat_result:
        """Status of the directory itself."""
        return os.lstat(self.path) if self._fd is None else os.fstat(self._fd)

    def lstat(self, name: str) -> os.stat_result:
        """Status of an entry; a link is not followed. Raises FileNotFoundError."""
        return os.stat(self._at(name), dir_fd=self._relative, follow_symlinks=False)

    def exists(self, name: str) -> bool:
        """Whether an entry of this name exists, be it a dangling link."""
        try:
            self.lstat(name)
        except FileNotFoundError:
            return False
        return True

    def readlink(self, name: str) -> str:
        """Text of a link. Raises OSError if it is none."""
        return os.readlink(self._at(name), dir_fd=self._relative)

    def open_file(self, name: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
        """Descriptor of an entry, opened once; never follows a link, never blocks on a pipe. The caller closes it.

        Raises OSError; where the system cannot refuse links itself, IsADirectoryError or PermissionError if what was opened is not
        what was there a moment before.
        """
        if NO_FOLLOW:
            return os.open(self._at(name), flags | _NEVER, mode, dir_fd=self._relative)
        before = None
        with contextlib.suppress(FileNotFoundError):
            before = self.lstat(name)
        if before is not None and is_link(before):
            raise PermissionError(f"{name} is a link")
        descriptor = patiently(lambda: os.open(self._at(name), flags | _NEVER, mode, dir_fd=self._relative))
        if before is not None and os.fstat(descriptor).st_ino != before.st_ino:
            os.close(descriptor)
            raise PermissionError(f"{name} was exchanged while it was opened")
        return descriptor

    def read(self, name: str, limit: int) -> bytes:
        """At most ``limit`` bytes of a regular file. Raises OSError, PermissionError if it is not a regular file."""
        descriptor = self.open_file(name)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise PermissionError(f"{name} is not a regular file")
            return file.read(limit)

    def create(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """Write a new file and force it to the disk. Raises FileExistsError; on any error the piece is removed again."""
        descriptor = self.open_file(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if hasattr(os, "fchmod"):
                    os.fchmod(descriptor, mode)  # whatever the umask says: others must be able to read what is published
                file.write(data)
                file.flush()
                os.fsync(descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                self.unlink(name)
            raise

    def mkdir(self, name: str, mode: int = 0o700) -> None:
        """Make a directory. Raises FileExistsError."""
        os.mkdir(self._at(name), mode, dir_fd=self._relative)

    def unlink(self, name: str) -> None:
        """Remove one entry that is not a directory. Raises OSError."""
        patiently(lambda: os.unlink(self._at(name), dir_fd=self._relative))

    def rmdir(self, name: str) -> None:
        """Remove one empty directory. Raises OSError if it is not empty."""
        os.rmdir(self._at(name), dir_fd=self._relative)

    def replace(self, name: str, other: Place, new: str) -> None:
        """Rename atomically, also over an existing file. Raises OSError (EXDEV over file systems, EBUSY for a mount point)."""
        patiently(lambda: os.replace(self._at(name), other._at(new), src_dir_fd=self._relative, dst_dir_fd=other._relative))

    def sync(self) -> None:
        """Force renames and new entries to the disk, where the system can do that for a directory."""
        if self._fd is not None:
            # Some network file systems refuse it for directories; they keep their own promises.
            with contextlib.suppress(OSError):
                os.fsync(self._fd)

    def mount_id(self) -> int | None:
        """Number of the mount that this directory is on, where the system tells (Linux, by /proc/self/fdinfo, proc(5)); else None."""
        if self._fd is None:
            return None
        try:
            text = Path(f"/proc/self/fdinfo/{self._fd}").read_text(encoding="ascii")
        except OSError:
            return None
        for line in text.splitlines():
            if line.startswith("mnt_id:"):
                return int(line.split(":")[1])
        return None


def _must_be_directory(status: os.stat_result, path: Path) -> None:
    if is_link(status) or not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(f"{path} is not a directory")


def private_directory(path: Path) -> Path:
    """Make a directory that only we can enter (0700), parents included, and return it. Raises NotADirectoryError if it is a link."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _must_be_directory(os.lstat(path), path)
    if os.name == "posix" and stat.S_IMODE(os.lstat(path).st_mode) != 0o700:
        path.chmod(0o700)
    return path


def same_mount(parent: Place, child: Place) -> bool:
    """Whether ``child`` is an ordinary sub-directory of ``parent``: not a mount point, be it a bind mount of the same device."""
    if parent.status().st_dev != child.status().st_dev:
        return False
    if parent.mount_id() != child.mount_id():
        return False
    return parent.mount_id() is not None or not os.path.ismount(child.path)
