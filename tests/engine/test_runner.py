"""Whatever a worker does, the engine answers in bounded time with what was heard, and no process is left."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from msdflash.engine.pool import Pool
from msdflash.engine.runner import Cancel, Engine, Limits
from msdflash.errors import WorkerError
from msdflash.job.messages import Begin, Message, Progress
from msdflash.job.order import Connection, DiagnoseOrder, FlashOrder
from msdflash.job.outcome import Outcome
from msdflash.job.readings import latest
from msdflash.job.steps import Step

ORDER = FlashOrder(job="j1", connection=Connection(probe="P1"), path="/nowhere", name="a.bin", sha256="0" * 64)
QUICK = Limits(ready=10.0, first=0.5, longest=5.0, order=20.0, cancel=0.4, leave=0.3)

Run = Callable[..., Outcome]
Hostile = Callable[..., list[str]]

GOOD = """
begin("open"); measured("probe.found", True); begin("program")
say(type="progress", step="program", done=4, total=4); finished(proved=True)
"""


@pytest.fixture
def run(hostile: Hostile) -> Iterator[Run]:
    """Run one order in a worker with a given behaviour, and see that neither process nor descriptor is left."""
    before = psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else 0

    def go(
        body: str,
        *,
        prelude: str = "",
        limits: Limits = QUICK,
        cancel: threading.Event | None = None,
        on_message: Callable[[Message], None] | None = None,
    ) -> Outcome:
        engine = Engine(Pool(hostile(body, prelude=prelude)), limits)
        try:
            return engine.run(ORDER, on_message, cancel)
        finally:
            engine.close()

    yield go
    assert psutil.Process().children(recursive=True) == []
    if before:
        assert psutil.Process().num_fds() <= before


def failure(outcome: Outcome) -> tuple[str, Step]:
    assert outcome.failure is not None
    return outcome.failure.kind, outcome.failure.step


def gone(pid: int) -> bool:
    """Dead within a moment; a zombie that nobody collects is dead."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def test_good_worker_is_passed_through(run: Run) -> None:
    heard: list[Message] = []
    outcome = run(GOOD, on_message=heard.append)
    assert outcome == Outcome(job="j1", proved=True)
    assert [type(message).__name__ for message in heard] == [
        "Ready",
        "Begin",
        "Measured",
        "Begin",
        "Progress",
        "Finished",
    ]


def test_hang_in_a_step_is_ended_at_its_deadline(run: Run) -> None:
    began = time.monotonic()
    outcome = run('begin("measure"); measured("vtref", 3.3); touched(connected=True, halted=True); begin("load", 0.3); for_ever()')
    assert time.monotonic() - began < 4
    assert failure(outcome) == ("timeout", Step.LOAD)
    assert latest(outcome.readings, "vtref") == 3.3
    assert latest(outcome.readings, "engine.deadline") == 0.3
    assert outcome.changed.halted
    assert outcome.changed.state == "unknown"
    assert outcome.timings["load"] >= 0.3
    assert not outcome.proved


def test_untouched_target_stays_untouched_in_the_report(run: Run) -> None:
    outcome = run('begin("open", 0.2); for_ever()')
    assert outcome.changed.state == "untouched"


def test_signs_of_life_do_not_extend_a_deadline_unless_they_say_so(run: Run) -> None:
    drip = 'begin("verify", 0.2)\nwhile True: say(type="progress", step="verify", done=1, total=9); time.sleep(0.05)'
    assert failure(run(drip)) == ("timeout", Step.VERIFY)
    slow = """
begin("erase", 0.3)
for n in range(4): time.sleep(0.15); say(type="progress", step="erase", done=n, total=4, extends=0.3)
finished(proved=True)
"""
    assert run(slow).proved


def test_absurd_deadlines_are_cut(run: Run) -> None:
    outcome = run('begin("open", 1e9); for_ever()', limits=Limits(longest=0.3))
    assert latest(outcome.readings, "engine.deadline") == 0.3
    outcome = run('begin("open", -5); for_ever()', limits=Limits(first=0.2))
    assert failure(outcome) == ("timeout", Step.OPEN)


def test_beginning_for_ever_meets_the_limit_of_the_order(run: Run) -> None:
    outcome = run('while True: begin("open"); time.sleep(0.02)', limits=Limits(ready=0.3, order=0.5))
    assert failure(outcome) == ("timeout", Step.OPEN)


@pytest.mark.parametrize(
    ("end", "text"),
    [
        pytest.param("os._exit(3)", "exit status 3", id="exit"),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGSEGV)",
            "signal SIGSEGV",
            id="signal",
            marks=pytest.mark.skipif(os.name == "nt", reason="POSIX"),
        ),
        pytest.param("raise RuntimeError('inside')", "exit status 1", id="exception"),
    ],
)
def test_death_is_told_with_its_step_and_manner(run: Run, end: str, text: str) -> None:
    outcome = run(f'begin("erase"); touched(connected=True, erased=4096, total=8192); {end}')
    assert failure(outcome) == ("crash", Step.ERASE)
    assert latest(outcome.readings, "engine.exit") == text
    assert outcome.changed.erased == 4096
    assert outcome.probe is not None
    assert outcome.probe.unique_id == "P1"
    if "raise" in end:
        assert any("RuntimeError: inside" in line for line in outcome.log)


