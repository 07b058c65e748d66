"""Blocks of target memory as bytes."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from typing import Any, Protocol

from msdflash.worker.erased import guard_of

BLOCK = 0x8000
"""Bytes of one read: long enough that the probe's packets are full, short enough for progress and deadlines."""


class Memory(Protocol):
    """What is needed of a pyOCD target."""

    def read_memory_block32(self, addr: int, size: int) -> Any:
        """``size`` words."""

    def write_memory_block32(self, addr: int, data: Any) -> None:
        """Words."""


def to_words(data: bytes) -> list[int]:
    """Little-endian words of ``data``, whose length is a multiple of four."""
    words = array("I", data)
    if sys.byteorder == "big":
        words.byteswap()
    return words.tolist()


def to_bytes(words: Any) -> bytes:
    """The bytes of little-endian words."""
    packed = array("I", words)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def read(memory: Memory, address: int, length: int, progress: Callable[[int], None] | None = None) -> bytes:
    """``length`` bytes at ``address`` (both multiples of four), in blocks; ``progress`` is told the bytes of each.

    Erased flash that cannot be read comes as 0xFF; which pages that is, the guard of :mod:`msdflash.worker.erased` knows.
    """
    port = _port(memory)
    guard = guard_of(memory)

    def words(start: int, size: int) -> bytes:
        return to_bytes(port.read_memory_block32(start, size // 4))

    parts = []
    for start in range(0, length, BLOCK):
        size = min(BLOCK, length - start)
        guarded = guard is not None and guard.covers(address + start)
        parts.append(guard.read(words, address + start, size) if guard is not None and guarded else words(address + start, size))
        if progress is not None:
            progress(size)
    return b"".join(parts)


def _port(memory: Any) -> Memory:
    """The access port behind a pyOCD target or core.

    The core's own method calls a function for each word read, to hide software breakpoints (CortexM.read_memory_block32). A job sets none,
    and proof is about what really stands there.
    """
    core = getattr(memory, "primary_core", memory)
    port: Memory = getattr(core, "ap", core)
    return port


def write(memory: Memory, address: int, data: bytes) -> None:
    """Words to RAM; ``data`` is a multiple of four bytes long."""
    memory.write_memory_block32(address, to_words(data))


def first_difference(expected: bytes, found: bytes) -> int | None:
    """Index of the first byte that differs, or None. Both have the same length."""
    if expected == found:
        return None
    low, high = 0, len(expected)
    while high - low > 64:
        middle = (low + high) // 2
        if expected[low:middle] != found[low:middle]:
            high = middle
        else:
            low = middle
    return next(index for index in range(low, high) if expected[index] != found[index])
