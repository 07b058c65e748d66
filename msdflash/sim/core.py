"""The Cortex-M4 as a debugger sees it: its states, the debug registers and the system control space.

Source: Armv7-M Architecture Reference Manual (DDI 0403), chapters B1.5 (exceptions), C1.6 (debug registers), C1.8 (DWT), C1.11 (FPB).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from msdflash.sim import armv7m as v7
from msdflash.sim import cpu as regs
from msdflash.sim import nvic as exc
from msdflash.sim.bus import BusError
from msdflash.sim.cores import CORES, DEFAULT_CORE, CoreKind
from msdflash.sim.cpu import Cpu, Stop

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK = 15_700  # (no multiple of a usual tick) instructions that the core gets done between two looks of a debugger at DHCSR or DWT_PCSR
GLANCE = 970  # the same for any other access
MASKED = ((64, 1), (128, 7), (1 << 62, 499))  # a masked interrupt is tried again: up to so many times, after so many instructions
FINE = 1000  # instructions between two looks at a watchdog that runs, so that feeding it is charged about what it took
NOMINAL = 40  # instructions charged for a slice that ended early: Unicorn does not say how far it came

SOFTWARE = "software"
SLEEPDEEP = 1 << 2  # SCR, DDI 0403 B3.2.7

FAULT_ENABLE = {exc.MEMMANAGE: 1 << 16, exc.BUSFAULT: 1 << 17, exc.USAGEFAULT: 1 << 18}  # SHCSR, B3.2.13


def execute_never(address: int) -> bool:
    """True where the default memory map forbids execution: peripherals, devices and system space (B3.1)."""
    return 0x40000000 <= address < 0x60000000 or address >= 0xA0000000


class Alarm(Protocol):
    """A timer that can interrupt. Times are in processor cycles."""

    def left(self, now: int) -> int | None:
        """Cycles until it next does something; None if it never will."""

    def elapse(self, now: int) -> int | None:
        """Time has come to ``now``: the exception that becomes pending, if any."""


class Guard(Alarm, Protocol):
    """A timer that counts on without the core, while it runs."""

    @property
    def running(self) -> bool:
        """It counts."""


class Depth(Enum):
    """How deep a sleeping core sleeps. Which one a program gets is the chip's business."""

    SLEEP = "the core's own clock is off"
    KEPT = "deep sleep, with all clocks kept for the debugger"
    STOP = "all clocks are off"
    OFF = "the core has no supply"


class State(Enum):
    """What the core does."""

    RESET = "held in reset"
    RUNNING = "running"
    HALTED = "halted"
    ASLEEP = "asleep"
    LOCKUP = "locked up"


# A look-up in an enumeration costs as much as ten of a plain name, and each access of a debugger makes several.
_RESET, _RUNNING, _HALTED, _ASLEEP, _LOCKUP = State.RESET, State.RUNNING, State.HALTED, State.ASLEEP, State.LOCKUP
_CLOCKED = (Depth.SLEEP, Depth.KEPT)
_COUNT = Stop.COUNT
_SHOWN = ((_HALTED, v7.S_HALT), (_ASLEEP, v7.S_SLEEP), (_LOCKUP, v7.S_LOCKUP))


