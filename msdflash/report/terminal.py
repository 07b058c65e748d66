"""The report for a terminal: the same facts as FAIL.TXT, without DAPLink's lines and JSON. Colour is an extra, never the message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.report.fail_txt import damage, headline, remedies_of
from msdflash.report.text import plain, sentence, wrap

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

Line = tuple[str, str]
"""Role and text."""


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
    out: list[Line] = [("bad", line) for line in wrap(headline(report), "", "  ", width)]
    out += [("", line) for line in wrap(damage(report), "", "  ", width)]
    out += _causes(report, width)
    if report.measure_next:
        out += [("", line) for line in wrap("To tell them apart: " + plain(report.measure_next), "  ", None, width)]
    steps = remedies_of(report, 6)
    if steps:
        out += [("", ""), ("heading", "TRY")]
    for number, (text, cost) in enumerate(steps, 1):
        price = "" if cost == "costs nothing" else f" [{cost}]"
        out += [("", line) for line in wrap(f"{number}. {plain(text)}{price}", "  ", "     ", width)]
    where = f"step {report.step}, job {plain(report.job, 40)}, {report.duration:.1f} s"
    out += [("", ""), ("dim", where)]
    if report.log:
        out.append(("dim", f"log {plain(report.log, 200)}"))
    if report.cause:
        out.append(("dim", f"msdflash explain {report.cause}"))
    return out


def _causes(report: Report, width: int) -> list[Line]:
    if not report.causes:
        return []
    out: list[Line] = [("", ""), ("heading", "WHY" if not report.good else "ALSO SEEN")]
    for cause in report.causes:
        role = "dim" if cause.confidence in {"unlikely", "ruled-out"} else cause.confidence
        label = f"  {cause.confidence.replace('-', ' '):<12}"
        out += [(role, line) for line in wrap(plain(sentence(cause.headline)), label, " " * 14, width)]
        for reason in cause.reasons:
            out += [("dim", line) for line in wrap(plain(reason, 300), " " * 14 + "- ", " " * 16, width)]
    return out
