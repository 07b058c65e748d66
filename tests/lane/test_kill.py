"""Killed at any point: after the restart every drop has exactly one final answer under the right remount count."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEX = b":020000040800F2\r\n:00000001FF\r\n"
SCRIPT = Path(__file__).with_name("scripted.py")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a signal that cannot be caught")


def killed_at(rig: Any, point: str) -> None:
    command = [sys.executable, str(SCRIPT), str(rig.root), str(rig.state), str(rig.record), point]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, timeout=20, check=False, capture_output=True, cwd=root, env={"PYTHONPATH": str(root)})
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


POINTS = {
    # point of the kill: engine runs in all, whether the last of them was told that it is a second try
    "taken": (1, False),
    "started": (1, True),
    "engine": (2, True),
    "answered": (1, False),
    "before-retire": (1, False),
    "after-retire": (1, False),
    "before-cleared": (1, False),
    "cleared": (1, False),
}


@pytest.mark.parametrize("point", POINTS)
def test_one_answer_after_a_kill(rig: Any, point: str) -> None:
    runs, resumed = POINTS[point]
    rig.start()
    rig.wait_count(0)
    rig.stop()
    rig.drop("a.bin", b"FAIL image")
    killed_at(rig, point)
    rig.start()
    rig.wait_count(1)
    rig.settle(0.15)
    assert rig.answers() == [("a.bin", "verify")]
    assert rig.count() == 1
    assert rig.read("FAIL.TXT") == b"error: verify\r\ntype: target\r\n"
    assert rig.users_files() == set()
    assert [path.read_bytes() for path in rig.kept.iterdir()] == [b"FAIL image"]
    assert not list((rig.state / "spool").iterdir())
    assert not list((rig.root / ".msdflash" / "tmp").iterdir())
    assert (len(rig.lines("run")), rig.lines("run")[-1]["resumed"]) == (runs, resumed)
    rig.drop("b.hex", HEX)
    rig.wait_count(2)
    assert rig.answers()[1:] == [("b.hex", "proved")]
    assert rig.read("FAIL.TXT") is None


def test_twice_killed_in_the_engine_is_answered_as_interrupted_and_not_run_again(rig: Any) -> None:
    rig.start()
    rig.stop()
    rig.drop("a.hex", HEX)
    killed_at(rig, "engine")
    killed_at(rig, "engine")
    rig.start()
    rig.wait_count(1)
    assert rig.answers() == [("a.hex", "interrupted")]
    assert len(rig.lines("run")) == 2
    assert rig.users_files() == set()
    assert [path.read_bytes() for path in rig.kept.iterdir()] == [HEX]


def test_a_copy_without_a_record_is_removed_and_the_file_taken_anew(rig: Any) -> None:
    rig.start()
    rig.stop()
    (rig.state / "spool" / "orphan").write_bytes(b"x")
    rig.drop("a.hex", HEX)
    rig.start()
    rig.wait_count(1)
    assert not list((rig.state / "spool").iterdir())
    assert rig.answers() == [("a.hex", "proved")]


@pytest.mark.parametrize("still_there", [True, False])
def test_a_damaged_copy_is_never_flashed(rig: Any, still_there: bool) -> None:
    rig.start()
    rig.stop()
    path = rig.drop("a.hex", HEX)
    killed_at(rig, "taken")
    [copy] = (rig.state / "spool").iterdir()
    copy.write_bytes(b"other")
    if not still_there:
        path.unlink()
    rig.start()
    rig.wait_count(1)
    assert rig.answers() == [("a.hex", "proved" if still_there else "interrupted")]
    assert [line["whole"] for line in rig.lines("run")] == ([True] if still_there else [])


def test_a_grown_file_is_retaken_after_a_restart(rig: Any) -> None:
    rig.start()
    rig.stop()
    path = rig.drop("a.bin", b"half")
    killed_at(rig, "started")
    with path.open("ab") as file:
        file.write(b" whole FAIL")
    rig.start()
    rig.wait_count(1)
    assert rig.answers() == [("a.bin", "verify")]
    assert [line["size"] for line in rig.lines("run")] == [15]
