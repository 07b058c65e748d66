"""The connector between a probe's firmware model and a board: SWD, nRESET and the target-voltage pin.

The probe side (``msdflash.sim.usb``) only sees this; the board side (``msdflash.sim.board``) only offers this.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol


class Ack(IntEnum):
    """What stands on SWDIO in the three acknowledge bits (ADIv5.2 B4.2.2, LSB first as CMSIS-DAP reports it)."""

    LOW = 0  # somebody holds SWDIO low
    OK = 1
    WAIT = 2
    FAULT = 4
    NONE = 7  # nobody drives SWDIO: it stays high
    PARITY = 8  # OK, but the data phase had wrong parity (only on reads)


class Drive(IntEnum):
    """What a driver does to a line."""

    FLOAT = 0
    LOW = 1
    HIGH = 2  # push-pull high; a short to ground wins


class TargetPort(Protocol):
    """What a probe can do to, and see of, a board.

    ``request`` is the CMSIS-DAP transfer request: bit 0 APnDP, bit 1 RnW, bits 3:2 A[3:2].
    """

    def sequence(self, data: bytes, bits: int) -> None:
        """Clock out ``bits`` bits of ``data`` (LSB first) on SWDIO: line reset, JTAG-to-SWD, selection alert, idle cycles."""

    def transfer(self, request: int, data: int = 0) -> tuple[int, int]:
        """One SWD transfer as it is on the wire: ``(ack, read data)``. AP reads are posted: the data belong to the access before."""

    def read_block(self, request: int, count: int, retries: int = 0) -> tuple[int, bytes]:
        """``count`` AP reads with the pipeline handled (posted reads, then RDBUFF): ``(ack, little-endian words that came back)``.

        Same transfers, sticky flags and faults as one call more of :meth:`transfer`; only quicker. For a DP register: ``count`` reads.
        Each transfer that answers WAIT is repeated up to ``retries`` times, as probe firmware does; then the block ends with WAIT.
        """

    def read_still(self, count: int) -> bytes:
        """The next of ``count`` reads of DRW behind a posted one, as many as can go at once: the words that came back, perhaps none.

        Same as calls of :meth:`transfer` in all that anybody can see, the time that passes included; none where something may happen
        between two of them.
        """

    def write_block(self, request: int, words: bytes, retries: int = 0) -> tuple[int, int]:
        """AP or DP writes of little-endian words: ``(ack of the last, words accepted)``. Same as calls of :meth:`transfer`.

        WAIT is repeated as in :meth:`read_block`.
        """

    def set_nreset(self, drive: Drive) -> None:
        """What the probe does to nRESET from now on."""

    def nreset(self) -> bool:
        """Level of the nRESET line (True = high), with everything that drives it."""

    def swdio(self) -> bool:
        """Level of SWDIO while the probe does not drive it."""

    def vtref(self) -> float:
        """Voltage at the connector's target-voltage pin."""

    def set_clock(self, hertz: int) -> None:
        """SWD clock from now on (noise and the time model depend on it)."""
