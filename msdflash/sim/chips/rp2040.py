"""RP2040 with its QSPI flash: memories, boot ROM, flash interface, two cores behind a multidrop SWD line, and the rescue port.

Sources: RP2040 datasheet (2.2 address map, 2.3.4 debug, 2.4.2.9 processor resets, 2.6.3 flash, 2.8 boot ROM, 2.12 chip-level reset, 2.14
subsystem resets, 2.20 system information), register layouts of pico-sdk ``hardware/regs``. What is assumed stands in docs/bench.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim import ppb
from msdflash.sim.ap import AhbAp
from msdflash.sim.bus import BusError, Memory
from msdflash.sim.chips import rp2040_rom
from msdflash.sim.chips.qspi import Qspi, Ssi
from msdflash.sim.chips.rp2040_apb import CHIP_RESET_CAUSES, Microseconds, Peripherals, Sio
from msdflash.sim.core import GLANCE, LOOK, Core
from msdflash.sim.cores import CORES
from msdflash.sim.cpu import Cpu
from msdflash.sim.dp import CDBGPWRUPREQ, SwDp
from msdflash.sim.multidrop import DLPIDR_BANK, TARGETID_BANK, Multidrop
from msdflash.sim.soc import Habits

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.ap import DebugBus
    from msdflash.sim.soc import Soc

RASPBERRY = (9, 0x13)  # JEP106 continuation count and code
TARGETID, RESCUE_DPIDR = 0x01002927, 0x10212927  # 2.3.4; the rescue port's DPIDR as debuggers log it
CORE_1, RESCUE = 1, 0xF
FLASH_SIZE, XIP, XIP_SPAN, SSI_BASE = 2 * 1024 * 1024, 0x10000000, 0x1000000, 0x18000000
XIP_CONTROL, XIP_SRAM, RAM_BASE, RAM_SIZE = 0x14000000, 0x15000000, 0x20000000, 264 * 1024
PLAIN = (("DMA", 0x50000000, 0x1000), ("USB DPRAM", 0x50100000, 0x1000), ("USB", 0x50110000, 0x1000),
         ("PIO0", 0x50200000, 0x1000), ("PIO1", 0x50300000, 0x1000))  # fmt: skip


class RescueDp(SwDp):
    """2.3.4.2: its request for debug power resets the chip; released again, the boot ROM stops before anything of flash runs."""

    def __init__(self, dpidr: int, ap: AhbAp, rescue: Callable[[], None]) -> None:
        self._rescue = rescue
        super().__init__(dpidr, ap)

    def _write_dp(self, address: int, data: int) -> None:
        before = self.ctrl
        super()._write_dp(address, data)
        if (before ^ self.ctrl) & self.ctrl & CDBGPWRUPREQ:
            self._rescue()


class SecondCore:
    """Core 1 and its access port's view. It waits in the boot ROM; that firmware starts it is not modelled."""

    def __init__(self, soc: Soc, rom: Memory, ram: Memory) -> None:
        self._soc = soc
        kind = CORES["cortex-m0plus"]
        self._cpu = Cpu(kind.model)
        for memory in (rom, ram):
            self._cpu.map_memory(memory)
        self._cpu.protect(rom.base, rom.size)
        self.core = Core(self._cpu, self._word, self._store, kind)
        self.core.pc_samples = False
        self.core.on_reset_request = lambda _system: self.reset()
        scs = ppb.Scs(self.core)
        tables = ppb.rom_tables(ppb.ROM_BASE, Rp2040.rom_part, Rp2040.designer, kind)
        self._pages: dict[int, ppb.RegisterPage] = {page.base: page for page in (scs, ppb.Dwt(self.core), ppb.Fpb(self.core), *tables)}
        self._cpu.map_device(scs, scs)
        self.core.leave_reset()

    def close(self) -> None:
        """Free the emulator."""
        self._cpu.close()
        self.core.on_reset_request = None

    def reset(self) -> None:
        """Core 1 alone."""
        self.core.enter_reset()
        self.core.leave_reset()

    def _word(self, address: int) -> int:
        """Its vectors, as if the ROM's code had told the cores apart already."""
        if address == 4:
            return rp2040_rom.WAIT | 1
        return self._soc.bus.read(address, 4)

    def _store(self, address: int, data: bytes) -> None:
        for index, byte in enumerate(data):
            self._soc.bus.write(address + index, 1, byte)

    def _page(self, address: int) -> ppb.RegisterPage | None:
        return self._pages.get(address & ~0xFFF) if 0xE0000000 <= address < 0xE0100000 else None

    def read(self, address: int, size: int) -> int:
        """See :class:`msdflash.sim.ap.DebugBus`."""
        page = self._page(address)
        if page is None:
            return self._soc.read(address, size)
        self.core.run(LOOK if address == ppb.DHCSR else GLANCE)
        if address == ppb.DHCSR:
            return self.core.read_dhcsr(debugger=True)
        return page.read(address & 0xFFF, size)

    def write(self, address: int, size: int, value: int) -> None:
        """See :class:`msdflash.sim.ap.DebugBus`."""
        page = self._page(address)
        if page is None:
            self._soc.write(address, size, value)
            self._cpu.invalidate_all()
        elif address == ppb.DHCSR:
            self.core.write_dhcsr(value)
        else:
            page.write(address & 0xFFF, size, value)
            self.core.settle_reset()

    def read_block(self, address: int, length: int) -> bytes | None:
        """See :class:`msdflash.sim.ap.DebugBus`."""
        return None if self._page(address) is not None else self._soc.read_block(address, length)

    def read_still(self, address: int, length: int) -> bytes | None:
        """Never: word by word."""
        del address, length
        return None

    def write_block(self, address: int, data: bytes) -> bool:
        """See :class:`msdflash.sim.ap.DebugBus`."""
        del address, data
        return False


