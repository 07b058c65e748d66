"""How read-out protection is removed, family by family, and what that destroys. Only ever carried out on the user's order by name.

A recipe is a list of moves on memory-mapped registers or on the maker's own access port. Where no recipe stands here, msdflash does not
unlock that family: nobody should find out on a board that a recipe was a guess.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Op(StrEnum):
    """What one move does."""

    WRITE = "write"  # a word at an address
    WRITE16 = "write16"  # a half-word at an address
    CHANGE = "change"  # read a word, replace the masked bits, write it back
    WAIT = "wait"  # until the masked bits of a word have the value
    AP_WRITE = "ap-write"  # a register of the maker's access port
    AP_WAIT = "ap-wait"
    LAUNCH = "launch"  # a write that resets the chip: what the probe says to it does not count


class Move(msgspec.Struct, frozen=True):
    """One step of a recipe.

    Attributes:
        op: what it does.
        where: address, or register of the access port.
        value: what is written or waited for.
        mask: bits that count, for CHANGE and the waits.
        seconds: how long a wait may take at most.
    """

    op: Op
    where: int
    value: int = 0
    mask: int = 0xFFFF_FFFF
    seconds: float = 0.0


class Recipe(msgspec.Struct, frozen=True):
    """How one family is unlocked.

    Attributes:
        moves: in order.
        destroys: what is gone afterwards, in plain words.
        again: what locks it again by itself, or "".
        port: index of the maker's access port, for the AP moves.
        source: manual and section.
    """

    moves: tuple[Move, ...]
    destroys: str
    source: str
    again: str = ""
    port: int = 0

    @property
    def seconds(self) -> float:
        """The longest it may take by its own waits."""
        return sum(move.seconds for move in self.moves)


def _keys(register: int, *keys: int) -> tuple[Move, ...]:
    return tuple(Move(Op.WRITE, register, key) for key in keys)


_FLASH_KEYS = (0x45670123, 0xCDEF89AB)
_OPTION_KEYS = (0x08192A3B, 0x4C5D6E7F)
_ALL = "all of the flash"

_L4 = Recipe(
    (
        *_keys(0x40022008, *_FLASH_KEYS),
        *_keys(0x4002200C, *_OPTION_KEYS),
        Move(Op.CHANGE, 0x40022020, 0xAA, 0xFF),
        Move(Op.CHANGE, 0x40022014, 1 << 17, 1 << 17),
        Move(Op.WAIT, 0x40022010, 0, 1 << 16, seconds=5.0),
        Move(Op.LAUNCH, 0x40022014, 1 << 27),
    ),
    f"{_ALL}, SRAM2 and the backup registers",
    "RM0351 3.4.2 (option keys, OPTSTRT, OBL_LAUNCH), 3.5.1 (level 1 to level 0)",
)

_F1 = Recipe(
    (
        *_keys(0x40022004, *_FLASH_KEYS),
        *_keys(0x40022008, *_FLASH_KEYS),
        Move(Op.WRITE, 0x40022010, 1 << 9 | 1 << 5),
        Move(Op.WRITE, 0x40022010, 1 << 9 | 1 << 6 | 1 << 5),
        Move(Op.WAIT, 0x4002200C, 0, 1, seconds=2.0),
        Move(Op.WRITE, 0x40022010, 1 << 9 | 1 << 4),
        Move(Op.WRITE16, 0x1FFFF800, 0x00A5),
        Move(Op.WAIT, 0x4002200C, 0, 1, seconds=2.0),
        Move(Op.LAUNCH, 0xE000ED0C, 0x05FA0004),
    ),
    f"{_ALL} and all option bytes, write protection among them",
    "PM0075 2.3.2 to 2.3.4 (keys, erasing and programming option bytes), 2.4.1 (unprotection)",
)

_F4 = Recipe(
    (
        *_keys(0x40023C08, *_OPTION_KEYS),
        Move(Op.CHANGE, 0x40023C14, 0xAA00, 0xFF03),
        Move(Op.CHANGE, 0x40023C14, 1 << 1, 1 << 1),
        Move(Op.WAIT, 0x40023C0C, 0, 1 << 16, seconds=40.0),
        Move(Op.LAUNCH, 0xE000ED0C, 0x05FA0004),
    ),
    f"{_ALL} and the backup SRAM",
    "RM0090 3.6.2 (option keys, OPTSTRT), 3.7.3 (level 1 to level 0)",
)

_L0 = Recipe(
    (
        *_keys(0x4002200C, 0x89ABCDEF, 0x02030405),
        *_keys(0x40022014, 0xFBEAD9C8, 0x24252627),
        Move(Op.WRITE, 0x1FF80000, 0xFF5500AA),
        Move(Op.WAIT, 0x40022018, 0, 1, seconds=5.0),
        Move(Op.LAUNCH, 0x40022004, 1 << 18),
    ),
    f"{_ALL} and the data EEPROM",
    "RM0377 3.3.4 (keys), 3.4.3 (option words), 3.4.4 (level 1 to level 0); OPTR[15:8] is written as zeros",
)

_H7 = Recipe(
    (
        *_keys(0x52002008, *_OPTION_KEYS),
        Move(Op.CHANGE, 0x52002020, 0xAA00, 0xFF00),
        Move(Op.CHANGE, 0x52002018, 1 << 1, 1 << 1),
        Move(Op.WAIT, 0x5200201C, 0, 1, seconds=60.0),
        Move(Op.LAUNCH, 0xE000ED0C, 0x05FA0004),
    ),
    f"{_ALL} and the backup SRAM",
    "RM0433 4.4.3 (option keys, OPTSTART, OPT_BUSY), 4.5.3 (level 1 to level 0)",
)

_NRF52 = Recipe(
    (
        Move(Op.AP_WRITE, 0x04, 1),
        Move(Op.AP_WAIT, 0x08, 0, 1, seconds=15.0),
        Move(Op.AP_WRITE, 0x00, 1),
        Move(Op.AP_WRITE, 0x00, 0),
        Move(Op.AP_WRITE, 0x04, 0),
    ),
    f"{_ALL}, UICR and RAM",
    "nRF52840 PS 4.8.2 (CTRL-AP: ERASEALL, ERASEALLSTATUS, RESET)",
    again="late nRF52 parts lock themselves at the next pin reset or power-on unless the program and UICR keep them open",
    port=1,
)

_NRF51 = Recipe(
    (
        Move(Op.WRITE, 0x4001E504, 2),
        Move(Op.WRITE, 0x4001E50C, 1),
        Move(Op.WAIT, 0x4001E400, 1, 1, seconds=5.0),
        Move(Op.WRITE, 0x4001E504, 0),
        Move(Op.LAUNCH, 0xE000ED0C, 0x05FA0004),
    ),
    f"{_ALL} and UICR",
    "nRF51 reference manual 6.1 (NVMC: CONFIG, ERASEALL, READY), 9 (readback protection)",
)

_KINETIS = Recipe(
    (
        Move(Op.AP_WAIT, 0x00, 1 << 5, 1 << 5, seconds=0.2),
        Move(Op.AP_WRITE, 0x04, 1),
        Move(Op.AP_WAIT, 0x00, 1, 1, seconds=1.0),
        Move(Op.AP_WAIT, 0x04, 0, 1, seconds=15.0),
        Move(Op.AP_WRITE, 0x04, 0),
    ),
    _ALL,
    "K64 reference manual, MDM-AP status and control registers (mass erase enable, acknowledge, in progress)",
    port=1,
)

RECIPES: dict[str, Recipe] = {
    "stm32l4": _L4,
    "stm32f1": _F1,
    "stm32f4": _F4,
    "stm32l0": _L0,
    "stm32h7": _H7,
    "nrf52": _NRF52,
    "nrf51": _NRF51,
    "kinetis-k6x": _KINETIS,
    "kinetis-kl2x": _KINETIS,
}
"""By family id; each was carried out on the bench, none on hardware."""
