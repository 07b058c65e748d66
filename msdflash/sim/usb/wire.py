"""Frames between a USB host (pyOCD's process) and a board's process, over a local socket.

Every connection starts with a hello that names its role; then the client asks and the board answers, one at a time:

* request: ``length u32, operation u8, endpoint u8, number u16, timeout ms u32, wanted bytes u32``, then ``length`` bytes of payload;
* reply: ``length u32, status i32``, then ``length`` bytes. A status below zero is a libusb error code, else a count.

A handle on a device is one CONTROL connection (its loss ends the session) and one ENDPOINT connection for each endpoint in use, so
that a waiting IN never holds up an OUT. ADMIN connections change the board itself. All numbers are little-endian.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import struct
from enum import IntEnum
from typing import NamedTuple

VERSION = 1
MAGIC = b"msdb"
# libusb hands transfers of up to 16 KiB to Linux in one piece and a probe needs 6 KiB; the flash of a board is fetched in such slices.
MAX_PAYLOAD = 1 << 16
TOKEN_BYTES = 16
# sun_path holds 104 bytes on macOS and 108 on Linux, with the closing zero.
MAX_UNIX_PATH = 100

_HELLO = struct.Struct("<4sHBxI16s")
_REQUEST = struct.Struct("<IBBHII")
_REPLY = struct.Struct("<Ii")
REQUEST_BYTES = _REQUEST.size
REPLY_BYTES = _REPLY.size


class WireError(Exception):
    """The other side does not keep to the protocol, or speaks another version of it."""


class RefusedError(OSError):
    """The board refuses the connection.

    Attributes:
        status: a :class:`Status`.
    """

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(f"the board refused the connection ({status}): {text}")


class Role(IntEnum):
    """What a connection is for."""

    CONTROL = 1
    ENDPOINT = 2
    ADMIN = 3


class Op(IntEnum):
    """What a request asks for."""

    OUT = 1
    IN = 2
    CONTROL = 3  # payload: 8 setup bytes, then the data of an OUT request; the wanted bytes are the setup's wLength
    CLAIM = 4  # number = interface
    RELEASE = 5
    RESET = 6
    CHANGE = 7  # admin: payload = the change as text
    TALLIES = 8  # admin: the reply is JSON
    FLASH = 9  # admin: timeout = offset, wanted = bytes
    SHUTDOWN = 10
    DRIVER_ACTIVE = 11  # number = interface; a kernel driver sits on it: 1, else 0
    DRIVER_DETACH = 12
    DRIVER_ATTACH = 13


class Status(IntEnum):
    """libusb's error codes (libusb.h, ``enum libusb_error``)."""

    OK = 0
    IO = -1
    INVALID = -2
    ACCESS = -3
    NO_DEVICE = -4
    NOT_FOUND = -5
    BUSY = -6
    TIMEOUT = -7
    OVERFLOW = -8
    PIPE = -9
    NOT_SUPPORTED = -12


class Hello(NamedTuple):
    """The first bytes of a connection."""

    role: Role
    session: int


class Request(NamedTuple):
    """One question of the host."""

    op: int
    endpoint: int
    number: int
    timeout_ms: int
    wanted: int
    payload: bytes


HELLO_BYTES = _HELLO.size


def pack_hello(role: Role, session: int, token: bytes) -> bytes:
    """The first bytes of a connection, as the client sends them."""
    return _HELLO.pack(MAGIC, VERSION, role, session, token)


def parse_hello(data: bytes, token: bytes) -> Hello:
    """Check and take apart ``HELLO_BYTES`` bytes.

    Raises:
        WireError: not a client of ours, another version, or a wrong token.
    """
    magic, version, role, session, given = _HELLO.unpack(data)
    if magic != MAGIC:
        raise WireError("not a simulated-bench client")
    if version != VERSION:
        raise WireError(f"the client speaks version {version} of the bench's protocol, this board speaks {VERSION}")
    if not hmac.compare_digest(given, token):
        raise WireError("wrong token")
    try:
        return Hello(Role(role), session)
    except ValueError as error:
        raise WireError(f"unknown role {role}") from error


def pack_request(op: int, endpoint: int, number: int, timeout_ms: int, wanted: int, payload: bytes) -> bytes:
    """One request as bytes; the caller keeps ``payload`` within ``MAX_PAYLOAD``."""
    return _REQUEST.pack(len(payload), op, endpoint, number, timeout_ms, wanted) + payload


def pack_reply(status: int, payload: bytes = b"") -> bytes:
    """One reply as bytes."""
    return _REPLY.pack(len(payload), status) + payload


