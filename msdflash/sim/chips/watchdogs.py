"""Watchdogs: counters that reset the chip when nobody feeds them, and that count on without the core.

Sources: RM0090 chapters 21 (IWDG) and 22 (WWDG), 38.16.4 (freezing) and the same chapters of RM0008, RM0351, RM0377 and RM0433; MK20 and
K64 reference manuals, WDOG chapter; KL25 reference manual, SIM (COP); nRF52840 product specification v1.7, WDT; UM10360 chapter 28 (WDT).
What was not at hand is marked in docs/bench.md. Time is the bench's (:attr:`msdflash.sim.core.Core.time`), and passes in steps: a store
to a watchdog ends a step, so that feeding is never late by more than the instructions in front of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.chips.overlay import Overlay, peek
from msdflash.sim.core import State
from msdflash.sim.soc import INSTRUCTION_HERTZ

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.soc import Soc


class Counter:
    """Counts down to a reset. An alarm of the core, also while the core stands.

    Attributes:
        running: it counts.
        cause: the name of the reset that it makes.
    """

    def __init__(self, soc: Soc, cause: str, frozen: Callable[[], bool]) -> None:
        self._core = soc.core
        self.cause = cause
        self.running = False
        self._frozen = frozen
        self._left = 0
        self._seen = 0
        soc.core.fitted.append(self)

    def start(self, seconds: float) -> None:
        """Count from the whole time on."""
        if not self.running:
            self.running = True
            self._core.heed_guards()
        self._left = max(int(seconds * INSTRUCTION_HERTZ), 1)
        self._seen = self._core.time

    def stop(self) -> None:
        """Stand still."""
        if self.running:
            self.running = False
            self._core.heed_guards()

    def bite(self) -> None:
        """Reset the chip now."""
        self._core.request_reset(system=True, cause=self.cause)

    @property
    def remaining(self) -> float:
        """Seconds until it resets the chip, as far as time was counted."""
        return self._left / INSTRUCTION_HERTZ

    def left(self, _now: int) -> int | None:
        """See :class:`msdflash.sim.core.Alarm`."""
        if not self.running or self._frozen():
            return None
        return max(self._left - (self._core.time - self._seen), 0) * self._core.rate

    def elapse(self, _now: int) -> int | None:
        """See the protocol."""
        passed, self._seen = self._core.time - self._seen, self._core.time
        if self.running and not self._frozen():
            self._left -= passed
            if self._left <= 0:
                self.bite()
        return None


def _halted_and(soc: Soc, address: int, bit: int) -> Callable[[], bool]:
    """Frozen while the core is halted and a bit of the chip's debug unit says so."""
    return lambda: soc.core.state is State.HALTED and bool(peek(soc.bus, address) >> bit & 1)


KR, PR, RLR, SR, WINR = 0x00, 0x04, 0x08, 0x0C, 0x10  # RM0090 21.4
FEED, UNLOCK, START = 0xAAAA, 0x5555, 0xCCCC


class Iwdg(Overlay):
    """The independent watchdog of an STM32, by its own oscillator. A window (WINR) is kept and not heeded.

    Args:
        address: of its registers.
        hertz: of the LSI, nominal.
        freeze: address and bit that stop it while the core is halted.
        option: address and bit of the option that reads 0 when it starts with each reset.
    """

    def __init__(self, soc: Soc, address: int, hertz: int, freeze: tuple[int, int], option: tuple[int, int]) -> None:
        super().__init__(soc, address & ~0xFFF)
        self._at = address & 0xFFF
        self._hertz = hertz
        self._option = option
        self.counter = Counter(soc, "watchdog", _halted_and(soc, *freeze))
        self._open = False

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""

    def reset(self, _cause: str) -> None:
        """Any reset stops it, unless the option bytes start it."""
        self.counter.stop()
        self._open = False
        self.keep(self._at + RLR, 0xFFF)
        self.keep(self._at + WINR, 0xFFF)
        address, bit = self._option
        if not peek(self.soc.bus, address) >> bit & 1:
            self._feed()

    def load(self, word: int) -> int:
        """Value of a register. KR reads 0; updates are over at once."""
        return 0 if word - self._at in (KR, SR) else super().load(word)

    def store(self, word: int, value: int) -> None:
        """Store to a register (21.3)."""
        register = word - self._at
        if register == KR:
            self._open = value & 0xFFFF == UNLOCK
            if value & 0xFFFF == START or (value & 0xFFFF == FEED and self.counter.running):
                self._feed()
        elif register in (PR, RLR, WINR):
            if self._open:
                self.keep(word, value & (7 if register == PR else 0xFFF))
        else:
            super().store(word, value)

    def _feed(self) -> None:
        divider = 4 << min(self.load(self._at + PR), 6)
        self.counter.start((self.load(self._at + RLR) + 1) * divider / self._hertz)


