"""What diagnosis says: findings with a confidence, ranked."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Confidence(StrEnum):
    """How sure a finding is. The words have fixed meanings, the same in every report.

    - ``certain``: measured directly in this job, with a method that cannot read so for another reason.
    - ``likely``: explains every measurement, and no rival explains them all as simply.
    - ``possible``: agrees with the measurements, but so does at least one other cause that they cannot tell apart.
    - ``unlikely``: a measurement speaks against it without disproving it.
    - ``ruled-out``: a measurement contradicts it.
    """

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"
    UNLIKELY = "unlikely"
    RULED_OUT = "ruled-out"

    @property
    def rank(self) -> int:
        """0 for ``certain`` to 4 for ``ruled-out``."""
        return list(Confidence).index(self)


MEANINGS: dict[Confidence, str] = {
    Confidence.CERTAIN: "measured directly in this job, with a method that cannot read so for another reason",
    Confidence.LIKELY: "explains every measurement, and no rival explains them all as simply",
    Confidence.POSSIBLE: "agrees with the measurements, but so does at least one other cause that they cannot tell apart",
    Confidence.UNLIKELY: "a measurement speaks against it without disproving it",
    Confidence.RULED_OUT: "a measurement contradicts it",
}
"""The fixed meaning of each word, for reports and documentation."""


class Finding(msgspec.Struct, frozen=True):
    """One cause with its standing in this job.

    Attributes:
        cause: id in the catalogue.
        confidence: see :class:`Confidence`.
        reasons: each quotes readings, with numbers and units.
        slots: measured values for the cause's headline.
        aside: true, and worth telling, but does not explain why this job ended as it did.
    """

    cause: str
    confidence: Confidence
    reasons: tuple[str, ...] = ()
    slots: dict[str, Any] = msgspec.field(default_factory=dict)
    aside: bool = False


class Diagnosis(msgspec.Struct, frozen=True):
    """All findings of a job, best first; empty when nothing is wrong.

    Attributes:
        findings: ranked.
        measure_next: the one measurement or question that would tell the leading rivals apart, or "".
    """

    findings: tuple[Finding, ...] = ()
    measure_next: str = ""

    @property
    def first(self) -> Finding | None:
        """The leading finding, or None."""
        return self.findings[0] if self.findings else None
