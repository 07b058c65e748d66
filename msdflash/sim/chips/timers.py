"""General-purpose timers TIM2 to TIM5 of an STM32 (RM0351 chapter 31): up-counting, compare channel 1 and update, with interrupts.

Other modes and channels only keep their register values. Time within one slice of the processor stands still, so a loop that reads the
counter sees it jump.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.nvic import FIRST_IRQ
from msdflash.sim.ppb import RegisterPage

if TYPE_CHECKING:
    from msdflash.sim.core import Core
    from msdflash.sim.soc import Soc

BASE = 0x40000000
CR1, DIER, SR, EGR, CNT, PSC, ARR, CCR1 = 0x00, 0x0C, 0x10, 0x14, 0x24, 0x28, 0x2C, 0x34
CEN, UPDATE, COMPARE = 1, 1, 2
LINES = ((0x000, 28, 32), (0x400, 29, 16), (0x800, 30, 16), (0xC00, 50, 32))  # offset in the page, interrupt, width (RM0351 13.3)


class Timer:
    """One counter. Times are processor cycles."""

    def __init__(self, interrupt: int, width: int) -> None:
        self._exception = FIRST_IRQ + interrupt
        self._full = (1 << width) - 1
        self.reset()

    def reset(self) -> None:
        """Reset values of its registers."""
        self.values = {CR1: 0, DIER: 0, SR: 0, PSC: 0, ARR: self._full, CCR1: 0}
        self._count = 0
        self._since = 0
        self._wanted = False

    @property
    def running(self) -> bool:
        """The counter is enabled."""
        return bool(self.values[CR1] & CEN)

    def count(self, now: int) -> int:
        """The counter's value."""
        if not self.running:
            return self._count
        return (self._count + (now - self._since) // (self.values[PSC] + 1)) % (self.values[ARR] + 1)

    def _settle(self, now: int) -> None:
        """Fold the time that has passed into the counter, keeping what the prescaler has not used up."""
        if self.running:
            step = self.values[PSC] + 1
            passed = now - self._since
            self._count = (self._count + passed // step) % (self.values[ARR] + 1)
            self._since = now - passed % step
        else:
            self._since = now

    def _ticks(self, count: int) -> tuple[int, int]:
        """Ticks until the next update and the next compare match."""
        period = self.values[ARR] + 1
        return period - count, (self.values[CCR1] - count - 1) % period + 1

    def left(self, now: int) -> int | None:
        """See :class:`msdflash.sim.core.Alarm`."""
        if self._wanted:
            return 0
        enabled = self.values[DIER] & ~self.values[SR]
        if not self.running or not enabled & 3:
            return None
        update, compare = self._ticks(self._count)
        ticks = min([update] * bool(enabled & UPDATE) + [compare] * bool(enabled & COMPARE))
        return max(ticks * (self.values[PSC] + 1) - (now - self._since), 0)

    def elapse(self, now: int) -> int | None:
        """See :class:`msdflash.sim.core.Alarm`."""
        if self.running:
            update, compare = self._ticks(self._count)
            passed = (now - self._since) // (self.values[PSC] + 1)
            flags = (UPDATE if passed >= update else 0) | (COMPARE if passed >= compare else 0)
            self._settle(now)
            self._raise(flags)
        wanted, self._wanted = self._wanted, False
        return self._exception if wanted else None

    def _raise(self, flags: int) -> None:
        new = flags & ~self.values[SR]
        self.values[SR] |= flags
        if new & self.values[DIER]:
            self._wanted = True

    def load(self, register: int, now: int) -> int:
        """Value of a register."""
        if register == CNT:
            return self.count(now)
        return self.values.get(register, 0)

    def store(self, register: int, value: int, now: int) -> None:
        """Store to a register. The prescaler takes effect at once, not at the next update."""
        self._settle(now)
        if register == SR:
            self.values[SR] &= value  # cleared by writing zeros
        elif register == CNT:
            self._count = value & self._full
        elif register == EGR:
            if value & UPDATE:
                self._count = 0
            self._raise(value & 3)
        elif register == PSC:
            self.values[PSC] = value & 0xFFFF
        elif register in (ARR, CCR1):
            self.values[register] = value & self._full
        else:
            self.values[register] = value
            if register == DIER and self.values[SR] & value & 3:
                self._wanted = True


class Timers(RegisterPage):
    """The page with TIM2 to TIM5. Stores to it end the processor's slice, so that a new deadline counts at once."""

    def __init__(self) -> None:
        super().__init__(BASE)
        self._timers = {offset: Timer(interrupt, width) for offset, interrupt, width in LINES}
        self._core: Core | None = None

    def attach(self, soc: Soc) -> None:
        """Put the page on the bus and the timers among the core's alarms."""
        self._core = soc.core
        soc.core.alarms.extend(self._timers.values())
        soc.bus.add(self)
        soc.cpu.map_device(self, self)

    def reset(self) -> None:
        """System reset."""
        for timer in self._timers.values():
            timer.reset()

    @property
    def _now(self) -> int:
        return self._core.cycles if self._core is not None else 0

    def load(self, word: int) -> int:
        """Value of a register."""
        return self._timers[word & 0xC00].load(word & 0x3FC, self._now)

    def store(self, word: int, value: int) -> None:
        """Store to a register."""
        self._timers[word & 0xC00].store(word & 0x3FC, value, self._now)

    def merge_base(self, word: int) -> int:
        """Flags are cleared by zeros: a part of SR must leave the rest alone."""
        return 0xFFFFFFFF if word & 0x3FC == SR else self.load(word)

    def quick(self, _address: int, _size: int, _value: int) -> bool:
        """Never: see :class:`msdflash.sim.cpu.StoreWatcher`."""
        return False

    def before(self, _address: int, _size: int, _value: int) -> None:
        """Nothing to note: the device callback itself acts."""

    def after(self) -> None:
        """Nothing to undo."""
