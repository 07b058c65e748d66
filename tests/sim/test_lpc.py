"""LPC1768: boot ROM, IAP and code read protection after UM10360, and pyOCD on it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from pyocd.core import exceptions
from pyocd.flash.loader import MemoryLoader

from msdflash.sim.board import Board
from msdflash.sim.debugger import DEMCR, DHCSR, Debugger, Fault
from msdflash.sim.faults import FaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyocd.core.session import Session

RAM, ROM, IAP, MEMMAP, RSID = 0x10000000, 0x1FFF0000, 0x1FFF1FF0, 0x400FC040, 0x400FC180
COMMAND, RESULT, SOURCE = RAM + 0x400, RAM + 0x440, RAM + 0x800
OLD = bytes.fromhex("0011")
IMAGE = random.Random(5).randbytes(72 * 1024 - 100)


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board("lpc1768-mbed", "cmsis-dap")
    array = made.soc.chip.flash.data
    array[0x12000:] = OLD * ((len(array) - 0x12000) // 2)
    yield made
    made.close()


def iap(debugger: Debugger, *command: int) -> int:
    """Call the ROM; its status code. The core comes back to a BKPT in RAM."""
    debugger.halt()
    debugger.write(RAM, 0xBE00BE00)
    for index, word in enumerate(command):
        debugger.write(COMMAND + 4 * index, word)
    debugger.write(RESULT, 0xEEEEEEEE)
    for register, value in ((0, COMMAND), (1, RESULT), (13, RAM + 0x300), (14, RAM | 1), (15, IAP), (16, 1 << 24)):
        debugger.set_register(register, value)
    debugger.go()
    assert debugger.read(DHCSR) & 1 << 17
    assert debugger.register(15) == RAM
    return debugger.read(RESULT)


def program(image: bytes, board: Board) -> None:
    """Put a program into flash with a valid checksum, and power up."""
    words = [int.from_bytes(image[at : at + 4], "little") for at in range(0, 28, 4)]
    board.set_power(False)
    board.soc.chip.flash.data[: len(image)] = image
    board.soc.chip.flash.data[28:32] = (-sum(words) & 0xFFFFFFFF).to_bytes(4, "little")
    board.set_power(True)


def test_iap_commands_and_their_codes(debugger: Debugger, board: Board) -> None:
    """UM10360 32.8: prepare, erase, copy; each locks the sectors again."""
    assert iap(debugger, 54) == 0
    assert debugger.read(RESULT + 4) == 0x26013F37
    assert iap(debugger, 99) == 1
    assert iap(debugger, 50, 3, 2) == iap(debugger, 50, 0, 30) == 7
    assert iap(debugger, 52, 17, 17, 4000) == 9
    assert (iap(debugger, 53, 17, 17), debugger.read(RESULT + 4)) == (8, 0xA000 - 0x8000 - 0x2000 + 0x0)
    assert iap(debugger, 50, 17, 17) == iap(debugger, 52, 17, 17, 4000) == iap(debugger, 53, 17, 17) == 0
    assert board.flash_bytes()[0x17FFE:0x20002] == OLD + b"\xff" * 0x8000 + OLD
    for at in range(0, 256, 4):
        debugger.write(SOURCE + at, 0x12340000 | at)
    assert iap(debugger, 51, 0x18000, SOURCE, 256, 4000) == 9
    assert iap(debugger, 50, 17, 17) == 0
    assert iap(debugger, 51, 0x18004, SOURCE, 256, 4000) == 3
    assert iap(debugger, 51, 0x18000, SOURCE, 300, 4000) == 6
    assert iap(debugger, 51, 0x18000, 0x60000000, 256, 4000) == 2
    assert iap(debugger, 51, 0x18000, SOURCE, 256, 4000) == iap(debugger, 56, 0x18000, SOURCE, 256) == 0
    assert debugger.read(0x18010) == 0x12340010
    assert iap(debugger, 56, 0x18100, SOURCE, 256) == 10


def test_the_rom_starts_only_what_sums_up_to_zero(board: Board, firmware: Callable[[str], bytes]) -> None:
    """32.3.1.1: words 0 to 7; otherwise ISP waits. MEMMAP says which of the two is seen at 0 (32.9)."""
    debugger = Debugger(board.port)
    image = firmware("blinky-lpc")
    program(image, board)
    debugger.connect()
    assert (debugger.read(RAM + 0x108), debugger.read(MEMMAP), debugger.read(RSID)) == (1, 1, 1)
    board.set_power(False)
    board.soc.chip.flash.data[28] ^= 1
    board.set_power(True)
    debugger.connect()
    assert (debugger.read(RAM + 0x108), debugger.read(MEMMAP)) == (0, 0)
    debugger.halt()
    assert (debugger.read(RAM + 0x108), debugger.read(MEMMAP), debugger.register(15)) == (0, 0, ROM + 0x180)


def test_caught_at_reset_the_rom_lies_at_0(board: Board, firmware: Callable[[str], bytes]) -> None:
    program(firmware("blinky-lpc"), board)
    debugger = Debugger(board.port)
    debugger.connect()
    debugger.halt()
    debugger.write(DEMCR, 1)
    debugger.write(0xE000ED0C, 0x05FA0004)
    assert debugger.register(15) == ROM + 0x100
    assert debugger.read(4) == ROM + 0x101
    debugger.write(MEMMAP, 1)
    assert debugger.read(4) == int.from_bytes(firmware("blinky-lpc")[4:8], "little")


def test_code_read_protection_silences_the_port(board: Board) -> None:
    """32.6."""
    debugger = Debugger(board.port)
    assert debugger.connect() == 0x2BA01477
    board.set_fault("crp")
    with pytest.raises(Fault):
        debugger.wake()
    board.set_power(False)
    board.set_power(True)
    with pytest.raises(Fault):
        debugger.wake()
    board.clear_fault("crp")
    assert debugger.connect() == 0x2BA01477
    for name in ("write-protect", "rdp1"):
        with pytest.raises(FaultError):
            board.set_fault(name)


def flash(session: Session, image: bytes = IMAGE) -> None:
    loader = MemoryLoader(session, chip_erase="sector", trust_crc=False, keep_unwritten=True, smart_flash=False)
    loader.add_data(0, image)
    loader.commit()


def test_pyocd_programs_and_keeps_the_neighbours(board: Board, pyocd_session: Callable[..., Session]) -> None:
    """Across the border of small and large sectors; the algorithm puts the checksum in by itself."""
    rest = board.flash_bytes()[0x12000:]
    flash(pyocd_session(target_override="lpc1768"))
    array = board.flash_bytes()
    assert array[:28] + array[32 : len(IMAGE)] == IMAGE[:28] + IMAGE[32:]
    assert sum(int.from_bytes(array[at : at + 4], "little") for at in range(0, 32, 4)) & 0xFFFFFFFF == 0
    assert array[0x12000:] == rest


def test_a_routine_that_never_comes_back(board: Board, pyocd_session: Callable[..., Session]) -> None:
    session = pyocd_session(target_override="lpc1768")
    board.set_fault("flash-busy")
    with pytest.raises(exceptions.FlashFailure, match="timed out"):
        flash(session)
