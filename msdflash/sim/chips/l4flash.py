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
from msdflash.sim.chips import l4registers as reg

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.soc import Soc

# Of the registers, what each store of a flash algorithm is judged by: looked up once, not half a million times a MiB.
_BASE, _CR, _SR, _CR_ADDRESS = reg.BASE, reg.CR, reg.SR, reg.BASE + reg.CR
_PG, _LOCK, _OPTLOCK, _PROGRAM_SECONDS = reg.PG, reg.LOCK, reg.OPTLOCK, reg.PROGRAM_SECONDS
_ALL_ONES = (1 << 64) - 1


class L4Flash:
    """Array, registers and option bytes.

    Attributes:
        array: the main flash.
        registers: the register page.
        unit: bytes that are programmed at once.
        options: option registers as programmed, in the order of :data:`OPTIONS`.
        stuck: BSY never clears once an operation has begun (a fault).
        bad_cells: offset of a double word: bits of it that come out inverted (a fault).
        intruded: a debugger was connected since power-on; at level 1 the array stays shut until the next (3.5.1).
    """

    unit = 8

    def __init__(self, array: Memory, aliases: tuple[int, ...], dual_bank: bool) -> None:
        self.array = array
        self._array = array.data
        self._double_words = memoryview(array.data).cast("Q")
        self.aliases = (array.base, *aliases)
        self.dual_bank = dual_bank
        self.registers = Memory("flash registers", reg.BASE, bytearray(0x1000), volatile=False)
        self.options = list(reg.FACTORY)
        self._loaded = list(reg.FACTORY)
        self.stuck = False
        self.bad_cells: dict[int, int] = {}
        self.intruded = False
        self.busy_bank: int | None = None
        self._guard = bytearray(array.size // reg.PAGE)
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
        soc.cpu.watch_stores(reg.BASE, reg.BASE + 0x1000, self)
        soc.after_slice.append(self._report_time)

    # --- resets, options --------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """The supply came up."""
        self.intruded = False
        self.load_options()

    def reset(self) -> None:
        """System reset: registers to their reset values (3.7); an operation under way is given up."""
        self._values = {reg.ACR: 0x600, reg.SR: 0, reg.CR: reg.LOCK | reg.OPTLOCK, reg.ECCR: 0}
        self._key_step = self._option_step = 0
        self._locked_out = self._option_locked_out = False
        self._unstore()
        self._latch = None
        self.busy_bank = None
        self._values.update(zip(reg.OPTIONS, self._loaded, strict=True))
        self.refresh()

    def load_options(self) -> None:
        """The option registers take the option bytes (after power-on and OBL_LAUNCH, 3.4.2)."""
        self._loaded = list(self.options)
        self.reset()
        self._shut(self.level_one and self.intruded)

    def set_option(self, slot: int, value: int) -> None:
        """Change an option from outside, at once: as if the part had come that way."""
        self.options[slot] = self._loaded[slot] = value
        self._values[reg.OPTIONS[slot]] = value
        self._shut(self.level_one and self.intruded)
        self.refresh()

    @property
    def sectors(self) -> int:
        """How many pages there are."""
        return len(self._guard)

    def protect_sector(self, number: int) -> Callable[[], None]:
        """Write-protect a page by WRP1AR or WRP2AR (3.5.3); gives back what undoes that."""
        half = self.sectors // 2 if self.dual_bank else self.sectors
        slot, in_bank = (3, number) if number < half else (7, number - half)
        return self._for_now(slot, 0xFF00FF00 | in_bank << 16 | in_bank)

    def protect_reads(self) -> Callable[[], None]:
        """Read protection level 1 (3.5.1); gives back what undoes that."""
        return self._for_now(0, self.options[0] & ~0xFF | 0xBB)

    def set_options(self, slot: int, value: int) -> Callable[[], None]:
        """Change one option register, as if the part had come that way; gives back what undoes that."""
        return self._for_now(slot, value)

    def _for_now(self, slot: int, value: int) -> Callable[[], None]:
        old = self.options[slot]
        self.set_option(slot, value)

        def undo() -> None:
            self.set_option(slot, old)

        return undo

    def unhang(self) -> None:
        """An operation that never ended ends now."""
        self._values[reg.SR] &= ~reg.BSY
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
                self._guard[offset // reg.PAGE] = 1

    def protected(self, page: int) -> bool:
        """Write protection (3.5.3)."""
        return reg.write_protected(self._loaded, page, len(self._guard), self.dual_bank)

    # --- the processor's stores ---------------------------------------------------------------------------------------

    def quick(self, address: int, size: int, value: int) -> bool:
        """See :class:`msdflash.sim.cpu.StoreWatcher`. Called four times a double word: most of what programming costs is here."""
        values, latch = self._values, self._latch
        cr = values[_CR]
        if address == _CR_ADDRESS:
            # Setting or clearing PG alone, unlocked: nothing else to do. OPTLOCK shows again when the slice ends.
            if value <= _PG and latch is None and size == 4 and cr < _LOCK:
                values[_CR] = cr & _OPTLOCK | value
                self._dirty = True
                return True
            return False
        if address & 0xFFFFF000 == _BASE:
            return False
        offset = address & 0xFFFFF
        if size == 4 and cr & ~_OPTLOCK == _PG:
            if latch is not None:
                if latch[0] == offset - 4 and not self._careful:
                    self._latch = None
                    self._seconds += _PROGRAM_SECONDS
                    return True
            elif not offset & 7 and self._double_words[offset >> 3] == _ALL_ONES and not (self._guard[offset >> 11] or values[_SR]):
                self._latch = (offset, value)
                self._careful = False
                return True
        # The emulator may carry out the store before it heeds the stop: what is there now must be known.
        self._kept.setdefault(offset, bytes(self._array[offset : offset + size]))
        return False

    def before(self, address: int, size: int, value: int) -> None:
        """Keep what a store is about to overwrite."""
        if address & 0xFFFFF000 == reg.BASE:
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
            if address & 0xFFFFF000 == reg.BASE:
                self._register(address & 0xFFC, value)
            else:
                self._program(address & 0xFFFFF, size, value)
        self._publish()

    def _unstore(self) -> None:
        """A first word that was let through stands in the array already, which a real one only shows with its partner."""
        if self._latch is not None and not self._careful:
            self.array.data[self._latch[0] : self._latch[0] + 4] = reg.ERASED[:4]
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
        self._values[reg.SR] |= flag

    def _program(self, offset: int, size: int, value: int) -> None:
        """One store to the array, by the rules of 3.3.7."""
        cr = self._values[reg.CR]
        if self._values[reg.SR] & reg.BSY:
            return
        if cr & reg.FSTPG:
            self._flag(reg.FASTERR)
            return
        if not cr & reg.PG or self._values[reg.SR] & reg.SEQUENCE_ERRORS:
            self._flag(reg.PGSERR)
            return
        if size != 4:
            self._flag(reg.SIZERR)
            return
        latch = self._latch
        if latch is None or (latch == (offset, value) and not offset & 4):
            if offset & 4:
                self._flag(reg.PGAERR)
            else:
                self._latch, self._careful = (offset, value), True
            return
        self._latch = None
        if latch[0] != offset - 4:
            self._flag(reg.PGAERR)
            return
        self._double_word(offset - 4, struct.pack("<II", latch[1], value))

    def _double_word(self, offset: int, new: bytes) -> None:
        page = offset // reg.PAGE
        if self.protected(page) or self.level_one:
            self._flag(reg.WRPERR)
            return
        data = self.array.data
        if data[offset : offset + 8] != reg.ERASED and new != bytes(8):
            self._flag(reg.PROGERR)  # 3.3.7: only zeros may go over what is not erased
            return
        if self.stuck:
            self._hang(offset)
            return
        if offset in self.bad_cells:
            new = (int.from_bytes(new, "little") ^ self.bad_cells[offset]).to_bytes(8, "little")
        data[offset : offset + 8] = new
        self._seconds += reg.PROGRAM_SECONDS
        if self._values[reg.CR] & reg.EOPIE:
            self._flag(reg.EOP)
        self._changed()

    def _hang(self, offset: int) -> None:
        self._flag(reg.BSY)
        self.busy_bank = self._bank(offset)

    def _changed(self) -> None:
        if self._soc is not None:
            self._soc.flash_changed = True

    def _register(self, register: int, value: int) -> None:
        """One store to a register. Sub-word stores are taken as whole words: the manual asks for words."""
        if register == reg.KEYR:
            self._unlock(value)
        elif register == reg.OPTKEYR:
            self._unlock_options(value)
        elif register == reg.SR:
            self._values[reg.SR] &= ~(value & reg.SR_CLEARABLE)
        elif register == reg.CR:
            self._control(value)
        elif register in (reg.ACR, reg.ECCR) or (register in reg.OPTIONS and not self._values[reg.CR] & reg.OPTLOCK):
            self._values[register] = value

    def _unlock(self, value: int) -> None:
        if not self._values[reg.CR] & reg.LOCK:
            return
        self._key_step = self._key_step + 1 if not self._locked_out and value == reg.KEYS[self._key_step] else 0
        if not self._key_step:
            self._locked_out = True  # 3.3.5: a wrong sequence locks the register until the next reset
        if self._key_step == 2:
            self._key_step = 0
            self._values[reg.CR] &= ~reg.LOCK

    def _unlock_options(self, value: int) -> None:
        if self._values[reg.CR] & reg.LOCK or not self._values[reg.CR] & reg.OPTLOCK:
            return
        good = not self._option_locked_out and value == reg.OPTION_KEYS[self._option_step]
        self._option_step = self._option_step + 1 if good else 0
        if not self._option_step:
            self._option_locked_out = True
        if self._option_step == 2:
            self._option_step = 0
            self._values[reg.CR] &= ~reg.OPTLOCK

    def _control(self, value: int) -> None:
        old = self._values[reg.CR]
        if old & reg.LOCK or self._values[reg.SR] & reg.BSY:
            return
        if old & reg.OPTLOCK:
            value = value & ~(reg.OPTSTRT | reg.OBL_LAUNCH) | reg.OPTLOCK
        self._values[reg.CR] = value & ~(reg.STRT | reg.OPTSTRT | reg.OBL_LAUNCH)
        if not value & reg.PG:
            self._latch = None
        if value & reg.STRT:
            self._erase(value)
        if value & reg.OPTSTRT:
            self._program_options()
        if value & reg.OBL_LAUNCH and self._soc is not None:
            self.load_options()
            self._soc.core.request_reset(system=True)

    def _program_options(self) -> None:
        self.options = [self._values[register] for register in reg.OPTIONS]
        self._seconds += reg.ERASE_SECONDS
        if self.level_one and self.options[0] & 0xFF == 0xAA:  # 3.5.1: going back to level 0 erases the array
            self.array.data[:] = b"\xff" * self.array.size
            self._seconds += reg.MASS_ERASE_SECONDS
            self._changed()

    def _erase(self, cr: int) -> None:
        if self._values[reg.SR] & reg.SEQUENCE_ERRORS:
            self._flag(reg.PGSERR)
            return
        pages = reg.chosen_pages(cr, len(self._guard), self.dual_bank)
        if not pages:
            return
        if self.level_one or any(self.protected(page) for page in pages):
            self._flag(reg.WRPERR)  # 3.3.6 and 3.5.3: nothing is erased then
            return
        if self.stuck:
            self._hang(pages.start * reg.PAGE)
            return
        start, end = pages.start * reg.PAGE, pages.stop * reg.PAGE
        self.array.data[start:end] = b"\xff" * (end - start)
        self._seconds += reg.ERASE_SECONDS if len(pages) == 1 else reg.MASS_ERASE_SECONDS
        if cr & reg.EOPIE:
            self._flag(reg.EOP)
        self._changed()

    # --- what the registers show --------------------------------------------------------------------------------------

    def _publish(self) -> None:
        page = self.registers.data
        for register in (reg.PDKEYR, reg.KEYR, reg.OPTKEYR):
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
