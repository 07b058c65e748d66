"""The memory access port of a Cortex-M (ARM IHI 0031, chapter C2; Cortex-M4 TRM, AHB-AP section), and its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msdflash.sim.bus import BusError

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.ppb import RegisterPage

ROM_BASE = 0xE00FF003  # Cortex-M4 TRM: ROM table at 0xE00FF000, format and present bits set
DEVICE_EN, SPIDEN = 0x40, 0x800000  # status bits; TrInProg (bit 7) is shown while stalled
CSW_WRITABLE = 0x7F000037
SIZES = {0: 1, 1: 2, 2: 4}


class Stall(Exception):  # noqa: N818 - not an error: the bus simply does not answer yet
    """The bus keeps the access waiting."""


class DebugBus(Protocol):
    """What the access port reaches."""

    def read(self, address: int, size: int) -> int:
        """Raises :class:`BusError` or :class:`Stall`."""

    def write(self, address: int, size: int, value: int) -> None:
        """Raises :class:`BusError` or :class:`Stall`."""

    def read_block(self, address: int, length: int) -> bytes | None:
        """None where single accesses are needed."""

    def read_still(self, address: int, length: int) -> bytes | None:
        """What as many single accesses bring; None where anything could happen between them."""

    def write_block(self, address: int, data: bytes) -> bool:
        """False where single accesses are needed."""


class AccessPort(Protocol):
    """A further access port, of the chip's maker."""

    def read(self, register: int) -> int:
        """Value of a register. Raises :class:`Stall`."""

    def write(self, register: int, value: int) -> None:
        """Store to a register."""


