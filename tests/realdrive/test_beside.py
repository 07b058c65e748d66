"""What is made of a firmware's complaint: the board is measured when its turn comes, and DRIVE.TXT tells the cause."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from msdflash.daemon.paths import HOME_VARIABLE, find_paths
from msdflash.daemon.realdrives import RealDrives
from msdflash.daemon.run import Daemon, Selection
from msdflash.daemon.turn import Turn
from msdflash.drive.folder import adopt
from msdflash.drive.publish import NOTE, Publisher
from msdflash.drop.attic import Attic
from msdflash.drop.record import Publication
from msdflash.engine.pool import Pool
from msdflash.engine.runner import Engine
from msdflash.job.order import Connection, DiagnoseOrder
from msdflash.job.outcome import Failure, Outcome
from msdflash.job.readings import Reading
from msdflash.job.steps import Step
from msdflash.realdrive.facts import DriveFacts, DriveKind
from msdflash.realdrive.track import Failed
from msdflash.realdrive.watcher import Watcher
from msdflash.sim.board import Board
from msdflash.sim.client import BUS_VARIABLE, ONLY_VARIABLE, start
from msdflash.sim.contents import program
from msdflash.sim.drive import FirmwareDrive, Style, show_mounts
from msdflash.sim.spec import parse

SAID = "error: Failed to reset/halt the target MCU\r\ntype: target\r\n"
SILENT = (Reading("swd.ack", "no-ack"),)


def complaint(*, fresh: bool = True, quiet: bool = True, unique_id: str = "") -> Failed:
    return Failed(DriveFacts(DriveKind.DAPLINK, "0259", unique_id, remounts=3, fail=SAID), "/media/D", fresh, quiet)


class Bench:
    """A board, and an engine that does as the test says. It is the board for :class:`RealDrives`, too."""

    def __init__(self) -> None:
        self.turn = Turn()
        self.orders: list[DiagnoseOrder] = []
        self.notes: list[str | None] = []
        self.answer: Callable[[DiagnoseOrder, threading.Event], Outcome] = lambda order, _: self.silent(order)
        self.real = RealDrives(cast("Engine", self), lambda: ["S1"], {"S1": self}.get, lambda *_: None, self.watch)

    @staticmethod
    def watch(real: RealDrives) -> Watcher:
        return Watcher(lambda: ["S1"], real, mounts=list)

    @staticmethod
    def silent(order: DiagnoseOrder) -> Outcome:
        return Outcome(order.job, failure=Failure(Step.MEASURE, "no-dp", "silent"), readings=SILENT)

    def run(self, order: DiagnoseOrder, _hear: object, cancel: threading.Event) -> Outcome:
        self.orders.append(order)
        return self.answer(order, cancel)

    def connection(self) -> Connection:
        return Connection("S1")

    def title(self) -> tuple[str, str]:
        return "left", "LEFT"

    def busy_wait(self) -> float:
        return 5.0

    def note(self, text: bytes | None) -> None:
        self.notes.append(None if text is None else text.decode("ascii"))


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.real.close()


Eventually = Callable[..., None]


def test_the_board_is_measured_and_the_cause_told(bench: Bench, eventually: Eventually, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "msdflash")
    bench.real.failed("S1", complaint(unique_id="someone-else"))
    eventually(lambda: bench.notes and not bench.real._answers)
    assert [(order.connection.probe, order.reset) for order in bench.orders] == [("S1", True)]
    (text,) = bench.notes
    assert text is not None
    assert all(len(line) < 80 for line in text.split("\r\n")[:-2])
    assert len(text) < 4096
    for part in ("error: Failed to reset/halt the target MCU", "remounts    3", "no measurement", "is not this probe's", '"cause":"'):
        assert part in text
    assert text.index("THE FIRMWARE") < text.index("KNOWN TO STAND FOR") < text.index("WHAT WAS MEASURED") < text.index("TRY")
    (line,) = [record.message for record in caplog.records if "its own drive says" in record.message]
    assert line.startswith("LEFT: its own drive says: error: Failed to reset/halt")
    bench.real.cleared("S1")
    assert bench.notes[-1] is None


def test_a_complaint_of_unknown_age_resets_nothing(bench: Bench, eventually: Eventually) -> None:
    bench.real.failed("S1", complaint(fresh=False))
    eventually(lambda: bench.notes)
    assert not bench.orders[0].reset
    assert "before msdflash began to watch" in (bench.notes[0] or "")


def test_without_rest_nothing_is_measured(bench: Bench, eventually: Eventually) -> None:
    bench.real.failed("S1", complaint(quiet=False))
    eventually(lambda: bench.notes)
    assert bench.orders == []
    assert "Nothing: the drive did not come to rest" in (bench.notes[0] or "")


def test_a_drop_goes_first_and_the_look_is_made_again_without_a_reset(bench: Bench, eventually: Eventually) -> None:
    looking = threading.Event()

    def first(order: DiagnoseOrder, cancel: threading.Event) -> Outcome:
        looking.set()
        assert cancel.wait(5)
        bench.answer = lambda order, _: bench.silent(order)
        return Outcome(order.job, failure=Failure(Step.MEASURE, "cancelled", "cancelled"))

    bench.answer = first
    bench.real.failed("S1", complaint())
    assert looking.wait(5)
    with bench.turn.drop():
        assert bench.notes == []
        assert len(bench.orders) == 1  # nobody looks while a drop has the probe
    eventually(lambda: bench.notes)
    assert [order.reset for order in bench.orders] == [True, False]


def test_a_look_waits_for_the_end_of_a_drop(bench: Bench, eventually: Eventually) -> None:
    with bench.turn.drop():
        bench.real.failed("S1", complaint())
        eventually(lambda: bench.real._answers)
        assert bench.orders == []
    eventually(lambda: bench.notes)
    assert len(bench.orders) == 1


def test_a_new_copy_on_the_drive_ends_the_look(bench: Bench, eventually: Eventually) -> None:
    looking = threading.Event()

    def wait(order: DiagnoseOrder, cancel: threading.Event) -> Outcome:
        looking.set()
        assert cancel.wait(5)
        return Outcome(order.job, failure=Failure(Step.MEASURE, "cancelled", "cancelled"))

    bench.answer = wait
    bench.real.failed("S1", complaint())
    assert looking.wait(5)
    bench.real.disturbed("S1")
    eventually(lambda: not bench.real._answers)
    assert bench.notes == []
    assert len(bench.orders) == 1


def test_a_probe_that_another_program_holds_is_waited_for(bench: Bench, eventually: Eventually) -> None:
    def busy(order: DiagnoseOrder, cancel: threading.Event) -> Outcome:
        if len(bench.orders) > 1:
            return bench.silent(order)
        return Outcome(order.job, failure=Failure(Step.OPEN, "probe-open", "busy"), readings=(Reading("probe.errno", errno.EBUSY),))

    bench.answer = busy
    bench.real.failed("S1", complaint())
    eventually(lambda: bench.notes)
    assert len(bench.orders) == 2


def test_an_engine_that_fails_is_logged_and_ends_nothing(bench: Bench, eventually: Eventually, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_order: DiagnoseOrder, _cancel: threading.Event) -> Outcome:
        raise RuntimeError("boom")

    bench.answer = broken
    bench.real.failed("S1", complaint())
    eventually(lambda: "boom" in caplog.text and not bench.real._answers)
    assert bench.notes == []
    bench.answer = lambda order, _: bench.silent(order)
    bench.real.failed("S1", complaint())
    eventually(lambda: bench.notes)


def test_the_note_is_ours_on_the_drive_and_goes_when_a_job_starts(tmp_path: Path) -> None:
    folder = adopt(tmp_path / "LEFT", "S1", tmp_path / "state")
    attic = Attic(tmp_path / "kept")
    bench = Bench()
    bench.real._tell("S1", bench, cast("Any", type("A", (), {"failed": complaint()})), None, "a test")
    text = (bench.notes[0] or "").encode()
    resting = Publication(b"Remount count: 1\r\n", b"<html></html>\r\n")
    noted = Publication(resting.details, resting.mbed_htm, extras={NOTE: text})
    with folder.opened() as opened:
        publisher = Publisher(folder, attic, lambda: 0.0)
        publisher.refresh(opened, noted)
        assert (folder.path / NOTE).read_bytes() == text
        assert publisher.rest(opened, noted) is None
        publisher.refresh(opened, resting)
        assert not (folder.path / NOTE).exists()
        publisher.refresh(opened, noted)
        publisher.begin(opened)
        assert not (folder.path / NOTE).exists()
        # A later run finds the file of this one, knows it by its first line and takes it away.
        publisher.refresh(opened, noted)
        later = Publisher(folder, attic, lambda: 0.0)
        assert later.owns("drive.txt")
        later.recognise(opened)
        later.refresh(opened, resting)
        assert not (folder.path / NOTE).exists()
        # What somebody else put under this name is kept.
        (folder.path / NOTE).write_bytes(b"mine")
        later.begin(opened)
        assert not (folder.path / NOTE).exists()
    assert [path.read_bytes() for path in attic.path.iterdir()] == [b"mine"]


@pytest.mark.slow
@pytest.mark.parametrize("real_drives", [True, False])
def test_from_the_copy_on_the_real_drive_to_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually, real_drives: bool
) -> None:
    """The held reset line of the README, on an ST-LINK: the firmware blames the algorithm's download; measured is the reset."""
    for name, value in ((HOME_VARIABLE, tmp_path / "home"), (BUS_VARIABLE, tmp_path / "bus"), (ONLY_VARIABLE, "1")):
        monkeypatch.setenv(name, str(value))
    spec = parse("nucleo-l476rg,probe=stlink-v3,fault=reset-held")
    clock = [0.0]
    own = Board("nucleo-l476rg", "stlink-v3")  # what the firmware sees; the daemon's worker sees its twin on the bus
    own.set_fault("reset-held", "")
    engine = Engine(Pool())
    with start(spec, bus=tmp_path / "bus") as board:
        drive = FirmwareDrive(tmp_path / "media" / "NOD L476RG", own.port, board.serial, lambda: clock[0], Style.ST_LINK)
        show_mounts(tmp_path / "bus", [(drive, board.serial)])
        paths = find_paths().make()
        daemon = Daemon(paths, engine, Selection(drives=paths.drives, serials=(board.serial,), real_drives=real_drives))
        try:
            daemon.start()
            note = daemon.folder(board.serial) / NOTE
            watched = daemon._real.watcher if daemon._real is not None else None
            assert (watched is not None) == real_drives
            if watched is not None:
                eventually(lambda: watched._trackers and next(iter(watched._trackers.values()))._last is not None)
            (drive.folder / "a.bin").write_bytes(program("nucleo-l476rg"))
            drive.step()
            clock[0] += 1.0
            drive.step()
            assert not drive.mounted
            show_mounts(tmp_path / "bus", [(drive, board.serial)])
            if watched is not None:
                eventually(lambda: next(iter(watched._trackers.values()))._away)
            clock[0] += 3.0
            drive.step()
            show_mounts(tmp_path / "bus", [(drive, board.serial)])
            if not real_drives:
                return
            eventually(note.exists, 40)
            text = " ".join(note.read_text("ascii").split())
            assert "FAILED to download the flash programming algorithms" in text
            assert "The chip is in reset and did not come out of it (certain)." in text
            assert "WHAT WAS MEASURED" in text
            drive.error = ""
            drive._hide()
            drive._show()
            show_mounts(tmp_path / "bus", [(drive, board.serial)])
            eventually(lambda: not note.exists(), 20)
        finally:
            assert daemon.close()
            engine.close()
            own.close()
