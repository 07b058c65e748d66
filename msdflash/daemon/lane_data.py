"""What goes into a lane and what it tells: settings, circumstances of an answer, events, status. Plain frozen data."""

from __future__ import annotations

import msgspec

from msdflash.drop.actions import HARMLESS
from msdflash.drop.record import Answer, Drop
from msdflash.drop.settle import Quiet
from msdflash.job.messages import Message
from msdflash.job.order import Connection
from msdflash.job.steps import Step


class LaneConfig(msgspec.Struct, frozen=True):
    """How one lane behaves. Times in seconds.

    Attributes:
        connection: probe and target.
        base: address for images that carry none.
        board_id: four hex digits by which tools know this kind of board, or None.
        allow_locking_images: images that lock the chip may be flashed.
        unlock: a locked chip is unlocked before a drop is flashed, which erases all of it.
        actions: policies of action files that are obeyed, see :mod:`msdflash.drop.actions`.
        quiet: when a drop counts as whole.
        fast: scan interval while something is on its way.
        slow: scan interval at rest with a watch.
        unwatched: the same without a watch.
        absent: how often an absent folder is looked for.
        retry: pause after something failed that is tried again.
        hold: the dropped file stays this long after the last change to it; copiers still set times or flush it.
        fail_hold: a published FAIL.TXT stays this long before the next job may remove it; some readers look once a second.
        most_taken: drops copied ahead of their turn.
        kept_count, kept_bytes: bounds of the "not flashed" store.
    """

    connection: Connection
    base: int | None = None
    board_id: str | None = None
    allow_locking_images: bool = False
    unlock: bool = False
    actions: tuple[str, ...] = HARMLESS
    quiet: Quiet = Quiet()
    fast: float = 0.1
    slow: float = 2.0
    unwatched: float = 1.0
    absent: float = 1.0
    retry: float = 1.0
    hold: float = 1.0
    fail_hold: float = 1.5
    most_taken: int = 8
    kept_count: int = 50
    kept_bytes: int = 256 * 1024 * 1024


class Context(msgspec.Struct, frozen=True):
    """What a report needs besides the outcome and the drop.

    Attributes:
        remount: the count to publish.
        attempts: how often the job was started, this time included.
        folder: the drive's folder.
        kept: where the file is kept if it is not flashed; None if it stays in the folder or was flashed.
        final: False for a notice that will be followed by the final answer (no room to take the file).
        finished_at: UTC, ISO 8601.
    """

    remount: int
    attempts: int
    folder: str
    kept: str | None
    final: bool
    finished_at: str


class LaneEvent(msgspec.Struct, frozen=True):
    """Something happened. ``what``: ``taken``, ``started``, ``message``, ``answered``, ``cleared``, ``absent``, ``back``, ``trouble``."""

    what: str
    drop: Drop | None = None
    message: Message | None = None
    answer: Answer | None = None
    text: str = ""


class LaneStatus(msgspec.Struct, frozen=True):
    """A snapshot for other threads.

    Attributes:
        state: ``starting``, ``idle``, ``settling``, ``flashing``, ``publishing``, ``absent``, ``trouble``, ``stopped``.
        job: id of the drop being worked on.
        step: the engine's step.
        waiting: drops without an answer.
        watched: a watch is alive; otherwise the folder is polled.
        beat: monotonic time of the last pass.
        text: why, for ``absent`` and ``trouble``.
        patience: seconds after ``beat`` in which its silence is in order, because a step of a job has its own deadline.
    """

    state: str
    job: str | None
    step: Step | None
    waiting: int
    remount: int
    watched: bool
    beat: float
    text: str = ""
    patience: float = 0.0
