"""The configuration, read again while the daemon runs: when its file changes, or when somebody asks for it."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from msdflash.daemon.config import BoardOptions, Config
from msdflash.daemon.config_file import Found, find_config, load_config
from msdflash.daemon.config_keys import BOARD_KEYS, Key
from msdflash.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

_Signature = tuple[int, int, int] | None


class Reload:
    """Watches one configuration file. :meth:`look` in one thread, :meth:`request` from any and from signal handlers."""

    def __init__(self, found: Found, named: str | None, apply: Callable[[Config], object]) -> None:
        """Begin with the file that was read at the start.

        Args:
            found: which file is in force.
            named: what ``--config`` said.
            apply: takes a new configuration that is right.
        """
        self._found = found
        self._named = named
        self._apply = apply
        self._asked = threading.Event()
        self._read = self._seen = _signature(found.file)

    def request(self) -> None:
        """Read it at the next look, changed or not."""
        self._asked.set()

    def due(self) -> bool:
        """Whether it is to be read now: one ``stat``. A file that has just changed is given until the next look to be written whole."""
        if self._asked.is_set():
            return True
        if self._found.file is None:
            return find_config(self._named).file is not None
        before, self._seen = self._seen, _signature(self._found.file)
        return self._seen == before != self._read

    def read(self) -> bool:
        """Read it and put it in force. False if it is wrong: then nothing changes, and the log says what is wrong."""
        if self._asked.is_set() or self._found.file is None:
            self._asked.clear()
            found = find_config(self._named)
            if found.file is not None:
                self._found = found
        file = self._found.file
        self._read = self._seen = _signature(file)
        if file is None:
            log.info("no configuration file: %s", self._found.why)
            return True
        wrong = ""
        try:
            config = load_config(file)
        except UsageError as error:
            wrong = str(error)
        if wrong:
            for line in (*wrong.splitlines(), "the configuration was not taken; the last good one stays in force"):
                log.error("%s", line)
            return False
        log.info("configuration %s read (%s)", file, self._found.why)
        self._apply(config)
        return True


def _signature(file: Path | None) -> _Signature:
    if file is None:
        return None
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def changes(before: BoardOptions, after: BoardOptions) -> tuple[Key, ...]:
    """The keys whose values differ."""
    return tuple(key for key in BOARD_KEYS if getattr(before, key.name) != getattr(after, key.name))
