"""Whole by its edges: each format's end mark, and every way to miss it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from msdflash.image.whole import EDGE, is_whole

if TYPE_CHECKING:
    from types import ModuleType


def judged(content: bytes) -> bool | None:
    return is_whole(content[:EDGE], content[-EDGE:], len(content))


SREC = b"S00600004844521B\r\nS1130000" + b"00" * 16 + b"EC\r\nS9030000FC\r\n"


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (SREC, True),
        (SREC.rstrip(), True),
        (SREC[:-4], False),
        (SREC[:30], False),
        (SREC.replace(b"S9030000FC", b"S9030000FD"), False),
        (SREC.replace(b"S9030000FC", b"S70508000131C0"), True),
        (SREC.replace(b"S9030000FC", b"S5030001FB"), False),
        (SREC + b"\0" * 64, False),
        (b"S0", None),
    ],
)
def test_srec(content: bytes, whole: bool | None) -> None:
    assert judged(content) is whole


def test_uf2_by_its_block_count(writers: ModuleType) -> None:
    file = writers.uf2([(0x0800_0000, bytes(range(256)) * 5)])
    assert judged(file) is True
    assert judged(file[:-512]) is False
    assert judged(file[:-1]) is False
    assert judged(file[:20]) is False
    assert judged(file[:-512] + bytes(512)) is False
    assert judged(file + file) is None


def test_elf_by_its_tables(writers: ModuleType) -> None:
    file = writers.elf([(0x0800_0000, b"\x11" * 3000), (0x0800_4000, b"\x22" * 10)])
    assert judged(file) is True
    for length in (len(file) - 1, len(file) // 2, 60):
        assert judged(file[:length]) is False, length
    assert judged(file[:40]) is None
    assert judged(file[:100] + bytes(len(file) - 100)) is False
    bare = writers.elf([(0x0800_0000, b"\x11" * 3000)], sections=False)
    assert judged(bare) is True
    assert judged(bare[:-1]) is False
    assert judged(struct.pack("<4sBB", b"\x7fELF", 2, 1) + bytes(100)) is None
