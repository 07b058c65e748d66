"""SIGKILL at named points of a drop's life: of the daemon, of its worker, of both."""

from __future__ import annotations

import sys
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a signal that cannot be caught")

JOURNAL = [f"journal:{where}:{record}" for record in ("taken", "started", "answered", "cleared") for where in ("before", "torn", "after")]
STEPS = ["image", "open", "measure", "identify", "connect", "check", "plan", "load", "erase", "program", "verify", "reset", "observe"]
OTHERS = ["hear:ready", "hear:measured", "hear:touched", "hear:progress:program", "hear:finished"]
MESSAGES = [*(f"hear:begin:{step}" for step in STEPS), *OTHERS]


def daemon_dies(rig: Any, points: list[str], action: str = "daemon", *, spoiled: bool = False) -> None:
    """One drop for each point, of an image or of a ``spoiled`` one; the daemon that recovers is the one that dies next."""
    rig.start()
    rig.ready()
    for number, point in enumerate(points):
        rig.arm(point, action)
        rig.drop(f"{number}.hex", rig.image(number + 1), spoiled=spoiled)
        rig.died()
        rig.start()
        answers = rig.check()
        rig.tidy()
        assert answers[-1]["answer"]["ok"] is not spoiled, (point, rig.told())
    rig.stop()


def worker_dies(rig: Any, points: list[str]) -> None:
    """The daemon lives: the failure is the one answer, it names the step, and the next drop is flashed."""
    died: list[str] = []
    rig.start()
    rig.ready()
    for number, point in enumerate(points):
        rig.arm(point, "worker")
        rig.drop(f"{number}.hex", rig.image(number + 1))
        answers = rig.check()
        report = rig.last()
        if answers[-1]["answer"]["ok"]:  # on a busy machine the worker may be done before it is hit; then all is proved
            continue
        died.append(point)
        assert (answers[-1]["answer"]["ok"], report["failure"]) == (False, "crash"), (point, rig.told())
        if point.startswith("hear:begin:"):
            # The worker goes on until the signal has reached it; what it still said counts.
            assert STEPS.index(report["step"]) >= STEPS.index(point.removeprefix("hear:begin:")), (point, rig.told())
    assert len(died) * 2 >= len(points), died
    rig.drop("last.hex", rig.image(999))
    assert rig.check()[-1]["answer"]["ok"], rig.told()
    rig.tidy()
    rig.stop()


def test_daemon_dies_sample(rig: Any) -> None:
    daemon_dies(rig, ["journal:torn:answered", "journal:after:answered"])


def test_worker_dies_sample(rig: Any) -> None:
    worker_dies(rig, ["hear:begin:program"])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("points", "action"), [(JOURNAL, "daemon"), (MESSAGES, "daemon"), (MESSAGES, "both")], ids=["journal", "messages", "messages-both"]
)
def test_daemon_dies(rig: Any, points: list[str], action: str) -> None:
    daemon_dies(rig, points, action)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_worker_dies(rig: Any) -> None:
    worker_dies(rig, MESSAGES)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("spoiled", [False, True], ids=["flashed", "refused"])
def test_daemon_dies_before_each_change_on_the_disk(rig: Any, spoiled: bool) -> None:
    rig.start(trace=True)
    rig.ready()
    rig.drop("first.hex", rig.image(0), spoiled=spoiled)  # so that there is an earlier answer to be replaced
    rig.check()
    rig.arm("disk:0")
    rig.drop("trace.hex", rig.image(1000), spoiled=spoiled)
    rig.check()
    total = len(rig.trace.read_text("utf-8").splitlines())
    assert total > 20
    rig.stop()
    rig.arm_file.unlink()
    daemon_dies(rig, [f"disk:{number}" for number in range(1, total)], spoiled=spoiled)
