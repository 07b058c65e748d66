"""Does the image fit this part, and would it boot: questions that need no board, only the part's memory map.

Sources: Armv7-M ARM B1.5.3 (vector table, Thumb bit), RP2040 data sheet 2.8.1.3.1 and pico-sdk ``boot_stage2/pad_checksum`` (boot2),
i.MX RT reference manuals, "FlexSPI NOR configuration block" (FCFB tag); LPC55: UM11126, "Boot ROM" (from
memory), and Oxide's ``lpc55_sign``.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from msdflash.errors import ImageError
from msdflash.image.fit import Chip, check_chip
from msdflash.image.locks import UICR, check_locks

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.image.layout import MemoryMap
    from msdflash.image.segments import Image, Segment

_BOOT2 = 252
_NEAR = 1 << 20
_SHOWN = 16
"""Ranges of the image that a refusal lists."""
_FCFB = b"FCFB"
_HEADER = "image-bad-boot-header"
_FCFB_OFFSETS = (0, 0x400)  # RT1050/1060 at 0, RT1010/1170 at 0x400


def check(
    image: Image, memory_map: MemoryMap, header_kind: str, chip: Chip | None = None, *, allow_locking: bool = False
) -> tuple[str, ...]:
    """Check an image that stands at its final addresses.

    Args:
        image: placed; a relocatable one must have been moved by :meth:`Image.at` before.
        memory_map: of the part, cut to the flash that the chip says it has.
        header_kind: what the boot flash must begin with: ``cortex-m``, ``rp2040-boot2``, ``imxrt-fcfb``, ``lpc55``; or ``unknown``: a
            vector table is looked for, but its absence is only a note, since some parts begin with a header of their own.
        chip: what is known of the chip; None: nothing, so its family's own rules are left out.
        allow_locking: the user ordered that images may lock this chip.

    Returns:
        Notes: harmless things worth telling.

    Raises:
        ImageError: ``image-wrong-chip``, ``image-would-lock``, ``image-sets-option-bytes``, ``image-outside-flash``, ``image-too-big``,
            ``image-uses-ram``, ``image-bad-vectors`` or ``image-bad-boot-header``.
        ValueError: the image is still relocatable, or the header kind is unknown.
    """
    if image.relocatable:
        raise ValueError("a relocatable image has no addresses to check")
    if header_kind not in _HEADERS:
        raise ValueError(f"unknown boot header kind {header_kind!r}")
    known = chip or Chip()
    notes = check_chip(image, known) + check_locks(image, known, allow=allow_locking)
    for segment in image.segments:
        _fits(segment, image, memory_map, known)
    boot = memory_map.boot()
    if boot is None:
        return notes
    # The same flash may stand in the map twice (LPC55: as Secure, too).
    starts = dict.fromkeys([boot.start, *(region.start for region in memory_map.flash() if region.boot)])
    table = next((at for at in starts if any(segment.address <= at < segment.end for segment in image.segments)), None)
    if table is None:
        return (*notes, f"the image does not cover the boot address 0x{boot.start:08X}: what is there now will start")
    return notes + _HEADERS[header_kind](image, memory_map, table)


def _fits(segment: Segment, image: Image, memory_map: MemoryMap, chip: Chip) -> None:
    ranges = memory_map.flash_ranges()
    first, last = segment.address, segment.end - 1
    home = next(((start, end) for start, end in ranges if start <= first < end), None)
    if home is not None and segment.end <= home[1]:
        return
    facts = {
        "first": first,
        "last": last,
        "flash": [[start, end - 1] for start, end in ranges],
        "image": [[start, start + length - 1] for start, length in image.ranges()[:_SHOWN]],
    }
    if home is not None:
        room = home[1] - first
        raise ImageError(
            "image-too-big",
            f"{len(segment.data)} bytes from 0x{first:08X} on do not fit: flash ends at 0x{home[1] - 1:08X}, {room} bytes later",
            size=len(segment.data),
            room=room,
            over=segment.end - home[1],
            **facts,
        )
    ram = next((region for region in memory_map.ram() if region.start <= last and first < region.end), None)
    if ram is not None and not any(start <= last and first < end for start, end in ranges):
        raise ImageError(
            "image-uses-ram",
            f"the image has data for 0x{first:08X}-0x{last:08X}, which is RAM ({ram.name}), not flash",
            ram=[ram.start, ram.end - 1],
            **facts,
        )
    listed = ", ".join(f"0x{start:08X}-0x{end - 1:08X}" for start, end in ranges) or "none"
    uicr = chip.family.startswith("nrf5") and UICR[0] <= first < UICR[1]
    where = " (UICR, which this target cannot write)" if uicr else ""
    message = f"the image has data for 0x{first:08X}-0x{last:08X}{where}; this part's flash is {listed}"
    raise ImageError("image-outside-flash", message, **facts)


def _cortex_m(image: Image, memory_map: MemoryMap, table: int) -> tuple[str, ...]:
    """Initial stack pointer and reset vector at ``table``."""
    stack, reset = (image.read(table + offset, 4) for offset in (0, 4))
    if image.format == "bin" and reset is None:  # a hex file may patch a few bytes; a whole program cannot be this short
        raise ImageError(
            "image-bad-vectors",
            f"the file has {image.size} bytes: too few for an initial stack pointer and a reset vector",
            word="vector table",
            address=table,
            size=image.size,
        )
    notes: tuple[str, ...] = ()
    if stack is not None:
        notes = _stack(int.from_bytes(stack, "little"), memory_map, table)
    if reset is not None:
        _reset(int.from_bytes(reset, "little"), image, memory_map, table + 4)
    if stack is None or reset is None:
        notes += (f"the image holds only part of the first two vectors at 0x{table:08X}",)
    return notes


def _stack(value: int, memory_map: MemoryMap, address: int) -> tuple[str, ...]:
    inside = any(start < value <= end for start, end in memory_map.ram_ranges())
    if not inside and value % 4 == 0 and not memory_map.ram_complete and _plausible(value, memory_map):
        return (f"the initial stack pointer 0x{value:08X} is above the RAM that the engine's map lists",)
    if not inside or value % 4:
        listed = ", ".join(f"0x{start:08X}-0x{end:08X}" for start, end in memory_map.ram_ranges())
        why = "is not a multiple of 4" if inside else f"is not in this part's RAM ({listed})"
        raise _bad("initial stack pointer", address, value, f"0x{value:08X} {why}", "an aligned address in RAM, or its end")
    if value % 8:
        return (f"the initial stack pointer 0x{value:08X} is not a multiple of 8, as the Arm procedure call standard asks for",)
    return ()


def _plausible(value: int, memory_map: MemoryMap) -> bool:
    """Where a map lists too little RAM, the rest usually follows it, or lies in Armv7-M's SRAM space."""
    near = any(start < value <= end + _NEAR for start, end in memory_map.ram_ranges())
    return (near or 0x2000_0000 < value <= 0x4000_0000) and memory_map.at(value) is None


