"""SEGGER's J-Link library as pylink sees it: a Python object with the C functions that pyOCD's J-Link driver comes to call.

pylink loads a closed library by ctypes and calls its functions. This object takes that library's place in a process that asks for the
bench, so that pylink's and pyOCD's own code runs unchanged down to the C call. That is the lowest place where a model can stand: below it
everything is SEGGER's. Arguments are ctypes' own (structures by reference, buffers), results are the numbers that pylink looks for.

Names, structures, result codes and their texts are pylink's (``jlink.py``, ``structs.py``, ``enums.py``, pylink-square 1.7). Functions that
pyOCD 0.46 does not reach are missing, as in an older library: to ctypes' callers that is AttributeError.

* ASSUMED: a broken connection is found by the next call, which returns "emulator communication error" (-257) where it returns anything;
  from then on ``JLINKARM_EMU_IsConnected`` is 0.
* ASSUMED: a probe that another program has claimed is listed, and opening it fails with a text.
* ASSUMED: a probe without a serial number, or with one that is no number, is not listed.
* ASSUMED: the library has one connection for each process, whoever asks; selecting and opening again ends the one before.
* No target connection by device name (``JLINKARM_Connect``): no device is known, so every caller goes through the CoreSight functions.
* SWD only.
"""

from __future__ import annotations

import contextlib
import ctypes
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import usb.core

from msdflash.sim.usb.backend import SimulatedDevice, SimulatedHandle, devices
from msdflash.sim.usb.jlink import ANSWER, PRODUCT, REQUEST, STATE, UNSPECIFIED, VENDOR, Ask
from msdflash.sim.usb.wire import Op

VERSION = 81200
"""8.12: the release that the model calls itself; below 9.14, from where on pyOCD takes another order of calls."""

NO_CONNECTION, COMMUNICATION_ERROR, NOT_OPEN = -256, -257, -258
_SWD = 1
_TIMEOUT_MS = 3000  # ASSUMED
_CANNOT_OPEN = b"Cannot connect to J-Link."  # ASSUMED words
_NO_SERIAL = -1


class Function:
    """One C function: callable, and with the attributes that ctypes' users set."""

    restype: Any = None
    argtypes: Any = None

    def __init__(self, how: Callable[..., Any]) -> None:
        self._how = how

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        return self._how(*arguments)


