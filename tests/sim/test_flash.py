"""The flash controller against RM0351 chapter 3, by hand through the debug port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from msdflash.sim.board import Board
from msdflash.sim.debugger import CR, OPTR, SR, Debugger

if TYPE_CHECKING:
    from collections.abc import Callable

FLASH = 0x08000000
KEYR, OPTKEYR, WRP1AR = 0x40022008, 0x4002200C, 0x4002202C
PROGERR, WRPERR, PGAERR, SIZERR, PGSERR = 8, 0x10, 0x20, 0x40, 0x80
LOCK, OPTLOCK = 1 << 31, 1 << 30
VALUE = 0x1122334455667788


@pytest.fixture
def open_flash(debugger: Debugger) -> Debugger:
    debugger.unlock()
    return debugger


def test_locked_after_reset_and_opened_by_the_keys(debugger: Debugger) -> None:
    """3.3.5."""
    assert debugger.read(CR) & LOCK
    debugger.write(CR, 1)
    assert debugger.read(CR) == LOCK | OPTLOCK, "a locked register keeps its value"
    debugger.unlock()
    assert not debugger.read(CR) & LOCK


def test_a_wrong_key_locks_until_reset(debugger: Debugger) -> None:
    debugger.write(KEYR, 0x12345678)
    debugger.unlock()
    assert debugger.read(CR) & LOCK
    debugger.write(0xE000ED0C, 0x05FA0004)
    debugger.unlock()
    assert not debugger.read(CR) & LOCK


def test_programs_a_double_word(open_flash: Debugger, board: Board) -> None:
    """3.3.7; the array shows at 0 too."""
    assert open_flash.program(FLASH + 0x1000, VALUE) == 0
    assert board.flash_bytes()[0x1000:0x1008] == VALUE.to_bytes(8, "little")
    assert open_flash.read(0x1000) == VALUE & 0xFFFFFFFF


def test_needs_pg(open_flash: Debugger, board: Board) -> None:
    open_flash.write(FLASH, 0)
    assert open_flash.read(SR) == PGSERR
    assert board.flash_bytes()[:4] == b"\xff" * 4


def test_does_not_program_over_content_except_with_zeros(open_flash: Debugger, board: Board) -> None:
    """3.3.7: PROGERR, because the error-correction bits are written too."""
    open_flash.program(FLASH, VALUE)
    assert open_flash.program(FLASH, VALUE) == PROGERR
    assert open_flash.program(FLASH + 8, VALUE) == PROGERR | PGSERR, "an error not cleared blocks the next operation"
    assert board.flash_bytes()[8:16] == b"\xff" * 8
    open_flash.write(SR, 0xFFFF)
    assert open_flash.read(SR) == 0, "write one to clear"
    assert open_flash.program(FLASH, 0) == 0
    assert board.flash_bytes()[:8] == bytes(8)


def test_words_of_two_double_words(open_flash: Debugger) -> None:
    open_flash.write(CR, 1)
    open_flash.write(FLASH, 0)
    open_flash.write(FLASH + 12, 0)
    assert open_flash.read(SR) == PGAERR


def test_bytes_are_refused(open_flash: Debugger) -> None:
    open_flash.write(CR, 1)
    open_flash.ap_write(0, 0x23000050)
    open_flash.write(FLASH, 0)
    open_flash.ap_write(0, 0x23000052)
    assert open_flash.read(SR) == SIZERR


@pytest.mark.parametrize(("page", "bank", "start"), [(0, 0, 0), (3, 0, 0x1800), (255, 0, 0x7F800), (0, 1, 0x80000), (255, 1, 0xFF800)])
def test_erases_exactly_one_page(open_flash: Debugger, board: Board, page: int, bank: int, start: int) -> None:
    """3.3.6: PNB and BKER choose one of 512 pages of 2 KiB."""
    array = board.soc.chip.flash.data
    array[:] = bytes(len(array))
    assert open_flash.erase(page, bank) == 0
    left = board.flash_bytes()
    assert left[start : start + 2048] == b"\xff" * 2048
    assert left.count(0) == len(left) - 2048


def test_mass_erase_of_one_bank(open_flash: Debugger, board: Board) -> None:
    array = board.soc.chip.flash.data
    array[:] = bytes(len(array))
    open_flash.write(CR, 1 << 15 | 1 << 16)
    assert board.flash_bytes() == bytes(0x80000) + b"\xff" * 0x80000


def test_write_protection(open_flash: Debugger, board: Board) -> None:
    """3.5.3: neither erased nor programmed, and the bank not mass-erased."""
    open_flash.program(FLASH + 0x800, VALUE)
    board.set_fault("write-protect", "1")
    assert open_flash.read(WRP1AR) & 0xFF00FF == 0x010001
    assert open_flash.erase(1) == WRPERR
    open_flash.write(SR, 0xFFFF)
    assert open_flash.program(FLASH + 0x808, VALUE) == WRPERR
    open_flash.write(SR, 0xFFFF)
    open_flash.write(CR, 1 << 2 | 1 << 16)
    assert open_flash.read(SR) == WRPERR
    open_flash.write(SR, 0xFFFF)
    assert open_flash.erase(2) == 0, "the page behind is free"
    assert board.flash_bytes()[0x800:0x810] == VALUE.to_bytes(8, "little") + b"\xff" * 8
    board.clear_fault("write-protect")
    assert open_flash.erase(1) == 0


def test_option_bytes_take_effect_at_launch(open_flash: Debugger, board: Board) -> None:
    """3.4.2: unlock, write, OPTSTRT, OBL_LAUNCH (which resets)."""
    open_flash.write(OPTKEYR, 0x08192A3B)
    open_flash.write(OPTKEYR, 0x4C5D6E7F)
    open_flash.write(WRP1AR, 0xFF02FF02)
    open_flash.write(CR, 1 << 17)
    open_flash.unlock()
    assert open_flash.erase(2) == 0
    open_flash.read(0xE000EDF0)
    open_flash.write(CR, 1 << 27)
    assert open_flash.read(0xE000EDF0) & 1 << 25, "launching resets the chip"
    open_flash.unlock()
    assert open_flash.erase(2) == WRPERR
    board.set_power(False)
    board.set_power(True)
    open_flash.connect()
    assert open_flash.read(WRP1AR) == 0xFF02FF02


def test_read_protection_level_1(open_flash: Debugger, board: Board) -> None:
    """3.5.1: flash and SRAM2 shut for a debugger, SRAM1, options and the debug components open; no erase, no program."""
    open_flash.program(FLASH, VALUE)
    board.set_fault("rdp1")
    assert open_flash.read(OPTR) & 0xFF not in (0xAA, 0xCC)
    assert open_flash.refused(FLASH)
    assert open_flash.refused(0)
    assert open_flash.refused(0x10000000)
    open_flash.write(0x20000000, 5)
    assert open_flash.read(0x20000000) == 5
    assert open_flash.erase(0) == WRPERR
    open_flash.write(SR, 0xFFFF)
    assert open_flash.program(FLASH + 0x800, VALUE) == WRPERR
    board.clear_fault("rdp1")
    assert open_flash.read(FLASH) == VALUE & 0xFFFFFFFF


def test_level_1_stops_the_firmware_once_a_debugger_is_there(
    board: Board, load: Callable[[bytes], None], firmware: Callable[[str], bytes]
) -> None:
    """3.5.1: a debugger's intrusion shuts the flash for the core too, until power-off."""
    load(firmware("blinky"))
    board.set_fault("rdp1")
    board.advance(0.01)
    debugger = Debugger(board.port)
    debugger.connect()
    debugger.read(0x20000100)
    debugger.read(0xE000EDF0)
    assert debugger.read(0xE000EDF0) & 1 << 19, "locked up: not even the vectors can be read"
    board.set_power(False)
    board.set_power(True)
    board.advance(0.01)
    assert board.soc.running


