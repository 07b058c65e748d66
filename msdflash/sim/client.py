"""Boards of the bench from the outside: where their bus is, which are on it, start one, change one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import platformdirs

from msdflash.sim.spec import BoardSpec
from msdflash.sim.usb.wire import MAX_PAYLOAD, Address, Caller, Op, Role, WireError

BUS_VARIABLE = "MSDFLASH_SIM_BUS"
ONLY_VARIABLE = "MSDFLASH_SIM_ONLY"
ALREADY_SERVED = 3

_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.01


class BenchError(Exception):
    """The bench cannot do what was asked; the message says why."""


def bus_folder(create: bool = True) -> Path:
    """The bus folder: ``MSDFLASH_SIM_BUS``, else a short run-time folder of this user; made readable by nobody else.

    Raises:
        BenchError: the folder belongs to somebody else, who could then change the boards.
    """
    named = os.environ.get(BUS_VARIABLE)
    path = Path(named) if named else _runtime_folder() / "bus"
    if create:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform != "win32" and path.exists() and path.stat().st_uid != os.getuid():
        raise BenchError(f"{path} belongs to another user; name another folder in {BUS_VARIABLE}")
    return path


def _runtime_folder() -> Path:
    """This user's run-time folder; platformdirs warns where it has to make one up (no XDG_RUNTIME_DIR), which is nobody's fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Path(platformdirs.user_runtime_dir("msdflash", appauthor=False, ensure_exists=False))


def environment(bus: Path, only: bool = False) -> dict[str, str]:
    """What a child process needs in its environment to see the boards of ``bus`` (``only``: and nothing else)."""
    return {BUS_VARIABLE: str(bus)} | ({ONLY_VARIABLE: "1"} if only else {})


@dataclass(frozen=True)
class Served:
    """A board that some process serves."""

    serial: str
    spec: str
    pid: int
    plugged: bool
    address: Address


def boards(bus: Path | None = None) -> list[Served]:
    """The boards that are served on a bus, also unplugged ones; by serial."""
    folder = bus or bus_folder(create=False)
    found = []
    for path in sorted(folder.glob("*.board")):
        served = _read(path)
        if served is not None:
            found.append(served)
    return found


def _read(path: Path) -> Served | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        served = Served(record["serial"], record["spec"], int(record["pid"]), bool(record["plugged"]), Address.parse(record["address"]))
        Caller(served.address, Role.ADMIN, timeout=2.0).close()
    except (OSError, ValueError, KeyError, TypeError, WireError):
        return None  # left behind by a board that was killed
    return served


def _find(serial: str, bus: Path | None) -> Served:
    folder = bus or bus_folder(create=False)
    served = _read(folder / f"{serial}.board")
    if served is None:
        there = ", ".join(each.serial for each in boards(folder)) or "none"
        raise BenchError(f"no board with serial {serial} is served on {folder}; there are: {there}")
    return served


def _ask(address: Address, op: Op, payload: bytes = b"", offset: int = 0, wanted: int = 0) -> bytes:
    try:
        caller = Caller(address, Role.ADMIN)
        try:
            status, answer = caller.call(op, 0, 0, offset, wanted, payload, 30.0)
        finally:
            caller.close()
    except OSError as error:
        raise BenchError(f"the board's process does not answer: {error}") from error
    if status < 0:
        raise BenchError(answer.decode("utf-8", "replace") or f"the board refused ({status})")
    return answer


def change(serial: str, text: str, bus: Path | None = None) -> None:
    """Change a board: ``fault=NAME[:ARG]``, ``fault=none``, ``power=on|off``, ``unplug``, ``replug``.

    Raises:
        BenchError: no such board, or no such change.
    """
    _ask(_find(serial, bus).address, Op.CHANGE, text.encode())


class RunningBoard:
    """A board of the bench; as a context manager it ends with the block, if it was started here."""

    def __init__(self, spec: BoardSpec, bus: Path, process: subprocess.Popen[bytes] | None) -> None:
        self.spec = spec
        self.serial = spec.serial
        self.bus = bus
        self.process = process

    def set(self, change_text: str) -> None:
        """As :func:`change`."""
        change(self.serial, change_text, self.bus)

    def flash(self, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes of the main flash array, from ``offset`` on."""
        address = _find(self.serial, self.bus).address
        found = b""
        while length is None or len(found) < length:
            wanted = MAX_PAYLOAD if length is None else min(MAX_PAYLOAD, length - len(found))
            part = _ask(address, Op.FLASH, b"", offset + len(found), wanted)
            found += part
            if len(part) < wanted:
                break
        return found

    def tallies(self) -> dict[str, Any]:
        """Counts of USB transfers and of what the board counts, since its start."""
        answer: dict[str, Any] = json.loads(_ask(_find(self.serial, self.bus).address, Op.TALLIES))
        return answer

    def stop(self) -> None:
        """End the board's process; its flash stays in the bus folder. Only a board that was started here is ended."""
        if self.process is None:
            return
        if self.process.stdin is not None:
            self.process.stdin.close()
        else:
            self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self) -> RunningBoard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def start(spec: BoardSpec, owned: bool = True, bus: Path | None = None) -> RunningBoard:
    """Serve a board in a process of its own and wait until it is on the bus; attach to it where it is served already.

    Args:
        spec: which board.
        owned: the board ends when this process does, however it ends.
        bus: the bus folder; default :func:`bus_folder`.

    Raises:
        BenchError: it did not start; with what its process said.
    """
    folder = bus or bus_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    record = folder / f"{spec.serial}.board"
    if _read(record) is not None:
        return RunningBoard(spec, folder, None)
    log = folder / f"{spec.serial}.log"
    command = [sys.executable, "-m", "msdflash.sim.serve", *(["--owned"] if owned else []), "--bus", str(folder), spec.text()]
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE if owned else subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
    board = RunningBoard(spec, folder, process)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        served = _read(record)
        if served is not None and served.pid == process.pid:
            return board
        if process.poll() is not None:
            board.stop()
            if process.returncode == ALREADY_SERVED:  # somebody else was quicker
                while _read(record) is None and time.monotonic() < deadline:
                    time.sleep(_POLL_SECONDS)
                return RunningBoard(spec, folder, None)
            raise BenchError(f"the board's process ended with status {process.returncode}: {_tail(log)}")
        time.sleep(_POLL_SECONDS)
    process.kill()
    board.stop()
    raise BenchError(f"the board was not on the bus after {_START_SECONDS:.0f} s: {_tail(log)}")


def _tail(log: Path) -> str:
    try:
        return log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
    except OSError:
        return ""
