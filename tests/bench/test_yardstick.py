"""The yardstick still runs: one round of the smallest image. What it measures is judged by people, not here."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def yardstick() -> ModuleType:
    spec = importlib.util.spec_from_file_location("msdflash_yardstick", Path(__file__).with_name("yardstick.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there for their annotations
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.platform == "win32", reason="drops with cp, ends the daemon with SIGTERM")
def test_one_round_of_the_smallest_image(capsys: pytest.CaptureFixture[str]) -> None:
    module = yardstick()
    status = module.main(["--runs", "1", "--probe", "stlink-v3", "--cell", "16K"])
    said = capsys.readouterr().out
    assert "| stlink-v3 | 16 KiB |" in said
    assert f"{'FAIL' if status else 'pass'}: stlink-v3, 16 KiB: " in said
    assert "verify " in said
    del sys.modules[module.__name__]
