"""How measured values are put into words: numbers with units, registers in hex, counts with their totals."""

from __future__ import annotations

from typing import Any

from msdflash.diagnose.evidence import Evidence, is_number, is_register
from msdflash.diagnose.finding import Confidence, Finding

CERTAIN = Confidence.CERTAIN
LIKELY = Confidence.LIKELY
POSSIBLE = Confidence.POSSIBLE
UNLIKELY = Confidence.UNLIKELY
RULED_OUT = Confidence.RULED_OUT


def found(cause: str, confidence: Confidence, *reasons: str, aside: bool = False, **slots: Any) -> Finding:
    """A finding; empty reasons are dropped."""
    return Finding(cause, confidence, tuple(reason for reason in reasons if reason), slots, aside)


def hex32(value: Any) -> str:
    """``0x08001000``; anything but a register as plain, short text, None as ""."""
    if value is None:
        return ""
    return f"0x{value:08X}" if is_register(value) else str(value)[:40]


def count(value: Any) -> str:
    """A number as text, None and nonsense as ""."""
    if not is_number(value):
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def hertz(value: int) -> str:
    """``4 MHz``, ``100 kHz``."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:g} MHz"
    return f"{value / 1000:g} kHz" if value >= 1000 else f"{value} Hz"


def level_words(levels: tuple[int, ...]) -> str:
    """``LOW in 10 of 10 samples`` or ``LOW in 3 of 10 samples``."""
    low = levels.count(0)
    if low == 0:
        return f"HIGH in {len(levels)} of {len(levels)} samples"
    return f"LOW in {low} of {len(levels)} samples"


def compared(cell: dict[str, Any]) -> str:
    """``at 0x20000000: wrote 0x1, read 0x2 (3 of 256 words wrong)`` out of a read-back table."""
    parts = []
    if is_register(cell.get("address")):
        parts.append(f"at {hex32(cell['address'])}:")
    if cell.get("wrote") is not None:
        parts.append(f"wrote {hex32(cell['wrote'])},")
    if cell.get("read") is not None:
        parts.append(f"read {hex32(cell['read'])}")
    if count(cell.get("bad")):
        total = f" of {cell['words']}" if count(cell.get("words")) else ""
        parts.append(f"({cell['bad']}{total} words wrong)")
    return " ".join(parts)


def engine_said(evidence: Evidence) -> str:
    """The engine's own words, shortened."""
    text = " ".join(evidence.text("engine.error").split())
    return f"the engine said: {text[:160]}" if text else ""


def sweep_words(evidence: Evidence) -> str:
    """``the debug port's id (DPIDR) came back right in 0 of 3 reads at 100 kHz, 0 of 3 at 1 MHz``."""
    cells = [f"{good} of {reads}{'' if at else ' reads'} at {hertz(clock)}" for at, (clock, good, reads) in enumerate(evidence.sweep)]
    return f"the debug port's id (DPIDR) came back right in {', '.join(cells)}" if cells else ""


def dp_words(evidence: Evidence) -> str:
    """How the debug port answered."""
    if evidence.dpidr is not None:
        return f"the debug port answered: DPIDR {hex32(evidence.dpidr)}"
    if evidence.dpidr_under_reset is not None:
        return f"the debug port answered under reset: DPIDR {hex32(evidence.dpidr_under_reset)}"
    return sweep_words(evidence)
