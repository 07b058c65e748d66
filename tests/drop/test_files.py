"""Opened directories, the spool, the "not flashed" store, and who writes a file: nothing is followed, nothing lost."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from msdflash.drop.attic import Attic
from msdflash.drop.content import peek, wholeness
from msdflash.drop.place import HAVE_DIR_FD, Place, patiently, private_directory
from msdflash.drop.settle import Content, Writer
from msdflash.drop.sight import EntryKind, look
from msdflash.drop.spool import ChangedError, Spool, SpoolError
from msdflash.drop.writer import writers_of

posix = pytest.mark.skipif(os.name != "posix", reason="needs links that any user may make, and pipes")
ways = pytest.mark.parametrize("use_fd", [True, False] if HAVE_DIR_FD else [False], ids=lambda fd: "relative" if fd else "by path")


@ways
def test_files_of_a_place(tmp_path: Path, use_fd: bool) -> None:
    with Place.open(tmp_path, use_fd=use_fd) as place:
        place.mkdir("sub")
        place.create("a", b"one", 0o644)
        with pytest.raises(FileExistsError):
            place.create("a", b"two")
        with place.sub("sub") as sub:
            place.replace("a", sub, "b")
            assert (place.names(), sub.names()) == (["sub"], ["b"])
            assert sub.read("b", 2) == b"on"
            assert sub.exists("b")
            sub.unlink("b")
            assert not sub.exists("b")
            sub.sync()
        place.rmdir("sub")
        for bad in ("", ".", "..", "a/b", "../x"):
            with pytest.raises(ValueError, match="plain"):
                place.lstat(bad)
    place.close()


@posix
@ways
def test_a_place_follows_no_link(tmp_path: Path, use_fd: bool) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").symlink_to("secret")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotADirectoryError):
        Place.open(tmp_path / "link", use_fd=use_fd)
    with Place.open(tmp_path, use_fd=use_fd) as place:
        with pytest.raises(NotADirectoryError):
            place.sub("link")
        with pytest.raises(OSError, match=r"symbolic|links"):
            place.read("file", 10)
        with pytest.raises(OSError, match="regular"):
            place.read("pipe", 10)  # and does not wait for a writer
        assert place.readlink("file") == "secret"
        place.unlink("file")
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_sharing_violations_are_waited_out() -> None:
    left = [3]

    def act() -> str:
        if left[0]:
            left[0] -= 1
            error = PermissionError(13, "in use")
            error.winerror = 32  # type: ignore[attr-defined,unused-ignore]
            raise error
        return "done"

    assert patiently(act, pause=0.0) == "done"
    left[0] = 99
    with pytest.raises(PermissionError):
        patiently(act, tries=4, pause=0.0)
    assert left[0] == 95
    with pytest.raises(FileNotFoundError):
        patiently(lambda: Path("/nonexistent/for/sure").stat(), pause=60)


WHOLENESS = [
    (b":00000001FF", Content.WHOLE),
    (b":020000040800F2\r\n:00000001ff\r\n\r\n\x1a", Content.WHOLE),
    (b"\xef\xbb\xbf:00000001FF\n", Content.WHOLE),
    (b":020000040800F2\r\n:10000000", Content.CUT),
    (b":00000001FF\n:0B00", Content.CUT),
    (b"\0" * 5000, Content.CUT),
    (b"x" * 3000 + b"\0" * 1024, Content.CUT),
    (b"x" * 3000 + b"\0" * 1000, Content.UNKNOWN),
    (b"\x7fELF", Content.UNKNOWN),
    (b"", Content.UNKNOWN),
]


def test_wholeness_by_content(tmp_path: Path) -> None:
    for content, expected in WHOLENESS:
        assert wholeness(content[:1024], content[-1024:], len(content)) is expected, content[-40:]
        (tmp_path / "f").write_bytes(content)
        with Place.open(tmp_path) as place:
            [sight] = look(place)
            assert peek(place, sight) == (expected, sight)


def test_a_copy_is_the_file(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.bin").write_bytes(data)
    spool = Spool(tmp_path / "spool")
    with Place.open(tmp_path / "in") as place:
        [sight] = look(place)
        copied = spool.copy(place, sight, "job1", len(data))
        assert copied.sha256 == hashlib.sha256(data).hexdigest() == spool.sha256("job1")
        assert copied.sight == sight
        assert spool.begins(place, sight, "job1")
        with (tmp_path / "in" / "a.bin").open("ab") as file:
            file.write(b"more")
        assert spool.begins(place, sight, "job1")
        with pytest.raises(ChangedError):
            spool.copy(place, sight, "job2", 10_000_000)
        [sight] = look(place)
        with pytest.raises(ChangedError):
            spool.copy(place, sight, "job3", len(data))
    if os.name == "posix":
        assert spool.path.stat().st_mode & 0o777 == 0o700
        assert spool.file("job1").stat().st_mode & 0o777 == 0o600
        assert spool.file("job1").stat().st_nlink == 1
    assert spool.sweep(["nothing"]) == ["job1"]
    assert not list(spool.path.iterdir())


def test_a_full_disk_leaves_no_piece_and_blames_our_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.bin").write_bytes(b"x" * 5000)
    spool = Spool(tmp_path / "spool")

    def write(descriptor: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with Place.open(tmp_path / "in") as place:
        [sight] = look(place)
        with pytest.raises(SpoolError) as caught:
            spool.copy(place, sight, "job1", 10_000)
    assert caught.value.cause.errno == errno.ENOSPC
    assert not list(spool.path.iterdir())


@posix
def test_the_spool_copies_no_link_and_no_pipe(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.hex").write_bytes(b"x")
    spool = Spool(tmp_path / "spool")
    with Place.open(tmp_path / "in") as place:
        [sight] = look(place)
        (tmp_path / "in" / "a.hex").unlink()
        (tmp_path / "in" / "a.hex").symlink_to("/etc/passwd")
        with pytest.raises(OSError, match="symbolic"):
            spool.copy(place, sight, "job", 100)
        (tmp_path / "in" / "a.hex").unlink()
        os.mkfifo(tmp_path / "in" / "a.hex")
        with pytest.raises(ChangedError):
            spool.copy(place, sight, "job", 100)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(NotADirectoryError):
        private_directory(tmp_path / "link")


# --- the "not flashed" store ----------------------------------------------------------------------------------------------------------


def test_the_store_keeps_the_newest_within_both_bounds(tmp_path: Path) -> None:
    attic = Attic(tmp_path / "kept", count=3, size=250)
    (tmp_path / "in").mkdir()
    with Place.open(tmp_path / "in") as place:
        for number in range(5):
            place.create("a.hex", bytes(100))
            attic.accept(place, "a.hex", f"2026-{number}", "a.hex")
        assert not place.names()
    assert attic.trim(keep={"2026-0"}) == ["2026-1-a.hex", "2026-2-a.hex", "2026-3-a.hex"]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["2026-0-a.hex", "2026-4-a.hex"]
    attic.count = 1
    assert attic.trim() == ["2026-0-a.hex"]


def test_two_of_one_name_are_both_kept(tmp_path: Path) -> None:
    attic = Attic(tmp_path / "kept")
    with Place.open(private_directory(tmp_path / "in")) as place:
        for data in (b"1", b"2"):
            place.create("a.hex", data)
            attic.accept(place, "a.hex", "job", "a.hex")
    assert [path.read_bytes() for path in sorted((tmp_path / "kept").iterdir())] == [b"1", b"2"]


@posix
def test_the_store_neither_follows_nor_empties_what_a_link_leads_to(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_bytes(b"x")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(victim)
    folder = tmp_path / "in" / "folder"
    folder.mkdir()
    (folder / "inner").symlink_to(victim)
    os.mkfifo(tmp_path / "in" / "pipe")
    attic = Attic(tmp_path / "kept", count=0)
    with Place.open(tmp_path / "in") as place:
        note = attic.accept(place, "link", "1", "link")
        attic.accept(place, "folder", "2", "folder")
        attic.accept(place, "pipe", "3", "pipe")
    assert str(victim) in note.read_text()
    assert not note.is_symlink()
    assert len(attic.trim()) == 3
    assert not list((tmp_path / "kept").iterdir())
    assert (victim / "precious").read_bytes() == b"x"


@posix
def test_the_store_never_empties_a_mounted_file_system(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("needs the right to mount")
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_bytes(b"x")
    inner = tmp_path / "kept" / "1-folder" / "mnt"
    inner.mkdir(parents=True)
    if subprocess.run(["mount", "--bind", str(victim), str(inner)], check=False, capture_output=True).returncode:
        pytest.skip("may not mount here")
    try:
        assert Attic(tmp_path / "kept", count=0).trim() == []
        assert (victim / "precious").read_bytes() == b"x"
    finally:
        subprocess.run(["umount", str(inner)], check=True)
    assert Attic(tmp_path / "kept", count=0).trim() == ["1-folder"]


# --- who writes -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_a_writer_is_seen_and_a_reader_is_not(tmp_path: Path, eventually: Callable[..., None]) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"x")
    with Place.open(tmp_path) as place:
        [sight] = look(place)
    assert writers_of(sight).writer is Writer.NONE
    with file.open("rb"):
        assert writers_of(sight).writer is Writer.NONE
    program = "import sys; f = open(sys.argv[1], 'ab'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = writers_of(sight)
        assert (found.writer, found.pid) == (Writer.OPEN, child.pid)
        assert found.program
    eventually(lambda: writers_of(sight).writer is Writer.NONE)


def test_entries_are_seen_as_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").touch()
    (tmp_path / "file").write_bytes(b"123")
    with Place.open(tmp_path) as place:
        assert [(sight.name, sight.kind, sight.size) for sight in look(place)] == [
            ("file", EntryKind.FILE, 3),
            ("folder", EntryKind.FOLDER, 1),
        ]
        assert [sight.name for sight in look(place, ["gone", "file"])] == ["file"]
