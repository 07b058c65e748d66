"""A bad report in words, section by section: the one text behind FAIL.TXT, WHY.TXT and the terminal.

Lines carry a role, so that a terminal can colour them. Everything foreign is plain ASCII in which no DAPLink sentence stands.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING

from msdflash.diagnose.cause import NOTHING
from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.finding import Confidence
from msdflash.report.text import WIDTH, safe, sentence, span, wrap

if TYPE_CHECKING:
    from msdflash.report.record import RankedCause, Report

Line = tuple[str, str]
"""Role and text. Roles: heading, bad, good, certain, likely, possible, dim, or none."""

ALSO = "also seen"
"""Label of what is true and not what the reader looks for."""

_LABEL = 12
_INDENT = " " * (_LABEL + 2)
_SETTING = re.compile(r"`(?:connect|frequency|target|base|pack|allow_locking_images|actions|unlock)\b")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")


def headline(report: Report) -> str:
    """What did not happen, and why: two short sentences."""
    return " ".join(_headline(report))


def _headline(report: Report) -> tuple[str, str]:
    name = safe(report.file or (report.image.name if report.image else "") or "The file", 60)
    done = report.changed
    if report.action:
        what = "was not carried out"
    elif report.outcome == "not-healthy":
        name = safe(report.board or (report.target.name if report.target else "") or "The board", 60)
        what = "is not healthy"
    else:
        what = "was not proved" if done.programmed and done.programmed >= done.total else "was not programmed"
    return f"{name} {what}.", safe(sentence(report.headline))


def damage(report: Report) -> str:
    """What the job did to the chip's memory."""
    done = report.changed
    if not done.erased and not done.programmed:
        text = "Nothing was erased or written. What was in flash is still there."
        if done.ram_overwritten:
            text += " RAM was overwritten."
        return text
    # Each change is booked before it is made: of a step that was cut off, nobody knows how far it came.
    most = "up to " if report.step in {"erase", "program"} else ""
    written = f"{most}{done.programmed} of {done.total} bytes were written" if done.total else f"{most}{done.programmed} bytes were written"
    erased = f"{most}{done.erased} bytes were erased, " if done.erased else ""
    beside = f" Up to {done.beside} bytes beside the image were erased with it and are missing." if done.beside else ""
    return f"Flash was changed: {erased}{written}.{beside} Do not expect the board to run until a drop succeeds."


def opening(report: Report, width: int = WIDTH) -> list[Line]:
    """What did not happen, why, and what was changed."""
    what, why = _headline(report)
    return [*lines("bad", what, width=width), *lines("bad", why, width=width), *lines("", damage(report), width=width)]


def why(report: Report, causes: int, reasons: int, width: int = WIDTH) -> list[Line]:
    """The causes, best first, each with what was measured. Nothing is told twice; what one reading rules out stands together."""
    if not report.causes:
        return []
    out: list[Line] = [("heading", "WHY")]
    told: set[str] = set()
    groups = _grouped(report.causes[:causes])
    for group in groups:
        first = group[0]
        role = "dim" if first.confidence in {Confidence.UNLIKELY, Confidence.RULED_OUT} else first.confidence
        label, text = _label(first, report), " ".join(sentence(cause.headline) for cause in group)
        out += lines(role, safe(text), f"  {label:<{_LABEL}}", _INDENT, width)
        most = min(reasons, 1) if len(group) > 1 or role == "dim" else reasons
        fresh = [reason for reason in first.reasons if reason not in told or role == "dim"][:most]
        if not fresh and label != ALSO:
            fresh = list(first.reasons[:1])  # a suspicion is never told without its ground
        told.update(fresh)
        for reason in fresh:
            out += lines("dim", safe(reason, 240), _INDENT + "- ", _INDENT + "  ", width)
    left = len(report.causes) - sum(map(len, groups))
    if left:
        out.append(("dim", f"{_INDENT}({left} more in the record)"))
    if report.measure_next:
        out += lines("", "To tell them apart: " + safe(report.measure_next), "  ", None, width)
    return [*out, ("", "")]


def _grouped(causes: tuple[RankedCause, ...]) -> list[list[RankedCause]]:
    """Causes in order; those that one and the same reading rules out stand together."""
    groups: list[list[RankedCause]] = []
    for cause in causes:
        ruled_out = cause.confidence == Confidence.RULED_OUT and cause.reasons
        like = next((group for group in groups if ruled_out and group[0].confidence == cause.confidence), None)
        if like is not None and like[0].reasons[:1] == cause.reasons[:1]:
            like.append(cause)
        else:
            groups.append([cause])
    return groups


def _label(cause: RankedCause, report: Report) -> str:
    firm = cause.confidence in {Confidence.CERTAIN, Confidence.LIKELY}
    if firm and (cause.aside or (_symptom(cause) and cause is not report.causes[0])):
        return ALSO
    return cause.confidence.replace("-", " ")


def _symptom(cause: RankedCause) -> bool:
    return cause.cause in CATALOGUE and CATALOGUE[cause.cause].symptom


