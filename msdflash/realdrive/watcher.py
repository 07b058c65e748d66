"""Watches the real drives of the probes that are served: one thread, which reads and never writes there.

A volume is opened only once it is known to belong to a probe that is served; no other volume of this computer is ever looked into.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msdflash.job.usbnode import plain_id
from msdflash.realdrive import mounts as mounting
from msdflash.realdrive.facts import facts_of
from msdflash.realdrive.look import Look, look
from msdflash.realdrive.parent import Parent, parent_of
from msdflash.realdrive.track import AGAIN, QUIET, Event, Failed, Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from msdflash.realdrive.mounts import Mount

log = logging.getLogger(__name__)

BENCH_VARIABLE, BENCH_TREE = "MSDFLASH_SIM_BUS", "host"
ONLY_VARIABLE = "MSDFLASH_SIM_ONLY"
END = 5.0
"""Seconds that the thread gets to end; a drive that hangs must not keep the daemon."""


class Listener(Protocol):
    """Who hears of the drives, in the watcher's thread; must not block."""

    def failed(self, serial: str, failed: Failed) -> None:
        """A firmware failed, and its drive is at rest."""

    def disturbed(self, serial: str) -> None:
        """Something happens on the drive of this probe."""

    def cleared(self, serial: str) -> None:
        """The complaint is gone."""


def trees() -> tuple[Path, ...]:
    """File trees to look for mounts in: this system's, and the simulated bench's where there is one."""
    bench = os.environ.get(BENCH_VARIABLE)
    own = () if bench and os.environ.get(ONLY_VARIABLE) else (Path("/"),)
    return (*own, Path(bench) / BENCH_TREE) if bench else own


class Watcher:
    """The watch over all drives."""

    def __init__(
        self,
        serials: Callable[[], Iterable[str]],
        listener: Listener,
        *,
        mounts: Callable[[], Sequence[Mount]] | None = None,
        parent: Callable[[Mount], Parent | None] = parent_of,
        quiet: float = QUIET,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            serials: probes that are served, as pyOCD calls them; asked at each look.
            listener: hears of failures.
            mounts: lists the FAT volumes.
            parent: finds the USB device of one.
            quiet: see :data:`msdflash.realdrive.track.QUIET`.
            clock: monotonic seconds.
        """
        self._serials = serials
        self._listener = listener
        self._mounts = mounts or (lambda: mounting.mounts(trees()))
        self._parent = parent
        self._quiet = quiet
        self._clock = clock
        self._trackers: dict[str, Tracker] = {}
        self._parents: dict[Mount, Parent | None] = {}
        self._twins: set[str] = set()
        self._stopping = threading.Event()
        self._changes: mounting.MountChanges | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._changes = mounting.MountChanges()
        self._thread = threading.Thread(target=self._run, args=(self._changes,), name="msdflash-real-drives", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look now: other probes are served."""
        if self._changes is not None:
            self._changes.wake()

    def done(self, serial: str, failed: Failed) -> None:
        """The complaint was told; from any thread."""
        tracker = self._trackers.get(serial)
        if tracker is not None:
            tracker.done(failed)

    def stop(self) -> bool:
        """End it; False if it hangs in a drive. May be called again."""
        self._stopping.set()
        if self._changes is None or self._thread is None:
            return True
        self._changes.wake()
        self._thread.join(END)
        if self._thread.is_alive():
            return False
        self._changes.close()
        return True

    def once(self) -> float | None:
        """Look at every drive once. Returns seconds until the next look is due, None: when a mount changes."""
        waits = []
        tied = self._tied()
        for serial in list(self._trackers):
            if serial not in tied:
                del self._trackers[serial]
        for serial, found in tied.items():
            tracker = self._trackers.setdefault(serial, Tracker(self._quiet))
            event = tracker.observe(self._clock(), self._one(serial, found))
            if event is Event.FAILED and tracker.failed is not None:
                self._listener.failed(serial, tracker.failed)
            elif event is Event.DISTURBED:
                self._listener.disturbed(serial)
            elif event is Event.CLEARED:
                self._listener.cleared(serial)
            wait = tracker.due()
            if wait is not None:
                waits.append(wait)
        if os.environ.get(BENCH_VARIABLE):
            waits.append(AGAIN)  # the kernel knows nothing of the bench's mounts
        return min(waits, default=None)

    def _tied(self) -> dict[str, list[Mount]]:
        """The volumes of each probe that is served, by the USB device."""
        listed = list(self._mounts())
        self._parents = {mount: self._parents[mount] if mount in self._parents else self._parent(mount) for mount in listed}
        tied: dict[str, list[Mount]] = {}
        for serial in self._serials():
            plain = plain_id(serial)
            tied[serial] = [mount for mount, parent in self._parents.items() if parent is not None and parent.is_probe(plain)]
        return tied

    def _one(self, serial: str, found: list[Mount]) -> Look | None:
        """The look at the one drive of a probe. None where there is none, or where it is not certain which one it is."""
        looks = [seen for seen in map(look, found) if seen is not None and facts_of(seen.texts) is not None]
        if len(looks) > 1 and serial not in self._twins:
            self._twins.add(serial)  # for good: when one of them is away, the other one is no more certain
            paths = ", ".join(seen.mount.path for seen in looks)
            log.warning("probe %s has several drives (%s): two probes with one serial? None of them counts", serial, paths)
        return looks[0] if looks and serial not in self._twins else None

    def _run(self, changes: mounting.MountChanges) -> None:
        while not self._stopping.is_set():
            try:
                wait = self.once()
            except Exception:
                log.exception("the real drives could not be looked at")
                wait = 10 * AGAIN
            if not self._stopping.is_set():
                changes.wait(wait)
