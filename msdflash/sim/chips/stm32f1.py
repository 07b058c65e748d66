"""STM32F103RC and RE, high density (RM0008), and their flash controller (PM0075).

Half-words, pages of 2 KiB, and option bytes that hold a protection key instead of a level.
"""

from __future__ import annotations

from msdflash.sim.bus import BusError, Memory
from msdflash.sim.chips.controller import KEYS, FlashController, KeyLock
from msdflash.sim.chips.rcc import Clocks, Rcc
from msdflash.sim.chips.stm32 import FLASH_BASE, Area, Part, Stm32
from msdflash.sim.ppb import RegisterPage
from msdflash.sim.soc import Habits

KIB = 1024
PAGE = 2 * KIB
BASE = 0x40022000
ACR, KEYR, OPTKEYR, SR, CR, AR, OBR, WRPR = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x1C, 0x20  # PM0075 3
BSY, PGERR, WRPRTERR, EOP = 1, 4, 0x10, 0x20  # 3.4
PG, PER, MER, OPTPG, OPTER, STRT, LOCK, OPTWRE = 1, 2, 4, 0x10, 0x20, 0x40, 0x80, 0x200  # 3.5
OPEN_KEY = 0x00A5  # 2.4.1: RDPRT key
OPTION_BYTES = 0x1FFFF800
RDP = 0
# Option half-words of a part as it leaves the factory, each byte with its complement (2.5): open, hardware options at their defaults
FACTORY = (0x5AA5, *(0x00FF,) * 7)
ERASED_OPTION = 0xFFFF
# DS5319 and DS5792 (data sheets), flash memory characteristics: typical half-word, page and mass erase
PROGRAM_SECONDS, ERASE_SECONDS = 52.5e-6, 20e-3


