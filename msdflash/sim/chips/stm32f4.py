"""STM32F411 (RM0383): there to be the wrong chip. Its flash controller lies elsewhere and is shown as registers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.bus import Memory
from msdflash.sim.chips.stm32l4 import FLASH_BASE, SRAM1_BASE, ST_DESIGNER, Dbgmcu
from msdflash.sim.ppb import RegisterPage

if TYPE_CHECKING:
    from msdflash.sim.soc import Soc

DEVICE_ID = 0x10006431  # RM0383 23.6.1
FLASH_KIB, SRAM_KIB = 512, 128
SYSTEM_BASE, UID, FLASH_SIZE = 0x1FFF0000, 0x1FFF7A10, 0x1FFF7A22  # RM0383 24.1, 24.2
FLASH_CONTROLLER = 0x40023000  # RCC at 0x40023800 and FLASH at 0x40023C00 share this page
# RM0383 3.8 and 6.3: controller locked, options at their defaults, HSI on and ready
RESET_VALUES = {0xC10: 0x80000000, 0xC14: 0x0FFFAAED, 0x800: 0x83, 0x874: 0x0E000000}
PLAIN = (
    ("APB1", 0x40000000, 0x8000),
    ("APB2", 0x40010000, 0x5000),
    ("GPIO", 0x40020000, 0x2000),
    ("DMA", 0x40026000, 0x1000),
    ("OTG_FS", 0x50000000, 0x40000),
)


class Stm32F411:
    """Implements :class:`msdflash.sim.soc.Chip`. Nothing can erase or program its array."""

    name = "stm32f411"
    dpidr = 0x2BA01477
    rom_part = DEVICE_ID & 0xFFF
    designer = ST_DESIGNER

    def __init__(self, serial: int = 1) -> None:
        self.flash = Memory("flash", FLASH_BASE, bytearray(b"\xff" * (FLASH_KIB * 1024)), writable=False, volatile=False)
        self._sram = Memory("SRAM", SRAM1_BASE, bytearray(SRAM_KIB * 1024))
        self._plain = [Memory(name, base, bytearray(size)) for name, base, size in PLAIN]
        system = bytearray(b"\xff" * 0x8000)
        system[UID - SYSTEM_BASE : UID - SYSTEM_BASE + 12] = serial.to_bytes(4, "little") + b"msdflash"
        system[FLASH_SIZE - SYSTEM_BASE : FLASH_SIZE - SYSTEM_BASE + 2] = FLASH_KIB.to_bytes(2, "little")
        self._system = Memory("system memory", SYSTEM_BASE, system, writable=False, volatile=False)
        self._control = RegisterPage(FLASH_CONTROLLER)
        self._dbgmcu = Dbgmcu(DEVICE_ID)

    def attach(self, soc: Soc) -> None:
        """See the protocol."""
        mirror = Memory("flash alias", 0, self.flash.data, writable=False, volatile=False)
        for memory in (self.flash, mirror, self._sram, self._system):
            soc.bus.add(memory)
        for memory in (self.flash, self._sram, self._system):
            soc.cpu.map_memory(memory)
        soc.cpu.map_memory(self.flash, 0)
        soc.cpu.protect(FLASH_BASE, self.flash.size)
        soc.cpu.protect(0, self.flash.size)
        for memory in self._plain:
            soc.bus.add(memory)
            soc.cpu.map_part(memory, memory.base, memory.size)
        for page in (self._control, self._dbgmcu):
            soc.bus.add(page)
            soc.cpu.map_device(page)

    def power_on(self) -> None:
        """See the protocol."""
        self._dbgmcu.values.clear()

    def system_reset(self, _cause: str) -> None:
        """See the protocol."""
        self._control.values = dict(RESET_VALUES)
        for memory in self._plain:
            memory.data[:] = bytes(memory.size)

    def debugger_access(self, _address: int) -> None:
        """See the protocol."""

    def nonvolatile(self) -> bytes:
        """See the protocol."""
        return b""

    def set_nonvolatile(self, _data: bytes) -> None:
        """See the protocol."""
