"""The worker's voice: steps, readings, changes and progress, sent as they happen and kept for the outcome."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, BinaryIO

import msgspec

from msdflash.job.messages import Begin, Measured, Message, Progress, Touched, encode
from msdflash.job.outcome import Changed, Failure, ImageFacts, Outcome, ProbeFacts, TargetFacts, Tried
from msdflash.job.readings import READINGS, Reading
from msdflash.job.steps import Step

_LOG_LINES = 200


class StepFailed(Exception):  # noqa: N818  (it ends a step; it is no programming error)
    """A step cannot go on. Carries the :class:`~msdflash.job.outcome.Failure`."""

    def __init__(self, kind: str, message: str, *, cause: str | None = None, address: int | None = None) -> None:
        self.kind = kind
        self.cause = cause
        self.address = address
        super().__init__(message)


class Channel:
    """Writes messages to the parent and gathers the parts of the outcome.

    One thread works, but pyOCD's threads may log: sending is locked.
    """

    def __init__(self, stream: BinaryIO, job: str) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._step_start = self._start
        self.job = job
        self.step = Step.START
        self.changed = Changed()
        self.pace = 1.0  # deadlines from now on are so many times as long: what a slow kind of probe needs
        self.readings: list[Reading] = []
        self.timings: dict[str, float] = {}
        self.tallies: dict[str, int] = {}
        self.tried: list[Tried] = []
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self.probe: ProbeFacts | None = None
        self.opened: Any = None  # pyOCD's probe object
        self.target: TargetFacts | None = None
        self.image: ImageFacts | None = None
        self.running = "unknown"
        self.proved_at = ""
        self.unchanged = False

    @property
    def proved(self) -> bool:
        """Every byte was compared; setting it notes the time."""
        return self.proved_at != ""

    @proved.setter
    def proved(self, value: bool) -> None:
        self.proved_at = datetime.now(UTC).isoformat(timespec="milliseconds") if value else ""

    def send(self, message: Message) -> None:
        """One message, at once."""
        with self._lock:
            self._stream.write(encode(message))
            self._stream.flush()

    def now(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self._start

    def begin(self, step: Step, deadline: float) -> None:
        """Enter a step that ends within ``deadline`` seconds, or the parent ends us."""
        self._close_step()
        self.step = step
        self.send(Begin(step, deadline * self.pace, round(self.now(), 4)))

    def _close_step(self) -> None:
        now = time.monotonic()
        spent = now - self._step_start
        self.timings[self.step.value] = round(self.timings.get(self.step.value, 0.0) + spent, 4)
        self._step_start = now

    def measure(self, name: str, value: Any, how: str = "") -> None:
        """A reading of the vocabulary. Raises KeyError for a name that no rule could know."""
        if name not in READINGS:
            raise KeyError(name)
        reading = Reading(name, value, round(self.now(), 4), how)
        self.readings.append(reading)
        self.send(Measured(reading))

    def touch(self, **changes: Any) -> None:
        """What is about to change on the chip; told before it happens, so that a report after our death is right."""
        changed = msgspec.structs.replace(self.changed, **changes)
        if changed != self.changed:
            self.changed = changed
            self.send(Touched(changed))

    def progress(self, done: int, total: int, extends: float | None = None) -> None:
        """Bytes done in this step; ``extends`` gives the step that many more seconds from now."""
        self.send(Progress(self.step, done, total, None if extends is None else extends * self.pace))

    def tally(self, name: str, count: int = 1) -> None:
        """Count something that costs."""
        self.tallies[name] = self.tallies.get(name, 0) + count

    def outcome(self, failure: Failure | None) -> Outcome:
        """Everything gathered so far, as the final record."""
        self._close_step()
        return Outcome(
            job=self.job,
            proved=self.proved and failure is None,
            unchanged=self.unchanged,
            failure=failure,
            running=self.running,
            changed=self.changed,
            readings=tuple(self.readings),
            probe=self.probe,
            target=self.target,
            image=self.image,
            tried=tuple(self.tried),
            timings=dict(self.timings),
            tallies=dict(self.tallies),
            log=tuple(self.log),
            proved_at=self.proved_at if self.proved and failure is None else "",
        )


class LogTap(logging.Handler):
    """Collects pyOCD's log lines for the outcome instead of letting them loose on our pipes."""

    def __init__(self, sink: Callable[[str], None]) -> None:
        super().__init__(logging.DEBUG)
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line, cut to 300 characters."""
        try:
            self._sink(f"{record.levelname[0]} {record.name.removeprefix('pyocd.')}: {record.getMessage()}"[:300])
        except Exception:  # noqa: BLE001  (a log line must never end a job)
            self.handleError(record)
