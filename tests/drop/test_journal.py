"""The journal survives whatever happens to its end, and a full disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.drop.journal import Journal, encode_line, intact
from msdflash.drop.record import Answer, Answered, Cleared, Counted, Drop, Publication, Record, Shelved, Started, Taken


def drop(name: str) -> Drop:
    return Drop(name, b"caf\xe9.hex", "caf\\udce9.hex", "1:2", 3, 4, 5, "2026-01-01T00:00:00+00:00", "ab" * 32, name)


def answered(name: str, remount: int) -> Answered:
    publication = Publication(b"details\r\n", b"<html>", b"error: x\r\ntype: target\r\n", {"FAIL.HTM": b"\x00\xff"})
    return Answered(name, remount, Answer({"job": name, "facts": [1, "zwei", None]}, publication, ok=False))


RECORDS: list[Record] = [
    Taken(drop("a")), Started("a"), answered("a", 1), Cleared("a"),
    Taken(drop("b")), Started("b"), Shelved("b"), Started("b"),
    Taken(drop("c")), answered("c", 2), Cleared("c", left=True), Taken(drop("d")), answered("d", 3),
]  # fmt: skip


def state(journal: Journal) -> tuple[object, ...]:
    entries = {name: (entry.drop, entry.starts, entry.answered) for name, entry in journal.open.items()}
    return entries, journal.left, journal.remount, journal.last


def written(path: Path, records: list[Record]) -> tuple[object, ...]:
    journal = Journal(path)
    for record in records:
        journal.write(record)
    result = state(journal)
    journal.close()
    return result


def reread(path: Path) -> tuple[tuple[object, ...], list[str]]:
    journal = Journal(path, reserve=0)
    result = state(journal), list(journal.told)
    journal.close()
    return result


def test_states_are_read_back_and_survive_compaction(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    before = written(path, RECORDS)
    entries, left, remount, last = before
    assert isinstance(entries, dict)
    assert isinstance(left, dict)
    assert (list(entries), list(left), remount) == (["b", "d"], ["c"], 3)
    assert entries["b"][1] == 1
    assert isinstance(last, Answer)
    assert last.report_json["job"] == "c"
    assert reread(path) == (before, [])  # compacts, as something was cleared
    assert reread(path) == (before, [])
    assert path.stat().st_size < sum(len(encode_line(record)) for record in RECORDS)


def test_a_kept_line_of_a_newer_version_stays(tmp_path: Path) -> None:
    import zlib

    text = b'{"type":"levitated","id":"z"}'
    line = b"%08x %s\n" % (zlib.crc32(text), text)
    path = tmp_path / "j.jsonl"
    path.write_bytes(encode_line(Taken(drop("a"))) + line + encode_line(Started("a")) + b"torn")
    (entries, *_), told = reread(path)
    assert isinstance(entries, dict)
    assert entries["a"][1] == 1
    assert len(told) == 2
    assert line in path.read_bytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damage_to_the_tail_loses_an_intact_record(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = [encode_line(record) for record in RECORDS]
    whole = b"".join(lines)
    at = data.draw(st.integers(0, len(whole)))
    tail = data.draw(
        st.one_of(st.just(b""), st.binary(max_size=40), st.just(b"\0" * 300), st.just(bytes([whole[at - 1] ^ 1]) + whole[at:]))
    )
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    path.write_bytes(whole[:at] + tail)
    safe = [record for index, record in enumerate(RECORDS) if len(b"".join(lines[: index + 1])) <= at]
    expected = {record.drop.id for record in safe if isinstance(record, Taken)} - {
        record.id for record in safe if isinstance(record, Cleared)
    }
    journal = Journal(path, reserve=0)
    try:
        cleared_later = {record.id for record in RECORDS if isinstance(record, Cleared)} - {r.id for r in safe if isinstance(r, Cleared)}
        assert expected - cleared_later <= set(journal.open)
        assert journal.remount >= max([record.remount for record in safe if isinstance(record, Answered)], default=0)
        journal.write(Taken(drop("new")))
    finally:
        journal.close()
    assert all(intact(line) for line in path.read_bytes().split(b"\n")[:-1])
    (entries, *_), told = reread(path)
    assert isinstance(entries, dict)
    assert "new" in entries
    assert not told


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300))
def test_no_content_makes_it_fail(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    path.write_bytes(content)
    (entries, *_), told = reread(path)
    assert not entries
    assert bool(told) == bool(content)


def test_damage_is_told_and_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    written(path, RECORDS)
    with path.open("ab") as file:
        file.write(b"0123")
    _, told = reread(path)
    assert len(told) == 1
    assert "4 bytes" in told[0]
    assert (tmp_path / "j.jsonl.damaged").read_bytes().endswith(b"\n0123")


def test_a_failed_write_changes_nothing_and_the_reserve_is_used_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.write(Taken(drop("a")))
    before = path.read_bytes()
    real, fail = os.write, [2]

    def write(descriptor: int, data: bytes | memoryview) -> int:
        if fail[0]:
            fail[0] -= 1
            real(descriptor, bytes(data)[:7])  # a full disk takes a piece first
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    reserve = tmp_path / "j.jsonl.reserve"
    assert reserve.stat().st_size >= 1024 * 1024
    with pytest.raises(OSError, match="No space"):
        journal.write(Started("a"))
    assert not reserve.exists()
    assert path.read_bytes() == before
    assert journal.open["a"].starts == 0
    journal.write(Started("a"))
    journal.close()
    (entries, *_), told = reread(path)
    assert isinstance(entries, dict)
    assert (entries["a"][1], told) == (1, [])


def test_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    for number in range(140):
        name = f"job{number}"
        for record in (Taken(drop(name)), Started(name), answered(name, number + 1), Cleared(name)):
            journal.write(record)
    journal.write(Counted(200))
    journal.close()
    assert path.read_bytes().count(b"\n") < 300
    (_, _, remount, _), _ = reread(path)
    assert remount == 200
