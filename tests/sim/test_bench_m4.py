"""BENCH-M4: its controller after its manual (docs/bench-m4.md), and pyOCD on it with nothing but the CMSIS-Pack."""

from __future__ import annotations

import random
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyocd.core.target import Target
from pyocd.flash.eraser import FlashEraser
from pyocd.flash.loader import MemoryLoader
from pyocd.target import TARGET
from pyocd.target.pack.cmsis_pack import CmsisPack, CmsisPackDevice

import msdflash.sim.pack.make_pack as packing
from msdflash.sim.board import Board
from msdflash.sim.boards import BOARDS
from msdflash.sim.contents import program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyocd.core.session import Session

    from msdflash.sim.debugger import Debugger

FOLDER = Path(packing.__file__).parent
PACK = FOLDER / BOARDS["bench-pack"].pack[0]
KEY, COMMAND, STATUS, ADDRESS, PROT, LINE = (0x400F0000 + offset for offset in (0x00, 0x04, 0x08, 0x0C, 0x10, 0x40))
LOCKED, CMDERR, ADDRERR, PROTERR, DATAERR = 2, 0x100, 0x200, 0x400, 0x800
PROGRAM, ERASE, ERASE_ALL = 1, 2, 3


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board("bench-pack", "cmsis-dap")
    yield made
    made.close()


@pytest.fixture
def unlocked(debugger: Debugger) -> Debugger:
    debugger.halt()
    for key in (0x6D736466, 0x6C617368):
        debugger.write(KEY, key)
    return debugger


def command(debugger: Debugger, number: int, address: int = 0) -> int:
    """One command by hand; STATUS afterwards, errors cleared."""
    debugger.write(ADDRESS, address)
    debugger.write(COMMAND, 0xB3C40000 | number)
    status = debugger.read(STATUS)
    debugger.write(STATUS, status)
    return status


def test_locked_until_both_keys_came_in_order(debugger: Debugger) -> None:
    debugger.halt()
    assert command(debugger, ERASE) == LOCKED | CMDERR
    for keys, state in (((0x6C617368, 0x6D736466), LOCKED), ((0x6D736466, 0x6C617368), 0), ((0,), LOCKED)):
        for key in keys:
            debugger.write(KEY, key)
        assert debugger.read(STATUS) == state, keys
        if state:
            debugger.write(KEY, 0)


def test_programming_clears_bits_of_one_line(unlocked: Debugger, board: Board) -> None:
    unlocked.write(LINE + 4, 0x12345678)
    assert command(unlocked, PROGRAM, 0x1040) == 0
    assert (unlocked.read(0x1040), unlocked.read(0x1044), unlocked.read(LINE + 4)) == (0xFFFFFFFF, 0x12345678, 0xFFFFFFFF)
    unlocked.write(LINE + 4, 0xFFFF0000)
    assert command(unlocked, PROGRAM, 0x1040) == DATAERR  # the array is 0x12340000 now, not the line
    assert unlocked.read(0x1044) == 0x12340000
    assert command(unlocked, PROGRAM, 0x1044) == ADDRERR
    assert command(unlocked, PROGRAM, 0x40000) == ADDRERR
    unlocked.write(0x2000, 0)  # a plain store changes nothing
    assert unlocked.read(0x2000) == 0xFFFFFFFF
    board.set_fault("bad-cell", "0x3000")
    unlocked.write(LINE, 0)
    assert (command(unlocked, PROGRAM, 0x3000), unlocked.read(0x3000)) == (0, 1)


@pytest.mark.parametrize(("address", "first", "end"), [(0x0FFF, 0, 0x1000), (0x4004, 0x4000, 0x8000), (0x38000, 0x38000, 0x40000)])
def test_erasing_takes_the_sector_that_holds_the_address(unlocked: Debugger, board: Board, address: int, first: int, end: int) -> None:
    array = board.soc.chip.flash.data
    array[:] = bytes(len(array))
    assert command(unlocked, ERASE, address) == 0
    assert array == bytes(first) + b"\xff" * (end - first) + bytes(len(array) - end)
    board.set_fault("write-protect", "4")
    assert (unlocked.read(PROT), command(unlocked, ERASE, 0x4000), command(unlocked, ERASE_ALL)) == (0x10, PROTERR, PROTERR)
    board.clear_faults()
    assert command(unlocked, ERASE_ALL) == 0
    assert array.count(0xFF) == len(array)