class JLinkArm:
    """The library. Its C functions are attributes.

    Args:
        bus: the bench's bus folder.
    """

    def __init__(self, bus: Path) -> None:
        self._bus = bus
        self._lock = threading.RLock()
        self._chosen: int | None = None
        self._handle: SimulatedHandle | None = None
        self._lost = False
        self._keep = b""
        functions: dict[str, Callable[..., Any]] = {
            "JLINKARM_GetDLLVersion": lambda: VERSION,
            "JLINKARM_GetCompileDateTime": lambda: ctypes.c_char_p(b"Jan  1 2026 00:00:00"),
            "JLINKARM_GetRegisterName": lambda _index: ctypes.c_char_p(b""),
            "JLINKARM_EMU_GetNumDevices": lambda: len(self._listed()),
            "JLINKARM_EMU_GetList": self._get_list,
            "JLINKARM_EMU_SelectByUSBSN": self._select,
            "JLINKARM_OpenEx": self._open,
            "JLINKARM_Close": self._close,
            "JLINKARM_IsOpen": lambda: int(self._handle is not None),
            "JLINKARM_EMU_IsConnected": lambda: int(self._handle is not None and not self._lost),
            "JLINKARM_IsConnected": lambda: 0,
            "JLINKARM_Connect": lambda: UNSPECIFIED,
            "JLINKARM_DEVICE_GetIndex": lambda _name: -1,
            "JLINKARM_ExecCommand": lambda _command, _errors, _size: 0,
            "JLINKARM_TIF_GetAvailable": self._interfaces,
            "JLINKARM_TIF_Select": lambda interface: int(interface != _SWD),
            "JLINKARM_SetSpeed": lambda kilohertz: self._ask(Ask.SPEED, 0, kilohertz)[0],
            "JLINKARM_GetHWStatus": self._hardware_status,
            "JLINKARM_SetRESET": lambda: self._ask(Ask.RESET, 0, 1)[0],
            "JLINKARM_ClrRESET": lambda: self._ask(Ask.RESET, 0, 0)[0],
            "JLINKARM_CORESIGHT_Configure": lambda _text: self._ask(Ask.SELECT_SWD)[0],
            "JLINKARM_CORESIGHT_ReadAPDPReg": self._read,
            "JLINKARM_CORESIGHT_WriteAPDPReg": lambda register, ap, value: self._ask(Ask.WRITE, register | 4 * ap, value & 0xFFFFFFFF)[0],
            "JLINKARM_GetSN": lambda: self._chosen or 0,
        }
        for name in ("EnableLog", "EnableLogCom", "SetErrorOutHandler", "SetWarnOutHandler"):
            functions[f"JLINKARM_{name}"] = lambda _handler: None
        self._functions = {name: Function(how) for name, how in functions.items()}

    def __getattr__(self, name: str) -> Function:
        """A C function. Raises AttributeError, as ctypes does, for one that the library does not have."""
        try:
            return self._functions[name]
        except KeyError:
            raise AttributeError(f"{name}: symbol not found") from None

    # --- which probes there are ---------------------------------------------------------------------------------------------------------

    def _listed(self) -> list[tuple[int, SimulatedDevice]]:
        """Serial number and device of every J-Link that may be opened."""
        found = []
        for device in devices(self._bus):
            if struct.unpack_from("<HH", device.device, 8) == (VENDOR, PRODUCT):
                serial = _serial(device)
                if serial != _NO_SERIAL:
                    found.append((serial, device))
        return found

    def _get_list(self, _host: int, info: Any, room: int) -> int:
        found = self._listed()
        if info:
            for place, (serial, device) in zip(info[:room], found, strict=False):
                place.SerialNumber, place.Connection, place.USBAddr, place.acProduct = serial, 1, device.number, b"J-Link"
        return len(found)

    def _select(self, serial: int) -> int:
        for index, (number, _) in enumerate(self._listed()):
            if number == serial:
                self._chosen = serial
                return index
        return -1

    # --- opening and closing ------------------------------------------------------------------------------------------------------------

    def _open(self, _log: Any, _errors: Any) -> Any:
        """None, or why it cannot be opened, in words."""
        with self._lock:
            self._close()
            device = next((device for number, device in self._listed() if number == self._chosen), None)
            if device is not None:
                with contextlib.suppress(usb.core.USBError):
                    handle = SimulatedHandle(device)
                    try:
                        handle.control(Op.CLAIM, 0)
                    except usb.core.USBError:
                        handle.close()
                        raise
                    self._handle, self._lost = handle, False
                    return None
            return ctypes.c_char_p(_CANNOT_OPEN)

    def _close(self) -> None:
        with self._lock:
            handle, self._handle = self._handle, None
            self._chosen = self._chosen if handle is None else None
            if handle is not None:
                with contextlib.suppress(usb.core.USBError):
                    handle.control(Op.RELEASE, 0)
                handle.close()

    # --- what goes over the wire --------------------------------------------------------------------------------------------------------

    def _exchange(self, ask: Ask, register: int, value: int, size: int) -> bytes | None:
        """An answer of ``size`` bytes; None when the connection is lost, now or before."""
        with self._lock:
            if self._handle is None or self._lost:
                return None
            try:
                self._handle.transfer(Op.OUT, 0x01, _TIMEOUT_MS, 0, REQUEST.pack(ask, register, value))
                answer = self._handle.transfer(Op.IN, 0x81, _TIMEOUT_MS, 512, b"")[1]
            except usb.core.USBError:
                answer = b""
            if len(answer) != size:
                self._lost = True
                return None
            return answer

    def _ask(self, ask: Ask, register: int = 0, value: int = 0) -> tuple[int, int]:
        answer = self._exchange(ask, register, value, ANSWER.size)
        if answer is None:
            return (NOT_OPEN if self._handle is None else COMMUNICATION_ERROR), 0
        status, word = ANSWER.unpack(answer)
        return status, word

    def _read(self, register: int, ap: int, into: Any) -> int:
        status, word = self._ask(Ask.READ, register | 4 * ap)
        if status >= 0:
            _behind(into).value = word
        return status

    def _interfaces(self, into: Any) -> None:
        _behind(into).value = 1 << _SWD

    def _hardware_status(self, into: Any) -> int:
        """1 when it cannot be read."""
        answer = self._exchange(Ask.STATE, 0, 0, STATE.size)
        if answer is None:
            return 1
        status = _behind(into)
        status.VTarget, status.tck, status.tdi, status.tdo, status.tms, status.tres, status.trst = STATE.unpack(answer)
        return 0


def _behind(reference: Any) -> Any:
    """What ctypes' ``byref`` points to."""
    return reference._obj  # noqa: SLF001  (ctypes has no other name for it)


def _serial(device: SimulatedDevice) -> int:
    """The number out of a device's descriptors; :data:`_NO_SERIAL` where there is none, or it may not be opened."""
    index = device.device[16]
    try:
        handle = SimulatedHandle(device)
    except usb.core.USBError:
        return _NO_SERIAL
    try:
        data = (
            handle.control(Op.CONTROL, 0, _TIMEOUT_MS, 255, struct.pack("<BBHHH", 0x80, 6, 3 << 8 | index, 0x0409, 255)) if index else b""
        )
    except usb.core.USBError:
        return _NO_SERIAL
    finally:
        handle.close()
    text = data[2:].decode("utf-16-le", "replace")
    return int(text) if text.isascii() and text.isdigit() and int(text) < 1 << 32 else _NO_SERIAL


def install(bus: str, only: bool) -> JLinkArm:
    """Let pylink find the bench's library where it looks for SEGGER's.

    Args:
        bus: the bus folder.
        only: never look for SEGGER's. Otherwise that one is taken where there is one, and the bench's J-Links are not seen then.
    """
    import pylink.library

    library = JLinkArm(Path(bus))
    kind = pylink.library.Library
    original = getattr(kind.load_default, "original", kind.load_default)

    def load_default(self: Any) -> bool:
        if not only and original(self):
            return True
        self._lib = library
        return True

    load_default.original = original  # type: ignore[attr-defined]  # so that a second install does not stack
    kind.load_default = load_default
    return library
