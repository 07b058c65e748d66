"""Each fault changes something physical that can be measured, and taking it out undoes that."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from msdflash.sim.board import Board
from msdflash.sim.debugger import AP_READ, AP_WRITE, CTRL, DHCSR, DP_READ, DRW, SR, STICKYERR, TAR, Debugger
from msdflash.sim.faults import FAULTS, FaultError
from msdflash.sim.port import Ack, Drive

RAM, FLASH, IDCODE = 0x20000000, 0x08000000, 0xE0042000
RESET, HALT = 1 << 25, 1 << 17


class Clock(Protocol):
    now: float


def alive(debugger: Debugger) -> bool:
    return debugger.port.transfer(DP_READ)[0] == Ack.OK


@pytest.mark.parametrize("name", ["reset-held", "probe-stuck-reset"])
def test_nreset_low(board: Board, debugger: Debugger, name: str) -> None:
    board.set_fault(name)
    board.port.set_nreset(Drive.HIGH)
    assert not board.port.nreset()
    assert all(debugger.read(DHCSR) & RESET for _ in range(3))
    assert debugger.refused(RAM)
    board.clear_fault(name)
    assert board.port.nreset()
    debugger.read(DHCSR)
    assert not debugger.read(DHCSR) & RESET
    assert not debugger.refused(RAM)


def test_nreset_low_with_the_bus_ignoring(board: Board, debugger: Debugger) -> None:
    debugger.write(RAM, 7)
    board.set_fault("reset-held", "ignored")
    debugger.write(RAM, 8)
    assert debugger.read(RAM) == 0
    board.clear_faults()
    assert debugger.read(RAM) == 7


def test_late_reset(board: Board, debugger: Debugger, clock: Clock) -> None:
    """The supervisor stretches every low: the probe's, the chip's own and power-on."""
    board.set_fault("reset-late", "400")
    assert board.port.nreset()

    def wait_for_high() -> None:
        assert not board.port.nreset()
        clock.now += 0.399
        assert not board.port.nreset()
        assert debugger.read(DHCSR) & RESET
        assert debugger.read(DHCSR) & RESET
        clock.now += 0.002
        debugger.read(DHCSR)
        assert not debugger.read(DHCSR) & RESET
        assert board.port.nreset()

    board.port.set_nreset(Drive.LOW)
    clock.now += 1
    board.port.set_nreset(Drive.FLOAT)
    wait_for_high()
    debugger.write(0xE000ED0C, 0x05FA0004)
    wait_for_high()
    board.set_power(False)
    board.set_power(True)
    debugger.connect()
    wait_for_high()


@pytest.mark.parametrize(("argument", "ack", "level"), [(None, Ack.NONE, True), ("clamped", Ack.LOW, False)])
def test_no_power(board: Board, debugger: Debugger, argument: str | None, ack: Ack, level: bool) -> None:
    debugger.write(RAM, 5)
    assert board.port.vtref() == pytest.approx(3.3)
    board.set_fault("no-power", argument)
    assert board.port.vtref() == 0
    assert board.port.transfer(DP_READ)[0] == ack
    assert board.port.swdio() is level
    board.set_power(False)
    board.clear_faults()
    assert board.port.vtref() == 0, "it is still switched off"
    board.set_power(True)
    assert not alive(debugger), "a debug port that lost power speaks JTAG again"
    debugger.connect()
    assert debugger.read(RAM) == 0


def test_open_wires(board: Board, debugger: Debugger) -> None:
    board.set_fault("swd-open")
    assert board.port.transfer(DP_READ)[0] == Ack.NONE
    assert board.port.vtref() == pytest.approx(3.3)
    assert board.port.nreset()
    board.clear_faults()
    assert alive(debugger)


def test_ram_that_loses_writes(board: Board, debugger: Debugger) -> None:
    debugger.write(RAM, 1)
    board.set_fault("ram-bad")
    debugger.write(RAM, 2)
    assert debugger.read(RAM) == 1
    board.clear_faults()
    debugger.write(RAM, 2)
    assert debugger.read(RAM) == 2


def test_ram_with_a_stuck_line_or_cell(board: Board, debugger: Debugger) -> None:
    board.set_fault("ram-bad", "stuck")
    debugger.write(RAM + 0x100, 0xFFFFFFFF)
    debugger.ap_write(0, 0x23000050)
    debugger.write(RAM + 0x104, 0xFF)
    debugger.ap_write(0, 0x23000052)
    assert (debugger.read(RAM + 0x100), debugger.read(RAM + 0x104)) == (0xFFFFFFF7, 0xF7)
    board.set_fault("ram-bad", "0x20000101")
    debugger.write(RAM + 0x100, 0xFFFFFFFF)
    debugger.write(RAM + 0x104, 0xFFFFFFFF)
    assert (debugger.read(RAM + 0x100), debugger.read(RAM + 0x104)) == (0xFFFFF7FF, 0xFFFFFFFF)


def test_flash_that_stays_busy(board: Board, debugger: Debugger) -> None:
    board.set_fault("flash-busy")
    assert debugger.read(SR) == 0
    debugger.unlock()
    debugger.erase(0)
    assert debugger.read(SR) & 1 << 16
    debugger.ap_write(TAR, FLASH)
    debugger.port.transfer(AP_READ | DRW)
    assert debugger.port.transfer(AP_READ | DRW)[0] == Ack.WAIT, "RM0351 3.3.6: a read of that bank waits for the end"
    assert debugger.port.read_block(AP_READ | DRW, 1, retries=3)[0] == Ack.WAIT
    debugger.port.transfer(0, 1)
    assert debugger.read(FLASH + 0x80000) == 0xFFFFFFFF, "the other bank can be read"
    board.clear_faults()
    assert debugger.erase(0) == 0


def test_bad_cell(board: Board, debugger: Debugger) -> None:
    board.set_fault("bad-cell", "0x08000012")
    debugger.unlock()
    assert debugger.program(FLASH + 0x10, 0x1122334455667788) == 0, "no flag tells"
    assert debugger.program(FLASH + 0x18, 0x1122334455667788) == 0
    assert debugger.read_bytes(FLASH + 0x10, 16).hex() == "88776755443322118877665544332211"
    debugger.erase(0)
    assert debugger.read(FLASH + 0x10) == 0xFFFFFFFF
    board.clear_faults()
    debugger.program(FLASH + 0x10, 0x1122334455667788)
    assert debugger.read(FLASH + 0x10) == 0x55667788


def test_corrupted_writes(board: Board, debugger: Debugger) -> None:
    board.set_fault("corrupt-write", "0x20000008:2:1")
    seen = []
    for _ in range(3):
        debugger.ap_write(TAR, RAM)
        assert board.port.write_block(AP_WRITE | DRW, bytes(20)) == (Ack.OK, 5)
        seen.append(debugger.read_bytes(RAM, 20))
    assert seen[0] == seen[2] == bytes(20)
    assert seen[1][:8] == bytes(8)
    assert seen[1][12:] == bytes(8)
    assert int.from_bytes(seen[1][8:12], "little").bit_count() == 2, "parity stays right"
    board.set_fault("corrupt-write", "0x20000008")
    for _ in range(2):
        debugger.write(RAM + 8, 0)
        assert debugger.read(RAM + 8) != 0, "for ever"


def test_faulted_write(board: Board, debugger: Debugger) -> None:
    board.set_fault("fault-write", "0x20000008:2")
    debugger.write(RAM + 8, 1)
    assert debugger.refused(RAM + 8, 2)
    assert debugger.read(RAM + 8) == 1
    debugger.write(RAM + 8, 3)
    assert debugger.read(RAM + 8) == 3
    board.set_fault("fault-write", "0x20000008")
    debugger.ap_write(TAR, RAM)
    ack, accepted = board.port.write_block(AP_WRITE | DRW, b"\x55" * 20)
    assert (ack, accepted) == (Ack.FAULT, 3)
    assert debugger.clear() & STICKYERR


def tally(board: Board, hertz: int) -> dict[int, int]:
    """Acknowledges of many reads and writes, each followed by a good ABORT."""
    debugger = Debugger(board.port)
    board.port.set_clock(hertz)
    counts: dict[int, int] = {}
    for turn in range(2000):
        ack, _ = board.port.transfer(AP_READ | DRW if turn % 2 else AP_WRITE | TAR, RAM)
        counts[ack] = counts.get(ack, 0) + 1
        if ack != Ack.OK:
            debugger.port.transfer(0, 0x1E)
    return counts


def test_noise(board: Board, debugger: Debugger) -> None:
    """About p of all transfers, always the same ones for a seed, far fewer at a lower clock; writes show as FAULT afterwards."""
    board.set_fault("noise", "0.02:5")
    first = tally(board, 1_000_000)
    assert 15 <= sum(count for ack, count in first.items() if ack != Ack.OK) <= 80
    assert {Ack.NONE, Ack.PARITY, Ack.FAULT} <= set(first)
    assert sum(count for ack, count in tally(board, 100_000).items() if ack != Ack.OK) <= 4
    board.clear_faults()
    assert set(tally(board, 1_000_000)) == {Ack.OK}

    again = Board("nucleo-l476rg", "cmsis-dap")
    Debugger(again.port).connect()
    again.set_fault("noise", "0.02:5")
    assert tally(again, 1_000_000) == first
    again.close()


def test_noise_hits_blocks_too(board: Board, debugger: Debugger) -> None:
    board.set_fault("noise", "0.01:3")
    debugger.port.transfer(0, 0x1E)
    hit = 0
    for _ in range(20):
        for _ in range(4):
            board.port.transfer(0, 0x1E)
            board.port.transfer(AP_WRITE | TAR, RAM)
        ack, done = board.port.write_block(AP_WRITE | DRW, bytes(400))
        hit += ack != Ack.OK or done != 100
    assert hit >= 5


@pytest.mark.parametrize(("chip", "device", "flash_kib"), [("stm32l433", 0x435, 256), ("stm32f411", 0x431, 512)])
def test_other_chip(board: Board, debugger: Debugger, chip: str, device: int, flash_kib: int) -> None:
    board.soc.chip.flash.data[:4] = b"mine"
    board.set_fault("write-protect", "3")
    board.set_fault("other-chip", chip)
    assert len(board.flash_bytes()) == flash_kib * 1024
    debugger.connect()
    assert debugger.read(IDCODE) & 0xFFF == device
    assert debugger.refused(0x40022010) is (chip == "stm32f411"), "only the L4 has its flash controller there"
    assert ("write-protect" in board.faults) is (chip == "stm32l433")
    board.clear_faults()
    debugger.connect()
    assert debugger.read(IDCODE) & 0xFFF == 0x415
    assert board.flash_bytes()[:4] == b"mine"


def test_several_at_once(board: Board, debugger: Debugger) -> None:
    elsewhere = ("approtect", "security", "crp", "debug-lock", "qspi-open", "swdio-low")  # what other makers' chips can have
    here = [name for name in FAULTS if name not in elsewhere]
    for name in here:
        board.set_fault(name)
    assert not board.port.nreset()
    assert board.port.vtref() == 0
    for name in reversed(here):
        board.clear_fault(name)
    assert board.faults == {}
    assert board.port.nreset()
    debugger.connect()
    debugger.write(RAM, 1)
    assert debugger.read(RAM) == 1
    assert not debugger.dp_read(CTRL) & STICKYERR


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("gremlin", None), ("swd-open", "x"), ("reset-late", "soon"), ("noise", "2"), ("noise", "x"), ("other-chip", "stm32l476rg"),
        ("ram-bad", "maybe"), ("ram-bad", "0x10000000"), ("write-protect", "512"), ("bad-cell", "0"), ("corrupt-write", "a:b"),
        ("fault-write", "0x20000000:1:2"), ("corrupt-write", "0x20000000:0"), ("reset-held", "never"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_and_changes_nothing(board: Board, name: str, argument: str | None) -> None:
    with pytest.raises(FaultError, match=r"\w"):
        board.set_fault(name, argument)
    assert board.faults == {}


def test_a_refused_argument_leaves_the_fault_as_it_was(board: Board) -> None:
    board.set_fault("write-protect", "7")
    with pytest.raises(FaultError, match="pages"):
        board.set_fault("write-protect", "9999")
    assert board.faults == {"write-protect": "7"}


def test_the_document_lists_every_fault(request: pytest.FixtureRequest) -> None:
    text = (Path(request.config.rootpath) / "docs" / "bench.md").read_text("utf-8")
    for name, fault in FAULTS.items():
        assert f"| `{name}` |" in text, name
        assert fault.what
