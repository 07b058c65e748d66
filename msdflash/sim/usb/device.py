"""A USB device as its cable shows it: descriptors, pipes made of packets, standard requests.

USB 2.0 chapters: 5.7 (interrupt transfers), 5.8 (bulk transfers end with a short packet), 8.5.2 (NAK, STALL), 9.3-9.6 (requests and
descriptors). HID 1.11: 6.2 (descriptors), 7.2.2 (SET_REPORT), Device Class Definition for Human Interface Devices, usb.org.
Nothing here knows sockets or probes.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import Protocol

DIRECTION_IN = 0x80
HIGH_SPEED = 3  # LIBUSB_SPEED_HIGH
FULL_SPEED = 2
BULK = 2
INTERRUPT = 3
HID_CLASS = 3

_GET_STATUS, _CLEAR_FEATURE, _SET_FEATURE, _SET_ADDRESS = 0, 1, 3, 5
_GET_DESCRIPTOR, _GET_CONFIGURATION, _SET_CONFIGURATION, _GET_INTERFACE, _SET_INTERFACE = 6, 8, 9, 10, 11
_DEVICE, _CONFIGURATION, _STRING, _HID, _REPORT = 1, 2, 3, 0x21, 0x22
_SET_REPORT_SETUP = b"\x21\x09"
_OUTPUT_REPORT = 0x0200
_TO_DEVICE, _TO_INTERFACE, _TO_ENDPOINT = 0x00, 0x01, 0x02
_ENDPOINT_HALT = 0
_LANGUAGE_US_ENGLISH = 0x0409


class PipeStall(Exception):  # noqa: N818 - USB's own word
    """The device refuses: the host sees EPIPE."""


class PipeOverflow(Exception):  # noqa: N818
    """The device sent more than the host's buffer holds: the host sees EOVERFLOW, the data are lost."""


@dataclass(frozen=True)
class Endpoint:
    """An endpoint: its address (bit 7 = IN), largest packet, kind of transfer (``BULK``, ``INTERRUPT``) and polling interval in frames."""

    address: int
    packet: int
    kind: int = BULK
    interval: int = 0


@dataclass(frozen=True)
class Interface:
    """One interface with one setting. ``report``: its HID report descriptor, empty where it is none."""

    number: int
    interface_class: int
    subclass: int
    protocol: int
    name: str
    endpoints: tuple[Endpoint, ...]
    report: bytes = b""

    def descriptor(self, string: int) -> bytes:
        """Interface descriptor, HID descriptor where there is a report descriptor, endpoint descriptors."""
        codes = (self.interface_class, self.subclass, self.protocol)
        body = struct.pack("<BBBBBBBBB", 9, 4, self.number, 0, len(self.endpoints), *codes, string)
        if self.report:
            body += self.hid()
        for endpoint in self.endpoints:
            body += struct.pack("<BBBBHB", 7, 5, endpoint.address, endpoint.kind, endpoint.packet, endpoint.interval)
        return body

    def hid(self) -> bytes:
        """HID descriptor: version 1.11, no country, one report descriptor (HID 1.11 6.2.1)."""
        return struct.pack("<BBHBBBH", 9, _HID, 0x0111, 0, 1, _REPORT, len(self.report))


