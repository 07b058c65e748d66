"""Programs that make a chip hard to reach, as tables for the firmware ``script``: which registers they write on which family.

Addresses and values are those that the makers' own start-up code and examples use; see the sources of ``chips/stm32life.py`` and
``chips/watchdogs.py``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from msdflash.sim.boards import BOARDS
from msdflash.sim.chips.life import family

FIRMWARE = Path(__file__).parent / "firmware"
TABLE = 0x420
"""Where the firmware looks for its table, behind its vectors."""
BOOT2 = 0x100
"""Bytes of the second-stage boot loader that stand before those of an RP2040."""

Step = tuple[int, int, int]


def word(address: int, value: int) -> Step:
    """Store a word."""
    return 1, address, value


def half(address: int, value: int) -> Step:
    """Store a half-word."""
    return 2, address, value


def ones(address: int, value: int) -> Step:
    """Set bits of a word."""
    return 4, address, value


def zeros(address: int, value: int) -> Step:
    """Clear bits of a word."""
    return 5, address, value


def wait(turns: int) -> Step:
    """Count so far, about six instructions each."""
    return 6, 0, turns


def tick(cycles: int) -> Step:
    """Let SysTick interrupt every so many cycles."""
    return 9, 0, cycles - 1


SLEEP: Step = (7, 0, 0)
DEEP: Step = (7, 0, 1)
AGAIN: Step = (8, 0, 0)
"""What follows is repeated for ever."""
LEAVE_WATCHDOG: Step = (10, 0, 0)
"""First of all: leave a Kinetis its watchdog as it is."""

PWREN = 1 << 28
POWER: Mapping[str, Step] = {
    "stm32l4": ones(0x40021058, PWREN),
    "stm32f1": ones(0x4002101C, PWREN),
    "stm32f4": ones(0x40023840, PWREN),
    "stm32l0": ones(0x40021038, PWREN),
    "stm32h7": ones(0x580244E0, 0),  # its power control has no clock to switch on
}
STOP: Mapping[str, Step] = {
    "stm32l4": zeros(0x40007000, 7),
    **dict.fromkeys(("stm32f1", "stm32f4", "stm32l0"), zeros(0x40007000, 2)),
    "stm32h7": zeros(0x58024810, 7),
}
STANDBY: Mapping[str, Step] = {
    "stm32l4": ones(0x40007000, 3),
    **dict.fromkeys(("stm32f1", "stm32f4", "stm32l0"), ones(0x40007000, 2)),
    "stm32h7": ones(0x58024810, 7),
}
STM32 = tuple(POWER)
KINETIS_PINS = (ones(0x40048038, 1 << 9), word(0x40049000, 0x100), word(0x4004900C, 0x100))  # PORTA's clock; PTA0 and PTA3 are GPIO
PINS: Mapping[str, Sequence[Step]] = {
    "stm32l4": (ones(0x4002104C, 1), word(0x48000000, 0xFFFFFFFF)),  # all analogue, to save current
    "stm32f1": (ones(0x40021018, 1), word(0x40010004, 4 << 24)),  # SWJ_CFG: both ports off
    "stm32f4": (ones(0x40023830, 1), word(0x40020000, 0xFFFFFFFF)),
    "stm32l0": (ones(0x4002102C, 1), word(0x50000000, 0xFFFFFFFF)),
    "stm32h7": (ones(0x580244E0, 1), word(0x58020000, 0xFFFFFFFF)),
    "k64f": KINETIS_PINS,
    "kl25z": KINETIS_PINS,
    "rp2040": (word(0x40004014, 0xEE),),  # both processors' debug ports to the program, as a debugger that runs on the chip does
}
LOW: Mapping[str, Sequence[Step]] = {
    name: (PINS[name][0], word(PINS[name][1][1], modes))
    for name, modes in {"stm32l4": 0xA7FFFFFF, "stm32f4": 0xA4000000, "stm32l0": 0xE7FFFCFF, "stm32h7": 0xA7FFFFFF}.items()
}
"""PA13 as output, which is low."""
IWDG = {name: 0x58004800 if name == "stm32h7" else 0x40003000 for name in STM32}
WWDG = {name: 0x50003000 if name == "stm32h7" else 0x40002C00 for name in STM32}
WDT, LPC = 0x40010000, 0x40000000
DOG: Mapping[str, Sequence[Step]] = {
    **{name: (word(at, 0x5555), word(at + 8, 799), word(at, 0xCCCC)) for name, at in IWDG.items()},  # 800 cycles of a quarter of the LSI
    "k64f": (LEAVE_WATCHDOG,),
    "kl25z": (LEAVE_WATCHDOG,),
    "nrf5": (word(WDT + 0x504, 3276), word(WDT + 0x508, 1), word(WDT, 1)),
    "lpc1768": (word(LPC, 3), word(LPC + 4, 100_000), word(LPC + 8, 0xAA), word(LPC + 8, 0x55)),
}
"""A watchdog of about 100 ms; that of a Kinetis has what it has after reset, more than a second."""
FOOD: Mapping[str, Sequence[Step]] = {
    **{name: (word(at, 0xAAAA),) for name, at in IWDG.items()},
    "k64f": (half(0x4005200C, 0xA602), half(0x4005200C, 0xB480)),
    "kl25z": (word(0x40048104, 0x55), word(0x40048104, 0xAA)),
    "nrf5": (word(WDT + 0x600, 0x6E524635),),
    "lpc1768": (word(LPC + 8, 0xAA), word(LPC + 8, 0x55)),
}

SCRIPTS: dict[str, Mapping[str, Sequence[Step]]] = {
    "count": dict.fromkeys((*DOG, "rp2040"), ()),
    "wfi": dict.fromkeys((*DOG, "rp2040"), (SLEEP,)),
    "wfi-ticking": dict.fromkeys(DOG, (tick(4000), SLEEP)),
    "stop": {name: (POWER[name], STOP[name], DEEP) for name in STM32},
    "standby": {name: (POWER[name], STANDBY[name], DEEP) for name in STM32},
    "shutdown": {"stm32l4": (POWER["stm32l4"], ones(0x40007000, 4), DEEP)},
    "standby-late": {name: (wait(60_000), POWER[name], STANDBY[name], DEEP) for name in STM32},
    "standby-by-turns": {name: (*DOG[name], wait(20_000), POWER[name], STANDBY[name], DEEP) for name in STM32},
    "system-off": {"nrf5": (word(0x40000500, 1),)},
    "pins-taken": PINS,
    "pins-taken-late": {name: (wait(60_000), *steps) for name, steps in PINS.items()},
    "pins-low": LOW,
    "watchdog": DOG,
    "watchdog-fed": {name: (*DOG[name], AGAIN, *FOOD[name], wait(1000)) for name in DOG},
    "watchdog-short": {  # 10 ms, which an erase outlasts
        name: (word(at, 0x5555), word(at + 8, 79), word(at, 0xCCCC), AGAIN, word(at, 0xAAAA), wait(200)) for name, at in IWDG.items()
    },
    "window-watchdog": {name: (word(at, 0xFF),) for name, at in WWDG.items()},
    "window-watchdog-early": {name: (word(at + 4, 0x50), word(at, 0xFF), word(at, 0xFF)) for name, at in WWDG.items()},
    "supply-bypass": {"stm32h7": (wait(2000), word(0x5802480C, 1))},
    "remap-to-ram": {
        name: (word(0x40013800 if name == "stm32f4" else 0x40010000, 3),) for name in ("stm32l4", "stm32f4", "stm32l0")
    },
}  # fmt: skip
"""Tables by what they do and by family (:func:`msdflash.sim.chips.life.family`)."""


def image(board: str, name: str) -> bytes:
    """The firmware with a table behind it, for a board's flash. Raises KeyError where the family has no such table."""
    chip = BOARDS[board].chip
    steps = SCRIPTS[name][family(chip)]
    kind = "any" if BOARDS[board].st_chip else "lpc" if chip.startswith("lpc") else "xip" if chip == "rp2040" else "zero"
    at = TABLE + (BOOT2 if kind == "xip" else 0)
    code = bytearray((FIRMWARE / f"script-{kind}.bin").read_bytes().ljust(at, b"\xff"))
    if kind == "lpc":  # the boot ROM wants the first eight words to sum up to zero (UM10360 32.3.1.1)
        code[28:32] = (-sum(struct.unpack("<7I", code[:28])) & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(code) + b"".join(struct.pack("<3I", *step) for step in steps)