class F1Flash(FlashController):
    """The controller of the high-density parts. ``options`` are the eight half-words of the option area."""

    unit = 2
    factory = FACTORY

    def __init__(self, array: Memory) -> None:
        super().__init__(BASE, array, tuple(range(0, array.size + 1, PAGE)))
        self._lock, self._option_lock = KeyLock(KEYS), KeyLock(KEYS)  # 2.3.1, 2.3.4: the same keys
        self.area: Memory | None = None
        self.reset()

    def reset(self) -> None:
        """Options are loaded at each system reset (2.5)."""
        self.loaded = list(self.options)
        super().reset()
        self._shut(self.level_one and self.intruded)

    def reset_registers(self) -> None:
        """Section 3."""
        self._lock.reset()
        self._option_lock.reset()
        self.values = {ACR: 0x30, SR: 0, CR: LOCK, AR: 0}
        self.show_options()

    def show_options(self) -> None:
        """OBR and WRPR (3.7, 3.8): a byte that does not match its complement counts as 0xFF."""
        read = [word & 0xFF if word >> 8 == ~word & 0xFF else 0xFF for word in self.loaded]
        damaged = any(word >> 8 != ~word & 0xFF and word != ERASED_OPTION for word in self.loaded)
        self.values[OBR] = damaged | self.level_one << 1 | (read[1] & 7) << 2 | read[2] << 10 | read[3] << 18
        self.values[WRPR] = int.from_bytes(bytes(read[4:]), "little")
        self._show_area()

    def _show_area(self) -> None:
        if self.area is not None:
            shown = b"".join(word.to_bytes(2, "little") for word in self.options)
            at = OPTION_BYTES - self.area.base
            self.area.data[at : at + len(shown)] = shown

    @property
    def level_one(self) -> bool:
        """Protected unless the key stands there with its complement (2.4.1)."""
        return self.loaded[RDP] != (~OPEN_KEY & 0xFF) << 8 | OPEN_KEY

    def protected(self, sector: int) -> bool:
        """A bit of WRPR for two pages, the last one for all from page 62 on (2.4.2)."""
        bit = min(sector // 2, 31)
        word = self.loaded[4 + bit // 8]
        return word >> 8 == ~word & 0xFF and not word >> bit % 8 & 1

    def set_protected(self, sector: int) -> None:
        """Clear the page's bit."""
        bit = min(sector // 2, 31)
        low = self.options[4 + bit // 8] & 0xFF & ~(1 << bit % 8)
        self.options[4 + bit // 8] = (~low & 0xFF) << 8 | low

    def set_level_one(self) -> None:
        """Any value but the key."""
        self.options[RDP] = 0xFF00

    def show_busy(self, busy: bool) -> None:
        """SR.BSY."""
        self.values[SR] = self.values[SR] & ~BSY | busy

    # --- registers ----------------------------------------------------------------------------------------------------

    def store(self, word: int, value: int) -> None:
        """Store to a register."""
        if word == KEYR:
            if self.values[CR] & LOCK and self._lock.opens(value):
                self.values[CR] &= ~LOCK
        elif word == OPTKEYR:
            if not self.values[CR] & LOCK and self._option_lock.opens(value):
                self.values[CR] |= OPTWRE
        elif word == SR:
            self.values[SR] &= ~(value & (PGERR | WRPRTERR | EOP))
        elif word == CR:
            self._control(value)
        elif word in (ACR, AR):
            self.values[word] = value

    def _control(self, value: int) -> None:
        old = self.values[CR]
        if old & LOCK or self.values[SR] & BSY:
            return
        self.values[CR] = value & ~(STRT | OPTWRE) | (old & value & OPTWRE)
        if not value & STRT:
            return
        if value & OPTER and self.values[CR] & OPTWRE:  # 2.3.4
            self.options = [ERASED_OPTION] * len(self.options)
            self._show_area()
            self.took(ERASE_SECONDS)
            self.values[SR] |= EOP
        elif value & MER:
            self._erase(0, self.sectors)
        elif value & PER and 0 <= self.values[AR] - self.array.base < self.array.size:
            page = (self.values[AR] - self.array.base) // PAGE
            self._erase(page, page + 1)

    def _erase(self, first: int, end: int) -> None:
        # 2.4.1: under read protection a debugger cannot erase pages; it can erase the whole array
        whole = end - first == self.sectors
        if any(self.protected(page) for page in range(first, end)) or (self.level_one and not whole):
            self.values[SR] |= WRPRTERR
            return
        if self.begins(first * PAGE):
            self.erase(first * PAGE, end * PAGE, ERASE_SECONDS)
            self.values[SR] |= EOP

    # --- the array ----------------------------------------------------------------------------------------------------

    def goes_through(self, offset: int, size: int, value: int) -> bool:
        """A half-word onto an erased one, or zero onto anything (2.3.3)."""
        if size != 2 or not self.values[CR] & PG:
            return False
        if self.array.data[offset : offset + 2] != b"\xff\xff" and value & 0xFFFF:
            return False
        self.values[SR] |= EOP
        self.took(PROGRAM_SECONDS)
        return True

    def program(self, offset: int, size: int, value: int) -> None:
        """2.3.3."""
        if size != 2:
            raise BusError(self.array.base + offset)
        if not self.values[CR] & PG or self.values[SR] & BSY:
            return
        if self.protected(offset // PAGE) or self.level_one:
            self.values[SR] |= WRPRTERR
        elif self.array.data[offset : offset + 2] != b"\xff\xff" and value:
            self.values[SR] |= PGERR
        elif self.begins(offset):
            self.put(offset, value.to_bytes(2, "little"), PROGRAM_SECONDS)
            self.values[SR] |= EOP

    def option_store(self, address: int, size: int, value: int) -> None:
        """A half-word of the option area (2.3.4): the low byte counts, its complement is made by the controller.

        Raises:
            BusError: another size.
        """
        slot = (address - OPTION_BYTES) // 2
        if size != 2:
            raise BusError(address)
        cr = self.values[CR]
        if not cr & OPTPG or not cr & OPTWRE or not 0 <= slot < len(self.options):
            return
        if self.options[slot] != ERASED_OPTION:
            self.values[SR] |= PGERR
            return
        low = value & 0xFF
        if slot == RDP and low == OPEN_KEY and self.level_one:  # 2.4.1: opening erases the array
            self.erase(0, self.array.size, ERASE_SECONDS)
        self.options[slot] = (~low & 0xFF) << 8 | low
        self._show_area()
        self.took(PROGRAM_SECONDS)
        self.values[SR] |= EOP


# RM0008 7.3: ready bits of HSI, HSE, PLL, LSE, LSI; reset values; reset flags in CSR, of which PINRSTF is set by any (7.1)
CLOCKS = Clocks(
    ready={0x00: ((0, 1), (16, 17), (24, 25)), 0x20: ((0, 1),), 0x24: ((0, 1),)},
    reset={0x00: 0x83, 0x14: 0x14},
    source=0x04,
    select=3,
    shown=2,
    flags=0x24,
    clear=24,
    causes={
        "power": 1 << 26 | 1 << 27,
        "pin": 1 << 26,
        "software": 1 << 26 | 1 << 28,
        "watchdog": 1 << 26 | 1 << 29,
        "window": 1 << 26 | 1 << 30,
    },
)
SIZE = 0x1FFFF7E0  # RM0008 30.1: half-word, KiB


def _part(name: str, flash_kib: int, ram_kib: int) -> Part:
    """One of the family; what differs is the amount of memory (DS5792, device table)."""
    return Part(
        name=name,
        dpidr=0x1BA01477,
        device_id=0x10036414,  # RM0008 31.6.1: high density
        ram=(Area("SRAM", 0x20000000, ram_kib * KIB),),
        plain=(  # RM0008 3.3
            Area("APB1", 0x40000000, 0x8000),
            Area("APB2", 0x40010000, 0x6000),
            Area("SDIO, DMA", 0x40018000, 0x9000),
            Area("CRC", 0x40023000, 0x1000),
        ),
        rom=(Area("system memory, option bytes", 0x1FFFF000, 0x1000),),
        uid=0x1FFFF7E8,  # RM0008 30.2
        words={SIZE: 0xFFFF0000 | flash_kib},
    )


PARTS = {part.name: part for part in (_part("stm32f103rc", 256, 48), _part("stm32f103re", 512, 64))}


class Ways(Habits):
    """A Cortex-M3."""

    core = "cortex-m3"


class Stm32F103(Stm32):
    """The chip; its option bytes can be programmed where they stand."""

    def __init__(self, part: Part, serial: int) -> None:
        size = (part.words[SIZE] & 0xFFFF) * KIB
        flash = F1Flash(Memory("flash", FLASH_BASE, bytearray(b"\xff" * size), writable=False, volatile=False))
        rcc = Rcc(0x40021000, 0, CLOCKS)
        dbgmcu = RegisterPage(0xE0042000, {0: part.device_id})  # RM0008 31.16: cleared by power-on only
        super().__init__(part, flash, rcc, (flash, rcc), kept=(dbgmcu,), habits=Ways(), serial=serial)
        flash.area = self._rom[0]
        flash.area.on_store = flash.option_store
        flash.reset()
