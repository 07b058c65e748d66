"""Diagnosis: all rules over one outcome, ranked.

Each rule looks at the evidence alone and yields one finding or none; none of them knows of the others. This module walks them, ranks what
they say, and admits ``unexplained`` where nothing explains the failure. The words of confidence are defined in
:class:`msdflash.diagnose.finding.Confidence`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msdflash.diagnose.causes import CATALOGUE, UNEXPLAINED
from msdflash.diagnose.evidence import Evidence
from msdflash.diagnose.finding import Confidence, Diagnosis, Finding
from msdflash.diagnose.rules_chip import CHIP_RULES, CHIP_SYMPTOMS
from msdflash.diagnose.rules_flash import FLASH_RULES, FLASH_SYMPTOMS
from msdflash.diagnose.rules_host import HOST_RULES, HOST_SYMPTOMS
from msdflash.diagnose.rules_image import IMAGE_RULES
from msdflash.diagnose.rules_locks import LOCK_RULES
from msdflash.diagnose.rules_origin import ORIGIN_RULES
from msdflash.diagnose.rules_program import PROGRAM_RULES
from msdflash.diagnose.rules_reset import RESET_RULES
from msdflash.diagnose.rules_wires import WIRE_RULES, WIRE_SYMPTOMS
from msdflash.diagnose.words import engine_said, found
from msdflash.job.outcome import Outcome

Rule = Callable[[Evidence], Finding | None]

RULES: tuple[Rule, ...] = (
    *HOST_RULES,
    *IMAGE_RULES,
    *WIRE_RULES,
    *RESET_RULES,
    *ORIGIN_RULES,
    *PROGRAM_RULES,
    *LOCK_RULES,
    *CHIP_RULES,
    *FLASH_RULES,
    *HOST_SYMPTOMS,
    *WIRE_SYMPTOMS,
    *CHIP_SYMPTOMS,
    *FLASH_SYMPTOMS,
)
"""All rules, what lies upstream first: at equal confidence the earlier one leads."""

_PROVED_BY_ITSELF = frozenset({"image", "pack", "cancelled", "interrupted"})
"""Failures that need no board to explain them; only firm findings about the board are told beside them."""

_LIGHT = "Look whether the target's power LED lights, and measure the supply at the chip itself."
_LINE = "Unplug the probe, power the board, and measure nRESET to GND: below 0.8 V the board pulls it, else the probe does."

_NEXT = {
    "swd-silent": _LIGHT,
    "no-target-power": "Measure the supply at the chip itself.",
    "debug-off": "Look whether the program enters a stop or standby mode, or sets up the SWD pins: one of both shuts the port.",
    "algo-reset": "Watch the supply and nRESET with an oscilloscope while the file is dropped: a dip is the supply, a pulse the board.",
    "reset-loop": "Watch nRESET and the supply with an oscilloscope: pulses on the line, dips of the supply, or neither (the chip itself).",
    "debug-power-not-acknowledged": "Drop the file while RESET is held, and let go after a second: if that works, the program sleeps.",
    "flash-worn": "Drop the file again: the same addresses failing again mean the chip, others mean the link.",
}
"""The one measurement that would tell the leading rivals apart."""


_RESETTERS = frozenset({"watchdog", "lockup-reset", "brown-out", "reset-by-pin"})
_EXPLAINED_BY: dict[str, frozenset[str]] = {"reset-loop": _RESETTERS, "algo-reset": _RESETTERS}
"""Causes that only say what was seen as soon as one of these is likely."""


def _bucket(finding: Finding, explained: frozenset[str] = frozenset()) -> int:
    """0 explanations, 1 symptoms, 2 possible ones, 3 true but beside the point, 4 unlikely, 5 ruled out."""
    if finding.confidence is Confidence.RULED_OUT:
        return 5
    if finding.confidence is Confidence.UNLIKELY:
        return 4
    if finding.aside:
        return 3
    if finding.confidence is Confidence.POSSIBLE:
        return 2
    return 1 if CATALOGUE[finding.cause].symptom or finding.cause in explained else 0


def _one_each(findings: list[Finding]) -> list[Finding]:
    """The best finding of each cause, in the order of their coming."""
    best: dict[str, Finding] = {}
    for item in findings:
        if item.cause not in best or item.confidence.rank < best[item.cause].confidence.rank:
            best[item.cause] = item
    return [item for item in findings if best[item.cause] is item]


def _stated(evidence: Evidence) -> Finding | None:
    """The cause that the failing step itself proved (image checks, taking the file, the CMSIS-Pack)."""
    failure = evidence.failure
    if failure is None or not failure.cause or failure.cause not in CATALOGUE:
        return None
    facts = evidence.table("image.facts") | evidence.table("pack.facts")
    said = failure.message.lower()
    told = ", ".join(
        f"{key} {_fact(key, value)}" for key, value in facts.items() if isinstance(value, (str, int, float)) and not _is_said(value, said)
    )
    reasons = tuple(text for text in (failure.message[:300], told[:300]) if text)
    # That a table does not fit this chip is measured; that it was made for another one follows from where else it would fit.
    sure = Confidence.LIKELY if facts.get("fits") else Confidence.CERTAIN
    return Finding(failure.cause, sure, reasons, {"step": evidence.step} | facts)


def _is_said(value: str | float, said: str) -> bool:
    """A value stands in the message already, in whatever form."""
    forms = [str(value).lower()]
    if isinstance(value, int) and not isinstance(value, bool):
        forms += [f"0x{value:x}", f"0x{value:02x}", f"0x{value:08x}", *([f"'{chr(value).lower()}'"] if 32 < value < 127 else [])]
    return any(re.search(rf"(?<![0-9a-z]){re.escape(form)}(?![0-9a-z])", said) for form in forms)


def _fact(key: str, value: object) -> str:
    """Addresses in hex, the rest as it is."""
    if isinstance(value, int) and not isinstance(value, bool) and any(word in key for word in ("address", "first", "last", "base")):
        return f"0x{value:08X}"
    return str(value)[:80]


def diagnose(outcome: Outcome) -> Diagnosis:
    """Rank the causes that explain an outcome.

    Returns a diagnosis whose first finding leads the report: ``unexplained`` (``possible``) where the job failed and nothing fits. A good
    outcome yields only what is worth knowing all the same (a program that crashes, a pin that is not wired). Never raises on odd readings.
    """
    evidence = Evidence(outcome)
    findings = _one_each([item for item in (rule(evidence) for rule in RULES) if item is not None])
    if evidence.failure is None:
        return Diagnosis(tuple(sorted((item for item in findings if item.confidence.rank <= Confidence.LIKELY.rank), key=_order(findings))))
    stated = _stated(evidence)
    if stated is not None or evidence.kind in _PROVED_BY_ITSELF:
        findings = [item for item in findings if item.confidence.rank <= Confidence.LIKELY.rank and item.cause != (stated and stated.cause)]
    findings.sort(key=_order(findings))
    if stated is not None:
        findings.insert(0, stated)
    elif not findings or _bucket(findings[0]) > 2:
        findings.insert(0, _unexplained(evidence))
    return Diagnosis(tuple(findings), _measure_next(findings))


def _order(findings: list[Finding]) -> Callable[[Finding], tuple[int, int, int]]:
    place = {id(item): index for index, item in enumerate(findings)}
    firm = {item.cause for item in findings if item.confidence.rank <= Confidence.LIKELY.rank and not item.aside}
    explained = frozenset(cause for cause, by in _EXPLAINED_BY.items() if by & firm)
    return lambda item: (_bucket(item, explained), item.confidence.rank, place[id(item)])


def _unexplained(evidence: Evidence) -> Finding:
    failure = evidence.failure
    message = f"step {evidence.step}, {failure.kind}: {failure.message}" if failure else ""
    return found(UNEXPLAINED, Confidence.POSSIBLE, message[:300], engine_said(evidence), step=evidence.phase)


def _measure_next(findings: list[Finding]) -> str:
    first = findings[0].cause
    if first == "held-in-reset":
        rivals = [item for item in findings if item.cause in {"reset-held-by-board", "reset-held-by-probe"}]
        return _LINE if any(item.confidence.rank <= Confidence.POSSIBLE.rank for item in rivals) else ""
    return _NEXT.get(first, "")
