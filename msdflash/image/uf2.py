"""UF2: blocks of 512 bytes, each with its own address, to pieces of memory.

Source: github.com/microsoft/uf2, README (block layout, flags) and ``utils/uf2families.json`` (family ids).

A UF2 file has no checksum over its data: damage is seen in a block's marks, sizes and numbers only.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from msdflash.errors import ImageError
from msdflash.image.pieces import collect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msdflash.image.segments import Segment

BLOCK = 512
MAGIC = b"UF2\nWQ]\x9e"
_HEADER = struct.Struct("<8s6I")
_LAST = b"\x30\x6f\xb1\x0a"
_PAYLOAD, _PAYLOAD_WITH_MD5 = 476, 452
_NOT_MAIN, _CONTAINER, _FAMILY, _MD5 = 0x1, 0x1000, 0x2000, 0x4000
_RP2_ABSOLUTE = 0xE48BFF57
_WORKAROUND = b"\xef" * 256
"""What RP2350 tools put into a lone block in front, for the boot ROM's erratum E10 (picotool; from memory). It is nobody's data."""


def decode_uf2(data: bytes) -> tuple[tuple[Segment, ...], tuple[str, ...], int | None]:
    """Segments (sorted, merged, not empty), notes, and the family id (None if the blocks have none).

    Raises:
        ImageError: ``uf2-damaged``, ``image-truncated``, ``image-overlap``, ``image-empty``, ``image-no-part-for-board`` (programs for
            several chips in one file), ``image-unknown-format`` (a container of files), with ``block`` where a block is to blame.
    """
    families: dict[int | None, int] = {}
    segments, notes = collect(lambda notes: _walk(data, notes, families), lambda where: where, "block")
    return segments, notes, next(iter(families))


def _walk(data: bytes, notes: list[str], families: dict[int | None, int]) -> Iterator[tuple[int, int, bytes]]:
    """``(index of the block, address, bytes)`` in file order; raises at the first damage. Block numbers are checked at the end."""
    families.clear()
    numbers: dict[int, int] = {}
    total, skipped, same, alone = 0, 0, 0, False
    for index in range(len(data) // BLOCK):
        flags, address, number, count, family, payload = _block(data, index)
        if index == number == 0 and family == _RP2_ABSOLUTE and payload == _WORKAROUND and len(data) > BLOCK:
            alone = True
            continue
        total = total or count
        if count != total or not number < total:
            what = f"says that it is number {number} of {count}; block {int(alone)} says that there are {total}"
            raise _damaged(index, what, expected=total, found=count)
        if number in numbers:
            first = numbers[number]
            if data[first * BLOCK : (first + 1) * BLOCK] != data[index * BLOCK : (index + 1) * BLOCK]:
                raise _damaged(index, f"has the number {number}, as block {first} has, but other content", other_block=first, number=number)
            same += 1
            continue
        numbers[number] = index
        if flags & _NOT_MAIN:
            skipped += 1
            continue
        families.setdefault(family, index)
        _one_family(families)
        if payload:
            yield index, address, payload
    _complete(data[BLOCK:] if alone else data, numbers, total)
    notes += ["the block in front that RP2350 tools add for the boot ROM's sake was left out"] if alone else []
    notes += [f"{skipped} blocks are not meant for the main flash and were left out"] if skipped else []
    notes += [f"{same} blocks stand in the file twice, with the same content"] if same else []
    families.setdefault(None, 0)


def _block(data: bytes, index: int) -> tuple[int, int, int, int, int | None, bytes]:
    """Flags, address, number, count, family id (or None) and data of a block. Raises at damage."""
    at = index * BLOCK
    magic, flags, address, size, number, count, family = _HEADER.unpack_from(data, at)
    if magic != MAGIC:
        if not data[at:].strip(b"\0"):
            raise _truncated(data, index, f", after which come {len(data) - at} zero bytes")
        raise _damaged(index, "does not begin with the UF2 mark", offset=at)
    if data[at + BLOCK - 4 : at + BLOCK] != _LAST:
        raise _damaged(index, "does not end with the UF2 mark", offset=at + BLOCK - 4)
    room = _PAYLOAD_WITH_MD5 if flags & _MD5 else _PAYLOAD
    if size > room:
        raise _damaged(index, f"says that it holds {size} bytes, there is room for {room}", expected=room, found=size)
    if flags & _CONTAINER and not flags & _NOT_MAIN:
        raise ImageError(
            "image-unknown-format",
            f"block {index} is part of a file for the device's own file system, not of its flash",
            kind="uf2-container",
            title="a UF2 container of files",
            block=index,
        )
    if address + size > 1 << 32:
        raise _damaged(index, f"goes beyond the last address of 32 bits: 0x{address:08X}", address=address)
    start = at + _HEADER.size
    return flags, address, number, count, family if flags & _FAMILY else None, data[start : start + size]


def _one_family(families: dict[int | None, int]) -> None:
    if len(families) > 1:
        (one, _), (other, index) = list(families.items())[:2]
        raise ImageError(
            "image-no-part-for-board",
            f"the file holds programs for several chips: {family_title(one)}, and from block {index} on {family_title(other)}; "
            "drop the file for this board's chip alone",
            block=index,
        )


def _complete(data: bytes, numbers: dict[int, int], total: int) -> None:
    """All numbers from 0 to the count are there, and the last block is whole."""
    whole = len(data) // BLOCK
    rest = data[whole * BLOCK :]
    if not whole:
        raise _truncated(data, 0, f"; {len(data)} bytes are less than one")
    if len(numbers) < total:
        missing = next(number for number in range(total) if number not in numbers)
        if missing == len(numbers) or rest.strip(b"\0"):  # the numbers before it are all there: the end was cut off
            raise _truncated(data, whole, f"; of {total} blocks, {total - len(numbers)} are missing, from number {missing} on")
        raise _damaged(missing, f"is missing; {len(numbers)} of {total} blocks are there", missing=total - len(numbers))
    if rest.strip(b"\0"):
        raise _damaged(whole, f"has only {len(rest)} bytes", expected=BLOCK, found=len(rest))


def _damaged(index: int, what: str, **facts: int) -> ImageError:
    return ImageError("uf2-damaged", f"block {index} of the UF2 file {what}", block=index, **facts)


def _truncated(data: bytes, whole: int, rest: str) -> ImageError:
    last = f"the last whole block is block {whole - 1}" if whole else "there is no whole block in it"
    return ImageError("image-truncated", f"the UF2 file stops too early: {last}{rest}", block=whole, size=len(data))


FAMILIES: dict[int, tuple[str, tuple[str, ...]]] = {
    0x16573617: ("ATmega32", ()),
    0x1851780A: ("SAML21", ("atsaml21",)),
    0x1B57745F: ("nRF52", ("nrf52",)),
    0x1C5F21B0: ("ESP32", ()),
    0x1E1F432D: ("STM32L1", ("stm32l1",)),
    0x202E3A91: ("STM32L0", ("stm32l0",)),
    0x21460FF0: ("STM32WL", ("stm32wl",)),
    0x2ABC77EC: ("LPC55", ("lpc55",)),
    0x300F5633: ("STM32G0", ("stm32g0",)),
    0x31D228C6: ("GD32F350", ("gd32f350",)),
    0x04240BDF: ("STM32L5", ("stm32l5",)),
    0x4C71240A: ("STM32G4", ("stm32g4",)),
    0x4FB2D5BD: ("i.MX RT10xx", ("mimxrt10",)),
    0x53B80F00: ("STM32F7", ("stm32f7",)),
    0x55114460: ("SAMD51", ("atsamd51",)),
    0x57755A57: ("STM32F4", ("stm32f4",)),
    0x5D1A0A2E: ("STM32F2", ("stm32f2",)),
    0x5EE21072: ("STM32F1", ("stm32f1",)),
    0x621E937A: ("nRF52833", ("nrf52833",)),
    0x647824B6: ("STM32F0", ("stm32f0",)),
    0x68ED2B88: ("SAMD21", ("atsamd21",)),
    0x6B846188: ("STM32F3", ("stm32f3",)),
    0x6D0922FA: ("STM32F407", ("stm32f407",)),
    0x6DB66082: ("STM32H7", ("stm32h7",)),
    0x70D16653: ("STM32WB", ("stm32wb",)),
    0x7EAB61ED: ("ESP8266", ()),
    0x7F83E793: ("KL32L2", ("kl32l2",)),
    0x8FB060FE: ("STM32F407VG", ("stm32f407",)),
    0x9517422F: ("RZ/A1LU", ()),
    0x9AF03E33: ("GD32VF103", ()),
    0xADA52840: ("nRF52840", ("nrf52840",)),
    0xBFDD4EEE: ("ESP32-S2", ()),
    0xC47E5767: ("ESP32-S3", ()),
    0xD42BA06C: ("ESP32-C3", ()),
    0xE48BFF56: ("RP2040", ("rp2040",)),
    _RP2_ABSOLUTE: ("RP2xxx, absolute addresses", ("rp2350",)),
    0xE48BFF58: ("RP2xxx, data partition", ()),
    0xE48BFF59: ("RP2350, Arm", ("rp2350",)),
    0xE48BFF5A: ("RP2350, RISC-V", ()),
    0xE48BFF5B: ("RP2350, Arm non-secure", ("rp2350",)),
    0x00FF6919: ("STM32L4", ("stm32l4",)),
}
"""Family id -> its name for people, and how the names of the chips begin that it means (lower case; empty: none of
them can be flashed here)."""


def family_title(family: int | None) -> str:
    """``STM32L4 (0x00FF6919)``."""
    if family is None:
        return "no family"
    known = FAMILIES.get(family)
    return f"{known[0]} (0x{family:08X})" if known else f"family 0x{family:08X}"
