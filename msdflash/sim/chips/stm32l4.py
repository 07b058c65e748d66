"""STM32L476RG, STM32L432KC and STM32L433 (RM0351, RM0394): memories, clock and power registers, and plain register files for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from msdflash.sim.bus import Memory
from msdflash.sim.chips.gpio import Ports
from msdflash.sim.chips.l4flash import L4Flash
from msdflash.sim.chips.timers import Timers
from msdflash.sim.ppb import RegisterPage

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.soc import Soc

FLASH_BASE, SRAM1_BASE, SRAM2_BASE = 0x08000000, 0x20000000, 0x10000000
RCC_BASE, DBGMCU_BASE, SYSTEM_BASE = 0x40021000, 0xE0042000, 0x1FFF0000
UID, FLASH_SIZE = 0x1FFF7590, 0x1FFF75E0  # RM0351 49.1 and 49.2
ST_DESIGNER = (0, 0x20)

# RM0351 6.4: ready bit of each oscillator and PLL, by register: (enable bit, ready bit)
READY = {
    0x00: ((0, 1), (8, 10), (16, 17), (24, 25), (26, 27), (28, 29)),  # RCC_CR: MSI, HSI16, HSE, PLL, PLLSAI1, PLLSAI2
    0x90: ((0, 1),),  # BDCR: LSE
    0x94: ((0, 1),),  # CSR: LSI
    0x98: ((0, 1),),  # CRRCR: HSI48 (not on L47x)
}
HSI_HERTZ, HSE_HERTZ = 16_000_000, 8_000_000  # the NUCLEO board feeds HSE from its ST-LINK (UM1724)
MSI_HERTZ = (
    100_000, 200_000, 400_000, 800_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 24_000_000, 32_000_000, 48_000_000,
)  # fmt: skip
AHB_SHIFTS = (1, 2, 3, 4, 6, 7, 8, 9)  # CFGR.HPRE 8 to 15
INSTRUCTION_HERTZ = 4_000_000
RCC_RESET = {0x00: 0x63, 0x04: 0x10000000, 0x0C: 0x1000, 0x10: 0x1000, 0x14: 0x1000, 0x48: 0x100}
# RCC_CSR reset flags, 6.4.29
PINRSTF, BORRSTF, SFTRSTF, IWDGRSTF, WWDGRSTF, OBLRSTF, RMVF = 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30, 1 << 25, 1 << 23
CAUSES = {
    "power": PINRSTF | BORRSTF,
    "pin": PINRSTF,
    "software": PINRSTF | SFTRSTF,
    "watchdog": PINRSTF | IWDGRSTF,
    "window": PINRSTF | WWDGRSTF,
    "option": PINRSTF | OBLRSTF,
}

# Peripheral areas of the bus that only keep what is written (RM0351 2.2.2), and reset values that boot code looks at
PLAIN = (
    ("APB1", 0x40000000, 0xA000),
    ("APB2", 0x40010000, 0x7000),
    ("DMA, CRC, TSC", 0x40020000, 0x5000),
    ("OTG_FS, ADC, RNG", 0x50000000, 0x61000),
    ("FMC, QUADSPI", 0xA0000000, 0x2000),
)
RESET_VALUES = {
    0x40007000: 0x200,  # PWR_CR1: voltage range 1
    0x4000280C: 0x67,  # RTC_ISR: writable, initialised, in step
    0x4000441C: 0x026000C0,  # USART2_ISR: transmitter empty, both directions acknowledge being enabled
    0x4000481C: 0x026000C0,  # USART3_ISR
    0x4001381C: 0x026000C0,  # USART1_ISR
    0x4000801C: 0x026000C0,  # LPUART1_ISR
}


class Part(msgspec.Struct, frozen=True):
    """What differs between parts of the family. Sizes in KiB."""

    name: str
    device_id: int  # DBGMCU_IDCODE: REV_ID and DEV_ID (RM0351 48.6.1)
    flash: int
    sram1: int
    sram2: int
    dual_bank: bool
    sram2_follows: bool = False  # SRAM2 shows behind SRAM1, too (the part's pack lists both; stacks begin at its end)


PARTS = {
    part.name: part
    for part in (
        Part("stm32l476rg", 0x10076415, 1024, 96, 32, True),
        Part("stm32l432kc", 0x10016435, 256, 48, 16, False, True),
        Part("stm32l433", 0x10016435, 256, 48, 16, False, True),
    )
}


class Rcc(RegisterPage):
    """Reset and clock control: every clock that is switched on is ready at once."""

    def __init__(self) -> None:
        super().__init__(RCC_BASE)
        self.on_clock: Callable[[int], None] | None = None
        self.flags = 0
        self.backup = 0
        self.reset()

    def reset(self) -> None:
        """System reset. The reset flags and the backup domain stay."""
        self.values = {**RCC_RESET, 0x90: self.backup, 0x94: 0x600}
        self._tell()

    def hertz(self) -> int:
        """Frequency of the processor clock."""
        source = self.values.get(0x08, 0) & 3
        if source == 3:
            config = self.values.get(0x0C, 0)
            entry = (0, self._msi(), HSI_HERTZ, HSE_HERTZ)[config & 3]
            clock = entry // ((config >> 4 & 7) + 1) * (config >> 8 & 0x7F) // (2 * ((config >> 25 & 3) + 1))
        else:
            clock = (self._msi(), HSI_HERTZ, HSE_HERTZ)[source]
        divider = self.values.get(0x08, 0) >> 4 & 0xF
        return clock >> (AHB_SHIFTS[divider & 7] if divider & 8 else 0)

    def _msi(self) -> int:
        chosen = self.values[0x00] >> 4 & 0xF if self.values[0x00] & 8 else 6
        return MSI_HERTZ[chosen] if chosen < len(MSI_HERTZ) else MSI_HERTZ[6]

    def _tell(self) -> None:
        if self.on_clock is not None:
            self.on_clock(self.hertz())

    def load(self, word: int) -> int:
        """Ready bits follow their enable bits; SWS follows SW."""
        value = self.values.get(word, 0)
        for enable, ready in READY.get(word, ()):
            value = value & ~(1 << ready) | (value >> enable & 1) << ready
        if word == 0x08:  # CFGR: SWS follows SW
            value = value & ~0xC | (value & 3) << 2
        if word == 0x94:
            value |= self.flags
        return value

    def store(self, word: int, value: int) -> None:
        """RMVF clears the reset flags; the backup domain keeps BDCR."""
        if word == 0x94:
            if value & RMVF:
                self.flags = 0
            value &= 0x00FFFFFF & ~RMVF
        if word == 0x90:
            self.backup = value
        super().store(word, value)
        if word in (0x00, 0x08, 0x0C):
            self._tell()


class Dbgmcu(RegisterPage):
    """DBGMCU on the private peripheral bus; its registers are only cleared by power-on (RM0351 48.16)."""

    def __init__(self, device_id: int) -> None:
        super().__init__(DBGMCU_BASE, {0: device_id})


class Stm32L4:
    """One chip of the family; implements :class:`msdflash.sim.soc.Chip`."""

    dpidr = 0x2BA01477
    designer = ST_DESIGNER

    def __init__(self, part: Part, serial: int = 1) -> None:
        self.name = part.name
        self.rom_part = part.device_id & 0xFFF
        self.flash = Memory("flash", FLASH_BASE, bytearray(b"\xff" * (part.flash * 1024)), writable=False, volatile=False)
        self.controller = L4Flash(self.flash, (0,), part.dual_bank)
        self.sram1 = Memory("SRAM1", SRAM1_BASE, bytearray(part.sram1 * 1024))
        self.sram2 = Memory("SRAM2", SRAM2_BASE, bytearray(part.sram2 * 1024))
        self._sram2_follows = part.sram2_follows
        self.rcc = Rcc()
        self.timers = Timers()
        self.ports = (Ports(0x48000000), Ports(0x48001000))
        self.dbgmcu = Dbgmcu(part.device_id)
        self._plain = [Memory(name, base, bytearray(size)) for name, base, size in PLAIN]
        system = bytearray(b"\xff" * 0x8000)
        system[UID - SYSTEM_BASE : UID - SYSTEM_BASE + 12] = serial.to_bytes(4, "little") + b"msdflash"
        system[FLASH_SIZE - SYSTEM_BASE : FLASH_SIZE - SYSTEM_BASE + 2] = part.flash.to_bytes(2, "little")
        self._system = Memory("system memory", SYSTEM_BASE, system, writable=False, volatile=False)

    def attach(self, soc: Soc) -> None:
        """See the protocol."""
        for memory in (self.sram1, self.sram2, self._system, *self._plain):
            soc.bus.add(memory)
            if memory not in self._plain:
                soc.cpu.map_memory(memory)
        for memory in self._plain:
            self._map_around(soc, memory)
        self.timers.attach(soc)
        self.rcc.on_clock = lambda hertz: setattr(soc.core, "rate", max(1, hertz // INSTRUCTION_HERTZ))
        for page in (self.rcc, self.dbgmcu, *self.ports):
            soc.bus.add(page)
            soc.cpu.map_device(page)
        self.controller.attach(soc)
        self.sram2.gate = self._sram2_gate
        if self._sram2_follows:
            mirror = Memory("SRAM2 behind SRAM1", SRAM1_BASE + self.sram1.size, self.sram2.data, volatile=False)
            mirror.gate = self._sram2_gate
            soc.bus.add(mirror)
            soc.cpu.map_memory(self.sram2, mirror.base)

    def _map_around(self, soc: Soc, memory: Memory) -> None:
        """Share a peripheral area with the processor, leaving out the pages that somebody else serves."""
        taken = {self.timers.base, RCC_BASE, 0x40022000}
        start = memory.base
        for page in range(memory.base, memory.base + memory.size + 1, 0x1000):
            if page in taken or page == memory.base + memory.size:
                if page > start:
                    soc.cpu.map_part(memory, start, page - start)
                start = page + 0x1000

    def _sram2_gate(self, _address: int, _write: bool) -> bool:
        return self.controller.level_one  # RM0351 3.5.1: SRAM2 is shut at level 1, SRAM1 is not

    def power_on(self) -> None:
        """See the protocol."""
        self.rcc.flags = self.rcc.backup = 0
        self.dbgmcu.values.clear()
        self.controller.power_on()

    def system_reset(self, cause: str) -> None:
        """See the protocol."""
        for memory in self._plain:
            memory.data[:] = bytes(memory.size)
        for address, value in RESET_VALUES.items():
            for memory in self._plain:
                if memory.base <= address < memory.base + memory.size:
                    offset = address - memory.base
                    memory.data[offset : offset + 4] = value.to_bytes(4, "little")
        self.timers.reset()
        for port in self.ports:
            port.reset()
        self.rcc.reset()
        self.rcc.flags |= CAUSES[cause]
        self.controller.reset()

    def debugger_access(self, _address: int) -> None:
        """See the protocol."""
        self.controller.debugger_access()

    def nonvolatile(self) -> bytes:
        """See the protocol."""
        return msgspec.msgpack.encode(self.controller.options)

    def set_nonvolatile(self, data: bytes) -> None:
        """See the protocol."""
        self.controller.options = msgspec.msgpack.decode(data, type=list[int])
        self.controller.load_options()
