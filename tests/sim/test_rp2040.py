"""RP2040: debug ports on one line, boot ROM, QSPI flash behind its interface, resets, after the datasheet; and pyOCD on it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from pyocd.core import exceptions
from pyocd.flash.loader import MemoryLoader

from msdflash.sim import scripts
from msdflash.sim.board import Board
from msdflash.sim.chips.rp2040_rom import NAMES, checksum
from msdflash.sim.debugger import CTRL, DEMCR, DHCSR, DP_READ, SELECT, Debugger, Fault
from msdflash.sim.faults import FaultError
from msdflash.sim.port import Ack, Drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyocd.core.session import Session

CORE_0, CORE_1, RESCUE = 0x01002927, 0x11002927, 0xF1002927
DPIDR, RESCUE_DPIDR = 0x0BC12477, 0x10212927
XIP, RAM, MiB = 0x10000000, 0x20000000, 1 << 20
SS_CTRL, SSI_SR, SSI_DR = 0x4001800C, 0x18000028, 0x18000060
CHIP_RESET, CPUID, VTOR, AIRCR = 0x40064008, 0xE000ED00, 0xE000ED08, 0xE000ED0C
SYSRESETREQ = 0x05FA0004
COUNT, VERSION = RAM + 0x100, RAM + 0x108
OLD = bytes.fromhex("0011")
IMAGE = random.Random(9).randbytes(9000)


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board("pico", "cmsis-dap")
    yield made
    made.close()


@pytest.fixture
def debugger(board: Board) -> Debugger:
    made = Debugger(board.port)
    made.connect(CORE_0)
    return made


def chip(board: Board) -> Any:
    """The chip with what only an RP2040 has."""
    return board.soc.chip


def ids(debugger: Debugger) -> tuple[int, int]:
    """TARGETID and DLPIDR of the selected port."""
    found = []
    for bank in (2, 3):
        debugger.dp_write(SELECT, bank)
        found.append(debugger.dp_read(CTRL))
    debugger.dp_write(SELECT, 0)
    return found[0], found[1]


def silent(debugger: Debugger, target: int) -> bool:
    """Nobody answers after this target selection."""
    try:
        debugger.select(target)
    except Fault as fault:
        return fault.ack == Ack.NONE
    return False


def rom_function(debugger: Debugger, name: str) -> int:
    """Address of a function of the ROM, looked up by its own routine (datasheet 2.8.3)."""
    table, lookup = debugger.read(0x14) & 0xFFFF, debugger.read(0x18) & 0xFFFF
    assert debugger.read(0x10) & 0xFFFFFF == 0x01754D
    return call(debugger, lookup, table, int.from_bytes(name.encode(), "little"))


def call(debugger: Debugger, address: int, *arguments: int) -> int:
    """Call a function on the halted core; what it returns. It comes back to a BKPT in RAM."""
    debugger.halt()
    debugger.write(RAM, 0xBE00BE00)
    for register, value in (*enumerate(arguments), (13, RAM + 0x800), (14, RAM | 1), (15, address), (16, 1 << 24)):
        debugger.set_register(register, value)
    debugger.go()
    assert debugger.read(DHCSR) & 1 << 17
    assert debugger.register(15) == RAM
    return debugger.register(0)


def transact(debugger: Debugger, *data: int) -> list[int]:
    """Bytes to the flash chip through the interface in its manual mode."""
    debugger.write(SS_CTRL, 2 << 8)
    answer = []
    for byte in data:
        debugger.write(SSI_DR, byte)
        assert debugger.read(SSI_SR) & 1 << 3
        answer.append(debugger.read(SSI_DR))
    debugger.write(SS_CTRL, 3 << 8)
    return answer


def fit(board: Board, image: bytes) -> None:
    """Put bytes at the start of the flash chip, and power up."""
    board.set_power(False)
    board.soc.chip.flash.data[: len(image)] = image
    board.set_power(True)


def test_ports_sleep_until_alerted_and_answer_only_when_selected(board: Board) -> None:
    """IHI 0031 B5.3: dormant after power-on; B4.3.4: TARGETSEL leaves one of three; datasheet 2.3.4: which they are."""
    debugger = Debugger(board.port)
    with pytest.raises(Fault, match="NONE"):
        debugger.wake()
    for target, dpidr, instance in ((CORE_0, DPIDR, 0), (CORE_1, DPIDR, 1), (RESCUE, RESCUE_DPIDR, 0xF)):
        assert debugger.select(target) == dpidr
        assert ids(debugger) == (CORE_0, instance << 28 | 1)
    assert silent(debugger, CORE_0 | 2 << 28)
    assert silent(debugger, CORE_0 ^ 1 << 12)
    assert debugger.select(CORE_0) == DPIDR


def test_a_program_takes_both_ports_off_the_pads_until_the_next_reset(board: Board) -> None:
    """SYSCFG DBGFORCE, PROC0_ATTACH and PROC1_ATTACH (pico-sdk ``hardware/regs/syscfg.h``); 2.12: RUN resets that register, too."""
    fit(board, scripts.image("pico", "pins-taken-late"))
    debugger = Debugger(board.port)
    assert debugger.select(CORE_0) == DPIDR
    while not silent(debugger, CORE_0):
        board.advance(0.02)
    assert silent(debugger, CORE_1)
    assert debugger.select(RESCUE) == RESCUE_DPIDR
    board.port.set_nreset(Drive.LOW)
    assert silent(debugger, CORE_0), "nobody hears anything while RUN is low"
    board.port.set_nreset(Drive.FLOAT)
    debugger.connect(CORE_0)
    debugger.halt()
    board.advance(0.5)
    assert not silent(debugger, CORE_0), "a halted program takes nothing"


def test_target_selection_only_directly_behind_a_line_reset(board: Board) -> None:
    debugger = Debugger(board.port)
    debugger.select(CORE_0)
    wrong_parity = CORE_1 | (CORE_1.bit_count() + 1 & 1) << 32
    for value, bits in ((0x99, 8), (0, 5), (CORE_1, 33), (0, 2)):
        board.port.sequence(value.to_bytes((bits + 7) // 8, "little"), bits)
    assert ids(debugger)[1] == 1, "the old one is still selected"
    debugger.wake()
    for value, bits in ((0x99, 8), (0, 5), (CORE_1, 33), (0, 2)):
        board.port.sequence(value.to_bytes((bits + 7) // 8, "little"), bits)
    assert debugger.dp_read(0) == DPIDR & RESCUE_DPIDR, "DPIDR was read first: it is too late"
    for value, bits in (((1 << 51) - 1, 51), (0, 2), (0x99, 8), (0, 5), (wrong_parity, 33), (0, 2)):
        board.port.sequence(value.to_bytes((bits + 7) // 8, "little"), bits)
    assert board.port.transfer(DP_READ)[0] == Ack.NONE
    for value, bits in (((1 << 51) - 1, 51), (0xE3BC, 16)):  # B5.3.3
        board.port.sequence(value.to_bytes((bits + 7) // 8, "little"), bits)
    with pytest.raises(Fault, match="NONE"):
        debugger.wake()
    assert debugger.select(CORE_0) == DPIDR


@pytest.mark.parametrize("junk", [False, True])
def test_without_selection_all_speak_at_once(board: Board, junk: bool) -> None:
    """Assumption R1 and its variant."""
    chip(board).line.crowd.junk = junk
    debugger = Debugger(board.port)
    debugger.select(CORE_0)
    if junk:
        with pytest.raises(Fault, match="PARITY"):
            debugger.wake()
    else:
        assert debugger.wake() == DPIDR & RESCUE_DPIDR


def test_two_cores_one_memory(debugger: Debugger) -> None:
    assert debugger.read(CPUID) == 0x410CC601
    assert debugger.read(0x40000000) == 0x20002927
    debugger.write(RAM + 0x40000, 0x12345678)
    debugger.read(DHCSR)
    assert debugger.connect(CORE_1) == DPIDR
    assert debugger.read(CPUID) == 0x410CC601
    assert debugger.read(RAM + 0x40000) == 0x12345678
    assert debugger.read(DHCSR) & 1 << 18, "it sleeps in the ROM"
    debugger.halt()
    assert debugger.read(DHCSR) & 1 << 17
    assert debugger.register(15) < 0x4000
    debugger.connect(CORE_0)
    assert not debugger.read(DHCSR) & 1 << 17, "the other core runs on"


def test_only_a_second_stage_with_its_checksum_is_started(board: Board, firmware: Callable[[str], bytes]) -> None:
    """2.8.1: else the ROM waits as a USB drive, and the flash shows nothing."""
    debugger = Debugger(board.port)
    image = firmware("blinky-xip")
    fit(board, image)
    debugger.connect(CORE_0)
    first = debugger.read(COUNT)
    assert debugger.read(VERSION) == 1
    assert debugger.read(COUNT) > first
    assert (debugger.read(VTOR), debugger.read(XIP), debugger.read(XIP + 0x3000000 + 2 * MiB)) == (
        XIP + 0x100, *[int.from_bytes(image[:4], "little")] * 2,
    )  # fmt: skip
    debugger.halt()
    assert XIP <= debugger.register(15) < XIP + len(image)
    for damaged in (image[:40] + bytes([image[40] ^ 1]) + image[41:], b"\xff" * len(image)):
        fit(board, damaged)
        debugger.connect(CORE_0)
        assert (debugger.read(VERSION), debugger.read(XIP)) == (0, 0)
        debugger.halt()
        assert debugger.register(15) == 0x140


def test_checksum_of_the_datasheet(firmware: Callable[[str], bytes]) -> None:
    """2.8.1.3.1, bit by bit, against the ROM's way and the images' own."""
    for data in (b"", b"123456789", firmware("blinky2-xip")[:252]):
        value = 0xFFFFFFFF
        for byte in data:
            value ^= byte << 24
            for _ in range(8):
                value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
        assert checksum(data) == value
    assert checksum(b"123456789") == 0x0376E6E7  # CRC-32/MPEG-2
    for name in ("blinky-xip", "blinky2-xip", "sleeper-xip"):
        image = firmware(name)
        assert checksum(image[:252]) == int.from_bytes(image[252:256], "little")


def test_sysresetreq_resets_the_core_and_nothing_else(board: Board, firmware: Callable[[str], bytes]) -> None:
    """2.4.2.9. Caught at its vector, the core is in the ROM, and the flash still shows."""
    debugger = Debugger(board.port)
    fit(board, firmware("blinky-xip"))
    debugger.connect(CORE_0)
    debugger.read(DHCSR)
    debugger.write(0x4000F000, 1)  # RESETS, clear alias: ADC out of reset
    debugger.write(DEMCR, 1)
    debugger.halt()
    debugger.write(AIRCR, SYSRESETREQ)
    assert debugger.read(DHCSR) & (1 << 25 | 1 << 17) == 1 << 25 | 1 << 17
    assert debugger.register(15) == 0x100
    assert (debugger.read(XIP), debugger.read(0x4000C008)) == (int.from_bytes(firmware("blinky-xip")[:4], "little"), 1)


def test_run_resets_everything_the_debug_port_too(board: Board, debugger: Debugger) -> None:
    """2.12. Silent while low, asleep afterwards."""
    debugger.halt()
    board.port.set_nreset(Drive.LOW)
    assert silent(debugger, CORE_0)
    board.port.set_nreset(Drive.FLOAT)
    with pytest.raises(Fault, match="NONE"):
        debugger.wake()
    debugger.connect(CORE_0)
    assert debugger.read(CHIP_RESET) == 1 << 16
    assert not debugger.read(DHCSR) & 1, "debugging is off again"


def test_the_rescue_port_stops_the_chip_in_its_rom(board: Board, firmware: Callable[[str], bytes]) -> None:
    """2.3.4.2."""
    fit(board, firmware("blinky-xip"))
    debugger = Debugger(board.port)
    debugger.select(RESCUE)
    debugger.dp_write(CTRL, 1 << 28)
    debugger.dp_write(CTRL, 0)
    debugger.connect(CORE_0)
    assert (debugger.read(CHIP_RESET), debugger.read(XIP)) == (1 << 20, 0)
    debugger.halt()
    assert debugger.register(15) == 0x140


def test_flash_functions_of_the_rom(board: Board, debugger: Debugger) -> None:
    """2.8.3.1.3: IF and EX give the flash to the routines, FC and CX to the window."""
    board.soc.chip.flash.data[: 3 * 65536] = OLD * (3 * 32768)
    at = {name: rom_function(debugger, name) for name in NAMES}
    assert rom_function(debugger, "ZZ") == 0
    for index in range(0, 512, 4):
        debugger.write(RAM + 0x1000 + index, 0x01020300 | index & 0xFF)
    call(debugger, at["RP"], 0x1000, RAM + 0x1000, 256)
    call(debugger, at["RE"], 0x1000, 0x1000, 65536, 0xD8)
    assert board.flash_bytes()[: 3 * 65536] == OLD * (3 * 32768), "not without EX"
    call(debugger, at["IF"])
    call(debugger, at["EX"])
    assert debugger.read(XIP) == 0
    call(debugger, at["RE"], 0x1000, 0x1000, 65536, 0xD8)
    call(debugger, at["RE"], 0x10000, 0x11000, 65536, 0xD8)
    flash = board.flash_bytes()
    assert (flash[:0x1000], flash[0x1000:0x2000], flash[0x2000:0x10000]) == (OLD * 0x800, b"\xff" * 0x1000, OLD * 0x7000)
    assert (flash[0x10000:0x21000], flash[0x21000:0x22000]) == (b"\xff" * 0x11000, OLD * 0x800)
    call(debugger, at["RP"], 0x1000, RAM + 0x1000, 512)
    call(debugger, at["RP"], 0x2000, RAM + 0x1000, 256)
    call(debugger, at["FC"])
    call(debugger, at["CX"])
    assert (debugger.read(XIP + 0x1004), debugger.read(XIP + 0x11FC)) == (0x01020304, 0x010203FC)
    assert debugger.read(XIP + 0x2004) == 0x01020304 & 0x11001100, "programming only clears bits"
    call(debugger, at["EX"])
    call(debugger, at["CX"])
    assert debugger.read(XIP + 0x1004) == 0, "chip select is still forced"


def test_other_functions_of_the_rom(debugger: Debugger) -> None:
    """2.8.3.1.1 and 2.8.3.1.2: what start-up code of the maker's library calls."""
    at = {name: rom_function(debugger, name) for name in NAMES}
    assert [call(debugger, at[name], 0x00F0_0010) for name in ("P3", "R3", "L3", "T3")] == [5, 0x08000F00, 8, 4]
    assert [call(debugger, at[name], 0) for name in ("L3", "T3")] == [32, 32]
    assert call(debugger, at["MS"], RAM + 0x1001, 0x1A5, 6) == RAM + 0x1001
    assert call(debugger, at["MC"], RAM + 0x2000, RAM + 0x1000, 8) == RAM + 0x2000
    assert debugger.read_bytes(RAM + 0x2000, 8) == b"\0" + b"\xa5" * 6 + b"\0"


