"""A debugger of a few lines on a target port: for tests of the bench, and for looking at a board by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.port import Ack

if TYPE_CHECKING:
    from msdflash.sim.port import TargetPort

DP_READ, DP_WRITE, AP_READ, AP_WRITE = 2, 0, 3, 1
IDCODE, CTRL, SELECT, RDBUFF = 0x0, 0x4, 0x8, 0xC
CSW, TAR, DRW = 0x0, 0x4, 0xC
DHCSR, DCRSR, DCRDR, DEMCR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC
POWER_UP = 0x50000000
STICKYERR = 1 << 5
SR, CR, OPTR = 0x40022010, 0x40022014, 0x40022020


class Fault(Exception):  # noqa: N818 - named as the acknowledge is
    """An access was answered with something else than OK."""

    def __init__(self, ack: int) -> None:
        self.ack = ack
        super().__init__(Ack(ack).name)


class Debugger:
    """Just enough of a debugger to read and write words, sure of its acknowledges.

    Attributes:
        patience: how often a transfer is repeated that is answered with WAIT.
    """

    def __init__(self, port: TargetPort, patience: int = 0) -> None:
        self.port = port
        self.patience = patience

    def _transfer(self, request: int, data: int = 0) -> int:
        answer = self.port.transfer(request, data)
        for _ in range(self.patience):
            if answer[0] != Ack.WAIT:
                break
            answer = self.port.transfer(request, data)
        return self._ok(answer)

    def wake(self) -> int:
        """Line reset, JTAG-to-SWD, line reset, idle (IHI 0031 B5.2), then DPIDR."""
        for data, bits in ((b"\xff" * 7, 51), (b"\x9e\xe7", 16), (b"\xff" * 7, 51), (b"\x00", 8)):
            self.port.sequence(data, bits)
        return self.dp_read(IDCODE)

    def select(self, target: int) -> int:
        """Wake sleeping ports (IHI 0031 B5.3.4), line reset, TARGETSEL (B4.3.4), then DPIDR. Raises :class:`Fault` for silence."""
        alert = 0x19BC0EA2E3DDAFE986852D956209F392
        word = target | (target.bit_count() & 1) << 32
        for value, bits in ((0xFF | alert << 8, 136), (0x1A0, 12), ((1 << 51) - 1, 51), (0, 2), (0x99, 8), (0, 5), (word, 33), (0, 2)):
            self.port.sequence(value.to_bytes((bits + 7) // 8, "little"), bits)
        return self.dp_read(IDCODE)

    def connect(self, target: int | None = None) -> int:
        """Wake the port, power the debug domain up, choose word accesses with increment; DPIDR."""
        dpidr = self.wake() if target is None else self.select(target)
        self.port.transfer(DP_WRITE, 0x1E)
        self.dp_write(CTRL, POWER_UP)
        self.dp_write(SELECT, 0)
        self.ap_write(CSW, 0x23000052)
        return dpidr

    def _ok(self, answer: tuple[int, int]) -> int:
        if answer[0] != Ack.OK:
            raise Fault(answer[0])
        return answer[1]

    def dp_read(self, register: int) -> int:
        """A debug port register. Raises :class:`Fault`."""
        return self._transfer(DP_READ | register)

    def dp_write(self, register: int, value: int) -> None:
        """Write a debug port register. Raises :class:`Fault`."""
        self._transfer(DP_WRITE | register, value)

    def ap_read(self, register: int) -> int:
        """An access port register, waited for. Raises :class:`Fault`."""
        self._transfer(AP_READ | register)
        return self.dp_read(RDBUFF)

    def ap_write(self, register: int, value: int) -> None:
        """Write an access port register and wait for the write. Raises :class:`Fault`."""
        self._transfer(AP_WRITE | register, value)
        self.dp_read(RDBUFF)

    def clear(self) -> int:
        """Sticky flags as they are, then cleared."""
        status = self.dp_read(CTRL)
        self.port.transfer(DP_WRITE, 0x1E)
        return status

    def read(self, address: int) -> int:
        """A word on the bus. Raises :class:`Fault`."""
        self.ap_write(TAR, address)
        return self.ap_read(DRW)

    def write(self, address: int, value: int) -> None:
        """Write a word on the bus. Raises :class:`Fault`."""
        self.ap_write(TAR, address)
        self.ap_write(DRW, value)

    def refused(self, address: int, value: int | None = None) -> bool:
        """True if the bus refuses the access; the sticky flag is cleared again."""
        try:
            if value is None:
                self.read(address)
            else:
                self.write(address, value)
        except Fault as fault:
            if fault.ack != Ack.FAULT or not self.clear() & STICKYERR:
                raise
            return True
        return False

    def read_bytes(self, address: int, length: int) -> bytes:
        """Bytes from a word boundary on, whole words. Raises :class:`Fault`."""
        data = b""
        while len(data) < length:
            self.ap_write(TAR, address + len(data))
            ack, some = self.port.read_block(AP_READ | DRW, min(256, (length - len(data)) // 4))
            if ack != Ack.OK:
                raise Fault(ack)
            data += some
        return data

    def halt(self) -> None:
        """Ask the core to halt."""
        self.write(DHCSR, 0xA05F0003)

    def go(self) -> None:
        """Let the core run, debug still enabled."""
        self.write(DHCSR, 0xA05F0001)

    def register(self, number: int) -> int:
        """A core register of the halted core."""
        self.write(DCRSR, number)
        return self.read(DCRDR)

    def set_register(self, number: int, value: int) -> None:
        """Set a core register of the halted core."""
        self.write(DCRDR, value)
        self.write(DCRSR, number | 0x10000)

    def unlock(self) -> None:
        """RM0351 3.3.5."""
        self.write(0x40022008, 0x45670123)
        self.write(0x40022008, 0xCDEF89AB)

    def program(self, address: int, value: int) -> int:
        """One double word by hand (RM0351 3.3.7); SR afterwards."""
        self.write(CR, 1)
        self.write(address, value & 0xFFFFFFFF)
        self.write(address + 4, value >> 32)
        self.write(CR, 0)
        return self.read(SR)

    def erase(self, page: int, bank: int = 0) -> int:
        """One page by hand (RM0351 3.3.6); SR afterwards."""
        self.write(CR, 2 | page << 3 | bank << 11)
        self.write(CR, 2 | page << 3 | bank << 11 | 1 << 16)
        self.write(CR, 0)
        return self.read(SR)
