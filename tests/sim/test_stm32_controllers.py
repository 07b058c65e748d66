"""The flash controllers of the STM32 families against their manuals, by hand through the debug port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from msdflash.sim.board import Board
from msdflash.sim.debugger import DHCSR, Debugger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLASH, RAM = 0x08000000, 0x20000000
KEYS = (0x45670123, 0xCDEF89AB)


class Bench:
    """A board with a debugger on it."""

    def __init__(self, name: str) -> None:
        self.board = Board(name, "none")
        self.debugger = Debugger(self.board.port)
        self.debugger.connect()
        self.read, self.write, self.refused = self.debugger.read, self.debugger.write, self.debugger.refused

    def keys(self, register: int, *keys: int) -> None:
        for key in keys:
            self.write(register, key)

    def narrow(self, address: int, value: int, size: int) -> None:
        """A write of 1 or 2 bytes, on its byte lane."""
        self.debugger.ap_write(0, 0x23000050 | size >> 1)
        self.write(address, value << 8 * (address & 3))
        self.debugger.ap_write(0, 0x23000052)

    def narrow_refused(self, address: int, value: int, size: int) -> bool:
        self.debugger.ap_write(0, 0x23000050 | size >> 1)
        refused = self.refused(address, value << 8 * (address & 3))
        self.debugger.ap_write(0, 0x23000052)
        return refused

    def flash(self, start: int, length: int) -> bytes:
        return bytes(self.board.soc.chip.flash.data[start : start + length])

    def fill(self, byte: int) -> None:
        array = self.board.soc.chip.flash.data
        array[:] = bytes([byte]) * len(array)

    def power_cycle(self) -> None:
        self.board.set_power(False)
        self.board.set_power(True)
        self.debugger.connect()


@pytest.fixture
def bench() -> Iterator[Callable[[str], Bench]]:
    made: list[Bench] = []

    def make(name: str) -> Bench:
        made.append(Bench(name))
        return made[-1]

    yield make
    for each in made:
        each.board.close()


# --- STM32F103, PM0075 --------------------------------------------------------------------------------------------------

F1 = 0x40022000
F1_KEYR, F1_OPTKEYR, F1_SR, F1_CR, F1_AR, F1_OBR, F1_WRPR = (F1 + n for n in (0x04, 0x08, 0x0C, 0x10, 0x14, 0x1C, 0x20))
PGERR, WRPRTERR, EOP = 4, 0x10, 0x20
OPTION_BYTES = 0x1FFFF800


@pytest.fixture
def f1(bench: Callable[[str], Bench]) -> Bench:
    made = bench("stm32f103rc")
    made.keys(F1_KEYR, *KEYS)
    return made


def f1_erase(f1: Bench, address: int) -> int:
    f1.write(F1_CR, 2)
    f1.write(F1_AR, address)
    f1.write(F1_CR, 0x42)
    f1.write(F1_CR, 0)
    status = f1.read(F1_SR)
    f1.write(F1_SR, status)
    return status


def test_f1_locks_and_a_wrong_key_locks_until_reset(f1: Bench) -> None:
    """2.3.1."""
    assert not f1.read(F1_CR) & 0x80
    f1.write(F1_CR, 0x80)
    f1.write(F1_CR, 1)
    assert f1.read(F1_CR) == 0x80
    f1.keys(F1_KEYR, 0x12345678, *KEYS)
    assert f1.read(F1_CR) == 0x80
    f1.write(0xE000ED0C, 0x05FA0004)
    f1.keys(F1_KEYR, *KEYS)
    assert f1.read(F1_CR) == 0


def test_f1_programs_half_words_onto_erased_ones(f1: Bench) -> None:
    """2.3.3: other sizes end in a bus error; PGERR where it is not erased, but zeros always go."""
    f1.narrow(FLASH, 0x1234, 2)
    assert f1.flash(0, 2) == b"\xff\xff", "without PG nothing happens"
    f1.write(F1_CR, 1)
    f1.narrow(FLASH, 0x1234, 2)
    f1.narrow(FLASH + 2, 0x5678, 2)
    assert (f1.read(F1_SR), f1.read(0)) == (EOP, 0x56781234)
    f1.write(F1_SR, EOP)
    assert f1.refused(FLASH + 8, 0)
    assert f1.narrow_refused(FLASH + 8, 0, 1)
    f1.narrow(FLASH, 0x1230, 2)
    assert f1.read(F1_SR) == PGERR
    f1.write(F1_SR, PGERR)
    f1.narrow(FLASH, 0, 2)
    assert (f1.read(F1_SR), f1.flash(0, 4)) == (EOP, b"\0\0\x78\x56")


def test_f1_erases_one_page_or_all(f1: Bench) -> None:
    """2.3.4: AR chooses the page."""
    f1.fill(0)
    assert f1_erase(f1, FLASH + 0x1234) == EOP
    assert f1.flash(0, 0x3000) == bytes(0x1000) + b"\xff" * 0x800 + bytes(0x1800)
    f1.write(F1_CR, 4)
    f1.write(F1_CR, 0x44)
    assert f1.flash(0, 0x40000) == b"\xff" * 0x40000


def test_f1_write_protection(f1: Bench) -> None:
    """2.4.2: a bit of WRPR for two pages, the last one for all from page 62 on."""
    f1.fill(0)
    f1.board.set_fault("write-protect", "3")
    assert f1.read(F1_WRPR) == 0xFFFFFFFD
    assert [f1_erase(f1, FLASH + 0x800 * page) for page in (1, 2, 3, 4)] == [EOP, WRPRTERR, WRPRTERR, EOP]
    f1.write(F1_CR, 1)
    f1.narrow(FLASH + 0x1000, 0, 2)
    assert f1.read(F1_SR) == WRPRTERR
    f1.board.set_fault("write-protect", "100")
    assert f1.read(F1_WRPR) == 0x7FFFFFFF
    f1.board.clear_faults()
    assert f1.read(F1_WRPR) == 0xFFFFFFFF


def test_f1_read_protection_is_a_bit_and_a_key(f1: Bench) -> None:
    """2.4.1: RDPRT in OBR; a debugger cannot read nor erase pages; the key erases everything."""
    assert (f1.read(F1_OBR) & 2, f1.read(OPTION_BYTES) & 0xFFFF) == (0, 0x5AA5)
    f1.fill(0)
    f1.board.set_fault("rdp1")
    assert f1.read(F1_OBR) & 2
    assert f1.refused(FLASH)
    assert f1_erase(f1, FLASH) == WRPRTERR
    f1.board.clear_faults()
    f1.keys(F1_OPTKEYR, *KEYS)
    f1.write(F1_CR, 0x220)
    f1.write(F1_CR, 0x260)
    assert f1.read(OPTION_BYTES) == 0xFFFFFFFF
    f1.power_cycle()
    assert f1.read(F1_OBR) & 2, "erased option bytes protect"
    f1.keys(F1_KEYR, *KEYS)
    f1.keys(F1_OPTKEYR, *KEYS)
    f1.write(F1_CR, 0x210)
    f1.narrow(OPTION_BYTES, 0xA5, 2)
    assert f1.flash(0, 0x40000) == b"\xff" * 0x40000
    f1.power_cycle()
    assert not f1.read(F1_OBR) & 2


# --- STM32L031, RM0377 --------------------------------------------------------------------------------------------------

L0 = 0x40022000
PECR, PEKEYR, PRGKEYR, L0_SR, L0_OPTR, WRPROT = (L0 + n for n in (0x04, 0x0C, 0x10, 0x18, 0x1C, 0x20))
L0_WRPERR, PGAERR_L0, SIZERR, NOTZEROERR = 0x100, 0x200, 0x400, 0x10000
PROG, ERASE, FPRG = 8, 0x200, 0x400
PE_KEYS, PRG_KEYS = (0x89ABCDEF, 0x02030405), (0x8C9DAEBF, 0x13141516)


@pytest.fixture
def l0(bench: Callable[[str], Bench]) -> Bench:
    made = bench("nucleo-l031k6")
    made.keys(PEKEYR, *PE_KEYS)
    made.keys(PRGKEYR, *PRG_KEYS)
    return made


def l0_errors(l0: Bench) -> int:
    status = l0.read(L0_SR) & 0x3FF00
    l0.write(L0_SR, 0x3FFFF)
    return status


def test_l0_has_two_locks(l0: Bench) -> None:
    """3.3.4: the program memory's lock opens only while PECR is open."""
    assert l0.read(PECR) == 4
    l0.write(PECR, 1)
    assert l0.read(PECR) == 7
    l0.keys(PRGKEYR, *PRG_KEYS)
    assert l0.read(PECR) == 7
    l0.write(FLASH, 5)
    assert (l0_errors(l0), l0.flash(0, 4)) == (L0_WRPERR, bytes(4))


