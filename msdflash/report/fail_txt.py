"""FAIL.TXT: two lines for old tools, a page for the person at the bench, one JSON line for programs.

The first two lines are DAPLink's, letter for letter. Readers search the whole file for DAPLink's sentences and some insist on
exactly one hit, so foreign text is defused. ASCII, CRLF, at most 80 columns (except the JSON line), under 4 KiB.
"""

from __future__ import annotations

import json

from msdflash.diagnose.daplink import ERRORS
from msdflash.diagnose.finding import Confidence
from msdflash.report.record import RankedCause, Report
from msdflash.report.text import CRLF, safe, sentence, span, wrap

LIMIT = 4096
"""A FAIL.TXT is smaller than one DAPLink cluster."""

_LABEL = 12
_INDENT = " " * (_LABEL + 2)
_FALLBACK = "ERROR_INTERNAL"


def render_two_line(report: Report) -> str:
    """Exactly DAPLink's two lines, for drives whose readers count lines."""
    error = ERRORS[report.daplink.error if report.daplink else _FALLBACK]
    return f"error: {error.text}{CRLF}type: {error.type_line}{CRLF}"


def render(report: Report) -> str:
    """The whole file. Lengthy evidence is left out step by step until the file is small enough; the record keeps all of it."""
    for causes, reasons, remedies in ((8, 4, 5), (7, 3, 4), (6, 3, 3), (5, 2, 3), (4, 2, 2), (3, 1, 2), (1, 1, 1)):
        text = _render(report, causes, reasons, remedies)
        if len(text) < LIMIT:
            return text
    return _render(report, 1, 0, 1)


def _render(report: Report, causes: int, reasons: int, remedies: int) -> str:
    lines = [
        *wrap(headline(report)),
        *wrap(damage(report)),
        "",
        *_why(report, causes, reasons),
        *_try(report, remedies),
        *_done(report),
        *_where(report),
        summary_line(report),
    ]
    return render_two_line(report) + CRLF + CRLF.join(lines) + CRLF


def headline(report: Report) -> str:
    """What did not happen, and why, in one sentence."""
    name = safe(report.file or (report.image.name if report.image else "") or "The file", 60)
    if report.action:
        return f"{name} was not carried out: {safe(report.headline)}."
    if report.outcome == "not-healthy":
        name = safe(report.board or (report.target.name if report.target else "") or "The board", 60)
        return f"{name} is not healthy: {safe(report.headline)}."
    verb = "was not proved" if report.changed.programmed and report.changed.programmed >= report.changed.total else "was not programmed"
    return f"{name} {verb}: {safe(report.headline)}."


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
    beside = f" {most}{done.beside} bytes beside the image were erased with it and are missing." if done.beside else ""
    return f"Flash was changed: {erased}{written}.{beside} Do not expect the board to run until a drop succeeds."


def _why(report: Report, most: int, reasons: int) -> list[str]:
    shown = report.causes[:most]
    if not shown:
        return []
    lines = ["WHY"]
    for cause in shown:
        lines += wrap(safe(sentence(cause.headline)), _label(cause), _INDENT)
        limit = reasons if cause.confidence not in {Confidence.RULED_OUT, Confidence.UNLIKELY} else min(reasons, 1)
        for reason in cause.reasons[:limit]:
            lines += wrap(safe(reason, 240), _INDENT + "- ", _INDENT + "  ")
    left = len(report.causes) - len(shown)
    if left:
        lines.append(f"{_INDENT}({left} more in the record)")
    if report.measure_next:
        lines += wrap("To tell them apart: " + safe(report.measure_next), "  ")
    return [*lines, ""]


def _label(cause: RankedCause) -> str:
    word = "also seen" if cause.aside and cause.confidence in {"certain", "likely"} else cause.confidence.replace("-", " ")
    return f"  {word:<{_LABEL}}"


def remedies_of(report: Report, most: int) -> list[tuple[str, str]]:
    """What to do, best first, each once: those of the leading cause, then of other causes that may be true."""
    seen: dict[str, str] = {}
    for cause in report.causes:
        if cause.confidence in {"certain", "likely", "possible"} and not cause.aside:
            for remedy in cause.remedies:
                seen.setdefault(remedy.text, remedy.cost)
    return list(seen.items())[:most]


def _try(report: Report, most: int) -> list[str]:
    steps = remedies_of(report, most)
    if not steps:
        return []
    lines = ["TRY"]
    for number, (text, cost) in enumerate(steps, 1):
        price = "" if cost == "costs nothing" else f" [{cost}]"
        lines += wrap(f"{number}. {safe(text)}{safe(price)}", "  ", "     ")
    return [*lines, ""]