class RequestStream:
    """Cuts what a socket brings into requests; never holds more than one request and its header."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[Request]:
        """Add bytes; return the requests that are complete now.

        Raises:
            WireError: a request announces more than ``MAX_PAYLOAD`` bytes.
        """
        if self._held:
            data = self._held + data
        found = []
        start = 0
        total = len(data)
        while total - start >= REQUEST_BYTES:
            length, op, endpoint, number, timeout_ms, wanted = _REQUEST.unpack_from(data, start)
            if length > MAX_PAYLOAD or wanted > MAX_PAYLOAD:
                raise WireError(f"a request of {length} bytes for {wanted} bytes; the limit is {MAX_PAYLOAD}")
            body = start + REQUEST_BYTES
            if total - body < length:
                break
            found.append(Request(op, endpoint, number, timeout_ms, wanted, data[body : body + length]))
            start = body + length
        self._held = data[start:]
        return found


class Address(NamedTuple):
    """Where a board listens: a Unix socket's path, or a TCP port on 127.0.0.1 and the token that opens it."""

    path: str | None
    port: int
    token: bytes

    def text(self) -> str:
        """The address as one word for the board file."""
        return f"unix:{self.path}" if self.path is not None else f"tcp:{self.port}:{self.token.hex()}"

    @staticmethod
    def parse(text: str) -> Address:
        """The reverse of :meth:`text`.

        Raises:
            WireError: not an address.
        """
        kind, _, rest = text.partition(":")
        if kind == "unix" and rest:
            return Address(rest, 0, bytes(TOKEN_BYTES))
        port, _, token = rest.partition(":")
        try:
            address = Address(None, int(port), bytes.fromhex(token))
        except ValueError as error:
            raise WireError(f"not a board's address: {text!r}") from error
        if kind != "tcp" or not 0 < address.port < 1 << 16 or len(address.token) != TOKEN_BYTES:
            raise WireError(f"not a board's address: {text!r}")
        return address


def listen(path: str) -> tuple[socket.socket, Address]:
    """A listening socket: at ``path`` where the system has Unix sockets and the path fits, else on 127.0.0.1 with a random token."""
    if hasattr(socket, "AF_UNIX") and len(os.fsencode(path)) <= MAX_UNIX_PATH:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        address = Address(path, 0, bytes(TOKEN_BYTES))
        target: str | tuple[str, int] = path
    else:
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        address = Address(None, 0, secrets.token_bytes(TOKEN_BYTES))
        target = ("127.0.0.1", 0)
    try:
        server.bind(target)
        server.listen(64)
        server.setblocking(False)
        if address.path is None:
            address = address._replace(port=server.getsockname()[1])
    except OSError:
        server.close()
        raise
    return server, address


def dial(address: Address, timeout: float) -> socket.socket:
    """A bare connection, no hello sent.

    Raises:
        OSError: nobody listens there.
    """
    if address.path is not None:
        if not hasattr(socket, "AF_UNIX"):
            raise OSError("this system has no Unix sockets")
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target: str | tuple[str, int] = address.path
    else:
        peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        target = ("127.0.0.1", address.port)
    try:
        peer.settimeout(timeout)
        peer.connect(target)
        if address.path is None:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        peer.close()
        raise
    return peer


class Caller:
    """The client's end of one connection: asks and waits for the answer."""

    __slots__ = ("_sock", "_timeout", "session")

    def __init__(self, address: Address, role: Role, session: int = 0, timeout: float = 5.0) -> None:
        """Connect and greet.

        Raises:
            OSError: nobody listens there, or it did not answer in ``timeout`` seconds.
            RefusedError: it does not let this connection in.
            WireError: something else listens there.
        """
        self._sock = dial(address, timeout)
        self._timeout: float | None = timeout
        try:
            self._sock.sendall(pack_hello(role, session, address.token))
            status, payload = self._receive(0)
        except OSError:
            self._sock.close()
            raise
        if status < 0:
            self._sock.close()
            raise RefusedError(status, payload.decode("utf-8", "replace"))
        self.session = status

    def call(
        self,
        op: int,
        endpoint: int = 0,
        number: int = 0,
        timeout_ms: int = 0,
        wanted: int = 0,
        payload: bytes = b"",
        patience: float | None = 5.0,
    ) -> tuple[int, bytes]:
        """Ask; return ``(status, payload)``.

        Args:
            op: an :class:`Op`; ``endpoint`` to ``payload`` as in :class:`Request`.
            endpoint: see ``op``.
            number: see ``op``.
            timeout_ms: see ``op``.
            wanted: see ``op``.
            payload: see ``op``.
            patience: seconds until TimeoutError; the connection is of no use afterwards. None waits for ever.

        Raises:
            OSError: the board is gone.
            TimeoutError: no answer in time.
        """
        if patience != self._timeout:
            self._sock.settimeout(patience)
            self._timeout = patience
        self._sock.sendall(_REQUEST.pack(len(payload), op, endpoint, number, timeout_ms, wanted) + payload)
        return self._receive(wanted)

    def _receive(self, wanted: int) -> tuple[int, bytes]:
        data = self._sock.recv(REPLY_BYTES + wanted if wanted > 248 else 256)
        while len(data) < REPLY_BYTES:
            more = self._sock.recv(256)
            if not more:
                raise ConnectionResetError("the board closed the connection")
            data += more
        length, status = _REPLY.unpack_from(data)
        missing = REPLY_BYTES + length - len(data)
        if length > MAX_PAYLOAD or missing < 0:
            raise ConnectionAbortedError("the board's answer does not keep to the protocol")
        while missing:
            more = self._sock.recv(missing)
            if not more:
                raise ConnectionResetError("the board closed the connection")
            data += more
            missing -= len(more)
        return status, data[REPLY_BYTES:]

    def close(self) -> None:
        """Close the connection; also from another thread, which ends a waiting call there."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            self._sock.close()
            return
        self._sock.close()
