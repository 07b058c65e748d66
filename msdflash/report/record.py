"""The report: everything worth keeping of a job, in one frozen record with a stable JSON form (``msdflash/report/1``)."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import msgspec

from msdflash.diagnose.causes import CATALOGUE, UNEXPLAINED
from msdflash.diagnose.daplink import ERRORS
from msdflash.diagnose.finding import Diagnosis, Finding
from msdflash.job.outcome import Changed, ImageFacts, Outcome, ProbeFacts, TargetFacts, Tried
from msdflash.job.readings import READINGS, Effect, Reading

SCHEMA = "msdflash/report/1"


class Verdict(StrEnum):
    """How a job came out, in one word."""

    FLASHED = "flashed"
    NOT_FLASHED = "not-flashed"
    HEALTHY = "healthy"
    NOT_HEALTHY = "not-healthy"
    DONE = "done"
    NOT_DONE = "not-done"


class Context(msgspec.Struct, frozen=True):
    """What the worker cannot know.

    Attributes:
        time: when the job ended, ISO 8601 with offset.
        job: job number or id as people see it; the outcome's own where empty.
        diagnosis: the order was to look, not to flash.
        board, drive: names the user gave.
        log: where the job's log stands, or "".
        version: of msdflash.
        duration: seconds from the drop to the report.
        proved_after: seconds from the drop to the end of the proof, if it was proved.
        file: the file's name as dropped, for jobs that ended before it was decoded.
        file_size, sha256: of that file, as far as known.
        notes: harmless things worth telling.
    """

    time: str
    job: str = ""
    diagnosis: bool = False
    board: str = ""
    drive: str = ""
    log: str = ""
    version: str = ""
    duration: float = 0.0
    proved_after: float | None = None
    file: str = ""
    file_size: int | None = None
    sha256: str = ""
    notes: tuple[str, ...] = ()


class RemedyLine(msgspec.Struct, frozen=True):
    """One thing to do, and what it costs or destroys."""

    text: str
    cost: str


class RankedCause(msgspec.Struct, frozen=True):
    """A cause with its standing, in words. ``aside``: true, but not why this job ended as it did."""

    cause: str
    confidence: str
    headline: str
    reasons: tuple[str, ...] = ()
    remedies: tuple[RemedyLine, ...] = ()
    explain: str = ""
    aside: bool = False


class Evidence(msgspec.Struct, frozen=True):
    """One reading: value and unit, how it was taken, what that did to the target, and when (seconds since the job began)."""

    name: str
    value: Any
    unit: str
    how: str
    effect: str
    at: float


class Daplink(msgspec.Struct, frozen=True):
    """The DAPLink error that old tools get to see: enum name, text, types."""

    error: str
    text: str
    types: tuple[str, ...]


class Report(msgspec.Struct, frozen=True):
    """One job, told in full. Field meanings: ``docs/report-schema.md``."""

    outcome: Verdict
    job: str
    time: str
    schema: str = SCHEMA
    cause: str | None = None
    confidence: str | None = None
    headline: str = ""
    step: str | None = None
    failure: str | None = None
    message: str = ""
    daplink: Daplink | None = None
    retryable: bool = False
    causes: tuple[RankedCause, ...] = ()
    measure_next: str = ""
    evidence: tuple[Evidence, ...] = ()
    changed: Changed = Changed()
    unchanged: bool = False
    running: str = "unknown"
    tried: tuple[Tried, ...] = ()
    image: ImageFacts | None = None
    probe: ProbeFacts | None = None
    target: TargetFacts | None = None
    timings: dict[str, float] = msgspec.field(default_factory=dict)
    tallies: dict[str, int] = msgspec.field(default_factory=dict)
    duration: float = 0.0
    proved_after: float | None = None
    board: str = ""
    drive: str = ""
    file: str = ""
    log: str = ""
    version: str = ""
    notes: tuple[str, ...] = ()
    action: str = ""

    @property
    def good(self) -> bool:
        """Flashed and proved, looked at and found healthy, or an action file carried out."""
        return self.outcome in {Verdict.FLASHED, Verdict.HEALTHY, Verdict.DONE}


def make_report(outcome: Outcome, diagnosis: Diagnosis, context: Context) -> Report:
    """Join what came out, why, and where it happened. Never raises on odd readings."""
    failed = outcome.failure is not None or not (outcome.proved or context.diagnosis or outcome.action)
    first = diagnosis.first if failed else None
    lead = first.cause if first else UNEXPLAINED if failed else None
    entry = CATALOGUE[lead] if lead else None
    return Report(
        outcome=_verdict(failed, context.diagnosis, outcome.action),
        action=outcome.action,
        job=context.job or outcome.job,
        time=context.time,
        cause=lead,
        confidence=(str(first.confidence) if first else "possible") if failed else None,
        headline=entry.say(first.slots if first else {}) if entry else "",
        step=str(outcome.failure.step) if outcome.failure else None,
        failure=outcome.failure.kind if outcome.failure else None,
        message=outcome.failure.message if outcome.failure else "",
        daplink=_daplink(entry.error) if entry else None,
        retryable=entry.retryable if entry else False,
        causes=tuple(ranked(finding) for finding in diagnosis.findings),
        measure_next=diagnosis.measure_next,
        evidence=tuple(_evidence(reading) for reading in outcome.readings),
        changed=outcome.changed,
        unchanged=outcome.unchanged,
        running=outcome.running,
        tried=outcome.tried,
        image=outcome.image or _file(context),
        probe=outcome.probe,
        target=outcome.target,
        timings=dict(outcome.timings),
        tallies=dict(outcome.tallies),
        duration=round(context.duration, 3),
        proved_after=None if context.proved_after is None else round(context.proved_after, 3),
        board=context.board,
        drive=context.drive,
        file=context.file or (outcome.image.name if outcome.image else ""),
        log=context.log,
        version=context.version,
        notes=context.notes,
    )


def _verdict(failed: bool, diagnosis: bool, action: str) -> Verdict:
    if action:
        return Verdict.NOT_DONE if failed else Verdict.DONE
    if diagnosis:
        return Verdict.NOT_HEALTHY if failed else Verdict.HEALTHY
    return Verdict.NOT_FLASHED if failed else Verdict.FLASHED


def _daplink(name: str) -> Daplink:
    error = ERRORS[name]
    return Daplink(error.name, error.text, tuple(str(word) for word in error.types))


def _file(context: Context) -> ImageFacts | None:
    if not context.file or context.file_size is None:
        return None
    return ImageFacts(name=context.file, format="unknown", size=context.file_size, sha256=context.sha256)


def ranked(finding: Finding) -> RankedCause:
    """A finding in words: headline with its values, reasons, remedies, where to read more."""
    entry = CATALOGUE[finding.cause]
    return RankedCause(
        cause=entry.id,
        confidence=str(finding.confidence),
        headline=entry.say(finding.slots),
        reasons=finding.reasons,
        remedies=tuple(RemedyLine(remedy.text, remedy.cost) for remedy in entry.remedies),
        explain=entry.anchor,
        aside=finding.aside,
    )


def _evidence(reading: Reading) -> Evidence:
    kind = READINGS.get(reading.name)
    how = "; ".join(part for part in (kind.how if kind else "", reading.how) if part)
    return Evidence(
        name=reading.name,
        value=reading.value,
        unit=kind.unit if kind else "",
        how=how,
        effect=str(kind.effect if kind else Effect.PASSIVE),
        at=reading.at,
    )


def exit_status(report: Report) -> int:
    """0 for flashed or healthy, 1 for the others."""
    return 0 if report.good else 1


def to_builtins(report: Report) -> dict[str, Any]:
    """The report as plain dicts, lists and scalars."""
    result: dict[str, Any] = msgspec.to_builtins(report)
    return result


def to_json(report: Report, indent: int | None = None) -> str:
    """The report as ASCII JSON, ``schema`` first. File names that are no valid Unicode survive as escapes."""
    data = to_builtins(report)
    ordered = {"schema": data.pop("schema"), **data}
    return json.dumps(ordered, ensure_ascii=True, indent=indent, separators=None if indent else (",", ":"))
