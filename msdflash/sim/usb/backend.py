"""A pyusb backend that shows the bench's boards beside the real USB devices, in the process of any pyusb user.

Errors are those that pyusb's libusb1 backend raises: ``USBError(text, libusb code, errno)``, ``USBTimeoutError`` for a timeout,
``NotImplementedError`` for "not supported", IndexError past the last descriptor. Timings and refusals come from the board's process.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import usb.backend
import usb.core

from msdflash.sim.usb.wire import Address, Caller, Op, RefusedError, Role, Status, WireError, dial

if TYPE_CHECKING:
    from array import array

BUS_VARIABLE = "MSDFLASH_SIM_BUS"
ONLY_VARIABLE = "MSDFLASH_SIM_ONLY"

# A board that does not answer within the USB timeout and this much more is as good as hung.
_MARGIN = 3.0
_GREETING = 2.0

_TEXTS = {
    Status.IO: ("Input/Output Error", "EIO"),
    Status.INVALID: ("Invalid parameter", "EINVAL"),
    Status.ACCESS: ("Access denied (insufficient permissions)", "EACCES"),
    Status.NO_DEVICE: ("No such device (it may have been disconnected)", "ENODEV"),
    Status.NOT_FOUND: ("Entity not found", "ENOENT"),
    Status.BUSY: ("Resource busy", "EBUSY"),
    Status.TIMEOUT: ("Operation timed out", "ETIMEDOUT"),
    Status.OVERFLOW: ("Overflow", "EOVERFLOW"),
    Status.PIPE: ("Pipe error", "EPIPE"),
}


def usb_error(status: int) -> Exception:
    """The exception of pyusb's libusb1 backend for a libusb error code."""
    if status == Status.NOT_SUPPORTED:
        return NotImplementedError("Operation not supported or unimplemented on this platform")
    try:
        text, name = _TEXTS[Status(status)]
    except (KeyError, ValueError):
        text, name = "Other error", ""
    kind: type[Exception] = usb.core.USBTimeoutError if status == Status.TIMEOUT else usb.core.USBError
    return kind(text, status, getattr(errno, name, None))


