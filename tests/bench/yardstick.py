"""How long a drop takes, beside what pyOCD's own command line takes for the same change of the same simulated board.

Run it from the checkout: ``python tests/bench/yardstick.py [--runs 10] [--probe stlink-v3] [--cell 16K] [--timed]``. It prints a table in
Markdown and judges it by the targets below. Three tools take turns on one board:

* **load**: the stock ``pyocd load`` of this environment, from an empty folder;
* **compare**: the same with a read-back compare of the whole file (``load_and_compare.py``), which is what a drop is worth;
* **ours**: ``cp`` into the folder of a running ``msdflash run`` with a warm worker.

Each run changes the flash in the same way as its neighbours: the tools write image A and image B in turn. After each run the board's
flash is read past the probe and must hold the image. Absolute seconds say little on a shared machine; ratios of neighbours do.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil

import msdflash
from msdflash.drop.journal import intact
from msdflash.drop.record import Answered, Cleared, Drop, Record, Taken
from msdflash.sim import client
from msdflash.sim.spec import BoardSpec, parse

PROBES = ("stlink-v3", "cmsis-dap")
TARGET = "stm32l475xg"
TOOLS = ("load", "compare", "ours")
PAGE = 2048
"""Bytes of one flash page of the simulated chip."""
PATIENCE = 400.0
FIRMWARE = Path(msdflash.__file__).parent / "sim" / "firmware" / "blinky.bin"
_decode = msgspec.json.Decoder(Record).decode


@dataclass(frozen=True)
class Cell:
    """One kind of change. ``change``: ``all`` (images A and B in turn), ``none`` (it is there already), ``page`` (one page of it).

    ``limit``: the target for our work divided by ``pyocd load``, or None.
    """

    name: str
    title: str
    size: int
    change: str = "all"
    limit: float | None = None


CELLS = (
    Cell("16K", "16 KiB", 16 << 10, limit=0.6),
    Cell("256K", "256 KiB", 256 << 10),
    Cell("1M", "1 MiB", 1 << 20, limit=1.0),
    Cell("1M-same", "1 MiB, unchanged", 1 << 20, "none", limit=0.5),
    Cell("1M-page", "1 MiB, one page changed", 1 << 20, "page"),
)


@dataclass
class Run:
    """What one run of one tool took: seconds, memory-access words over SWD, USB round trips (answers that the host waited for).

    For a drop ``seconds`` is the work: from the file being found whole to the end of the proof.
    """

    seconds: float
    words: int = 0
    trips: int = 0
    clocks: dict[str, float] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)


def image(size: int, seed: int) -> bytes:
    """A program that runs, and random bytes up to ``size``; the same for the same seed."""
    program = FIRMWARE.read_bytes()
    return program + random.Random(seed).randbytes(size - len(program))


def images(cell: Cell) -> Iterator[bytes]:
    """The images that the runs write, one after the other."""
    number = 0
    base = image(cell.size, 0)
    while True:
        number += 1
        if cell.change == "none":
            yield base
        elif cell.change == "all":
            yield image(cell.size, number % 2)
        else:
            middle = cell.size // 2 // PAGE * PAGE
            yield base[:middle] + random.Random(number).randbytes(PAGE) + base[middle + PAGE :]


class Yard:
    """A board, a daemon that serves it, and the tools."""

    def __init__(self, home: Path, board: client.RunningBoard, daemon: psutil.Popen, environ: dict[str, str]) -> None:
        self.home = home
        self.board = board
        self.daemon = daemon
        self._environ = environ
        self._drive = _wait_for(lambda: next(home.glob("drives/*/DETAILS.TXT"), None)).parent
        self._journal = _wait_for(lambda: next(home.glob("home/state/boards/*/journal.jsonl"), None))
        self._file = home / "image.bin"

    def run(self, tool: str, data: bytes) -> Run:
        """One run of a tool, from a quiet machine. Raises RuntimeError if the flash does not hold the image afterwards."""
        self._file.write_bytes(data)
        self._calm()
        before = self.board.tallies()
        run = self._drop() if tool == "ours" else self._command(tool)
        after = self.board.tallies()
        run.words = after["words"] - before["words"]
        run.trips = after["usb"]["in"] - before["usb"]["in"]
        if self.board.flash(0, len(data)) != data:
            raise RuntimeError(f"{tool}: the flash does not hold the image")
        return run

    def _command(self, tool: str) -> Run:
        serial, path = self.board.serial, str(self._file)
        if tool == "load":
            script = shutil.which("pyocd", path=str(Path(sys.executable).parent)) or "pyocd"
            command = [script, "load", "-W", "-u", serial, "-t", TARGET, "--base-address", "0x08000000", path]
        else:
            command = [sys.executable, str(Path(__file__).with_name("load_and_compare.py")), serial, TARGET, path]
        with tempfile.TemporaryDirectory(dir=self.home) as empty:
            began = time.monotonic()
            done = subprocess.run(command, cwd=empty, env=self._environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
            seconds = time.monotonic() - began
        if done.returncode != 0:
            raise RuntimeError(f"{tool} ended with status {done.returncode}: {done.stderr[-400:]}")
        return Run(seconds)

    def _drop(self) -> Run:
        subprocess.run(["cp", str(self._file), str(self._drive / "drop.bin")], check=True)
        drop, answered, cleared = _wait_for(self._answer)
        report = answered.answer.report_json
        if not answered.answer.ok:
            raise RuntimeError(f"the drop failed: {report.get('headline')}")
        whole = _stamp(drop.taken_at)
        clocks = {
            "settle": whole - drop.mtime_ns / 1e9,
            "work": report["proved_after"],
            "hold": _stamp(cleared.gone_at) - whole,
            "published": _stamp(cleared.published_at) - whole,
        }
        return Run(clocks["work"], clocks=clocks, steps=report["timings"])

    def _answer(self) -> tuple[Drop, Answered, Cleared] | None:
        """The journal's records of the newest drop, once it is done with."""
        drop: Drop | None = None
        answered: Answered | None = None
        found = None
        for line in self._journal.read_bytes().split(b"\n"):
            if intact(line):
                match _decode(line[9:]):
                    case Taken(drop=taken):
                        drop = taken
                    case Answered() as record:
                        answered = record
                    case Cleared() as record if drop and answered and record.id == drop.id == answered.id:
                        found = drop, answered, record
        if found is None or found[0].id == self._cleared_id:
            return None
        self._cleared_id = found[0].id
        return found

    _cleared_id = ""

    def _calm(self) -> None:
        """Wait until the daemon and its warm worker have nothing to do; the board's program runs on, for a tenth of a core at most."""
        deadline = time.monotonic() + 15
        used = self._used()
        while time.monotonic() < deadline:
            time.sleep(0.4)
            now = self._used()
            if now - used < 0.02:
                return
            used = now

    def _used(self) -> float:
        return sum(_cpu(process) for process in [self.daemon, *self.daemon.children(recursive=True)])

    def idle(self, seconds: float) -> float:
        """Processor seconds of the daemon and its children over that many seconds at rest."""
        self._calm()
        time.sleep(2.5)  # the quick looks after a drop are over
        before = self._used()
        time.sleep(seconds)
        return self._used() - before


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _stamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _wait_for(look: Any) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.02)
    raise RuntimeError("nothing happened")


