"""From an outcome to the one answer of a drop: the report and the files that are published with it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

import msdflash
from msdflash.daemon.joblog import log_path
from msdflash.diagnose.rules import diagnose
from msdflash.drop.record import Answer, Drop, Publication
from msdflash.job.outcome import Changed
from msdflash.report import details, fail_txt, mbed_htm, running_txt
from msdflash.report import record as reports
from msdflash.report.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from msdflash.daemon.acts import Acts
    from msdflash.daemon.boards import BoardIdentity
    from msdflash.daemon.lane_data import Context
    from msdflash.job.outcome import Outcome


class Reporter:
    """Makes one board's answers. Used by the board's lane only.

    ``fail_txt``: the form of FAIL.TXT, ``long`` or ``two-line``; ``notes``: files that stand on the drive between jobs, by name.
    """

    def __init__(
        self,
        board: BoardIdentity,
        logs: Path,
        acts: Acts,
        present: Callable[[], bool],
        fail_txt: str = "long",
        notes: Callable[[], dict[str, bytes]] = dict,
    ) -> None:
        self._board = board
        self._present = present
        self._two_line = fail_txt == "two-line"
        self._acts = acts
        self._notes = notes
        self._logs = logs
        self._last: reports.Report | None = None

    def recall(self, answer: Answer | None) -> None:
        """Take up the last answer of an earlier run, so that the drive goes on telling of it."""
        if answer is None:
            return
        try:
            self._last = msgspec.convert(answer.report_json, reports.Report)
        except msgspec.ValidationError:  # from a version that told it differently
            self._last = None

    def answer(self, outcome: Outcome, drop: Drop, context: Context) -> Answer:
        """The answer to a drop."""
        diagnosis = diagnose(outcome)
        report = reports.make_report(
            outcome,
            diagnosis,
            reports.Context(
                time=context.finished_at,
                job=drop.id,
                board=self._board.name,
                drive=self._board.folder,
                log="" if outcome.proved or drop.cause else str(log_path(self._logs, drop.id)),
                version=msdflash.__version__,
                duration=_seconds(drop.taken_at, context.finished_at),
                proved_after=_seconds(drop.taken_at, outcome.proved_at) if outcome.proved_at else None,
                file=drop.name,
                file_size=drop.size,
                sha256=drop.sha256,
                notes=_notes(context, good=outcome.failure is None),
            ),
        )
        extras: dict[str, bytes] = {}
        if running_txt.is_needed(report):
            extras[running_txt.NAME] = _bytes(running_txt.render(report))
        facts = self._facts(context.remount, report)
        fail: bytes | None = None
        if not report.good:
            fail = _bytes(fail_txt.render_two_line(report) if self._two_line else fail_txt.render(report))
            if self._two_line:
                extras[fail_txt.WHY] = _bytes(fail_txt.render_why(report))
        publication = Publication(
            details=_bytes(details.render(facts)),
            mbed_htm=_bytes(mbed_htm.render(facts)),
            fail=fail,
            extras=extras,
        )
        if context.final and (not outcome.action or outcome.changed != Changed()):
            self._last = report
        return Answer(reports.to_builtins(report), publication, report.good)

    def resting(self, remount: int) -> Publication:
        """What stands on the drive between jobs."""
        facts = self._facts(remount, self._last)
        return Publication(details=_bytes(details.render(facts)), mbed_htm=_bytes(mbed_htm.render(facts)), extras=self._notes())

    def _facts(self, remount: int, last: reports.Report | None) -> details.DriveFacts:
        board = self._board
        switches = self._acts.switches
        return details.DriveFacts(
            present=self._present(),
            auto_reset=switches.auto_reset,
            automation=switches.automation,
            overflow=switches.overflow,
            incompatible=switches.incompatible,
            page_erase=switches.page_erase,
            board_id=board.board_id or "0000",
            serial=board.serial,
            version=msdflash.__version__,
            remount_count=remount,
            url=details.url_of(board.board_id or ""),
            probe=f"{board.name}, probe {board.serial}" if board.name != board.serial else board.serial,
            target=(last.target.name if last is not None and last.target is not None else None) or board.target or "",
            last=last,
            why=fail_txt.WHY if self._two_line else "FAIL.TXT",
        )


def told(answer: Answer) -> str:
    """An answer in one line, for the daemon's log."""
    report: dict[str, Any] = answer.report_json
    took = f"{report.get('duration', 0.0):.1f} s"
    changed = report.get("changed") or {}
    if report.get("action"):
        why = f"refused: {plain(str(report.get('headline')), 200)}" if report.get("outcome") != "done" else "done"
        return f"action file {report['action']}: {why}, {took}"
    if answer.ok:
        if report.get("unchanged"):
            return f"already in flash, {changed.get('verified', 0)} bytes compared, {took}"
        return f"flashed and proved, {changed.get('verified', 0)} bytes compared, {took}; program {report.get('running')}"
    why = report.get("headline") or report.get("message") or report.get("report_error") or "no reason known"
    return f"not flashed: {plain(why, 200)} ({report.get('confidence') or 'no diagnosis'}, step {report.get('step')}, {took})"


def _notes(context: Context, *, good: bool) -> tuple[str, ...]:
    notes = []
    if context.kept and not good:
        notes.append(f"the file is kept as {context.kept}")
    if context.attempts > 1:
        notes.append(f"attempt {context.attempts}: an earlier one was cut off")
    return tuple(notes)


def _seconds(start: str, end: str) -> float:
    try:
        return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0


def _bytes(text: str) -> bytes:
    return text.encode("ascii", "replace")
