"""The conformance tests notice every seeded defect of the model: each mutant is killed by the test that is named for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.timeout(120)
def test_every_mutant_is_killed_by_its_test(tmp_path: Path) -> None:
    """In a process of its own, because the model is wrong in there."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / "mutants.py"), "check", "--basetemp", str(tmp_path / "t")],
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    at = done.stdout.find("{\n")
    assert at >= 0, done.stdout + done.stderr
    said = json.loads(done.stdout[at:])
    assert said["failed"] == [], "on the right model"
    assert said["survivors"] == []
    assert done.returncode == 0
    assert len(said["killed"]) >= 70
