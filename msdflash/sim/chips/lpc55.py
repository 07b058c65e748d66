"""LPC55S69: memories, boot ROM, debug mailbox and the two processors' access ports.

Sources: registers after ``LPC55S69_cm33_core0.xml`` (the SVD file that pyOCD ships: SYSCON, PMC, DBGMAILBOX, CMPA); the mailbox, and
what the ROM makes of it, after UM11126, "Debug mailbox" (from memory), as pyOCD's ``target_lpc5500.py`` uses it, and its pull request
1022: while the ROM runs, the processors' ports are not there; the image header after UM11126, "Boot ROM" (from memory), and Oxide's
``lpc55_sign``: length at 0x20, type at 0x24, CRC-32/MPEG-2 over all but itself at 0x28; identification of the debug components after logs
in pyOCD's issues 715 and 868. The ROM's code is not copied: one place in it calls back into this module. CPU1 stays in reset, as it is
until a program starts it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from msdflash.sim.ap import SidePort, Stall
from msdflash.sim.bus import Memory
from msdflash.sim.chips.lpc55flash import CONTROLLER, FLASH_SIZE, PAGE, SECURE, WRITTEN, EccFlash, Registers, RomFlash
from msdflash.sim.ppb import ARM_DESIGNER, CLASS_DEBUG, CLASS_ROM, RegisterPage, identification
from msdflash.sim.soc import Habits

if TYPE_CHECKING:
    from msdflash.sim.ap import AccessPort
    from msdflash.sim.soc import Soc

NXP = (0, 0x15)
KIB = 1024
RAM_BASE, RAM_SIZE, CODE_RAM_BASE, CODE_RAM_SIZE = 0x20000000, 0x44000, 0x04000000, 32 * KIB
ROM_BASE, ROM_SIZE = 0x13000000, 0x20000
BOOT, ISP, MAILBOX = ROM_BASE + 0x400, ROM_BASE + 0x420, ROM_BASE + 0x440
UPPER = FLASH_SIZE, 0xA0000 - FLASH_SIZE  # the rest of the array, with the protected flash region (CFPA at 0x9DE00, CMPA at 0x9E400)
PERIPHERALS, PERIPHERALS_SIZE = 0x40000000, 0x100000
BOOT_DONE, DEVICE_ID0, DIEID, AOREG1 = 0x40000040, 0x40000FF8, 0x40000FFC, 0x40020084
DEVICE, DIE = 0x00300000, 0x000426B1
CAUSES = {"power": 1 << 4, "pin": 1 << 5, "software": 1 << 7, "debugger": 1 << 7, "lockup": 1 << 7, "watchdog": 1 << 8}
CPU1_AP, DM_AP, DM_IDR, MEM_AP_IDR, ROM_TABLE = 1, 2, 0x002A0000, 0x84770001, 0xE00FE000
CSW, REQUEST, RETURN, IDR = 0x00, 0x04, 0x08, 0xFC
RESYNCH_REQ, REQ_PENDING, CHIP_RESET_REQ = 1, 2, 0x20
START_DBG_SESSION = 7
REFUSED, UNKNOWN = 0x0001, 0x0002  # assumption: what the ROM answers in the lower half, any but 0
PLAIN, SIGNED, CRC = 0, 4, 5


def checksum(data: bytes) -> int:
    """CRC-32/MPEG-2: polynomial 0x04C11DB7, seed all ones, not reflected, no final inversion."""
    mirrored = data.translate(bytes(int(f"{value:08b}"[::-1], 2) for value in range(256)))
    return int(f"{zlib.crc32(mirrored) ^ 0xFFFFFFFF:032b}"[::-1], 2)


class DebugMailbox:
    """DM-AP: the way to the boot ROM that is always there. Only power-on clears it; the ROM answers when it is asked for at a reset."""

    def __init__(self, chip: Lpc55S69) -> None:
        self._chip = chip
        self.power_on()

    def power_on(self) -> None:
        """State after the supply came up."""
        self.resynch = False
        self.serving = False
        self._request: int | None = None
        self._answer: int | None = None

    def resynchronise(self) -> bool:
        """The ROM starts: True if a debugger wants to talk to it, which it then does instead of starting a program."""
        self.serving, self.resynch = self.resynch, False
        self._request = self._answer = None
        return self.serving

    def read(self, register: int) -> int:
        """Value of a register. RETURN keeps the access waiting until there is something."""
        self._chip.look()
        if register == RETURN:
            if self._answer is None:
                raise Stall
            answer, self._answer = self._answer, None
            return answer
        pending = REQ_PENDING if self._request is not None else 0
        return {CSW: pending | int(self.resynch), REQUEST: self._request or 0, IDR: DM_IDR}.get(register, 0)

    def write(self, register: int, value: int) -> None:
        """Store to a register."""
        if register == CSW:
            self.resynch = self.resynch or bool(value & RESYNCH_REQ)
            if value & CHIP_RESET_REQ:
                self._chip.reset_by_mailbox()
        elif register == REQUEST:
            self._request = value
            if self.serving:
                self._request = None
                self._answer = self._chip.serve(value)


class Cpu1Port(SidePort):
    """The second processor's port: its debug components can be seen while the processor itself is in reset."""

    def __init__(self, chip: Lpc55S69) -> None:
        # No floating point, no security extension; DHCSR shows S_RESET_ST for ever.
        scs = {
            0xFBC: 0x47702A04,
            0xD00: 0x410FD213,
            0xD40: 0x30,
            0xD44: 0x200,
            0xD48: 0x200000,
            0xD60: 0x1101110,
            0xD6C: 0x1111131,
            0xDF0: 1 << 25,
        }
        parts = {0xE000E000: scs, 0xE0001000: {0xFBC: 0x47701A02, 0: 0x40000000}, 0xE0002000: {0xFBC: 0x47701A03, 0: 0x10000080}}
        super().__init__(
            MEM_AP_IDR,
            ROM_TABLE | 3,
            (
                RegisterPage(ROM_TABLE, {**identification(0, NXP, CLASS_ROM), 0: 0x1003, 4: 0, 0xFCC: 1}),
                RegisterPage(0xE00FF000, {**identification(0x4C9, ARM_DESIGNER, CLASS_ROM), 0: 0xFFF0F003, 4: 0xFFF02003, 8: 0xFFF03003}),
                *(RegisterPage(base, {**identification(0xD21, ARM_DESIGNER, CLASS_DEBUG), **more}) for base, more in parts.items()),
            ),
        )
        self._chip = chip

    def read(self, register: int) -> int:
        """Value of a register; nothing while the ROM hides it."""
        return 0 if self._chip.hidden() else super().read(register)

    def write(self, register: int, value: int) -> None:
        """Store to a register; nothing while the ROM hides it."""
        if not self._chip.hidden():
            super().write(register, value)


