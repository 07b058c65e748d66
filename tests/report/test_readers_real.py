"""The readers themselves, unmodified, on the files of every cause. Opt-in: it installs them from PyPI. Result: ``docs/readers.md``."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent
WITHOUT = ("mbed-flasher==0.10.1", "mbed-os-tools==1.8.15", "mbed-ls==1.8.15")
"""Installed without what they ask for: mbed-flasher wants an old pyOCD, which reads no drive."""
NEEDS = ("six", "pyserial", "requests", "fasteners", "prettytable<3", "lockfile", "appdirs", "future", "intelhex", "beautifulsoup4")


def models() -> ModuleType:
    """``test_readers.py``, which makes the drives."""
    spec = importlib.util.spec_from_file_location("models_of_readers", HERE / "test_readers.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_real_readers_take_every_report(tmp_path: Path) -> None:
    drives, expected = tmp_path / "drives", {}
    made = models()
    for cause in made.CATALOGUE:
        told = made.report(cause)
        for form in made.FORMS:
            folder = drives / f"{cause}.{form}"
            folder.mkdir(parents=True)
            for name, data in made.drive(told, form).items():
                (folder / name).write_bytes(data)
            expected[folder.name] = made.EXITS[told.daplink.error]
    place = tmp_path / "venv"
    venv.create(place, with_pip=True)
    python = str(place / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    for packages in (("--no-deps", *WITHOUT), NEEDS):
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True, timeout=300)
    done = subprocess.run([python, str(HERE / "real_readers.py"), str(drives)], check=True, timeout=300, capture_output=True, text=True)
    said = json.loads(done.stdout)
    assert {name: row["mbed-flasher"] for name, row in said.items()} == expected
    for name, row in said.items():
        found = row["mbed-ls"]
        assert found["target_id"].startswith(made.BOARD_ID), name
        assert found["platform_name"] == "NRF51_MICROBIT", name
        assert (found["daplink_version"], found["daplink_remount_count"]) == (made.details.INTERFACE_VERSION, "42"), name
        assert found["mount_point"], name
