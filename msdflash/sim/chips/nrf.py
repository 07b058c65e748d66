"""NRF52840 and nRF51822: memories, NVMC, FICR and UICR, reset pin and access port protection.

Sources: nRF52840 product specification v1.7 (chapters NVMC, FICR, UICR, POWER, CTRL-AP), nRF51 series reference manual v3.0 (chapters 6 to
8 and 12), register layouts as in Nordic's MDK headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.bus import Memory
from msdflash.sim.chips.nvmc import (
    NVMC_BASE,
    PARTS,
    UICR_APPROTECT,
    UICR_BASE,
    UICR_PSELRESET,
    Nvmc,
    Part,
)
from msdflash.sim.ppb import RegisterPage
from msdflash.sim.soc import Habits

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.ap import AccessPort
    from msdflash.sim.soc import Soc

NORDIC = (2, 0x44)  # JEP106 continuation count and code
RAM_BASE, CODE_RAM_BASE, FICR_BASE, POWER_BASE = 0x20000000, 0x00800000, 0x10000000, 0x40000000
RESETREAS, SYSTEMOFF = 0x400, 0x500
APPROTECT_DISABLE = 0x558  # hardened parts: firmware opens the port here, each time that it starts
SW_DISABLE = HW_DISABLED = 0x5A
# RESETREAS: RESETPIN, DOG, SREQ, LOCKUP, DIF (woken by a debugger); power-on sets none
CAUSES = {"power": 0, "pin": 1, "watchdog": 2, "software": 4, "control": 4, "lockup": 8, "debugger": 1 << 18}
CTRL_AP, CTRL_AP_IDR = 1, 0x02880000
PLAIN = (("APB", 0x40001000, 0x2F000), ("AHB", 0x50000000, 0x1000))
__all__ = ["PARTS", "Nrf"]


class Power(RegisterPage):
    """POWER and CLOCK share this page: reset reasons, the two clocks that start at once, and the software half of APPROTECT."""

    def __init__(self) -> None:
        super().__init__(POWER_BASE)
        self.reasons = 0
        self.opened = False
        self.on_off: Callable[[], None] | None = None

    def reset(self) -> None:
        """System reset. Reset reasons stay until cleared."""
        self.values = {}
        self.opened = False

    def load(self, word: int) -> int:
        """Value of a register."""
        return self.reasons if word == RESETREAS else super().load(word)

    def store(self, word: int, value: int) -> None:
        """RESETREAS clears by ones; a start task sets its event and status at once (PS 5.4.4)."""
        if word == RESETREAS:
            self.reasons &= ~value
            return
        if word == SYSTEMOFF:
            if value & 1 and self.on_off is not None:
                self.on_off()
            return
        super().store(word, value)
        if word in (0x000, 0x008) and value & 1:
            self.values[0x100 + word // 2] = 1
            self.values[0x40C if word == 0 else 0x418] = 0x10001
        if word == APPROTECT_DISABLE:
            self.opened = value & 0xFF == SW_DISABLE


class CtrlAp:
    """CTRL-AP (PS 4.8.2): reset, erase and the lock's state, while the memory port is shut."""

    def __init__(self, chip: Nrf) -> None:
        self._chip = chip

    def read(self, register: int) -> int:
        """APPROTECTSTATUS is 0 while protected; an erase is over at once."""
        return {0x0C: int(not self._chip.locked), 0xFC: CTRL_AP_IDR}.get(register, 0)

    def write(self, register: int, value: int) -> None:
        """ERASEALL opens the port; RESET resets like software."""
        if register == 0x04 and value & 1:
            self._chip.erase_everything()
        elif register == 0x00 and value & 1:
            self._chip.control_reset()


class NrfHabits(Habits):
    """Pin reset clears the debug registers too, and exists only where UICR says so; lockup resets unless a debugger is there."""

    pin_clears_debug = True

    def __init__(self, chip: Nrf) -> None:
        self._chip = chip
        self.core = chip.part.core

    @property
    def debug_in_reset(self) -> str:  # type: ignore[override]
        """Debug power is not granted, or (variant) nothing answers at all."""
        soc = self._chip.soc
        return "silent" if self._chip.part.nrf51 or (soc is not None and soc.ignored_in_reset) else "no-power"

    def fitted(self, soc: Soc) -> None:
        """See the base."""
        self._chip.soc = soc

    def ports(self) -> dict[int, AccessPort]:
        """See the base."""
        return {} if self._chip.part.nrf51 else {CTRL_AP: CtrlAp(self._chip)}

    def memory_port_open(self) -> bool:
        """See the base. The nRF51 keeps its port open and refuses code memory instead."""
        return self._chip.part.nrf51 or not self._chip.locked

    def pin_works(self) -> bool:
        """Both PSELRESET words name the same pin (PS 4.5.1); on the nRF51 the pin is always there."""
        first, second = (self._chip.pins[n] for n in (0, 1))
        return self._chip.part.nrf51 or (first == second and not first & 0x80000000)

    def lockup_resets(self) -> bool:
        """Not while debug power is on (PS, reset behaviour, note)."""
        return not (self._chip.soc is not None and self._chip.soc.dp.debugging)


