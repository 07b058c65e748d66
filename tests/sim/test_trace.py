"""One seed has one outcome: what only asks again is neither counted nor recorded, however often the clock on the wall lets it happen."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from pyocd.core import exceptions
from pyocd.flash.loader import MemoryLoader

from msdflash.sim import soc
from msdflash.sim.debugger import AP_READ, AP_WRITE, DHCSR, DP_READ, DRW, TAR, Debugger
from msdflash.sim.link import RDBUFF
from msdflash.sim.trace import Polls

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyocd.core.session import Session

    from msdflash.sim.board import Board

IMAGE = random.Random(4).randbytes(6000)
RAM = 0x20000000


@pytest.mark.parametrize("noise", ["0", "0.0004:5", "0.0004:7"])
def test_one_seed_has_one_outcome(board: Board, pyocd_session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch, noise: str) -> None:
    """The second time the processor gets less done between two looks and runs on at odd moments, as it does behind USB."""
    at_rest, dice = board.link.after, random.Random(2)
    assert at_rest is not None

    def restless() -> None:
        at_rest()
        if dice.random() < 0.1:
            board.advance(0.0005)

    found, transfers = [], []
    for after in (at_rest, restless):
        board.set_power(False)
        board.soc.chip.flash.data[:] = b"\xff" * len(board.soc.chip.flash.data)
        board.set_power(True)
        session = pyocd_session()
        board.set_fault("noise", noise)
        board.record()
        if after is restless:
            monkeypatch.setattr(soc, "LOOK", 150)
            monkeypatch.setattr(soc, "GLANCE", 40)
        board.link.after = after
        before, outcome = board.link.transfers, "good"
        try:
            loader = MemoryLoader(session, chip_erase="sector", trust_crc=False, smart_flash=False)
            loader.add_data(0x08000000, IMAGE)
            loader.commit()
        except exceptions.Error as error:
            outcome = type(error).__name__
        board.advance(0.05)  # a page that was begun is finished, whoever went away
        found.append((outcome, board.flash_bytes(), board.trace()))
        transfers.append(board.link.transfers - before)
        board.link.after = at_rest
        board.clear_faults()
        session.close()
    assert found[0] == found[1]
    assert (found[0][0] == "good") is (noise == "0")
    assert transfers[0] != transfers[1], "else this shows nothing"


def test_what_counts_as_asking_again(board: Board, debugger: Debugger) -> None:
    """Status registers do until something is written; memory and DPIDR never do, nor does an access to another address."""
    polls, dp = Polls(), board.soc.dp.chosen()
    assert dp is not None

    def read(address: int) -> tuple[bool, ...]:
        debugger.ap_write(TAR, address)
        return tuple(polls.again(dp, request, data) for request, data in ((TAR | AP_WRITE, address), (DRW | AP_READ, 0), (RDBUFF, 0)))

    assert read(DHCSR) == (False, False, False)
    assert read(DHCSR) == (True, True, True)
    assert read(0xE000101C) == (False, False, False)
    assert read(DHCSR) == (True, True, True), "two registers in turn"
    assert read(RAM) == (False, False, False)
    assert read(RAM) == (False, False, False)
    assert [read(0xE00FF000) for _ in range(2)] == [(False, False, False)] * 2, "nor the ROM table"
    assert [polls.again(dp, DP_READ, 0) for _ in range(2)] == [False, False]
    assert polls.again(dp, DRW | AP_WRITE, 1) is False, "a write to memory"
    assert read(DHCSR) == (False, False, False)
