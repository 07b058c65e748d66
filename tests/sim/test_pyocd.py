"""pyOCD itself on the board, in this process: its own flash algorithm runs on the simulated core."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from pyocd.core import exceptions
from pyocd.core.target import Target
from pyocd.flash.loader import MemoryLoader

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyocd.core.session import Session

    from msdflash.sim.board import Board

FLASH, SIZE = 0x08000000, 16 * 1024
IMAGE = random.Random(1).randbytes(SIZE)
OLD = bytes.fromhex("0011")


@pytest.fixture
def written(board: Board) -> Board:
    """A board whose flash is full of something else."""
    array = board.soc.chip.flash.data
    array[:] = OLD * (len(array) // 2)
    return board


def flash(session: Session, image: bytes = IMAGE, address: int = FLASH, **options: Any) -> None:
    loader = MemoryLoader(session, chip_erase="sector", trust_crc=False, **{"keep_unwritten": True, "smart_flash": False, **options})
    loader.add_data(address, image)
    loader.commit()


@pytest.mark.parametrize("smart", [False, True])
def test_programs_and_keeps_the_neighbours(written: Board, pyocd_session: Callable[..., Session], smart: bool) -> None:
    session = pyocd_session()
    flash(session, IMAGE[:-100], smart_flash=smart)
    array = written.flash_bytes()
    assert array[: SIZE - 100] == IMAGE[:-100]
    assert array[SIZE - 100 :] == OLD * ((len(array) - SIZE + 100) // 2)


def test_programs_across_the_banks(written: Board, pyocd_session: Callable[..., Session]) -> None:
    flash(pyocd_session(), IMAGE, FLASH + 0x7F000)
    array = written.flash_bytes()
    assert array[0x7F000 : 0x7F000 + SIZE] == IMAGE
    assert array[:0x7F000] == OLD * (0x7F000 // 2)


def test_new_firmware_runs_after_reset(board: Board, pyocd_session: Callable[..., Session], firmware: Callable[[str], bytes]) -> None:
    session = pyocd_session()
    for name, version in (("blinky", 1), ("blinky2", 2)):
        flash(session, firmware(name))
        session.target.reset()
        board.advance(0.01)
        assert session.target.get_state() is Target.State.RUNNING
        assert session.target.read32(0x20000108) == version
    session.target.reset_and_halt()
    assert session.target.get_state() is Target.State.HALTED
    assert session.target.read_core_register("pc") == int.from_bytes(firmware("blinky2")[4:8], "little") & ~1
    session.target.step()
    session.target.set_breakpoint(session.target.read_core_register("pc"))


@pytest.mark.parametrize(
    ("name", "argument", "error"),
    [
        ("reset-held", None, exceptions.TransferFaultError),
        ("reset-held", "ignored", exceptions.CoreRegisterAccessError),
        ("probe-stuck-reset", None, exceptions.TransferFaultError),
        ("no-power", None, exceptions.Error),
        ("swd-open", None, exceptions.Error),
        ("ram-bad", None, exceptions.FlashFailure),
        ("write-protect", "2", exceptions.FlashEraseFailure),
        ("rdp1", None, exceptions.FlashEraseFailure),
        ("flash-busy", None, exceptions.FlashEraseFailure),
        ("fault-write", "0x20001000", exceptions.TransferFaultError),
        ("noise", "0.01", exceptions.TransferError),
        ("other-chip", "stm32f411", exceptions.FlashFailure),
    ],
)
def test_faults_that_pyocd_notices(
    written: Board, pyocd_session: Callable[..., Session], name: str, argument: str | None, error: type[Exception]
) -> None:
    written.set_fault(name, argument)
    with pytest.raises(error):
        flash(pyocd_session())
    assert written.flash_bytes()[:SIZE] != IMAGE


@pytest.mark.parametrize(("name", "argument", "wrong"), [("bad-cell", "0x08000100", 1), ("corrupt-write", "0x20001010:2:1", 2)])
def test_faults_that_pyocd_does_not_notice(
    written: Board, pyocd_session: Callable[..., Session], name: str, argument: str, wrong: int
) -> None:
    """It reports success over an array that is wrong: why msdflash reads everything back."""
    written.set_fault(name, argument)
    flash(pyocd_session())
    assert sum(a != b for a, b in zip(written.flash_bytes(), IMAGE, strict=False)) == wrong


def test_a_quarter_mebibyte_is_quick(board: Board, pyocd_session: Callable[..., Session]) -> None:
    """Not a benchmark: a bench so slow would be of no use for a test suite."""
    import time

    image = random.Random(2).randbytes(256 * 1024)
    started = time.process_time()
    flash(pyocd_session(), image)
    assert board.flash_bytes()[: len(image)] == image
    assert time.process_time() - started < 5
