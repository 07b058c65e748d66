"""LPC55S69: flash with error correction, debug mailbox and boot ROM as others use them, and pyOCD on it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from pyocd.core import exceptions
from pyocd.core.target import Target
from pyocd.flash.loader import MemoryLoader

from msdflash.sim.board import Board
from msdflash.sim.chips.lpc55 import checksum
from msdflash.sim.debugger import DEMCR, DHCSR, Debugger, Fault
from msdflash.sim.faults import FaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyocd.core.session import Session

RAM, ROM, ISP, MAILBOX, DIEID, AOREG1 = 0x20000000, 0x13000000, 0x13000420, 0x13000440, 0x50000FFC, 0x40020084
FLASH = 0x50034000
CMD, STARTA, STOPA, DATAW, STATUS, CLEAR = FLASH, FLASH + 0x10, FLASH + 0x14, FLASH + 0x80, FLASH + 0xFE0, FLASH + 0xFE8
FAIL, ERR, DONE, ECC = 1, 2, 4, 8
CSW, REQUEST, RETURN, IDR = 0x00, 0x04, 0x08, 0xFC
DATA = random.Random(5).randbytes(40 * 1024 - 100)


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board("lpcxpresso55s69", "cmsis-dap")
    yield made
    made.close()


def port(debugger: Debugger, number: int, register: int, value: int | None = None) -> int:
    """A register of an access port."""
    debugger.dp_write(8, number << 24 | register & 0xF0)
    try:
        if value is None:
            return debugger.ap_read(register & 0xC)
        debugger.ap_write(register & 0xC, value)
        return 0
    finally:
        debugger.port.transfer(0, 0x1F)  # DAPABORT too
        debugger.dp_write(8, 0)


def identities(debugger: Debugger) -> list[int]:
    return [port(debugger, number, IDR) for number in range(4)]


def start_session(debugger: Debugger) -> int:
    """Resynchronise with a chip reset, ask for a debug session; what the ROM answers."""
    port(debugger, 2, CSW, 0x21)
    assert port(debugger, 2, CSW) == 0
    port(debugger, 2, REQUEST, 7)
    answer = port(debugger, 2, RETURN)
    debugger.ap_write(CSW, 0x23000052)
    return answer


def put(board: Board, parts: dict[int, bytes]) -> None:
    """Bytes into flash as if programmed long ago, and power up."""
    board.set_power(False)
    for address, data in parts.items():
        board.soc.chip.flash.data[address : address + len(data)] = data
    board.set_power(True)


def crc_image(image: bytes) -> bytearray:
    """A program with a header of type 5."""
    made = bytearray(image)
    made[0x20:0x28] = len(image).to_bytes(4, "little") + (5).to_bytes(4, "little")
    made[0x28:0x2C] = checksum(bytes(made[:0x28] + made[0x2C:])).to_bytes(4, "little")
    return made


def command(debugger: Debugger, number: int, first: int, last: int) -> int:
    """A command of the controller; its status."""
    for register, value in ((CLEAR, 0xF), (STARTA, first), (STOPA, last), (CMD, number)):
        debugger.write(register, value)
    return debugger.read(STATUS)


def test_a_blank_part_hides_its_cores_until_the_mailbox_is_asked(board: Board) -> None:
    debugger = Debugger(board.port)
    assert debugger.connect() == 0x6BA02477
    assert identities(debugger) == [0, 0, 0x002A0000, 0]
    assert debugger.refused(DHCSR)
    with pytest.raises(Fault, match="WAIT"):
        port(debugger, 2, RETURN)  # nobody has put anything there
    assert start_session(debugger) == 0
    assert identities(debugger) == [0x84770001, 0x84770001, 0x002A0000, 0]
    assert (debugger.read(0xE000ED00), debugger.read(DIEID), debugger.read(AOREG1)) == (0x410FD213, 0x426B1, 0x90)
    debugger.halt()
    assert (debugger.read(DHCSR) & 0x120001, debugger.register(15)) == (0x120001, MAILBOX)
    board.port.transfer(0, 0x1E)
    assert debugger.refused(0)
    debugger.write(0xE000ED0C, 0x05FA0004)  # each reset shuts it again
    assert identities(debugger)[0] == 0


def test_the_rom_starts_a_program_and_lets_debuggers_in(board: Board, firmware: Callable[[str], bytes]) -> None:
    put(board, {0: firmware("blinky-m33")})
    debugger = Debugger(board.port)
    debugger.connect()
    assert identities(debugger)[0] == 0x84770001
    counts = [debugger.read(RAM + 0x100) for _ in range(2)]
    assert counts[0] < counts[1]
    assert (debugger.read(RAM + 0x108), debugger.read(0x40000040)) == (1, 1)
    assert (debugger.read(4), debugger.read(0x10000004)) == (int.from_bytes(firmware("blinky-m33")[4:8], "little"),) * 2
    assert debugger.refused(0x600)
    # No trap stops the core in the ROM: the debugger is locked out then.
    debugger.halt()
    debugger.write(DEMCR, 0x01000001)
    debugger.write(0xE000ED0C, 0x05FA0004)
    assert identities(debugger)[0] == 0x84770001
    assert not debugger.read(DHCSR) & 1 << 17


def test_the_image_header_is_checked(board: Board, firmware: Callable[[str], bytes]) -> None:
    """Type 5: length and CRC; type 0: neither. What is not started leaves the ROM waiting in ISP mode."""
    assert checksum(b"123456789") == 0x0376E6E7
    debugger = Debugger(board.port)
    good = crc_image(firmware("blinky-m33"))
    plain, unknown, long = bytearray(firmware("blinky-m33")), bytearray(good), bytearray(good)
    plain[0x20] = 99
    unknown[0x24] = 9
    long[0x20:0x24] = (0x10000).to_bytes(4, "little")
    wrong = bytearray(good)
    wrong[-1] ^= 1
    for image, starts in ((good, True), (plain, True), (wrong, False), (unknown, False), (long, False)):
        put(board, {0: bytes(image)})
        debugger.connect()
        assert (identities(debugger)[0] != 0) == starts
    assert start_session(debugger) == 0
    debugger.halt()
    assert debugger.register(15) == MAILBOX
    board.soc.reset("software")
    board.soc.glance()
    assert board.soc.core.pc == ISP


def test_the_controller_tells_what_may_be_read(board: Board) -> None:
    """Commands 3, 4, 5, 8 and 12 on words of 16 bytes; a page written twice is neither erased nor readable."""
    put(board, {0x8000: b"\x11" * 600})
    debugger = Debugger(board.port)
    debugger.connect()
    start_session(debugger)
    assert command(debugger, 5, 0x000, 0x7FF) == DONE
    assert (command(debugger, 5, 0x000, 0xFFF), debugger.read(DATAW)) == (DONE | FAIL, 0x800)
    assert command(debugger, 3, 0, 0) == DONE | ECC
    assert command(debugger, 99, 0, 0) == DONE | ERR
    for at in range(4):
        debugger.write(DATAW + 4 * at, 0xA0 + at)
    assert command(debugger, 8, 1, 1) == command(debugger, 12, 0x20, 0x20) == DONE
    assert [debugger.read(0x210 + 4 * at) for at in range(4)] == [0xA0, 0xA1, 0xA2, 0xA3]
    assert (command(debugger, 3, 0x21, 0x21), debugger.read(DATAW + 4)) == (DONE, 0xA1)
    assert debugger.refused(0x1FC)
    assert debugger.refused(0x400)
    assert command(debugger, 12, 0x20, 0x20) == DONE
    assert debugger.refused(0x210)
    assert command(debugger, 5, 0x20, 0x20) == DONE | FAIL
    assert command(debugger, 4, 0x000, 0x7FF) == DONE
    assert command(debugger, 5, 0x000, 0x7FF) == DONE
    # The processor's own reads fail there, too, and flash keeps its state in a drawer.
    board.restore(board.state())
    debugger.connect()
    start_session(debugger)
    assert debugger.read(0x10008000) == 0x11111111
    debugger.write(RAM, 0x47706800)  # ldr r0, [r0]; bx lr
    debugger.halt()
    for register, value in ((0, 0x1000), (13, RAM + 0x300), (15, RAM), (16, 1 << 24)):
        debugger.set_register(register, value)
    debugger.go()
    debugger.read(DHCSR)
    assert (debugger.read(0xE000ED28) & 0x8200, debugger.read(0xE000ED38)) == (0x8200, 0x1000)  # precise bus fault, BFAR


def test_debugging_can_be_shut_for_good(board: Board, firmware: Callable[[str], bytes]) -> None:
    """CMPA.CC_SOCU: program or not, the mailbox answers and opens nothing."""
    debugger = Debugger(board.port)
    for image in (b"", firmware("blinky-m33")):
        put(board, {0: image})
        board.set_fault("debug-lock")
        debugger.connect()
        assert identities(debugger) == [0, 0, 0x002A0000, 0]
        assert start_session(debugger) != 0
        assert identities(debugger) == [0, 0, 0x002A0000, 0]
        board.clear_fault("debug-lock")
    debugger.connect()
    assert identities(debugger)[0] == 0x84770001
    for name in ("write-protect", "rdp1"):
        with pytest.raises(FaultError):
            board.set_fault(name)


def test_in_reset_only_the_mailbox_is_there(board: Board, firmware: Callable[[str], bytes]) -> None:
    put(board, {0: firmware("blinky-m33")})
    debugger = Debugger(board.port)
    board.set_fault("reset-held")
    assert debugger.connect() == 0x6BA02477
    assert identities(debugger) == [0, 0, 0x002A0000, 0]
    port(debugger, 2, CSW, 0x21)
    assert port(debugger, 2, CSW) == 1  # nobody runs who could answer
    board.clear_fault("reset-held")
    assert port(debugger, 2, CSW) == 0
    assert identities(debugger)[0] == 0  # and now it waits for a request
    board.set_fault("reset-held", "ignored")
    with pytest.raises(Fault):
        debugger.wake()


def flash(session: Session, image: bytes, at: int = 0) -> None:
    loader = MemoryLoader(session, chip_erase="sector", trust_crc=False)
    loader.add_data(at, image)
    loader.commit()


def test_pyocd_opens_a_blank_part_programs_and_debugs_it(
    board: Board, pyocd_session: Callable[..., Session], firmware: Callable[[str], bytes]
) -> None:
    session = pyocd_session(target_override="lpc55s69", **{"reset.post_delay": 0.1})
    target = session.target
    assert sorted(target.cores) == [0, 1]
    image = firmware("blinky-m33") + DATA
    flash(session, image)
    assert board.flash_bytes()[: len(image)] == image
    target.reset_and_halt()
    assert target.read_core_register("pc") == int.from_bytes(image[4:8], "little") & ~1
    assert target.get_security_state() is Target.SecurityState.SECURE
    target.step()
    target.resume()
    assert target.read32(RAM + 0x100) < target.read32(RAM + 0x100)
    # pyOCD gives up what else a sector holds where erased flash cannot be read.
    flash(session, b"\x22" * 512, 0x8400)
    assert board.flash_bytes()[0x8000:0x8800] == b"\xff" * 0x400 + b"\x22" * 512 + b"\xff" * 0x200
    with pytest.raises(exceptions.TransferError):
        target.read32(0x8000)
    board.set_fault("flash-busy")
    with pytest.raises(exceptions.FlashFailure, match="timed out"):
        flash(session, DATA)


def test_pyocd_finds_no_core_where_debugging_is_shut(board: Board, pyocd_session: Callable[..., Session]) -> None:
    board.set_fault("debug-lock")
    with pytest.raises(exceptions.DebugError, match="No cores"):
        pyocd_session(target_override="lpc55s69")
