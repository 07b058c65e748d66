"""The plan: which sectors must change, and what exactly must stand in flash afterwards, kept neighbours included.

pyOCD can keep unwritten bytes itself, but drops that silently on some targets; here every byte of an affected sector is read first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from msdflash.image.segments import Image
from msdflash.worker import erased as unreadable
from msdflash.worker import memory
from msdflash.worker.channel import Channel, StepFailed

SAMPLE = 64
"""Bytes read of a sector first, where its neighbours have changed: a difference in them settles that it must be written."""


class Sector(msgspec.Struct, frozen=True):
    """One erase unit: what stood there, and what must stand there.

    ``old`` is the whole sector, or only its first bytes where these were enough to see that it must change and is not blank.

    Where erased flash cannot be read (``page`` is not 0), 0xFF stands for erased pages in ``old`` and in ``new``, and they are counted:

    Attributes:
        page: bytes of a page.
        fresh: offsets of the pages that were erased.
        touched: offsets of the pages that must be written whatever they hold: the image reaches into them.
        partial: offsets of those of them that the image does not fill.
        damaged: a page was neither erased nor readable; the sector must be erased.
    """

    address: int
    old: bytes
    new: bytes
    page: int = 0
    fresh: tuple[int, ...] = ()
    touched: tuple[int, ...] = ()
    partial: tuple[int, ...] = ()
    damaged: bool = False

    @property
    def differs(self) -> bool:
        """It has to be programmed."""
        return self.old != self.new or self.fresh != self.left or self.damaged

    @property
    def left(self) -> tuple[int, ...]:
        """Offsets of the erased pages that stay erased, since nothing is to stand there."""
        blank = unreadable.FILLER * self.page
        return tuple(at for at in self.fresh if at not in self.touched and self.new[at : at + self.page] == blank)

    @property
    def end(self) -> int:
        """First address after it."""
        return self.address + len(self.new)

    def is_blank(self, erased: int) -> bool:
        """It stands erased already."""
        if self.page:
            return not self.damaged and len(self.fresh) * self.page == len(self.new)
        return self.old == bytes([erased]) * len(self.new)


class RegionPlan(msgspec.Struct, frozen=True):
    """The affected sectors of one flash region, by address; ``erased`` is the value of an erased byte there."""

    region: Any
    sectors: tuple[Sector, ...]
    erased: int = 0xFF

    @property
    def changes(self) -> tuple[Sector, ...]:
        """The sectors to be erased (unless blank) and programmed."""
        return tuple(sector for sector in self.sectors if sector.differs)


def sector_bounds(region: Any, address: int) -> tuple[int, int]:
    """``(first address, length)`` of the sector of ``region`` that holds ``address``."""
    info = region.flash.get_sector_info(address)
    if info is None:
        raise StepFailed("image", f"no flash sector at 0x{address:08X}", cause="image-outside-flash", address=address)
    return int(info.base_addr), int(info.size)


def affected(region: Any, image: Image) -> list[tuple[int, int]]:
    """Bounds of the sectors of a region that the image touches, by address, each once."""
    bounds: dict[int, int] = {}
    for segment in image.segments:
        address = max(segment.address, region.start)
        end = min(segment.end, region.start + region.length)
        while address < end:
            first, size = sector_bounds(region, address)
            bounds[first] = size
            address = first + size
    return sorted(bounds.items())


def runs(bounds: list[tuple[int, int]]) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Neighbouring sectors as ``(total length, sectors)``, so that they can be read in one go."""
    start = 0
    for index in range(1, len(bounds) + 1):
        if index == len(bounds) or bounds[index][0] != sum(bounds[index - 1]):
            part = bounds[start:index]
            yield sum(size for _, size in part), part
            start = index


def overlay(address: int, old: bytes, image: Image) -> bytes:
    """``old`` with the image's bytes laid over it."""
    new = bytearray(old)
    end = address + len(old)
    for segment in image.segments:
        first, last = max(segment.address, address), min(segment.end, end)
        if first < last:
            new[first - address : last - address] = segment.data[first - segment.address : last - segment.address]
    return bytes(new)


def make(
    target: Any,
    regions: list[tuple[Any, int]],
    image: Image,
    transform: Callable[[int, bytes], bytes],
    progress: Callable[[int], None],
) -> list[RegionPlan]:
    """Read every affected sector and overlay the image.

    A sector that the image covers and whose first bytes differ is read no further: it is written and proved whatever else stands there.
    Nothing counts as unchanged or blank, and nothing is kept, that was not read in full.

    Args:
        regions: flash regions, each with the value of its erased bytes.
        transform: what the way to flash makes of the data at an address; part of what must stand there.
    """
    plans = []
    for region, erased in regions:
        sectors: list[Sector] = []
        for _, part in runs(affected(region, image)):
            for group in _groups(part):
                sectors += (marked(target, sector, image) for sector in _look(target, group, image, transform, erased, progress))
        if sectors:
            plans.append(RegionPlan(region, tuple(sectors), erased))
    return plans


