"""Texts of other tools: which of them are known, and what was behind them when somebody found out.

A row of the table says: this tool prints this text, and these causes were seen or follow from its source. A text names a step and never
proves a cause; only measuring does. Matching is plain searching in normalised text: it cannot hang and cannot fail, whatever stands there.
"""

from __future__ import annotations

import functools
import re

import msgspec

LONGEST = 256 * 1024
"""Characters of a text that are looked at: its end, where a log tells what stopped it."""

SILENT = ("no-target-power", "swd-open", "swd-swapped", "debug-off", "asleep", "swd-short", "chip-dead")
"""What can be behind a chip that does not answer at all. No probe tells all of these apart."""

_GAP = 160
"""Characters that a ``*`` in a pattern may stand for."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)?|.)?", re.DOTALL)
"""ECMA-48 control sequences: colours, and titles of windows."""

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u00a0": " "})


class Saying(msgspec.Struct, frozen=True):
    """One known text of one tool.

    Attributes:
        tool: who prints it.
        pattern: the text, or enough of it; ``*`` stands for a short stretch of anything. Case and blanks do not count.
        causes: ids in the catalogue: those behind it, commonest first as far as known.
        note: what the text really says, where that differs from what it seems to say.
        beyond: known causes that msdflash does not tell by an id, in words.
        source: where text and causes come from: a file of the tool's source, or public threads.
    """

    tool: str
    pattern: str
    causes: tuple[str, ...]
    note: str = ""
    beyond: tuple[str, ...] = ()
    source: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        """How specific the pattern is: the number of characters that must be there."""
        return sum(map(len, self.parts))

    @property
    def parts(self) -> tuple[str, ...]:
        """The pattern's fixed pieces, normalised."""
        return _parts(self.pattern)


def said(tool: str, pattern: str, *causes: str, note: str = "", beyond: tuple[str, ...] = (), source: tuple[str, ...] = ()) -> Saying:
    """One row of the table."""
    return Saying(tool, pattern, tuple(dict.fromkeys(causes)), note, beyond, source)


class Match(msgspec.Struct, frozen=True):
    """A saying that was found, and where in the normalised text: first character, and the one behind the last."""

    saying: Saying
    first: int
    end: int


@functools.cache
def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(part for part in (normalise(piece) for piece in pattern.split("*")) if part)


def normalise(text: str) -> str:
    """Lower case, no colours, one blank for each run of blanks and line ends, plain quotes."""
    return " ".join(_ESCAPES.sub(" ", text[-LONGEST:]).translate(_QUOTES).lower().split())


def recognise(text: str, sayings: tuple[Saying, ...]) -> tuple[Match, ...]:
    """All sayings in a text, the most specific first. One that lies inside a longer one is that longer one's words, and left out."""
    plain = normalise(text)
    found = [match for saying in sayings for match in [_find(plain, saying)] if match is not None]
    best = [match for match in found if not any(_inside(match, other) for other in found)]
    return tuple(sorted(best, key=lambda match: (-match.saying.weight, match.first, match.saying.tool, match.saying.pattern)))


def _inside(match: Match, other: Match) -> bool:
    return other.first <= match.first and match.end <= other.end and match.end - match.first < other.end - other.first


def _find(plain: str, saying: Saying) -> Match | None:
    parts = saying.parts
    first = plain.find(parts[0]) if parts else -1
    while first >= 0:
        end = _follow(plain, parts, first)
        if end is not None:
            return Match(saying, first, end)
        first = plain.find(parts[0], first + 1)
    return None


def _follow(plain: str, parts: tuple[str, ...], first: int) -> int | None:
    end = first + len(parts[0])
    for part in parts[1:]:
        at = plain.find(part, end, end + _GAP + len(part))
        if at < 0:
            return None
        end = at + len(part)
    return end
