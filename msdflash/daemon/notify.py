"""Words to the service manager: ready, what is being done, still alive, reloading, stopping.

The protocol is sd_notify(3) of systemd: lines ``NAME=value`` in one datagram to the socket that ``NOTIFY_SOCKET`` names; a name that begins
with ``@`` stands for an abstract one. Where the variable is missing, as on every other system, all of this does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

SOCKET_VARIABLE = "NOTIFY_SOCKET"
_LONGEST_STATUS = 200


class Notifier:
    """Speaks to the service manager that started this process, if one did.

    Attributes:
        watchdog: seconds within which it wants to hear ``WATCHDOG=1``; None if it does not watch this process.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Read what the manager asks for. Opens nothing; raises nothing."""
        environ = os.environ if environ is None else environ
        name = environ.get(SOCKET_VARIABLE, "")
        # Only these two forms are sockets of the file system's or the abstract kind; anything else is not for us.
        self._address = "\0" + name[1:] if name.startswith("@") else name if name.startswith("/") else ""
        self.watchdog = _watchdog(environ) if self._address else None
        self._status = ""
        self._fed = float("-inf")

    def ready(self) -> None:
        """The start, or a reload, is over."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is being read again; :meth:`ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1", "STATUS=ending")

    def status(self, text: str) -> None:
        """What is being done now, one line; sent when it has changed."""
        text = " ".join(text.split())[:_LONGEST_STATUS]
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def feed(self) -> None:
        """All is well; sent three times in each span that the watchdog allows, however often it is called."""
        now = time.monotonic()
        if self.watchdog is not None and now - self._fed >= self.watchdog / 3:
            self._fed = now
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if sys.platform == "win32" or not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0)) as link:
                link.setblocking(False)  # a manager that does not read must not hold us up
                link.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)
        except OSError as error:
            log.debug("the service manager was not told %s: %s", lines[0], error)


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """See sd_watchdog_enabled(3): ``WATCHDOG_USEC``, unless ``WATCHDOG_PID`` names another process."""
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", "0"))
        meant = int(environ.get("WATCHDOG_PID") or os.getpid())
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 and meant == os.getpid() else None
