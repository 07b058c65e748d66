"""A hint that probes may have come or gone, for nothing: the kernel said so, or the system's list of USB devices has changed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
from pathlib import Path

from msdflash.daemon.uevents import UEvents

_LINUX_DEVICES = "/sys/bus/usb/devices"


class UsbHint:
    """Asked now and then; says True when a new list of probes is worth its price.

    Linux tells by itself, and has the list of devices as a folder, which costs one directory read. Elsewhere there is no such free
    look, and the answer is True once in ``blind`` seconds.
    """

    def __init__(self, *, blind: float = 300.0, folder: str = _LINUX_DEVICES, clock: Callable[[], float] = time.monotonic) -> None:
        self._blind = blind
        self._folder = folder
        self._clock = clock
        self._events = UEvents()
        self._seen = self._look()
        self._asked = clock()

    def changed(self) -> bool:
        """Something changed since the last True."""
        told = self._events.heard()
        now = self._look()
        if told:
            pass
        elif now is None:
            if self._clock() - self._asked < self._blind:
                return False
        elif now == self._seen:
            return False
        self._seen = now
        self._asked = self._clock()
        return True

    def close(self) -> None:
        """Let go of what it listens to."""
        self._events.close()

    def _look(self) -> frozenset[str] | None:
        try:
            return frozenset(entry.name for entry in Path(self._folder).iterdir())
        except OSError:
            return None
