"""What each chip has beside processor, flash and buses, by the beginning of its name: watchdogs, power control, debug pins, boot source.

A chip that is not in the table has none of it: its watchdogs only keep what is written, and WFI is never deeper than sleep.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from msdflash.sim.chips import stm32life
from msdflash.sim.chips.nrf import Nrf
from msdflash.sim.chips.overlay import peek, poke
from msdflash.sim.chips.watchdogs import Cop, Iwdg, LpcWdt, NordicWdt, Wdog, Wwdg
from msdflash.sim.core import Depth, State
from msdflash.sim.dp import SwDp

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.soc import Block, Soc


class Dogs(msgspec.Struct, frozen=True):
    """The watchdogs of an STM32 family.

    Attributes:
        independent: address of IWDG.
        hertz: of the LSI (data sheets, typical).
        frozen: address and bit in the debug unit that stop IWDG while the core is halted.
        option: address and bit of the option that reads 0 when IWDG starts with each reset.
        window: address of WWDG, lowest bit of its WDGTB.
        window_frozen: as ``frozen``.
    """

    independent: int
    hertz: int
    frozen: tuple[int, int]
    option: tuple[int, int]
    window: tuple[int, int]
    window_frozen: tuple[int, int]


DOGS = {
    "stm32l4": Dogs(0x40003000, 32_000, (0xE0042008, 12), (0x40022020, 16), (0x40002C00, 7), (0xE0042008, 11)),
    "stm32f1": Dogs(0x40003000, 40_000, (0xE0042004, 8), (0x4002201C, 2), (0x40002C00, 7), (0xE0042004, 9)),
    "stm32f4": Dogs(0x40003000, 32_000, (0xE0042008, 12), (0x40023C14, 5), (0x40002C00, 7), (0xE0042008, 11)),
    "stm32l0": Dogs(0x40003000, 37_000, (0x40015808, 12), (0x4002201C, 20), (0x40002C00, 7), (0x40015808, 11)),
    "stm32h7": Dogs(0x58004800, 32_000, (0x5C001054, 18), (0x5200201C, 4), (0x50003000, 11), (0x5C001034, 6)),
}


PORTA_RESETS = {0x40049000: 0x702, 0x4004900C: 0x703}  # PCR0, PCR3


class KinetisPins:
    """PTA0 and PTA3: the debug port's in alternative 7, as after each reset (K64P144M120SF5RM 10.3.1, KL25P80M48SF0RM 10.3.1)."""

    def __init__(self, soc: Soc) -> None:
        self._bus = soc.bus
        soc.pins = self._taken

    def _taken(self) -> str | None:
        return None if all(peek(self._bus, pin) >> 8 & 7 == 7 for pin in PORTA_RESETS) else "float"

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""

    def reset(self, _cause: str) -> None:
        """The debug port has its pins back."""
        for address, value in PORTA_RESETS.items():
            poke(self._bus, address, value)


DBGFORCE, ATTACHED = 0x40004014, (1 << 3, 1 << 7)


class AttachedPorts:
    """A program can take a processor's debug port off the pads, to be its debugger itself; the rescue port stays.

    RP2040, SYSCFG DBGFORCE: PROC0_ATTACH, PROC1_ATTACH (pico-sdk ``hardware/regs/syscfg.h``).
    """

    def __init__(self, soc: Soc) -> None:
        self._bus = soc.bus
        soc.detached = self._detached

    def _detached(self, port: int) -> bool:
        return port < len(ATTACHED) and bool(peek(self._bus, DBGFORCE) & ATTACHED[port])

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""

    def reset(self, _cause: str) -> None:
        """Nothing: the register is reset with all others."""


class SystemOff:
    """System OFF of an nRF (PS 5.3.3): all off but the debug port, and a request for debug power wakes the chip by a reset.

    While debug power is on it is only emulated, and the program goes on (PS 5.3.3.1).
    """

    def __init__(self, soc: Soc) -> None:
        self._soc = soc
        soc.off_port = True
        if isinstance(soc.dp, SwDp):
            soc.dp.on_power_request = self._asked
        if isinstance(soc.chip, Nrf):
            soc.chip.power.on_off = self._off

    def _off(self) -> None:
        if not self._soc.dp.debugging:
            self._soc.core.off_wanted = True

    def _asked(self) -> None:
        """CTRL/STAT was written; what for makes no difference here, since all debuggers ask for power with it."""
        core = self._soc.core
        if core.state is State.ASLEEP and core.depth is Depth.OFF:
            self._soc.reset("debugger")

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""

    def reset(self, _cause: str) -> None:
        """Nothing: it was over before."""


def _stm32(family: str, soc: Soc) -> list[Block]:
    dogs = DOGS[family]
    blocks: list[Block] = [
        Iwdg(soc, dogs.independent, dogs.hertz, dogs.frozen, dogs.option),
        Wwdg(soc, *dogs.window, dogs.window_frozen),
        stm32life.Sleep(soc, stm32life.MODES[family]),
        stm32life.Pins(soc, stm32life.PORTS[family]),
        stm32life.Boot(soc, stm32life.SOURCES[family]),
    ]
    if family == "stm32h7":
        blocks.append(stm32life.Supply(soc))
    return blocks


LIFE: dict[str, Callable[[Soc], list[Block]]] = {
    **{family: partial(_stm32, family) for family in DOGS},
    "k64f": lambda soc: [Wdog(soc), KinetisPins(soc)],
    "kl25z": lambda soc: [Cop(soc), KinetisPins(soc)],
    "nrf5": lambda soc: [NordicWdt(soc), SystemOff(soc)],
    "lpc1768": lambda soc: [LpcWdt(soc)],
    "rp2040": lambda soc: [AttachedPorts(soc)],
}


def family(name: str) -> str:
    """The key of :data:`LIFE` for a chip, or ""."""
    return next((prefix for prefix in LIFE if name.startswith(prefix)), "")


def fit(soc: Soc) -> None:
    """Give a chip what its row says. Before its supply comes up."""
    prefix = family(soc.chip.name)
    if prefix:
        soc.blocks.extend(LIFE[prefix](soc))
