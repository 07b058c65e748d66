"""The configuration file: TOML, every wrong key and value named with what is allowed.

::

    drives = "/home/lab/boards"

    [board."066DFF"]
    name = "bench3-left"
    target = "stm32l476rgtx"
    base = "0x08000000"
    frequency = 4_000_000
    connect = "halt"
    pack = "Keil.STM32L4xx_DFP.pack"
    allow_locking_images = false
    retries = 3
    actions = ["refresh", "auto-reset"]
    unlock = "never"
    fail_txt = "long"
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from msdflash.drop.actions import HARMLESS, POLICIES
from msdflash.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT_MODES = ("halt", "under-reset", "pre-reset", "attach")
LOWEST_HZ, HIGHEST_HZ = 1_000, 50_000_000
FAIL_FORMS = ("long", "two-line")
UNLOCK_MODES = ("never", "action", "always")
MOST_RETRIES = 3
LONGEST_WAIT = 600.0
_LONGEST_NAME = 64


class BoardOptions(msgspec.Struct, frozen=True):
    """What a user may fix for a board; None and empty mean: find out.

    Attributes:
        name: shown in reports and used for the folder's name.
        target: pyOCD target or part name.
        base: address for files without addresses.
        frequency: SWD clock in Hz.
        connect: one of :data:`CONNECT_MODES`.
        pack: CMSIS-Pack file.
        allow_locking_images: images that lock the chip may be flashed.
        actions: policies of action files that are obeyed, words of :data:`msdflash.drop.actions.POLICIES` but ``unlock``.
        unlock: ``never``; ``action``: on an UNLOCK.ACT; ``always``: before each drop on a locked chip. It erases the whole chip.
        fail_txt: ``long``, or ``two-line`` for readers that count lines: then WHY.TXT holds the rest.
        busy_wait: seconds that a drop waits for a probe that another program holds.
        retries: ways around a failure that may be tried by itself, 0 to :data:`MOST_RETRIES`.
    """

    name: str | None = None
    target: str | None = None
    base: int | None = None
    frequency: int | None = None
    connect: str = "halt"
    pack: str | None = None
    allow_locking_images: bool = False
    retries: int = MOST_RETRIES
    busy_wait: float = 10.0
    actions: tuple[str, ...] = HARMLESS
    unlock: str = "never"
    fail_txt: str = "long"

    def over(self, other: BoardOptions) -> BoardOptions:
        """These options where they say something, else ``other``'s."""
        plain = BoardOptions()
        fields = self.__struct_fields__
        chosen = {f: getattr(self, f) if getattr(self, f) != getattr(plain, f) else getattr(other, f) for f in fields}
        return BoardOptions(**chosen)


class Config(msgspec.Struct, frozen=True):
    """A whole configuration file. ``boards`` is by probe serial."""

    drives: Path | None = None
    boards: dict[str, BoardOptions] = msgspec.field(default_factory=dict)

    def board(self, serial: str) -> BoardOptions:
        """The options of a probe, plain ones where the file has none."""
        return self.boards.get(serial, BoardOptions())


def parse_address(value: object) -> int:
    """A 32-bit address: a number, or text as ``0x08000000``. Raises ValueError that says what is allowed."""
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and re.fullmatch(r"0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10}", value):
        number = int(value, 0) if value[:2] in ("0x", "0X") else int(value)
    if number is None or not 0 <= number <= 0xFFFF_FFFF:
        raise ValueError("an address from 0 to 0xFFFFFFFF, such as 0x08000000")
    return number