def test_death_before_ready_is_told(run: Run) -> None:
    outcome = run("", prelude="import sys; sys.exit('no such module')")
    assert failure(outcome) == ("crash", Step.START)
    assert "no such module" in " ".join(outcome.log)


def test_worker_that_cannot_be_started(run: Run) -> None:
    outcome = Engine(Pool(["/does/not/exist"])).run(ORDER)
    assert failure(outcome) == ("crash", Step.START)


@pytest.mark.parametrize(
    "line",
    [
        '"garbage"',
        '\'{"type":"begin"}\'',
        '\'{"type":"finished","outcome":{"job":"other","proved":true}}\'',
        "'[' * 100000",
        '\'{"type":"listed","probes":[]}\'',
        '"\\xff\\xfe"',
    ],
    ids=["text", "half", "foreign-job", "deep", "list", "not-ascii"],
)
def test_nonsense_is_never_success(run: Run, line: str) -> None:
    outcome = run(f'begin("program"); print({line}, flush=True); finished(proved=True); for_ever()')
    assert failure(outcome) == ("crash", Step.PROGRAM)
    assert not outcome.proved


def test_endless_line_is_cut_off(run: Run) -> None:
    outcome = run('begin("plan")\nwhile True: sys.stdout.write("x" * 65536)')
    assert failure(outcome) == ("crash", Step.PLAN)


def test_flood_of_messages_is_cut_off(run: Run) -> None:
    rss = psutil.Process().memory_info().rss
    outcome = run("""
begin("plan", 0.5)
block = (json.dumps({"type": "measured", "reading": {"name": "vtref", "value": 1}}) + "\\n") * 500
while True: sys.stdout.write(block)
""")
    assert failure(outcome)[0] in ("crash", "timeout")
    assert len(outcome.readings) <= 5001
    assert psutil.Process().memory_info().rss - rss < 64 << 20


def test_flood_on_stderr_does_not_hold_up_the_job(run: Run) -> None:
    outcome = run('begin("plan")\nfor n in range(3000): sys.stderr.write("noise %d " % n + "x" * 1000 + "\\n")\nos._exit(1)')
    assert failure(outcome) == ("crash", Step.PLAN)
    assert outcome.log[-1].startswith("noise 2999")
    assert sum(map(len, outcome.log)) < 64 << 10


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ignored_sigterm_ends_in_a_kill(run: Run) -> None:
    began = time.monotonic()
    outcome = run('signal.signal(signal.SIGTERM, signal.SIG_IGN); begin("load", 0.2); for_ever()')
    assert failure(outcome) == ("timeout", Step.LOAD)
    assert time.monotonic() - began < 4


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_stopped_worker_is_killed(run: Run) -> None:
    assert failure(run('begin("load", 0.2); os.kill(os.getpid(), signal.SIGSTOP)')) == ("timeout", Step.LOAD)


def test_closed_output_of_a_living_worker(run: Run) -> None:
    outcome = run('begin("connect"); os.close(1); for_ever()')
    assert failure(outcome) == ("crash", Step.CONNECT)
    assert latest(outcome.readings, "engine.exit") == "still running"


def test_messages_after_the_last_one_are_ignored(run: Run) -> None:
    heard: list[Message] = []
    outcome = run(
        'finished(proved=True); begin("program"); touched(erased=9); print("garbage", flush=True); for_ever()',
        on_message=heard.append,
    )
    assert outcome == Outcome(job="j1", proved=True)
    assert not any(isinstance(message, Begin) for message in heard)


def test_result_that_crosses_the_kill_is_kept(run: Run) -> None:
    body = """
def late(*_): measured("vtref", 1.2); begin("reset"); finished(proved=True); os._exit(0)
signal.signal(signal.SIGTERM, late); begin("verify", 0.2); for_ever()
"""
    assert run(body).proved
    evidence = run(body.replace("finished(proved=True)", "pass"))
    assert failure(evidence) == ("timeout", Step.VERIFY)
    assert latest(evidence.readings, "vtref") == 1.2


@pytest.mark.skipif(os.name == "nt", reason="process groups")
def test_grandchildren_die_too(run: Run, tmp_path: Path) -> None:
    """One in the worker's group, one that left it; both keep the worker's pipes open."""
    note = tmp_path / "pids"
    body = f"""
begin("load", 0.6)
a = subprocess.Popen(["sleep", "600"]); b = subprocess.Popen(["sleep", "600"], start_new_session=True)
open({str(note)!r}, "w").write(f"{{a.pid}} {{b.pid}}")
"""
    for end in ("for_ever()", "os._exit(0)"):
        outcome = run(body + end)
        inside, outside = map(int, note.read_text().split())
        assert gone(inside)
        if end == "for_ever()":
            assert gone(outside)
        else:  # nobody can know any more whose child it was
            psutil.Process(outside).kill()
        assert failure(outcome) == ("timeout" if end == "for_ever()" else "crash", Step.LOAD)


