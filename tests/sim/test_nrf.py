"""NRF52840 and nRF51822: NVMC, reset pin and access port protection after the product specifications, and pyOCD on them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from pyocd.flash.loader import MemoryLoader

from msdflash.sim.board import Board
from msdflash.sim.debugger import CTRL, DEMCR, DHCSR, Debugger, Fault
from msdflash.sim.faults import FaultError
from msdflash.sim.port import Drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyocd.core.session import Session

READY, CONFIG, ERASEPAGE, ERASEALL = 0x4001E400, 0x4001E504, 0x4001E508, 0x4001E50C
UICR_APPROTECT, RESETREAS = 0x10001208, 0x40000400
WRITE_ENABLED, ERASE_ENABLED = 1, 2
OLD = bytes.fromhex("0011")
IMAGE = random.Random(3).randbytes(16 * 1024 - 100)


@pytest.fixture
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    made = Board(getattr(request, "param", "nrf52840-dk"), "cmsis-dap")
    made.soc.chip.flash.data[0x4000:] = OLD * ((made.soc.chip.flash.size - 0x4000) // 2)
    yield made
    made.close()


def other_port(debugger: Debugger, register: int, value: int | None = None) -> int:
    """A register of access port 1."""
    debugger.dp_write(8, 1 << 24 | register & 0xF0)
    try:
        if value is None:
            return debugger.ap_read(register & 0xC)
        debugger.ap_write(register & 0xC, value)
        return 0
    finally:
        debugger.dp_write(8, 0)


def flash(session: Session, image: bytes = IMAGE) -> None:
    loader = MemoryLoader(session, chip_erase="sector", trust_crc=False, keep_unwritten=True, smart_flash=False)
    loader.add_data(0, image)
    loader.commit()


def test_programming_clears_bits_and_only_when_enabled(debugger: Debugger) -> None:
    """PS 4.3.2: whole words, CONFIG.WEN = Wen; 4.3.3: erasing needs Een. There is no flag that tells of a refusal."""
    debugger.write(0x1000, 0)
    assert debugger.read(0x1000) == 0xFFFFFFFF
    debugger.write(CONFIG, WRITE_ENABLED)
    debugger.write(0x1000, 0x12345678)
    debugger.write(0x1000, 0xFFFF0000)
    debugger.write(ERASEPAGE, 0x1000)
    assert (debugger.read(0x1000), debugger.read(READY)) == (0x12340000, 1)
    debugger.write(CONFIG, ERASE_ENABLED)
    debugger.write(0x1004, 0)
    debugger.write(ERASEPAGE, 0x5000)
    assert debugger.read_bytes(0x5000, 8) == b"\xff" * 8
    assert debugger.read_bytes(0x4FFC, 4) == OLD * 2
    assert (debugger.read(0x1004), debugger.read(0x6000)) == (0xFFFFFFFF, 0x11001100)
    debugger.write(ERASEALL, 1)
    assert (debugger.read(0x6000), debugger.read(0x10001200)) == (0xFFFFFFFF, 0xFFFFFFFF)


def test_acl_protects_until_reset(debugger: Debugger, board: Board) -> None:
    """PS 4.3.8: a region is protected from its three registers on, and free after a reset."""
    for register, value in ((0x4001E800, 0x5000), (0x4001E804, 0x1000), (0x4001E808, 2), (CONFIG, ERASE_ENABLED), (ERASEPAGE, 0x5000)):
        debugger.write(register, value)
    assert debugger.read(0x5000) == 0x11001100
    debugger.write(0xE000ED0C, 0x05FA0004)
    debugger.write(CONFIG, ERASE_ENABLED)
    debugger.write(ERASEPAGE, 0x5000)
    assert debugger.read(0x5000) == 0xFFFFFFFF
    with pytest.raises(FaultError, match="no write protection"):
        board.set_fault("write-protect", "0")


def test_the_reset_pin_is_there_only_where_uicr_says_so(debugger: Debugger, board: Board) -> None:
    """PS 4.5.1 PSELRESET; reset behaviour: pin reset clears the debug registers too."""
    debugger.halt()
    debugger.write(DEMCR, 1)
    board.port.set_nreset(Drive.LOW)
    debugger.dp_write(CTRL, 0x50000000)
    assert debugger.dp_read(CTRL) & 0xA0000000 == 0
    board.port.set_nreset(Drive.FLOAT)
    assert debugger.dp_read(CTRL) & 0xA0000000 == 0xA0000000
    assert (debugger.read(DEMCR), debugger.read(DHCSR) & 3, debugger.read(RESETREAS)) == (0, 0, 1)
    board.soc.chip.flash.data[0:8] = bytes.fromhex("0010002001010000")
    board.soc.chip._uicr.data[0x200:0x208] = b"\xff" * 8  # type: ignore[attr-defined]
    board.set_power(False)
    board.set_power(True)
    debugger.connect()
    debugger.halt()
    board.port.set_nreset(Drive.LOW)
    assert debugger.read(DHCSR) & 1 << 17


def test_held_low_it_may_also_be_silent(board: Board) -> None:
    board.set_fault("reset-held", "ignored")
    with pytest.raises(Fault):
        Debugger(board.port).wake()
    board.set_fault("reset-held")
    assert Debugger(board.port).wake() == 0x2BA01477


def test_access_port_protection(debugger: Debugger, board: Board) -> None:
    """PS 4.8.2: CTRL-AP answers, the memory port does not; ERASEALL erases flash, UICR and RAM and opens it."""
    assert (other_port(debugger, 0xFC), other_port(debugger, 0x0C)) == (0x02880000, 1)
    board.set_fault("approtect")
    assert other_port(debugger, 0x0C) == 0
    assert debugger.ap_read(0) & 0x40 == 0
    assert debugger.refused(DHCSR)
    assert debugger.refused(0)
    other_port(debugger, 0x04, 1)
    other_port(debugger, 0x00, 1)
    assert (other_port(debugger, 0x0C), debugger.read(0x4000), debugger.read(UICR_APPROTECT)) == (1, 0xFFFFFFFF, 0xFFFFFFFF)


@pytest.mark.parametrize("board", ["nrf52840-dk-v3"], indirect=True)
def test_hardened_parts_lock_themselves_again(debugger: Debugger, board: Board) -> None:
    """From revision 3 on protection is on after reset; an erased part stays open until the next one that is not a soft reset."""
    assert other_port(debugger, 0x0C) == 0
    other_port(debugger, 0x04, 1)
    other_port(debugger, 0x00, 1)
    assert other_port(debugger, 0x0C) == 1
    board.set_power(False)
    board.set_power(True)
    debugger.connect()
    assert other_port(debugger, 0x0C) == 0


def test_lockup_resets_unless_somebody_debugs(board: Board) -> None:
    """PS, reset behaviour, note: a blank part loops on its own and is locked up under a debugger."""
    board.advance(0.001)
    debugger = Debugger(board.port)
    debugger.connect()
    debugger.read(DHCSR)
    assert debugger.read(DHCSR) & 0x02080000 == 0x00080000
    assert debugger.read(RESETREAS) & 8


@pytest.mark.parametrize(("board", "target"), [("nrf52840-dk", "nrf52840"), ("nrf51-dk", "nrf51")], indirect=["board"])
def test_pyocd_programs_and_keeps_the_neighbours(board: Board, pyocd_session: Callable[..., Session], target: str) -> None:
    board.soc.chip.flash.data[len(IMAGE) :] = rest = OLD * ((board.soc.chip.flash.size - len(IMAGE)) // 2)
    flash(pyocd_session(target_override=target))
    assert board.flash_bytes() == IMAGE + rest


@pytest.mark.parametrize(("name", "argument", "wrong"), [("bad-cell", "", 1), ("corrupt-write", "", 2), ("write-protect", "0", 1000)])
@pytest.mark.parametrize("board", ["nrf51-dk"], indirect=True)
def test_the_algorithm_never_tells_of_a_failure(
    board: Board, pyocd_session: Callable[..., Session], name: str, argument: str, wrong: int
) -> None:
    """It returns 0 whatever comes out: pyOCD says that all is well."""
    board.soc.chip.flash.data[:0x400] = OLD * 0x200
    session = pyocd_session(target_override="nrf51")
    if name == "corrupt-write":
        buffers = session.target.memory_map.get_boot_memory().algo["page_buffers"]
        argument = f"0x{buffers[0] + 16:x}:1:1"
    board.set_fault(name, argument)
    flash(session)
    assert sum(a != b for a, b in zip(board.flash_bytes(), IMAGE, strict=False)) >= wrong


def test_default_options_erase_a_locked_chip_unasked(board: Board, pyocd_session: Callable[..., Session]) -> None:
    board.set_fault("approtect")
    flash(pyocd_session(target_override="nrf52840", auto_unlock=True))
    array = board.flash_bytes()
    assert array[: len(IMAGE)] == IMAGE
    assert set(array[len(IMAGE) :]) == {0xFF}


@pytest.mark.parametrize(("board", "word"), [("nrf52840-dk", 0xFFFFFFFF), ("nrf52840-dk-v3", 0x5A)], indirect=["board"])
def test_opening_a_session_writes_uicr_on_hardened_parts_alone(board: Board, pyocd_session: Callable[..., Session], word: int) -> None:
    pyocd_session(target_override="nrf52840", auto_unlock=True)
    assert board.soc.chip.controller.option(0x208) == word  # type: ignore[attr-defined]
