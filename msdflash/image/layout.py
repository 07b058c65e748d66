"""A part's memory, as an image is checked against it."""

from __future__ import annotations

import msgspec


class Region(msgspec.Struct, frozen=True):
    """One stretch of memory.

    Attributes:
        name: as the engine's map calls it.
        kind: ``flash`` or ``ram``.
        start: first address.
        length: bytes.
        boot: the core starts from here.
        sector: bytes erased together (flash).
        page: bytes programmed by one call (flash).
        erased: value of an erased byte (flash).
    """

    name: str
    kind: str
    start: int
    length: int
    boot: bool = False
    sector: int = 0
    page: int = 0
    erased: int = 0xFF

    @property
    def end(self) -> int:
        """First address after the region."""
        return self.start + self.length


class MemoryMap(msgspec.Struct, frozen=True):
    """Flash and RAM of a part.

    Attributes:
        regions: flash and RAM, aliases of RAM included.
        boot_alias: address at which the boot flash is seen a second time (0 on STM32), or None.
        ram_complete: all RAM of the part is listed. pyOCD's maps leave some out (CY8C6: 32 of 288 KiB), so this is only true
            where the chip tables say what the die has; otherwise an initial stack pointer just above a RAM is no error.
    """

    regions: tuple[Region, ...]
    boot_alias: int | None = None
    ram_complete: bool = True

    def flash(self) -> tuple[Region, ...]:
        """Flash regions by address."""
        return tuple(sorted((region for region in self.regions if region.kind == "flash"), key=lambda item: item.start))

    def ram(self) -> tuple[Region, ...]:
        """RAM regions by address."""
        return tuple(sorted((region for region in self.regions if region.kind == "ram"), key=lambda item: item.start))

    def boot(self) -> Region | None:
        """The flash that the core starts from: the first marked one, else the lowest flash; None without flash."""
        flash = self.flash()
        return next((region for region in flash if region.boot), flash[0] if flash else None)

    def at(self, address: int) -> Region | None:
        """The region that holds an address, or None."""
        return next((region for region in self.regions if region.start <= address < region.end), None)

    def flash_ranges(self) -> tuple[tuple[int, int], ...]:
        """``(first, end)`` of flash with adjacent regions joined."""
        return _join(self.flash())

    def ram_ranges(self) -> tuple[tuple[int, int], ...]:
        """``(first, end)`` of RAM with adjacent regions joined."""
        return _join(self.ram())


def _join(regions: tuple[Region, ...]) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for region in regions:
        if ranges and region.start <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], region.end))
        else:
            ranges.append((region.start, region.end))
    return tuple(ranges)
