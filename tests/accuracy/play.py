"""How often the answer is right: scenes whose true cause is known, because the bench made it, played through the product.

A scene is a board on a probe with faults, what stands in its flash, and what is dropped; the way it is played is the one of
``msdflash flash``: real workers, stock pyOCD, the bench's USB. What counts as right is in :func:`judge`, the same for every set of scenes.

What was changed since it was first written, and why:

* An unknowable scene is wrong where *any* explanation is told as likely or certain, unless it is in ``also``: a firm wrong name is no
  better than a firm lucky one. In turn, a symptom that leads alone (it says what was seen, and no cause is firm) is as good as
  ``unexplained``.
* Lost bytes beside the file are counted against what the report says is lost and kept (``changed.beside``): an erase that the cable cut
  short is no uninvited erase where it is told; and one that wipes less than all of it is noticed, too.
* ``diagnosis_s`` is measured: from the beginning of the step that failed first, in the first attempt, to the answer.
* A room can play at nominal speed (``timed``): USB, SWD and flash take as long as they would.
"""

from __future__ import annotations

import hashlib
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from msdflash.daemon.paths import HOME_VARIABLE
from msdflash.daemon.retry import run_with_help
from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.rules import diagnose
from msdflash.engine.pool import Pool
from msdflash.engine.runner import Engine
from msdflash.job.messages import Begin, Message
from msdflash.job.order import Connection, FlashOrder
from msdflash.job.outcome import Outcome
from msdflash.sim import client
from msdflash.sim.boards import BOARDS
from msdflash.sim.contents import BEFORE, CONTENTS, base, lay_down
from msdflash.sim.spec import parse
from tests.main_path.stage import variables

COMPLETED = {"lpc1768": (0x1C, 0x20), "k64f": (0x400, 0x410), "kl25z": (0x400, 0x410)}
"""Where an image is completed on purpose and told: the boot ROM's checksum, and a flash configuration field that stays open."""


class Scene(msgspec.Struct, frozen=True):
    """One case.

    Attributes:
        name: stable, unique in its set; scenes drawn from one idea share the part before ``#``.
        board: a key of the bench's boards.
        probe: a kind of the bench's probes.
        true: ids of the catalogue that are the true cause, the best name first; empty: nothing is wrong, the file must arrive.
        faults: as the bench reads them.
        drop, before: keys of the bench's contents.
        target: what the user names, or "".
        also: further causes that are true here, too, and may be told as certain.
        rescue: it can be flashed in spite of the cause; then that is right.
        unknowable: what this probe can measure does not settle it: ``unexplained``, or the true cause at most as possible, is right.
        twin: the cause whose evidence this scene shares for the most part, though it is another one; "" where it is no twin.
    """

    name: str
    board: str
    probe: str
    true: tuple[str, ...]
    faults: tuple[str, ...] = ()
    drop: str = "program"
    before: str = "old"
    target: str = ""
    also: tuple[str, ...] = ()
    rescue: bool = False
    unknowable: bool = False
    twin: str = ""

    @property
    def spec(self) -> str:
        """The board in one word, without a serial."""
        return ",".join([self.board, f"probe={self.probe}", *(f"fault={fault}" for fault in self.faults)])


class Played(msgspec.Struct, frozen=True):
    """What came of a scene.

    Attributes:
        told: ``(cause, confidence, aside)`` in the report's order.
        rank: place of the true cause among what may be true, from 1; 0: it is not told.
        wrong: what is wrong by the rules that admit no exception; empty if nothing.
        right: the scene counts as right: its cause first, or what an unknowable one asks for, or flashed where that is right.
        seconds: from the order to the outcome.
        diagnosis_s: from the beginning of the first step that failed to the outcome; 0 where none failed.
        tried: what was tried by itself, and what came of it.
    """

    scene: Scene
    proved: bool
    told: tuple[tuple[str, str, bool], ...]
    rank: int
    right: bool
    wrong: tuple[str, ...]
    seconds: float
    message: str
    tried: tuple[str, ...] = ()
    step: str = ""
    diagnosis_s: float = 0.0

    @property
    def first(self) -> str:
        """The leading cause with its confidence, or that it was flashed."""
        if self.proved:
            return "flashed"
        return " ".join(self.told[0][:2]) if self.told else "nothing told"


