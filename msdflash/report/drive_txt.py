"""DRIVE.TXT: what the firmware of the probe's own drive said, what that is known to stand for, and what was measured on the board."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.explain import explain_text
from msdflash.report import story
from msdflash.report.summary import summary_line
from msdflash.report.text import CRLF, plain, sentence, wrap

if TYPE_CHECKING:
    from msdflash.report.record import Report

MARK = "What the drive of the probe itself said, and what was measured."
LIMIT = 4096
_SIZES = ((8, 6, 4, 5), (6, 4, 3, 4), (4, 3, 2, 3), (3, 2, 1, 2), (1, 1, 1, 1), (0, 1, 0, 1))
"""How many known causes, measured causes, reasons of each and remedies: less and less, until the file is small enough."""
_MOST_SAID = 4


class Said(msgspec.Struct, frozen=True):
    """What a drive's firmware said.

    Attributes:
        kind: whose firmware, in words.
        path: where the drive is mounted.
        fail: text of FAIL.TXT, or None.
        failed_assert: text of ASSERT.TXT, or None.
        remounts: its remount count, if it has one.
        fresh: it came while it was watched.
        foreign_id: an id on the drive that is not the probe's, or "".
    """

    kind: str
    path: str
    fail: str | None = None
    failed_assert: str | None = None
    remounts: int | None = None
    fresh: bool = True
    foreign_id: str = ""


def render(said: Said, report: Report | None, why_not: str = "") -> str:
    """The whole file: ASCII, CRLF, at most 80 columns but for the JSON line.

    Args:
        said: the firmware's words.
        report: what was measured, or None.
        why_not: why nothing was measured.
    """
    text = ""
    for known, causes, reasons, remedies in _SIZES:
        lines = [MARK, "", *_firmware(said), "", *_known(said, known), *_measured(report, why_not, causes, reasons, remedies)]
        text = CRLF.join(lines) + CRLF + (summary_line(report) + CRLF if report is not None else "")
        if len(text) < LIMIT:
            break
    return text


def headline(report: Report) -> str:
    """What was measured, in one sentence."""
    if report.good:
        return "no fault was found"
    return f"{report.headline} ({report.confidence})"


def _firmware(said: Said) -> list[str]:
    lines = [f"THE FIRMWARE ({said.kind})"]
    for name, text in (("FAIL.TXT", said.fail), ("ASSERT.TXT", said.failed_assert)):
        if text is not None:
            told = [line.strip() for line in text.splitlines() if line.strip()][:_MOST_SAID] or ["(empty)"]
            lines += [row for line in told for row in wrap(plain(line, 240), f"  {name:<12}" if line is told[0] else " " * 14, " " * 14)]
    lines += wrap(plain(said.path, 200), "  on          ", " " * 14)
    if said.remounts is not None:
        lines.append(f"  remounts    {said.remounts}")
    if not said.fresh:
        lines += wrap(
            "It was there before msdflash began to watch. Nobody knows since when, so the board was not reset to look at it.", "  "
        )
    if said.foreign_id:
        lines += wrap(
            f"An id on the drive, {plain(said.foreign_id, 60)}, is not this probe's. The tie is the USB device that both belong to.", "  "
        )
    return lines


def _known(said: Said, most: int) -> list[str]:
    known = explain_text("\n".join(text for text in (said.fail, said.failed_assert) if text))
    if not known.known:
        return ["WHAT THAT IS KNOWN TO STAND FOR", "  Nothing: msdflash does not know this text.", ""]
    lines = ["WHAT THAT IS KNOWN TO STAND FOR (no measurement)"]
    for note in dict.fromkeys(saying.note for saying in known.sayings if saying.note):
        lines += wrap(note, "  ")
    for cause in known.causes[:most]:
        lines += wrap(sentence(CATALOGUE[cause].say({})), "  - ", "    ")
    left = len(known.causes) - most
    if left > 0 and most:
        lines.append(f"  - and {left} more")
    return [*lines, ""]


def _measured(report: Report | None, why_not: str, causes: int, reasons: int, remedies: int) -> list[str]:
    if report is None:
        return ["WHAT WAS MEASURED", *wrap(sentence(f"nothing: {plain(why_not)}"), "  ")]
    lines = [f"WHAT WAS MEASURED (after it, {report.time})", *wrap(plain(sentence(headline(report)), 300), "  ")]
    if report.good:
        lines += wrap("So the firmware's complaint is about the file or the copy, or what it met is over by now.", "  ")
    told = [*story.why(report, causes, reasons), *([] if report.good else story.steps(report, remedies))]
    return [*lines, "", *(line for _, line in told)]
