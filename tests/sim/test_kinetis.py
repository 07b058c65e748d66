"""K64F and KL25Z: flash module, security, MDM-AP and reset loop after the reference manuals, and pyOCD on them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from pyocd.core import exceptions
from pyocd.core.target import Target
from pyocd.flash.loader import MemoryLoader

from msdflash.sim.board import Board
from msdflash.sim.debugger import DEMCR, DHCSR, Debugger
from msdflash.sim.port import Drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyocd.core.session import Session

FSTAT, FCCOB, DATA, FPROT, SDID, SRS = 0x40020000, 0x40020004, 0x40020008, 0x40020010, 0x40048024, 0x4007F000
CCIF, ACCERR, FPVIOL, MGSTAT0 = 0x80, 0x20, 0x10, 0x01
FREADY, SECURE, OUT_OF_RESET, MASS_ERASE = 2, 4, 8, 0x20
OLD = bytes.fromhex("0011")
FCF = b"\xff" * 12 + b"\xfe\xff\xff\xff"
SPIN = bytes.fromhex("0010002011040000") + b"\xff" * 0x3F8 + FCF + bytes.fromhex("fee7")
IMAGE = bytearray(random.Random(4).randbytes(8 * 1024 - 100))
IMAGE[0x400:0x410] = FCF


@pytest.fixture
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    """A board with a program that spins, and something else behind it."""
    made = Board(getattr(request, "param", "frdm-k64f"), "cmsis-dap")
    array = made.soc.chip.flash.data
    array[: len(SPIN)] = SPIN
    array[0x2000:] = OLD * ((len(array) - 0x2000) // 2)
    made.set_power(False)
    made.set_power(True)
    yield made
    made.close()


def mdm(debugger: Debugger, register: int, value: int | None = None) -> int:
    """A register of access port 1."""
    debugger.dp_write(8, 1 << 24 | register & 0xF0)
    try:
        if value is None:
            return debugger.ap_read(register & 0xC)
        debugger.ap_write(register & 0xC, value)
        return 0
    finally:
        debugger.dp_write(8, 0)


def command(debugger: Debugger, code: int, address: int, *data: int) -> int:
    """One flash command by hand; FSTAT afterwards."""
    debugger.write(FCCOB, code << 24 | address)
    for index, word in enumerate(data):
        debugger.write(DATA + 4 * index, word)
    debugger.write(FSTAT, debugger.read(FSTAT) & ~0xFF | 0x70)
    debugger.write(FSTAT, debugger.read(FSTAT) & ~0xFF | CCIF)
    return debugger.read(FSTAT) & 0xFF


def flash(session: Session, image: bytes = bytes(IMAGE)) -> None:
    loader = MemoryLoader(session, chip_erase="sector", trust_crc=False, keep_unwritten=True, smart_flash=False)
    loader.add_data(0, image)
    loader.commit()


def test_phrases_are_programmed_once(debugger: Debugger) -> None:
    """Chapter 29, commands: eight aligned bytes; programming over anything else than erased flash fails the module's own check."""
    assert command(debugger, 0x07, 0x1000, 0x12345678, 0x9ABCDEF0) == CCIF
    assert (debugger.read(0x1000), debugger.read(0x1004)) == (0x12345678, 0x9ABCDEF0)
    assert command(debugger, 0x07, 0x1000, 0xFFFFFFFF, 0xFFFF0000) == CCIF | MGSTAT0
    assert debugger.read(0x1004) == 0x9ABC0000
    assert command(debugger, 0x07, 0x1004, 0, 0) == CCIF | ACCERR
    assert command(debugger, 0x07, 0x100000, 0, 0) == CCIF | ACCERR
    assert command(debugger, 0x06, 0x1008, 0) == CCIF | ACCERR  # program longword is FTFA's
    debugger.write(0x1010, 0)
    assert debugger.read(0x1010) == 0xFFFFFFFF  # a plain store is no command


