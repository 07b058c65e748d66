"""Helping itself: how often, how long, what is told, and what is remembered."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from msdflash.daemon import retry
from msdflash.daemon.memory import Memory
from msdflash.daemon.retry import Helped, Hint, run_with_help, wait_while_busy
from msdflash.job.messages import Touched
from msdflash.job.order import Connection, FlashOrder
from msdflash.job.outcome import Changed, Failure, Outcome, ProbeFacts
from msdflash.job.readings import Reading
from msdflash.job.steps import Step

ORDER = FlashOrder("j", Connection("P1"), "image", "a.bin", "5ha")
PROBE = ProbeFacts("P1", product="DAPLink 2.1")
GOOD = Outcome("j", proved=True, probe=PROBE, changed=Changed(connected=True, erased=2048, programmed=2048, total=2048))


def bad(errors: int, changed: Changed | None = None, step: Step = Step.PLAN) -> Outcome:
    link = {"reads": 6400, "errors": errors, "kinds": {"parity": errors}}
    readings = (Reading("swd.dpidr", 0x2BA01477), Reading("swd.errors", link))
    return Outcome("j", failure=Failure(step, "transfer", "reading failed"), readings=readings, changed=changed or Changed(connected=True))


class Board:
    """Answers orders in turn and keeps them."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.left = list(outcomes)
        self.orders: list[FlashOrder] = []

    def run(self, order: FlashOrder, hear: Any, cancel: threading.Event) -> Outcome:
        self.orders.append(order)
        outcome = self.left.pop(0)
        hear(Touched(outcome.changed))
        if cancel.is_set():
            return Outcome("j", failure=Failure(Step.PLAN, "cancelled", "cancelled in step plan"))
        return outcome


def help_with(board: Board, cancel: threading.Event | None = None, **more: Any) -> Helped:
    return run_with_help(ORDER, board.run, lambda _message: None, cancel or threading.Event(), **more)


def test_a_good_job_is_left_alone() -> None:
    board = Board(GOOD)
    helped = help_with(board)
    assert helped == Helped(GOOD)
    assert board.orders == [ORDER]


def test_what_helped_is_told_and_remembered() -> None:
    board = Board(bad(40), GOOD)
    helped = help_with(board)
    assert helped.outcome.proved
    assert board.orders[1].connection.frequency == 200_000
    assert [item.what for item in helped.outcome.tried] == ["tried the plain way", "tried a lower SWD clock, 200 kHz"]
    assert helped.outcome.tried[0].result == "it failed in step plan: reading failed"
    assert "shorten" in helped.outcome.tried[1].result
    assert helped.hint == Hint("lower-clock", 200_000, "DAPLink 2.1")


def test_at_most_three_and_none_if_nobody_wants_them() -> None:
    board = Board(bad(40), bad(40), bad(2), bad(2), bad(2))
    assert not help_with(board).outcome.proved
    assert len(board.orders) == 4  # the plain way, two lower clocks, the same again
    board = Board(bad(40))
    assert not help_with(board, rungs=0).outcome.proved


def test_a_job_that_has_erased_is_completed_as_resumed() -> None:
    half = bad(0, Changed(connected=True, halted=True, erased=4096, programmed=1024, total=4096), Step.PROGRAM)
    board = Board(half, GOOD)
    helped = help_with(board)
    assert board.orders[1].resumed
    changed = helped.outcome.changed
    assert (changed.erased, changed.programmed) == (6144, 3072)


def test_the_failure_that_got_furthest_is_reported_with_all_that_was_changed() -> None:
    far = bad(40, Changed(connected=True, halted=True, erased=2048, total=2048), Step.PROGRAM)
    near = bad(40, Changed(connected=True), Step.MEASURE)
    helped = help_with(Board(far, near, near))
    assert helped.outcome.failure is not None
    assert helped.outcome.failure.step is Step.PROGRAM
    assert helped.outcome.changed.erased == 2048
    assert len(helped.outcome.tried) == 3


