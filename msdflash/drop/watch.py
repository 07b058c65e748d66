"""The hint that something changed. Its only output is an event that means "look again"; the scan is the truth.

Two ways in which a watch goes deaf without saying so are guarded against: an exception in a handler ends the observer's thread, so ours
cannot raise; and when the watched folder is removed or exchanged the emitter dies while the observer lives on, so health means that every
emitter lives and that the folder is still the same one.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from msdflash.drop.place import identity

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from watchdog.observers.api import BaseObserver

logging.getLogger("watchdog").setLevel(logging.CRITICAL)
"""Its errors (one at each ordinary stop) tell nothing: health is judged here, and the scan finds what it misses."""

_TELLING = frozenset({"created", "modified", "moved", "deleted", "closed"})
"""Events that can mean a drop. Mere opening and reading is left out: our own looks would wake us for ever."""


class _Hinting(FileSystemEventHandler):
    def __init__(self, hint: threading.Event) -> None:
        self._hint = hint

    def on_any_event(self, event: FileSystemEvent) -> None:
        if getattr(event, "event_type", "") in _TELLING:
            self._hint.set()


class Watch:
    """Watches one folder, not what is below it."""

    def __init__(self, root: Path, hint: threading.Event, observer: Callable[[], BaseObserver] = Observer) -> None:
        self._root = root
        self._hint = hint
        self._make = observer
        self._observer: BaseObserver | None = None
        self._identity = ""

    def start(self) -> bool:
        """Begin to watch. False if this system or folder cannot be watched (then poll); never raises."""
        self.stop()
        try:
            self._identity = identity(os.lstat(self._root))
            watcher = self._make()
            watcher.schedule(_Hinting(self._hint), str(self._root), recursive=False)
        except Exception:  # noqa: BLE001 - whatever ails the hint must not harm the scan
            return False
        try:
            watcher.start()
        except Exception:  # noqa: BLE001
            with contextlib.suppress(Exception):
                watcher.unschedule_all()
            return False
        self._observer = watcher
        return True

    def healthy(self) -> bool:
        """Every emitter alive and the folder the same one that was watched."""
        watcher = self._observer
        if watcher is None or not watcher.is_alive():
            return False
        emitters = list(watcher.emitters)
        if not emitters or not all(emitter.is_alive() for emitter in emitters):
            return False
        try:
            return identity(os.lstat(self._root)) == self._identity
        except OSError:
            return False

    def stop(self, deadline: float = 5.0) -> None:
        """End it and wait for its threads, at most ``deadline`` seconds; twice is harmless."""
        watcher, self._observer = self._observer, None
        if watcher is None:
            return
        with contextlib.suppress(Exception):
            watcher.stop()
            if watcher.is_alive():
                watcher.join(deadline)