def test_l0_erases_a_page_to_zero_and_programs_words(l0: Bench) -> None:
    """3.3.4: NOTZEROERR where it is not erased; words only."""
    l0.fill(0x5A)
    l0.write(PECR, ERASE | PROG | 4)
    l0.write(FLASH + 0x100, 0)
    assert l0.flash(0x80, 0x180) == b"\x5a" * 0x80 + bytes(0x80) + b"\x5a" * 0x80
    l0.write(PECR, 4)
    l0.write(FLASH + 0x104, 0x12345678)
    assert (l0_errors(l0), l0.read(0x104)) == (0, 0x12345678)
    l0.write(FLASH + 0x104, 0xFFFFFFFF)
    assert (l0_errors(l0), l0.read(0x104)) == (NOTZEROERR, 0x12345678)
    l0.narrow(FLASH + 0x108, 1, 2)
    assert (l0_errors(l0), l0.read(0x108)) == (SIZERR, 0)


def test_l0_half_page_comes_whole_or_not_at_all(l0: Bench) -> None:
    """3.3.4: 16 words in order from a half page's start."""
    l0.write(PECR, FPRG | PROG | 4)
    l0.write(FLASH + 4, 1)
    assert l0_errors(l0) == PGAERR_L0
    for index in range(16):
        l0.write(FLASH + 0x40 + 4 * index, index + 1)
    assert l0_errors(l0) == 0
    assert l0.read(FLASH + 0x7C) == 16
    for index in range(15):
        l0.write(FLASH + 0x80 + 4 * index, index + 1)
    l0.write(FLASH + 0x100, 1)
    assert l0_errors(l0) == PGAERR_L0
    assert l0.flash(0x80, 0x84) == bytes(0x84)
    l0.write(FLASH + 0x40, 1)
    assert l0_errors(l0) == NOTZEROERR