def _row(label: str, text: str) -> list[str]:
    return wrap(text, f"  {label:<{_LABEL}}", _INDENT) if text else []


def _done(report: Report) -> list[str]:
    done = report.changed
    total = f" of {done.total}" if done.total else ""
    target_now = {
        "untouched": "not touched",
        "in-reset": "left in reset",
        "unknown": "not known: the connection was lost",
    }.get(done.state, f"left {done.state}")
    lines = ["DONE AND NOT DONE"]
    lines += _row("connected", ("yes" + _link(report)) if done.connected else "no")
    lines += _row("unlocked", "yes, as ordered" if done.unlocked else "no")
    lines += _row("erased", f"yes  {done.erased} bytes" if done.erased else "no")
    lines += _row("programmed", f"{'yes' if done.programmed else 'no'}   {done.programmed}{total} bytes")
    lines += _row("verified", f"{done.verified}{f' of {done.affected}' if done.affected else ''} bytes" if done.verified else "no")
    lines += _row("beside it", f"{done.beside} bytes are missing from flash" if done.beside else "")
    lines += _row("target now", safe(target_now, 40))
    for tried in report.tried[:2]:
        lines += _row("tried", f"{safe(tried.what, 80)}: {safe(tried.result, 80)}")
    return [*lines, ""]


def _link(report: Report) -> str:
    dpidr = next((item.value for item in report.evidence if item.name == "swd.dpidr" and isinstance(item.value, int)), None)
    return f"  DP 0x{dpidr:08X}" if dpidr is not None and 0 <= dpidr <= 0xFFFFFFFF else ""


def _where(report: Report) -> list[str]:
    lines = ["WHERE"]
    image = report.image
    if image:
        ranges = ", ".join(span(*item) for item in image.ranges[:2]) + (
            f" and {len(image.ranges) - 2} more" if len(image.ranges) > 2 else ""
        )
        lines += _row("file", f"{safe(image.name, 60)}, {image.size} bytes" + (f" at {ranges}" if ranges else ""))
        sha = safe(image.sha256, 64)
        lines += _row("sha256", f"{sha[:16]}...{sha[-8:]}" if len(sha) > 24 else sha)
    elif report.file:
        lines += _row("file", safe(report.file, 60))
    if report.probe:
        lines += _row("probe", safe(f"{report.probe.kind} {report.probe.product} {report.probe.unique_id}", 120))
    target = f"target {report.target.name}" if report.target else ""
    lines += _row("board", safe(", ".join(part for part in (report.board or report.drive, target) if part), 100))
    lines += _row("time", safe(f"{report.time}, job {report.job}, took {report.duration:.1f} s", 120))
    lines += _row("log", safe(report.log, 180))
    lines += _row("explain", f"msdflash explain {report.cause}" if report.cause else "")
    return [*lines, ""]


_KEPT = (
    "vtref",
    "nreset.undriven",
    "swd.dpidr",
    "swd.ack",
    "core.dhcsr",
    "core.reset_catch",
    "chip.dev_id",
    "verify.pattern",
    "probe.errno",
)
"""Readings that go into the JSON line: the ones that programs sort by."""


def summary_line(report: Report) -> str:
    """One JSON object on one line: the part of the record that a program wants without opening the record."""
    evidence = {item.name: _registers(item.value) if item.unit == "reg" else item.value for item in report.evidence if item.name in _KEPT}
    compact = {name: value for name, value in evidence.items() if len(json.dumps(value, ensure_ascii=True, default=str)) <= 90}
    data = {
        "schema": report.schema,
        "job": safe(report.job, 40),
        "outcome": str(report.outcome),
        "cause": report.cause,
        "confidence": report.confidence,
        "step": report.step,
        "daplink": report.daplink.error if report.daplink else None,
        "retryable": report.retryable,
        "flash_changed": bool(report.changed.erased or report.changed.programmed),
        "causes": [[cause.cause, cause.confidence] for cause in report.causes[:6]],
        "evidence": _clean(compact),
    }
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"), default=str)


def _registers(value: object) -> object:
    """Registers as people write them."""
    if isinstance(value, (list, tuple)):
        return [_registers(item) for item in value]
    return f"0x{value:08X}" if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else value


def _clean(value: object) -> object:
    """Strings defused, everything else as it is."""
    if isinstance(value, str):
        return safe(value, 80)
    if isinstance(value, dict):
        return {safe(key, 40): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value