def test_bytes_that_an_attempt_lost_are_missing_until_another_has_written() -> None:
    lost = Changed(connected=True, erased=2048, programmed=100, total=2048, beside=48)
    nothing = bad(40, Changed(connected=True), Step.CONNECT)
    again = bad(40, Changed(connected=True, erased=2048, programmed=2048, total=2048, beside=0), Step.VERIFY)
    assert help_with(Board(bad(40, lost, Step.PROGRAM), nothing), rungs=1).outcome.changed.beside == 48
    assert help_with(Board(bad(40, lost, Step.PROGRAM), again), rungs=1).outcome.changed.beside == 0
    unchanged = msgspec.structs.replace(GOOD, unchanged=True, changed=Changed(connected=True))
    for good in (GOOD, unchanged):
        assert help_with(Board(bad(40, lost, Step.PROGRAM), good), rungs=1).outcome.changed.beside == 0


def test_nothing_begins_after_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "WINDOW", 0.0)
    board = Board(bad(40))
    help_with(board)
    assert len(board.orders) == 1


def test_an_attempt_that_has_changed_nothing_ends_with_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("msdflash.daemon.retry.time.monotonic", lambda: now[0])
    asked: list[bool] = []

    def run(order: FlashOrder, hear: Any, cancel: threading.Event) -> Outcome:
        if order == ORDER:
            return bad(40)
        now[0] = retry.WINDOW + 1
        asked.append(cancel.is_set())
        hear(Touched(Changed(erased=2048)))
        asked.append(cancel.is_set())
        return GOOD

    assert run_with_help(ORDER, run, lambda _message: None, threading.Event()).outcome.proved
    assert asked == [True, False]


def test_nobody_is_helped_who_has_had_enough() -> None:
    cancel = threading.Event()
    cancel.set()
    board = Board(bad(40))
    help_with(board, cancel)
    assert len(board.orders) == 1


def test_a_hint_goes_first_and_gives_the_plain_way_its_turn() -> None:
    hint: Hint | None = Hint("lower-clock", 200_000, "DAPLink 2.1", left=2)
    for clock in (200_000, 200_000, None):
        board = Board(GOOD)
        helped = help_with(board, hint=hint)
        assert board.orders[0].connection.frequency == clock
        assert bool(helped.outcome.tried) is (clock is not None)
        hint = helped.hint
    assert hint is None  # the plain way worked


def test_another_probe_firmware_ends_a_hint() -> None:
    helped = help_with(Board(GOOD), hint=Hint("lower-clock", 200_000, "DAPLink 2.0"))
    assert helped.hint is None


def test_memory(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "probes.json")
    lower = Hint("lower-clock", 200_000, "DAPLink 2.1")
    memory.conclude("P1", Helped(GOOD, lower), "one")
    assert Memory(tmp_path / "probes.json").get("P1").hint == lower
    memory.conclude("P1", Helped(bad(40), lower), "two")
    assert memory.get("P1").program == "one"  # what failed is not on the chip for sure
    memory.replugged("P1")
    assert memory.get("P1").hint is None
    # A way around a program is only of use with that program.
    reset = Hint("under-reset", None, "DAPLink 2.1")
    memory.conclude("P1", Helped(GOOD, reset), "two")
    assert memory.get("P1").hint is None
    memory.conclude("P1", Helped(GOOD, reset), "two")
    assert memory.get("P1").hint == reset
    assert msgspec.json.decode((tmp_path / "probes.json").read_bytes())["P1"]["program"] == "two"


BUSY = Outcome("j", failure=Failure(Step.OPEN, "probe-open", "busy"), readings=(Reading("probe.errno", errno.EBUSY),))


def test_a_held_probe_is_waited_for_and_told() -> None:
    board = Board(BUSY, BUSY, GOOD)
    pauses: list[float] = []
    run = wait_while_busy(board.run, 5.0, pauses.append)
    outcome = run(ORDER, lambda _message: None, threading.Event())
    assert outcome.proved
    assert len(pauses) == 2
    assert "waited" in outcome.tried[0].what
    assert outcome.tried[0].result == "then the probe was free"


def test_it_is_not_waited_for_ever_nor_against_a_wish_nor_for_anything_else() -> None:
    held = wait_while_busy(Board(BUSY, BUSY).run, 0.0)(ORDER, lambda _message: None, threading.Event())
    assert held == BUSY
    cancel = threading.Event()
    board = Board(BUSY, GOOD)
    wait_while_busy(board.run, 5.0, lambda _seconds: cancel.set())(ORDER, lambda _message: None, cancel)
    assert len(board.orders) == 2
    other = bad(0)
    assert wait_while_busy(Board(other).run, 5.0)(ORDER, lambda _message: None, threading.Event()) == other
