"""On which USB port a probe is, by its serial number. Linux only: elsewhere nothing is known."""

from __future__ import annotations

import contextlib
from pathlib import Path

_DEVICES = Path("/sys/bus/usb/devices")
"""A folder for each device, named after its port; Documentation/ABI/testing/sysfs-bus-usb of the kernel (from memory)."""


def ports_known(devices: Path = _DEVICES) -> bool:
    """Whether this system tells ports at all."""
    return devices.is_dir()


def port_of(serial: str, devices: Path = _DEVICES) -> str | None:
    """The port of the device with this serial number, such as ``1-2.3``; None if there is none, or more than one."""
    found: list[str] = []
    with contextlib.suppress(OSError):
        for device in devices.iterdir():
            with contextlib.suppress(OSError):
                text = (device / "serial").read_text(encoding="utf-8", errors="replace").strip()
                if text and text.casefold() == serial.casefold():
                    found.append(device.name)
    return found[0] if len(found) == 1 else None
