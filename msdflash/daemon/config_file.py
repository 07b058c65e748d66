"""The configuration file: found, read, and checked whole. Every mistake is told at once, with its line."""

from __future__ import annotations

import contextlib
import difflib
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from msdflash.daemon.config import PORT, BoardOptions, Config
from msdflash.daemon.config_keys import BOARD_KEYS, BY_NAME, TOP_KEYS, Key
from msdflash.errors import UsageError

FILE_NAME = "msdflash.toml"
_APP = "msdflash"
_LARGEST = 1024 * 1024
_LONGEST_STATEMENT = 300
"""Lines. A longer statement has no line numbers inside; nothing else depends on it."""
_PORT_PATH = re.compile(r"[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}")
"""Linux' name of a port: bus, dash, ports of the hubs on the way. USB allows seven tiers (USB 2.0, 4.1.1; from memory)."""

Where = tuple[str, ...]


class Problem(msgspec.Struct, frozen=True):
    """One mistake. ``line`` counts from 1; 0 where none can be named."""

    line: int
    text: str


class Loaded(msgspec.Struct, frozen=True):
    """A file as it was read: what it says, where it says it, and what is wrong with it.

    Attributes:
        file: which file.
        config: what is right in it.
        lines: line of each key, counted from 1, by its path.
        problems: all mistakes, in the order of lines.
    """

    file: Path
    config: Config
    lines: dict[Where, int]
    problems: tuple[Problem, ...] = ()

    def told(self) -> str:
        """The mistakes for people, one a line, in the form that editors can jump to."""
        return "\n".join(f"{self.file}{f':{problem.line}' if problem.line else ''}: {problem.text}" for problem in self.problems)


class Found(msgspec.Struct, frozen=True):
    """Which file is in force, and why. ``file`` is None if there is none."""

    file: Path | None
    why: str


def user_file() -> Path:
    """This user's configuration file, whether it exists or not."""
    return platformdirs.user_config_path(_APP, appauthor=False) / FILE_NAME


def site_file() -> Path:
    """The whole machine's configuration file, whether it exists or not."""
    return platformdirs.site_config_path(_APP, appauthor=False) / FILE_NAME


def find_config(named: str | None = None) -> Found:
    """The file in force: the one that was named, else this user's, else the machine's."""
    if named:
        return Found(Path(named).expanduser().absolute(), "named by --config")
    for file, why in ((user_file(), "this user's"), (site_file(), "the whole machine's")):
        with contextlib.suppress(OSError):  # a folder that is closed to us holds nothing for us
            if file.is_file():
                return Found(file, why)
    return Found(None, f"there is neither {user_file()} nor {site_file()}")


def load_config(file: Path) -> Config:
    """Read a configuration file. Relative paths in it count from its own folder; ``~`` is the user's.

    Raises:
        UsageError: names file, line, key, value and what is allowed, for every mistake.
    """
    loaded = read_config(file)
    if loaded.problems:
        raise UsageError(loaded.told())
    return loaded.config


