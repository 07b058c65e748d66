"""Does the content itself say that the file is whole? Only its first and last bytes are read."""

from __future__ import annotations

import os
import stat
import sys

from msdflash.drop.place import Place
from msdflash.drop.settle import Content
from msdflash.drop.sight import Sight, sight_of
from msdflash.image.whole import EDGE, is_whole


def wholeness(head: bytes, tail: bytes, size: int) -> Content:
    """What the first and the last bytes and the size say.

    A file of a format with an end mark (Intel hex, S-record, UF2, ELF) is whole when it ends in that, and cut when it does not. A file that
    ends in nothing but zeros, or begins so while its name was given first, may be one whose space was reserved and not yet filled.
    """
    whole = is_whole(head, tail, size)
    if whole is not None:
        return Content.WHOLE if whole else Content.CUT
    if tail and not tail.strip(b"\0"):
        return Content.CUT
    return Content.UNKNOWN


def peek(place: Place, sight: Sight) -> tuple[Content, Sight]:
    """Open the file once, judge its edges, and tell what was opened (opening makes network file systems look again).

    Raises OSError, PermissionError if it is not a regular file.
    """
    descriptor = place.open_file(sight.name)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError(f"{sight.name} is not a regular file")
        head = file.read(EDGE) or b""
        file.seek(max(0, status.st_size - EDGE))
        tail = file.read(EDGE) or b""
        content = wholeness(head, tail, status.st_size)
        if content is not Content.CUT and has_hole(descriptor, status.st_size):
            content = Content.CUT
        return content, sight_of(sight.name, status)


def has_hole(descriptor: int, size: int) -> bool:
    """Whether the file has places that nobody has written yet, as far as its file system tells (SEEK_HOLE, lseek(2); never on Windows).

    Copies over a network and downloads in parts may write the end first; then both edges look whole.
    """
    if sys.platform == "win32" or not hasattr(os, "SEEK_HOLE"):
        return False
    try:
        return os.lseek(descriptor, 0, os.SEEK_HOLE) < size
    except OSError:  # this file system does not tell; an empty file has no place to seek to
        return False
