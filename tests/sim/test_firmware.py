"""Our own firmware on the board, seen as a debugger sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from msdflash.sim.board import Board
from msdflash.sim.debugger import DEMCR, DHCSR, Debugger

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT, SECOND, VERSION, ODR, PCSR = 0x20000100, 0x20000104, 0x20000108, 0x48000014, 0xE000101C
DBGMCU_CR = 0xE0042004
SLEEP, LOCKUP, RETIRE, RESET = 1 << 18, 1 << 19, 1 << 24, 1 << 25


@pytest.fixture
def start(board: Board, load: Callable[[bytes], None], firmware: Callable[[str], bytes]) -> Callable[[str], Debugger]:
    def begin(name: str) -> Debugger:
        load(firmware(name))
        board.advance(0.01)
        debugger = Debugger(board.port, patience=100)
        debugger.connect()
        debugger.write(DBGMCU_CR, 1)  # DBG_SLEEP: what else a sleeping chip answers is in test_life.py
        debugger.write(DEMCR, 1 << 24)
        debugger.read(DHCSR)
        return debugger

    return begin


@pytest.mark.parametrize(("name", "version"), [("blinky", 1), ("blinky2", 2)])
def test_blinky_runs_and_toggles(board: Board, start: Callable[[str], Debugger], name: str, version: int) -> None:
    debugger = start(name)
    assert debugger.read(VERSION) == version
    levels, counts = set(), []
    for _ in range(20):
        board.advance(0.003)
        levels.add(debugger.read(ODR) & 1 << 5)
        counts.append(debugger.read(COUNT))
        assert debugger.read(DHCSR) & (SLEEP | LOCKUP | RETIRE | RESET) == RETIRE
        assert 0x08000000 <= debugger.read(PCSR) < 0x08000100
    assert levels == {0, 1 << 5}
    assert counts == sorted(set(counts))


def test_sleeper_sleeps_and_ticks(board: Board, start: Callable[[str], Debugger]) -> None:
    debugger = start("sleeper")
    before = debugger.read(COUNT)
    board.advance(0.04)
    ticks = debugger.read(COUNT) - before
    assert 35 <= ticks <= 45, "1000 a second"
    seen = [debugger.read(DHCSR) for _ in range(10)]
    assert sum(bool(value & SLEEP) for value in seen) >= 8
    assert not any(value & (LOCKUP | RESET) for value in seen)
    debugger.halt()
    assert debugger.read(DHCSR) & 1 << 17, "a sleeping core can be halted"


def test_crasher_locks_up(start: Callable[[str], Debugger]) -> None:
    debugger = start("crasher")
    assert debugger.read(COUNT) == 100, "it did run"
    assert debugger.read(DHCSR) & (LOCKUP | RETIRE | RESET) == LOCKUP
    assert debugger.read(PCSR) == 0xFFFFFFFE
    debugger.halt()
    assert debugger.read(0xE000ED38) == 0x60000000, "BFAR names the address"


def test_a_held_board_does_not_run(board: Board, load: Callable[[bytes], None], firmware: Callable[[str], bytes]) -> None:
    board.set_fault("reset-held")
    load(firmware("blinky"))
    board.advance(0.05)
    assert not board.soc.running
    board.clear_faults()
    board.advance(0.05)
    debugger = Debugger(board.port)
    debugger.connect()
    assert debugger.read(COUNT) > 0


def test_flash_outlasts_the_supply(board: Board, load: Callable[[bytes], None], firmware: Callable[[str], bytes]) -> None:
    load(firmware("blinky"))
    board.advance(0.01)
    board.set_power(False)
    board.set_power(True)
    image = firmware("blinky")
    assert board.flash_bytes()[: len(image)] == image
    debugger = Debugger(board.port)
    debugger.connect()
    assert debugger.read(COUNT) < 200_000, "RAM did not last"


def test_state_survives_in_a_drawer(board: Board, load: Callable[[bytes], None], firmware: Callable[[str], bytes]) -> None:
    load(firmware("blinky"))
    board.soc.chip.controller.set_option(3, 0xFF05FF05)  # type: ignore[attr-defined]
    kept = board.state()
    other = Board("nucleo-l476rg", "st-link")
    other.restore(kept)
    assert other.flash_bytes() == board.flash_bytes()
    debugger = Debugger(other.port)
    debugger.connect()
    assert debugger.read(0x4002202C) == 0xFF05FF05
    other.advance(0.01)
    assert debugger.read(COUNT) > 0
    assert other.state() == kept
    board.set_power(False)
    other.restore(board.state())
    assert other.port.vtref() == 0
    other.close()


def test_state_of_another_board_is_refused(board: Board) -> None:
    with pytest.raises(ValueError, match="board"):
        board.restore(board.state().replace(b"nucleo-l476rg", b"nucleo-x476rg"))
