"""One board that the daemon serves: its folder, its locks, its lane, and what is known of its probe at the moment."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from msdflash.daemon.turn import Turn
from msdflash.drive.publish import NOTE
from msdflash.job.order import Connection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from msdflash.daemon.boards import BoardIdentity
    from msdflash.daemon.config import BoardOptions
    from msdflash.daemon.joblog import JobLog
    from msdflash.daemon.keeper import Keeper
    from msdflash.daemon.locks import Hold
    from msdflash.volume.seam import Volume

log = logging.getLogger(__name__)


class Served:
    """One board being served.

    Attributes:
        identity: who it is.
        folder: its drive folder.
        holds: locks on probe and folder.
        cancel: set to call off its job.
        keeper: its lane.
        present: its probe is connected.
        logs: of the jobs that run, by job.
        kept: where the log of a failed job was kept, by job.
        turn: who uses the probe.
        notes: further files for the drive, by name.
        volume: the folder offered as a volume.
    """

    def __init__(self, identity: BoardIdentity, folder: Path, holds: list[Hold], options: Callable[[], BoardOptions]) -> None:
        """Begin with the locks held; ``options`` says what the user wants of it now."""
        self.identity = identity
        self.folder = folder
        self.holds = holds
        self.cancel = threading.Event()
        self.keeper: Keeper | None = None
        self.present = True
        self.logs: dict[str, JobLog] = {}
        self.kept: dict[str, Path | None] = {}
        self.turn = Turn()
        self.notes: dict[str, bytes] = {}
        self.volume: Volume | None = None
        self._options = options

    def connection(self) -> Connection:
        """How to reach it, as the user said."""
        said = self._options()
        return Connection(self.identity.serial, said.target, said.pack, said.frequency, said.connect)

    def title(self) -> tuple[str, str]:
        """Its name for people, and its folder's name."""
        return self.identity.name, self.identity.folder

    def busy_wait(self) -> float:
        """Seconds to wait for a probe that another program holds."""
        return self._options().busy_wait

    def note(self, text: bytes | None) -> None:
        """What stands in DRIVE.TXT, or that there is none."""
        self.notes = {} if text is None else {NOTE: text}
        if self.keeper is not None:
            self.keeper.refresh()

    def tell(self, *, present: bool) -> None:
        """The probe is, or is not, connected now."""
        if present != self.present:
            self.present = present
            log.info("%s: %s", self.identity.folder, "its probe is back" if present else "its probe is gone")
            if self.keeper is not None:
                self.keeper.refresh()

    def release(self) -> None:
        """Let go of probe and folder."""
        for hold in self.holds:
            hold.release()