CR, CFR = 0x00, 0x04  # RM0090 22.6
WDGA, T6 = 0x80, 0x40


class Wwdg(Overlay):
    """The window watchdog of an STM32, by the bus clock, which is taken to be the core's. No early interrupt.

    Args:
        address: of its registers.
        base: lowest bit of WDGTB in CFR.
        freeze: address and bit that stop it while the core is halted.
    """

    def __init__(self, soc: Soc, address: int, base: int, freeze: tuple[int, int]) -> None:
        super().__init__(soc, address & ~0xFFF)
        self._at = address & 0xFFF
        self._base = base
        frozen = _halted_and(soc, *freeze)
        # In Stop its clock is off; so it counts only while the core's own does, or while that one is halted.
        self.counter = Counter(soc, "window", lambda: frozen() or not (soc.core.lives or soc.core.state is State.HALTED))

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""

    def reset(self, _cause: str) -> None:
        """Any reset stops it."""
        self.counter.stop()
        self.keep(self._at + CR, 0x7F)
        self.keep(self._at + CFR, 0x7F)

    @property
    def _step(self) -> float:
        """Seconds between two counts."""
        return (4096 << (self.load(self._at + CFR) >> self._base & 3)) / (INSTRUCTION_HERTZ * self.core.rate)

    def store(self, word: int, value: int) -> None:
        """Store to a register: reloading too early or below 0x40 resets at once (22.3)."""
        if word - self._at != CR:
            super().store(word, value)
            return
        on = bool(value & WDGA) or self.counter.running
        if not on:
            self.keep(word, value & 0x7F)
            return
        count, window = value & 0x7F, self.load(self._at + CFR) & 0x7F
        early = self.counter.running and self._count() > window
        self.keep(word, count | WDGA)
        self.counter.start((count - T6 + 1) * self._step)
        if early or not count & T6:
            self.counter.bite()

    def _count(self) -> int:
        self.counter.elapse(0)
        return T6 - 1 + round(self.counter.remaining / self._step)


BUS_HERTZ, LPO_HERTZ = 20_971_520, 1000  # the clocks of a Kinetis after reset
STCTRLH, TOVALH, TOVALL, REFRESH, UNLOCK_REGISTER, PRESC = 0x00, 0x04, 0x06, 0x0C, 0x0E, 0x16
WDOGEN, CLKSRC, ALLOWUPDATE, DBGEN = 1, 2, 0x10, 0x20
WDOG_RESET = {STCTRLH: 0x01D3, TOVALH: 0x004C, TOVALL: 0x4B4C, 0x0A: 0x0010, REFRESH: 0xB480, UNLOCK_REGISTER: 0xD928, PRESC: 0x0400}


