"""An image: what should be in flash, as segments at absolute addresses."""

from __future__ import annotations

import msgspec


class Segment(msgspec.Struct, frozen=True):
    """Consecutive bytes at an absolute address."""

    address: int
    data: bytes

    @property
    def end(self) -> int:
        """First address after the segment."""
        return self.address + len(self.data)


class Image(msgspec.Struct, frozen=True):
    """A whole firmware file, decoded.

    Attributes:
        name: the file's name as dropped (never a path).
        format: ``bin``, ``ihex``, ``universal-hex``, ``srec``, ``uf2`` or ``elf``.
        sha256: of the file as dropped, 64 hex digits.
        file_size: bytes of the file as dropped.
        segments: sorted by address, not overlapping, not empty, adjacent ones merged. For a ``bin`` there is one, at address 0
            until the base is known (``relocatable``).
        relocatable: the file carries no addresses; it goes to the boot flash or to the base the user gave.
        notes: harmless things worth telling ("record 812: start address ignored").
        uf2_family: family id that a UF2 file says it is for, or None.
        architecture: that an ELF file says it was built for (``v7E-M``), or "".
    """

    name: str
    format: str
    sha256: str
    file_size: int
    segments: tuple[Segment, ...]
    relocatable: bool = False
    notes: tuple[str, ...] = ()
    uf2_family: int | None = None
    architecture: str = ""

    @property
    def size(self) -> int:
        """Bytes to be programmed, without gaps."""
        return sum(len(segment.data) for segment in self.segments)

    def at(self, base: int) -> Image:
        """The same image with its (single, relocatable) segment at ``base``; others unchanged."""
        if not self.relocatable:
            return self
        moved = tuple(Segment(segment.address + base, segment.data) for segment in self.segments)
        return msgspec.structs.replace(self, segments=moved, relocatable=False)

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """``(first address, length)`` of each segment."""
        return tuple((segment.address, len(segment.data)) for segment in self.segments)

    def read(self, address: int, length: int) -> bytes | None:
        """The image's bytes at an address, or None where it does not cover all of them."""
        for segment in self.segments:
            if segment.address <= address and address + length <= segment.end:
                start = address - segment.address
                return segment.data[start : start + length]
        return None
