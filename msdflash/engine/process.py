"""One worker process: a fresh interpreter in a group and an empty folder of its own, and surely gone afterwards."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil

from msdflash.engine.channel import Channel, open_source
from msdflash.engine.environment import worker_environment
from msdflash.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

GRACE = 0.5
"""Seconds between the polite request to end and the kill."""

KILL_WAIT = 5.0
"""Seconds after the kill until a process counts as one that cannot be killed (a driver call that never returns)."""


PREFIX = "msdflash-worker-"
"""Begins the names of workers' folders. There follow the parent's process id, the number of the name space that the id counts in, a word
that tells the parent from an earlier process with the same id, and what makes the name unique."""

STALE = 24 * 3600.0
"""Age in seconds from which a folder is litter whose parent is not seen, but would not be if it lived in another container."""

_WORD = uuid.uuid4().hex[:8]


class WorkerProcess:
    """A started worker. It is never forked from this process' memory (exec only) and takes one order.

    Attributes:
        pid: process id, which is also the id of its group on POSIX.
        folder: its private folder, removed by :meth:`end`: ``here``, its empty working directory, and ``tmp``, where its
            own temporary files go, so that a killed worker leaves none behind.
        channel: lines that it says, tail of its standard error.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        """Start it. Raises :class:`~msdflash.errors.WorkerError` when the system will not."""
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-{_name_space()}-{_WORD}-"))
        here, temporary = self.folder / "here", self.folder / "tmp"
        here.mkdir()
        temporary.mkdir()
        variables = worker_environment(os.environ if environ is None else environ)
        variables.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)))
        try:
            self._process = _start(command, variables, here)
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise WorkerError(f"cannot start a worker ({command[0]}): {error}") from error
        self.pid = self._process.pid
        # The source gets descriptors of its own: Popen's pipe objects must not be read beside it.
        self.channel = Channel(open_source(_take(self._process.stdout), _take(self._process.stderr)))

    @property
    def alive(self) -> bool:
        """It has not ended."""
        return self._process.poll() is None

    @property
    def fit(self) -> bool:
        """Alive, and its folder has not been swept away by a cleaner of temporary files."""
        return self.alive and (self.folder / "here").is_dir()

    def send(self, line: bytes) -> None:
        """Write one line. Raises :class:`~msdflash.errors.WorkerError` when the worker no longer listens."""
        stdin = self._process.stdin
        try:
            if stdin is None or stdin.closed:
                raise WorkerError("the worker's input is closed")
            stdin.write(line)
            stdin.flush()
        except OSError as error:
            raise WorkerError(f"the worker does not take its order: {error}") from error

    def hang_up(self) -> None:
        """Close its standard input, which ends a worker that keeps its contract."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def wait(self, timeout: float) -> int | None:
        """Its exit status (negative: signal, on POSIX), or None while it lives."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def end(self, patience: float = 0.0) -> bool:
        """See it dead with all that it started, and clean up. May be called again.

        Args:
            patience: seconds to wait for it to go by itself after its input is closed, before it is told to.

        Returns:
            False when even the kill did not end it within :data:`KILL_WAIT`: then it may still hold its probe, and
            this may be called again later.
        """
        self.hang_up()
        gone = self.wait(patience) is not None if patience > 0 else self._process.poll() is not None
        children = [] if gone else _descendants(self.pid)
        if not gone:
            _terminate(self._process)
            self.wait(GRACE)
        # Even after a quiet end: what it started may live on in its group.
        _kill_group(self._process)
        _kill_all(children)
        if self.wait(KILL_WAIT) is None:
            log.error("worker %d cannot be ended; it may still hold its probe", self.pid)
            return False
        self.channel.drain()
        self.channel.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return True

    def exit_text(self) -> str:
        """How it ended, in words: ``exit status 3``, ``signal SIGSEGV``, ``still running``."""
        status = self._process.poll()
        if status is None:
            return "still running"
        if status < 0:
            try:
                return f"signal {signal.Signals(-status).name}"
            except ValueError:
                return f"signal {-status}"
        return f"exit status {status}"


def sweep(temporary: Path | None = None, now: float | None = None) -> int:
    """Remove workers' folders whose parents were killed before they could; returns how many.

    Only this user's. Should one be in use all the same (by a process that cannot be seen from here), its worker counts as unfit
    and is replaced.
    """
    count = 0
    for folder in (temporary or Path(tempfile.gettempdir())).glob(f"{PREFIX}*"):
        try:
            status = folder.lstat()
            parent, space, word = [*folder.name.removeprefix(PREFIX).split("-"), "", ""][:3]
            dead = word != _WORD if int(parent) == os.getpid() else not psutil.pid_exists(int(parent))
        except (OSError, ValueError):
            continue
        ours = stat.S_ISDIR(status.st_mode) and (sys.platform == "win32" or status.st_uid == os.geteuid())
        old = (time.time() if now is None else now) - status.st_mtime > STALE
        if ours and dead and (old or space == _name_space()):
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


def _name_space() -> str:
    """Number of the name space that process ids are valid in (Linux, pid_namespaces(7)); 0 where there is only one."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)  # noqa: PTH116
    except OSError:
        return "0"


def _start(command: Sequence[str], environ: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return subprocess.Popen(
        command,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environ,
        start_new_session=sys.platform != "win32",
        creationflags=flags,
    )


def _take(stream: IO[bytes] | None) -> int:
    """A descriptor of our own for a pipe object, which is closed."""
    if stream is None:
        raise WorkerError("a worker without pipes")
    fd = os.dup(stream.fileno())
    stream.close()
    return fd


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end: SIGTERM, or on Windows the break event, which a process group of its own can be sent."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            process.terminate()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill it and everything in its session's group, without asking."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def _kill_all(children: list[psutil.Process]) -> None:
    """Kill processes that left the group; psutil checks their creation time, so a reused id is never hit."""
    for child in children:
        with contextlib.suppress(psutil.Error):
            child.kill()
    if children:
        psutil.wait_procs(children, timeout=1.0)
