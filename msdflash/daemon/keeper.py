"""Keeps one board's lane alive: a thread that runs it and, should it die, starts it anew after a growing pause."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.daemon.lane import Lane, LaneStatus

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between a lane's death and its next start: the first, doubled each time, and the limit."""

_AT_REST = ("idle", "absent", "trouble")
"""States in which a lane may be replaced."""


class Keeper:
    """One lane and its thread."""

    def __init__(self, name: str, make: Callable[[], Lane], first: Lane, *, pause: float = FIRST_PAUSE) -> None:
        """Take over a lane that is ready to run.

        Args:
            name: for the log.
            make: makes a lane like the first; may raise anything, which counts as a death.
            first: the lane to begin with.
            pause: first pause in seconds.
        """
        self.name = name
        self.deaths = 0
        self._make = make
        self._lane: Lane | None = first
        self._pause = pause
        self._stopping = threading.Event()
        self._renewing = False
        self._lock = threading.Lock()
        # No lane that hangs in a dead file system may keep the process from ending.
        self._thread = threading.Thread(target=self._keep, name=f"msdflash-lane-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the lane to end; a job that changes the chip is finished first. Returns at once."""
        with self._lock:
            self._stopping.set()
            lane = self._lane
        if lane is not None:
            lane.stop()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; False if it has not come within ``timeout`` seconds."""
        if self._thread.ident is None:
            if self._lane is not None:
                self._lane.close()
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def status(self) -> LaneStatus | None:
        """What the lane is doing; None while there is none."""
        with self._lock:
            return None if self._lane is None else self._lane.status()

    @property
    def alive(self) -> bool:
        """Its thread runs."""
        return self._thread.is_alive()

    def renew(self) -> bool:
        """Replace the lane by a newly made one, if it has nothing to do. False: it is busy, ask again. Returns at once."""
        with self._lock:
            if self._lane is None or self._stopping.is_set():
                return True  # whatever comes next is newly made
            status = self._lane.status()
            if status.waiting or status.state not in _AT_REST:
                return False
            self._renewing = True
            self._lane.stop()
        return True

    def refresh(self) -> None:
        """See :meth:`msdflash.daemon.lane.Lane.refresh`."""
        with self._lock:
            if self._lane is not None:
                self._lane.refresh()

    def _renewed(self) -> bool:
        with self._lock:
            renewing, self._renewing = self._renewing, False
            if renewing:
                self._lane = None
        return renewing

    def released(self, name: str, identity: str, size: int, mtime_ns: int) -> None:
        """See :meth:`msdflash.daemon.lane.Lane.released`."""
        with self._lock:
            if self._lane is not None:
                self._lane.released(name, identity, size, mtime_ns)

    def _keep(self) -> None:
        pause = self._pause
        while not self._stopping.is_set():
            try:
                lane = self._lane or self._make()
                with self._lock:
                    self._lane = lane
                    if self._stopping.is_set():
                        lane.stop()
                lane.run()
            except Exception:
                log.exception("the lane of %s has died", self.name)
            else:
                if self._stopping.is_set():
                    return
                if self._renewed():
                    continue
                log.error("the lane of %s has ended by itself", self.name)
            with self._lock:
                self._lane = None
            self.deaths += 1
            log.error("the lane of %s starts again in %g s", self.name, pause)
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        lane_left = self._lane
        if lane_left is not None:
            lane_left.close()
