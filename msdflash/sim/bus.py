"""Memories and devices on the chip's bus, and how an access finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE_BITS = 12
FULL = {1: 0xFF, 2: 0xFFFF, 4: 0xFFFFFFFF}


class BusError(Exception):
    """The bus answered an access with an error."""

    def __init__(self, address: int) -> None:
        self.address = address
        super().__init__(f"bus error at 0x{address:08x}")


class Memory:
    """Bytes on the bus: RAM, flash (written only by its controller) or a peripheral that only stores what is written.

    Attributes:
        base: first address.
        data: the bytes, shared with the processor's emulator.
        writable: plain stores change the bytes. False for flash and ROM.
        volatile: the bytes are lost with the supply.
        forbidden: the processor's own accesses fail.
        gate: asked for each debugger access with (address, is_write); True refuses it with a bus error.
        by_words: asked for each block that a debugger reads with (address, length); True has it read word by word.
        filter: a defect: takes (offset, new bytes) and gives the bytes that really arrive.
        on_store: takes (address, size, value) of a debugger's store where a controller wants it.
    """

    def __init__(self, name: str, base: int, data: bytearray, *, writable: bool = True, volatile: bool = True) -> None:
        self.name = name
        self.base = base
        self.data = data
        self.size = len(data)
        self.writable = writable
        self.volatile = volatile
        self.forbidden = False
        self.gate: Callable[[int, bool], bool] | None = None
        self.by_words: Callable[[int, int], bool] | None = None
        self.filter: Callable[[int, bytes], bytes] | None = None
        self.on_store: Callable[[int, int, int], None] | None = None


class Device(Protocol):
    """Registers that do something when touched. Offsets are from ``base``; sizes 1, 2 or 4; errors are :class:`BusError`."""

    base: int
    size: int

    def read(self, offset: int, size: int) -> int:
        """Value of a register."""

    def write(self, offset: int, size: int, value: int) -> None:
        """Store to a register."""


class Bus:
    """The address map. Pages of 4 KiB, one owner each."""

    def __init__(self) -> None:
        self._pages: dict[int, Memory | Device] = {}
        self.memories: list[Memory] = []
        self.devices: list[Device] = []
        self.on_host_store: Callable[[int, int], None] | None = None

    def add(self, owner: Memory | Device) -> None:
        """Map a memory or device; later ones win over earlier ones in the same pages."""
        for page in range(owner.base >> PAGE_BITS, (owner.base + owner.size - 1 >> PAGE_BITS) + 1):
            self._pages[page] = owner
        if isinstance(owner, Memory):
            self.memories.append(owner)
        else:
            self.devices.append(owner)

    def point(self, address: int, owner: Memory | Device) -> None:
        """Let one page show another memory for now."""
        self._pages[address >> PAGE_BITS] = owner

    def owner(self, address: int) -> Memory | Device | None:
        """Who answers at an address."""
        found = self._pages.get(address >> PAGE_BITS)
        if found is None or not found.base <= address < found.base + found.size:
            return None
        return found

    def read(self, address: int, size: int) -> int:
        """One read of 1, 2 or 4 bytes by the debugger. Raises :class:`BusError`."""
        owner = self.owner(address)
        if owner is None:
            raise BusError(address)
        offset = address - owner.base
        if isinstance(owner, Memory):
            if owner.gate is not None and owner.gate(address, False):
                raise BusError(address)
            return int.from_bytes(owner.data[offset : offset + size], "little")
        return owner.read(offset, size)

    def write(self, address: int, size: int, value: int) -> None:
        """One write of 1, 2 or 4 bytes by the debugger. Raises :class:`BusError`."""
        owner = self.owner(address)
        if owner is None:
            raise BusError(address)
        offset = address - owner.base
        if not isinstance(owner, Memory):
            owner.write(offset, size, value & FULL[size])
            return
        if owner.gate is not None and owner.gate(address, True):
            raise BusError(address)
        if owner.on_store is not None:
            owner.on_store(address, size, value & FULL[size])
        elif owner.writable:
            self._store(owner, offset, (value & FULL[size]).to_bytes(size, "little"))

    def read_block(self, address: int, length: int) -> bytes | None:
        """Many bytes at once, or None where word accesses are needed."""
        owner = self.owner(address)
        if not isinstance(owner, Memory) or address + length > owner.base + owner.size:
            return None
        if owner.gate is not None and owner.gate(address, False):
            return None
        if owner.by_words is not None and owner.by_words(address, length):
            return None
        offset = address - owner.base
        return bytes(owner.data[offset : offset + length])

    def write_block(self, address: int, data: bytes) -> bool:
        """Many bytes at once; False where word accesses are needed."""
        owner = self.owner(address)
        if not isinstance(owner, Memory) or address + len(data) > owner.base + owner.size:
            return False
        if not owner.writable or owner.on_store is not None or (owner.gate is not None and owner.gate(address, True)):
            return False
        self._store(owner, address - owner.base, data)
        return True

    def _store(self, owner: Memory, offset: int, data: bytes) -> None:
        if owner.filter is not None:
            data = owner.filter(offset, data)
        owner.data[offset : offset + len(data)] = data
        if self.on_host_store is not None:
            self.on_host_store(owner.base + offset, len(data))
