"""A flash chip beside the processor: is it there, how large is it, does it protect itself, and can its window be read.

While the processor reads its program from the flash, or after a reset before the boot ROM ran, nobody can talk to the chip itself. The
flash algorithm's Init changes that; between it and UnInit a few bytes go to the chip through the interface's registers, and afterwards
its window is readable. So this is also what makes flash readable after a reset-halt.
"""

from __future__ import annotations

from typing import Any

import msgspec

from msdflash.chips.model import SerialFlash
from msdflash.worker import program
from msdflash.worker.algorithm import ERASE, Algorithm
from msdflash.worker.channel import Channel, StepFailed

READ_ID, READ_STATUS = 0x9F, 0x05
"""JEDEC JESD216 (read identification) and the instruction that all makers have for status register 1."""
TIMES = 3
"""Equal answers before a chip counts as silent."""
LENGTH_MAKERS = frozenset({0xEF, 0xC8, 0xC2, 0x9D, 0x85, 0x0B, 0x1C, 0x68, 0x5E})
"""Makers whose third identification byte is the power of two of the length: Winbond, GigaDevice, Macronix, ISSI, Puya, XTX, Eon, Boya and
Zbit (from memory, after their data sheets)."""
WIP, SILENT = 1, 0xFF
"""Status register 1: bit 0 is set while the chip erases or programs. All ones are what nobody drives."""
WINBOND = 0xEF
BP, TB, SEC = 0x1C, 0x20, 0x40
"""Status register 1 of Winbond's W25Q16JV, 7.1: block protect, from the bottom, in sectors."""


class Found(msgspec.Struct, frozen=True):
    """What the chip says of itself.

    Attributes:
        kib: its length, or None where its identification does not tell.
        protected: ``(first, last)`` addresses that its status register protects.
    """

    kib: int | None
    protected: tuple[tuple[int, int], ...]


def look(channel: Channel, core: Any, flash: Any, family: SerialFlash, base: int) -> Found:
    """Identification and status of the chip; afterwards its window can be read. The core is halted; RAM of the algorithm is overwritten.

    Raises:
        StepFailed: ``ram``, ``algo-readback``, ``algo-init`` and its like; ``flash-chip`` when no chip answers.
    """
    algorithm = Algorithm(channel, core, flash, flash.region.page_size)
    algorithm.test_ram()
    algorithm.load()
    algorithm.enter(ERASE, base, program.UNKNOWN_ERASE)
    wire = Wire(core, family)
    answers = [wire.exchange(bytes((READ_ID, 0, 0, 0)))[1:] for _ in range(TIMES)]
    status = wire.exchange(bytes((READ_STATUS, 0)))[1]
    algorithm.finish(program.UNKNOWN_ERASE)
    jedec = answers[-1]
    channel.measure("flash.chip_id", jedec.hex(), "equal on each try" if len(set(answers)) == 1 else "not equal on each try")
    if set(answers) <= {b"\0\0\0", b"\xff\xff\xff"}:
        raise StepFailed("flash-chip", "the flash chip beside the processor does not answer")
    channel.measure("flash.chip_status", status)
    kib = (1 << jedec[2]) // 1024 if jedec[0] in LENGTH_MAKERS and 16 <= jedec[2] <= 24 else None
    if kib is None or jedec[0] != WINBOND:
        return Found(kib, ())
    ranges = protected(status, base, kib * 1024)
    channel.measure("option.wrp", [list(pair) for pair in ranges], "out of the flash chip's status register")
    return Found(kib, ranges)


def note_busy(channel: Channel, core: Any, family: SerialFlash) -> None:
    """After a call that failed: what the chip's status register says now. Sets ``flash.chip_status`` and ``flash.busy``."""
    status = Wire(core, family).exchange(bytes((READ_STATUS, 0)))[1]
    channel.measure("flash.chip_status", status, "after the failed call")
    if status != SILENT:
        channel.measure("flash.busy", bool(status & WIP), "bit 0 of the flash chip's status register")


def protected(status: int, base: int, length: int) -> tuple[tuple[int, int], ...]:
    """Protected ``(first, last)`` addresses after Winbond's table (W25Q16JV data sheet 7.1.8, CMP = 0)."""
    level = (status & BP) >> 2
    if not level:
        return ()
    size = length if level >= 6 else min(length, 0x1000 << min(level - 1, 3) if status & SEC else max(length // 64, 0x10000) << level - 1)
    return ((base, base + size - 1),) if status & TB else ((base + length - size, base + length - 1),)


class Wire:
    """Bytes to the chip and back, through the registers of the interface, while the algorithm has it in its plain mode."""

    def __init__(self, core: Any, family: SerialFlash) -> None:
        self._core = core
        self._table = family

    def exchange(self, data: bytes) -> bytes:
        """One transaction: as many bytes come back as go out.

        Raises:
            StepFailed: ``flash-chip`` when the interface does not move.
        """
        core, table = self._core, self._table
        register, low, high = table.select
        for _ in range(table.depth):
            if not core.read32(table.status) & table.ready:
                break
            core.read32(table.data)
        core.write32(register, low)
        answer = bytearray()
        for byte in data:
            core.write32(table.data, byte)
            if not any(core.read32(table.status) & table.ready for _ in range(TIMES)):
                core.write32(register, high)
                raise StepFailed("flash-chip", "the interface to the flash chip does not move")
            answer.append(core.read32(table.data) & 0xFF)
        core.write32(register, high)
        return bytes(answer)
