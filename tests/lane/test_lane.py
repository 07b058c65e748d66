"""One board's drops from the folder to the answer: one right answer each, whatever is dropped and however."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msdflash.drop.spool import Spool, SpoolError
from msdflash.job.order import FlashOrder
from msdflash.job.outcome import Failure, Outcome
from msdflash.job.steps import Step

HEX = b":020000040800F2\r\n:00000001FF\r\n"
posix = pytest.mark.skipif(os.name != "posix", reason="needs links that any user may make, and pipes")
Eventually = Callable[..., None]


def test_a_good_drop_and_a_bad_one(rig: Any) -> None:
    rig.start()
    rig.wait_count(0)
    assert rig.read("FAIL.TXT") is None
    rig.drop("a.hex", HEX)
    rig.wait_count(1)
    assert rig.read("FAIL.TXT") is None
    assert rig.users_files() == set()
    assert not list((rig.state / "spool").iterdir())
    rig.drop("b.bin", b"FAIL this one")
    rig.wait_count(2)
    assert rig.read("FAIL.TXT") == b"error: verify\r\ntype: target\r\n"
    assert rig.read("MBED.HTM")
    assert rig.users_files() == set()
    [kept] = rig.kept.iterdir()
    assert kept.read_bytes() == b"FAIL this one"
    assert str(kept) == rig.lines("answer")[1]["kept"]
    rig.drop("a.hex", HEX)
    rig.wait_count(3)
    assert rig.read("FAIL.TXT") is None
    assert rig.answers() == [("a.hex", "proved"), ("b.bin", "verify"), ("a.hex", "proved")]
    assert all(line["whole"] and not line["resumed"] for line in rig.lines("run"))
    assert [event.what for event in rig.events if event.what != "message"] == ["taken", "started", "answered", "cleared"] * 3


def test_the_old_fail_txt_goes_when_a_job_starts(rig: Any) -> None:
    seen: list[bytes | None] = []
    rig.during = lambda order: seen.append(rig.read("FAIL.TXT"))
    rig.start()
    rig.drop("a.bin", b"FAIL")
    rig.wait_count(1)
    assert rig.read("FAIL.TXT")
    rig.drop("b.bin", b"good")
    rig.wait_count(2)
    assert seen == [None, None]


def test_two_at_once_and_what_was_there_before_the_start(rig: Any) -> None:
    rig.start()
    rig.wait_count(0)
    rig.stop()
    rig.drop("a.hex", HEX)
    rig.drop("b.bin", b"FAIL")
    rig.drop("c.bin", b"good")
    rig.start()
    rig.wait_count(3)
    assert sorted(rig.answers()) == [("a.hex", "proved"), ("b.bin", "verify"), ("c.bin", "proved")]
    assert rig.users_files() == set()
    rig.stop()
    rig.start()
    rig.settle(0.15)
    assert (len(rig.answers()), rig.count()) == (3, 3)


def test_many_files_are_answered_in_turn_with_few_copies_ahead(rig: Any) -> None:
    rig.start(hold=0.0, fail_hold=0.0, most_taken=4)
    rig.wait_count(0)
    most = [0]
    rig.during = lambda order: most.__setitem__(0, max(most[0], len(list((rig.state / "spool").iterdir()))))
    for number in range(30):
        rig.drop(f"{number:02}.bin", b"image %d" % number)
    rig.wait_count(30, 15)
    assert sorted(name for name, _ in rig.answers()) == [f"{number:02}.bin" for number in range(30)]
    assert most[0] <= 4


@posix
def test_what_is_no_image_gets_its_cause_and_nothing_is_followed_or_lost(rig: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.hex"
    secret.write_bytes(HEX)
    rig.start()
    rig.wait_count(0)
    (rig.root / "._clutter.hex").write_bytes(HEX)
    (rig.root / "System Volume Information").mkdir()
    (rig.root / "link.hex").symlink_to(secret)
    (rig.root / "folder").mkdir()
    (rig.root / "folder" / "inner.hex").write_bytes(HEX)
    os.mkfifo(rig.root / "pipe.hex")
    (rig.root / "empty.hex").touch()
    (rig.root / "big.bin").write_bytes(bytes(100_001))
    (rig.root / "x.hex.crdownload").write_bytes(HEX)
    with socket.socket(socket.AF_UNIX) as server:
        directory = os.open(rig.root, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{directory}/sock.hex" if Path("/proc/self/fd").exists() else str(rig.root / "sock.hex"))
        os.close(directory)
    rig.wait_count(7)
    assert dict(rig.answers()) == {
        "link.hex": "symlink",
        "folder": "dropped-folder",
        "pipe.hex": "special-file",
        "sock.hex": "special-file",
        "empty.hex": "image-empty",
        "big.bin": "image-huge",
        "x.hex.crdownload": "half-download",
    }
    assert len(rig.answers()) == 7
    facts = {line["name"]: line["facts"] for line in rig.lines("answer")}
    assert facts["link.hex"]["target"] == str(secret)
    assert facts["pipe.hex"]["type"] == "named pipe"
    assert facts["big.bin"] == {"name": "big.bin", "size": 100_001, "limit": 100_000}
    assert rig.users_files() == {"._clutter.hex", "System Volume Information"}
    assert secret.read_bytes() == HEX
    for line in rig.lines("answer"):
        kept = Path(line["kept"])
        assert kept.is_symlink() is False
        assert kept.exists(), line
    assert not rig.lines("run")


@posix
def test_names_that_are_no_text(rig: Any) -> None:
    rig.start()
    rig.wait_count(0)
    for name in (b"caf\xe9.hex", b"new\nline.hex", b"-rf.hex", b"x" * 251 + b".hex"):
        (Path(os.fsdecode(os.fsencode(rig.root) + b"/" + name))).write_bytes(HEX)
    rig.wait_count(4)
    assert {what for _, what in rig.answers()} == {"proved"}
    assert {"caf\\udce9.hex", "new\\nline.hex", "-rf.hex"} < {name for name, _ in rig.answers()}
    assert rig.users_files() == set()


def test_a_new_image_of_the_same_name_while_the_first_is_flashed(rig: Any) -> None:
    def overwrite(order: FlashOrder) -> None:
        if len(rig.lines("run")) == 1:
            (rig.root / "a.bin").write_bytes(b"FAIL, the second image")

    rig.during = overwrite
    rig.start()
    rig.drop("a.bin", b"first image")
    rig.wait_count(2)
    assert rig.answers() == [("a.bin", "proved"), ("a.bin", "verify")]
    assert [line["text"] for line in rig.lines("run")] == ["first image", "FAIL, the se"]
    assert rig.users_files() == set()
    assert rig.read("FAIL.TXT")


def test_a_file_that_grew_after_it_was_taken_is_taken_again_as_the_same_drop(rig: Any) -> None:
    def grow(order: FlashOrder) -> None:
        if len(rig.lines("run")) == 1:
            with (rig.root / "a.bin").open("ab") as file:
                file.write(b" and the rest FAIL")

    rig.during = grow
    rig.start()
    rig.drop("a.bin", b"half")
    rig.wait_count(1)
    rig.settle(0.15)
    assert rig.answers() == [("a.bin", "verify")]
    runs = rig.lines("run")
    assert [line["size"] for line in runs] == [4, 22]
    assert runs[0]["run"] == runs[1]["run"]
    assert (rig.count(), rig.users_files()) == (1, set())
    assert [path.read_bytes() for path in rig.kept.iterdir()] == [b"half and the rest FAIL"]


def test_a_file_that_goes_on_growing_is_answered_all_the_same(rig: Any) -> None:
    def grow(order: FlashOrder) -> None:
        if len(rig.lines("run")) <= 3:
            with (rig.root / "a.bin").open("ab") as file:
                file.write(b"+more")

    rig.during = grow
    rig.start()
    rig.drop("a.bin", b"half")
    rig.wait_count(2)
    rig.settle(0.15)
    assert [line["size"] for line in rig.lines("run")] == [4, 9, 14, 19]
    assert len({line["run"] for line in rig.lines("run")}) == 2
    assert rig.users_files() == set()


def test_times_set_after_the_last_byte_make_no_second_drop(rig: Any) -> None:
    rig.during = lambda order: os.utime(rig.root / order.name, (1e9, 1e9))
    rig.start()
    rig.drop("a.hex", HEX)
    rig.wait_count(1)
    rig.settle(0.15)
    assert (rig.answers(), rig.users_files()) == ([("a.hex", "proved")], set())


def test_a_rename_or_removal_after_the_taking(rig: Any) -> None:
    rig.during = lambda order: (rig.root / "a.hex").rename(rig.root / "b.hex") if order.name == "a.hex" else (rig.root / "c.hex").unlink()
    rig.start()
    rig.drop("a.hex", HEX)
    rig.wait_count(1)
    rig.drop("c.hex", HEX)
    rig.wait_count(2)
    rig.settle(0.15)
    assert rig.answers() == [("a.hex", "proved"), ("c.hex", "proved")]
    assert rig.users_files() == set()


def test_a_dropped_file_stays_for_a_while_after_the_last_event(rig: Any, eventually: Eventually) -> None:
    rig.start(hold=0.3)
    rig.wait_count(0)
    path = rig.drop("a.hex", HEX)
    eventually(lambda: any(event.what == "answered" for event in rig.events))
    os.utime(path, (1e9, 1e9))  # a copier's last act; without the hold the file would be gone by now
    assert path.exists()
    rig.wait_count(1)
    assert rig.answers() == [("a.hex", "proved")]
    assert rig.users_files() == set()


def test_an_absent_folder_is_waited_for(rig: Any, tmp_path: Path, eventually: Eventually) -> None:
    rig.start()
    rig.wait_count(0)
    rig.root.rename(tmp_path / "aside")
    eventually(lambda: rig.lane.status().state == "absent")
    rig.root.mkdir()
    (rig.root / "a.hex").write_bytes(HEX)
    rig.settle(0.15)
    assert [path.name for path in rig.root.iterdir()] == ["a.hex"]
    (rig.root / "a.hex").unlink()
    rig.root.rmdir()
    (tmp_path / "aside" / "b.hex").write_bytes(HEX)
    (tmp_path / "aside").rename(rig.root)
    rig.wait_count(1)
    assert rig.answers() == [("b.hex", "proved")]
    assert [event.what for event in rig.events[:2]] == ["absent", "back"]


def test_a_folder_that_goes_during_the_job_gets_its_answer_when_it_is_back(rig: Any, tmp_path: Path, eventually: Eventually) -> None:
    rig.during = lambda order: rig.root.rename(tmp_path / "aside")
    rig.start()
    rig.drop("a.bin", b"FAIL")
    eventually(lambda: rig.lane.status().state == "absent" and rig.answers())
    rig.settle(0.15)
    (tmp_path / "aside").rename(rig.root)
    rig.wait_count(1)
    assert rig.answers() == [("a.bin", "verify")]
    assert rig.users_files() == set()
    assert rig.read("FAIL.TXT")


def test_a_full_disk_is_told_and_the_file_taken_later(rig: Any, monkeypatch: pytest.MonkeyPatch, eventually: Eventually) -> None:
    copy, full = Spool.copy, [True]

    def copy_or_not(self: Spool, *values: Any) -> Any:
        if full[0]:
            raise SpoolError(OSError(errno.ENOSPC, "No space left on device"))
        return copy(self, *values)

    monkeypatch.setattr(Spool, "copy", copy_or_not)
    monkeypatch.setattr("msdflash.daemon.takes._FULL_AGAIN", 0.1)
    rig.start()
    rig.drop("a.hex", HEX)
    eventually(lambda: rig.count() == 1)
    assert rig.read("FAIL.TXT") == b"error: disk-full\r\ntype: target\r\n"
    rig.settle(0.15)
    assert rig.users_files() == {"a.hex"}
    assert [(line["what"], line["final"]) for line in rig.lines("answer")] == [("disk-full", False)]
    full[0] = False
    rig.wait_count(2)
    assert [(line["what"], line["final"]) for line in rig.lines("answer")] == [("disk-full", False), ("proved", True)]
    assert len({line["answer"] for line in rig.lines("answer")}) == 1
    assert rig.users_files() == set()
    assert rig.read("FAIL.TXT") is None


def test_a_failing_engine_or_report_is_answered_too(rig: Any) -> None:
    def broken(*values: object) -> Any:
        raise RuntimeError("scripted")

    rig.start(run_job=broken)
    rig.drop("a.hex", HEX)
    rig.wait_count(1)
    assert rig.answers() == [("a.hex", "unexpected")]
    rig.stop()
    rig.start(answer=broken)
    rig.drop("b.bin", b"FAIL")
    rig.wait_count(2)
    assert rig.read("FAIL.TXT") == b"error: An internal error has occurred\r\ntype: internal\r\n"
    assert rig.users_files() == set()


def test_stopping_before_the_erase_calls_the_job_off_and_does_it_later(rig: Any, eventually: Eventually) -> None:
    aborted = threading.Event()
    rig.abort = aborted.set

    def patient(order: FlashOrder, hear: Callable[[Any], None]) -> Outcome:
        hear(rig.scripted.Begin(Step.CONNECT, 5.0, 0.0))
        assert aborted.wait(5)
        return Outcome(order.job, failure=Failure(Step.CONNECT, "cancelled", "asked to"))

    for _ in range(3):  # being stopped is no crash: it never counts as one
        aborted.clear()
        rig.start(run_job=patient)
        if not rig.users_files():
            rig.drop("a.hex", HEX)
        eventually(lambda: rig.lane.status().state == "flashing" and rig.lane.status().step is Step.CONNECT)
        rig.stop()
        assert aborted.is_set()
        assert not rig.answers()
    rig.start()
    rig.wait_count(1)
    assert rig.answers() == [("a.hex", "proved")]
    assert not rig.lines("run")[0]["resumed"]


def test_stopping_during_the_erase_waits_for_the_answer(rig: Any, eventually: Eventually) -> None:
    go_on = threading.Event()
    rig.abort = lambda: pytest.fail("must not be called off now")

    def slow(order: FlashOrder, hear: Callable[[Any], None]) -> Outcome:
        hear(rig.scripted.Begin(Step.ERASE, 5.0, 0.0))
        hear(rig.scripted.Touched(rig.scripted.Changed(connected=True, erased=1024)))
        assert go_on.wait(5)
        return Outcome(order.job, proved=True)

    rig.start(run_job=slow)
    rig.drop("a.hex", HEX)
    eventually(lambda: rig.lane.status().step is Step.ERASE)
    rig.lane.stop()
    rig.settle(0.1)
    assert rig.thread.is_alive()
    go_on.set()
    rig.stop()
    assert rig.answers() == [("a.hex", "proved")]
    rig.start()
    rig.wait_count(1)
    assert rig.answers() == [("a.hex", "proved")]
    assert rig.users_files() == set()


def test_empty_folders_vanish_with_the_next_remount_as_on_a_real_drive(rig: Any) -> None:
    rig.start()
    rig.wait_count(0)
    (rig.root / "made by a tool").mkdir()
    rig.drop("a.hex", HEX)
    rig.wait_count(1)
    rig.settle(0.15)
    assert (rig.answers(), rig.users_files()) == ([("a.hex", "proved")], set())
    (rig.root / "alone").mkdir()
    rig.wait_count(2)
    assert rig.answers()[1:] == [("alone", "dropped-folder")]


def test_a_watch_makes_it_quick_at_a_slow_scan(rig: Any, eventually: Eventually) -> None:
    rig.start(watch=True, slow=30.0)
    eventually(lambda: rig.lane.status().watched and rig.lane.status().state == "idle")
    rig.settle(0.1)
    rig.drop("a.hex", HEX)
    rig.wait_count(1)


def test_at_rest_it_looks_seldom(rig: Any, eventually: Eventually) -> None:
    rig.start(watch=True, slow=0.5)
    eventually(lambda: rig.lane.status().watched and rig.lane.status().state == "idle")
    passes: list[int] = []
    once = rig.lane.once

    def counted() -> float:
        passes.append(1)
        return float(once())

    rig.lane.once = counted
    rig.settle(0.9)
    assert 1 <= len(passes) <= 5


def test_an_answer_that_cannot_be_recorded_at_once_is_not_flashed_again(rig: Any) -> None:
    lane = rig.start()
    write, refuse = lane.journal.write, [4]

    def full(record: Any) -> None:
        if type(record).__name__ == "Answered" and refuse[0]:
            refuse[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        write(record)

    lane.journal.write = full
    rig.drop("a.bin", b"FAIL")
    rig.wait_count(1)
    assert (len(rig.lines("run")), refuse[0], rig.count()) == (1, 0, 1)


def test_a_restart_leaves_no_old_files_of_ours_in_the_store(rig: Any) -> None:
    rig.start()
    rig.drop("a.bin", b"FAIL")
    rig.wait_count(1)
    rig.stop()
    rig.scripted.resting = lambda count: rig.scripted.Publication(b"Remount count: %d\r\nnew\r\n" % count, b"<html>new</html>")
    (rig.root / "MBED.HTM").write_bytes(b"\x00image\x00")
    rig.start()
    rig.wait_count(1)
    rig.settle(0.15)
    assert rig.read("DETAILS.TXT") == b"Remount count: 1\r\nnew\r\n"
    assert rig.read("MBED.HTM") == b"<html>new</html>"
    assert rig.read("FAIL.TXT")
    assert sorted(path.read_bytes() for path in rig.kept.iterdir()) == [b"\x00image\x00", b"FAIL"]


def test_refreshed_facts_are_published_at_rest(rig: Any, eventually: Eventually) -> None:
    rig.start()
    rig.wait_count(0)
    rig.drop("a.bin", b"FAIL")
    rig.wait_count(1)
    details = b"Remount count: %d\r\nProbe: gone\r\n"
    rig.lane._answers._resting = lambda count: rig.scripted.Publication(details % count, b"<html></html>\r\n")
    rig.lane.refresh()
    eventually(lambda: rig.read("DETAILS.TXT") == b"Remount count: 1\r\nProbe: gone\r\n")
    assert rig.read("FAIL.TXT")


def test_a_folder_on_another_file_system_keeps_what_cannot_be_moved_in_itself(rig: Any, eventually: Eventually) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == rig.root.parent.stat().st_dev:
        pytest.skip("no second file system at hand")
    with tempfile.TemporaryDirectory(dir=elsewhere) as folder:
        rig.root = Path(folder) / "BOARD"
        rig.start()
        rig.wait_count(0)
        (rig.root / "folder").mkdir()
        (rig.root / "folder" / "inner").write_bytes(b"x")
        rig.wait_count(1)
        kept = Path(rig.lines("answer")[0]["kept"])
        assert kept.parent == rig.root / ".msdflash" / "not-flashed"
        assert (kept / "inner").read_bytes() == b"x"
        source = rig.root.parent / "a.bin"
        source.write_bytes(b"FAIL")
        source.replace(rig.root / "a.bin")
        rig.wait_count(2)
        assert Path(rig.lines("answer")[1]["kept"]).read_bytes() == b"FAIL"
        rig.stop()