class SimulatedDevice:
    """One board that is on the bus: what its file in the bus folder says."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.address = Address.parse(record["address"])
        self.device = bytes.fromhex(record["device"])
        self.configuration = bytes.fromhex(record["configuration"])
        self.number = int(record["number"])
        self.port = int(record["port"])
        self.speed = int(record["speed"])
        self.node = str(record.get("node", ""))


class SimulatedHandle:
    """An open device: one connection for control, one for each endpoint in use."""

    def __init__(self, device: SimulatedDevice) -> None:
        self._address = device.address
        self._lock = threading.Lock()
        self._endpoints: dict[int, Caller] = {}
        self._gone = False
        self._node = _open_node(device.node)
        try:
            self._control = Caller(device.address, Role.CONTROL, timeout=_GREETING)
        except (OSError, WireError) as error:
            self._close_node()
            if isinstance(error, TimeoutError):
                raise usb_error(Status.TIMEOUT) from None
            refused = isinstance(error, RefusedError) and error.status == Status.ACCESS
            raise usb_error(Status.ACCESS if refused else Status.NO_DEVICE) from None

    def control(self, op: int, index: int = 0, timeout_ms: int = 1000, wanted: int = 0, payload: bytes = b"") -> bytes:
        """A request on the control connection; raises what libusb would."""
        with self._lock:
            if self._gone:
                raise usb_error(Status.NO_DEVICE)
            try:
                status, answer = self._control.call(op, 0, index, timeout_ms, wanted, payload, _patience(timeout_ms))
            except TimeoutError:
                self._gone = True  # the connection is out of step now
                raise usb_error(Status.TIMEOUT) from None
            except OSError:
                self._gone = True
                raise usb_error(Status.NO_DEVICE) from None
        if status < 0:
            raise usb_error(status)
        return answer if op != Op.DRIVER_ACTIVE else bytes([status])

    def transfer(self, op: int, endpoint: int, timeout_ms: int, wanted: int, payload: bytes) -> tuple[int, bytes]:
        """A bulk transfer; raises what libusb would."""
        caller = self._endpoints.get(endpoint) or self._dial(endpoint)
        try:
            status, answer = caller.call(op, endpoint, 0, timeout_ms, wanted, payload, _patience(timeout_ms))
        except TimeoutError:
            # A late answer must not be taken for that of the next request.
            self._endpoints.pop(endpoint, None)
            caller.close()
            raise usb_error(Status.TIMEOUT) from None
        except OSError:
            raise usb_error(Status.NO_DEVICE) from None
        if status < 0:
            raise usb_error(status)
        return status, answer

    def close(self) -> None:
        """End the session; a transfer that waits in another thread ends with "no device"."""
        self._control.close()
        self._close_node()
        for caller in list(self._endpoints.values()):
            caller.close()

    def _close_node(self) -> None:
        if self._node is not None:
            os.close(self._node)
            self._node = None

    def _dial(self, endpoint: int) -> Caller:
        with self._lock:
            try:
                caller = Caller(self._address, Role.ENDPOINT, self._control.session, _GREETING)
            except TimeoutError:
                raise usb_error(Status.TIMEOUT) from None
            except (OSError, WireError):
                raise usb_error(Status.NO_DEVICE) from None
            self._endpoints[endpoint] = caller
            return caller


def _open_node(node: str) -> int | None:
    """Open the device's node as libusb does on Linux, so that the system knows who has it open; EACCES is libusb's, too."""
    if sys.platform != "linux":
        return None
    try:
        return os.open(node, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        raise usb_error(Status.ACCESS) from None
    except OSError:
        return None


def _patience(timeout_ms: int) -> float | None:
    return timeout_ms / 1000 + _MARGIN if timeout_ms else None  # libusb: zero waits for ever


def devices(bus: Path) -> list[SimulatedDevice]:
    """The boards on the bus, in the order of their serials. Files of boards that died are passed over."""
    found = []
    try:
        names = sorted(entry.name for entry in os.scandir(bus) if entry.name.endswith(".board"))
    except OSError:
        return []
    for name in names:
        try:
            record = json.loads((bus / name).read_text(encoding="utf-8"))
            if not record["plugged"]:
                continue
            device = SimulatedDevice(record)
            dial(device.address, 0.5).close()
        except TimeoutError:
            found.append(device)  # stopped, yet still on the bus
        except (OSError, ValueError, KeyError, TypeError, WireError):
            continue
        else:
            found.append(device)
    return found


class Backend(usb.backend.IBackend):  # type: ignore[misc]  # pyusb has no types
    """Simulated devices first, then those of ``real`` (asked for only when needed; it may yield None)."""

    def __init__(self, bus: Path, real: Callable[[], Any | None]) -> None:
        super().__init__()
        self._bus = bus
        self._find_real = real
        self._found_real = False
        self._real: Any | None = None

    def _theirs(self) -> Any:
        if not self._found_real:
            self._real = self._find_real()
            self._found_real = True
        return self._real

    # Enumeration and descriptors.

    def enumerate_devices(self) -> Iterator[Any]:
        """All devices."""
        yield from devices(self._bus)
        real = self._theirs()
        if real is not None:
            yield from real.enumerate_devices()

    def get_parent(self, dev: Any) -> Any:
        """The hub above a device; the bench has none."""
        return None if isinstance(dev, SimulatedDevice) else self._theirs().get_parent(dev)

    def get_device_descriptor(self, dev: Any) -> Any:
        """The device descriptor with bus, address, port and speed."""
        if not isinstance(dev, SimulatedDevice):
            return self._theirs().get_device_descriptor(dev)
        names = (
            "bLength bDescriptorType bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol bMaxPacketSize0 idVendor idProduct bcdDevice "
            "iManufacturer iProduct iSerialNumber bNumConfigurations"
        )
        fields = dict(zip(names.split(), struct.unpack("<BBHBBBBHHHBBBB", dev.device), strict=True))
        # A bus number of its own keeps the boards apart from real devices with the same address.
        return SimpleNamespace(**fields, bus=255, address=dev.number, port_number=dev.port, port_numbers=(dev.port,), speed=dev.speed)

    def get_configuration_descriptor(self, dev: Any, config: int) -> Any:
        """The configuration descriptor."""
        if not isinstance(dev, SimulatedDevice):
            return self._theirs().get_configuration_descriptor(dev, config)
        if config:
            raise IndexError(f"Invalid configuration index {config}")
        names = "bLength bDescriptorType wTotalLength bNumInterfaces bConfigurationValue iConfiguration bmAttributes bMaxPower"
        return _named(names, "<BBHBBBBB", dev.configuration[:9])

    def get_interface_descriptor(self, dev: Any, intf: int, alt: int, config: int) -> Any:
        """An interface descriptor; IndexError past the last."""
        if not isinstance(dev, SimulatedDevice):
            return self._theirs().get_interface_descriptor(dev, intf, alt, config)
        names = (
            "bLength bDescriptorType bInterfaceNumber bAlternateSetting bNumEndpoints bInterfaceClass bInterfaceSubClass "
            "bInterfaceProtocol iInterface"
        )
        return _named(names, "<9B", _interfaces(dev.configuration)[intf][alt][0])

    def get_endpoint_descriptor(self, dev: Any, ep: int, intf: int, alt: int, config: int) -> Any:
        """An endpoint descriptor; IndexError past the last."""
        if not isinstance(dev, SimulatedDevice):
            return self._theirs().get_endpoint_descriptor(dev, ep, intf, alt, config)
        names = "bLength bDescriptorType bEndpointAddress bmAttributes wMaxPacketSize bInterval"
        found = _named(names, "<BBBBHB", _interfaces(dev.configuration)[intf][alt][1 + ep])
        found.bRefresh = found.bSynchAddress = 0
        return found

    # Handles.

    def open_device(self, dev: Any) -> Any:
        """Open a device."""
        return SimulatedHandle(dev) if isinstance(dev, SimulatedDevice) else self._theirs().open_device(dev)

    def close_device(self, dev_handle: Any) -> None:
        """Close it; its claims end."""
        if isinstance(dev_handle, SimulatedHandle):
            dev_handle.close()
        else:
            self._theirs().close_device(dev_handle)

    def get_configuration(self, dev_handle: Any) -> int:
        """Number of the active configuration."""
        if isinstance(dev_handle, SimulatedHandle):
            return self._standard(dev_handle, 0x80, 8, 0, 0, 1)[0]
        return int(self._theirs().get_configuration(dev_handle))

    def set_configuration(self, dev_handle: Any, config_value: int) -> None:
        """Choose a configuration."""
        if isinstance(dev_handle, SimulatedHandle):
            self._standard(dev_handle, 0x00, 9, config_value, 0)
        else:
            self._theirs().set_configuration(dev_handle, config_value)

    def set_interface_altsetting(self, dev_handle: Any, intf: int, altsetting: int) -> None:
        """Choose an alternate setting."""
        if isinstance(dev_handle, SimulatedHandle):
            self._standard(dev_handle, 0x01, 11, altsetting, intf)
        else:
            self._theirs().set_interface_altsetting(dev_handle, intf, altsetting)

    def clear_halt(self, dev_handle: Any, ep: int) -> None:
        """End a stall."""
        if isinstance(dev_handle, SimulatedHandle):
            self._standard(dev_handle, 0x02, 1, 0, ep)
        else:
            self._theirs().clear_halt(dev_handle, ep)

    def reset_device(self, dev_handle: Any) -> None:
        """Bus reset."""
        if isinstance(dev_handle, SimulatedHandle):
            dev_handle.control(Op.RESET)
        else:
            self._theirs().reset_device(dev_handle)

    def claim_interface(self, dev_handle: Any, intf: int) -> None:
        """Claim an interface: EBUSY while another handle has it."""
        if isinstance(dev_handle, SimulatedHandle):
            dev_handle.control(Op.CLAIM, intf)
        else:
            self._theirs().claim_interface(dev_handle, intf)

    def release_interface(self, dev_handle: Any, intf: int) -> None:
        """Let go of an interface."""
        if isinstance(dev_handle, SimulatedHandle):
            dev_handle.control(Op.RELEASE, intf)
        else:
            self._theirs().release_interface(dev_handle, intf)

    def is_kernel_driver_active(self, dev_handle: Any, intf: int) -> bool:
        """Whether a kernel driver sits on an interface; NotImplementedError on Windows, as libusb's."""
        if not isinstance(dev_handle, SimulatedHandle):
            return bool(self._theirs().is_kernel_driver_active(dev_handle, intf))
        if sys.platform == "win32":
            raise usb_error(Status.NOT_SUPPORTED)
        return dev_handle.control(Op.DRIVER_ACTIVE, intf) == b"\1"

    def detach_kernel_driver(self, dev_handle: Any, intf: int) -> None:
        """Take it off; ENOENT if there is none."""
        if isinstance(dev_handle, SimulatedHandle):
            dev_handle.control(Op.DRIVER_DETACH, intf)
        else:
            self._theirs().detach_kernel_driver(dev_handle, intf)

    def attach_kernel_driver(self, dev_handle: Any, intf: int) -> None:
        """Put it back; EBUSY while a program has claimed the interface."""
        if isinstance(dev_handle, SimulatedHandle):
            dev_handle.control(Op.DRIVER_ATTACH, intf)
        else:
            self._theirs().attach_kernel_driver(dev_handle, intf)

    # Transfers.

    def bulk_write(self, dev_handle: Any, ep: int, intf: int, data: array[int], timeout: int) -> int:
        """OUT; the number of bytes that went."""
        if isinstance(dev_handle, SimulatedHandle):
            return dev_handle.transfer(Op.OUT, ep, timeout, 0, data.tobytes())[0]
        return int(self._theirs().bulk_write(dev_handle, ep, intf, data, timeout))

    def bulk_read(self, dev_handle: Any, ep: int, intf: int, buff: array[int], timeout: int) -> int:
        """IN into ``buff``; the number of bytes that came."""
        if not isinstance(dev_handle, SimulatedHandle):
            return int(self._theirs().bulk_read(dev_handle, ep, intf, buff, timeout))
        _, answer = dev_handle.transfer(Op.IN, ep, timeout, len(buff) * buff.itemsize, b"")
        memoryview(buff).cast("B")[: len(answer)] = answer
        return len(answer)

    def intr_write(self, dev_handle: Any, ep: int, intf: int, data: array[int], timeout: int) -> int:
        """Interrupt OUT; the number of bytes that went."""
        if isinstance(dev_handle, SimulatedHandle):
            return self.bulk_write(dev_handle, ep, intf, data, timeout)
        return int(self._theirs().intr_write(dev_handle, ep, intf, data, timeout))

    def intr_read(self, dev_handle: Any, ep: int, intf: int, size: array[int], timeout: int) -> int:
        """Interrupt IN; the number of bytes that came."""
        if isinstance(dev_handle, SimulatedHandle):
            return self.bulk_read(dev_handle, ep, intf, size, timeout)
        return int(self._theirs().intr_read(dev_handle, ep, intf, size, timeout))

    def iso_write(self, dev_handle: Any, ep: int, intf: int, data: array[int], timeout: int) -> int:
        """Isochronous OUT; the bench's devices have no such endpoints."""
        if isinstance(dev_handle, SimulatedHandle):
            raise usb_error(Status.NOT_FOUND)
        return int(self._theirs().iso_write(dev_handle, ep, intf, data, timeout))

    def iso_read(self, dev_handle: Any, ep: int, intf: int, size: array[int], timeout: int) -> int:
        """Isochronous IN; the bench's devices have no such endpoints."""
        if isinstance(dev_handle, SimulatedHandle):
            raise usb_error(Status.NOT_FOUND)
        return int(self._theirs().iso_read(dev_handle, ep, intf, size, timeout))

    def ctrl_transfer(
        self,
        dev_handle: Any,
        bmRequestType: int,  # noqa: N803  (pyusb's names)
        bRequest: int,  # noqa: N803
        wValue: int,  # noqa: N803
        wIndex: int,  # noqa: N803
        data: array[int],
        timeout: int,
    ) -> int:
        """A control transfer; the number of bytes of its data stage."""
        if not isinstance(dev_handle, SimulatedHandle):
            return int(self._theirs().ctrl_transfer(dev_handle, bmRequestType, bRequest, wValue, wIndex, data, timeout))
        length = len(data) * data.itemsize
        setup = struct.pack("<BBHHH", bmRequestType, bRequest, wValue, wIndex, length)
        if not bmRequestType & 0x80:
            dev_handle.control(Op.CONTROL, 0, timeout, 0, setup + data.tobytes())
            return length
        answer = dev_handle.control(Op.CONTROL, 0, timeout, length, setup)
        memoryview(data).cast("B")[: len(answer)] = answer
        return len(answer)

    @staticmethod
    def _standard(handle: SimulatedHandle, kind: int, request: int, value: int, index: int, length: int = 0) -> bytes:
        return handle.control(Op.CONTROL, 0, 1000, length, struct.pack("<BBHHH", kind, request, value, index, length))


