"""Which causes a scenario of the bench has really produced and diagnosed. The others are knowledge, not experience, and say so."""

from __future__ import annotations

OBSERVED: dict[str, str] = {}
"""Cause id -> where it was observed (a test or bench scenario). Nothing stands here that has not happened."""


def was_observed(cause_id: str) -> bool:
    """True if the cause has been met by a scenario."""
    return cause_id in OBSERVED
