"""What the engine said during a failed job, kept for whoever looks into it; bounded in number and size."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections import deque
from typing import TYPE_CHECKING

from msdflash.job.messages import Begin, Measured, Progress, Touched

if TYPE_CHECKING:
    from pathlib import Path

    from msdflash.job.messages import Message
    from msdflash.job.outcome import Outcome

log = logging.getLogger(__name__)

MOST_FILES = 50
_MOST_LINES = 2000
_LONGEST_LINE = 500


class JobLog:
    """Collects one job's lines in memory; writes them only if the job fails."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)

    def hear(self, message: Message) -> None:
        """Book a message of the worker; progress is left out."""
        if isinstance(message, Progress):
            return
        at = f"{time.monotonic() - self._began:9.3f}"
        if isinstance(message, Begin):
            text = f"{at} step {message.step}, {message.deadline:g} s at most"
        elif isinstance(message, Measured):
            reading = message.reading
            how = f" ({reading.how})" if reading.how else ""
            text = f"{at} {reading.name} = {_value(reading.value)}{how}"
        elif isinstance(message, Touched):
            text = f"{at} about to change: {message.changed}"
        else:
            text = f"{at} {type(message).__name__.lower()}"
        self._lines.append(text[:_LONGEST_LINE])

    def save(self, folder: Path, name: str, outcome: Outcome) -> Path | None:
        """Write the log of a failed job and forget the oldest files. Returns its path; None if it could not be written."""
        failure = outcome.failure
        lines = [
            f"job {outcome.job}: {name!r}",
            f"failed in step {failure.step} ({failure.kind}): {failure.message}" if failure else "no failure",
            "",
            *self._lines,
            "",
            "engine:",
            *(line[:_LONGEST_LINE] for line in outcome.log),
        ]
        path = log_path(folder, outcome.job)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            log.warning("cannot write the log of job %s: %s", outcome.job, error)
            return None
        with contextlib.suppress(OSError):
            # Job ids begin with their time, so names sort by age.
            others = sorted(other for other in folder.glob("*.log") if other != path)
            for old in others[: max(len(others) - MOST_FILES + 1, 0)]:
                old.unlink()
        return path


def log_path(folder: Path, job: str) -> Path:
    """Where a job's log is kept if it fails."""
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', job)[:80]}.log"


def _value(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value > 9:
        return f"{value} (0x{value:X})"
    return str(value)
