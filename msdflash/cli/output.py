"""What goes to the user: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO


def say(text: str = "") -> None:
    """A line, or several, of the result."""
    _write(sys.stdout, text)


def complain(text: str) -> None:
    """What is wrong, after the program's name."""
    _write(sys.stderr, f"msdflash: {text}")


def note(text: str) -> None:
    """Something by the way; never part of the result."""
    _write(sys.stderr, text)


def say_json(value: Any) -> None:
    """One JSON object on standard output, ASCII only, so that no console's encoding can spoil it."""
    _write(sys.stdout, json.dumps(value, indent=2))


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()
