"""The RP2040's peripherals, as far as boot code waits for them: registers with atomic aliases, and the single-cycle IO block.

Sources: RP2040 datasheet 2.1.2 (atomic register access), 2.14 (resets), 2.15 to 2.18 (clocks, oscillators, PLLs), 2.20 (system
information), 2.3.1 (SIO), 4.6 (timer); offsets and bits of pico-sdk ``hardware/regs``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.nvic import FIRST_IRQ
from msdflash.sim.ppb import RegisterPage

if TYPE_CHECKING:
    from collections.abc import Callable

BASE, SIZE, BLOCK = 0x40000000, 0x70000, 0x4000
CHIP_ID, PLATFORM = 0x0000, 0x0004
CHIP_ID_B2 = 0x20002927  # REVISION 2, PART 2, MANUFACTURER 0x927 (Raspberry Pi, JEP106)
SELECTED = {0x08038: 0x08030, 0x08044: 0x0803C}  # CLOCKS: REF and SYS SELECTED follow the source in CTRL
RESET, RESET_DONE, ALL_RESETS = 0xC000, 0xC008, 0x01FFFFFF
QSPI_SS_CTRL, OUTOVER = 0x1800C, 8
CONSTANTS = {
    CHIP_ID: CHIP_ID_B2,
    PLATFORM: 2,  # an ASIC
    0x24004: 1 << 31 | 1 << 12,  # XOSC STATUS: stable, enabled
    0x60018: 1 << 31 | 1 << 12,  # ROSC STATUS
}
TIMER, CYCLES = 0x54000, 4  # processor cycles in a microsecond, at the four million a second that it does
PLLS = (0x28000, 0x2C000)
LOCKED = 1 << 31
CHIP_RESET = 0x64008
CHIP_RESET_CAUSES = {"power": 1 << 8, "pin": 1 << 16, "rescue": 1 << 20}  # HAD_POR, HAD_RUN, HAD_PSM_RESTART


class Microseconds:
    """TIMER (4.6): 64 bits of microseconds, and four alarms that match the low half. It counts from power-on on, as fast as code runs.

    Pausing, forced interrupts and setting the time are not modelled.
    """

    HIGH_LATCHED, LOW_LATCHED, ALARM, ARMED, HIGH, LOW, INTR, INTE, INTS = 0x08, 0x0C, 0x10, 0x20, 0x24, 0x28, 0x34, 0x38, 0x40

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.reset()

    def reset(self) -> None:
        """As after power-on; the time goes on."""
        self._alarms = [0] * 4
        self._armed = self._raised = self._enabled = self._latched = 0

    def load(self, at: int) -> int:
        """Value of a register. Reading the low half keeps the high half that belongs to it."""
        time = self._now() // CYCLES
        if at == self.LOW_LATCHED:
            self._latched = time >> 32
        found = {
            self.HIGH_LATCHED: self._latched, self.LOW_LATCHED: time, self.HIGH: time >> 32, self.LOW: time, self.ARMED: self._armed,
            self.INTR: self._raised, self.INTE: self._enabled, self.INTS: self._raised & self._enabled,
        }  # fmt: skip
        if self.ALARM <= at < self.ARMED:
            return self._alarms[(at - self.ALARM) // 4]
        return found.get(at, 0) & 0xFFFFFFFF

    def store(self, at: int, value: int) -> None:
        """Store to a register: an alarm is armed by its time; INTR and ARMED clear by ones."""
        if self.ALARM <= at < self.ARMED:
            number = (at - self.ALARM) // 4
            self._alarms[number] = value
            self._armed |= 1 << number
        elif at == self.ARMED:
            self._armed &= ~value
        elif at == self.INTR:
            self._raised &= ~value
        elif at == self.INTE:
            self._enabled = value & 0xF

    def left(self, now: int) -> int | None:
        """See :class:`msdflash.sim.core.Alarm`."""
        if self._raised & self._enabled:
            return 0
        waits = [(self._alarms[n] - now // CYCLES & 0xFFFFFFFF) * CYCLES for n in range(4) if self._armed >> n & 1]
        return min(waits) if waits else None

    def elapse(self, now: int) -> int | None:
        """See :class:`msdflash.sim.core.Alarm`. An alarm that is just past has matched."""
        for number in range(4):
            if self._armed >> number & 1 and (now // CYCLES - self._alarms[number]) & 0xFFFFFFFF < 1 << 31:
                self._armed &= ~(1 << number)
                self._raised |= 1 << number
        wanted = self._raised & self._enabled
        return FIRST_IRQ + (wanted & -wanted).bit_length() - 1 if wanted else None


class Peripherals:
    """Everything on the peripheral bus. Each block is seen four times: plain, and to flip, set and clear bits."""

    base, size = BASE, SIZE

    def __init__(self, force_select: Callable[[int], None], timer: Microseconds) -> None:
        self._force_select = force_select
        self._timer = timer
        self._values: dict[int, int] = {}

    def reset(self, cause: int) -> None:
        """All blocks but the one that tells the cause."""
        self._values = {CHIP_RESET: cause, RESET: ALL_RESETS}
        self._timer.reset()

    def _load(self, at: int) -> int:
        if at & -BLOCK == TIMER:
            return self._timer.load(at - TIMER)
        if at in CONSTANTS:
            return CONSTANTS[at]
        if at == RESET_DONE:
            return ~self._values.get(RESET, 0) & ALL_RESETS
        if at in SELECTED:
            return 1 << (self._values.get(SELECTED[at], 0) & 3)
        if at in PLLS:
            return self._values.get(at, 1) | LOCKED
        return self._values.get(at, 0)

    def read(self, offset: int, size: int) -> int:
        """Value of a register or of a part of it."""
        at = offset & ~0x3003
        return self._load(at) >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """Store to a register. Narrow writes are copied to every lane (2.1.4)."""
        if size < 4:
            value = sum((value & (1 << 8 * size) - 1) << shift for shift in range(0, 32, 8 * size))
        at = offset & ~0x3003
        old = self._load(at)
        value = (value, old ^ value, old | value, old & ~value)[offset >> 12 & 3]
        if at & -BLOCK == TIMER:
            self._timer.store(at - TIMER, value)
            return
        self._values[at] = value
        if at == QSPI_SS_CTRL:
            self._force_select(value >> OUTOVER & 3)


class Sio(RegisterPage):
    """Single-cycle IO as core 0 sees it: core number, mailbox that is empty, spinlocks that are free. No dividers, no interpolators."""

    def __init__(self) -> None:
        super().__init__(0xD0000000, {0x000: 0, 0x050: 2})

    def load(self, word: int) -> int:
        """Value of a register: reading a spinlock takes it, and gives its bit."""
        if 0x100 <= word < 0x180:
            return 1 << (word - 0x100) // 4
        return super().load(word)