class LazyBus:
    """Core 1's bus, made when somebody first uses it: an emulator more, for nothing on most days."""

    def __init__(self, make: Callable[[], SecondCore]) -> None:
        self._make = make
        self.made: SecondCore | None = None

    def _bus(self) -> DebugBus:
        if self.made is None:
            self.made = self._make()
        return self.made

    def close(self) -> None:
        """Forget it: the next look finds it as after power-on."""
        if self.made is not None:
            self.made.close()
            self.made = None

    def read(self, address: int, size: int) -> int:
        """See :class:`msdflash.sim.ap.DebugBus`."""
        return self._bus().read(address, size)

    def write(self, address: int, size: int, value: int) -> None:
        """See :class:`msdflash.sim.ap.DebugBus`."""
        self._bus().write(address, size, value)

    def read_block(self, address: int, length: int) -> bytes | None:
        """See :class:`msdflash.sim.ap.DebugBus`."""
        return self._bus().read_block(address, length)

    def read_still(self, address: int, length: int) -> bytes | None:
        """Never: word by word."""
        del address, length
        return None

    def write_block(self, address: int, data: bytes) -> bool:
        """See :class:`msdflash.sim.ap.DebugBus`."""
        return self._bus().write_block(address, data)


class Rp2040Habits(Habits):
    """RUN resets everything, the debug ports too (2.12); SYSRESETREQ resets the one core and nothing else (2.4.2.9)."""

    core = "cortex-m0plus"
    debug_in_reset = "silent"
    pin_clears_debug = True
    pin_clears_port = True
    resets_core_only = True
    pc_samples = False

    def __init__(self, chip: Rp2040) -> None:
        self._chip = chip

    def fitted(self, soc: Soc) -> None:
        """See the base."""
        self._chip.fitted(soc)

    def closed(self) -> None:
        """See the base."""
        self._chip.close()


