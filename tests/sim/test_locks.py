"""The product's own look at a maker's lock, on the bench: nothing is written, and a lock is believed only when it may be."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import pytest

from msdflash.job.readings import latest
from msdflash.sim.board import Board
from msdflash.sim.debugger import Debugger
from msdflash.worker import vendor_lock
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.raw import AP_IDR, RawTarget

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    made = Board(request.param, "cmsis-dap")
    yield made
    made.close()


def look(board: Board, make_probe: Any) -> dict[str, Any]:
    """The worker's readings up to the lock; raises what it raises."""
    channel = Channel(io.BytesIO(), "1")
    channel.measure("swd.dpidr", Debugger(board.port).connect())
    raw = RawTarget(make_probe(board.port))
    channel.measure("ap.idr", raw.read_ap(AP_IDR))
    vendor_lock.check(channel, raw)
    readings = tuple(channel.readings)
    assert raw.read_ap(AP_IDR) == latest(readings, "ap.idr")  # port 0 is selected again
    return {name: latest(readings, name) for name in ("lock.family", "lock.status")}


@pytest.fixture
def make_probe() -> Any:
    """The probe class of this folder's conftest."""
    return next(module.PortProbe for module in list(sys.modules.values()) if hasattr(module, "PortProbe"))


@pytest.mark.parametrize(
    ("board", "family", "fault"),
    [("nrf52840-dk", "nrf52", "approtect"), ("frdm-k64f", "kinetis-k6x", "security"), ("frdm-kl25z", "kinetis-kl2x", "security")],
    indirect=["board"],
)
def test_open_and_locked(board: Board, make_probe: Any, family: str, fault: str) -> None:
    """The Kinetis boards are blank: they loop in reset, and look locked more often than not."""
    assert look(board, make_probe)["lock.family"] == family
    before = board.flash_bytes(), board.soc.chip.nonvolatile()
    board.set_fault(fault)
    locked = board.flash_bytes(), board.soc.chip.nonvolatile()
    with pytest.raises(StepFailed) as failed:
        look(board, make_probe)
    assert failed.value.kind == "locked"
    assert (board.flash_bytes(), board.soc.chip.nonvolatile()) == locked
    board.clear_fault(fault)
    assert (board.flash_bytes(), board.soc.chip.nonvolatile()) == before


@pytest.mark.parametrize("board", ["frdm-k64f"], indirect=True)
def test_held_in_reset_is_no_lock(board: Board, make_probe: Any) -> None:
    board.set_fault("security")
    board.set_fault("reset-held")
    words = look(board, make_probe)["lock.status"]
    assert len(words) == vendor_lock.PATIENCE * 10
    assert not any(word & 8 for word in words)


@pytest.mark.parametrize("board", ["nucleo-l476rg", "lpc1768-mbed", "nrf51-dk"], indirect=True)
def test_chips_without_such_a_port(board: Board, make_probe: Any) -> None:
    assert look(board, make_probe) == {"lock.family": None, "lock.status": None}
