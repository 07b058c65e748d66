"""What the one-shot commands share: choosing a probe without guessing, holding it, and Ctrl-C that leaves nothing behind."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from msdflash.cli.output import note
from msdflash.daemon.locks import hold_probe
from msdflash.daemon.memory import Memory
from msdflash.daemon.paths import find_paths
from msdflash.engine.pool import Pool
from msdflash.engine.runner import Cancel, Engine
from msdflash.errors import UsageError
from msdflash.report.text import plain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from msdflash.daemon.paths import Paths
    from msdflash.job.messages import Message
    from msdflash.job.outcome import Changed, ListedProbe, Outcome
    from msdflash.sim.client import RunningBoard

NO_PROBE = ""
"""Stands for "the probe" when none is connected: the worker then measures why."""


class Session:
    """One command's engine.

    Attributes:
        paths: this installation's folders, made.
        engine: runs orders.
        memory: what earlier jobs learned about probes.
        cancel: set by the first Ctrl-C; the second one makes it ``at_once``.
    """

    def __init__(self, paths: Paths, engine: Engine, pool: Pool) -> None:
        self.paths = paths
        self.engine = engine
        self.memory = Memory(paths.state / "probes.json")
        self.cancel = Cancel()
        self._pool = pool

    def telling(self, listener: Callable[[Message], None]) -> Callable[[Message], None]:
        """The listener, with a word to whoever pressed Ctrl-C while a job that changes the chip goes on."""
        told = False

        def hear(message: Message) -> None:
            nonlocal told
            listener(message)
            if self.cancel.is_set() and not told:
                told = True
                note("finishing what has begun to change the chip; Ctrl-C again ends it at once")

        return hear

    def choose(self, options: argparse.Namespace, boards: Sequence[RunningBoard]) -> str:
        """Unique id of the probe to use, :data:`NO_PROBE` if there is none.

        Raises:
            UsageError: several are connected and none was named; the message lists them.
        """
        if boards:
            return boards[0].serial
        if options.probe is not None:
            return str(options.probe)
        # The list takes one worker, the job another: let both import at once.
        self._pool.keep(1)
        self._pool.refill()
        probes = [probe for probe in self.engine.list_probes(self.cancel) if probe.unique_id]
        self._pool.keep(0)
        if len(probes) > 1:
            rows = "\n".join(f"  --probe {probe.unique_id}   {describe(probe)}" for probe in probes)
            raise UsageError(f"{len(probes)} probes are connected; name one of them:\n{rows}")
        return probes[0].unique_id if probes else NO_PROBE

    def hold(self, probe: str, program: str) -> contextlib.AbstractContextManager[object]:
        """Hold the probe, if there is one. Raises :class:`~msdflash.errors.HeldError`."""
        return hold_probe(self.paths.runtime, probe, program) if probe != NO_PROBE else contextlib.nullcontext()


@contextlib.contextmanager
def open_session() -> Iterator[Session]:
    """An engine for one command, with Ctrl-C caught, see :func:`interruptible`."""
    paths = find_paths().make()
    pool = Pool()
    engine = Engine(pool)
    session = Session(paths, engine, pool)
    try:
        with interruptible(session.cancel):
            yield session
    finally:
        engine.close()


@contextlib.contextmanager
def interruptible(cancel: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set ``cancel``; the second makes it ``at_once`` if it can be, the next raises KeyboardInterrupt.

    Only in the main thread; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: Any) -> None:
        if not cancel.is_set():
            cancel.set()
        elif isinstance(cancel, Cancel) and not cancel.at_once:
            cancel.at_once = True
        else:
            raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def describe(probe: ListedProbe) -> str:
    """A probe in a few words: product, board, target, and what is wrong with it. The probe's own words are foreign text."""
    words = [" ".join(word for word in (probe.vendor, probe.product) if word)]
    if probe.board and probe.board not in words[0]:
        words.append(probe.board)
    if probe.target:
        words.append(probe.target)
    if probe.problem:
        words.append(f"problem: {probe.problem}")
    return plain(", ".join(word for word in words if word), 200)


def was_cancelled(outcome: Outcome) -> bool:
    """The job ended because the user wanted it to."""
    return outcome.failure is not None and outcome.failure.kind == "cancelled"


def chip_state(changed: Changed) -> str:
    """What a cut-off job has left on the chip, in one sentence."""
    if changed.programmed:
        return f"Flash is partly written: {changed.programmed} of {changed.total} bytes. Flash it again before using the board."
    if changed.erased:
        return f"Flash is partly erased ({changed.erased} bytes) and holds no whole program. Flash it again before using the board."
    if changed.reset or changed.halted:
        return "Nothing was erased or written. The chip was halted: reset it or unplug it to let its program run."
    return "Nothing was erased or written."
