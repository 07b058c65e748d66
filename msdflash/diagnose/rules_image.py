"""Rules about the file beside what its check already proved."""

from __future__ import annotations

from msdflash.diagnose.evidence import Evidence
from msdflash.diagnose.finding import Finding
from msdflash.diagnose.words import CERTAIN, found


def image_vectors(e: Evidence) -> Finding | None:
    """Where the file is said to be another chip's because of its vector table: that the table does not fit here is measured."""
    failure = e.failure
    if failure is None or failure.cause != "image-wrong-chip" or not e.table("image.facts").get("fits"):
        return None
    return found("image-bad-vectors", CERTAIN, failure.message[:300])


IMAGE_RULES = (image_vectors,)