class Rp2040:
    """One chip; implements :class:`msdflash.sim.soc.Chip`.

    Attributes:
        off: what the window reads as, bit by bit, to a debugger while the flash interface does not serve it.
    """

    name = "rp2040"
    dpidr = 0x0BC12477
    rom_part = 0x002
    designer = RASPBERRY
    ram_base = RAM_BASE

    def __init__(self, serial: int = 1) -> None:
        del serial  # no unique id of its own; the flash chip's is not modelled
        self.flash = Memory("QSPI flash", XIP, bytearray(b"\xff" * FLASH_SIZE), writable=False, volatile=False)
        self.controller = Qspi(self.flash)
        self.controller.on_defect = self._show
        self._ssi = Ssi(SSI_BASE, self.controller)
        self._ssi.on_window = lambda _on: self._show()
        self.off = 0x00
        self._window_off = bytearray(FLASH_SIZE)
        # Four views of the window (cached or not), and in each the flash again and again: it does not see the address bits above its size.
        self._windows = [
            Memory("XIP", base, self._window_off, writable=False, volatile=False)
            for view in range(4)
            for base in range(XIP + view * XIP_SPAN, XIP + (view + 1) * XIP_SPAN, FLASH_SIZE)
        ]
        self._rom = Memory("boot ROM", 0, bytearray(rp2040_rom.image()), writable=False, volatile=False)
        self._ram = Memory("SRAM", RAM_BASE, bytearray(RAM_SIZE))
        self._cache = Memory("XIP cache", XIP_SRAM, bytearray(16 * 1024))
        self._plain = [Memory(name, base, bytearray(size)) for name, base, size in PLAIN]
        self._cache_control = ppb.RegisterPage(XIP_CONTROL, {0x08: 2})  # STAT: the FIFO is empty
        self._timer = Microseconds(lambda: self._soc.core.cycles if self._soc is not None else 0)
        self._peripherals = Peripherals(self._ssi.force, self._timer)
        self._sio = Sio()
        self.rom = rp2040_rom.Rom(self.controller, self._ssi)
        self._soc: Soc | None = None
        self._open = False
        self._second = LazyBus(self._make_second)
        self.line: Multidrop | None = None
        self.habits = Rp2040Habits(self)

    def attach(self, soc: Soc) -> None:
        """See the protocol."""
        self._soc = soc
        self.controller.attach(soc)
        for memory in (self._rom, self._ram, self._cache, *self._plain):
            soc.bus.add(memory)
            soc.cpu.map_memory(memory)
        soc.cpu.protect(0, self._rom.size)
        for window in self._windows:
            soc.bus.add(window)
            soc.cpu.map_memory(self.flash, window.base)
        for device in (self._ssi, self._cache_control, self._peripherals, self._sio):
            soc.bus.add(device)
            soc.cpu.map_device(device)
        soc.core.alarms.append(self._timer)
        self.rom.attach(soc)
        self._shut(True)

    def fitted(self, soc: Soc) -> None:
        """Put the three debug ports on one line."""
        kind = CORES["cortex-m0plus"]
        second = SwDp(self.dpidr, AhbAp(self._second, kind.ap_idr, kind.wrap))
        rescue = RescueDp(RESCUE_DPIDR, AhbAp(_Nothing(), 0), self._rescue)
        ports = (soc.dp.ports[0] if isinstance(soc.dp, Multidrop) else soc.dp, second, rescue)
        for port, instance in zip(ports, (0, CORE_1, RESCUE), strict=True):
            port.banked = {TARGETID_BANK: TARGETID, DLPIDR_BANK: instance << 28 | 1}
        soc.dp = self.line = Multidrop(ports)

    def _make_second(self) -> SecondCore:
        if self._soc is None:
            raise BusError(0)
        return SecondCore(self._soc, self._rom, self._ram)

    def _show(self) -> None:
        """What the window shows follows from the interface and from the flash chip."""
        silent = self.controller.silent
        shown = self._ssi.window
        if shown and silent is None:
            data = self.flash.data
        else:
            data = self._window_off
            value = silent if shown and silent is not None else self.off
            if data[0] != value:
                data[:] = bytes((value,)) * FLASH_SIZE
        for window in self._windows:
            window.data = data
        self._shut(data is not self.flash.data)

    def _shut(self, shut: bool) -> None:
        """The processor's own accesses fail while the window shows nothing of the flash (assumption)."""
        soc = self._soc
        if soc is None or self._open is not shut:
            return
        self._open = not shut
        for window in self._windows:
            if shut:
                soc.cpu.forbid(window.base, FLASH_SIZE, True)
            else:
                soc.cpu.protect(window.base, FLASH_SIZE)

    def _rescue(self) -> None:
        """The rescue port pulls psm_restart (2.13.4)."""
        if self._soc is not None:
            self.rom.rescued = True
            self._soc.core.enter_reset()
            self.system_reset("rescue")
            self._soc.core.leave_reset()

    def close(self) -> None:
        """The chip is taken apart."""
        self._second.close()
        self._soc = None

    def power_on(self) -> None:
        """See the protocol."""
        self.controller.power_on()

    def system_reset(self, cause: str) -> None:
        """See the protocol. Everything but the flash chip's inside; core 1 goes back to the ROM."""
        for memory in self._plain:
            memory.data[:] = bytes(memory.size)
        self._peripherals.reset(CHIP_RESET_CAUSES.get(cause, 0))
        self._sio.values.clear()
        self._cache_control.values.clear()
        self._ssi.reset()
        self._second.close()

    def debugger_access(self, _address: int) -> None:
        """See the protocol."""

    def nonvolatile(self) -> bytes:
        """See the protocol: the flash chip's status registers."""
        return self.controller.status()

    def set_nonvolatile(self, data: bytes) -> None:
        """See the protocol."""
        self.controller.set_status(data)


class _Nothing:
    """Behind the rescue port there is no access port."""

    def read(self, address: int, size: int) -> int:
        """Nothing answers."""
        del size
        raise BusError(address)

    def write(self, address: int, size: int, value: int) -> None:
        """Nothing answers."""
        del size, value
        raise BusError(address)

    def read_block(self, address: int, length: int) -> bytes | None:
        """Nothing answers."""
        del address, length
        return None

    def read_still(self, address: int, length: int) -> bytes | None:
        """Never: word by word."""
        del address, length
        return None

    def write_block(self, address: int, data: bytes) -> bool:
        """Nothing answers."""
        del address, data
        return False
