"""Which folders are taken over, which are refused, and when a folder counts as absent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from msdflash.drive.folder import HIDDEN, MARKER, Folder, FolderAbsentError, adopt
from msdflash.errors import UsageError

posix = pytest.mark.skipif(os.name != "posix", reason="needs links that any user may make")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_new_folder_is_made_and_known_again(tmp_path: Path, state: Path) -> None:
    path = tmp_path / "drives" / "BOARD"
    first = adopt(path, "S1", state)
    assert first.present()
    marker = json.loads((path / HIDDEN / MARKER).read_text())
    assert marker == {"schema": 1, "uuid": first.uuid, "serial": "S1"}
    (path / "a.hex").write_bytes(b"x")
    assert adopt(path, "S1", state).uuid == first.uuid
    with first.opened() as opened:
        assert opened.root.exists("a.hex")
        assert opened.temp.names() == []


def test_an_empty_folder_is_taken_over_clutter_or_not(tmp_path: Path, state: Path) -> None:
    path = tmp_path / "BOARD"
    path.mkdir()
    (path / ".DS_Store").touch()
    (path / "System Volume Information").mkdir()
    assert adopt(path, "S1", state).present()
    assert (path / ".DS_Store").exists()


def test_what_is_not_ours_is_refused_and_left_alone(tmp_path: Path, state: Path) -> None:
    path = tmp_path / "photos"
    path.mkdir()
    for number in range(7):
        (path / f"{number}.jpg").touch()
    with pytest.raises(UsageError, match=r"holds 0\.jpg, 1\.jpg, 2\.jpg, 3\.jpg, 4\.jpg and 2 more"):
        adopt(path, "S1", state)
    assert sorted(entry.name for entry in path.iterdir()) == [f"{number}.jpg" for number in range(7)]
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match="not a folder"):
        adopt(file, "S1", state)


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        (b'{"schema": 1, "uuid": "u", "serial": "OTHER"}', "the drive of board OTHER, not of S1"),
        (b'{"schema": 99, "uuid": "u", "serial": "S1"}', "newer msdflash"),
        (b'{"schema": 1', "damaged"),
        (b"", "damaged"),
        (b"[]", "damaged"),
    ],
)
def test_a_marker_that_is_not_ours_is_refused(tmp_path: Path, state: Path, marker: bytes, words: str) -> None:
    path = tmp_path / "BOARD"
    (path / HIDDEN).mkdir(parents=True)
    (path / HIDDEN / MARKER).write_bytes(marker)
    with pytest.raises(UsageError, match=words):
        adopt(path, "S1", state)
    assert (path / HIDDEN / MARKER).read_bytes() == marker


def test_making_it_may_be_cut_off(tmp_path: Path, state: Path) -> None:
    (tmp_path / "BOARD" / HIDDEN).mkdir(parents=True)
    assert adopt(tmp_path / "BOARD", "S1", state).present()


@posix
def test_links_are_refused(tmp_path: Path, state: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "BOARD").symlink_to(real)
    with pytest.raises(UsageError, match="is a link"):
        adopt(tmp_path / "BOARD", "S1", state)
    (tmp_path / "B2").mkdir()
    (tmp_path / "B2" / HIDDEN).symlink_to(real)
    with pytest.raises(UsageError, match="not ours"):
        adopt(tmp_path / "B2", "S1", state)
    assert not list(real.iterdir())
    (tmp_path / "drives").symlink_to(real)  # above the drive links are the user's own business
    assert adopt(tmp_path / "drives" / "BOARD", "S1", state).path == real / "BOARD"


def absent(folder: Folder) -> str:
    with pytest.raises(FolderAbsentError) as caught, folder.opened():
        pass
    return str(caught.value)


def test_without_its_marker_a_folder_is_absent_not_empty(tmp_path: Path, state: Path) -> None:
    path = tmp_path / "BOARD"
    folder = adopt(path, "S1", state)
    path.rename(tmp_path / "aside")
    assert absent(folder)
    path.mkdir()
    assert absent(folder)
    assert not list(path.iterdir())
    other = adopt(tmp_path / "other", "S2", tmp_path / "state2")
    path.rmdir()
    other.path.rename(path)
    assert "another drive" in absent(folder)
    path.rename(tmp_path / "other")
    (tmp_path / "aside").rename(path)
    assert folder.present()


@posix
def test_a_hidden_folder_that_became_a_link_is_absence(tmp_path: Path, state: Path) -> None:
    folder = adopt(tmp_path / "BOARD", "S1", state)
    (folder.path / HIDDEN).rename(tmp_path / "stolen")
    (folder.path / HIDDEN).symlink_to(tmp_path / "stolen")
    assert "link" in absent(folder)


def test_a_known_drive_on_a_share_that_is_not_mounted_is_waited_for(tmp_path: Path, state: Path) -> None:
    path = tmp_path / "BOARD"
    made = adopt(path, "S1", state)
    memory = state / "folder.json"
    there = json.loads(memory.read_text())
    path.rename(tmp_path / "aside")
    memory.write_text(json.dumps(there | {"device": "ffff"}))  # as if it had been on a share
    for mounted_over in (False, True):
        if mounted_over:
            path.mkdir()
        folder = adopt(path, "S1", state)
        assert not folder.present()
        assert not path.exists() or not list(path.iterdir())
    path.rmdir()
    (tmp_path / "aside").rename(path)
    assert folder.present()
    assert folder.uuid == made.uuid


def test_a_known_drive_that_was_emptied_is_made_again_as_the_same(tmp_path: Path, state: Path) -> None:
    path = tmp_path / "BOARD"
    made = adopt(path, "S1", state)
    shutil.rmtree(path)
    again = adopt(path, "S1", state)
    assert again.present()
    assert again.uuid == made.uuid


@posix
def test_a_mount_point_in_the_hidden_folder_is_absence(tmp_path: Path, state: Path) -> None:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("needs the right to mount")
    folder = adopt(tmp_path / "BOARD", "S1", state)
    assert folder.present()
    inner = folder.path / HIDDEN
    if subprocess.run(["mount", "--bind", str(inner), str(inner)], check=False, capture_output=True).returncode:
        pytest.skip("may not mount here")
    try:
        assert "mount point" in absent(folder)
    finally:
        subprocess.run(["umount", str(inner)], check=True)
    assert folder.present()
