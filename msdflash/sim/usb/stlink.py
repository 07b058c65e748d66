"""ST-LINK/V2-1 and STLINK-V3 probe firmware: 16-byte commands, their data and their answers.

ST does not publish the protocol. Command numbers and layouts follow what its clients send and expect: OpenOCD
(``src/jtag/drivers/stlink_usb.c``) and pyOCD (``pyocd/probe/stlink``); the latter also says since which firmware a command exists
(``constants.py``). What differs from one ST-LINK to another is data: :class:`Model`. What neither shows is assumed, and says so where
it stands:

* ASSUMED: JTAG_ENTER2 powers the debug domain up and reports a missing acknowledge as 0x0B ("debug power error").
* ASSUMED: WAIT is repeated ``_RETRIES`` times by the firmware before it becomes 0x10 or 0x14.
* ASSUMED: a client that dies between a write command and its data leaves nothing behind: letting go of the interface aborts the command.
* ASSUMED: JTAG_EXIT floats nRESET.
* ASSUMED: a chip of another maker is refused by JTAG_INIT_AP with 0x1D, as users report of V2 firmware from J37 on and of V3 firmware.
* ASSUMED: a command that this firmware does not have yet is answered with 0x42, a bank of the DP that it cannot select is ignored.

The level of nRESET cannot be read back: there is no command for it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msdflash.sim.port import Ack, Drive
from msdflash.sim.usb.device import FULL_SPEED, HIGH_SPEED, Description, Endpoint, Interface
from msdflash.sim.usb.swd import (
    AP,
    READ,
    READ_CTRL_STAT,
    READ_DPIDR,
    READ_RDBUFF,
    WRITE_ABORT,
    WRITE_CTRL_STAT,
    WRITE_SELECT,
    Wire,
)

if TYPE_CHECKING:
    from msdflash.sim.port import TargetPort

VENDOR = 0x0483
_COMMAND_BYTES = 16
_LONGEST = 6144  # 16 and 32 bit accesses; 8 bit ones are limited to a packet
_RETRIES = 100

# Status words.
OK = 0x80
_NO_TARGET, _ALIGNMENT, _DEBUG_POWER = 0x09, 0x0A, 0x0B
_AP_WAIT, _AP_FAULT, _AP_ERROR, _AP_PARITY = 0x10, 0x11, 0x12, 0x13
_DP_WAIT, _DP_FAULT, _DP_ERROR, _DP_PARITY = 0x14, 0x15, 0x16, 0x17
_AP_WDATA, _AP_OVERRUN, _BAD_AP = 0x18, 0x1A, 0x1D
_SWV_NOT_AVAILABLE, _FREQUENCY, _UNKNOWN_COMMAND = 0x20, 0x41, 0x42

_AP_CODES = {Ack.WAIT: _AP_WAIT, Ack.FAULT: _AP_FAULT, Ack.PARITY: _AP_PARITY}
_DP_CODES = {Ack.WAIT: _DP_WAIT, Ack.FAULT: _DP_FAULT, Ack.PARITY: _DP_PARITY}

_MODE_MASS, _MODE_DEBUG = 0x01, 0x02
_DP_PORT = 0xFFFF

# DP CTRL/STAT (ADIv5.2 B2.2.2) and ABORT (B2.2.1).
_POWER_UP, _POWERED_UP = 0x50000000, 0xA0000000
_STICKY_ORUN, _WDATA_ERROR = 1 << 1, 1 << 7
_CLEAR_STICKIES = 0x1E
_POWER_UP_POLLS = 100

# MEM-AP registers as transfer requests, and CSW (ADIv5.2 C2.6).
_CSW, _TAR, _DRW = AP | 0x00, AP | 0x04, AP | 0x0C
_CSW_DEFAULT = 0x23000000
_CSW_INCREMENT = 0x10
_WRAP = 1 << 10  # C2.2.2: TAR counts up reliably only within 1 KiB

# The speeds that a V3 offers in its high-performance setting, kHz (as OpenOCD prints them).
_SPEEDS = (24000, 8000, 3300, 1000, 200, 50, 5)
# SWD_SET_FREQ of a V2: delay count to Hz (OpenOCD ``stlink_khz_to_speed_map_swd``).
_DIVISORS = {
    0: 4_600_000, 1: 1_800_000, 2: 1_200_000, 3: 950_000, 5: 650_000, 7: 480_000,
    9: 400_000, 10: 360_000, 15: 240_000, 25: 150_000, 31: 125_000, 40: 100_000,
}  # fmt: skip

# Commands of the group 0xF2 that came later than JTAG/SWD firmware 15 of a V2; every V3 has them.
_SINCE = {0x43: 20, 0x45: 24, 0x46: 24, 0x47: 26, 0x48: 26, 0x49: 28, 0x4B: 28, 0x4C: 28, 0x56: 36}
_BANKED_DP_SINCE, _OWN_CSW_SINCE, _REFUSES_SINCE = 32, 32, 37
_V3_ONLY, _V2_ONLY = frozenset({0x61, 0x62, 0x63}), frozenset({0x43})


@dataclass(frozen=True)
class Model:
    """An ST-LINK with its firmware.

    Attributes:
        product_id: of its USB device.
        product: its USB product string.
        hardware: generation, 2 or 3.
        jtag: version of the JTAG/SWD part, the J of "V2J37M26".
        storage: version of the mass-storage part, the M; with it the B of a V3.
        speed: USB speed.
        packet: largest USB packet; also the most that an 8-bit access may move.
    """

    product_id: int
    product: str
    hardware: int
    jtag: int
    storage: tuple[int, int]
    speed: int
    packet: int

    def has(self, since: int) -> bool:
        """Whether the firmware has what came to V2 with this version."""
        return self.hardware >= 3 or self.jtag >= since


MODELS = {
    "stlink-v3": Model(0x374F, "STLINK-V3", 3, 10, (3, 5), HIGH_SPEED, 512),
    "stlink-v2-1": Model(0x374B, "STM32 STLink", 2, 37, (26, 0), FULL_SPEED, 64),
    # The last that users report to accept other makers' chips. The M as ST's archive of that release names it, from memory.
    "stlink-v2-j34": Model(0x374B, "STM32 STLink", 2, 34, (25, 0), FULL_SPEED, 64),
    # As boards of 2014 had it; pyOCD and others ask for V2J24 at least. ASSUMED: the M.
    "stlink-v2-old": Model(0x374B, "STM32 STLink", 2, 21, (5, 0), FULL_SPEED, 64),
}
# Two ADC words: V = 2 * second * 1.2 / first. 1489 is a 1.2 V reference on 3.3 V, 12 bits.
_REFERENCE = 1489

_READS = {0x07: 4, 0x0C: 1, 0x47: 2}
_WRITES = {0x08: 4, 0x0D: 1, 0x48: 2}


def description(model: Model, serial: str) -> Description:
    """The debug interface as V2-1 and V3 show it: number 0, OUT 0x01, IN 0x81, trace 0x82."""
    interface = Interface(0, 0xFF, 0xFF, 0xFF, "ST-Link Debug", tuple(Endpoint(address, model.packet) for address in (0x01, 0x81, 0x82)))
    names = ("STMicroelectronics", model.product, serial)
    return Description(VENDOR, model.product_id, 0x0100, (0xEF, 2, 1), model.speed, *names, (interface,))


class _RefusedError(Exception):
    """A DAP access failed; carries the status word."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


