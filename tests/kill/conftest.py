"""A board in a process of its own, the daemon in another, and what must hold after either was killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil
import pytest

from msdflash.sim.client import RunningBoard, start
from msdflash.sim.spec import parse

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "msdflash" / "sim" / "firmware" / "blinky.bin"
VICTIM = Path(__file__).with_name("victim.py")
SERIAL = "D" * 24
FLASH = 0x0800_0000
SECTOR = 2048
KEPT = 50
"""Files that the store of what was not flashed holds at most (``LaneConfig.kept_count``); older ones leave it."""

OURS = {".msdflash", "DETAILS.TXT", "details.txt", "MBED.HTM", "mbed.htm", "FAIL.TXT", "RUNNING.TXT"}


def image(seed: int, size: int = 3 * SECTOR) -> bytes:
    """A program that runs, and different bytes behind it."""
    program = FIRMWARE.read_bytes()
    return program + random.Random(seed).randbytes(size - len(program))


def hex_file(data: bytes) -> bytes:
    """Intel hex of bytes at the start of flash (Intel, Hexadecimal Object File Format Specification, rev. A, 1988)."""

    def line(kind: int, offset: int, body: bytes) -> str:
        record = bytes([len(body), offset >> 8, offset & 0xFF, kind]) + body
        return f":{record.hex().upper()}{-sum(record) & 0xFF:02X}\r\n"

    lines = [line(4, 0, (FLASH >> 16).to_bytes(2, "big"))]
    lines += [line(0, at, data[at : at + 16]) for at in range(0, len(data), 16)]
    return "".join([*lines, line(1, 0, b"")]).encode("ascii")


def records(data: bytes) -> list[dict[str, Any]]:
    """The journal's whole lines, read without any code of the product."""
    whole = (line for line in data.split(b"\n") if len(line) > 9 and line[:8] == b"%08x" % zlib.crc32(line[9:]))
    return [json.loads(line[9:]) for line in whole]


