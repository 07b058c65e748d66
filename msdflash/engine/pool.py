"""Workers kept warm: pyOCD already imported, waiting for an order.

Importing takes most of a second, which a person would feel at each drop.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from msdflash.engine.environment import worker_command
from msdflash.engine.process import WorkerProcess
from msdflash.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

MOST_WARM = 2
"""However many boards there are: each warm worker costs some 50 MiB for nothing."""


class Pool:
    """Hands out fresh workers, one order each. Uses no processor time between jobs.

    A worker's first message lies in its pipe until somebody takes the worker, so nothing needs to watch them.

    One thread starts them all and lives as long as the pool: Linux takes the end of the thread that started a process for the death of its
    parent (prctl(2), PR_SET_PDEATHSIG), so a worker started by one board's thread would be killed in another board's job when that
    first thread ends.
    """

    def __init__(self, command: Sequence[str] | None = None, *, warm: int = 0, environ: Mapping[str, str] | None = None) -> None:
        """Make an empty pool; :meth:`refill` starts the first warm workers.

        Args:
            command: a worker's command line; None for the product's own.
            warm: how many to keep ready, at most :data:`MOST_WARM`; 0 for one-shot commands.
            environ: variables to choose a worker's from; None for this process' own at the time.
        """
        self._command = list(command) if command is not None else worker_command()
        self._warm = min(max(warm, 0), MOST_WARM)
        self._environ = environ
        self._idle: deque[WorkerProcess] = deque()
        self._starting = 0
        self._lock = threading.Lock()
        self._closed = False
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="msdflash-starter")

    def take(self) -> WorkerProcess:
        """A worker for one order: the one that has waited longest, or a new one. It belongs to the caller.

        Raises:
            WorkerError: the pool is closed or the system starts no process.
        """
        with self._lock:
            if self._closed:
                raise WorkerError("the engine is closed")
            candidates = list(self._idle)
            self._idle.clear()
        chosen: WorkerProcess | None = None
        for worker in candidates:
            if not worker.fit:
                log.info("warm worker %d has gone (%s)", worker.pid, worker.exit_text())
                worker.end()
            elif chosen is None:
                chosen = worker
            else:
                self._keep(worker)
        return chosen or self._start()

    def refill(self) -> None:
        """Start what is missing to the warm number. Called when a job's work is done: the import would slow the job down."""
        while True:
            with self._lock:
                if self._closed or len(self._idle) + self._starting >= self._warm:
                    return
                self._starting += 1
            try:
                worker = self._start()
            except WorkerError as error:
                log.warning("no warm worker: %s", error)
                return
            finally:
                with self._lock:
                    self._starting -= 1
            self._keep(worker)

    def keep(self, warm: int) -> None:
        """Change the number of workers to keep ready from now on. Those that wait already stay until they are taken."""
        with self._lock:
            self._warm = min(max(warm, 0), MOST_WARM)

    def pids(self) -> tuple[int, ...]:
        """Process ids of the warm workers."""
        with self._lock:
            return tuple(worker.pid for worker in self._idle)

    def close(self) -> None:
        """End all warm workers. Workers that were taken are their takers' affair, and to be ended before. May be called again."""
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
        for worker in idle:
            worker.hang_up()
        for worker in idle:
            worker.end(patience=0.3)
        self._starter.shutdown()

    def _start(self) -> WorkerProcess:
        try:
            starting = self._starter.submit(WorkerProcess, self._command, self._environ)
        except RuntimeError as error:  # shut down meanwhile
            raise WorkerError("the engine is closed") from error
        return starting.result()

    def _keep(self, worker: WorkerProcess) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < MOST_WARM:
                self._idle.append(worker)
                return
        worker.end()
