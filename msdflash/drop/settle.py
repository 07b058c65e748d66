"""Is a drop whole? Facts in, verdict out; no clock, no file.

Nothing that a copier does announces "done" on every system, so wholeness is judged: by content where the format has an end mark, else
by quiet, and never while a program that we can see still has the file open for writing. A raw ``.bin`` has no end mark: for it quiet is all
there is.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from msdflash.drop.sight import EntryKind


class Content(StrEnum):
    """What the first and last bytes say about wholeness."""

    UNSEEN = "unseen"
    WHOLE = "whole"  # the format's own end mark is there
    CUT = "cut"  # the format's end mark is missing, or space was only reserved: the end is zeros, or the file has holes
    UNKNOWN = "unknown"  # the format has no end mark


class Writer(StrEnum):
    """Whether a program has the file open for writing."""

    UNASKED = "unasked"
    NONE = "none"
    OPEN = "open"
    HIDDEN = "hidden"  # this system does not tell


class Quiet(msgspec.Struct, frozen=True):
    """How long nothing may happen before a verdict, in seconds, and how large an image may be, in bytes.

    Attributes:
        whole: for content with an end mark that is there.
        still: for content without end marks.
        doubtful: for content that looks cut short, for a folder, and for whole content that a program keeps open.
        empty: for a file of no bytes. WebDAV clients and browsers make one first and fill it later.
        temporary: for a temporary name; the rename is waited for.
        writer: for a file that a program keeps open without writing.
        unreadable: how long opening is tried again.
        limit: the largest file that is read.
    """

    whole: float = 0.3
    still: float = 1.0
    doubtful: float = 3.0
    empty: float = 3.0
    temporary: float = 20.0
    writer: float = 60.0
    unreadable: float = 2.0
    limit: int = 64 * 1024 * 1024


class Facts(msgspec.Struct, frozen=True):
    """What is known of one entry now.

    Attributes:
        quiet: seconds since anything about it was last seen to change.
        unreadable: seconds since opening it first failed, or None if it did not fail.
        action: its name is an action file's, so what is inside does not matter and it may be empty.
        arriving: another entry is still on its way here (an unfinished copy, or a drop not yet answered).
        released: it lies on a volume of ours, which saw its last writer close it, and nothing has changed since.
    """

    kind: EntryKind
    size: int
    quiet: float
    temporary: bool = False
    content: Content = Content.UNSEEN
    writer: Writer = Writer.UNASKED
    unreadable: float | None = None
    arriving: bool = False
    action: bool = False
    released: bool = False


class Action(StrEnum):
    """What to do with an entry."""

    WAIT = "wait"
    PEEK = "peek"  # look at its first and last bytes, then ask again
    ASK = "ask"  # find out who writes it, then ask again
    TAKE = "take"
    REFUSE = "refuse"


class Verdict(msgspec.Struct, frozen=True):
    """What to do, and for WAIT after how many seconds to look again at the latest; for REFUSE the cause's id and which rule spoke."""

    action: Action
    after: float = 0.0
    cause: str = ""
    why: str = ""


_PATIENT = 0.5
_PLAIN: dict[EntryKind, str] = {EntryKind.SYMLINK: "symlink", EntryKind.SPECIAL: "special-file"}


def judge(facts: Facts, quiet: Quiet) -> Verdict:
    """The verdict on one entry."""
    if facts.kind in _PLAIN:
        return _refuse_after(facts, quiet.whole, _PLAIN[facts.kind], "kind")
    if facts.kind is EntryKind.FOLDER:
        if facts.size == 0 and facts.arriving:
            return Verdict(Action.WAIT, _PATIENT)
        if facts.temporary:  # Safari keeps an unfinished download in a folder; growth inside does not show on the folder
            return _refuse_after(facts, quiet.temporary, "half-download", "temporary-name")
        return _refuse_after(facts, quiet.doubtful, "dropped-folder", "kind")
    if facts.unreadable is not None:
        if facts.unreadable >= quiet.unreadable:
            return Verdict(Action.REFUSE, cause="unreadable", why="open")
        return Verdict(Action.WAIT, quiet.unreadable - facts.unreadable)
    if facts.action:
        return Verdict(Action.WAIT, quiet.whole - facts.quiet) if facts.quiet < quiet.whole else _action(facts)
    for applies, needed, cause, why in (
        (facts.temporary, quiet.temporary, "half-download", "temporary-name"),
        (facts.size == 0, quiet.empty, "image-empty", "size"),
        (facts.size > quiet.limit, quiet.still, "image-huge", "size"),
    ):
        if applies:
            if facts.size == 0 and not facts.temporary and facts.arriving:
                return Verdict(Action.WAIT, _PATIENT)
            return _refuse_unwritten(facts, quiet, needed, cause, why)
    return _judge_image(facts, quiet)


def _action(facts: Facts) -> Verdict:
    """An action file is read to its end only when an order counts; peeking finds out whether it can be read at all."""
    return Verdict(Action.PEEK if facts.content is Content.UNSEEN else Action.TAKE)


def _judge_image(facts: Facts, quiet: Quiet) -> Verdict:
    if facts.quiet < quiet.whole:
        return Verdict(Action.WAIT, quiet.whole - facts.quiet)
    if facts.content is Content.UNSEEN:
        return Verdict(Action.PEEK)
    # Writers that add to a file in pieces close it each time (DAPLink's own test waits 0.1 s between two): closing alone is not the end.
    still = quiet.whole if facts.released else quiet.still
    needed = {Content.WHOLE: quiet.whole, Content.CUT: quiet.doubtful}.get(facts.content, still)
    if facts.quiet < needed:
        return Verdict(Action.WAIT, needed - facts.quiet)
    if facts.writer is Writer.UNASKED:
        return Verdict(Action.ASK)
    if facts.writer is Writer.OPEN:
        if facts.content is Content.WHOLE:
            return Verdict(Action.TAKE) if facts.quiet >= quiet.doubtful else Verdict(Action.WAIT, _PATIENT)
        if facts.quiet < quiet.writer:
            return Verdict(Action.WAIT, _PATIENT)
        return Verdict(Action.REFUSE, cause="half-download", why="still-open")
    return Verdict(Action.TAKE)


def _refuse_after(facts: Facts, needed: float, cause: str, why: str) -> Verdict:
    if facts.quiet < needed:
        return Verdict(Action.WAIT, needed - facts.quiet)
    return Verdict(Action.REFUSE, cause=cause, why=why)


def _refuse_unwritten(facts: Facts, quiet: Quiet, needed: float, cause: str, why: str) -> Verdict:
    if facts.quiet < needed:
        return Verdict(Action.WAIT, needed - facts.quiet)
    if facts.writer is Writer.UNASKED:
        return Verdict(Action.ASK)
    if facts.writer is Writer.OPEN and facts.quiet < quiet.writer:
        return Verdict(Action.WAIT, _PATIENT)
    return Verdict(Action.REFUSE, cause=cause, why=why)
