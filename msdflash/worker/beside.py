"""The bytes beside the image: what an affected sector holds besides, kept in a file before it is erased.

A sector is erased whole, so until it is programmed again those bytes are nowhere but in this process' memory. If that is killed, the next
attempt finds them erased; with this file it puts them back.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from msdflash.image.segments import Image
from msdflash.worker.plan import RegionPlan, overlay

_LARGEST = 64 * 1024 * 1024


class _Kept(msgspec.Struct, frozen=True):
    sha256: str
    sectors: dict[int, bytes]


def keep(path: Path, plans: list[RegionPlan], image: Image, *, resumed: bool) -> None:
    """Write down the sectors that will be erased and that the image does not fill, forced to the disk. Raises OSError.

    When resumed, the file of the interrupted attempt stays: it is older than any erase.
    """
    if resumed and recall(path, image.sha256):
        return
    sectors = {
        sector.address: sector.old
        for plan in plans
        for sector in plan.changes
        if overlay(sector.address, bytes(len(sector.old)), image) != overlay(sector.address, b"\xff" * len(sector.old), image)
    }
    if not sectors:
        return
    with path.open("wb") as file:
        file.write(msgspec.msgpack.encode(_Kept(image.sha256, sectors)))
        file.flush()
        os.fsync(file.fileno())


def recall(path: Path, sha256: str) -> dict[int, bytes]:
    """The sectors as they were before the first attempt at the image with this hash; empty if nothing whole was written down."""
    try:
        with path.open("rb") as file:
            kept = msgspec.msgpack.decode(file.read(_LARGEST), type=_Kept)
    except (OSError, msgspec.MsgspecError):
        return {}
    return kept.sectors if kept.sha256 == sha256 else {}


def restore(
    plans: list[RegionPlan], kept: dict[int, bytes], image: Image, transform: Callable[[int, bytes], bytes]
) -> tuple[list[RegionPlan], int]:
    """Plans that put erased bytes beside the image back, and how many bytes that are.

    Only where each byte beside the image is either as it was or erased: anything else was written by somebody since.
    """
    count = 0
    restored = []
    for plan in plans:
        sectors = []
        for sector in plan.sectors:
            before = kept.get(sector.address, b"")
            if len(before) == len(sector.old):
                # Laid over both, the image hides its own bytes: what still differs lies beside it.
                now, then = overlay(sector.address, sector.old, image), overlay(sector.address, before, image)
                lost = sum(1 for new, old in zip(now, then, strict=True) if new != old)
                if lost and all(new in (old, plan.erased) for new, old in zip(now, then, strict=True)):
                    count += lost
                    sector = msgspec.structs.replace(sector, new=transform(sector.address, then))
            sectors.append(sector)
        restored.append(msgspec.structs.replace(plan, sectors=tuple(sectors)))
    return restored, count
