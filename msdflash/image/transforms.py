"""Deliberate differences between file and flash, each with a name, so that a report can tell them.

Only what the engine's own way to flash does to the data: whoever reads the flash back must expect exactly this.

Sources: NXP UM10360 32.3.1.1 (valid user code checksum of LPC17xx), K64P144M120SF5RM 29.3.1 (flash configuration field), pyOCD 0.46
``flash_kinetis.py`` (what it changes there).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from msdflash.image.segments import Image, Segment

if TYPE_CHECKING:
    from collections.abc import Callable

_FCF = {**dict.fromkeys((1032, 1033, 1034, 1035, 1038, 1039), 255), 0x40C: 0xFE}
"""Flash configuration field: no write protection, security off. FOPT (0x40D) and the backdoor key stay."""


def apply(image: Image, names: tuple[str, ...]) -> tuple[Image, tuple[str, ...]]:
    """The image as it will stand in flash, and one sentence for each change that was really made.

    Args:
        image: placed at its final addresses.
        names: transforms of the family, in the order in which they act.

    Raises:
        KeyError: a name that this table does not have.
    """
    said: list[str] = []
    for name in names:
        segments = []
        for segment in image.segments:
            data, note = TRANSFORMS[name](segment.address, segment.data)
            segments.append(Segment(segment.address, data))
            said += [f"{name}: {note}"] if note else []
        image = msgspec.structs.replace(image, segments=tuple(segments))
    return image, tuple(said)


def apply_to(address: int, data: bytes, names: tuple[str, ...]) -> bytes:
    """The same changes on any stretch of flash to be written, such as a sector with kept neighbours."""
    for name in names:
        data, _ = TRANSFORMS[name](address, data)
    return data


def _lpc_checksum(address: int, data: bytes) -> tuple[bytes, str]:
    """Word 7 becomes minus the sum of words 0 to 6, as the boot ROM demands."""
    if address != 0 or len(data) < 0x20:
        return data, ""
    total = sum(int.from_bytes(data[at : at + 4], "little") for at in range(0, 0x1C, 4))
    wanted, found = -total & 0xFFFF_FFFF, int.from_bytes(data[0x1C:0x20], "little")
    if wanted == found:
        return data, ""
    changed = data[:0x1C] + wanted.to_bytes(4, "little") + data[0x20:]
    return changed, f"word at 0x1C is 0x{wanted:08X} in flash (0x{found:08X} in the file), or the boot ROM starts nothing"


def _kinetis_fcf(address: int, data: bytes) -> tuple[bytes, str]:
    """Protection and security bytes are forced open."""
    changed = bytearray(data)
    touched = []
    for at, value in sorted(_FCF.items()):
        if address <= at < address + len(data) and changed[at - address] != value:
            touched.append(f"0x{at:03X} 0x{changed[at - address]:02X}->0x{value:02X}")
            changed[at - address] = value
    if not touched:
        return data, ""
    return bytes(changed), f"flash configuration bytes changed so that the chip stays open: {', '.join(touched)}"


TRANSFORMS: dict[str, Callable[[int, bytes], tuple[bytes, str]]] = {
    "lpc-vector-checksum": _lpc_checksum,
    "kinetis-fcf": _kinetis_fcf,
}
"""Name -> ``(address, data) -> (data, what was changed or an empty text)``."""