def _reset(value: int, image: Image, memory_map: MemoryMap, address: int) -> None:
    wanted = "an odd address (Thumb) in flash"
    if value % 2 == 0:
        raise _bad("reset vector", address, value, f"0x{value:08X} is even", wanted)
    target = value - 1
    boot = memory_map.boot()
    alias = memory_map.boot_alias
    places = list(memory_map.flash_ranges())
    places += [(segment.address, segment.end) for segment in image.segments]
    if boot is not None and alias is not None:
        places.append((alias, alias + boot.length))
    if not any(start <= target < end for start, end in places):
        listed = ", ".join(f"0x{start:08X}-0x{end - 1:08X}" for start, end in memory_map.flash_ranges())
        raise _bad("reset vector", address, value, f"0x{value:08X} is not in this part's flash ({listed})", wanted)


def _rp2040(image: Image, memory_map: MemoryMap, base: int) -> tuple[str, ...]:
    """Second-stage boot loader with its checksum, then the vector table at +0x100."""
    block = image.read(base, _BOOT2 + 4)
    if block is None:
        raise ImageError(
            "image-bad-boot-header",
            f"the image holds less than the 256 bytes of second-stage boot loader at 0x{base:08X}",
            word="boot2 checksum",
            address=base,
        )
    found = int.from_bytes(block[_BOOT2:], "little")
    expected = crc32_mpeg2(block[:_BOOT2])
    if found != expected:
        raise _bad("boot2 checksum", base + _BOOT2, found, f"0x{found:08X} does not match", f"0x{expected:08X}", _HEADER, expected=expected)
    return _cortex_m(image, memory_map, base + _BOOT2 + 4)


