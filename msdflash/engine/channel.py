"""Reading a child's standard output and standard error with a time limit, on every system, in bounded memory.

POSIX waits for both pipes at once and needs no thread, so a pipe that some grandchild keeps open cannot hold anything
up. Windows has no such wait for pipes: there two threads read into one short queue.
"""

from __future__ import annotations

import os
import queue
import selectors
import sys
import threading
from collections import deque
from typing import Protocol

CHUNK = 65536
"""Bytes asked of a pipe at a time."""


class Source(Protocol):
    """Where chunks of bytes come from: index 0 is standard output, 1 is standard error."""

    def next(self, timeout: float) -> tuple[int, bytes] | None:
        """``(index, bytes)``; empty bytes mean that this pipe has ended. None: nothing within ``timeout`` seconds."""

    def close(self) -> None:
        """Stop reading and close both pipes. May be called again."""


class SelectSource:
    """Both pipes in one wait (POSIX)."""

    def __init__(self, stdout: int, stderr: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._open = [stdout, stderr]
        self._selector.register(stdout, selectors.EVENT_READ, 0)
        self._selector.register(stderr, selectors.EVENT_READ, 1)

    def next(self, timeout: float) -> tuple[int, bytes] | None:
        """See :meth:`Source.next`."""
        if not self._selector.get_map():
            return None
        for key, _ in self._selector.select(max(timeout, 0.0)):
            data = os.read(key.fd, CHUNK)
            if not data:
                self._selector.unregister(key.fd)
            return key.data, data
        return None

    def close(self) -> None:
        """See :meth:`Source.close`."""
        self._selector.close()
        while self._open:
            os.close(self._open.pop())


class ThreadSource:
    """One thread a pipe (Windows). The queue is short: a child that floods is held back instead of filling memory."""

    def __init__(self, stdout: int, stderr: int) -> None:
        self._queue: queue.Queue[tuple[int, bytes]] = queue.Queue(maxsize=16)
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, args=(index, fd), name=f"msdflash-pipe-{index}", daemon=True)
            for index, fd in enumerate((stdout, stderr))
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, index: int, fd: int) -> None:
        data = b"."
        try:
            while data and not self._closed.is_set():
                try:
                    data = os.read(fd, CHUNK)
                except OSError:  # Windows reports a pipe whose writer has died so
                    data = b""
                self._put((index, data))
        finally:
            os.close(fd)

    def _put(self, item: tuple[int, bytes]) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def next(self, timeout: float) -> tuple[int, bytes] | None:
        """See :meth:`Source.next`."""
        try:
            return self._queue.get(timeout=max(timeout, 0.0)) if timeout > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        """See :meth:`Source.close`. The child must be dead: its death ends the threads' reads."""
        self._closed.set()
        for thread in self._threads:
            thread.join(2.0)


def open_source(stdout: int, stderr: int) -> Source:
    """The kind of source for this system. It owns both descriptors from now on."""
    if sys.platform == "win32":
        return ThreadSource(stdout, stderr)
    return SelectSource(stdout, stderr)


class Ended(Exception):  # noqa: N818 - not an error: the far end has said all it will say
    """Standard output has ended."""


class TooLong(Exception):  # noqa: N818 - named for what the line is
    """A line is longer than any message may be."""


class Channel:
    """Lines out of standard output; the tail of standard error.

    Attributes:
        tail: the last lines of standard error, oldest first; long lines are cut.
    """

    def __init__(self, source: Source, *, longest: int = 4 << 20, tail_lines: int = 200) -> None:
        self._source = source
        self._longest = longest
        self._buffer = bytearray()
        self._lines: deque[bytes] = deque()
        self._ended = False
        self._errors = bytearray()
        self.tail: deque[str] = deque(maxlen=tail_lines)

    def line(self, timeout: float) -> bytes | None:
        """The next whole line of standard output without its end, or None after at most about ``timeout`` seconds.

        One chunk is read at most, so a chatty standard error makes it return None early.

        Raises:
            Ended: nothing more will come. A last line without an end is dropped: it is half a message.
            TooLong: more bytes than a message may have and still no end of line.
        """
        if not self._lines and not self._ended:
            self._pump(timeout)
        if self._lines:
            return self._lines.popleft()
        if self._ended:
            raise Ended
        if len(self._buffer) > self._longest:
            raise TooLong
        return None

    def drain(self) -> None:
        """Take in what lies in the pipes now, standard error included; never waits, takes a few MiB at most."""
        for _ in range(64):
            if not self._pump(0.0):
                break
        if self._errors:
            self._remember(b"\n")

    def rest(self) -> list[bytes]:
        """Whole lines that have been taken in but not been asked for."""
        lines = list(self._lines)
        self._lines.clear()
        return lines

    def close(self) -> None:
        """Close both pipes."""
        self._source.close()

    def _pump(self, timeout: float) -> bool:
        item = self._source.next(timeout)
        if item is None:
            return False
        index, data = item
        if index == 1:
            self._remember(data)
        elif not data:
            self._ended = True
        else:
            self._buffer += data
            *whole, rest = bytes(self._buffer).split(b"\n") if b"\n" in data else [bytes(self._buffer)]
            if whole:
                self._lines.extend(whole)
                self._buffer = bytearray(rest)
        return True

    def _remember(self, data: bytes) -> None:
        self._errors += data
        *whole, rest = bytes(self._errors).split(b"\n")
        self.tail.extend(line[:400].decode("utf-8", "replace").rstrip() for line in whole)
        self._errors = bytearray(rest[:4096])
