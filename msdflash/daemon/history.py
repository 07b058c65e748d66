"""What was answered, kept: one line a job, whole reports, in segments that the oldest leave first; and each image once, by its sha256.

The journal of a board is what answers rest on; this is memory for people. Nothing here is needed for flashing, and what fails here is
told in the log and goes on without.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

SEGMENT = 4 * 1024 * 1024
"""Bytes after which a new segment begins."""
MOST_BYTES = 64 * 1024 * 1024
MOST_IMAGES = 512 * 1024 * 1024
_LONGEST_WAIT = 5.0
_SHA = re.compile("[0-9a-f]{64}")


class Record(msgspec.Struct, frozen=True):
    """One answered job.

    Attributes:
        job: its id; begins with its time, so records sort by it.
        serial: of the probe.
        board: the board's name then.
        report: the whole report, ``msdflash/report/1``.
    """

    job: str
    serial: str
    board: str
    report: dict[str, Any]

    @property
    def time(self) -> str:
        """When it ended, ISO 8601."""
        return str(self.report.get("time", ""))

    @property
    def outcome(self) -> str:
        """``flashed``, ``not-flashed`` and so on."""
        return str(self.report.get("outcome", ""))

    @property
    def cause(self) -> str:
        """Id of the leading cause, or ""."""
        return str(self.report.get("cause") or "")

    @property
    def sha256(self) -> str:
        """Of the file, or ""."""
        image = self.report.get("image")
        return str(image.get("sha256", "")) if isinstance(image, dict) else ""


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class History:
    """The records below one folder. Any thread and any process may add and read."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES, most_images: int = MOST_IMAGES) -> None:
        """``folder`` is made when something is added."""
        self._folder = folder
        self._images = folder / "images"
        self._most = most_bytes
        self._most_images = most_images

    # --- adding -------------------------------------------------------------------------------------------------------------------

    def add(self, record: Record, image: Path | None = None) -> bool:
        """Keep a record, and the image that it is about. A job that is there already is not added again. False if it cannot be kept."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(self._folder / "lock", timeout=_LONGEST_WAIT):
                if self._has(record.job):
                    return True
                self._append(_encoder.encode(record))
                if image is not None and _SHA.fullmatch(record.sha256):
                    self._keep(image, record.sha256)
                self._trim()
        except (OSError, Timeout) as error:
            log.warning("job %s is not kept in the history: %s", record.job, error)
            return False
        return True

    def _has(self, job: str) -> bool:
        """Whether one of the latest jobs is this one: only a job that was answered just before a crash can come twice."""
        segments = self._segments()
        return bool(segments) and any(f'"{job}"'.encode() in line[:200] for line in segments[-1].read_bytes().splitlines()[-200:])

    def _append(self, line: bytes) -> None:
        segments = self._segments()
        path = segments[-1] if segments and segments[-1].stat().st_size < SEGMENT else self._next(segments)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600)
        try:
            length = os.fstat(descriptor).st_size
            # A torn tail must not swallow this line.
            torn = length > 0 and _last_byte(path) != b"\n"
            data = memoryview((b"\n" if torn else b"") + line + b"\n")
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, length)
                raise
        finally:
            os.close(descriptor)

    def _next(self, segments: list[Path]) -> Path:
        number = int(segments[-1].stem.removeprefix("history-")) + 1 if segments else 1
        return self._folder / f"history-{number:06}.jsonl"

    def _keep(self, image: Path, sha256: str) -> None:
        target = self._images / sha256
        if target.exists():
            os.utime(target)
            return
        self._images.mkdir(mode=0o700, exist_ok=True)
        fresh = self._images / f"{sha256}.new"
        fresh.unlink(missing_ok=True)
        try:
            fresh.hardlink_to(image)  # the spool's copy is never changed, only removed
        except OSError:
            shutil.copyfile(image, fresh)
        fresh.replace(target)

    def _trim(self) -> None:
        segments = self._segments()
        sizes = [path.stat().st_size for path in segments]
        while len(segments) > 1 and sum(sizes) > self._most:
            segments.pop(0).unlink()
            sizes.pop(0)
        if self._images.exists():
            images = sorted(self._images.iterdir(), key=lambda path: path.stat().st_mtime_ns)
            total = sum(path.stat().st_size for path in images)
            for path in images[:-1]:
                if total <= self._most_images:
                    break
                total -= path.stat().st_size
                path.unlink()

    def _segments(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("history-*.jsonl") if path.stem.removeprefix("history-").isdigit())

    # --- reading ------------------------------------------------------------------------------------------------------------------

    def records(self, *, board: str = "", cause: str = "", since: str = "", outcome: str = "") -> Iterator[Record]:
        """Newest first. ``board``: serial or name; ``since``: ISO 8601, compared as text of UTC times. Damaged lines are left out."""
        for path in reversed(self._segments()):
            try:
                lines = path.read_bytes().splitlines()
            except OSError:
                continue
            for line in reversed(lines):
                try:
                    record = _decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    continue
                if since and record.time < since:
                    continue
                if board and board.casefold() not in (record.serial.casefold(), record.board.casefold()):
                    continue
                if (cause and record.cause != cause) or (outcome and record.outcome != outcome):
                    continue
                yield record

    def job(self, job: str) -> Record | None:
        """One job, by its id or the beginning of it that no other has."""
        found = [record for record in self.records() if record.job.startswith(job)] if job else []
        exact = [record for record in found if record.job == job]
        return exact[0] if exact else found[0] if len(found) == 1 else None

    def image(self, sha256: str) -> Path | None:
        """The kept image, or None."""
        path = self._images / sha256
        return path if _SHA.fullmatch(sha256) and path.is_file() else None

    def counts(self, *, since: str = "") -> dict[tuple[str, str], int]:
        """How often each board had each cause: ``{(board, cause or outcome): times}``."""
        return dict(Counter((record.board, record.cause or record.outcome) for record in self.records(since=since)))


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)
