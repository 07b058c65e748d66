"""Faults of probe, cable and host, as physical facts: a table of what each does to the device on the bus.

They are put in and taken out at run time; what a driver makes of them is the driver's own affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from msdflash.sim.usb.device import Device
from msdflash.sim.usb.hub import Hub
from msdflash.sim.usb.wire import Status


class Faulty(Protocol):
    """What a fault acts on: one device on its port."""

    @property
    def hub(self) -> Hub:
        """The port."""

    @property
    def device(self) -> Device:
        """What is plugged in."""

    def come_back_after(self, milliseconds: int) -> None:
        """When the device vanishes, it comes back after so long, with a new address; the target keeps its power."""

    def name(self, serial: str) -> None:
        """Come back at once with this serial in the descriptors; empty: with none."""

    def hold_node(self) -> None:
        """Keep the device's node open, as a program does that uses the device."""

    def forbid_node(self) -> None:
        """Take everybody's right to open the device's node."""


@dataclass(frozen=True)
class UsbFault:
    """A fault of probe or cable.

    Attributes:
        text: what it does.
        apply: brings it about; gets the argument, or ``default``.
        form: regular expression of the argument; empty: takes none.
        example: the fault with an argument.
        default: the argument if none is given; None: one is needed.
    """

    text: str
    apply: Callable[[Faulty, str], None]
    form: str = ""
    example: str = ""
    default: str | None = ""

    def wrong(self, name: str, argument: str) -> str:
        """What is wrong with an argument, or ""."""
        if not argument and self.default is not None:
            return ""
        if not self.form:
            return f"fault {name} takes no argument"
        if not re.fullmatch(self.form, argument, re.ASCII):
            return f"fault {name} needs an argument like in {self.example}" + (" (a number)" if "d" in self.form else "")
        return ""


def _vanish(bench: Faulty, argument: str) -> None:
    bench.hub.unplug_after = int(argument)


def _come_back(bench: Faulty, argument: str) -> None:
    transfers, _, milliseconds = argument.partition(":")
    bench.come_back_after(int(milliseconds or "300"))
    bench.hub.unplug_after = int(transfers)


def _hang(bench: Faulty, _: str) -> None:
    bench.device.hanging = True


def _stall(bench: Faulty, argument: str) -> None:
    out = bench.device.out_endpoint
    if argument == "in":
        bench.device.halted.add(bench.device.in_endpoint.address)
    else:
        # Without an OUT endpoint reports go over endpoint 0, which refuses them instead (address 0).
        bench.device.halted.add(out.address if out is not None else 0)


def _short(bench: Faulty, argument: str) -> None:
    bench.hub.short_after = int(argument)


def _slow(bench: Faulty, argument: str) -> None:
    bench.hub.late = int(argument) / 1000


def _forbid(bench: Faulty, _: str) -> None:
    bench.hub.open_refusal = Status.ACCESS
    bench.forbid_node()


def _busy(bench: Faulty, _: str) -> None:
    bench.hub.claimed_elsewhere = True
    bench.hold_node()


_NUMBER = r"\d{1,9}"

USB_FAULTS = {
    "unplug-after": UsbFault("the device vanishes after that many more transfers", _vanish, _NUMBER, "unplug-after:1000", None),
    "disconnect-reenumerate": UsbFault(
        "the device vanishes after N more transfers and comes back after MS (300) with a new address; the target keeps its power",
        _come_back,
        rf"{_NUMBER}(:{_NUMBER})?",
        "disconnect-reenumerate:1000:300",
        "0",
    ),
    "hang": UsbFault("the probe's firmware stops: every transfer is answered NAK", _hang),
    "slow": UsbFault("every answer comes that many milliseconds late", _slow, _NUMBER, "slow:1500", "1500"),
    "stall": UsbFault("an endpoint is halted: EPIPE until it is cleared or plugged in anew", _stall, "in|out", "stall:in", "out"),
    "short-packet": UsbFault("after that many more answers each lacks its second half", _short, _NUMBER, "short-packet:20", "0"),
    "no-permission": UsbFault("this user may not open the device: EACCES", _forbid),
    "busy": UsbFault("another program has claimed the device: EBUSY", _busy),
    "no-serial": UsbFault("the device has no serial number", lambda bench, _: bench.name("")),
    "equal-serial": UsbFault(
        "the device has that serial, as another one does",
        lambda bench, serial: bench.name(serial),
        r"[0-9A-Za-z_.-]{1,64}",
        "equal-serial:0765A1",
        None,
    ),
}
