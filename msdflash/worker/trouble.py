"""What really went wrong, out of an exception that pyOCD or the USB layer let escape.

pyOCD names a layer, rarely a cause; raw ``usb.core.USBError`` and plain ``KeyError`` escape, too. The chain of causes is walked, so that
"read thread exited unexpectedly" becomes the error number that ended the thread.
"""

from __future__ import annotations

import contextlib
import errno
import re
import struct
import traceback
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import msgspec
import usb.core
from pyocd.core import exceptions

from msdflash.worker import jlink

_STLINK_CODE = re.compile(r"STLink error \((\d+)\)")
_UNEXPECTED_ACK = re.compile(r"Unexpected ACK '(\d+)'")
_GONE = {errno.ENODEV, errno.EIO, errno.ENOENT, errno.ESHUTDOWN}


class Trouble(msgspec.Struct, frozen=True):
    """One error, classified.

    Attributes:
        kind: ``usb`` (the probe itself), ``link`` (the debug port did not answer properly), ``fault`` (the target's bus refused),
            ``wait`` (the bus stalled), ``other``.
        ack: word for the reading ``swd.ack``: ``no-ack``, ``ack-N``, ``wait``, ``fault``, ``parity``, ``stlink-N``, ``no-answer`` and
            ``unspecified`` (J-Link) or "".
        errno: error number of the USB transfer, or None.
        text: the error's own words, with its type.
    """

    kind: str
    ack: str
    errno: int | None
    text: str


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error, then what caused it, and so on; each once."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def classify(error: BaseException) -> Trouble:
    """Sort an escaped exception; never raises."""
    text = "; ".join(_words(item) for item in chain(error))
    for item in chain(error):
        if isinstance(item, usb.core.USBError):
            return Trouble("usb", "", item.errno or errno.EIO, text)
        if isinstance(item, PermissionError):
            return Trouble("usb", "", errno.EACCES, text)
    for item in chain(error):
        if (number := jlink.usb_errno(item)) is not None:
            return Trouble("usb", "", number, text)
    return _classify_link(error, text)


def _words(error: BaseException) -> str:
    """Type and message; where there is no message, the place that raised it."""
    if str(error) or error.__traceback__ is None:
        return f"{type(error).__name__}: {error}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name} ({PurePath(frame.filename).name})"


def deepen(trouble: Trouble, probe: Any) -> Trouble:
    """What else can be known: the error that ended pyOCD's reading thread, or what the debug port says after a J-Link's error.

    The first where its caller was told less: no error number, or a time-out that was none. ``probe`` is pyOCD's probe object or None.
    Its CMSIS-DAP interfaces keep that error (``_read_thread_exception``) until they are closed.
    """
    if trouble.ack == "unspecified" and jlink.is_jlink(probe):
        found = classify(jlink.why(probe))
        return msgspec.structs.replace(found, text=f"{trouble.text}; {found.text}")
    lost = getattr(getattr(getattr(probe, "_link", None), "_interface", None), "_read_thread_exception", None)
    if not isinstance(lost, usb.core.USBError) or trouble.errno not in (None, errno.ETIMEDOUT):
        return trouble
    found = classify(lost)
    return msgspec.structs.replace(found, text=f"{trouble.text}; {found.text}")


def is_nonsense(error: BaseException) -> bool:
    """The driver could not take a reply of the probe apart: too short, or not what was asked for."""
    return any(isinstance(item, IndexError | AssertionError | struct.error) for item in chain(error))


def _classify_link(error: BaseException, text: str) -> Trouble:
    for item in chain(error):
        message = str(item)
        if jlink.NO_ANSWER in message:
            return Trouble("link", "no-answer", None, text)
        if jlink.is_unspecified(item.__cause__ or item):
            return Trouble("link", "unspecified", None, text)
        if match := _STLINK_CODE.search(message):
            return _stlink(int(match.group(1)), item, text)
        if isinstance(item, exceptions.TransferFaultError):
            return Trouble("fault", "fault", None, text)
        if isinstance(item, exceptions.TransferTimeoutError):
            return Trouble("wait", "wait", None, text)
        if isinstance(item, exceptions.TransferProtocolError) or "protocol error" in message:
            return Trouble("link", "parity", None, text)
        if match := _UNEXPECTED_ACK.search(message):
            return Trouble("link", f"ack-{match.group(1)}", None, text)
        if "No ACK" in message:
            return Trouble("link", "no-ack", None, text)
        if isinstance(item, exceptions.TransferError):
            return Trouble("link", "error", None, text)
        if isinstance(item, exceptions.ProbeError):
            return Trouble("usb", "", _errno_in(message), text)
    return Trouble("other", "", None, text)


def _stlink(code: int, error: BaseException, text: str) -> Trouble:
    """Sort an ST-LINK status code (values: pyOCD probe/stlink/constants.py, compared with OpenOCD stlink_usb.c)."""
    ack = f"stlink-{code}"
    if code in {16, 20}:
        return Trouble("wait", ack, None, text)
    if code in {17, 21, 24, 25} or isinstance(error, exceptions.TransferFaultError):
        return Trouble("fault", ack, None, text)
    return Trouble("link", ack, None, text)


def _errno_in(message: str) -> int | None:
    match = re.search(r"\[Errno (\d+)\]", message)
    if match:
        return int(match.group(1))
    if "Timeout reading" in message:
        return errno.ETIMEDOUT
    return None


def is_gone(trouble: Trouble) -> bool:
    """The USB error says that the device is no longer there (not merely slow or stalled)."""
    return trouble.errno in _GONE


@contextlib.contextmanager
def silence_tells() -> Iterator[None]:
    """An error ends the block and is no more than the answer that there was none; only a probe that is gone raises."""
    try:
        yield
    except Exception as error:
        trouble = classify(error)
        if trouble.kind == "usb" and is_gone(trouble):
            raise
