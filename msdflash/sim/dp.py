"""The serial-wire debug port after the Arm Debug Interface v5 (ARM IHI 0031, chapters B2 and B4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.port import Ack

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.ap import AhbAp

# CTRL/STAT, IHI 0031 B2.2.2
STICKYORUN = 1 << 1
STICKYCMP = 1 << 4
STICKYERR = 1 << 5
READOK = 1 << 6
WDATAERR = 1 << 7
STICKY = STICKYORUN | STICKYCMP | STICKYERR | WDATAERR
CDBGRSTREQ = 1 << 26
CDBGPWRUPREQ = 1 << 28
CDBGPWRUPACK = 1 << 29
CSYSPWRUPREQ = 1 << 30
CSYSPWRUPACK = 1 << 31
CTRL_WRITABLE = 0x00FFFF0D | CDBGRSTREQ | CDBGPWRUPREQ | CSYSPWRUPREQ  # ORUNDETECT, TRNMODE, MASKLANE, TRNCNT, requests

# ABORT, IHI 0031 B2.2.1: each *CLR bit clears one sticky flag
ABORT_CLEARS = ((1 << 1, STICKYCMP), (1 << 2, STICKYERR), (1 << 3, WDATAERR), (1 << 4, STICKYORUN))
DAPABORT = 1

# A look-up in an enumeration costs as much as ten of a plain name, and each transfer makes several.
_OK, _NONE = Ack.OK, Ack.NONE
AP, READ = 1, 2  # bits of a transfer request: APnDP and RnW
DPIDR_READ, CTRL_READ, ABORT_WRITE, RDBUFF_READ = 0x02, 0x06, 0x00, 0x0E

JTAG_TO_SWD = 0xE79E  # IHI 0031 B5.2.1, sent LSB first after at least 50 ones
SWD_TO_JTAG = 0xE73C
RESET_ONES = 50


class SwDp:
    """One SW-DP. After power-on the port speaks JTAG; a line reset and the selection sequence make it speak SWD.

    Attributes:
        ctrl: request bits and sticky flags of CTRL/STAT.
        debug_power: the chip grants debug power when it is asked for.
        deaf: the port hears nothing at all.
        cut: the port is not connected to its pins, or has no supply.
        low: what has the pins instead drives SWDIO low.
        on_power_request: called when CTRL/STAT was written, which may ask for debug power.
        banked: read-only registers at address 4 by DPBANKSEL: TARGETID is bank 2, DLPIDR bank 3 (IHI 0031 B2.2.5, B2.2.10).
    """

    def __init__(self, dpidr: int, ap: AhbAp) -> None:
        self.dpidr = dpidr
        self.ap = ap
        self.banked: dict[int, int] = {}
        self._ones = 0
        self._shift = 0
        self._after_reset_bits = -1
        self.debug_power = True
        self.deaf = False
        self.cut = False
        self.low = False
        self.on_power_request: Callable[[], None] | None = None
        self.power_on()

    def power_on(self) -> None:
        """State after the supply came up."""
        self.ctrl = 0
        self.select = 0
        self.dlcr = 0
        self.rdbuff = 0
        self._last = 0
        self._swd = False
        self._listening = False
        self._need_dpidr = True
        self._ones = 0
        self._after_reset_bits = -1

    def chosen(self) -> SwDp | None:
        """Who answers the next transfer: this port. See :class:`msdflash.sim.multidrop.Multidrop` for several on one line."""
        return self

    def sequence(self, data: bytes, bits: int) -> None:
        """Bits on SWDIO outside of a transfer: find line resets and the protocol selection in them."""
        if self.cut:
            return
        value = int.from_bytes(data, "little")
        for position in range(bits):
            self._bit(value >> position & 1)

    def _bit(self, bit: int) -> None:
        if bit:
            self._ones += 1
            if self._ones == RESET_ONES:
                self._line_reset()
        elif self._ones >= RESET_ONES:
            # The line reset ends here: the next 16 bits may select a protocol.
            self._ones = 0
            self._shift = 0
            self._after_reset_bits = 0
        else:
            self._ones = 0
        if self._after_reset_bits >= 0:
            self._shift |= bit << self._after_reset_bits
            self._after_reset_bits += 1
            if self._after_reset_bits == 16:
                if self._shift == JTAG_TO_SWD:
                    self._swd = True
                elif self._shift == SWD_TO_JTAG:
                    self._swd = False
                self._after_reset_bits = -1

    def _line_reset(self) -> None:
        """IHI 0031 B4.3.3: afterwards only a read of DPIDR is answered; the register state of the DP stays, SELECT is reset."""
        self._listening = self._swd
        self._need_dpidr = True
        self.select = 0

    def line_reset(self) -> None:
        """A line reset that somebody else saw, on a port that speaks nothing but SWD."""
        self._swd = True
        self._line_reset()

    @property
    def fresh(self) -> bool:
        """Nothing was read since the last line reset."""
        return self._need_dpidr

    def refuse_write(self) -> None:
        """The data phase of a write arrived with wrong parity (IHI 0031 B4.2.6): the write is dropped and WDATAERR set."""
        self.ctrl |= WDATAERR

    def upset(self) -> None:
        """Set STICKYERR, as an access does that the bus refused."""
        self.ctrl |= STICKYERR

    def answers(self, request: int) -> Ack:
        """The acknowledge that a request gets now, before its data phase."""
        if self.cut:
            return Ack.LOW if self.low else Ack.NONE
        if not self._listening or self.deaf:
            return _NONE
        if self._need_dpidr:
            self._ones, self._after_reset_bits = 0, -1
            if request & 0x0F != DPIDR_READ:
                self._listening = False
                return _NONE
        if not (self.ctrl & STICKY or self.ap.stalled):
            return _OK
        if request & 0x0F in (DPIDR_READ, ABORT_WRITE) or (request & 0x0F == CTRL_READ and not self.select & 0xF):
            return Ack.OK
        if self.ctrl & STICKY:
            return Ack.FAULT
        if self.ap.stalled and (request & AP or request & 0x0F == RDBUFF_READ):
            return self._waited()
        return Ack.OK

    def _waited(self) -> Ack:
        """The bus kept the last access waiting; perhaps it is through by now."""
        ended = self.ap.retry()
        if ended is None:
            return Ack.WAIT
        value, failed = ended
        if value is not None:
            self.rdbuff = value
        if failed:
            self.upset()
            return Ack.FAULT
        return Ack.OK

    def transfer(self, request: int, data: int = 0) -> tuple[int, int]:
        """One transfer: ``(ack, data read)``."""
        ack = self.answers(request)
        if ack is not _OK:
            return ack, 0
        self._need_dpidr = False
        if request & AP:
            return _OK, self._ap(request, data)
        if request & READ:
            return _OK, self._read_dp(request & 0x0C)
        self._write_dp(request & 0x0C, data)
        return _OK, 0

    def _read_dp(self, address: int) -> int:
        if address == 0x0:
            return self.dpidr
        if address == 0x4:
            if self.select & 0xF == 1:
                return self.dlcr
            if self.select & 0xF:
                return self.banked.get(self.select & 0xF, 0)
            return self._status()
        if address == 0x8:  # RESEND, IHI 0031 B2.2.8
            return self._last
        self._last = self.rdbuff
        return self.rdbuff

    def _status(self) -> int:
        value = self.ctrl
        if not self.debug_power:
            return value | READOK
        if value & CDBGPWRUPREQ:
            value |= CDBGPWRUPACK
        if value & CSYSPWRUPREQ:
            value |= CSYSPWRUPACK
        return value | READOK

    def _write_dp(self, address: int, data: int) -> None:
        if address == 0x0:
            for bit, flag in ABORT_CLEARS:
                if data & bit:
                    self.ctrl &= ~flag
            if data & DAPABORT:
                self.ap.stalled = False
        elif address == 0x4:
            if self.select & 0xF == 1:
                self.dlcr = data & 0x300
            elif not self.select & 0xF:
                self.ctrl = (self.ctrl & STICKY) | (data & CTRL_WRITABLE)
                if self.on_power_request is not None:
                    self.on_power_request()
        elif address == 0x8:
            self.select = data

    def _ap(self, request: int, data: int) -> int:
        """An AP access. Reads are posted: what comes back belongs to the read before."""
        posted, register = self.rdbuff, (self.select & 0xF0) | (request & 0x0C)
        if not (self.debug_power and self.ctrl & CDBGPWRUPREQ):
            self.upset()  # IHI 0031 B2.5.2: the debug domain has no power
            return posted
        if request & READ:
            value, failed = self.ap.read(self.select >> 24, register)
            self.rdbuff = value
            self._last = posted
        else:
            failed = self.ap.write(self.select >> 24, register, data)
        if failed:
            self.upset()
        return posted

    @property
    def debugging(self) -> bool:
        """The debug domain was asked for and has power."""
        return bool(self.ctrl & CDBGPWRUPREQ) and self.debug_power

    def fast(self, request: int) -> bool:
        """True when a block of this request may go straight to the access port: same effects, fewer steps."""
        return bool(
            request & AP
            and self._listening
            and not self._need_dpidr
            and not self.ctrl & STICKY
            and self.debugging
            and not (self.ap.stalled or self.cut)
            and (self.select & 0xFF0000F0) | (request & 0x0C) == 0x0C
        )

    def read_block(self, count: int) -> bytes:
        """As many words of DRW as go at once (possibly none); the caller handles the rest word by word."""
        data = self.ap.read_block(count)
        if data:
            self.rdbuff = int.from_bytes(data[-4:], "little")
        return data

    def read_still(self, count: int) -> bytes:
        """As :meth:`read_block`, where nothing at all can happen between the words."""
        data = self.ap.read_still(count)
        if data:
            self.rdbuff = int.from_bytes(data[-4:], "little")
        return data

    def write_block(self, words: bytes) -> int:
        """Write words to DRW; how many went at once (possibly none)."""
        return self.ap.write_block(words)