class Wdog(Overlay):
    """WDOG of a K64F, on after each reset. Half-word registers; those that configure it open with the unlock sequence.

    The 20 and 256 bus cycles within which a sequence and the configuration have to be through are not counted.
    """

    def __init__(self, soc: Soc) -> None:
        super().__init__(soc, 0x40052000)
        self.counter = Counter(soc, "watchdog", self._stands)
        self._step = {REFRESH: 0, UNLOCK_REGISTER: 0}
        self._open = False

    def _half(self, offset: int) -> int:
        return self.load(offset & ~3) >> 8 * (offset & 2) & 0xFFFF

    def _stands(self) -> bool:
        return self.core.state is State.HALTED and not self._half(STCTRLH) & DBGEN

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""

    def reset(self, _cause: str) -> None:
        """On again, with its longest time."""
        for offset, value in WDOG_RESET.items():
            self._put(offset, value)
        self._open = True  # the first configuration after reset needs no unlocking
        self._step = dict.fromkeys(self._step, 0)
        self._feed()

    def _put(self, offset: int, value: int) -> None:
        shift = 8 * (offset & 2)
        self.keep(offset & ~3, self.load(offset & ~3) & ~(0xFFFF << shift) | value << shift)

    def write(self, offset: int, size: int, value: int) -> None:
        """Store to a register; what is not a half-word goes half by half."""
        for at in range(offset & ~1, offset + size, 2):
            self._write(at, value >> 8 * max(at - offset, 0) & 0xFFFF)

    def _write(self, offset: int, value: int) -> None:
        if offset in (REFRESH, UNLOCK_REGISTER):
            self._sequence(offset, value)
        elif offset <= PRESC and self._open:
            self._put(offset, value)
            if offset == STCTRLH:
                self._open = bool(value & ALLOWUPDATE) and self._open
                if value & WDOGEN:
                    self._feed()
                else:
                    self.counter.stop()

    def _sequence(self, register: int, value: int) -> None:
        """Two keys in a row; any other value resets the chip while it runs."""
        keys = (0xA602, 0xB480) if register == REFRESH else (0xC520, 0xD928)
        if value != keys[self._step[register]]:
            self._step[register] = 0
            if self.counter.running:
                self.counter.bite()
            return
        self._step[register] = (self._step[register] + 1) % 2
        if self._step[register]:
            return
        if register == REFRESH:
            self._feed()
        else:
            self._open = bool(self._half(STCTRLH) & ALLOWUPDATE)

    def _feed(self) -> None:
        if not self._half(STCTRLH) & WDOGEN:
            return
        ticks = (self._half(TOVALH) << 16 | self._half(TOVALL)) * ((self._half(PRESC) >> 8 & 7) + 1)
        self.counter.start(ticks / (BUS_HERTZ if self._half(STCTRLH) & CLKSRC else LPO_HERTZ))


COPC, SRVCOP = 0x100, 0x104


class Cop(Overlay):
    """COP of a KL25Z, in the SIM's page; on after each reset with 1024 ms, configured once. It stands while the core is halted."""

    def __init__(self, soc: Soc) -> None:
        super().__init__(soc, 0x40048000)
        self.counter = Counter(soc, "watchdog", lambda: soc.core.state is State.HALTED)
        self._open = False
        self._half_fed = False

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""

    def reset(self, _cause: str) -> None:
        """COPT 3: 1024 cycles of 1 kHz."""
        self.keep(COPC, 0x0C)
        self._open, self._half_fed = True, False
        self._feed()

    def store(self, word: int, value: int) -> None:
        """Store to a register: COPC once, SRVCOP 0x55 and 0xAA; any other value there resets."""
        if word == COPC:
            if self._open:
                self._open = False
                self.keep(word, value & 0xF)
                self._feed()
        elif word == SRVCOP:
            if not self.counter.running:
                return
            if value & 0xFF not in (0x55, 0xAA):
                self.counter.bite()
            elif value & 0xFF == 0xAA and self._half_fed:
                self._feed()
            self._half_fed = value & 0xFF == 0x55
        else:
            super().store(word, value)

    def _feed(self) -> None:
        timeout = self.load(COPC) >> 2 & 3
        by_bus = bool(self.load(COPC) & 2)
        cycles = (0, 1 << 13, 1 << 16, 1 << 18)[timeout] if by_bus else (0, 1 << 5, 1 << 8, 1 << 10)[timeout]
        if cycles:
            self.counter.start(cycles / (BUS_HERTZ if by_bus else LPO_HERTZ))
        else:
            self.counter.stop()


