"""The kernel's own notices that USB devices come and go: a netlink socket, read without waiting (Linux; netlink(7), kobject-uevent.txt).

Unlike a look at the list of devices it also sees one that was unplugged and plugged in again between two looks.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import Any

_KOBJECT_UEVENT = 15
_KERNEL_GROUP = 1
_LONGEST = 8192
_MOST = 1000
"""Messages read in one go: a storm must not keep the caller."""


def is_usb_change(message: bytes) -> bool:
    """Whether a kernel message says that a USB device was added or removed.

    ``add@/devices/...`` and then ``KEY=VALUE`` fields, each ended by a zero byte. What other programs send (udev's own form) is not
    looked at.
    """
    fields = message.split(b"\0")
    return fields[0].partition(b"@")[0] in (b"add", b"remove") and b"DEVTYPE=usb_device" in fields


class UEvents:
    """A subscription. Without one (another system, a container that forbids it) :attr:`alive` is False and nothing is ever heard."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        if sys.platform == "linux":
            opened = None
            try:
                opened = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, _KOBJECT_UEVENT)
                opened.bind((0, _KERNEL_GROUP))
            except OSError:
                if opened is not None:
                    opened.close()
            else:
                self._socket = opened

    @property
    def alive(self) -> bool:
        """It hears something."""
        return self._socket is not None

    def heard(self) -> bool:
        """Whether a USB device came or went since the last call. True, too, if messages were lost."""
        found = False
        for _ in range(_MOST):
            if self._socket is None:
                break
            try:
                message, sender = self._receive(self._socket)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: more came than the kernel kept for us
                return True
            # Only the kernel's own messages count: port id 0.
            found = found or (sender == 0 and is_usb_change(message))
        return found

    @staticmethod
    def _receive(opened: socket.socket) -> tuple[bytes, int]:
        message, address = opened.recvfrom(_LONGEST)
        sender: Any = address[0] if isinstance(address, tuple) else 0
        return message, int(sender)

    def close(self) -> None:
        """Give the socket back; twice is harmless."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