def test_going_back_to_level_0_erases(open_flash: Debugger, board: Board) -> None:
    """3.5.1: changing RDP from level 1 to level 0 mass-erases the array."""
    open_flash.program(FLASH, VALUE)
    board.set_fault("rdp1")
    open_flash.write(OPTKEYR, 0x08192A3B)
    open_flash.write(OPTKEYR, 0x4C5D6E7F)
    open_flash.write(OPTR, open_flash.read(OPTR) & ~0xFF | 0xAA)
    open_flash.write(CR, 1 << 17)
    assert board.flash_bytes() == b"\xff" * 0x100000


def test_identification(debugger: Debugger) -> None:
    assert debugger.read(0xE0042000) & 0xFFF == 0x415
    assert debugger.read(0x1FFF75E0) & 0xFFFF == 1024
    assert debugger.read(OPTR) == 0xFFEFF8AA


def test_time_is_told(open_flash: Debugger, board: Board) -> None:
    """DS10198: about 82 us a double word, 22 ms a page."""
    seen: list[float] = []
    board.flash_time = seen.append
    open_flash.program(FLASH, VALUE)
    assert sum(seen) == pytest.approx(82e-6, rel=0.05)
    open_flash.erase(0)
    assert sum(seen) == pytest.approx(22.1e-3, rel=0.05)
    assert board.tallies()["words"] > 0
