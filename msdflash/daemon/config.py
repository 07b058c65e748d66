"""What a configuration file can say, as plain frozen data, and the checks of single values.

The table of keys is :mod:`msdflash.daemon.config_keys`, the file itself :mod:`msdflash.daemon.config_file`.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from msdflash.drop.actions import HARMLESS, POLICIES

CONNECT_MODES = ("halt", "under-reset", "pre-reset", "attach")
LOWEST_HZ, HIGHEST_HZ = 1_000, 50_000_000
FAIL_FORMS = ("long", "two-line")
UNLOCK_MODES = ("never", "action", "always")
MOST_RETRIES = 3
LONGEST_WAIT = 600.0
_LONGEST_NAME = 64
PORT = "port:"
"""Begins the name of a section that stands for whatever probe is on one USB port."""


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
        folder: this board's drive folder; else one below the drives folder.
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
    folder: str | None = None

    def over(self, other: BoardOptions) -> BoardOptions:
        """These options where they say something, else ``other``'s."""
        plain = BoardOptions()
        fields = self.__struct_fields__
        chosen = {f: getattr(self, f) if getattr(self, f) != getattr(plain, f) else getattr(other, f) for f in fields}
        return BoardOptions(**chosen)


class Config(msgspec.Struct, frozen=True):
    """A whole configuration. ``boards`` is by probe serial, or by the probe's USB port as ``port:1-2.3``.

    Attributes:
        real_drives: when the firmware of a probe's own drive fails, the board is measured and the cause told in DRIVE.TXT.
        volume: each board's folder is offered as a volume, too.
    """

    drives: Path | None = None
    real_drives: bool = True
    volume: bool = False
    boards: dict[str, BoardOptions] = msgspec.field(default_factory=dict)

    def board(self, serial: str, port: str | None = None) -> BoardOptions:
        """The options of a probe: its own section, then its port's, then plain ones."""
        own = self.boards.get(serial, BoardOptions())
        return own if port is None else own.over(self.boards.get(PORT + port, BoardOptions()))


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


def parse_path(value: object) -> str:
    """A path. Raises ValueError that says what is allowed."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a path in quotes")
    return value