class Nrf:
    """One chip; implements :class:`msdflash.sim.soc.Chip`."""

    designer = NORDIC

    def __init__(self, part: Part, serial: int = 1) -> None:
        self.part = part
        self.name = part.name
        self.dpidr = part.dpidr
        self.rom_part = part.rom_part
        self.soc: Soc | None = None
        self.pins = (0xFFFFFFFF, 0xFFFFFFFF)
        self.flash = Memory("flash", 0, bytearray(b"\xff" * (part.flash * 1024)), writable=False, volatile=False)
        self._uicr = Memory("UICR", UICR_BASE, bytearray(b"\xff" * 0x1000), writable=False, volatile=False)
        if not part.nrf51:
            # A development kit comes with its reset pin (P0.18) switched on by the demonstration program.
            self._uicr.data[UICR_PSELRESET : UICR_PSELRESET + 8] = (18).to_bytes(4, "little") * 2
        self.controller = Nvmc(self.flash, self._uicr, part)
        ficr = bytearray(b"\xff" * 0x1000)
        for offset, value in {0x60: serial, 0x64: 0x6D736466, **part.ficr}.items():
            ficr[offset : offset + 4] = value.to_bytes(4, "little")
        self._ficr = Memory("FICR", FICR_BASE, ficr, writable=False, volatile=False)
        self._ram = Memory("RAM", RAM_BASE, bytearray(part.ram * 1024))
        self._power = Power()
        self._plain = [Memory(name, base, bytearray(size)) for name, base, size in PLAIN]
        self.habits = NrfHabits(self)

    @property
    def locked(self) -> bool:
        """Access port protection is on."""
        return self.controller.loaded_approtect and not (
            self.part.hardened and self._power.opened and self.controller.option(UICR_APPROTECT) & 0xFF == HW_DISABLED
        )

    @property
    def power(self) -> Power:
        """Its power control."""
        return self._power

    def attach(self, soc: Soc) -> None:
        """See the protocol."""
        self.controller.attach(soc)
        for memory in (self._ram, self._ficr):
            soc.bus.add(memory)
            soc.cpu.map_memory(memory)
        soc.cpu.protect(FICR_BASE, self._ficr.size)
        if not self.part.nrf51:
            alias = Memory("code RAM", CODE_RAM_BASE, self._ram.data)
            soc.bus.add(alias)
            soc.cpu.map_memory(self._ram, CODE_RAM_BASE)
        for memory in self._plain:
            soc.cpu.map_around(memory, NVMC_BASE)
            soc.bus.add(memory)
        soc.bus.add(self.controller)  # its page lies in the middle of the plain ones
        soc.bus.add(self._power)
        soc.cpu.map_device(self._power)
        if self.part.nrf51:
            self.flash.gate = self._gate

    def _gate(self, _address: int, write: bool) -> bool:
        """RBPCONF.PALL (RM 8.1): a debugger reads nothing of code memory. Assumed: as a refused access."""
        return self.controller.loaded_approtect and not write

    def power_on(self) -> None:
        """See the protocol."""
        self._power.reasons = 0

    def system_reset(self, cause: str) -> None:
        """See the protocol. Protection and reset pin are taken from UICR; a soft reset keeps an opened port open (assumption)."""
        for memory in self._plain:
            memory.data[:] = bytes(memory.size)
        self._power.reset()
        self._power.reasons |= CAUSES.get(cause, 0)
        self.controller.reset()
        self.pins = (self.controller.option(UICR_PSELRESET), self.controller.option(UICR_PSELRESET + 4))
        if self.controller.loaded_approtect or not self.part.hardened or cause not in ("software", "control"):
            self.controller.load_protection()

    def erase_everything(self) -> None:
        """CTRL-AP.ERASEALL: flash, UICR and RAM, then the port is open (PS 4.8.2)."""
        self.controller.erase_all()
        self._ram.data[:] = bytes(self._ram.size)
        self.controller.loaded_approtect = False

    def control_reset(self) -> None:
        """CTRL-AP.RESET."""
        if self.soc is not None:
            self.soc.reset("control")

    def debugger_access(self, _address: int) -> None:
        """See the protocol."""

    def nonvolatile(self) -> bytes:
        """See the protocol."""
        return bytes(self._uicr.data[:0x400])

    def set_nonvolatile(self, data: bytes) -> None:
        """See the protocol."""
        self._uicr.data[: len(data)] = data
        self.controller.load_protection()
