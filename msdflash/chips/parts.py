"""From the names people know (part numbers, boards) to a pyOCD builtin that drives the same silicon. Offline.

pyOCD maps most ST boards to part numbers that need a CMSIS-Pack from the internet; many of them have a builtin with the
same die, or the same flash controller and layout, under another name. Only such pairs are in the tables.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from msdflash.chips.boards import BOARDS
from msdflash.chips.families import FAMILIES, builtin_for, devices_of_target

if TYPE_CHECKING:
    from msdflash.chips.model import Builtin, Device, Family

# fmt: off
FLASH_LETTERS = {
    "3": 8, "4": 16, "6": 32, "8": 64, "b": 128, "z": 192, "c": 256, "d": 384, "e": 512, "f": 768, "g": 1024,
    "h": 1536, "i": 2048,
}
# fmt: on
"""Flash size letter of STM32 ordering codes, in KiB ("Ordering information" of the STM32 data sheets)."""

_BOARD = re.compile(r"^(?:st[-_ ]?)?(?:nucleo|disco)[-_ ]?(?:stm32)?([a-z0-9]+)")
_BOARD_ID = re.compile(r"^(?:0x)?([0-9a-f]{4})$")


class Choice(msgspec.Struct, frozen=True):
    """A builtin chosen for a name.

    Attributes:
        target: pyOCD builtin target.
        part: part number, upper case, without package and temperature letters (``STM32L476RG``).
        flash_kib: flash that the name promises, or None. The map has to be cut to it and to the size register.
        how: one plain sentence: why this target.
    """

    target: str
    part: str
    flash_kib: int | None
    how: str


def resolve(name: str) -> Choice | None:
    """The builtin for a part number, board name or four-digit board id; None where no builtin drives that silicon.

    Accepts ``STM32L476RGT6``, ``stm32l476rgtx``, ``stm32l476rg``, ``NUCLEO-L476RG``, ``0765``, pyOCD's target names.
    """
    asked = name.strip().lower()
    own = _own(asked)
    if own is not None:
        return own
    board_id = _BOARD_ID.match(asked)
    if board_id:
        known = BOARDS.get(board_id.group(1))
        return _of_part(known[1], f"board {known[0]}") if known is not None else None
    for title, part in BOARDS.values():
        if title.lower() == asked:
            return _of_part(part, f"board {title}")
    board = _BOARD.match(asked)
    if board:
        return _of_part("stm32" + board.group(1), f"board {name.strip()}")
    return _of_part(asked, f"part {name.strip()}")


def decode(part: str) -> tuple[Family, Device, int | None] | None:
    """Family, die and flash in KiB that an ordering code stands for; None where it names none or more than one die."""
    name = part.lower()
    if not name.startswith("stm32"):
        return None
    stem = name.removeprefix("stm32")
    found: list[tuple[Family, Device, int | None]] = []
    for family in FAMILIES:
        for known in family.devices:
            line = next((line for line in known.lines if stem.startswith(line)), None)
            if line is None or not family.id.startswith("stm32"):
                continue
            kib = FLASH_LETTERS.get(stem[len(line) + 1 : len(line) + 2])
            if kib is None or known.kib[0] <= kib <= known.kib[1]:
                found.append((family, known, kib))
    return found[0] if len(found) == 1 else None


def _own(name: str) -> Choice | None:
    for family in FAMILIES:
        for known in family.devices:
            for item in known.builtins:
                if item.target == name and item.why == "same die":
                    return Choice(name, known.part, item.kib, "pyOCD builtin target")
        if name in family.targets:
            dies = devices_of_target(name)
            return Choice(name, dies[0].part if len(dies) == 1 else family.title, None, "pyOCD builtin target")
    return None


def _of_part(part: str, asked: str) -> Choice | None:
    decoded = decode(part)
    if decoded is None:
        return None
    _, known, kib = decoded
    found = builtin_for(known, kib) if kib is not None else _only(known)
    if found is None:
        return None
    line = next(line for line in known.lines if part.lower().startswith("stm32" + line))
    short = part[: len("stm32") + len(line) + (2 if kib is not None else 0)].upper()
    return Choice(found.target, short, kib, f"{asked}: pyOCD's {found.target} has the {found.why} ({known.part})")


def _only(known: Device) -> Builtin | None:
    return known.builtins[0] if len(known.builtins) == 1 and not known.builtins[0].exact else None
