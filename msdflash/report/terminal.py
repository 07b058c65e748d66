"""The report for a terminal: the same facts as FAIL.TXT, without DAPLink's lines and JSON. Colour is an extra, never the message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.report import story
from msdflash.report.story import Line
from msdflash.report.text import plain, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text

    from msdflash.report.record import Report

STYLES: dict[str, str] = {
    "good": "bold green",
    "bad": "bold red",
    "heading": "bold",
    "certain": "red",
    "likely": "yellow",
    "dim": "dim",
    "": "",
}
"""Role of a line -> rich style."""

_MOST = 20
"""Causes, and reasons of each: a terminal has room."""


def styled_lines(report: Report, width: int = 79) -> list[Line]:
    """The report as ``(role, text)`` lines of at most ``width`` columns."""
    return _good(report, width) if report.good else _bad(report, width)


def lines(report: Report, width: int = 79) -> list[str]:
    """The report as plain text lines."""
    return [text for _, text in styled_lines(report, width)]


def rich_text(report: Report, width: int = 79) -> Text:
    """The same lines, coloured for a terminal that can show it. The caller decides whether it may (``NO_COLOR``)."""
    return painted(styled_lines(report, width))


def painted(told: Iterable[Line]) -> Text:
    """Lines with the colour of their role."""
    from rich.text import Text

    result = Text()
    for role, text in told:
        result.append(text + "\n", style=STYLES.get(role, ""))
    return result


def _name(report: Report) -> str:
    return plain(report.file or (report.image.name if report.image else "") or report.board or "The board", 60)


def _good(report: Report, width: int) -> list[Line]:
    done = report.changed
    if report.outcome == "healthy":
        target = (report.target.name or report.target.part or "") if report.target else ""
        where = plain(report.board or target or "The board", 60)
        text = f"{where} is healthy: it answers on every measurement that was made."
    elif report.action:
        text = f"{_name(report)}: done. {done.erased} bytes erased, {report.duration:.1f} s."
    elif report.unchanged:
        text = f"{_name(report)}: already in flash. {done.verified} bytes read back and equal, nothing written, {report.duration:.1f} s."
    else:
        text = f"{_name(report)}: flashed. {done.programmed} bytes written, {done.verified} read back and equal, {report.duration:.1f} s."
    out: list[Line] = [("good", line) for line in wrap(text, "", "  ", width)]
    if report.outcome == "flashed" and report.running != "unknown":
        out.append(("", f"The program is {plain(report.running, 40).replace('-', ' ')}."))
    for transform in report.image.transforms if report.image else ():
        out += [("dim", line) for line in wrap(f"transform: {plain(transform, 160)}", "  ", "    ", width)]
    for note in (*(report.image.notes if report.image else ()), *report.notes):
        out += [("dim", line) for line in wrap(f"note: {plain(note, 160)}", "  ", "    ", width)]
    return out + _causes(report, width)


def _bad(report: Report, width: int) -> list[Line]:
    told = [
        *story.opening(report, width),
        ("", ""),
        *story.why(report, _MOST, _MOST, width),
        *story.steps(report, 6, width),
        *story.done(report, width),
        *story.where(report, width),
    ]
    return told[:-1]


def _causes(report: Report, width: int) -> list[Line]:
    if not report.causes:
        return []
    return [("", ""), ("heading", "ALSO SEEN"), *story.why(report, _MOST, _MOST, width)[1:-1]]
