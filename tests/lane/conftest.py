"""A lane on a real folder with a scripted engine."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from msdflash.daemon.lane import Lane, LaneEvent
from msdflash.drive.folder import adopt
from msdflash.job.order import FlashOrder

SCRIPT = Path(__file__).with_name("scripted.py")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scripted_lane", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scripted_lane"] = module
    spec.loader.exec_module(module)
    return module


class Rig:
    """One board's folder and lane; the lane can be stopped and started again."""

    def __init__(self, tmp_path: Path) -> None:
        self.scripted = _load()
        self.root = tmp_path / "drives" / "BOARD"
        self.state = tmp_path / "state"
        self.record = tmp_path / "log"
        self.kept = self.state / "not-flashed"
        self.during: Callable[[FlashOrder], None] = lambda order: None
        self.abort: Callable[[], None] | None = None
        self.events: list[LaneEvent] = []
        self.lane: Lane | None = None
        self.thread: threading.Thread | None = None

    def start(self, *, watch: bool = False, run_job: Any = None, answer: Any = None, acts: Any = None, **changes: Any) -> Lane:
        folder = adopt(self.root, "S1", self.state)
        self.lane = Lane(
            msgspec.structs.replace(self.scripted.CONFIG, **changes),
            folder,
            self.state,
            run_job=run_job or self.scripted.engine(self.record, lambda order: self.during(order)),  # noqa: PLW0108 - it is exchanged later
            answer=answer or self.scripted.reporter(self.record),
            resting=self.scripted.resting,
            abort=None if self.abort is None else lambda: self.abort() if self.abort else None,
            notify=self.events.append,
            acts=acts,
            watch=watch,
        )
        self.thread = threading.Thread(target=self.lane.run, name="lane")
        self.thread.start()
        return self.lane

    def stop(self) -> None:
        if self.lane is not None and self.thread is not None:
            self.lane.stop()
            self.thread.join(10)
            assert not self.thread.is_alive()
            self.lane = self.thread = None

    def drop(self, name: str, data: bytes) -> Path:
        """As ``mv`` from elsewhere: there at once."""
        path = self.root / name
        outside = self.root.parent / f"outside-{name}"
        outside.write_bytes(data)
        outside.replace(path)
        return path

    def lines(self, key: str) -> list[dict[str, Any]]:
        if not self.record.exists():
            return []
        return [line for line in map(json.loads, self.record.read_text().splitlines()) if key in line]

    def answers(self) -> list[tuple[str, str]]:
        return [(line["name"], line["what"]) for line in self.lines("answer")]

    def read(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def count(self) -> int:
        text = self.read("DETAILS.TXT")
        return -1 if text is None else int(text.removeprefix(b"Remount count: "))

    def users_files(self) -> set[str]:
        return {
            name
            for name in (path.name for path in self.root.iterdir())
            if name.upper() not in {".MSDFLASH", "DETAILS.TXT", "MBED.HTM", "FAIL.TXT"}
        }

    def wait_count(self, count: int, seconds: float = 8.0) -> None:
        deadline = time.monotonic() + seconds
        while self.count() < count or (self.lane is not None and self.lane.status().waiting):
            assert time.monotonic() < deadline, f"count {self.count()}, wanted {count}; {self.answers()} {self.lane and self.lane.status()}"
            time.sleep(0.005)

    def settle(self, seconds: float = 0.4) -> None:
        """Let the lane look often enough to do something wrong, if it wants to."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.02)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    (tmp_path / "drives").mkdir()
    made = Rig(tmp_path)
    yield made
    made.stop()
