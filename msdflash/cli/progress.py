"""Progress on standard error: a bar on a terminal, a line a phase elsewhere. Neither uses a thread."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Self

from msdflash.job.messages import Begin, Progress
from msdflash.job.steps import PHASES, Step

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import TaskID

    from msdflash.job.messages import Message

_TOLD = frozenset({Step.ERASE, Step.PROGRAM, Step.VERIFY})
"""Phases that get a line however short they are."""


class PlainProgress:
    """A line for each phase that moves bytes or takes long enough to wonder about; for logs and pipes."""

    def __init__(self) -> None:
        self._step: Step | None = None
        self._since = time.monotonic()
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._leave()

    def hear(self, message: Message) -> None:
        """Take in a worker's message."""
        if isinstance(message, Begin):
            self._leave()
            self._step, self._since, self._bytes = message.step, time.monotonic(), 0
        elif isinstance(message, Progress):
            self._bytes = max(self._bytes, message.done)

    def _leave(self) -> None:
        if self._step is None:
            return
        spent = time.monotonic() - self._since
        if self._bytes and (self._step in _TOLD or spent >= 1.0):
            rate = f", {self._bytes / 1024 / spent:.0f} KiB/s" if spent > 0 else ""
            _line(f"{PHASES.get(self._step, self._step)}: {self._bytes} bytes in {spent:.2f} s{rate}")
        elif spent >= 1.0:
            _line(f"{PHASES.get(self._step, self._step)}: {spent:.1f} s")
        self._step = None


class BarProgress:
    """One line that changes: phase, bar, bytes, rate."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress

        self._rich = RichProgress(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        self._task: TaskID = self._rich.add_task(PHASES[Step.START], total=None)
        self._drawn = 0.0

    def __enter__(self) -> Self:
        self._rich.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._rich.stop()

    def hear(self, message: Message) -> None:
        """Take in a worker's message."""
        if isinstance(message, Begin):
            self._rich.reset(self._task, description=PHASES.get(message.step, message.step.value), total=None, completed=0)
            self._rich.refresh()
        elif isinstance(message, Progress):
            self._rich.update(self._task, completed=message.done, total=message.total)
            now = time.monotonic()
            if now - self._drawn > 0.1 or message.done >= message.total:
                self._drawn = now
                self._rich.refresh()


def open_progress(*, quiet: bool = False) -> PlainProgress | BarProgress:
    """The kind that suits standard error. ``NO_COLOR`` is honoured; ``quiet`` (for ``--json``) never draws a bar."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return PlainProgress()
    return BarProgress()


def _line(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
