"""Exceptions of the Cortex-M4: pending, priority, entry and return (Armv7-M ARM, DDI 0403, chapter B1.5), and SysTick (B3.3).

Priorities have 16 levels, as STM32 implement them. Sub-priorities (AIRCR.PRIGROUP) do not split levels here, tail-chaining and late
arrival save no time here, and lazy floating-point state is saved at once.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from msdflash.sim import cpu as regs
from msdflash.sim.bus import BusError

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.cpu import Cpu

RESET, NMI, HARDFAULT, MEMMANAGE, BUSFAULT, USAGEFAULT, SVCALL, DEBUGMON, PENDSV, SYSTICK = 1, 2, 3, 4, 5, 6, 11, 12, 14, 15
FIRST_IRQ = 16
FPCA = 4  # CONTROL bit 2: floating-point state is live
_FIXED = {RESET: -3, NMI: -2, HARDFAULT: -1}
_IDLE = 256
THUMB_STATE = regs.THUMB
STACK_ALIGN = 1 << 9  # in the stacked xPSR: the frame was padded


class StackError(Exception):
    """A frame could not be pushed or popped, or the vector could not be read."""


class SysTick:
    """The 24-bit down counter. Time is counted in processor cycles."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """State after a system reset."""
        self.control = 0
        self.reload = 0
        self._zero_at = 0
        self.count_flag = False

    def left(self, now: int) -> int | None:
        """Cycles until it next counts to zero; None if it stands still."""
        if not self.control & 1 or not self.reload:
            return None
        return max(self._zero_at - now, 0)

    def restart(self, now: int) -> None:
        """A write to the current value clears it: it reloads."""
        self.count_flag = False
        self._zero_at = now + self.reload + 1

    def value(self, now: int) -> int:
        """SYST_CVR."""
        left = self.left(now)
        return (left or 0) & 0xFFFFFF

    def elapse(self, now: int) -> int | None:
        """Time has come to ``now``: its exception number if it becomes pending."""
        left = self.left(now)
        if left is None or left > 0:
            return None
        period = self.reload + 1
        self._zero_at += period * ((now - self._zero_at) // period + 1)
        self.count_flag = True
        return SYSTICK if self.control & 2 else None


class Nvic:
    """Which exceptions are pending, enabled and active, and what taking one does to registers and stack."""

    def __init__(self, cpu: Cpu, read_word: Callable[[int], int], store: Callable[[int, bytes], None]) -> None:
        self._cpu = cpu
        self._read_word = read_word
        self._store = store
        self.tick = SysTick()
        self.vectors = 0
        self.reset()

    def reset(self) -> None:
        """State after a system reset."""
        self.pending: set[int] = set()
        self.enabled: set[int] = set()
        self.active: list[int] = []
        self.priorities = bytearray(256)
        self.vtor = self.vectors
        self.tick.reset()

    def priority(self, number: int) -> int:
        """Priority value of an exception; lower is stronger."""
        return _FIXED.get(number, self.priorities[number])

    def current(self) -> int:
        """Priority that an exception must beat to be taken now."""
        value = min((self.priority(n) for n in self.active), default=_IDLE)
        special = self._cpu.read_special()
        if special & 0xFF00:
            value = min(value, special >> 8 & 0xFF)
        if special & 1:
            value = min(value, 0)
        if special & 0x10000:
            value = min(value, -1)
        return value

    def best(self) -> int | None:
        """The pending and enabled exception that would win, whatever is masked."""
        ready = [n for n in self.pending if n < FIRST_IRQ or n in self.enabled]
        return min(ready, key=lambda n: (self.priority(n), n)) if ready else None

    def due(self) -> int | None:
        """The exception that is to be taken now, if any."""
        number = self.best()
        return number if number is not None and self.priority(number) < self.current() else None

    def wakes(self) -> bool:
        """True if WFI ends now: PRIMASK does not hold that back (B1.5.19)."""
        number = self.best()
        if number is None:
            return False
        return self.priority(number) < min((self.priority(n) for n in self.active), default=_IDLE)

    def enter(self, number: int, return_address: int) -> None:
        """Stack the state and go to the handler (B1.5.6). Raises :class:`StackError`."""
        cpu = self._cpu
        xpsr, special = cpu.read(regs.XPSR), cpu.read_special()
        floats = bool(special >> 24 & FPCA)
        size = 0x68 if floats else 0x20
        stack = cpu.read(regs.SP)
        frame = stack - size & ~7
        if stack - size & 4:
            xpsr |= STACK_ALIGN
        words = [cpu.read(n) for n in (0, 1, 2, 3, 12, regs.LR)] + [return_address & ~1, xpsr]
        if floats:
            words += [cpu.read_float(n) for n in range(16)] + [cpu.read_float(32), 0]
        self.pending.discard(number)
        try:
            self._store(frame & 0xFFFFFFFF, struct.pack(f"<{len(words)}I", *words))
            vector = self._read_word(self.vtor + 4 * number & 0xFFFFFFFF)
        except BusError as error:
            raise StackError(str(error)) from error
        on_process_stack = bool(special >> 24 & 2) and not xpsr & 0x1FF
        link = 0xFFFFFFE1 | (0 if floats else 0x10) | (0 if xpsr & 0x1FF else 8) | (4 if on_process_stack else 0)
        cpu.write(regs.SP, frame)
        cpu.write_special(special & ~(FPCA << 24))
        cpu.write(regs.XPSR, (xpsr & 0xF80F0000) | number | (vector & 1) << 24)
        cpu.write(regs.LR, link)
        cpu.write(regs.PC, vector & ~1)
        self.active.append(number)

    def leave(self, link: int) -> None:
        """Return from the current exception (B1.5.8); ``link`` is the EXC_RETURN value. Raises :class:`StackError`."""
        cpu = self._cpu
        number = cpu.read(regs.XPSR) & 0x1FF
        stack = cpu.read(regs.PSP if link & 4 else regs.MSP)
        floats = not link & 0x10
        try:
            words = [self._read_word(stack + 4 * n & 0xFFFFFFFF) for n in range(26 if floats else 8)]
        except BusError as error:
            raise StackError(str(error)) from error
        if number in self.active:
            self.active.remove(number)
        special = cpu.read_special()
        if number != NMI:
            special &= ~0x10000
        mode = (special >> 24 & 1) | (FPCA if floats else 0)
        xpsr = words[7]
        stack += 0x68 if floats else 0x20
        if xpsr & STACK_ALIGN:
            stack |= 4
        cpu.write(regs.XPSR, (xpsr & 0xF80F0000) | THUMB_STATE | (0 if link & 8 else xpsr & 0x1FF))
        cpu.write_special((special & 0xFFFFFF) | (mode | (2 if link & 4 else 0)) << 24)
        cpu.write(regs.PSP if link & 4 else regs.MSP, stack)
        for register, value in zip((0, 1, 2, 3, 12, regs.LR, regs.PC), words, strict=False):
            cpu.write(register, value)
        if floats:
            for index in range(16):
                cpu.write_float(index, words[8 + index])
            cpu.write_float(32, words[24])
