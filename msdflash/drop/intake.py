"""From a look at the folder to drops that are ready: keeps the quiet times, asks for content and writers when the verdict needs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from msdflash.drop.actions import LONGEST, action_of
from msdflash.drop.content import peek
from msdflash.drop.names import NameKind, name_kind
from msdflash.drop.settle import Action, Content, Facts, Quiet, Verdict, Writer, judge
from msdflash.drop.sight import EntryKind, Sight, look
from msdflash.drop.writer import Writers, writers_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.drop.place import Place

_WRITER_AGAIN = 0.4
_SOON = 0.02
_LONG = 0.5
_SHARING_VIOLATIONS = frozenset({32, 33})


class Ready(msgspec.Struct, frozen=True):
    """An entry with a final verdict.

    Attributes:
        verdict: TAKE, or REFUSE with its cause.
        quiet: seconds since it was last seen to change.
        writers: who has it open, as far as it was asked.
        error: why it could not be opened.
    """

    sight: Sight
    verdict: Verdict
    quiet: float
    writers: Writers
    error: str = ""


class Looked(msgspec.Struct, frozen=True):
    """What one look brought: what is ready, and seconds until the next look is due (None: nothing is on its way)."""

    ready: tuple[Ready, ...]
    delay: float | None


@dataclass
class _Track:
    sight: Sight
    changed: float
    content: Content = Content.UNSEEN
    unreadable: float | None = None
    error: str = ""
    writers: Writers = field(default_factory=lambda: Writers(Writer.UNASKED))
    asked: float = float("-inf")


class Intake:
    """The tracker of one folder. ``clock`` is monotonic seconds."""

    def __init__(
        self, quiet: Quiet, clock: Callable[[], float], writers: Callable[[Sight], Writers] = writers_of, fast: float = 0.1
    ) -> None:
        self.quiet = quiet
        self._clock = clock
        self._writers = writers
        self._fast = fast
        self._tracks: dict[str, _Track] = {}
        self._released: dict[str, tuple[str, int, int]] = {}

    def released(self, name: str, identity: str, size: int, mtime_ns: int) -> None:
        """A volume of ours saw the last writer of this entry close it, when it looked so. From any thread."""
        self._released[name] = (identity, size, mtime_ns)

    def forget(self) -> None:
        """Drop all quiet times: the folder was away."""
        self._tracks.clear()

    def changed_at(self, name: str) -> float | None:
        """When this entry was last seen to change, or None if it is not tracked."""
        track = self._tracks.get(name)
        return None if track is None else track.changed

    def look(self, place: Place, *, skip: Callable[[Sight], bool], busy: bool = False) -> Looked:
        """Look once. ``skip`` names entries that are no new drops; ``busy``: an earlier drop is not answered yet.

        Raises OSError if the folder cannot be read.
        """
        now = self._clock()
        sights = {sight.name: sight for sight in look(place)}
        for name in [name for name in self._tracks if name not in sights]:
            del self._tracks[name]
        for name in [name for name in list(self._released) if name not in sights]:
            self._released.pop(name, None)
        waiting: list[tuple[_Track, NameKind]] = []
        for sight in sights.values():
            kind = name_kind(sight.name)
            if kind is NameKind.CLUTTER:
                continue
            track = self._tracks.get(sight.name)
            if track is None or track.sight.sign != sight.sign:
                track = self._tracks[sight.name] = _Track(sight, now)
            if not skip(sight):
                waiting.append((track, kind))
        unfinished = any(kind is NameKind.TEMPORARY for _, kind in waiting)
        others = busy or any(track.sight.kind is not EntryKind.FOLDER for track, _ in waiting)
        ready, delays = [], []
        for track, kind in waiting:
            arriving = others if track.sight.kind is EntryKind.FOLDER else unfinished
            verdict = self._verdict(place, track, kind is NameKind.TEMPORARY, arriving)
            if verdict.action is Action.WAIT:
                delays.append(max(_SOON, min(verdict.after, self._fast if verdict.after <= self.quiet.doubtful else _LONG)))
            else:
                ready.append(Ready(track.sight, verdict, self._clock() - track.changed, track.writers, track.error))
        ready.sort(key=lambda item: (item.sight.mtime_ns, item.sight.name))
        return Looked(tuple(ready), min(delays, default=None))

    def again(self, name: str) -> None:
        """It turned out to be still changing: its quiet begins anew."""
        self._tracks.pop(name, None)

    def _verdict(self, place: Place, track: _Track, temporary: bool, arriving: bool) -> Verdict:
        while True:
            now = self._clock()
            asked = track.writers.writer if now - track.asked < _WRITER_AGAIN else Writer.UNASKED
            facts = Facts(
                track.sight.kind,
                track.sight.size,
                now - track.changed,
                temporary,
                track.content,
                asked,
                None if track.unreadable is None else now - track.unreadable,
                arriving,
                track.sight.kind is EntryKind.FILE and track.sight.size <= LONGEST and action_of(track.sight.name) is not None,
                self._released.get(track.sight.name) == (track.sight.identity, track.sight.size, track.sight.mtime_ns),
            )
            verdict = judge(facts, self.quiet)
            if verdict.action is Action.ASK:
                track.writers, track.asked = self._writers(track.sight), self._clock()
            elif verdict.action is Action.PEEK:
                hindrance = self._peek(place, track)
                if hindrance is not None:
                    return hindrance
            elif track.unreadable is not None and verdict.action is Action.WAIT:
                hindrance = self._peek(place, track)  # perhaps it can be read by now
                return verdict if hindrance is None else hindrance
            else:
                return verdict

    def _peek(self, place: Place, track: _Track) -> Verdict | None:
        """Fill in the content. A verdict only if there is nothing to judge: it changed, or a writer keeps it to itself."""
        now = self._clock()
        try:
            content, seen = peek(place, track.sight)
        except FileNotFoundError:
            return Verdict(Action.WAIT, _SOON)
        except OSError as error:
            alone = getattr(error, "winerror", None) in _SHARING_VIOLATIONS
            if alone and now - track.changed < self.quiet.writer:
                return Verdict(Action.WAIT, _LONG)
            if track.unreadable is None:
                track.unreadable = now
            track.error = f"{error.strerror or error}"
            return None
        if (seen.size, seen.mtime_ns) != (track.sight.size, track.sight.mtime_ns):
            track.changed = now
            return Verdict(Action.WAIT, self._fast)
        track.content, track.unreadable, track.error = content, None, ""
        return None
