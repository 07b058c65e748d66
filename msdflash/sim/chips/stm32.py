"""An STM32 put together from its family's parts: memories, flash controller, clocks, timers, and plain registers for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from msdflash.sim.bus import Memory
from msdflash.sim.chips.timers import Timers
from msdflash.sim.soc import Habits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msdflash.sim.chips.controller import FlashController
    from msdflash.sim.chips.rcc import Rcc
    from msdflash.sim.ppb import RegisterPage
    from msdflash.sim.soc import Soc

ST_DESIGNER = (0, 0x20)
FLASH_BASE = 0x08000000
MARK = b"msdflash"  # the last eight bytes of every unique id


class Area(msgspec.Struct, frozen=True):
    """A stretch of the address map."""

    title: str
    base: int
    size: int


class Part(msgspec.Struct, frozen=True):
    """What is known of one part.

    Attributes:
        name: as pyOCD spells its target.
        dpidr: of its debug port.
        device_id: DBGMCU_IDCODE, DEV_ID in the low 12 bits.
        ram: the first one is where flash algorithms go.
        plain: peripherals that only keep what is written.
        rom: memory that can only be read; holds ``words``.
        uid: address of the 96-bit unique id.
        words: further words in ROM, by address.
    """

    name: str
    dpidr: int
    device_id: int
    ram: tuple[Area, ...]
    plain: tuple[Area, ...]
    rom: tuple[Area, ...]
    uid: int
    words: dict[int, int]


class Stm32:
    """Implements :class:`msdflash.sim.soc.Chip`.

    Args:
        controller: flash array and option bytes; its registers are among ``devices``.
        devices: register pages besides the timers, the clock control among them.
        serial: goes into the unique id.
    """

    designer = ST_DESIGNER

    def __init__(
        self,
        part: Part,
        controller: FlashController,
        rcc: Rcc,
        devices: Sequence[RegisterPage],
        *,
        habits: Habits,
        kept: Sequence[RegisterPage] = (),
        timers: bool = True,
        serial: int = 1,
    ) -> None:
        self.name = part.name
        self.dpidr = part.dpidr
        self.rom_part = part.device_id & 0xFFF
        self.habits = habits
        self.flash = controller.array
        self.controller = controller
        self._rcc = rcc
        self._devices = list(devices)
        self._kept = list(kept)
        self._timers = Timers() if timers else None
        self._ram = [Memory(area.title, area.base, bytearray(area.size)) for area in part.ram]
        self._plain = [Memory(area.title, area.base, bytearray(area.size)) for area in part.plain]
        self._rom = [_rom(area, part, serial) for area in part.rom]

    def attach(self, soc: Soc) -> None:
        """See the protocol."""
        for memory in (*self._ram, *self._rom):
            soc.bus.add(memory)
            soc.cpu.map_memory(memory)
        for memory in self._rom:
            soc.cpu.protect(memory.base, memory.size)
        taken = {device.base for device in (*self._devices, *self._kept)} | ({self._timers.base} if self._timers is not None else set())
        for memory in self._plain:
            soc.bus.add(memory)
            _map_around(soc, memory, taken)
        if self._timers is not None:
            self._timers.attach(soc)
        for device in (*self._devices, *self._kept):
            soc.bus.add(device)
            soc.cpu.map_device(device)
        self.controller.attach(soc)

    def power_on(self) -> None:
        """See the protocol."""
        self._rcc.power_on()
        for device in self._kept:
            device.values.clear()
        self.controller.power_on()

    def system_reset(self, cause: str) -> None:
        """See the protocol."""
        for memory in self._plain:
            memory.data[:] = bytes(memory.size)
        if self._timers is not None:
            self._timers.reset()
        self._rcc.reset(cause)
        self.controller.reset()

    def debugger_access(self, _address: int) -> None:
        """See the protocol."""
        self.controller.debugger_access()

    def nonvolatile(self) -> bytes:
        """See the protocol."""
        return msgspec.msgpack.encode(self.controller.options)

    def set_nonvolatile(self, data: bytes) -> None:
        """See the protocol."""
        options = msgspec.msgpack.decode(data, type=list[int])
        if len(options) != len(self.controller.options):
            raise ValueError("the option bytes are of another chip")
        self.controller.options = options
        self.controller.load_options()


def _rom(area: Area, part: Part, serial: int) -> Memory:
    data = bytearray(b"\xff" * area.size)
    found = {part.uid: serial.to_bytes(4, "little") + MARK}
    found.update({address: word.to_bytes(4, "little") for address, word in part.words.items()})
    for address, value in found.items():
        if area.base <= address < area.base + area.size:
            data[address - area.base : address - area.base + len(value)] = value
    return Memory(area.title, area.base, data, writable=False, volatile=False)


def _map_around(soc: Soc, memory: Memory, taken: set[int]) -> None:
    """Share a peripheral area with the processor, leaving out the pages that somebody else serves."""
    start, end = memory.base, memory.base + memory.size
    for page in range(start, end + 1, 0x1000):
        if page in taken or page == end:
            if page > start:
                soc.cpu.map_part(memory, start, page - start)
            start = page + 0x1000
