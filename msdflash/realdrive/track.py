"""When has a firmware failed, and when is its drive at rest? Looks in, events out; no clock, no file.

A firmware takes its drive away for some seconds when an operation is over, and shows it again, with FAIL.TXT if that failed. Its
FAIL.TXT goes at the next remount for whatever reason, so what stands there after a remount is of now. ASSERT.TXT stays until somebody
deletes it, so only a new text counts.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from msdflash.realdrive.facts import DriveFacts, facts_of
from msdflash.realdrive.look import Look

QUIET = 3.0
"""Seconds without any change before the SWD is ours: the firmware uses it while it takes a file, and resets the board at the end."""
PATIENCE = 60.0
"""Seconds that rest is waited for; after them what the firmware said is told without a measurement."""
AGAIN = 0.5
"""Seconds between looks while something is going on."""


class Failed(msgspec.Struct, frozen=True):
    """A firmware's complaint.

    Attributes:
        facts: what the drive says.
        path: where it is mounted.
        fresh: it came while it was watched. Else it was there before, nobody knows since when.
        quiet: the drive came to rest.
    """

    facts: DriveFacts
    path: str
    fresh: bool
    quiet: bool = True


class Event(StrEnum):
    """What one observation brought."""

    NOTHING = "nothing"
    DISTURBED = "disturbed"  # something happens on the drive: whoever uses its probe should let go
    FAILED = "failed"  # a complaint that was not told yet, and the drive is at rest
    CLEARED = "cleared"  # the last complaint is gone


class Tracker:
    """One probe's drive.

    Attributes:
        failed: the complaint that stands on it, or None.
    """

    def __init__(self, quiet: float = QUIET, patience: float = PATIENCE) -> None:
        self.failed: Failed | None = None
        self._quiet = quiet
        self._patience = patience
        self._sign: tuple[object, ...] | None = None
        self._last: DriveFacts | None = None
        self._ident = ""
        self._away = False
        self._changed = self._since = 0.0
        self._given = self._done = False

    def due(self) -> float | None:
        """Seconds until the next observation, None: when a mount changes."""
        return AGAIN if self.failed is not None and not self._done else None

    def done(self, failed: Failed) -> None:
        """This complaint is told."""
        if self.failed is not None and self.failed.facts is failed.facts:
            self._done = True

    def observe(self, now: float, look: Look | None) -> Event:
        """What a look at ``now`` (monotonic seconds) brings; None: the drive is away."""
        if look is None:
            disturbed = self._sign is not None
            self._sign, self._away, self._changed, self._given = None, True, now, False
            return Event.DISTURBED if disturbed else Event.NOTHING
        facts = facts_of(look.texts)
        if facts is None:
            return Event.NOTHING
        event = Event.NOTHING
        if look.sign != self._sign:
            event = self._changed_to(now, look, facts)
        if self.failed is None or self._given or self._done:
            return event
        quiet = now - self._changed >= self._quiet
        if not quiet and now - self._since < self._patience:
            return event
        self._given = True
        self.failed = msgspec.structs.replace(self.failed, quiet=quiet)
        return Event.FAILED

    def _changed_to(self, now: float, look: Look, facts: DriveFacts) -> Event:
        first, last = self._last is None, self._last
        back = self._away or look.mount.ident != self._ident
        self._sign, self._last, self._ident, self._away, self._changed = look.sign, facts, look.mount.ident, False, now
        if not facts.failing:
            had, self.failed = self.failed is not None, None
            return Event.CLEARED if had else Event.DISTURBED
        if first or self._is_new(facts, last, back=back):
            self.failed = Failed(facts, look.mount.path, fresh=not first)
            self._since, self._given, self._done = now, False, False
        elif self.failed is not None and not self._done:
            self._given = False  # whoever looked at the board was disturbed: once more
        return Event.DISTURBED

    @staticmethod
    def _is_new(facts: DriveFacts, last: DriveFacts | None, *, back: bool) -> bool:
        if last is None or facts.failed_assert not in (None, last.failed_assert):
            return True
        if facts.fail is None:
            return False
        if facts.remounts is not None and last.remounts is not None:  # somebody may mount it by hand, which is no remount of the firmware
            return facts.remounts != last.remounts or facts.fail != last.fail
        return back or facts.fail != last.fail
