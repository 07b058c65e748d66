"""Opening a probe that somebody is just letting go of, and one that is really taken."""

from __future__ import annotations

import errno
import io
from typing import Any

import pytest
import usb.core

from msdflash.job.readings import latest
from msdflash.worker import hostusb, probe
from msdflash.worker.channel import Channel, StepFailed

NODE = hostusb.UsbNode(0x0D28, 0x0204, "P1", drivers=("cdc_acm", "usbhid"))


class Driver:
    """A probe's driver object of pyOCD, of which only its name and its end matter here."""

    unique_id = "P1"

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def opening(monkeypatch: pytest.MonkeyPatch, failures: int, holder: str = "") -> tuple[Channel, Driver, list[int]]:
    """PyOCD's session, whose opening is refused so many times, as libusb refuses it."""
    tries: list[int] = []

    class Session:
        def __init__(self, *_args: object, **_options: object) -> None: ...

        def open(self, **_options: object) -> None:
            tries.append(1)
            if len(tries) <= failures:
                raise usb.core.USBError("Resource busy", -6, errno.EBUSY)

    monkeypatch.setattr(probe, "Session", Session)
    monkeypatch.setattr(hostusb, "holder", lambda _node: holder)
    return Channel(io.BytesIO(), "1"), Driver(), tries


def run(channel: Channel, driver: Driver) -> Any:
    return probe._open(channel, driver, {}, [NODE])


def test_one_that_is_just_being_let_go_of_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    channel, driver, tries = opening(monkeypatch, 2)
    assert run(channel, driver) is not None
    assert len(tries) == 3
    assert driver.closed == 2
    assert channel.readings == []


def test_one_whose_holder_is_seen_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    channel, driver, tries = opening(monkeypatch, 99, "openocd (pid 8, user ann)")
    with pytest.raises(StepFailed, match="could not be opened"):
        run(channel, driver)
    assert len(tries) == 1
    assert latest(tuple(channel.readings), "probe.holder") == "openocd (pid 8, user ann)"


def test_one_that_stays_taken_is_told_with_the_drivers_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    channel, driver, tries = opening(monkeypatch, 10_000)
    monkeypatch.setattr(probe, "RELEASE_PATIENCE", 0.05)
    with pytest.raises(StepFailed):
        run(channel, driver)
    assert len(tries) > 1
    readings = tuple(channel.readings)
    assert latest(readings, "probe.errno") == errno.EBUSY
    assert latest(readings, "usb.drivers") == ["cdc_acm", "usbhid"]
