"""The debug block of the core against the Armv7-M Architecture Reference Manual (DDI 0403), chapter C1."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from msdflash.sim.debugger import DEMCR, DHCSR, Debugger
from msdflash.sim.port import Drive

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.board import Board

HALT, SLEEP, LOCKUP, RETIRE, RESET, REGRDY = 1 << 17, 1 << 18, 1 << 19, 1 << 24, 1 << 25, 1 << 16
DFSR, AIRCR, CFSR, HFSR, BFAR, VTOR, PCSR, IDCODE = (
    0xE000ED30, 0xE000ED0C, 0xE000ED28, 0xE000ED2C, 0xE000ED38, 0xE000ED08, 0xE000101C, 0xE0042000,
)  # fmt: skip
SP, LR, PC, XPSR, MSP, PSP, SPECIAL = 13, 14, 15, 16, 17, 18, 20
CODE = 0x20000000
SYSRESET = 0x05FA0004


def thumb(*halfwords: int) -> bytes:
    return struct.pack(f"<{len(halfwords)}H", *halfwords)


def put_code(debugger: Debugger, *halfwords: int) -> None:
    code = thumb(*halfwords, *([0xBF00] if len(halfwords) % 2 else []))
    for at in range(0, len(code), 4):
        debugger.write(CODE + at, int.from_bytes(code[at : at + 4], "little"))
    debugger.set_register(PC, CODE)
    debugger.set_register(XPSR, 0x01000000)
    debugger.set_register(SP, CODE + 0x1000)


@pytest.fixture
def halted(debugger: Debugger, load: Callable[[bytes], None], firmware: Callable[[str], bytes]) -> Debugger:
    load(firmware("blinky"))
    debugger.connect()
    debugger.halt()
    return debugger


def test_reset_status_is_sticky_and_each_read_clears_it(debugger: Debugger) -> None:
    """C1.6.2: S_RESET_ST and S_RETIRE_ST."""
    assert debugger.read(DHCSR) & RESET
    assert not debugger.read(DHCSR) & RESET
    debugger.write(AIRCR, SYSRESET)
    assert debugger.read(DHCSR) & RESET
    assert not debugger.read(DHCSR) & RESET


def test_retire_status(halted: Debugger) -> None:
    halted.read(DHCSR)
    assert not halted.read(DHCSR) & RETIRE
    halted.go()
    assert halted.read(DHCSR) & (RETIRE | HALT) == RETIRE


def test_held_in_reset_reads_reset_each_time(debugger: Debugger, board: Board) -> None:
    board.port.set_nreset(Drive.LOW)
    debugger.write(DHCSR, 0xA05F0003)
    for _ in range(3):
        assert debugger.read(DHCSR) & (RESET | RETIRE | HALT | REGRDY | 3) == RESET | 1, "C_HALT is ignored, C_DEBUGEN is kept"
    assert debugger.read(IDCODE) == 0x10076415, "RM0351 48.6.1: readable under system reset"
    assert debugger.refused(CODE)
    assert debugger.refused(0x08000000)
    assert debugger.refused(0x40022010)
    board.port.set_nreset(Drive.FLOAT)
    assert debugger.read(DHCSR) & RESET
    assert not debugger.read(DHCSR) & RESET


def test_key_is_needed(halted: Debugger) -> None:
    halted.write(DHCSR, 0x00000001)
    assert halted.read(DHCSR) & HALT


def test_system_reset_drops_halt_and_keeps_debug(halted: Debugger, board: Board) -> None:
    """C_HALT is cleared by a system reset; C_DEBUGEN, DEMCR and DBGMCU only by power-on."""
    halted.write(DEMCR, 1 << 24)
    halted.write(IDCODE + 4, 7)
    halted.write(AIRCR, SYSRESET)
    assert halted.read(DHCSR) & 0x3 == 1
    assert halted.read(DEMCR) == 1 << 24
    assert halted.read(IDCODE + 4) == 7
    board.set_power(False)
    board.set_power(True)
    halted.connect()
    assert halted.read(DHCSR) & 1 == 0
    assert (halted.read(DEMCR), halted.read(IDCODE + 4)) == (0, 0)


def test_reset_catch_halts_at_the_vector(halted: Debugger, firmware: Callable[[str], bytes]) -> None:
    """C1.6.5 VC_CORERESET, C1.6.1 DFSR.VCATCH."""
    halted.write(DFSR, 0x1F)
    halted.write(DEMCR, 1)
    halted.write(AIRCR, SYSRESET)
    assert halted.read(DHCSR) & HALT
    assert halted.read(DFSR) == 8
    stack, entry = struct.unpack("<II", firmware("blinky")[:8])
    assert halted.register(PC) == entry & ~1
    assert halted.register(MSP) == stack
    assert halted.register(LR) == 0xFFFFFFFF
    assert halted.register(XPSR) & 1 << 24
    halted.write(DFSR, 8)
    assert halted.read(DFSR) == 0, "write one to clear"


def test_reset_catch_set_under_reset(board: Board, load: Callable[[bytes], None], firmware: Callable[[str], bytes]) -> None:
    """What connecting under reset does: no instruction runs before the debugger has the core."""
    load(firmware("blinky"))
    board.port.set_nreset(Drive.LOW)
    debugger = Debugger(board.port)
    debugger.connect()
    debugger.write(DHCSR, 0xA05F0001)
    debugger.write(DEMCR, 1)
    board.port.set_nreset(Drive.FLOAT)
    board.advance(0.01)
    assert debugger.read(DHCSR) & (HALT | RETIRE) == HALT
    assert debugger.read(0x20000100) == 0


def test_registers_move_through_dcrdr(halted: Debugger) -> None:
    for number in range(13):
        halted.set_register(number, 0x01010101 * number)
    halted.set_register(MSP, 0x20001003)
    halted.set_register(PSP, 0x20002000)
    assert [halted.register(number) for number in range(13)] == [0x01010101 * number for number in range(13)]
    assert (halted.register(SP), halted.register(MSP), halted.register(PSP)) == (0x20001000, 0x20001000, 0x20002000)
    halted.set_register(SPECIAL, 0x02000001)
    assert halted.register(SPECIAL) == 0x02000001
    assert halted.register(SP) == 0x20002000, "CONTROL.SPSEL chooses the process stack"
    halted.set_register(64 + 5, 0x3F800000)
    halted.set_register(33, 0x80000000)
    assert (halted.register(64 + 5), halted.register(33)) == (0x3F800000, 0x80000000)


def test_all_flags_move_through_dcrdr(halted: Debugger) -> None:
    """GE, which only the DSP extension has, among them; nothing else moves on the way."""
    put_code(halted, 0x2000)
    before = [halted.register(number) for number in range(16)]
    for value in (0xF90F0000, 0x01000000, 0x09050000, 0x01000000):
        halted.set_register(16, value)
        assert halted.register(16) == value
    assert [halted.register(number) for number in range(16)] == before


def test_step_runs_one_instruction(halted: Debugger) -> None:
    put_code(halted, 0x3001, 0x3001, 0xBE00)  # adds r0, #1 twice
    halted.set_register(0, 0)
    halted.write(DHCSR, 0xA05F0005)
    assert halted.read(DHCSR) & HALT
    assert (halted.register(0), halted.register(PC)) == (1, CODE + 2)


def test_bkpt_halts_and_says_so(halted: Debugger) -> None:
    put_code(halted, 0x202A, 0xBE00)
    halted.write(DFSR, 0x1F)
    halted.go()
    assert halted.read(DHCSR) & HALT
    assert (halted.register(0), halted.register(PC), halted.read(DFSR)) == (0x2A, CODE + 2, 2)


def test_a_loop_around_wfe_goes_on_and_what_is_undefined_behind_one_is_not_run(halted: Debugger) -> None:
    put_code(halted, 0xBF20, 0xE7FD)  # wfe; b -
    halted.go()
    for _ in range(5):
        assert not halted.read(DHCSR) & (HALT | LOCKUP)
    assert not halted.read(HFSR)
    halted.halt()
    put_code(halted, 0xBF20, 0xDE00)  # wfe; udf
    halted.write(DEMCR, 1 << 10)
    halted.go()
    halted.read(DHCSR)  # the time of this look ends with the hint
    assert halted.read(DHCSR) & HALT
    assert halted.read(CFSR) == 1 << 16


def test_breakpoint_comparator(halted: Debugger, board: Board) -> None:
    """C1.11: the core stops before the instruction. Comparators only reach the code region."""
    place = 0x08000400
    board.soc.chip.flash.data[0x400:0x408] = thumb(0x2001, 0x2002, 0x2003, 0xE7FE)
    halted.set_register(PC, place)
    halted.write(0xE0002000, 3)
    halted.write(0xE0002008, 0x80000001 | place)  # the upper halfword of that word
    halted.go()
    assert halted.read(DHCSR) & HALT
    assert (halted.register(0), halted.register(PC)) == (1, place + 2)
    halted.write(0xE0002008, 0)
    halted.go()
    assert not halted.read(DHCSR) & HALT


def test_pc_sample(halted: Debugger) -> None:
    """C1.8.4: all ones in debug state."""
    halted.write(DEMCR, 1 << 24)
    assert halted.read(PCSR) == 0xFFFFFFFF
    halted.go()
    seen = {halted.read(PCSR) for _ in range(20)}
    assert len(seen) > 1
    assert all(0x08000040 <= pc < 0x08000100 for pc in seen)


def test_host_writes_to_code_take_effect(halted: Debugger) -> None:
    for value in (0x11, 0x22):
        put_code(halted, 0x2000 | value, 0xBE00)
        halted.go()
        halted.read(DHCSR)
        assert halted.register(0) == value


def test_bad_read_goes_to_the_hard_fault_vector(halted: Debugger) -> None:
    """B1.5.14: escalation; the handler is fetched through VTOR."""
    put_code(halted, 0x6801, 0xBE00)  # ldr r1, [r0]
    halted.set_register(0, 0x60000000)
    halted.write(VTOR, 0x20000400)
    halted.write(0x2000040C, CODE + 0x101)
    halted.write(CODE + 0x100, 0xBE00BE00)
    halted.go()
    assert halted.read(DHCSR) & HALT
    assert halted.register(PC) == CODE + 0x100
    assert halted.register(XPSR) & 0x1FF == 3
    assert halted.read(CFSR) == 1 << 9 | 1 << 15
    assert halted.read(BFAR) == 0x60000000
    assert halted.read(HFSR) == 1 << 30
    assert halted.read(halted.register(SP) + 24) == CODE, "the stacked PC is the faulting instruction"


def test_vector_catch_stops_on_a_hard_fault(halted: Debugger) -> None:
    put_code(halted, 0xDE00)  # permanently undefined
    halted.write(DEMCR, 1 << 10)
    halted.write(DFSR, 0x1F)
    halted.go()
    assert halted.read(DHCSR) & HALT
    assert halted.read(DFSR) == 8
    assert halted.read(CFSR) == 1 << 16
    assert halted.register(XPSR) & 0x1FF == 3


def test_blank_flash_locks_up_and_halting_ends_it(debugger: Debugger) -> None:
    """B1.5.15; C1.6.2: S_LOCKUP is cleared on entry to debug state."""
    debugger.read(DHCSR)
    assert debugger.read(DHCSR) & (LOCKUP | HALT) == LOCKUP
    debugger.halt()
    assert debugger.read(DHCSR) & (LOCKUP | HALT) == HALT
    assert debugger.register(PC) == 0xFFFFFFFE


def test_exceptions_nest_and_return(halted: Debugger) -> None:
    """SVC pends PendSV, which runs after it; both return to the thread on its process stack."""
    put_code(halted, 0xDF01, 0xBE00)  # svc #1; bkpt
    halted.write(VTOR, 0x20000400)
    halted.write(0x20000400 + 4 * 11, CODE + 0x101)
    halted.write(0x20000400 + 4 * 14, CODE + 0x201)
    # SVCall: str r2, [r1] (pend PendSV); adds r3, #1; bx lr.  PendSV: lsls r3, r3, #4; mrs r4, ipsr; bx lr
    for at, code in ((0x100, thumb(0x600A, 0x3301, 0x4770, 0xBF00)), (0x200, thumb(0x011B, 0xF3EF, 0x8405, 0x4770))):
        halted.write(CODE + at, int.from_bytes(code[:4], "little"))
        halted.write(CODE + at + 4, int.from_bytes(code[4:], "little"))
    halted.write(0xE000ED1C, 0x20000000)  # SVCall stronger than PendSV
    halted.write(0xE000ED20, 0x00F00000)
    halted.set_register(PSP, 0x20002000)
    halted.set_register(SPECIAL, 0x02000000)
    for number, value in ((1, 0xE000ED04), (2, 1 << 28), (3, 1), (4, 0)):
        halted.set_register(number, value)
    halted.go()
    assert halted.read(DHCSR) & HALT
    # r1 to r3 are stacked and restored, r4 is not: PendSV ran with its own number.
    assert (halted.register(PC), halted.register(4), halted.register(3)) == (CODE + 2, 14, 1)
    assert (halted.register(PSP), halted.register(XPSR) & 0x1FF) == (0x20002000, 0)


def test_firmware_reset_request(halted: Debugger, board: Board) -> None:
    """A firmware that writes SYSRESETREQ resets the chip: RCC says so (RM0351 6.4.29)."""
    put_code(halted, 0x6001, 0xE7FE)  # str r1, [r0]
    halted.set_register(0, AIRCR)
    halted.set_register(1, SYSRESET)
    halted.read(DHCSR)
    halted.go()
    assert halted.read(DHCSR) & RESET
    assert halted.read(0x40021094) >> 28 & 1, "SFTRSTF"


def test_an_idle_loop_that_masks_around_wfi_gets_its_interrupts(halted: Debugger, board: Board) -> None:
    """B1.5.19: WFI wakes under PRIMASK; the handler runs in the few instructions for which interrupts are let in."""
    put_code(halted, 0xB672, 0xBF30, 0xB662, 0x3001, 0xE7FA)  # cpsid i; wfi; cpsie i; adds r0, #1; back
    halted.write(CODE + 0x100, 0x47703401)  # adds r4, #1; bx lr
    halted.write(VTOR, 0x20000400)
    halted.write(0x20000400 + 4 * 15, CODE + 0x101)
    halted.set_register(4, 0)
    halted.write(0xE000E014, 3989)
    halted.write(0xE000E010, 7)
    halted.write(0xE0042004, 1)  # DBG_SLEEP, or nothing could be read while it sleeps
    halted.go()
    board.advance(0.02)
    assert halted.read(DHCSR) & SLEEP
    halted.halt()
    assert 20 <= halted.register(4) <= 30


def test_timer_interrupts_once_at_its_compare_value(halted: Debugger, board: Board) -> None:
    """RM0351 31.4: TIM5 is interrupt 50."""
    tim5 = 0x40000C00
    put_code(halted, 0xE7FE)
    halted.write(CODE + 0x100, 0x602E3401)  # adds r4, #1; str r6, [r5]
    halted.write(CODE + 0x104, 0xBF004770)  # bx lr
    halted.write(VTOR, 0x20000400)
    halted.write(0x20000400 + 4 * 66, CODE + 0x101)
    for register, value in ((4, 0), (5, tim5 + 0x10), (6, 0)):
        halted.set_register(register, value)
    halted.write(0xE000E104, 1 << 18)
    for offset, value in ((0x28, 1), (0x34, 40_000), (0x0C, 2), (0x00, 1)):
        halted.write(tim5 + offset, value)
    halted.go()
    board.advance(0.019)
    assert halted.read(tim5 + 0x24) == pytest.approx(38_000, abs=500)
    halted.halt()
    assert halted.register(4) == 0
    halted.go()
    board.advance(0.002)
    board.advance(0.04)
    halted.halt()
    assert halted.register(4) == 1
    assert halted.read(tim5 + 0x10) & 2 == 0


def test_floating_point_registers_survive_an_exception(halted: Debugger) -> None:
    """B1.5.7: the frame grows by S0 to S15 and FPSCR when they are in use."""
    put_code(halted, 0xEE00, 0x0A10, 0xDF00, 0xBE00)  # vmov s0, r0; svc #0; bkpt
    halted.write(CODE + 0x100, 0x1A10EE00)  # vmov s0, r1
    halted.write(CODE + 0x104, 0xBF004770)  # bx lr
    halted.write(VTOR, 0x20000400)
    halted.write(0x20000400 + 4 * 11, CODE + 0x101)
    halted.set_register(0, 0x3F800000)
    halted.set_register(1, 0x40000000)
    halted.go()
    assert halted.read(DHCSR) & HALT
    assert halted.register(PC) == CODE + 6
    assert halted.register(64) == 0x3F800000
    assert halted.register(SP) == CODE + 0x1000


def test_ports_set_and_clear_bits(debugger: Debugger) -> None:
    """RM0351 8.5.7 and 8.5.11."""
    debugger.write(0x48000418, 0x00000060)
    assert debugger.read(0x48000414) == 0x60
    debugger.write(0x48000418, 0x00200100)
    debugger.write(0x48000428, 0x0040)
    assert debugger.read(0x48000414) == debugger.read(0x48000410) == 0x100
