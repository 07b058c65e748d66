"""The debug port and the access port against ADIv5 (Arm IHI 0031)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.sim.board import Board
from msdflash.sim.debugger import (
    AP_READ,
    AP_WRITE,
    CSW,
    CTRL,
    DP_READ,
    DP_WRITE,
    DRW,
    POWER_UP,
    RDBUFF,
    SELECT,
    STICKYERR,
    TAR,
    Debugger,
    Fault,
)
from msdflash.sim.port import Ack

if TYPE_CHECKING:
    from collections.abc import Iterator

RAM = 0x20000000
NOWHERE = 0x60000000


def test_silent_until_line_reset_and_switch_to_swd(board: Board) -> None:
    """B5.2: after power-on the port speaks JTAG."""
    assert board.port.transfer(DP_READ)[0] == Ack.NONE
    board.port.sequence(b"\xff" * 7, 51)
    assert board.port.transfer(DP_READ)[0] == Ack.NONE
    assert Debugger(board.port).wake() == 0x2BA01477


def test_dpidr_must_come_first(board: Board) -> None:
    """B4.3.3: after a line reset only a read of DPIDR is answered."""
    debugger = Debugger(board.port)
    debugger.wake()
    board.port.sequence(b"\xff" * 7, 50)
    assert board.port.transfer(DP_READ | CTRL)[0] == Ack.NONE
    assert board.port.transfer(DP_READ)[0] == Ack.NONE, "it stays silent until the next line reset"
    board.port.sequence(b"\xff" * 7, 50)
    assert debugger.dp_read(0) == 0x2BA01477


def test_49_ones_are_no_line_reset(board: Board) -> None:
    debugger = Debugger(board.port)
    debugger.wake()
    board.port.sequence(b"\x00" + b"\xff" * 7, 8 + 49)
    assert board.port.transfer(DP_READ | CTRL)[0] == Ack.OK


def test_power_up_is_acknowledged_and_needed(board: Board) -> None:
    """B2.2.2 and B2.5: requests are mirrored; an AP access before that is an error."""
    debugger = Debugger(board.port)
    debugger.wake()
    assert not debugger.dp_read(CTRL) >> 28
    board.port.transfer(AP_READ | CSW)
    assert debugger.clear() & STICKYERR
    debugger.dp_write(CTRL, POWER_UP)
    assert debugger.dp_read(CTRL) >> 28 == 0xF


def test_sticky_error_blocks_until_abort(debugger: Debugger) -> None:
    """B4.2.4: FAULT for all but DPIDR, CTRL/STAT and ABORT."""
    debugger.ap_write(TAR, NOWHERE)
    assert debugger.port.transfer(AP_READ | DRW)[0] == Ack.OK, "the read is posted: its own acknowledge is good"
    for request in (AP_READ | DRW, AP_WRITE | TAR, DP_READ | RDBUFF, DP_WRITE | SELECT):
        assert debugger.port.transfer(request)[0] == Ack.FAULT
    assert debugger.dp_read(0) == 0x2BA01477
    assert debugger.dp_read(CTRL) & STICKYERR
    debugger.port.transfer(DP_WRITE, 1 << 2)
    assert not debugger.dp_read(CTRL) & STICKYERR
    assert debugger.read(RAM) == 0


def test_reads_are_posted(debugger: Debugger) -> None:
    debugger.write(RAM, 0x11111111)
    debugger.write(RAM + 4, 0x22222222)
    debugger.ap_write(TAR, RAM)
    debugger.port.transfer(AP_READ | DRW)
    assert debugger.port.transfer(AP_READ | DRW)[1] == 0x11111111
    assert debugger.dp_read(RDBUFF) == 0x22222222


def test_identification(debugger: Debugger) -> None:
    debugger.dp_write(SELECT, 0xF0)
    assert debugger.ap_read(0xC) == 0x24770011
    assert debugger.ap_read(0x8) == 0xE00FF003
    debugger.dp_write(SELECT, 0x010000F0)
    assert debugger.ap_read(0xC) == 0, "there is no second AP"
    debugger.dp_write(SELECT, 0)
    assert debugger.read(0xE000ED00) == 0x410FC241
    assert [debugger.read(0xE00FF000 + 4 * n) for n in range(2)] == [0xFFF0F003, 0xFFF02003]
    assert (debugger.read(0xE00FFFE0), debugger.read(0xE00FFFE4)) == (0x15, 0x04), "ST part 415"


def test_auto_increment_wraps_at_4_kib(debugger: Debugger) -> None:
    """C2.2.2 promises 1 KiB only; the Cortex-M4's AHB-AP steps within 4 KiB (DDI 0337G 11.5) and then wraps."""
    debugger.ap_write(TAR, RAM + 0xFFC)
    assert debugger.port.write_block(AP_WRITE | DRW, b"\x01\0\0\0\x02\0\0\0") == (Ack.OK, 2)
    assert (debugger.read(RAM + 0xFFC), debugger.read(RAM), debugger.read(RAM + 0x1000)) == (1, 2, 0)