class AhbAp:
    """AHB-AP number 0, and the maker's own ports beside it. Any other AP number reads as zero, as an absent AP does.

    Attributes:
        others: the maker's ports by number.
        enabled: CSW.DeviceEn; while it is clear, memory accesses fail (IHI 0031 C2.6.4).
        hidden: the port is switched off so that it reads as one that is not there, and no access gets through.
        wrap: the address steps within blocks of this size: 4 KiB on Cortex-M3 and M4 (DDI 0337G 11.5); 1 KiB is what IHI 0031 C2.2.2
            promises of any.
    """

    def __init__(self, bus: DebugBus, idr: int, wrap: int = 4096, rom: int = ROM_BASE, csw: int = 0x03000000) -> None:
        self.bus = bus
        self.idr = idr
        self.wrap = wrap
        self._rom = rom
        self._csw_reset = csw | DEVICE_EN
        self._csw_fixed = csw & SPIDEN | DEVICE_EN
        self.others: dict[int, AccessPort] = {}
        self.enabled: Callable[[], bool] | None = None
        self.hidden: Callable[[], bool] | None = None
        self.power_on()

    def power_on(self) -> None:
        """State after the supply came up."""
        self.csw = self._csw_reset
        self.tar = 0
        self.stalled = False
        self._waiting: tuple[int, int, int | None, int] | None = None

    @property
    def size(self) -> int:
        """Bytes per access, from CSW.Size; sizes that are not there act as 32 bits."""
        return SIZES.get(self.csw & 7, 4)

    def next_address(self) -> int:
        """Where the next DRW access goes."""
        return self.tar

    def read(self, number: int, register: int) -> tuple[int, bool]:
        """Read a register: ``(value, failed)``."""
        if number:
            other = self.others.get(number)
            try:
                return (other.read(register) if other is not None else 0), False
            except Stall:
                self.stalled = True
                return 0, False
        if register not in (0x0C, 0x10, 0x14, 0x18, 0x1C) and self.hidden is not None and self.hidden():
            return 0, False
        if register == 0x00:
            csw = self.csw | (0x80 if self.stalled else 0)
            return (csw if self._open() else csw & ~self._csw_fixed), False
        if register == 0x04:
            return self.tar, False
        if register == 0x0C:
            size = self.size
            shift = 8 * (self.tar & 3 & -size)
            value, failed = self._access(self.tar & -size, size, shift=shift)
            if not failed:
                value <<= shift
                self._advance(size)
            return value, failed
        if 0x10 <= register <= 0x1C:
            return self._access((self.tar & ~0xF) | (register & 0xC), 4)
        return {0xF8: self._rom, 0xFC: self.idr}.get(register, 0), False

    def write(self, number: int, register: int, data: int) -> bool:
        """Write a register; True if the bus refused."""
        if number:
            if number in self.others:
                self.others[number].write(register, data)
            return False
        if register == 0x00:
            self.csw = (data & CSW_WRITABLE) | self._csw_fixed
            if self.csw & 7 > 2:
                self.csw = (self.csw & ~7) | 2
            if self.csw & 0x20:  # packed transfers are not modelled
                self.csw &= ~0x30
        elif register == 0x04:
            self.tar = data
        elif register == 0x0C:
            size = self.size
            address = self.tar & -size
            failed = self._access(address, size, data >> 8 * (address & 3))[1]
            if not failed:
                self._advance(size)
            return failed
        elif 0x10 <= register <= 0x1C:
            return self._access((self.tar & ~0xF) | (register & 0xC), 4, data)[1]
        return False

    def _open(self) -> bool:
        return (self.enabled is None or self.enabled()) and (self.hidden is None or not self.hidden())

    def _access(self, address: int, size: int, data: int | None = None, shift: int = 0) -> tuple[int, bool]:
        if not self._open():
            return 0, True
        self.stalled, self._waiting = False, None
        try:
            if data is None:
                return self.bus.read(address, size), False
            self.bus.write(address, size, data)
        except BusError:
            return 0, True
        except Stall:
            self.stalled, self._waiting = True, (address, size, data, shift)
        return 0, False

    def retry(self) -> tuple[int | None, bool] | None:
        """Time passes while the bus keeps an access waiting. None: it still waits. Else what a read gave, and whether it failed."""
        if self._waiting is None:
            return None
        address, size, data, shift = self._waiting
        value, failed = self._access(address, size, data, shift)
        if self.stalled:
            return None
        return (value << shift if data is None else None), failed

    def _advance(self, size: int) -> None:
        if self.csw & 0x30 == 0x10:
            self.tar = (self.tar & ~(self.wrap - 1)) | (self.tar + size & (self.wrap - 1))

    def _run(self, words: int) -> int:
        """How many of so many words lie before the auto-increment wraps; 0 when not stepping through words."""
        if self.csw & 0x37 != 0x12 or self.tar & 3 or not self._open():
            return 0
        return min(words, (self.wrap - (self.tar & (self.wrap - 1))) // 4)

    def read_block(self, count: int) -> bytes:
        """Words from DRW up to the wrap of the address, all at once if one memory holds them."""
        words = self._run(count)
        data = self.bus.read_block(self.tar, 4 * words) if words else None
        if not data:
            return b""
        self._step(words)
        return data

    def read_still(self, count: int) -> bytes:
        """As :meth:`read_block`, with all that as many single reads do."""
        words = self._run(count)
        data = self.bus.read_still(self.tar, 4 * words) if words else None
        if not data:
            return b""
        self._step(words)
        return data

    def write_block(self, data: bytes) -> int:
        """Words to DRW up to the wrap of the address: how many were written."""
        words = self._run(len(data) // 4)
        if not words or not self.bus.write_block(self.tar, data[: 4 * words]):
            return 0
        self._step(words)
        return words

    def _step(self, words: int) -> None:
        self.tar = (self.tar & ~(self.wrap - 1)) | (self.tar + 4 * words & (self.wrap - 1))


class SidePort:
    """An access port beside the processor's: identity, ROM table address, and what little lies behind it."""

    def __init__(self, idr: int, base: int, pages: tuple[RegisterPage, ...] = ()) -> None:
        self._values = {0xFC: idr, 0xF8: base, 0x00: 0x40}
        self._pages = pages

    def _page(self) -> RegisterPage | None:
        address = self._values.get(0x04, 0)
        return next((page for page in self._pages if page.base <= address < page.base + page.size), None)

    def read(self, register: int) -> int:
        """Value of a register."""
        if register != 0x0C:
            return self._values.get(register, 0)
        page, address = self._page(), self._values.get(0x04, 0)
        self._step(address)
        return page.read(address - page.base & ~3, 4) if page is not None else 0

    def write(self, register: int, value: int) -> None:
        """Store to a register."""
        if register in (0x00, 0x04):
            self._values[register] = value | 0x40 if register == 0x00 else value
        elif register == 0x0C:
            page, address = self._page(), self._values.get(0x04, 0)
            self._step(address)
            if page is not None:
                page.write(address - page.base & ~3, 4, value)

    def _step(self, address: int) -> None:
        if self._values[0x00] & 0x30:
            self._values[0x04] = address + 4 & 0xFFFFFFFF
