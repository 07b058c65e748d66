"""From a cause's id or any text to what is known about it."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.finding import Confidence
from msdflash.diagnose.foreign import LONGEST, Saying, normalise, recognise
from msdflash.diagnose.foreign_drive import DRIVE_SAYINGS, by_number
from msdflash.diagnose.foreign_openocd import OPENOCD_SAYINGS
from msdflash.diagnose.foreign_others import OTHERS_SAYINGS
from msdflash.diagnose.foreign_probe_rs import PROBE_RS_SAYINGS
from msdflash.diagnose.foreign_pyocd import PYOCD_SAYINGS
from msdflash.diagnose.foreign_vendor import VENDOR_SAYINGS
from msdflash.diagnose.telling import Command, commands_for

SAYINGS: tuple[Saying, ...] = (
    *DRIVE_SAYINGS,
    *PYOCD_SAYINGS,
    *OPENOCD_SAYINGS,
    *PROBE_RS_SAYINGS,
    *VENDOR_SAYINGS,
    *OTHERS_SAYINGS,
)
"""Every known text of every known tool."""

_MOST = 12
_OWN = re.compile(r'\{"schema":"msdflash/report/1".{0,4000}', re.DOTALL)


class Measured(msgspec.Struct, frozen=True):
    """A cause that a report of msdflash itself names, with the confidence that it had there."""

    cause: str
    confidence: str


class Explanation(msgspec.Struct, frozen=True):
    """What is known about a text.

    Attributes:
        measured: the text is a report of msdflash, and these are its causes, best first.
        sayings: known texts in it, most specific first.
        causes: ids of all causes behind them, each once, those of the most specific text first.
        beyond: known causes that msdflash has no id for.
        commands: what tells the causes apart, mildest first.
    """

    measured: tuple[Measured, ...] = ()
    sayings: tuple[Saying, ...] = ()
    causes: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()

    @property
    def known(self) -> bool:
        """Anything of the text was recognised."""
        return bool(self.measured or self.sayings)


def explain_text(text: str) -> Explanation:
    """What is known about a text. Never raises, whatever it holds; an unknown text gives an empty explanation."""
    measured = own_report(text)
    if measured:
        ids = tuple(item.cause for item in measured)
        return Explanation(measured=measured, causes=ids, commands=commands_for(ids[:1]))
    sayings = tuple(match.saying for match in recognise(by_number(text) or text, SAYINGS))[:_MOST]
    causes = tuple(dict.fromkeys(cause for saying in sayings for cause in saying.causes if cause in CATALOGUE))
    beyond = tuple(dict.fromkeys(words for saying in sayings for words in saying.beyond))
    return Explanation((), sayings, causes, beyond, commands_for(causes))


def explain_nothing() -> Explanation:
    """For a text that nobody knows: only measuring helps."""
    return Explanation(commands=(Command.BOARDS, Command.LOOK, Command.RESET))


def texts_of(cause: str) -> tuple[Saying, ...]:
    """Known texts behind which a cause was found first of all, one a tool."""
    first: dict[str, Saying] = {}
    for saying in SAYINGS:
        if cause in saying.causes[:1]:
            first.setdefault(saying.tool, saying)
    return tuple(first.values())


def own_report(text: str) -> tuple[Measured, ...]:
    """The causes of the last report of msdflash in a text (the JSON line of FAIL.TXT, or ``--json``), best first."""
    for data in reversed(list(_objects(text[-LONGEST:]))):
        found = _measured(data)
        if found:
            return found
    return ()


def _objects(text: str) -> list[Any]:
    candidates = [match.group(0).splitlines()[0] for match in _OWN.finditer(text)] + ([text] if text.lstrip().startswith("{") else [])
    objects = []
    for candidate in candidates:
        try:
            objects.append(json.loads(candidate))
        except (ValueError, RecursionError):
            continue
    return objects


def _measured(data: Any) -> tuple[Measured, ...]:
    if not isinstance(data, dict) or not str(data.get("schema", "")).startswith("msdflash/report/"):
        return ()
    rows = data.get("causes")
    pairs = [_pair(row) for row in rows] if isinstance(rows, list) else []
    known = [pair for pair in pairs if pair is not None and pair.cause in CATALOGUE]
    lead = data.get("cause")
    if not known and isinstance(lead, str) and lead in CATALOGUE:
        known = [Measured(lead, _confidence(data.get("confidence")))]
    return tuple(known)


def _pair(row: Any) -> Measured | None:
    """A row of the short form (``[id, confidence]``) or of the whole report."""
    if isinstance(row, dict):
        row = [row.get("cause"), row.get("confidence")]
    if isinstance(row, list) and len(row) == 2 and isinstance(row[0], str):
        return Measured(row[0], _confidence(row[1]))
    return None


def _confidence(value: Any) -> str:
    return value if isinstance(value, str) and value in set(Confidence) else ""


def looks_like_id(text: str) -> bool:
    """The text could be meant as a cause's id."""
    return re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", normalise(text)) is not None