def test_microseconds_pass_and_alarms_match(board: Board, debugger: Debugger) -> None:
    """4.6."""
    timer, low = 0x40054000, 0x40054028
    debugger.go()
    before = debugger.read(low)
    board.advance(0.02)
    now = debugger.read(timer + 0x0C)
    assert 20_000 <= now - before < 25_000
    assert debugger.read(timer + 0x08) == 0
    debugger.write(timer + 0x38, 2)
    debugger.write(timer + 0x14, now + 15_000)
    assert (debugger.read(timer + 0x20), debugger.read(timer + 0x34)) == (2, 0)
    board.advance(0.02)
    assert (debugger.read(timer + 0x20), debugger.read(timer + 0x40)) == (0, 2)
    assert debugger.read(0xE000E200) == 2, "its interrupt is pending"
    debugger.write(timer + 0x34, 2)
    assert debugger.read(timer + 0x40) == 0


def test_the_flash_chip_by_its_instructions(board: Board, debugger: Debugger) -> None:
    """W25Q16JV data sheet 8.2, through the interface's registers."""
    for name in ("IF", "EX"):
        call(debugger, rom_function(debugger, name))
    assert transact(debugger, 0x9F, 0, 0, 0)[1:] == [0xEF, 0x40, 0x15]
    transact(debugger, 0x02, 0, 0x10, 0xFE, 1, 2, 3)
    assert board.flash_bytes()[0x1000:0x1100] == b"\xff" * 256, "not without write enable"
    transact(debugger, 0x06)
    assert transact(debugger, 0x05, 0)[1] == 2
    transact(debugger, 0x02, 0, 0x10, 0xFE, 1, 2, 3)
    assert board.flash_bytes()[0x10FE:0x1101] == b"\1\2\xff"
    assert board.flash_bytes()[0x1000] == 3, "it wraps within the page"
    assert transact(debugger, 0x05, 0)[1] == 0
    assert transact(debugger, 0x03, 0x20, 0x10, 0xFE, 0, 0)[4:] == [1, 2], "it does not see the bits above its length"
    transact(debugger, 0x06)
    transact(debugger, 0x20, 0, 0x17, 0)
    assert board.flash_bytes() == b"\xff" * 2 * MiB
    for argument, byte in (("", 0xFF), ("00", 0)):
        board.set_fault("qspi-open", argument)
        assert transact(debugger, 0x9F, 0, 0, 0) == [byte] * 4
    board.clear_faults()
    assert transact(debugger, 0x9F, 0, 0, 0)[1] == 0xEF


