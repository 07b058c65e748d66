"""A stage for whole-path tests: boards of the bench, the real daemon over them, and a person who drops files and reads what comes back.

No part of it is replaced: the daemon, its workers, pyOCD and the boards are the ones that ship.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from msdflash.daemon.boards import BoardIdentity
from msdflash.daemon.config import BoardOptions, Config
from msdflash.daemon.lane import LaneEvent
from msdflash.daemon.paths import HOME_VARIABLE, find_paths
from msdflash.daemon.run import Daemon, Selection
from msdflash.engine.pool import Pool
from msdflash.engine.runner import Engine
from msdflash.sim import client
from msdflash.sim.boards import BOARDS
from msdflash.sim.contents import BEFORE, lay_down
from msdflash.sim.spec import parse

FIRMWARE = Path(__file__).parents[2] / "msdflash" / "sim" / "firmware"
BASE = 0x08000000
PAGE = 2048
PATIENCE = 30.0
"""Seconds that any answer may take, whatever else the machine does. Tests assert on the report's own times."""


class Result(msgspec.Struct):
    """What a drop came to: its report, and the drive as its owner then finds it."""

    report: dict[str, Any]
    drive: dict[str, bytes]

    @property
    def proved(self) -> bool:
        return bool(self.report["outcome"] == "flashed")

    @property
    def first(self) -> tuple[str | None, str | None]:
        return self.report["cause"], self.report["confidence"]

    def having(self, confidence: str) -> set[str]:
        """Ids of all causes told with this confidence."""
        return {item["cause"] for item in self.report["causes"] if item["confidence"] == confidence}

    def reading(self, name: str) -> Any:
        """The last value of a reading, None if it was not taken."""
        return next((item["value"] for item in reversed(self.report["evidence"]) if item["name"] == name), None)

    @property
    def count(self) -> int:
        return int(details_of(self.drive["DETAILS.TXT"])["Remount count"])


def details_of(content: bytes) -> dict[str, str]:
    """DETAILS.TXT by the rules of DAPLink's own test harness: ASCII, CRLF, no blanks at line ends, each key once. Raises AssertionError."""
    text = content.decode("ascii")
    assert text.endswith("\r\n")
    assert not re.search(r"(?<!\r)\n|\r(?!\n)|[ \t]\r\n", text), "a bare CR or LF, or blanks at a line's end"
    found: dict[str, str] = {}
    for line in text.split("\r\n")[:-1]:
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-zA-Z0-9 ]+): +(.+)", line)
        assert match, line
        assert match[1] not in found, f"{match[1]} twice"
        found[match[1]] = match[2]
    assert re.fullmatch("[0-9a-f]{48}", found["Unique ID"])
    assert found["HIC ID"] == found["Unique ID"][-8:]
    assert re.fullmatch("[0-9a-f]{40}", found["Git SHA"])
    assert re.fullmatch("0x[0-9a-f]{8}", found["Interface CRC"])
    assert re.fullmatch("[0-9]{4}", found["Interface Version"])
    assert found["Daplink Mode"] == "Interface"
    assert found["Local Mods"] in "01"
    assert "MSD" in found["USB Interfaces"].split(", ")
    return found


def fail_of(content: bytes) -> tuple[str, str]:
    """The two lines of FAIL.TXT that old tools read, and that they stand first. Raises AssertionError."""
    text = content.decode("ascii")
    assert len(text) < 4096
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", text)
    lines = text.split("\r\n")
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("type: ")
    return lines[0][7:], lines[1][6:]


def image(version: int = 1, size: int = 5000) -> bytes:
    """Firmware of the bench that runs, made longer by bytes that differ everywhere and from version to version."""
    code = (FIRMWARE / ("blinky.bin" if version % 2 else "blinky2.bin")).read_bytes()
    filler = bytes((7 * index + (index >> 8) + 41 * version) & 0xFF for index in range(size - len(code)))
    return code + filler


