"""Registers that do something, laid over a page of plain ones; and a look at any register, as the chip's own logic has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.bus import Memory
from msdflash.sim.ppb import RegisterPage

if TYPE_CHECKING:
    from msdflash.sim.bus import Bus
    from msdflash.sim.soc import Soc

PAGE = 0x1000


def peek(bus: Bus, address: int) -> int:
    """The word at an address, whoever holds it; 0 where nothing is."""
    owner = bus.owner(address)
    if owner is None:
        return 0
    if isinstance(owner, Memory):
        offset = address - owner.base
        return int.from_bytes(owner.data[offset : offset + 4], "little")
    return owner.read(address - owner.base, 4)


def poke(bus: Bus, address: int, value: int) -> None:
    """Change a word of a register that only keeps what is written."""
    owner = bus.owner(address)
    if isinstance(owner, Overlay):
        owner.keep(address - owner.base, value)
    elif isinstance(owner, RegisterPage):
        owner.values[address - owner.base] = value
    elif isinstance(owner, Memory):
        offset = address - owner.base
        owner.data[offset : offset + 4] = value.to_bytes(4, "little")


class Overlay(RegisterPage):
    """A page whose registers are in the memory below it, but for those that a subclass serves. Stores end the processor's slice."""

    def __init__(self, soc: Soc, base: int) -> None:
        super().__init__(base)
        self.soc = soc
        self.core = soc.core
        below = soc.bus.owner(base)
        if not isinstance(below, Memory):
            raise TypeError(f"there are no plain registers at 0x{base:08x}")
        self._below = below
        soc.bus.point(base, self)
        soc.cpu.give_page(self, self)

    def load(self, word: int) -> int:
        """Value of a register."""
        at = self.base - self._below.base + word
        return int.from_bytes(self._below.data[at : at + 4], "little")

    def store(self, word: int, value: int) -> None:
        """Store to a register."""
        self.keep(word, value)

    def keep(self, word: int, value: int) -> None:
        """Change a register as if it were plain."""
        at = self.base - self._below.base + word
        self._below.data[at : at + 4] = value.to_bytes(4, "little")

    def quick(self, _address: int, _size: int, _value: int) -> bool:
        """Never: see :class:`msdflash.sim.cpu.StoreWatcher`."""
        return False

    def before(self, _address: int, _size: int, _value: int) -> None:
        """Nothing to note: the device callback itself acts."""

    def after(self) -> None:
        """Nothing to undo."""
