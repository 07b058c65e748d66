"""A lane with a scripted engine and a plain report. As a program: runs one lane and kills itself at a given point.

    python scripted.py FOLDER STATE LOG POINT

The engine "flashes" what the spool holds: the image fails if it contains ``FAIL``, and everything else is proved.
Each call of the engine and of the report is a line in LOG, so that a test can count across kills.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from msdflash.daemon.lane import Answer, Context, Drop, Lane, LaneConfig, LaneEvent, Publication
from msdflash.drive.folder import adopt
from msdflash.drop.record import Cleared, Record
from msdflash.drop.settle import Quiet
from msdflash.job.messages import Begin, Message, Touched
from msdflash.job.order import Connection, EraseOrder, FlashOrder
from msdflash.job.outcome import Changed, Failure, Outcome
from msdflash.job.readings import latest
from msdflash.job.steps import Step

QUICK = Quiet(whole=0.04, still=0.08, doubtful=0.15, empty=0.15, temporary=0.4, writer=0.5, unreadable=0.1, limit=100_000)
CONFIG = LaneConfig(
    Connection("S1"), quiet=QUICK, fast=0.02, slow=0.2, unwatched=0.05, absent=0.03, retry=0.05, hold=0.05, fail_hold=0.05, kept_count=20
)


def log(path: Path, **what: object) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def resting(count: int) -> Publication:
    return Publication(b"Remount count: %d\r\n" % count, b"<html></html>\r\n")


def reporter(record: Path) -> Callable[[Outcome, Drop, Context], Answer]:
    def answer(outcome: Outcome, drop: Drop, context: Context) -> Answer:
        failure = outcome.failure
        what = "proved" if failure is None else failure.cause or failure.kind
        facts = latest(outcome.readings, "image.facts")
        log(record, answer=drop.id, name=drop.name, what=what, remount=context.remount, final=context.final, kept=context.kept, facts=facts)
        fail = None if failure is None else f"error: {what}\r\ntype: target\r\n".encode()
        publication = Publication(b"Remount count: %d\r\n" % context.remount, b"<html></html>\r\n", fail)
        return Answer({"job": drop.id, "what": what}, publication, outcome.proved)

    return answer


RunJob = Callable[[FlashOrder | EraseOrder, Callable[[Message], None]], Outcome]


def engine(record: Path, during: Callable[[FlashOrder], None] = lambda order: None) -> RunJob:
    def run(order: FlashOrder | EraseOrder, hear: Callable[[Message], None]) -> Outcome:
        assert isinstance(order, FlashOrder)
        data = Path(order.path).read_bytes()
        whole = hashlib.sha256(data).hexdigest() == order.sha256
        text = data[:12].decode("ascii", "replace")
        log(record, run=order.job, name=order.name, resumed=order.resumed, size=len(data), text=text, whole=whole)
        hear(Begin(Step.CONNECT, 5.0, 0.0))
        during(order)
        hear(Begin(Step.ERASE, 5.0, 0.0))
        hear(Touched(Changed(connected=True, erased=1024)))
        if b"FAIL" in data:
            return Outcome(order.job, failure=Failure(Step.VERIFY, "verify", "scripted"), changed=Changed(connected=True, erased=1024))
        return Outcome(order.job, proved=True, changed=Changed(connected=True, erased=1024, verified=len(data)))

    return run


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, state: Path, record: Path, point: str) -> None:
    """Run until the point is reached."""

    def notify(event: LaneEvent) -> None:
        if event.what == point:
            die()

    lane = Lane(
        CONFIG,
        adopt(folder, "S1", state),
        state,
        run_job=engine(record, lambda order: die() if point == "engine" else None),
        answer=reporter(record),
        resting=resting,
        notify=notify,
        watch=False,
    )
    take_away, write = lane._answers._retire, lane.journal.write

    def retire(*values: object, **named: object) -> bool:
        if point == "before-retire":
            die()
        result = take_away(*values, **named)  # type: ignore[arg-type]
        if point == "after-retire":
            die()
        return result

    def journal_write(entry: Record) -> None:
        if point == "before-cleared" and isinstance(entry, Cleared):
            die()
        write(entry)

    setattr(lane._answers, "_retire", retire)  # noqa: B010
    setattr(lane.journal, "write", journal_write)  # noqa: B010
    lane.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
