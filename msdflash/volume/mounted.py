"""The operations of a mount, under the names and with the arguments that mfusepy wants. Importing this needs mfusepy and libfuse."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any

from mfusepy import Operations

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.volume.passthrough import Passthrough


class Mounted(Operations):  # type: ignore[misc]  # mfusepy has no types
    """The operations under the names that mfusepy wants. An attribute called ``lock`` would shadow an operation."""

    use_ns = True

    def __init__(self, files: Passthrough, ready: Callable[[], None]) -> None:
        self._files = files
        self._ready = ready

    def init_with_config(self, _connection: Any, config: Any) -> None:
        """The mount begins."""
        if config is not None:
            # What the daemon changes below must be seen at once: nothing is remembered by the kernel.
            config.attr_timeout = config.entry_timeout = config.negative_timeout = 0.0
            config.hard_remove = 1
        self._ready()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Status."""
        found = self._files.status(path, fh)
        mode = stat.S_IFDIR | 0o755 if stat.S_ISDIR(found.st_mode) else stat.S_IFREG | 0o644
        return {
            "st_mode": mode,
            "st_nlink": 2 if stat.S_ISDIR(mode) else 1,
            "st_size": found.st_size,
            "st_uid": found.st_uid,
            "st_gid": found.st_gid,
            "st_atime": found.st_atime_ns,
            "st_mtime": found.st_mtime_ns,
            "st_ctime": found.st_ctime_ns,
            "st_blocks": (found.st_size + 511) // 512,
        }

    def readdir(self, path: str, _fh: int) -> list[str]:
        """A folder."""
        return [".", "..", *self._files.names(path)]

    def create(self, path: str, _mode: int, fi: int) -> int:
        """Make and open."""
        return self._files.create(path, fi)

    def open(self, path: str, flags: int) -> int:
        """Open."""
        return self._files.open(path, flags)

    def read(self, _path: str, size: int, offset: int, fh: int) -> bytes:
        """Read."""
        return self._files.read(fh, size, offset)

    def write(self, _path: str, data: bytes, offset: int, fh: int) -> int:
        """Write."""
        return self._files.write(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Set the length."""
        self._files.truncate(path, length, fh)
        return 0

    def fsync(self, _path: str, _datasync: int, fh: int) -> int:
        """To the disk."""
        self._files.sync(fh)
        return 0

    def release(self, path: str, fh: int) -> int:
        """The last copy of a handle was closed."""
        self._files.release(path or "", fh)
        return 0

    def rename(self, old: str, new: str) -> int:
        """Rename."""
        self._files.rename(old, new)
        return 0

    def unlink(self, path: str) -> int:
        """Remove a file."""
        self._files.unlink(path)
        return 0

    def mkdir(self, path: str, _mode: int) -> int:
        """Make a folder."""
        self._files.mkdir(path)
        return 0

    def rmdir(self, path: str) -> int:
        """Remove a folder."""
        self._files.rmdir(path)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        """Set times."""
        self._files.set_times(path, times)
        return 0

    def chmod(self, _path: str, _mode: int) -> int:
        """FAT has no modes; copiers must not fail for that."""
        return 0

    def chown(self, _path: str, _uid: int, _gid: int) -> int:
        """As chmod."""
        return 0

    def symlink(self, _target: str, _source: str) -> int:
        """FAT has no links."""
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    def link(self, _target: str, _source: str) -> int:
        """FAT has no links."""
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    def statfs(self, _path: str) -> dict[str, int]:
        """The size."""
        return self._files.space()
