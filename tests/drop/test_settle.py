"""Verdicts on whole and unwhole drops: the rules one by one, then whole copies as copiers make them, on a clock of our own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from msdflash.daemon.lane_data import LaneConfig
from msdflash.daemon.takes import _refusal, new_drop, refused_outcome
from msdflash.diagnose.rules import diagnose
from msdflash.drop.content import has_hole
from msdflash.drop.intake import Intake, Ready
from msdflash.drop.place import Place
from msdflash.drop.settle import Action, Content, Facts, Quiet, Verdict, Writer, judge
from msdflash.drop.sight import EntryKind, look
from msdflash.drop.writer import Writers
from msdflash.job.order import Connection
from msdflash.report import fail_txt
from msdflash.report.record import Context, make_report

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
    (Facts(EntryKind.FOLDER, 1, 19.0, temporary=True), Action.WAIT, ""),
    (Facts(EntryKind.FOLDER, 1, 20.0, temporary=True), Action.REFUSE, "half-download"),
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


def within(folder: str, act: Callable[[Path, float], None]) -> Callable[[Path, float], None]:
    def inside(root: Path, at: float) -> None:
        (root / folder).mkdir(exist_ok=True)
        act(root / folder, at)

    return inside


def gone(folder: str) -> Callable[[Path, float], None]:
    return lambda root, at: (root / folder).rmdir()


def gone_file(name: str) -> Callable[[Path, float], None]:
    return lambda root, at: (root / name).unlink()


def in_place(name: str, data: bytes, piece: int, pause: float) -> list[Step]:
    return [
        (0.2 + index * pause, overwrite(name, offset, data[offset : offset + piece]))
        for index, offset in enumerate(range(0, len(data), piece))
    ]


def last_piece_first(name: str, data: bytes, piece: int, pause: float) -> list[Step]:
    offsets = [*range(0, len(data), piece)][::-1]
    steps = [(0.1 + index * pause, overwrite(name, offset, data[offset : offset + piece])) for index, offset in enumerate(offsets)]
    return [(0.0, append(name, b"")), *steps]


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
    "NFS: the last piece first, hex": (last_piece_first("a.hex", HEX, 4096, 1.0), "a.hex", HEX, 0.0, 0.5),
    "NFS: the last piece first, bin": (last_piece_first("a.bin", BIN, 4096, 1.5), "a.bin", BIN, 0.0, 1.2),
    "a download in parts: reserved, written from the end": (
        [(0.0, reserve("a.bin", len(BIN))), *last_piece_first("a.bin", BIN, 4096, 2.5)],
        "a.bin",
        BIN,
        0.0,
        1.2,
    ),
    "Safari: a .download folder": (
        [
            *((at, within("a.hex.download", act)) for at, act in in_pieces("a.hex", HEX, 4096, 3.0)),
            (14.0, rename("a.hex.download/a.hex", "a.hex")),
            (14.0, gone("a.hex.download")),
        ],
        "a.hex",
        HEX,
        0.0,
        0.5,
    ),
    "an editor: saved beside, renamed over the old one": (
        [
            (0.0, append("a.hex~", HEX[:500])),
            (0.4, append(".a.hex.swp", b"b0VIM")),
            (0.5, append("4913", b"")),
            (0.5, gone_file("4913")),
            *in_pieces(".a.hex.new", HEX, 8192, 0.2, start=0.6),
            (2.0, rename(".a.hex.new", "a.hex")),
            (2.1, gone_file("a.hex~")),
            (2.1, gone_file(".a.hex.swp")),
        ],
        "a.hex",
        HEX,
        0.0,
        0.5,
    ),
    "SMB from a Mac: zeros, then attributes beside it": (
        [(0.0, reserve("a.hex", len(HEX))), (0.1, append("._a.hex", b"x")), *in_place("a.hex", HEX, 16384, 0.6)],
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


NEEDS_HOLES = {copier for copier in COPIERS if copier.startswith(("NFS: the last", "a download in parts"))}
"""Elsewhere than where the file system tells of holes, both edges of these look whole: docs/drive.md says so."""


def test_each_copier_is_taken_once_whole_and_soon(tmp_path: Path) -> None:
    with (tmp_path / "hole").open("w+b") as file:
        file.truncate(100_000)
        told = has_hole(file.fileno(), 100_000)
    assert told or not sys.platform.startswith("linux")
    for number, copier in enumerate(
        COPIERS if told else COPIERS.keys() - NEEDS_HOLES
    ):  # one test for all: the guards around each test cost more than a copier
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
    assert len(taken) == 1, copier
    assert taken[0][0] <= max(last, writer_until) + slack, copier


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


def test_a_copier_that_dies_half_way(tmp_path: Path) -> None:
    """What was left: of a format with an end mark the decoder says so; a temporary name is refused; of a .bin nobody can know."""
    half = len(HEX) // 2
    left: dict[str, tuple[bytes, Action, str, float]] = {
        "a.hex": (HEX[:half], Action.TAKE, "", Q.doubtful),
        "b.hex": (HEX[:half] + bytes(len(HEX) - half), Action.TAKE, "", Q.doubtful),
        "c.hex.part": (HEX[:half], Action.REFUSE, "half-download", Q.temporary),
        ".d.hex.Xy12Zz": (HEX, Action.REFUSE, "half-download", Q.temporary),
        "e.bin": (BIN[:4096], Action.TAKE, "", Q.still),
        "f.bin": (BIN[:4096] + bytes(4096), Action.TAKE, "", Q.doubtful),
    }
    for name, (content, *_) in left.items():
        (tmp_path / name).write_bytes(content)
    now = [0.0]
    intake = Intake(Q, lambda: now[0], lambda sight: Writers(Writer.NONE))
    found: dict[str, tuple[Action, str, float]] = {}
    with Place.open(tmp_path) as place:
        while now[0] < 25:
            for ready in intake.look(place, skip=lambda sight: sight.name in found).ready:
                found[ready.sight.name] = (ready.verdict.action, ready.verdict.cause, now[0])
            now[0] = round(now[0] + 0.05, 2)
    assert {name: verdict[:2] for name, verdict in found.items()} == {name: (action, cause) for name, (_, action, cause, _) in left.items()}
    for name, (*_, at) in found.items():
        assert left[name][3] <= at <= left[name][3] + 0.1, name


def test_whose_an_unreadable_file_is_stands_in_the_answer(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("owners and modes of this kind are POSIX's")
    file = tmp_path / "a.hex"
    file.write_bytes(HEX)
    file.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(file, 54321, 54321)
    with Place.open(tmp_path) as place:
        [sight] = look(place)
        ready = Ready(sight, Verdict(Action.REFUSE, cause="unreadable", why="open"), 9.0, Writers(Writer.NONE), "Permission denied")
        told = _refusal(place, ready, LaneConfig(Connection("S1")))
    owner = 54321 if os.geteuid() == 0 else os.geteuid()
    assert told["facts"]["owner"].split()[:2] == ["uid", str(owner)]
    assert told["facts"]["mode"] == "0600"
    outcome = refused_outcome(msgspec.structs.replace(new_drop(sight), **told))
    page = " ".join(fail_txt.render(make_report(outcome, diagnose(outcome), Context("2026-11-22T09:14:07+00:00", file="a.hex"))).split())
    assert f"owner uid {owner}" in page
    assert "mode 0600" in page
    assert f"reader uid {os.geteuid()}" in page
    assert "Permission denied" in page
