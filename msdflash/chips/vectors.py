"""Whose vector table is this? Asked only of an image that does not fit the chip that is there.

Source: Armv7-M ARM (DDI 0403E) B1.5.3: initial stack pointer, then addresses with the Thumb bit set.
"""

from __future__ import annotations

from msdflash.chips.families import FAMILIES
from msdflash.chips.model import Device, Family

WORDS = 4
"""Stack pointer, reset, NMI, HardFault: every Cortex-M has these."""


def fitting(table: bytes, size: int) -> tuple[tuple[Family, Device], ...]:
    """The dies for which a file that begins with this table would make sense at the start of their flash.

    The stack must begin in a RAM of the die, and the handlers must lie in the file itself: chance and text do not do that.

    Args:
        table: the file's first bytes, at least :data:`WORDS` words.
        size: of the file, in bytes.
    """
    if len(table) < 4 * WORDS:
        return ()
    stack, *handlers = (int.from_bytes(table[at : at + 4], "little") for at in range(0, 4 * WORDS, 4))
    return tuple(
        (family, device)
        for family in FAMILIES
        if family.boot == "cortex-m" and _in_file(handlers, family, size)
        for device in family.devices
        if stack % 4 == 0 and size <= device.kib[1] * 1024 and any(start < stack <= start + length for start, length in device.ram)
    )


def _in_file(handlers: list[int], family: Family, size: int) -> bool:
    """The reset handler in the file as it would lie in this family's flash; the others, too, or empty.

    That STM32 show their flash at 0 as well is left out: few programs are linked so, and then every maker's would fit.
    """

    def inside(value: int) -> bool:
        return bool(value & 1) and family.flash_base <= value - 1 < family.flash_base + size

    return inside(handlers[0]) and all(value == 0 or inside(value) for value in handlers[1:])
