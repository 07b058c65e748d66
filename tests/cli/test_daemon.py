"""The daemon's parts that are not the lane: boards that come, lanes that die, what is remembered and kept."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

import pytest

from msdflash.daemon.config import BoardOptions, Config
from msdflash.daemon.history import History
from msdflash.daemon.joblog import MOST_FILES, JobLog
from msdflash.daemon.keeper import Keeper
from msdflash.daemon.locks import hold_probe
from msdflash.daemon.memory import Known, Memory
from msdflash.daemon.owner import owner_of
from msdflash.daemon.paths import Paths, find_paths
from msdflash.daemon.run import Daemon, Selection
from msdflash.daemon.uevents import UEvents, is_usb_change
from msdflash.daemon.usbhint import UsbHint
from msdflash.drive.folder import adopt
from msdflash.engine.pool import Pool
from msdflash.engine.runner import Engine, Limits
from msdflash.errors import HeldError, UsageError
from msdflash.job.messages import Begin, Measured, Progress
from msdflash.job.order import Connection, FlashOrder
from msdflash.job.outcome import Failure, Outcome, ProbeFacts
from msdflash.job.readings import Reading
from msdflash.job.steps import Step

if TYPE_CHECKING:
    from pathlib import Path

    from msdflash.daemon.lane import Lane

Eventually = Callable[..., None]

LISTER = """
import json, sys
from pathlib import Path
print(json.dumps({"type": "ready", "pid": 1, "engine": "x"}), flush=True)
order = json.loads(sys.stdin.readline())
names = Path(%r).read_text().split()
rows = [{"unique_id": n, "kind": "stlink", "vendor": "ST", "product": "V3", "board": "Nucleo"} for n in names]
if order["type"] == "list":
    print(json.dumps({"type": "listed", "probes": rows}), flush=True)
else:
    reading = {"name": "nreset.undriven", "value": [1, 1]}
    outcome = {"job": order["job"], "proved": True, "readings": [reading]}
    if order["connection"]["pin_proven"]:
        outcome["running"] = "pin proven"
    print(json.dumps({"type": "finished", "outcome": outcome}), flush=True)
