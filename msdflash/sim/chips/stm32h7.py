"""STM32H743xI (RM0433), and its flash controller (RM0433 chapter 4): two banks with registers each, flash words of 256 bits with ECC.

There is no flag for programming what is not erased: the bits are cleared, the error-correction bits no longer match, and reading
the flash word ends in a bus error from then on. Zeros may go over anything. The processor's own reads do not see that; bank swapping,
secure areas, PCROP and CRC are not modelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.ap import SidePort
from msdflash.sim.bus import Memory
from msdflash.sim.chips.controller import KEYS, OPTION_KEYS, FlashController, KeyLock
from msdflash.sim.chips.rcc import Clocks, Rcc
from msdflash.sim.chips.stm32 import FLASH_BASE, ST_DESIGNER, Area, Part, Stm32
from msdflash.sim.ppb import CLASS_ROM, RegisterPage, identification
from msdflash.sim.soc import Habits

if TYPE_CHECKING:
    from msdflash.sim.ap import AccessPort

KIB = 1024
FLASH_KIB, SECTOR, BANK, WORD = 2048, 128 * KIB, 1024 * KIB, 32
BASE = 0x52002000
ACR, KEYR, OPTKEYR, CR, SR, CCR, OPTCR, OPTSR_CUR, OPTSR_PRG = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18, 0x1C, 0x20  # 4.9
WPSN_CUR, WPSN_PRG, BOOT_CUR, BOOT_PRG = 0x38, 0x3C, 0x40, 0x44
BOTH = (ACR, OPTKEYR, OPTCR, OPTSR_CUR, OPTSR_PRG, BOOT_CUR, BOOT_PRG)  # seen at both banks' addresses
LOCK, PG, SER, BER, FW, START = 1, 2, 4, 8, 0x40, 0x80  # 4.9.4
BSY, WBNE, QW, EOP, WRPERR, PGSERR, STRBERR, INCERR, OPERR, RDPERR, DBECCERR = (
    1, 2, 4, 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 21, 1 << 22, 1 << 23, 1 << 26,
)  # fmt: skip
CLEARABLE = 0x0FEF0000
OPTLOCK, OPTSTART = 1, 2  # 4.9.7
BOOT = 0x1FF00800  # 4.9.17: BOOT_ADD0 is flash, BOOT_ADD1 is system memory
ONES, EMPTY = b"\xff" * WORD, (1 << WORD) - 1
# DS12110 (data sheet), flash memory characteristics at x64: typical flash word, sector, bank
WORD_SECONDS, SECTOR_SECONDS, BANK_SECONDS = 100e-6, 1.0, 8.0


class H7Flash(FlashController):
    """The controller. ``options`` are OPTSR and the write protection words of both banks."""

    unit = WORD
    guard_shift = 17
    factory = (0x1406AAD0, 0xFF, 0xFF)

    def __init__(self, array: Memory) -> None:
        super().__init__(BASE, array, tuple(range(0, array.size + 1, SECTOR)), aliases=())
        self._locks = (KeyLock(KEYS), KeyLock(KEYS))
        self._option_lock = KeyLock(OPTION_KEYS)
        self.damaged: set[int] = set()  # flash words whose error-correction bits do not match
        self._ones: set[int] = set()  # flash words that were programmed with ones: they look erased
        self._at = 0  # flash word in the write buffer
        self._filled = 0  # bytes of it that came, a bit each
        self._buffer = bytearray(WORD)
        self._before = ONES
        self._next = -1  # while words come in their turn onto erased cells, they stand in the array already: where the next one goes
        self.reset()
        array.by_words = self._by_words

    def reset_registers(self) -> None:
        """Section 4.9."""
        self._give_up()
        for lock in (*self._locks, self._option_lock):
            lock.reset()
        self.values = {ACR: 0x37, OPTCR: OPTLOCK, BOOT_CUR: BOOT, BOOT_PRG: BOOT}
        for bank in (0, 0x100):
            self.values |= {bank + CR: 0x31, bank + SR: 0}
        self.show_options()

    def show_options(self) -> None:
        """Current and programmed values of the option words."""
        for current, programmed, value in (
            (OPTSR_CUR, OPTSR_PRG, self.loaded[0]),
            (WPSN_CUR, WPSN_PRG, self.loaded[1]),
            (0x100 + WPSN_CUR, 0x100 + WPSN_PRG, self.loaded[2]),
        ):
            self.values[current] = self.values[programmed] = value

    @property
    def level_one(self) -> bool:
        """RDP is neither 0xAA nor 0xCC (4.5.3)."""
        return self.loaded[0] >> 8 & 0xFF not in (0xAA, 0xCC)

    def protected(self, sector: int) -> bool:
        """WRPSN: a cleared bit protects (4.5.2)."""
        return not self.loaded[1 + sector // 8] >> sector % 8 & 1

    def set_protected(self, sector: int) -> None:
        """Clear the sector's bit."""
        self.options[1 + sector // 8] &= ~(1 << sector % 8)

    def set_level_one(self) -> None:
        """Any value but the two."""
        self.options[0] = self.options[0] & ~0xFF00 | 0x5500

    def bank(self, offset: int) -> int:
        """Half of the array each."""
        return int(offset >= BANK)

    def show_busy(self, busy: bool) -> None:
        """BSY and QW of the bank under operation."""
        if self.busy_bank is not None:
            register = 0x100 * self.busy_bank + SR
            self.values[register] = self.values[register] & ~(BSY | QW) | ((BSY | QW) if busy else 0)

    def _flag(self, bank: int, flag: int) -> None:
        self.values[0x100 * bank + SR] |= flag

    # --- registers ----------------------------------------------------------------------------------------------------

    def load(self, word: int) -> int:
        """Value of a register."""
        return self.values.get(word & 0xFF if word & 0xFF in BOTH else word, 0)

    def store(self, word: int, value: int) -> None:
        """Store to a register."""
        bank, register = word >> 8 & 1, word & 0xFF
        if word >> 9:
            return
        if register == KEYR:
            if self.values[0x100 * bank + CR] & LOCK and self._locks[bank].opens(value):
                self.values[0x100 * bank + CR] &= ~LOCK
        elif register == OPTKEYR:
            if self.values[OPTCR] & OPTLOCK and self._option_lock.opens(value):
                self.values[OPTCR] &= ~OPTLOCK
        elif register == CR:
            self._control(bank, value)
        elif register == CCR:
            self.values[0x100 * bank + SR] &= ~(value & CLEARABLE)
        elif register == OPTCR:
            self._option_control(value)
        elif register == ACR:
            self.values[ACR] = value
        elif register in (OPTSR_PRG, WPSN_PRG, BOOT_PRG) and not self.values[OPTCR] & OPTLOCK:
            self.values[register if register in BOTH else word] = value

    def _control(self, bank: int, value: int) -> None:
        register = 0x100 * bank + CR
        self._settle()
        if self.values[register] & LOCK or self.values[0x100 * bank + SR] & BSY:
            return
        self.values[register] = value & ~(START | FW)
        if value & FW and self._filled and self.bank(self._at) == bank:  # 4.3.9: the rest of the buffer is filled with ones
            self._complete()
        if not value & PG and self.bank(self._at) == bank:
            self._give_up()
        if value & START:  # 4.9.4: PG may be set meanwhile
            if value & BER:
                self._erase(bank, 8 * bank, 8 * bank + 8)
            elif value & SER:
                number = 8 * bank + (value >> 8 & 7)
                self._erase(bank, number, number + 1)

    def _erase(self, bank: int, first: int, end: int) -> None:
        if self.level_one or any(self.protected(sector) for sector in range(first, end)):
            self._flag(bank, WRPERR)  # 4.5.2: and nothing is erased
            return
        if self.begins(first * SECTOR):
            self._clean(first * SECTOR, end * SECTOR)
            self.took(SECTOR_SECONDS if end == first + 1 else BANK_SECONDS)
            self._flag(bank, EOP)

    def _clean(self, first: int, end: int) -> None:
        self.erase(first, end, 0.0)
        for words in (self.damaged, self._ones):
            words -= {word for word in words if first <= word < end}

    def _option_control(self, value: int) -> None:
        """4.4.3: OPTSTART programs the option words and brings them into force."""
        if self.values[OPTCR] & OPTLOCK:
            return
        self.values[OPTCR] = value & OPTLOCK
        if not value & OPTSTART:
            return
        if self.level_one and self.values[OPTSR_PRG] >> 8 & 0xFF == 0xAA:  # 4.5.3: going back to level 0 erases both banks
            self._clean(0, self.array.size)
        self.options = [self.values[OPTSR_PRG], self.values[WPSN_PRG] & 0xFF, self.values[0x100 + WPSN_PRG] & 0xFF]
        self._take_options()

    # --- the array ----------------------------------------------------------------------------------------------------

    def _wrong(self, offset: int, size: int) -> int:
        """The flag that a store to the array raises, 0 if it is legal (4.7)."""
        if not self.values[0x100 * self.bank(offset) + CR] & PG:
            return PGSERR
        if self.level_one or self.protected(offset // SECTOR):
            return WRPERR
        at = offset & -WORD
        if self._filled and at != self._at:
            return INCERR
        return STRBERR if self._filled >> offset - at & (1 << size) - 1 else 0

    def goes_through(self, offset: int, size: int, value: int) -> bool:
        """A part of a flash word that was erased."""
        if offset == self._next and size == 4:
            self._next += 4
            if not self._next % WORD:
                self._next = -1
                self._programmed(value == 0xFFFFFFFF and self.array.data[self._at : offset] == ONES[:-4])
            return True
        if offset % WORD or size != 4 or self._filled or self._next >= 0 or self._wrong(offset, size):
            return False
        if offset in self._ones or self.array.data[offset : offset + WORD] != ONES:
            return False
        self._at, self._before, self._next = offset, ONES, offset + 4
        return True

    def _settle(self) -> None:
        """What came in its turn so far becomes the content of the write buffer."""
        if self._next >= 0:
            self._filled, self._next = (1 << self._next - self._at) - 1, -1
            self._buffer[:] = self.array.data[self._at : self._at + WORD]

    def _take(self, offset: int, size: int, value: int) -> None:
        at = offset - self._at
        self._buffer[at : at + size] = value.to_bytes(size, "little")
        self._filled |= (1 << size) - 1 << at

    def program(self, offset: int, size: int, value: int) -> None:
        """4.3.9: bytes are collected until a flash word is whole."""
        bank = self.bank(offset)
        self._settle()
        if self.values[0x100 * bank + SR] & BSY:
            return
        wrong = self._wrong(offset, size)
        if wrong:
            self._flag(bank, wrong)
            self._give_up()
            return
        if not self._filled:
            self._at = offset & -WORD
            self._before = bytes(self.array.data[self._at : self._at + WORD])
        self._take(offset, size, value)
        if self._filled == EMPTY:
            self._complete()

    def _complete(self) -> None:
        """The write buffer goes into the array."""
        new = bytes(byte if self._filled >> index & 1 else 0xFF for index, byte in enumerate(self._buffer))
        old, at, self._filled = self._before, self._at, 0
        self.array.data[at : at + WORD] = old
        if not self.begins(at):
            return
        if old != ONES or at in self._ones:
            self.damaged.add(at)
        if not any(new):
            self.damaged.discard(at)
        self.put(at, bytes(a & b for a, b in zip(old, new, strict=True)), 0.0)
        self._programmed(new == ONES)

    def _programmed(self, ones: bool) -> None:
        if ones:
            self._ones.add(self._at)
        self.took(WORD_SECONDS)
        self._flag(self.bank(self._at), EOP)

    def _give_up(self) -> None:
        """What is in the write buffer never gets into the array."""
        self._settle()
        if self._filled:
            self._filled = 0
            self.array.data[self._at : self._at + WORD] = self._before

    # --- the debugger's reads --------------------------------------------------------------------------------------------

    def _gate(self, address: int, write: bool) -> bool:
        offset = self._offset(address)
        if not write and self.level_one:
            self._flag(self.bank(offset), RDPERR)
        if not write and offset & -WORD in self.damaged:
            self._flag(self.bank(offset), DBECCERR)
            return True
        return super()._gate(address, write)

    def _by_words(self, address: int, length: int) -> bool:
        first = self._offset(address)
        return any(first - WORD < word < first + length for word in self.damaged)


class Ways(Habits):
    """A Cortex-M7 that starts in flash and has two more access ports (RM0433 60.3)."""

    core = "cortex-m7"
    vectors = FLASH_BASE
    rom_table = 0xE00FE000

    def __init__(self, dbgmcu: RegisterPage) -> None:
        table = RegisterPage(0xE00E0000, {**identification(PART.device_id & 0xFFF, ST_DESIGNER, CLASS_ROM), 0: 0x1003})
        again = RegisterPage(0xE00E1000, dbgmcu.constants)
        again.values = dbgmcu.values
        self._ports: dict[int, AccessPort] = {
            1: SidePort(0x84770001, 0x00000002),
            2: SidePort(0x54770002, 0xE00E0003, (table, again)),
        }

    def ports(self) -> dict[int, AccessPort]:
        """The bus of the second domain, and the debug bus."""
        return self._ports


# RM0433 8.7: ready bits of HSI, CSI, HSI48, HSE, PLL1 to PLL3; LSE; LSI; reset values; reset flags in RSR
CLOCKS = Clocks(
    ready={0x00: ((0, 2), (7, 8), (12, 13), (16, 17), (24, 25), (26, 27), (28, 29)), 0x70: ((0, 1),), 0x74: ((0, 1),)},
    reset={0x00: 0xC083, 0x04: 0x40000000, 0x28: 0x02020200, 0x2C: 0x01FF0000, 0xD4: 0x0},
    source=0x10,
    select=7,
    shown=3,
    flags=0xD0,
    clear=16,
    causes={
        "power": 1 << 17 | 1 << 19 | 1 << 20 | 1 << 21 | 1 << 22 | 1 << 23,
        "pin": 1 << 17 | 1 << 22,
        "software": 1 << 17 | 1 << 22 | 1 << 24,
        "watchdog": 1 << 17 | 1 << 22 | 1 << 26,
        "window": 1 << 17 | 1 << 22 | 1 << 28,
    },
)
# RM0433 6.8: supplies ready, voltage scale 3 reached
POWER = {0x804: 0x6000, 0x80C: 0x6, 0x818: 0x6000}
PART = Part(
    name="stm32h743xx",
    dpidr=0x6BA02477,
    device_id=0x20036450,  # RM0433 60.5.8: revision V
    ram=(
        Area("DTCM", 0x20000000, 128 * KIB),
        Area("ITCM", 0x00000000, 64 * KIB),
        Area("AXI SRAM", 0x24000000, 512 * KIB),
        Area("SRAM1 to SRAM3", 0x30000000, 288 * KIB),
        Area("SRAM4", 0x38000000, 64 * KIB),
    ),
    plain=(  # RM0433 2.3.2
        Area("APB1", 0x40000000, 0xE000),
        Area("APB2", 0x40010000, 0x8000),
        Area("AHB1", 0x40020000, 0xA000),
        Area("AHB2", 0x48020000, 0x3000),
        Area("APB3", 0x50000000, 0x4000),
        Area("AHB3", 0x52000000, 0x9000),
        Area("APB4", 0x58000000, 0x7000),
        Area("AHB4", 0x58020000, 0x7000),
    ),
    rom=(Area("system memory", 0x1FF00000, 0x20000),),
    uid=0x1FF1E800,  # RM0433 61.1
    words={0x1FF1E880: 0xFFFF0000 | FLASH_KIB},  # RM0433 61.2
)


class Stm32H743(Stm32):
    """The chip."""

    def __init__(self, serial: int) -> None:
        flash = H7Flash(Memory("flash", FLASH_BASE, bytearray(b"\xff" * (FLASH_KIB * KIB)), writable=False, volatile=False))
        rcc = Rcc(0x58024000, 0x400, CLOCKS, POWER)
        dbgmcu = RegisterPage(0x5C001000, {**identification(0, ST_DESIGNER, 0xF), 0: PART.device_id})
        super().__init__(PART, flash, rcc, (flash, rcc), kept=(dbgmcu,), habits=Ways(dbgmcu), serial=serial)
