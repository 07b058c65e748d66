"""Runs orders in workers and always has an answer.

It is what the worker finished with, or what was heard before it died, hung or spoke nonsense.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from msdflash.engine.account import Account
from msdflash.engine.channel import Ended, TooLong
from msdflash.errors import WorkerError
from msdflash.job.messages import Begin, Finished, Listed, Message, Progress, Ready, decode_message, encode
from msdflash.job.order import DiagnoseOrder, EraseOrder, FlashOrder, ListOrder, Order
from msdflash.job.outcome import Failure, ListedProbe, Outcome, ProbeFacts
from msdflash.job.steps import Step

if TYPE_CHECKING:
    from msdflash.engine.pool import Pool
    from msdflash.engine.process import WorkerProcess

log = logging.getLogger(__name__)

OnMessage = Callable[[Message], None]


class Limits(msgspec.Struct, frozen=True):
    """Times in seconds that the parent sets by itself; a step's own deadline comes with its Begin.

    Attributes:
        ready: from start until the worker is ready (a cold disk and a virus scanner on Windows included).
        first: from the order until the first step begins, and a step's deadline until one is named.
        longest: no single deadline that a worker asks for counts for more.
        order: a whole order, whatever the worker says.
        cancel: a cancelled job that is already erasing or programming may take this much longer to end by itself.
        leave: after its last message a worker may take this long to exit.
    """

    ready: float = 30.0
    first: float = 10.0
    longest: float = 600.0
    order: float = 1800.0
    cancel: float = 30.0
    leave: float = 2.0


class Cancel(threading.Event):
    """An event that cancels a job; ``at_once`` also while it changes the chip, at the price of a half-written flash."""

    at_once = False


class _Halt(Exception):  # noqa: N818 - private way out of the loop
    """The job ends without the worker's last message."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)


_POINT_OF_NO_RETURN = list(Step).index(Step.ERASE)
_AFTER_PROOF = {Step.RESET, Step.CLOSE}
"""From here on nobody waits for the proof any more: the next worker's import, most of a second of a core, may begin."""
_SLICE = 0.05
"""Seconds between looks at the cancel event and at the worker itself while a job runs."""
_MOST_MESSAGES = 200_000


class Engine:
    """Runs orders, one worker each. Any thread may call it; every call has its own worker."""

    def __init__(self, pool: Pool, limits: Limits | None = None) -> None:
        self._pool = pool
        self._limits = limits or Limits()
        self._stuck: dict[str, WorkerProcess] = {}
        self._lock = threading.Lock()

    def run(
        self,
        order: FlashOrder | EraseOrder | DiagnoseOrder,
        on_message: OnMessage | None = None,
        cancel: threading.Event | None = None,
    ) -> Outcome:
        """Carry out an order; return what came of it, whatever happens to the worker.

        Args:
            order: what to do.
            on_message: called with each message as it arrives; what it raises is logged and changes nothing.
            cancel: when set (an event, or a :class:`Cancel`), the job is killed at once if nothing is erased yet; else it may finish within
                ``Limits.cancel``.

        Returns:
            The worker's outcome, or one with a failure of kind ``crash``, ``timeout`` or ``cancelled`` and all that
            was heard. Its ``broken`` is set when the worker cannot be ended: until it has gone, each further order
            for this probe is answered so without trying.
        """
        stuck = self._still_stuck(order.connection.probe)
        if stuck is not None:
            message = f"worker {stuck} of an earlier job cannot be ended and may still hold the probe"
            return Outcome(
                job=order.job,
                failure=Failure(step=Step.START, kind="crash", message=message),
                probe=ProbeFacts(unique_id=order.connection.probe),
                broken=message,
            )
        job = _Job(order, on_message, cancel, self._limits)
        last = job.carry_out(self._pool)
        self._remember_stuck(order.connection.probe, job)
        return last.outcome if isinstance(last, Finished) else job.outcome()

    def list_probes(self, cancel: threading.Event | None = None) -> tuple[ListedProbe, ...]:
        """All probes that pyOCD sees. Raises :class:`~msdflash.errors.WorkerError` when the worker finds no end."""
        job = _Job(
            ListOrder(job="list"),
            None,
            cancel,
            msgspec.structs.replace(self._limits, order=min(self._limits.order, 60.0)),
        )
        last = job.carry_out(self._pool)
        if isinstance(last, Listed):
            return last.probes
        last_words = f" ({job.last_words})" if job.last_words else ""
        raise WorkerError(f"probes could not be listed: {job.reason}{last_words}")

    def warm_up(self) -> None:
        """Start the warm workers ahead of the first order."""
        self._pool.refill()

    def close(self) -> None:
        """End the warm workers, and try once more to end the stuck ones."""
        self._pool.close()
        with self._lock:
            stuck = list(self._stuck.values())
            self._stuck.clear()
        for worker in stuck:
            worker.end()

    def _still_stuck(self, probe: str) -> int | None:
        with self._lock:
            worker = self._stuck.get(probe)
        if worker is None:
            return None
        if worker.wait(0.01) is None:
            return worker.pid
        worker.end()
        with self._lock:
            self._stuck.pop(probe, None)
        return None

    def _remember_stuck(self, probe: str, job: _Job) -> None:
        if job.stuck is not None:
            with self._lock:
                self._stuck[probe] = job.stuck