def neighbours(size: int = 5000) -> dict[int, bytes]:
    """What stands in flash beside the image and must survive: in its last page, right behind that, and far away."""
    return {
        BASE + size + 8: b"in the image's last page" * 3,
        BASE + (size // PAGE + 1) * PAGE: b"in the page behind it...",
        BASE + 0x80000 - 16: b"across the seam of both banks...",
        BASE + 0xFFFE8: b"the last 24 bytes of all",
    }


def intel_hex(parts: Mapping[int, bytes]) -> bytes:
    """An Intel hex file of these bytes by address, written by bincopy."""
    import bincopy

    file = bincopy.BinFile()
    for address, data in parts.items():
        file.add_binary(data, address)
    return str(file.as_ihex()).encode("ascii")


class Drive:
    """One board with its folder, as a person at the bench has it."""

    def __init__(self, stage: Stage, board: client.RunningBoard) -> None:
        self.stage = stage
        self.board = board
        self.serial = board.serial
        self.events: list[LaneEvent] = []

    @property
    def path(self) -> Path:
        return self.stage.daemon.folder(self.serial)

    def set(self, change: str) -> None:
        self.board.set(change)

    def flash(self) -> bytes:
        return self.board.flash()

    def files(self) -> dict[str, bytes]:
        return {item.name: item.read_bytes() for item in self.path.iterdir() if item.is_file() and not item.name.startswith(".")}

    def answered(self) -> list[LaneEvent]:
        with self.stage.news:
            return [event for event in self.events if event.what == "cleared"]

    def drop(self, name: str, data: bytes) -> Result:
        """Copy a file onto the drive and wait for its answer."""
        before = len(self.answered())
        (self.path / name).write_bytes(data)
        return self.result(name, before)

    def result(self, name: str, before: int) -> Result:
        """Wait for the answer to a drop of this name after ``before`` answers, until its file is taken away."""
        with self.stage.news:
            found = self.stage.news.wait_for(lambda: self._find(name, before), PATIENCE)
            assert found is not None, f"no answer to {name} within {PATIENCE} s: {[event.what for event in self.events][-5:]}"
        return Result(found, self.files())

    def _find(self, name: str, before: int) -> dict[str, Any] | None:
        cleared = [event.drop.id for event in self.events if event.what == "cleared" and event.drop is not None][before:]
        for event in self.events:
            drop, answer = event.drop, event.answer
            if event.what == "answered" and drop is not None and answer is not None and drop.id in cleared and drop.name == name:
                return answer.report_json
        return None

    def recover(self) -> None:
        """Take every fault out, plug in and power up again."""
        self.set("fault=none")
        self.set("replug")
        self.set("power=off")
        self.set("power=on")


class Stage:
    """Boards and the daemon over them. A context manager; everything is ended when it closes."""

    def __init__(
        self,
        root: Path,
        specs: Mapping[str, str],
        options: Mapping[str, BoardOptions] | None = None,
        before: Mapping[str, str | Mapping[int, bytes]] | None = None,
    ) -> None:
        """A stage that is not open yet.

        Args:
            specs: boards by a short name (letters and digits), as the bench reads them, without serial.
            options: by name.
            before: by name, what stands in flash before: bytes by address, or a word of ``msdflash.sim.contents.BEFORE``.
        """
        self.root = root
        self._before = dict(before or {})
        self.news = threading.Condition()
        self._specs = {name: parse(f"{spec},serial={serial_of(name, spec)}") for name, spec in specs.items()}
        self._options = dict(options or {})
        self._stack = contextlib.ExitStack()
        self.drives: dict[str, Drive] = {}
        self.daemon: Daemon

    def __enter__(self) -> Stage:
        try:
            return self._start()
        except BaseException:
            self._stack.close()
            raise

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def __getitem__(self, name: str) -> Drive:
        return self.drives[name]

    def each(self, action: Callable[[str, Drive], None]) -> None:
        """Do the same on all boards at once, as a room full of people would; raises what went wrong first."""
        with ThreadPoolExecutor(len(self.drives)) as room:
            for future in [room.submit(action, name, drive) for name, drive in self.drives.items()]:
                future.result()

    def _start(self) -> Stage:
        bus = self.root / "bus"
        self._stack.enter_context(variables({HOME_VARIABLE: str(self.root / "home")} | client.environment(bus, only=True)))
        for name, what in self._before.items():
            bus.mkdir(mode=0o700, exist_ok=True)
            parts = BEFORE[what](self._specs[name].board) if isinstance(what, str) else what
            lay_down(self._specs[name], bus, parts)
        for name, spec in self._specs.items():
            self.drives[name] = Drive(self, self._stack.enter_context(client.start(spec, bus=bus)))
        paths = find_paths().make()
        pool = Pool(warm=min(2, len(self.drives)))
        engine = Engine(pool)
        self._stack.callback(engine.close)
        quick = BoardOptions(busy_wait=0.6)  # as elsewhere, only shorter: tests wait enough
        config = Config(boards={drive.serial: self._options.get(name, quick) for name, drive in self.drives.items()})
        by_serial = {drive.serial: drive for drive in self.drives.values()}

        def hear(identity: BoardIdentity, event: LaneEvent) -> None:
            with self.news:
                by_serial[identity.serial].events.append(event)
                self.news.notify_all()

        self.daemon = Daemon(paths, engine, Selection(paths.drives, tuple(by_serial), config=config), hear)
        self._stack.callback(self.daemon.close)
        self.daemon.start()
        engine.warm_up()
        poll(lambda: all((drive.path / "DETAILS.TXT").exists() for drive in self.drives.values()), what="the drives")
        return self


def serial_of(name: str, spec: str) -> str:
    """A serial in the form of the probe's maker that tells the boards of a stage apart."""
    if "probe=jlink" in spec:
        return str(600_000_000 + int.from_bytes(name.encode()[-3:], "big"))
    digits = name.encode().hex()
    mbed_id = BOARDS[spec.partition(",")[0]].mbed_id
    return digits.ljust(24, "0")[:24].upper() if "stlink" in spec else (mbed_id + digits.ljust(44, "0"))[:48]


@contextlib.contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the time of a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def poll(condition: Any, seconds: float = PATIENCE, what: str = "condition") -> Any:
    """The first true value of ``condition()``. Raises AssertionError at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