TASKS_START, RUNSTATUS, REQSTATUS, CRV, RREN, CONFIG, RR = 0x000, 0x400, 0x404, 0x504, 0x508, 0x50C, 0x600
RELOAD = 0x6E524635


class NordicWdt(Overlay):
    """WDT of an nRF. Once started it stops only at a reset by pin, watchdog or supply; a soft reset leaves it running."""

    def __init__(self, soc: Soc) -> None:
        super().__init__(soc, 0x40010000)
        self.counter = Counter(soc, "watchdog", self._stands)
        self._config = (0xFFFFFFFF, 1, 1)  # CRV, RREN, CONFIG as they were when it started
        self._asked = 0

    def _stands(self) -> bool:
        config = self._config[2]
        if self.core.state is State.HALTED:
            return not config & 8
        return self.core.state is State.ASLEEP and not config & 1

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""
        self.counter.stop()

    def reset(self, cause: str) -> None:
        """See the class."""
        if cause in ("power", "pin", "watchdog"):
            self.counter.stop()
        for word, value in zip((CRV, RREN, CONFIG), self._config if self.counter.running else (0xFFFFFFFF, 1, 1), strict=True):
            self.keep(word, value)

    def load(self, word: int) -> int:
        """Value of a register."""
        if word == RUNSTATUS:
            return int(self.counter.running)
        if word == REQSTATUS:
            return self._config[1] & ~self._asked & 0xFF
        return super().load(word)

    def store(self, word: int, value: int) -> None:
        """Store to a register: configuration is fixed once it runs; all enabled reload registers together feed it."""
        if word == TASKS_START:
            if value & 1 and not self.counter.running:
                self._config = (super().load(CRV), super().load(RREN), super().load(CONFIG))
                self._feed()
        elif RR <= word < RR + 32:
            if self.counter.running and value == RELOAD:
                self._asked |= 1 << (word - RR) // 4
                if not self._config[1] & ~self._asked & 0xFF:
                    self._feed()
        elif not (self.counter.running and word in (CRV, RREN, CONFIG)):
            super().store(word, value)

    def _feed(self) -> None:
        self._asked = 0
        self.counter.start((self._config[0] + 1) / 32768)


WDMOD, WDTC, WDFEED, WDTV = 0x00, 0x04, 0x08, 0x0C
WDEN, WDRESET, WDTOF = 1, 2, 4
IRC_HERTZ = 4_000_000


class LpcWdt(Overlay):
    """The watchdog of an LPC1768, by the internal oscillator over four. It counts on while the core is halted (assumed)."""

    def __init__(self, soc: Soc) -> None:
        super().__init__(soc, 0x40000000)
        self.counter = Counter(soc, "watchdog", lambda: False)
        self._half_fed = False

    def power_on(self) -> None:
        """See :class:`msdflash.sim.soc.Block`."""

    def reset(self, cause: str) -> None:
        """WDTOF outlasts its own reset."""
        self.counter.stop()
        self._half_fed = False
        self.keep(WDMOD, WDTOF if cause == "watchdog" else 0)
        self.keep(WDTC, 0xFF)

    def load(self, word: int) -> int:
        """Value of a register."""
        return int(self.counter.remaining * IRC_HERTZ / 4) if word == WDTV and self.counter.running else super().load(word)

    def store(self, word: int, value: int) -> None:
        """Store to a register: WDEN and WDRESET cannot be cleared; 0xAA and 0x55 feed, and start it."""
        if word == WDMOD:
            self.keep(word, value & 0xF | self.load(WDMOD) & (WDEN | WDRESET))
        elif word == WDFEED:
            if value & 0xFF == 0x55 and self._half_fed and self.load(WDMOD) & WDEN:
                self._feed()
            self._half_fed = value & 0xFF == 0xAA
        else:
            super().store(word, value)

    def _feed(self) -> None:
        if self.load(WDMOD) & WDRESET:
            self.counter.start(4 * max(self.load(WDTC), 0xFF) / IRC_HERTZ)
