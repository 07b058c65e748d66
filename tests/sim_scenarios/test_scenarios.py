"""The library of field cases: complete, and each row can be set up."""

from __future__ import annotations

from pathlib import Path

import pytest

from msdflash.diagnose.causes import CATALOGUE
from msdflash.sim import client
from msdflash.sim.contents import BEFORE, CONTENTS, base, elf, lay_down, moved, program
from msdflash.sim.scenarios import CASES, NOT_MODELLED, SCENARIOS
from msdflash.sim.spec import parse


def test_every_case_is_there_once() -> None:
    names = [f"FC-{number:02}" for number in CASES]
    assert len(set(names)) == len(names) == 66
    assert sorted([*SCENARIOS, *NOT_MODELLED]) == sorted(names)
    assert all(NOT_MODELLED.values())


@pytest.mark.parametrize("case", SCENARIOS)
def test_a_row_can_be_set_up(case: str) -> None:
    row = SCENARIOS[case]
    assert parse(row.spec()).board == row.board
    assert row.cause == "" or row.cause in CATALOGUE
    assert row.cause == "" or not row.rescue or row.faults or row.before != "old"
    content = CONTENTS[row.drop](row.board)
    assert content.data
    assert content.parts
    assert all(data for data in BEFORE[row.before](row.board).values()) or row.before == "blank"


def test_flash_is_laid_down(tmp_path: Path) -> None:
    spec = parse("frdm-kl25z,probe=cmsis-dap")
    parts = {0: program("frdm-kl25z", 2), 0x1FFF0: b"the last 16 byte"}
    lay_down(spec, tmp_path, parts)
    with client.start(spec, bus=tmp_path) as board:
        flash = board.flash()
    assert len(flash) == 128 << 10
    assert all(flash[at : at + len(data)] == data for at, data in parts.items())
    assert flash.count(b"\xff") > len(flash) - 4096, "the rest is erased"
    with pytest.raises(IndexError):
        lay_down(spec, tmp_path, {0x1FFF1: b"16 bytes and one"})


def test_elf_is_one() -> None:
    import io

    from elftools.elf.elffile import ELFFile

    at = base("stm32f103rc") + 0x7000
    data = moved(program("stm32f103rc"), 0x7000)
    file = ELFFile(io.BytesIO(elf(at, data)))
    (segment,) = file.iter_segments()
    assert (segment["p_paddr"], segment.data()) == (at, data)
    assert at < int.from_bytes(data[4:8], "little") < at + 256
