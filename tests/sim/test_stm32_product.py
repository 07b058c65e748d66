"""The product on every STM32 of the bench: each chip's own pyOCD algorithm runs, flash is proved, neighbours are kept, the program runs."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from msdflash.engine.pool import Pool
from msdflash.engine.runner import Engine
from msdflash.job.order import Connection, FlashOrder
from msdflash.sim import client
from msdflash.sim.spec import parse

if TYPE_CHECKING:
    import pytest

    from msdflash.job.outcome import Outcome
    from msdflash.sim.client import RunningBoard

FIRMWARE = (Path(client.__file__).parent / "firmware" / "blinky-any.bin").read_bytes()
# Board, probe, an offset in flash before which nothing is written, and how long the part that is written there is.
BOARDS = (
    ("stm32f103rc", "stlink-v3", 0x3E800, 0x1400),  # the end of a flash of 256 KiB; pyOCD's map goes on
    ("nucleo-l031k6", "cmsis-dap", 0x7C00, 0x400),
    ("nucleo-f429zi", "stlink-v3", 0x102000, 0x3000),  # bank 2
    ("nucleo-h743zi", "cmsis-dap", 0x1FC00, 0x800),  # the next sector, which pyOCD's own algorithm would erase with the first
)
ONCE = ("stm32f103rc", "nucleo-l031k6", "nucleo-f429zi")  # that neighbours survive there is shown by pyOCD itself, in less time
BASE = 0x08000000


def record(kind: int, address: int, data: bytes) -> str:
    body = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return f":{(body + bytes([-sum(body) & 0xFF])).hex().upper()}"


def hex_file(parts: dict[int, bytes]) -> bytes:
    lines = []
    for start, data in parts.items():
        for at in range(0, len(data), 16):
            address = start + at
            lines += [record(4, 0, (address >> 16).to_bytes(2, "big")), record(0, address & 0xFFFF, data[at : at + 16])]
    return "\n".join([*lines, record(1, 0, b""), ""]).encode()


def flash(engine: Engine, board: RunningBoard, path: Path, data: bytes) -> Outcome:
    path.write_bytes(data)
    order = FlashOrder("j", Connection(board.serial), str(path), path.name, hashlib.sha256(data).hexdigest())
    return engine.run(order)


def test_each_chip_is_flashed_proved_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = tmp_path / "bus"
    for name, value in client.environment(bus, only=True).items():
        monkeypatch.setenv(name, value)
    some = random.Random(1)
    engine = Engine(Pool(warm=2))
    boards: list[RunningBoard] = []
    try:
        with ThreadPoolExecutor(2) as two:
            boards += two.map(lambda row: client.start(parse(f"{row[0]},probe={row[1]}"), bus=bus), BOARDS)
        for board, (name, _, offset, length) in zip(boards, BOARDS, strict=True):
            erased = board.flash()
            there, first = some.randbytes(length), FIRMWARE + some.randbytes(200)
            outcome = flash(engine, board, tmp_path / f"{name}.hex", hex_file({BASE: first, BASE + offset: there}))
            assert (outcome.failure, outcome.proved, outcome.running) == (None, True, "running"), name
            expected = first + erased[len(first) : offset] + there + erased[offset + length :]
            assert board.flash() == expected, name
            if name in ONCE:
                continue
            # What stands in the sectors behind the image, and beside it in its own, survives a second one.
            second = FIRMWARE + some.randbytes(150)
            outcome = flash(engine, board, tmp_path / f"{name}.bin", second)
            assert (outcome.failure, outcome.proved, outcome.running) == (None, True, "running"), name
            assert board.flash() == second + expected[len(second) :], name
    finally:
        engine.close()
        for board in boards:
            board.stop()