def test_l0_write_and_read_protection(l0: Bench) -> None:
    """3.4.2: one protects 4 KiB; with WPRMOD zero does. 3.4.1: RDP in OPTR."""
    l0.board.set_fault("write-protect", "33")
    assert l0.read(WRPROT) == 2
    l0.write(FLASH + 0x1000, 1)
    assert l0_errors(l0) == L0_WRPERR
    l0.write(FLASH + 0x0FFC, 1)
    assert l0_errors(l0) == 0
    l0.board.clear_faults()
    assert l0.read(L0_OPTR) & 0x1FF == 0xAA
    l0.board.set_fault("rdp1")
    assert l0.refused(FLASH)
    l0.write(FLASH + 0x2000, 1)
    assert l0_errors(l0) == L0_WRPERR
    assert not l0.refused(RAM)


def test_l0_keeps_its_data_eeprom(l0: Bench) -> None:
    """3.3.4: anything may be written while PECR is open; it replaces what was there."""
    l0.write(0x08080010, 0xFFFFFFFF)
    l0.narrow(0x08080011, 0x12, 1)
    assert l0.read(0x08080010) == 0xFFFF12FF
    assert l0.refused(0x08080400)
    l0.write(PECR, 1)
    l0.write(0x08080010, 0)
    assert l0_errors(l0) == L0_WRPERR
    state = l0.board.state()
    l0.board.restore(state)
    l0.debugger.connect()
    assert l0.read(0x08080010) == 0xFFFF12FF


def test_l0_is_an_armv6m_and_shows_its_identity_only_out_of_reset(l0: Bench) -> None:
    """DDI 0419: no fault status, no counter samples here; RM0377 27.4: DBGMCU is on APB."""
    assert l0.read(0xE000ED00) >> 4 & 0xFFF == 0xC60
    assert l0.read(0x40015800) & 0xFFF == 0x425
    assert l0.read(0x1FF8007C) & 0xFFFF == 32
    l0.write(0xE000EDFC, 0xFFFFFFFF)
    assert (l0.read(0xE000EDFC), l0.read(0xE000101C), l0.read(0xE000ED28)) == (0x01000401, 0, 0)
    l0.board.set_fault("reset-held")
    assert l0.refused(0x40015800)
    assert l0.read(0xE000ED00) >> 4 & 0xFFF == 0xC60
    assert l0.read(0xF0000FE0) == 0x25


