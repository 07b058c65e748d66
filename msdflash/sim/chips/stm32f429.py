"""STM32F429xI (RM0090) and STM32F412xG (RM0402), and their flash controller: unequal sectors, programming that only clears bits.

Section numbers of the controller are those of RM0090 chapter 3. The F412 has the first of the two banks alone, and neither MER1 nor OPTCR1.
"""

from __future__ import annotations

import msgspec

from msdflash.sim.bus import Memory
from msdflash.sim.chips.controller import KEYS, OPTION_KEYS, FlashController, KeyLock
from msdflash.sim.chips.rcc import Clocks, Rcc
from msdflash.sim.chips.stm32 import FLASH_BASE, Area, Part, Stm32
from msdflash.sim.ppb import RegisterPage
from msdflash.sim.soc import Habits

KIB = 1024
PAGE, RCC, FLASH = 0x40023000, 0x800, 0xC00  # CRC, RCC and the controller share a page of 4 KiB
BASE = PAGE + FLASH
ACR, KEYR, OPTKEYR, SR, CR, OPTCR, OPTCR1 = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18  # 3.9
EOP, OPERR, WRPERR, PGAERR, PGPERR, PGSERR, RDERR, BSY = 1, 2, 0x10, 0x20, 0x40, 0x80, 0x100, 0x10000  # 3.9.5
SR_CLEARABLE = EOP | OPERR | WRPERR | PGAERR | PGPERR | PGSERR | RDERR
PG, SER, MER, MER1, STRT, EOPIE, LOCK = 1, 2, 4, 1 << 15, 1 << 16, 1 << 24, 1 << 31  # 3.9.7
OPTLOCK, OPTSTRT, SPRMOD = 1, 2, 1 << 31  # 3.9.10
FACTORY = (0x0FFFAAEC, 0x0FFF0000)  # 3.9.10, 3.9.11: no protection
NWRP = 16  # bit of the first sector in OPTCR and OPTCR1
ROW = 16  # 3.6.4: no single write may cross 128 bits
BANK_SECTORS = (16, 16, 16, 16, 64, *(128,) * 7)  # table 6, KiB
SECOND = 12  # number of the first sector of bank 2
# DS9405 (data sheet), flash memory characteristics at x32: typical word; sectors of 16, 64 and 128 KiB; a bank
WORD_SECONDS, BANK_SECONDS = 16e-6, 8.0
SECTOR_SECONDS = {16: 0.25, 64: 0.55, 128: 1.0}


def _starts(banks: int) -> tuple[int, ...]:
    starts = [0]
    for length in BANK_SECTORS * banks:
        starts.append(starts[-1] + length * KIB)
    return tuple(starts)


