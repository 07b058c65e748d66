"""FTFE and FTFA, the flash modules of Kinetis parts: commands, protection and security out of the flash configuration field.

Sources: K64 Sub-Family Reference Manual (K64P144M120SF5RM) chapter 29 (FTFE), KL25 Sub-Family Reference Manual (KL25P80M48SF0RM) chapter 27
(FTFA).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.chips.norflash import NorFlash, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.bus import Memory
    from msdflash.sim.soc import Soc

BASE = 0x40020000
FSTAT, FSEC, FOPT, FCCOB3, FCCOB0, FCCOB_DATA, FPROT3 = 0x0, 0x2, 0x3, 0x4, 0x7, 0x8, 0x10
CCIF, RDCOLERR, ACCERR, FPVIOL, MGSTAT0 = 0x80, 0x40, 0x20, 0x10, 0x01  # chapter 29, registers
READ_SECTION, PROGRAM_CHECK, PROGRAM_LONGWORD, PROGRAM_PHRASE = 0x01, 0x02, 0x06, 0x07  # chapter 29, commands
ERASE_SECTOR, READ_ALL, ERASE_ALL = 0x09, 0x40, 0x44
FCF, FCF_PROT, FCF_SEC = 0x400, 0x408, 0x40C  # chapter 29, flash configuration field: keys, protection, FSEC, FOPT
UNSECURE = 2  # FSEC.SEC; any other value is secure
MASS_ERASE_OFF = 2  # FSEC.MEEN
REGIONS = 32


class Ftf(NorFlash):
    """One flash module. Commands are over at once; their time goes to the board.

    Attributes:
        on_secured: called when the security state may have changed.
    """

    base, size = BASE, 0x1000

    def __init__(self, array: Memory, unit: int, sector: int, seconds: tuple[float, float]) -> None:
        super().__init__(array, unit, sector, "security")
        self._program_command = PROGRAM_PHRASE if unit == 8 else PROGRAM_LONGWORD
        self._align = 16 if unit == 8 else 4  # of a sector erase, chapter 29, commands
        self._program_seconds, self._erase_seconds = seconds
        self._registers = bytearray(0x20)
        self.set_byte(FCF_SEC, 0xFE)  # parts leave the factory unsecured
        self.reset()

    def attach(self, soc: Soc) -> None:
        """Map array and registers. Stores to the array are ignored: only commands program it (assumption)."""
        self._soc = soc
        soc.bus.add(self.array)
        soc.bus.add(self)
        soc.cpu.map_memory(self.array)
        soc.cpu.protect(self.array.base, self.array.size)
        soc.cpu.map_device(self)

    def reset(self) -> None:
        """System reset: protection and security are taken from the flash configuration field (chapter 29, registers)."""
        self._registers[:] = bytes(0x20)
        self._registers[FSTAT] = CCIF
        data = self.array.data
        self._registers[FSEC : FOPT + 1] = data[FCF_SEC : FCF_SEC + 2]
        self._registers[FPROT3 : FPROT3 + 4] = data[FCF_PROT : FCF_PROT + 4]
        self.hung = False

    def unhang(self) -> None:
        """See the base."""
        super().unhang()
        self._registers[FSTAT] |= CCIF

    @property
    def secure(self) -> bool:
        """FSEC.SEC says so."""
        return self._registers[FSEC] & 3 != UNSECURE

    @property
    def mass_erase_enabled(self) -> bool:
        """FSEC.MEEN."""
        return self._registers[FSEC] >> 4 & 3 != MASS_ERASE_OFF

    def protected(self, offset: int) -> bool:
        """FPROT: one bit for each 32nd of the array, 0 protects. FPROT3 (0x10) has the lowest regions, out of byte 0x408 (SVD MK64F12)."""
        region = offset // (self.array.size // REGIONS)
        return not self._registers[FPROT3 + region // 8] >> region % 8 & 1

    # --- registers: bytes, FCCOB big-endian in each word (chapter 29, registers) --------------------------------------------------------

    def read(self, offset: int, size: int) -> int:
        """Registers."""
        return int.from_bytes(self._registers[offset : offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Registers; FSTAT clears errors and launches commands by ones. While a command runs nothing can be written."""
        if not self._registers[FSTAT] & CCIF:
            return
        for at, byte in enumerate(value.to_bytes(size, "little"), offset):
            if at == FSTAT:
                self._status(byte)
            elif FCCOB3 <= at < FPROT3 or at == 1:
                self._registers[at] = byte
            elif FPROT3 <= at < FPROT3 + 4:
                self._registers[at] &= byte  # protection can only be added (chapter 29, registers)

    def _status(self, byte: int) -> None:
        self._registers[FSTAT] &= ~(byte & (RDCOLERR | ACCERR | FPVIOL))
        if byte & CCIF and not self._registers[FSTAT] & (ACCERR | FPVIOL):
            self._registers[FSTAT] &= ~MGSTAT0
            self._launch()

    def _launch(self) -> None:
        command = self._registers[FCCOB0]
        address = int.from_bytes(self._registers[FCCOB3:FCCOB0], "little")
        if command == self._program_command:
            self._program(address)
        elif command == ERASE_SECTOR:
            self._erase_sector(address)
        elif command == ERASE_ALL:
            self._erase_all()
        elif command == READ_SECTION:
            self._blank(address, int.from_bytes(self._registers[FCCOB_DATA + 2 : FCCOB_DATA + 4], "little") * self._align)
        elif command == READ_ALL:
            self._blank(0, self.array.size)
        elif command == PROGRAM_CHECK:
            self._check(address)
        else:
            self._flag(ACCERR)

    def _flag(self, flag: int) -> None:
        self._registers[FSTAT] |= flag

    def _running(self) -> bool:
        if self.begin():
            return True
        self._registers[FSTAT] &= ~CCIF
        return False

    def _program(self, address: int) -> None:
        """Chapter 29, commands: aligned, inside, unprotected, and erased before: the module checks what came out."""
        if address % self.unit or address >= self.array.size:
            self._flag(ACCERR)
        elif self.protected(address):
            self._flag(FPVIOL)
        elif self._running():
            new = bytes(self._registers[FCCOB_DATA : FCCOB_DATA + self.unit])
            old = int.from_bytes(self.array.data[address : address + self.unit], "little")
            if old & int.from_bytes(new, "little") != int.from_bytes(new, "little"):
                self._flag(MGSTAT0)
            self.program(address, new)
            self.spend(self._program_seconds)

    def _erase_sector(self, address: int) -> None:
        if address % self._align or address >= self.array.size:
            self._flag(ACCERR)
        elif self.protected(address):
            self._flag(FPVIOL)
        elif self._running():
            self.erase(address // self.sector * self.sector, self.sector)
            self.spend(self._erase_seconds)

    def _erase_all(self) -> None:
        """Chapter 29, commands: refused while any region is protected; afterwards the part is unsecure until the next reset at least."""
        if any(self.protected(region * self.array.size // REGIONS) for region in range(REGIONS)):
            self._flag(FPVIOL)
        elif self._running():
            self.erase(0, self.array.size)
            self._registers[FSEC] = 0xFE
            self.spend(self._erase_seconds * 8)

    def mass_erase(self) -> None:
        """As the MDM-AP orders it: whatever is protected goes too, and the security byte is programmed to unsecure."""
        self.erase(0, self.array.size)
        self.set_byte(FCF_SEC, 0xFE)
        self._registers[FSEC] = 0xFE
        self._registers[FPROT3 : FPROT3 + 4] = b"\xff" * 4

    def _blank(self, address: int, length: int) -> None:
        if address + length > self.array.size or not length:
            self._flag(ACCERR)
        elif self.array.data[address : address + length].count(0xFF) != length:
            self._flag(MGSTAT0)

    def _check(self, address: int) -> None:
        """Chapter 29, commands: four bytes against FCCOB8 to FCCOBB."""
        if address % 4 or address >= self.array.size:
            self._flag(ACCERR)
        elif self.array.data[address : address + 4] != self._registers[0xC:0x10]:
            self._flag(MGSTAT0)

    # --- faults -----------------------------------------------------------------------------------------------------------

    def set_byte(self, offset: int, value: int) -> None:
        """Change a byte of the array from outside."""
        self.array.data[offset] = value

    def _setting(self, offset: int, value: int) -> Callable[[], None]:
        undo_byte = Setting(lambda: self.array.data[offset], lambda byte: self.set_byte(offset, byte)).put(value)
        self.reset()

        def undo() -> None:
            undo_byte()
            self.reset()

        return undo

    def protect_sector(self, number: int) -> Callable[[], None]:
        """See :class:`msdflash.sim.faults.Flash`. A protected region may hold several sectors."""
        region = number * self.sector // (self.array.size // REGIONS)
        at = FCF_PROT + region // 8
        return self._setting(at, self.array.data[at] & ~(1 << region % 8))

    def protect_reads(self) -> Callable[[], None]:
        """See :class:`msdflash.sim.faults.Flash`: FSEC = 0xFF, secure and mass erase allowed, as erased flash has it."""
        return self._setting(FCF_SEC, 0xFF)
