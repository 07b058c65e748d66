"""Reset and clock control of the STM32 families: every clock that is switched on is ready at once, and the reset flags add up."""

from __future__ import annotations

import msgspec

from msdflash.sim.ppb import RegisterPage


class Clocks(msgspec.Struct, frozen=True):
    """One family's registers. Offsets are from the start of RCC.

    Attributes:
        ready: by register, pairs of an enable bit and its ready bit.
        reset: reset values.
        source: register whose bits ``select`` choose the system clock, shown back ``shown`` bits further up.
        select: mask of the choice.
        shown: distance of the status from the choice.
        flags: register with the reset flags.
        clear: bit in it that clears them.
        causes: flags by cause of a reset.
    """

    ready: dict[int, tuple[tuple[int, int], ...]]
    reset: dict[int, int]
    source: int
    select: int
    shown: int
    flags: int
    clear: int
    causes: dict[str, int]


class Rcc(RegisterPage):
    """The registers, at some offset of their page; ``beside`` are fixed reset values of other peripherals in the same page."""

    def __init__(self, page: int, offset: int, clocks: Clocks, beside: dict[int, int] | None = None) -> None:
        super().__init__(page)
        self._offset = offset
        self._clocks = clocks
        self._beside = dict(beside or {})
        self.flags = 0
        self.reset("power")

    def power_on(self) -> None:
        """The flags of former resets are gone."""
        self.flags = 0

    def reset(self, cause: str) -> None:
        """System reset: another flag, all else as it comes up."""
        self.flags |= self._clocks.causes.get(cause, 0)
        self.values = {**self._beside, **{self._offset + word: value for word, value in self._clocks.reset.items()}}

    def load(self, word: int) -> int:
        """Ready bits follow their enable bits; the clock's status follows its choice."""
        value = self.values.get(word, 0)
        register = word - self._offset
        for enable, ready in self._clocks.ready.get(register, ()):
            value = value & ~(1 << ready) | (value >> enable & 1) << ready
        if register == self._clocks.source:
            value = value & ~(self._clocks.select << self._clocks.shown) | (value & self._clocks.select) << self._clocks.shown
        if register == self._clocks.flags:
            value |= self.flags
        return value

    def store(self, word: int, value: int) -> None:
        """Store to a register; one bit clears the reset flags."""
        if word - self._offset == self._clocks.flags:
            if value >> self._clocks.clear & 1:
                self.flags = 0
            value &= 0xFFFF & ~(1 << self._clocks.clear)
        super().store(word, value)