class Core:
    """One Cortex-M4 with its debug block.

    Attributes:
        state: what it does now.
        depth: of its sleep, while it is asleep.
        wakes: how often it woke up.
        cycles: processor cycles since power-on, for timers. They stand still while it is halted or its clock is off.
        time: what passed since power-on, by the clock on the wall, in the time of one instruction (250 ns).
        fitted: timers that count on while the core is halted or its clock is off.
        guards: those of them that count now.
        falls_to: asked how deep a WFI with SCR.SLEEPDEEP goes.
        off_wanted: a register asked for the supply of the core to be switched off.
        reset_cause: why the reset that is asked for happens.
        rate: cycles that one instruction takes. At higher clocks the bench runs no more instructions, only more cycles.
        alarms: timers besides SysTick.
        debuggable: the chip lets the debugger halt the core; while it does not, traps do nothing (DBGEN, DDI 0403 C1.3).
        on_reset_request: called for AIRCR.SYSRESETREQ (True) and VECTRESET (False).
    """

    def __init__(
        self, cpu: Cpu, read_word: Callable[[int], int], store: Callable[[int, bytes], None], kind: CoreKind = CORES[DEFAULT_CORE]
    ) -> None:
        self.cpu = cpu
        self.kind = kind
        self.pc_samples = True
        self.debuggable = True
        self.nvic = exc.Nvic(cpu, read_word, store)
        self._read_word = read_word
        self.on_reset_request: Callable[[bool], None] | None = None
        self.before_run: Callable[[], None] | None = None
        self.after_run: Callable[[], None] | None = None
        self.cycles = 0
        self.time = 0
        self.rate = 1
        self.alarms: list[Alarm] = []
        self.fitted: list[Guard] = []
        self.guards: list[Guard] = []
        self.falls_to: Callable[[], Depth] = lambda: Depth.SLEEP
        self.off_wanted = False
        self.depth = Depth.SLEEP
        self.wakes = 0
        self.reset_cause = SOFTWARE
        self.reset_wanted: bool | None = None
        self._thumb = True
        self._tries = 0
        self.power_on()

    def set_vectors(self, address: int) -> None:
        """Where the vector table is after reset."""
        self.nvic.vectors = self.nvic.vtor = address

    def power_on(self) -> None:
        """Power-on reset: also clears what a system reset leaves alone."""
        self.control = 0
        self.demcr = 0
        self.dcrdr = 0
        self.dfsr = 0
        self.reset_st = True
        self.retire_st = False
        self.breakpoints: dict[int, int] = {}
        self.state = _RESET
        self.depth = Depth.SLEEP
        self.off_wanted = False
        self._clear_system()

    def _clear_system(self) -> None:
        self.nvic.reset()
        self.cfsr = self.hfsr = self.shcsr = self.scr = 0
        self.mmfar = self.bfar = 0
        self.ccr = 0x200  # STKALIGN

    def enter_reset(self) -> None:
        """System reset is asserted."""
        self.state = _RESET
        self.reset_st = True
        self.retire_st = False
        self.control &= ~(v7.C_HALT | v7.C_STEP)
        self.reset_wanted = None
        self.depth = Depth.SLEEP
        self.off_wanted = False
        self._clear_system()

    def leave_reset(self) -> None:
        """System reset ends: load SP and PC from the vector table, or halt there when the debugger asked for it (C1.4)."""
        cpu = self.cpu
        cpu.invalidate_all()
        cpu.write(regs.XPSR, regs.THUMB)
        cpu.write_special(0)
        for register in range(13):
            cpu.write(register, 0)
        cpu.write(regs.LR, 0xFFFFFFFF)
        self.state = _RUNNING
        self.reset_st = True
        try:
            stack, entry = self._read_word(self.nvic.vtor), self._read_word(self.nvic.vtor + 4)
        except BusError:
            stack, entry = 0, 0
            self.hfsr |= v7.HFSR_VECTTBL
        cpu.write(regs.MSP, stack & ~3)
        cpu.write(regs.PSP, 0)
        cpu.write(regs.PC, entry & ~1)
        self._thumb = bool(entry & 1)
        if self.demcr & v7.VC_CORERESET and self.control & v7.C_DEBUGEN and self.debuggable:
            self._halt(v7.DFSR_VCATCH)

    def _halt(self, why: int) -> None:
        self.state = _HALTED
        self.control |= v7.C_HALT
        self.dfsr |= why

    def request_halt(self) -> None:
        """A chip's own debug request (EDBGRQ, DDI 0403 C1.4): halts a core whose debugging is enabled."""
        if self.control & v7.C_DEBUGEN and self.state in (_RUNNING, _ASLEEP, _LOCKUP):
            self._halt(v7.DFSR_EXTERNAL)

    # --- running ----------------------------------------------------------------------------------------------------

    def run(self, budget: int) -> None:
        """Let time pass: that of ``budget`` instructions."""
        if not self.lives:
            self._stand(budget)
            return
        if self.before_run is not None:
            self.before_run()
        end = self.cycles + budget * self.rate
        while self.cycles < end and self.lives and self.reset_wanted is None:
            if self.state is _ASLEEP:
                self._sleep(end)
            else:
                self._advance(end)
        if self.after_run is not None:
            self.after_run()
        if self.reset_wanted is not None:
            self.settle_reset()

    @property
    def lives(self) -> bool:
        """Its clock is on: it runs, or sleeps no deeper than an interrupt can end."""
        return self.state is _RUNNING or (self.state is _ASLEEP and self.depth in _CLOCKED)

    def _stand(self, budget: int) -> None:
        """Time passes without the core; only watchdogs heed it."""
        if self.state is _RESET:
            return
        self.time += budget
        for guard in self.guards:
            guard.elapse(self.cycles)
        if self.reset_wanted is not None:
            self.settle_reset()

    def heed_guards(self) -> None:
        """One of those that are fitted began to count, or stopped."""
        self.guards = [guard for guard in self.fitted if guard.running]

    def request_reset(self, *, system: bool, cause: str = SOFTWARE) -> None:
        """A reset of the system or of the core is asked for; it happens when the current access is over."""
        self.reset_wanted = system
        self.reset_cause = cause

    def settle_reset(self) -> None:
        """Do the reset that was asked for."""
        if self.reset_wanted is None or self.state is _RESET:
            self.reset_wanted = None
            return
        system, self.reset_wanted = self.reset_wanted, None
        if self.on_reset_request is not None:
            self.on_reset_request(system)

    def _sleep(self, end: int) -> None:
        left = self._left()
        before = self.cycles
        self.cycles = end if left is None else min(end, self.cycles + left)
        self.time += -(-(self.cycles - before) // self.rate)
        self._tick()
        if self.nvic.pending and self.nvic.wakes():
            self.state = _RUNNING
            self.wakes += 1

    def _tick(self) -> None:
        for alarm in (self.nvic.tick, *self.alarms, *self.guards):
            number = alarm.elapse(self.cycles)
            if number is not None:
                self.nvic.pending.add(number)

    def _left(self) -> int | None:
        """Cycles until the next timer does something."""
        times = [left for alarm in (self.nvic.tick, *self.alarms, *self.guards) if (left := alarm.left(self.cycles)) is not None]
        return min(times) if times else None

    def _advance(self, end: int) -> None:
        nvic = self.nvic
        chunk = end - self.cycles
        left = self._left()
        if left is not None:
            chunk = min(chunk, left + self.rate)
        chunk = max(chunk // self.rate, 1)
        if chunk > FINE and any(guard.left(self.cycles) is not None for guard in self.guards):
            chunk = FINE
        if nvic.pending and not self.control & v7.C_MASKINTS:
            number = nvic.due()
            if number is not None:
                self._tries = 0
                self._take(number)
                return
            self._tries += 1
            chunk = min(chunk, next(step for tries, step in MASKED if self._tries <= tries))
        if not self._thumb:
            self._thumb = True
            self._fault(exc.USAGEFAULT, v7.INVSTATE)
            return
        if execute_never(self.cpu.read(regs.PC)):
            self._refused(Stop.FETCH)
            return
        self._finish(self.cpu.run(chunk), chunk)

    def _finish(self, stop: Stop, chunk: int) -> None:
        done = chunk if stop is _COUNT else min(chunk, NOMINAL)
        self.cycles += done * self.rate
        self.time += done
        self._tick()
        if self.off_wanted:
            self.off_wanted = False
            self.state, self.depth = _ASLEEP, Depth.OFF
            return
        if stop is _COUNT:
            self.retire_st = True
            return
        if stop in (Stop.BUS, Stop.FETCH, Stop.UNDEFINED):
            self._refused(stop)
            return
        if stop not in (Stop.BREAKPOINT, Stop.BKPT):
            self.retire_st = True
        if stop is Stop.WFI:
            if not self.nvic.wakes():
                self.state = _ASLEEP
                self.depth = self.falls_to() if self.scr & SLEEPDEEP else Depth.SLEEP
        elif stop is Stop.SVC:
            self._take(exc.SVCALL)
        elif stop is Stop.RETURN:
            self._return()
        elif stop in (Stop.BKPT, Stop.BREAKPOINT):
            self.retire_st = True
            self._debug_event(v7.DFSR_BKPT)

    def _debug_event(self, why: int) -> None:
        if self.control & v7.C_DEBUGEN:
            self._halt(why)
            return
        self.dfsr |= why
        self.hfsr |= v7.HFSR_DEBUGEVT  # B1.5.14: without debugger and monitor a BKPT escalates
        self._hard_fault()

    def _refused(self, stop: Stop) -> None:
        if stop is Stop.BUS:
            self.bfar = self.cpu.fault_address
            self._fault(exc.BUSFAULT, v7.PRECISERR | v7.BFARVALID)
        elif stop is Stop.FETCH:
            if execute_never(self.cpu.read(regs.PC)):
                self._fault(exc.MEMMANAGE, v7.IACCVIOL)
            else:
                self._fault(exc.BUSFAULT, v7.IBUSERR)
        else:
            self._fault(exc.USAGEFAULT, v7.UNDEFINSTR)

    def _fault(self, number: int, flags: int) -> None:
        if not self.kind.mainline:  # Armv6-M (DDI 0419 B1.5): every fault is a HardFault, and nothing notes why
            self._hard_fault()
            return
        self.cfsr |= flags
        if self.shcsr & FAULT_ENABLE[number] and self.nvic.priority(number) < self.nvic.current():
            self._take(number)
            return
        self.hfsr |= v7.HFSR_FORCED
        self._hard_fault()

    def _hard_fault(self) -> None:
        """HardFault, or lockup when its priority is already reached (B1.5.15)."""
        if self.nvic.current() <= -1:
            self._lock_up()
        else:
            self._take(exc.HARDFAULT)

    def _lock_up(self) -> None:
        self.state = _LOCKUP
        self.cpu.write(regs.PC, v7.LOCKUP_PC)

    def _take(self, number: int) -> None:
        try:
            self.nvic.enter(number, self.cpu.read(regs.PC))
        except exc.StackError:
            if number == exc.HARDFAULT or self.nvic.current() <= -1:
                self.nvic.active.append(exc.HARDFAULT)
                self._lock_up()
            else:
                self.cfsr |= v7.STKERR
                self.hfsr |= v7.HFSR_FORCED
                self._take(exc.HARDFAULT)
            return
        self._thumb = bool(self.cpu.read(regs.XPSR) & regs.THUMB)
        caught = {
            exc.HARDFAULT: v7.VC_HARDERR,
            exc.BUSFAULT: v7.VC_BUSERR,
            exc.MEMMANAGE: v7.VC_MMERR,
            exc.USAGEFAULT: v7.VC_STATERR | v7.VC_CHKERR | v7.VC_NOCPERR,
        }.get(number, 0)
        if self.demcr & caught and self.control & v7.C_DEBUGEN:
            self._halt(v7.DFSR_VCATCH)

    def _return(self) -> None:
        try:
            self.nvic.leave(self.cpu.read(regs.PC) | 1)
        except exc.StackError:
            self._fault(exc.BUSFAULT, v7.UNSTKERR)

    def step(self) -> None:
        """One instruction, then halted again (C1.4.2)."""
        if self.before_run is not None:
            self.before_run()
        self.state = _RUNNING
        self._advance(self.cycles + 1)
        if self.after_run is not None:
            self.after_run()
        if self.reset_wanted is not None:
            self.settle_reset()
        elif self.state is _RUNNING:
            self._halt(v7.DFSR_HALTED)

    # --- debug registers --------------------------------------------------------------------------------------------

    def read_dhcsr(self, *, debugger: bool) -> int:
        """DHCSR. A debugger's read clears the sticky flags, which reset sets again at once while it lasts."""
        value = self.control
        if self.state is _RESET:
            self.reset_st = True
        else:
            value |= v7.S_REGRDY
        for state, bit in _SHOWN:
            if self.state is state:
                value |= bit
        value |= (v7.S_RETIRE_ST if self.retire_st else 0) | (v7.S_RESET_ST if self.reset_st else 0)
        value |= v7.S_SDE if self.kind.v8m else 0
        if debugger:
            self.retire_st = self.reset_st = False
        return value

    def write_dhcsr(self, value: int) -> None:
        """DHCSR; ignored without the key. C_HALT does nothing while in reset."""
        if value >> 16 != v7.DBGKEY:
            return
        wanted = value & (v7.C_DEBUGEN | v7.C_HALT | v7.C_STEP | v7.C_MASKINTS) if value & v7.C_DEBUGEN else 0
        if self.state is _RESET:
            self.control = wanted & ~(v7.C_HALT | v7.C_STEP)
            return
        self.control = wanted
        if self.state is _HALTED:
            if not wanted & v7.C_HALT:
                if wanted & v7.C_STEP:
                    self.step()
                else:
                    self.state = _LOCKUP if self.cpu.read(regs.PC) >= 0xFFFFFFF0 else _RUNNING
        elif wanted & v7.C_HALT:
            self._halt(v7.DFSR_HALTED)

    def write_dcrsr(self, value: int) -> None:
        """Move one core register to or from DCRDR (C1.6.3); only while halted."""
        if self.state is not _HALTED:
            return
        number, writes = value & 0x7F, bool(value & 0x10000)
        if writes:
            self._write_register(number, self.dcrdr)
        else:
            self.dcrdr = self._read_register(number)

    def _read_register(self, number: int) -> int:
        if number == regs.XPSR:
            return self.cpu.read(number) & ~regs.THUMB | (regs.THUMB if self._thumb else 0)
        if number == regs.PC:
            return self.cpu.read(number) & ~1
        if number <= regs.PSP:
            return self.cpu.read(number)
        if number == 20:
            return self.cpu.read_special()
        if number == 33:
            return self.cpu.read_float(32)
        return self.cpu.read_float(number - 64) if 64 <= number < 96 else 0

    def _write_register(self, number: int, value: int) -> None:
        if number == regs.XPSR:
            self._thumb = bool(value & regs.THUMB)
            self.cpu.write(number, value | regs.THUMB)
            ipsr = value & 0x1FF
            self.nvic.active = [n for n in self.nvic.active if n == ipsr] if ipsr else []
            if ipsr and not self.nvic.active:
                self.nvic.active = [ipsr]
        elif number in (regs.SP, regs.MSP, regs.PSP):
            self.cpu.write(number, value & ~3)
        elif number <= regs.PSP:
            self.cpu.write(number, value)
        elif number == 20:
            self.cpu.write_special(value)
        elif number == 33:
            self.cpu.write_float(32, value)
        elif 64 <= number < 96:
            self.cpu.write_float(number - 64, value)

    @property
    def pc(self) -> int:
        """The program counter."""
        return self.cpu.read(regs.PC) & ~1

    def sample_pc(self) -> int:
        """DWT_PCSR (C1.8.4): all ones while halted, zero without DEMCR.TRCENA or where it is not implemented."""
        if not self.pc_samples or not self.demcr & v7.TRCENA:
            return 0
        if self.state in (_HALTED, _RESET):
            return 0xFFFFFFFF
        return v7.LOCKUP_PC if self.state is _LOCKUP else self.cpu.read(regs.PC) & ~1

    def set_breakpoint(self, index: int, address: int | None) -> None:
        """Program one comparator of the FPB."""
        if address is None:
            self.breakpoints.pop(index, None)
        else:
            self.breakpoints[index] = address
        self.cpu.set_breakpoints(self.breakpoints.values())