class Room:
    """A bus and an engine on which scenes are played one after the other. A context manager."""

    def __init__(self, *, timed: bool = False) -> None:
        self._timed = timed
        self._stack = ExitStack()
        self._root = Path()
        self._number = 0
        self._engine: Engine

    def __enter__(self) -> Room:
        # Short: the names of sockets in it may have no more than 107 bytes.
        self._root = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="a-")))
        bus = self._root / "bus"
        bus.mkdir(mode=0o700)
        self._stack.enter_context(variables({HOME_VARIABLE: str(self._root / "home")} | client.environment(bus, only=True)))
        self._engine = Engine(Pool(warm=1))
        self._stack.callback(self._engine.close)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def play(self, scene: Scene) -> Played:
        """One scene on a fresh board."""
        self._number += 1
        bus = self._root / "bus"
        content = CONTENTS[scene.drop](scene.board)
        file = self._root / f"image-{self._number}"
        file.write_bytes(content.data)
        spec = parse(scene.spec + (",time=on" if self._timed else ""))
        lay_down(spec, bus, BEFORE[scene.before](scene.board))
        with client.start(spec, bus=bus) as board:
            before = board.flash()
            order = FlashOrder(
                f"a{self._number}",
                Connection(board.serial, target=scene.target or None),
                str(file),
                content.name,
                hashlib.sha256(content.data).hexdigest(),
                beside=str(self._root / f"beside-{self._number}"),
            )
            clock = Clock(self._engine.run)
            began = time.monotonic()
            helped = run_with_help(order, clock.run, clock.hear, threading.Event())
            ended = time.monotonic()
            after = board.flash()
        for left in bus.glob(f"{spec.serial}.*"):
            left.unlink()
        played = judge(scene, helped.outcome, before, after, ended - began)
        failed = clock.failed_from
        return msgspec.structs.replace(played, diagnosis_s=round(ended - failed, 3)) if failed is not None else played


class Clock:
    """Notes when the step began that failed first."""

    def __init__(self, run: Callable[..., Outcome]) -> None:
        self._run = run
        self._begun: dict[str, float] = {}
        self._attempts = 0
        self.failed_from: float | None = None

    def hear(self, message: Message) -> None:
        """A message of the engine's."""
        if isinstance(message, Begin) and not self._attempts:
            self._begun[str(message.step)] = time.monotonic()

    def run(self, order: FlashOrder, hear: Callable[[Message], None], cancel: threading.Event) -> Outcome:
        """One attempt."""
        began = time.monotonic()
        outcome = self._run(order, hear, cancel)
        if not self._attempts and outcome.failure is not None:
            self.failed_from = self._begun.get(str(outcome.failure.step), began)
        self._attempts += 1
        return outcome


def judge(scene: Scene, outcome: Outcome, before: bytes, after: bytes, seconds: float) -> Played:
    """What is right and wrong about an answer. ``before`` and ``after`` are the whole flash."""
    findings = diagnose(outcome).findings
    told = tuple((item.cause, str(item.confidence), item.aside) for item in findings)
    open_ones = [cause for cause, confidence, aside in told if confidence in {"certain", "likely", "possible"} and not aside]
    # A symptom that leads because nothing explains it has no place of its own: it says what was seen, and that is true.
    causes = [cause for cause in open_ones if not CATALOGUE[cause].symptom or cause in scene.true]
    rank = next((place for place, cause in enumerate(causes, 1) if cause in scene.true), 0)
    wrong = [*_never(scene, outcome, before, after), *_wrong_certain(scene, told)]
    if outcome.proved:
        right = not scene.true or scene.rescue
    elif scene.unknowable:
        firm = {cause for cause, sure, aside in told if sure in {"certain", "likely"} and not aside and not CATALOGUE[cause].symptom}
        admitted = bool({"unexplained", *scene.true} & set(open_ones)) or bool(open_ones and CATALOGUE[open_ones[0]].symptom)
        right = not firm - set(scene.also) and admitted
    else:
        right = rank == 1
    failure = outcome.failure
    return Played(
        scene,
        outcome.proved,
        told,
        rank,
        right,
        tuple(wrong),
        round(seconds, 3),
        "" if failure is None else failure.message,
        tuple(f"{item.what}: {item.result}" for item in outcome.tried),
        "" if failure is None else str(failure.step),
    )


