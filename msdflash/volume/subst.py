r"""Windows: a drive letter that stands for the board's folder, by ``subst``: no rights, no driver, for this session.

It keeps the name and size of the disk below. ``subst`` without arguments lists what there is, one ``M:\: => C:\folder`` a line.
From memory; not run on Windows.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

_LINE = re.compile(r"([A-Z]):\\: => (.+)")
_LETTERS = "ZYXWVUTSRQPONMLKJIHGFED"
_TIMEOUT = 10.0


def parse_list(text: str) -> dict[str, str]:
    """Folder of each letter in what ``subst`` prints."""
    return {match[1]: match[2].strip() for match in map(_LINE.fullmatch, text.splitlines()) if match}


def choose_letter(substituted: dict[str, str], root: str, used: Iterable[str]) -> tuple[str, bool]:
    """The letter to use, and whether it stands for the folder already: left by a daemon that was killed. "" if none is free."""
    for letter, folder in substituted.items():
        if os.path.normcase(folder) == os.path.normcase(root):
            return letter, True
    taken = {letter.upper() for letter in used} | substituted.keys()
    return next((letter for letter in _LETTERS if letter not in taken), ""), False


def run(command: Sequence[str]) -> str:
    """Run a command and return what it prints. Raises OSError or subprocess.SubprocessError."""
    done = subprocess.run(list(command), capture_output=True, timeout=_TIMEOUT, check=True, stdin=subprocess.DEVNULL)
    return done.stdout.decode("utf-8", "surrogateescape")


def used_letters() -> list[str]:
    """Letters of this system's drives."""
    return [letter[:1] for letter in os.listdrives()] if hasattr(os, "listdrives") else []


class SubstVolume:
    """One board's letter."""

    def __init__(
        self,
        root: Path,
        tell: Callable[[str], None],
        run: Callable[[Sequence[str]], str] = run,
        used: Callable[[], Iterable[str]] = used_letters,
    ) -> None:
        self._root = str(root)
        self._tell = tell
        self._run = run
        self._used = used
        self._letter = ""

    def start(self) -> None:
        """Take a letter."""
        try:
            letter, there = choose_letter(parse_list(self._run(["subst"])), self._root, self._used())
            if not letter:
                self._tell("no drive letter is free; use the folder")
                return
            if not there:
                self._run(["subst", f"{letter}:", self._root])
        except (OSError, subprocess.SubprocessError) as error:
            self._tell(f"no drive letter could be had ({error}); use the folder")
            return
        self._letter = letter
        self._tell(f"also as drive {letter}:")

    def stop(self) -> bool:
        """Give the letter back."""
        letter, self._letter = self._letter, ""
        if not letter:
            return True
        try:
            self._run(["subst", f"{letter}:", "/D"])
        except (OSError, subprocess.SubprocessError) as error:
            self._tell(f"drive {letter}: could not be given back ({error})")
            return False
        return True
