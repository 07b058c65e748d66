"""FAIL.TXT: two lines for old tools, a page for the person at the bench, one JSON line for programs.

The first two lines are DAPLink's, letter for letter. Readers search the whole file for DAPLink's sentences and some insist on
exactly one hit, so foreign text is defused. ASCII, CRLF, at most 80 columns (except DAPLink's own line and the JSON line), under 4 KiB.
For readers that count lines there is the two-line form: FAIL.TXT ends after DAPLink's lines, and the page stands in WHY.TXT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.diagnose.daplink import ERRORS
from msdflash.report import story
from msdflash.report.summary import summary_line
from msdflash.report.text import CRLF

if TYPE_CHECKING:
    from msdflash.report.record import Report

LIMIT = 4096
"""Either file is smaller than one DAPLink cluster."""

WHY = "WHY.TXT"
"""Name of the file with the page, where FAIL.TXT must have two lines: 8.3, and none that a known reader looks for."""

_FALLBACK = "ERROR_INTERNAL"
_SIZES = ((8, 4, 5), (7, 3, 4), (6, 3, 3), (5, 2, 3), (4, 2, 2), (3, 1, 2), (1, 1, 1), (1, 0, 1))
"""How many causes, reasons of each, and remedies: less and less, until the file is small enough. The record keeps all of it."""


def render_two_line(report: Report) -> str:
    """Exactly DAPLink's two lines."""
    error = ERRORS[report.daplink.error if report.daplink else _FALLBACK]
    return f"error: {error.text}{CRLF}type: {error.type_line}{CRLF}"


def render(report: Report) -> str:
    """FAIL.TXT in its long form."""
    contract = render_two_line(report) + CRLF
    return contract + _page(report, LIMIT - len(contract))


def render_why(report: Report) -> str:
    """WHY.TXT: the page alone. No DAPLink sentence stands in it."""
    return _page(report, LIMIT)


def _page(report: Report, room: int) -> str:
    head = [*story.opening(report), ("", "")]
    tail = _text([*story.done(report), *story.where(report)]) + summary_line(report) + CRLF
    text = ""
    for causes, reasons, remedies in _SIZES:
        text = _text([*head, *story.why(report, causes, reasons), *story.steps(report, remedies)]) + tail
        if len(text) < room:
            break
    return text


def _text(lines: list[story.Line]) -> str:
    return "".join(line + CRLF for _, line in lines)
