"""What every probe firmware does on SWD: repeat transfers that answer WAIT, and count the clock cycles that they take.

Serial Wire Debug protocol: Arm IHI 0031 (ADIv5.2), B4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msdflash.sim.port import Ack, Drive

if TYPE_CHECKING:
    from msdflash.sim.port import TargetPort

AP, READ = 1, 2
_WAIT = Ack.WAIT  # a look-up in an enumeration costs as much as ten of a plain name

# DP registers as transfer requests (address bits 3:2 in request bits 3:2).
WRITE_ABORT, READ_DPIDR = 0x00, READ
WRITE_CTRL_STAT, READ_CTRL_STAT = 0x04, 0x04 | READ
WRITE_SELECT = 0x08
READ_RDBUFF = 0x0C | READ

# Eight request bits, turnaround, three of acknowledge, turnaround, 32 of data and their parity (B4.2).
_BITS_PER_TRANSFER = 46

# JTAG-to-SWD (B5.3.1): at least 50 ones, 0xE79E LSB first, at least 50 ones, at least two zeros.
LINE_RESET = b"\xff" * 7
JTAG_TO_SWD = b"\x9e\xe7"


class Wire:
    """A probe's SWD engine on a target's connector.

    Args:
        port: the target's side.
        pass_time: lets the board live for so many seconds (a firmware that waits).
    """

    __slots__ = ("_bits", "_seconds", "_used", "hertz", "idle_cycles", "pass_time", "port", "retries")

    def __init__(self, port: TargetPort, pass_time: Callable[[float], None]) -> None:
        self.port = port
        self.pass_time = pass_time
        self.retries = 0
        self.idle_cycles = 0
        self.hertz = 1_000_000
        self._bits = 0
        self._seconds = 0.0
        self._used = False

    def transfer(self, request: int, data: int = 0) -> tuple[int, int]:
        """One transfer, repeated while the target says WAIT, up to ``retries`` times."""
        self._bits += _BITS_PER_TRANSFER + self.idle_cycles
        answer = self.port.transfer(request, data)
        if answer[0] == _WAIT:
            left = self.retries
            while left and answer[0] == Ack.WAIT:
                left -= 1
                self._bits += _BITS_PER_TRANSFER + self.idle_cycles
                answer = self.port.transfer(request, data)
        return answer

    def read_block(self, request: int, count: int) -> tuple[int, bytes]:
        """As :meth:`TargetPort.read_block`."""
        self._bits += (count + 1) * (_BITS_PER_TRANSFER + self.idle_cycles)
        return self.port.read_block(request, count, self.retries)

    def read_still(self, count: int) -> bytes:
        """As :meth:`TargetPort.read_still`."""
        words = self.port.read_still(count)
        self._bits += (len(words) // 4) * (_BITS_PER_TRANSFER + self.idle_cycles)
        return words

    def write_block(self, request: int, words: bytes) -> tuple[int, int]:
        """As :meth:`TargetPort.write_block`."""
        self._bits += (len(words) // 4) * (_BITS_PER_TRANSFER + self.idle_cycles)
        return self.port.write_block(request, words, self.retries)

    def sequence(self, data: bytes, bits: int) -> None:
        """Bits as they are."""
        self._bits += bits
        self.port.sequence(data, bits)

    def select_swd(self) -> None:
        """Line reset, JTAG-to-SWD, line reset and idle bits."""
        self.sequence(LINE_RESET, 56)
        self.sequence(JTAG_TO_SWD, 16)
        self.sequence(LINE_RESET, 56)
        self.sequence(b"\0", 8)

    def set_nreset(self, drive: Drive) -> None:
        """What the probe does to nRESET from now on."""
        self._used = True
        self.port.set_nreset(drive)

    def take_used(self) -> bool:
        """Whether anything was done to the target since the last call."""
        self._settle()
        used, self._used = self._used, False
        return used

    def set_clock(self, hertz: int) -> None:
        """SWD clock from now on."""
        self._settle()
        self.hertz = hertz
        self.port.set_clock(hertz)

    def wait(self, seconds: float) -> None:
        """The firmware waits; the board goes on."""
        self._seconds += seconds
        self.pass_time(seconds)

    def take_time(self) -> float:
        """Seconds on the wire and in waits since the last call."""
        self._settle()
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _settle(self) -> None:
        if self._bits:
            self._seconds += self._bits / self.hertz
            self._bits = 0
            self._used = True
