"""Where msdflash keeps what: records that outlive it, logs, and locks that do not.

Everything lies in the user's own folders as each system has them. ``MSDFLASH_HOME`` puts it all below one folder instead.
"""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import platformdirs

from msdflash.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_VARIABLE = "MSDFLASH_HOME"
_APP = "msdflash"
UNDO = "undo"
"""Folder in a board's private one: bytes beside an image while their sectors are erased."""


class Paths(msgspec.Struct, frozen=True):
    """Folders of one installation.

    Attributes:
        state: journal, what was learned about probes; must survive a restart of the machine.
        logs: logs of failed jobs.
        runtime: locks; may vanish with the machine's session.
        drives: where boards' drive folders are made unless the user says otherwise.
    """

    state: Path
    logs: Path
    runtime: Path
    drives: Path

    @property
    def history(self) -> Path:
        """Where answered jobs are kept, see :mod:`msdflash.daemon.history`."""
        return self.state / "history"

    def board(self, serial: str) -> Path:
        """A board's private folder, by its probe's serial: readable where that is plain, unique in any case."""
        plain = "".join(c for c in serial if c.isascii() and c.isalnum())[-24:]
        return self.state / "boards" / f"{plain}-{hashlib.sha256(serial.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"

    def make(self) -> Paths:
        """Make the private folders (not ``drives``), for this user only. Raises :class:`UsageError` when that cannot be."""
        for folder in (self.state, self.logs, self.runtime):
            make_private(folder)
        return self


def find_paths(environ: Mapping[str, str] | None = None) -> Paths:
    """The folders for this user. Makes none of them."""
    home = (os.environ if environ is None else environ).get(HOME_VARIABLE)
    if home:
        base = Path(home).absolute()
        return Paths(state=base / "state", logs=base / "log", runtime=base / "run", drives=base / "drives")
    return Paths(
        state=platformdirs.user_state_path(_APP, appauthor=False),
        logs=platformdirs.user_log_path(_APP, appauthor=False),
        runtime=_runtime(),
        drives=Path.home() / _APP,
    )


def _runtime() -> Path:
    with warnings.catch_warnings():
        # Without a login session there is no runtime folder; the fallback below the temporary one is as good, and checked.
        warnings.simplefilter("ignore", UserWarning)
        return platformdirs.user_runtime_path(_APP, appauthor=False)


def make_private(folder: Path) -> None:
    """Make a folder that only this user can use.

    Raises:
        UsageError: it cannot be made, or it belongs to somebody else (who could then fake locks in it).
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = folder.stat().st_uid
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror or error}; {HOME_VARIABLE} names another") from error
    if sys.platform != "win32" and owner != os.geteuid():
        raise UsageError(f"the folder {folder} belongs to another user; {HOME_VARIABLE} names another")
