"""CMSIS-DAP probe firmware, v2 (bulk) and v1 (HID): one message in, its answers out.

Commands and layouts: "CMSIS-DAP" documentation of Arm's Open-CMSIS-Pack project, chapter "CMSIS-DAP Commands"
(https://arm-software.github.io/CMSIS-DAP/latest/group__DAP__Commands__gr.html); a handler's docstring names its section.
What differs from one interface chip to another (who drives nRESET when, what its read-back is worth) is data: :class:`Profile`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msdflash.sim.port import Ack, Drive
from msdflash.sim.usb.device import FULL_SPEED, HID_CLASS, HIGH_SPEED, INTERRUPT, Description, Endpoint, Interface
from msdflash.sim.usb.swd import AP, READ, READ_RDBUFF, WRITE_ABORT, Wire

if TYPE_CHECKING:
    from msdflash.sim.port import TargetPort

_OK, _ERROR = b"\x00", b"\xff"
_UNKNOWN = b"\xff"
_MATCH_VALUE, _MATCH_MASK, _MISMATCH = 0x10, 0x20, 0x10
_SWCLK, _SWDIO, _NRESET = 0x01, 0x02, 0x80
_EXECUTE, _QUEUE = 0x7F, 0x7E
_WRITE_DRW, _READ_DRW = AP | 0x0C, AP | READ | 0x0C
_WRITE_DRW_BYTE, _READ_DRW_BYTE = bytes([_WRITE_DRW]), bytes([_READ_DRW])
_ACCEPTED = Ack.OK  # a look-up in an enumeration costs as much as ten of a plain name
_RUN = 3
_LONGEST_PIN_WAIT = 3.0  # DAP_SWJ_Pins: "maximum 3 seconds"

DAPLINK_VENDOR, DAPLINK_PRODUCT = 0x0D28, 0x0204

# Vendor usage page 0xFF00; one input and one output report of 64 bytes, no report id (HID 1.11 6.2.2; CMSIS-DAP, "Firmware for CMSIS-DAP
# v1").
_REPORT = bytes.fromhex("0600ff 0901 a101 1500 26ff00 7508 9540 0901 8102 9540 0901 9102 c0".replace(" ", ""))


@dataclass(frozen=True)
class Profile:
    """What an interface chip's firmware does with its pins and its USB.

    Attributes:
        chip: whose hardware layer this follows (DAPLink ``source/hic_hal``, file DAP_config.h).
        hic: DAPLink's id of that chip, the last eight digits of the serial (``source/daplink/daplink.h``).
        connected_drive: what DAP_Connect does to nRESET; None: nothing.
        high: what writing a one to nRESET does.
        writes: whether nRESET can be driven at all (``PIN_nRESET_OUT`` not empty).
        writes_before_connect: whether it can be driven before DAP_Connect.
        reads: whether the level is read back; if not, the pin reads zero always.
        speed: USB speed.
        packet: largest USB packet and largest message, bytes.
        count: messages that fit into its buffer.
        hid: CMSIS-DAP v1: reports of ``packet`` bytes over interrupt endpoints.
        out_endpoint: v1 only: whether reports come over an OUT endpoint; if not, as SET_REPORT over endpoint 0.
    """

    chip: str
    hic: str
    connected_drive: Drive | None = Drive.FLOAT
    high: Drive = Drive.FLOAT
    writes: bool = True
    writes_before_connect: bool = True
    reads: bool = True
    speed: int = HIGH_SPEED
    packet: int = 512
    count: int = 4
    hid: bool = False
    out_endpoint: bool = True


PROFILES = {
    # Open drain with true read-back. The pins follow the LPC11U35; the USB is that of a high-speed chip, as on the LPC4322.
    "cmsis-dap": Profile("LPC11U35", "97969902"),
    # PORT_SWD_SETUP makes nRESET an output and sets it: a push-pull high that can lift a weakly held line.
    "cmsis-dap-pushpull": Profile("K20DX", "97969900", connected_drive=Drive.HIGH, high=Drive.HIGH, writes_before_connect=False),
    # PORT_SWD_SETUP leaves nRESET alone: a reset that was asserted before DAP_Connect is still asserted behind it. Open drain. High speed.
    "cmsis-dap-keeps": Profile("LPC4322", "97969905", connected_drive=None),
    # The commonest classroom board: PIN_nRESET_IN is a constant zero and PIN_nRESET_OUT is empty. Full speed.
    "cmsis-dap-const0": Profile("nRF52820", "6e052820", connected_drive=None, writes=False, reads=False, speed=FULL_SPEED, packet=64),
    # CMSIS-DAP v1, the same pins as the first. A HID interface may leave the OUT endpoint away (HID 1.11 4.4); old firmware does.
    "cmsis-dap-v1": Profile("LPC11U35", "97969902", speed=FULL_SPEED, packet=64, hid=True),
    "cmsis-dap-v1-ep0": Profile("LPC11U35", "97969902", speed=FULL_SPEED, packet=64, count=1, hid=True, out_endpoint=False),
}


@dataclass(frozen=True)
class Identity:
    """What DAP_Info tells about probe and board."""

    serial: str
    product: str = "DAPLink CMSIS-DAP"
    vendor: str = "Arm"
    board_vendor: str = ""
    board_name: str = ""
    target_vendor: str = ""
    target_name: str = ""


def description(profile: Profile, identity: Identity) -> Description:
    """The device's descriptors.

    v2: one vendor-class interface named "CMSIS-DAP v2", bulk OUT first, bulk IN second. v1: one HID interface, interrupt IN first.
    """
    if profile.hid:
        ways = (0x81, 0x01) if profile.out_endpoint else (0x81,)
        pipes = tuple(Endpoint(address, profile.packet, INTERRUPT, 1) for address in ways)
        interface = Interface(0, HID_CLASS, 0, 0, "CMSIS-DAP v1", pipes, _REPORT)
    else:
        interface = Interface(0, 0xFF, 0, 0, "CMSIS-DAP v2", (Endpoint(0x01, profile.packet), Endpoint(0x81, profile.packet)))
    names = (identity.vendor, identity.product, identity.serial)
    return Description(DAPLINK_VENDOR, DAPLINK_PRODUCT, 0x0100, (0xEF, 2, 1), profile.speed, *names, (interface,))


class CmsisDap:
    """The firmware.

    Args:
        port: the target's connector.
        profile: the interface chip.
        identity: names and serial.
        pass_time: lets the board live for so many seconds while the firmware waits.
    """

    def __init__(self, port: TargetPort, profile: Profile, identity: Identity, pass_time: Callable[[float], None]) -> None:
        self.message_size = profile.packet
        self.capacity = profile.count
        self.ends_with_empty_packet = not profile.hid
        # Reports have one length; what an answer does not fill is zero.
        self._answer_size = profile.packet if profile.hid else 0
        self._port = port
        self._wire = Wire(port, pass_time)
        self._profile = profile
        self._strings = {
            0x01: identity.vendor,
            0x02: identity.product,
            0x03: identity.serial,
            0x04: "1.3.0" if profile.hid else "2.1.0",
            0x05: identity.target_vendor,
            0x06: identity.target_name,
            0x07: identity.board_vendor,
            0x08: identity.board_name,
            0x09: "0257",
        }
        self._handlers: dict[int, Callable[[bytes], bytes]] = {
            0x00: self._info,
            0x01: lambda _: b"\x01" + _OK,  # DAP_HostStatus: no LEDs here
            0x02: self._connect,
            0x03: self._disconnect,
            0x04: self._transfer_configure,
            0x05: self._transfer,
            0x06: self._transfer_block,
            0x08: self._write_abort,
            0x09: self._delay,
            0x0A: lambda _: b"\x0a" + _OK + b"\0",  # DAP_ResetTarget: no device-specific reset sequence
            0x10: self._pins,
            0x11: self._clock,
            0x12: self._sequence,
            0x13: lambda _: b"\x13" + _OK,  # DAP_SWD_Configure: turnaround and data phase do not matter to the model
            0x1D: self._swd_sequence,
            _EXECUTE: self._execute,
        }
        self._queued: list[bytes] = []
        self._connected = False
        self._levels = 0
        self._match_retry = 0
        self._match_mask = 0xFFFFFFFF
        self.reset()

    def message(self, data: bytes) -> tuple[bytes, ...]:
        """Handle one message; DAP_QueueCommands waits for the first message of another kind."""
        answers = self._answers(data)
        return tuple(answer.ljust(self._answer_size, b"\0") for answer in answers) if self._answer_size else answers

    def _answers(self, data: bytes) -> tuple[bytes, ...]:
        if not data:
            return ()
        command = data[0]
        if command == _QUEUE:
            if len(self._queued) < self.capacity:
                self._queued.append(data)
            return ()
        if command == 0x07:
            return ()  # DAP_TransferAbort has no answer, and nothing runs when it gets here
        if self._queued:
            held, self._queued = self._queued, []
            return (*(self._run(bytes([_EXECUTE]) + each[1:]) for each in held), self._run(data))
        return (self._run(data),)

    def released(self) -> None:
        """Nothing: letting go of an interface cannot be seen from the device."""

    def reset(self) -> None:
        """As after power-up: pins released, defaults of DAP_TransferConfigure."""
        self._queued = []
        self._connected = False
        self._levels = _SWCLK | _SWDIO | _NRESET
        self._wire.retries = 100
        self._wire.idle_cycles = 0
        self._match_retry = 0
        self._match_mask = 0xFFFFFFFF
        self._wire.set_clock(1_000_000)
        self._wire.set_nreset(Drive.FLOAT)

    def take_time(self) -> float:
        """Seconds on the wire since the last call."""
        return self._wire.take_time()

    def take_used(self) -> bool:
        """Whether the target was touched since the last call."""
        return self._wire.take_used()

    def _run(self, data: bytes) -> bytes:
        handler = self._handlers.get(data[0])
        if handler is None:
            return _UNKNOWN
        # What a too short message does not say is whatever the buffer held; zeros here.
        return handler(data.ljust(self.message_size, b"\0"))

    def _info(self, data: bytes) -> bytes:
        """DAP_Info."""
        number = data[1]
        text = self._strings.get(number)
        if text is not None:
            value = text.encode() + b"\0" if text else b""
        else:
            # Capabilities: SWD and atomic commands; then packet count and packet size.
            value = {0xF0: b"\x11", 0xFE: bytes([self.capacity]), 0xFF: struct.pack("<H", self.message_size)}.get(number, b"")
        return bytes([0x00, len(value)]) + value

    def _connect(self, data: bytes) -> bytes:
        """DAP_Connect: only SWD. The interface chip's PORT_SWD_SETUP decides what happens to nRESET."""
        if data[1] not in (0, 1):
            return b"\x02\0"
        self._connected = True
        self._levels |= _SWCLK | _SWDIO | _NRESET
        if self._profile.connected_drive is not None:
            self._wire.set_nreset(self._profile.connected_drive)
        return b"\x02\x01"

    def _disconnect(self, _: bytes) -> bytes:
        """DAP_Disconnect: PORT_OFF, every pin an input."""
        self._connected = False
        self._levels |= _SWCLK | _SWDIO | _NRESET
        self._wire.set_nreset(Drive.FLOAT)
        return b"\x03" + _OK

    def _transfer_configure(self, data: bytes) -> bytes:
        """DAP_TransferConfigure."""
        self._wire.idle_cycles, self._wire.retries, self._match_retry = struct.unpack_from("<BHH", data, 1)
        return b"\x04" + _OK

    def _transfer(self, data: bytes) -> bytes:
        """DAP_Transfer: reads of an AP are posted, and fetched by the next AP read or by RDBUFF."""
        transfer = self._wire.transfer
        out = bytearray(3)
        room = self.message_size - 4
        at, done, ack = 3, 0, int(_ACCEPTED)
        posted = written = False
        left = data[2]
        while left and at < len(data) and len(out) <= room:
            request = data[at]
            at += 1
            left -= 1
            plain = request & 0x0F
            if posted and request == _READ_DRW and left >= _RUN:
                most = min(left, (room - len(out)) // 4)
                words = self._wire.read_still(_run_of_reads(data, at - 1, most + 1))
                out += words
                done += len(words) // 4
                left -= len(words) // 4
                at += len(words) // 4
                # At least one of them is left over, for the steps below.
            if posted:
                # The data of the posted read come with the next plain AP read, else from RDBUFF.
                posted = request & (AP | READ | _MATCH_VALUE) == AP | READ
                ack = self._fetch(plain if posted else READ_RDBUFF, out)
                if ack != _ACCEPTED:
                    break
                if posted:
                    done += 1
                    continue
            written = not request & READ
            if request == _WRITE_DRW and left >= _RUN:
                run, words = _run_of_writes(data, at - 1, left + 1)
                ack, accepted = self._wire.write_block(request, words)
                done += accepted - (ack == _ACCEPTED)
                left -= run - 1
                at += 5 * run - 1
            elif written or request & _MATCH_VALUE:
                word = int.from_bytes(data[at : at + 4], "little")
                at += 4
                ack = self._write(request, word) if written else self._match(plain, word)
            elif request & AP:
                ack, _value = transfer(plain)
                posted = True
            else:
                ack = self._fetch(plain, out)
            if ack != _ACCEPTED:
                break
            done += 1
        if ack == _ACCEPTED and posted:
            ack = self._fetch(READ_RDBUFF, out)
        elif ack == _ACCEPTED and written:
            ack, _value = transfer(READ_RDBUFF)  # tells how the last write went
        out[0:3] = bytes((0x05, done, ack))
        return bytes(out[: self.message_size])

    def _fetch(self, request: int, out: bytearray) -> int:
        ack, value = self._wire.transfer(request)
        if ack == _ACCEPTED:
            out += value.to_bytes(4, "little")
        return ack

    def _write(self, request: int, word: int) -> int:
        if request & _MATCH_MASK:
            self._match_mask = word
            return _ACCEPTED
        return self._wire.transfer(request & 0x0F, word)[0]

    def _match(self, request: int, wanted: int) -> int:
        """Read until the masked value is as wanted, at most match-retry times more; the response byte."""
        if request & AP:
            ack, _ = self._wire.transfer(request)
            if ack != _ACCEPTED:
                return ack
        for _ in range(self._match_retry + 1):
            ack, value = self._wire.transfer(request)
            if ack != _ACCEPTED:
                return ack
            if value & self._match_mask == wanted:
                return _ACCEPTED
        return _ACCEPTED | _MISMATCH

    def _transfer_block(self, data: bytes) -> bytes:
        """DAP_TransferBlock: many accesses to one register."""
        count, request = struct.unpack_from("<HB", data, 2)
        request &= 0x0F
        if request & READ:
            count = min(count, (self.message_size - 4) // 4)
            ack, words = self._wire.read_block(request, count) if count else (0, b"")
            return struct.pack("<BHB", 0x06, len(words) // 4, ack) + words
        count = min(count, (self.message_size - 5) // 4)
        ack, done = self._wire.write_block(request, data[5 : 5 + 4 * count]) if count else (0, 0)
        if ack == _ACCEPTED:
            ack, _ = self._wire.transfer(READ_RDBUFF)  # tells how the last write went
        return struct.pack("<BHB", 0x06, done, ack)

    def _write_abort(self, data: bytes) -> bytes:
        """DAP_WriteABORT."""
        ack, _ = self._wire.transfer(WRITE_ABORT, int.from_bytes(data[2:6], "little"))
        return b"\x08" + (_OK if ack == _ACCEPTED else _ERROR)

    def _delay(self, data: bytes) -> bytes:
        """DAP_Delay, microseconds."""
        self._wire.wait(int.from_bytes(data[1:3], "little") / 1e6)
        return b"\x09" + _OK

    def _pins(self, data: bytes) -> bytes:
        """DAP_SWJ_Pins: drive the selected pins, wait until they follow, tell all levels."""
        output, select = data[1], data[2]
        wait = min(int.from_bytes(data[3:7], "little") / 1e6, _LONGEST_PIN_WAIT)
        self._levels = self._levels & ~select | output & select
        profile = self._profile
        if select & _NRESET and profile.writes and (self._connected or profile.writes_before_connect):
            self._wire.set_nreset(profile.high if output & _NRESET else Drive.LOW)
        levels = self._read_pins()
        while wait > 0 and (levels ^ output) & select:
            step = min(wait, 1e-3)
            self._wire.wait(step)
            wait -= step
            levels = self._read_pins()
        return bytes((0x10, levels))

    def _read_pins(self) -> int:
        # Connected, SWCLK and SWDIO are outputs and read as they are driven.
        levels = self._levels & (_SWCLK | _SWDIO) if self._connected else _SWDIO * self._port.swdio()
        if self._profile.reads and self._port.nreset():
            levels |= _NRESET
        return levels

    def _clock(self, data: bytes) -> bytes:
        """DAP_SWJ_Clock, Hz."""
        hertz = int.from_bytes(data[1:5], "little")
        if not hertz:
            return b"\x11" + _ERROR
        self._wire.set_clock(hertz)
        return b"\x11" + _OK

    def _sequence(self, data: bytes) -> bytes:
        """DAP_SWJ_Sequence: a count of zero means 256 bits."""
        bits = data[1] or 256
        self._wire.sequence(data[2 : 2 + (bits + 7) // 8], bits)
        return b"\x12" + _OK

    def _swd_sequence(self, data: bytes) -> bytes:
        """DAP_SWD_Sequence: bits out, or SWDIO sampled."""
        out = bytearray((0x1D, 0x00))
        at = 2
        for _ in range(data[1]):
            if at >= len(data):
                break
            bits = data[at] & 0x3F or 64
            sampled = data[at] & 0x80
            at += 1
            size = (bits + 7) // 8
            if sampled:
                level = self._port.swdio()
                self._wire.sequence(bytes(size), bits)
                out += (((1 << bits) - 1) if level else 0).to_bytes(size, "little")
            else:
                self._wire.sequence(data[at : at + size].ljust(size, b"\0"), bits)
                at += size
        return bytes(out[: self.message_size])

    def _execute(self, data: bytes) -> bytes:
        """DAP_ExecuteCommands: several commands in one message, their answers in one."""
        out = bytearray((_EXECUTE, 0))
        at = 2
        for _ in range(data[1]):
            if at >= len(data) or data[at] in (_EXECUTE, _QUEUE):
                break
            part = data[at:]
            answer = self._run(part)
            if len(out) + len(answer) > self.message_size:
                break
            out += answer
            out[1] += 1
            at += self._length(part)
        return bytes(out)

    def _length(self, data: bytes) -> int:
        """Bytes that one command takes in a message."""
        fixed = {0x00: 2, 0x01: 3, 0x02: 2, 0x03: 1, 0x04: 6, 0x08: 6, 0x09: 3, 0x0A: 1, 0x10: 7, 0x11: 5, 0x13: 2}
        data = data.ljust(self.message_size, b"\0")
        command = data[0]
        if command in fixed:
            return fixed[command]
        if command == 0x05:
            at = 3
            for _ in range(data[2]):
                if at >= len(data):
                    break
                # A read carries a word only if it is compared; a write always does.
                at += 5 if not data[at] & READ or data[at] & _MATCH_VALUE else 1
            return at
        if command == 0x06:
            return 5 if data[4] & READ else 5 + 4 * int.from_bytes(data[2:4], "little")
        if command == 0x12:
            return 2 + ((data[1] or 256) + 7) // 8
        if command == 0x1D:
            at = 2
            for _ in range(data[1]):
                if at >= len(data):
                    break
                bits = data[at] & 0x3F or 64
                at += 1 if data[at] & 0x80 else 1 + (bits + 7) // 8
            return at
        return 1


def _run_of_reads(data: bytes, at: int, most: int) -> int:
    """How many requests from ``at`` on read DRW one after the other, but for the last of them."""
    requests = data[at : at + most]
    return len(requests) - len(requests.lstrip(_READ_DRW_BYTE)) - 1


def _run_of_writes(data: bytes, at: int, most: int) -> tuple[int, bytes]:
    """How many requests from ``at`` on write DRW one after the other, and their words.

    Clients put whole buffers into one DAP_Transfer; in one piece they cost the board a tenth.
    """
    most = max(1, min(most, (len(data) - at) // 5))
    requests = data[at : at + 5 * most : 5]
    run = len(requests) - len(requests.lstrip(_WRITE_DRW_BYTE))
    words = bytearray(data[at : at + 5 * run])
    del words[::5]
    return run, bytes(words.ljust(4 * run, b"\0"))
