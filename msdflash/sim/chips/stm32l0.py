"""STM32L031x6 (RM0377), and its memory controller (RM0377 chapter 3): erased to zero, words and half pages, and a data EEPROM.

An operation is a store to the array; what it means is chosen in PECR. Fetches while a half page is being collected (FWWERR) and
interrupts are not modelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from msdflash.sim.bus import Memory
from msdflash.sim.chips.controller import FlashController, KeyLock
from msdflash.sim.chips.rcc import Clocks, Rcc
from msdflash.sim.chips.stm32 import FLASH_BASE, Area, Part, Stm32
from msdflash.sim.ppb import RegisterPage
from msdflash.sim.soc import Habits

if TYPE_CHECKING:
    from msdflash.sim.soc import Soc

KIB = 1024
FLASH_KIB, PAGE, HALF_PAGE, WRP_SECTOR = 32, 128, 64, 4 * KIB
EEPROM_BASE, EEPROM_SIZE = 0x08080000, KIB
BASE = 0x40022000
ACR, PECR, PDKEYR, PEKEYR, PRGKEYR, OPTKEYR, SR, OPTR, WRPROT = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18, 0x1C, 0x20  # 3.7
PELOCK, PRGLOCK, OPTLOCK, PROG, DATA, FIX, ERASE, FPRG, OBL_LAUNCH = 1, 2, 4, 8, 0x10, 0x100, 0x200, 0x400, 1 << 18  # 3.7.2
LOCKS = PELOCK | PRGLOCK | OPTLOCK
BSY, EOP, READY, WRPERR, PGAERR, SIZERR, OPTVERR, RDERR, NOTZEROERR, FWWERR = (
    1, 2, 0xC, 0x100, 0x200, 0x400, 0x800, 0x2000, 0x10000, 0x20000,
)  # fmt: skip
SR_CLEARABLE = EOP | WRPERR | PGAERR | SIZERR | OPTVERR | RDERR | NOTZEROERR | FWWERR
PE_KEYS, PRG_KEYS, OPT_KEYS = (0x89ABCDEF, 0x02030405), (0x8C9DAEBF, 0x13141516), (0xFBEAD9C8, 0x24252627)  # 3.3.4
OPTION_BYTES = 0x1FF80000
RDP, USER, WRP = 0, 1, 2  # half-words of the option area (3.4.1)
WPRMOD = 0x100  # OPTR bit 8: the bits of WRPROT mean read protection, and zero protects (3.4.2)
OPERATION_SECONDS = 3.28e-3  # DS10668 (data sheet), memory programming: word, half page or page


class L0Flash(FlashController):
    """The controller. ``options`` are three half-words: RDP with WPRMOD, the user options, and WRPROT."""

    erased = 0x00
    factory = (0x00AA, 0x8070, 0x0000)

    def __init__(self, array: Memory) -> None:
        super().__init__(BASE, array, tuple(range(0, array.size + 1, PAGE)))
        self._locks = {PEKEYR: (KeyLock(PE_KEYS), PELOCK), PRGKEYR: (KeyLock(PRG_KEYS), PRGLOCK), OPTKEYR: (KeyLock(OPT_KEYS), OPTLOCK)}
        self._half: list[int] = []  # words of a half page that came so far
        self._half_at = 0
        self.reset()

    def reset_registers(self) -> None:
        """Section 3.7."""
        self._give_up()
        for lock, _ in self._locks.values():
            lock.reset()
        self.values = {ACR: 0, PECR: LOCKS, SR: READY}
        self.show_options()

    def show_options(self) -> None:
        """OPTR and WRPROT (3.7.8, 3.7.9)."""
        self.values[OPTR] = self.loaded[USER] << 16 | self.loaded[RDP]
        self.values[WRPROT] = self.loaded[WRP]

    @property
    def level_one(self) -> bool:
        """RDP is neither 0xAA nor 0xCC (3.4.1)."""
        return self.loaded[RDP] & 0xFF not in (0xAA, 0xCC)

    def protected(self, sector: int) -> bool:
        """A bit of WRPROT for 4 KiB: one protects, with WPRMOD zero does (3.4.2)."""
        bit = self.loaded[WRP] >> (sector * PAGE // WRP_SECTOR) & 1
        return bool(bit) != bool(self.loaded[RDP] & WPRMOD)

    def set_protected(self, sector: int) -> None:
        """The bit of the page's 4 KiB."""
        bit = 1 << sector * PAGE // WRP_SECTOR
        self.options[WRP] = self.options[WRP] & ~bit if self.options[RDP] & WPRMOD else self.options[WRP] | bit

    def set_level_one(self) -> None:
        """Any value but the two."""
        self.options[RDP] = self.options[RDP] & ~0xFF | 0xBB

    def show_busy(self, busy: bool) -> None:
        """SR.BSY."""
        self.values[SR] = self.values[SR] & ~BSY | busy

    # --- registers ----------------------------------------------------------------------------------------------------

    def store(self, word: int, value: int) -> None:
        """Store to a register."""
        if word in self._locks:
            self._key(word, value)
        elif word == SR:
            self.values[SR] &= ~(value & SR_CLEARABLE)
        elif word == PECR:
            self._control(value)
        elif word == ACR:
            self.values[ACR] = value

    def _key(self, register: int, value: int) -> None:
        lock, bit = self._locks[register]
        shut = self.values[PECR]
        if not shut & bit or (bit != PELOCK and shut & PELOCK):  # 3.3.4: PECR comes first
            return
        if lock.opens(value):
            self.values[PECR] &= ~bit

    def _control(self, value: int) -> None:
        old = self.values[PECR]
        if old & PELOCK or self.values[SR] & BSY:
            return
        locks = (old | value) & LOCKS
        self.values[PECR] = value & ~(LOCKS | OBL_LAUNCH) | (LOCKS if locks & PELOCK else locks)
        if not value & FPRG:
            self._give_up()
        if value & OBL_LAUNCH:
            self.launch()

    # --- the array ----------------------------------------------------------------------------------------------------

    def goes_through(self, offset: int, size: int, value: int) -> bool:
        """A word of a half page in its turn, onto zeros; or a single word onto zero."""
        pecr = self.values[PECR]
        if size != 4 or pecr & (PELOCK | PRGLOCK | ERASE):
            return False
        if not pecr & FPRG:
            if self.array.data[offset : offset + 4] != bytes(4):
                return False
            self.values[SR] |= EOP
            self.took(OPERATION_SECONDS)
            return True
        if not pecr & PROG or not self._fits(offset):
            return False
        if not self._half and self.array.data[offset : offset + HALF_PAGE] != bytes(HALF_PAGE):
            return False
        self._collect(offset, value)
        return True

    def _fits(self, offset: int) -> bool:
        return offset == self._half_at + 4 * len(self._half) if self._half else not offset % HALF_PAGE

    def _collect(self, offset: int, value: int) -> bool:
        """Take a word of a half page; True with the last one."""
        if not self._half:
            self._half_at = offset
        self._half.append(value)
        if 4 * len(self._half) < HALF_PAGE:
            return False
        self._half = []
        self.values[SR] |= EOP
        self.took(OPERATION_SECONDS)
        return True

    def _give_up(self) -> None:
        """A half page that never became whole is not programmed."""
        self.array.data[self._half_at : self._half_at + 4 * len(self._half)] = bytes(4 * len(self._half))
        self._half = []

    def _refusal(self, offset: int, size: int) -> int:
        """The flag that a store to the array raises, 0 if it is legal (3.3.4, 3.7.7)."""
        pecr = self.values[PECR]
        if pecr & (PELOCK | PRGLOCK) or self.level_one or self.protected(offset // PAGE):
            return WRPERR
        if size != 4:
            return SIZERR
        if pecr & FPRG and not self._fits(offset):
            return PGAERR
        if pecr & ERASE:
            return 0
        length = HALF_PAGE if pecr & FPRG else 4
        return 0 if self._half or self.array.data[offset : offset + length] == bytes(length) else NOTZEROERR

    def program(self, offset: int, size: int, value: int) -> None:
        """3.3.4: erase a page, or program a word or a half page."""
        if self.values[SR] & BSY:
            return
        refusal = self._refusal(offset, size)
        if refusal:
            self.values[SR] |= refusal
            self._give_up()
            return
        pecr = self.values[PECR]
        if pecr & ERASE:
            if pecr & PROG and self.begins(offset):
                page = offset - offset % PAGE
                self.erase(page, page + PAGE, OPERATION_SECONDS)
                self.values[SR] |= EOP
        elif not pecr & FPRG:
            if self.begins(offset):
                self.put(offset, value.to_bytes(4, "little"), OPERATION_SECONDS)
                self.values[SR] |= EOP
        elif pecr & PROG:
            self._half_page(offset, value)

    def _half_page(self, offset: int, value: int) -> None:
        words, at = [*self._half, value], self._half_at if self._half else offset
        if self._collect(offset, value) and self.begins(at):
            self.put(at, b"".join(word.to_bytes(4, "little") for word in words), 0)
        elif self._half:
            self.array.data[offset : offset + 4] = value.to_bytes(4, "little")

    def option_store(self, address: int, size: int, value: int) -> None:
        """A word of the option area (3.4.3): a half-word that counts, its complement above it."""
        slot = (address - OPTION_BYTES) // 4
        if self.values[PECR] & (PELOCK | OPTLOCK) or size != 4 or not 0 <= slot < len(self.options):
            self.values[SR] |= WRPERR
            return
        if slot == RDP and self.level_one and value & 0xFF == 0xAA:  # 3.4.4: going back to level 0 erases all
            self.erase(0, self.array.size, OPERATION_SECONDS)
        self.options[slot] = value & 0xFFFF
        self.took(OPERATION_SECONDS)
        self.values[SR] |= EOP


class Eeprom:
    """The data EEPROM (3.3.4): whatever is written while PECR is unlocked replaces what was there."""

    def __init__(self, flash: L0Flash) -> None:
        self._flash = flash
        # The emulator maps no less than 4 KiB; a debugger reaches what there is.
        self.memory = Memory("data EEPROM", EEPROM_BASE, bytearray(0x1000), writable=False, volatile=False)
        self._stores: list[tuple[int, int, int, bytes]] = []

    def attach(self, soc: Soc) -> None:
        """Map it, and watch the stores."""
        soc.cpu.map_memory(self.memory)
        soc.cpu.watch_stores(EEPROM_BASE, EEPROM_BASE + self.memory.size, self)
        self.memory.size = EEPROM_SIZE
        self.memory.gate = lambda _address, write: self._flash.level_one and not write
        self.memory.on_store = self._store
        soc.bus.add(self.memory)

    def _store(self, address: int, size: int, value: int) -> None:
        if self._flash.values[PECR] & PELOCK or self._flash.level_one:
            self._flash.values[SR] |= WRPERR
            return
        offset = address - EEPROM_BASE
        self.memory.data[offset : offset + size] = value.to_bytes(size, "little")
        self._flash.values[SR] |= EOP
        self._flash.took(OPERATION_SECONDS)

    def quick(self, _address: int, _size: int, _value: int) -> bool:
        """See :class:`msdflash.sim.cpu.StoreWatcher`: all are replayed."""
        return False

    def before(self, address: int, size: int, value: int) -> None:
        """See the protocol."""
        offset = address - EEPROM_BASE
        self._stores.append((address, size, value, bytes(self.memory.data[offset : offset + size])))

    def after(self) -> None:
        """See the protocol."""
        stores, self._stores = self._stores, []
        for address, size, value, old in stores:
            offset = address - EEPROM_BASE
            self.memory.data[offset : offset + size] = old
            self._store(address, size, value)


# RM0377 7.3: ready bits of HSI16, MSI, HSE, PLL; HSI48; LSI, LSE; reset values; reset flags in CSR
CLOCKS = Clocks(
    ready={0x00: ((0, 2), (8, 9), (16, 17), (24, 25)), 0x08: ((0, 1),), 0x50: ((0, 1), (8, 9))},
    reset={0x00: 0x300, 0x04: 0xB000, 0x30: 0x100},
    source=0x0C,
    select=3,
    shown=2,
    flags=0x50,
    clear=23,
    causes={
        "power": 1 << 26 | 1 << 27,
        "pin": 1 << 26,
        "software": 1 << 26 | 1 << 28,
        "watchdog": 1 << 26 | 1 << 29,
        "window": 1 << 26 | 1 << 30,
        "option": 1 << 26 | 1 << 25,
    },
)
PART = Part(
    name="stm32l031x6",
    dpidr=0x0BC11477,
    device_id=0x10086425,  # RM0377 27.4.1: category 2
    ram=(Area("SRAM", 0x20000000, 8 * KIB),),
    plain=(  # RM0377 2.2.2
        Area("APB1", 0x40000000, 0x8000),
        Area("APB2", 0x40010000, 0x6000),
        Area("DMA", 0x40020000, 0x1000),
        Area("CRC", 0x40023000, 0x1000),
        Area("IOPORT", 0x50000000, 0x2000),
    ),
    rom=(Area("system memory", 0x1FF00000, 0x1000), Area("option bytes, unique id", OPTION_BYTES, 0x1000)),
    uid=0x1FF80050,  # RM0377 28.2
    words={0x1FF8007C: 0xFFFF0000 | FLASH_KIB},  # RM0377 28.1
)


class Ways(Habits):
    """A Cortex-M0+ whose chip ROM table is not the core's (RM0377 27.6), and which takes no samples of its program counter.

    DBGMCU is on APB2, so that nobody reaches it under reset.
    """

    core = "cortex-m0plus"
    rom_table = 0xF0000000
    pc_samples = False


class Stm32L031(Stm32):
    """The chip."""

    def __init__(self, serial: int) -> None:
        flash = L0Flash(Memory("flash", FLASH_BASE, bytearray(FLASH_KIB * KIB), writable=False, volatile=False))
        rcc = Rcc(0x40021000, 0, CLOCKS)
        dbgmcu = RegisterPage(0x40015000, {0x800: PART.device_id})  # RM0377 27.9: cleared by power-on only
        super().__init__(PART, flash, rcc, (flash, rcc), kept=(dbgmcu,), habits=Ways(), timers=False, serial=serial)
        self._eeprom = Eeprom(flash)
        self._rom[1].on_store = flash.option_store

    def attach(self, soc: Soc) -> None:
        """See the protocol."""
        super().attach(soc)
        self._eeprom.attach(soc)

    def nonvolatile(self) -> bytes:
        """Option bytes and data EEPROM."""
        return msgspec.msgpack.encode((super().nonvolatile(), bytes(self._eeprom.memory.data)))

    def set_nonvolatile(self, data: bytes) -> None:
        """See the protocol."""
        options, eeprom = msgspec.msgpack.decode(data, type=tuple[bytes, bytes])
        self._eeprom.memory.data[:] = eeprom
        super().set_nonvolatile(options)