def lives(process: psutil.Process) -> bool:
    """Not dead; a zombie is, even if nobody asks for its status."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Rig:
    """One board, one home; daemons come and go."""

    def __init__(self, tmp_path: Path, board: RunningBoard, environ: dict[str, str]) -> None:
        self.board = board
        self.home = tmp_path / "home"
        self.drive = self.home / "drives" / "NUCLEO_L476RG"
        self.temporary = tmp_path / "temporary"
        self.temporary.mkdir()
        self.arm_file = tmp_path / "arm"
        self.trace = tmp_path / "trace"
        self.log = tmp_path / "daemon.log"
        self.environ = environ | {
            "MSDFLASH_HOME": str(self.home),
            "KILL_ARM": str(self.arm_file),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(ROOT),
        }
        self.image, self.hex_file, self.records = image, hex_file, records
        self.daemon: subprocess.Popen[bytes] | None = None
        self.family: list[psutil.Process] = []
        self.drops: list[tuple[str, bytes]] = []
        self.images: dict[str, bytes] = {}
        self.answered: dict[str, dict[str, Any]] = {}
        self.taken: dict[str, dict[str, Any]] = {}

    # --- processes ----------------------------------------------------------------------------------------------------------------

    def start(self, *, mined: bool = True, trace: bool = False) -> None:
        """Start a daemon and wait until its lane has looked at the folder."""
        command = [str(VICTIM)] if mined else ["-m", "msdflash"]
        environ = self.environ | ({"KILL_TRACE": str(self.trace)} if trace else {})
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                [sys.executable, *command, "run", "--probe", SERIAL], env=environ, stdout=log, stderr=log, start_new_session=True, cwd=ROOT
            )

    def ready(self) -> None:
        """Wait until the daemon would take a drop at once."""
        self.until(lambda: (self.drive / "DETAILS.TXT").exists() and b"drop firmware on" in self.log.read_bytes(), 20, "the drive")

    def relatives(self) -> list[psutil.Process]:
        assert self.daemon is not None
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.daemon.pid).children(recursive=True)
        return []

    def kill(self) -> None:
        """SIGKILL from outside."""
        assert self.daemon is not None
        self.daemon.kill()
        self.died()

    def died(self, seconds: float = 20.0) -> None:
        """Wait until the daemon is dead by SIGKILL. Its workers must follow by themselves."""
        assert self.daemon is not None
        deadline = time.monotonic() + seconds
        while self.daemon.poll() is None:
            self.family = self.relatives() or self.family
            self.look()
            assert time.monotonic() < deadline, f"the mine did not go off\n{self.said()}"
            time.sleep(0.003)
        assert self.daemon.returncode == -signal.SIGKILL, self.said()
        self.daemon = None
        self.until(lambda: not any(map(lives, self.family)), 20, "the daemon's workers are dead, too")
        self.remember()

    def stop(self, seconds: float = 20.0) -> None:
        """End the daemon as a service manager does."""
        if self.daemon is not None:
            self.daemon.terminate()
            # By the signal itself, if it came before the daemon was ready for it.
            assert self.daemon.wait(seconds) in (0, -signal.SIGTERM), self.said()
            self.daemon = None

    def workers(self) -> list[psutil.Process]:
        found = []
        for child in self.relatives():
            with contextlib.suppress(psutil.Error):
                if "msdflash.worker" in child.cmdline():
                    found.append(child)
        return found

    def said(self) -> str:
        return self.log.read_text("utf-8")[-4000:]

    def end(self) -> None:
        """Nothing stays, whatever state the test left."""
        if self.daemon is not None:
            family = self.relatives()
            self.daemon.kill()
            self.daemon.wait(10)
            for child in family:
                with contextlib.suppress(psutil.Error):
                    child.kill()
            psutil.wait_procs(family, 5)
        self.board.stop()

    # --- drops --------------------------------------------------------------------------------------------------------------------

    def arm(self, point: str, action: str = "daemon") -> None:
        self.arm_file.write_text(f"{point} {action}", encoding="ascii")

    def drop(self, name: str, data: bytes, *, spoiled: bool = False) -> None:
        """As ``mv`` from elsewhere: the image as Intel hex, or one that is none because one digit is wrong."""
        file = hex_file(data)
        if spoiled:
            file = file[:-20] + bytes([file[-20] ^ 1]) + file[-19:]
        self.drops.append((name, file))
        self.images[sha256(file).hexdigest()] = data
        outside = self.home / "drives" / f"outside-{name}"
        outside.write_bytes(file)
        outside.replace(self.drive / name)

    # --- what is seen from outside ------------------------------------------------------------------------------------------------

    def journal(self) -> bytes:
        for path in (self.home / "state" / "boards").glob("*/journal.jsonl"):
            with contextlib.suppress(FileNotFoundError):
                return path.read_bytes()
        return b""

    @property
    def state(self) -> Path:
        [state] = (self.home / "state" / "boards").iterdir()
        return state

    def remember(self) -> None:
        """Take in what the journal says now, before it is compacted; a drop never gets a second, different answer."""
        now: list[str] = []
        for record in records(self.journal()):
            if record["type"] == "taken":
                self.taken[record["drop"]["id"]] = record["drop"]
            elif record["type"] == "answered":
                now.append(record["id"])
                before = self.answered.setdefault(record["id"], record)
                assert before == record, "a second answer to one drop"
        assert len(now) == len(set(now)), "two answers to one drop in the journal"

    def read(self, name: str) -> str | None:
        try:
            return (self.drive / name).read_bytes().decode("ascii")
        except FileNotFoundError:
            return None

    def look(self) -> None:
        """Whatever is there is whole, at any time."""
        details = self.read("DETAILS.TXT")
        if details is not None:
            assert details.startswith("# DAPLink Firmware"), details
            assert details.endswith("\r\n"), details
            assert "Remount count: " in details
        fail = self.read("FAIL.TXT")
        if fail is not None:
            assert fail.startswith("error: "), fail
            assert fail.split("\r\n")[1].startswith("type: "), fail
            assert fail.endswith("\r\n"), fail

    def details(self) -> dict[str, str]:
        text = self.read("DETAILS.TXT") or ""
        return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)

    def users_files(self) -> set[str]:
        return {path.name for path in self.drive.iterdir()} - OURS

    def open_drops(self) -> set[str]:
        state: set[str] = set()
        for record in records(self.journal()):
            if record["type"] == "taken":
                state.add(record["drop"]["id"])
            elif record["type"] == "cleared":
                state.discard(record["id"])
        return state

    def until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            self.look()
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self.said()}\n{self.details()} {self.users_files()}"
            time.sleep(0.005)

    def settled(self) -> bool:
        self.remember()
        return len(self.answered) == len(self.drops) and not self.open_drops() and not self.users_files()

    def check(self, seconds: float = 25.0) -> list[dict[str, Any]]:
        """Wait until all is answered, then: one answer each, and everything that is kept, published and flashed agrees with it."""
        self.until(self.settled, seconds, "one answer to each drop, and a clear folder")
        answers = sorted(self.answered.values(), key=lambda record: int(record["remount"]))
        details = self.details()
        count = len(self.drops)
        assert [record["remount"] for record in answers] == list(range(1, count + 1))
        assert details["Remount count"] == str(count)
        assert details["Last job"] == answers[-1]["id"]
        assert self.read("DETAILS.TXT") == self.read("details.txt")
        assert (self.read("FAIL.TXT") is None) == answers[-1]["answer"]["ok"], self.read("FAIL.TXT")
        self.look()
        self._check_files(answers)
        good = [record for record in answers if record["answer"]["ok"]]
        if good and good[-1] is answers[-1]:
            data = self.images[self.taken[answers[-1]["id"]]["sha256"]]
            assert self.board.flash(0, len(data)) == data, "reported flashed, but flash is not the image"
        return answers

    def _check_files(self, answers: list[dict[str, Any]]) -> None:
        """Each dropped content is in a store of ours if it was not flashed, once, and nowhere else."""
        wanted = sorted(sha256(content).hexdigest() for _, content in self.drops)
        assert sorted(self.taken[record["id"]]["sha256"] for record in answers) == wanted
        stores = (self.state / "not-flashed", self.drive / ".msdflash" / "not-flashed")
        kept = [(path.name, sha256(path.read_bytes()).hexdigest()) for store in stores if store.is_dir() for path in store.iterdir()]
        failed = [record["id"] for record in answers if not record["answer"]["ok"]]
        named = sorted((f"{name}-{self.taken[name]['name']}", self.taken[name]["sha256"]) for name in failed)
        assert sorted(kept) == named[-KEPT:], "the store holds the newest of what was not flashed"
        assert not list((self.state / "spool").iterdir())
        assert not list((self.drive / ".msdflash" / "tmp").iterdir())
        for name in failed[-KEPT:]:  # logs are bounded, too
            log = self.answered[name]["answer"]["report_json"].get("log")
            assert not log or Path(log).is_file(), f"the report names a log that is not there: {log}"

    def restart_board(self) -> None:
        """The board's process is dead; the same board comes back."""
        self.board.stop()
        self.board = start(self.board.spec, bus=self.board.bus)

    def told(self) -> str:
        """The last report in a few words."""
        report = self.last()
        return ", ".join(f"{key}={report.get(key)}" for key in ("outcome", "failure", "step", "message", "cause", "headline", "log"))

    def last(self) -> dict[str, Any]:
        """The report of the last answer."""
        report: dict[str, Any] = max(self.answered.values(), key=lambda record: int(record["remount"]))["answer"]["report_json"]
        return report

    def tidy(self) -> None:
        """The daemon lives, and no folder of a dead one's workers is left."""
        self.until(lambda: len(list(self.temporary.iterdir())) <= len(self.workers()), 5, f"{list(self.temporary.iterdir())}")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    environ = dict(os.environ) | {"MSDFLASH_SIM_BUS": str(tmp_path / "b"), "MSDFLASH_SIM_ONLY": "1"}
    made = Rig(tmp_path, start(parse(f"nucleo-l476rg,probe=stlink-v3,serial={SERIAL}"), bus=tmp_path / "b"), environ)
    try:
        yield made
    finally:
        made.end()
