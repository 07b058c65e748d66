"""``msdflash explain CAUSE``: what a cause named in a report means, and what helps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "explain",
        help="explain a cause that a report names",
        description="Explain a cause that a report names. Without a cause: list them all.",
        allow_abbrev=False,
    )
    parser.add_argument("cause", metavar="CAUSE", nargs="?", help="id of a cause, such as held-in-reset")
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Explain; exit status 0, or 2 for a cause that does not exist."""
    import difflib

    from msdflash.cli.output import say
    from msdflash.diagnose.causes import CATALOGUE
    from msdflash.diagnose.daplink import ERRORS
    from msdflash.errors import UsageError
    from msdflash.report.text import sentence, wrap

    if options.cause is None:
        width = max(map(len, CATALOGUE))
        say("\n".join(f"{cause.id:<{width}}  {cause.say({})}" for cause in CATALOGUE.values()))
        return 0
    cause = CATALOGUE.get(options.cause)
    if cause is None:
        near = difflib.get_close_matches(options.cause, CATALOGUE, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`msdflash explain` lists them all"
        raise UsageError(f"there is no cause {options.cause!r}; {hint}")
    lines = [cause.id, "", *wrap(sentence(cause.say({}))), ""]
    for number, remedy in enumerate(cause.remedies, 1):
        lines += wrap(f"{number}. {remedy.text} ({remedy.cost})", "  ", "     ")
    error = ERRORS[cause.error]
    lines += ["", *wrap(f"Old tools see: {error.text}"), f"More: {cause.anchor}"]
    say("\n".join(lines))
    return 0
