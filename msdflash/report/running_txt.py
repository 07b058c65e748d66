"""RUNNING.TXT: flash holds the file, byte for byte, but the program does not run. Flashing did not fail, so this is no FAIL.TXT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.report.story import remedies_of
from msdflash.report.text import CRLF, safe, sentence, wrap

if TYPE_CHECKING:
    from msdflash.report.record import Report

NAME = "RUNNING.TXT"

STATES: dict[str, str] = {
    "locked-up": "the program crashed at once: the core is in lockup",
    "held-in-reset": "the chip stays in reset, so the program cannot start",
    "halted": "the core is halted and did not start to run",
}
"""State after the last reset -> what it means. Other states need no file."""


def is_needed(report: Report) -> bool:
    """True where flash was proved and the program visibly does not run."""
    return report.good and report.running in STATES


def render(report: Report) -> str:
    """The whole file: ASCII, CRLF, at most 80 columns, no DAPLink sentence."""
    name = safe(report.file or (report.image.name if report.image else "") or "The file", 60)
    lines = wrap(f"{name} is in flash, read back and compared: {report.changed.verified} bytes are equal.")
    lines += wrap(f"But {STATES.get(report.running, 'the program does not run')}.")
    told = [cause for cause in report.causes if cause.confidence in {"certain", "likely", "possible"}]
    if told:
        lines += ["", "WHY"]
    for cause in told[:4]:
        lines += wrap(safe(sentence(cause.headline)), f"  {cause.confidence:<12}", " " * 14)
        for reason in cause.reasons[:3]:
            lines += wrap(safe(reason, 240), " " * 14 + "- ", " " * 16)
    steps = remedies_of(report, 4)
    if steps:
        lines += ["", "TRY"]
    for number, (text, cost) in enumerate(steps, 1):
        price = "" if cost == "costs nothing" else f" [{cost}]"
        lines += wrap(f"{number}. {safe(text)}{safe(price)}", "  ", "     ")
    lines += ["", *wrap(safe(f"{report.time}, job {report.job}", 120))]
    return CRLF.join(lines) + CRLF