def test_a_flash_chip_that_does_not_answer_starts_nothing(board: Board, firmware: Callable[[str], bytes]) -> None:
    debugger = Debugger(board.port)
    fit(board, firmware("blinky-xip"))
    board.set_fault("qspi-open")
    board.set_power(False)
    board.set_power(True)
    debugger.connect(CORE_0)
    assert debugger.read(VERSION) == 0
    debugger.halt()
    assert debugger.register(15) == 0x140
    with pytest.raises(FaultError, match="has no lock"):
        board.set_fault("rdp1")
    other = Board("nrf51-dk", "cmsis-dap")
    try:
        with pytest.raises(FaultError, match="inside the chip"):
            other.set_fault("qspi-open")
    finally:
        other.close()


def flash(session: Session, image: bytes = IMAGE) -> None:
    loader = MemoryLoader(session, chip_erase="sector", trust_crc=False, keep_unwritten=True, smart_flash=False)
    loader.add_data(XIP, image)
    loader.commit()


@pytest.mark.parametrize("off", [0x00, pytest.param(0xFF, marks=pytest.mark.slow)])
def test_pyocd_programs_on_core_0_and_loses_neighbours(board: Board, pyocd_session: Callable[..., Session], off: int) -> None:
    """Its builtin algorithm runs on our ROM. It reads the neighbours between Init and UnInit, when the window shows nothing of the flash:
    as zeros in field case FC-80 (assumption R3 and its variant)."""
    chip(board).off = off
    chip(board).controller.refresh()
    board.soc.chip.flash.data[:] = OLD * MiB
    flash(pyocd_session(target_override="rp2040"))
    assert board.flash_bytes()[:12288] == IMAGE + bytes([off]) * (12288 - len(IMAGE))
    assert board.flash_bytes()[12288:] == OLD * (MiB - 6144)


@pytest.mark.parametrize(("fault", "argument"), [("flash-busy", ""), pytest.param("qspi-open", "ff", marks=pytest.mark.slow)])
def test_routines_that_wait_for_ever(board: Board, pyocd_session: Callable[..., Session], fault: str, argument: str) -> None:
    session = pyocd_session(target_override="rp2040")
    board.soc.chip.flash.data[:256] = OLD * 128
    board.set_fault(fault, argument)
    with pytest.raises(exceptions.FlashFailure, match="timed out"):
        flash(session)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "argument"), [("write-protect", "2"), ("bad-cell", "0x10000110"), ("qspi-open", "00")])
def test_what_pyocd_does_not_notice(board: Board, pyocd_session: Callable[..., Session], fault: str, argument: str) -> None:
    """The ROM's routines return nothing: a protected, worn or absent flash chip looks like a good one."""
    session = pyocd_session(target_override="rp2040")
    board.set_fault(fault, argument)
    flash(session)
    wrong = sum(a != b for a, b in zip(board.flash_bytes(), IMAGE, strict=False))
    assert wrong == 1 if fault == "bad-cell" else wrong > 1000
