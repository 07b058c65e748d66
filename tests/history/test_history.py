"""What was answered is kept once, bounded, whatever was torn before, and found again."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from msdflash.daemon import history
from msdflash.daemon.history import History, Record


def record(number: int, board: str = "left", cause: str | None = None, image: bytes = b"") -> Record:
    sha = hashlib.sha256(image).hexdigest()
    report = {
        "time": f"2026-11-{1 + number % 28:02}T09:00:00+00:00",
        "outcome": "not-flashed" if cause else "flashed",
        "cause": cause,
        "image": {"sha256": sha},
    }
    return Record(f"20261101T09{number:04}", "S1", board, report)


def test_what_was_added_is_found_newest_first(tmp_path: Path) -> None:
    kept = History(tmp_path / "history")
    assert list(kept.records()) == []
    for number in range(5):
        assert kept.add(record(number, cause="rdp1" if number % 2 else None, board="right" if number == 4 else "left"))
    again = History(tmp_path / "history")
    assert [item.job[-1] for item in again.records()] == ["4", "3", "2", "1", "0"]
    assert [item.job[-1] for item in again.records(cause="rdp1")] == ["3", "1"]
    assert [item.job[-1] for item in again.records(board="RIGHT")] == ["4"]
    assert len(list(again.records(board="s1"))) == 5
    assert [item.job[-1] for item in again.records(since="2026-11-04")] == ["4", "3"]
    assert again.counts() == {("left", "flashed"): 2, ("left", "rdp1"): 2, ("right", "flashed"): 1}
    assert again.job("20261101T090003") == record(3, cause="rdp1")
    assert again.job("20261101T09") is None  # of several, none is guessed
    assert again.job("") is None


def test_a_job_is_kept_once(tmp_path: Path) -> None:
    kept = History(tmp_path)
    for _ in range(2):
        assert kept.add(record(1))
    assert len(list(kept.records())) == 1


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    kept = History(tmp_path)
    kept.add(record(1))
    segment = tmp_path / "history-000001.jsonl"
    segment.write_bytes(segment.read_bytes() + b'{"job":"torn')
    kept.add(record(2))
    assert [item.job[-1] for item in kept.records()] == ["2", "1"]
    segment.write_bytes(b"\x00\xff nonsense\n" + segment.read_bytes())
    assert len(list(kept.records())) == 2


def test_it_stays_within_its_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SEGMENT", 2000)
    kept = History(tmp_path, most_bytes=8000, most_images=3000)
    for number in range(200):
        image = tmp_path / "image"
        image.write_bytes(b"%04d" % number * 250)
        kept.add(record(number, image=image.read_bytes()), image)
        image.unlink()
    assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) <= 8000 + 2000
    assert sum(path.stat().st_size for path in (tmp_path / "images").iterdir()) <= 3000
    newest = next(kept.records())
    found = kept.image(newest.sha256)
    assert found is not None
    assert found.read_bytes() == b"0199" * 250
    assert kept.image(record(0, image=b"0000" * 250).sha256) is None
    assert kept.image("../../etc/passwd") is None


def test_several_may_add_at_once(tmp_path: Path) -> None:
    def add(first: int) -> None:
        for number in range(first, first + 20):
            assert History(tmp_path).add(record(number))

    threads = [threading.Thread(target=add, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({item.job for item in History(tmp_path).records()}) == 60


def test_what_cannot_be_kept_is_told_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert not History(tmp_path / "file").add(record(1))
    assert "not kept in the history" in caplog.text
