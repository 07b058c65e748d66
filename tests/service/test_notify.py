"""Words to the service manager, heard by a socket of the test's own; a watchdog that a hanging lane starves; reload."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msdflash.cli.run import on_hangup
from msdflash.daemon.attend import Attendant, LaneLook, told
from msdflash.daemon.config import BoardOptions, Config
from msdflash.daemon.config_file import Found, find_config
from msdflash.daemon.keeper import Keeper
from msdflash.daemon.lane import Lane, LaneConfig, LaneStatus, Publication
from msdflash.daemon.notify import Notifier
from msdflash.daemon.paths import find_paths
from msdflash.daemon.reload import Reload
from msdflash.daemon.run import Daemon, Selection
from msdflash.daemon.usbport import port_of, ports_known
from msdflash.drive.folder import adopt
from msdflash.engine.pool import Pool
from msdflash.engine.runner import Engine
from msdflash.job.order import Connection

Eventually = Callable[..., None]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only on Linux")

LISTER = """
import json, sys
print(json.dumps({"type": "ready", "pid": 1, "engine": "x"}), flush=True)
sys.stdin.readline()
rows = [{"unique_id": n, "kind": "stlink", "vendor": "ST", "product": "V3", "board": n} for n in ("S1", "S2")]
print(json.dumps({"type": "listed", "probes": rows}), flush=True)
"""


class Manager:
    """A service manager that only listens."""

    def __init__(self, name: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self._socket.setblocking(False)
        self.name = name

    def heard(self) -> list[str]:
        """What came since the last call, one text a datagram."""
        found: list[str] = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["file", "abstract"] if sys.platform == "linux" else ["file"])
def manager(request: pytest.FixtureRequest) -> Iterator[Manager]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        made = Manager(f"@msdflash-test-{os.getpid()}" if request.param == "abstract" else f"{folder}/n")
        yield made
        made.close()


def test_the_words(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())})
    assert notifier.watchdog == 60.0
    notifier.ready()
    notifier.status("1 board:\n1 idle")
    notifier.status("1 board: 1 idle")
    notifier.feed()
    notifier.feed()
    notifier.reloading()
    notifier.stopping()
    heard = manager.heard()
    assert heard[:3] == ["READY=1", "STATUS=1 board: 1 idle", "WATCHDOG=1"]
    assert heard[3].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert heard[4] == "STOPPING=1\nSTATUS=ending"
    assert len(heard) == 5, "said once each"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "1"},
        {"NOTIFY_SOCKET": "/no/such/socket", "WATCHDOG_USEC": "x"},
        {"NOTIFY_SOCKET": "/no/such/socket", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"},
    ],
)
def test_nobody_listens(environ: dict[str, str]) -> None:
    notifier = Notifier(environ)
    notifier.ready()
    notifier.feed()
    assert notifier.watchdog is None


def test_a_lane_that_hangs_starves_the_watchdog(manager: Manager, tmp_path: Path, eventually: Eventually) -> None:
    """A real lane, held in the middle of publishing."""
    held, released = threading.Event(), threading.Event()
    hang = False

    def resting(count: int) -> Publication:
        if hang:
            held.set()
            released.wait(30)
        return Publication(b"%d" % count, b"")

    def make() -> Lane:
        config = LaneConfig(Connection("S1"), slow=0.05, unwatched=0.05)
        folder = adopt(tmp_path / "drive", "S1", tmp_path / "state")
        return Lane(config, folder, tmp_path / "state", run_job=NotImplemented, answer=NotImplemented, resting=resting, watch=False)

    keeper = Keeper("B", make, make())
    notifier = Notifier({"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "3"})
    attendant = Attendant(lambda: [LaneLook("B", keeper.alive, keeper.status())], notifier, hang=0.5)
    attendant.look()
    assert not any(word in manager.heard() for word in ("READY=1", "WATCHDOG=1")), "its thread does not run yet"
    keeper.start()

    def look() -> list[str]:
        attendant.look()
        return manager.heard()

    try:
        heard: list[str] = []

        def fed() -> bool:
            heard.extend(look())
            return {"READY=1", "WATCHDOG=1"} <= set(heard)

        eventually(fed, 5, "readiness and the first food")
        assert heard.count("READY=1") == 1
        hang = True
        keeper.refresh()
        eventually(held.is_set, 5, "the lane to hang")
        eventually(lambda: (look(), attendant._hanging == {"B"})[1], 5, "that it is noticed")
        manager.heard()
        assert not any("WATCHDOG=1" in look() for _ in range(50))
        released.set()
        eventually(lambda: "WATCHDOG=1" in look(), 5, "food again")
    finally:
        released.set()
        keeper.stop()
        assert keeper.join(5)
    attendant.look()
    assert attendant._hanging == {"B"}, "a thread that has ended does not beat either"


def status(state: str, beat: float, patience: float = 0.0) -> LaneStatus:
    return LaneStatus(state, None, None, 0, 0, True, beat, patience=patience)


def test_the_silence_of_a_step_is_no_hang() -> None:
    looks = [LaneLook("A", True, status("flashing", 0.0, patience=100.0)), LaneLook("B", True, None)]
    now = 159.0
    attendant = Attendant(lambda: looks, Notifier({}), clock=lambda: now)
    attendant.look()
    assert attendant._hanging == frozenset()
    now = 161.0
    attendant.look()
    assert attendant._hanging == {"A"}
    looks = [LaneLook("A", True, status("flashing", 161.0, patience=float("inf")))]
    now = 161.0 + 700
    attendant.look()
    assert attendant._hanging == {"A"}, "no step has more than ten minutes"


def test_status_in_words() -> None:
    looks = [LaneLook(str(n), True, status(state, 0)) for n, state in enumerate(("idle", "flashing", "idle"))]
    assert told([*looks, LaneLook("x", True, None)]) == "4 boards: 1 flashing, 2 idle, 1 restarting"
    assert told([]).startswith("no probe")


# --- reload ---


def rewrite(file: Path, text: str) -> None:
    fresh = file.with_name("new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)


def test_a_changed_file_is_read_once_it_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "m.toml"
    rewrite(file, "[board.S1]\nretries = 1\n")
    taken: list[Config] = []
    reload = Reload(find_config(str(file)), str(file), taken.append)
    assert not reload.due()
    rewrite(file, "[board.S1]\nretries = 2\n")
    assert not reload.due(), "it may still be growing"
    assert reload.due()
    assert reload.read()
    assert not reload.due()
    assert [config.board("S1").retries for config in taken] == [2]
    rewrite(file, "[board.S1]\nretries = 7\nspeed = 3\n")
    assert [reload.due(), reload.due()] == [False, True]
    with caplog.at_level("ERROR", logger="msdflash"):
        assert not reload.read()
    for words in (f"{file}:2: ", f"{file}:3: ", "the last good one stays in force"):
        assert words in caplog.text
    file.unlink()
    assert [reload.due(), reload.due()] == [False, True]
    assert not reload.read()
    assert [reload.due(), reload.due()] == [False, False], "told once"
    rewrite(file, "")
    assert [reload.due(), reload.due()] == [False, True]
    assert reload.read()
    assert len(taken) == 2


def test_hangup_reads_it_and_a_file_that_appears_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_a, **_k: tmp_path)
    monkeypatch.setattr("platformdirs.site_config_path", lambda *_a, **_k: tmp_path / "none")
    taken: list[Config] = []
    reload = Reload(Found(None, ""), None, taken.append)
    with on_hangup(reload.request, pytest.fail, ()):
        assert not reload.due()
        os.kill(os.getpid(), signal.SIGHUP)
        assert reload.due()
        assert reload.read()
        assert not reload.due()
    rewrite(tmp_path / "msdflash.toml", "drives = 'x'")
    assert reload.due()
    assert reload.read()
    assert taken == [Config(drives=tmp_path / "x")]
    assert not reload.due()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_closed_terminal_is_no_reload() -> None:
    controller, terminal = os.openpty()
    heard: list[str] = []
    try:
        with on_hangup(lambda: heard.append("reload"), lambda: heard.append("gone"), (terminal,)):
            os.kill(os.getpid(), signal.SIGHUP)
            os.close(controller)
            os.kill(os.getpid(), signal.SIGHUP)
        assert heard == ["reload", "gone"]
    finally:
        os.close(terminal)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_only_the_lanes_that_changed_start_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually) -> None:
    monkeypatch.setenv("MSDFLASH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("msdflash.daemon.run.LOOK", 0.02)
    paths = find_paths().make()
    engine = Engine(Pool([sys.executable, "-S", "-E", "-c", LISTER]))
    drive = tmp_path / "elsewhere" / "drive"
    config = Config(boards={"S1": BoardOptions(folder=str(drive))})
    daemon = Daemon(paths, engine, Selection(drives=paths.drives, config=config, real_drives=False))
    stop = threading.Event()
    thread = threading.Thread(target=daemon.wait, args=(stop,))
    try:
        daemon.start()
        assert daemon.folder("S1") == drive
        assert daemon.folder("S2").parent == paths.drives
        keepers = {serial: board.keeper for serial, board in daemon._served.items()}
        lanes = {serial: keeper._lane for serial, keeper in keepers.items() if keeper}
        eventually(lambda: all(look.status and look.status.state == "idle" for look in daemon.lanes()), 5, "idle lanes")
        daemon.reconfigure(
            Config(boards={"S1": BoardOptions(folder=str(drive), fail_txt="two-line", frequency=400_000), "S2": BoardOptions(retries=0)})
        )
        thread.start()
        one, two = keepers["S1"], keepers["S2"]
        assert one is not None
        assert two is not None
        eventually(lambda: one._lane is not None and one._lane is not lanes["S1"], 5, "a new lane")
        assert one._lane is not None
        assert one._lane.config.connection.frequency == 400_000
        assert one.deaths == 0
        assert two._lane is lanes["S2"], "retries are asked for with each drop"
        assert daemon._options("S2").retries == 0
    finally:
        stop.set()
        if thread.ident:
            thread.join(10)
        assert daemon.close()
        engine.close()


def test_ports(tmp_path: Path) -> None:
    for port, serial in (("1-2.3", "066DFF"), ("2-1", "TWIN"), ("2-2", "TWIN")):
        (tmp_path / port).mkdir()
        (tmp_path / port / "serial").write_text(serial + "\n", encoding="ascii")
    (tmp_path / "usb1").mkdir()
    assert port_of("066dff", tmp_path) == "1-2.3"
    assert port_of("TWIN", tmp_path) is None
    assert port_of("", tmp_path) is None
    assert not ports_known(tmp_path / "none")
