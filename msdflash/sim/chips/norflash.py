"""What flash controllers that program word by word have in common: an array where programming only clears bits, and defects in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.bus import Memory
    from msdflash.sim.soc import Soc


class NorFlash:
    """An array, its defects, and the time that operations take.

    Attributes:
        array: the main flash.
        unit: bytes that are programmed at once.
        sector: bytes that are erased at once.
        lock: the fault that sets its read-out protection.
        stuck: an operation that has begun never ends (a fault).
        bad_cells: offset of a programming unit: bits of it that come out inverted (a fault).
        hung: an operation is under way that never ends.
    """

    def __init__(self, array: Memory, unit: int, sector: int, lock: str) -> None:
        self.array = array
        self.unit = unit
        self.sector = sector
        self.lock = lock
        self.stuck = False
        self.hung = False
        self.bad_cells: dict[int, int] = {}
        self._soc: Soc | None = None

    @property
    def sectors(self) -> int:
        """How many sectors there are."""
        return self.array.size // self.sector

    def refresh(self) -> None:
        """Defects are looked up with each operation: nothing to do."""

    def unhang(self) -> None:
        """An operation that never ended ends now."""
        self.hung = False

    def begin(self) -> bool:
        """An operation begins; False if it never ends."""
        if self.stuck:
            self.hung = True
        return not self.hung

    def program(self, offset: int, new: bytes) -> None:
        """Clear bits. What comes out is what was there AND what is written."""
        data = self.array.data
        if offset in self.bad_cells:
            new = (int.from_bytes(new, "little") ^ self.bad_cells[offset]).to_bytes(len(new), "little")
        old = int.from_bytes(data[offset : offset + len(new)], "little")
        data[offset : offset + len(new)] = (old & int.from_bytes(new, "little")).to_bytes(len(new), "little")
        self.changed()

    def erase(self, offset: int, length: int) -> None:
        """Set all bits."""
        self.array.data[offset : offset + length] = b"\xff" * length
        self.changed()

    def changed(self) -> None:
        """Translations of the array are stale."""
        if self._soc is not None:
            self._soc.flash_changed = True

    def spend(self, seconds: float) -> None:
        """An operation took so long."""
        if self._soc is not None:
            self._soc.flash_seconds += seconds


class Setting:
    """A value in non-volatile memory that a fault changes for a while."""

    def __init__(self, read: Callable[[], int], write: Callable[[int], None]) -> None:
        self._read = read
        self._write = write

    def put(self, value: int) -> Callable[[], None]:
        """Change it; gives back what changes it back, unless somebody else has changed it since."""
        old = self._read()
        self._write(value)

        def undo() -> None:
            if self._read() == value:
                self._write(old)

        return undo