def test_f103re_is_the_larger_one_of_the_same_die(bench: Callable[[str], Bench]) -> None:
    """DS5792: 512 KiB and 64 KiB of RAM; the RC has 256 and 48."""
    for name, flash, ram in (("stm32f103rc", 256, 48), ("stm32f103re", 512, 64)):
        made = bench(name)
        assert (made.read(0xE0042000) & 0xFFF, made.read(0x1FFFF7E0) & 0xFFFF) == (0x414, flash)
        assert made.refused(FLASH + flash * 1024 - 4) is False
        assert [made.refused(FLASH + flash * 1024), made.refused(RAM + ram * 1024 - 4), made.refused(RAM + ram * 1024)] == [
            True,
            False,
            True,
        ]


# --- STM32L432, RM0394 --------------------------------------------------------------------------------------------------


def test_l432_shows_its_second_ram_twice(bench: Callable[[str], Bench]) -> None:
    """Behind SRAM1 as well, where stacks begin at its end; an L476 does not."""
    l432, l476 = bench("nucleo-l432kc"), bench("nucleo-l476rg")
    assert (l432.read(0xE0042000) & 0xFFF, l432.read(0x1FFF75E0) & 0xFFFF) == (0x435, 256)
    l432.write(0x2000FFFC, 0x12345678)
    assert l432.read(0x10003FFC) == 0x12345678
    assert (l432.refused(0x20010000), l476.refused(0x20018000)) == (True, True)


# --- STM32F429, RM0090 --------------------------------------------------------------------------------------------------

F4 = 0x40023C00
F4_KEYR, F4_OPTKEYR, F4_SR, F4_CR, OPTCR, OPTCR1 = (F4 + n for n in (0x04, 0x08, 0x0C, 0x10, 0x14, 0x18))
F4_WRPERR, PGAERR, PGPERR, PGSERR = 0x10, 0x20, 0x40, 0x80
X8, X16, X32 = 1, 0x101, 0x201


@pytest.fixture
def f4(bench: Callable[[str], Bench]) -> Bench:
    made = bench("nucleo-f429zi")
    made.keys(F4_KEYR, *KEYS)
    return made


def f4_errors(f4: Bench) -> int:
    status = f4.read(F4_SR)
    f4.write(F4_SR, 0x1F3)
    return status


def test_f4_erases_exactly_one_sector(f4: Bench) -> None:
    """3.9.7 and table 6: SNB counts bank 2 from 16 on."""
    for number, start, length in ((0, 0, 16), (4, 64, 64), (11, 896, 128), (16, 1024, 16), (27, 1920, 128)):
        f4.fill(0)
        f4.write(F4_CR, 2 | number << 3 | 1 << 16)
        left = f4.flash(0, 0x200000)
        assert left[start * 1024 : (start + length) * 1024] == b"\xff" * (length * 1024), number
        assert left.count(0) == len(left) - length * 1024, number


def test_f4_programming_clears_bits(f4: Bench) -> None:
    """3.6.4: bits only go from one to zero, with no flag."""
    f4.write(F4_CR, X32)
    f4.write(FLASH, 0x0FFF1234)
    f4.write(FLASH, 0xF0FF4321)
    assert (f4.read(FLASH), f4_errors(f4)) == (0x00FF0220, 0)


def test_f4_flags(f4: Bench) -> None:
    """3.6.2, 3.6.4: PG first; the width that PSIZE says."""
    f4.write(FLASH, 0)
    assert f4_errors(f4) == PGSERR
    f4.write(F4_CR, X16)
    f4.write(FLASH, 0)
    assert f4_errors(f4) == PGPERR
    f4.narrow(FLASH + 2, 0x1234, 2)
    assert (f4_errors(f4), f4.read(FLASH)) == (0, 0x1234FFFF)
    f4.write(F4_CR, 1 << 16 | 2 | 1)
    assert f4_errors(f4) == PGSERR, "erasing and programming at once"


def test_f4_protection_by_sector_in_both_banks(f4: Bench) -> None:
    """3.7.4: a protected sector keeps its bank from being erased, and nothing is erased then."""
    f4.fill(0)
    f4.board.set_fault("write-protect", "13")
    assert (f4.read(OPTCR) >> 16 & 0xFFF, f4.read(OPTCR1) >> 16 & 0xFFF) == (0xFFF, 0xFFD)
    f4.write(F4_CR, 2 | 17 << 3 | 1 << 16)
    assert f4_errors(f4) == F4_WRPERR
    f4.write(F4_CR, 1 << 15 | 1 << 16)
    assert f4_errors(f4) == F4_WRPERR
    f4.write(F4_CR, 4 | 1 << 16)
    assert f4_errors(f4) == 0
    assert f4.flash(0, 0x200000) == b"\xff" * 0x100000 + bytes(0x100000)
    f4.write(F4_CR, X32)
    f4.write(FLASH + 0x104000, 0)
    assert f4_errors(f4) == F4_WRPERR


