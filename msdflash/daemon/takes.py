"""Taking: which entries of the folder are new drops, copying them into the spool, and what cannot be taken."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from msdflash.drive.retire import Fate, fate
from msdflash.drop.actions import LONGEST, action_of
from msdflash.drop.intake import Intake, Ready
from msdflash.drop.journal import Journal, is_full
from msdflash.drop.names import NameKind, display, name_kind
from msdflash.drop.record import Cleared, Drop, Taken, new_id
from msdflash.drop.rights import rights
from msdflash.drop.settle import Action
from msdflash.drop.sight import EntryKind, Sight, sight_of
from msdflash.drop.spool import ChangedError, Spool, SpoolError
from msdflash.job.outcome import Failure, ImageFacts, Outcome
from msdflash.job.readings import Reading
from msdflash.job.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.daemon.lane_data import LaneConfig
    from msdflash.drive.folder import Opened
    from msdflash.drive.publish import Publisher
    from msdflash.drop.attic import Attic
    from msdflash.drop.place import Place

_FULL_AGAIN = 2.0
_WORDS = {
    "image-empty": "the file holds no bytes",
    "image-huge": "the file is larger than any image may be",
    "half-download": "the file was not finished and nothing happened to it for a while",
    "dropped-folder": "a folder was dropped",
    "symlink": "a link was dropped; links are not followed",
    "special-file": "what was dropped is not a regular file",
    "unreadable": "the file cannot be read",
    "disk-full": "there is no room to take the file; it stays where it is",
}


class _Waiting(msgspec.Struct):
    """A file that could not be taken for want of room; ``told`` once, and tried again."""

    sight: Sight
    drop: Drop
    again: float
    told: bool


class Takes:
    """The taking side of one lane.

    Attributes:
        regrown: drops whose file grew after it was taken; they are copied anew once it rests.
        held: outcomes of such drops, used only if the file turns out to be another one.
    """

    def __init__(
        self,
        spool: Spool,
        journal: Journal,
        attic: Attic,
        intake: Intake,
        publisher: Publisher,
        config: LaneConfig,
        clock: Callable[[], float],
        *,
        notice: Callable[[Opened, Outcome, Drop], None],
        taken: Callable[[Drop], None],
    ) -> None:
        self.regrown: set[str] = set()
        self.held: dict[str, Outcome] = {}
        self._spool = spool
        self._journal = journal
        self._attic = attic
        self._intake = intake
        self._publisher = publisher
        self._config = config
        self._clock = clock
        self._notice = notice
        self._taken = taken
        self._names: dict[str, str] = {}
        self._full: dict[str, _Waiting] = {}

    def name_of(self, drop: Drop) -> str:
        """The entry's present name: the one it was taken under, or the one it was renamed to since."""
        return self._names.get(drop.id, drop.filename)

    def cleared(self, drop: Drop) -> None:
        """The drop is done with."""
        self._names.pop(drop.id, None)
        self.regrown.discard(drop.id)
        self.held.pop(drop.id, None)

    # --- looking ------------------------------------------------------------------------------------------------------------------

    def look(self, opened: Opened) -> float | None:
        """Take what is ready. Returns seconds until the next look is due, or None if nothing is on its way. Raises OSError."""
        root = opened.root
        self._forget_left(root)
        self.follow_renames(root)
        busy = any(entry.answered is None for entry in self._journal.open.values())
        looked = self._intake.look(root, skip=lambda sight: self._is_known(root, sight), busy=busy)
        self._full = {name: waiting for name, waiting in self._full.items() if root.exists(name)}
        delay = looked.delay
        for ready in looked.ready:
            again = self._accept(opened, ready)
            if again is not None:
                delay = again if delay is None else min(delay, again)
        return delay

    def _forget_left(self, root: Place) -> None:
        for drop in list(self._journal.left.values()):
            try:
                same = drop.is_at(sight_of(drop.filename, root.lstat(drop.filename)))
            except OSError:
                same = False
            if not same:
                self._journal.write(Cleared(drop.id))

    def follow_renames(self, root: Place) -> None:
        """Note the new names of open drops that were renamed since they were taken."""
        lost = [
            entry.drop
            for entry in self._journal.open.values()
            if entry.drop.kind is EntryKind.FILE and not root.exists(self.name_of(entry.drop))
        ]
        if not lost:
            return
        for name in root.names():
            with contextlib.suppress(OSError):
                sight = sight_of(name, root.lstat(name))
                for drop in lost:
                    if sight.kind is EntryKind.FILE and drop.is_at(sight):
                        self._names[drop.id] = name

    def _is_known(self, root: Place, sight: Sight) -> bool:
        """Whether an entry is no new drop: ours, left behind, or one that is being worked on."""
        if self._publisher.owns(sight.name):
            return True
        if any(drop.filename == sight.name and drop.is_at(sight) for drop in self._journal.left.values()):
            return True
        for entry in self._journal.open.values():
            drop = entry.drop
            if self.name_of(drop) != sight.name:
                continue
            if entry.answered is None:
                if drop.id not in self.regrown or fate(root, drop, self._spool, sight.name)[0] is not Fate.GROWN:
                    return True
            elif fate(root, drop, self._spool, sight.name)[0] is Fate.SAME:
                return True
        return False

    # --- taking -------------------------------------------------------------------------------------------------------------------

    def _accept(self, opened: Opened, ready: Ready) -> float | None:
        sight = ready.sight
        waiting = self._full.get(sight.name)
        if waiting is not None and waiting.sight.sign == sight.sign and self._clock() < waiting.again:
            return waiting.again - self._clock()
        grown = self._grown(sight)
        if grown is not None:
            drop = msgspec.structs.replace(grown, **_as_seen(sight), retakes=grown.retakes + 1, spool=None, sha256="")
        elif len(self._journal.open) < self._config.most_taken:
            drop = new_drop(sight, None if waiting is None else waiting.drop.id)
        else:
            return None  # the next pass comes when one of them is done
        drop_or_wait = self._secure(opened, ready, drop)
        if not isinstance(drop_or_wait, Drop):
            return drop_or_wait
        drop = drop_or_wait
        if grown is not None and grown.spool is not None:
            self._spool.remove(grown.spool)
        self.cleared(drop)
        self._names[drop.id] = sight.name
        self._full.pop(sight.name, None)
        self._taken(drop)
        return None

    def _grown(self, sight: Sight) -> Drop | None:
        for entry in self._journal.open.values():
            if entry.drop.id in self.regrown and self.name_of(entry.drop) == sight.name:
                return entry.drop
        return None

    def _secure(self, opened: Opened, ready: Ready, drop: Drop) -> Drop | float:
        """Copy and record it. Seconds until it is worth another try, if that cannot be done now."""
        sight = ready.sight
        try:
            if ready.verdict.action is Action.TAKE:
                drop = self._copy(opened.root, sight, drop)
            else:
                drop = msgspec.structs.replace(drop, **_refusal(opened.root, ready, self._config))
        except ChangedError:
            self._intake.again(sight.name)
            return self._config.fast
        except FileNotFoundError:
            return self._config.fast
        except SpoolError as error:
            return self._no_room(opened, sight, drop, error.cause)
        except OSError:
            self._intake.again(sight.name)  # the next peek will say that it cannot be read
            return self._config.fast
        try:
            self._journal.write(Taken(drop))
        except OSError as error:
            if drop.spool is not None:
                self._spool.remove(drop.spool)
            return self._no_room(opened, sight, drop, error)
        return drop

    def _copy(self, root: Place, sight: Sight, drop: Drop) -> Drop:
        spool = drop.id if not drop.retakes else f"{drop.id}-{drop.retakes}"
        copied = self._spool.copy(root, sight, spool, self._config.quiet.limit)
        return msgspec.structs.replace(drop, spool=copied.spool, sha256=copied.sha256, ctime_ns=copied.sight.ctime_ns)

    def _no_room(self, opened: Opened, sight: Sight, drop: Drop, error: OSError) -> float:
        known = self._full.get(sight.name)
        told = known is not None and known.told and known.drop.id == drop.id
        if not told:
            # The folder may be on the very same full disk; then the notice, too, waits for room.
            with contextlib.suppress(OSError):
                self._notice(opened, _no_room_outcome(drop, error), drop)
                told = True
        self._full[sight.name] = _Waiting(sight, drop, self._clock() + _FULL_AGAIN, told)
        return _FULL_AGAIN

    # --- afterwards ---------------------------------------------------------------------------------------------------------------

    def wait_for_hold(self, opened: Opened, name: str, hold: float, longest: float) -> None:
        """Wait until nothing has happened to the entry for ``hold`` seconds, at most ``longest`` in all."""
        began = self._clock()
        changed = self._intake.changed_at(name)
        changed = began if changed is None else changed
        sign = None
        while True:
            try:
                now = sight_of(name, opened.root.lstat(name)).sign
            except OSError:
                return
            if sign is not None and now != sign:
                changed = self._clock()
            sign = now
            left = min(changed + hold, began + longest) - self._clock()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))

    def remove_empty_folders(self, opened: Opened) -> None:
        """Empty folders vanish with a remount, as on a real drive; one with anything in it is a drop."""
        for name in opened.root.names():
            if name_kind(name) is NameKind.DROP and not self._publisher.owns(name):
                with contextlib.suppress(OSError):
                    if sight_of(name, opened.root.lstat(name)).kind is EntryKind.FOLDER:
                        opened.root.rmdir(name)

    def keep_copy(self, drop: Drop) -> None:
        """The private copy of a drop that was not flashed goes to the "not flashed" store. Nothing happens if there is none."""
        if drop.spool is None or not self._spool.file(drop.spool).exists():
            return
        with self._spool.opened() as place:
            self._attic.accept(place, drop.spool, drop.id, drop.name)


