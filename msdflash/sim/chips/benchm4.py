"""BENCH-M4: a part that nobody makes, so that a target that comes out of a CMSIS-Pack alone can stand on the bench.

Its manual is ``docs/bench-m4.md``; section numbers below are that page's. Registers, timing and sectors are like those of real parts, and
like those of none: neither pyOCD's builtin targets nor the product's tables can know it. It has no identity and no flash size register.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.bus import Memory
from msdflash.sim.chips.norflash import NorFlash

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.soc import Soc

NAME = "bench-m4"
KIB = 1024
SIZES = (4 * KIB,) * 4 + (16 * KIB,) + (32 * KIB,) * 7  # section 2
FLASH_SIZE, RAM_BASE, RAM_SIZE = 256 * KIB, 0x20000000, 32 * KIB
LINE = 64

CONTROLLER = 0x400F0000  # section 3
KEY, COMMAND, STATUS, ADDRESS, PROTECTION, LINE_0 = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x40
KEYS = (0x6D736466, 0x6C617368)
COMMAND_KEY = 0xB3C40000
PROGRAM_LINE, ERASE_SECTOR, ERASE_ALL = 1, 2, 3
BUSY, LOCKED, COMMAND_ERROR, ADDRESS_ERROR, PROTECTION_ERROR, DATA_ERROR = 1, 2, 0x100, 0x200, 0x400, 0x800
ERRORS = COMMAND_ERROR | ADDRESS_ERROR | PROTECTION_ERROR | DATA_ERROR

LINE_SECONDS, ALL_SECONDS = 160e-6, 0.3  # section 4
ERASE_SECONDS = {4 * KIB: 12e-3, 16 * KIB: 30e-3, 32 * KIB: 50e-3}


class BenchFlash(NorFlash):
    """The flash controller (section 3). Commands are over at once; their time goes to the board."""

    base, size = CONTROLLER, 0x1000

    def __init__(self, array: Memory) -> None:
        super().__init__(array, LINE, min(SIZES), "")
        self.starts = tuple(sum(SIZES[:number]) for number in range(len(SIZES) + 1))
        self.option = 0  # PROT as the part was ordered, one bit a sector
        self.reset()

    @property
    def sectors(self) -> int:
        """See the base; of three sizes."""
        return len(SIZES)

    def attach(self, soc: Soc) -> None:
        """Map array and registers. The processor's plain stores to the array fail, a debugger's are ignored (3.1)."""
        self._soc = soc
        soc.bus.add(self.array)
        soc.bus.add(self)
        soc.cpu.map_memory(self.array)
        soc.cpu.protect(self.array.base, self.array.size)
        soc.cpu.map_device(self)

    def reset(self) -> None:
        """System reset: locked, no errors, an empty line; protection is taken from the option."""
        self.hung = False
        self._step = 0
        self._locked = True
        self._errors = 0
        self._address = 0
        self._line = bytearray(b"\xff" * LINE)
        self._protected = self.option

    # --- registers (3.2) ------------------------------------------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> int:
        """A register, or part of one."""
        word, shift = offset & ~3, 8 * (offset & 3)
        if LINE_0 <= word < LINE_0 + LINE:
            value = int.from_bytes(self._line[word - LINE_0 : word - LINE_0 + 4], "little")
        else:
            status = (BUSY if self.hung else 0) | (LOCKED if self._locked else 0) | self._errors
            value = {STATUS: status, ADDRESS: self._address, PROTECTION: self._protected}.get(word, 0)
        return value >> shift & ((1 << 8 * size) - 1)

    def write(self, offset: int, size: int, value: int) -> None:
        """Registers take whole words only; anything else, and everything while BUSY, is ignored."""
        if size != 4 or self.hung:
            return
        if offset == KEY:
            self._key(value)
        elif offset == STATUS:
            self._errors &= ~value
        elif offset == ADDRESS:
            self._address = value
        elif offset == COMMAND:
            self._command(value)
        elif LINE_0 <= offset < LINE_0 + LINE:
            self._line[offset - LINE_0 : offset - LINE_0 + 4] = value.to_bytes(4, "little")

    def _key(self, value: int) -> None:
        """Both keys in order open it, anything else locks it."""
        if value != KEYS[self._step]:
            self._step, self._locked = 0, True
        else:
            self._step = (self._step + 1) % 2
            self._locked = self._locked and self._step != 0

    def _command(self, value: int) -> None:
        """Start a command, or say why not. An error flag that is still set refuses it, too."""
        number = value & 0xFFFF
        if self._locked or self._errors or value & 0xFFFF0000 != COMMAND_KEY or number not in (PROGRAM_LINE, ERASE_SECTOR, ERASE_ALL):
            self._errors |= COMMAND_ERROR
        elif number == ERASE_ALL:
            self._erase_all()
        elif self._address >= self.array.size or (number == PROGRAM_LINE and self._address % LINE):
            self._errors |= ADDRESS_ERROR
        elif self._protected >> self.sector_of(self._address) & 1:
            self._errors |= PROTECTION_ERROR
        elif self.begin():
            if number == PROGRAM_LINE:
                self._program_line()
            else:
                sector = self.sector_of(self._address)
                self.erase(self.starts[sector], SIZES[sector])
                self.spend(ERASE_SECONDS[SIZES[sector]])

    def sector_of(self, offset: int) -> int:
        """The sector that holds an offset."""
        return next(number for number in range(len(SIZES)) if offset < self.starts[number + 1])

    def _program_line(self) -> None:
        """3.4: the line's zeros are programmed, then the line is compared with what came out and emptied."""
        new = bytes(self._line)
        self.program(self._address, new)
        if self._address not in self.bad_cells and self.array.data[self._address : self._address + LINE] != new:
            self._errors |= DATA_ERROR  # a bad cell of the bench is one that the controller's own compare does not see
        self._line[:] = b"\xff" * LINE
        self.spend(LINE_SECONDS)

    def _erase_all(self) -> None:
        if self._protected:
            self._errors |= PROTECTION_ERROR
        elif self.begin():
            self.erase(0, self.array.size)
            self.spend(ALL_SECONDS)

    # --- faults -----------------------------------------------------------------------------------------------------------------------

    def protect_sector(self, number: int) -> Callable[[], None]:
        """See :class:`msdflash.sim.faults.Flash`: the part was ordered with that sector protected."""
        before = self.option
        self.option |= 1 << number
        self._protected = self.option

        def undo() -> None:
            self.option = self._protected = before

        return undo

    def protect_reads(self) -> Callable[[], None]:
        """See :class:`msdflash.sim.faults.Flash`; never asked for, as :attr:`lock` names no fault."""
        return lambda: None


