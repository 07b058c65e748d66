"""The chip's unique id: what ties bytes that are kept on this computer to the one chip that they came from."""

from __future__ import annotations

from msdflash.chips.model import Family, Register
from msdflash.worker.channel import Channel
from msdflash.worker.raw import RawTarget
from msdflash.worker.silicon import read_field


def unique_id(channel: Channel, raw: RawTarget, family: Family | None) -> str | None:
    """Family and id in hex, or None where the table has no id, or what is read there is none. Sets ``chip.uid``.

    Raises:
        StepFailed: ``usb``.
    """
    if family is None or not family.uid:
        return None
    words = [read_field(channel, raw, Register(start + at)) for start, length in family.uid for at in range(0, length, 4)]
    if any(word is None for word in words) or set(words) <= {0} or set(words) <= {0xFFFFFFFF}:
        return None
    found = f"{family.id}-" + "".join(f"{word:08x}" for word in words)
    channel.measure("chip.uid", found)
    return found
