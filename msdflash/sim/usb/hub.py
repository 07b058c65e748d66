"""The port that a simulated device is plugged into: connections of hosts, sessions, claims, waiting transfers. One thread, one select.

What the kernel does for a real device (who may open it, who has claimed an interface, what happens to transfers when the cable is
pulled) happens here, in the board's process, because that is the one place that all host processes share.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from msdflash.sim.usb.device import DIRECTION_IN, HID_CLASS, Device, PipeOverflow, PipeStall
from msdflash.sim.usb.wire import HELLO_BYTES, Address, Op, Request, RequestStream, Role, Status, WireError, pack_reply, parse_hello

_RECEIVE = 1 << 14
# A look-up in an enumeration costs as much as ten of a plain name, and each USB transfer makes several.
_ENDPOINT, _ADMIN = Role.ENDPOINT, Role.ADMIN
_IN, _OUT, _CONTROL = Op.IN, Op.OUT, Op.CONTROL
_NEVER = float("inf")
_KERNEL_DRIVER = "usbhid"
_PROGRAM = "usbfs"  # Linux's name for the driver of an interface that a program has claimed


class Admin(Protocol):
    """What changes or shows the board itself."""

    def admin(self, request: Request) -> tuple[int, bytes]:
        """Carry out an admin request; ``(status, payload)``."""


class _OpenRefused(Exception):  # noqa: N818 - private way out
    """This host may not open the device."""


class _Session:
    """One open handle."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.claims: set[int] = set()
        self.connections: list[_Connection] = []


class _Connection:
    """One socket of a client."""

    __slots__ = ("held", "role", "session", "sock", "stream")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.held = b""
        self.role: Role | None = None
        self.session: _Session | None = None
        self.stream = RequestStream()


class _Waiting:
    """A transfer that the device answers with NAK until something changes or its time is over."""

    __slots__ = ("connection", "deadline", "request")

    def __init__(self, connection: _Connection, request: Request, deadline: float) -> None:
        self.connection = connection
        self.request = request
        self.deadline = deadline


