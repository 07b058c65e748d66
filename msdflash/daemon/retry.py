"""Helping itself: after a failure that evidence says can be got around, the same drop is tried in another way, at most three times.

One drop has one answer all the same. What was tried, and what came of it, stands in the report; what helped is remembered for the board.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from msdflash.daemon.config import MOST_RETRIES
from msdflash.diagnose.rules import diagnose
from msdflash.diagnose.rungs import BY_ID, LOWER_CLOCK, Step, by_hint, next_step
from msdflash.engine.runner import Cancel
from msdflash.job.messages import Message, Touched
from msdflash.job.order import DiagnoseOrder, FlashOrder
from msdflash.job.outcome import Changed, Outcome, Tried
from msdflash.job.steps import Step as JobStep

WINDOW = 4.0
"""Seconds after the first failure in which rungs may begin and reach the chip; one that has begun to write may end."""

USES = 5
"""Jobs that begin with what helped before; then the plain way has its turn, because boards get mended."""

Run = Callable[[FlashOrder, Callable[[Message], None], threading.Event], Outcome]
_Any = TypeVar("_Any", FlashOrder, DiagnoseOrder)

BUSY_AGAIN = 0.5
"""Seconds between looks whether another program has let go of the probe. Each look is one short job, so not more often."""


def wait_while_busy(
    run: Callable[[_Any, Callable[[Message], None], threading.Event], Outcome],
    seconds: float,
    pause: Callable[[float], object] = time.sleep,
) -> Callable[[_Any, Callable[[Message], None], threading.Event], Outcome]:
    """An engine that waits up to ``seconds`` for a probe that another program holds, an IDE between two steps for one.

    What comes back is the last attempt's outcome; that it was waited for stands in ``tried``.
    """

    def patient(order: _Any, hear: Callable[[Message], None], cancel: threading.Event) -> Outcome:
        began = time.monotonic()
        waited = False
        while True:
            outcome: Outcome = run(order, hear, cancel)
            spent = time.monotonic() - began
            if not _is_busy(outcome) or cancel.is_set() or spent >= seconds:
                break
            waited = True
            pause(min(BUSY_AGAIN, seconds - spent))
        if not waited:
            return outcome
        told = Tried(
            f"waited {spent:.1f} s for another program to let go of the probe",
            "it is still held" if _is_busy(outcome) else "then the probe was free",
        )
        return msgspec.structs.replace(outcome, tried=(told, *outcome.tried))

    return patient


def _is_busy(outcome: Outcome) -> bool:
    failure = outcome.failure
    held = any(reading.name == "probe.errno" and reading.value == errno.EBUSY for reading in outcome.readings)
    return failure is not None and failure.kind == "probe-open" and held


class Hint(msgspec.Struct, frozen=True):
    """What helped a board.

    Attributes:
        rung: id of the rung.
        frequency: SWD clock in Hz, for a lower clock.
        probe: product and firmware of the probe that it helped with.
        left: jobs that still begin with it.
    """

    rung: str
    frequency: int | None = None
    probe: str = ""
    left: int = USES


class Helped(msgspec.Struct, frozen=True):
    """What came of a drop.

    Attributes:
        outcome: one for all attempts.
        hint: what to remember of the board; None where the plain way did.
    """

    outcome: Outcome
    hint: Hint | None = None


class _Window(Cancel):
    """The caller's wish to cancel, or the end of the window for an attempt that has changed nothing."""

    def __init__(self, wish: threading.Event, end: float) -> None:
        super().__init__()
        self._wish = wish
        self._end = end
        self.touched = False

    def is_set(self) -> bool:
        return self._wish.is_set() or (not self.touched and time.monotonic() >= self._end)

    @property
    def at_once(self) -> bool:  # type: ignore[override]
        """As the caller says."""
        return bool(getattr(self._wish, "at_once", False))


