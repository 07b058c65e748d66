"""The product on an RP2040: its debug port among three is found, its flash chip asked and proved, neighbours are kept, silence is named."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyocd.core import exceptions

from msdflash.chips.raspberry import RP2040
from msdflash.diagnose.rules import diagnose
from msdflash.engine.pool import Pool
from msdflash.engine.runner import Engine
from msdflash.job.order import Connection, DiagnoseOrder, FlashOrder
from msdflash.job.readings import latest
from msdflash.sim import client
from msdflash.sim.board import Board
from msdflash.sim.chips import qspi
from msdflash.sim.spec import parse
from msdflash.worker import drops, serialflash
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.raw import RawTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyocd.core.session import Session

    from msdflash.job.outcome import Outcome
    from msdflash.sim.client import RunningBoard

FIRMWARE = Path(client.__file__).parent / "firmware"
XIP, MiB = 0x10000000, 1 << 20
DPIDR = 0x0BC12477
OLD = bytes.fromhex("0011")


@pytest.fixture
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    made = Board(getattr(request, "param", "pico"), "cmsis-dap")
    yield made
    made.close()


def chip(board: Board) -> Any:
    """The chip with what only an RP2040 has."""
    return board.soc.chip


def rescue_request(board: Board) -> int:
    """CTRL/STAT of the rescue port, whose power request would reset the chip."""
    return int(chip(board).line.ports[2].ctrl)


@pytest.mark.parametrize("junk", [False, True])
def test_the_first_core_is_found_and_the_rescue_port_left_alone(board: Board, pyocd_session: Callable[..., Session], junk: bool) -> None:
    """Whatever three ports at once look like (assumption R1 and its variant): awake or asleep."""
    chip(board).line.crowd.junk = junk
    session = pyocd_session(init_board=False, target_override="cortex_m")
    raw = RawTarget(session.probe)
    assert raw.attach() == DPIDR
    assert raw.identify() == DPIDR
    assert RawTarget(session.probe).attach() == DPIDR
    raw.clear_sticky()
    assert raw.power_up()[0]
    assert raw.read32(0x40000000) == 0x20002927
    assert rescue_request(board) == 0


@pytest.mark.parametrize("board", ["nucleo-l476rg", "nucleo-h743zi"], indirect=True)
def test_a_port_that_is_alone_needs_no_selection(board: Board, pyocd_session: Callable[..., Session]) -> None:
    session = pyocd_session(init_board=False, target_override="cortex_m")
    assert not drops.doubtful(RawTarget(session.probe).attach())
    board.set_fault("swd-open")
    with pytest.raises(exceptions.TransferError):
        RawTarget(session.probe).attach()


def look(session: Session) -> tuple[Any, Channel]:
    """Ask the flash chip as a job does."""
    channel = Channel(io.BytesIO(), "j")
    session.target.reset_and_halt()
    region = session.target.memory_map.get_boot_memory()
    assert RP2040.serial is not None
    return serialflash.look(channel, session.target.primary_core, region.flash, RP2040.serial, region.start), channel


@pytest.mark.parametrize("off", [0x00, pytest.param(0xFF, marks=pytest.mark.slow)])
def test_the_flash_chip_is_asked_and_its_window_readable_afterwards(
    board: Board, pyocd_session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch, off: int
) -> None:
    board.soc.chip.flash.data[:256] = OLD * 128
    chip(board).off = off
    chip(board).controller.refresh()
    session = pyocd_session(target_override="rp2040")
    assert session.target.read32(XIP) == off * 0x01010101
    assert look(session)[0] == serialflash.Found(2048, ())
    assert session.target.read32(XIP) == 0x11001100
    for sector, length in ((0, 0x1000), (1, 0x2000), (9, 0x10000), (100, 0x80000), (300, 2 * MiB)):
        undo = chip(board).controller.protect_sector(sector)
        assert look(session)[0].protected == ((XIP, XIP + length - 1),)
        undo()
    monkeypatch.setattr(qspi, "JEDEC", bytes.fromhex("1f4715"))  # a maker whose third byte is something else
    assert look(session)[0] == serialflash.Found(None, ())
    for argument in ("ff", "00"):
        board.set_fault("qspi-open", argument)
        with pytest.raises(StepFailed, match="does not answer"):
            look(session)


def test_protection_from_the_top() -> None:
    """W25Q16JV data sheet 7.1.8, without TB."""
    for status, first in ((0x04, 0x1F0000), (0x14, 0x100000), (0x44, 0x1FF000), (0x4C, 0x1FC000), (0x18, 0)):
        assert serialflash.protected(status, XIP, 2 * MiB) == ((XIP + first, XIP + 2 * MiB - 1),)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RunningBoard, Callable[..., Outcome]]]:
    """A board on a bus, and what flashes it."""
    bus = tmp_path / "bus"
    for name, value in client.environment(bus, only=True).items():
        monkeypatch.setenv(name, value)
    engine = Engine(Pool(warm=1))
    with client.start(parse("pico"), bus=bus) as board:

        def flash(data: bytes | None, fault: str = "") -> Outcome:
            if fault:
                board.set(f"fault={fault}")
            if data is None:
                return engine.run(DiagnoseOrder("j", Connection(board.serial)))
            path = tmp_path / "program.bin"
            path.write_bytes(data)
            return engine.run(FlashOrder("j", Connection(board.serial), str(path), path.name, hashlib.sha256(data).hexdigest()))

        try:
            yield board, flash
        finally:
            engine.close()


def test_flashed_proved_observed_and_a_silent_chip_named(served: tuple[RunningBoard, Callable[..., Outcome]]) -> None:
    board, flash = served
    first = (FIRMWARE / "blinky-xip.bin").read_bytes() + random.Random(1).randbytes(9000)
    outcome = flash(first)
    assert (outcome.failure, outcome.proved, outcome.running) == (None, True, "running")
    assert board.flash() == first.ljust(2 * MiB, b"\xff")
    assert outcome.target is not None
    assert outcome.target.flash == ((XIP, 2 * MiB),)
    assert diagnose(outcome).findings == ()
    outcome = flash(first + b"more", "qspi-open")
    told = diagnose(outcome)
    assert told.first is not None
    assert (told.first.cause, told.first.confidence, outcome.changed.erased) == ("flash-chip-silent", "certain", 0)


@pytest.mark.slow
def test_what_else_can_be_wrong(served: tuple[RunningBoard, Callable[..., Outcome]]) -> None:
    board, flash = served
    good = (FIRMWARE / "blinky-xip.bin").read_bytes()
    first = good + random.Random(2).randbytes(5000)
    assert flash(first).proved
    second = (FIRMWARE / "blinky2-xip.bin").read_bytes() + bytes(200)
    assert flash(second).proved
    assert board.flash() == second + first[len(second) :].ljust(2 * MiB - len(second), b"\xff"), "neighbours in the same page are kept"
    outcome = flash(None)
    assert (outcome.failure, outcome.running, latest(outcome.readings, "chip.family")) == (None, "running", "rp2040")
    damaged = flash(good[:40] + bytes([good[40] ^ 1]) + good[41:])
    facts = latest(damaged.readings, "image.facts")
    assert damaged.failure is not None
    assert (damaged.failure.cause, facts["word"], facts["address"]) == ("image-bad-boot-header", "boot2 checksum", XIP + 252)
    assert facts["value"] == int.from_bytes(good[252:256], "little") != facts["expected"]
    outcome = flash(good + bytes(2 * MiB))
    assert outcome.failure is not None
    assert outcome.failure.cause == "image-too-big"
    for fault, cause, sure in (
        ("write-protect:1", "write-protected-sector", "certain"),
        ("flash-busy", "algo-timeout-flash-busy", "certain"),
        ("bad-cell:0x10000310", "flash-worn", "likely"),
        ("ram-bad", "ram-lost", "certain"),
    ):
        outcome = flash(good + random.Random(fault).randbytes(5000), fault)
        assert not outcome.proved
        told = diagnose(outcome).first
        assert told is not None
        assert (told.cause, told.confidence) == (cause, sure), fault
        board.set("fault=none")
