"""pyOCD's own functional tests on one board through both probes. Opt-in; the whole table stands in docs/validation.md."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("pyocd_tests.py")
QUICK = ("basic test", "connect test", "cortex test", "flash loader test", "commands test")


@pytest.mark.pyocd_images
@pytest.mark.timeout(900)
@pytest.mark.parametrize("probe", ["cmsis-dap", "stlink-v3"])
def test_pyocds_own_tests_pass(request: pytest.FixtureRequest, tmp_path: Path, probe: str) -> None:
    if "pyocd_images" not in str(request.config.option.markexpr):
        pytest.skip("ask for it with -m pyocd_images: it downloads pyOCD's source distribution (16 MB)")
    if shutil.which("arm-none-eabi-objcopy") is None:
        pytest.skip("pyOCD's tests make their ELF and hex files with arm-none-eabi-objcopy")
    wanted = [word for name in QUICK for word in ("-t", name)]
    command = [sys.executable, str(SCRIPT), "-b", "nucleo-l476rg", "-p", probe, "--cache", str(tmp_path), *wanted]
    done = subprocess.run(command, cwd=SCRIPT.parents[2], capture_output=True, text=True, timeout=850, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
