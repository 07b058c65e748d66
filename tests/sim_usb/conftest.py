"""A target that is nothing but a DP, a MEM-AP and some memory, for byte-level tests; and real boards on a bus of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msdflash.sim import client
from msdflash.sim.port import Ack, Drive

MEMORY = range(0x20000000, 0x20000800)


class Target:
    """Words of memory behind SWD: AP accesses outside ``MEMORY`` fault, as do all AP accesses until ABORT clears the sticky flag."""

    def __init__(self) -> None:
        self.memory: dict[int, int] = {}
        self.select = self.tar = self.csw = self.ctrl = self.posted = 0
        self.sticky = False
        self.power_up_acknowledged = True
        self.answers: list[Ack] = []  # what the next transfers answer instead
        self.log: list[tuple[int, int]] = []
        self.sequences: list[tuple[bytes, int]] = []
        self.drives: list[Drive] = []
        self.level = True
        self.volts = 3.3
        self.hertz = 0

    def sequence(self, data: bytes, bits: int) -> None:
        self.sequences.append((data, bits))

    def transfer(self, request: int, data: int = 0) -> tuple[int, int]:
        self.log.append((request, data))
        if self.answers:
            answer = self.answers.pop(0)
            if answer != Ack.OK:
                return answer, 0
        if not request & 1:
            return self._dp(request, data)
        if self.sticky:
            return Ack.FAULT, 0
        before = self.posted
        register = self.select & 0xF0 | request & 0xC
        if request & 2:
            self.posted = self._read(register)
            return Ack.OK, before
        self._write(register, data)
        return Ack.OK, 0

    def _dp(self, request: int, data: int) -> tuple[int, int]:
        register = request & 0xC
        if self.sticky and request not in (0x02, 0x06, 0x00):  # DPIDR, CTRL/STAT and ABORT work always (ADIv5.2 B4.2.4)
            return Ack.FAULT, 0
        if request & 2:
            status = self.ctrl | (self.ctrl & 0x50000000 if self.power_up_acknowledged else 0) << 1 | self.sticky << 5
            return Ack.OK, {0: 0x2BA01477, 4: status, 8: 0, 12: self.posted}[register]
        if register == 0:
            self.sticky = False
        elif register == 4:
            self.ctrl = data
        elif register == 8:
            self.select = data
        return Ack.OK, 0

    def _read(self, register: int) -> int:
        if register == 0xC:
            at = self.tar & ~3
            self.sticky |= at not in MEMORY
            self.tar += 1 << (self.csw & 3)
            return self.memory.get(at, 0)
        return {0: self.csw, 4: self.tar, 0xFC: 0x24770011 if self.select >> 24 == 0 else 0}.get(register, 0)

    def _write(self, register: int, data: int) -> None:
        if register == 0:
            self.csw = data
        elif register == 4:
            self.tar = data
        elif register == 0xC:
            at = self.tar & ~3
            self.sticky |= at not in MEMORY
            lanes = {0: 0xFF, 1: 0xFFFF, 2: 0xFFFFFFFF}[self.csw & 3] << 8 * (self.tar & 3)
            self.memory[at] = self.memory.get(at, 0) & ~lanes | data & lanes
            self.tar += 1 << (self.csw & 3)

    def read_block(self, request: int, count: int, retries: int = 0) -> tuple[int, bytes]:
        out = b""
        for index in range(count + bool(request & 1)):
            ack, value = self._patient(request if index < count else 0x0E, 0, retries)
            if ack != Ack.OK:
                return ack, out
            if index or not request & 1:
                out += value.to_bytes(4, "little")
        return Ack.OK, out

    def read_still(self, count: int) -> bytes:
        del count
        return b""

    def write_block(self, request: int, words: bytes, retries: int = 0) -> tuple[int, int]:
        for index in range(len(words) // 4):
            ack, _ = self._patient(request, int.from_bytes(words[4 * index : 4 * index + 4], "little"), retries)
            if ack != Ack.OK:
                return ack, index
        return Ack.OK, len(words) // 4

    def _patient(self, request: int, data: int, retries: int) -> tuple[int, int]:
        answer = self.transfer(request, data)
        while answer[0] == Ack.WAIT and retries:
            retries -= 1
            answer = self.transfer(request, data)
        return answer

    def set_nreset(self, drive: Drive) -> None:
        self.drives.append(drive)
        self.level = drive != Drive.LOW

    def nreset(self) -> bool:
        return self.level

    def swdio(self) -> bool:
        return True

    def vtref(self) -> float:
        return self.volts

    def set_clock(self, hertz: int) -> None:
        self.hertz = hertz


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture(scope="session")
def target_type() -> type[Target]:
    return Target


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bus")


@pytest.fixture(scope="module")
def run(bus: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a Python child that sees the bus and nothing else, with standard input closed."""

    def child(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=os.environ | client.environment(bus, only=True) | extra,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
            cwd=bus,
        )

    return child


@pytest.fixture(scope="module")
def serve(bus: Path) -> Iterator[Callable[[str], client.RunningBoard]]:
    """Start boards that end with the module."""
    from msdflash.sim.spec import parse

    started: list[client.RunningBoard] = []

    def start(text: str) -> client.RunningBoard:
        started.append(client.start(parse(text), bus=bus))
        return started[-1]

    yield start
    for board in started:
        board.stop()
