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
        self._busy = threading.Lock()
        self._guard = threading.Lock()
        self._look: threading.Event | None = None

    @contextlib.contextmanager
    def drop(self) -> Iterator[None]:
        """The probe for a drop, as soon as a look has let go of it."""
        with self._guard:
            self.drops += 1
            if self._look is not None:
                self._look.set()
        with self._busy:
            yield

    @contextlib.contextmanager
    def look(self, patience: float, given_up: Callable[[], bool]) -> Iterator[threading.Event | None]:
        """The probe for a look: the event that cancels it, or None if it was not free within ``patience`` seconds or nobody wants it."""
        end = time.monotonic() + patience
        while not self._busy.acquire(timeout=_SLICE):
            if given_up() or time.monotonic() >= end:
                yield None
                return
        cancel = threading.Event()
        try:
            with self._guard:
                self._look = cancel
            if given_up():
                cancel.set()
            yield cancel
        finally:
            with self._guard:
                self._look = None
            self._busy.release()

    def interrupt(self) -> None:
        """End a look that is under way."""
        with self._guard:
            if self._look is not None:
                self._look.set()
