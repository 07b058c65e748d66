"""What was heard from one worker, and the outcome that can honestly be made of it when the worker does not finish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from msdflash.job.messages import Begin, Measured, Touched
from msdflash.job.order import ListOrder
from msdflash.job.outcome import Changed, Failure, Outcome, ProbeFacts
from msdflash.job.readings import Reading, latest
from msdflash.job.steps import Step

if TYPE_CHECKING:
    from msdflash.job.messages import Message
    from msdflash.job.order import Order

MOST_READINGS = 5000
"""More than any ladder takes; a worker that sends more is broken and must not fill the parent's memory."""


class Account:
    """Keeps the books of a running job.

    Attributes:
        step: the present step.
        changed: what the worker said it was about to change, at the latest.
    """

    def __init__(self, order: Order, now: float) -> None:
        self.order = order
        self.step = Step.START
        self.changed = Changed()
        self._began = now
        self._entered = now
        self._readings: list[Reading] = []
        self._timings: dict[str, float] = {}

    def hear(self, message: Message, now: float) -> None:
        """Book one message."""
        if isinstance(message, Begin):
            self._leave(now)
            self.step = message.step
        elif isinstance(message, Measured) and len(self._readings) < MOST_READINGS:
            self._readings.append(message.reading)
        elif isinstance(message, Touched):
            self.changed = message.changed

    def note(self, name: str, value: Any, now: float, how: str = "") -> None:
        """Add a reading of the parent's own."""
        self._readings.append(Reading(name, value, round(now - self._began, 6), how))

    def outcome(self, failure: Failure, now: float, log: tuple[str, ...]) -> Outcome:
        """The outcome of a job whose worker did not finish: all that was heard, and nothing that was not.

        Once the target was connected, nobody knows what it does after its debugger died: its state is ``unknown``.
        """
        self._leave(now)
        readings = tuple(self._readings)
        touched = self.changed != Changed(total=self.changed.total)
        changed = msgspec.structs.replace(self.changed, state="unknown") if touched else self.changed
        probe = None
        if not isinstance(self.order, ListOrder):
            kind_read, product = latest(readings, "probe.kind"), latest(readings, "probe.product")
            probe = ProbeFacts(
                unique_id=self.order.connection.probe,
                kind=kind_read if isinstance(kind_read, str) else "other",
                product=product if isinstance(product, str) else "",
            )
        return Outcome(
            job=self.order.job,
            failure=failure,
            changed=changed,
            readings=readings,
            probe=probe,
            timings=dict(self._timings),
            log=log,
        )

    def _leave(self, now: float) -> None:
        name = self.step.value
        self._timings[name] = round(self._timings.get(name, 0.0) + now - self._entered, 6)
        self._entered = now
