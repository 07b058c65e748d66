"""The watch over real drives: which failure is told, when, of which probe; and that nothing is ever written there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from msdflash.realdrive.look import LARGEST, Look, look
from msdflash.realdrive.mounts import Mount
from msdflash.sim.drive import AWAY, GIVE_UP, Style

if TYPE_CHECKING:
    from conftest import Table  # type: ignore[import-not-found]
else:
    Table = Any


def test_a_failure_is_told_once_when_the_drive_is_back_and_at_rest(table: Table) -> None:
    drive = table.add("S1", "no-power")
    table.run(2)
    assert table.failures == []
    table.drop(drive)
    began = table.now
    table.run(20, lambda: not drive.mounted)
    gone = table.now
    table.run(20, lambda: table.failures)
    assert table.now - gone >= AWAY + 3.0
    assert table.now - began < 10
    ((serial, failed),) = table.failures
    assert (serial, failed.fresh, failed.quiet, failed.facts.remounts) == ("S1", True, True, 1)
    assert failed.facts.fail == "error: Failed to reset/halt the target MCU\r\ntype: target\r\n"
    table.watcher.done("S1", failed)
    table.run(10)
    assert len(table.failures) == 1
    # The same again is another failure, a good one takes the complaint away.
    table.drop(drive)
    table.run(20, lambda: len(table.failures) == 2)
    assert table.failures[1][1].facts.remounts == 2
    drive.error = ""
    drive._hide()
    table.run(10, lambda: ("S1", "cleared") in table.events)
    assert table.events[-1] == ("S1", "cleared")


def test_a_wrong_guess_of_the_firmware_stays_its_own(table: Table) -> None:
    """nRESET held: an ST-LINK blames the download, a DAPLink waits for ever and says nothing."""
    held = table.add("ST", "reset-held", Style.ST_LINK)
    hung = table.add("DAP", "reset-held")
    for drive in (held, hung):
        table.drop(drive)
    table.run(GIVE_UP)
    ((serial, failed),) = table.failures
    assert (serial, failed.facts.kind, failed.facts.remounts) == ("ST", "ST-LINK", None)
    assert "FAILED to download the flash programming algorithms" in (failed.facts.fail or "")
    assert hung.hung


def test_two_equal_boards_are_told_apart_by_their_usb_devices(table: Table) -> None:
    table.add("LEFT")
    right = table.add("RIGHT", "no-power")
    table.drop(right)
    table.run(10)
    assert [serial for serial, _ in table.failures] == ["RIGHT"]


def test_two_probes_with_one_serial_do_not_count(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    first = table.add("TWIN", "no-power")
    table.add("TWIN", "no-power")
    table.drop(first)
    table.run(15)
    assert "several drives" in caplog.text
    assert table.failures == []


def test_only_drives_of_probes_that_are_served_are_opened(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = table.add("OTHER", "no-power", served=False)
    table.add("S1")
    (foreign.folder / "FAIL.TXT").write_bytes(b"error: x\r\n")
    opened: list[str] = []

    def spy(mount: Mount) -> Look | None:
        opened.append(mount.path)
        return look(mount)

    monkeypatch.setattr("msdflash.realdrive.watcher.look", spy)
    table.run(5)
    assert set(opened) == {path for path, parent in table.parents.items() if parent.serial == "S1"}
    assert table.failures == []


def test_a_probe_without_a_drive_and_one_that_is_gone(table: Table) -> None:
    table.served.append("NODRIVE")
    drive = table.add("S1", "no-power")
    table.drop(drive)
    table.run(10)
    assert [serial for serial, _ in table.failures] == ["S1"]
    table.served.clear()
    table.run(1)
    assert table.watcher._trackers == {}


def test_what_was_there_before_is_of_unknown_age(table: Table) -> None:
    drive = table.add("S1")
    drive.error = "write"
    drive._show()
    table.run(5)
    ((_, failed),) = table.failures
    assert not failed.fresh


@pytest.mark.parametrize(("style", "count"), [(Style.DAPLINK, 1), (Style.ST_LINK, 2)])
def test_a_mount_by_hand_is_no_failure_where_the_count_tells(table: Table, style: Style, count: int) -> None:
    drive = table.add("S1", "no-power", style)
    table.drop(drive)
    table.run(10, lambda: table.failures)
    table.watcher.done("S1", table.failures[0][1])
    drive.mounted = False
    table.run(0.3)
    drive.mountings += 1
    drive.mounted = True
    table.run(6)
    assert len(table.failures) == count  # an ST-LINK has no count: what is back is taken for new


def test_a_drive_that_comes_back_elsewhere_is_the_same_probes(table: Table) -> None:
    drive = table.add("S1", "no-power")
    table.drop(drive)
    table.run(10, lambda: not drive.mounted)
    moved = drive.folder.parent / "elsewhere" / drive.folder.name
    drive.folder = moved
    moved.mkdir(parents=True)
    table.run(10, lambda: table.failures)
    assert table.failures[0][1].path == str(moved)


def test_a_new_copy_puts_the_telling_off(table: Table) -> None:
    drive = table.add("S1", "no-power")
    table.drop(drive)
    table.run(10, lambda: not drive.mounted)
    table.run(10, lambda: drive.mounted)
    table.run(1)
    table.events.clear()
    (drive.folder / "b.bin").write_bytes(b"x" * 600)  # not an image: the firmware waits for the rest of it
    table.run(0.5)
    assert table.events == [("S1", "disturbed")]
    table.run(2.25)
    assert table.failures == []
    table.run(2, lambda: table.failures)
    assert len(table.failures) == 1


def test_a_drive_that_never_rests_is_told_without_rest(table: Table) -> None:
    drive = table.add("S1", "no-power")
    table.drop(drive)
    table.run(10, lambda: drive.error and drive.mounted)
    for turn in range(40):
        drive.folder.joinpath(f"n{turn}").touch()
        table.now += 2.0
        table.watcher.once()
        if table.failures:
            break
    assert not table.failures[0][1].quiet


def test_nothing_is_written_on_the_drive(table: Table) -> None:
    """Every file that is opened while the watch looks is opened for reading, and the drive is the same afterwards."""
    drive = table.add("S1", "no-power")
    table.drop(drive)
    table.run(10, lambda: drive.error and drive.mounted)
    seen: list[tuple[str, int]] = []
    changes: list[str] = []
    watching = True

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if not watching:
            return
        if event == "open":
            seen.append((str(details[0]), int(details[2] or 0)))
        elif event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.utime", "os.link", "os.symlink"}:
            changes.append(event)

    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in drive.folder.iterdir()}
    sys.addaudithook(hook)  # it stays for the life of this process, and does nothing from the flag on
    try:
        for _ in range(20):
            table.now += 0.25
            table.watcher.once()
    finally:
        watching = False
    assert len(table.failures) == 1
    assert any(name == "FAIL.TXT" for name, _ in seen)
    assert not any(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND) for _, flags in seen)
    assert changes == []
    assert before == {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in drive.folder.iterdir()}


@pytest.mark.skipif(sys.platform == "win32", reason="only on Linux: links and pipes on a volume")
def test_a_hostile_drive_is_read_with_bounds(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    drive = tmp_path / "drive"
    drive.mkdir()
    (drive / "MBED.HTM").symlink_to(secret)
    assert look(Mount(str(drive), "")) is None
    (drive / "MBED.HTM").unlink()
    (drive / "fail.txt").write_bytes(b"x" * 3 * LARGEST)
    if sys.platform != "win32":
        os.mkfifo(drive / "ASSERT.TXT")
    seen = look(Mount(str(drive), ""))
    assert seen is not None
    assert seen.texts == {"FAIL.TXT": b"x" * LARGEST, "ASSERT.TXT": b""}
    link = tmp_path / "link"
    link.symlink_to(drive)
    assert look(Mount(str(link), "")) is None
    for number in range(600):
        (drive / f"{number}").touch()
    assert look(Mount(str(drive), "")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: numbers of devices")
def test_a_folder_below_a_mount_that_has_gone_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "FAIL.TXT").write_bytes(b"x")
    device = tmp_path.stat().st_dev
    if sys.platform == "linux":
        assert look(Mount(str(tmp_path), "", f"{os.major(device)}:{os.minor(device)}")) is not None
    assert look(Mount(str(tmp_path), "", "250:99")) is None
