"""The exception tree. Every error is born with a sentence that a person can act on.

::

    MsdflashError
    |-- UsageError          wrong option, configuration or folder: exit status 2
    |-- HeldError           a probe or drive is held by another process: exit status 3
    |-- ImageError          the dropped file cannot be flashed, and why (carries a cause id)
    `-- WorkerError         the worker process broke its contract (died, hung, spoke nonsense)

Failures of the board are not exceptions outside the worker: they are data (:class:`msdflash.job.outcome.Outcome`).
"""

from __future__ import annotations

from typing import Any


class MsdflashError(Exception):
    """Root of everything that msdflash raises on purpose."""


class UsageError(MsdflashError):
    """The user asked for something impossible; the message says what is allowed. Exit status 2."""


class HeldError(MsdflashError):
    """A probe or drive is held by another process. Exit status 3.

    Attributes:
        what: the thing held, in words (``probe 0671FF...``).
        owner: who holds it: ``pid``, ``program``, ``user``, ``since`` (ISO 8601), as far as known.
    """

    def __init__(self, what: str, owner: dict[str, Any]) -> None:
        self.what = what
        self.owner = owner
        who = f"{owner.get('program', 'another process')} (pid {owner.get('pid', 'unknown')}"
        if owner.get("user"):
            who += f", user {owner['user']}"
        who += ")"
        since = f" since {owner['since']}" if owner.get("since") else ""
        super().__init__(f"{what} is held by {who}{since}")


class ImageError(MsdflashError):
    """The dropped file cannot be flashed.

    Attributes:
        cause: id of a cause in the catalogue (``hex-checksum``).
        facts: measured values for the cause's headline and evidence (``line``, ``address``, ``expected``, ``found``).
    """

    def __init__(self, cause: str, message: str, **facts: Any) -> None:
        self.cause = cause
        self.facts = facts
        super().__init__(message)


class WorkerError(MsdflashError):
    """The worker process died, hung or broke the message contract."""