def remedies_of(report: Report, most: int) -> list[tuple[str, str]]:
    """What to do, best first, each once: all of the leading cause, then in turn those of other causes that may be true.

    A symptom below the cause that explains it has nothing to add.
    """
    open_causes = [
        cause
        for cause in report.causes
        if cause.confidence in {"certain", "likely", "possible"} and not cause.aside and (not _symptom(cause) or cause is report.causes[0])
    ]
    seen: dict[str, str] = {}
    for remedy in open_causes[0].remedies if open_causes else ():
        seen.setdefault(remedy.text, remedy.cost)
    for turn in zip_longest(*(cause.remedies for cause in open_causes[1:])):
        for remedy in turn:
            if remedy is not None:
                seen.setdefault(remedy.text, remedy.cost)
    return list(seen.items())[:most]


def steps(report: Report, most: int, width: int = WIDTH) -> list[Line]:
    """What to try, numbered, with its price; and where a setting stands, if one is named."""
    todo = remedies_of(report, most)
    if not todo:
        return []
    out: list[Line] = [("heading", "TRY")]
    for number, (text, cost) in enumerate(todo, 1):
        price = "" if cost == NOTHING else f" [{cost}]"
        out += lines("", f"{number}. {safe(text)}{safe(price)}", "  ", "     ", width)
    if any(_SETTING.search(text) for text, _ in todo):
        serial = safe(report.probe.unique_id if report.probe else "", 48) or "SERIAL"
        out += lines("dim", f'A setting stands in the configuration file (docs/cli.md) below [board."{serial}"].', "  ", None, width)
    return [*out, ("", "")]


def _row(label: str, text: str, width: int) -> list[Line]:
    return lines("", text, f"  {label:<{_LABEL}}", _INDENT, width) if text else []


def done(report: Report, width: int = WIDTH) -> list[Line]:
    """What was and was not done to the chip."""
    made = report.changed
    total = f" of {made.total}" if made.total else ""
    target_now = {
        "untouched": "not touched",
        "in-reset": "left in reset",
        "unknown": "not known: the connection was lost",
    }.get(made.state, f"left {made.state}")
    out: list[Line] = [("heading", "DONE AND NOT DONE")]
    out += _row("connected", ("yes" + _link(report)) if made.connected else "no", width)
    out += _row("unlocked", "yes, as ordered" if made.unlocked else "no", width)
    out += _row("erased", f"yes  {made.erased} bytes" if made.erased else "no", width)
    out += _row("programmed", f"{'yes' if made.programmed else 'no'}   {made.programmed}{total} bytes", width)
    out += _row("verified", f"{made.verified}{f' of {made.affected}' if made.affected else ''} bytes" if made.verified else "no", width)
    out += _row("beside it", f"up to {made.beside} bytes are missing from flash" if made.beside else "", width)
    out += _row("target now", safe(target_now, 40), width)
    for tried in report.tried[:3]:
        out += _row("tried", f"{safe(tried.what, 80)}: {safe(tried.result, 80)}", width)
    return [*out, ("", "")]


def _link(report: Report) -> str:
    dpidr = next((item.value for item in report.evidence if item.name == "swd.dpidr" and isinstance(item.value, int)), None)
    return f"  DP 0x{dpidr:08X}" if dpidr is not None and 0 <= dpidr <= 0xFFFFFFFF else ""


def where(report: Report, width: int = WIDTH) -> list[Line]:
    """File, probe, board, time, log, and where to read on."""
    out: list[Line] = [("heading", "WHERE")]
    image = report.image
    if image:
        ranges = ", ".join(span(*item) for item in image.ranges[:2]) + (
            f" and {len(image.ranges) - 2} more" if len(image.ranges) > 2 else ""
        )
        out += _row("file", f"{safe(image.name, 60)}, {image.size} bytes" + (f" at {ranges}" if ranges else ""), width)
        sha = safe(image.sha256, 64)
        out += _row("sha256", f"{sha[:16]}...{sha[-8:]}" if len(sha) > 24 else sha, width)
    elif report.file:
        out += _row("file", safe(report.file, 60), width)
    if report.probe:
        out += _row("probe", safe(f"{report.probe.kind} {report.probe.product} {report.probe.unique_id}", 120), width)
    target = f"target {report.target.name}" if report.target and report.target.name else ""
    out += _row("board", safe(", ".join(part for part in (report.board or report.drive, target) if part), 100), width)
    time = _TIME.sub(r"\1 \2 \3", safe(report.time, 40))
    out += _row("time", safe(f"{time}, job {report.job}, took {report.duration:.1f} s", 120), width)
    out += _row("log", safe(report.log, 180), width)
    out += _row("explain", f"msdflash explain {report.cause}" if report.cause else "", width)
    return [*out, ("", "")]


def lines(role: str, text: str, first: str = "", rest: str | None = None, width: int = WIDTH) -> list[Line]:
    """A paragraph as lines of one role; ``first`` and ``rest`` are the indents."""
    return [(role, line) for line in wrap(text, first, rest, width)]
