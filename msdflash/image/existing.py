"""Does the image go together with what is in flash already: a boot loader or SoftDevice that it needs, or would cut into?

Sources: Nordic SoftDevice headers (``nrf_sdm.h``: information structure at 0x2000 behind the MBR of 0x1000 bytes, magic 0x51B1E5DB at
+4, size at +8, which counts from address 0; ``nrf_mbr.h``: boot loader address at 0xFF8), nRF52840 PS 4.4 (UICR.NRFFW[0] 0x10001014:
boot loader address), nRF5 SDK ``nrf_dfu_utils.c`` (``nrf_dfu_bank0_start_addr``: the program begins on the first page
behind that size), nRF51 RM (UICR.BOOTLOADERADDR 0x10001014).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.image.layout import MemoryMap
    from msdflash.image.segments import Image, Segment

    Read = Callable[[int, int], bytes]

MAGIC = 0x51B1_E5DB
MAGIC_AT, SIZE_AT, INFO_AT, INFO_SIZE = 0x3004, 0x3008, 0x3000, 0x10
BOOTLOADER_AT = (0x1000_1014, 0xFF8)
"""Where the address of a boot loader stands: in UICR, or behind the MBR's code."""
_NONE = 0xFFFF_FFFF
_MBR = 0x1000
_VECTORS = 8


def check_existing(image: Image, memory_map: MemoryMap, family: str, read: Read) -> tuple[str, ...]:
    """Compare an image that does not cover the boot address, or a Nordic chip's, with the flash as it is.

    Args:
        image: placed, and checked by :func:`msdflash.image.checks.check`.
        memory_map: of the chip.
        family: row of the family table (``nrf52``), or "".
        read: ``(address, length) -> bytes`` of the flash before anything is written. Asked for a few dozen bytes, in flash only.

    Returns:
        Notes.

    Raises:
        ImageError: ``bootloader-missing``, ``bootloader-overlap``, ``softdevice-overlap`` or ``softdevice-mismatch``.
    """
    boot = memory_map.boot()
    if boot is None or image.relocatable:
        return ()
    main = tuple(segment for segment in image.segments if boot.start <= segment.address < boot.end)
    if not main:
        return ()
    starts_here = image.read(boot.start, 1) is not None
    notes: tuple[str, ...] = ()
    if family in ("nrf51", "nrf52"):
        notes = _softdevice(image, main, memory_map, read)
        _bootloader(image, main, memory_map, read)
    if not starts_here:
        _missing(main, memory_map, boot.start, boot.erased, read)
    return notes


def _missing(main: tuple[Segment, ...], memory_map: MemoryMap, start: int, erased: int, read: Read) -> None:
    """A program behind the boot address, and nothing there that could start it. Mere data may stand alone."""
    program = next((segment for segment in main if _is_program(segment, memory_map)), None)
    if program is None or read(start, _VECTORS) != bytes([erased]) * _VECTORS:
        return
    raise ImageError(
        "bootloader-missing",
        f"the program is linked to 0x{program.address:08X}, and the chip starts at 0x{start:08X}, where flash is erased and stays so",
        first=program.address,
        boot_address=start,
    )


def _is_program(segment: Segment, memory_map: MemoryMap) -> bool:
    """It begins with a stack pointer into RAM and an odd reset vector into itself."""
    if len(segment.data) < _VECTORS:
        return False
    stack, reset = (int.from_bytes(segment.data[at : at + 4], "little") for at in (0, 4))
    in_ram = any(start < stack <= end for start, end in memory_map.ram_ranges())
    return in_ram and stack % 4 == 0 and reset % 2 == 1 and segment.address <= reset < segment.end


def _value(image: Image, memory_map: MemoryMap, address: int, read: Read) -> int | None:
    """A word as it will stand in flash: the image's, else what is there; None where the chip's map has no flash there."""
    data = image.read(address, 4)
    if data is None:
        region = memory_map.at(address)
        if region is None or region.kind != "flash":
            return None
        data = read(address, 4)
    return int.from_bytes(data, "little")


def _softdevice(image: Image, main: tuple[Segment, ...], memory_map: MemoryMap, read: Read) -> tuple[str, ...]:
    """The SoftDevice in the chip against an image that brings none of its own."""
    own = image.read(MAGIC_AT, 4)
    if own is not None and int.from_bytes(own, "little") == MAGIC:
        return ()
    info = read(INFO_AT, INFO_SIZE)
    if int.from_bytes(info[4:8], "little") != MAGIC:
        return ()
    end = int.from_bytes(info[8:12], "little")
    boot = memory_map.boot()
    if boot is None or not INFO_AT < end <= boot.end - max(boot.sector, _VECTORS) or end % 4:
        return ()  # the magic by chance: the size beside it is none
    first = main[0].address
    if first < _MBR:
        return (f"the SoftDevice in the chip (0x{_MBR:08X}-0x{end - 1:08X}) is not used any more: the file begins at 0x{first:08X}",)
    if first < end:
        raise ImageError(
            "softdevice-overlap",
            f"the file has data from 0x{first:08X} on, the SoftDevice in the chip ends at 0x{end - 1:08X}",
            first=first,
            softdevice_last=end - 1,
        )
    page = boot.sector or 1
    begin = -(-end // page) * page
    program = next((segment for segment in main if _is_program(segment, memory_map)), None)
    loaders = [_value(image, memory_map, address, read) for address in BOOTLOADER_AT]
    starts = image.read(begin, _VECTORS) or read(begin, _VECTORS)
    if program is not None and all(item in (None, _NONE) for item in loaders) and starts == b"\xff" * _VECTORS:
        raise ImageError(
            "softdevice-mismatch",
            f"the SoftDevice in the chip starts the program at 0x{begin:08X}, where flash is erased; "
            f"this one is linked to 0x{program.address:08X}",
            first=program.address,
            program_address=begin,
        )
    return ()


def _bootloader(image: Image, main: tuple[Segment, ...], memory_map: MemoryMap, read: Read) -> None:
    """The boot loader at the end of a Nordic chip's flash: an image may leave it alone or replace it, not cut into it."""
    boot = memory_map.boot()
    if main[0].address < _MBR and image.read(MAGIC_AT, 4) != MAGIC.to_bytes(4, "little"):
        return  # no MBR and no SoftDevice any more: nothing starts the boot loader, and the program owns all flash
    for where in BOOTLOADER_AT:
        address = _value(image, memory_map, where, read)
        if address is None or boot is None or not _MBR < address <= boot.end - _VECTORS or address % 4:
            continue
        cut = next((segment for segment in main if segment.address < address < segment.end), None)
        if cut is None or read(address, _VECTORS) == b"\xff" * _VECTORS:
            continue
        if image.read(address, 4) is not None and image.read(where, 4) is not None:
            continue  # it brings a boot loader and its address
        raise ImageError(
            "bootloader-overlap",
            f"the file has data for 0x{cut.address:08X}-0x{cut.end - 1:08X}, the boot loader in the chip begins at 0x{address:08X}",
            first=cut.address,
            last=cut.end - 1,
            bootloader_address=address,
        )
