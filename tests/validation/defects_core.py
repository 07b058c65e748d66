"""Seeded defects of debug port, access port and core."""

from __future__ import annotations

from typing import Any

from msdflash.sim import ap, core, cpu, dp, ppb
from msdflash.sim import armv7m as v7
from msdflash.sim import nvic as exc
from tests.validation.mutant import Method, Mutant, after, before, instead, nothing


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


def _steps_on(self: ap.AhbAp, _size: int) -> None:
    self.csw |= 0x10


CORE = (
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
)  # fmt: skip
