"""The product on chips of other makers: each chip's own pyOCD algorithm runs, flash is proved, neighbours are kept, no lock is touched."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from msdflash.diagnose.rules import diagnose
from msdflash.engine.pool import Pool
from msdflash.engine.runner import Engine
from msdflash.job.order import Connection, FlashOrder
from msdflash.sim import client
from msdflash.sim.spec import parse

if TYPE_CHECKING:
    import pytest

    from msdflash.job.outcome import Outcome
    from msdflash.sim.client import RunningBoard

ONCE = ("nrf51-dk", "frdm-kl25z", "lpcxpresso55s69")  # same family of controller as another board here, or neighbours tested elsewhere
FOLDER = Path(client.__file__).parent / "firmware"
# Board, firmware, what turns the file into what must be in flash, lock, its cause
BOARDS = (
    ("nrf52840-dk", "zero", "", "approtect", "nrf-approtect"),
    ("frdm-k64f", "zero", "kinetis-fcf", "security", "kinetis-security"),
    ("lpc1768-mbed", "lpc", "lpc-vector-checksum", "crp", "swd-silent"),
    ("nrf51-dk", "zero", "", "approtect", "nrf51-readback"),
    ("lpcxpresso55s69", "m33", "", "debug-lock", "lpc55-debug-locked"),
    ("frdm-kl25z", "zero", "kinetis-fcf", "security", "kinetis-security"),
)


def flash(engine: Engine, board: RunningBoard, path: Path, data: bytes) -> Outcome:
    path.write_bytes(data)
    order = FlashOrder("j", Connection(board.serial), str(path), path.name, hashlib.sha256(data).hexdigest())
    return engine.run(order)


def in_flash(image: bytes, transform: str) -> bytes:
    """What the named change makes of a file."""
    data = bytearray(image)
    if transform == "kinetis-fcf":
        data[0x408:0x40D], data[0x40E:0x410] = b"\xff\xff\xff\xff\xfe", b"\xff\xff"
    if transform == "lpc-vector-checksum":
        total = sum(int.from_bytes(data[at : at + 4], "little") for at in range(0, 28, 4))
        data[28:32] = (-total & 0xFFFFFFFF).to_bytes(4, "little")
    return bytes(data)


def test_each_chip_is_flashed_proved_and_its_lock_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = tmp_path / "bus"
    for name, value in client.environment(bus, only=True).items():
        monkeypatch.setenv(name, value)
    some = random.Random(1)
    engine = Engine(Pool(warm=2))
    boards: list[RunningBoard] = []
    try:
        with ThreadPoolExecutor(2) as two:
            boards += two.map(lambda row: client.start(parse(row[0]), bus=bus), BOARDS)
        for board, (name, kind, transform, lock, cause) in zip(boards, BOARDS, strict=True):
            firmware = (FOLDER / f"blinky-{kind}.bin").read_bytes()
            blank = board.flash()
            first = firmware + some.randbytes(5000)
            outcome = flash(engine, board, tmp_path / f"{name}.bin", first)
            assert (outcome.failure, outcome.proved, outcome.running) == (None, True, "running"), name
            assert board.flash() == in_flash(first, transform) + blank[len(first) :], name
            assert [item.cause for item in diagnose(outcome).findings] == [], name
            if name not in ONCE:
                second = (FOLDER / f"blinky2-{kind}.bin").read_bytes() + some.randbytes(150)
                outcome = flash(engine, board, tmp_path / f"{name}.bin", second)
                assert (outcome.failure, outcome.proved, outcome.running) == (None, True, "running"), name
                # Neighbours in the image's own sector: on the LPC1768 the boot ROM is in the way unless it is mapped out.
                assert board.flash() == in_flash(second, transform) + in_flash(first, transform)[len(second) :] + blank[len(first) :], name
            client.change(board.serial, f"fault={lock}", bus=bus)
            locked = board.flash()
            outcome = flash(engine, board, tmp_path / f"{name}.bin", first)
            told = diagnose(outcome)
            assert told.first is not None
            assert (outcome.proved, told.first.cause, told.first.confidence) == (False, cause, "certain"), name
            assert (outcome.changed.erased, board.flash()) == (0, locked), name
    finally:
        engine.close()
        for board in boards:
            board.stop()
