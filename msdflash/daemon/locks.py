"""One user of a probe, one daemon on a drive folder. The system frees a lock when its holder dies, however that happens.

Beside each lock lies a record of its owner, only for the message: it decides nothing, so a stale one does no harm.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import filelock
import msgspec
import psutil

from msdflash.errors import HeldError

if TYPE_CHECKING:
    from pathlib import Path

_SETTLE = 0.3
"""Seconds that a holder may take from getting a lock to writing its record."""


class Owner(msgspec.Struct, frozen=True):
    """Who holds a lock. ``since`` is ISO 8601 with the offset."""

    pid: int
    program: str
    user: str
    since: str


class Hold:
    """A held lock; a context manager. Release it in the thread that is done with the thing, any thread will do."""

    def __init__(self, lock: filelock.BaseFileLock, record: Path) -> None:
        self._lock = lock
        self._record = record

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let go. May be called again."""
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                self._record.unlink()
            self._lock.release()


def hold_probe(runtime: Path, serial: str, program: str) -> Hold:
    """Hold a probe by its unique id. Raises :class:`~msdflash.errors.HeldError` with the owner when it is taken."""
    # pyOCD takes a unique id in any case and with its driver's name before it: the same probe must give the same lock.
    key = serial.rsplit(":", 1)[-1].casefold()
    return _hold(runtime, "probe", key, f"probe {serial}", program)


def hold_folder(runtime: Path, folder: Path, program: str) -> Hold:
    """Hold a drive folder, by whatever path it is reached. Raises :class:`~msdflash.errors.HeldError` when it is taken."""
    real = os.path.normcase(folder.resolve())
    return _hold(runtime, "drive", real, f"folder {folder}", program)


def _hold(runtime: Path, kind: str, key: str, what: str, program: str) -> Hold:
    readable = re.sub(r"[^A-Za-z0-9]+", "-", key)[-24:].strip("-")
    stem = runtime / f"{kind}-{readable}-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
    lock = filelock.FileLock(stem.with_name(stem.name + ".lock"), timeout=0, thread_local=False)
    record = stem.with_name(stem.name + ".json")
    try:
        lock.acquire()
    except filelock.Timeout:
        owner = _read_owner(record)
        raise HeldError(what, msgspec.to_builtins(owner) if owner else {}) from None
    me = Owner(os.getpid(), program, _user(), datetime.now(UTC).astimezone().isoformat(timespec="seconds"))
    # Without the record the lock holds all the same; only the message of whoever comes next is poorer.
    with contextlib.suppress(OSError):
        fresh = record.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(me))
        fresh.replace(record)
    return Hold(lock, record)


def _read_owner(record: Path) -> Owner | None:
    """The record of a living owner, or None."""
    deadline = time.monotonic() + _SETTLE
    while True:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            owner = msgspec.json.decode(record.read_bytes()[:4096], type=Owner)
            if psutil.pid_exists(owner.pid):
                return owner
        if time.monotonic() > deadline:
            return None
        time.sleep(0.02)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for this id, as in a container
        return ""
