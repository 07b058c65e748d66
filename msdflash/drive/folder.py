"""A drive's folder: made or adopted once, and recognised ever after by a marker.

The marker lies in the hidden sub-folder ``.msdflash``, which also holds the files that are about to be renamed into place. A folder without
its marker (a share that is not mounted, a folder that was exchanged) is *absent*, which is something else than empty: nothing is
written to it and nothing taken from it until the marker is back.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from msdflash.drop.names import NameKind, display, name_kind
from msdflash.drop.place import Place, is_link, private_directory, same_mount
from msdflash.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

HIDDEN = ".msdflash"
MARKER = "drive.json"
TEMP = "tmp"
KEPT = "not-flashed"
SCHEMA = 1
_MARKER_LIMIT = 4096
_NAMED = 5


class FolderAbsentError(Exception):
    """The folder is not there, or it is not the one that we made. Says why."""


class Marker(msgspec.Struct, frozen=True):
    """What the marker says: whose folder this is."""

    schema: int
    uuid: str
    serial: str


class _Memory(msgspec.Struct, frozen=True):
    """What is remembered in the state directory, so that an empty mount point is not taken for a new folder."""

    uuid: str
    device: str


class Opened(msgspec.Struct, frozen=True):
    """The folder, opened: its root, the hidden sub-folder, and the place for files that are about to be renamed."""

    root: Place
    hidden: Place
    temp: Place


class Folder:
    """One board's folder.

    Attributes:
        path: where it is; no link.
        serial: the board's.
        uuid: the marker's.
        cased: file names that differ only in case are different files here; known once it was opened.
    """

    def __init__(self, path: Path, serial: str, identifier: str) -> None:
        self.path = path
        self.serial = serial
        self.uuid = identifier
        self.cased = True

    @contextlib.contextmanager
    def opened(self) -> Iterator[Opened]:
        """The folder, checked to be ours and opened for the time of a ``with`` block (no longer: an open folder cannot be unmounted).

        Raises FolderAbsentError.
        """
        with contextlib.ExitStack() as stack:
            try:
                root = stack.enter_context(Place.open(self.path))
                hidden = stack.enter_context(root.sub(HIDDEN))
                if not same_mount(root, hidden):
                    raise FolderAbsentError(f"{self.path / HIDDEN} is a mount point")
                marker = _read_marker(hidden)
                with contextlib.suppress(FileExistsError):
                    hidden.mkdir(TEMP)
                temp = stack.enter_context(hidden.sub(TEMP))
                if not same_mount(hidden, temp):
                    raise FolderAbsentError(f"{self.path / HIDDEN / TEMP} is a mount point")
            except (OSError, msgspec.MsgspecError) as error:
                raise FolderAbsentError(f"{self.path}: {error}") from error
            if (marker.uuid, marker.serial) != (self.uuid, self.serial):
                raise FolderAbsentError(f"{self.path} holds the marker of another drive")
            self.cased = not hidden.exists(MARKER.upper())
            yield Opened(root, hidden, temp)

    def present(self) -> bool:
        """Whether the folder is there and ours."""
        try:
            with self.opened():
                return True
        except FolderAbsentError:
            return False


def adopt(path: Path, serial: str, state: Path) -> Folder:
    """Make the folder, or take it over if we made it earlier or it is empty. ``state``: private directory of this board.

    A folder that was ours before and is now missing on another file system, or lies there empty on another one, is returned as it
    is, absent: its share is not mounted yet.

    Raises:
        UsageError: it is a link, no folder, another board's, or holds something that we did not put there.
    """
    path = path.parent.resolve() / path.name
    memory_file = private_directory(state) / "folder.json"
    memory = _recall(memory_file)
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        if memory is not None and not _same_device(path.parent, memory):
            return Folder(path, serial, memory.uuid)
        _make(path)
        return _mark(path, serial, memory, memory_file)
    if is_link(status):
        raise UsageError(f"{path} is a link; a drive must be a folder of its own")
    if not stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{path} is not a folder")
    with _open(path) as root:
        names = root.names()
        if HIDDEN in names:
            marker = _known_marker(root, path, serial)
            if marker is not None:
                return _remember(path, marker, memory_file)
        foreign = sorted(name for name in names if name != HIDDEN and name_kind(name) is not NameKind.CLUTTER)
    if foreign:
        shown = ", ".join(display(name) for name in foreign[:_NAMED])
        more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
        raise UsageError(f"{path} is not empty and was not made by msdflash; it holds {shown}{more}. Name an empty or a new folder.")
    if memory is not None and not _same_device(path, memory):
        return Folder(path, serial, memory.uuid)
    return _mark(path, serial, memory, memory_file)


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {path}: {error.strerror or error}") from error


def _open(path: Path) -> Place:
    try:
        return Place.open(path)
    except OSError as error:
        raise UsageError(f"cannot open the folder {path}: {error.strerror or error}") from error


def _known_marker(root: Place, path: Path, serial: str) -> Marker | None:
    """The marker; None if the hidden folder is one that we did not finish making. Raises UsageError if it is not ours."""
    try:
        with root.sub(HIDDEN) as hidden:
            if not same_mount(root, hidden):
                raise UsageError(f"{path / HIDDEN} is a mount point")
            if not set(hidden.names()) - {TEMP, KEPT}:
                return None
            marker = _read_marker(hidden)
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"{path / HIDDEN} is not ours or is damaged: {error}") from error
    if marker.schema > SCHEMA:
        raise UsageError(f"{path} was made by a newer msdflash (marker schema {marker.schema}, this one knows {SCHEMA})")
    if marker.serial != serial:
        raise UsageError(f"{path} is the drive of board {marker.serial}, not of {serial}")
    return marker


def _read_marker(hidden: Place) -> Marker:
    return msgspec.json.decode(hidden.read(MARKER, _MARKER_LIMIT), type=Marker)


def _mark(path: Path, serial: str, memory: _Memory | None, memory_file: Path) -> Folder:
    marker = Marker(SCHEMA, memory.uuid if memory is not None else str(uuid.uuid4()), serial)
    try:
        with Place.open(path) as root:
            with contextlib.suppress(FileExistsError):
                root.mkdir(HIDDEN)
            with root.sub(HIDDEN) as hidden:
                hidden.create(MARKER, msgspec.json.encode(marker))
                hidden.sync()
            root.sync()
    except OSError as error:
        raise UsageError(f"cannot write in the folder {path}: {error.strerror or error}") from error
    _hide(path / HIDDEN)
    return _remember(path, marker, memory_file)


def _remember(path: Path, marker: Marker, memory_file: Path) -> Folder:
    text = msgspec.json.encode(_Memory(marker.uuid, f"{os.lstat(path).st_dev:x}"))
    with Place.open(memory_file.parent) as place:
        fresh = memory_file.name + ".new"
        with contextlib.suppress(FileNotFoundError):
            place.unlink(fresh)
        place.create(fresh, text)
        place.replace(fresh, place, memory_file.name)
        place.sync()
    folder = Folder(path, marker.serial, marker.uuid)
    folder.present()
    return folder


def _recall(memory_file: Path) -> _Memory | None:
    try:
        return msgspec.json.decode(memory_file.read_bytes(), type=_Memory)
    except (OSError, msgspec.MsgspecError):
        return None


def _same_device(path: Path, memory: _Memory) -> bool:
    try:
        return f"{os.lstat(path).st_dev:x}" == memory.device
    except OSError:
        return False


def _hide(path: Path) -> None:
    """Set the hidden attribute on Windows; elsewhere the leading dot is enough."""
    if sys.platform == "win32":
        import ctypes

        hidden_attribute = 0x2  # FILE_ATTRIBUTE_HIDDEN, winnt.h
        ctypes.windll.kernel32.SetFileAttributesW(str(path), hidden_attribute)
