"""Seeded defects of the bench's board model, and the check that our conformance tests notice every one of them.

A test suite that passes says little unless it fails when the model is wrong. So each row here makes the model wrong in one way that a
plausible misreading of a manual would have made it, by replacing methods from outside. The model itself has no switch for it.

    python tests/validation/mutants.py check [NAME...]      # the named killer of each mutant must fail; and must pass without it
    python tests/validation/mutants.py survey [NAME...]     # every conformance test against each mutant; minutes
    python tests/validation/mutants.py table                # the mutants as a Markdown table
    python tests/validation/mutants.py serve NAME ...       # a board with the defect on a bus; the rest is for msdflash.sim.serve
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from msdflash.sim import ap, bus, core, cpu, dp, ppb, soc
from msdflash.sim import armv7m as v7
from msdflash.sim import nvic as exc
from msdflash.sim.chips import controller, ftf, l4flash, norflash, nrf, stm32l0
from msdflash.sim.chips import l4registers as reg

ROOT = Path(__file__).resolve().parents[2]
CONFORMANCE = (
    "test_debug_port.py", "test_core.py", "test_flash.py", "test_firmware.py", "test_stm32_controllers.py", "test_nrf.py",
    "test_kinetis.py", "test_lpc.py",
)  # fmt: skip

Method = Callable[..., Any]
Wrapper = Callable[[Any], Any]


@dataclass(frozen=True)
class Mutant:
    """One seeded defect.

    Attributes:
        name: short, for the command line and the table.
        wrong: what the model does then.
        against: what it contradicts.
        killer: the conformance test that must fail, below tests/sim.
        edits: (owner, attribute, what makes the new method from the old one).
    """

    name: str
    wrong: str
    against: str
    killer: str
    edits: tuple[tuple[Any, str, Wrapper], ...] = field(repr=False)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model is wrong inside the block and right again behind it."""
        kept = [(owner, name, owner.__dict__[name]) for owner, name, _ in self.edits]
        for owner, name, wrapper in self.edits:
            setattr(owner, name, wrapper(owner.__dict__[name]))
        try:
            yield
        finally:
            for owner, name, old in kept:
                setattr(owner, name, old)


def before(action: Callable[..., object]) -> Wrapper:
    """Do something with the arguments first, then what the method does."""

    def wrap(old: Method) -> Method:
        def new(self: Any, *arguments: Any, **named: Any) -> Any:
            action(self, *arguments)
            return old(self, *arguments, **named)

        return new

    return wrap


def after(action: Callable[..., object]) -> Wrapper:
    """Do what the method does, then something with the object."""

    def wrap(old: Method) -> Method:
        def new(self: Any, *arguments: Any, **named: Any) -> Any:
            result = old(self, *arguments, **named)
            action(self, *arguments)
            return result

        return new

    return wrap


def instead(new: Method) -> Wrapper:
    """Do something else altogether."""
    return lambda _old: new


def nothing(*_arguments: Any, **_named: Any) -> None:
    """What a method does that has been forgotten."""


# --- flash ----------------------------------------------------------------------------------------------------------


def _erase_reports_only(old: Method) -> Method:
    def erase(self: l4flash.L4Flash, cr: int) -> None:
        content = bytes(self.array.data)
        old(self, cr)
        self.array.data[:] = content

    return erase


def _erase_first(self: l4flash.L4Flash, offset: int, *_: Any) -> None:
    if self._values[reg.CR] & reg.PG and not offset & 7:
        self.array.data[offset : offset + 8] = reg.ERASED


def _erase_stored(self: l4flash.L4Flash, address: int, *_: Any) -> None:
    if address & 0xFFFFF000 != reg.BASE:
        _erase_first(self, address & 0xFFFFF)


def _like_nor(old: Method) -> Method:
    def program(self: l4flash.L4Flash, offset: int, new: bytes) -> None:
        there = bytes(self.array.data[offset : offset + 8])
        self.array.data[offset : offset + 8] = reg.ERASED
        old(self, offset, bytes(a & b for a, b in zip(there, new, strict=True)))

    return program