def test_the_address_stays_without_auto_increment(debugger: Debugger) -> None:
    """C2.2.2: CSW.AddrInc 0 leaves TAR alone."""
    debugger.ap_write(CSW, 0x23000042)
    debugger.ap_write(TAR, RAM)
    debugger.ap_write(DRW, 1)
    debugger.ap_write(DRW, 2)
    assert debugger.ap_read(TAR) == RAM
    assert debugger.ap_read(DRW) == 2


def test_byte_and_halfword_lanes(debugger: Debugger) -> None:
    debugger.ap_write(CSW, 0x23000050)
    debugger.ap_write(TAR, RAM + 1)
    debugger.ap_write(DRW, 0xAABBCCDD)
    debugger.ap_write(CSW, 0x23000051)
    debugger.ap_write(TAR, RAM + 2)
    debugger.ap_write(DRW, 0x12345678)
    debugger.ap_write(CSW, 0x23000052)
    assert debugger.read(RAM) == 0x1234CC00


def test_banked_data_registers(debugger: Debugger) -> None:
    debugger.ap_write(TAR, RAM + 0x20)
    debugger.dp_write(SELECT, 0x10)
    for n in range(4):
        debugger.ap_write(4 * n, n + 1)
    debugger.dp_write(SELECT, 0)
    assert debugger.read_bytes(RAM + 0x20, 16) == bytes.fromhex("01000000020000000300000004000000")


def test_fault_inside_a_block_shows_at_the_next_access(debugger: Debugger) -> None:
    """A write beyond the end of SRAM1 is accepted on the wire; the one after it is answered with FAULT."""
    end = RAM + 96 * 1024
    debugger.ap_write(TAR, end - 4)
    assert debugger.port.write_block(AP_WRITE | DRW, bytes(12)) == (Ack.OK, 3), "the address wraps within 4 KiB"
    debugger.ap_write(TAR, end)
    ack, accepted = debugger.port.write_block(AP_WRITE | DRW, bytes(12))
    assert (ack, accepted) == (Ack.FAULT, 1)
    assert debugger.clear() & STICKYERR


@pytest.fixture(scope="module")
def two_boards() -> Iterator[tuple[Board, Board]]:
    boards = Board("nucleo-l476rg", "a"), Board("nucleo-l476rg", "b")
    for made in boards:
        Debugger(made.port).connect()
    yield boards
    for made in boards:
        made.close()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from([RAM, RAM + 0xFF0, RAM + 96 * 1024 - 8, 0x10000000, 0x08000000, 0x080FFFF8, NOWHERE, 0x40022010, 0xE000ED00]),
            st.integers(1, 40),
            st.sampled_from([0x23000052, 0x23000042, 0x23000050]),
        ),
        max_size=6,
    )
)
def test_blocks_are_the_same_as_single_transfers(two_boards: tuple[Board, Board], script: list[tuple[bool, int, int, int]]) -> None:
    """What the port promises: a block has the effects, flags and data of its transfers."""
    whole, single = two_boards
    for write, address, count, csw in script:
        answers: list[tuple[int, int | bytes]] = []
        data = random.Random(address + count).randbytes(4 * count)
        for made in (whole, single):
            made.port.transfer(DP_WRITE, 0x1E)
            made.port.transfer(AP_WRITE | CSW, csw)
            made.port.transfer(AP_WRITE | TAR, address)
        if write:
            ack, at = 1, 0
            while at < count and ack == 1:
                ack, _ = single.port.transfer(AP_WRITE | DRW, int.from_bytes(data[4 * at : 4 * at + 4], "little"))
                at += ack == 1
            answers = [whole.port.write_block(AP_WRITE | DRW, data), (ack, at)]
        else:
            ack, got = single.port.transfer(AP_READ | DRW)[0], b""
            for n in range(count):
                if ack == 1:
                    ack, value = single.port.transfer(AP_READ | DRW if n < count - 1 else DP_READ | RDBUFF)
                    got += value.to_bytes(4, "little") if ack == 1 else b""
            answers = [whole.port.read_block(AP_READ | DRW, count), (ack, got)]
        assert answers[0] == answers[1]
        assert whole.port.transfer(DP_READ | CTRL) == single.port.transfer(DP_READ | CTRL)
        for made in (whole, single):
            made.port.transfer(DP_WRITE, 0x1E)
        assert whole.port.transfer(AP_READ | TAR)[0] == single.port.transfer(AP_READ | TAR)[0]
        assert whole.port.transfer(DP_READ | RDBUFF) == single.port.transfer(DP_READ | RDBUFF)
    assert bytes(whole.soc.bus.memories[0].data) == bytes(single.soc.bus.memories[0].data)


def test_a_fault_is_an_exception_in_these_tests(debugger: Debugger) -> None:
    with pytest.raises(Fault, match="FAULT"):
        debugger.read(NOWHERE)
    assert debugger.clear() & STICKYERR
