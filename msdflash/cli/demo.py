"""``msdflash demo``: the whole thing on a simulated board, in under a minute, with nothing plugged in."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from msdflash.errors import MsdflashError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from msdflash.daemon.boards import BoardIdentity
    from msdflash.daemon.lane_data import LaneEvent
    from msdflash.drop.record import Answer
    from msdflash.sim.client import RunningBoard

BOARD = "nucleo-l476rg,probe=stlink-v3,serial=DEMO0000000000000000L476"
IMAGE = "blinky.bin"
PATIENCE = 60.0
"""Seconds until a drop must have its answer."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "demo",
        help="see it work on a simulated board",
        description="Serve a simulated board's drive, drop firmware on it, break the board, read FAIL.TXT, mend it.",
        allow_abbrev=False,
    )
    parser.add_argument("--no-wait", action="store_true", help="end after the tour instead of leaving the drive to you")
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Show; exit status 0 when everything went as told."""
    from msdflash.cli.bench import simulated
    from msdflash.cli.output import say
    from msdflash.cli.session import interruptible

    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="msdflash-demo-", ignore_cleanup_errors=True)))
        stack.enter_context(_bus(home))
        stack.enter_context(interruptible(stop))
        say("Starting a simulated NUCLEO-L476RG behind an ST-LINK/V3, and a drive for it ...")
        board = stack.enter_context(simulated([BOARD]))[0]
        tour = stack.enter_context(_tour(home, board, stop))
        tour.all()
        if not options.no_wait and sys.stdin.isatty() and sys.stdout.isatty():
            say("\nYours: the drive is")
            say(f"  {tour.drive}")
            say(f"Drop a file, as with:  cp {tour.firmware} {tour.drive}")
            say("Ctrl-C ends it and removes everything.")
            while not stop.wait(0.5):
                pass
    return 0


@contextlib.contextmanager
def _bus(home: Path) -> Iterator[None]:
    """A bus of our own, so that neither real probes nor other simulated boards can come in the way."""
    names = {"MSDFLASH_SIM_BUS": str(home / "bus"), "MSDFLASH_SIM_ONLY": "1", "MSDFLASH_HOME": str(home / "home")}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class Tour:
    """The steps of the demo, and the answers that the daemon gives meanwhile. ``drive`` is set once it is made."""

    def __init__(self, board: RunningBoard, stop: threading.Event) -> None:
        self.drive = Path()
        self._board = board
        self._stop = stop
        self._answers: list[Answer] = []
        self._heard = threading.Condition()
        self.firmware = firmware()

    def hear(self, _board: BoardIdentity, event: LaneEvent) -> None:
        """Take in what the daemon's lane tells."""
        if event.what == "cleared" and event.answer is not None:
            with self._heard:
                self._answers.append(event.answer)
                self._heard.notify_all()

    def all(self) -> None:
        """Everything in order. Raises MsdflashError if something is not as it should be."""
        from msdflash.cli.output import say

        say(f"The drive: {self.drive}\n")
        say(f"1. A good drop: cp {IMAGE} onto the drive")
        self._drop(expect=True)
        self._show("DETAILS.TXT", keep=("Last ", "Remount"))
        image = self.firmware.read_bytes()
        if self._board.flash(0, len(image)) != image:
            raise MsdflashError("the board's flash does not hold the file")
        say(f"   The board's flash, read past the probe: all {len(image)} bytes equal the file.\n")
        say("2. The same drop while something holds the reset line low")
        self._board.set("fault=reset-held")
        self._drop(expect=False)
        self._show("FAIL.TXT")
        say("\n3. The reset line is released; the same drop again, nothing restarted")
        self._board.set("fault=none")
        self._drop(expect=True)
        self._show("DETAILS.TXT", keep=("Last result", "Last verified"))
        if (self.drive / "FAIL.TXT").exists():
            raise MsdflashError("FAIL.TXT is still there after a good drop")
        say("   FAIL.TXT is gone.")

    def _drop(self, *, expect: bool) -> None:
        from msdflash.cli.output import say

        began = time.monotonic()
        with self._heard:
            count = len(self._answers)
        shutil.copyfile(self.firmware, self.drive / IMAGE)
        deadline = began + PATIENCE
        with self._heard:
            while len(self._answers) == count:
                if self._stop.is_set():
                    raise KeyboardInterrupt
                if time.monotonic() > deadline:
                    raise MsdflashError(f"no answer to the drop within {PATIENCE:g} s")
                self._heard.wait(0.1)
            answer = self._answers[-1]
        took = time.monotonic() - began
        say(f"   -> {'flashed and proved' if answer.ok else 'not flashed'}, {took:.1f} s from copy to answer")
        if answer.ok != expect:
            wanted = "succeed" if expect else "fail"
            raise MsdflashError(f"the drop should {wanted}, but: {answer.report_json.get('headline') or 'it did not'}")

    def _show(self, name: str, keep: tuple[str, ...] = ()) -> None:
        from msdflash.cli.output import say

        lines = (self.drive / name).read_text(encoding="ascii").splitlines()
        shown = [line for line in lines if not keep or line.startswith(keep)]
        say(f"   {name}{' (in part)' if keep else ''}:")
        say("\n".join(f"   | {line}" if len(line) < 100 else f"   | {line[:96]}..." for line in shown))


@contextlib.contextmanager
def _tour(home: Path, board: RunningBoard, stop: threading.Event) -> Iterator[Tour]:
    from msdflash.daemon.paths import find_paths
    from msdflash.daemon.run import Daemon, Selection
    from msdflash.engine.pool import Pool
    from msdflash.engine.runner import Engine

    engine = Engine(Pool(warm=1))
    tour = Tour(board, stop)
    daemon = Daemon(find_paths().make(), engine, Selection(drives=home / "drives", serials=(board.serial,)), tour.hear)
    try:
        daemon.start()
        engine.warm_up()
        tour.drive = daemon.folder(board.serial)
        _wait_for(tour.drive / "DETAILS.TXT")
        yield tour
    finally:
        daemon.close()
        engine.close()


def firmware() -> Path:
    """The demo's firmware file."""
    import msdflash

    return Path(msdflash.__file__).parent / "sim" / "firmware" / IMAGE


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        if time.monotonic() > deadline:
            raise MsdflashError(f"{path} did not appear within {PATIENCE:g} s")
        time.sleep(0.02)
