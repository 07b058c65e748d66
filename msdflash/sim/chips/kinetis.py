"""K64F and KL25Z: memories, SIM, reset causes, MDM-AP, and the reset loop of a part without a program.

Sources: K64 Sub-Family Reference Manual (K64P144M120SF5RM) chapters 6 (reset), 9 (debug: MDM-AP), 12 (SIM) and 15 (RCM); KL25
Sub-Family Reference Manual (KL25P80M48SF0RM) chapters 6, 9, 12 and 15; the loop of a blank part as OpenOCD's ``kinetis.c`` describes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from msdflash.sim.bus import Memory
from msdflash.sim.chips.ftf import Ftf
from msdflash.sim.core import State
from msdflash.sim.soc import Habits

if TYPE_CHECKING:
    from msdflash.sim.ap import AccessPort
    from msdflash.sim.soc import Soc

ARM = (4, 0x3B)  # the ROM table carries Arm's generic identification
MDM_AP, STATUS, CONTROL, IDR = 1, 0x00, 0x04, 0xFC
FMEACK, FREADY, SYSSEC, SYSRES, FMEEN, HALTED, SLEEPING = 1, 2, 4, 8, 0x20, 1 << 16, 1 << 18  # MDM-AP status, table 9-3
FMEIP, DEBUG_REQUEST, RESET_REQUEST, HOLD_CORE = 1, 4, 8, 0x10  # MDM-AP control, table 9-2
SIM_UID = 0x40048058  # SIM_UIDMH, UIDML, UIDL; the K64F has UIDH before them (SVD MK64F12, MKL25Z4)
SIM_SDID, SIM_FCFG1, RCM_SRS0, RCM_SRS1 = 0x40048024, 0x4004804C, 0x4007F000, 0x4007F001
# RCM_SRS0 and SRS1: (POR | LVD), PIN, LOCKUP, SW, MDM_AP
CAUSES = {"power": (0x82, 0), "pin": (0x40, 0), "lockup": (0, 2), "software": (0, 4), "debugger": (0, 8), "watchdog": (0x20, 0)}


class Part(msgspec.Struct, frozen=True):
    """What differs between the parts. Sizes in KiB, times in seconds."""

    name: str
    core: str
    dpidr: int
    flash: int
    sram: tuple[tuple[int, int], ...]  # base, KiB
    unit: int
    sector: int
    seconds: tuple[float, float]  # program one unit, erase one sector: data sheet, typical
    sdid: int
    fcfg1: int
    mdm: int
    areas: tuple[tuple[int, int], ...]  # peripherals that only keep what is written


PARTS = {
    part.name: part
    for part in (
        Part(
            "k64f", "cortex-m4", 0x2BA01477, 1024, ((0x1FFF0000, 64), (0x20000000, 192)), 8, 4096, (90e-6, 14e-3),
            0x64000000, 0x0F0F0F00, 0x001C0000, ((0x40000000, 0x100000), (0xE0080000, 0x1000)),
        ),
        Part(
            "kl25z", "cortex-m0plus", 0x0BC11477, 128, ((0x1FFFF000, 4), (0x20000000, 12)), 4, 1024, (65e-6, 14e-3),
            0x25152486, 0x07000000, 0x001C0020, ((0x40000000, 0x100000), (0xF0003000, 0x1000)),
        ),
    )
}  # fmt: skip


class MdmAp:
    """The access port that answers while everything else is shut."""

    def __init__(self, chip: Kinetis) -> None:
        self._chip = chip
        self.control = 0
        self._acknowledged = False

    def read(self, register: int) -> int:
        """Status, control and identity."""
        if register == STATUS:
            return self._chip.status() | (FMEACK if self._acknowledged else 0)
        return {CONTROL: self.control, IDR: self._chip.part.mdm}.get(register, 0)

    def write(self, register: int, value: int) -> None:
        """Control. While secure only the mass erase can be asked for."""
        if register != CONTROL:
            return
        chip = self._chip
        if value & FMEIP and chip.controller.mass_erase_enabled:
            chip.controller.mass_erase()  # FMEIP clears when it is over, which is at once
            self._acknowledged = True
        if chip.controller.secure:
            return
        was, self.control = self.control, value & (DEBUG_REQUEST | RESET_REQUEST | HOLD_CORE)
        chip.obey(was, self.control)


class KinetisHabits(Habits):
    """The debug port stays alive under reset; a locked-up core resets the chip at once, again and again."""

    def __init__(self, chip: Kinetis) -> None:
        self._chip = chip
        self.core = chip.part.core

    def fitted(self, soc: Soc) -> None:
        """See the base."""
        self._chip.fitted(soc)

    def ports(self) -> dict[int, AccessPort]:
        """See the base."""
        return {MDM_AP: self._chip.mdm}

    def memory_port_open(self) -> bool:
        """Security disables the memory access port (assumption: as DeviceEn shows)."""
        return not self._chip.controller.secure

    def lockup_resets(self) -> bool:
        """See the base."""
        return True

    def core_held(self) -> bool:
        """See the base."""
        return bool(self._chip.mdm.control & HOLD_CORE)

    def blocked(self, _address: int) -> bool:
        """Two thirds of each turn of a reset loop pass in reset."""
        return self._chip.in_loop_reset()


class Kinetis:
    """One chip; implements :class:`msdflash.sim.soc.Chip`."""

    designer = ARM
    rom_part = 0x4C4

    def __init__(self, part: Part, serial: int = 1) -> None:
        self.part = part
        self._serial = serial
        self.name = part.name
        self.dpidr = part.dpidr
        self.flash = Memory("flash", 0, bytearray(b"\xff" * (part.flash * 1024)), writable=False, volatile=False)
        self.controller = Ftf(self.flash, part.unit, part.sector, part.seconds)
        self.mdm = MdmAp(self)
        self._sram = [Memory("SRAM", base, bytearray(kib * 1024)) for base, kib in part.sram]
        self._plain = [Memory("peripherals", base, bytearray(size)) for base, size in part.areas]
        self._soc: Soc | None = None
        self._looping = False
        self._phase = 0
        self.habits = KinetisHabits(self)

    def attach(self, soc: Soc) -> None:
        """See the protocol."""
        for memory in self._sram:
            soc.bus.add(memory)
            soc.cpu.map_memory(memory)
        for memory in self._plain:
            soc.bus.add(memory)
            soc.cpu.map_around(memory, self.controller.base)
        self.controller.attach(soc)

    def fitted(self, soc: Soc) -> None:
        """The chip was put together."""
        self._soc = soc
        soc.after_slice.append(self._watch)

    def _watch(self) -> None:
        if self._soc is not None:
            self._looping = self._soc.core.state is State.LOCKUP

    def in_loop_reset(self) -> bool:
        """Whether this moment of a reset loop lies in reset. A turn takes 3 us: 2 low, 1 high."""
        if not self._looping or (self._soc is not None and self._soc.core.state is State.HALTED):
            return False
        self._phase += 1
        return self._phase * 7 % 3 != 0

    def status(self) -> int:
        """MDM-AP status. Until the flash module is ready after a reset, security reads as on (table 9-3)."""
        soc = self._soc
        held = soc is None or soc.held
        value = FREADY | SYSRES | (SYSSEC if self.controller.secure else 0) | (FMEEN if self.controller.mass_erase_enabled else 0)
        if soc is not None and soc.core.state is State.HALTED:
            value |= HALTED
        if held:
            return value & ~SYSRES
        if soc is not None:
            soc.glance()
        if self.in_loop_reset():
            value &= ~SYSRES
            if self._phase % 2:
                value = value & ~FREADY | SYSSEC
        return value

    def obey(self, was: int, now: int) -> None:
        """MDM-AP control changed."""
        soc = self._soc
        if soc is None:
            return
        if now & RESET_REQUEST and not was & RESET_REQUEST:
            soc.reset("debugger")
        if was & HOLD_CORE and not now & HOLD_CORE:
            soc.free_core()
        if now & DEBUG_REQUEST:
            soc.core.request_halt()

    def power_on(self) -> None:
        """See the protocol."""
        self.mdm.control = 0
        self._looping = False

    def system_reset(self, cause: str) -> None:
        """See the protocol."""
        for memory in self._plain:
            memory.data[:] = bytes(memory.size)
        first, second = CAUSES.get(cause, (0, 0))
        words = [(SIM_SDID, self.part.sdid, 4), (SIM_FCFG1, self.part.fcfg1, 4), (RCM_SRS0, first, 1), (RCM_SRS1, second, 1)]
        words += [(SIM_UID, 0x6D736466, 4), (SIM_UID + 8, self._serial, 4)]
        for address, value, size in words:
            at = address - self._plain[0].base
            self._plain[0].data[at : at + size] = value.to_bytes(size, "little")
        if cause != "lockup":
            self._looping = False
        self.controller.reset()

    def debugger_access(self, _address: int) -> None:
        """See the protocol."""

    def nonvolatile(self) -> bytes:
        """See the protocol. Protection and security live in the array itself."""
        return b""

    def set_nonvolatile(self, _data: bytes) -> None:
        """See the protocol."""
        self.controller.reset()