def run_with_help(
    order: FlashOrder,
    run: Run,
    hear: Callable[[Message], None],
    cancel: threading.Event,
    *,
    hint: Hint | None = None,
    rungs: int = MOST_RETRIES,
) -> Helped:
    """Carry out a flash order, and try what the evidence of a failure suggests.

    Args:
        order: the plain order.
        run: the engine.
        hear: hears every message of every attempt.
        cancel: ends it; after it no rung is tried.
        hint: what helped this board before; used while it has uses left.
        rungs: at most so many; 0 switches helping off, hints included.
    """
    begun = _begin(order, hint) if rungs else None
    first = run(order if begun is None else _with(order, begun), hear, cancel)
    tried = list(first.tried)
    if begun is not None:
        tried.append(Tried(f"began with {begun.what}, which helped before", "it worked" if first.proved else _why(first, "")))
    last, attempts, taken = first, [first], (() if begun is None else (begun.rung.id,))
    helped, connection = begun, order.connection if begun is None else begun.connection
    end = time.monotonic() + WINDOW
    for _ in range(rungs):
        step = None if last.proved or cancel.is_set() else next_step(last, diagnose(last), connection, taken)
        if step is None or time.monotonic() >= end:
            break
        if not tried:
            tried.append(Tried("tried the plain way", _why(last, "")))
        taken, connection, helped = (*taken, step.rung.id), step.connection, step
        began = attempts[-1].changed.erased or attempts[-1].changed.programmed
        last = _attempt(_with(order, step, resumed=order.resumed or bool(began)), run, hear, _Window(cancel, end))
        attempts.append(last)
        tried += last.tried
        tried.append(Tried(f"tried {step.what}", f"it worked: {step.rung.tells}" if last.proved else _why(last)))
    outcome = _one(attempts, tuple(tried))
    return Helped(outcome, _learn(outcome, begun, helped, hint))


def _begin(order: FlashOrder, hint: Hint | None) -> Step | None:
    if hint is None or hint.left <= 0:
        return None
    return by_hint(hint.rung, order.connection, hint.frequency)


def _with(order: FlashOrder, step: Step, *, resumed: bool = False) -> FlashOrder:
    return msgspec.structs.replace(order, connection=step.connection, resumed=resumed or order.resumed)


def _attempt(order: FlashOrder, run: Run, hear: Callable[[Message], None], window: _Window) -> Outcome:
    def listen(message: Message) -> None:
        if isinstance(message, Touched) and (message.changed.erased or message.changed.programmed):
            window.touched = True
        hear(message)

    return run(order, listen, window)


def _why(outcome: Outcome, too: str = ", too,") -> str:
    failure = outcome.failure
    return "it failed" if failure is None else f"it failed{too} in step {failure.step}: {failure.message}"[:200]


def _one(attempts: list[Outcome], tried: tuple[Tried, ...]) -> Outcome:
    """One outcome of several attempts: a success, or the failure that got furthest, with all that was changed in any of them."""
    last = attempts[-1]
    if len(attempts) == 1:
        return msgspec.structs.replace(last, tried=tried)
    order = list(JobStep)
    told = last
    if last.failure is not None:
        # The first of those that got as far tells most: it is the plain way.
        told = max(attempts, key=lambda one: order.index(one.failure.step) if one.failure else -1)
        if any(one.failure is not None and one.failure.kind == "cancelled" for one in attempts[1:]) and told.failure is not None:
            told = next(one for one in attempts if one.failure is None or one.failure.kind != "cancelled")
    changed = _joined([one.changed for one in attempts])
    if last.proved:  # what was lost is part of the proof, also where nothing had to be written
        changed = msgspec.structs.replace(changed, beside=0)
    return msgspec.structs.replace(
        told, tried=tried, changed=changed, unchanged=told.unchanged and not changed.erased and not changed.programmed
    )


def _joined(parts: list[Changed]) -> Changed:
    last = parts[-1]
    state = next((part.state for part in reversed(parts) if part.state != "untouched"), last.state)
    return msgspec.structs.replace(
        last,
        connected=any(part.connected for part in parts),
        halted=any(part.halted for part in parts),
        reset=any(part.reset for part in parts),
        unlocked=any(part.unlocked for part in parts),
        ram_overwritten=any(part.ram_overwritten for part in parts),
        erased=sum(part.erased for part in parts),
        programmed=sum(part.programmed for part in parts),
        total=max(part.total for part in parts),
        affected=max(part.affected for part in parts),
        # An attempt that did not come to write knows nothing of what an earlier one lost.
        beside=next((part.beside for part in reversed(parts) if part.erased or part.programmed), last.beside),
        state=state,
    )


def _learn(outcome: Outcome, begun: Step | None, helped: Step | None, hint: Hint | None) -> Hint | None:
    """What to remember after this drop."""
    product = outcome.probe.product if outcome.probe is not None else ""
    if not outcome.proved:
        return hint  # it says nothing about what helps
    if helped is None:
        return None  # the plain way did
    if hint is not None and begun is helped:
        return msgspec.structs.replace(hint, left=hint.left - 1) if hint.probe == product else None
    if helped.rung.id not in BY_ID or helped.rung.id == "same-again":
        return None
    frequency = helped.connection.frequency if helped.rung is LOWER_CLOCK else None
    return Hint(helped.rung.id, frequency, product)
