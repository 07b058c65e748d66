"""NVMC, the non-volatile memory controller of nRF51 and nRF52 parts, and what differs between the parts.

Sources: nRF52840 product specification v1.7 (chapters 4.3 NVMC, 4.4 FICR, 4.5 UICR), nRF51 series reference manual v3.0 (chapters 6 to 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from msdflash.sim.bus import Memory
from msdflash.sim.chips.norflash import NorFlash, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.soc import Soc

UICR_BASE, NVMC_BASE = 0x10001000, 0x4001E000
READY, READYNEXT, CONFIG, ERASEPAGE, ERASEALL, ERASEPCR0, ERASEUICR = 0x400, 0x408, 0x504, 0x508, 0x50C, 0x510, 0x514
READ_ONLY, WRITE_ENABLED, ERASE_ENABLED = 0, 1, 2
UICR_APPROTECT, UICR_PSELRESET, UICR_CLENR0, UICR_RBPCONF = 0x208, 0x200, 0x00, 0x04


class Part(msgspec.Struct, frozen=True):
    """What differs between the parts. Sizes in KiB, times in seconds.

    Attributes:
        ficr: words of the factory information, by offset.
        hardened: access port protection is on after each reset unless UICR and the firmware both switch it off (nRF52840 from
            revision 3, build code F0, on).
        nrf51: the older series: no CTRL-AP, protection by RBPCONF.
    """

    name: str
    core: str
    dpidr: int
    rom_part: int
    flash: int
    ram: int
    page: int
    ficr: dict[int, int]
    word_seconds: float
    page_seconds: float
    hardened: bool = False
    nrf51: bool = False


def _ficr52(build: int) -> dict[int, int]:
    """FICR: CODEPAGESIZE, CODESIZE, INFO.PART, VARIANT, PACKAGE (QI), RAM, FLASH."""
    return {0x10: 4096, 0x14: 256, 0x100: 0x52840, 0x104: 0x41410000 | build, 0x108: 0x2004, 0x10C: 256, 0x110: 1024}


PARTS = {
    part.name: part
    for part in (
        # PS 4.3, electrical specification: tWRITE 42.5 us, tERASEPAGE 87.5 ms
        Part("nrf52840", "cortex-m4", 0x2BA01477, 0x008, 1024, 256, 4096, _ficr52(0x4430), 42.5e-6, 87.5e-3),
        Part("nrf52840-f0", "cortex-m4", 0x2BA01477, 0x008, 1024, 256, 4096, _ficr52(0x4630), 42.5e-6, 87.5e-3, hardened=True),
        # FICR of nRF51: CODEPAGESIZE, CODESIZE, CLENR0, PPFC, NUMRAMBLOCK, SIZERAMBLOCKS, CONFIGID (QFAC A0). Times: PS v3.1
        Part(
            "nrf51822", "cortex-m0", 0x0BB11477, 0x001, 256, 32, 1024,
            {0x10: 1024, 0x14: 256, 0x28: 0xFFFFFFFF, 0x2C: 0xFFFFFFFF, 0x34: 4, 0x38: 8192, 0x5C: 0xFFFF0083},
            46.3e-6, 22.3e-3, nrf51=True,
        ),
    )
}  # fmt: skip


class Nvmc(NorFlash):
    """The non-volatile memory controller: its registers, and every store to flash and UICR. It has no error flags at all."""

    base, size = NVMC_BASE, 0x1000

    def __init__(self, array: Memory, uicr: Memory, part: Part) -> None:
        super().__init__(array, 4, part.page, "approtect")
        self.uicr = uicr
        self.part = part
        self.config = READ_ONLY
        self.loaded_approtect = True
        self._raw: list[tuple[int, int, int, bytes]] = []
        self._plain: dict[int, int] = {}
        self._kept: dict[int, bytes] = {}

    def attach(self, soc: Soc) -> None:
        """Map array, UICR and registers, and watch the stores."""
        self._soc = soc
        for memory in (self.array, self.uicr):
            soc.bus.add(memory)
            memory.on_store = self._store
            soc.cpu.map_memory(memory)
            soc.cpu.watch_stores(memory.base, memory.base + memory.size, self)
        soc.bus.add(self)
        soc.cpu.map_device(self)

    def reset(self) -> None:
        """System reset: read-only again; ACL regions are gone (PS 4.3.8)."""
        self.config = READ_ONLY
        self.hung = False
        self._plain.clear()

    # --- registers ----------------------------------------------------------------------------------------------------

    def read(self, offset: int, _size: int) -> int:
        """A register. READY is 0 while something is under way."""
        if offset in (READY, READYNEXT):
            return int(not self.hung)
        return self.config if offset == CONFIG else self._plain.get(offset, 0)

    def write(self, offset: int, _size: int, value: int) -> None:
        """Store to a register. Erasing needs CONFIG.WEN = Een (PS 4.3.3 to 4.3.5)."""
        if offset == CONFIG:
            self.config = value & 3
        elif offset in (ERASEPAGE, ERASEPCR0):
            self._erase_page(value)
        elif offset == ERASEALL and value & 1:
            if self.config == ERASE_ENABLED and self.begin():
                self.erase_all()
        elif offset == ERASEUICR and value & 1:
            # nRF51 RM 6.1.4: ERASEUICR erases on its own only where no SoftDevice protects it; nRF52 has the same task
            if self.config == ERASE_ENABLED and self.begin():
                self.uicr.data[:] = b"\xff" * self.uicr.size
                self.spend(self.part.page_seconds)
        elif offset >= 0x800:
            self._plain.setdefault(offset, value)  # ACL: written once between two resets

    def _erase_page(self, address: int) -> None:
        if self.config != ERASE_ENABLED or not address < self.array.size or self.protected(address // self.sector):
            return
        if self.begin():
            self.erase(address // self.sector * self.sector, self.sector)
            self.spend(self.part.page_seconds)

    def erase_all(self) -> None:
        """Flash and UICR."""
        self.erase(0, self.array.size)
        self.uicr.data[:] = b"\xff" * self.uicr.size
        self.spend(self.part.page_seconds * 2)

    def protected(self, page: int) -> bool:
        """ACL on the nRF52840 (PS 4.3.8: ADDR, SIZE, PERM bit 1); on nRF51 region 0 under RBPCONF.PR0 (RM 8.1)."""
        if self.part.nrf51:
            length = self.option(UICR_CLENR0)
            return length != 0xFFFFFFFF and page * self.sector < length and self.option(UICR_RBPCONF) & 0xFF == 0
        for index in range(8):
            start, length, rights = (self._plain.get(0x800 + 16 * index + at, 0) for at in (0, 4, 8))
            if rights & 2 and start <= page * self.sector < start + length:
                return True
        return False

    def option(self, offset: int) -> int:
        """A word of UICR."""
        return int.from_bytes(self.uicr.data[offset : offset + 4], "little")

    def set_option(self, offset: int, value: int) -> None:
        """Change a word of UICR from outside."""
        self.uicr.data[offset : offset + 4] = value.to_bytes(4, "little")

    def _setting(self, offset: int) -> Setting:
        return Setting(lambda: self.option(offset), lambda value: self.set_option(offset, value))

    def protect_sector(self, number: int) -> Callable[[], None]:
        """See :class:`msdflash.sim.faults.Flash`: nRF51 region 0, with that page as its last. The nRF52840 has no such thing."""
        from msdflash.sim.faults import FaultError

        if not self.part.nrf51:
            raise FaultError("the nRF52840 has no write protection that outlasts a reset (ACL is set by firmware)")
        length = Setting(lambda: self.option(UICR_CLENR0), lambda value: self.set_option(UICR_CLENR0, value)).put(
            (number + 1) * self.sector
        )
        rights = Setting(lambda: self.option(UICR_RBPCONF), lambda value: self.set_option(UICR_RBPCONF, value)).put(0xFFFFFF00)

        def undo() -> None:
            rights()
            length()

        return undo

    def protect_reads(self) -> Callable[[], None]:
        """See :class:`msdflash.sim.faults.Flash`: UICR.APPROTECT, or RBPCONF.PALL, as found after a power cycle."""
        offset, value = (UICR_RBPCONF, 0xFFFF00FF) if self.part.nrf51 else (UICR_APPROTECT, 0xFFFFFF00)
        undo_word = self._setting(offset).put(value)
        self.load_protection()

        def undo() -> None:
            undo_word()
            self.load_protection()

        return undo

    def load_protection(self) -> None:
        """Take the protection out of UICR, as a reset does."""
        if self.part.nrf51:
            self.loaded_approtect = self.option(UICR_RBPCONF) & 0xFF00 == 0
        elif self.part.hardened:
            self.loaded_approtect = True
        else:
            self.loaded_approtect = self.option(UICR_APPROTECT) & 0xFF == 0

    # --- stores to flash and UICR -----------------------------------------------------------------------------------------

    def _memory(self, address: int) -> Memory:
        return self.uicr if address >= UICR_BASE else self.array

    def quick(self, address: int, size: int, _value: int) -> bool:
        """See :class:`msdflash.sim.cpu.StoreWatcher`: a word over erased cells, with nothing in its way."""
        memory = self._memory(address)
        offset = address - memory.base
        erased = memory.data[offset : offset + 4] == b"\xff\xff\xff\xff"
        if size == 4 and self.config == WRITE_ENABLED and erased and self._plain_place(offset):
            self.spend(self.part.word_seconds)
            return True
        # The emulator may carry out the store before it heeds the stop: what is there now must be known.
        self._kept.setdefault(address, bytes(memory.data[offset : offset + size]))
        return False

    def _plain_place(self, offset: int) -> bool:
        return not (self.stuck or self.hung or offset in self.bad_cells or self.protected(offset // self.sector))

    def before(self, address: int, size: int, value: int) -> None:
        """See :class:`msdflash.sim.cpu.StoreWatcher`."""
        memory = self._memory(address)
        offset = address - memory.base
        old = self._kept.get(address)
        self._raw.append((address, size, value, bytes(memory.data[offset : offset + size]) if old is None else old))

    def after(self) -> None:
        """See :class:`msdflash.sim.cpu.StoreWatcher`."""
        stores, self._raw = self._raw, []
        self._kept.clear()
        for address, size, _, old in reversed(stores):
            memory = self._memory(address)
            memory.data[address - memory.base : address - memory.base + size] = old
        for address, size, value, _ in stores:
            self._store(address, size, value)

    def _store(self, address: int, size: int, value: int) -> None:
        """PS 4.3.2: whole words, and only while CONFIG.WEN = Wen; anything else changes nothing (assumption)."""
        memory = self._memory(address)
        offset = address - memory.base
        if size != 4 or self.config != WRITE_ENABLED:
            return
        if memory is self.array:
            if not self.protected(offset // self.sector) and self.begin():
                self.program(offset, value.to_bytes(4, "little"))
        else:
            self.set_option(offset, self.option(offset) & value)
        self.spend(self.part.word_seconds)