"""


@pytest.fixture
def plugged(tmp_path: Path) -> Path:
    """A file with the unique ids of the probes that are "connected"."""
    file = tmp_path / "plugged"
    file.write_text("", encoding="ascii")
    return file


@pytest.fixture
def paths() -> Paths:
    return find_paths().make()


@pytest.fixture
def serve(plugged: Path, paths: Paths) -> Iterator[Callable[..., Daemon]]:
    """Make a daemon whose workers list what stands in ``plugged`` and find every job proved."""
    engine = Engine(Pool([sys.executable, "-S", "-E", "-c", LISTER % str(plugged)]), Limits(ready=10))
    daemons: list[Daemon] = []

    def make(**selection: Any) -> Daemon:
        daemon = Daemon(paths, engine, Selection(drives=paths.drives, **selection))
        daemons.append(daemon)
        return daemon

    yield make
    for daemon in daemons:
        assert daemon.close()
    engine.close()


def test_named_boards_have_drives_before_they_are_plugged_in(serve: Callable[..., Daemon], paths: Paths, plugged: Path) -> None:
    daemon = serve(serials=("S1", "S2"), config=Config(boards={"S1": BoardOptions(name="bench 3")}))
    daemon.start()
    assert {board.folder for board in daemon.boards.values()} == {"BENCH_3", "S2"}
    daemon.close()
    plugged.write_text("S2", encoding="ascii")  # now its name is known, but its folder is its folder
    again = serve(serials=("S2",))
    again.start()
    assert again.boards["S2"].name == "Nucleo"
    again.close()
    plugged.write_text("", encoding="ascii")
    third = serve(serials=("S2",))
    third.start()
    assert third.boards["S2"].name == "Nucleo"


def test_probes_that_come_later_are_served(
    serve: Callable[..., Daemon], plugged: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msdflash.daemon.run.LOOK", 0.05)
    daemon = serve()
    daemon._hint.close()
    daemon._hint = UsbHint(folder=str(plugged.parent / "usb"), blind=0.05)
    daemon.start()
    assert daemon.boards == {}
    stop = threading.Event()
    thread = threading.Thread(target=daemon.wait, args=(stop,))
    thread.start()
    try:
        plugged.write_text("AAAA111111 BBBB222222", encoding="ascii")
        eventually(lambda: len(daemon.boards) == 2, 10, "both boards")
        assert sorted(board.folder for board in daemon.boards.values()) == ["NUCLEO", "NUCLEO_222222"]
        # One that leaves keeps its drive, which says so.
        details = daemon.folder("BBBB222222") / "DETAILS.TXT"
        eventually(lambda: details.exists() and b"Probe connected: 1" in details.read_bytes(), 10, "the drive")
        plugged.write_text("AAAA111111", encoding="ascii")
        eventually(lambda: b"Probe connected: 0" in details.read_bytes(), 10, "that it is gone")
        plugged.write_text("AAAA111111 BBBB222222", encoding="ascii")
        eventually(lambda: b"Probe connected: 1" in details.read_bytes(), 10, "that it is back")
    finally:
        stop.set()
        thread.join(10)


def test_held_boards(serve: Callable[..., Daemon], plugged: Path, paths: Paths) -> None:
    plugged.write_text("S1 S2", encoding="ascii")
    with hold_probe(paths.runtime, "S1", "msdflash flash"):
        others = serve()
        others.start()
        assert set(others.boards) == {"S2"}
        others.close()
        with pytest.raises(HeldError, match="S1"):
            serve(serials=("S1", "S2")).start()
        with hold_probe(paths.runtime, "S2", "msdflash flash"), pytest.raises(HeldError):
            serve().start()


def test_foreign_folder_is_refused_and_nothing_stays_held(serve: Callable[..., Daemon], paths: Paths) -> None:
    (paths.drives / "S1").mkdir(parents=True)
    (paths.drives / "S1" / "thesis.doc").write_text("mine", encoding="ascii")
    daemon = serve(serials=("S1",))
    daemon.start()
    assert daemon.boards["S1"].folder != "S1"
    daemon.close()
    paths.drives.joinpath("file").write_text("x", encoding="ascii")
    nowhere = serve(serials=("S9",))
    nowhere._selection = Selection(drives=paths.drives / "file", serials=("S9",))
    with pytest.raises(UsageError):
        nowhere.start()
    hold_probe(paths.runtime, "S9", "x").release()
    assert [path.name for path in (paths.drives / "S1").iterdir()] == ["thesis.doc"]


def test_a_drop_teaches_that_the_pin_can_be_read(serve: Callable[..., Daemon], paths: Paths, plugged: Path, eventually: Eventually) -> None:
    plugged.write_text("S1", encoding="ascii")
    daemon = serve()
    daemon.start()
    drive = daemon.folder("S1")
    eventually((drive / "DETAILS.TXT").exists)
    (drive / "a.bin").write_bytes(b"\0" * 64)
    eventually(lambda: b"Last result: flashed" in (drive / "DETAILS.TXT").read_bytes(), 15, "the answer")
    assert Memory(paths.state / "probes.json").get("S1").pin_proven
    [kept] = History(paths.history).records()
    assert (kept.serial, kept.outcome) == ("S1", "flashed")
    assert History(paths.history).counts() == {(daemon.boards["S1"].name, "flashed"): 1}
    order = FlashOrder("j2", Connection("S1"), "/x", "x.bin", "0" * 64)
    assert daemon._run_job(daemon._served["S1"], order, lambda message: None).running == "pin proven"


# --- parts ---


class Dying:
    """A lane that dies as often as it is told to, then works until it is stopped."""

    def __init__(self, lives: list[str]) -> None:
        self._how = lives.pop(0) if lives else "work"
        self._stop = threading.Event()

    def run(self) -> None:
        if self._how == "raise":
            raise RuntimeError("dead")
        if self._how == "work":
            self._stop.wait()

    def stop(self) -> None:
        self._stop.set()

    def close(self) -> None:
        """Nothing is open."""


def test_dead_lanes_start_again(eventually: Eventually) -> None:
    lives = ["raise", "end", "work"]
    made = 0

    def make() -> Lane:
        nonlocal made
        made += 1
        if made == 2:
            raise OSError("no disk")
        return cast("Lane", Dying(lives))

    keeper = Keeper("B", make, cast("Lane", Dying(lives)), pause=0.01)
    keeper.start()
    eventually(lambda: keeper.deaths == 3 and made == 3, what="three deaths")
    keeper.stop()
    assert keeper.join(5)


def test_stop_before_start_and_during_the_pause(eventually: Eventually) -> None:
    keeper = Keeper("B", lambda: cast("Lane", Dying([])), cast("Lane", Dying(["raise"])), pause=60)
    keeper.start()
    eventually(lambda: keeper.deaths == 1)
    keeper.stop()
    assert keeper.join(5)
    unstarted = Keeper("C", lambda: cast("Lane", Dying([])), cast("Lane", Dying([])))
    unstarted.stop()
    assert unstarted.join(1)


def outcome(*readings: Reading, kind: str = "cmsis-dap") -> Outcome:
    return Outcome("j", readings=readings, probe=ProbeFacts("P", kind=kind))


def test_memory_of_pins(tmp_path: Path) -> None:
    file = tmp_path / "state" / "probes.json"
    memory = Memory(file)
    memory.learn("P", outcome(Reading("nreset.undriven", [0, 0])))
    assert not memory.get("P").pin_proven
    memory.learn("S", outcome(Reading("nreset.undriven", [1]), kind="stlink"))
    assert not memory.get("S").pin_proven, "an ST-LINK tells what it drove last, not the pin"
    memory.learn("P", outcome(Reading("nreset.released", [0, 1])))
    memory.remember("P", "Nucleo", "t", "0765")
    assert Memory(file).get("P") == Known(True, "Nucleo", "t", "0765")
    file.write_bytes(b"{garbage")
    assert memory.get("P") == Known()
    memory.remember("Q", "Disco", None, None)
    assert json.loads(file.read_bytes()).keys() == {"Q"}


def test_memory_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "probes.json"
    file.write_text(json.dumps({f"P{n}": {} for n in range(1000)}), encoding="ascii")
    Memory(file).remember("new", "n", None, None)
    assert len(json.loads(file.read_bytes())) == 1000
    assert Memory(file).get("new").name == "n"


def test_job_logs_tell_all_and_are_bounded(tmp_path: Path) -> None:
    for number in range(MOST_FILES):
        (tmp_path / f"2020-{number:03}.log").write_text("old", encoding="ascii")
    job_log = JobLog()
    job_log.hear(Begin(Step.CONNECT, 5.0, 0.1))
    job_log.hear(Measured(Reading("swd.dpidr", 0x2BA01477)))
    job_log.hear(Progress(Step.CONNECT, 1, 2))
    failed = Outcome("../2026-job", failure=Failure(Step.CONNECT, "no-dp", "silent"), log=("W engine line",))
    path = job_log.save(tmp_path, "evil\nname.bin", failed)
    assert path is not None
    assert path.parent == tmp_path
    text = path.read_text(encoding="utf-8")
    for words in ("step connect", "0x2BA01477", "no-dp", "W engine line", r"evil\nname.bin"):
        assert words in text
    assert "progress" not in text
    assert len(list(tmp_path.glob("*.log"))) == MOST_FILES


def test_owner_of_a_folder(tmp_path: Path) -> None:
    assert owner_of(tmp_path / "none") is None
    (tmp_path / "empty").mkdir()
    assert owner_of(tmp_path / "empty") is None
    adopt(tmp_path / "ours", "S1", tmp_path / "state")
    assert owner_of(tmp_path / "ours") == "S1"
    (tmp_path / "ours" / ".msdflash" / "drive.json").write_bytes(b"[[[[")
    assert owner_of(tmp_path / "ours") == ""
    (tmp_path / "file").write_text("x", encoding="ascii")
    assert owner_of(tmp_path / "file") == ""


@pytest.mark.parametrize(
    ("message", "counts"),
    [
        (b"add@/devices/pci0000:00/usb1/1-2\0ACTION=add\0SUBSYSTEM=usb\0DEVTYPE=usb_device\0SEQNUM=1\0", True),
        (b"remove@/devices/pci0000:00/usb1/1-2\0ACTION=remove\0SUBSYSTEM=usb\0DEVTYPE=usb_device\0", True),
        (b"add@/devices/pci0000:00/usb1/1-2/1-2:1.0\0ACTION=add\0SUBSYSTEM=usb\0DEVTYPE=usb_interface\0", False),
        (b"change@/devices/pci0000:00/usb1/1-2\0ACTION=change\0DEVTYPE=usb_device\0", False),
        (b"libudev\0\xfe\xed\xca\xfeDEVTYPE=usb_device\0", False),
        (b"", False),
    ],
)
def test_which_messages_of_the_kernel_count(message: bytes, counts: bool) -> None:
    assert is_usb_change(message) is counts


def test_the_kernel_is_listened_to_without_waiting() -> None:
    events = UEvents()
    assert events.heard() is False
    events.close()
    assert not events.alive
    assert events.heard() is False


def test_usb_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UEvents, "heard", lambda _self: False)  # this machine's own devices may come and go
    monkeypatch.setattr(UEvents, "__init__", lambda self: setattr(self, "_socket", None))
    (tmp_path / "1-1").mkdir()
    hint = UsbHint(folder=str(tmp_path))
    assert not hint.changed()
    (tmp_path / "1-2").mkdir()
    assert hint.changed()
    assert not hint.changed()
    now = [0.0]
    blind = UsbHint(folder=str(tmp_path / "none"), blind=10.0, clock=lambda: now[0])
    assert not blind.changed()
    now[0] = 11.0
    assert blind.changed()
    assert not blind.changed()


def test_paths_are_private(tmp_path: Path) -> None:
    found = find_paths({"MSDFLASH_HOME": str(tmp_path / "h")}).make()
    assert {found.state.parent, found.logs.parent, found.runtime.parent, found.drives.parent} == {tmp_path / "h"}
    assert not found.drives.exists()
    if sys.platform != "win32":
        assert found.state.stat().st_mode & 0o077 == 0
    (tmp_path / "f").write_text("x", encoding="ascii")
    with pytest.raises(UsageError, match="MSDFLASH_HOME"):
        find_paths({"MSDFLASH_HOME": str(tmp_path / "f")}).make()


def test_a_probe_that_is_late_in_the_list_is_not_missed(
    serve: Callable[..., Daemon], plugged: Path, tmp_path: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system shows the device first and lets it be opened a moment later."""
    monkeypatch.setattr("msdflash.daemon.run.LOOK", 0.05)
    usb = tmp_path / "usb"
    usb.mkdir()
    daemon = serve()
    daemon._hint.close()
    daemon._hint = UsbHint(folder=str(usb))
    daemon.start()
    listed = daemon._list
    calls: list[int] = []

    def late() -> Any:
        calls.append(len(calls))
        if len(calls) == 2:
            plugged.write_text("S1", encoding="ascii")
        return listed()

    monkeypatch.setattr(daemon, "_list", late)
    stop = threading.Event()
    thread = threading.Thread(target=daemon.wait, args=(stop,))
    thread.start()
    try:
        (usb / "1-1").mkdir()
        eventually(lambda: "S1" in daemon.boards, 10, "the late probe")
    finally:
        stop.set()
        thread.join(10)
    assert len(calls) == 2
