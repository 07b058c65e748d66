"""What is known about a cause or about another tool's text, for people and for programs (``msdflash/explain/1``)."""

from __future__ import annotations

from typing import Any

from msdflash.diagnose.cause import NOTHING, Cause
from msdflash.diagnose.causes import AREAS, CATALOGUE
from msdflash.diagnose.daplink import ERRORS
from msdflash.diagnose.explain import Explanation, texts_of
from msdflash.diagnose.foreign import Saying
from msdflash.diagnose.telling import PRICES, Command, commands_for, telling
from msdflash.report.story import Line
from msdflash.report.story import lines as wrapped
from msdflash.report.text import plain, sentence

SCHEMA = "msdflash/explain/1"

_INDENT = "    "


def cause_lines(cause: Cause, width: int = 79) -> list[Line]:
    """One cause: what it means, what shows it, what helps, what old tools say then."""
    out: list[Line] = [("heading", cause.id), ("", "")]
    out += wrapped("", sentence(cause.say({})), width=width)
    told = telling(cause.id)
    if told.by:
        out += wrapped("", f"Shown by: {told.by}.", width=width)
    out += [("", ""), ("heading", "TRY")]
    for number, remedy in enumerate(cause.remedies, 1):
        price = "" if remedy.cost == NOTHING else f" [{remedy.cost}]"
        out += wrapped("", f"{number}. {remedy.text}{price}", "  ", "     ", width)
    out += _measure(commands_for((cause.id,)), width)
    out += [("", ""), ("heading", "WHAT OTHER TOOLS SAY")]
    out += wrapped("", f"FAIL.TXT: {ERRORS[cause.error].text}", "  ", "    ", width)
    for saying in texts_of(cause.id):
        if saying.pattern not in ERRORS[cause.error].text:
            out += wrapped("dim", f"{saying.tool}: {_shown(saying)}", "  ", "    ", width)
    return [*out, ("", ""), ("dim", f"More: {cause.anchor}")]


def text_lines(explanation: Explanation, width: int = 79) -> list[Line]:
    """What is known about a text: whose it is, the causes found behind it, what tells them apart."""
    if not explanation.known:
        return _unknown(explanation, width)
    if explanation.measured:
        return _measured(explanation, width)
    out: list[Line] = []
    for saying in explanation.sayings:
        out += wrapped("heading", f"{saying.tool}: {_shown(saying)}", "", "  ", width)
        if saying.note:
            out += wrapped("", saying.note, "  ", None, width)
    out.append(("", ""))
    if len(explanation.causes) + len(explanation.beyond) > 1:
        out += wrapped("", "The text alone does not tell which of these it is. Measuring does.", width=width)
        out.append(("", ""))
    out.append(("heading", "CAUSES FOUND BEHIND IT"))
    for cause in explanation.causes:
        out += _cause(cause, width)
    for words in explanation.beyond:
        out += wrapped("dim", f"not measured by msdflash: {words}", "  ", _INDENT, width)
    out += _measure(explanation.commands, width)
    out += [
        ("", ""),
        *wrapped("dim", "msdflash explain CAUSE tells what helps against each.", width=width),
        ("", ""),
        ("heading", "SOURCES"),
    ]
    for source in dict.fromkeys(source for saying in explanation.sayings for source in saying.source):
        out.append(("dim", f"  {plain(source)}"))  # never broken: it is an address
    return out


def catalogue_lines() -> list[Line]:
    """Every cause by area, one line each."""
    wide = max(map(len, CATALOGUE))
    out: list[Line] = []
    for area, causes in AREAS.items():
        out += [("heading", area), *(("", f"  {cause.id:<{wide}}  {cause.say({})}") for cause in causes), ("", "")]
    return out[:-1]


def cause_data(cause: Cause) -> dict[str, Any]:
    """A cause for programs."""
    told = telling(cause.id)
    return {
        "cause": cause.id,
        "text": cause.say({}),
        "shown_by": told.by,
        "command": str(told.command),
        "remedies": [{"text": remedy.text, "cost": remedy.cost} for remedy in cause.remedies],
        "daplink": cause.error,
        "retryable": cause.retryable,
        "symptom": cause.symptom,
        "explain": cause.anchor,
    }


def catalogue_data() -> dict[str, Any]:
    """The catalogue for programs, in the order of its documentation."""
    areas = {cause.id: area for area, causes in AREAS.items() for cause in causes}
    return {"schema": SCHEMA, "causes": [cause_data(cause) | {"area": areas[cause.id]} for cause in CATALOGUE.values()]}


def text_data(explanation: Explanation) -> dict[str, Any]:
    """What is known about a text, for programs."""
    confidence = {item.cause: item.confidence for item in explanation.measured}
    return {
        "schema": SCHEMA,
        "known": explanation.known,
        "measured": bool(explanation.measured),
        "texts": [
            {"tool": saying.tool, "text": saying.pattern, "note": saying.note, "causes": saying.causes, "sources": saying.source}
            for saying in explanation.sayings
        ],
        "causes": [cause_data(CATALOGUE[cause]) | {"confidence": confidence.get(cause)} for cause in explanation.causes],
        "beyond": list(explanation.beyond),
        "commands": [str(command) for command in explanation.commands],
    }


def _unknown(explanation: Explanation, width: int) -> list[Line]:
    out = wrapped("heading", "msdflash does not know this text.", width=width)
    out += wrapped(
        "",
        "It knows messages of DAPLink and ST-LINK drives, pyOCD, OpenOCD, probe-rs, ST's programmers, J-Link and some others.",
        width=width,
    )
    out += wrapped("", "Measuring needs no text:", width=width)
    return out + _measure(explanation.commands, width)


def _measured(explanation: Explanation, width: int) -> list[Line]:
    out = wrapped("heading", "A report of msdflash. This was measured:", width=width)
    for item in explanation.measured:
        out += wrapped("", f"{item.confidence.replace('-', ' '):<12}{item.cause}", "  ", _INDENT, width)
    return [*out, ("", ""), *cause_lines(CATALOGUE[explanation.causes[0]], width)]


def _cause(cause: str, width: int) -> list[Line]:
    out: list[Line] = [("likely", f"  {cause}")]
    out += wrapped("", sentence(CATALOGUE[cause].say({})), _INDENT, None, width)
    told = telling(cause)
    if told.by:
        out += wrapped("dim", f"Shown by: {told.by}.", _INDENT, _INDENT + "  ", width)
    return out


def _measure(commands: tuple[Command, ...], width: int) -> list[Line]:
    out: list[Line] = [("", ""), ("heading", "MEASURE")]
    for command in commands:
        out += wrapped("", f"{command:<26} {PRICES[command]}", "  ", " " * 29, width)
    return out


def _shown(saying: Saying) -> str:
    return f'"{saying.pattern.replace("*", "...")}"'
