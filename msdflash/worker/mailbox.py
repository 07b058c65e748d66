"""Asking a boot ROM to let the debugger in, through the mailbox that some chips have beside their processors' ports.

An LPC55 without a program, or while its ROM runs, hides its processors. The ROM listens after a reset that the mailbox itself makes, and
opens them for a debug session unless the chip is locked (UM11126, "Debug mailbox", from memory; pyOCD ``target_lpc5500.py``). Nothing is
erased by it.
"""

from __future__ import annotations

import time

from msdflash.chips import families
from msdflash.chips.model import Family, Mailbox
from msdflash.job.readings import latest
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.raw import AP_CSW, AP_IDR, RawTarget
from msdflash.worker.trouble import classify

TIMES = 2
"""A refusal counts when it was given twice."""
_LISTENS = 0.2
_TAKES = 0.15
"""Seconds until the ROM listens after the reset, and until it has taken a request."""
_PAUSE = 0.005


def find(channel: Channel, raw: RawTarget) -> Family | None:
    """The family whose mailbox is behind this debug port, while access port 0 is hidden. Reads only; sets ``lock.family``.

    A newer ST-LINK refuses the ports of other makers' chips; then none is found. Raises what the probe raises when it fails itself.
    """
    for family in families.candidates(latest(tuple(channel.readings), "swd.dpidr"), None, None):
        if family.mailbox is not None and _identity(raw, family.mailbox) == family.mailbox.idr:
            if latest(tuple(channel.readings), "lock.family") != family.id:
                channel.measure("lock.family", family.id)
            return family
    return None


def _identity(raw: RawTarget, mailbox: Mailbox) -> int | None:
    try:
        return raw.read_ap(AP_IDR, mailbox.ap)
    except Exception as error:
        if classify(error).kind == "usb":
            raise
        raw.clear_sticky()
        return None


def announce(raw: RawTarget, family: Family) -> None:
    """While the chip is in reset: the boot ROM will listen when it starts, and start no program before."""
    if family.mailbox is not None:
        raw.write_ap(family.mailbox.status, family.mailbox.resynch, family.mailbox.ap)


def knock(channel: Channel, raw: RawTarget) -> None:
    """Ask for a debug session, once more where that was refused; resets the chip. Sets ``mailbox.session``, and ``ap.idr`` anew.

    Raises:
        StepFailed: ``locked``: the ROM answered each time, and opened nothing. ``no-ap``: it did not answer each time.
    """
    family = find(channel, raw)
    if family is None or family.mailbox is None:
        raise StepFailed("no-ap", "there is no access port 0 behind the debug port")
    said: list[dict[str, int | None]] = []
    for _ in range(TIMES):
        answer = _ask(raw, family.mailbox)
        idr = raw.read_ap(AP_IDR)
        said.append({"answer": answer, "idr": idr})
        if idr:
            break
    channel.measure("mailbox.session", said)
    if said[-1]["idr"]:
        channel.measure("ap.idr", said[-1]["idr"], "after the boot ROM was asked for a debug session")
        channel.measure("ap.csw", raw.read_ap(AP_CSW))
        return
    # The ROM waits for a debugger now; another reset lets it go on as it would have.
    raw.write_ap(family.mailbox.status, family.mailbox.reset, family.mailbox.ap)
    if all(item["answer"] is not None for item in said):
        raise StepFailed("locked", f"the boot ROM of the {family.title} was asked {TIMES} times for a debug session, and opened none")
    raise StepFailed("no-ap", "the processors' ports are hidden, and the boot ROM does not answer through its mailbox")


def _ask(raw: RawTarget, mailbox: Mailbox) -> int | None:
    """One request; the lower half of the answer, or None where there is none."""
    raw.write_ap(mailbox.status, mailbox.resynch, mailbox.ap)
    if not _becomes_clear(raw, mailbox, 0xFFFFFFFF, _LISTENS):
        return None
    raw.write_ap(mailbox.request, mailbox.start, mailbox.ap)
    if not _becomes_clear(raw, mailbox, mailbox.pending, _TAKES):
        return None
    return raw.read_ap(mailbox.answer, mailbox.ap) & 0xFFFF


def _becomes_clear(raw: RawTarget, mailbox: Mailbox, mask: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while True:
        time.sleep(_PAUSE)
        if not raw.read_ap(mailbox.status, mailbox.ap) & mask:
            return True
        if time.monotonic() > end:
            return False