def _named(names: str, layout: str, data: bytes) -> SimpleNamespace:
    return SimpleNamespace(**dict(zip(names.split(), struct.unpack(layout, data), strict=True)), extra_descriptors=[])


def _interfaces(configuration: bytes) -> list[list[list[bytes]]]:
    """Interfaces by index, each a list of its settings, each an interface descriptor followed by its endpoint descriptors."""
    found: dict[int, list[list[bytes]]] = {}
    current: list[bytes] = []
    at = configuration[0]
    while at + 2 <= len(configuration) and configuration[at]:
        descriptor = configuration[at : at + configuration[at]]
        if descriptor[1] == 4:
            current = [descriptor]
            found.setdefault(descriptor[2], []).append(current)
        elif descriptor[1] == 5:
            current.append(descriptor)
        at += descriptor[0]
    return [found[number] for number in sorted(found)]


def install(bus: str, only: bool) -> Backend:
    """Put the bench in front of libusb for everybody in this process who asks ``libusb_package`` for devices, as pyOCD does.

    Args:
        bus: the bus folder.
        only: show nothing but the bench; the real libusb is not even loaded.
    """
    import libusb_package

    present = libusb_package.get_libusb1_backend
    original = getattr(present, "original", present)
    backend = Backend(Path(bus), (lambda: None) if only else original)

    def get_libusb1_backend() -> Backend:
        return backend

    get_libusb1_backend.original = original  # type: ignore[attr-defined]  # so that a second install does not stack
    libusb_package.get_libusb1_backend = get_libusb1_backend
    return backend
