"""The schema of the configuration file, as data: checks, the sample and docs/config.md all come from these tables.

A new option is one field of :class:`~msdflash.daemon.config.BoardOptions` and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec

from msdflash.daemon.config import (
    parse_actions,
    parse_address,
    parse_connect,
    parse_fail_txt,
    parse_frequency,
    parse_name,
    parse_path,
    parse_retries,
    parse_seconds,
    parse_switch,
    parse_target,
    parse_unlock,
)
from msdflash.drop.actions import HARMLESS

_HARMLESS = "[" + ", ".join(f'"{word}"' for word in HARMLESS) + "]"


class Takes(StrEnum):
    """When a changed value is in force while the daemon runs."""

    DROP = "with the next drop"
    IDLE = "when the board's lane is idle; the lane is then restarted"
    START = "when the daemon is started again"


class Key(msgspec.Struct, frozen=True):
    """One key of the file.

    Attributes:
        name: as it is written.
        kind: its type in TOML's words.
        parse: from TOML's value to ours; raises ValueError with what is allowed.
        default: what holds without it, for people.
        sample: a value as TOML text.
        meaning: one sentence.
        takes: when a change is in force.
        is_path: a relative value counts from the file's own folder.
    """

    name: str
    kind: str
    parse: Callable[[object], Any]
    default: str
    sample: str
    meaning: str
    takes: Takes
    is_path: bool = False

    @property
    def allowed(self) -> str:
        """What is allowed, in the words of the check itself."""
        try:
            self.parse(None)
        except ValueError as error:
            return str(error)
        return "anything"


TOP_KEYS: tuple[Key, ...] = (
    Key(
        "drives", "string", parse_path, "`~/msdflash`", '"/srv/msdflash"',
        "The folder below which each board gets its drive folder.", Takes.START, is_path=True,
    ),
    Key(
        "real_drives", "boolean", parse_switch, "`true`", "false",
        "When the firmware of a probe's own drive fails, the board is measured and the cause told in DRIVE.TXT, see drive.md.", Takes.START,
    ),
    Key(
        "volume", "boolean", parse_switch, "`false`", "true",
        "Each board's folder is offered as a volume, too, see drive.md.", Takes.START,
    ),
)  # fmt: skip

BOARD_KEYS: tuple[Key, ...] = (
    Key(
        "name", "string", parse_name, "what the probe calls the board", '"bench3-left"',
        "The board's name in reports; its folder is named after it.", Takes.START,
    ),
    Key(
        "folder", "string", parse_path, "a folder below `drives`", '"/srv/bench3"',
        "The board's drive folder, where it shall not lie below `drives`.", Takes.START, is_path=True,
    ),
    Key(
        "target", "string", parse_target, "found out from board and chip", '"stm32l476rgtx"',
        "The pyOCD target or part.", Takes.IDLE,
    ),
    Key(
        "pack", "string", parse_path, "none", '"Keil.STM32L4xx_DFP.2.6.1.pack"',
        "A CMSIS-Pack that holds the target.", Takes.IDLE, is_path=True,
    ),
    Key(
        "base", "string or integer", parse_address, "the chip's boot flash", '"0x08004000"',
        "Where a file without addresses goes.", Takes.IDLE,
    ),
    Key(
        "frequency", "string or integer", parse_frequency, "depends on the kind of probe", '"1.8M"',
        "The SWD clock.", Takes.IDLE,
    ),
    Key(
        "connect", "string", parse_connect, '`"halt"`', '"under-reset"',
        "How the chip is connected to.", Takes.IDLE,
    ),
    Key(
        "retries", "integer", parse_retries, "`3`", "3",
        "Ways around a failure that may be tried, where evidence says that they can help.", Takes.DROP,
    ),
    Key(
        "busy_wait", "number", parse_seconds, "`10`", "10",
        "How long a drop waits for a probe that another program holds.", Takes.DROP,
    ),
    Key(
        "actions", "array of strings", parse_actions, f"`{_HARMLESS}`", _HARMLESS,
        "Action files that are obeyed, see drive.md.", Takes.IDLE,
    ),
    Key(
        "unlock", "string", parse_unlock, '`"never"`', '"action"',
        "When a locked chip is unlocked: on an UNLOCK.ACT, or before each drop. Unlocking erases the whole chip.", Takes.IDLE,
    ),
    Key(
        "allow_locking_images", "boolean", parse_switch, "`false`", "false",
        "Files that lock the chip may be flashed.", Takes.IDLE,
    ),
    Key(
        "fail_txt", "string", parse_fail_txt, '`"long"`', '"two-line"',
        "FAIL.TXT whole, or DAPLink's two lines alone with the rest in WHY.TXT.", Takes.IDLE,
    ),
)  # fmt: skip

BY_NAME = {key.name: key for key in BOARD_KEYS}
