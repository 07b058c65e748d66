"""LPC1768: memories, system control, and the boot ROM with its flash routines (IAP).

Source: LPC176x/5x User Manual UM10360 rev. 3: chapters 2 (memory map), 3 and 4 (system control, clocks), 32 (flash, boot loader, CRP,
IAP).
The ROM's code is not copied: two places in it call back into this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.bus import BusError, Memory
from msdflash.sim.chips.norflash import NorFlash, Setting
from msdflash.sim.ppb import RegisterPage
from msdflash.sim.soc import Habits

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.soc import Soc

ARM = (4, 0x3B)
FLASH_SIZE, RAM_BASE, AHB_RAM_BASE, RAM_SIZE = 512 * 1024, 0x10000000, 0x2007C000, 32 * 1024
ROM_BASE, ROM_SIZE = 0x1FFF0000, 0x2000
BOOT, ISP, IAP = ROM_BASE + 0x100, ROM_BASE + 0x180, ROM_BASE + 0x1FF0
SYSCON = 0x400FC000
MEMMAP, PLL0CON, PLL0STAT, PLL1CON, PLL1STAT, RSID, SCS = 0x040, 0x080, 0x088, 0x0A0, 0x0A8, 0x180, 0x1A0
CAUSES = {"power": 1, "pin": 2, "watchdog": 4}  # RSID: POR, EXTR, WDTR
CRP_WORD = 0x2FC  # 32.6: these values disable debugging
CRP = (0x12345678, 0x87654321, 0x43218765)
PART_ID, BOOT_VERSION = 0x26013F37, 0x0402
SMALL, LARGE, SMALL_SECTORS, SECTORS = 0x1000, 0x8000, 16, 30  # 32.5: sixteen of 4 KiB, fourteen of 32 KiB
# IAP status codes, 32.8
SUCCESS, INVALID_COMMAND, SRC_ADDR_ERROR, DST_ADDR_ERROR, COUNT_ERROR, INVALID_SECTOR, NOT_BLANK, NOT_PREPARED, COMPARE_ERROR = (
    0, 1, 2, 3, 6, 7, 8, 9, 10,
)  # fmt: skip
PREPARE, COPY, ERASE, BLANK_CHECK, READ_PART, READ_BOOT, COMPARE, SERIAL = 50, 51, 52, 53, 54, 55, 56, 58
COUNTS = (256, 512, 1024, 4096)
PROGRAM_SECONDS, ERASE_SECONDS = 1e-3, 0.1  # data sheet LPC1769_68_67_66_65_64_63, flash characteristics: 256 bytes, one sector
PLAIN = ((0x2009C000, 0x4000), (0x40000000, 0x100000), (0x50000000, 0x200000))


def sector_of(address: int) -> int:
    """The sector that an address lies in."""
    border = SMALL * SMALL_SECTORS
    return address // SMALL if address < border else SMALL_SECTORS + (address - border) // LARGE


def place(sector: int) -> tuple[int, int]:
    """First address and length of a sector."""
    if sector < SMALL_SECTORS:
        return sector * SMALL, SMALL
    return SMALL * SMALL_SECTORS + (sector - SMALL_SECTORS) * LARGE, LARGE


class Iap(NorFlash):
    """In-application programming: commands and parameters from a table in RAM, results to another (32.8)."""

    def __init__(self, array: Memory, serial: int) -> None:
        super().__init__(array, 256, SMALL, "crp")
        self._serial = serial
        self._prepared: set[int] = set()

    @property
    def sectors(self) -> int:
        """How many sectors there are."""
        return SECTORS

    def attach(self, soc: Soc) -> None:
        """Map the array; only the ROM programs it."""
        self._soc = soc
        soc.bus.add(self.array)
        soc.cpu.map_memory(self.array)
        soc.cpu.protect(0, self.array.size)
        soc.cpu.call_at(IAP, self._called)

    def reset(self) -> None:
        """System reset."""
        self._prepared.clear()
        self.hung = False

    def _called(self) -> None:
        """The processor has come to the entry point: r0 has the command table, r1 the result table; r3 keeps it there."""
        soc = self._soc
        if soc is None:
            return
        try:
            table = [soc.bus.read(soc.cpu.read(0) + 4 * n, 4) for n in range(5)]
            results = self._command(table[0], table[1:])
            for n, value in enumerate(results):
                soc.bus.write(soc.cpu.read(1) + 4 * n, 4, value)
        except BusError:
            return  # assumption: a table outside of memory is read as nothing
        soc.cpu.write(3, int(self.hung))

    def _command(self, command: int, given: list[int]) -> list[int]:
        if command == PREPARE:
            return [self._prepare(given[0], given[1])]
        if command == COPY:
            return [self._copy(*given[:3])]
        if command == ERASE:
            return [self._erase(given[0], given[1])]
        if command == BLANK_CHECK:
            return self._blank(given[0], given[1])
        if command == COMPARE:
            return self._compare(*given[:3])
        return {READ_PART: [SUCCESS, PART_ID], READ_BOOT: [SUCCESS, BOOT_VERSION], SERIAL: [SUCCESS, self._serial, 0, 0, 0]}.get(
            command, [INVALID_COMMAND]
        )

    def _prepare(self, first: int, last: int) -> int:
        if not first <= last < SECTORS:
            return INVALID_SECTOR
        self._prepared.update(range(first, last + 1))
        return SUCCESS

    def _copy(self, to: int, source: int, count: int) -> int:
        """32.8.2. Sectors are locked again afterwards."""
        if to % 256 or to + count > self.array.size:
            return DST_ADDR_ERROR
        if count not in COUNTS:
            return COUNT_ERROR
        data = self._soc.bus.read_block(source, count) if self._soc is not None and not source % 4 else None
        if data is None:
            return SRC_ADDR_ERROR
        if sector_of(to) not in self._prepared:
            return NOT_PREPARED
        self._prepared.clear()
        if self.begin():
            for at in range(0, count, self.unit):
                self.program(to + at, data[at : at + self.unit])
            self.spend(PROGRAM_SECONDS * count / 256)
        return SUCCESS

    def _erase(self, first: int, last: int) -> int:
        if not first <= last < SECTORS:
            return INVALID_SECTOR
        if not self._prepared.issuperset(range(first, last + 1)):
            return NOT_PREPARED
        self._prepared.clear()
        if self.begin():
            for sector in range(first, last + 1):
                self.erase(*place(sector))
            self.spend(ERASE_SECONDS)
        return SUCCESS

    def _blank(self, first: int, last: int) -> list[int]:
        if not first <= last < SECTORS:
            return [INVALID_SECTOR]
        start, end = place(first)[0], sum(place(last))
        for at in range(start, end, 4):
            word = int.from_bytes(self.array.data[at : at + 4], "little")
            if word != 0xFFFFFFFF:
                return [NOT_BLANK, at - start, word]
        return [SUCCESS]

    def _compare(self, to: int, source: int, count: int) -> list[int]:
        for at in range(0, count, 4):
            if self._soc is None or self._soc.bus.read(to + at, 4) != self._soc.bus.read(source + at, 4):
                return [COMPARE_ERROR, at]
        return [SUCCESS]

    def word(self, offset: int) -> int:
        """A word of the array."""
        return int.from_bytes(self.array.data[offset : offset + 4], "little")

    def set_word(self, offset: int, value: int) -> None:
        """Change a word of the array from outside."""
        self.array.data[offset : offset + 4] = value.to_bytes(4, "little")

    def protect_sector(self, _number: int) -> Callable[[], None]:
        """See :class:`msdflash.sim.faults.Flash`: this chip protects no sectors by themselves."""
        from msdflash.sim.faults import FaultError

        raise FaultError("the LPC1768 has no write protection of sectors")

    def protect_reads(self) -> Callable[[], None]:
        """See :class:`msdflash.sim.faults.Flash`: CRP1, found by the boot ROM at once."""
        undo_word = Setting(lambda: self.word(CRP_WORD), lambda value: self.set_word(CRP_WORD, value)).put(CRP[0])
        self._judge()

        def undo() -> None:
            undo_word()
            self._judge()

        return undo

    def _judge(self) -> None:
        if self._soc is not None:
            self._soc.dp.deaf = self.word(CRP_WORD) in CRP


class SystemControl(RegisterPage):
    """System control: oscillator and PLLs are ready at once, MEMMAP says what is seen at address 0."""

    def __init__(self) -> None:
        super().__init__(SYSCON)
        self.causes = 0
        self.on_map: Callable[[bool], None] | None = None

    def load(self, word: int) -> int:
        """Value of a register. PLL status: enabled, connected, locked (4.5.4, 4.6.3)."""
        if word == RSID:
            return self.causes
        if word == SCS:
            value = self.values.get(SCS, 0)
            return value & ~0x40 | (value & 0x20) << 1  # OSCSTAT follows OSCEN
        if word == PLL0STAT:
            control = self.values.get(PLL0CON, 0) & 3
            return control << 24 | (1 << 26 if control & 1 else 0)
        if word == PLL1STAT:
            control = self.values.get(PLL1CON, 0) & 3
            return control << 8 | (1 << 10 if control & 1 else 0)
        return super().load(word)

    def store(self, word: int, value: int) -> None:
        """Store to a register; RSID clears by ones."""
        if word == RSID:
            self.causes &= ~value
            return
        super().store(word, value)
        if word == MEMMAP and self.on_map is not None:
            self.on_map(bool(value & 1))


class LpcHabits(Habits):
    """Code read protection silences the debug port for good."""

    core = "cortex-m3"

    def __init__(self, chip: Lpc1768) -> None:
        self._chip = chip

    def debug_dead(self) -> bool:
        """See the base (32.6: CRP1 to CRP3 disable access through SWD)."""
        return self._chip.controller.word(CRP_WORD) in CRP


class Lpc1768:
    """One chip; implements :class:`msdflash.sim.soc.Chip`."""

    name = "lpc1768"
    dpidr = 0x2BA01477
    designer = ARM
    rom_part = 0x4C3
    ram_base = RAM_BASE

    def __init__(self, serial: int = 1) -> None:
        self.flash = Memory("flash", 0, bytearray(b"\xff" * FLASH_SIZE), writable=False, volatile=False)
        self.controller = Iap(self.flash, serial)
        self._ram = [Memory("SRAM", base, bytearray(RAM_SIZE)) for base in (RAM_BASE, AHB_RAM_BASE)]
        rom = bytearray(ROM_SIZE)
        rom[0:8] = (RAM_BASE + 0x2000).to_bytes(4, "little") + (BOOT | 1).to_bytes(4, "little")
        for address, code in (
            (BOOT, "00bf80f308880847"),  # nop; msr msp, r0; bx r1
            (ISP, "fee7"),  # waits for an ISP host
            (IAP, "00bf002bfdd17047"),  # nop; cmp r3, #0; bne -; bx lr
        ):
            rom[address - ROM_BASE : address - ROM_BASE + len(code) // 2] = bytes.fromhex(code)
        self._rom = Memory("boot ROM", ROM_BASE, rom, writable=False, volatile=False)
        self._window = Memory("boot ROM at 0", 0, bytearray(rom[:0x1000]), writable=False, volatile=False)
        self._control = SystemControl()
        self._plain = [Memory("peripherals", base, bytearray(size)) for base, size in PLAIN]
        self._soc: Soc | None = None
        self.habits = LpcHabits(self)

    def attach(self, soc: Soc) -> None:
        """See the protocol."""
        self._soc = soc
        self.controller.attach(soc)
        for memory in (*self._ram, self._rom):
            soc.bus.add(memory)
            soc.cpu.map_memory(memory)
        soc.cpu.protect(ROM_BASE, ROM_SIZE)
        for memory in self._plain:
            soc.bus.add(memory)
            soc.cpu.map_around(memory, SYSCON)
        soc.bus.add(self._control)
        soc.cpu.map_device(self._control)
        self._control.on_map = self._map
        soc.cpu.call_at(BOOT, self._boot)

    def _map(self, user: bool) -> None:
        """MEMMAP (32.9): what a debugger and the vector fetch see at address 0. The ROM's part there is 4 KiB long (assumption)."""
        if self._soc is not None:
            self._soc.bus.point(0, self.flash if user else self._window)

    def _boot(self) -> None:
        """The ROM at work (32.3): with a valid checksum (32.3.1.1) the program starts, otherwise ISP waits for a host."""
        soc = self._soc
        if soc is None:
            return
        valid = sum(self.controller.word(4 * n) for n in range(8)) & 0xFFFFFFFF == 0 and self.controller.word(4) != 0xFFFFFFFF
        self._control.values[MEMMAP] = int(valid)
        self._map(valid)
        soc.cpu.write(0, self.controller.word(0) if valid else RAM_BASE + 0x2000)
        soc.cpu.write(1, self.controller.word(4) if valid else ISP | 1)

    def power_on(self) -> None:
        """See the protocol."""
        self._control.causes = 0

    def system_reset(self, cause: str) -> None:
        """See the protocol. The ROM is at 0 until its code says otherwise."""
        for memory in self._plain:
            memory.data[:] = bytes(memory.size)
        self._control.values = {}
        self._control.causes |= CAUSES.get(cause, 0)
        self._map(False)
        self.controller.reset()

    def debugger_access(self, _address: int) -> None:
        """See the protocol."""

    def nonvolatile(self) -> bytes:
        """See the protocol. Protection lives in the array itself."""
        return b""

    def set_nonvolatile(self, _data: bytes) -> None:
        """See the protocol."""