def _imxrt(image: Image, memory_map: MemoryMap, base: int) -> tuple[str, ...]:
    """FlexSPI configuration block. What it points to is the boot ROM's business: RAM, ITCM or flash."""
    del memory_map
    tags = [image.read(base + offset, 4) for offset in _FCFB_OFFSETS]
    if _FCFB in tags:
        return ()
    value = struct.unpack("<I", tags[0])[0] if tags[0] is not None else 0
    raise _bad("FCFB tag", base, value, f"0x{value:08X} is no FlexSPI configuration block", "the letters FCFB (0x42464346)", _HEADER)


_LPC55_PLAIN, _LPC55_SIGNED, _LPC55_CRC = 0, 4, 5
"""Image types of an LPC55, the lowest byte of the word at 0x24 (UM11126 table 183, as ``lpc55_areas`` cites it)."""


def _lpc55(image: Image, memory_map: MemoryMap, base: int) -> tuple[str, ...]:
    """A vector table with length, type and checksum in words that Arm keeps free. Signed images are the boot ROM's to judge."""
    notes = _cortex_m(image, memory_map, base)
    header = image.read(base + 0x20, 12)
    if header is None:
        return (*notes, f"the image holds only part of the boot header at 0x{base + 0x20:08X}")
    length, kind, crc = struct.unpack("<III", header)
    if kind & 0xFF == _LPC55_SIGNED:
        return (*notes, "the image says that it is signed: only the boot ROM knows the keys, and whether it starts it")
    if kind & 0xFF != _LPC55_CRC:
        unknown = f"the image type at 0x{base + 0x24:08X} is {kind & 0xFF}: whether the boot ROM starts it is not known"
        return notes if kind & 0xFF == _LPC55_PLAIN else (*notes, unknown)
    last = max(segment.end for segment in image.segments)
    if not 0x40 <= length <= last - base:
        raise _bad("image length", base + 0x20, length, f"{length} bytes, and the file ends after {last - base}", "no more", _HEADER)
    body = image.read(base, length)
    if body is None:
        return (*notes, "the image's checksum covers bytes that the file leaves out: it was not checked")
    expected = crc32_mpeg2(body[:0x28] + body[0x2C:])
    if crc != expected:
        wanted = f"0x{expected:08X}, or the boot ROM starts nothing"
        raise _bad("image checksum", base + 0x28, crc, f"0x{crc:08X} does not match", wanted, _HEADER, expected=expected)
    return notes


def _unknown(image: Image, memory_map: MemoryMap, base: int) -> tuple[str, ...]:
    """Nobody wrote down how this part starts: say what a vector table would lack, and let the image pass."""
    try:
        return _cortex_m(image, memory_map, base)
    except ImageError as error:
        return (f"the image does not begin with a vector table: {error}",)


_HEADERS: dict[str, Callable[[Image, MemoryMap, int], tuple[str, ...]]] = {
    "cortex-m": _cortex_m,
    "rp2040-boot2": _rp2040,
    "imxrt-fcfb": _imxrt,
    "lpc55": _lpc55,
    "unknown": _unknown,
}
"""Boot header kind -> its check."""


_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc32_mpeg2(block: bytes) -> int:
    """CRC-32 of RP2040 second-stage boot loaders and LPC55 images: polynomial 0x04C11DB7, seed all ones, not reflected, not inverted."""
    mirrored = block.translate(_MIRROR)
    return int(f"{zlib.crc32(mirrored) ^ 0xFFFFFFFF:032b}"[::-1], 2)


def _bad(word: str, address: int, value: int, what: str, wanted: str, cause: str = "image-bad-vectors", **facts: int) -> ImageError:
    return ImageError(
        cause,
        f"the {word} at 0x{address:08X} is wrong: {what}; it should be {wanted}",
        word=word,
        address=address,
        value=value,
        wanted=wanted,
        **facts,
    )
