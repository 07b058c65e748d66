"""What the daemon's waiting loop does besides waiting: tells the service manager how the lanes are, and looks after the configuration.

The watchdog is fed by this loop only, and only while every lane beats: a lane that hangs, or a loop that does, ends in a restart by the
service manager. The journal makes that safe for every drop.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from msdflash.daemon.lane_data import LaneStatus
    from msdflash.daemon.notify import Notifier
    from msdflash.daemon.reload import Reload

log = logging.getLogger(__name__)

HANG = 60.0
"""Seconds of silence beyond a lane's own patience after which it counts as hanging. A pass copies up to eight files of 64 MiB."""

_LONGEST_PATIENCE = 600.0
"""Seconds; the engine gives no step more."""


class LaneLook(msgspec.Struct, frozen=True):
    """A lane as its daemon sees it.

    Attributes:
        name: of its board's folder.
        alive: its thread runs.
        status: what it does; None while a lane that died waits for its next start.
    """

    name: str
    alive: bool
    status: LaneStatus | None


class Attendant:
    """Called from the waiting loop, about twice a second."""

    def __init__(
        self,
        lanes: Callable[[], Iterable[LaneLook]],
        notifier: Notifier,
        reload: Reload | None = None,
        *,
        hang: float = HANG,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; ``lanes`` says how they are now, ``clock`` is that of their beats."""
        self._lanes = lanes
        self._notifier = notifier
        self._reload = reload
        self._hang = hang
        self._clock = clock
        self._ready = False
        self._hanging: frozenset[str] = frozenset()

    def look(self) -> None:
        """One look: configuration, then lanes."""
        if self._reload is not None and self._reload.due():
            self._notifier.reloading()
            self._reload.read()
            if self._ready:
                self._notifier.ready()
        lanes = tuple(self._lanes())
        if not self._ready and all(lane.status is None or lane.status.state != "starting" for lane in lanes):
            self._ready = True
            self._notifier.ready()
        self._notifier.status(told(lanes))
        hanging = frozenset(lane.name for lane in lanes if not self._beats(lane))
        for name in sorted(hanging - self._hanging):
            log.error("the lane of %s hangs; the service manager's watchdog is not fed any more", name)
        for name in sorted(self._hanging - hanging):
            log.warning("the lane of %s goes on", name)
        self._hanging = hanging
        if not hanging:
            self._notifier.feed()

    def end(self) -> None:
        """The daemon is ending."""
        self._notifier.stopping()

    def _beats(self, lane: LaneLook) -> bool:
        if not lane.alive:
            return False
        return lane.status is None or self._clock() - lane.status.beat <= self._hang + min(lane.status.patience, _LONGEST_PATIENCE)


def told(lanes: Iterable[LaneLook]) -> str:
    """All lanes in one line: how many boards, and how many are in which state."""
    states = Counter("restarting" if lane.status is None else lane.status.state for lane in lanes)
    if not states:
        return "no probe is connected; waiting for one"
    count = states.total()
    return f"{count} board{'s' if count > 1 else ''}: " + ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
