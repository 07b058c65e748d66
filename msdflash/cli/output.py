"""What goes to the user: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msdflash.report.story import Line


def say(text: str = "") -> None:
    """A line, or several, of the result."""
    _write(sys.stdout, text)


def complain(text: str) -> None:
    """What is wrong, after the program's name."""
    _write(sys.stderr, f"msdflash: {text}")


def note(text: str) -> None:
    """Something by the way; never part of the result."""
    _write(sys.stderr, text)


def say_lines(lines: Sequence[Line]) -> None:
    """Lines with roles: coloured where standard output can show it and ``NO_COLOR`` does not forbid it, else as plain text."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        say("\n".join(text for _, text in lines))
        return
    from rich.console import Console

    from msdflash.report.terminal import painted

    Console(soft_wrap=True).print(painted(lines), end="")


def say_json(value: Any) -> None:
    """One JSON object on standard output, ASCII only, so that no console's encoding can spoil it."""
    _write(sys.stdout, json.dumps(value, indent=2))


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()
