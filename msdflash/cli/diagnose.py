"""``msdflash diagnose``: look at a board and say what is wrong with it; flash is never written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from msdflash.cli.options import add_connection, add_json, add_probe, board_options
from msdflash.errors import WorkerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from msdflash.cli.session import Session
    from msdflash.sim.client import RunningBoard


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "diagnose",
        help="measure a board and say what is wrong with it",
        description="Measure a board without changing it, and say what is wrong. Flash is never written.",
        allow_abbrev=False,
    )
    add_probe(parser)
    add_connection(parser)
    parser.add_argument("--reset", action="store_true", help="measure more: halts and resets the target")
    add_json(parser)
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Diagnose; exit status 0 healthy, 1 not, 130 interrupted."""
    from msdflash.cli.bench import simulated
    from msdflash.cli.session import open_session

    with simulated([options.sim] if options.sim else []) as boards, open_session() as session:
        return _diagnose(options, session, boards)


def _diagnose(options: argparse.Namespace, session: Session, boards: Sequence[RunningBoard]) -> int:
    from msdflash.cli.progress import open_progress
    from msdflash.cli.result import conclude, connection, new_job, no_list
    from msdflash.job.order import DiagnoseOrder
    from msdflash.report.record import Context

    job, context = new_job(), Context(time="", diagnosis=True)
    try:
        probe = session.choose(options, boards)
    except WorkerError as error:
        return conclude(session, no_list(job, error), context, as_json=options.json)
    with session.hold(probe, "msdflash diagnose"):
        order = DiagnoseOrder(job=job, connection=connection(session, probe, board_options(options)), reset=options.reset)
        began = time.monotonic()
        with open_progress(quiet=options.json) as progress:
            outcome = session.engine.run(order, session.telling(progress.hear), session.cancel)
        session.memory.learn(probe, outcome)
    context = msgspec.structs.replace(context, duration=time.monotonic() - began)
    return conclude(session, outcome, context, as_json=options.json)
