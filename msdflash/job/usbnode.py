"""By which names pyOCD knows a USB device that has a serial number."""

from __future__ import annotations

ST, SEGGER = 0x0483, 0x1366
_UNPRINTABLE = 12  # characters of the serial of an old ST-LINK/V2, which clients write as hex (pyocd/probe/stlink/usb.py)


def serial_ids(vid: int, serial: str) -> frozenset[str]:
    """What pyOCD may call a device of this vendor and serial, in lower case; empty for a device without a serial."""
    if not serial:
        return frozenset()
    ids = {serial}
    if vid == ST and len(serial) == _UNPRINTABLE:
        ids.add("".join(f"{ord(each) & 0xFF:02x}" for each in serial))
    if vid == SEGGER:
        ids.add(serial.lstrip("0"))
    return frozenset(each.lower() for each in ids)


def plain_id(unique_id: str) -> str:
    """A unique id as :func:`serial_ids` writes it: in lower case, without the driver's name before it."""
    return unique_id.rsplit(":", 1)[-1].lower()
