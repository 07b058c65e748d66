"""``msdflash boards``: the probes that are connected, and what is on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.cli.options import add_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from msdflash.job.outcome import ListedProbe


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "boards",
        help="list probes and boards",
        description="List the debug probes that are connected, with the boards and targets that they stand for.",
        allow_abbrev=False,
    )
    parser.add_argument("--sim", metavar="SPEC", action="append", default=[], help="start a simulated board and list it, too")
    add_json(parser)
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """List; exit status 0, also when nothing is connected."""
    from msdflash.cli.bench import simulated
    from msdflash.cli.output import note, say, say_json
    from msdflash.cli.session import open_session

    with simulated(options.sim), open_session() as session:
        probes = session.engine.list_probes(session.cancel)
    if options.json:
        from msdflash.job.outcome import to_builtins

        say_json({"schema": "msdflash/boards/1", "probes": [to_builtins(probe) for probe in probes]})
    elif probes:
        say(table(probes))
    else:
        note("No debug probe is connected, or none that you may open. `msdflash diagnose` measures which.")
    return 0


def table(probes: Sequence[ListedProbe]) -> str:
    """A plain table, one probe a line."""
    from msdflash.report.text import plain

    head = ("UNIQUE ID", "KIND", "PROBE", "BOARD", "TARGET")
    rows = [
        tuple(
            plain(cell, 60) or "-"
            for cell in (
                probe.unique_id,
                probe.kind,
                " ".join(word for word in (probe.vendor, probe.product) if word),
                probe.board or "",
                probe.target or "",
            )
        )
        for probe in probes
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)]
    problems = [plain(f"{probe.unique_id or probe.kind}: {probe.problem}", 300) for probe in probes if probe.problem]
    return "\n".join([*lines, *problems])