def test_f4_option_words_and_read_protection(f4: Bench) -> None:
    """3.7.2, 3.7.3: going back from level 1 erases the array."""
    f4.keys(F4_OPTKEYR, 0x08192A3B, 0x4C5D6E7F)
    f4.write(OPTCR, f4.read(OPTCR) & ~0xFF00 | 0x5500)
    f4.write(OPTCR, f4.read(OPTCR) | 2)
    assert f4.refused(FLASH)
    f4.power_cycle()
    assert f4.refused(FLASH)
    f4.fill(0)
    f4.keys(F4_OPTKEYR, 0x08192A3B, 0x4C5D6E7F)
    f4.write(OPTCR, f4.read(OPTCR) & ~0xFF00 | 0xAA00)
    f4.write(OPTCR, f4.read(OPTCR) | 2)
    assert f4.read(FLASH + 0x1FFFFC) == 0xFFFFFFFF


def test_f412_has_one_bank(bench: Callable[[str], Bench]) -> None:
    """RM0402: the same registers; sectors of the second bank, MER1 and OPTCR1 are not there."""
    f412 = bench("nucleo-f412zg")
    assert (f412.read(0xE0042000) & 0xFFF, f412.read(0x1FFF7A20) >> 16) == (0x441, 1024)
    f412.keys(F4_KEYR, *KEYS)
    f412.fill(0)
    for command in (2 | 16 << 3, 1 << 15):
        f412.write(F4_CR, command | 1 << 16)
    assert f412.flash(0, 0x100000) == bytes(0x100000)
    f412.write(F4_CR, 2 | 5 << 3 | 1 << 16)
    assert f412.flash(0, 0x100000) == bytes(0x20000) + b"\xff" * 0x20000 + bytes(0xC0000)
    f412.write(F4_CR, 4 | 1 << 16)
    assert f412.flash(0, 0x100000) == b"\xff" * 0x100000
    f412.keys(F4_OPTKEYR, 0x08192A3B, 0x4C5D6E7F)
    f412.write(OPTCR1, 0)
    f412.write(OPTCR, f412.read(OPTCR) & ~(1 << 27))
    f412.write(OPTCR, f412.read(OPTCR) | 2)
    assert (f412.read(OPTCR) >> 16 & 0xFFF, f412.read(OPTCR1)) == (0x7FF, 0)
    f412.write(F4_CR, 2 | 11 << 3 | 1 << 16)
    assert f4_errors(f412) == F4_WRPERR


# --- STM32H743, RM0433 --------------------------------------------------------------------------------------------------

H7 = 0x52002000
H7_KEYR, H7_CR, H7_SR, H7_CCR, OPTSR, WPSN = (H7 + n for n in (0x04, 0x0C, 0x10, 0x14, 0x1C, 0x38))
H7_EOP, H7_WRPERR, H7_PGSERR, STRBERR, INCERR, RDPERR, DBECCERR = (1 << n for n in (16, 17, 18, 19, 21, 23, 26))
SECOND = 0x100


@pytest.fixture
def h7(bench: Callable[[str], Bench]) -> Bench:
    made = bench("nucleo-h743zi")
    made.keys(H7_KEYR, *KEYS)
    made.keys(H7_KEYR + SECOND, *KEYS)
    return made


def h7_word(h7: Bench, address: int, words: list[int]) -> int:
    """A flash word; SR of its bank afterwards."""
    bank = SECOND if address >= FLASH + 0x100000 else 0
    h7.write(H7_CR + bank, 0x32)
    for index, word in enumerate(words):
        h7.write(address + 4 * index, word)
    h7.write(H7_CR + bank, 0)
    status = h7.read(H7_SR + bank)
    h7.write(H7_CCR + bank, status)
    return status


def test_h7_banks_have_their_own_registers(h7: Bench) -> None:
    """4.9: each bank its lock, its command and its status."""
    h7.write(H7_CR, 0x31)
    assert (h7.read(H7_CR) & 1, h7.read(H7_CR + SECOND) & 1) == (1, 0)
    h7.fill(0)
    h7.write(H7_CR + SECOND, 0xB6 | 3 << 8)  # PG does not keep a sector from being erased
    assert (h7.read(H7_SR), h7.read(H7_SR + SECOND)) == (0, H7_EOP)
    left = h7.flash(0, 0x200000)
    assert left[0x160000:0x180000] == b"\xff" * 0x20000
    assert left.count(0) == len(left) - 0x20000
    h7.write(H7_CR + SECOND, 0x88)
    assert h7.flash(0, 0x200000) == bytes(0x100000) + b"\xff" * 0x100000
    assert h7.read(OPTSR) == h7.read(OPTSR + SECOND), "the options are shared"


