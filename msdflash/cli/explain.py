"""``msdflash explain``: a cause that a report names, or whatever another tool printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msdflash.cli.options import add_json

if TYPE_CHECKING:
    import argparse

LARGEST = 1 << 20
"""Bytes of a text that are read: of a file its end, of standard input its beginning."""

STDIN = "-"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "explain",
        help="explain a cause, or another tool's error message",
        description=(
            "Explain a cause that a report names, a FAIL.TXT of any probe, or a message of pyOCD, OpenOCD, STM32CubeProgrammer, J-Link "
            "or probe-rs: what was found behind it, how to tell that apart, and the command that measures it. "
            "Without a text: list all causes."
        ),
        epilog="Example: pyocd load firmware.hex 2>&1 | msdflash explain -",
        allow_abbrev=False,
    )
    parser.add_argument("text", metavar="TEXT", nargs="*", help="a cause's id, a message, a file that holds one, or - for standard input")
    parser.add_argument("--list", action="store_true", help="list all causes")
    add_json(parser)
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Explain; exit status 0, 1 for a text that nobody knows, 2 for a cause that does not exist."""
    from msdflash.cli.output import say_json, say_lines
    from msdflash.diagnose.causes import CATALOGUE
    from msdflash.diagnose.explain import explain_nothing, explain_text
    from msdflash.errors import UsageError
    from msdflash.report import explained

    if options.list and options.text:
        raise UsageError("--list lists all causes and takes no text")
    if options.list or not options.text:
        say_json(explained.catalogue_data()) if options.json else say_lines(explained.catalogue_lines())
        return 0
    words = " ".join(options.text)
    cause = CATALOGUE.get(words.strip().lower())
    if cause is not None:
        data = {"schema": explained.SCHEMA, "known": True, "measured": False, "causes": [explained.cause_data(cause)]}
        say_json(data) if options.json else say_lines(explained.cause_lines(cause))
        return 0
    explanation = explain_text(_read(options.text))
    if not explanation.known:
        _suggest(words)
        explanation = explain_nothing()
    say_json(explained.text_data(explanation)) if options.json else say_lines(explained.text_lines(explanation))
    return 0 if explanation.known else 1


def _read(words: list[str]) -> str:
    """The text itself: out of standard input, out of a file, or as it stands. Raises UsageError."""
    from msdflash.errors import UsageError

    if words == [STDIN]:
        return sys.stdin.buffer.read(LARGEST).decode("utf-8", "replace")
    text = " ".join(words)
    try:
        file = Path(text)
        if not file.is_file():
            return text
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - LARGEST))
            return stream.read(LARGEST).decode("utf-8", "replace")
    except (OSError, ValueError) as error:  # a text may look like a path that no system takes
        if len(words) == 1 and isinstance(error, PermissionError):
            raise UsageError(f"cannot read {text}: {error.strerror or error}") from error
        return text


def _suggest(text: str) -> None:
    """Raise UsageError for what looks like a mistyped cause, with the causes that are nearest."""
    import difflib

    from msdflash.diagnose.causes import CATALOGUE
    from msdflash.diagnose.explain import looks_like_id
    from msdflash.errors import UsageError

    near = difflib.get_close_matches(text.lower(), CATALOGUE, n=3)
    if near and looks_like_id(text):
        raise UsageError(f"there is no cause {text!r}; did you mean {' or '.join(near)}?")
