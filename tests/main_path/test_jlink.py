"""A board on a J-Link, from the drop to the report: what that probe can measure is told, and what its library does not say is not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from msdflash.sim.contents import program

if TYPE_CHECKING:
    from collections.abc import Iterator

if "main_path_stage" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("main_path_stage", Path(__file__).with_name("stage.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["main_path_stage"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["main_path_stage"])
scene: Any = sys.modules["main_path_stage"]

FAULTS = (
    ("reset-held", "held-in-reset", "certain"),
    ("reset-held:ignored", "held-in-reset", "certain"),
    ("rdp1", "rdp1", "certain"),
    ("no-permission", "usb-permission", "certain"),
    ("unplug-after:200", "probe-vanished", "certain"),
    ("hang", "probe-hung", "possible"),
    ("flash-busy", "algo-timeout-flash-busy", "certain"),
)


@pytest.fixture
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with scene.Stage(tmp_path_factory.mktemp("j"), {"jl": "nucleo-l476rg,probe=jlink"}) as stage:
        yield stage["jl"]


@pytest.mark.slow
def test_flashed_and_the_wires(drive: Any) -> None:
    """The library has one error for a refusal and for silence; the debug port's flags tell them apart."""
    image = program("nucleo-l476rg", 1, 1000)
    result = drive.drop("program.bin", image)
    assert result.proved
    assert drive.flash()[: len(image)] == image
    assert result.reading("probe.kind") == "jlink"
    assert result.reading("vtref") == pytest.approx(3.3)
    drive.set("fault=swd-open")
    result = drive.drop("program.bin", image)
    assert result.first[0] == "swd-silent"
    assert result.reading("swd.ack") == "no-answer"
    assert "no-target-power" not in result.having("likely") | result.having("possible")
    assert not any("that is what was read" in reason for cause in result.report["causes"] for reason in cause["reasons"])
    drive.recover()
    drive.set("fault=no-power")
    result = drive.drop("program.bin", image)
    assert result.first == ("no-target-power", "likely")
    assert result.reading("vtref") == 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "cause", "confidence"), FAULTS)
def test_faults(drive: Any, fault: str, cause: str, confidence: str) -> None:
    drive.set(f"fault={fault}")
    result = drive.drop("program.bin", program("nucleo-l476rg", 2, 1000))
    assert result.first == (cause, confidence)
