"""Dropped things that are no firmware: never run, never read as configuration, each told clearly, and the next good drop works."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(150)  # its own waits end first, also on a busy machine
scene = sys.modules["main_path_stage"]
Start = Callable[..., Any]


def names_cleared(drive: Any) -> dict[str, Any]:
    """Reports by the file's name, of all drops whose answer stands on the drive."""
    cleared = {event.drop.id for event in drive.answered()}
    return {
        event.drop.name: event.answer.report_json for event in list(drive.events) if event.what == "answered" and event.drop.id in cleared
    }


@pytest.mark.parametrize("probe", ["stlink-v3", pytest.param("cmsis-dap", marks=pytest.mark.slow)])
def test_user_scripts_and_configuration_are_only_files(stage: Start, tmp_path: Path, probe: str) -> None:
    """pyOCD runs a pyocd_user.py and reads a pyocd.yaml of its project folder: the drive's folder must never be that."""
    room = stage(board=f"nucleo-l476rg,probe={probe}")
    drive, mark = room["board"], tmp_path / "executed"
    payload = f"open({str(mark)!r}, 'a').write(__file__)\nprint('executed', flush=True)\n"
    before = drive.flash()
    for name in ("pyocd_user.py", ".pyocd_user.py", "usb.py"):
        (drive.path / name).write_text(payload, encoding="utf-8")
    for name in ("pyocd.yaml", ".pyocd.yml"):
        (drive.path / name).write_text("user_script: pyocd_user.py\ntarget_override: nrf51\nchip_erase: chip\n", encoding="utf-8")
    result = drive.drop("good.hex", scene.intel_hex({scene.BASE: scene.image(1)}))
    assert result.proved, result.report
    assert result.report["target"]["name"].startswith("stm32l4")
    expected = {"good.hex", "pyocd_user.py", "usb.py", "pyocd.yaml"}
    scene.poll(lambda: expected <= set(names_cleared(drive)), what="an answer to each")
    for name, report in names_cleared(drive).items():
        assert (report["outcome"] == "flashed") == (name == "good.hex")
        if name != "good.hex":
            assert (report["cause"], report["confidence"]) == ("image-unknown-format", "certain"), name
    assert not mark.exists(), "a dropped script was run"
    assert drive.flash() == scene.image(1) + before[5000:]
    again = drive.drop("again.hex", scene.intel_hex({scene.BASE: scene.image(2)}))
    assert again.proved
    assert not mark.exists()


def test_each_gets_its_answer_and_a_good_one_still_works(stage: Start, tmp_path: Path) -> None:
    drive = stage(board="nucleo-l476rg,probe=cmsis-dap")["board"]
    assert drive.drop("first.hex", scene.intel_hex({scene.BASE: scene.image(1)})).proved
    flash, count = drive.flash(), int(scene.details_of(drive.files()["DETAILS.TXT"])["Remount count"])
    whole = scene.intel_hex({scene.BASE: scene.image(2)})
    secret = tmp_path / "secret.bin"
    secret.write_bytes(scene.image(2))

    (drive.path / "empty.bin").write_bytes(b"")
    (drive.path / "cut.hex").write_bytes(whole[: len(whole) // 2])
    (drive.path / "broken.hex").write_bytes(whole.replace(b"A", b"B", 1))
    (drive.path / "noise.bin").write_bytes(bytes((index * 197 + 31) & 0xFF for index in range(3000)))
    with (drive.path / "huge.bin").open("wb") as file:
        file.truncate((64 << 20) + 1)
    (drive.path / "folder.bin").mkdir()
    (drive.path / "folder.bin" / "inside.txt").write_text("kept", encoding="ascii")
    causes = {
        "empty.bin": {"image-empty"},
        "cut.hex": {"image-truncated"},
        "broken.hex": {"hex-checksum"},
        "noise.bin": {"image-bad-vectors", "image-unknown-format", "image-wrong-chip"},
        "huge.bin": {"image-huge"},
        "folder.bin": {"dropped-folder"},
    }
    if os.name != "nt":
        (drive.path / "link.bin").symlink_to(secret)
        causes["link.bin"] = {"symlink"}
    if os.name != "nt" and os.geteuid() != 0:  # nothing is unreadable for the superuser
        (drive.path / "closed.bin").write_bytes(scene.image(2))
        (drive.path / "closed.bin").chmod(0)
        causes["closed.bin"] = {"unreadable"}

    scene.poll(lambda: set(causes) <= set(names_cleared(drive)), what="an answer to each")
    for name, allowed in causes.items():
        report = names_cleared(drive)[name]
        assert report["outcome"] == "not-flashed"
        assert report["cause"] in allowed, (name, report["cause"], report["message"])
        assert report["confidence"] == "certain"
        assert (report["changed"]["erased"], report["changed"]["programmed"]) == (0, 0)
        assert report["headline"]
        assert not os.path.lexists(drive.path / name)
    assert drive.flash() == flash
    assert secret.read_bytes() == scene.image(2), "what a link leads to is not ours"
    scene.fail_of((drive.path / "FAIL.TXT").read_bytes())

    last = drive.drop("last.hex", scene.intel_hex({scene.BASE: scene.image(3)}))
    assert last.proved, last.report
    assert "FAIL.TXT" not in last.drive
    assert last.count == count + len(causes) + 1
