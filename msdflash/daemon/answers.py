"""The answering side of one lane: the one final answer to each drop, recorded, published in the safe order, and cleared."""

from __future__ import annotations

import contextlib
import logging
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from msdflash.daemon.lane_data import Context, LaneConfig
from msdflash.daemon.takes import Takes
from msdflash.drive.publish import Publisher, inside, kept_at
from msdflash.drive.retire import retire
from msdflash.drop.attic import Attic
from msdflash.drop.journal import Entry, Journal
from msdflash.drop.record import Answer, Answered, Cleared, Counted, Drop, Publication
from msdflash.drop.sight import EntryKind
from msdflash.drop.spool import Spool
from msdflash.job.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.drive.folder import Folder, Opened

_log = logging.getLogger(__name__)
_LONGEST_HOLD = 10.0


class Answers:
    """Answers of one board.

    Attributes:
        fail_until: monotonic time until which a published FAIL.TXT stays.
        cleared_at: monotonic time of the last clearing.
        inherited: drops of an earlier run that are not cleared yet.
    """

    def __init__(
        self,
        folder: Folder,
        journal: Journal,
        spool: Spool,
        attic: Attic,
        publisher: Publisher,
        takes: Takes,
        config: LaneConfig,
        clock: Callable[[], float],
        *,
        make_answer: Callable[[Outcome, Drop, Context], Answer],
        resting: Callable[[int], Publication],
        tell: Callable[[str, Drop, Answer, str], None],
    ) -> None:
        self.fail_until = self.cleared_at = float("-inf")
        self.inherited = set(journal.open)
        self._folder = folder
        self._journal = journal
        self._spool = spool
        self._attic = attic
        self._publisher = publisher
        self._takes = takes
        self._config = config
        self._clock = clock
        self._make_answer = make_answer
        self._resting = resting
        self._tell = tell
        self._calm: Publication | None = None
        self._stale = threading.Event()

    def pending(self) -> bool:
        """Whether an answer is recorded and not cleared yet."""
        return any(entry.answered is not None for entry in self._journal.open.values())

    def refresh(self) -> None:
        """The facts changed; from any thread."""
        self._stale.set()

    def forget(self) -> None:
        """The folder was away: publish the resting files anew."""
        self._calm = None
        self._publisher.forget()

    def rest(self, opened: Opened) -> float | None:
        """Between jobs: our files as they should be. Returns seconds until a look is due, or None. Raises OSError."""
        if self._calm is None or self._stale.is_set():
            self._stale.clear()
            fresh = self._resting(self._journal.remount)
            last = None if self._journal.last is None else self._journal.last.publication
            self._calm = fresh if last is None else msgspec.structs.replace(fresh, fail=last.fail, extras=last.extras | fresh.extras)
            self._publisher.refresh(opened, self._calm)
        return self._publisher.rest(opened, self._calm)

    def _context(self, *, attempts: int, kept: str | None, final: bool = True) -> Context:
        """Circumstances of an answer that would be published next."""
        return Context(self._journal.remount + 1, attempts, str(self._folder.path), kept, final, _now())

    def _answer_to(self, outcome: Outcome, drop: Drop, context: Context) -> Answer:
        """The answer; if making the report fails, one that says no more than that, rather than none."""
        try:
            return self._make_answer(outcome, drop, context)
        except Exception as error:  # noqa: BLE001 - and whatever the report does
            _log.exception("report of job %s", drop.id)
            text = f"{type(error).__name__}: {error}"
            resting = self._resting(context.remount)
            fail = None if outcome.proved else b"error: An internal error has occurred\r\ntype: internal\r\n"
            report: dict[str, Any] = {"job": drop.id, "proved": outcome.proved, "report_error": text}
            return Answer(report, msgspec.structs.replace(resting, fail=fail), outcome.proved)

    def record(self, entry: Entry, outcome: Outcome) -> None:
        """Make the answer and write it down. Raises OSError; then it is not given."""
        drop = entry.drop
        kept = None if outcome.proved else str(kept_at(self._folder, self._attic, drop))
        context = self._context(attempts=entry.starts, kept=kept)
        answer = self._answer_to(outcome, drop, context)
        if answer.ok and not outcome.proved:
            answer = msgspec.structs.replace(answer, ok=False)  # "ok" lets go of the file; only proof may do that
        self._journal.write(Answered(drop.id, context.remount, answer))
        self._takes.held.pop(drop.id, None)
        self._tell("answered", drop, answer, "")

    def publish_all(self, opened: Opened) -> None:
        """Publish and clear every answered drop. Raises OSError; then it is done again at the next pass."""
        for entry in list(self._journal.open.values()):
            if entry.answered is None:
                continue
            self._takes.follow_renames(opened.root)
            drop, answered = entry.drop, entry.answered
            gone, gone_at = True, ""

            def take_away(drop: Drop = drop, ok: bool = answered.answer.ok) -> None:
                nonlocal gone, gone_at
                gone = self._retire(opened, drop, flashed=ok)
                gone_at = _now() if gone else ""

            if answered.remount < self._journal.remount:
                take_away()  # a later answer already stands there; going back would tell readers something old
            else:
                self._publisher.publish(opened, answered.answer.publication, take_away)
                self._takes.remove_empty_folders(opened)
                self._calm = answered.answer.publication
                if answered.answer.publication.fail is not None:
                    self.fail_until = self._clock() + self._config.fail_hold
            published_at = _now()
            self._settle_spool(opened, drop, flashed=answered.answer.ok)
            self._journal.write(Cleared(drop.id, left=not gone, gone_at=gone_at, published_at=published_at))
            self._takes.cleared(drop)
            self.inherited.discard(drop.id)
            self.cleared_at = self._clock()
            self._tell("cleared", drop, answered.answer, "")

    def _retire(self, opened: Opened, drop: Drop, *, flashed: bool) -> bool:
        name = self._takes.name_of(drop)
        if drop.kind is EntryKind.FILE and drop.cause is None:
            self._takes.wait_for_hold(opened, name, self._config.hold, _LONGEST_HOLD)
        return retire(opened, drop, self._spool, self._attic, flashed=flashed, name=name)

    def _settle_spool(self, opened: Opened, drop: Drop, *, flashed: bool) -> None:
        if not flashed:
            self._takes.keep_copy(drop)
        if drop.spool is not None:
            self._spool.remove(drop.spool)
        if not flashed:
            for store in (self._attic, inside(opened, self._attic)):
                store.trim(self._journal.open)

    def notice(self, opened: Opened, outcome: Outcome, drop: Drop) -> None:
        """Publish something that is not the final answer: there is no room to take the file, it stays where it is. Raises OSError."""
        context = self._context(attempts=0, kept=None, final=False)
        answer = self._answer_to(outcome, drop, context)
        self._publisher.publish(opened, answer.publication, lambda: None)
        self._journal.remount = context.remount
        with contextlib.suppress(OSError):
            self._journal.write(Counted(context.remount, answer))
        self._calm = answer.publication
        self._tell("trouble", drop, answer, outcome.failure.message if outcome.failure else "")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