def _never(scene: Scene, outcome: Outcome, before: bytes, after: bytes) -> Iterator[str]:
    content, start = CONTENTS[scene.drop](scene.board), base(scene.board)
    chip = BOARDS[scene.board].chip
    first, last = COMPLETED.get(chip, (0, 0))
    rest_before, rest_after = bytearray(before), bytearray(after)
    for address, data in content.parts.items():
        at = address - start
        if not 0 <= at < len(after):
            continue
        found, wanted = bytearray(after[at : at + len(data)]), bytearray(data)
        if at == 0:
            found[first:last] = wanted[first:last] = bytes(last - first)
        if outcome.proved and found != wanted:
            yield "FALSE SUCCESS"
        rest_before[at : at + len(data)] = rest_after[at : at + len(data)] = bytes(len(data))
    if outcome.proved and rest_before != rest_after:
        yield "bytes beside the file were lost, and success was told"
    changed = outcome.changed
    if not changed.erased and not changed.programmed and before != after:
        yield "flash was changed, and the report says that it was not"
    if changed.unlocked:
        yield "UNLOCKED UNINVITED"
    lost = sum(old != new for old, new in zip(rest_before, rest_after, strict=True)) if rest_before != rest_after else 0
    if lost > changed.beside and not outcome.proved:
        yield "ERASED UNINVITED" if _blank(rest_after) else f"{lost} bytes beside the file were lost, and {changed.beside} of them told"


def _blank(data: bytes | bytearray) -> bool:
    return not bytes(data).strip(b"\xff\x00")


def _wrong_certain(scene: Scene, told: Iterable[tuple[str, str, bool]]) -> Iterator[str]:
    for cause, confidence, _ in told:
        if confidence == "certain" and cause not in {*scene.true, *scene.also} and not CATALOGUE[cause].symptom:
            yield f"WRONG CERTAIN {cause}"


class Score(msgspec.Struct, frozen=True):
    """Figures of a set."""

    scenes: int
    right: int
    first: int
    in_three: int
    measurable: int
    unknowable: int
    unknowable_right: int
    twins: int
    twins_right: int
    wrong_certain: int
    false_success: int
    destroyed: int
    other_wrong: int

    @property
    def first_share(self) -> float:
        """Of the scenes whose cause can be measured: it leads, or the file was flashed where that is right."""
        return self.first / self.measurable if self.measurable else 1.0

    @property
    def three_share(self) -> float:
        """The same for the first three."""
        return self.in_three / self.measurable if self.measurable else 1.0


def score(played: Iterable[Played]) -> Score:
    """Count."""
    items = list(played)
    measurable = [item for item in items if not item.scene.unknowable]
    unknowable = [item for item in items if item.scene.unknowable]
    twins = [item for item in items if item.scene.twin]
    texts = [text for item in items for text in item.wrong]
    certain = sum(text.startswith("WRONG CERTAIN") for text in texts)
    false = texts.count("FALSE SUCCESS")
    destroyed = sum("UNINVITED" in text for text in texts)
    return Score(
        len(items),
        sum(item.right for item in items),
        sum(item.right for item in measurable),
        sum(item.right or 1 <= item.rank <= 3 for item in measurable),
        len(measurable),
        len(unknowable),
        sum(item.right for item in unknowable),
        len(twins),
        sum(item.right for item in twins),
        certain,
        false,
        destroyed,
        len(texts) - certain - false - destroyed,
    )


Draw = Callable[[random.Random], Scene]


def drawn(ideas: Iterable[Draw], seed: int, times: int) -> list[Scene]:
    """``times`` scenes of each idea, their parameters drawn by seed; the same for the same seed, whatever other ideas there are."""
    scenes = []
    for idea in ideas:
        for turn in range(times):
            name = getattr(idea, "__name__", "idea")
            scene = idea(random.Random(f"{seed} {name} {turn}"))
            scenes.append(msgspec.structs.replace(scene, name=f"{name.replace('_', '-')}#{turn + 1}"))
    return scenes


def as_json(played: Iterable[Played]) -> list[Any]:
    """Plain lists and dicts, for another process."""
    return list(msgspec.to_builtins(list(played)))