def test_an_error_must_be_cleared_and_a_reset_locks(unlocked: Debugger, board: Board) -> None:
    unlocked.write(COMMAND, ERASE)  # without its upper half
    unlocked.write(COMMAND, 0xB3C40000 | ERASE)
    assert unlocked.read(STATUS) == CMDERR
    board.soc.reset("software")
    assert unlocked.read(STATUS) == LOCKED


def test_an_operation_that_never_ends_keeps_the_controller(unlocked: Debugger, board: Board) -> None:
    board.set_fault("flash-busy")
    assert command(unlocked, ERASE) == 1
    unlocked.write(KEY, 0)
    assert unlocked.read(STATUS) == 1
    board.clear_faults()
    assert unlocked.read(STATUS) == 0


def test_pyocd_flashes_it_with_the_pack_alone(pyocd_session: Callable[..., Session], board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sectors of all three sizes; then the program runs after reset.

    What stood beside the image in its last sector is lost, although pyOCD is asked to keep it: where an algorithm has Verify, as this one
    has, pyOCD takes erased flash for unreadable (flm_region_builder.py) and keeps nothing.
    """
    monkeypatch.setattr(CmsisPackDevice, "svd", None)  # read in a thread that outlives the session
    image = program("bench-pack", 1, 0x8000) + random.Random(5).randbytes(0x8200)
    array = board.soc.chip.flash.data
    array[0x10200:0x10300] = bytes(range(0x100))
    with zipfile.ZipFile(PACK) as pack:
        session = pyocd_session(target_override="bench_m4", pack=[CmsisPack(pack)])
    TARGET.pop("bench_m4")
    loader = MemoryLoader(session, chip_erase="sector", trust_crc=False, keep_unwritten=True, smart_flash=False)
    loader.add_data(0, image)
    loader.commit()
    assert array[: len(image)] == image
    assert array[0x10200:].count(0xFF) == len(array) - 0x10200
    assert {region.sector_size for region in session.target.memory_map.get_region_for_address(0).submap} == {0x1000, 0x4000, 0x8000}
    session.target.reset(Target.ResetType.SYSTEM)
    board.advance(0.01)
    counts = []
    for _ in range(2):
        board.advance(0.01)
        counts.append(session.target.read32(0x20000100))
    assert 0 < counts[0] < counts[1]
    session.target.halt()
    FlashEraser(session, FlashEraser.Mode.CHIP).erase()
    assert array.count(0xFF) == len(array)


def test_the_pack_is_what_its_script_makes(tmp_path: Path) -> None:
    """Same members, same bytes, whenever it is made; and the description is the one beside it."""
    with zipfile.ZipFile(PACK) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    packing.make(tmp_path / "again.pack", members)
    assert (tmp_path / "again.pack").read_bytes() == PACK.read_bytes()
    beside = {"msdflash-bench.BENCH_M4_DFP.pdsc": "msdflash-bench.BENCH_M4_DFP.pdsc", "SVD/BENCH-M4.svd": "BENCH-M4.svd"}
    assert {name: (FOLDER / file).read_bytes() for name, file in beside.items()} == {name: data for name, data in members if name in beside}
    assert [device.part_number for device in CmsisPack(str(PACK)).devices] == ["BENCH-M4"]


@pytest.mark.slow
def test_the_pack_is_made_of_its_sources(tmp_path: Path) -> None:
    """With the compiler that it was built with; another one may lay code out otherwise."""
    if shutil.which("arm-none-eabi-gcc") is None or shutil.which("make") is None:
        pytest.fail("needs gcc-arm-none-eabi and make")
    shutil.copytree(FOLDER, tmp_path / "pack", ignore=shutil.ignore_patterns("*.pack", "__pycache__"))
    subprocess.run(["make", "-s", "-C", str(tmp_path / "pack")], check=True, timeout=120)
    assert (tmp_path / "pack" / PACK.name).read_bytes() == PACK.read_bytes()
