"""A volume's file operations, without a mount: names as on FAT, who writes, and when nobody does any more."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.drop.intake import Intake
from msdflash.drop.place import Place
from msdflash.drop.settle import Action, Content, Facts, Quiet, Writer, judge
from msdflash.drop.sight import EntryKind, look
from msdflash.volume.passthrough import SIZE, Passthrough, Released

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only on Linux: the operations of a FUSE mount")


class Volume:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.told: list[Released] = []
        self.files = Passthrough(root, self.told.append)

    def put(self, path: str, *parts: bytes) -> None:
        handle, offset = self.files.create(path), 0
        for part in parts:
            offset += self.files.write(handle, part, offset)
        self.files.release(path, handle)

    def get(self, path: str) -> bytes:
        handle = self.files.open(path, os.O_RDONLY)
        try:
            return self.files.read(handle, 1 << 20, 0)
        finally:
            self.files.release(path, handle)

    def fails(self, number: int, call: Callable[..., object], *args: object) -> bool:
        with pytest.raises(OSError, match=r".*") as caught:
            call(*args)
        return caught.value.errno == number


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    (tmp_path / "root" / ".msdflash").mkdir(parents=True)
    (tmp_path / "root" / "DETAILS.TXT").write_bytes(b"facts")
    (tmp_path / "root" / "details.txt").write_bytes(b"facts")
    made = Volume(tmp_path / "root")
    yield made
    made.files.close()


def test_case_does_not_matter_and_the_first_spelling_stays(volume: Volume) -> None:
    assert volume.files.names("/") == ["DETAILS.TXT"]
    assert volume.get("/Details.Txt") == b"facts"
    volume.put("/App.BIN", b"one")
    volume.put("/APP.bin", b"two")
    assert sorted(volume.files.names("/")) == ["App.BIN", "DETAILS.TXT"]
    assert (volume.root / "App.BIN").read_bytes() == b"two"
    volume.files.rename("/app.bin", "/APP.BIN")
    assert (volume.root / "APP.BIN").read_bytes() == b"two"
    assert not (volume.root / "App.BIN").exists()
    volume.files.unlink("/app.BIN")
    assert volume.files.names("/") == ["DETAILS.TXT"]
    volume.files.mkdir("/Folder")
    volume.put("/FOLDER/a.txt", b"x")
    assert volume.files.names("/folder") == ["a.txt"]
    assert volume.fails(errno.ENOTEMPTY, volume.files.rmdir, "/folder")
    volume.files.unlink("/folder/A.TXT")
    volume.files.rmdir("/folder")
    assert not (volume.root / "Folder").exists()


def test_what_fat_cannot_hold_and_our_own_folder_are_not_there(volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (volume.root / "link").symlink_to(tmp_path / "secret")
    (volume.root / "away").symlink_to(tmp_path)
    if sys.platform != "win32":
        os.mkfifo(volume.root / "pipe")
    assert volume.files.names("/") == ["DETAILS.TXT"]
    for path in ("/link", "/pipe", "/away", "/.msdflash", "/.MSDFLASH", "/.msdflash/drive.json", "/none"):
        assert volume.fails(errno.ENOENT, volume.files.status, path)
        assert volume.fails(errno.ENOENT, volume.files.open, path, os.O_RDONLY)
    for path in ("/.msdflash/x", "/.MsdFlash/x"):
        assert volume.fails(errno.ENOENT, volume.files.create, path)
    with pytest.raises(OSError, match=r".*"):
        volume.files.status("/away/secret")
    with pytest.raises(OSError, match=r".*"):
        volume.files.create("/link")
    for path in ("/..", "/../secret", "/./DETAILS.TXT"):
        assert volume.fails(errno.ENOENT, volume.files.status, path)
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_the_last_writer_that_closes_makes_a_file_whole(volume: Volume) -> None:
    first = volume.files.create("/a.bin")
    assert volume.files.writers("/A.BIN") == 1
    second = volume.files.open("/A.bin", os.O_WRONLY)
    reader = volume.files.open("/a.bin", os.O_RDONLY)
    assert volume.files.writers("/a.bin") == 2
    volume.files.write(first, b"12345", 0)
    volume.files.release("/a.bin", first)
    assert volume.told == []
    volume.files.release("/A.bin", second)
    (told,) = volume.told
    status = (volume.root / "a.bin").stat()
    assert (told.name, told.size, told.mtime_ns) == ("a.bin", 5, status.st_mtime_ns)
    assert volume.files.read(reader, 9, 1) == b"2345"
    volume.files.release("/a.bin", reader)
    assert len(volume.told) == 1  # a reader is no writer
    volume.files.set_times("/a.bin", (1, 2_000_000_000))
    assert volume.told[-1].mtime_ns == 2_000_000_000
    volume.files.rename("/a.bin", "/b.bin")
    assert volume.told[-1].name == "b.bin"
    assert volume.files.writers("/b.bin") == 0


def test_a_name_that_is_taken_away_while_it_is_written_is_not_told(volume: Volume) -> None:
    handle = volume.files.create("/a.bin")
    volume.files.write(handle, b"x", 0)
    volume.files.unlink("/a.bin")
    assert volume.files.status("/a.bin", handle).st_size == 1
    volume.files.release("/a.bin", handle)
    assert volume.told == []


def test_a_copy_that_does_not_fit_is_not_whole(volume: Volume) -> None:
    handle = volume.files.create("/huge.bin")
    assert volume.fails(errno.ENOSPC, volume.files.write, handle, b"xx", SIZE - 1)
    assert volume.fails(errno.ENOSPC, volume.files.truncate, "/huge.bin", SIZE + 1)
    volume.files.release("/huge.bin", handle)
    assert volume.told == []
    assert volume.fails(errno.EBADF, volume.files.read, handle, 1, 0)
    space = volume.files.space()
    assert space["f_blocks"] * space["f_frsize"] == SIZE
    assert space["f_bavail"] <= space["f_blocks"]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in {".", ".."}
)


@settings(max_examples=25, deadline=None)
@given(NAMES, st.binary(max_size=40))
def test_any_name_is_written_once_and_read_back(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    root = tmp_path_factory.mktemp("root")
    volume = Volume(root)
    if name.casefold() == ".msdflash":
        return
    volume.put(f"/{name}", data)
    assert volume.get(f"/{name}") == data
    assert [told.name for told in volume.told] == [name]
    assert volume.files.names("/") == [name]


@pytest.mark.parametrize(
    ("content", "released", "seconds"),
    [
        (Content.UNKNOWN, True, 0.3),
        (Content.UNKNOWN, False, 1.0),
        (Content.WHOLE, True, 0.3),
        (Content.CUT, True, 3.0),  # a copy that was called off is closed, too
    ],
)
def test_a_close_that_was_seen_shortens_the_wait_of_what_has_no_end_mark(content: Content, released: bool, seconds: float) -> None:
    for quiet, action in ((seconds - 0.01, Action.WAIT), (seconds, Action.TAKE)):
        facts = Facts(EntryKind.FILE, 3000, quiet, content=content, writer=Writer.NONE, released=released)
        assert judge(facts, Quiet()).action is action


def test_a_close_counts_only_for_the_file_as_it_was_then(tmp_path: Path) -> None:
    now = [0.0]
    intake = Intake(Quiet(), lambda: now[0])
    (tmp_path / "a.bin").write_bytes(bytes(range(200)))
    with Place.open(tmp_path) as place:
        (sight,) = look(place)

        def ready_after(seconds: float) -> bool:
            now[0] += seconds
            return bool(intake.look(place, skip=lambda _: False).ready)

        assert not ready_after(0)
        intake.released("a.bin", sight.identity, sight.size, sight.mtime_ns - 1)
        assert not ready_after(0.35)
        intake.released("a.bin", sight.identity, sight.size, sight.mtime_ns)
        assert ready_after(0)
        (tmp_path / "a.bin").unlink()
        ready_after(0)
        assert intake._released == {}