def _without_flag(flag: int) -> Wrapper:
    def wrap(old: Method) -> Method:
        return lambda self, wanted: old(self, wanted & ~flag)

    return wrap


def _any_key(self: l4flash.L4Flash, _value: int) -> None:
    self._values[reg.CR] &= ~reg.LOCK


def _keep_flags(old: Method) -> Method:
    def register(self: l4flash.L4Flash, number: int, value: int) -> None:
        if number != reg.SR:
            old(self, number, value)

    return register


def _no_sequence_errors(old: Method) -> Method:
    def program(self: l4flash.L4Flash, offset: int, size: int, value: int) -> None:
        flags = self._values[reg.SR]
        self._values[reg.SR] &= ~reg.SEQUENCE_ERRORS
        old(self, offset, size, value)
        self._values[reg.SR] |= flags

    return program


def _regresses_only(old: Method) -> Method:
    def program(self: l4flash.L4Flash) -> None:
        content = bytes(self.array.data)
        old(self)
        self.array.data[:] = content

    return program


# --- core -----------------------------------------------------------------------------------------------------------


def _reset_fades(old: Method) -> Method:
    def read(self: core.Core, *, debugger: bool) -> int:
        if self.state is not core.State.RESET:
            self.reset_st = False
        return int(old(self, debugger=debugger))

    return read


def _reset_stays(old: Method) -> Method:
    def read(self: core.Core, *, debugger: bool) -> int:
        kept = self.reset_st
        value: int = old(self, debugger=debugger)
        self.reset_st = kept
        return value

    return read


def _no_halt(old: Method) -> Method:
    def write(self: core.Core, value: int) -> None:
        old(self, value if self.state is core.State.HALTED else value & ~v7.C_HALT)

    return write


def _stands_still(old: Method) -> Method:
    def run(self: cpu.Cpu, count: int) -> cpu.Stop:
        at = self.read(cpu.PC)
        stop: cpu.Stop = old(self, count)
        self.write(cpu.PC, at)
        return stop

    return run


def _over_bkpt(old: Method) -> Method:
    def event(self: core.Core, why: int) -> None:
        if self.control & v7.C_DEBUGEN:
            self.cpu.write(cpu.PC, self.cpu.read(cpu.PC) + 2)
        else:
            old(self, why)

    return event


def _no_debug(self: core.Core) -> None:
    self.control = 0


def _any_write(old: Method) -> Method:
    return lambda self, value: old(self, value & 0xFFFF | v7.DBGKEY << 16)


def _no_catch(old: Method) -> Method:
    def leave(self: core.Core) -> None:
        kept, self.demcr = self.demcr, self.demcr & ~v7.VC_CORERESET
        old(self)
        self.demcr = kept

    return leave


def _write_is_lost(old: Method) -> Method:
    return lambda self, value: old(self, value & ~0x10000)


def _steps_two(old: Method) -> Method:
    def step(self: core.Core) -> None:
        old(self)
        if self.state is core.State.HALTED:
            old(self)

    return step


def _never_locks(self: core.Core) -> None:
    self.state = core.State.HALTED if self.control & v7.C_DEBUGEN else core.State.ASLEEP


def _samples_while_halted(old: Method) -> Method:
    def sample(self: core.Core) -> int:
        return self.pc if self.state is core.State.HALTED else int(old(self))

    return sample


def _stale(_self: cpu.Cpu, _address: int, _size: int) -> None:
    """Self-made code stays as it was translated first."""


def _halt_kept(old: Method) -> Method:
    def enter(self: core.Core) -> None:
        halted = self.control & v7.C_HALT
        old(self)
        self.control |= halted

    return enter


def _return_to_next(old: Method) -> Method:
    return lambda self, number, address: old(self, number, address + 2)


# --- debug port and access port -----------------------------------------------------------------------------------------


