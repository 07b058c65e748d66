"""Does the content itself say that the file is whole? Only its first and last bytes are read."""

from __future__ import annotations

import os
import stat

from msdflash.drop.place import Place
from msdflash.drop.settle import Content
from msdflash.drop.sight import Sight, sight_of

_EDGE = 1024
_END_RECORD = b":00000001FF"
"""End-of-file record. Intel, Hexadecimal Object File Format Specification, revision A (1988), section 2."""


def wholeness(head: bytes, tail: bytes) -> Content:
    """What the first and the last bytes say.

    A file that begins as Intel hex is whole when its last record is the end record, and cut when it is not. A file that ends in nothing but
    zeros, or begins so while its name was given first, may be one whose space was reserved and not yet filled.
    """
    if head.lstrip(b"\xef\xbb\xbf\r\n \t").startswith(b":"):
        last = tail.rstrip(b"\r\n \t\x1a").upper()
        return Content.WHOLE if last.endswith(_END_RECORD) else Content.CUT
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
        head = file.read(_EDGE) or b""
        file.seek(max(0, status.st_size - _EDGE))
        tail = file.read(_EDGE) or b""
        return wholeness(head, tail), sight_of(sight.name, status)
