"""The flash controller of STM32L47x/L43x (RM0351 chapter 3; register map 3.7).

Its register page is plain memory to the processor, so that polling SR costs nothing. Stores to it are watched: setting and clearing
CR.PG goes through at once, everything else is replayed with care. The same holds for stores to the array: a legal double word goes
straight in, anything doubtful is replayed, undone, and judged by the rules of 3.3.7.

Operations are over at once; the time that they would take is added up in ``Soc.flash_seconds``. Fast (row) programming is not
modelled: asking for it ends in FASTERR.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from msdflash.sim.ap import Stall
from msdflash.sim.bus import Memory

if TYPE_CHECKING:
    from msdflash.sim.soc import Soc

BASE = 0x40022000
ACR, PDKEYR, KEYR, OPTKEYR, SR, CR, ECCR, OPTR = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18, 0x20
PCROP1SR, PCROP1ER, WRP1AR, WRP1BR, PCROP2SR, PCROP2ER, WRP2AR, WRP2BR = 0x24, 0x28, 0x2C, 0x30, 0x44, 0x48, 0x4C, 0x50
OPTIONS = (OPTR, PCROP1SR, PCROP1ER, WRP1AR, WRP1BR, PCROP2SR, PCROP2ER, WRP2AR, WRP2BR)
# Option registers of a part as it leaves the factory (RM0351 3.4.1 and 3.7: level 0, no write protection, no PCROP)
FACTORY = (0xFFEFF8AA, 0xFFFFFFFF, 0x7FFF0000, 0xFF00FFFF, 0xFF00FFFF, 0xFFFFFFFF, 0xFFFF0000, 0xFF00FFFF, 0xFF00FFFF)

KEYS = (0x45670123, 0xCDEF89AB)  # 3.3.5
OPTION_KEYS = (0x08192A3B, 0x4C5D6E7F)  # 3.4.2
# SR, 3.7.5
EOP, OPERR, PROGERR, WRPERR, PGAERR, SIZERR, PGSERR, MISERR, FASTERR, RDERR, OPTVERR, BSY = (
    1, 2, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x4000, 0x8000, 0x10000,
)  # fmt: skip
SR_CLEARABLE = EOP | OPERR | PROGERR | WRPERR | PGAERR | SIZERR | PGSERR | MISERR | FASTERR | RDERR | OPTVERR
SEQUENCE_ERRORS = PROGERR | WRPERR | PGAERR | SIZERR | PGSERR | MISERR | FASTERR
# CR, 3.7.6
PG, PER, MER1, BKER, MER2, STRT, OPTSTRT, FSTPG, EOPIE, OBL_LAUNCH, OPTLOCK, LOCK = (
    1, 2, 4, 1 << 11, 1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 24, 1 << 27, 1 << 30, 1 << 31,
)  # fmt: skip
PAGE = 2048
ERASED = b"\xff" * 8

# DS10198 (STM32L476 data sheet), flash memory characteristics: typical times
PROGRAM_SECONDS = 81.69e-6
ERASE_SECONDS = 22.02e-3
MASS_ERASE_SECONDS = 22.13e-3


class L4Flash:
    """Array, registers and option bytes.

    Attributes:
        array: the main flash.
        registers: the register page.
        options: option registers as programmed, in the order of :data:`OPTIONS`.
        stuck: BSY never clears once an operation has begun (a fault).
        bad_cells: offset of a double word: bits of it that come out inverted (a fault).
        intruded: a debugger was connected since power-on; at level 1 the array stays shut until the next (3.5.1).
    """

    def __init__(self, array: Memory, aliases: tuple[int, ...], dual_bank: bool) -> None:
        self.array = array
        self.aliases = (array.base, *aliases)
        self.dual_bank = dual_bank
        self.registers = Memory("flash registers", BASE, bytearray(0x1000), volatile=False)
        self.options = list(FACTORY)
        self._loaded = list(FACTORY)
        self.stuck = False
        self.bad_cells: dict[int, int] = {}
        self.intruded = False
        self.busy_bank: int | None = None
        self._guard = bytearray(array.size // PAGE)
        self._latch: tuple[int, int] | None = None  # the first word of a double word: offset and value
        self._careful = False  # the latched word was judged by the rules, so its partner must be too
        self._values: dict[int, int] = {}
        self._raw: list[tuple[int, int, int, bytes]] = []
        self._kept: dict[int, bytes] = {}
        self._seconds = 0.0
        self._dirty = False
        self._soc: Soc | None = None
        self.reset()

    def attach(self, soc: Soc) -> None:
        """Map array and registers, and watch the stores to both."""
        self._soc = soc
        soc.bus.add(self.array)
        soc.bus.add(self.registers)
        self.array.gate = self._gate
        self.array.on_store = self._debugger_store
        self.registers.on_store = self._debugger_register
        soc.cpu.map_memory(self.array)
        for alias in self.aliases[1:]:
            mirror = Memory("flash alias", alias, self.array.data, writable=False, volatile=False)
            mirror.gate, mirror.on_store = self._gate, self._debugger_store
            soc.bus.add(mirror)
            soc.cpu.map_memory(self.array, alias)
            soc.cpu.watch_stores(alias, alias + self.array.size, self)
        soc.cpu.map_memory(self.registers)
        soc.cpu.watch_stores(self.array.base, self.array.base + self.array.size, self)
        soc.cpu.watch_stores(BASE, BASE + 0x1000, self)
        soc.after_slice.append(self._report_time)

    # --- resets, options --------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """The supply came up."""
        self.intruded = False
        self.load_options()

    def reset(self) -> None:
        """System reset: registers to their reset values (3.7); an operation under way is given up."""
        self._values = {ACR: 0x600, SR: 0, CR: LOCK | OPTLOCK, ECCR: 0}
        self._key_step = self._option_step = 0
        self._locked_out = self._option_locked_out = False
        self._unstore()
        self._latch = None
        self.busy_bank = None
        self._values.update(zip(OPTIONS, self._loaded, strict=True))
        self.refresh()

    def load_options(self) -> None:
        """The option registers take the option bytes (after power-on and OBL_LAUNCH, 3.4.2)."""
        self._loaded = list(self.options)
        self.reset()
        self._shut(self.level_one and self.intruded)

    def set_option(self, slot: int, value: int) -> None:
        """Change an option from outside, at once: as if the part had come that way."""
        self.options[slot] = self._loaded[slot] = value
        self._values[OPTIONS[slot]] = value
        self._shut(self.level_one and self.intruded)
        self.refresh()

    def unhang(self) -> None:
        """An operation that never ended ends now."""
        self._values[SR] &= ~BSY
        self.busy_bank = None
        self.refresh()

    @property
    def level_one(self) -> bool:
        """Read protection level 1: RDP is neither 0xAA nor 0xCC (3.5.1)."""
        return self._loaded[0] & 0xFF not in (0xAA, 0xCC)

    def _shut(self, shut: bool) -> None:
        self.array.forbidden = shut
        if self._soc is not None:
            for base in self.aliases:
                self._soc.cpu.forbid(base, self.array.size, shut)

    def debugger_access(self) -> None:
        """A debugger reached into the chip: at level 1 that shuts the array for the processor too, until power-off."""
        if not self.intruded:
            self.intruded = True
            if self.level_one:
                self._shut(True)

    def _refresh_guard(self) -> None:
        """Note which pages need care: protected ones, or all where a defect is in the way."""
        everything = self.stuck or self.level_one or self.busy_bank is not None
        for page in range(len(self._guard)):
            self._guard[page] = everything or self.protected(page)
        for offset in self.bad_cells:
            if 0 <= offset < self.array.size:
                self._guard[offset // PAGE] = 1

    def protected(self, page: int) -> bool:
        """Write protection by WRPxyR: pages from STRT to END of a bank (3.5.3)."""
        in_bank, areas = page, (3, 4)
        if self.dual_bank and page >= len(self._guard) // 2:
            in_bank, areas = page - len(self._guard) // 2, (7, 8)
        return any(self._loaded[n] & 0xFF <= in_bank <= self._loaded[n] >> 16 & 0xFF for n in areas)

    # --- the processor's stores ---------------------------------------------------------------------------------------

    def quick(self, address: int, size: int, value: int) -> bool:
        """See :class:`msdflash.sim.cpu.StoreWatcher`."""
        if address & 0xFFFFF000 == BASE:
            # Setting or clearing PG alone, unlocked: nothing else to do. OPTLOCK shows again when the slice ends.
            if address == BASE + CR and not value & ~1 and size == 4 and not self._values[CR] & LOCK and self._latch is None:
                self._values[CR] = self._values[CR] & OPTLOCK | value
                self._dirty = True
                return True
            return False
        offset = address & 0xFFFFF
        if self._quick_store(offset, size, value):
            return True
        # The emulator may carry out the store before it heeds the stop: what is there now must be known.
        self._kept.setdefault(offset, bytes(self.array.data[offset : offset + size]))
        return False

    def _quick_store(self, offset: int, size: int, value: int) -> bool:
        if size != 4 or self._values[CR] != PG | self._values[CR] & OPTLOCK:
            return False
        latch = self._latch
        if latch is None:
            if offset & 7 or self._guard[offset >> 11] or self._values[SR] or self.array.data[offset : offset + 8] != ERASED:
                return False
            self._latch, self._careful = (offset, value), False
            return True
        if self._careful or latch[0] != offset - 4:
            return False
        self._latch = None
        self._seconds += PROGRAM_SECONDS
        return True

    def before(self, address: int, size: int, value: int) -> None:
        """Keep what a store is about to overwrite."""
        if address & 0xFFFFF000 == BASE:
            self._raw.append((address, size, value, b""))
        else:
            offset = address & 0xFFFFF
            old = self._kept.get(offset)
            self._raw.append((address, size, value, bytes(self.array.data[offset : offset + size]) if old is None else old))

    def after(self) -> None:
        """Undo the raw stores, then do what they mean."""
        stores, self._raw = self._raw, []
        self._kept.clear()
        for address, size, _, old in reversed(stores):
            if old:
                offset = address & 0xFFFFF
                self.array.data[offset : offset + size] = old
        self._unstore()
        for address, size, value, _ in stores:
            if address & 0xFFFFF000 == BASE:
                self._register(address & 0xFFC, value)
            else:
                self._program(address & 0xFFFFF, size, value)
        self._publish()

    def _unstore(self) -> None:
        """A first word that was let through stands in the array already, which a real one only shows with its partner."""
        if self._latch is not None and not self._careful:
            self.array.data[self._latch[0] : self._latch[0] + 4] = ERASED[:4]
            self._careful = True

    # --- the debugger's accesses ----------------------------------------------------------------------------------------

    def _gate(self, address: int, write: bool) -> bool:
        if self.busy_bank is not None and not write and self._bank(address & 0xFFFFF) == self.busy_bank:
            raise Stall  # 3.3.6: reading the bank under operation stalls the bus
        return self.level_one and not write

    def _debugger_store(self, address: int, size: int, value: int) -> None:
        latch = self._latch
        self._program(address & 0xFFFFF, size, value)
        self._publish()
        if latch is not None and self._latch is None and self._soc is not None:
            self._report_time()

    def _debugger_register(self, address: int, _size: int, value: int) -> None:
        self._register(address & 0xFFC, value)
        self._publish()
        self._report_time()

    # --- rules ------------------------------------------------------------------------------------------------------

    def _bank(self, offset: int) -> int:
        return int(self.dual_bank and offset >= self.array.size // 2)

    def _flag(self, flag: int) -> None:
        self._values[SR] |= flag

    def _program(self, offset: int, size: int, value: int) -> None:
        """One store to the array, by the rules of 3.3.7."""
        cr = self._values[CR]
        if self._values[SR] & BSY:
            return
        if cr & FSTPG:
            self._flag(FASTERR)
            return
        if not cr & PG or self._values[SR] & SEQUENCE_ERRORS:
            self._flag(PGSERR)
            return
        if size != 4:
            self._flag(SIZERR)
            return
        latch = self._latch
        if latch is None or (latch == (offset, value) and not offset & 4):
            if offset & 4:
                self._flag(PGAERR)
            else:
                self._latch, self._careful = (offset, value), True
            return
        self._latch = None
        if latch[0] != offset - 4:
            self._flag(PGAERR)
            return
        self._double_word(offset - 4, struct.pack("<II", latch[1], value))

    def _double_word(self, offset: int, new: bytes) -> None:
        page = offset // PAGE
        if self.protected(page) or self.level_one:
            self._flag(WRPERR)
            return
        data = self.array.data
        if data[offset : offset + 8] != ERASED and new != bytes(8):
            self._flag(PROGERR)  # 3.3.7: only zeros may go over what is not erased
            return
        if self.stuck:
            self._hang(offset)
            return
        if offset in self.bad_cells:
            new = (int.from_bytes(new, "little") ^ self.bad_cells[offset]).to_bytes(8, "little")
        data[offset : offset + 8] = new
        self._seconds += PROGRAM_SECONDS
        if self._values[CR] & EOPIE:
            self._flag(EOP)
        self._changed()

    def _hang(self, offset: int) -> None:
        self._flag(BSY)
        self.busy_bank = self._bank(offset)

    def _changed(self) -> None:
        if self._soc is not None:
            self._soc.flash_changed = True

    def _register(self, register: int, value: int) -> None:
        """One store to a register. Sub-word stores are taken as whole words: the manual asks for words."""
        if register == KEYR:
            self._unlock(value)
        elif register == OPTKEYR:
            self._unlock_options(value)
        elif register == SR:
            self._values[SR] &= ~(value & SR_CLEARABLE)
        elif register == CR:
            self._control(value)
        elif register in (ACR, ECCR) or (register in OPTIONS and not self._values[CR] & OPTLOCK):
            self._values[register] = value

    def _unlock(self, value: int) -> None:
        if not self._values[CR] & LOCK:
            return
        self._key_step = self._key_step + 1 if not self._locked_out and value == KEYS[self._key_step] else 0
        if not self._key_step:
            self._locked_out = True  # 3.3.5: a wrong sequence locks the register until the next reset
        if self._key_step == 2:
            self._key_step = 0
            self._values[CR] &= ~LOCK

    def _unlock_options(self, value: int) -> None:
        if self._values[CR] & LOCK or not self._values[CR] & OPTLOCK:
            return
        good = not self._option_locked_out and value == OPTION_KEYS[self._option_step]
        self._option_step = self._option_step + 1 if good else 0
        if not self._option_step:
            self._option_locked_out = True
        if self._option_step == 2:
            self._option_step = 0
            self._values[CR] &= ~OPTLOCK

    def _control(self, value: int) -> None:
        old = self._values[CR]
        if old & LOCK or self._values[SR] & BSY:
            return
        if old & OPTLOCK:
            value = value & ~(OPTSTRT | OBL_LAUNCH) | OPTLOCK
        self._values[CR] = value & ~(STRT | OPTSTRT | OBL_LAUNCH)
        if not value & PG:
            self._latch = None
        if value & STRT:
            self._erase(value)
        if value & OPTSTRT:
            self._program_options()
        if value & OBL_LAUNCH and self._soc is not None:
            self.load_options()
            self._soc.core.request_reset(system=True)

    def _program_options(self) -> None:
        self.options = [self._values[register] for register in OPTIONS]
        self._seconds += ERASE_SECONDS
        if self.level_one and self.options[0] & 0xFF == 0xAA:  # 3.5.1: going back to level 0 erases the array
            self.array.data[:] = b"\xff" * self.array.size
            self._seconds += MASS_ERASE_SECONDS
            self._changed()

    def _erase(self, cr: int) -> None:
        if self._values[SR] & SEQUENCE_ERRORS:
            self._flag(PGSERR)
            return
        pages = self._chosen(cr)
        if not pages:
            return
        if self.level_one or any(self.protected(page) for page in pages):
            self._flag(WRPERR)  # 3.3.6 and 3.5.3: nothing is erased then
            return
        if self.stuck:
            self._hang(pages.start * PAGE)
            return
        start, end = pages.start * PAGE, pages.stop * PAGE
        self.array.data[start:end] = b"\xff" * (end - start)
        self._seconds += ERASE_SECONDS if len(pages) == 1 else MASS_ERASE_SECONDS
        if cr & EOPIE:
            self._flag(EOP)
        self._changed()

    def _chosen(self, cr: int) -> range:
        """Pages that an erase command means."""
        total = len(self._guard)
        half = total // 2 if self.dual_bank else total
        if cr & PER:
            page = (cr >> 3 & 0xFF) + (half if self.dual_bank and cr & BKER else 0)
            return range(page, page + 1) if page < total else range(0)
        first, second = bool(cr & MER1), bool(cr & MER2) and self.dual_bank
        if first and second:
            return range(total)
        if second:
            return range(half, total)
        return range(half) if first else range(0)

    # --- what the registers show --------------------------------------------------------------------------------------

    def _publish(self) -> None:
        page = self.registers.data
        for register in (PDKEYR, KEYR, OPTKEYR):
            page[register : register + 4] = bytes(4)
        for register, value in self._values.items():
            page[register : register + 4] = value.to_bytes(4, "little")

    def refresh(self) -> None:
        """Defects or protection changed: look again which pages need care, and show the registers."""
        self._refresh_guard()
        self._publish()

    def _report_time(self) -> None:
        if self._dirty:
            self._dirty = False
            self._publish()
        if self._seconds and self._soc is not None:
            self._soc.flash_seconds += self._seconds
            self._soc.flash_changed = True
            self._seconds = 0.0
