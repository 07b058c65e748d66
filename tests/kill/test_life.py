"""SIGKILL from outside at any moment, and everything else that can cut a drop short."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from typing import Any

import pytest

from msdflash.daemon.locks import hold_probe

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals that cannot be caught")

LIFE = 1.6
"""Seconds from a drop to its end on a quiet machine, and some more."""


def kill_when_seen(rig: Any, wanted: str, after: float) -> None:
    """Watch the journal from outside and strike as soon as a record is there, or a moment later."""
    deadline = time.monotonic() + 20
    known = set(rig.taken)

    def seen(record: Any) -> bool:
        return record["type"] == wanted and (record["id"] if "id" in record else record["drop"]["id"]) not in known

    while not any(map(seen, rig.records(rig.journal()))):
        assert time.monotonic() < deadline, rig.said()
    time.sleep(after)
    rig.family = rig.relatives()
    rig.kill()


def cut_and_go_on(rig: Any, number: int, strike: Any) -> None:
    rig.drop(f"{number}.hex", rig.image(number + 1))
    strike()
    rig.start(mined=False)
    answers = rig.check()
    assert answers[-1]["answer"]["ok"], rig.told()


def test_killed_from_outside_sample(rig: Any) -> None:
    rig.start(mined=False)
    rig.ready()
    cut_and_go_on(rig, 0, lambda: kill_when_seen(rig, "started", 0.15))
    rig.stop()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("record", ["taken", "started", "answered", "cleared"])
def test_killed_at_each_record(rig: Any, record: str) -> None:
    rig.start(mined=False)
    rig.ready()
    for number, after in enumerate((0.0, 0.002, 0.01, 0.03)):
        cut_and_go_on(rig, number, lambda after=after: kill_when_seen(rig, record, after))
    rig.stop()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_random_moments(rig: Any, seed: int) -> None:
    """Ten a seed; every third time the workers die at the same moment, every fifth the recovering daemon is killed, too."""
    chance = random.Random(seed)
    rig.start(mined=False)
    rig.ready()
    for number in range(10):
        rig.drop(f"{number}.hex", rig.image(100 * seed + number))
        time.sleep(chance.uniform(0, LIFE))
        rig.family = rig.relatives()
        if number % 3 == 2:
            for worker in rig.workers():
                worker.kill()
        rig.kill()
        rig.start(mined=False)
        if number % 5 == 4:
            rig.ready()
            time.sleep(chance.uniform(0, LIFE))
            rig.family = rig.relatives()
            rig.kill()
            rig.start(mined=False)
        answer = rig.check()[-1]["answer"]
        # Cut off twice it may be told as interrupted; a worker's death that the daemon still saw is a failure. Never anything else.
        assert answer["ok"] or rig.last()["failure"] in {"interrupted", "crash"}, rig.told()
    rig.tidy()
    rig.stop()


def test_completed_before_then_interrupted_twice(rig: Any) -> None:
    """Flash that is equal already is not programmed again; a second cut ends it."""
    rig.start()
    rig.ready()
    rig.arm("hear:finished")
    rig.drop("a.hex", rig.image(1))
    rig.died()
    rig.start()
    assert rig.check()[-1]["answer"]["ok"], rig.told()
    assert rig.last()["unchanged"], rig.told()
    assert "completed before" in str(rig.last()["tried"]), rig.last()
    assert rig.last()["changed"]["erased"] == 0

    rig.arm("hear:begin:program")
    rig.drop("b.hex", rig.image(2))
    rig.died()
    rig.arm("hear:begin:load")
    rig.start()
    rig.died()
    rig.arm("journal:before:started")
    rig.start()
    answer = rig.check()[-1]["answer"]
    assert (answer["ok"], rig.last()["failure"]) == (False, "interrupted"), rig.told()
    assert rig.arm_file.exists(), "it was started a third time"
    rig.arm_file.unlink()
    rig.tidy()
    rig.stop()


def test_bytes_beside_the_image_survive(rig: Any) -> None:
    """A sector is erased whole; what the image does not fill of it is put back by the attempt after the kill.

    Whoever is killed: after the worker the drop is answered, and another image's drop finds what was kept.
    """
    rig.start()
    rig.ready()
    before = rig.image(1)
    rig.drop("a.hex", before)
    rig.check()
    short = rig.image(2)[: 2 * 2048 + 1000]
    rig.arm("hear:begin:program", "worker")
    rig.drop("b.hex", short)
    rig.check()
    if rig.last()["failure"] == "crash":  # on a busy machine the worker may be done before it is hit
        assert rig.last()["changed"]["beside"] > 0, rig.last()["changed"]
        assert list((rig.state / "undo").iterdir())
    rig.arm("hear:begin:program")
    shorter = rig.image(3)[: 2 * 2048 + 500]
    rig.drop("c.hex", shorter)
    rig.died()
    rig.start()
    assert rig.check()[-1]["answer"]["ok"], rig.told()
    # What the second image was to write over is nobody's: it stands erased or as that image had it.
    assert rig.board.flash(0, len(shorter)) == shorter
    assert rig.board.flash(len(short), len(before) - len(short)) == before[len(short) :]
    assert "put back" in str(rig.last()["tried"])
    assert not list((rig.state / "undo").iterdir())
    rig.stop()


@pytest.mark.slow
def test_several_drops_and_the_same_name_again(rig: Any) -> None:
    rig.start()
    rig.ready()
    rig.arm("hear:begin:program")
    rig.drop("a.hex", rig.image(1))
    rig.drop("b.hex", rig.image(2))
    rig.died()
    rig.start()
    rig.check()
    rig.arm("journal:after:answered")
    rig.drop("a.hex", rig.image(3))
    rig.died()
    rig.drop("a.hex", rig.image(4))  # over the one that was flashed and not yet taken away
    rig.start()
    answers = rig.check()
    assert [rig.taken[answer["id"]]["name"] for answer in answers] == ["a.hex", "b.hex", "a.hex", "a.hex"]
    assert all(answer["answer"]["ok"] for answer in answers)
    rig.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_while_a_failure_is_published(rig: Any) -> None:
    """The old FAIL.TXT goes, the new one comes, the file goes, DETAILS.TXT is last; cut between any two it ends the same."""
    rig.start()
    rig.ready()
    for number, record in enumerate(("before:started", "after:started", "before:answered", "after:answered", "before:cleared")):
        rig.arm(f"journal:{record}")
        rig.drop(f"{number}.hex", rig.image(number), spoiled=True)
        rig.died()
        rig.start()
        answer = rig.check()[-1]["answer"]
        assert not answer["ok"]
        assert rig.last()["failure"] == "image", rig.told()
    rig.drop("good.hex", rig.image(5))
    assert rig.check()[-1]["answer"]["ok"], rig.told()
    assert rig.read("FAIL.TXT") is None
    rig.stop()


@pytest.mark.slow
def test_locks_of_the_dead_hold_nothing(rig: Any) -> None:
    rig.start(mined=False)
    rig.ready()
    rig.until(lambda: list((rig.home / "run").glob("probe-*.json")), 5, "the owner's record")
    rig.family = rig.relatives()
    rig.kill()
    stale = list((rig.home / "run").glob("*.json"))
    assert stale, "the dead daemon's records are still there"
    with hold_probe(rig.home / "run", "D" * 24, "test"):
        pass
    rig.start(mined=False)
    rig.drop("a.hex", rig.image(1))
    assert rig.check()[-1]["answer"]["ok"], rig.told()
    rig.stop()


@pytest.mark.slow
def test_the_board_dies(rig: Any) -> None:
    rig.start()
    rig.ready()
    rig.arm("hear:begin:program", "stop-worker")
    rig.drop("a.hex", rig.image(1))
    rig.until(lambda: not rig.arm_file.exists(), 10, "the worker programs")
    os.kill(rig.board.process.pid, signal.SIGKILL)
    rig.board.process.wait(5)
    for worker in rig.workers():
        os.kill(worker.pid, signal.SIGCONT)
    answer = rig.check()[-1]["answer"]
    report = rig.last()
    assert not answer["ok"]
    assert report["step"] in ("program", "verify", "erase"), rig.told()
    assert "usb" in (report["cause"] + report["failure"] + report["headline"]).casefold() or "probe" in report["headline"], rig.told()
    rig.restart_board()
    rig.drop("b.hex", rig.image(2))
    assert rig.check()[-1]["answer"]["ok"], rig.told()
    rig.stop()


@pytest.mark.slow
def test_terminated_while_programming_and_a_stopped_worker(rig: Any) -> None:
    """SIGTERM waits for a job that changes the chip; a worker that stands still is killed at its deadline, and the step is named."""
    rig.start()
    rig.ready()
    rig.arm("hear:begin:program", "term")
    rig.drop("a.hex", rig.image(1))
    rig.until(lambda: not rig.arm_file.exists(), 10, "programming")
    assert rig.daemon.wait(20) == 0, rig.said()
    assert rig.check()[-1]["answer"]["ok"], rig.told()
    rig.start()
    rig.arm("hear:begin:identify", "stop-worker")
    rig.drop("b.hex", rig.image(2))
    answer = rig.check()[-1]["answer"]
    assert (answer["ok"], rig.last()["failure"], rig.last()["step"]) == (False, "timeout", "identify"), rig.told()
    rig.drop("c.hex", rig.image(3))
    assert rig.check()[-1]["answer"]["ok"], rig.told()
    rig.tidy()
    rig.stop()


@pytest.mark.slow
def test_terminated_before_anything_is_erased(rig: Any) -> None:
    """The job is called off, put back without counting, and done after the next start."""
    rig.start()
    rig.ready()
    for number, step in enumerate(("measure", "connect", "plan")):
        rig.arm(f"hear:begin:{step}", "term")
        rig.drop(f"{number}.hex", rig.image(number + 1))
        rig.until(lambda: not rig.arm_file.exists(), 10, step)
        assert rig.daemon.wait(20) == 0, rig.said()
        rig.start()
        assert rig.check()[-1]["answer"]["ok"], rig.told()
    rig.stop()
