"""Plain ASCII text for a drive: foreign text escaped, lines of at most 80 columns, CRLF."""

from __future__ import annotations

import functools
import re
import textwrap

from msdflash.diagnose.daplink import SENTENCES

WIDTH = 79
"""Longest line: 80 columns with Notepad's cursor behind the last."""

CRLF = "\r\n"

_CUT = ("The hex file you dropped isn't compatible with this mode or device.",)
"""Beginnings of sentences that readers know in another spelling (mbed-flasher 04c7cc1 ``daplink_errors.py``)."""

_SEARCHED = tuple(sentence.rstrip(".") for sentence in (*SENTENCES, *_CUT))
"""Without their full stop: mbed-flasher knows one of them so, as ST-LINKs print it."""

_SENTENCE = re.compile("|".join(map(re.escape, _SEARCHED)), re.IGNORECASE)
_LOWER = tuple(sentence.lower() for sentence in _SEARCHED)


def plain(text: object, longest: int = 400) -> str:
    """Foreign text as printable ASCII on one line: control and other characters as escapes, too long ones cut in the middle."""
    escaped = _escaped(str(text)[: 2 * longest + 1])
    if len(escaped) <= longest:
        return escaped
    keep = max(longest - 3, 2)
    tail = _escaped(str(text)[-keep:])
    return f"{escaped[: keep - keep // 2]}...{tail[-(keep // 2) :]}"


def _escaped(raw: str) -> str:
    if raw.isascii() and raw.isprintable():
        return raw
    ascii_text = raw.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(char if " " <= char <= "~" else f"\\x{ord(char):02x}" for char in ascii_text)


def defuse(text: str) -> str:
    """Text in which no DAPLink sentence stands: readers search for them and count. A hostile file name may hold one."""
    if text.isascii():
        low = text.lower()
        if not any(sentence in low for sentence in _LOWER):  # nearly always; a tenth of the pattern's time
            return text
    while True:
        broken = _SENTENCE.sub(_broken, text)
        if broken == text:
            return text
        text = broken


def _broken(match: re.Match[str]) -> str:
    """The sentence with an underscore for its first blank."""
    return match.group(0).replace(" ", "_", 1)


def safe(text: object, longest: int = 400) -> str:
    """Foreign text that may stand anywhere in a file on the drive."""
    return defuse(plain(text, longest))


def wrap(text: str, first: str = "", rest: str | None = None, width: int = WIDTH) -> list[str]:
    """Lines of at most ``width`` columns; ``first`` and ``rest`` are the indents. Words longer than a line are cut."""
    return list(_wrapped(text, first, first if rest is None else rest, width))


@functools.lru_cache(maxsize=256)  # a page that must shrink is made several times out of the same paragraphs
def _wrapped(text: str, first: str, rest: str, width: int) -> tuple[str, ...]:
    lines = textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
    return tuple(line.rstrip() for line in lines) or (first.rstrip(),)


def sentence(clause: str) -> str:
    """A clause as a sentence: capital first (but ``nRESET`` stays), full stop last."""
    clause = clause.strip()
    if not clause:
        return ""
    first = clause[0] if clause[1:2].isupper() else clause[0].upper()
    return first + clause[1:] + ("" if clause.endswith(".") else ".")


def span(first: int, length: int) -> str:
    """``0x08000000..0x08006BFF``."""
    return f"0x{first:08X}..0x{first + max(length, 1) - 1:08X}"