class Hub:
    """Serves one device to every host process that connects.

    Args:
        server: listening socket, not blocking.
        address: where it listens; its token is asked of every client.
        device: what is plugged in.
        admin: carries out admin requests.
        timed: answers come as late as USB, SWD and what :meth:`add_time` tells would bring them.
    """

    def __init__(
        self,
        server: socket.socket,
        address: Address,
        device: Device,
        admin: Admin,
        timed: bool = False,
    ) -> None:
        self.device = device
        self.plugged = True
        self.unplug_after: int | None = None
        self.transfers = {"out": 0, "in": 0, "control": 0, "nak": 0}
        self.on_vanish: Callable[[], None] = lambda: None
        self.on_bind: Callable[[int, str], None] = lambda _interface, _driver: None
        # Faults.
        self.open_refusal: Status | None = None
        self.claimed_elsewhere = False
        self.short_after: int | None = None
        self.late = 0.0
        self._kernel: set[int] = set()
        self._admin = admin
        self._timed = timed
        self._extra = 0.0
        self._ready_at = 0.0
        self._delayed: deque[tuple[float, bytes]] = deque()
        self._token = address.token
        self._server = server
        self._sessions: dict[int, _Session] = {}
        self._next_session = 1
        self._waiting: list[_Waiting] = []
        self._connections: set[_Connection] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(server, selectors.EVENT_READ, None)

    @property
    def in_use(self) -> bool:
        """Whether some host has claimed an interface."""
        return any(session.claims for session in self._sessions.values())

    def add_time(self, seconds: float) -> None:
        """The target was busy for so long; the next answer is as much later."""
        self._extra += seconds

    def watch(self, sock: socket.socket, handler: Callable[[], None]) -> None:
        """Call ``handler`` when ``sock`` becomes readable."""
        self._selector.register(sock, selectors.EVENT_READ, handler)

    def bind_kernel(self) -> None:
        """As when the device is plugged in: the kernel's HID driver takes every HID interface (modelled on Linux only)."""
        self._kernel = set()
        if sys.platform == "linux":
            self._kernel = {each.number for each in self.device.description.interfaces if each.interface_class == HID_CLASS}
        self.tell_bindings()

    def tell_bindings(self) -> None:
        """Tell which driver has each interface."""
        for each in self.device.description.interfaces:
            self._tell_binding(each.number)

    def clear_faults(self) -> None:
        """End every fault of port and device."""
        self.unplug_after = self.open_refusal = self.short_after = None
        self.claimed_elsewhere = False
        self.late = 0.0
        self.device.hanging = False
        self.device.halted.clear()

    def step(self, until: float | None) -> bool:
        """Wait for events until ``until`` (``time.monotonic()``; None: for ever), handle them; True if there were any."""
        timeout = self._wait_time(until)
        if self._timed and timeout is not None and 0 < timeout < 1e-3:
            time.sleep(timeout)  # a selector rounds up to milliseconds
            timeout = 0
        events = self._selector.select(timeout)
        for key, _ in events:
            owner = key.data
            if type(owner) is _Connection:
                if owner in self._connections:  # not closed by an event before it in this batch
                    self._readable(owner)
            elif owner is None:
                self._accept()
            else:
                owner()
        if self._waiting or self._delayed:
            self._serve_waiting()
        return bool(events)

    def close(self) -> None:
        """Close everything; hosts see that the device is gone."""
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()
        self._server.close()

    def unplug(self) -> None:
        """Pull the cable: every session dies, and whatever a host does or waits for ends with "no device"."""
        self.plugged = False
        self.unplug_after = None
        self.short_after = None
        self.late = 0.0
        self.claimed_elsewhere = False
        for session in list(self._sessions.values()):
            for connection in list(session.connections):
                self._drop(connection)
        self._delayed.clear()
        self.device.hanging = False
        self.device.reset()

    def plug(self) -> None:
        """Plug it in again; it starts as new."""
        self.device.reset()
        self.plugged = True

    # Connections.

    def _accept(self) -> None:
        try:
            sock, _ = self._server.accept()
        except OSError:
            return
        sock.setblocking(False)
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(sock)
        self._connections.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, connection)

    def _drop(self, connection: _Connection) -> None:
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        self._selector.unregister(connection.sock)
        connection.sock.close()
        self._waiting = [each for each in self._waiting if each.connection is not connection]
        session = connection.session
        if session is None:
            return
        session.connections.remove(connection)
        if connection.role is Role.CONTROL:
            self._sessions.pop(session.number, None)
            for other in list(session.connections):
                self._drop(other)
            self._release(session, session.claims.copy())

    def _release(self, session: _Session, interfaces: set[int]) -> None:
        held = session.claims & interfaces
        session.claims -= interfaces
        if held:
            self.device.released()
        for each in held:
            self._tell_binding(each)

    def _claimed(self, interface: int, session: _Session | None = None) -> bool:
        """Whether another than ``session`` has it."""
        if self.claimed_elsewhere:
            return True
        if len(self._sessions) == 1 and session is not None and session.number in self._sessions:
            return False
        return any(interface in other.claims for other in self._sessions.values() if other is not session)

    def _tell_binding(self, interface: int) -> None:
        program = self._claimed(interface)
        self.on_bind(interface, _PROGRAM if program else _KERNEL_DRIVER if interface in self._kernel else "")

    def _readable(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        try:
            if connection.role is None:
                data = self._greet(connection, data)
            for request in connection.stream.feed(data):
                self._handle(connection, request)
        except WireError as error:
            self._reply(connection, Status.INVALID, str(error).encode())
            self._drop(connection)
        except _OpenRefused:
            self._reply(connection, self.open_refusal or Status.ACCESS)
            self._drop(connection)

    def _greet(self, connection: _Connection, data: bytes) -> bytes:
        """Take the hello; return what came after it."""
        connection.held += data
        if len(connection.held) < HELLO_BYTES:
            return b""
        hello = parse_hello(connection.held[:HELLO_BYTES], self._token)
        rest, connection.held = connection.held[HELLO_BYTES:], b""
        connection.role = hello.role
        if hello.role is Role.ADMIN:
            self._reply(connection, 0)
            return rest
        if not self.plugged:
            raise WireError("unplugged")
        if hello.role is Role.CONTROL:
            if self.open_refusal is not None:
                raise _OpenRefused
            session = _Session(self._next_session)
            self._next_session += 1
            self._sessions[session.number] = session
        else:
            found = self._sessions.get(hello.session)
            if found is None:
                raise WireError("no such session")
            session = found
        connection.session = session
        session.connections.append(connection)
        self._reply(connection, session.number)
        return rest

    def _reply(self, connection: _Connection, status: int, payload: bytes = b"") -> None:
        try:
            data = pack_reply(status, payload)
            if connection.sock.send(data) == len(data):
                return
        except OSError:
            pass
        # A client that does not read its own answers is not worth waiting for.
        self._drop(connection)

    # Requests.

    def _handle(self, connection: _Connection, request: Request) -> None:
        session = connection.session
        if connection.role is _ADMIN:
            status, payload = self._admin.admin(request)
            self._reply(connection, status, payload)
        elif session is None or connection not in self._connections:
            return  # dropped meanwhile
        elif connection.role is _ENDPOINT:
            self._transfer(connection, session, request)
        else:
            self._control(connection, session, request)

    def _control(self, connection: _Connection, session: _Session, request: Request) -> None:
        op, index = request.op, request.number
        status, payload = int(Status.OK), b""
        if op == Op.CONTROL and self.device.is_report(request.payload[:8]):
            self._transfer(connection, session, request)
            return
        if op == Op.CONTROL:
            self.transfers["control"] += 1
            try:
                payload = self.device.control(request.payload[:8])
                status = len(payload)
            except PipeStall:
                status = Status.PIPE
            except ValueError:
                status = Status.INVALID
        elif op == Op.CLAIM:
            if all(index != interface.number for interface in self.device.description.interfaces):
                status = Status.NOT_FOUND
            elif self._claimed(index, session) or index in self._kernel:
                status = Status.BUSY
            else:
                session.claims.add(index)
                self._tell_binding(index)
        elif op == Op.RELEASE:
            if index not in session.claims:
                status = Status.NOT_FOUND
            self._release(session, {index})
        elif op in (Op.DRIVER_ACTIVE, Op.DRIVER_DETACH, Op.DRIVER_ATTACH):
            status = self._driver(op, index)
        elif op == Op.RESET:
            self._delayed.clear()
            self.device.reset()
        else:
            status = Status.NOT_SUPPORTED
        self._reply(connection, status, payload)

    def _driver(self, op: int, interface: int) -> int:
        """The kernel's driver on an interface, as libusb asks and moves it (Linux: USBDEVFS_GETDRIVER, _DISCONNECT, _CONNECT)."""
        known = next((each for each in self.device.description.interfaces if each.number == interface), None)
        if known is None or (op == Op.DRIVER_DETACH and interface not in self._kernel):
            return Status.NOT_FOUND
        if op == Op.DRIVER_ACTIVE:
            return int(interface in self._kernel)
        if op == Op.DRIVER_DETACH:
            self._kernel.discard(interface)
        elif self._claimed(interface):
            return Status.BUSY
        elif interface in self._kernel or known.interface_class != HID_CLASS or sys.platform != "linux":
            return Status.NOT_FOUND
        else:
            self._kernel.add(interface)
        self._tell_binding(interface)
        return Status.OK

    def _transfer(self, connection: _Connection, session: _Session, request: Request) -> None:
        if self.unplug_after is not None:
            if self.unplug_after <= 0:
                self.on_vanish()  # in this very transfer
                return
            self.unplug_after -= 1
        if self._claimed(0, session):
            self._reply(connection, Status.BUSY)
            return
        op, endpoint = request.op, request.endpoint
        if op == _CONTROL:
            if not self._try(connection, request):
                self._wait(connection, request)
        elif not self.device.knows(endpoint):
            self._reply(connection, Status.NOT_FOUND)
        elif (op == _IN) != bool(endpoint & DIRECTION_IN) or op not in (_IN, _OUT):
            self._reply(connection, Status.INVALID)
        elif not self._try(connection, request):
            self._wait(connection, request)

    def _wait(self, connection: _Connection, request: Request) -> None:
        self.transfers["nak"] += 1
        deadline = time.monotonic() + request.timeout_ms / 1000 if request.timeout_ms else _NEVER
        self._waiting.append(_Waiting(connection, request, deadline))

    def _try(self, connection: _Connection, request: Request) -> bool:
        """Carry a transfer out, or find that the device answers NAK (False)."""
        device = self.device
        endpoint = request.endpoint
        if endpoint in device.halted:
            self._reply(connection, Status.PIPE)
            return True
        if request.op != _IN:
            if not device.accepts(len(self._delayed)):
                return False
            self.transfers["out"] += 1
            data = request.payload if request.op == _OUT else request.payload[8:]
            # The host's transfer is complete when the device has taken the packets; the firmware works on them after that.
            self._reply(connection, len(data) if request.op == _OUT else 0)
            self._queue(device.out(data))
            if self._waiting and not self._delayed:
                self._serve_waiting()
            return True
        if device.hanging or endpoint != device.in_endpoint.address:
            return False
        try:
            found = device.in_pipe.read(request.wanted)
        except PipeOverflow:
            self._reply(connection, Status.OVERFLOW)
            return True
        if found is None:
            return False
        self.transfers["in"] += 1
        self._reply(connection, len(found), found)
        return True

    def _queue(self, answers: tuple[bytes, ...]) -> None:
        """Put answers on the IN pipe, at once or when they would be there."""
        if self.short_after is not None:
            answers = tuple(self._shortened(answer) for answer in answers)
        if not self._timed and not self.late:
            for answer in answers:
                self.device.in_pipe.put(answer)
            return
        cost = self.late
        if self._timed:
            cost += self.device.description.round_trip() + self.device.firmware.take_time() + self._extra
            self._extra = 0.0
        self._ready_at = max(time.monotonic(), self._ready_at) + cost
        self._delayed.extend((self._ready_at, answer) for answer in answers)

    def _shortened(self, answer: bytes) -> bytes:
        if self.short_after:
            self.short_after -= 1
            return answer
        return answer[: max(1, len(answer) // 2)]

    def _serve_waiting(self) -> None:
        now = time.monotonic()
        if len(self._waiting) == 1 and not self._delayed and now < self._waiting[0].deadline:
            each = self._waiting.pop()
            if not self._try(each.connection, each.request):
                self._waiting.append(each)
            return
        while self._delayed and self._delayed[0][0] <= now:
            self.device.in_pipe.put(self._delayed.popleft()[1])
        for each in list(self._waiting):
            if each not in self._waiting:
                continue  # ended by one before it
            self._waiting.remove(each)
            if self._try(each.connection, each.request):
                continue
            if now < each.deadline:
                self._waiting.append(each)
            elif each.request.op == _IN and (data := self.device.in_pipe.give_up()):
                self._reply(each.connection, len(data), data)  # a timeout that brought something is not an error to pyusb
            else:
                self._reply(each.connection, Status.TIMEOUT)

    def _wait_time(self, until: float | None) -> float | None:
        earliest = until if until is not None else _NEVER
        for each in self._waiting:
            earliest = min(earliest, each.deadline)
        if self._delayed:
            earliest = min(earliest, self._delayed[0][0])
        return None if earliest == _NEVER else max(0.0, earliest - time.monotonic())