def _unposted(old: Method) -> Method:
    def access(self: dp.SwDp, request: int, data: int) -> int:
        old(self, request, data)
        return self.rdbuff

    return access


def _forgives(self: dp.SwDp, request: int, *_: Any) -> None:
    if request & 0x0F != dp.CTRL_READ:
        self.ctrl &= ~dp.STICKY


def _keeps_flags(old: Method) -> Method:
    def write(self: dp.SwDp, address: int, data: int) -> None:
        if address:
            old(self, address, data)

    return write


def _any_first(self: dp.SwDp, _request: int) -> None:
    self._need_dpidr = False


def _speaks_swd(self: dp.SwDp, *_: Any) -> None:
    self._swd = True


def _powered_debug(old: Method) -> Method:
    def access(self: dp.SwDp, request: int, data: int) -> int:
        asked, self.ctrl = self.ctrl & dp.CDBGPWRUPREQ, self.ctrl | dp.CDBGPWRUPREQ
        value: int = old(self, request, data)
        if not asked:
            self.ctrl &= ~dp.CDBGPWRUPREQ
        return value

    return access


def _unwrapped(self: ap.AhbAp, *_: Any) -> None:
    self.wrap = 1 << 32


def _lane_zero(old: Method) -> Method:
    def write(self: ap.AhbAp, number: int, register: int, data: int) -> bool:
        shift = 8 * (self.tar & 3 & -self.size) if register == 0x0C and not number else 0
        return bool(old(self, number, register, data << shift & 0xFFFFFFFF))

    return write


def _one_ap(old: Method) -> Method:
    return lambda self, _number, register: old(self, 0, register)


def _reads_zero(old: Method) -> Method:
    def read(self: bus.Bus, address: int, size: int) -> int:
        try:
            return int(old(self, address, size))
        except bus.BusError:
            return 0

    return read


def _steps_on(self: ap.AhbAp, _size: int) -> None:
    self.csw |= 0x10


# --- other families ---------------------------------------------------------------------------------------------------


def _overwrites(self: norflash.NorFlash, offset: int, new: bytes) -> None:
    self.array.data[offset : offset + len(new)] = b"\xff" * len(new)


# --- chip and board -----------------------------------------------------------------------------------------------------


def _reads_under_reset(_self: soc.Soc, _address: int) -> bool:
    return False


def _forgets_flash(self: soc.Soc, on: bool, *_: Any) -> None:
    if not on:
        self.chip.flash.data[:] = b"\xff" * self.chip.flash.size


