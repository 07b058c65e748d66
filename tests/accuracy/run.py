"""Plays the scenes of a set and writes what came of it.

``python tests/accuracy/run.py [--set open|held-out|both] [--seed N] [--times N] [--only IDEA,...] [--pyocd] > docs/accuracy.md``, or
``python tests/accuracy/run.py --pairs 1000 --seed N`` for random pairs of faults.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))

from msdflash.sim.scenarios import Scenario
from tests.accuracy import pairs
from tests.accuracy.page import page
from tests.accuracy.play import Played, Room, Scene, drawn
from tests.validation.scenarios import play as play_tool

LONGEST = 60.0
"""Seconds within which a scene must be answered; three times that and its process is ended."""

SETS = {"open": "tests.accuracy.open_set", "held-out": "tests.accuracy.held_out"}


def scenes_of(name: str, seed: int, times: int, only: Sequence[str] = ()) -> list[Scene]:
    """The scenes of a set, or those of some ideas. A module of a set has ``IDEAS``."""
    ideas = importlib.import_module(SETS[name]).IDEAS
    wanted = [idea for idea in ideas if not only or idea.__name__ in only or idea.__name__.replace("_", "-") in only]
    scenes = drawn(wanted, seed, times)
    # An idea without chance gives the same scene each time.
    seen: dict[tuple[object, ...], Scene] = {}
    for scene in scenes:
        seen.setdefault((scene.name.split("#")[0], *msgspec.structs.astuple(scene)[1:]), scene)
    return list(seen.values())


def _crashed(scene: Scene, text: str, seconds: float) -> Played:
    return Played(scene, False, (), 0, False, (text,), round(seconds, 1), text)


def _work(pipe: Connection, timed: bool) -> None:
    for module in SETS.values():
        importlib.import_module(module)  # some bring files of their own to the bench's contents
    with Room(timed=timed) as room:
        while (scene := pipe.recv()) is not None:
            began = time.monotonic()
            try:
                played = room.play(scene)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this scene's result
                played = _crashed(scene, f"CRASH {type(error).__name__}: {error}"[:300], time.monotonic() - began)
            if played.seconds > LONGEST and not timed:
                played = msgspec.structs.replace(played, wrong=(*played.wrong, f"TOOK {played.seconds:.0f} s"))
            pipe.send(played)


class _Worker:
    """A process with a room of its own, and what it is at."""

    def __init__(self, timed: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, timed), daemon=False)
        self.process.start()
        other.close()
        self.scene: Scene | None = None
        self.since = 0.0
        self.dead = False

    def give(self, scene: Scene) -> None:
        self.scene, self.since = scene, time.monotonic()
        self.pipe.send(scene)

    def answer(self, ready: bool) -> Played | None:
        """What came of its scene; None: nothing yet."""
        spent = time.monotonic() - self.since
        assert self.scene is not None
        if ready:
            try:
                played: Played = self.pipe.recv()
                return played
            except EOFError:
                self.dead = True
                return _crashed(self.scene, "CRASH of the process", spent)
        if spent > 3 * LONGEST:
            self.dead = True
            self.process.kill()
            return _crashed(self.scene, "HANG", spent)
        return None

    def end(self) -> None:
        if not self.dead:
            self.pipe.send(None)
        self.process.join(20)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def play_all(scenes: Iterable[Scene], processes: int = 2, *, timed: bool = False) -> list[Played]:
    """All of them, in their order, ``processes`` side by side. One that hangs or kills its process is told as that."""
    todo = deque(enumerate(scenes))
    total = len(todo)
    results: dict[int, Played] = {}
    workers: dict[_Worker, int] = {}

    def hire() -> None:
        worker = _Worker(timed)
        number, scene = todo.popleft()
        workers[worker] = number
        worker.give(scene)

    for _ in range(min(processes, total)):
        hire()
    while workers:
        ready = wait([worker.pipe for worker in workers], timeout=5)
        for worker in list(workers):
            played = worker.answer(worker.pipe in ready)
            if played is None:
                continue
            results[workers[worker]] = played
            _tell(played, len(results), total)
            if todo and not worker.dead:
                workers[worker], scene = todo.popleft()
                worker.give(scene)
                continue
            del workers[worker]
            worker.end()
            if todo:
                hire()
    return [results[number] for number in sorted(results)]


def _tell(played: Played, done: int, total: int) -> None:
    scene = played.scene
    head = "  " if played.right and not played.wrong else "! "
    sys.stderr.write(f"{head}{done}/{total} {scene.name}: {scene.spec} {scene.before}>{scene.drop} {scene.target}| true {scene.true}"
                     f"{' unknowable' if scene.unknowable else ''}{' rescue' if scene.rescue else ''} | {played.first} rank {played.rank}"
                     f" | {played.seconds:.1f} s {' '.join(played.wrong)}\n")  # fmt: skip
    if not played.right or played.wrong:
        open_ones = [item for item in played.told if item[1] not in {"ruled-out", "unlikely"}]
        told = "; ".join(f"{cause} {sure}{' aside' if aside else ''}" for cause, sure, aside in open_ones)
        sys.stderr.write(f"      told: {told}\n      {played.step}: {played.message[:200]} {played.tried}\n")
    sys.stderr.flush()


def with_pyocd(scenes: Iterable[Scene]) -> dict[str, str]:
    """What ``pyocd load`` says of each scene."""
    said = {}
    for scene in scenes:
        row = Scenario(scene.board, scene.probe, "", "", scene.faults, scene.drop, scene.before, scene.target)
        found = play_tool(row, "pyocd")
        said[scene.name] = found.text if not found.ok else "success" + ("" if found.arrived else ", **not so**")
        said[scene.name] += "" if found.beside else ", **destroys**"
        sys.stderr.write(f"pyocd {scene.name}: {said[scene.name]}\n")
    return said


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", choices=[*SETS, "both"], default="open")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--pyocd", action="store_true")
    parser.add_argument("--pairs", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--timed", action="store_true")
    parser.add_argument("--save", type=Path, help="where what was played is kept, for --load")
    parser.add_argument("--load", type=Path, nargs="*", default=[], help="what was kept; nothing is played")
    given = parser.parse_args()
    if given.pairs:
        played = play_all(pairs.scenes(given.pairs, given.seed), given.processes)
        if given.save:
            given.save.write_bytes(msgspec.json.encode({f"pairs {given.seed}": played}))
        sys.stdout.write(pairs.summary(played, given.seed))
        return int(any(item.wrong for item in played))
    results: dict[str, list[Played]] = {}
    said: dict[str, str] = {}
    for file in given.load:
        kept = json.loads(file.read_bytes())
        said |= kept.pop("pyocd", {})
        results |= {name: msgspec.convert(items, list[Played]) for name, items in kept.items()}
    if not given.load:
        only = [word for word in given.only.split(",") if word]
        for name in SETS if given.set == "both" else [given.set]:
            scenes = scenes_of(name, given.seed, given.times, only)
            results[f"{name}, timed" if given.timed else name] = play_all(scenes, given.processes, timed=given.timed)
            if given.pyocd:
                said |= with_pyocd(scenes)
    if given.save:
        given.save.write_bytes(msgspec.json.encode(results | {"pyocd": said}))
    paired = [pairs.summary(results.pop(name), int(name.split()[1])) for name in list(results) if name.startswith("pairs ")]
    sys.stdout.write(page(results, said, f"seed {given.seed}, {given.times} of each idea", "\n".join(paired)))
    return int(any(item.wrong for items in results.values() for item in items))


if __name__ == "__main__":
    raise SystemExit(main())
