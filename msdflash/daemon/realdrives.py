"""Beside the probes' own drives: when a firmware fails there, the board is measured, and the cause told in its folder and in the log."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import msdflash
from msdflash.daemon.retry import wait_while_busy
from msdflash.diagnose.rules import diagnose
from msdflash.drop.record import new_id
from msdflash.job.order import DiagnoseOrder
from msdflash.job.usbnode import plain_id
from msdflash.realdrive.watcher import Watcher
from msdflash.report import drive_txt
from msdflash.report.record import Context, Report, make_report
from msdflash.report.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from msdflash.daemon.turn import Turn
    from msdflash.engine.runner import Engine
    from msdflash.job.messages import Message
    from msdflash.job.order import Connection
    from msdflash.job.outcome import Outcome
    from msdflash.realdrive.track import Failed

log = logging.getLogger(__name__)

PATIENCE = 120.0
"""Seconds that a look waits for the end of a drop on the same board."""
END = 10.0
"""Seconds that looks get to end; the engine ends a job that changes nothing at once."""
_MOST_LOOKS = 3


class Measured(Protocol):
    """A board as this needs it; a board of the daemon is one."""

    turn: Turn

    def connection(self) -> Connection:
        """How to reach it."""

    def title(self) -> tuple[str, str]:
        """Its name for people, and its folder's name."""

    def busy_wait(self) -> float:
        """Seconds to wait for a probe that another program holds."""

    def note(self, text: bytes | None) -> None:
        """Put DRIVE.TXT into its folder, or take it away."""


class _Answering:
    """One complaint being answered."""

    def __init__(self, failed: Failed, drops: int) -> None:
        self.failed = failed
        self.drops = drops
        self.given_up = threading.Event()
        self.thread: threading.Thread | None = None


class RealDrives:
    """The drives of all boards that are served. Made, started and closed in one thread."""

    def __init__(
        self,
        engine: Engine,
        serials: Callable[[], Iterable[str]],
        board: Callable[[str], Measured | None],
        learn: Callable[[str, Outcome], None],
        watcher: Callable[[RealDrives], Watcher] | None = None,
    ) -> None:
        """Prepare.

        Args:
            engine: measures.
            serials: boards that are served.
            board: the board of a serial.
            learn: hears what a job showed of its probe.
            watcher: makes the watch; the system's own drives if not given.
        """
        self._engine = engine
        self._board = board
        self._learn = learn
        self._answers: dict[str, _Answering] = {}
        self._lock = threading.Lock()
        self._closing = False
        self.watcher = watcher(self) if watcher is not None else Watcher(serials, self)

    def start(self) -> None:
        """Begin to watch."""
        self.watcher.start()

    def close(self) -> None:
        """End all looks and the watch."""
        with self._lock:
            self._closing = True
            answering = dict(self._answers)
        for serial in answering:
            self.disturbed(serial)
        end = time.monotonic() + END
        for each in answering.values():
            if each.thread is not None:
                each.thread.join(max(end - time.monotonic(), 0.0))
        if not self.watcher.stop():
            log.error("a drive of a probe hangs; the thread that reads it is left behind")

    # --- what the watcher tells, in its thread ------------------------------------------------------------------------------------

    def failed(self, serial: str, failed: Failed) -> None:
        """Answer a complaint, in a thread of its own: other boards' drives are watched meanwhile."""
        self.disturbed(serial)
        board = self._board(serial)
        with self._lock:
            if board is None or self._closing:
                return
            answering = _Answering(failed, board.turn.drops)
            self._answers[serial] = answering
            answering.thread = threading.Thread(
                target=self._answer, args=(serial, board, answering), name=f"msdflash-drive-{board.title()[1]}", daemon=True
            )
            answering.thread.start()

    def disturbed(self, serial: str) -> None:
        """The firmware may need the SWD: let go of it."""
        with self._lock:
            answering = self._answers.get(serial)
        board = self._board(serial)
        if answering is not None:
            answering.given_up.set()
            if board is not None:
                board.turn.interrupt()

    def cleared(self, serial: str) -> None:
        """The complaint is gone from the drive, and so is what we said about it."""
        self.disturbed(serial)
        board = self._board(serial)
        if board is not None:
            board.note(None)

    # --- one complaint ------------------------------------------------------------------------------------------------------------

    def _answer(self, serial: str, board: Measured, answering: _Answering) -> None:
        try:
            self._measure(serial, board, answering)
        except Exception:
            log.exception("the drive of probe %s", serial)
        finally:
            with self._lock:
                if self._answers.get(serial) is answering:
                    del self._answers[serial]

    def _measure(self, serial: str, board: Measured, answering: _Answering) -> None:
        failed = answering.failed
        if not failed.quiet:
            self._tell(serial, board, answering, None, "the drive did not come to rest, and its firmware uses the same wires")
            return
        for _ in range(_MOST_LOOKS):
            with board.turn.look(PATIENCE, answering.given_up.is_set) as cancel:
                if cancel is None:
                    break
                # After a drop the program is another one and may run: it is not reset for something that was before.
                reset = failed.fresh and board.turn.drops == answering.drops
                order = DiagnoseOrder(new_id(), board.connection(), reset=reset)
                began = time.monotonic()
                outcome = wait_while_busy(self._look, board.busy_wait(), cancel.wait)(order, lambda _message: None, cancel)
                if not cancel.is_set():
                    self._learn(serial, outcome)
                    self._tell(serial, board, answering, self._report(board, outcome, time.monotonic() - began))
                    return
            if answering.given_up.is_set():
                return
        if not answering.given_up.is_set():
            self._tell(serial, board, answering, None, "the probe was busy with drops on this board's folder")

    def _look(self, order: DiagnoseOrder, hear: Callable[[Message], None], cancel: threading.Event) -> Outcome:
        return self._engine.run(order, hear, cancel)

    @staticmethod
    def _report(board: Measured, outcome: Outcome, duration: float) -> Report:
        name, folder = board.title()
        now = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
        context = Context(time=now, diagnosis=True, board=name, drive=folder, version=msdflash.__version__, duration=duration)
        return make_report(outcome, diagnose(outcome), context)

    def _tell(self, serial: str, board: Measured, answering: _Answering, report: Report | None, why_not: str = "") -> None:
        failed = answering.failed
        facts = failed.facts
        said = drive_txt.Said(
            kind=f"{facts.kind} {facts.version}".strip(),
            path=failed.path,
            fail=facts.fail,
            failed_assert=facts.failed_assert,
            remounts=facts.remounts,
            fresh=failed.fresh,
            foreign_id=facts.unique_id if facts.unique_id and facts.unique_id.lower() != plain_id(serial) else "",
        )
        board.note(drive_txt.render(said, report, why_not).encode("ascii", "replace"))
        self.watcher.done(serial, failed)
        words = next((line.strip() for line in (facts.fail or facts.failed_assert or "").splitlines() if line.strip()), "nothing")
        found = why_not or (drive_txt.headline(report) if report is not None else "")
        log.info("%s: its own drive says: %s; measured: %s", board.title()[1], plain(words, 120), plain(found, 200))
