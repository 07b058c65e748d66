"""A simulated board with its firmware's own drive, and a watch over it by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msdflash.realdrive.mounts import Mount
from msdflash.realdrive.parent import Parent
from msdflash.realdrive.track import Failed
from msdflash.realdrive.watcher import Watcher
from msdflash.sim.board import Board
from msdflash.sim.contents import program
from msdflash.sim.drive import FirmwareDrive, Style

BOARD = "nucleo-l476rg"
UNIQUE = "0765022100000000000000000000000000000000" + "97969908"


class Table:
    """Boards on a table, each with a probe and its drive; one computer watches them."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.events: list[tuple[str, str]] = []
        self.failures: list[tuple[str, Failed]] = []
        self.drives: dict[str, FirmwareDrive] = {}
        self.parents: dict[str, Parent] = {}
        self.served: list[str] = []
        self._folder = folder
        self._boards: list[Board] = []
        self.watcher = Watcher(lambda: self.served, self, mounts=self.mounts, parent=self.parent, clock=lambda: self.now)

    def add(self, serial: str, fault: str = "", style: Style = Style.DAPLINK, *, served: bool = True) -> FirmwareDrive:
        """A board; its drive is there from the start."""
        board = Board(BOARD, "cmsis-dap")
        self._boards.append(board)
        if fault:
            board.set_fault(fault, "")
        drive = FirmwareDrive(self._folder / f"drive-{len(self._boards)}", board.port, UNIQUE, lambda: self.now, style)
        self.drives[str(drive.folder)] = drive
        self.parents[str(drive.folder)] = Parent(0x0D28, 0x0204, serial, f"1-{len(self._boards)}")
        if served:
            self.served.append(serial)
        return drive

    def mounts(self) -> list[Mount]:
        return [Mount(str(drive.folder), "", "", f"{drive.mountings}", "") for drive in self.drives.values() if drive.mounted]

    def parent(self, mount: Mount) -> Parent | None:
        return next(parent for path, parent in self.parents.items() if Path(path).name == Path(mount.path).name)

    def run(self, seconds: float, until: Callable[[], object] = lambda: False) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end and not until():
            self.now += 0.25
            for drive in self.drives.values():
                drive.step()
            self.watcher.once()

    def drop(self, drive: FirmwareDrive, data: bytes | None = None) -> None:
        (drive.folder / "a.bin").write_bytes(program(BOARD) if data is None else data)

    def failed(self, serial: str, failed: Failed) -> None:
        self.failures.append((serial, failed))
        self.events.append((serial, "failed"))

    def disturbed(self, serial: str) -> None:
        self.events.append((serial, "disturbed"))

    def cleared(self, serial: str) -> None:
        self.events.append((serial, "cleared"))

    def close(self) -> None:
        for board in self._boards:
            board.close()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    made = Table(tmp_path)
    yield made
    made.close()
