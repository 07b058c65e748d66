"""What a program can do to an STM32 that a debugger then feels: sleep deeply, take the debug pins, start from elsewhere, lose its supply.

Sources: RM0090 5.3 (low-power modes; "debug mode"), 38.16.1 and 38.16.3 (DBGMCU_CR); the same chapters of RM0008, RM0351, RM0377, RM0433;
ports and remapping: RM0008 9.3.5 and 9.4.2, RM0351 8.5 and 9.2.1. Addresses as in ST's device headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from msdflash.sim.bus import Memory
from msdflash.sim.chips.overlay import peek, poke
from msdflash.sim.core import Depth

if TYPE_CHECKING:
    from msdflash.sim.soc import Soc

DBG_SLEEP, DBG_STOP, DBG_STANDBY = 1, 2, 4


class Modes(msgspec.Struct, frozen=True):
    """How a family chooses the depth of its deep sleep.

    Attributes:
        choice: address of the register with the choice.
        mask: its bits.
        standby: values of these bits that mean Standby or deeper; all others mean Stop.
        debug: address of DBGMCU_CR, or of what has the same three bits lowest.
        flag: address and bit that tell of a Standby before.
    """

    choice: int
    mask: int
    standby: frozenset[int]
    debug: int
    flag: tuple[int, int]


PDDS = frozenset({2})
MODES = {
    "stm32l4": Modes(0x40007000, 7, frozenset({3, 4, 5, 6, 7}), 0xE0042004, (0x40007010, 8)),  # RM0351 5.4.1, 5.4.5
    "stm32f1": Modes(0x40007000, 2, PDDS, 0xE0042004, (0x40007004, 1)),  # RM0008 5.4
    "stm32f4": Modes(0x40007000, 2, PDDS, 0xE0042004, (0x40007004, 1)),  # RM0090 5.4
    "stm32l0": Modes(0x40007000, 2, PDDS, 0x40015804, (0x40007004, 1)),  # RM0377 6.4
    "stm32h7": Modes(0x58024810, 7, frozenset({7}), 0x5C001004, (0x58024810, 6)),  # RM0433 6.8.5: all three domains
}


class Sleep:
    """Sleep, Stop and Standby.

    Attributes:
        open_sleep: variant: plain sleep leaves the debugger's bus its clock, whatever DBG_SLEEP says.
    """

    def __init__(self, soc: Soc, modes: Modes) -> None:
        self._soc = soc
        self._modes = modes
        self._stood_by = False
        self.open_sleep = False
        soc.core.falls_to = self._falls
        soc.bus_clocked = self._clocked

    def _falls(self) -> Depth:
        modes, bus = self._modes, self._soc.bus
        standby = peek(bus, modes.choice) & modes.mask in modes.standby
        if peek(bus, modes.debug) & (DBG_STANDBY if standby else DBG_STOP):
            return Depth.KEPT
        self._stood_by |= standby
        return Depth.OFF if standby else Depth.STOP

    def _clocked(self, depth: Depth) -> bool:
        if depth is Depth.SLEEP:
            return self.open_sleep or bool(peek(self._soc.bus, self._modes.debug) & DBG_SLEEP)
        return depth is Depth.KEPT

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""
        self._stood_by = False

    def reset(self, _cause: str) -> None:
        """The flag of a Standby outlasts resets. A program cannot clear it here."""
        if self._stood_by:
            address, bit = self._modes.flag
            poke(self._soc.bus, address, peek(self._soc.bus, address) | 1 << bit)


class Port(msgspec.Struct, frozen=True):
    """The port with the debug pins.

    Attributes:
        mode: address of GPIOA_MODER; 0: the family switches the debug port off by AFIO_MAPR.
        resets: reset values of the ports, by address.
    """

    mode: int
    resets: dict[int, int]


AFIO_MAPR, SWJ_CFG = 0x40010004, 24
GPIO_F1 = dict.fromkeys((0x40010800, 0x40010804, 0x40010C00, 0x40010C04, 0x40011000, 0x40011004), 0x44444444)  # RM0008 9.2
PORTS = {
    "stm32l4": Port(0x48000000, {}),  # its ports have their reset values themselves
    "stm32f1": Port(0, GPIO_F1),
    "stm32f4": Port(0x40020000, {0x40020000: 0xA8000000, 0x40020400: 0x280}),  # RM0090 8.4.1
    "stm32l0": Port(0x50000000, {0x50000000: 0xEBFFFCFF, 0x50000400: 0xFFFFFFFF}),  # RM0377 9.4.1
    "stm32h7": Port(0x58020000, {0x58020000: 0xABFFFFFF, 0x58020400: 0xFFFFFEBF}),  # RM0433 11.4.1
}
SWDIO, SWCLK, OUTPUT, ALTERNATE = 13, 14, 1, 2
ODR, AFRH = 0x14, 0x24


class Pins:
    """PA13 and PA14: the debug port's after each reset, the program's as soon as it says so (RM0351 8.3.1)."""

    def __init__(self, soc: Soc, port: Port) -> None:
        self._bus = soc.bus
        self._port = port
        soc.pins = self._mapr if not port.mode else self._moder

    def _mapr(self) -> str | None:
        """SWJ_CFG 0, 1 and 2 leave the serial wire port its pins (RM0008 9.3.5)."""
        return "float" if peek(self._bus, AFIO_MAPR) >> SWJ_CFG & 4 else None

    def _moder(self) -> str | None:
        """Both pins must be in alternate function 0."""
        base = self._port.mode
        modes = peek(self._bus, base)
        data = modes >> 2 * SWDIO & 3
        if data == ALTERNATE == modes >> 2 * SWCLK & 3 and not peek(self._bus, base + AFRH) >> 4 * (SWDIO - 8) & 0xFF:
            return None
        if data == OUTPUT:
            return "high" if peek(self._bus, base + ODR) >> SWDIO & 1 else "low"
        return "float"

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""

    def reset(self, _cause: str) -> None:
        """The debug port has its pins back."""
        for address, value in self._port.resets.items():
            poke(self._bus, address, value)


class Source(msgspec.Struct, frozen=True):
    """Where a family can start from.

    Attributes:
        system: address of the boot loader's memory.
        ram: address of the RAM that can be started from.
        remap: address of the register whose two lowest bits say what shows at 0; 0: there is none. None: nothing shows there, and the
            core's table is where it starts from.
        option: address and bit of the option that reads 0 when BOOT0 high means RAM; None: another pin decides, and it is low.
    """

    system: int
    ram: int
    remap: int | None
    option: tuple[int, int] | None


SOURCES = {
    "stm32l4": Source(0x1FFF0000, 0x20000000, 0x40010000, (0x40022020, 23)),  # RM0351 2.6, 3.4.1
    "stm32f1": Source(0x1FFFF000, 0x20000000, 0, None),  # RM0008 3.4
    "stm32f4": Source(0x1FFF0000, 0x20000000, 0x40013800, None),  # RM0090 2.4
    "stm32l0": Source(0x1FF00000, 0x20000000, 0x40010000, (0x4002201C, 31)),  # RM0377 2.4
    "stm32h7": Source(0x1FF00000, 0x24000000, None, None),  # RM0433 2.6: BOOT_ADD1 as it comes
}
FROM_FLASH, FROM_SYSTEM, FROM_RAM = 0, 1, 3  # MEM_MODE
ENTRY = 0x100  # of our stand-in for ST's boot loader, which waits for ever
IDLE = bytes.fromhex("fee7")  # b .


class Boot:
    """The boot source: BOOT0 as it was at the last reset, and what shows at address 0.

    Only the vector fetch and a debugger see what shows there; the processor's own reads of it always see flash.

    Attributes:
        high: BOOT0 is high.
    """

    def __init__(self, soc: Soc, source: Source) -> None:
        self._soc = soc
        self._source = source
        self.high = False
        self._shown = FROM_FLASH
        owner = soc.bus.owner(source.system)
        system = owner if isinstance(owner, Memory) else Memory("none", source.system, bytearray(0x1000))
        at = source.system - system.base
        system.data[at : at + 8] = (source.ram + 0x800).to_bytes(4, "little") + (source.system + ENTRY + 1).to_bytes(4, "little")
        system.data[at + ENTRY : at + ENTRY + 2] = IDLE
        flash = soc.bus.owner(0)
        ram = soc.bus.owner(source.ram)
        self._at_zero = {FROM_FLASH: flash, FROM_SYSTEM: self._window(system, at), FROM_RAM: self._window(ram, 0)}
        self._size = flash.size if flash is not None else 0
        if source.remap:
            soc.after_slice.append(self.settle)

    @staticmethod
    def _window(owner: object, at: int) -> Memory | None:
        if not isinstance(owner, Memory):
            return None
        # A copy would go stale: the same bytes, seen from 0 on. Only the first memory of a family has its base elsewhere.
        window = Memory(f"{owner.name} at 0", -at, owner.data, writable=False, volatile=False)
        window.size = owner.size
        return window

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""

    def reset(self, _cause: str) -> None:
        """BOOT0 is looked at."""
        source, bus = self._source, self._soc.bus
        chosen = FROM_FLASH
        if self.high:
            chosen = FROM_RAM if source.option is not None and not peek(bus, source.option[0]) >> source.option[1] & 1 else FROM_SYSTEM
        if source.remap is None:
            place = {FROM_SYSTEM: source.system, FROM_RAM: source.ram}.get(chosen)
            self._soc.core.set_vectors(self._soc.habits.vectors if place is None else place)
            return
        if source.remap:
            poke(bus, source.remap, chosen)
        self._show(chosen)

    def settle(self) -> None:
        """A program may have chosen another memory (SYSCFG, MEM_MODE)."""
        if self._source.remap:
            self._show(peek(self._soc.bus, self._source.remap) & 3)

    def _show(self, chosen: int) -> None:
        owner = self._at_zero.get(chosen)
        if chosen == self._shown or owner is None:
            return
        self._shown = chosen
        for page in range(0, self._size, 0x1000):
            self._soc.bus.point(page, owner)


class Supply:
    """The H7's supply configuration (RM0433 6.8.4).

    BYPASS asks for a core supply from outside, which no board of the bench has: the core goes dark until the next power-on, and no reset
    helps.
    """

    ADDRESS, BYPASS = 0x5802480C, 1

    def __init__(self, soc: Soc) -> None:
        self._soc = soc
        soc.after_slice.append(self._settle)

    def _settle(self) -> None:
        if self._soc.powered and peek(self._soc.bus, self.ADDRESS) & self.BYPASS:
            self._soc.set_power(False, False)

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""

    def reset(self, _cause: str) -> None:
        """Nothing: a reset does not touch it, and one that is dark is not reset."""


HARDWARE_WATCHDOG = {"stm32l4": (0, 16), "stm32f1": (1, 0), "stm32f4": (0, 5), "stm32l0": (1, 4), "stm32h7": (0, 4)}
"""By family: which of the controller's option words has IWDG_SW or WDG_SW, and its bit there."""


def hardware_watchdog(family: str, options: list[int]) -> tuple[int, int]:
    """Which option word to change, and to what, so that IWDG starts with each reset. ``options`` as the family's controller keeps them."""
    slot, bit = HARDWARE_WATCHDOG[family]
    value = options[slot] & ~(1 << bit)
    if family == "stm32f1":  # each byte has its complement above it (PM0075 2.5)
        value = (~value & 0xFF) << 8 | value & 0xFF
    return slot, value
