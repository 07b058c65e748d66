"""A part that only a CMSIS-Pack knows, from the drop to the proof: configured by the board's ``pack`` and ``target``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import msdflash.sim.pack.make_pack as packing
from msdflash.daemon.config import BoardOptions
from msdflash.sim.boards import BOARDS
from msdflash.sim.contents import lay_down, program
from msdflash.sim.spec import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

if "main_path_stage" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("main_path_stage", Path(__file__).with_name("stage.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["main_path_stage"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["main_path_stage"])
scene: Any = sys.modules["main_path_stage"]

PACK = Path(packing.__file__).parent / BOARDS["bench-pack"].pack[0]
OPTIONS = {
    "m4": BoardOptions(pack=str(PACK), target="bench_m4"),
    "lost": BoardOptions(pack="/nowhere/a.pack", target="bench_m4"),
}
BESIDE = b"somebody else's, in the same sector of 16 KiB"


@pytest.fixture
def drives(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = {name: OPTIONS[name] for name in request.param}
    root = tmp_path_factory.mktemp("p")
    (root / "bus").mkdir(mode=0o700)
    lay_down(parse(f"bench-pack,serial={scene.serial_of('m4', 'bench-pack')}"), root / "bus", {0x7F00: BESIDE})
    with scene.Stage(root, dict.fromkeys(options, "bench-pack"), options) as stage:
        yield stage


@pytest.mark.parametrize("drives", [["m4"]], indirect=True)
def test_flashed_proved_and_what_is_not_known_told(drives: Any) -> None:
    """Over sectors of two sizes, with bytes of somebody else's in the last; then the program runs."""
    drive = drives["m4"]
    image = program("bench-pack", 1, 0x4200)
    result = drive.drop("program.bin", image)
    flash = drive.flash()
    assert result.proved
    assert flash == image + b"\xff" * (0x7F00 - len(image)) + BESIDE + b"\xff" * (0x40000 - 0x7F00 - len(BESIDE))
    assert result.report["target"] == {"name": "bench_m4", "part": None, "asked": "bench_m4", "how": "given", "flash": ((0, 0x40000),)}
    assert result.report["running"] == "running"
    assert any("was not measured" in note for note in result.report["image"]["notes"])


@pytest.mark.slow
@pytest.mark.parametrize("drives", [["m4", "lost"]], indirect=True)
def test_what_goes_wrong(drives: Any) -> None:
    """No register of the chip is known, so the algorithm's own answer is all there is; a pack that is not there is told as such."""
    image = program("bench-pack", 1, 0x4200)
    for fault, cause in (("write-protect:1", "erase-failed"), ("flash-busy", "algo-timeout"), ("bad-cell:0x4100", "flash-worn")):
        drives["m4"].drop("other.bin", program("bench-pack", 2, 0x4200))
        drives["m4"].set(f"fault={fault}")
        assert drives["m4"].drop("program.bin", image).first[0] == cause
        drives["m4"].recover()
    lost = drives["lost"].drop("program.bin", image)
    assert lost.first == ("pack-unreadable", "certain")
    assert b"a.pack" in lost.drive["FAIL.TXT"]
    assert drives["lost"].flash().count(0xFF) == 0x40000
