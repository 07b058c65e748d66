"""Publishing: the order that readers rely on, atomic files, and our files restored without losing anybody else's."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from msdflash.drive.folder import Folder, adopt
from msdflash.drive.publish import Publication, Publisher
from msdflash.drop.attic import Attic


def publication(count: int, *, fail: bool, extras: dict[str, bytes] | None = None) -> Publication:
    text = b"error: %d\r\ntype: target\r\n" % count * 200
    return Publication(b"Remount count: %d\r\n" % count, b"<html></html>\r\n", text if fail else None, extras or {})


class Desk:
    def __init__(self, tmp_path: Path) -> None:
        self.folder: Folder = adopt(tmp_path / "BOARD", "S1", tmp_path / "state")
        self.root = self.folder.path
        self.kept = tmp_path / "state" / "not-flashed"
        self.now = 100.0
        self.publisher = Publisher(self.folder, Attic(self.kept), lambda: self.now)

    def publish(self, what: Publication, retire: Callable[[], None] = lambda: None) -> None:
        with self.folder.opened() as opened:
            self.publisher.publish(opened, what, retire)

    def begin(self) -> None:
        with self.folder.opened() as opened:
            self.publisher.begin(opened)

    def rest(self, what: Publication, seconds: float = 0.0) -> float | None:
        self.now += seconds
        with self.folder.opened() as opened:
            return self.publisher.rest(opened, what)

    def names(self) -> set[str]:
        return {name for name in (path.name for path in self.root.iterdir()) if not name.startswith(".")}

    def kept_contents(self) -> list[bytes]:
        return sorted(path.read_bytes() for path in self.kept.iterdir() if path.is_file()) if self.kept.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_files_come_and_go(desk: Desk) -> None:
    base = {"DETAILS.TXT", "MBED.HTM"} | ({"details.txt", "mbed.htm"} if desk.folder.cased else set())
    desk.publish(publication(1, fail=True, extras={"FAIL.HTM": b"long"}))
    assert desk.names() == base | {"FAIL.TXT", "FAIL.HTM"}
    assert (desk.root / "details.txt").read_bytes() == b"Remount count: 1\r\n"
    if os.name == "posix":
        assert (desk.root / "FAIL.TXT").stat().st_mode & 0o777 == 0o644
    desk.begin()
    assert desk.names() == base
    desk.publish(publication(2, fail=False))
    assert desk.names() == base
    assert not desk.kept_contents()
    desk.publish(publication(3, fail=True))
    desk.publish(publication(3, fail=True))  # repeated after a kill
    desk.publish(publication(4, fail=False))
    assert desk.names() == base
    assert not desk.kept_contents()
    assert not list((desk.root / ".msdflash" / "tmp").iterdir())


def test_the_order_holds_for_readers_that_never_sleep(desk: Desk) -> None:
    """The file gone means that FAIL.TXT is right; a new count means that FAIL.TXT is right; MBED.HTM is never missing; nothing is half."""
    rounds = 60
    desk.publish(publication(0, fail=False))
    stop = threading.Event()
    wrong: list[str] = []
    looks = [0]
    expecting = [0]  # the round in which the file, once gone, must have left FAIL.TXT behind; 0 while a new round begins

    def read(name: str) -> bytes | None:
        try:
            return (desk.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def hammer() -> None:
        while not stop.is_set():
            first = read("DETAILS.TXT")
            expected = expecting[0]
            gone = not (desk.root / "a.hex").exists()
            fail = read("FAIL.TXT")
            steady = expected != 0 and expecting[0] == expected
            if not (desk.root / "MBED.HTM").exists() or first is None:
                wrong.append("MBED.HTM or DETAILS.TXT missing")
                continue
            count = int(first.removeprefix(b"Remount count: "))
            whole = {publication(number, fail=True).fail for number in (count, count + 1)} | {None}
            if fail not in whole:
                wrong.append(f"count {count}: torn or old FAIL.TXT {fail!r:.40}")
            if gone and steady and fail is None:
                wrong.append(f"count {count}: the file is gone and there is no FAIL.TXT")
            looks[0] += 1

    reader = threading.Thread(target=hammer)
    reader.start()
    deadline = time.monotonic() + 10
    try:
        for count in range(1, rounds + 1):
            expecting[0] = 0
            (desk.root / "a.hex").write_bytes(b"x")
            desk.begin()
            expecting[0] = count
            desk.publish(publication(count, fail=True), (desk.root / "a.hex").unlink)
            assert time.monotonic() < deadline
            # The next job starts only once the reader has seen this state; otherwise old and new could not be told apart.
            seen = looks[0]
            while looks[0] < seen + 3 and not wrong:
                assert time.monotonic() < deadline
                time.sleep(0.001)
    finally:
        stop.set()
        reader.join()
    assert not wrong, wrong[:3]
    assert looks[0] > rounds


def test_the_retiring_step_stands_between(desk: Desk) -> None:
    desk.publish(publication(1, fail=False))
    seen: list[tuple[bytes, bytes, bool]] = []

    def retire() -> None:
        seen.append(((desk.root / "FAIL.TXT").read_bytes(), (desk.root / "DETAILS.TXT").read_bytes(), (desk.root / "MBED.HTM").exists()))

    wanted = publication(2, fail=True)
    desk.publish(wanted, retire)
    assert seen == [(wanted.fail, b"Remount count: 1\r\n", True)]
    assert (desk.root / "DETAILS.TXT").read_bytes() == b"Remount count: 2\r\n"


def test_overwritten_files_of_ours_are_restored_and_the_other_content_kept(desk: Desk) -> None:
    wanted = publication(1, fail=True)
    desk.publish(wanted)
    assert desk.rest(wanted) is None
    (desk.root / "DETAILS.TXT").write_bytes(b"my notes")
    assert desk.rest(wanted) is not None  # the writer may not be done
    assert (desk.root / "DETAILS.TXT").read_bytes() == b"my notes"
    (desk.root / "DETAILS.TXT").write_bytes(b"my notes, more")
    assert desk.rest(wanted, 0.6) is not None
    assert desk.rest(wanted, 0.6) is not None
    assert desk.rest(wanted, 0.6) is None
    assert (desk.root / "DETAILS.TXT").read_bytes() == wanted.details
    assert desk.kept_contents() == [b"my notes, more"]


def test_removed_files_come_back_but_a_removed_fail_txt_stays_removed(desk: Desk) -> None:
    wanted = publication(1, fail=True)
    desk.publish(wanted)
    for name in ("DETAILS.TXT", "MBED.HTM", "FAIL.TXT"):
        (desk.root / name).unlink()
    desk.rest(wanted)
    assert {"DETAILS.TXT", "MBED.HTM"} <= desk.names()
    assert "FAIL.TXT" not in desk.names()


def test_a_fail_txt_that_is_not_ours_is_moved_away(desk: Desk) -> None:
    wanted = publication(1, fail=False)
    desk.publish(wanted)
    (desk.root / "FAIL.TXT").write_bytes(b"from another board")
    desk.rest(wanted)
    desk.rest(wanted, 1.5)
    assert "FAIL.TXT" not in desk.names()
    assert desk.kept_contents() == [b"from another board"]


def test_touching_without_changing_is_no_change(desk: Desk) -> None:
    wanted = publication(1, fail=True)
    desk.publish(wanted)
    os.utime(desk.root / "FAIL.TXT")
    os.utime(desk.root / "DETAILS.TXT")
    desk.rest(wanted)
    assert desk.rest(wanted, 1.5) is None
    desk.begin()
    assert not desk.kept_contents()


@pytest.mark.skipif(os.name != "posix", reason="needs links that any user may make")
def test_a_folder_or_link_in_our_way_is_moved_and_not_followed(desk: Desk, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (desk.root / "FAIL.TXT").mkdir()
    (desk.root / "FAIL.TXT" / "inner").write_bytes(b"x")
    (desk.root / "DETAILS.TXT").symlink_to(victim)
    wanted = publication(1, fail=True)
    desk.publish(wanted)
    assert (desk.root / "FAIL.TXT").read_bytes() == wanted.fail
    assert (desk.root / "DETAILS.TXT").read_bytes() == wanted.details
    assert not (desk.root / "DETAILS.TXT").is_symlink()
    assert victim.read_bytes() == b"precious"
    assert [path.read_bytes() for path in desk.kept.rglob("inner")] == [b"x"]


def test_names_in_any_case_are_ours(desk: Desk) -> None:
    assert desk.publisher.owns("fail.txt")
    assert desk.publisher.owns("Details.Txt")
    assert not desk.publisher.owns("FAIL.TXT.hex")
    assert not desk.publisher.owns("FAIL.HTM")
    desk.publish(publication(1, fail=True, extras={"FAIL.HTM": b"x"}))
    assert desk.publisher.owns("fail.htm")
