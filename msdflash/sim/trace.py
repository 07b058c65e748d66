"""Which transfers only ask again, and a record of a board's wires that leaves these out.

A tool that waits reads a status register until it changes; how often goes by the clock on the wall, so two runs of one test never have
the same transfers. What is counted (seeded disturbances) and what is compared (traces) must therefore leave such repetitions out.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from msdflash.sim.dp import AP, READ

if TYPE_CHECKING:
    from msdflash.sim.dp import SwDp

SELECT_WRITE, CTRL_READ, RDBUFF_READ = 0x08, READ | 0x04, READ | 0x0C
CSW, TAR = 0x00, 0x04
DHCSR, PCSR, CYCCNT = 0xE000EDF0, 0xE000101C, 0xE0001004
STATUS = frozenset({DHCSR, PCSR, CYCCNT})
MOVING = 1 << 24 | 1 << 25 | 1 << 18  # S_RETIRE_ST, S_RESET_ST, S_SLEEP: they depend on how long nobody looked
HALTED = 1 << 17

Key = tuple[int, ...]


class Polls:
    """Tells repetitions from the rest.

    A status register changes by itself: DHCSR, samples and cycle counter of the DWT, CTRL/STAT, those of a maker's own access port. Reading
    it again, with no more than addresses written in between, is a repetition; so is writing its address again. Reading anything else
    again is not: who reads DPIDR or memory a hundred times wants to know how good the wires are.

    Attributes:
        status: the status register that the last access port read asked for: AP number and address; empty if it was none.
    """

    def __init__(self) -> None:
        self._seen: set[Key] = set()
        self._again = False
        self.status: Key = ()

    def again(self, dp: SwDp, request: int, data: int) -> bool:
        """Take note of a transfer that is about to happen; True if it only repeats one. RDBUFF goes with the transfer before it."""
        if request & 0x0F != RDBUFF_READ:
            self._again = self._repetition(dp, request & 0x0F, data)
        return self._again

    def _repetition(self, dp: SwDp, request: int, data: int) -> bool:
        if request & (AP | READ) == AP | READ:
            self.status = self._status(dp, request)
            return bool(self.status) and self._repeats(self.status)
        if request & AP:
            register = dp.select & 0xF0 | request & 0x0C
            if dp.select >> 24 == 0 and register in (CSW, TAR):
                return (register == CSW or data in STATUS) and self._repeats((request, data))
        elif request in (SELECT_WRITE, CTRL_READ):
            return self._repeats((request, data))
        elif request & READ:
            return False
        self.written()
        return False

    def written(self) -> None:
        """Something was written: whatever is read now is asked for the first time."""
        self._seen.clear()
        self._again = False

    def _repeats(self, key: Key) -> bool:
        if key in self._seen:
            return True
        self._seen.add(key)
        return False

    def _status(self, dp: SwDp, request: int) -> Key:
        number, register = dp.select >> 24, dp.select & 0xF0 | request & 0x0C
        if number:
            return (-1, number, register)
        if register == 0x0C:
            address = dp.ap.next_address()
        elif 0x10 <= register <= 0x1C:
            address = dp.ap.next_address() & ~0xF | register & 0xC
        else:
            return ()
        return (-1, 0, address) if address in STATUS else ()


class Trace:
    """A record of what happened on the wires, one line a transfer or block.

    Of a repetition only the last answer stays, in the place of the first one. Of what moves with time in a status register (program
    counter samples, sleep and sticky bits of a core that runs) only that it was read.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._places: dict[Key, int] = {}
        self._hidden = False  # what the next access port read brings is the answer of a status register
        self._status: Key = ()

    def note(self, text: str) -> None:
        """Anything that is not a transfer, such as a level of nRESET."""
        self._places.clear()
        self._lines.append(text)

    def transfer(self, request: int, data: int, answer: tuple[int, int], again: bool, status: Key) -> None:
        """One transfer with its answer; ``again`` and ``status`` as :class:`Polls` told them."""
        request &= 0x0F
        what = ("ap" if request & AP else "dp") + f"{request & 0x0C:x}"
        if request & READ:
            value = self._shown(request, answer[1], status)
            line = f"r {what} {answer[0]} {value}"
        else:
            line = f"w {what} {answer[0]} {data:08x}"
        key = (request, data if not request & READ else 0, *status)
        if again and key in self._places:
            self._lines[self._places[key]] = line
            return
        if not request & READ and not again and request not in (SELECT_WRITE, AP | CSW, AP | TAR):
            self._places.clear()
        self._places[key] = len(self._lines)
        self._lines.append(line)

    def block(self, request: int, data: bytes) -> None:
        """A block that went at once."""
        self._hidden = False
        if not request & READ:
            self._places.clear()
        self._lines.append(f"{'r' if request & READ else 'w'} block {len(data)} {zlib.crc32(data):08x}")

    def _shown(self, request: int, value: int, status: Key) -> str:
        """The answer as far as it does not depend on when it was asked for. Reads of an access port bring the answer of the one before."""
        if request & AP:
            hidden, self._hidden, self._status = self._hidden, bool(status), status
            return "-" if hidden else f"{value:08x}"
        if request != RDBUFF_READ or not self._hidden:
            return f"{value:08x}"
        if self._status[-1] == PCSR:
            return "-"
        if self._status[-1] == DHCSR:
            value &= ~MOVING if not value & HALTED else ~(1 << 24 | 1 << 25)
        return f"{value:08x}"

    def lines(self) -> list[str]:
        """The record so far."""
        return list(self._lines)
