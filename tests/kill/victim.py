"""The real daemon with mines in its way: ``python victim.py run ...`` is ``msdflash run ...`` that dies where it is told to.

Nothing of the product is replaced. Each mine is a look at a file (``KILL_ARM``, "POINT ACTION") before or after the real thing. The mine
at that point removes the file, so that it goes off once, and then kills this process, its worker, or both; stops the worker; or sends this
process SIGTERM.
Points: ``journal:before|torn|after:RECORD``, ``hear:MESSAGE`` (a worker's message has come), ``disk:N`` (before the N-th call of the lane
that changes something on the disk, counted while that mine is laid). With ``KILL_TRACE`` each such call is a line in that file.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msdflash.cli import main
from msdflash.drop.journal import Journal
from msdflash.engine.process import WorkerProcess
from msdflash.engine.runner import _Job
from msdflash.job.messages import Begin, Message, Progress

ARM = Path(os.environ["KILL_ARM"])
TRACE = os.environ.get("KILL_TRACE")
WORKERS: list[int] = []
_real_unlink, _real_write = os.unlink, os.write


def armed() -> tuple[str, str]:
    try:
        point, action = ARM.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return "", ""
    return point, action


def mine(point: str) -> None:
    wanted, action = armed()
    if wanted == point:
        go_off(action)


def go_off(action: str) -> None:
    _real_unlink(ARM)
    if action == "stop-worker":
        os.kill(WORKERS[-1], signal.SIGSTOP)
    if action == "term":
        os.kill(os.getpid(), signal.SIGTERM)
    if action in ("worker", "both"):
        with contextlib.suppress(ProcessLookupError):  # it was quicker
            os.kill(WORKERS[-1], signal.SIGKILL)
    if action in ("daemon", "both"):
        os.kill(os.getpid(), signal.SIGKILL)


def lay_in_journal() -> None:
    append = Journal._append

    def mined(self: Journal, line: bytes) -> None:
        record = json.loads(line[9:])["type"]
        mine(f"journal:before:{record}")
        if armed()[0] == f"journal:torn:{record}":
            _real_write(self._fd, line[: len(line) // 2])
            go_off(armed()[1])
        append(self, line)
        mine(f"journal:after:{record}")

    setattr(Journal, "_append", mined)  # noqa: B010


def name_of(message: Message) -> str:
    kind = type(message).__name__.lower()
    return f"{kind}:{message.step.value}" if isinstance(message, Begin | Progress) else kind


def lay_at_messages() -> None:
    talk, take = _Job._talk, _Job._take

    def mined_talk(self: _Job, worker: WorkerProcess, pool: Any) -> Any:
        WORKERS.append(worker.pid)
        return talk(self, worker, pool)

    def mined_take(self: _Job, line: bytes) -> Message:
        message = take(self, line)
        mine(f"hear:{name_of(message)}")
        return message

    setattr(_Job, "_talk", mined_talk)  # noqa: B010
    setattr(_Job, "_take", mined_take)  # noqa: B010


class Disk:
    """Mines before each call that changes something on the disk."""

    def __init__(self) -> None:
        self.calls = 0

    def lay(self, name: str) -> None:
        real: Callable[..., Any] = getattr(os, name)

        def mined(*values: Any, **named: Any) -> Any:
            if threading.current_thread().name.startswith("msdflash-lane") and (name != "open" or values[1] & os.O_CREAT):
                self.count(f"{name} {values[:2]!r}")
            return real(*values, **named)

        setattr(os, name, mined)

    def count(self, what: str) -> None:
        point, action = armed()
        if not point.startswith("disk:"):
            return
        self.calls += 1
        if TRACE:
            with Path(TRACE).open("a", encoding="utf-8") as file:
                file.write(f"{self.calls} {what}\n")
        if point == f"disk:{self.calls}":
            go_off(action)


if __name__ == "__main__":
    lay_in_journal()
    lay_at_messages()
    disk = Disk()
    for call in ("open", "write", "fsync", "replace", "unlink", "mkdir", "rmdir", "ftruncate"):
        disk.lay(call)
    raise SystemExit(main(sys.argv[1:]))
