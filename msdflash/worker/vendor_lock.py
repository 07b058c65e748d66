"""The lock as the chip maker's own access port tells it, while the memory port may be shut. Reads only, before pyOCD's board init.

PyOCD itself judges Kinetis parts by one reading, and leaves nRESET low when that looks locked; a blank part that loops in reset looks
locked two times out of three.
"""

from __future__ import annotations

import time

from msdflash.chips import families
from msdflash.chips.model import ApLock, Family
from msdflash.job.readings import latest
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.raw import AP_IDR, RawTarget
from msdflash.worker.trouble import classify

IDR_MASK = 0x0FFF_FF0F
"""Revisions are left out: [31:28] of any access port, [7:4] of NXP's MDM-AP (which names the series there)."""

PATIENCE = 4
SPREAD = 0.02
"""Seconds over which the status is read: a turn of a reset loop takes microseconds (Kinetis) to tens of them (nRF)."""


def find(raw: RawTarget, known: tuple[Family, ...]) -> tuple[Family, ApLock] | None:
    """The first of these families whose port is really there."""
    seen: dict[int, int] = {}
    for family in known:
        lock = family.lock
        if lock is None:
            continue
        if lock.ap not in seen:
            seen[lock.ap] = raw.read_ap(AP_IDR, lock.ap)
        if seen[lock.ap] & IDR_MASK == lock.idr & IDR_MASK:
            return family, lock
    return None


def read(raw: RawTarget, lock: ApLock) -> list[int]:
    """Status words until enough of them are valid; a part that loops in reset gets four times as many tries."""
    words: list[int] = []
    valid = 0
    while valid < lock.times and len(words) < PATIENCE * lock.times:
        if words:
            time.sleep(SPREAD / lock.times)
        words.append(raw.read_ap(lock.register.address, lock.ap))
        valid += lock.is_locked(words[-1]) is not None
    return words


def check(channel: Channel, raw: RawTarget) -> None:
    """Read the lock's state, if this debug port may belong to a family that has such a port. Sets ``lock.family`` and ``lock.status``.

    An ST-LINK is not asked: it opens each port by a command of its own, and refuses those of other makers' chips.

    Raises:
        StepFailed: ``locked`` when enough readings are valid and all of them say so. Anything else is left to what follows.
        Exception: what the probe raises when it fails itself.
    """
    if raw.managed:
        return
    readings = tuple(channel.readings)
    known = families.candidates(latest(readings, "swd.dpidr"), latest(readings, "ap.idr"), None)
    try:
        found = find(raw, known)
        if found is None:
            return
        family, lock = found
        words = read(raw, lock)
    except Exception as error:
        if classify(error).kind == "usb":
            raise
        raw.clear_sticky()
        return
    channel.measure("lock.family", family.id)
    channel.measure("lock.status", words, f"{len(words)} reads of access port {lock.ap}")
    verdicts = [verdict for verdict in map(lock.is_locked, words) if verdict is not None]
    if len(verdicts) >= lock.times and all(verdicts):
        raise StepFailed("locked", f"the {family.title}'s own access port says that debug access is locked")
