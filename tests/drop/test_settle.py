"""Verdicts on whole and unwhole drops: the rules one by one, then whole copies as copiers make them, on a clock of our own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from msdflash.drop.intake import Intake, Ready
from msdflash.drop.place import Place
from msdflash.drop.settle import Action, Content, Facts, Quiet, Writer, judge
from msdflash.drop.sight import EntryKind
from msdflash.drop.writer import Writers

FILE = EntryKind.FILE
Q = Quiet()


VERDICTS = [
    (Facts(FILE, 10, 0.2), Action.WAIT, ""),
    (Facts(FILE, 10, 0.3), Action.PEEK, ""),
    (Facts(FILE, 10, 0.3, content=Content.WHOLE), Action.ASK, ""),
    (Facts(FILE, 10, 0.3, content=Content.WHOLE, writer=Writer.NONE), Action.TAKE, ""),
    (Facts(FILE, 10, 0.3, content=Content.WHOLE, writer=Writer.HIDDEN), Action.TAKE, ""),
    (Facts(FILE, 10, 0.3, content=Content.WHOLE, writer=Writer.OPEN), Action.WAIT, ""),
    (Facts(FILE, 10, 3.0, content=Content.WHOLE, writer=Writer.OPEN), Action.TAKE, ""),
    (Facts(FILE, 10, 0.9, content=Content.UNKNOWN, writer=Writer.NONE), Action.WAIT, ""),
    (Facts(FILE, 10, 1.0, content=Content.UNKNOWN, writer=Writer.NONE), Action.TAKE, ""),
    (Facts(FILE, 10, 1.0, content=Content.UNKNOWN, writer=Writer.OPEN), Action.WAIT, ""),
    (Facts(FILE, 10, 60.0, content=Content.UNKNOWN, writer=Writer.OPEN), Action.REFUSE, "half-download"),
    (Facts(FILE, 10, 2.9, content=Content.CUT, writer=Writer.NONE), Action.WAIT, ""),
    (Facts(FILE, 10, 3.0, content=Content.CUT, writer=Writer.NONE), Action.TAKE, ""),
    (Facts(FILE, 0, 2.9), Action.WAIT, ""),
    (Facts(FILE, 0, 3.0), Action.ASK, ""),
    (Facts(FILE, 0, 3.0, writer=Writer.NONE), Action.REFUSE, "image-empty"),
    (Facts(FILE, 0, 3.0, writer=Writer.NONE, arriving=True), Action.WAIT, ""),
    (Facts(FILE, 0, 9.0, writer=Writer.OPEN), Action.WAIT, ""),
    (Facts(FILE, 10, 19.0, temporary=True), Action.WAIT, ""),
    (Facts(FILE, 10, 20.0, temporary=True, writer=Writer.NONE), Action.REFUSE, "half-download"),
    (Facts(FILE, 10, 20.0, temporary=True, writer=Writer.OPEN), Action.WAIT, ""),
    (Facts(FILE, Q.limit + 1, 0.9), Action.WAIT, ""),
    (Facts(FILE, Q.limit + 1, 1.0, writer=Writer.NONE), Action.REFUSE, "image-huge"),
    (Facts(FILE, Q.limit, 1.0), Action.PEEK, ""),
    (Facts(FILE, 10, 9.0, unreadable=1.9), Action.WAIT, ""),
    (Facts(FILE, 10, 9.0, unreadable=2.0), Action.REFUSE, "unreadable"),
    (Facts(EntryKind.SYMLINK, 10, 0.2), Action.WAIT, ""),
    (Facts(EntryKind.SYMLINK, 10, 0.3), Action.REFUSE, "symlink"),
    (Facts(EntryKind.SPECIAL, 0, 0.3), Action.REFUSE, "special-file"),
    (Facts(EntryKind.FOLDER, 2, 2.9), Action.WAIT, ""),
    (Facts(EntryKind.FOLDER, 2, 3.0, arriving=True), Action.REFUSE, "dropped-folder"),
    (Facts(EntryKind.FOLDER, 0, 3.0), Action.REFUSE, "dropped-folder"),
    (Facts(EntryKind.FOLDER, 0, 30.0, arriving=True), Action.WAIT, ""),
]


def test_verdicts() -> None:
    for facts, action, cause in VERDICTS:
        verdict = judge(facts, Q)
        assert (verdict.action, verdict.cause) == (action, cause), facts
        if action is Action.WAIT:
            assert 0 < verdict.after <= Q.temporary, facts


HEX = b":020000040800F2\r\n" + b":1000000000040020C1010008C9010008CB01000856\r\n" * 400 + b":00000001FF\r\n"
BIN = bytes(range(1, 256)) * 80
Step = tuple[float, Callable[[Path, float], None]]


def stamp(path: Path, at: float, mtime: float | None) -> None:
    when = int((1_700_000_000 + at if mtime is None else mtime) * 1e9)
    os.utime(path, ns=(when, when))


def append(name: str, piece: bytes, mtime: float | None = None) -> Callable[[Path, float], None]:
    def act(root: Path, at: float) -> None:
        with (root / name).open("ab") as file:
            file.write(piece)
        stamp(root / name, at, mtime)

    return act


def overwrite(name: str, offset: int, piece: bytes, mtime: float | None = None) -> Callable[[Path, float], None]:
    def act(root: Path, at: float) -> None:
        with (root / name).open("r+b") as file:
            file.seek(offset)
            file.write(piece)
        stamp(root / name, at, mtime)

    return act


def reserve(name: str, size: int, mtime: float | None = None) -> Callable[[Path, float], None]:
    def act(root: Path, at: float) -> None:
        with (root / name).open("ab") as file:
            file.truncate(size)
        stamp(root / name, at, mtime)

    return act


def rename(old: str, new: str) -> Callable[[Path, float], None]:
    def act(root: Path, at: float) -> None:
        (root / old).replace(root / new)

    return act


def in_pieces(name: str, data: bytes, piece: int, pause: float, start: float = 0.0, mtime: float | None = None) -> list[Step]:
    return [
        (start + index * pause, append(name, data[offset : offset + piece], mtime))
        for index, offset in enumerate(range(0, len(data), piece))
    ]


def reserved_then_filled(name: str, data: bytes, piece: int, pause: float, mtime: float | None = None) -> list[Step]:
    fill = [
        (0.1 + index * pause, overwrite(name, offset, data[offset : offset + piece], mtime))
        for index, offset in enumerate(range(0, len(data), piece))
    ]
    return [(0.0, reserve(name, len(data), mtime)), *fill]


COPIERS: dict[str, tuple[list[Step], str, bytes, float, float]] = {
    # copier: (steps, final name, content, writer seen until, longest time from the last step to the taking)
    "cp of a hex": (in_pieces("a.hex", HEX, len(HEX), 0), "a.hex", HEX, 0.0, 0.5),
    "cp of a bin": (in_pieces("a.bin", BIN, len(BIN), 0), "a.bin", BIN, 0.0, 1.2),
    "upstream's appends of 4 KiB, hex": (in_pieces("a.hex", HEX, 4096, 0.1), "a.hex", HEX, 0.0, 0.5),
    "upstream's appends of 4 KiB, bin": (in_pieces("a.bin", BIN, 4096, 0.1), "a.bin", BIN, 0.0, 1.2),
    "appends with long pauses, bin": (in_pieces("a.bin", BIN, 4096, 0.5), "a.bin", BIN, 0.0, 1.2),
    "slow hex over a bad network": (in_pieces("a.hex", HEX, 4096, 2.0), "a.hex", HEX, 0.0, 0.5),
    "slow bin with a writer in sight": (in_pieces("a.bin", BIN, 4096, 4.0), "a.bin", BIN, 16.5, 1.6),
    "SMB: reserved, filled in pieces, bin": (reserved_then_filled("a.bin", BIN, 4096, 0.7), "a.bin", BIN, 0.0, 1.2),
    "Explorer: reserved, time of the original throughout": (
        reserved_then_filled("a.bin", BIN, 4096, 0.4, 946684800.0),
        "a.bin",
        BIN,
        2.0,
        1.6,
    ),
    "hex reserved and filled": (reserved_then_filled("a.hex", HEX, 4096, 0.7), "a.hex", HEX, 0.0, 0.5),
    "cp -p: grows under a time in the past": (in_pieces("a.bin", BIN, 4096, 0.2, mtime=946684800.0), "a.bin", BIN, 0.0, 1.2),
    "rsync: hidden name, then renamed": (
        [*in_pieces(".a.hex.Xy12Zz", HEX, 4096, 0.5), (8.0, rename(".a.hex.Xy12Zz", "a.hex"))],
        "a.hex",
        HEX,
        0.0,
        0.5,
    ),
    "WinSCP: .filepart": ([*in_pieces("a.bin.filepart", BIN, 4096, 1.5), (9.0, rename("a.bin.filepart", "a.bin"))], "a.bin", BIN, 0.0, 1.2),
    "Chrome: .crdownload": (
        [*in_pieces("a.hex.crdownload", HEX, 4096, 3.0), (19.0, rename("a.hex.crdownload", "a.hex"))],
        "a.hex",
        HEX,
        0.0,
        0.5,
    ),
    "Firefox: empty name beside .part": (
        [(0.0, append("a.hex", b"")), *in_pieces("r4nd.part", HEX, 4096, 2.0), (12.0, rename("r4nd.part", "a.hex"))],
        "a.hex",
        HEX,
        0.0,
        0.5,
    ),
    "WebDAV: empty first, filled 2.5 s later": ([(0.0, append("a.hex", b"")), (2.5, append("a.hex", HEX))], "a.hex", HEX, 0.0, 0.5),
    "Finder: companion and clutter beside it": (
        [
            (0.0, append("._a.hex", b"\0\5\x16\7")),
            (0.0, append(".DS_Store", b"x")),
            *in_pieces("a.hex", HEX, 8192, 0.4),
            (2.0, append("._a.hex", b"x")),
        ],
        "a.hex",
        HEX,
        0.0,
        0.5,
    ),
}


def test_each_copier_is_taken_once_whole_and_soon(tmp_path: Path) -> None:
    for number, copier in enumerate(COPIERS):  # one test for all: the guards around each test cost more than a copier
        folder = tmp_path / str(number)
        folder.mkdir()
        taken_once_whole_and_soon(copier, folder)


def taken_once_whole_and_soon(copier: str, tmp_path: Path) -> None:
    steps, name, content, writer_until, slack = COPIERS[copier]
    now = [0.0]
    done: set[str] = set()

    def writers(sight: object) -> Writers:
        return Writers(Writer.OPEN, 4711, "cp") if now[0] < writer_until else Writers(Writer.NONE)

    intake = Intake(Q, lambda: now[0], writers)
    pending = sorted(steps, key=lambda step: step[0])
    last = pending[-1][0]
    taken: list[tuple[float, Ready]] = []
    with Place.open(tmp_path) as place:
        while now[0] < last + 25:
            while pending and pending[0][0] <= now[0] + 1e-9:
                at, act = pending.pop(0)
                act(tmp_path, at)
            for ready in intake.look(place, skip=lambda sight: sight.name in done).ready:
                assert (ready.verdict.action, ready.sight.name) == (Action.TAKE, name), copier
                assert (tmp_path / name).read_bytes() == content, f"{copier}: taken too early, at {now[0]:.2f} s"
                taken.append((now[0], ready))
                done.add(ready.sight.name)
            now[0] = round(now[0] + 0.05, 2)
    finished = last if copier.startswith(("rsync", "WinSCP", "Chrome", "Firefox")) else max(at for at, _ in steps if at <= last)
    assert len(taken) == 1, copier
    assert taken[0][0] <= max(finished, writer_until) + slack, copier


def test_what_never_becomes_whole_is_refused_once_with_its_cause(tmp_path: Path) -> None:
    now = [0.0]
    intake = Intake(msgspec.structs.replace(Q, limit=1000), lambda: now[0], lambda sight: Writers(Writer.NONE))
    (tmp_path / "empty.hex").touch()
    (tmp_path / "big.bin").write_bytes(b"x" * 1001)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.hex").write_bytes(HEX)
    expected = {"empty.hex": "image-empty", "big.bin": "image-huge", "folder": "dropped-folder"}
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link.hex").symlink_to("/etc/passwd")
        (tmp_path / "loop.hex").symlink_to("loop.hex")
        expected |= {"pipe": "special-file", "link.hex": "symlink", "loop.hex": "symlink"}
    found: dict[str, str] = {}
    with Place.open(tmp_path) as place:
        while now[0] < 10:
            for ready in intake.look(place, skip=lambda sight: sight.name in found).ready:
                found[ready.sight.name] = ready.verdict.cause
            now[0] += 0.1
    assert found == expected


def test_an_unreadable_file_is_refused_after_its_time_and_taken_if_it_becomes_readable(tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("needs file permissions")
    now = [0.0]
    intake = Intake(Q, lambda: now[0], lambda sight: Writers(Writer.NONE))
    file = tmp_path / "a.hex"
    file.write_bytes(HEX)
    file.chmod(0)
    tmp_path.chmod(0o755)

    def look_until(end: float) -> list[Ready]:
        seen: list[Ready] = []
        while now[0] < end and not seen:
            seen += intake.look(place, skip=lambda sight: False).ready
            now[0] += 0.1
        return seen

    root = os.geteuid() == 0
    with Place.open(tmp_path) as place:
        if root:
            os.seteuid(65534)  # root may read everything
        try:
            seen = look_until(5)
        finally:
            if root:
                os.seteuid(0)
        assert [(ready.verdict.cause, bool(ready.error)) for ready in seen] == [("unreadable", True)]
        assert now[0] >= Q.unreadable
        file.chmod(0o600)
        assert [ready.verdict.action for ready in look_until(10)] == [Action.TAKE]
