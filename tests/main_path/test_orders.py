"""Orders to destroy: nothing is unlocked or erased unless the board's configuration says so, and then all of it is told and proved."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msdflash.daemon.config import BoardOptions
from msdflash.drop.actions import HARMLESS

pytestmark = pytest.mark.timeout(150)
scene = sys.modules["main_path_stage"]
Start = Callable[..., Any]

LOCKED = {
    "l476": ("nucleo-l476rg,probe=stlink-v3", "rdp1", "blinky.bin"),
    "l476dap": ("nucleo-l476rg,probe=cmsis-dap", "rdp1", "blinky.bin"),
    "f103": ("stm32f103rc,probe=cmsis-dap", "rdp1", "blinky-any.bin"),
    "f429": ("nucleo-f429zi,probe=stlink-v3", "rdp1", "blinky-any.bin"),
    "l031": ("nucleo-l031k6,probe=stlink-v3", "rdp1", "blinky-any.bin"),
    "h743": ("nucleo-h743zi,probe=stlink-v3", "rdp1", "blinky-any.bin"),
    "nrf52": ("nrf52840-dk,probe=cmsis-dap", "approtect", "blinky-zero.bin"),
    "nrf51": ("nrf51-dk,probe=cmsis-dap", "approtect", "blinky-zero.bin"),
    "k64f": ("frdm-k64f,probe=cmsis-dap", "security", "blinky-zero.bin"),
    "kl25z": ("frdm-kl25z,probe=cmsis-dap", "security", "blinky-zero.bin"),
}


def firmware(name: str) -> bytes:
    return bytes((Path(scene.FIRMWARE) / name).read_bytes())


def unlock_with(drive: Any, serial: str) -> Any:
    return drive.drop("unlock.act", f"serial: {serial}\r\n".encode())


def follow(drive: Any, fault: str, image: bytes, *, always: bool) -> None:
    """Lock it; see that it is told and left alone; order; see that it is open, and works."""
    assert drive.drop("before.bin", image).proved
    drive.set(f"fault={fault}")
    before = drive.flash()
    if not always:
        refused = drive.drop("locked.bin", image)
        assert not refused.proved
        assert refused.report["failure"] == "locked", refused.report["message"]
        assert not refused.report["changed"]["unlocked"]
        assert drive.flash() == before
        wrong = unlock_with(drive, "another")
        assert wrong.first == ("action-other-board", "certain")
        assert drive.flash() == before
        done = unlock_with(drive, drive.serial)
        assert done.report["outcome"] == "done", done.report["message"]
        assert done.report["changed"]["unlocked"]
        assert "FAIL.TXT" not in done.drive
        again = unlock_with(drive, drive.serial)
        assert again.report["outcome"] == "done"
        assert not again.report["changed"]["unlocked"], "an open chip is left alone"
    flashed = drive.drop("after.bin", image)
    assert flashed.proved, flashed.report["message"]
    assert flashed.report["changed"]["unlocked"] is always
    assert drive.flash()[: len(image)] == image
    drive.set("fault=none")


@pytest.mark.slow
@pytest.mark.parametrize("always", [False, True], ids=["action", "always"])
@pytest.mark.parametrize("name", LOCKED)
def test_each_family_is_unlocked_on_order_only(stage: Start, name: str, always: bool) -> None:
    spec, fault, image = LOCKED[name]
    room = stage({name: BoardOptions(unlock="always" if always else "action")}, **{name: spec})
    follow(room[name], fault, firmware(image), always=always)


def test_one_family_is_unlocked_on_order_and_erased_on_another(stage: Start) -> None:
    options = BoardOptions(unlock="action", actions=(*HARMLESS, "erase"))
    room = stage({"l476": options}, l476="nucleo-l476rg,probe=stlink-v3", plain="nucleo-l476rg,probe=cmsis-dap")
    drive = room["l476"]
    follow(drive, "rdp1", scene.image(1), always=False)
    beside = scene.neighbours()
    assert drive.drop("beside.hex", scene.intel_hex({scene.BASE: scene.image(1), **beside})).proved
    erased = drive.drop("ERASE.ACT", b"")
    assert erased.report["outcome"] == "done", erased.report["message"]
    assert not drive.flash().strip(b"\xff")
    assert erased.report["changed"]["verified"] == len(drive.flash())
    assert "FAIL.TXT" not in erased.drive

    plain = room["plain"]
    assert plain.drop("a.bin", scene.image(1)).proved
    for name in ("ERASE.ACT", "unlock.act"):
        refused = plain.drop(name, f"serial: {plain.serial}".encode())
        assert refused.first == ("action-not-allowed", "certain")
        assert scene.fail_of(refused.drive["FAIL.TXT"])[1] == "user"
        assert b"configuration" in refused.drive["FAIL.TXT"]
    assert plain.flash()[: len(scene.image(1))] == scene.image(1)


def test_hard_rst_leaves_the_new_program_waiting(stage: Start) -> None:
    drive = stage(b="nucleo-l476rg,probe=cmsis-dap")["b"]
    switched = drive.drop("hard_rst.cfg", b"")
    assert scene.details_of(switched.drive["DETAILS.TXT"])["Auto Reset"] == "0"
    held = drive.drop("a.bin", scene.image(1))
    assert held.proved
    assert held.report["running"] == "halted"
    assert held.report["changed"]["state"] == "halted"
    drive.drop("auto_rst.cfg", b"")
    assert drive.drop("b.bin", scene.image(2)).report["running"] == "running"
