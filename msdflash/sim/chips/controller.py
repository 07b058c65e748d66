"""What the flash controllers of the STM32 families have in common: an array whose stores mean commands, and option bytes.

Registers are devices that act at once. A store of the processor to the array is judged before it happens: where the raw store is exactly
what the controller would do, it goes through; all others are replayed with care, undone, and done by the family's rules.

Operations are over at once; the time that they would take is added up in ``Soc.flash_seconds``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from msdflash.sim.ap import Stall
from msdflash.sim.bus import Memory
from msdflash.sim.ppb import RegisterPage

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.soc import Soc

KEYS = (0x45670123, 0xCDEF89AB)  # the same two in F1 (PM0075 2.3.1), F4 (RM0090 3.6.1) and H7 (RM0433 4.5.1)
OPTION_KEYS = (0x08192A3B, 0x4C5D6E7F)  # F4 (RM0090 3.7.2) and H7 (RM0433 4.5.1)


class KeyLock:
    """Two keys in a row open it; a wrong one shuts it until the next reset."""

    def __init__(self, keys: tuple[int, int]) -> None:
        self._keys = keys
        self.reset()

    def reset(self) -> None:
        """System reset: shut, but not for good."""
        self._step = 0
        self._jammed = False

    def opens(self, value: int) -> bool:
        """A key arrived; True if it was the last one."""
        if self._jammed or value != self._keys[self._step]:
            self._jammed = True
            return False
        self._step = (self._step + 1) % 2
        return self._step == 0


class FlashController(RegisterPage, ABC):
    """Base of the families' controllers.

    Attributes:
        array: the main flash.
        starts: offset of each page or sector, and the array's end.
        unit: bytes that are programmed at once.
        erased: value of an erased byte.
        options: option words as programmed; their meaning is the family's.
        loaded: option words in force.
        stuck: an operation that has begun never ends (a fault).
        bad_cells: offset of a programming unit: bits of it that come out inverted (a fault).
        intruded: a debugger was connected since power-on.
        busy_bank: the bank whose operation never ends.
    """

    unit = 4
    erased = 0xFF
    guard_shift = 7  # stores are judged quickly or slowly by blocks of so many bits of address
    factory: tuple[int, ...] = ()
    option_words = 0

    def __init__(self, page: int, array: Memory, starts: tuple[int, ...], aliases: tuple[int, ...] = (0,)) -> None:
        super().__init__(page)
        self.array = array
        self.starts = starts
        self.aliases = (array.base, *aliases)
        self.options = list(self.factory)
        self.loaded = list(self.factory)
        self.stuck = False
        self.bad_cells: dict[int, int] = {}
        self.intruded = False
        self.busy_bank: int | None = None
        self._guard = bytearray(array.size >> self.guard_shift)
        self._raw: list[tuple[int, int, int, bytes]] = []
        self._kept: dict[int, bytes] = {}
        self._soc: Soc | None = None

    def attach(self, soc: Soc) -> None:
        """Map the array and watch the stores to it. The registers are mapped by the chip."""
        self._soc = soc
        soc.bus.add(self.array)
        self.array.gate = self._gate
        self.array.on_store = self._debugger_store
        soc.cpu.map_memory(self.array)
        soc.cpu.watch_stores(self.array.base, self.array.base + self.array.size, self)
        for alias in self.aliases[1:]:
            mirror = Memory("flash alias", alias, self.array.data, writable=False, volatile=False)
            mirror.gate, mirror.on_store = self._gate, self._debugger_store
            soc.bus.add(mirror)
            soc.cpu.map_memory(self.array, alias)
            soc.cpu.watch_stores(alias, alias + self.array.size, self)

    # --- what a family says ------------------------------------------------------------------------------------------

    @abstractmethod
    def goes_through(self, offset: int, size: int, value: int) -> bool:
        """Whether the raw store does what the controller would do; then its flags are set as well. Guarded blocks never come here."""

    @abstractmethod
    def program(self, offset: int, size: int, value: int) -> None:
        """One store to the array, by the family's rules."""

    @abstractmethod
    def reset_registers(self) -> None:
        """Registers to their reset values, out of ``loaded`` where they show options."""

    @abstractmethod
    def protected(self, sector: int) -> bool:
        """Write protection of a page or sector by the options in force."""

    @abstractmethod
    def set_protected(self, sector: int) -> None:
        """Change ``options`` so that the page or sector is write-protected."""

    @abstractmethod
    def set_level_one(self) -> None:
        """Change ``options`` to read protection level 1."""

    @abstractmethod
    def show_busy(self, busy: bool) -> None:
        """Show the busy flag of :attr:`busy_bank`, or no longer."""

    @property
    @abstractmethod
    def level_one(self) -> bool:
        """Read protection level 1 is in force."""

    def bank(self, _offset: int) -> int:
        """The bank that holds an offset."""
        return 0

    # --- resets, options, faults -------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """The supply came up."""
        self.intruded = False
        self.load_options()

    def reset(self) -> None:
        """System reset: registers to their reset values; an operation under way is given up."""
        self.busy_bank = None
        self.reset_registers()
        self.refresh()

    def load_options(self) -> None:
        """The options come into force."""
        self.loaded = list(self.options)
        self.reset()
        self._shut(self.level_one and self.intruded)

    def debugger_access(self) -> None:
        """A debugger reached into the chip: at level 1 that shuts the array for the processor too, until power-off."""
        if not self.intruded:
            self.intruded = True
            if self.level_one:
                self._shut(True)

    def _shut(self, shut: bool) -> None:
        self.array.forbidden = shut
        if self._soc is not None:
            for base in self.aliases:
                self._soc.cpu.forbid(base, self.array.size, shut)

    def refresh(self) -> None:
        """Defects or protection changed: look again which stores need care."""
        everything = self.stuck or self.level_one or self.busy_bank is not None
        self._guard[:] = bytes([everything]) * len(self._guard)
        if everything:
            return
        for sector in range(self.sectors):
            if self.protected(sector):
                first, end = self.starts[sector] >> self.guard_shift, self.starts[sector + 1] >> self.guard_shift
                self._guard[first:end] = b"\x01" * (end - first)
        for offset in self.bad_cells:
            self._guard[offset >> self.guard_shift] = 1

    def unhang(self) -> None:
        """An operation that never ended ends now."""
        self.show_busy(False)
        self.busy_bank = None
        self.refresh()

    def protect_sector(self, number: int) -> Callable[[], None]:
        """Write-protect a page or sector, as if the part had come that way; gives back what undoes that."""
        return self._for_now(lambda: self.set_protected(number))

    def protect_reads(self) -> Callable[[], None]:
        """Read protection level 1, as if the part had come that way; gives back what undoes that."""
        return self._for_now(self.set_level_one)

    def set_options(self, slot: int, value: int) -> Callable[[], None]:
        """Change one option word, as if the part had come that way; gives back what undoes that."""
        return self._for_now(lambda: self.options.__setitem__(slot, value))

    def _for_now(self, change: Callable[[], None]) -> Callable[[], None]:
        before = list(self.options)
        change()
        changed = [(slot, old) for slot, (old, new) in enumerate(zip(before, self.options, strict=True)) if old != new]
        self._take_options()

        def undo() -> None:
            for slot, old in changed:
                self.options[slot] = old
            self._take_options()

        return undo

    def _take_options(self) -> None:
        """The options come into force without a reset."""
        self.loaded = list(self.options)
        self.show_options()
        self._shut(self.level_one and self.intruded)
        self.refresh()

    @abstractmethod
    def show_options(self) -> None:
        """Show ``loaded`` in the option registers."""

    # --- stores of the processor, see msdflash.sim.cpu.StoreWatcher ----------------------------------------------------

    def _offset(self, address: int) -> int:
        return address - self.array.base if address >= self.array.base else address

    def quick(self, address: int, size: int, value: int) -> bool:
        """A store is about to happen: let it through if that is all there is to it."""
        offset = self._offset(address)
        if not self._guard[offset >> self.guard_shift] and self.goes_through(offset, size, value):
            return True
        # The emulator may carry out the store before it heeds the stop: what is there now must be known.
        self._kept.setdefault(offset, bytes(self.array.data[offset : offset + size]))
        return False

    def before(self, address: int, size: int, value: int) -> None:
        """Keep what a store is about to overwrite."""
        offset = self._offset(address)
        old = self._kept.get(offset)
        self._raw.append((offset, size, value, bytes(self.array.data[offset : offset + size]) if old is None else old))

    def after(self) -> None:
        """Undo the raw stores, then do what they mean. Raises :class:`msdflash.sim.bus.BusError` where the bus refuses one."""
        stores, self._raw = self._raw, []
        self._kept.clear()
        for offset, size, _, old in reversed(stores):
            self.array.data[offset : offset + size] = old
        for offset, size, value, _ in stores:
            self.program(offset, size, value)

    # --- the debugger's accesses ----------------------------------------------------------------------------------------

    def _gate(self, address: int, write: bool) -> bool:
        if self.busy_bank is not None and not write and self.bank(self._offset(address)) == self.busy_bank:
            raise Stall  # a read of the bank under operation waits
        return self.level_one and not write

    def _debugger_store(self, address: int, size: int, value: int) -> None:
        self.program(self._offset(address), size, value)

    # --- the array -------------------------------------------------------------------------------------------------------

    @property
    def sectors(self) -> int:
        """How many pages or sectors there are."""
        return len(self.starts) - 1

    def sector(self, offset: int) -> int:
        """The page or sector that holds an offset."""
        low, high = 0, self.sectors
        while high - low > 1:
            middle = (low + high) // 2
            if self.starts[middle] <= offset:
                low = middle
            else:
                high = middle
        return low

    def begins(self, offset: int) -> bool:
        """An operation at an offset begins; False if it never ends."""
        if not self.stuck:
            return True
        self.busy_bank = self.bank(offset)
        self.show_busy(True)
        self.refresh()
        return False

    def put(self, offset: int, data: bytes, seconds: float) -> None:
        """Change cells, with their defects."""
        new = bytearray(data)
        for cell, bits in self.bad_cells.items():
            if offset <= cell < offset + len(data):
                at = cell - offset
                end = at + self.unit
                new[at:end] = (int.from_bytes(new[at:end], "little") ^ bits).to_bytes(len(new[at:end]), "little")
        self.array.data[offset : offset + len(data)] = new
        self.took(seconds)

    def erase(self, first: int, end: int, seconds: float) -> None:
        """Erase from one offset up to another."""
        self.array.data[first:end] = bytes([self.erased]) * (end - first)
        self.took(seconds)

    def took(self, seconds: float) -> None:
        """An operation took so long and changed the array."""
        if self._soc is not None:
            self._soc.flash_seconds += seconds
            self._soc.flash_changed = True

    def launch(self) -> None:
        """The options come into force with a system reset."""
        self.load_options()
        if self._soc is not None:
            self._soc.core.request_reset(system=True)