def read_config(file: Path) -> Loaded:
    """Read a configuration file with all its mistakes. Raises UsageError only if it cannot be read at all."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the configuration {file}: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > _LARGEST:
        raise UsageError(f"the configuration {file} is larger than 1 MiB")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Loaded(file, Config(), {}, (Problem(line, f"is not TOML: byte 0x{content[error.start]:02X} is not UTF-8"),))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        return Loaded(file, Config(), {}, (Problem(int(found[1]) if found else content.count(b"\n") + 1, f"is not TOML: {error}"),))
    except (RecursionError, ValueError) as error:  # nested too deeply; a number of more digits than Python converts
        return Loaded(file, Config(), {}, (Problem(0, f"is not TOML: {type(error).__name__}"),))
    return _Reading(file, document, locate(text)).loaded()


def locate(text: str) -> dict[Where, int]:
    """The line, from 1, of each key of a valid TOML text with plain newlines, by its path.

    TOML's statements are whole lines, and no beginning of one is valid in itself. So each is the shortest run of lines that the
    parser takes, and the parser says what it means.
    """
    lines = text.split("\n")
    found: dict[Where, int] = {}
    prefix: Where = ()
    start = 0
    while start < len(lines):
        end, table = _statement(lines, start)
        if lines[start].lstrip().startswith("["):
            prefix = ()
            _note(found, (), table, start + 1)
            while isinstance(table, dict) and table:
                name = next(iter(table))
                prefix, table = (*prefix, name), table[name]
        else:
            _note(found, prefix, table, start + 1)
        start = end
    return found


def _statement(lines: list[str], start: int) -> tuple[int, Any]:
    for end in range(start + 1, min(start + _LONGEST_STATEMENT, len(lines)) + 1):
        try:
            return end, tomllib.loads("\n".join(lines[start:end]))
        except (tomllib.TOMLDecodeError, RecursionError, ValueError):
            continue
    return start + 1, {}


def _note(found: dict[Where, int], prefix: Where, table: Any, line: int) -> None:
    if isinstance(table, dict):
        for name, value in table.items():
            found.setdefault((*prefix, name), line)
            _note(found, (*prefix, name), value, line)


class _Reading:
    """One walk over a parsed file."""

    def __init__(self, file: Path, document: dict[str, Any], lines: dict[Where, int]) -> None:
        self._file = file
        self._document = document
        self._lines = lines
        self._problems: list[Problem] = []

    def loaded(self) -> Loaded:
        top = {key.name: key for key in TOP_KEYS}
        said: dict[str, Any] = {}
        boards: dict[str, BoardOptions] = {}
        for name, value in self._document.items():
            if name in top:
                self._take(said, top[name], (name,), value)
            elif name == "board" and isinstance(value, dict):
                boards = {section: self._board(section, table) for section, table in value.items()}
            else:
                self._wrong((name,), value, f'is not known here; allowed: {", ".join(top)}, [board."SERIAL"], [board."{PORT}BUS-PORT"]')
        self._shared_folders(boards)
        if "drives" in said:
            said["drives"] = Path(said["drives"])
        config = Config(**said, boards=boards)
        return Loaded(self._file, config, self._lines, tuple(sorted(self._problems, key=lambda problem: problem.line)))

    def _board(self, section: str, table: Any) -> BoardOptions:
        where = ("board", section)
        said: dict[str, Any] = {}
        if section.startswith(PORT) and not _PORT_PATH.fullmatch(section.removeprefix(PORT)):
            self._wrong(where, None, f"is no port; allowed: {PORT} and bus-port.port as Linux names it, such as {PORT}1-2.3")
        elif not section.strip() or not section.isprintable():
            self._wrong(where, None, "is no serial; allowed: a unique id as `msdflash boards` lists it")
        if not isinstance(table, dict):
            self._wrong(where, table, f"must be a table with {', '.join(BY_NAME)}")
            return BoardOptions()
        for name, value in table.items():
            key = BY_NAME.get(name)
            if key is None:
                near = difflib.get_close_matches(name, BY_NAME, 1)
                meant = f" (did you mean {near[0]}?)" if near else ""
                self._wrong((*where, name), value, f"is not known{meant}; allowed: {', '.join(BY_NAME)}")
            else:
                self._take(said, key, (*where, name), value)
        return BoardOptions(**said)

    def _take(self, said: dict[str, Any], key: Key, where: Where, value: object) -> None:
        try:
            said[key.name] = self._resolved(key.parse(value)) if key.is_path else key.parse(value)
        except ValueError as error:
            self._wrong(where, value, f"is wrong; allowed: {error}")

    def _resolved(self, path: str) -> str:
        try:
            return str((self._file.absolute().parent / Path(path).expanduser()).absolute())
        except RuntimeError:  # ~ of nobody
            raise ValueError("a path whose ~ is the folder of a user that exists") from None

    def _shared_folders(self, boards: dict[str, BoardOptions]) -> None:
        first: dict[str, str] = {}
        for section, options in boards.items():
            if options.folder is not None and first.setdefault(options.folder, section) != section:
                where = ("board", section, "folder")
                self._wrong(where, options.folder, f'is the folder of board."{first[options.folder]}", too; allowed: one for each board')

    def _wrong(self, where: Where, value: object, what: str) -> None:
        line = next((self._lines[where[:length]] for length in range(len(where), 0, -1) if where[:length] in self._lines), 0)
        self._problems.append(Problem(line, f"{shown_key(where)}{'' if value is None else ' = ' + _shown(value)} {what}"))


def shown_key(where: Where) -> str:
    """A key for people: ``board."066DFF".connect``."""
    return ".".join(f'"{name}"' if index == 1 else name for index, name in enumerate(where))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def toml_text(value: object) -> str:
    """A value of ours as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_text(item) for item in value) + "]"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'


def in_force(loaded: Loaded | None, drives: Path) -> list[str]:
    """What holds, as TOML, each value with where it is from. ``drives``: the folder that holds if the file names none."""
    config = loaded.config if loaded else Config()
    lines = loaded.lines if loaded else {}
    top = {"drives": config.drives or drives}
    told = [_line(key.name, top.get(key.name, getattr(config, key.name)), lines.get((key.name,))) for key in TOP_KEYS]
    plain = BoardOptions()
    for section, options in config.boards.items():
        told += ["", f"[board.{toml_text(section)}]"]
        for key in BOARD_KEYS:
            line = lines.get(("board", section, key.name))
            value = getattr(options if line is not None else plain, key.name)
            told.append(_line(key.name, value, line) if value is not None else f"# {key.name}: {key.default}")
    return told


def _line(name: str, value: object, line: int | None) -> str:
    return f"{name} = {toml_text(value)}  # {'default' if line is None else f'line {line}'}"
