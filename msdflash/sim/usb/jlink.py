"""A J-Link as SEGGER's library finds it: a USB device, the target's connector behind it, and requests of our own in between.

The real USB protocol is spoken by SEGGER's closed library alone, as far as pyOCD is concerned, so nothing is gained by its bytes here. What
counts is what that library offers to its callers (:mod:`msdflash.sim.usb.jlinkarm`): the requests are cut to that, and each stands for one
of its functions. Requests are ``operation u8, register u8, value u32``, answers ``status i32, value u32`` or, for STATE, eight bytes.

* ASSUMED: writes of access port registers are posted; a fault is found by the next access. Reads are waited for through RDBUFF.
* ASSUMED: after no acknowledge, or a wrong parity, the probe makes a line reset and reads DPIDR, so that the port answers again.
* ASSUMED: WAIT is repeated ``_RETRIES`` times.
* ASSUMED: nRESET is open drain and is let go of when the library closes the probe.
* Every refused access is told as the same error; pyOCD's pull request 1063 says so of the real library.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

from msdflash.sim.port import Ack, Drive
from msdflash.sim.usb.device import HIGH_SPEED, Description, Endpoint, Interface
from msdflash.sim.usb.swd import AP, READ, READ_DPIDR, READ_RDBUFF, Wire

if TYPE_CHECKING:
    from msdflash.sim.port import TargetPort

VENDOR, PRODUCT = 0x1366, 0x0101
KIND = "jlink"
SERIAL_DIGITS = 12
REQUEST = struct.Struct("<BBI")
ANSWER = struct.Struct("<iI")
STATE = struct.Struct("<H6B")
UNSPECIFIED = -1
_RETRIES = 100
_LINE_RESET = b"\xff" * 7 + b"\0"


class Ask(IntEnum):
    """What a request asks for."""

    STATE = 1  # voltage in mV, levels of TCK, TDI, TDO, TMS, nRESET, nTRST
    SPEED = 2  # value: kHz
    SELECT_SWD = 3
    RESET = 4  # value: 0 pulls nRESET low, 1 lets go
    READ = 5  # register: 0 to 3, and 4 for an access port's
    WRITE = 6


def description(serial: str) -> Description:
    """The device; serials stand in its descriptors with leading zeros."""
    interface = Interface(0, 0xFF, 0xFF, 0xFF, "BULK interface", (Endpoint(0x01, 512), Endpoint(0x81, 512)))
    written = serial.rjust(SERIAL_DIGITS, "0") if serial.isdigit() else serial
    return Description(VENDOR, PRODUCT, 0x0100, (0, 0, 0), HIGH_SPEED, "SEGGER", "J-Link", written, (interface,))


class JLink:
    """The firmware.

    Args:
        port: the target's connector.
        pass_time: lets the board live for so many seconds while the firmware waits.
    """

    message_size = 512
    capacity = 4
    ends_with_empty_packet = False

    def __init__(self, port: TargetPort, pass_time: Callable[[float], None]) -> None:
        self._port = port
        self._wire = Wire(port, pass_time)
        self._wire.retries = _RETRIES
        self.reset()

    def message(self, data: bytes) -> tuple[bytes, ...]:
        """One request, one answer; anything else is ignored."""
        if len(data) != REQUEST.size:
            return ()
        ask, register, value = REQUEST.unpack(data)
        if ask == Ask.STATE:
            port = self._port
            return (STATE.pack(max(0, round(1000 * port.vtref())), 0, 0, 0, port.swdio(), port.nreset(), 1),)
        status = answer = 0
        if ask == Ask.SPEED:
            self._wire.set_clock(1000 * max(1, value))
        elif ask == Ask.SELECT_SWD:
            self._wire.select_swd()
        elif ask == Ask.RESET:
            self._wire.set_nreset(Drive.FLOAT if value else Drive.LOW)
        elif ask in (Ask.READ, Ask.WRITE):
            status, answer = self._access(ask == Ask.READ, register, value)
        else:
            status = UNSPECIFIED
        return (ANSWER.pack(status, answer),)

    def _access(self, read: bool, register: int, value: int) -> tuple[int, int]:
        request = (register & 3) << 2 | (AP if register & 4 else 0) | (READ if read else 0)
        ack, answer = self._wire.transfer(request, value)
        if ack == Ack.OK and read and request & AP:
            ack, answer = self._wire.transfer(READ_RDBUFF)
        if ack in (Ack.NONE, Ack.LOW, Ack.PARITY):
            self._wire.sequence(_LINE_RESET, 64)
            self._wire.transfer(READ_DPIDR)
        return (0, answer) if ack == Ack.OK else (UNSPECIFIED, 0)

    def released(self) -> None:
        """The library closed the probe."""
        self._wire.set_nreset(Drive.FLOAT)

    def reset(self) -> None:
        """As after power-up. ASSUMED: 1 MHz until told otherwise."""
        self._wire.set_clock(1_000_000)
        self._wire.set_nreset(Drive.FLOAT)

    def take_time(self) -> float:
        """Seconds on the wire since the last call."""
        return self._wire.take_time()

    def take_used(self) -> bool:
        """Whether the target was touched since the last call."""
        return self._wire.take_used()