class F4Flash(FlashController):
    """The controller. ``options`` are OPTCR and, with two banks, OPTCR1 without their command bits."""

    guard_shift = 14

    def __init__(self, array: Memory) -> None:
        self._banks = array.size // (sum(BANK_SECTORS) * KIB)
        self.factory = FACTORY[: self._banks]
        super().__init__(BASE, array, _starts(self._banks))
        self._lock, self._option_lock = KeyLock(KEYS), KeyLock(OPTION_KEYS)
        self.reset()

    def reset_registers(self) -> None:
        """Section 3.9."""
        self._lock.reset()
        self._option_lock.reset()
        self.values = {ACR: 0, SR: 0, CR: LOCK, OPTCR: OPTLOCK}
        self.show_options()

    def show_options(self) -> None:
        """OPTCR, and OPTCR1 of the second bank."""
        self.values[OPTCR] = self.loaded[0] | self.values[OPTCR] & OPTLOCK
        if self._banks > 1:
            self.values[OPTCR1] = self.loaded[1]

    @property
    def level_one(self) -> bool:
        """RDP is neither 0xAA nor 0xCC (3.7.3)."""
        return self.loaded[0] >> 8 & 0xFF not in (0xAA, 0xCC)

    def protected(self, sector: int) -> bool:
        """NWRP: a cleared bit protects; with SPRMOD a set one does, against reading too (3.7.4, 3.7.5)."""
        bit = self.loaded[sector // SECOND] >> NWRP + sector % SECOND & 1
        return bool(bit) == bool(self.loaded[0] & SPRMOD)

    def set_protected(self, sector: int) -> None:
        """Clear the sector's bit."""
        self.options[sector // SECOND] &= ~(1 << NWRP + sector % SECOND)

    def set_level_one(self) -> None:
        """Any value but the two."""
        self.options[0] = self.options[0] & ~0xFF00 | 0x5500

    def bank(self, offset: int) -> int:
        """Half of the array each, if there are two."""
        return int(offset >= self.starts[SECOND])

    def show_busy(self, busy: bool) -> None:
        """SR.BSY, of both banks."""
        self.values[SR] = self.values[SR] & ~BSY | (BSY if busy else 0)

    # --- registers ----------------------------------------------------------------------------------------------------

    def store(self, word: int, value: int) -> None:
        """Store to a register."""
        if word == KEYR:
            if self.values[CR] & LOCK and self._lock.opens(value):
                self.values[CR] &= ~LOCK
        elif word == OPTKEYR:
            if self.values[OPTCR] & OPTLOCK and self._option_lock.opens(value):
                self.values[OPTCR] &= ~OPTLOCK
        elif word == SR:
            self.values[SR] &= ~(value & SR_CLEARABLE)
        elif word == CR:
            self._control(value)
        elif word == OPTCR or (word == OPTCR1 and self._banks > 1):
            self._options(word, value)
        elif word == ACR:
            self.values[ACR] = value

    def _control(self, value: int) -> None:
        if self.values[CR] & LOCK or self.values[SR] & BSY:
            return
        self.values[CR] = value & ~STRT
        if not value & STRT:
            return
        if value & PG and value & (SER | MER | MER1):
            self.values[SR] |= PGSERR
        elif value & SER:
            number = value >> 3 & 0x1F  # 3.9.7: bit 4 of SNB chooses the bank
            if number & 0xF < SECOND and number >> 4 < self._banks:
                first = (number & 0xF) + (SECOND if number & 0x10 else 0)
                self._erase(first, first + 1)
        elif self._banks > 1 and value & MER1:
            self._erase(0 if value & MER else SECOND, 2 * SECOND)
        elif value & MER:
            self._erase(0, SECOND)

    def _erase(self, first: int, end: int) -> None:
        if self.level_one or any(self.protected(sector) for sector in range(first, end)):
            self.values[SR] |= WRPERR  # 3.7.4: and nothing is erased
            return
        start, stop = self.starts[first], self.starts[end]
        if self.begins(start):
            seconds = SECTOR_SECONDS[(stop - start) // KIB] if end == first + 1 else BANK_SECONDS
            self.erase(start, stop, seconds)
            self._done()

    def _done(self) -> None:
        if self.values[CR] & EOPIE:
            self.values[SR] |= EOP  # 3.9.5: only set with its interrupt enabled

    def _options(self, word: int, value: int) -> None:
        """3.7.2: OPTSTRT programs both words; they come into force at once (assumed; write protection does on real parts)."""
        if self.values[OPTCR] & OPTLOCK or self.values[SR] & BSY:
            return
        self.values[word] = value & ~(OPTLOCK | OPTSTRT) if word == OPTCR else value & 0x0FFF0000
        if word == OPTCR:
            if value & OPTSTRT:
                self._program_options()
            self.values[OPTCR] |= value & OPTLOCK

    def _program_options(self) -> None:
        if self.level_one and self.values[OPTCR] >> 8 & 0xFF == 0xAA:  # 3.7.3: going back to level 0 erases the array
            self.erase(0, self.array.size, self._banks * BANK_SECONDS)
        self.options = [self.values[OPTCR] & ~OPTLOCK, *(self.values[OPTCR1] for _ in self.options[1:])]
        self._take_options()
        self.took(SECTOR_SECONDS[16])

    # --- the array ----------------------------------------------------------------------------------------------------

    def _wide(self, size: int) -> bool:
        """A write has the size that PSIZE says (3.6.2)."""
        return size == 1 << (self.values[CR] >> 8 & 3)

    def goes_through(self, offset: int, size: int, value: int) -> bool:
        """A write that only clears bits."""
        if not self.values[CR] & PG or not self._wide(size) or offset % size:
            return False
        if value & ~int.from_bytes(self.array.data[offset : offset + size], "little"):
            return False
        self.took(WORD_SECONDS)
        self._done()
        return True

    def program(self, offset: int, size: int, value: int) -> None:
        """3.6.4."""
        if self.values[SR] & BSY:
            return
        if not self.values[CR] & PG:
            self.values[SR] |= PGSERR
        elif not self._wide(size):
            self.values[SR] |= PGPERR
        elif offset % ROW + size > ROW:
            self.values[SR] |= PGAERR
        elif self.level_one or self.protected(self.sector(offset)):
            self.values[SR] |= WRPERR
        elif self.begins(offset):
            old = int.from_bytes(self.array.data[offset : offset + size], "little")
            self.put(offset, (old & value).to_bytes(size, "little"), WORD_SECONDS)
            self._done()


class SharedPage(RegisterPage):
    """The page in which clock control and flash controller lie."""

    def __init__(self, rcc: Rcc, flash: F4Flash) -> None:
        super().__init__(PAGE)
        self._rcc = rcc
        self._flash = flash

    def load(self, word: int) -> int:
        """Value of a register."""
        return self._flash.load(word - FLASH) if word >= FLASH else self._rcc.load(word)

    def store(self, word: int, value: int) -> None:
        """Store to a register."""
        if word >= FLASH:
            self._flash.store(word - FLASH, value)
        else:
            self._rcc.store(word, value)


# RM0090 6.3: ready bits of HSI, HSE, PLL, PLLI2S, PLLSAI; LSE; LSI; reset values; reset flags in CSR
CLOCKS = Clocks(
    ready={0x00: ((0, 1), (16, 17), (24, 25), (26, 27), (28, 29)), 0x70: ((0, 1),), 0x74: ((0, 1),)},
    reset={0x00: 0x83, 0x04: 0x24003010, 0x30: 0x00100000},
    source=0x08,
    select=3,
    shown=2,
    flags=0x74,
    clear=24,
    causes={
        "power": 1 << 25 | 1 << 26 | 1 << 27,
        "pin": 1 << 26,
        "software": 1 << 26 | 1 << 28,
        "watchdog": 1 << 26 | 1 << 29,
        "window": 1 << 26 | 1 << 30,
    },
)
# RM0402 chapter 6, from memory: as above, without PLLSAI; no core-coupled RAM whose clock would be on after reset
CLOCKS_F412 = msgspec.structs.replace(
    CLOCKS, ready={**CLOCKS.ready, 0x00: ((0, 1), (16, 17), (24, 25), (26, 27))}, reset={0x00: 0x83, 0x04: 0x24003010}
)
SIZE = 0x1FFF7A20  # RM0090 39.2: half-word at 0x1FFF7A22, KiB; the F412 has it there, too
F429 = Part(
    name="stm32f429xi",
    dpidr=0x2BA01477,
    device_id=0x20036419,  # RM0090 38.6.1
    ram=(Area("SRAM1 to SRAM3", 0x20000000, 192 * KIB), Area("CCM", 0x10000000, 64 * KIB)),
    plain=(  # RM0090 2.3
        Area("APB1", 0x40000000, 0x8000),
        Area("APB2", 0x40010000, 0x7000),
        Area("GPIO", 0x40020000, 0x3000),
        Area("backup SRAM, DMA, Ethernet, DMA2D", 0x40024000, 0x8000),
        Area("OTG, DCMI, RNG", 0x50000000, 0x61000),
    ),
    rom=(Area("system memory, OTP, unique id", 0x1FFF0000, 0x8000),),
    uid=0x1FFF7A10,  # RM0090 39.1
    words={SIZE: 2048 << 16 | 0xFFFF},
)
F412 = Part(
    name="stm32f412xg",
    dpidr=0x2BA01477,
    device_id=0x30006441,  # as OpenOCD printed it on a board (revision C)
    ram=(Area("SRAM", 0x20000000, 256 * KIB),),
    plain=(  # RM0402 2.3, from memory
        Area("APB1", 0x40000000, 0x8000),
        Area("APB2", 0x40010000, 0x7000),
        Area("GPIO", 0x40020000, 0x2000),
        Area("DMA", 0x40026000, 0x1000),
        Area("OTG_FS, RNG", 0x50000000, 0x61000),
        Area("FSMC, QUADSPI", 0xA0000000, 0x2000),
    ),
    rom=F429.rom,
    uid=F429.uid,
    words={SIZE: 1024 << 16 | 0xFFFF},
)
PARTS = {part.name: (part, clocks) for part, clocks in ((F429, CLOCKS), (F412, CLOCKS_F412))}


class Stm32F42(Stm32):
    """One of the parts."""

    def __init__(self, name: str, serial: int) -> None:
        part, clocks = PARTS[name]
        flash = F4Flash(Memory("flash", FLASH_BASE, bytearray(b"\xff" * ((part.words[SIZE] >> 16) * KIB)), writable=False, volatile=False))
        rcc = Rcc(PAGE, RCC, clocks)
        dbgmcu = RegisterPage(0xE0042000, {0: part.device_id})  # RM0090 38.16: cleared by power-on only
        super().__init__(part, flash, rcc, (SharedPage(rcc, flash),), kept=(dbgmcu,), habits=Habits(), serial=serial)
