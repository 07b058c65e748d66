"""The SWD wires between a probe and the board's debug port, and what can go wrong on them. It is the board's target port."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import msgspec

from msdflash.sim.dp import AP, READ
from msdflash.sim.port import Ack, Drive
from msdflash.sim.trace import Polls, Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.dp import SwDp
    from msdflash.sim.multidrop import Multidrop
    from msdflash.sim.wires import Wires

DRW_WRITE, DRW_READ = AP | 0x0C, AP | READ | 0x0C
RDBUFF = READ | 0x0C
REFERENCE_HERTZ = 1_000_000
# A look-up in an enumeration costs as much as ten of a plain name, and each transfer makes several.
_OK, _WAIT = Ack.OK, Ack.WAIT
_ACCEPTED = int(_OK)
FLIPPED = 0x00010100  # two bits: parity stays right, so the receiver cannot notice


class Noise:
    """Seeded disturbances: each transfer is hit with probability ``rate`` at 1 MHz, scaled with the square of the clock.

    Repetitions (:class:`msdflash.sim.trace.Polls`) are neither counted nor hit, unless all are: so one seed has one outcome. The square
    is an assumption: ringing and slow edges hurt far less at lower clocks, and no source gives a curve.
    """

    def __init__(self, rate: float, seed: int) -> None:
        self.rate = rate
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._hertz = REFERENCE_HERTZ
        self.left = self._draw()

    def clock(self, hertz: int) -> None:
        """The clock changed: the distance to the next hit changes with it."""
        if hertz != self._hertz:
            self._hertz = hertz
            self.left = self._draw()

    def _draw(self) -> int:
        rate = min(1.0, self.rate * (self._hertz / REFERENCE_HERTZ) ** 2)
        if rate <= 0:
            return 1 << 62
        if rate >= 1:
            return 0
        return int(math.log(1.0 - self._random.random()) / math.log(1.0 - rate))

    def hit(self, again: bool = False) -> bool:
        """Count one transfer, if it is none that only asks again; True if it is disturbed."""
        if again and self.rate < 1:
            return False
        if self.left > 0:
            self.left -= 1
            return False
        self.left = self._draw()
        return True

    def coin(self) -> bool:
        """Which of two ways a disturbance goes."""
        return self._random.random() < 0.5


class WriteTrap(msgspec.Struct):
    """Something happens to chosen writes of one bus address.

    Attributes:
        address: the word's bus address.
        first: the first write that is hit, counted from 1 since the trap was set.
        count: how many from there on; 0 means all.
        refuse: True: the write ends in a fault. False: two bits of the data are flipped on the way, unnoticed.
        seen: writes of that address so far.
    """

    address: int
    first: int = 1
    count: int = 0
    refuse: bool = False
    seen: int = 0

    def fires(self) -> bool:
        """Count one write; True if it is hit."""
        self.seen += 1
        return self.seen >= self.first and (not self.count or self.seen < self.first + self.count)


class Edges(msgspec.Struct, frozen=True):
    """Edges so slow that nothing gets through above some clock: a level shifter, a series resistor with a long wire.

    Attributes:
        hertz: the fastest clock at which all is well.
        lost: above it not even a request is understood; else only the data are damaged.
    """

    hertz: int
    lost: bool


class Link:
    """Implements :class:`msdflash.sim.port.TargetPort` for one board.

    Attributes:
        dp: the debug port at the far end; None while the chip has no supply.
        broken: SWDIO or SWCLK is interrupted.
        unheard: the probe's high level is too low for the chip.
        edges: how slow the edges are.
        on_sequence: called before bits go out that are no transfer.
        on_quiet: called when what was asked for is over.
        clamped: an unpowered chip pulls SWDIO low through its input protection, instead of leaving it to the pull-up.
        traps: writes that are disturbed, by fault name.
        trace: a record of all that happens here, if there is to be one.
        transfers: transfers on the wire since the start, for the tallies.
        words: data words moved by AP transfers.
    """

    def __init__(self, wires: Wires) -> None:
        self.wires = wires
        self.dp: SwDp | Multidrop | None = None
        self.broken = False
        self.unheard = False
        self.edges: Edges | None = None
        self.on_sequence: Callable[[], None] | None = None
        self.on_quiet: Callable[[], None] | None = None
        self.clamped = False
        self.noise: Noise | None = None
        self.trace: Trace | None = None
        self._polls = Polls()
        self.traps: dict[str, WriteTrap] = {}
        self.transfers = 0
        self.words = 0
        self.hertz = REFERENCE_HERTZ
        self.after: Callable[[], None] | None = None

    def sequence(self, data: bytes, bits: int) -> None:
        """See the target port."""
        self._settle()
        if self.trace is not None:
            self.trace.note(f"sequence {bits} {data.hex()}")
        if self.dp is not None and not self._mute and self.wires.powered:
            if self.on_sequence is not None:
                self.on_sequence()
            self.dp.sequence(data, bits)

    def transfer(self, request: int, data: int = 0) -> tuple[int, int]:
        """See the target port."""
        if self.wires.pending:
            self.wires.update()
        answer = self._one(request, data)
        if self.after is not None:
            self.after()
        if self.on_quiet is not None:
            self.on_quiet()
        return answer

    def read_still(self, count: int) -> bytes:
        """See the target port."""
        self._settle()
        if self.trace is not None or self.noise is not None:
            return b""
        count, dp = self._allowance(DRW_READ, count)
        if not count or dp is None:
            return b""
        in_flight = dp.rdbuff
        data = dp.read_still(count)
        if not data:
            return b""
        self._account(len(data) // 4)
        self._done()
        return in_flight.to_bytes(4, "little") + data[:-4]

    def read_block(self, request: int, count: int, retries: int = 0) -> tuple[int, bytes]:
        """See the target port."""
        self._settle()
        posted = bool(request & AP)
        ack, words = (self._patient(request, 0, retries)[0], b"") if posted and count else (_ACCEPTED, b"")
        data = bytearray()
        left = count - 1 if posted else count
        while left > 0 and ack == _OK:
            quick = self._quick_read(request, left)
            if quick:
                data += quick
                left -= len(quick) // 4
                continue
            ack, value = self._patient(request, 0, retries)
            if ack == _OK:
                data += value.to_bytes(4, "little")
                left -= 1
        if posted and count and ack == _OK:
            ack, value = self._patient(RDBUFF, 0, retries)
            if ack == _OK:
                data += value.to_bytes(4, "little")
        self._done()
        return ack, words + bytes(data)

    def write_block(self, request: int, words: bytes, retries: int = 0) -> tuple[int, int]:
        """See the target port."""
        self._settle()
        ack, at, end = _ACCEPTED, 0, len(words) // 4
        while at < end:
            quick = self._quick_write(request, words[4 * at :] if at else words)
            if quick:
                at += quick
                continue
            ack, _ = self._patient(request, int.from_bytes(words[4 * at : 4 * at + 4], "little"), retries)
            if ack != _OK:
                break
            at += 1
        self._done()
        return ack, at

    def set_nreset(self, drive: Drive) -> None:
        """See the target port."""
        if self.trace is not None:
            self.trace.note(f"nreset {drive.name.lower()}")
        self.wires.drive(drive)

    def nreset(self) -> bool:
        """See the target port."""
        return self.wires.seen

    def swdio(self) -> bool:
        """See the target port. Pulled up by chip and probe; only a clamped chip without supply holds it low."""
        if self.broken:
            return True
        dp = self._reached()
        return not (dp.cut and dp.low) if dp is not None else not self.clamped

    def vtref(self) -> float:
        """See the target port. The board ties this pin to the chip's supply."""
        return self.wires.volts

    def set_clock(self, hertz: int) -> None:
        """See the target port."""
        self.hertz = hertz
        if self.noise is not None:
            self.noise.clock(hertz)

    def _settle(self) -> None:
        if self.wires.pending:
            self.wires.update()

    def _done(self) -> None:
        if self.after is not None:
            self.after()
        if self.on_quiet is not None:
            self.on_quiet()

    def _reached(self) -> SwDp | None:
        if self.broken or self.unheard or not self.wires.powered or self.dp is None or (self.edges is not None and self._mute):
            return None
        return self.dp.chosen()

    @property
    def _too_fast(self) -> bool:
        return self.edges is not None and self.hertz > self.edges.hertz

    @property
    def _mute(self) -> bool:
        """Nothing that the probe sends is understood."""
        return self.broken or self.unheard or (self.edges is not None and self.edges.lost and self._too_fast)

    def _patient(self, request: int, data: int, retries: int) -> tuple[int, int]:
        answer = self._one(request, data)
        while answer[0] == _WAIT and retries > 0:
            retries -= 1
            answer = self._one(request, data)
        return answer

    def _one(self, request: int, data: int) -> tuple[int, int]:
        self.transfers += 1
        dp = self._reached()
        if self.noise is None and self.trace is None:
            if dp is None or self.traps or self.edges is not None:
                return self._carry(dp, request, data, again=False)
            ack, value = dp.transfer(request, data)
            if ack is not _OK:
                return int(ack), value
            if request & AP:
                self.words += 1
            return _ACCEPTED, value
        again = dp is not None and self._polls.again(dp, request, data)
        answer = self._carry(dp, request, data, again)
        if self.trace is not None:
            self.trace.transfer(request, data, answer, again, self._polls.status)
        return answer

    def _carry(self, dp: SwDp | None, request: int, data: int, again: bool) -> tuple[int, int]:
        if dp is None:
            silent = Ack.LOW if self.clamped and not self.broken and not self.wires.powered else Ack.NONE
            return int(silent), 0
        if self.edges is not None and self._too_fast:
            return self._damaged(dp, request)
        if self.noise is not None and self.noise.hit(again):
            return self._disturbed(dp, request)
        if request & 0x0F == DRW_WRITE and self.traps:
            data, refused = self._trapped(dp, request, data)
            if refused:
                dp.upset()
                return int(Ack.OK), 0
        ack, value = dp.transfer(request, data)
        if ack is not _OK:
            return int(ack), value
        if request & AP:
            self.words += 1
        return _ACCEPTED, value

    def _disturbed(self, dp: SwDp, request: int) -> tuple[int, int]:
        if self.noise is None or self.noise.coin():
            return int(Ack.NONE), 0  # the request was not understood
        return self._damaged(dp, request)

    @staticmethod
    def _damaged(dp: SwDp, request: int) -> tuple[int, int]:
        """A transfer whose data phase is."""
        ack = dp.answers(request)
        if ack is not Ack.OK:
            return int(ack), 0
        if request & READ:
            return int(Ack.PARITY), dp.transfer(request)[1] ^ 1
        dp.refuse_write()
        return int(Ack.OK), 0

    def _trapped(self, dp: SwDp, request: int, data: int) -> tuple[int, bool]:
        if dp.answers(request) is not Ack.OK or (dp.select & 0xFF0000F0) or dp.ap.size != 4:
            return data, False
        for trap in self.traps.values():
            if trap.address == dp.ap.next_address() & ~3 and trap.fires():
                if trap.refuse:
                    return data, True
                data ^= FLIPPED
        return data, False

    def _allowance(self, request: int, count: int) -> tuple[int, SwDp | None]:
        """How many of ``count`` transfers are sure to be undisturbed and may go as a block, and to whom."""
        dp = self._reached()
        if dp is None or not dp.fast(request) or self._too_fast:
            return 0, None
        return (min(count, self.noise.left) if self.noise is not None else count), dp

    def _quick_read(self, request: int, count: int) -> bytes:
        """Reads in the middle of a posted run. Each returns the word of the read before, so one word is in flight throughout."""
        count, dp = self._allowance(request, count)
        if not count or dp is None:
            return b""
        in_flight = dp.rdbuff
        data = dp.read_block(count)
        moved = len(data) // 4
        self._account(moved)
        if moved and self.trace is not None:
            self.trace.block(request, data)
        return in_flight.to_bytes(4, "little") + data[:-4] if moved else b""

    def _quick_write(self, request: int, words: bytes) -> int:
        count, dp = self._allowance(request, len(words) // 4)
        if not count or dp is None:
            return 0
        start = dp.ap.next_address()
        for trap in self.traps.values():
            if start <= trap.address < start + 4 * count:
                count = (trap.address - start) // 4
            elif trap.address < start < trap.address + 4:
                return 0
        moved = dp.write_block(words[: 4 * count]) if count else 0
        if moved and self.trace is not None:
            self.trace.block(request, words[: 4 * moved])
        if moved:
            self._polls.written()
        self._account(moved)
        return moved

    def _account(self, moved: int) -> None:
        self.transfers += moved
        self.words += moved
        if self.noise is not None:
            self.noise.left -= moved
