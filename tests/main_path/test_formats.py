"""Every format with addresses of its own, dropped on one drive: flash is what the file says; a file for another chip changes nothing."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest

scene = sys.modules["main_path_stage"]
Start = Callable[..., Any]
BASE = 0x0800_0000


@pytest.fixture(scope="module")
def writers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("main_path_writers", Path(__file__).parents[1] / "image" / "writers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_format_is_flashed_and_another_chips_file_is_not(stage: Start, writers: ModuleType) -> None:
    drive = stage(board="nucleo-l476rg,probe=cmsis-dap")["board"]
    flash = bytearray(b"\xff" * (1 << 20))

    def memory(version: int) -> list[tuple[int, bytes]]:
        return [(BASE, scene.image(version, 1500)), (BASE + 0x8000 * version, bytes([version]) * 72)]

    mine, other = int(drive.serial[:4], 16), 0x9900
    files = {
        "a.elf": ("elf", memory(1), writers.elf(memory(1), arch=13, empty=True)),
        "b.uf2": ("uf2", memory(2), writers.uf2(memory(2), family=0x00FF_6919)),
        "c.s19": ("srec", memory(3), writers.srec([(a + i, d[i : i + 28]) for a, d in memory(3) for i in range(0, len(d), 28)])),
        "d.hex": ("universal-hex", memory(4), writers.universal({other: [(0, b"\x0f" * 64)], mine: memory(4)})),
    }
    for name, (kind, parts, content) in files.items():
        found = drive.drop(name, content)
        assert found.proved, found.report
        assert found.report["image"]["format"] == kind
        assert found.report["image"]["ranges"] == tuple((address, len(data)) for address, data in parts)
        for address, data in parts:
            flash[address - BASE : address - BASE + len(data)] = data
        assert drive.flash() == flash, name

    refused = {
        "stm32f4.uf2": ("image-wrong-chip", writers.uf2(memory(5), family=0x5775_5A57)),
        "microbit.hex": ("image-no-part-for-board", writers.universal({0x9900: memory(5), 0x9903: memory(5)})),
    }
    for name, (cause, content) in refused.items():
        found = drive.drop(name, content)
        assert found.first == (cause, "certain"), found.report
        assert found.report["changed"]["erased"] == found.report["changed"]["programmed"] == 0
    scene.fail_of(found.drive["FAIL.TXT"])
    assert drive.flash() == flash


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_layouts_of_every_format_end_as_the_same_flash(stage: Start, writers: ModuleType, seed: int) -> None:
    """Orders, widths, line ends, gaps and repeats are random; what stood beside the pieces survives."""
    drive, rng = stage(board="nucleo-l476rg,probe=cmsis-dap")["board"], Random(seed)
    flash = bytearray(drive.flash())
    for number, kind in enumerate(writers.FORMATS, 10 * seed):
        memory = [(BASE, scene.image(number, 1500))]
        for _ in range(rng.randrange(4)):
            memory.append(
                (sum((memory[-1][0], len(memory[-1][1]), rng.choice([1, 3, 255, 5000]))), rng.randbytes(rng.choice([1, 30, 900])))
            )
        content = writers.shuffled(kind, memory, rng, int(drive.serial[:4], 16), family=0x00FF_6919)
        found = drive.drop(f"{kind}.img", content)
        assert found.proved, found.report
        assert found.report["image"]["format"] == kind
        for address, data in memory:
            flash[address - BASE : address - BASE + len(data)] = data
        assert drive.flash() == flash, kind