def test_erasing_and_checking_sectors(debugger: Debugger) -> None:
    """Chapter 29, commands; an error flag stops the next command until it is cleared (chapter 29, registers)."""
    assert command(debugger, 0x01, 0x3000, 0x01000000) == CCIF | MGSTAT0
    assert command(debugger, 0x09, 0x3000) == CCIF
    assert (debugger.read(0x2FFC), debugger.read(0x3000), debugger.read(0x3FFC), debugger.read(0x4000)) == (
        0x11001100, 0xFFFFFFFF, 0xFFFFFFFF, 0x11001100,
    )  # fmt: skip
    assert command(debugger, 0x01, 0x3000, 0x01000000) == CCIF
    assert command(debugger, 0x55, 0) == CCIF | ACCERR
    debugger.write(FCCOB, 0x09 << 24 | 0x5000)
    debugger.write(FSTAT, debugger.read(FSTAT) & ~0xFF | CCIF)
    assert debugger.read(0x5000) == 0x11001100


def test_protected_regions(debugger: Debugger, board: Board) -> None:
    """Chapter 29, registers: a bit for each 32nd, taken from 0x408 at reset; software can only add protection."""
    board.set_fault("write-protect", "8")
    assert debugger.read(FPROT) == 0xFFFFFFFD  # FPROT3, the lowest byte, has the lowest regions (SVD MKL25Z4)
    assert command(debugger, 0x09, 0x8000) == CCIF | FPVIOL
    assert command(debugger, 0x07, 0xFFF8, 0, 0) == CCIF | FPVIOL
    assert command(debugger, 0x44, 0) == CCIF | FPVIOL
    assert command(debugger, 0x09, 0x10000) == CCIF
    debugger.write(FPROT, 0xFFFFFFFF)
    assert debugger.read(FPROT) == 0xFFFFFFFD


@pytest.mark.parametrize(
    ("board", "idr", "sdid"), [("frdm-k64f", 0x001C0000, 0x640), ("frdm-kl25z", 0x001C0020, 0x251)], indirect=["board"]
)
def test_security_shuts_all_but_the_mdm_ap(debugger: Debugger, board: Board, idr: int, sdid: int) -> None:
    """Chapter 29, registers FSEC; MDM-AP: a mass erase is all that it offers then, and leaves the part unsecured."""
    assert (mdm(debugger, 0xFC), mdm(debugger, 0)) == (idr, FREADY | OUT_OF_RESET | MASS_ERASE)
    assert debugger.read(SDID) >> 20 == sdid
    board.set_fault("security")
    assert mdm(debugger, 0) == FREADY | SECURE | OUT_OF_RESET | MASS_ERASE
    assert debugger.refused(0)
    assert debugger.refused(DHCSR)
    mdm(debugger, 4, 8)
    assert mdm(debugger, 4) == 0
    mdm(debugger, 4, 1)
    valid = [word for word in (mdm(debugger, 0) for _ in range(12)) if word & (FREADY | OUT_OF_RESET) == FREADY | OUT_OF_RESET]
    assert valid  # it is blank now, and loops
    assert not any(word & SECURE for word in valid)
    assert board.flash_bytes().count(0xFF) == len(board.flash_bytes()) - 1
    assert board.flash_bytes()[0x40C] == 0xFE


def test_without_meen_nothing_unlocks(debugger: Debugger, board: Board) -> None:
    """FSEC.MEEN = 10 (chapter 29, registers)."""
    before = board.flash_bytes()
    board.soc.chip.flash.data[0x40C] = 0xEF
    board.set_power(False)
    board.set_power(True)
    debugger.connect()
    mdm(debugger, 4, 1)
    assert mdm(debugger, 0) & (SECURE | MASS_ERASE) == SECURE
    assert board.flash_bytes()[0x410:] == before[0x410:]


