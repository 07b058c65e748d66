"""A board on its own, a few-line debugger on it, and pyOCD itself on top, with no USB and no probe firmware in between."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from pyocd.core import exceptions
from pyocd.core.session import Session
from pyocd.probe.debug_probe import DebugProbe

from msdflash.sim.board import Board
from msdflash.sim.debugger import Debugger
from msdflash.sim.port import Ack, Drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from msdflash.sim.port import TargetPort

ERRORS = {
    Ack.FAULT: exceptions.TransferFaultError,
    Ack.WAIT: exceptions.TransferTimeoutError,
}


class PortProbe(DebugProbe):  # type: ignore[misc]
    def __init__(self, port: TargetPort) -> None:
        super().__init__()
        self._port = port
        self._open = False

    vendor_name = "msdflash"
    product_name = "bench"
    unique_id = "BENCH"
    supported_wire_protocols: ClassVar = [DebugProbe.Protocol.DEFAULT, DebugProbe.Protocol.SWD]
    wire_protocol = DebugProbe.Protocol.SWD
    capabilities: ClassVar = {DebugProbe.Capability.SWJ_SEQUENCE, DebugProbe.Capability.SWD_SEQUENCE}

    @property
    def is_open(self) -> bool:
        return self._open

    def open(self) -> None:
        self._open = True

    def close(self) -> None:
        self._open = False

    def connect(self, protocol: Any = None) -> None: ...

    def disconnect(self) -> None: ...

    def set_clock(self, frequency: float) -> None:
        self._port.set_clock(int(frequency))

    def swj_sequence(self, length: int, bits: int) -> None:
        self._port.sequence(bits.to_bytes((length + 7) // 8, "little"), length)

    def swd_sequence(self, sequences: Sequence[tuple[int, ...]]) -> tuple[int, list[bytes]]:
        for bits, *value in sequences:
            self.swj_sequence(bits, value[0] if value else 0)
        return 0, []

    def reset(self) -> None:
        self.assert_reset(True)
        self.assert_reset(False)

    def assert_reset(self, asserted: bool) -> None:
        self._port.set_nreset(Drive.LOW if asserted else Drive.FLOAT)

    def is_reset_asserted(self) -> bool:
        return not self._port.nreset()

    def flush(self) -> None: ...

    def _check(self, ack: int) -> None:
        if ack != Ack.OK:
            raise ERRORS.get(Ack(ack), exceptions.TransferError)(f"ACK {ack}")

    def _answer(self, value: Any, now: bool) -> Any:
        return value if now else lambda: value

    def read_dp(self, addr: int, now: bool = True) -> Any:
        ack, value = self._port.transfer(2 | addr & 0xC)
        self._check(ack)
        return self._answer(value, now)

    def write_dp(self, addr: int, data: int) -> bool:
        self._check(self._port.transfer(addr & 0xC, data & 0xFFFFFFFF)[0])
        return True

    def read_ap(self, addr: int, now: bool = True) -> Any:
        return self._answer(self.read_ap_multiple(addr, 1)[0], now)

    def write_ap(self, addr: int, data: int) -> bool:
        self.write_ap_multiple(addr, [data])
        return True

    def read_ap_multiple(self, addr: int, count: int = 1, now: bool = True) -> Any:
        ack, data = self._port.read_block(3 | addr & 0xC, count)
        self._check(ack)
        return self._answer(list(struct.unpack(f"<{count}I", data)), now)

    def write_ap_multiple(self, addr: int, values: Sequence[int]) -> None:
        words = struct.pack(f"<{len(values)}I", *[v & 0xFFFFFFFF for v in values])
        ack, _ = self._port.write_block(1 | addr & 0xC, words)
        self._check(ack)
        self._check(self._port.transfer(0x0E)[0])  # wait for the last write, as CMSIS-DAP firmware does


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Iterator[Board]:
    made = Board("nucleo-l476rg", "cmsis-dap", clock=clock)
    yield made
    made.close()


@pytest.fixture
def debugger(board: Board) -> Debugger:
    made = Debugger(board.port)
    made.connect()
    return made


@pytest.fixture
def load(board: Board, request: pytest.FixtureRequest) -> Callable[[bytes], None]:
    """Put bytes into flash from its start, as if programmed long ago, and power up."""

    def put(image: bytes) -> None:
        board.set_power(False)
        board.soc.chip.flash.data[: len(image)] = image
        board.set_power(True)

    return put


@pytest.fixture
def firmware(request: pytest.FixtureRequest) -> Callable[[str], bytes]:
    folder: Path = request.config.rootpath / "msdflash" / "sim" / "firmware"

    def get(name: str) -> bytes:
        return (folder / f"{name}.bin").read_bytes()

    return get


@pytest.fixture
def pyocd_session(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Session]]:
    """Opens pyOCD sessions on the board, with short timeouts and away from any configuration."""
    opened: list[Session] = []
    # pyOCD reads register descriptions in a thread and leaves their file open; nothing here needs them.
    monkeypatch.setattr("pyocd.debug.svd.loader.SVDFile.from_builtin", lambda _name: None)
    monkeypatch.chdir(tmp_path)  # a session changes the working directory; this puts it back

    def start(*, init_board: bool = True, **options: Any) -> Session:
        short = {f"flash.timeout.{name}": 0.2 for name in ("init", "erase_sector", "program", "erase_all", "analyzer")}
        reset = {"reset.halt_timeout": 0.2, "reset.core_recover.timeout": 0.2, "reset.post_delay": 0.01, "reset.hold_time": 0.01}
        fixed = {"target_override": "stm32l475xg", "no_config": True, "project_dir": str(tmp_path), "auto_unlock": False}
        session = Session(PortProbe(board.port), options={**short, **reset, **fixed, "hide_programming_progress": True, **options})
        opened.append(session)
        session.open(init_board=init_board)
        return session

    yield start
    for session in opened:
        board.clear_faults()
        session.close()
