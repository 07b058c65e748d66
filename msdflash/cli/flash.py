"""``msdflash flash IMAGE``: flash one file and prove it."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from msdflash.cli.options import add_base, add_connection, add_json, add_probe, add_retries, board_options
from msdflash.errors import UsageError, WorkerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from msdflash.cli.session import Session
    from msdflash.sim.client import RunningBoard

LARGEST = 64 << 20
"""Bytes of the largest file that is read: several times what an Intel hex of the largest part takes."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "flash",
        help="flash one file and prove it",
        description="Flash one file (.bin, .hex, .elf, .uf2 or .srec), compare every byte, and say what is wrong if it cannot be done.",
        allow_abbrev=False,
    )
    parser.add_argument("image", metavar="IMAGE", help="the firmware file")
    add_probe(parser)
    add_connection(parser)
    add_base(parser)
    add_retries(parser)
    add_json(parser)
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Flash; exit status 0 proved, 1 not, 130 interrupted."""
    from msdflash.cli.bench import simulated
    from msdflash.cli.session import open_session

    data = read_image(options.image)
    # A name that is no valid Unicode must neither stop the job nor reach a report as it is.
    name = os.fsencode(Path(options.image).name).decode("utf-8", "replace")
    with simulated([options.sim] if options.sim else []) as boards, open_session() as session:
        return _flash(options, session, boards, name, data)


def read_image(path: str) -> bytes:
    """The file's bytes. Raises UsageError when there is no such file, or it cannot be firmware."""
    file = Path(path)
    try:
        if not file.is_file():
            raise UsageError(f"{path} is no file" if file.exists() else f"there is no file {path}")
        with file.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > LARGEST:
        raise UsageError(f"{path} is larger than {LARGEST >> 20} MiB; no microcontroller's firmware is")
    return data


def _flash(options: argparse.Namespace, session: Session, boards: Sequence[RunningBoard], name: str, data: bytes) -> int:
    from msdflash.cli.progress import open_progress
    from msdflash.cli.result import conclude, connection, new_job, no_list
    from msdflash.daemon.paths import UNDO
    from msdflash.daemon.retry import run_with_help
    from msdflash.job.order import FlashOrder
    from msdflash.report.record import Context

    job, digest = new_job(), hashlib.sha256(data).hexdigest()
    context = Context(time="", file=name, file_size=len(data), sha256=digest)
    try:
        probe = session.choose(options, boards)
    except WorkerError as error:
        return conclude(session, no_list(job, error), context, as_json=options.json)
    with session.hold(probe, "msdflash flash"), tempfile.TemporaryDirectory(prefix="msdflash-") as folder:
        # A copy of its own: what the worker reads is what was hashed, whatever happens to the file meanwhile.
        spool = Path(folder) / "image"
        spool.write_bytes(data)
        order = FlashOrder(
            job=job,
            connection=connection(session, probe, board_options(options)),
            path=str(spool),
            name=name,
            sha256=digest,
            base=options.base,
            board_id=session.memory.get(probe).board_id,
            # A simulated board is a new one each time: nothing of an earlier one may be put back.
            beside=None if boards else str(session.paths.board(probe) / UNDO),
        )
        if boards:
            session.memory.replugged(probe)  # a simulated board is a new one each time
        began = time.monotonic()
        with open_progress(quiet=options.json) as progress:
            helped = run_with_help(
                order,
                session.engine.run,
                session.telling(progress.hear),
                session.cancel,
                hint=session.memory.get(probe).hint,
                rungs=options.retries,
            )
        session.memory.conclude(probe, helped, digest)
        context = msgspec.structs.replace(context, duration=time.monotonic() - began)
        # A rehearsal on a simulated board is no history.
        return conclude(session, helped.outcome, context, as_json=options.json, image=None if boards else spool)