class Lpc55Habits(Habits):
    """Each reset begins in the ROM, and while that runs there are no processors for a debugger."""

    core = "cortex-m33"
    vectors = ROM_BASE
    rom_table = ROM_TABLE

    def __init__(self, chip: Lpc55S69) -> None:
        self._chip = chip

    @property
    def debug_in_reset(self) -> str:  # type: ignore[override]
        """Only the mailbox is there; or (variant) nothing answers at all."""
        soc = self._chip.soc
        return "silent" if soc is not None and soc.ignored_in_reset else "alive"

    def fitted(self, soc: Soc) -> None:
        """See the base."""
        self._chip.soc = soc

    def ports(self) -> dict[int, AccessPort]:
        """See the base."""
        return {CPU1_AP: Cpu1Port(self._chip), DM_AP: self._chip.mailbox}

    def memory_port_hidden(self) -> bool:
        """See the base."""
        return self._chip.hidden()


class Lpc55S69:
    """One chip; implements :class:`msdflash.sim.soc.Chip`.

    Attributes:
        open: the ROM has let debuggers at the processors since the last reset.
    """

    name = "lpc55s69"
    dpidr = 0x6BA02477
    designer = NXP
    rom_part = 0
    ram_base = RAM_BASE

    def __init__(self, _serial: int = 1) -> None:
        self.soc: Soc | None = None
        self.open = False
        self._looking = False
        self._handover: tuple[int, int] | None = None
        self.flash = Memory("flash", 0, bytearray(b"\xff" * FLASH_SIZE), writable=False, volatile=False)
        upper = Memory("upper flash", UPPER[0], bytearray(UPPER[1]), writable=False, volatile=False)
        self._upper = upper
        self.controller = EccFlash(self.flash, Memory("secure flash", SECURE, self.flash.data, writable=False, volatile=False), upper)
        self.controller.judge = self._judge
        self._registers = Registers(self.controller)
        self.mailbox = DebugMailbox(self)
        self._rom_flash = RomFlash(self.controller)
        rom = bytearray(ROM_SIZE)
        rom[0:8] = (RAM_BASE + 0x40000).to_bytes(4, "little") + (BOOT | 1).to_bytes(4, "little")
        for address, code in (
            (BOOT, "00bf80f308880847"),  # nop; msr msp, r0; bx r1
            (ISP, "fee7"),  # waits for an ISP host
            (MAILBOX, "fee7"),  # waits for the debugger
        ):
            rom[address - ROM_BASE : address - ROM_BASE + len(code) // 2] = bytes.fromhex(code)
        self._rom_flash.fill(rom, ROM_BASE)
        self._rom = Memory("boot ROM", ROM_BASE, rom, writable=False, volatile=False)
        self._ram = [Memory("SRAM", RAM_BASE, bytearray(RAM_SIZE)), Memory("SRAMX", CODE_RAM_BASE, bytearray(CODE_RAM_SIZE))]
        self._plain = Memory("peripherals", PERIPHERALS, bytearray(PERIPHERALS_SIZE))
        self.habits = Lpc55Habits(self)

    def attach(self, soc: Soc) -> None:
        """See the protocol. Everything stands at its own address and, with bit 28 set, as Secure; the difference is not modelled."""
        self.soc = soc
        self.controller.attach(soc)
        for memory in (*self._ram, self._upper, self._rom):
            other = Memory("secure " + memory.name, memory.base ^ SECURE, memory.data, writable=memory.writable, volatile=memory.volatile)
            for place in (memory, other):
                soc.bus.add(place)
                soc.cpu.map_memory(memory, place.base)
                if not memory.writable:
                    soc.cpu.protect(place.base, place.size)
        for base in (PERIPHERALS, PERIPHERALS | SECURE):
            plain = Memory("peripherals", base, self._plain.data)
            soc.bus.add(plain)
            soc.cpu.map_around(plain, CONTROLLER - PERIPHERALS + base)
            registers = Mirror(CONTROLLER | SECURE, self._registers) if base & SECURE else self._registers
            soc.bus.add(registers)
            soc.cpu.map_device(registers)
        self._rom_flash.attach(soc)
        soc.cpu.call_at(BOOT, self._boot)

    # --- the boot ROM ------------------------------------------------------------------------------------------------------

    def _boot(self) -> None:
        """The ROM at work: it talks to a debugger that asked for it, starts a program, or waits for an ISP host."""
        soc = self.soc
        if soc is None:
            return
        if self._handover is None:  # an instruction may be announced twice
            self._handover = self._decide(soc)
        soc.cpu.write(0, self._handover[0])
        soc.cpu.write(1, self._handover[1])

    def _decide(self, soc: Soc) -> tuple[int, int]:
        """Stack and entry of what comes next."""
        if self.mailbox.resynchronise():
            return RAM_BASE + 0x40000, MAILBOX | 1
        if not self.bootable():
            return RAM_BASE + 0x40000, ISP | 1
        soc.core.nvic.vtor = 0
        self._let_in(self.controller.debug_allowed)
        return self.controller.word(0), self.controller.word(4)

    def bootable(self) -> bool:
        """The image at 0 would be started. Assumption: plain ones by their first page alone, signed ones always, other types never."""
        flash = self.controller
        if flash.pages[0] != WRITTEN or not flash.word(4) & 1 or flash.word(4) & ~1 & ~SECURE >= FLASH_SIZE:
            return False
        length, kind = flash.word(0x20), flash.word(0x24) & 0xFF
        if kind != CRC:
            return kind in (PLAIN, SIGNED)
        if not 0x40 <= length <= FLASH_SIZE or any(state != WRITTEN for state in flash.pages[: (length - 1) // PAGE + 1]):
            return False
        return checksum(bytes(self.flash.data[:0x28] + self.flash.data[0x2C:length])) == flash.word(0x28)

    def serve(self, request: int) -> int:
        """A request out of the mailbox. After START_DBG_SESSION the ROM waits, open where the CMPA lets it."""
        if request != START_DBG_SESSION:
            return UNKNOWN
        if not self.controller.debug_allowed:
            return REFUSED
        self._let_in(True)
        return 0

    def _let_in(self, allowed: bool) -> None:
        self.open = allowed
        if self.soc is not None:
            self.soc.core.debuggable = allowed
        self._set(BOOT_DONE, 1)

    def _set(self, address: int, value: int) -> None:
        at = address - PERIPHERALS
        self._plain.data[at : at + 4] = value.to_bytes(4, "little")

    # --- what a debugger sees ------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Time passes while somebody looks: the ROM gets on with its work."""
        soc = self.soc
        if soc is None or not soc.powered or soc.held or self._looking:
            return
        self._looking = True
        try:
            soc.glance()
        finally:
            self._looking = False

    def hidden(self) -> bool:
        """The processors' ports are not there."""
        if not self.open:
            self.look()
        return not self.open

    def reset_by_mailbox(self) -> None:
        """CHIP_RESET_REQ."""
        if self.soc is not None:
            self.soc.reset("debugger")

    def _judge(self) -> None:
        """The CMPA was changed from outside: as if the part had come that way, so it starts once more."""
        soc = self.soc
        if soc is not None and soc.powered and not soc.held:
            soc.reset("power")

    # --- the protocol ----------------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """See the protocol."""
        self._set(AOREG1, 0)
        self.mailbox.power_on()
        self.controller.settle()

    def system_reset(self, cause: str) -> None:
        """See the protocol. The mailbox keeps what it holds."""
        causes = int.from_bytes(self._plain.data[AOREG1 - PERIPHERALS : AOREG1 - PERIPHERALS + 4], "little")
        self._plain.data[:] = bytes(self._plain.size)
        for address, value in ((AOREG1, causes | CAUSES.get(cause, 0)), (DEVICE_ID0, DEVICE), (DIEID, DIE)):
            self._set(address, value)
        self._registers.reset()
        self.controller.reset()
        self.mailbox.serving = False
        self._handover = None
        self.open = False
        if self.soc is not None:
            self.soc.core.debuggable = False

    def debugger_access(self, _address: int) -> None:
        """See the protocol."""

    def nonvolatile(self) -> bytes:
        """See the protocol: which pages are written, then the customer's page."""
        return bytes(self.controller.pages) + bytes(self._upper.data[0x9E400 - UPPER[0] : 0x9E600 - UPPER[0]])

    def set_nonvolatile(self, data: bytes) -> None:
        """See the protocol."""
        pages = len(self.controller.pages)
        self.controller.pages[:] = data[:pages]
        self._upper.data[0x9E400 - UPPER[0] : 0x9E600 - UPPER[0]] = data[pages:]
        self.controller.changed()


class Mirror:
    """The same registers at a second address."""

    size = 0x1000

    def __init__(self, base: int, page: RegisterPage) -> None:
        self.base = base
        self._page = page

    def read(self, offset: int, size: int) -> int:
        """Value of a register."""
        return self._page.read(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """Store to a register."""
        self._page.write(offset, size, value)