def parse_frequency(value: object) -> int:
    """A clock in Hz: a number, or text as ``4000000``, ``400k``, ``1.8M``. Raises ValueError that says what is allowed."""
    number: float | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str):
        found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([kKmM]?)(?:[hH][zZ])?", value)
        if found:
            number = float(found[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[found[2].lower()]
    if number is None or not LOWEST_HZ <= number <= HIGHEST_HZ:
        raise ValueError("a clock from 1k to 50M (Hz), such as 4M or 400k")
    return round(number)


def parse_connect(value: object) -> str:
    """A connect mode. Raises ValueError that says what is allowed."""
    if not isinstance(value, str) or value not in CONNECT_MODES:
        raise ValueError(f"one of {', '.join(CONNECT_MODES)}")
    return value


def parse_target(value: object) -> str:
    """A target's name. Raises ValueError that says what is allowed."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_.+\-]{1,64}", value):
        raise ValueError("the name of a pyOCD target, such as stm32l476rgtx")
    return value.lower()


def parse_name(value: object) -> str:
    """A board's name. Raises ValueError that says what is allowed."""
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_NAME or not value.isprintable():
        raise ValueError(f"1 to {_LONGEST_NAME} printable characters")
    return value.strip()


def parse_switch(value: object) -> bool:
    """A switch. Raises ValueError that says what is allowed."""
    if value is True or value is False:
        return value is True
    raise ValueError("true or false, without quotes")


def parse_retries(value: object) -> int:
    """How many ways around a failure may be tried. Raises ValueError that says what is allowed."""
    number = int(value) if isinstance(value, str) and re.fullmatch("[0-9]", value) else value
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MOST_RETRIES:
        raise ValueError(f"a number from 0 (never) to {MOST_RETRIES}")
    return number


def parse_seconds(value: object) -> float:
    """A time in seconds. Raises ValueError that says what is allowed."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= LONGEST_WAIT:
        raise ValueError(f"seconds from 0 to {LONGEST_WAIT:g}")
    return float(value)


def parse_actions(value: object) -> tuple[str, ...]:
    """Policies of action files. Raises ValueError that says what is allowed."""
    words = [word for word in POLICIES if word != "unlock"]
    if not isinstance(value, list) or any(item not in words for item in value):
        raise ValueError(f"a list of {', '.join(words)}")
    return tuple(dict.fromkeys(value))


def parse_unlock(value: object) -> str:
    """When a locked chip is unlocked. Raises ValueError that says what is allowed."""
    if not isinstance(value, str) or value not in UNLOCK_MODES:
        raise ValueError(f"one of {', '.join(UNLOCK_MODES)}")
    return value


def parse_fail_txt(value: object) -> str:
    """The form of FAIL.TXT. Raises ValueError that says what is allowed."""
    if not isinstance(value, str) or value not in FAIL_FORMS:
        raise ValueError(f"one of {', '.join(FAIL_FORMS)}")
    return value


def _path(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a path in quotes")
    return value


_BOARD_KEYS: dict[str, Callable[[object], Any]] = {
    "name": parse_name,
    "target": parse_target,
    "base": parse_address,
    "frequency": parse_frequency,
    "connect": parse_connect,
    "pack": _path,
    "allow_locking_images": parse_switch,
    "retries": parse_retries,
    "busy_wait": parse_seconds,
    "actions": parse_actions,
    "unlock": parse_unlock,
    "fail_txt": parse_fail_txt,
}


def load_config(file: Path) -> Config:
    """Read a configuration file.

    Relative paths in it count from the file's own folder; ``~`` is the user's.

    Raises:
        UsageError: names the file, the key, the value and what is allowed.
    """
    try:
        document = tomllib.loads(file.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the configuration {file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{file} is not TOML: {error}") from error
    drives: Path | None = None
    boards: dict[str, BoardOptions] = {}
    for key, value in document.items():
        if key == "drives":
            drives = _resolve(file, _checked(file, key, value, _path))
        elif key == "board" and isinstance(value, dict):
            boards = {serial: _board(file, serial, table) for serial, table in value.items()}
        else:
            raise UsageError(f'{file}: {_show(key, value)} is not known here; allowed: drives, [board."SERIAL"]')
    return Config(drives=drives, boards=boards)


def _board(file: Path, serial: str, table: object) -> BoardOptions:
    where = f'board."{serial}"'
    if not isinstance(table, dict):
        raise UsageError(f"{file}: {_show(where, table)} must be a table with {', '.join(_BOARD_KEYS)}")
    options: dict[str, Any] = {}
    for key, value in table.items():
        check = _BOARD_KEYS.get(key)
        if check is None:
            raise UsageError(f"{file}: {_show(f'{where}.{key}', value)} is not known; allowed: {', '.join(_BOARD_KEYS)}")
        options[key] = _checked(file, f"{where}.{key}", value, check)
    if "pack" in options:
        options["pack"] = str(_resolve(file, options["pack"]))
    return BoardOptions(**options)


def _checked(file: Path, key: str, value: object, check: Callable[[object], Any]) -> Any:
    try:
        return check(value)
    except ValueError as error:
        raise UsageError(f"{file}: {_show(key, value)} is wrong; allowed: {error}") from None


def _resolve(file: Path, path: str) -> Path:
    return (file.absolute().parent / Path(path).expanduser()).absolute()


def _show(key: str, value: object) -> str:
    text = repr(value)
    return f"{key} = {text if len(text) <= 60 else text[:57] + '...'}"
