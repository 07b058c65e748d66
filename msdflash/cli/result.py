"""From an outcome to what the user reads, and to the exit status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

import msdflash
from msdflash.cli.output import complain, say, say_lines
from msdflash.cli.session import chip_state
from msdflash.daemon.history import History, Record
from msdflash.diagnose.rules import diagnose
from msdflash.drop.record import new_id
from msdflash.job.order import Connection
from msdflash.job.outcome import Failure, Outcome
from msdflash.job.readings import Reading
from msdflash.job.steps import Step
from msdflash.report import terminal
from msdflash.report.record import Context, Report, exit_status, make_report, to_builtins, to_json

if TYPE_CHECKING:
    from pathlib import Path

    from msdflash.cli.session import Session
    from msdflash.daemon.config import BoardOptions
    from msdflash.errors import WorkerError

INTERRUPTED = 130


def new_job() -> str:
    """A job id, unique on this machine."""
    return new_id()


def connection(session: Session, probe: str, options: BoardOptions) -> Connection:
    """How to reach a board, with what earlier jobs learned of its probe."""
    return Connection(
        probe=probe,
        target=options.target,
        pack=options.pack,
        frequency=options.frequency,
        connect=options.connect,
        pin_proven=session.memory.get(probe).pin_proven,
    )


def no_list(job: str, error: WorkerError) -> Outcome:
    """The outcome of a job that found out nothing, because not even the probes could be listed."""
    return Outcome(job, failure=Failure(Step.START, "crash", str(error)), readings=(Reading("engine.error", str(error)),))


def conclude(session: Session, outcome: Outcome, context: Context, *, as_json: bool, image: Path | None = None) -> int:
    """Print the report, keep it in the history where ``image`` is the file that it is about; return the exit status."""
    now = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    board = outcome.probe.board or "" if outcome.probe else ""
    context = msgspec.structs.replace(context, time=now, version=msdflash.__version__, board=board)
    report = make_report(outcome, diagnose(outcome), context)
    if image is not None and outcome.probe is not None:
        serial = outcome.probe.unique_id
        History(session.paths.history).add(Record(report.job, serial, board or serial, to_builtins(report)), image)
    if as_json:
        say(to_json(report, indent=2))
    else:
        show(report)
    if session.cancel.is_set() and not report.good:
        complain(f"interrupted. {chip_state(outcome.changed)}")
        return INTERRUPTED
    return exit_status(report)


def show(report: Report) -> None:
    """The report as text, coloured where that can be seen."""
    say_lines(terminal.styled_lines(report))