class StLink:
    """The firmware.

    Args:
        model: which ST-LINK.
        port: the target's connector.
        board_id: the Mbed board id that it tells, four characters; empty: none.
        foreign: the chip is not ST's.
        pass_time: lets the board live for so many seconds while the firmware waits.
    """

    message_size = 0  # counts bytes itself
    capacity = 8
    ends_with_empty_packet = False  # clients ask for exactly what they expect; an empty packet would be their next answer

    def __init__(self, model: Model, port: TargetPort, board_id: str, foreign: bool, pass_time: Callable[[float], None]) -> None:
        self._model = model
        self._port = port
        self._wire = Wire(port, pass_time)
        self._wire.retries = _RETRIES
        self._board_id = board_id
        self._refuses = foreign and model.has(_REFUSES_SINCE)
        self._mode = _MODE_MASS
        self._held = b""
        self._writing: bytes | None = None
        self._last_status, self._last_address = OK, 0
        self._select: int | None = None
        self._csw: dict[int, int] = {}
        self._top = {
            0xF1: self._version,
            0xF2: self._debug,
            0xF3: lambda _: b"",  # DFU exit: not in that mode
            0xF4: lambda _: b"",  # SWIM exit
            0xF5: lambda _: bytes((self._mode, 0)),
            0xF7: self._voltage,
        }
        if model.hardware >= 3:
            self._top[0xFB] = self._version_extended
        commands: dict[int, Callable[[bytes], bytes]] = {
            0x21: self._exit,
            0x30: self._enter,
            0x31: self._idcodes,
            0x3B: lambda _: struct.pack("<H", self._last_status),
            0x3C: self._drive_nrst,
            0x3E: lambda _: struct.pack("<HHII", self._last_status, 0, self._last_address, 0),
            0x40: lambda _: _status(_SWV_NOT_AVAILABLE),
            0x41: lambda _: _status(_SWV_NOT_AVAILABLE),
            0x42: lambda _: b"\0\0",
            0x43: self._set_divisor,
            0x45: self._read_register,
            0x46: self._write_register,
            0x49: lambda _: _status(OK),
            0x4B: self._init_ap,
            0x4C: lambda _: _status(OK),
            0x56: self._board_ids,
            0x61: self._set_speed,
            0x62: self._speeds,
            0x63: lambda _: struct.pack("<HHI", OK, 0, 0),
        }
        others = _V2_ONLY if model.hardware >= 3 else _V3_ONLY
        self._commands = {number: how for number, how in commands.items() if self._knows(number) and number not in others}
        self.reset()

    def _knows(self, number: int) -> bool:
        return self._model.has(_SINCE.get(number, 0))

    def message(self, data: bytes) -> tuple[bytes, ...]:
        """Take bytes as they come: a command, or the data of the write command before."""
        answers: tuple[bytes, ...] = ()
        if self._held:
            data, self._held = self._held + data, b""
        while data:
            if self._writing is not None:
                length = int.from_bytes(self._writing[6:8], "little")
                if len(data) < length:
                    self._held = data
                    break
                command, self._writing = self._writing, None
                self._write_memory(command, data[:length])
                data = data[length:]
                continue
            command, data = data[:_COMMAND_BYTES].ljust(_COMMAND_BYTES, b"\0"), data[_COMMAND_BYTES:]
            if command[0] == 0xF2 and command[1] in _WRITES and self._knows(command[1]):
                if command[6:8] != b"\0\0":
                    self._writing = command
                continue
            handler = self._top.get(command[0])
            answer = handler(command) if handler is not None else _status(_UNKNOWN_COMMAND)
            if answer:
                answers = (*answers, answer)
        return answers

    def released(self) -> None:
        """The client let go of the interface: a half-received write is dropped (see the module's assumptions)."""
        self._writing = None
        self._held = b""

    def reset(self) -> None:
        """As after power-up."""
        self.released()
        self._mode = _MODE_MASS
        self._last_status, self._last_address = OK, 0
        self._forget_dap()
        self._wire.set_clock(1_000_000)
        self._wire.set_nreset(Drive.FLOAT)

    def take_time(self) -> float:
        """Seconds on the wire since the last call."""
        return self._wire.take_time()

    def take_used(self) -> bool:
        """Whether the target was touched since the last call."""
        return self._wire.take_used()

    # Commands.

    def _debug(self, command: bytes) -> bytes:
        number = command[1]
        if number in _READS and self._knows(number):
            return self._read_memory(command)
        handler = self._commands.get(number)
        return handler(command) if handler is not None else _status(_UNKNOWN_COMMAND)

    def _version(self, _: bytes) -> bytes:
        """Generation and, of a V2, JTAG and mass-storage versions in 4, 6 and 6 bits; a V3 tells its own in the extended version."""
        model = self._model
        versions = model.jtag << 6 | model.storage[0] if model.hardware < 3 else 0
        return struct.pack(">H", model.hardware << 12 | versions) + struct.pack("<HH", VENDOR, model.product_id)

    def _version_extended(self, _: bytes) -> bytes:
        """Hardware, SWIM, JTAG/SWD, mass storage, bridge, power."""
        model = self._model
        return struct.pack("<6BHHH", model.hardware, 0, model.jtag, *model.storage, 0, 0, VENDOR, model.product_id)

    def _voltage(self, _: bytes) -> bytes:
        return struct.pack("<II", _REFERENCE, max(0, round(self._port.vtref() * _REFERENCE / 2.4)))

    def _exit(self, _: bytes) -> bytes:
        self._mode = _MODE_MASS
        self._forget_dap()
        self._wire.set_nreset(Drive.FLOAT)
        return b""

    def _enter(self, _: bytes) -> bytes:
        """JTAG_ENTER2 for SWD: line reset, IDCODE, power up."""
        wire = self._wire
        self._forget_dap()
        wire.select_swd()
        ack, _value = wire.transfer(READ_DPIDR)
        if ack != Ack.OK:
            return _status(_NO_TARGET)
        try:
            self._dp(WRITE_ABORT, _CLEAR_STICKIES)
            self._set_select(0)
            self._dp(WRITE_CTRL_STAT, _POWER_UP)
            for _poll in range(_POWER_UP_POLLS):
                if self._dp(READ_CTRL_STAT) & _POWERED_UP == _POWERED_UP:
                    break
                wire.wait(1e-3)
            else:
                return _status(_DEBUG_POWER)
        except _RefusedError as refused:
            return _status(refused.status)
        self._mode = _MODE_DEBUG
        return _status(OK)

    def _idcodes(self, _: bytes) -> bytes:
        try:
            value = self._dp(READ_DPIDR)
        except _RefusedError as refused:
            return struct.pack("<HHII", refused.status, 0, 0, 0)
        return struct.pack("<HHII", OK, 0, value, 0)

    def _drive_nrst(self, command: bytes) -> bytes:
        """Open drain; works before JTAG_ENTER2 too."""
        how = command[2]
        if how in (0, 2):
            self._wire.set_nreset(Drive.LOW)
        if how == 2:
            self._wire.wait(100e-6)
        if how in (1, 2):
            self._wire.set_nreset(Drive.FLOAT)
        return _status(OK if how <= 2 else _UNKNOWN_COMMAND)

    def _read_register(self, command: bytes) -> bytes:
        port, address = struct.unpack_from("<HH", command, 2)
        try:
            if port == _DP_PORT:
                self._set_bank(address)
                value = self._dp(address & 0xC | READ)
            else:
                value = self._read_ap(port, address)
        except _RefusedError as refused:
            return struct.pack("<HHI", refused.status, 0, 0)
        return struct.pack("<HHI", OK, 0, value)

    def _write_register(self, command: bytes) -> bytes:
        port, address, value = struct.unpack_from("<HHI", command, 2)
        try:
            if port == _DP_PORT:
                self._set_bank(address)
                self._dp(address & 0xC, value)
                if address & 0xC == 8:
                    self._select = value
            else:
                self._csw.pop(port, None)
                self._set_select(port << 24 | address & 0xF0)
                self._ap(AP | address & 0xC, value)
                self._ap(READ_RDBUFF)
        except _RefusedError as refused:
            return _status(refused.status)
        return _status(OK)

    def _init_ap(self, command: bytes) -> bytes:
        if self._refuses:
            return _status(_BAD_AP)
        try:
            identity = self._read_ap(command[2], 0xFC)
        except _RefusedError as refused:
            return _status(refused.status)
        return _status(OK if identity else _BAD_AP)

    def _board_ids(self, _: bytes) -> bytes:
        return (_status(OK) + self._board_id.encode()[:4]).ljust(128, b"\0")

    def _set_speed(self, command: bytes) -> bytes:
        wanted = int.from_bytes(command[4:8], "little")
        speed = next((each for each in _SPEEDS if each <= wanted), None)
        if speed is None:
            return struct.pack("<HHI", _FREQUENCY, 0, 0)
        self._wire.set_clock(speed * 1000)
        return struct.pack("<HHI", OK, 0, speed)

    def _set_divisor(self, command: bytes) -> bytes:
        """SWD_SET_FREQ."""
        hertz = _DIVISORS.get(int.from_bytes(command[2:4], "little"))
        if hertz is None:
            return _status(_FREQUENCY)
        self._wire.set_clock(hertz)
        return _status(OK)

    def _speeds(self, _: bytes) -> bytes:
        speeds = (*_SPEEDS, 0, 0, 0)
        return struct.pack("<HHII10I", OK, 0, self._wire.hertz // 1000, len(_SPEEDS), *speeds)

    # DAP accesses.

    def _forget_dap(self) -> None:
        self._select = None
        self._csw.clear()

    def _dp(self, request: int, value: int = 0) -> int:
        ack, data = self._wire.transfer(request, value)
        if ack != Ack.OK:
            raise _RefusedError(_DP_CODES.get(Ack(ack), _DP_ERROR))
        return data

    def _ap(self, request: int, value: int = 0) -> int:
        ack, data = self._wire.transfer(request, value)
        self._accept(ack)
        return data

    def _accept(self, ack: int) -> None:
        if ack != Ack.OK:
            raise _RefusedError(self._why(ack))

    def _why(self, ack: int) -> int:
        """The status word of a failed AP access; a FAULT is looked into."""
        if ack == Ack.FAULT:
            again, flags = self._wire.transfer(READ_CTRL_STAT)
            if again == Ack.OK and flags & _WDATA_ERROR:
                return _AP_WDATA
            if again == Ack.OK and flags & _STICKY_ORUN:
                return _AP_OVERRUN
        return _AP_CODES.get(Ack(ack), _AP_ERROR)

    def _set_select(self, value: int) -> None:
        if value != self._select:
            self._select = None
            self._dp(WRITE_SELECT, value)
            self._select = value

    def _set_bank(self, address: int) -> None:
        """DPBANKSEL for register 4, out of the address bits 7:4 (ADIv5.2 B2.2.11); older firmware knows bank 0 only."""
        if address & 0xC == 4:
            bank = address >> 4 & 0xF if self._model.has(_BANKED_DP_SINCE) else 0
            self._set_select((self._select or 0) & ~0xF | bank)

    def _read_ap(self, ap: int, address: int) -> int:
        self._set_select(ap << 24 | address & 0xF0)
        self._ap(AP | READ | address & 0xC)
        return self._ap(READ_RDBUFF)

    def _set_csw(self, command: bytes, size: int) -> None:
        ap = command[8]
        self._set_select(ap << 24)
        own = int.from_bytes(command[9:12], "little") << 8 if self._model.has(_OWN_CSW_SINCE) else 0
        wanted = (own or _CSW_DEFAULT) | _CSW_INCREMENT | size >> 1
        if self._csw.get(ap) != wanted:
            self._csw.pop(ap, None)
            self._ap(_CSW, wanted)
            self._csw[ap] = wanted

    def _read_memory(self, command: bytes) -> bytes:
        """READMEM: the data come in any case; GETLASTRWSTATUS2 tells whether they are worth anything."""
        address, length = struct.unpack_from("<IH", command, 2)
        size = _READS[command[1]]
        out = bytearray()
        if self._unfit(address, length, size):
            self._last_status, self._last_address = _ALIGNMENT, address
            return bytes(length)
        at = address
        try:
            self._set_csw(command, size)
            while at < address + length:
                count = min(address + length - at, _WRAP - at % _WRAP) // size
                self._ap(_TAR, at)
                ack, words = self._wire.read_block(_DRW | READ, count)
                out += _from_lanes(words, at, size)
                at += len(words) // 4 * size
                self._accept(ack)
        except _RefusedError as refused:
            self._last_status, self._last_address = refused.status, at
            self._csw.pop(command[8], None)
            return bytes(out.ljust(length, b"\0"))
        self._last_status, self._last_address = OK, 0
        return bytes(out)

    def _write_memory(self, command: bytes, data: bytes) -> None:
        """WRITEMEM: writes are posted, so a fault belongs to the access before the one that reports it."""
        address, length = struct.unpack_from("<IH", command, 2)
        size = _WRITES[command[1]]
        if self._unfit(address, length, size):
            self._last_status, self._last_address = _ALIGNMENT, address
            return
        at = address
        try:
            self._set_csw(command, size)
            while at < address + length:
                count = min(address + length - at, _WRAP - at % _WRAP) // size
                self._ap(_TAR, at)
                start = at - address
                ack, done = self._wire.write_block(_DRW, _to_lanes(data[start : start + count * size], at, size))
                if ack == Ack.OK:
                    ack, _value = self._wire.transfer(READ_RDBUFF)
                at += (count if ack == Ack.OK else max(0, done - 1)) * size
                self._accept(ack)
        except _RefusedError as refused:
            self._last_status, self._last_address = refused.status, at
            self._csw.pop(command[8], None)
            return
        self._last_status, self._last_address = OK, 0

    def _unfit(self, address: int, length: int, size: int) -> bool:
        return bool(address % size or length % size or length > (self._model.packet if size == 1 else _LONGEST))


def _status(code: int) -> bytes:
    return struct.pack("<H", code)


def _from_lanes(words: bytes, address: int, size: int) -> bytes:
    """What a MEM-AP brought for narrow reads: each item sits in its byte lane (ADIv5.2 C2.2.6)."""
    if size == 4:
        return words
    out = bytearray()
    for index in range(len(words) // 4):
        lane = 4 * index + (address + index * size) % 4
        out += words[lane : lane + size]
    return bytes(out)


def _to_lanes(data: bytes, address: int, size: int) -> bytes:
    """The reverse of :func:`_from_lanes`."""
    if size == 4:
        return data
    out = bytearray(len(data) // size * 4)
    for index in range(len(data) // size):
        lane = 4 * index + (address + index * size) % 4
        out[lane : lane + size] = data[index * size : (index + 1) * size]
    return bytes(out)
