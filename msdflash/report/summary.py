"""The JSON line at the end of FAIL.TXT: the part of a report that a program wants without opening the record."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from msdflash.report.record import Report
from msdflash.report.text import safe

KEPT = (
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
"""Readings that go into the line: the ones that programs sort by."""

_LONGEST = 90
_MOST_CAUSES = 6


class Summary(msgspec.Struct, frozen=True):
    """The line's fields. Names and meanings are those of :class:`~msdflash.report.record.Report`; see ``docs/report-schema.md``.

    Attributes:
        daplink: name of the DAPLink error.
        flash_changed: something was erased or written.
        causes: at most six pairs of cause and confidence.
        evidence: some readings by name; registers as ``"0x..."``, long values left out.
    """

    schema: str
    job: str
    outcome: str
    cause: str | None
    confidence: str | None
    step: str | None
    daplink: str | None
    retryable: bool
    flash_changed: bool
    causes: tuple[tuple[str, str], ...]
    evidence: dict[str, Any]


def summary(report: Report) -> Summary:
    """The summary of a report; foreign text in it is defused."""
    evidence = {item.name: _registers(item.value) if item.unit == "reg" else item.value for item in report.evidence if item.name in KEPT}
    return Summary(
        schema=report.schema,
        job=safe(report.job, 40),
        outcome=str(report.outcome),
        cause=report.cause,
        confidence=report.confidence,
        step=report.step,
        daplink=report.daplink.error if report.daplink else None,
        retryable=report.retryable,
        flash_changed=bool(report.changed.erased or report.changed.programmed),
        causes=tuple((cause.cause, cause.confidence) for cause in report.causes[:_MOST_CAUSES]),
        evidence=_clean({name: value for name, value in evidence.items() if len(_text(value)) <= _LONGEST}),
    )


def summary_line(report: Report) -> str:
    """One JSON object on one line of ASCII."""
    return _text(msgspec.structs.asdict(summary(report)))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), default=str)


def _registers(value: object) -> object:
    """Registers as people write them."""
    if isinstance(value, (list, tuple)):
        return [_registers(item) for item in value]
    return f"0x{value:08X}" if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else value


def _clean(value: Any) -> Any:
    """Strings defused, everything else as it is."""
    if isinstance(value, str):
        return safe(value, 80)
    if isinstance(value, dict):
        return {safe(key, 40): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value
