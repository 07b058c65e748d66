"""One board's process: ``python -m msdflash.sim.serve [--owned] [--bus FOLDER] SPEC``.

Files in the bus folder, by the probe's serial: ``.board`` says where it is served (written by rename, gone when it ends), ``.lock`` keeps
a second process from serving it, ``.state`` holds flash, options and power between runs. ``HASH.sock`` is its Unix socket.
With ``trace=on`` it leaves ``.trace`` when it ends: :class:`msdflash.sim.trace.Trace`.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import filelock
import msgspec

from msdflash.sim.client import ALREADY_SERVED, bus_folder
from msdflash.sim.spec import BoardSpec, Fault, SpecError, parse, parse_fault
from msdflash.sim.usb import cmsisdap, jlink, stlink
from msdflash.sim.usb.device import Device
from msdflash.sim.usb.faults import USB_FAULTS
from msdflash.sim.usb.hosttree import HostTree
from msdflash.sim.usb.hub import Hub
from msdflash.sim.usb.wire import Op, Request, Status, listen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType
    from typing import Any

    from msdflash.sim.port import TargetPort

_WRONG_USE = 2

# Firmware of the target runs in slices while nobody asks anything of it: this often, for this long after the last traffic, and never
# for more than a tenth of the machine.
_SLICE_SECONDS = 0.02
_LIFE_SECONDS = 2.0
_REST_PER_WORK = 9.0
_QUIET_BEFORE_SAVE = 0.3

_REPLACE_TRIES = 50

STATE_MAGIC = b"msdflash bench state 1\n"
_CHANGES = "fault=NAME[:ARG], fault=none, power=on, power=off, unplug, replug"


class SimulatedBoard(Protocol):
    """What is needed of :class:`msdflash.sim.board.Board`."""

    flash_time: Callable[[float], None] | None

    @property
    def port(self) -> TargetPort:
        """The connector."""

    def set_fault(self, name: str, argument: str) -> None:
        """Bring a fault about."""

    def clear_faults(self) -> None:
        """End all faults."""

    def set_power(self, on: bool) -> None:
        """Switch the supply."""

    def advance(self, seconds: float) -> None:
        """Let the target live on."""

    def flash_bytes(self) -> bytes:
        """The main flash array."""

    def state(self) -> bytes:
        """All that outlives a power cycle."""

    def restore(self, data: bytes) -> None:
        """The reverse of :meth:`state`."""

    def tallies(self) -> Mapping[str, Any]:
        """Counts."""

    def record(self) -> None:
        """Keep a record of the target's wires from now on."""

    def trace(self) -> list[str]:
        """The record so far."""

    def close(self) -> None:
        """Free what it holds."""


