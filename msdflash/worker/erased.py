"""Erased flash that cannot be read: its pages are asked for from the controller first, and only written ones are read.

On flash with error correction an erased page may fail its own check, so that reading it is a bus fault (LPC55: Zephyr issue 24429; NXP
community, "LPC55xx: How to fix AHB Read HardFault Error"). Whoever reads such flash here gets ``FILLER`` for erased pages, and can ask
which they were. They are never called equal to 0xFF: what must stand there is compared page by page, see :mod:`msdflash.worker.plan`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msdflash.chips.model import BlankCheck
from msdflash.worker.channel import StepFailed
from msdflash.worker.trouble import classify

FILLER = b"\xff"
DSCSR, CDS = 0xE000EE08, 1 << 16
"""Armv8-M: the processor is in Secure state (DDI 0553, DSCSR; as pyOCD's ``cortex_m_v8m.py`` reads it)."""
_PAUSE = 0.0005
_PATIENCE = 1.0
"""Seconds for one check; it takes microseconds a page."""

Words = Callable[[int, int], bytes]


class Guard:
    """What one chip's controller says of its pages.

    Args:
        core: pyOCD's core; its access port reaches the controller.
        rule: how the controller is asked.
        flash: ``(first, end)`` of the flash that it is about.

    Attributes:
        blank: pages that were erased when they were last asked for.
        broken: pages that were neither erased nor readable when they were last read.
    """

    def __init__(self, core: Any, rule: BlankCheck, flash: list[tuple[int, int]]) -> None:
        self._port = core.ap
        self.rule = rule
        self._flash = flash
        secure = bool(int(self._port.read32(DSCSR)) & CDS)
        self._base = rule.secure if secure else rule.base
        self.blank: set[int] = set()
        self.broken: set[int] = set()
        self._expected: set[int] = set()

    def covers(self, address: int) -> bool:
        """Whether an address lies in the flash."""
        return any(start <= address < end for start, end in self._flash)

    def pages(self, address: int, length: int) -> range:
        """First addresses of the pages that a range touches."""
        page = self.rule.page
        return range(address - address % page, address + length, page)

    def ask(self, address: int, length: int) -> None:
        """Find the erased pages of a range. Raises StepFailed ``flash-read`` where the controller does not answer; errors of the link."""
        page = self.rule.page
        pages = self.pages(address, length)
        self.blank.difference_update(pages)
        self.broken.difference_update(pages)
        at, end = pages.start, pages[-1] + page
        while at < end:
            used = self._first_used(at, end)
            self.blank.update(range(at, end if used is None else used, page))
            if used is None:
                return
            at = used + page

    def expect(self, address: int, length: int, blank: Iterable[int]) -> None:
        """The next read of a range is about pages that were just written, but for those at these offsets, which must be erased.

        Pages that should be erased are asked for together; the others are read, and only asked for where that fails.
        """
        pages = self.pages(address, length)
        self.blank.difference_update(pages)
        self.blank.update(address + offset for offset in blank)
        self._expected.update(pages)

    def _check_expected(self, address: int, length: int) -> None:
        page = self.rule.page
        self.broken.difference_update(self.pages(address, length))
        erased = [one for one in self.pages(address, length) if one in self.blank]
        for first in (one for one in erased if one - page not in self.blank or one == erased[0]):
            end = first
            while end in self.blank and end < address + length:
                end += page
            if self._first_used(first, end) is not None:
                self.ask(first, end - first)

    def _first_used(self, start: int, end: int) -> int | None:
        """The first page in a range that is not erased."""
        rule, port = self.rule, self._port
        self._order(start, end)
        give_up = time.monotonic() + _PATIENCE
        while True:
            later = port.read32(self._base + rule.status, now=False), port.read32(self._base + rule.found, now=False)
            status, found = (int(value()) for value in later)
            if status & rule.done:
                break
            time.sleep(_PAUSE)
            if time.monotonic() > give_up:
                raise StepFailed("flash-read", "the flash controller does not say which pages are erased", address=start)
        if status & rule.refused:
            raise StepFailed("flash-read", "the flash controller refuses to say which pages are erased", address=start)
        if not status & rule.failed:
            return None
        at = start + (found - rule.unit(start)) * rule.word
        at -= at % rule.page
        if not start <= at < end:
            raise StepFailed("flash-read", f"the flash controller names a page at 0x{at:08X} that it was not asked for", address=start)
        return at

    def _order(self, start: int, end: int) -> None:
        """Tell the controller to check a range."""
        rule = self.rule
        for register, value in (
            (rule.start, rule.unit(start)),
            (rule.stop, rule.unit(end - 1)),
            (rule.clear, rule.done | rule.failed | rule.refused),
            (rule.command, rule.check),
        ):
            self._port.write32(self._base + register, value)

    def read(self, words: Words, address: int, length: int) -> bytes:
        """Bytes of a range, fillers for erased and broken pages; only written pages are read."""
        pages = self.pages(address, length)
        if self._expected.issuperset(pages):
            self._check_expected(address, length)
        else:
            self.ask(address, length)
        self._expected.difference_update(pages)
        content = bytearray(FILLER * length)
        for first, end in self._written(address, length):
            try:
                content[first - address : end - address] = words(first, end - first)
            except Exception as error:
                if classify(error).kind != "fault":
                    raise
                self._page_by_page(words, first, end, content, address)
        return bytes(content)

    def _written(self, address: int, length: int) -> Iterator[tuple[int, int]]:
        """``(first, end)`` of the stretches of a range that are not erased."""
        start = None
        for page in self.pages(address, length):
            first = max(page, address)
            if page in self.blank:
                if start is not None:
                    yield start, first
                start = None
            elif start is None:
                start = first
        if start is not None:
            yield start, address + length

    def _page_by_page(self, words: Words, first: int, end: int, content: bytearray, base: int) -> None:
        for page in self.pages(first, end - first):
            start, stop = max(page, first), min(page + self.rule.page, end)
            try:
                content[start - base : stop - base] = words(start, stop - start)
            except Exception as error:
                if classify(error).kind != "fault":
                    raise
                unwritten = self._first_used(page, page + self.rule.page) is None
                (self.blank if unwritten else self.broken).add(page)

    def blank_in(self, address: int, length: int) -> tuple[int, ...]:
        """Offsets of the pages of a range that were erased when it was last read."""
        return tuple(page - address for page in self.pages(address, length) if page in self.blank)

    def broken_in(self, address: int, length: int) -> tuple[int, ...]:
        """Offsets of the pages of a range that could not be read when it was last tried."""
        return tuple(page - address for page in self.pages(address, length) if page in self.broken)


_NAME = "msdflash_guard"


def install(core: Any, rule: BlankCheck | None, flash: list[tuple[int, int]]) -> None:
    """From now on, who reads this core's flash through :mod:`msdflash.worker.memory` is kept from erased pages."""
    if rule is not None:
        setattr(core, _NAME, Guard(core, rule, flash))


def guard_of(target: Any) -> Guard | None:
    """The guard of a pyOCD target or core; None where erased flash reads like any other."""
    return getattr(getattr(target, "primary_core", target), _NAME, None)