def new_drop(sight: Sight, identifier: str | None = None) -> Drop:
    """A drop of what was seen, not yet copied."""
    seen = _as_seen(sight)
    taken_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    action = action_of(sight.name) if sight.kind is EntryKind.FILE and sight.size <= LONGEST else None
    return Drop(
        identifier or new_id(),
        os.fsencode(sight.name),
        display(sight.name),
        taken_at=taken_at,
        kind=sight.kind,
        action="" if action is None else action.name,
        **seen,
    )


def refused_outcome(drop: Drop) -> Outcome:
    """The outcome of a drop that taking itself showed to be no image."""
    return Outcome(
        drop.id,
        failure=Failure(Step.TAKE, "image", drop.message, cause=drop.cause),
        readings=(Reading("image.facts", drop.facts),),
        image=ImageFacts(drop.name, "", drop.size, drop.sha256),
    )


def _no_room_outcome(drop: Drop, error: OSError) -> Outcome:
    full = is_full(error)
    message = _WORDS["disk-full"] if full else "the file cannot be copied into the spool; it stays where it is"
    return Outcome(
        drop.id,
        failure=Failure(Step.TAKE, "image" if full else "unexpected", message, cause="disk-full" if full else None),
        readings=(Reading("image.facts", {"size": drop.size}), Reading("engine.error", str(error))),
        image=ImageFacts(drop.name, "", drop.size, ""),
    )


def _as_seen(sight: Sight) -> dict[str, Any]:
    return {"identity": sight.identity, "size": sight.size, "mtime_ns": sight.mtime_ns, "ctime_ns": sight.ctime_ns}


def _refusal(root: Place, ready: Ready, config: LaneConfig) -> dict[str, Any]:
    cause, sight = ready.verdict.cause, ready.sight
    facts: dict[str, Any] = {"name": display(sight.name)}
    if sight.kind is EntryKind.FILE:
        facts["size"] = sight.size
    match cause:
        case "image-huge":
            facts["limit"] = config.quiet.limit
        case "symlink":
            facts["target"] = display(root.readlink(sight.name))
        case "special-file":
            facts["type"] = sight.special
        case "dropped-folder":
            facts["entries"] = sight.size
        case "unreadable":
            facts |= {"error": ready.error, **rights(root.lstat(sight.name))}
        case _:
            facts["quiet_s"] = round(ready.quiet, 1)
            facts["seen"] = ready.verdict.why
            if ready.writers.pid:
                facts["open_in"] = f"{ready.writers.program} (pid {ready.writers.pid})"
    return {"cause": cause, "message": _WORDS[cause], "facts": facts}
