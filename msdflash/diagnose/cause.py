"""What a cause is: one entry of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any

import msgspec

NOTHING = "costs nothing"
"""The price of a remedy that changes nothing on the chip and needs no tool."""


class Remedy(msgspec.Struct, frozen=True):
    """One thing to do about a cause.

    Attributes:
        text: an instruction; names the object.
        cost: what it costs or destroys.
    """

    text: str
    cost: str = NOTHING


class Cause(msgspec.Struct, frozen=True):
    """Why a job can end badly.

    Attributes:
        id: stable name; ``msdflash explain <id>`` and ``docs/causes.md#<id>``.
        headline: a clause without capital and full stop; ``{slots}`` take measured values.
        plain: the same clause without slots, used where a slot was not measured ("" if ``headline`` has none).
        error: name of the DAPLink error that old tools get to see.
        remedies: cheapest and safest first.
        retryable: the same drop may succeed without anybody changing anything.
        symptom: says what was seen, not why. It leads a report only where nothing explains it.
    """

    id: str
    headline: str
    error: str
    remedies: tuple[Remedy, ...]
    plain: str = ""
    retryable: bool = False
    symptom: bool = False

    @property
    def anchor(self) -> str:
        """Where the documentation explains it."""
        return f"docs/causes.md#{self.id}"

    def say(self, slots: Mapping[str, Any]) -> str:
        """The headline with its measured values, or the plain one where a value is missing."""
        names = {name for _, name, _, _ in Formatter().parse(self.headline) if name}
        if all(slots.get(name) not in (None, "") for name in names):
            return self.headline.format_map({name: str(slots[name]) for name in names})
        return self.plain


def cause(
    cause_id: str,
    headline: str,
    error: str,
    *remedies: Remedy | str,
    plain: str = "",
    retryable: bool = False,
    symptom: bool = False,
) -> Cause:
    """One catalogue entry; a remedy given as plain text costs nothing."""
    steps = tuple(Remedy(step) if isinstance(step, str) else step for step in remedies)
    return Cause(cause_id, headline, error, steps, plain, retryable, symptom)
