"""Several debug ports on one SWD line: dormant state, line reset, and the target selection of SWD protocol version 2.

Source: ARM IHI 0031 (ADIv5.2) B4.3.4 (target selection) and B5.3 (dormant operation); sequences as pyOCD's ``swj.py`` sends them.
After power-on all ports sleep in the dormant state and hear nothing but the selection alert. A line reset selects all of them; a write
to TARGETSEL directly behind it leaves the one whose TARGETID and instance it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.dp import READ, RESET_ONES, SwDp
from msdflash.sim.port import Ack

if TYPE_CHECKING:
    from collections.abc import Sequence

ALERT = 0x19BC0EA2E3DDAFE986852D956209F392  # 128 bits, LSB first (B5.3.4); four low bits and the activation code follow
ALERT_BITS = 128
SWD_ACTIVATION = 0x1A
SWD_TO_DORMANT = 0xE3BC
TARGETSEL_REQUEST = 0x99  # start, a write of debug port register 0xC, stop and park, LSB first
HISTORY = ALERT_BITS + 12
UNHEARD = 5  # turnaround, three bits of acknowledge that nobody drives, turnaround
TARGETID_BANK, DLPIDR_BANK = 2, 3


class Crowd(SwDp):
    """All ports at once, as after a line reset without target selection: each hears every request, and each drives SWDIO.

    Assumption: who drives low wins, bit by bit. ``junk`` is the variant: what they drive has wrong parity.
    """

    def __init__(self, ports: Sequence[SwDp]) -> None:
        super().__init__(0, ports[0].ap)
        self._ports = ports
        self.junk = False

    def answers(self, request: int) -> Ack:
        """See the base."""
        acks = [port.answers(request) for port in self._ports]
        heard = [ack for ack in acks if ack is not Ack.NONE]
        if not heard:
            return Ack.NONE
        return heard[0] if len(set(heard)) == 1 else Ack.LOW

    def transfer(self, request: int, data: int = 0) -> tuple[int, int]:
        """See the base."""
        both = [port.transfer(request, data) for port in self._ports]
        heard = [answer for answer in both if answer[0] != Ack.NONE]
        if not heard:
            return Ack.NONE, 0
        if len({ack for ack, _ in heard}) > 1:
            return Ack.LOW, 0
        value = 0xFFFFFFFF
        for _, each in heard:
            value &= each
        ack = heard[0][0]
        return (Ack.PARITY if self.junk and request & READ and ack == Ack.OK else ack), value

    def fast(self, request: int) -> bool:
        """Never: each port has its own say."""
        del request
        return False

    def refuse_write(self) -> None:
        """See the base."""
        for port in self._ports:
            port.refuse_write()


class Multidrop:
    """The line, and who of the ports is selected on it.

    Attributes:
        ports: the debug ports; each has its TARGETID and DLPIDR in ``banked``.
        crowd: all of them together.
        awake: they have left the dormant state.
    """

    def __init__(self, ports: Sequence[SwDp]) -> None:
        self.ports = tuple(ports)
        self.crowd = Crowd(self.ports)
        self._debug_power = True
        self._deaf = False
        self.power_on()

    def power_on(self) -> None:
        """State after the supply came up: dormant (B5.3.1)."""
        for port in self.ports:
            port.power_on()
        self._sleep()

    def _sleep(self) -> None:
        self.awake = False
        self._selected: SwDp | None = None
        self._ones = 0
        self._history = 0
        self._since = self._request = -1  # bits since the line reset ended, and since the request began

    @property
    def debug_power(self) -> bool:
        """The chip grants debug power."""
        return self._debug_power

    @debug_power.setter
    def debug_power(self, on: bool) -> None:
        self._debug_power = on
        for port in self.ports:
            port.debug_power = on

    @property
    def deaf(self) -> bool:
        """The ports hear nothing at all."""
        return self._deaf

    @deaf.setter
    def deaf(self, deaf: bool) -> None:
        self._deaf = deaf
        for port in self.ports:
            port.deaf = deaf

    @property
    def debugging(self) -> bool:
        """Somebody asked the first port for debug power and got it."""
        return self.ports[0].debugging

    def chosen(self) -> SwDp | None:
        """Who answers the next transfer; None: nobody drives SWDIO."""
        return self._selected if self.awake else None

    def sequence(self, data: bytes, bits: int) -> None:
        """Bits on SWDIO outside of a transfer."""
        if self._deaf:
            return
        value = int.from_bytes(data, "little")
        for position in range(bits):
            self._bit(value >> position & 1)

    def _bit(self, bit: int) -> None:
        # The last 140 bits, the oldest lowest: 128 of alert, 4 low, 8 of activation code.
        self._history = self._history >> 1 | bit << HISTORY - 1
        if not self.awake:
            if self._history == SWD_ACTIVATION << ALERT_BITS + 4 | ALERT:
                self.awake = True
                self._selected, self._since, self._ones = None, -1, 0
            return
        if bit:
            self._ones += 1
            if self._ones == RESET_ONES:
                for port in self.ports:
                    port.line_reset()
                self._selected, self._since = self.crowd, -1
        else:
            if self._ones >= RESET_ONES:
                self._since, self._request = 0, -1
            self._ones = 0
        if self._since >= 0:
            self._behind_reset(bit)

    def _behind_reset(self, bit: int) -> None:
        """Directly behind a line reset: the change to dormant, or idle cycles and then a write to TARGETSEL."""
        self._since += 1
        if self._since == 16 and self._history >> HISTORY - 16 == SWD_TO_DORMANT:
            self._sleep()
            return
        if self._request < 0:
            if not bit:
                return  # idle
            self._request = 0
        self._request += 1
        if self._request == 8 and self._history >> HISTORY - 8 != TARGETSEL_REQUEST:
            # Not understood: silent until the next line reset (B4.2.5).
            self._selected = None
        elif self._request == 8 + UNHEARD + 33 and self._selected is not None and self.ports[0].fresh:
            self._target(self._history >> HISTORY - 33)
            self._since = -1

    def _target(self, word: int) -> None:
        """TARGETSEL: bits 27 to 0 as in TARGETID, bits 31 to 28 as TINSTANCE in DLPIDR (B2.2.10); then the parity bit."""
        wanted, parity = word & 0xFFFFFFFF, word >> 32
        self._selected = None
        if parity != wanted.bit_count() & 1:
            return
        for port in self.ports:
            if not (port.banked[TARGETID_BANK] ^ wanted) & 0x0FFFFFFF and port.banked[DLPIDR_BANK] >> 28 == wanted >> 28:
                self._selected = port