class Bench:
    """A board, its probe and its place on the bus.

    Args:
        spec: which board.
        bus: the bus folder, there already.
        board: the simulated board.
    """

    def __init__(self, spec: BoardSpec, bus: Path, board: SimulatedBoard) -> None:
        self.spec = spec
        self._bus = bus
        self._board = board
        self._powered = True
        self._plugs = int(time.time())
        self._running = True
        self._saved_crc = 0
        self._dirty = False
        self._touched = time.monotonic()
        self._restore()
        self.device = self._build()
        self._serial = self.device.description.serial
        # A short name: a Unix socket's whole path has to fit into about a hundred bytes.
        self._socket_path = bus / f"{hashlib.sha256(spec.serial.encode()).hexdigest()[:12]}.sock"
        self._socket_path.unlink(missing_ok=True)
        server, self._address = listen(str(self._socket_path))
        self.hub = Hub(server, self._address, self.device, self, spec.timed)
        self._return_ms: int | None = None
        self._return_at: float | None = None
        self._tree = HostTree(bus, spec.serial)
        self.hub.on_bind = self._tree.bind
        if spec.traced:
            board.record()
        if spec.timed:
            board.flash_time = self.hub.add_time
        self.hub.on_vanish = self._vanish
        self._announce()
        try:
            for fault in spec.faults:
                self._set_fault(fault)
        except SpecError:
            self._close()
            raise

    def run(self, wake: socket.socket, ready: Callable[[], None]) -> None:
        """Serve until told to stop; bytes on ``wake`` tell it to. ``ready`` is called when the board is on the bus."""
        self.hub.watch(wake, self.stop)
        ready()
        try:
            last = next_slice = time.monotonic()
            while self._running:
                alive = self._dirty or self.hub.in_use or time.monotonic() - self._touched < _LIFE_SECONDS
                until = next_slice if alive else None
                if self._return_at is not None:
                    until = min(until or self._return_at, self._return_at)
                busy = self.hub.step(until)
                now = time.monotonic()
                if self._return_at is not None and now >= self._return_at:
                    self._plug()
                if self.device.firmware.take_used():
                    self._touch(now)
                if busy:
                    last = last if alive else now  # it slept until now
                    next_slice = max(next_slice, now + _SLICE_SECONDS)
                elif now >= next_slice:
                    self._board.advance(min(now - last, _SLICE_SECONDS))
                    last = time.monotonic()
                    next_slice = last + max(_SLICE_SECONDS, _REST_PER_WORK * (last - now))
                    if self._dirty and last - self._touched > _QUIET_BEFORE_SAVE:
                        self._save()
        finally:
            self._close()
            # A fault lasts as long as the board is served: option bytes that one of them set must not lock the next board of that serial.
            self._board.clear_faults()
            self._save()
            if self.spec.traced:
                _write(self._bus / f"{self.spec.serial}.trace", "".join(f"{line}\n" for line in self._board.trace()).encode())
            self._board.close()

    def _close(self) -> None:
        self.hub.close()
        self._tree.hide()
        for path in (self._record, self._socket_path):
            path.unlink(missing_ok=True)

    def stop(self) -> None:
        """End :meth:`run` at its next turn."""
        self._running = False

    def _touch(self, now: float) -> None:
        """Something was done to the target: its firmware may have work to do, and its flash may be another one."""
        self._touched = now
        self._dirty = True

    # Admin.

    def admin(self, request: Request) -> tuple[int, bytes]:
        """Carry out an admin request (:class:`msdflash.sim.usb.hub.Admin`)."""
        if request.op == Op.CHANGE:
            try:
                self._change(request.payload.decode("utf-8", "replace"))
            except SpecError as error:
                return Status.INVALID, str(error).encode()
            self._touch(time.monotonic())
            return 0, b""
        if request.op == Op.TALLIES:
            return 0, json.dumps({"usb": self.hub.transfers, **self._board.tallies()}).encode()
        if request.op == Op.FLASH:
            return 0, bytes(self._board.flash_bytes()[request.timeout_ms : request.timeout_ms + request.wanted])
        if request.op == Op.SHUTDOWN:
            self.stop()
            return 0, b""
        return Status.NOT_SUPPORTED, b"unknown request"

    def _change(self, text: str) -> None:
        key, _, value = text.partition("=")
        if text == "fault=none":
            self._board.clear_faults()
            self._clear_usb_faults()
        elif key == "fault" and value:
            self._set_fault(parse_fault(value))
        elif text in ("power=on", "power=off"):
            self._powered = value == "on"
            self._board.set_power(self._powered and self.hub.plugged)
        elif text == "unplug":
            self._unplug()
        elif text == "replug":
            self._replug()
        else:
            raise SpecError(f"no change {text!r}; there are: {_CHANGES}")

    def _set_fault(self, fault: Fault) -> None:
        if fault.name not in USB_FAULTS:
            try:
                self._board.set_fault(fault.name, fault.argument)
            except ValueError as error:
                raise SpecError(f"fault {fault.text()}: {error}") from error
        else:
            row = USB_FAULTS[fault.name]
            row.apply(self, fault.argument or row.default or "")

    def _clear_usb_faults(self) -> None:
        self.hub.clear_faults()
        self._return_ms = None
        self._tree.let_go()
        self.hub.tell_bindings()
        if self.device.description.serial != self._serial:
            self.name(self._serial)
        if self._return_at is not None:
            self._plug()

    # What faults do (:class:`msdflash.sim.usb.faults.Faulty`).

    def come_back_after(self, milliseconds: int) -> None:
        """When the device vanishes, it comes back after so long, with a new address; the target keeps its power."""
        self._return_ms = milliseconds

    def name(self, serial: str) -> None:
        """Come back at once with this serial; empty: with none."""
        self.device.description = dataclasses.replace(self.device.description, serial=serial)
        if self.hub.plugged:
            self._take_off()
            self._plug()

    def hold_node(self) -> None:
        """Keep the device's node open."""
        self._tree.hold()
        self.hub.tell_bindings()

    def forbid_node(self) -> None:
        """Take everybody's right to open the device's node."""
        self._tree.forbid()

    # Plug.

    def _take_off(self) -> None:
        """The device is gone from the bus; what the target does is another matter."""
        self.hub.plugged = False
        self._announce()  # first: who is told "no device" shall not find it on the bus
        self.hub.unplug()

    def _vanish(self) -> None:
        """In the middle of a transfer: for good with its power, or for a while."""
        if self._return_ms is None:
            self._unplug()
            return
        self._take_off()
        self._return_at = time.monotonic() + self._return_ms / 1000
        self._return_ms = None

    def _unplug(self) -> None:
        """The cable feeds the board as well: without it the target has no power either."""
        self._return_at = None
        if self.hub.plugged:
            self._take_off()
        self._board.set_power(False)

    def _plug(self) -> None:
        """On the bus again, under a new address."""
        self._return_at = None
        self._plugs += 1
        self.hub.plug()
        self._announce()

    def _replug(self) -> None:
        self._unplug()
        self._board.set_power(self._powered)
        self._plug()

    # The probe.

    def _build(self) -> Device:
        spec, kind = self.spec, self.spec.kind
        if spec.probe in stlink.MODELS:
            model = stlink.MODELS[spec.probe]
            link = stlink.StLink(model, self._board.port, kind.mbed_id, not kind.st_chip, self._pass_time)
            return Device(stlink.description(model, spec.serial), link)
        if spec.probe == jlink.KIND:
            return Device(jlink.description(spec.serial), jlink.JLink(self._board.port, self._pass_time))
        profile = cmsisdap.PROFILES[spec.probe]
        identity = cmsisdap.Identity(spec.serial, board_vendor=kind.vendor, board_name=kind.title, target_name=kind.part)
        dap = cmsisdap.CmsisDap(self._board.port, profile, identity, self._pass_time)
        return Device(cmsisdap.description(profile, identity), dap)

    def _pass_time(self, seconds: float) -> None:
        """The probe's firmware waits: so does everybody, since wires and reset supervisors go by the clock on the wall."""
        end = time.monotonic() + seconds
        self._board.advance(seconds)
        time.sleep(max(0.0, end - time.monotonic()))

    # Files.

    @property
    def _record(self) -> Path:
        return self._bus / f"{self.spec.serial}.board"

    @property
    def _state(self) -> Path:
        return self._bus / f"{self.spec.serial}.state"

    def _announce(self) -> None:
        description = self.device.description
        # USB addresses are 1 to 127; a device gets another one each time it is plugged in.
        wanted = 1 + (zlib.crc32(self.spec.serial.encode()) + self._plugs) % 127
        if self.hub.plugged:
            number = self._tree.show(description, wanted)
            self.hub.bind_kernel()
            if self.hub.open_refusal is not None:
                self._tree.forbid()
        else:
            self._tree.hide()
            number = 0
        record = {
            "serial": self.spec.serial,
            "spec": self.spec.text(),
            "pid": os.getpid(),
            "plugged": self.hub.plugged,
            "address": self._address.text(),
            "device": description.device().hex(),
            "configuration": description.configuration().hex(),
            "number": number,
            "node": str(self._tree.node),
            "port": 1 + zlib.crc32(self.spec.serial.encode()) % 15,
            "speed": description.speed,
        }
        _write(self._record, json.dumps(record).encode())

    def _save(self) -> None:
        self._dirty = False
        head = json.dumps({"board": self.spec.board, "powered": self._powered}).encode() + b"\n"
        data = STATE_MAGIC + head + self._board.state()
        crc = zlib.crc32(data)
        if crc != self._saved_crc:
            _write(self._state, data)
            self._saved_crc = crc

    def _restore(self) -> None:
        try:
            data = self._state.read_bytes()
        except FileNotFoundError:
            return
        magic, head, body = data[: len(STATE_MAGIC)], *data[len(STATE_MAGIC) :].partition(b"\n")[::2]
        try:
            record = json.loads(head)
            if (magic, record["board"]) == (STATE_MAGIC, self.spec.board):
                self._board.restore(body)
                self._powered = bool(record["powered"])
                self._board.set_power(self._powered)
                return
            error: Exception = ValueError("it is of another board or version")
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError, zlib.error) as found:
            error = found
        kept = self._state.with_suffix(".state-unused")
        self._state.replace(kept)
        sys.stderr.write(f"{self._state.name} is not used ({error}); it is kept as {kept.name}, the board starts as new\n")


