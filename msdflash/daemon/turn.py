"""One user of a board's probe at a time inside the daemon. A drop goes before a look: it ends the look, which changes nothing."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SLICE = 0.1


class Turn:
    """Whose turn it is.

    Attributes:
        drops: how many drops have had it or wait for it.
    """

    def __init__(self) -> None:
        self.drops = 0
        self._state = threading.Condition()
        self._busy = False
        self._waiting = 0
        self._look: threading.Event | None = None

    @contextlib.contextmanager
    def drop(self) -> Iterator[None]:
        """The probe for a drop, as soon as a look has let go of it; no look begins while a drop waits."""
        with self._state:
            self.drops += 1
            self._waiting += 1
            if self._look is not None:
                self._look.set()
            try:
                self._state.wait_for(lambda: not self._busy)
                self._busy = True
            finally:
                self._waiting -= 1
        try:
            yield
        finally:
            self._free()

    @contextlib.contextmanager
    def look(self, patience: float, given_up: Callable[[], bool]) -> Iterator[threading.Event | None]:
        """The probe for a look: the event that cancels it, or None if it was not free within ``patience`` seconds or nobody wants it."""
        cancel = threading.Event()
        end = time.monotonic() + patience
        with self._state:
            while self._busy or self._waiting:
                if given_up() or time.monotonic() >= end:
                    break
                self._state.wait(_SLICE)
            mine = not self._busy and not self._waiting
            if mine:
                self._busy, self._look = True, cancel
        if not mine:
            yield None
            return
        try:
            if given_up():
                cancel.set()
            yield cancel
        finally:
            self._free()

    def _free(self) -> None:
        with self._state:
            self._busy, self._look = False, None
            self._state.notify_all()

    def interrupt(self) -> None:
        """End a look that is under way."""
        with self._state:
            if self._look is not None:
                self._look.set()
