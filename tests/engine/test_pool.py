"""Warm workers: there when wanted, never too many, gone when closed."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import psutil
import pytest

from msdflash.engine import process
from msdflash.engine.environment import worker_command, worker_environment
from msdflash.engine.pool import Pool
from msdflash.engine.process import PREFIX, STALE, sweep
from msdflash.engine.runner import Engine, Limits
from msdflash.errors import WorkerError
from msdflash.job.order import Connection, FlashOrder

if TYPE_CHECKING:
    from pathlib import Path

    from msdflash.job.messages import Message

ORDER = FlashOrder(job="j1", connection=Connection(probe="P1"), path="/nowhere", name="a.bin", sha256="0" * 64)
Hostile = Callable[..., list[str]]


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


@pytest.mark.parametrize(("asked", "kept"), [(0, 0), (1, 1), (2, 2), (9, 2)])
def test_at_most_two_are_kept(hostile: Hostile, asked: int, kept: int) -> None:
    pool = Pool(hostile("for_ever()"), warm=asked)
    pool.refill()
    pool.refill()
    assert len(pool.pids()) == kept
    assert children() == set(pool.pids())
    pool.close()
    assert children() == set()
    with pytest.raises(WorkerError):
        pool.take()
    pool.refill()
    pool.close()
    assert children() == set()


def test_warm_worker_is_used_once_and_replaced_when_the_work_is_done(hostile: Hostile) -> None:
    pool = Pool(hostile('begin("open"); begin("close"); finished(proved=True)'), warm=1)
    engine = Engine(pool, Limits(ready=10))
    engine.warm_up()
    (first,) = pool.pids()
    during: list[tuple[int, ...]] = []
    seen: list[int] = []

    def listen(message: Message) -> None:
        if hasattr(message, "pid"):
            seen.append(message.pid)
        during.append(pool.pids())

    assert engine.run(ORDER, listen).proved
    assert seen == [first]
    assert during[:3] == [(), (), ()]  # ready, open, close: no import beside the work
    (second,) = during[3]
    assert second != first
    assert engine.run(ORDER, listen).proved
    assert seen == [first, second]
    engine.close()
    assert children() == set()


def test_dead_and_swept_workers_are_not_handed_out(hostile: Hostile) -> None:
    pool = Pool(hostile("for_ever()"), warm=2)
    pool.refill()
    dead, swept = pool.pids()
    process = psutil.Process(dead)
    process.kill()
    psutil.wait_procs([process], timeout=5)
    shutil.rmtree(next(worker.folder for worker in pool._idle if worker.pid == swept))
    worker = pool.take()
    assert worker.pid not in (dead, swept)
    assert worker.end()
    pool.close()
    assert children() == set()


def test_idle_workers_use_no_processor_time(hostile: Hostile) -> None:
    pool = Pool(hostile("for_ever()"), warm=1)
    pool.refill()
    process = psutil.Process(pool.pids()[0])
    own = psutil.Process()
    worker = pool.take()
    assert worker.channel.line(10) is not None  # it is ready: from now on it waits
    before = sum(process.cpu_times()[:2]) + sum(own.cpu_times()[:2])
    assert worker.wait(0.3) is None
    assert sum(process.cpu_times()[:2]) + sum(own.cpu_times()[:2]) - before < 0.05
    worker.end()
    pool.close()


def test_environment_is_an_allow_list() -> None:
    given = {
        "PATH": "/bin",
        "Path": "x",
        "SystemRoot": "C:",
        "PYTHONPATH": "/evil",
        "PYOCD_PROBE": "1",
        "LC_ALL": "C",
        "LD_PRELOAD": "/evil",
        "MSDFLASH_SIM_BENCH": "b",
        "SECRET_TOKEN": "s",
    }
    kept = worker_environment(given)
    assert {name for name in kept if name != "PYTHONPATH"} == {
        "PATH",
        "Path",
        "SystemRoot",
        "LC_ALL",
        "MSDFLASH_SIM_BENCH",
    }
    assert kept.get("PYTHONPATH") != "/evil"


def test_command_keeps_the_working_directory_out_of_imports() -> None:
    command = worker_command()
    assert "-P" in command
    assert command[-2:] == ["-m", "msdflash.worker"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_litter_of_killed_parents_is_swept(tmp_path: Path) -> None:
    nobody = 2**22 + 1  # beyond any process id
    later = time.time() + 2 * STALE
    here, me = process._name_space(), os.getpid()
    kept = [f"{PREFIX}{me}-{here}-{process._WORD}-b", f"{PREFIX}{nobody}-link", f"{PREFIX}x", "other"]
    aged = [f"{PREFIX}{nobody}-a", f"{PREFIX}{nobody}-elsewhere-0-a", f"{PREFIX}{me}-elsewhere-0-a"]
    for name in (*kept, *aged, f"{PREFIX}{nobody}-{here}-0-c", f"{PREFIX}{me}-{here}-0-d"):
        if not name.endswith("link"):
            (tmp_path / name / "here").mkdir(parents=True)
    (tmp_path / f"{PREFIX}{nobody}-link").symlink_to(tmp_path / "other")
    assert sweep(tmp_path) == 2, "those whose parents are surely dead"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept + aged)
    assert sweep(tmp_path, later) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    assert (tmp_path / "other" / "here").is_dir()


def test_a_worker_outlives_the_thread_that_asked_for_it() -> None:
    """The product's own worker: Linux would kill it as it kills a dead parent's, in the midst of another board's job."""
    pool = Pool(warm=1)
    ready = threading.Event()

    def ask() -> None:
        pool.refill()
        ready.wait(20)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        while not pool.pids():
            asker.join(0.01)
        worker = pool.take()
        assert worker.channel.line(20), "ready"
        ready.set()
        asker.join(5)
        assert worker.wait(0.2) is None
        worker.hang_up()
        assert worker.wait(5) == 70
        worker.end()
    finally:
        ready.set()
        pool.close()