def _write(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".new")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        _replace(Path(name), path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _replace(new: Path, path: Path) -> None:
    """Rename over ``path``. Windows refuses while somebody reads it, which is over in a moment."""
    for _ in range(_REPLACE_TRIES):
        with suppress(PermissionError):
            new.replace(path)
            return
        time.sleep(0.01)
    new.replace(path)


def _await_end_of_input(done: Callable[[], None]) -> None:
    with suppress(OSError):
        while os.read(0, 1):
            pass
    done()


def serve(spec: BoardSpec, bus: Path, owned: bool, ready: Callable[[], None] = lambda: None) -> int:
    """Serve a board until it is told to stop.

    Args:
        spec: which board.
        bus: the bus folder, there already.
        owned: end also when standard input closes.
        ready: called when the board is on the bus.

    Returns:
        The exit status: 0, or ``ALREADY_SERVED``, or 2 for a fault that the board does not know.
    """
    from msdflash.sim.board import Board

    lock = filelock.FileLock(bus / f"{spec.serial}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        sys.stderr.write(f"{spec.serial} is served already on {bus}\n")
        return ALREADY_SERVED
    wake, waker = socket.socketpair()
    try:
        wake.setblocking(False)
        waker.setblocking(False)

        def end(_number: int = 0, _frame: FrameType | None = None) -> None:
            with suppress(OSError):
                waker.send(b"x")

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        if owned:
            # A thread, because a select on Windows takes no pipe; it only waits for the owner's end of the pipe to close.
            threading.Thread(target=_await_end_of_input, args=(end,), daemon=True).start()
        board: SimulatedBoard = Board(spec.board, spec.probe, zlib.crc32(spec.serial.encode()))
        Bench(spec, bus, board).run(wake, ready)
    except SpecError as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG_USE
    finally:
        wake.close()
        waker.close()
        lock.release()
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m msdflash.sim.serve", description="Serve one simulated board.")
    parser.add_argument("--owned", action="store_true", help="end when standard input closes")
    parser.add_argument("--bus", type=Path, help="bus folder")
    parser.add_argument("spec", help="BOARD[,probe=KIND][,serial=ID][,fault=NAME[:ARG]]...[,time=on]")
    options = parser.parse_args(arguments)
    try:
        spec = parse(options.spec)
    except SpecError as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG_USE
    bus = options.bus or bus_folder()
    bus.mkdir(mode=0o700, parents=True, exist_ok=True)
    return serve(spec, bus, options.owned)


if __name__ == "__main__":
    sys.exit(main())