def test_h7_programs_flash_words_of_32_bytes(h7: Bench) -> None:
    """4.3.9, 4.7: PG first, no byte twice, no second flash word before the first is whole."""
    assert h7_word(h7, FLASH + 0x100040, list(range(8))) == H7_EOP
    assert h7.flash(0x100040, 32) == b"".join(n.to_bytes(4, "little") for n in range(8))
    h7.write(FLASH, 0)
    assert h7.read(H7_SR) == H7_PGSERR
    h7.write(H7_CCR, H7_PGSERR)
    h7.write(H7_CR, 2)
    for address, flag in ((FLASH, STRBERR), (FLASH + 32, INCERR)):
        h7.write(FLASH, 0)
        h7.write(address, 0)
        assert h7.read(H7_SR) == flag
        h7.write(H7_CCR, flag)
    assert h7.flash(0, 64) == b"\xff" * 64
    h7.write(FLASH + 4, 5)
    h7.write(H7_CR, 0)
    h7.write(H7_CR, 2)
    assert h7.read(FLASH + 4) == 0xFFFFFFFF, "without PG the buffer is lost"
    h7.write(FLASH + 8, 5)
    h7.write(H7_CR, 0x42)
    assert h7.flash(0, 32) == b"\xff" * 8 + b"\5\0\0\0" + b"\xff" * 20, "a forced write fills up with ones"


def test_h7_programming_twice_damages_the_error_correction(h7: Bench) -> None:
    """4.3.9: no flag then, but a bus error when it is read; zeros may go over it."""
    h7_word(h7, FLASH + 32, [1] * 8)
    assert h7_word(h7, FLASH + 32, [3] * 8) == H7_EOP
    assert h7.refused(FLASH + 32)
    assert h7.read(H7_SR) == DBECCERR
    assert not h7.refused(FLASH + 64)
    assert h7.debugger.read_bytes(FLASH + 64, 64) == b"\xff" * 64
    h7_word(h7, FLASH + 32, [0] * 8)
    assert h7.read(FLASH + 32) == 0
    h7_word(h7, FLASH + 96, [0xFFFFFFFF] * 8)
    h7_word(h7, FLASH + 96, [1] * 8)
    assert h7.refused(FLASH + 96), "programmed with ones is programmed"
    h7.write(H7_CR, 0xB4)
    assert h7.read(FLASH + 96) == 0xFFFFFFFF


def test_h7_protection(h7: Bench) -> None:
    """4.5.2: a cleared bit protects a sector. 4.5.3: read protection."""
    h7.board.set_fault("write-protect", "9")
    assert (h7.read(WPSN), h7.read(WPSN + SECOND)) == (0xFF, 0xFD)
    assert h7_word(h7, FLASH + 0x120000, [0] * 8) == H7_WRPERR
    h7.write(H7_CR + SECOND, 0x88)
    assert h7.read(H7_SR + SECOND) == H7_WRPERR
    h7.board.clear_faults()
    h7.board.set_fault("rdp1")
    assert h7.refused(FLASH)
    assert h7.read(H7_SR) == RDPERR
    assert not h7.refused(RAM)


def test_h7_identity_and_ports(h7: Bench) -> None:
    """RM0433 60.3, 60.5.8: three access ports; DBGMCU by two of them."""
    assert h7.read(0xE000ED00) >> 4 & 0xFFF == 0xC27
    assert h7.read(0x5C001000) & 0xFFF == 0x450
    assert h7.read(0x1FF1E880) & 0xFFFF == 2048
    found = []
    for port in range(4):
        h7.debugger.dp_write(8, port << 24 | 0xF0)
        found.append(h7.debugger.ap_read(0xC))
    assert found == [0x84770001, 0x84770001, 0x54770002, 0]
    h7.debugger.dp_write(8, 2 << 24)
    assert h7.read(0xE00E1000) & 0xFFF == 0x450
    h7.debugger.dp_write(8, 0)
    h7.board.set_fault("reset-held")
    assert h7.refused(0x5C001000)
    assert h7.read(DHCSR) & 1 << 25
