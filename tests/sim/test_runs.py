"""Runs of reads that go down to memory in one piece: nobody can tell them from single ones, and none where something could happen."""

from __future__ import annotations

import struct

from msdflash.sim.board import Board
from msdflash.sim.debugger import Debugger

READ_DRW = 0x0F
COUNT = 40


def halted() -> Board:
    """A board with a halted core, on its way through SRAM behind a posted read; the run crosses where the address wraps."""
    board = Board("nucleo-l476rg", "cmsis-dap")
    debugger = Debugger(board.port)
    debugger.connect()
    debugger.halt()
    for index in range(64):
        debugger.write(0x20000F80 + 4 * index, 0x1000 + index)
    debugger.write(0x40003000 + 0x08, 0)  # no watchdog register is changed without its key
    debugger.ap_write(0x00, 0x23000052)
    debugger.ap_write(0x04, 0x20000FA0)
    board.port.transfer(READ_DRW)
    return board


def test_a_run_is_as_many_single_reads() -> None:
    single, run = halted(), halted()
    try:
        words = b"".join(struct.pack("<I", single.port.transfer(READ_DRW)[1]) for _ in range(COUNT))
        got = b""
        while len(got) < 4 * COUNT:
            part = run.port.read_still(COUNT - len(got) // 4)
            assert part
            got += part
        assert got == words
        assert run.soc.core.time == single.soc.core.time
        assert run.tallies() == single.tallies()
        assert run.port.transfer(READ_DRW) == single.port.transfer(READ_DRW)
    finally:
        single.close()
        run.close()


def test_no_run_where_something_counts_or_watches() -> None:
    board = halted()
    try:
        assert board.port.read_still(2)
        board.record()
        assert not board.port.read_still(2), "a trace has each transfer"
        board.link.trace = None
        debugger = Debugger(board.port)
        debugger.write(0x40003000, 0xCCCC)  # IWDG_KR
        debugger.ap_write(0x04, 0x20000000)
        assert not board.port.read_still(2), "a watchdog may bite between two of them"
    finally:
        board.close()