def marked(target: Any, sector: Sector, image: Image) -> Sector:
    """A sector that was read just now, with its erased pages noted where these cannot be read.

    Raises:
        StepFailed: ``flash-read``: a page is neither erased nor readable, and the image does not fill it.
    """
    guard = unreadable.guard_of(target)
    if guard is None or not guard.covers(sector.address):
        return sector
    page, length = guard.rule.page, len(sector.new)
    mask = overlay(sector.address, bytes(length), image), overlay(sector.address, b"\1" * length, image)
    filled = bytes(have == want for have, want in zip(*mask, strict=True))
    touched = tuple(at for at in range(0, length, page) if any(filled[at : at + page]))
    partial = tuple(at for at in touched if not all(filled[at : at + page]))
    broken = guard.broken_in(sector.address, length)
    for at in broken:
        if not all(filled[at : at + page]):
            where = sector.address + at
            raise StepFailed("flash-read", f"the page at 0x{where:08X} is neither erased nor readable: it cannot be kept", address=where)
    fresh = guard.blank_in(sector.address, length)
    return msgspec.structs.replace(sector, page=page, fresh=fresh, touched=touched, partial=partial, damaged=bool(broken))


def _groups(part: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Neighbouring sectors in groups of about one read."""
    group: list[tuple[int, int]] = []
    for bounds in part:
        if group and bounds[0] + bounds[1] - group[0][0] > memory.BLOCK:
            yield group
            group = []
        group.append(bounds)
    if group:
        yield group


def _look(
    target: Any,
    group: list[tuple[int, int]],
    image: Image,
    transform: Callable[[int, bytes], bytes],
    erased: int,
    progress: Callable[[int], None],
) -> Iterator[Sector]:
    """Read a group: in one go if its first, middle and last sectors look unchanged, else sector by sector, as far as each needs to be.

    Three, because the first of an image holds the vectors, which often stay the same, and the last may be covered in part only.
    """
    scouts = {index: _sampled(target, *group[index], image, transform, erased) for index in {0, len(group) // 2, len(group) - 1}}
    if not any(scouts.values()):
        base = group[0][0]
        content = memory.read(target, base, sum(size for _, size in group), progress)
        for address, size in group:
            old = content[address - base : address - base + size]
            yield Sector(address, old, transform(address, overlay(address, old, image)))
        return
    for index, (address, size) in enumerate(group):
        sector = scouts[index] if index in scouts else _sampled(target, address, size, image, transform, erased)
        if sector is None:
            old = memory.read(target, address, size, progress)
            sector = Sector(address, old, transform(address, overlay(address, old, image)))
        else:
            progress(size)
        yield sector


def _sampled(target: Any, address: int, size: int, image: Image, transform: Callable[[int, bytes], bytes], erased: int) -> Sector | None:
    """The sector, if its first bytes alone show that it must be erased and written; None: read all of it."""
    if unreadable.guard_of(target) is not None:
        return None
    if size <= SAMPLE or not any(segment.address <= address and address + size <= segment.end for segment in image.segments):
        return None
    old = memory.read(target, address, SAMPLE)
    new = transform(address, overlay(address, bytes(size), image))
    if old == new[:SAMPLE] or old == bytes([erased]) * SAMPLE:
        return None
    return Sector(address, old, new)


def unread(plans: Iterable[RegionPlan]) -> int:
    """Bytes of the plans' sectors that stay erased where erased flash cannot be read: proved by the controller's check alone."""
    return sum(len(sector.left) * sector.page for item in plans for sector in item.sectors)


def fill_words(plans: Iterable[RegionPlan]) -> tuple[str, ...]:
    """One sentence where pages that were erased and cannot be read are filled up with 0xFF, since the image reaches into part of them."""
    count = sum(1 for item in plans for sector in item.sectors for at in sector.fresh if at in sector.partial)
    if not count:
        return ()
    return (f"page-fill: 0xFF stands in the rest of {count} page(s) that the image fills in part and that were erased, hence unreadable",)


def tell_unread(channel: Channel, plans: list[RegionPlan]) -> None:
    """Where erased flash cannot be read: what of it is proved otherwise, and what the image's pages hold besides the image."""
    image, left = channel.image, unread(plans)
    if image is None:
        return
    note = f"{left} more bytes in the image's sectors are erased, as the flash controller says: erased flash cannot be read here"
    channel.image = msgspec.structs.replace(
        image, transforms=image.transforms + fill_words(plans), notes=image.notes + ((note,) if left else ())
    )


def chunks(sectors: tuple[Sector, ...], page: int, most: int, erased: int) -> Iterator[tuple[int, bytes]]:
    """``(address, data)`` of the pieces to be programmed: whole pages, neighbours joined up to ``most`` bytes, erased pages left out.

    Not programming the erased value matters: on flash with error correction an all-ones word that was programmed is no longer blank.
    Where erased flash cannot be read, just the pages that stay erased are left out.
    """
    blank = bytes([erased]) * page
    start, piece = 0, bytearray()
    for sector in sectors:
        for offset in range(0, len(sector.new), page):
            data = sector.new[offset : offset + page]
            address = sector.address + offset
            joins = address == start + len(piece) and len(piece) + len(data) <= most
            wanted = offset not in sector.left if sector.page else data != blank[: len(data)]
            if piece and not (joins and wanted):
                yield start, bytes(piece)
                piece = bytearray()
            if wanted:
                if not piece:
                    start = address
                piece += data
    if piece:
        yield start, bytes(piece)
