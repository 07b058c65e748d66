"""CMSIS-Packs that a user names: read within bounds, and every way in which one is of no use told before a probe is opened.

A pack is a zip archive with a description (PDSC, XML) and flash algorithms. It comes from somewhere on the internet, so it is taken for
hostile: nothing is unpacked to disk, members are read by name out of the archive alone, and only so much of each.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from pyocd.core.memory_map import FlashRegion
from pyocd.target import TARGET, normalise_target_type_name
from pyocd.target.pack.cmsis_pack import CmsisPack, CmsisPackDevice

from msdflash.chips import parts
from msdflash.job.order import Connection
from msdflash.worker.channel import Channel, StepFailed

MOST_BYTES = 1 << 30
"""Of the file: several times the largest device family pack that is known to us."""

MOST_DIRECTORY = 16 << 20
"""Bytes of the archive's directory: some hundred thousand members."""

MOST_MEMBER = 32 << 20
"""Bytes of one member, unpacked: descriptions, register lists and algorithms are some MiB at most."""

_END_OF_DIRECTORY = struct.Struct("<4s4H2IH")
_END_MAGIC = b"PK\x05\x06"
_LONGEST_COMMENT = 0xFFFF
_ZIP64_MAGIC, _ZIP64_LOCATOR = b"PK\x06\x07", 20  # APPNOTE 4.3.15
_SHOWN = 12


class PackError(Exception):
    """A pack is of no use.

    Attributes:
        cause: ``pack-unreadable``, ``pack-invalid``, ``pack-lacks-target`` or ``pack-lacks-algorithm``.
        facts: values for the cause's words.
    """

    def __init__(self, cause: str, message: str, **facts: object) -> None:
        self.cause = cause
        self.facts = facts
        super().__init__(message)


class _Bounded(zipfile.ZipFile):
    """An archive whose members are never larger than :data:`MOST_MEMBER`; zipfile itself reads no more than a member declares."""

    def open(self, name: str | zipfile.ZipInfo, mode: Any = "r", pwd: bytes | None = None, *, force_zip64: bool = False) -> IO[bytes]:
        """See the base. Raises ValueError where the member is too large."""
        size = (name if isinstance(name, zipfile.ZipInfo) else self.getinfo(name)).file_size
        if size > MOST_MEMBER:
            raise ValueError(f"a member of {size} bytes; {MOST_MEMBER} are allowed")
        return super().open(name, mode, pwd, force_zip64=force_zip64)


def read(path: str) -> CmsisPack:
    """The pack, parsed once for each state of the file.

    Raises:
        PackError: ``pack-unreadable`` or ``pack-invalid``.
    """
    try:
        found = Path(path).stat()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if not stat.S_ISREG(found.st_mode):
        raise _unreadable(path, "it is not a file")  # pyOCD would take a folder, and follow its description out of it
    if found.st_size > MOST_BYTES:
        raise _invalid(path, f"it has {found.st_size} bytes; {MOST_BYTES} are allowed")
    return _read(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=1)
def _read(path: str, size: int, _changed: int) -> CmsisPack:
    try:
        file = Path(path).open("rb")  # noqa: SIM115  (the archive keeps it)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    try:
        _check_directory(file, size)
        pack = CmsisPack(_Bounded(file))
    except OSError as error:
        file.close()
        raise _unreadable(path, error.strerror or str(error)) from error
    except Exception as error:
        file.close()
        raise _invalid(path, _words(error)) from error
    return pack


def _check_directory(file: IO[bytes], size: int) -> None:
    """The archive's directory before zipfile reads all of it (APPNOTE 4.3.16). Raises ValueError."""
    tail = min(size, _END_OF_DIRECTORY.size + _LONGEST_COMMENT)
    file.seek(size - tail)
    data = file.read(tail)
    at = data.rfind(_END_MAGIC)
    if at < 0 or len(data) - at < _END_OF_DIRECTORY.size:
        raise ValueError("it is no zip archive")
    if data[: max(at, 0)][-_ZIP64_LOCATOR:].startswith(_ZIP64_MAGIC):
        raise ValueError("it is an archive with 64-bit sizes, which no pack needs")
    length = _END_OF_DIRECTORY.unpack_from(data, at)[5]
    if length > MOST_DIRECTORY:
        raise ValueError(f"its directory says {length} bytes; {MOST_DIRECTORY} are allowed")


def _words(error: BaseException) -> str:
    """One line of an error's own words."""
    return " ".join(f"{error}".split())[:200] or type(error).__name__


def _unreadable(path: str, why: str) -> PackError:
    return PackError("pack-unreadable", f"the CMSIS-Pack {path} cannot be read: {why}", pack=Path(path).name, why=why)


def _invalid(path: str, why: str) -> PackError:
    return PackError("pack-invalid", f"{path} is no usable CMSIS-Pack: {why}", pack=Path(path).name, why=why)


def device(path: str, name: str) -> CmsisPackDevice | None:
    """The part of a pack with this name, as pyOCD normalises names; None if there is none. Raises :class:`PackError` as :func:`read`."""
    wanted = normalise_target_type_name(name)
    return next((item for item in read(path).devices if normalise_target_type_name(item.part_number) == wanted), None)


def listed(path: str) -> str:
    """The first names of a pack's parts, in words. Raises :class:`PackError` as :func:`read`."""
    names = [normalise_target_type_name(item.part_number) for item in read(path).devices]
    return (", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")) or "none"


def check(channel: Channel, connection: Connection) -> None:
    """All that can be known of the order's pack without a board.

    Raises:
        StepFailed: ``pack``, with its cause; the reading ``pack.facts`` has the values.
    """
    if connection.pack is None:
        return
    try:
        _check(connection.pack, connection.target)
    except PackError as error:
        channel.measure("pack.facts", error.facts)
        raise StepFailed("pack", str(error)[:300], cause=error.cause) from error


def _check(path: str, target: str | None) -> None:
    read(path)
    if target is None:
        return
    found = device(path, target)
    if found is None:
        if parts.resolve(target) is not None or normalise_target_type_name(target) in TARGET:
            return  # the engine has it without the pack
        message = f"the CMSIS-Pack {path} has no part {target}; it has: {listed(path)}"
        raise PackError("pack-lacks-target", message, pack=Path(path).name, target=target, parts=listed(path))
    try:
        regions = [region for region in found.memory_map.regions if isinstance(region, FlashRegion) and region.flm is not None]
    except Exception as error:
        raise _invalid(path, f"the part {target}: {_words(error)}") from error
    if not regions:
        message = f"the CMSIS-Pack {path} has no flash algorithm for the part {target} that can be used"
        raise PackError("pack-lacks-algorithm", message, pack=Path(path).name, target=target)
