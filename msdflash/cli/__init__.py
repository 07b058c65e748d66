"""The command line: one module per command, each with ``add_parser(subparsers)``.

Exit status: 0 done and proved, 1 not (the report is on standard output), 2 wrong use or configuration, 3 probe or folder held by another,
130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING

import msdflash
from msdflash.cli.output import complain
from msdflash.errors import HeldError, MsdflashError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_HELD, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

COMMANDS = ("run", "flash", "diagnose", "boards", "explain", "history", "config", "service", "demo", "sim")
"""Modules of this package, in the order in which help shows them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status."""
    parser = build_parser()
    try:
        options = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has already said why
        return int(stop.code or 0)
    command: Callable[[argparse.Namespace], int] = options.handler
    try:
        return command(options)
    except HeldError as error:
        complain(str(error))
        return EXIT_HELD
    except UsageError as error:
        complain(str(error))
        return EXIT_USAGE
    except MsdflashError as error:
        complain(str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone. Python would complain once more when it flushes at exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return EXIT_FAILED


def build_parser() -> argparse.ArgumentParser:
    """The whole parser. Importing the commands costs little: what is heavy is imported when it runs."""
    parser = argparse.ArgumentParser(
        prog="msdflash",
        description="A drive you drop firmware on: flashed through pyOCD, proved by read-back.",
        epilog="Exit status: 0 flashed and proved (or healthy), 1 not, 2 wrong use, 3 held by another.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"msdflash {msdflash.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"msdflash.cli.{name}").add_parser(subparsers)
    return parser