@contextlib.contextmanager
def yard(probe: str, timed: bool) -> Iterator[Yard]:
    """A board on a bus of its own, and a daemon in a home of its own."""
    spec: BoardSpec = parse(f"nucleo-l476rg,probe={probe}" + (",time=on" if timed else ""))
    with tempfile.TemporaryDirectory(prefix="yard-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        environ = {**os.environ, **client.environment(home / "bus", only=True), "MSDFLASH_HOME": str(home / "home")}
        with client.start(spec, bus=home / "bus") as board, (home / "daemon.log").open("wb") as log:
            command = [sys.executable, "-m", "msdflash", "run", "--drives", str(home / "drives"), "--probe", board.serial]
            daemon = psutil.Popen(command, env=environ, stdout=log, stderr=log, cwd=home)
            try:
                yield Yard(home, board, daemon, environ)
            finally:
                daemon.send_signal(signal.SIGTERM)
                daemon.wait(90)


def measure(place: Yard, cell: Cell, runs: int) -> dict[str, list[Run]]:
    """Let the tools take turns; each begins a round once in three."""
    result: dict[str, list[Run]] = {tool: [] for tool in TOOLS}
    writes = images(cell)
    first = next(writes)
    if runs > 1 and place.board.flash(0, len(first)) != first:
        place.run("ours", first)  # the flash as every later run finds it
    for number in range(runs):
        for index in range(len(TOOLS)):
            tool = TOOLS[(number + index) % len(TOOLS)]
            result[tool].append(place.run(tool, next(writes)))
    return result


def ratios(ours: list[Run], theirs: list[Run]) -> list[float]:
    """Neighbour by neighbour."""
    return [left.seconds / right.seconds for left, right in zip(ours, theirs, strict=True)]


def spread(values: list[float], digits: int = 2) -> str:
    """Median, least and greatest."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def middle(runs: list[Run], name: str) -> float:
    """Median of an attribute."""
    return float(statistics.median(getattr(run, name) for run in runs))


TITLES = (
    "probe", "change", "ours / load", "ours / compare", "load s", "work s", "settle s", "hold s", "published s",
    "words load, compare, ours", "round trips load, compare, ours",
)  # fmt: skip


def row(probe: str, cell: Cell, result: dict[str, list[Run]]) -> str:
    """One line of the table."""
    load, compare, ours = (result[tool] for tool in TOOLS)
    clocks = {name: statistics.median(run.clocks[name] for run in ours) for name in ours[0].clocks}
    values = [
        probe,
        cell.title,
        spread(ratios(ours, load)),
        spread(ratios(ours, compare)),
        f"{middle(load, 'seconds'):.2f}",
        f"{clocks['work']:.2f}",
        f"{clocks['settle']:.2f}",
        f"{clocks['hold']:.2f}",
        f"{clocks['published']:.2f}",
        ", ".join(f"{middle(result[tool], 'words'):.0f}" for tool in TOOLS),
        ", ".join(f"{middle(result[tool], 'trips'):.0f}" for tool in TOOLS),
    ]
    return "| " + " | ".join(values) + " |"


def steps(ours: list[Run]) -> str:
    """Median milliseconds of each step of our jobs."""
    names = list(dict.fromkeys(name for run in ours for name in run.steps))
    return ", ".join(f"{name} {statistics.median(run.steps.get(name, 0.0) for run in ours) * 1000:.0f}" for name in names)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; exit status 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="Compare a drop with pyocd load on simulated boards.")
    parser.add_argument("--runs", type=int, default=10, help="rounds of each cell")
    parser.add_argument("--probe", action="append", choices=PROBES)
    parser.add_argument("--cell", action="append", choices=[cell.name for cell in CELLS])
    parser.add_argument("--timed", action="store_true", help="the bench's time model: USB, SWD clock, flash times")
    parser.add_argument("--idle", type=float, default=0.0, metavar="S", help="also measure processor time at rest")
    options = parser.parse_args(arguments)
    print("| " + " | ".join(TITLES) + " |\n" + "|---" * len(TITLES) + "|", flush=True)
    verdicts, details = [], []
    for probe in options.probe or PROBES:
        with yard(probe, options.timed) as place:
            for cell in CELLS:
                if options.cell and cell.name not in options.cell:
                    continue
                result = measure(place, cell, options.runs)
                print(row(probe, cell, result), flush=True)
                details.append(f"{probe}, {cell.title}: {steps(result['ours'])}")
                if cell.limit is not None:
                    value = statistics.median(ratios(result["ours"], result["load"]))
                    passed = "pass" if value <= cell.limit else "FAIL"
                    verdicts.append(f"{passed}: {probe}, {cell.title}: {value:.2f} of pyocd load, target {cell.limit:.1f}")
            if options.idle:
                details.append(f"{probe}: {place.idle(options.idle):.3f} s of processor time in {options.idle:g} s at rest")
    print("\n" + "\n".join(verdicts) + "\n\nSteps of a drop in ms (medians):\n" + "\n".join(details))
    return int(any(verdict.startswith("FAIL") for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
