"""The held-out set can be set up: names exist, specs parse, faults fit their boards. Nothing is played here."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the extra `sim` is not installed")


@pytest.fixture(scope="module")
def held_out() -> Iterator[ModuleType]:
    """The set, imported as the program imports it."""
    sys.path.insert(0, str(ROOT))
    try:
        yield importlib.import_module("tests.accuracy.held_out")
    finally:
        sys.path.remove(str(ROOT))


@pytest.fixture(scope="module")
def scenes(held_out: ModuleType) -> list[Any]:
    from tests.accuracy.play import drawn

    return [scene for seed in (1, 2, 3) for scene in drawn(held_out.IDEAS, seed, 2)]


def test_every_scene_names_what_there_is(scenes: list[Any]) -> None:
    from msdflash.diagnose.causes import CATALOGUE
    from msdflash.sim.contents import BEFORE, CONTENTS
    from msdflash.sim.spec import parse

    for scene in scenes:
        spec = parse(scene.spec)  # board, probe and names of faults
        assert (spec.board, spec.probe) == (scene.board, scene.probe)
        named = {*scene.true, *scene.also, *([scene.twin] if scene.twin else [])}
        assert named <= set(CATALOGUE), f"{scene.name}: {named - set(CATALOGUE)}"
        assert scene.drop in CONTENTS, scene.name
        assert scene.before in BEFORE, scene.name
        assert not set(scene.true) & set(scene.also), scene.name
        assert scene.twin not in scene.true, scene.name
        assert scene.true or not (scene.rescue or scene.unknowable), scene.name


def test_files_can_be_made(scenes: list[Any]) -> None:
    from msdflash.sim.contents import BEFORE, CONTENTS, base
    from tests.accuracy.held_out_files import flash_size

    for board, drop, before in {(scene.board, scene.drop, scene.before) for scene in scenes}:
        content = CONTENTS[drop](board)
        assert content.data or drop == "held-empty", drop
        for address, data in BEFORE[before](board).items():
            assert base(board) <= address <= base(board) + flash_size(board) - len(data), (board, before)


def test_faults_fit_their_boards(scenes: list[Any]) -> None:
    """One draw of each idea, each kind of fault on each board once."""
    from msdflash.sim.board import Board
    from msdflash.sim.usb.faults import USB_FAULTS

    seen = set()
    boards: dict[str, Board] = {}
    try:
        for scene in scenes[: len(scenes) // 3 : 2]:
            for fault in scene.faults:
                name, _, argument = fault.partition(":")
                if name in USB_FAULTS or (scene.board, name) in seen:
                    continue
                seen.add((scene.board, name))
                if scene.board not in boards:
                    boards[scene.board] = Board(scene.board, scene.probe, 1)
                boards[scene.board].set_fault(name, argument or None)
                boards[scene.board].clear_fault(name)
    finally:
        for board in boards.values():
            board.close()
    assert len(seen) > 20


def test_the_set_is_large_and_mixed(held_out: ModuleType, scenes: list[Any]) -> None:
    once = scenes[: len(scenes) // 3]
    assert len({idea.__name__ for idea in held_out.IDEAS}) == len(held_out.IDEAS)
    assert all(idea.__doc__ for idea in held_out.IDEAS)
    assert len(once) >= 150
    assert sum(scene.unknowable for scene in once) >= 12
    assert sum(bool(scene.twin) for scene in once) >= 15
    assert sum(not scene.true for scene in once) >= 12
    assert len({cause for scene in scenes for cause in scene.true}) >= 60


def test_one_seed_is_one_set(held_out: ModuleType) -> None:
    from tests.accuracy.play import drawn

    assert drawn(held_out.IDEAS, 7, 2) == drawn(held_out.IDEAS, 7, 2)
    assert drawn(held_out.IDEAS[5:9], 7, 2) == drawn(held_out.IDEAS, 7, 2)[10:18]
    assert drawn(held_out.IDEAS, 7, 2) != drawn(held_out.IDEAS, 8, 2)
