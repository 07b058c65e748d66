"""Words in an image that would lock the chip or change how it starts. What they do to the chip is told, whether refused or not.

Sources: K64P144M120SF5RM 29.3.1 and 29.34.2 (flash configuration field, FSEC, FOPT); nRF52840 PS 4.4 (UICR, APPROTECT), nRF51 RM 3.2
(UICR, RBPCONF); UM10360 32.6 (LPC17xx code read protection); STM32 reference manuals, option bytes (RM0351 3.4, RM0090 3.6, RM0008 and
PM0075, RM0091 4, RM0316 4, RM0376 3.4, RM0038 3.4, RM0444 3.4, RM0440 3.4, RM0433 4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from msdflash.image.fit import Chip
    from msdflash.image.segments import Image

Found = tuple[str, int, int, str]
"""What locks, its address, its value, and what it would do."""

OPTION_BYTES: dict[str, tuple[tuple[int, int], ...]] = {
    "stm32l4": ((0x1FFF_7800, 0x1FFF_7828), (0x1FFF_F800, 0x1FFF_F828)),
    "stm32f0": ((0x1FFF_F800, 0x1FFF_F810),),
    "stm32f1": ((0x1FFF_F800, 0x1FFF_F810),),
    "stm32f3": ((0x1FFF_F800, 0x1FFF_F810),),
    "stm32f2": ((0x1FFF_C000, 0x1FFF_C010),),
    "stm32f4": ((0x1FFF_C000, 0x1FFF_C010), (0x1FFE_C000, 0x1FFE_C010)),
    "stm32f7": ((0x1FFF_0000, 0x1FFF_0020),),
    "stm32l0": ((0x1FF8_0000, 0x1FF8_0014),),
    "stm32l1": ((0x1FF8_0000, 0x1FF8_00A0),),
    "stm32g0": ((0x1FFF_7800, 0x1FFF_7880),),
    "stm32g4": ((0x1FFF_7800, 0x1FFF_7830), (0x1FFF_F800, 0x1FFF_F830)),
    "stm32c0": ((0x1FFF_7800, 0x1FFF_7880),),
    "stm32wb": ((0x1FFF_8000, 0x1FFF_8080),),
    "stm32wl": ((0x1FFF_7800, 0x1FFF_7880),),
}
"""Family -> ``(first, end)`` of the option bytes in its address space. H5, H7, L5 and U5 have them in registers only."""

UICR = (0x1000_1000, 0x1000_2000)
"""nRF51 and nRF52: user information configuration registers."""

CRP = {0x1234_5678: "CRP1", 0x8765_4321: "CRP2", 0x4321_8765: "CRP3"}
_NO_ISP = 0x4E69_7370
_BLANK = 0xFFFF_FFFF


def check_locks(image: Image, chip: Chip, *, allow: bool = False) -> tuple[str, ...]:
    """Refuse an image that would lock the chip, unless that was ordered.

    Args:
        image: placed, as it stands in the file (before any transform).
        chip: its family decides which words are looked at.
        allow: the user ordered it for this board; what would be done is then told as a note.

    Raises:
        ImageError: ``image-would-lock``, with ``word``, ``address`` and ``value``; ``image-sets-option-bytes``, with ``first`` and
            ``last``, which no order allows, since the engine cannot write them.
    """
    notes: list[str] = []
    _option_bytes(image, chip)
    for rule in _RULES:
        for locking, (word, address, value, effect) in rule(image, chip):
            sentence = f"the {word} at 0x{address:08X} is 0x{value:X} in the file: {effect}"
            if locking and not allow:
                raise ImageError("image-would-lock", sentence, word=word, address=address, value=value, effect=effect)
            notes.append(f"{sentence}; ordered by allow_locking_images" if locking else sentence)
    return tuple(notes)


def _option_bytes(image: Image, chip: Chip) -> None:
    for first, end in OPTION_BYTES.get(chip.family, ()):
        for segment in image.segments:
            if segment.address < end and segment.end > first:
                raise ImageError(
                    "image-sets-option-bytes",
                    f"the file has data for 0x{segment.address:08X}-0x{segment.end - 1:08X}: there stand option bytes of this chip "
                    f"(0x{first:08X}-0x{end - 1:08X}), which can lock it",
                    first=segment.address,
                    last=segment.end - 1,
                )


def _word(image: Image, address: int, size: int = 4) -> int | None:
    """A value out of the image, bytes that it does not cover being erased; None where it covers none of them."""
    pieces = [image.read(address + at, 1) for at in range(size)]
    if all(piece is None for piece in pieces):
        return None
    return int.from_bytes(b"".join(piece or b"\xff" for piece in pieces), "little")


def _kinetis(image: Image, chip: Chip) -> Iterator[tuple[bool, Found]]:
    """FSEC [1:0] other than 10 secures, [5:4] = 10 forbids mass erase for ever. An all-ones field is padding, which the engine opens."""
    if not chip.family.startswith("kinetis"):
        return
    field = [_word(image, 0x400 + at, 1) for at in range(16)]
    security, options = field[0xC], field[0xD]
    if security is not None and any(value not in (None, 0xFF) for value in field):
        if security & 3 != 2:
            yield True, ("flash security byte FSEC", 0x40C, security, "the chip would be secured: the debug port closes")
        elif security >> 4 & 3 == 2:
            yield True, ("flash security byte FSEC", 0x40C, security, "mass erase would be forbidden: once secured, the chip never opens")
    if options is not None and options != 0xFF:
        yield False, ("flash option byte FOPT", 0x40D, options, "the chip starts with other options than the usual 0xFF")


def _nordic(image: Image, chip: Chip) -> Iterator[tuple[bool, Found]]:
    """UICR: read-back protection locks; pins and voltages are told by nobody, since they are what UICR is for."""
    if chip.family == "nrf52":
        value = _word(image, 0x1000_1208)
        if value is not None and value & 0xFF not in (0xFF, 0x5A):
            yield True, ("UICR word APPROTECT", 0x1000_1208, value, "the debug port would close; only erasing everything opens it again")
        reset = [_word(image, address) for address in (0x1000_1200, 0x1000_1204)]
        if reset[0] != reset[1] and None not in reset:
            yield False, ("UICR word PSELRESET[0]", 0x1000_1200, reset[0] or 0, "it differs from PSELRESET[1], so there is no reset pin")
    if chip.family == "nrf51":
        value = _word(image, 0x1000_1004)
        if value is not None and value & 0xFFFF != 0xFFFF:
            yield True, ("UICR word RBPCONF", 0x1000_1004, value, "flash could not be read back; only erasing everything opens it again")


def _lpc(image: Image, chip: Chip) -> Iterator[tuple[bool, Found]]:
    """The code read protection word of NXP's LPC11 to LPC43 parts that boot from address 0."""
    if not any(name.startswith(("lpc8", "lpc11", "lpc12", "lpc13", "lpc15", "lpc17", "lpc40")) for name in chip.names):
        return
    value = _word(image, 0x2FC)
    if value in CRP:
        yield True, (f"code read protection word ({CRP[value]})", 0x2FC, value, "the debug port would close")
    elif value == _NO_ISP:
        yield False, ("code read protection word (NO_ISP)", 0x2FC, value, "the boot loader's pin entry is switched off")


_RULES: tuple[Callable[[Image, Chip], Iterator[tuple[bool, Found]]], ...] = (_kinetis, _nordic, _lpc)
"""Each yields ``(locks, what was found)``."""