@dataclass(frozen=True)
class Description:
    """What a device says about itself (USB 2.0 9.6). An empty serial means that it has none (iSerialNumber 0)."""

    vendor_id: int
    product_id: int
    release: int
    device_class: tuple[int, int, int]
    speed: int
    manufacturer: str
    product: str
    serial: str
    interfaces: tuple[Interface, ...]
    milliamps: int = 500

    def strings(self) -> tuple[str, ...]:
        """String descriptors 1..n: manufacturer, product, serial, then the interfaces' names."""
        return (self.manufacturer, self.product, self.serial, *(each.name for each in self.interfaces))

    def round_trip(self) -> float:
        """Seconds that one OUT and one IN take at the least: a microframe at high speed, a frame at full speed (USB 2.0 5.8, 8.4.3).

        An interrupt endpoint is asked once a frame, so each direction waits for a frame of its own (5.7.4).
        """
        if any(endpoint.kind == INTERRUPT for each in self.interfaces for endpoint in each.endpoints):
            return 2e-3
        return 125e-6 if self.speed == HIGH_SPEED else 1e-3

    def device(self) -> bytes:
        """The 18 bytes of the device descriptor (9.6.1)."""
        codes = (self.vendor_id, self.product_id, self.release)
        serial = 3 if self.serial else 0
        return struct.pack("<BBHBBBBHHHBBBB", 18, _DEVICE, 0x0200, *self.device_class, 64, *codes, 1, 2, serial, 1)

    def configuration(self) -> bytes:
        """The configuration descriptor with its interfaces and endpoints (9.6.3, 9.6.5, 9.6.6)."""
        body = b""
        for index, each in enumerate(self.interfaces):
            body += each.descriptor(4 + index)
        # Attributes: bit 7 is always one; bus powered. The current counts in units of 2 mA.
        return struct.pack("<BBHBBBBB", 9, _CONFIGURATION, 9 + len(body), len(self.interfaces), 1, 0, 0x80, self.milliamps // 2) + body

    def string(self, index: int) -> bytes:
        """A string descriptor; index 0 lists the languages (9.6.7).

        Raises:
            PipeStall: there is no such string.
        """
        if index == 0:
            return struct.pack("<BBH", 4, _STRING, _LANGUAGE_US_ENGLISH)
        try:
            text = self.strings()[index - 1].encode("utf-16-le")
        except IndexError:
            raise PipeStall from None
        return struct.pack("<BB", 2 + len(text), _STRING) + text


class Firmware(Protocol):
    """What answers on the two pipes. Pure: no sockets, no threads, no clock."""

    #: Bytes of the largest message; a shorter one ends with a short packet. 0: the pipe is a stream and the firmware counts bytes.
    message_size: int
    #: Answers that the device keeps before it refuses (NAK) more messages.
    capacity: int
    #: Whether an answer whose length is a multiple of the packet, yet not the largest, ends with an empty packet.
    ends_with_empty_packet: bool

    def message(self, data: bytes) -> tuple[bytes, ...]:
        """Handle one message; return the answers, in order."""

    def released(self) -> None:
        """The host let go of the interface (closed, or died)."""

    def reset(self) -> None:
        """Bus reset or new power: forget everything."""

    def take_time(self) -> float:
        """Seconds that the messages handled since the last call would have taken on SWD; then zero."""

    def take_used(self) -> bool:
        """Whether anything was done to the target since the last call; then False."""


class InPipe:
    """Packets waiting for the host's IN tokens."""

    __slots__ = ("_ends_with_empty_packet", "_largest", "_packet", "_partial", "_queue")

    def __init__(self, packet: int, largest: int, ends_with_empty_packet: bool) -> None:
        self._packet = packet
        self._largest = largest
        self._ends_with_empty_packet = ends_with_empty_packet
        self._queue: deque[bytes] = deque()  # each entry: a message's packets, or what is left of them, or an empty packet
        self._partial = b""

    def __len__(self) -> int:
        """Entries that the host has not fetched."""
        return len(self._queue)

    def put(self, message: bytes) -> None:
        """Queue one message."""
        self._queue.append(message)
        if self._ends_with_empty_packet and message and len(message) % self._packet == 0 and len(message) < self._largest:
            self._queue.append(b"")

    def read(self, wanted: int) -> bytes | None:
        """What an IN transfer of ``wanted`` bytes brings, or None while the device has nothing to end it with (NAK).

        Raises:
            PipeOverflow: the next packet is larger than what is left of the host's buffer; it is lost.
        """
        queue = self._queue
        got = self._partial
        while queue:
            data = queue.popleft()
            room = wanted - len(got)
            if len(data) > room:
                fits = room - room % self._packet
                if fits != room:
                    self._partial = b""
                    rest = data[fits + self._packet :]
                    if rest:
                        queue.appendleft(rest)
                    raise PipeOverflow
                queue.appendleft(data[fits:])
                data = data[:fits]
            got = got + data if got else data
            if not data or len(data) % self._packet or len(got) == wanted:
                self._partial = b""
                return got
        self._partial = got
        return None

    def give_up(self) -> bytes:
        """What an IN transfer that timed out had received so far; taken out of the pipe."""
        got, self._partial = self._partial, b""
        return got

    def clear(self) -> None:
        """Forget everything queued."""
        self._queue.clear()
        self._partial = b""


class Device:
    """One plugged-in device with one OUT and one IN pipe; a HID device may have no OUT endpoint and take reports on endpoint 0."""

    def __init__(self, description: Description, firmware: Firmware) -> None:
        self.description = description
        self.firmware = firmware
        endpoints = [endpoint for interface in description.interfaces for endpoint in interface.endpoints]
        self.out_endpoint = next((each for each in endpoints if not each.address & DIRECTION_IN), None)
        self.in_endpoint = next(each for each in endpoints if each.address & DIRECTION_IN)
        self.in_pipe = InPipe(self.in_endpoint.packet, firmware.message_size or 1 << 16, firmware.ends_with_empty_packet)
        self.halted: set[int] = set()
        self.hanging = False
        self._endpoints = {each.address: each for each in endpoints}
        self._configured = 1
        self._assembled = b""

    def knows(self, endpoint: int) -> bool:
        """Whether the device has such an endpoint."""
        return endpoint in self._endpoints

    def accepts(self, on_the_way: int = 0) -> bool:
        """Whether an OUT is taken now, with so many answers not yet on the IN pipe; if not, the device answers NAK."""
        return not self.hanging and len(self.in_pipe) + on_the_way < self.firmware.capacity

    def out(self, data: bytes) -> tuple[bytes, ...]:
        """One OUT transfer: put together to a message, handled by the firmware. The answers belong on the IN pipe."""
        firmware = self.firmware
        size = firmware.message_size
        if size:
            data = self._assembled + data if self._assembled else data
            packet = self.out_endpoint.packet if self.out_endpoint is not None else size
            # A message ends with a short packet (an empty one too), or when it is as large as it can be.
            if len(data) < size and len(data) % packet == 0 and len(data) > len(self._assembled):
                self._assembled = data
                return ()
            self._assembled = b""
            data = data[:size]
        return firmware.message(data)

    def is_report(self, setup: bytes) -> bool:
        """Whether a control request is an output report for a HID interface without an OUT endpoint (HID 1.11 7.2.2)."""
        if setup[:2] != _SET_REPORT_SETUP or self.out_endpoint is not None:
            return False
        value, index = struct.unpack_from("<HH", setup, 2)
        return value == _OUTPUT_REPORT and any(each.number == index and each.report for each in self.description.interfaces)

    def released(self) -> None:
        """The host let go of the interface."""
        self._assembled = b""
        self.firmware.released()

    def reset(self) -> None:
        """Bus reset, or a new power-up."""
        self._assembled = b""
        self.halted.clear()
        self.in_pipe.clear()
        self._configured = 1
        self.firmware.reset()

    def control(self, setup: bytes) -> bytes:
        """A standard request on endpoint 0 (9.4); returns the data stage of an IN request.

        Raises:
            PipeStall: the device does not know the request.
        """
        kind, request, value, index, length = struct.unpack("<BBHHH", setup)
        target = kind & 0x1F
        if kind & 0x60:
            raise PipeStall  # class or vendor request
        if kind & DIRECTION_IN:
            return self._get(request, target, value, index)[:length]
        self._set(request, target, value, index)
        return b""

    def _get(self, request: int, target: int, value: int, index: int) -> bytes:
        if request == _GET_DESCRIPTOR:
            return self._descriptor(target, value >> 8, value & 0xFF, index)
        if request == _GET_CONFIGURATION and target == _TO_DEVICE:
            return bytes([self._configured])
        if request == _GET_STATUS:
            if target == _TO_ENDPOINT and (index == 0 or index in self._endpoints):
                return struct.pack("<H", index in self.halted)
            if target in (_TO_DEVICE, _TO_INTERFACE):
                return b"\0\0"
        if request == _GET_INTERFACE and target == _TO_INTERFACE and index < len(self.description.interfaces):
            return b"\0"
        raise PipeStall

    def _descriptor(self, target: int, kind: int, number: int, index: int) -> bytes:
        description = self.description
        if target == _TO_INTERFACE:
            for each in description.interfaces:
                if each.number == index and each.report and kind in (_HID, _REPORT):
                    return each.report if kind == _REPORT else each.hid()
        elif target == _TO_DEVICE and kind == _DEVICE:
            return description.device()
        elif target == _TO_DEVICE and kind == _CONFIGURATION and number == 0:
            return description.configuration()
        elif target == _TO_DEVICE and kind == _STRING:
            return description.string(number)
        raise PipeStall

    def _set(self, request: int, target: int, value: int, index: int) -> None:
        if request == _SET_CONFIGURATION and target == _TO_DEVICE and value in (0, 1):
            self._configured = value
            self.halted.clear()
        elif request == _SET_INTERFACE and target == _TO_INTERFACE and value == 0 and index < len(self.description.interfaces):
            self.halted.clear()
        elif request in (_CLEAR_FEATURE, _SET_FEATURE) and target == _TO_ENDPOINT and value == _ENDPOINT_HALT and index in self._endpoints:
            if request == _SET_FEATURE:
                self.halted.add(index)
            else:
                self.halted.discard(index)
        else:
            raise PipeStall
