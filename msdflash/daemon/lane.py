"""One board's lane: scan, settle, take, journal, flash, report, publish, clear. One thread, one drop at a time.

The lane knows no worker and no report: it is given functions for both. Whatever it is about to do to the chip or tell the user is in the
journal first, so that after a kill at any point every drop still gets exactly one final answer.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from msdflash.daemon.acts import Acts, needs_board
from msdflash.daemon.answers import Answers
from msdflash.daemon.lane_data import Context, LaneConfig, LaneEvent, LaneStatus
from msdflash.daemon.paths import UNDO
from msdflash.daemon.takes import Takes, refused_outcome
from msdflash.drive.folder import Folder, FolderAbsentError, Opened
from msdflash.drive.publish import Publisher
from msdflash.drive.retire import Fate, fate, sweep
from msdflash.drop.actions import BY_NAME, Does
from msdflash.drop.attic import Attic
from msdflash.drop.intake import Intake
from msdflash.drop.journal import Entry, Journal
from msdflash.drop.place import private_directory
from msdflash.drop.record import Answer, Cleared, Drop, Publication, Shelved, Started
from msdflash.drop.spool import Spool
from msdflash.drop.watch import Watch
from msdflash.job.messages import Begin, Message, Progress, Touched
from msdflash.job.order import EraseOrder, FlashOrder
from msdflash.job.outcome import Changed, Failure, Outcome
from msdflash.job.readings import Reading
from msdflash.job.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Answer", "Context", "Drop", "Lane", "LaneConfig", "LaneEvent", "LaneStatus", "Publication"]

_log = logging.getLogger(__name__)
_ORDER = list(Step)
_MOST_STARTS = 2
_LINGER = 0.7
"""Seconds of quick looks after a job: our own renames hold up watchdog's events for 0.5 s (it waits for a move's other half)."""


class Lane:
    """One board's lane. :meth:`run` in a thread of its own; :meth:`stop`, :meth:`refresh`, :meth:`status` from any."""

    def __init__(
        self,
        config: LaneConfig,
        folder: Folder,
        state: Path,
        *,
        run_job: Callable[[FlashOrder | EraseOrder, Callable[[Message], None]], Outcome],
        answer: Callable[[Outcome, Drop, Context], Answer],
        resting: Callable[[int], Publication],
        abort: Callable[[], None] | None = None,
        notify: Callable[[LaneEvent], None] | None = None,
        watch: bool = True,
        clock: Callable[[], float] = time.monotonic,
        acts: Acts | None = None,
    ) -> None:
        """Open the journal and the spool in ``state`` (private directory of this board). Raises OSError.

        Args:
            config: how it behaves.
            folder: as adopted.
            state: private directory of this board.
            run_job: the engine; blocks, has its own deadlines, never raises for failures of the board.
            answer: makes the report and what is published; must be pure.
            resting: DETAILS.TXT and MBED.HTM for a remount count, when no job has just finished.
            abort: asks the running job to end before it changes the chip.
            notify: told of everything that happens; must not block.
            watch: use a file system watch besides the scan.
            clock: monotonic seconds.
            acts: the board's action files; made here if not given.
        """
        self.config = config
        self._folder = folder
        self._run_job = run_job
        self._abort = abort
        self._notify = notify
        self._clock = clock
        self.wake = threading.Event()
        self._stopping = threading.Event()
        private_directory(state)
        self._acts = acts or Acts(state, folder.serial, config.actions)
        self._spool = Spool(state / "spool")
        self._undo = state / UNDO
        self.journal = Journal(state / "journal.jsonl")
        self.attic = Attic(private_directory(state / "not-flashed"), config.kept_count, config.kept_bytes)
        self._intake = Intake(config.quiet, clock, fast=config.fast)
        self._publisher = Publisher(folder, self.attic, clock, config.quiet.still)
        self._takes = Takes(
            self._spool,
            self.journal,
            self.attic,
            self._intake,
            self._publisher,
            config,
            clock,
            notice=lambda opened, outcome, drop: self._answers.notice(opened, outcome, drop),  # noqa: PLW0108 - made below
            taken=lambda drop: self._tell("taken", drop),
        )
        self._answers = Answers(
            folder,
            self.journal,
            self._spool,
            self.attic,
            self._publisher,
            self._takes,
            config,
            clock,
            make_answer=answer,
            resting=resting,
            tell=lambda what, drop, answer, text: self._tell(what, drop, answer=answer, text=text),
        )
        self._watch = Watch(folder.path, self.wake) if watch else None
        self._watch_after = 0.0
        self._fresh = True
        self._away = False
        self._busy: Drop | None = None
        self._step: Step | None = None
        self._touched = False
        self._state, self._text, self._beat, self._patience = "starting", "", clock(), 0.0
        for sentence in self.journal.told:
            self._tell("trouble", text=sentence)
        kept = {entry.drop.spool for entry in self.journal.open.values() if entry.drop.spool}
        self._spool.sweep(kept)

    # --- from other threads -------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End soon: a job that has not touched the flash is called off and done after the next start, another is finished first."""
        self._stopping.set()
        self.wake.set()
        early = self._step is None or _ORDER.index(self._step) < _ORDER.index(Step.ERASE)
        if self._busy is not None and self._abort is not None and early and not self._touched:
            self._abort()

    def refresh(self) -> None:
        """The facts of DETAILS.TXT changed; publish them when no job runs."""
        self._answers.refresh()
        self.wake.set()

    def released(self, name: str, identity: str, size: int, mtime_ns: int) -> None:
        """See :meth:`msdflash.drop.intake.Intake.released`."""
        self._intake.released(name, identity, size, mtime_ns)
        self.wake.set()

    def status(self) -> LaneStatus:
        """What it is doing now."""
        busy = self._busy
        return LaneStatus(
            self._state,
            None if busy is None else busy.id,
            self._step,
            len(self.journal.open),
            self.journal.remount,
            self._watch is not None and self._watch.healthy(),
            self._beat,
            self._text,
            self._patience,
        )

    def close(self) -> None:
        """Release the watch and the journal, after :meth:`run` has ended."""
        if self._watch is not None:
            self._watch.stop()
        self.journal.close()

    # --- the loop -----------------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Work until :meth:`stop`. Never raises: what fails is told and tried again."""
        try:
            while not self._stopping.is_set() or self._unfinished():
                try:
                    delay = self.once()
                except Exception as error:  # noqa: BLE001 - one bad pass must not end the daemon
                    _log.exception("lane of %s", self._folder.serial)
                    self._set("trouble", f"{type(error).__name__}: {error}")
                    self._tell("trouble", text=self._text)
                    delay = self.config.retry
                    if self._stopping.is_set():
                        break  # the journal knows; the next start goes on
                if delay > 0 and not self._stopping.is_set() and self.wake.wait(delay):
                    # A storm of events must not turn into a storm of scans.
                    self._stopping.wait(min(delay, self.config.fast / 2))
                self.wake.clear()
        finally:
            self._set("stopped")
            self.close()

    def once(self) -> float:
        """One pass. Returns seconds until the next is due. Raises OSError and whatever the given functions raise."""
        self._beat, self._patience = self._clock(), 0.0
        try:
            with self._folder.opened() as opened:
                self._arrive(opened)
                if self._answers.pending():
                    self._set("publishing")
                    self._answers.publish_all(opened)
                looked = self._takes.look(opened)
                calm = self._answers.rest(opened)
        except FolderAbsentError as error:
            self._leave(str(error))
            return self.config.absent
        worked = self._work()
        if worked == 0:
            return 0
        delays = [delay for delay in (looked, calm, worked) if delay is not None]
        if self._clock() < self._answers.cleared_at + _LINGER:
            delays.append(self.config.fast)
        self._set("settling" if looked is not None or worked is not None else "idle")
        rest = self.config.slow if self._watched() else self.config.unwatched
        return min([rest, *delays])

    def _arrive(self, opened: Opened) -> None:
        if self._away:
            self._away = False
            self._tell("back", text=str(self._folder.path))
        if self._fresh:
            sweep(opened, self.attic, set(self.journal.open))
            self._publisher.recognise(opened)
            if self.journal.last is not None:
                self._publisher.adopt_extras(self.journal.last.publication.extras)
            self._fresh = False

    def _leave(self, why: str) -> None:
        if not self._away:
            self._away = True
            self._tell("absent", text=why)
        self._set("absent", why)
        self._fresh = True
        self._intake.forget()
        self._answers.forget()

    def _watched(self) -> bool:
        if self._watch is None:
            return False
        if not self._watch.healthy() and self._clock() >= self._watch_after:
            self._watch_after = self._clock() + 10 * self.config.retry
            if self._watch.start():
                self.wake.set()  # what came between scan and watch would go unseen until the next scan
        return self._watch.healthy()

    # --- one drop -----------------------------------------------------------------------------------------------------------------

    def _unfinished(self) -> bool:
        """Whether a job has ended whose answer is not published yet. A folder that is away is not waited for."""
        if self._away:
            return False
        return self._answers.pending() or bool(set(self._takes.held) - self._takes.regrown)

    def _work(self) -> float | None:
        """Do the oldest open drop that can be done. 0: something was done; seconds: wait; None: nothing to do."""
        wait: float | None = None
        for entry in list(self.journal.open.values()):
            if entry.answered is not None:
                return self.config.retry
            if self._stopping.is_set() and entry.drop.id not in self._takes.held:
                continue
            done = self._work_on(entry)
            if done == 0:
                return 0
            wait = done if wait is None else min(wait, done)
            if entry.drop.id not in self._takes.regrown:
                break  # in order, except past one whose copy is still growing
        return wait

    def _work_on(self, entry: Entry) -> float:
        drop = entry.drop
        if drop.cause is not None:
            self._answers.record(entry, refused_outcome(drop))
            return 0
        changed = self._changed(drop)
        if changed is Fate.GROWN and drop.retakes == 0:
            self._takes.regrown.add(drop.id)
            return self.config.fast
        if drop.action and drop.id not in self._takes.held and (done := self._act(entry)) is not None:
            self._answers.record(entry, done)
            return 0
        self._takes.regrown.discard(drop.id)
        held = self._takes.held.get(drop.id)
        if held is not None:
            self._answers.record(entry, held)
            return 0
        if drop.id in self._answers.inherited and self._spool.sha256(drop.spool or "") != drop.sha256:
            if changed is Fate.SAME and entry.starts == 0:  # taken anew from the folder, as if for the first time
                self.journal.write(Cleared(drop.id))
                return 0
            self._answers.record(entry, _interrupted(drop, entry.starts, "the private copy was damaged while msdflash was not running"))
            return 0
        if entry.starts >= _MOST_STARTS:
            self._answers.record(entry, _interrupted(drop, entry.starts, f"the job was cut off {entry.starts} times"))
            return 0
        early = self._answers.fail_until - self._clock()
        if early > 0:
            return early
        outcome = self._flash(entry)
        if outcome is not None:
            self._takes.held[drop.id] = outcome  # so that it is not flashed again if the answer cannot be recorded
            if self._changed(drop) is Fate.GROWN and drop.retakes == 0:
                self._takes.regrown.add(drop.id)
            else:
                self._answers.record(entry, outcome)
        return 0

    def _act(self, entry: Entry) -> Outcome | None:
        """The outcome of an action file; None if it is a job for the worker and may be done. Raises OSError."""
        drop = entry.drop
        content = self._spool.file(drop.spool or "").read_bytes() if drop.spool else b""
        refused = self._acts.refusal(drop, content, again=entry.starts > 0)
        if refused is not None or needs_board(drop):
            return refused
        return self._acts.obey(drop)

    def _changed(self, drop: Drop) -> Fate:
        try:
            with self._folder.opened() as opened:
                self._takes.follow_renames(opened.root)
                return fate(opened.root, drop, self._spool, self._takes.name_of(drop))[0]
        except (FolderAbsentError, OSError):
            return Fate.GONE

    def _flash(self, entry: Entry) -> Outcome | None:
        """Run the job. None: called off by a stop, to be done after the next start."""
        drop = entry.drop
        resumed = entry.starts > 0
        self.journal.write(Started(drop.id))
        with contextlib.suppress(FolderAbsentError), self._folder.opened() as opened:
            self._publisher.begin(opened)
        self._step, self._touched = None, False
        self._busy = drop
        self._set("flashing")
        self._tell("started", drop)
        order = self._order(drop, resumed=resumed)
        try:
            if self._stopping.is_set():
                outcome = Outcome(drop.id, failure=Failure(Step.START, "cancelled", "stopped before the job began"))
            else:
                outcome = self._run_job(order, self._heard)
        except Exception as error:  # noqa: BLE001 - each drop gets its answer, whatever the engine does
            _log.exception("job %s", drop.id)
            failure = Failure(self._step or Step.START, "unexpected", "the engine failed in an unforeseen way")
            reading = Reading("engine.error", f"{type(error).__name__}: {error}")
            outcome = Outcome(drop.id, failure=failure, readings=(reading,), changed=Changed(state="unknown"))
        finally:
            self._busy = None
        failure_kind = None if outcome.failure is None else outcome.failure.kind
        if self._stopping.is_set() and not self._touched and failure_kind in {"cancelled", "interrupted"}:
            self.journal.write(Shelved(drop.id))
            return None
        return msgspec.structs.replace(outcome, action=drop.action)

    def _order(self, drop: Drop, *, resumed: bool) -> FlashOrder | EraseOrder:
        if drop.action:
            unlock = BY_NAME[drop.action].does is Does.UNLOCK
            return EraseOrder(drop.id, self.config.connection, unlock=unlock, beside=str(self._undo))
        return FlashOrder(
            job=drop.id,
            connection=self.config.connection,
            path=str(self._spool.file(drop.spool or "")),
            name=drop.name,
            sha256=drop.sha256,
            base=self.config.base,
            board_id=self.config.board_id,
            allow_locking_images=self.config.allow_locking_images,
            resumed=resumed,
            run=self._acts.switches.auto_reset,
            unlock=self.config.unlock,
            beside=str(self._undo),
        )

    def _heard(self, message: Message) -> None:
        self._beat = self._clock()
        if isinstance(message, Begin):
            self._step, self._patience = message.step, message.deadline
        elif isinstance(message, Progress) and message.extends is not None:
            self._patience = message.extends
        elif isinstance(message, Touched) and (message.changed.erased or message.changed.programmed or message.changed.unlocked):
            self._touched = True
        self._tell("message", self._busy, message=message)

    # --- small --------------------------------------------------------------------------------------------------------------------

    def _set(self, state: str, text: str = "") -> None:
        self._state, self._text = state, text

    def _tell(
        self, what: str, drop: Drop | None = None, *, message: Message | None = None, answer: Answer | None = None, text: str = ""
    ) -> None:
        if text:
            _log.info("%s: %s", what, text)
        if self._notify is not None:
            try:
                self._notify(LaneEvent(what, drop, message, answer, text))
            except Exception:  # noqa: BLE001 - a listener is not the lane
                _log.exception("listener of lane %s", self._folder.serial)


def _interrupted(drop: Drop, starts: int, why: str) -> Outcome:
    return Outcome(
        drop.id,
        failure=Failure(Step.START, "interrupted", f"{why}; it is not tried again by itself"),
        readings=(Reading("engine.interrupted", starts, how="counted in the journal"),),
        changed=Changed(connected=True, state="unknown"),
    )
