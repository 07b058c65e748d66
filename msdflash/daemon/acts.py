"""Action files: whether one may be obeyed, and the switches that they set."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

import msgspec

from msdflash.drop.actions import BY_NAME, ORDER_LASTS, ActionFile, Does, Switches, order_names
from msdflash.job.outcome import Failure, ImageFacts, Outcome
from msdflash.job.readings import Reading
from msdflash.job.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from msdflash.drop.record import Drop

_FILE = "switches.json"


class Acts:
    """The action files of one board.

    Attributes:
        switches: as they stand now.
    """

    def __init__(self, state: Path, serial: str, policy: tuple[str, ...], now: Callable[[], float] = time.time) -> None:
        """Read the switches out of ``state``, the private directory of this board. ``policy``: words that the configuration allows."""
        self._file = state / _FILE
        self._serial = serial
        self._policy = policy
        self._now = now
        self.switches = self._read()

    def refusal(self, drop: Drop, content: bytes, *, again: bool) -> Outcome | None:
        """Why this action file is not obeyed, as an outcome; None if it may be.

        Args:
            drop: of an action file.
            content: of its copy.
            again: it was begun before and cut off.
        """
        action = BY_NAME[drop.action]
        if action.does is Does.NOTHING:
            return _refused(drop, "action-not-here", f"{action.name} {action.means}")
        if not self.switches.automation and action.policy != "automation":
            return _refused(drop, "action-automation-off", "AUTO_OFF.CFG was dropped here, so only AUTO_ON.CFG is obeyed")
        if action.policy not in self._policy:
            return _refused(drop, "action-not-allowed", f"the configuration of this board does not allow it: {action.name} {action.means}")
        if action.does in (Does.ERASE, Does.UNLOCK):
            return self._order_refused(drop, action, content, again=again)
        return None

    def _order_refused(self, drop: Drop, action: ActionFile, content: bytes, *, again: bool) -> Outcome | None:
        if again:
            return _refused(drop, "action-used", "the order was begun and cut off; an order to destroy is carried out once at most")
        age = self._now() - drop.ctime_ns / 1e9
        if abs(age) > ORDER_LASTS:  # a clock that was set makes it look old or not yet written; neither is an order of now
            return _refused(drop, "action-expired", f"the order is {age:.0f} s old", age=round(age), limit=round(ORDER_LASTS))
        if action.does is Does.UNLOCK:
            named = order_names(content)
            if [name.casefold() for name in named] != [self._serial.casefold()]:
                told = ", ".join(named[:3]) or "no board"
                return _refused(drop, "action-other-board", f"it names {told}", named=told[:100], serial=self._serial)
        return None

    def obey(self, drop: Drop) -> Outcome:
        """Carry out what needs no board. Raises OSError if the switches cannot be kept."""
        action = BY_NAME[drop.action]
        if action.switch is not None:
            field, value = action.switch
            self._write(msgspec.structs.replace(self.switches, **{field: value}))
        return Outcome(drop.id, action=drop.action)

    def _read(self) -> Switches:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._file.read_bytes(), type=Switches)
        return Switches()

    def _write(self, switches: Switches) -> None:
        if switches == self.switches:
            return
        fresh = self._file.with_name(f"{_FILE}.new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(switches))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)
        self.switches = switches


def needs_board(drop: Drop) -> bool:
    """Whether an action file is a job for the worker."""
    return bool(drop.action) and BY_NAME[drop.action].does in (Does.ERASE, Does.UNLOCK)


def _refused(drop: Drop, cause: str, why: str, **facts: str | int) -> Outcome:
    return Outcome(
        drop.id,
        failure=Failure(Step.TAKE, "image", why, cause=cause),
        readings=(Reading("image.facts", {"file": drop.action, **facts}),),
        image=ImageFacts(drop.name, "", drop.size, drop.sha256),
        action=drop.action,
    )
