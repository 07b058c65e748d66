"""``msdflash history``: what was answered before, one job whole, counts by cause, and a kept image flashed once more."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from msdflash.cli.options import add_json
from msdflash.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from msdflash.daemon.history import History, Record

SCHEMA = "msdflash/history/1"
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "history",
        help="what was answered before",
        description="Jobs that were answered, newest first; one of them whole; how often each board had each cause.",
        allow_abbrev=False,
    )
    parser.add_argument("job", metavar="JOB", nargs="?", help="one job, by its id or the beginning of it")
    parser.add_argument("--board", metavar="NAME", default="", help="only this board, by its name or its probe's unique id")
    parser.add_argument("--cause", metavar="ID", default="", help="only jobs with this leading cause")
    parser.add_argument("--since", metavar="TIME", default="", help="only jobs since then: 2026-11-23, or 12h, 7d, 2w ago")
    parser.add_argument("--limit", metavar="N", type=int, default=20, help="at most so many; default 20")
    parser.add_argument("--counts", action="store_true", help="how often each board had each cause")
    parser.add_argument("--again", action="store_true", help="flash the image of JOB once more, on the same board")
    add_json(parser)
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Show; exit status 0, 1 if there is no such job; with ``--again`` that of ``flash``."""
    from msdflash.daemon.history import History
    from msdflash.daemon.paths import find_paths

    kept = History(find_paths().history)
    since = parse_since(options.since)
    if options.job:
        found = kept.job(options.job)
        if found is None:
            raise UsageError(f"there is no job {options.job!r} in the history, or several begin so; `msdflash history` lists them")
        return _again(kept, found, as_json=options.json) if options.again else _one(found, as_json=options.json)
    if options.again:
        raise UsageError("--again needs the id of a job")
    if options.counts:
        return _counts(kept.counts(since=since), as_json=options.json)
    chosen: list[Record] = []
    for record in kept.records(board=options.board, cause=options.cause, since=since):
        if len(chosen) >= max(options.limit, 0):
            break
        chosen.append(record)
    return _list(chosen, as_json=options.json)


def parse_since(text: str, now: datetime | None = None) -> str:
    """A time in UTC as reports have it, out of a date, a time, or how long ago. Raises UsageError."""
    if not text:
        return ""
    number, unit = text[:-1], text[-1:]
    if number.isdecimal() and number.isascii() and len(number) < 5 and unit in _UNITS:
        then = (now or datetime.now(UTC)) - timedelta(**{_UNITS[unit]: int(number)})
        return then.isoformat(timespec="seconds")
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--since {text!r} is not allowed; allowed: a date such as 2026-11-23, a time, or 12h, 7d, 2w") from None
    return then.astimezone(UTC).isoformat(timespec="seconds")


def _one(record: Record, *, as_json: bool) -> int:
    from msdflash.cli.output import complain, say
    from msdflash.cli.result import show
    from msdflash.report.record import Report

    if as_json:
        say(json.dumps(record.report, indent=2))
        return 0
    try:
        report = msgspec.convert(record.report, Report)
    except msgspec.ValidationError as error:
        complain(f"the report of job {record.job} is from another version ({error}); --json shows it as it is")
        return 1
    show(report)
    return 0


def _list(records: Iterable[Record], *, as_json: bool) -> int:
    from msdflash.cli.output import say
    from msdflash.report.text import plain

    rows = list(records)
    if as_json:
        jobs = [
            {
                "job": row.job,
                "time": row.time,
                "serial": row.serial,
                "board": row.board,
                "outcome": row.outcome,
                "cause": row.cause or None,
                "confidence": row.report.get("confidence"),
                "file": row.report.get("file", ""),
                "sha256": row.sha256,
            }
            for row in rows
        ]
        say(json.dumps({"schema": SCHEMA, "jobs": jobs}, indent=2))
        return 0
    if not rows:
        say("No job fits.")
        return 0
    for row in rows:
        what = row.outcome if not row.cause else f"{row.cause} ({row.report.get('confidence')})"
        file = plain(str(row.report.get("file", "")), 30)
        say(f"{plain(row.time, 19)}  {plain(row.board, 24):<24}  {plain(what, 40):<40}  {file:<30}  {row.job}")
    return 0


def _counts(counts: dict[tuple[str, str], int], *, as_json: bool) -> int:
    from msdflash.cli.output import say
    from msdflash.report.text import plain

    rows = sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    if as_json:
        found = [{"board": board, "what": what, "times": times} for (board, what), times in rows]
        say(json.dumps({"schema": SCHEMA, "counts": found}, indent=2))
        return 0
    for (board, what), times in rows:
        say(f"{plain(board, 24):<24}  {plain(what, 32):<32}  {times:>6}")
    return 0


def _again(kept: History, record: Record, *, as_json: bool) -> int:
    """As ``msdflash flash`` with the kept image, on the probe that the job had."""
    from msdflash.cli import main
    from msdflash.drop.names import stored

    image = kept.image(record.sha256)
    if image is None:
        raise UsageError(f"the image of job {record.job} is not kept any more")
    with tempfile.TemporaryDirectory(prefix="msdflash-") as folder:
        # Under its name, which is a hint for formats that have no mark of their own.
        file = Path(folder) / stored(str(record.report.get("file") or "image.bin"))
        shutil.copyfile(image, file)
        return main(["flash", str(file), "--probe", record.serial, *(["--json"] if as_json else [])])
