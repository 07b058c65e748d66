"""Rules about locks that the chip's maker built: access port protection of Nordic parts, flash security of Kinetis parts."""

from __future__ import annotations

from msdflash.diagnose.evidence import FAMILY, Evidence, is_register
from msdflash.diagnose.finding import Finding
from msdflash.diagnose.words import CERTAIN, LIKELY, RULED_OUT, UNLIKELY, dp_words, found, hex32

DEVICE_EN = 1 << 6
"""AP CSW.DeviceEn (Arm IHI 0031G C2.6.4): 0 = this access port is switched off."""

MASS_ERASE = 1 << 5
"""MDM-AP status FMEEN (Kinetis reference manuals, table MDM-AP status): 0 = mass erase is switched off as well."""

LOCKS = {"nrf52": "nrf-approtect", "kinetis-k6x": "kinetis-security", "kinetis-kl2x": "kinetis-security"}
"""Family -> cause."""

SHUT = frozenset({"locked", "no-ap", "transfer", "no-halt"})


def maker_lock(e: Evidence) -> Finding | None:
    """The status of the maker's own port, read several times: only where it is valid does it count."""
    words = e.registers("lock.status")
    family = FAMILY.get(e.text("lock.family"))
    cause = LOCKS.get(e.text("lock.family"))
    if not words or family is None or family.lock is None or cause is None:
        return None
    lock = family.lock
    verdicts = [verdict for verdict in map(lock.is_locked, words) if verdict is not None]
    shown = ", ".join(sorted({hex32(word) for word in words})[:3])
    status = f"the status of access port {lock.ap} was {shown} on {len(words)} reads"
    if not verdicts:
        return None  # never out of reset and ready: the lock's bit means nothing then
    if not any(verdicts):
        return found(cause, RULED_OUT, status) if e.kind in SHUT else None
    if not all(verdicts):
        return found(cause, UNLIKELY, status, "it changed from read to read")
    reasons = [status if len(verdicts) == len(words) else f"{status}; valid on {len(verdicts)}, and locked on each of these"]
    csw = e.register("ap.csw")
    shut = csw is not None and not csw & DEVICE_EN
    if shut:
        reasons.append(f"the memory port is switched off (CSW {hex32(csw)}, DeviceEn bit 6 is 0)")
    if cause == "kinetis-security" and not any(word & MASS_ERASE for word in words):
        reasons.append("mass erase is switched off, too (status bit 5 is 0): no tool can unlock it")
    return found(cause, CERTAIN if len(verdicts) >= lock.times else LIKELY, *reasons, dp_words(e))


def locked_since(e: Evidence) -> Finding | None:
    """It was open when the job began, and is locked since the failure: true, and not why the job failed."""
    words, family = e.registers("lock.after"), e.family
    cause = LOCKS.get(family.id) if family is not None else None
    if not words or family is None or family.lock is None or cause is None:
        return None
    verdicts = [verdict for verdict in map(family.lock.is_locked, words) if verdict is not None]
    if len(verdicts) < family.lock.times or not all(verdicts):
        return None
    shown = f"after the failure, the status of access port {family.lock.ap} was {hex32(words[-1])} on {len(words)} reads"
    return found(cause, CERTAIN, shown, "the words that keep this chip open were erased when it was reset", aside=True)


def mailbox_lock(e: Evidence) -> Finding | None:
    """A boot ROM that answered each request for a debug session and opened none; or one that was not asked, or did not answer."""
    family = FAMILY.get(e.text("lock.family"))
    if family is None or family.mailbox is None or e.kind not in {"locked", "no-ap"}:
        return None
    sessions = e.value("mailbox.session")
    said = [item for item in sessions if isinstance(item, dict)] if isinstance(sessions, list) else []
    there = f"access port {family.mailbox.ap} is the {family.title}'s mailbox, and access port 0 identifies itself as 0"
    refused = [item for item in said if is_register(item.get("answer")) and not item.get("idr")]
    if refused and len(refused) == len(said):
        answers = ", ".join(f"0x{item['answer']:04X}" for item in refused)
        told = f"it answered {len(refused)} of {len(said)} requests for a debug session ({answers}) and opened nothing"
        return found("lpc55-debug-locked", CERTAIN if len(refused) > 1 else LIKELY, there, told, dp_words(e))
    silent = f"of {len(said)} requests for a debug session it answered {len(refused)}" if said else "it was not asked for a debug session"
    return found("boot-rom-only", CERTAIN, there, silent, dp_words(e))


LOCK_RULES = (maker_lock, locked_since, mailbox_lock)