MUTANTS = (
    Mutant(
        "erase-nothing", "an erase ends well and clears nothing", "RM0351 3.3.6", "test_flash.py::test_erases_exactly_one_page",
        ((l4flash.L4Flash, "_erase", _erase_reports_only),),
    ),
    Mutant(
        "program-anything", "a double word is programmed over content as if it were erased", "RM0351 3.3.7",
        "test_flash.py::test_does_not_program_over_content_except_with_zeros",
        ((l4flash.L4Flash, "_double_word", before(_erase_first)), (l4flash.L4Flash, "quick", before(_erase_stored))),
    ),
    Mutant(
        "program-twice", "a second programming clears further bits, as NOR flash without ECC would", "RM0351 3.3.7",
        "test_flash.py::test_does_not_program_over_content_except_with_zeros", ((l4flash.L4Flash, "_double_word", _like_nor),),
    ),
    Mutant(
        "wrong-bank", "BKER chooses the other bank", "RM0351 3.3.6", "test_flash.py::test_erases_exactly_one_page",
        ((reg, "chosen_pages", lambda old: lambda cr, *rest: old(cr ^ reg.BKER, *rest)),),
    ),
    Mutant(
        "wrperr-never", "WRPERR is never set", "RM0351 3.5.3", "test_flash.py::test_write_protection",
        ((l4flash.L4Flash, "_flag", _without_flag(reg.WRPERR)),),
    ),
    Mutant(
        "pgserr-never", "PGSERR is never set", "RM0351 3.7.5", "test_flash.py::test_needs_pg",
        ((l4flash.L4Flash, "_flag", _without_flag(reg.PGSERR)),),
    ),
    Mutant(
        "sizerr-never", "a byte store sets no SIZERR", "RM0351 3.3.7", "test_flash.py::test_bytes_are_refused",
        ((l4flash.L4Flash, "_flag", _without_flag(reg.SIZERR)),),
    ),
    Mutant(
        "pgaerr-never", "words of two double words set no PGAERR", "RM0351 3.3.7", "test_flash.py::test_words_of_two_double_words",
        ((l4flash.L4Flash, "_flag", _without_flag(reg.PGAERR)),),
    ),
    Mutant(
        "flash-flags-stay", "writing ones to SR clears nothing", "RM0351 3.7.5",
        "test_flash.py::test_does_not_program_over_content_except_with_zeros", ((l4flash.L4Flash, "_register", _keep_flags),),
    ),
    Mutant(
        "flash-errors-ignored", "an error that was not cleared does not block the next operation", "RM0351 3.3.7",
        "test_flash.py::test_does_not_program_over_content_except_with_zeros", ((l4flash.L4Flash, "_program", _no_sequence_errors),),
    ),
    Mutant(
        "any-flash-key", "any key unlocks the flash", "RM0351 3.3.5", "test_flash.py::test_a_wrong_key_locks_until_reset",
        ((l4flash.L4Flash, "_unlock", instead(_any_key)),),
    ),
    Mutant(
        "launch-without-reset", "OBL_LAUNCH resets nothing", "RM0351 3.4.2", "test_flash.py::test_option_bytes_take_effect_at_launch",
        ((core.Core, "request_reset", instead(nothing)),),
    ),
    Mutant(
        "options-at-once", "programmed option bytes act before OBL_LAUNCH", "RM0351 3.4.2",
        "test_flash.py::test_option_bytes_take_effect_at_launch",
        ((l4flash.L4Flash, "_program_options", after(lambda self: setattr(self, "_loaded", list(self.options)))),),
    ),
    Mutant(
        "level-1-readable", "a debugger reads the flash at read protection level 1", "RM0351 3.5.1",
        "test_flash.py::test_read_protection_level_1", ((l4flash.L4Flash, "_gate", instead(lambda *_: False)),),
    ),
    Mutant(
        "regression-keeps-flash", "going back to level 0 erases nothing", "RM0351 3.5.1",
        "test_flash.py::test_going_back_to_level_0_erases",
        ((l4flash.L4Flash, "_program_options", _regresses_only),),
    ),
    Mutant(
        "reset-not-sticky", "DHCSR.S_RESET_ST is not sticky", "DDI 0403 C1.6.2",
        "test_core.py::test_reset_status_is_sticky_and_each_read_clears_it",
        ((core.Core, "read_dhcsr", _reset_fades),),
    ),
    Mutant(
        "reset-status-stays", "reading DHCSR does not clear S_RESET_ST", "DDI 0403 C1.6.2",
        "test_core.py::test_reset_status_is_sticky_and_each_read_clears_it", ((core.Core, "read_dhcsr", _reset_stays),),
    ),
    Mutant(
        "halt-ignored", "C_HALT does not halt", "DDI 0403 C1.6.2", "test_core.py::test_key_is_needed",
        ((core.Core, "write_dhcsr", _no_halt),),
    ),
    Mutant(
        "no-debug-key", "DHCSR takes writes without its key", "DDI 0403 C1.6.2", "test_core.py::test_key_is_needed",
        ((core.Core, "write_dhcsr", _any_write),),
    ),
    Mutant(
        "debugen-lost", "a system reset clears C_DEBUGEN", "DDI 0403 C1.6.2",
        "test_core.py::test_system_reset_drops_halt_and_keeps_debug", ((core.Core, "enter_reset", after(_no_debug)),),
    ),
    Mutant(
        "halt-kept", "a system reset does not clear C_HALT", "DDI 0403 C1.6.2",
        "test_core.py::test_system_reset_drops_halt_and_keeps_debug", ((core.Core, "enter_reset", _halt_kept),),
    ),
    Mutant(
        "no-reset-catch", "DEMCR.VC_CORERESET catches nothing", "DDI 0403 C1.6.5",
        "test_core.py::test_reset_catch_halts_at_the_vector", ((core.Core, "leave_reset", _no_catch),),
    ),
    Mutant(
        "pc-stands", "the program counter does not move", "DDI 0403 C1.4.2", "test_core.py::test_step_runs_one_instruction",
        ((cpu.Cpu, "run", _stands_still),),
    ),
    Mutant(
        "step-of-two", "a step runs two instructions", "DDI 0403 C1.5.1", "test_core.py::test_step_runs_one_instruction",
        ((core.Core, "step", _steps_two),),
    ),
    Mutant(
        "bkpt-ignored", "BKPT does not halt", "DDI 0403 C1.4.1", "test_core.py::test_bkpt_halts_and_says_so",
        ((core.Core, "_debug_event", _over_bkpt),),
    ),
    Mutant(
        "no-comparators", "breakpoint comparators do not match", "DDI 0403 C1.11", "test_core.py::test_breakpoint_comparator",
        ((core.Core, "set_breakpoint", instead(nothing)),),
    ),
    Mutant(
        "registers-read-only", "DCRSR writes no core register", "DDI 0403 C1.6.3", "test_core.py::test_registers_move_through_dcrdr",
        ((core.Core, "write_dcrsr", _write_is_lost),),
    ),
    Mutant(
        "ge-stays", "the GE flags stay when xPSR is written", "DDI 0403 A2.3.2 (section from memory)",
        "test_core.py::test_all_flags_move_through_dcrdr", ((cpu.Cpu, "_write_ge", instead(nothing)),),
    ),
    Mutant(
        "sysresetreq-ignored", "AIRCR.SYSRESETREQ resets nothing", "DDI 0403 B3.2.6", "test_core.py::test_firmware_reset_request",
        ((ppb.Scs, "_store_aircr", instead(nothing)),),
    ),
    Mutant(
        "no-lockup", "a fault in HardFault does not lock the core up", "DDI 0403 B1.5.15",
        "test_core.py::test_blank_flash_locks_up_and_halting_ends_it", ((core.Core, "_lock_up", instead(_never_locks)),),
    ),
    Mutant(
        "pcsr-in-debug", "DWT_PCSR shows the PC of a halted core", "DDI 0403 C1.8.4", "test_core.py::test_pc_sample",
        ((core.Core, "sample_pc", _samples_while_halted),),
    ),
    Mutant(
        "stale-code", "code that a debugger wrote over is run as it was", "what a processor without cache does",
        "test_core.py::test_host_writes_to_code_take_effect", ((cpu.Cpu, "invalidate", instead(_stale)),),
    ),
    Mutant(
        "stacked-pc-behind", "the stacked PC of a fault is that of the next instruction", "DDI 0403 B1.5.6",
        "test_core.py::test_bad_read_goes_to_the_hard_fault_vector", ((exc.Nvic, "enter", _return_to_next),),
    ),
    Mutant(
        "reads-not-posted", "an AP read returns its own value: no lag, RDBUFF is superfluous", "IHI 0031 B2.2.7",
        "test_debug_port.py::test_reads_are_posted", ((dp.SwDp, "_ap", _unposted),),
    ),
    Mutant(
        "sticky-error-fades", "sticky flags go with the next transfer", "IHI 0031 B2.2.2",
        "test_debug_port.py::test_sticky_error_blocks_until_abort", ((dp.SwDp, "answers", before(_forgives)),),
    ),
    Mutant(
        "abort-clears-nothing", "ABORT clears no flag", "IHI 0031 B2.2.1", "test_debug_port.py::test_sticky_error_blocks_until_abort",
        ((dp.SwDp, "_write_dp", _keeps_flags),),
    ),
    Mutant(
        "no-tar-wrap", "TAR increments across its boundary", "IHI 0031 C2.2.2; DDI 0337G 11.5",
        "test_debug_port.py::test_auto_increment_wraps_at_4_kib", ((ap.AhbAp, "power_on", after(_unwrapped)),),
    ),
    Mutant(
        "always-increments", "TAR increments although CSW says not to", "IHI 0031 C2.2.2",
        "test_debug_port.py::test_the_address_stays_without_auto_increment", ((ap.AhbAp, "_advance", before(_steps_on)),),
    ),
    Mutant(
        "lane-zero", "bytes and halfwords are taken from the lowest lane, whatever the address", "IHI 0031 C2.2.6",
        "test_debug_port.py::test_byte_and_halfword_lanes", ((ap.AhbAp, "write", _lane_zero),),
    ),
    Mutant(
        "one-ap-everywhere", "APSEL is ignored: the AHB-AP answers at every number", "IHI 0031 B2.2.9",
        "test_debug_port.py::test_identification", ((ap.AhbAp, "read", _one_ap),),
    ),
    Mutant(
        "no-bus-faults", "reads of nothing give zero instead of a fault", "IHI 0031 C2.3",
        "test_debug_port.py::test_a_fault_is_an_exception_in_these_tests", ((bus.Bus, "read", _reads_zero),),
    ),
    Mutant(
        "dpidr-not-first", "any transfer is answered after a line reset", "IHI 0031 B4.3.3",
        "test_debug_port.py::test_dpidr_must_come_first", ((dp.SwDp, "answers", before(_any_first)),),
    ),
    Mutant(
        "swd-from-power-on", "the port speaks SWD without the selection sequence", "IHI 0031 B5.2",
        "test_debug_port.py::test_silent_until_line_reset_and_switch_to_swd", ((dp.SwDp, "sequence", before(_speaks_swd)),),
    ),
    Mutant(
        "no-power-up-needed", "AP accesses work without CDBGPWRUPREQ", "IHI 0031 B2.5",
        "test_debug_port.py::test_power_up_is_acknowledged_and_needed", ((dp.SwDp, "_ap", _powered_debug),),
    ),
    Mutant(
        "reset-bus-open", "memory answers while nRESET is low", "RM0401 26.6.1; assumption 1",
        "test_core.py::test_held_in_reset_reads_reset_each_time", ((soc.Soc, "_blocked", instead(_reads_under_reset)),),
    ),
    Mutant(
        "flash-forgets", "flash is lost with the supply", "RM0351 3.1", "test_firmware.py::test_flash_outlasts_the_supply",
        ((soc.Soc, "set_power", before(_forgets_flash)),),
    ),
    Mutant(
        "stm32-any-key", "any key opens the locks of F1, F4 and H7", "PM0075 2.3.1",
        "test_stm32_controllers.py::test_f1_locks_and_a_wrong_key_locks_until_reset",
        ((controller.KeyLock, "opens", instead(lambda *_: True)),),
    ),
    Mutant(
        "stm32-erase-nothing", "an erase of F1, F4, L0 or H7 clears nothing", "PM0075 2.3.3",
        "test_stm32_controllers.py::test_f1_erases_one_page_or_all", ((controller.FlashController, "erase", instead(nothing)),),
    ),
    Mutant(
        "l0-erases-to-ones", "an erased STM32L0 reads ones", "RM0377 3.3.4",
        "test_stm32_controllers.py::test_l0_erases_a_page_to_zero_and_programs_words", ((stm32l0.L0Flash, "erased", lambda _: 0xFF),),
    ),
    Mutant(
        "nor-sets-bits", "programming a Nordic flash sets bits, too", "nRF52840 PS, NVMC",
        "test_nrf.py::test_programming_clears_bits_and_only_when_enabled", ((norflash.NorFlash, "program", before(_overwrites)),),
    ),
    Mutant(
        "nrf-pin-always", "the reset pin works whatever UICR says", "nRF52840 PS, PSELRESET",
        "test_nrf.py::test_the_reset_pin_is_there_only_where_uicr_says_so", ((nrf.NrfHabits, "pin_works", instead(lambda _: True)),),
    ),
    Mutant(
        "kinetis-open", "a secured Kinetis stays open for a debugger", "K64P144M120SF5RM, flash security",
        "test_kinetis.py::test_security_shuts_all_but_the_mdm_ap", ((ftf.Ftf, "secure", lambda _: property(lambda _self: False)),),
    ),
)  # fmt: skip


BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


class Judge:
    """A pytest plugin: runs each test as it is, then again for each mutant that concerns it, and notes who failed.

    Attributes:
        sound: tests that pass on the right model.
        failed: tests that fail on it.
        killed: by mutant, the tests that failed.
    """

    def __init__(self, mutants: tuple[Mutant, ...], every: bool) -> None:
        self.mutants = mutants
        self.every = every
        self.sound: list[str] = []
        self.failed: list[str] = []
        self.killed: dict[str, list[str]] = {mutant.name: [] for mutant in mutants}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Take the place of pytest's own protocol."""
        name = item.nodeid.rpartition("/")[2]
        if not self._passes(item, nextitem):
            self.failed.append(name)
            return True
        self.sound.append(name)
        for mutant in self.mutants:
            if self.every or name.partition("[")[0] == mutant.killer:
                if not self.every and self.killed[mutant.name]:
                    continue
                with mutant.applied():
                    if not self._passes(item, nextitem):
                        self.killed[mutant.name].append(name)
        return True

    @staticmethod
    def _passes(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        item._initrequest()  # type: ignore[attr-defined]  # what pytest-rerunfailures does, too, to run an item once more
        bad = [report for report in runtestprotocol(item, log=False, nextitem=nextitem) if not report.passed]
        for report in bad:
            said = str(report.longrepr)
            if any(f"E   {kind}" in said for kind in ("TypeError", "AttributeError", "NameError", "ImportError")):
                raise SystemExit(f"{item.name}: the defect itself is broken, which kills nothing:\n{said}")
        return not bad


def judge(names: list[str], every: bool, extra: list[str]) -> Judge:
    """Run conformance tests against mutants in this process."""
    mutants = tuple(BY_NAME[name] for name in names) or MUTANTS
    folder = ROOT / "tests" / "sim"
    files = sorted({mutant.killer.partition("::")[0] for mutant in mutants})
    chosen = [str(folder / name) for name in CONFORMANCE] if every else sorted({str(folder / mutant.killer) for mutant in mutants})
    result = Judge(mutants, every)
    options = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "--timeout", "20", f"--rootdir={ROOT}", *extra]
    status = pytest.main([*options, *chosen], plugins=[result])
    if not result.sound or status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(f"pytest could not run {files}: {status!r}")
    return result


def main(arguments: list[str]) -> int:
    """The command line: 0 if every mutant was killed and nothing failed without one."""
    command, *names = arguments
    extra: list[str] = []
    if "--basetemp" in names:
        at = names.index("--basetemp")
        extra, names = names[at : at + 2], names[:at] + names[at + 2 :]
    if command == "serve":
        from msdflash.sim import serve

        with BY_NAME[names[0]].applied():
            return serve.main(names[1:])
    if command == "table":
        print("| mutant | what is wrong | against | killed by (tests/sim) |\n|---|---|---|---|")
        for mutant in MUTANTS:
            print(f"| {mutant.name} | {mutant.wrong} | {mutant.against} | `{mutant.killer}` |")
        return 0
    result = judge(names, command == "survey", extra)
    survivors = [name for name, killers in result.killed.items() if not killers]
    print(json.dumps({"killed": result.killed, "survivors": survivors, "failed": result.failed}, indent=1))
    return int(bool(survivors or result.failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