def test_a_blank_part_loops_and_looks_locked_now_and_then(board: Board) -> None:
    """Lockup resets at once: two thirds of the time in reset, where security reads as on until the flash module is ready."""
    board.soc.chip.flash.data[:8] = b"\xff" * 8
    board.set_power(False)
    board.set_power(True)
    debugger = Debugger(board.port)
    debugger.connect()
    words = [mdm(debugger, 0) for _ in range(30)]
    assert {word & OUT_OF_RESET for word in words} == {0, OUT_OF_RESET}
    assert {word & SECURE for word in words} == {0, SECURE}
    assert not [word for word in words if word & SECURE and word & (FREADY | OUT_OF_RESET) == FREADY | OUT_OF_RESET]
    debugger.read(DHCSR)
    assert all(debugger.read(DHCSR) & 0x03000000 == 0x02000000 for _ in range(4))
    refused = [debugger.refused(SRS) for _ in range(6)]
    assert (True in refused, False in refused) == (True, True)
    debugger.write(DHCSR, 0xA05F0001)
    debugger.write(DEMCR, 1)
    assert debugger.read(DHCSR) & 1 << 17
    assert debugger.read(SRS) >> 8 & 0xFF == 2  # SRS1: LOCKUP


def test_under_reset_the_ports_answer_and_the_core_can_be_caught(debugger: Debugger, board: Board) -> None:
    """MDM-AP: debug request and core hold, as a debugger uses them to connect under reset."""
    board.port.set_nreset(Drive.LOW)
    assert mdm(debugger, 0) & (OUT_OF_RESET | FREADY | SECURE) == FREADY
    assert debugger.refused(0)
    mdm(debugger, 4, 0x14)
    debugger.write(DHCSR, 0xA05F0001)
    board.port.set_nreset(Drive.FLOAT)
    assert debugger.read(DHCSR) & 0x02020000 == 0x02000000
    mdm(debugger, 4, 0x04)
    assert debugger.read(DHCSR) & 1 << 17
    assert mdm(debugger, 0) & 1 << 16
    assert debugger.read(SRS) & 0xFF == 0x40  # PIN


@pytest.mark.parametrize("blank", [False, True])
@pytest.mark.parametrize(("board", "target"), [("frdm-k64f", "k64f"), ("frdm-kl25z", "kl25z")], indirect=["board"])
def test_pyocd_programs_and_keeps_the_neighbours(board: Board, pyocd_session: Callable[..., Session], target: str, blank: bool) -> None:
    array = board.soc.chip.flash.data
    rest = bytes(array[0x2000:])
    if blank:
        array[:8] = b"\xff" * 8
        board.set_power(False)
        board.set_power(True)
    flash(pyocd_session(target_override=target))
    assert board.flash_bytes() == bytes(IMAGE) + b"\xff" * (0x2000 - len(IMAGE)) + rest


def test_pyocd_opens_what_the_file_would_have_locked(board: Board, pyocd_session: Callable[..., Session]) -> None:
    """It writes FSEC = 0xFE whatever the file says: what is in flash is not the file."""
    image = bytes(IMAGE[:0x40C]) + b"\x00" + bytes(IMAGE[0x40D:])
    flash(pyocd_session(target_override="k64f"), image)
    assert board.flash_bytes()[0x40C] == 0xFE


def test_a_protected_sector_is_told_by_its_code(board: Board, pyocd_session: Callable[..., Session]) -> None:
    board.set_fault("write-protect", "0")
    with pytest.raises(exceptions.FlashEraseFailure) as failure:
        flash(pyocd_session(target_override="k64f"))
    assert failure.value.result_code == 0x68


def test_default_options_erase_a_secured_chip_unasked(board: Board, pyocd_session: Callable[..., Session]) -> None:
    board.set_fault("security")
    session = pyocd_session(target_override="k64f", auto_unlock=True, connect_mode="under-reset")
    assert session.target.get_state() is Target.State.HALTED
    assert OLD * 8 not in board.flash_bytes()


def test_a_stuck_operation_and_a_bad_cell(board: Board, pyocd_session: Callable[..., Session]) -> None:
    session = pyocd_session(target_override="k64f")
    board.set_fault("bad-cell", "0x1234")
    with pytest.raises(exceptions.FlashProgramFailure) as failure:
        flash(session)
    assert failure.value.result_code == 0x69  # the algorithm checks each phrase with the module's own command
    session.target.reset_and_halt()
    board.set_fault("flash-busy")
    with pytest.raises(exceptions.FlashFailure, match="timed out"):
        flash(session)