class BenchM4:
    """Implements :class:`msdflash.sim.soc.Chip`: a Cortex-M4, flash at 0 with its controller, 32 KiB of RAM, nothing else (section 1)."""

    name = NAME
    dpidr = 0x2BA01477
    rom_part = 0xBE4
    designer = (15, 0x7E)  # continuation count and code; meant to be nobody's (JEP106's banks are not that far, from memory)

    def __init__(self, _serial: int = 1) -> None:
        self.flash = Memory("flash", 0, bytearray(b"\xff" * FLASH_SIZE), writable=False, volatile=False)
        self.controller = BenchFlash(self.flash)
        self._ram = Memory("RAM", RAM_BASE, bytearray(RAM_SIZE))

    def attach(self, soc: Soc) -> None:
        """See the protocol."""
        self.controller.attach(soc)
        soc.bus.add(self._ram)
        soc.cpu.map_memory(self._ram)

    def power_on(self) -> None:
        """See the protocol."""

    def system_reset(self, _cause: str) -> None:
        """See the protocol."""
        self.controller.reset()

    def debugger_access(self, _address: int) -> None:
        """See the protocol."""

    def nonvolatile(self) -> bytes:
        """See the protocol."""
        return self.controller.option.to_bytes(2, "little")

    def set_nonvolatile(self, data: bytes) -> None:
        """See the protocol."""
        self.controller.option = int.from_bytes(data[:2], "little")
        self.controller.reset()
