"""The templates of ``service/``: package data of a wheel, files of the repository in an editable install. ``@NAME@`` is filled in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from msdflash.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDERS = (Path(__file__).parent / "files", Path(__file__).parents[2] / "service")


def template(name: str) -> str:
    """A template's text. Raises UsageError if the installation lacks it."""
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise UsageError(f"this installation of msdflash lacks the file {name}; install it again")


def filled(name: str, **values: str) -> bytes:
    """A template with its places filled in by values that are already escaped for its format."""
    text = re.sub(r"@([A-Z]+)@", lambda place: values[place[1]], template(name))
    return text.encode("utf-8")


def plain_text(text: str) -> str:
    """The text, if it may stand in a unit or XML file. Raises UsageError for control characters."""
    if not text.isprintable():
        raise UsageError(f"{text!r} holds characters that no service file can hold")
    return text


def systemd_word(text: str) -> str:
    """A word of a command line or path list of a unit, quoted; see systemd.service(5), COMMAND LINES, and systemd.syntax(7), QUOTING."""
    text = plain_text(text).replace("%", "%%")
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def systemd_command(argv: Sequence[str]) -> str:
    """A command line of a unit, where ``$`` would begin a variable."""
    return " ".join(systemd_word(word).replace("$", "$$") for word in argv)


def tmpfiles_path(path: Path) -> str:
    """A path of tmpfiles.d(5), where ``%`` begins a specifier."""
    return systemd_word(str(path))


def xml_text(text: str) -> str:
    """Text of an XML element."""
    return escape(plain_text(text))


def windows_arguments(argv: Sequence[str]) -> str:
    """Arguments as one command line that the C run time of Windows takes apart again."""
    return subprocess.list2cmdline(argv)
