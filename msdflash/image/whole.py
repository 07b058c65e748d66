"""Cheap signs that a file has arrived completely, for deciding when it has settled."""

from __future__ import annotations

import re

TAIL = 64
"""Bytes of a file's end that :func:`hex_is_whole` needs at most."""

_END = re.compile(rb":00([0-9A-Fa-f]{4})01([0-9A-Fa-f]{2})[\s\x00\x1a]*\Z")


def hex_is_whole(tail: bytes) -> bool:
    """The last bytes of a file are an Intel hex end record with a right checksum (white space may follow).

    A raw binary has no such mark: False says nothing about it.
    """
    match = _END.search(tail[-TAIL:])
    if match is None:
        return False
    raw = bytes.fromhex(match.group(1).decode("ascii"))
    return int(match.group(2), 16) == -(sum(raw) + 1) & 0xFF