def test_cancel_before_the_first_erase_kills_at_once(run: Run) -> None:
    cancel = threading.Event()

    def listen(message: Message) -> None:
        if isinstance(message, Begin):
            cancel.set()

    began = time.monotonic()
    outcome = run('begin("plan"); for_ever()', cancel=cancel, on_message=listen)
    assert failure(outcome) == ("cancelled", Step.PLAN)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("ends", [True, False])
def test_cancel_while_programming_waits_but_not_for_ever(run: Run, ends: bool) -> None:
    cancel = threading.Event()

    def listen(message: Message) -> None:
        if isinstance(message, Progress):
            cancel.set()

    rest = "time.sleep(0.3); finished(proved=True)" if ends else "for_ever()"
    body = f'begin("program"); touched(erased=8); say(type="progress", step="program", done=1, total=2); {rest}'
    outcome = run(body, cancel=cancel, on_message=listen)
    if ends:
        assert outcome.proved
    else:
        assert failure(outcome) == ("cancelled", Step.PROGRAM)
        assert outcome.changed.erased == 8


def test_cancel_at_once_ends_even_programming(run: Run) -> None:
    cancel = Cancel()

    def listen(message: Message) -> None:
        if isinstance(message, Progress):
            cancel.set()
            cancel.at_once = True

    body = 'begin("program"); touched(erased=8, programmed=4, total=8); '
    body += 'say(type="progress", step="program", done=4, total=8); for_ever()'
    outcome = run(body, cancel=cancel, on_message=listen, limits=Limits(cancel=60))
    assert failure(outcome) == ("cancelled", Step.PROGRAM)
    assert (outcome.changed.programmed, outcome.changed.total, outcome.changed.state) == (4, 8, "unknown")


def test_order_that_cannot_be_told(hostile: Hostile) -> None:
    engine = Engine(Pool(hostile(GOOD)), QUICK)
    outcome = engine.run(FlashOrder("j1", Connection("P1"), "/x", "no unicode \udcff", "0" * 64))
    assert failure(outcome) == ("crash", Step.START)


def test_failing_listener_changes_nothing(run: Run) -> None:
    def listen(message: Message) -> None:
        raise ValueError(message)

    assert run(GOOD, on_message=listen).proved


def test_worker_stands_in_an_empty_folder_with_a_clean_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYOCD_PROJECT_DIR", "/evil")
    monkeypatch.setenv("PYTHONSTARTUP", "/evil")
    monkeypatch.setenv("MSDFLASH_SIM_BENCH", "yes")
    body = """
names = sorted(n for n in os.environ if n.startswith(("PYOCD", "PYTHONST", "MSDFLASH")))
group = os.getpgid(0) == os.getpid() if hasattr(os, "getpgid") else True
begin("open"); measured("engine.error", [os.getcwd(), os.listdir(), names, group]); os._exit(0)
"""
    cwd, content, names, group = latest(run(body).readings, "engine.error")
    assert content == []
    assert names == ["MSDFLASH_SIM_BENCH"]
    assert group
    assert not Path(cwd).exists()


def test_unkillable_worker_marks_its_probe_broken(hostile: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in an endless driver call cannot be made here; a kill that reaches nobody looks the same."""
    monkeypatch.setattr("msdflash.engine.process.KILL_WAIT", 0.2)
    monkeypatch.setattr("msdflash.engine.process._kill_group", lambda process: None)
    engine = Engine(Pool(hostile('signal.signal(signal.SIGTERM, signal.SIG_IGN); begin("open", 0.2); for_ever()')), QUICK)
    first = engine.run(ORDER)
    assert first.broken is not None
    began = time.monotonic()
    assert "of an earlier job" in (engine.run(ORDER).broken or "")
    assert time.monotonic() - began < 0.5
    monkeypatch.undo()
    stuck = psutil.Process().children()
    stuck[0].kill()
    assert engine.run(DiagnoseOrder("j2", Connection("P1"))).broken is None
    engine.close()
    assert psutil.Process().children() == []


def test_listing(hostile: Hostile) -> None:
    row = '{"unique_id": "S1", "kind": "stlink", "vendor": "v", "product": "p"}'
    engine = Engine(Pool(hostile(f'say(type="listed", probes=[{row}])')), QUICK)
    assert [probe.unique_id for probe in engine.list_probes()] == ["S1"]
    with pytest.raises(WorkerError, match="exit status 7"):
        Engine(Pool(hostile("os._exit(7)")), QUICK).list_probes()
    with pytest.raises(WorkerError, match="another job"):
        Engine(Pool(hostile("finished(job='list')")), QUICK).list_probes()
