"""What is kept of a drop: the records of the journal. Plain frozen data; JSON both ways."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from msdflash.drop.sight import EntryKind, Sight


def new_id(now: datetime | None = None) -> str:
    """A name for a job or a kept file: unique on this machine, sorts by time to the millisecond."""
    now = datetime.now(UTC) if now is None else now
    return f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}-{uuid.uuid4().hex[:8]}"


class Publication(msgspec.Struct, frozen=True):
    """The bytes to publish for one finished job.

    Attributes:
        details: content of DETAILS.TXT.
        mbed_htm: content of MBED.HTM.
        fail: content of FAIL.TXT, or None when there must be none.
        extras: further files by name, for this job only; removed when the next job starts.
    """

    details: bytes
    mbed_htm: bytes
    fail: bytes | None = None
    extras: dict[str, bytes] = msgspec.field(default_factory=dict)


class Answer(msgspec.Struct, frozen=True):
    """The one final answer to a drop: the report as JSON values, what to publish, and whether every byte was proved."""

    report_json: dict[str, Any]
    publication: Publication
    ok: bool


class Drop(msgspec.Struct, frozen=True):
    """One drop, from the moment it was taken.

    Attributes:
        id: job id, unique on this machine; sorts by time.
        entry: the directory entry's name as bytes (``os.fsencode``), as it may hold what no text can.
        name: the name for people: printable only, never a path.
        identity: device and inode.
        size, mtime_ns, ctime_ns: as taken.
        taken_at: UTC, ISO 8601.
        sha256: of the bytes taken; empty if nothing was read.
        spool: name of the private copy in the spool, or None if nothing was copied.
        cause: id of the cause where the take itself proved that this cannot be flashed, or None.
        message: one plain sentence for ``cause``.
        facts: measured values for ``cause``.
        retakes: how often the copy was renewed because the file had grown.
        kind: what the entry is.
        action: name of the action file that it is (see :mod:`msdflash.drop.actions`), or "".
    """

    id: str
    entry: bytes
    name: str
    identity: str
    size: int
    mtime_ns: int
    ctime_ns: int
    taken_at: str
    sha256: str = ""
    spool: str | None = None
    cause: str | None = None
    message: str = ""
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    retakes: int = 0
    kind: EntryKind = EntryKind.FILE
    action: str = ""

    @property
    def filename(self) -> str:
        """The directory entry's name as the system takes it."""
        return os.fsdecode(self.entry)

    def is_at(self, sight: Sight) -> bool:
        """Whether ``sight`` still shows what was taken. The system changes ctime on a rename, so it does not count."""
        if self.kind is not EntryKind.FILE:
            return (self.kind, self.identity) == (sight.kind, sight.identity)
        return (self.identity, self.size, self.mtime_ns) == (sight.identity, sight.size, sight.mtime_ns)


class Taken(msgspec.Struct, frozen=True, tag="taken"):
    """The drop is ours: copied and recorded. Again for the same id: taken anew, earlier attempts do not count."""

    drop: Drop


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The engine is about to be called."""

    id: str


class Shelved(msgspec.Struct, frozen=True, tag="shelved"):
    """The attempt was called off on purpose before the chip was changed; it does not count."""

    id: str


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """The final answer, with the remount count that it is published under."""

    id: str
    remount: int
    answer: Answer


class Cleared(msgspec.Struct, frozen=True, tag="cleared"):
    """Published and done.

    Attributes:
        left: the entry could not be taken away and must not be taken for a new drop.
        gone_at: when the entry was taken away, UTC, ISO 8601; empty if it was not, or not by this pass.
        published_at: when the last of our files stood in the folder.
    """

    id: str
    left: bool = False
    gone_at: str = ""
    published_at: str = ""


class Counted(msgspec.Struct, frozen=True, tag="counted"):
    """The remount count, and the last answer that was cleared; the head of a compacted journal."""

    remount: int
    answer: Answer | None = None


Record = Taken | Started | Shelved | Answered | Cleared | Counted