class _Job:
    """One order in one worker."""

    def __init__(self, order: Order, on_message: OnMessage | None, cancel: threading.Event | None, limits: Limits) -> None:
        self._order = order
        self._on_message = on_message
        self._cancel = cancel
        self._limits = limits
        self._began = time.monotonic()
        self._account = Account(order, self._began)
        self._allowed = limits.ready
        self._deadline = self._began + limits.ready
        self._end = self._began + limits.ready + limits.order
        self._cancelled_at: float | None = None
        self._heard = 0
        self._halt: _Halt | None = None
        self._halted_in = Step.START
        self._log: tuple[str, ...] = ()
        self.stuck: WorkerProcess | None = None

    def carry_out(self, pool: Pool) -> Finished | Listed | None:
        """The worker's last message, or None: then :meth:`outcome` says what is known."""
        try:
            worker = pool.take()
        except WorkerError as error:
            self._halt = _Halt("crash", str(error))
            return None
        last: Finished | Listed | None = None
        try:
            last = self._talk(worker, pool)
        except _Halt as halt:
            self._halt = halt
            self._halted_in = self._account.step
        finally:
            last = self._finish(worker, last)
            pool.refill()
        return last

    @property
    def reason(self) -> str:
        """Why there is no last message."""
        return str(self._halt or "the worker ended without a result")

    @property
    def last_words(self) -> str:
        """The last line of the worker's standard error."""
        return next((line for line in reversed(self._log) if line.strip()), "")

    def outcome(self) -> Outcome:
        """What is known without the worker's last message."""
        halt = self._halt or _Halt("crash", self.reason)
        outcome = self._account.outcome(Failure(self._halted_in, halt.kind, str(halt)), time.monotonic(), self._log)
        if self.stuck is not None:
            reason = f"worker {self.stuck.pid} cannot be ended and may still hold the probe"
            return msgspec.structs.replace(outcome, broken=reason)
        return outcome

    def _talk(self, worker: WorkerProcess, pool: Pool) -> Finished | Listed:
        if not isinstance(self._next(worker), Ready):
            raise self._nonsense("something before it is ready")
        try:
            worker.send(encode(self._order))
        except (WorkerError, UnicodeEncodeError) as error:
            raise _Halt("crash", f"the order could not be given: {error}") from error
        self._allow(self._limits.first)
        while True:
            message = self._next(worker)
            if isinstance(message, Begin) and message.step in _AFTER_PROOF:
                pool.refill()
            if isinstance(message, Finished | Listed):
                return message

    def _next(self, worker: WorkerProcess) -> Message:
        """Wait for one message and book it. Raises _Halt."""
        while True:
            self._check_cancel()
            now = time.monotonic()
            if now >= min(self._deadline, self._end):
                raise self._overrun(now)
            dead = not worker.alive
            try:
                line = worker.channel.line(0.0 if dead else min(min(self._deadline, self._end) - now, _SLICE))
            except Ended:
                worker.wait(1.0)
                raise self._died(worker) from None
            except TooLong:
                raise self._nonsense("a line without end") from None
            if line is not None:
                return self._take(line)
            if dead:  # and its pipe is silent, though something that it started may still hold it open
                raise self._died(worker)

    def _take(self, line: bytes) -> Message:
        self._heard += 1
        if self._heard > _MOST_MESSAGES:
            raise self._nonsense(f"more than {_MOST_MESSAGES} messages")
        try:
            message = decode_message(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise self._nonsense(repr(line[:120])) from None
        if isinstance(message, Finished) and (message.outcome.job != self._order.job or isinstance(self._order, ListOrder)):
            raise self._nonsense(f"the outcome of another job, {message.outcome.job!r}")
        if isinstance(message, Listed) and not isinstance(self._order, ListOrder):
            raise self._nonsense("a list of probes, which nobody asked for")
        now = time.monotonic()
        self._account.hear(message, now)
        if isinstance(message, Begin):
            self._allow(message.deadline)
        elif isinstance(message, Progress) and message.extends is not None:
            self._allow(message.extends)
        if self._on_message is not None:
            try:
                self._on_message(message)
            except Exception:
                log.exception("a listener failed on %s", type(message).__name__)
        return message

    def _allow(self, seconds: float) -> None:
        self._allowed = min(seconds, self._limits.longest) if math.isfinite(seconds) and seconds > 0 else self._limits.first
        self._deadline = time.monotonic() + self._allowed

    def _check_cancel(self) -> None:
        if self._cancel is None or not self._cancel.is_set():
            return
        now = time.monotonic()
        changing = list(Step).index(self._account.step) >= _POINT_OF_NO_RETURN or self._account.changed.erased > 0
        if not changing:
            raise _Halt("cancelled", f"cancelled in step {self._account.step}, before anything was erased")
        if getattr(self._cancel, "at_once", False):
            raise _Halt("cancelled", f"cancelled in step {self._account.step}, at once and while the chip was changed")
        if self._cancelled_at is None:
            self._cancelled_at = now
            log.info("job %s is past the first erase: waiting up to %g s for its end", self._order.job, self._limits.cancel)
        if now - self._cancelled_at >= self._limits.cancel:
            raise _Halt("cancelled", f"cancelled in step {self._account.step}; it did not end within {self._limits.cancel:g} s")

    def _overrun(self, now: float) -> _Halt:
        allowed = self._allowed if now >= self._deadline else now - self._began
        self._account.note("engine.deadline", round(allowed, 3), now, how=f"step {self._account.step}")
        return _Halt("timeout", f"step {self._account.step} did not end within {allowed:.3g} s")

    def _died(self, worker: WorkerProcess) -> _Halt:
        how = worker.exit_text()
        self._account.note("engine.exit", how, time.monotonic())
        if how == "still running":
            return _Halt("crash", f"the worker closed its output in step {self._account.step} and went on running")
        return _Halt("crash", f"the worker ended in step {self._account.step}: {how}")

    def _nonsense(self, what: str) -> _Halt:
        self._account.note("engine.exit", "sent what is no message", time.monotonic())
        return _Halt("crash", f"the worker sent what is no message in step {self._account.step}: {what}")

    def _finish(self, worker: WorkerProcess, last: Finished | Listed | None) -> Finished | Listed | None:
        """End the worker and hear what it said before it died: a result that crossed the kill is as true as any."""
        if not worker.end(patience=self._limits.leave if last is not None else 0.0):
            self.stuck = worker
        if last is None and self.stuck is None and self._halt is not None and self._halt.kind != "crash":
            last = self._leftover(worker)
        self._log = tuple(worker.channel.tail)[-100:]
        if last is not None and self.stuck is not None and isinstance(last, Finished):
            return Finished(
                msgspec.structs.replace(last.outcome, broken=f"worker {worker.pid} cannot be ended and may still hold the probe")
            )
        return last

    def _leftover(self, worker: WorkerProcess) -> Finished | Listed | None:
        for line in worker.channel.rest():
            try:
                message = self._take(line)
            except _Halt:
                return None
            if isinstance(message, Finished | Listed):
                return message
        return None
