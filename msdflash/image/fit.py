"""Was this image built for this chip? Only what the file itself says counts: its UF2 family, its ELF build attributes.

Sources: github.com/microsoft/uf2 ``utils/uf2families.json``; Arm IHI 0045 (Tag_CPU_arch); Armv6-M, Armv7-M and Armv8-M ARM (CPUID
part numbers, and which instruction sets contain which).
"""

from __future__ import annotations

import msgspec

from msdflash.errors import ImageError
from msdflash.image.segments import Image
from msdflash.image.uf2 import FAMILIES, family_title


class Chip(msgspec.Struct, frozen=True):
    """The chip as far as it is known.

    Attributes:
        part: its name for people, or "".
        names: every name that it goes by, lower case: family, part, target, ordering codes (``stm32l4``, ``stm32l476rgtx``).
        cores: CPUID [15:4] of its cores; empty: unknown.
        family: id of the family table's row (``nrf52``), or "".
    """

    part: str = ""
    names: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()
    family: str = ""


_RUNS: dict[int, tuple[str, ...]] = {
    0xC20: ("v6-M", "v6S-M"),
    0xC21: ("v6-M", "v6S-M"),
    0xC60: ("v6-M", "v6S-M"),
    0xC23: ("v6-M", "v6S-M", "v7"),
    0xC24: ("v6-M", "v6S-M", "v7", "v7E-M"),
    0xC27: ("v6-M", "v6S-M", "v7", "v7E-M"),
    0xD20: ("v6-M", "v6S-M", "v8-M.base"),
    0xD21: ("v6-M", "v6S-M", "v7", "v7E-M", "v8-M.base", "v8-M.main"),
    0xD22: ("v6-M", "v6S-M", "v7", "v7E-M", "v8-M.base", "v8-M.main", "v8.1-M.main"),
    0xD23: ("v6-M", "v6S-M", "v7", "v7E-M", "v8-M.base", "v8-M.main", "v8.1-M.main"),
}
"""CPUID part number -> architectures whose code it runs. Of v7, only the M profile can be meant: A and R code has no vector table of a
Cortex-M, and is refused for that."""

_CORES = {
    0xC20: "Cortex-M0",
    0xC21: "Cortex-M1",
    0xC60: "Cortex-M0+",
    0xC23: "Cortex-M3",
    0xC24: "Cortex-M4",
    0xC27: "Cortex-M7",
    0xD20: "Cortex-M23",
    0xD21: "Cortex-M33",
    0xD22: "Cortex-M55",
    0xD23: "Cortex-M85",
}


def check_chip(image: Image, chip: Chip) -> tuple[str, ...]:
    """Refuse what says itself that it is for another chip.

    Returns:
        Notes: what the file says and could not be compared.

    Raises:
        ImageError: ``image-wrong-chip``, with ``built_for`` and ``chip``.
    """
    notes: tuple[str, ...] = ()
    if image.uf2_family is not None:
        notes += _uf2(image.uf2_family, chip)
    if image.architecture:
        notes += _architecture(image.architecture, chip)
    return notes


def _uf2(family: int, chip: Chip) -> tuple[str, ...]:
    """The family must mean this chip; ids that the public list does not have are nobody else's proof."""
    names, known = chip.names, FAMILIES.get(family)
    if known is not None and any(name.startswith(prefix) for name in names for prefix in known[1]):
        return ()
    mine = [other for other, (_, prefixes) in FAMILIES.items() if any(name.startswith(prefix) for name in names for prefix in prefixes)]
    if known is None and not mine:
        return (f"the UF2 file is for {family_title(family)}, which the public list does not have: not compared with the chip",)
    if not names:
        return (f"the UF2 file is for {family_title(family)}; the chip is not known, so this was not compared",)
    wanted = f", whose family is {' or '.join(family_title(other) for other in mine)}" if mine else ""
    raise _wrong(family_title(family), f"the UF2 file is for {family_title(family)}, the chip is {chip.part or names[0]}{wanted}", chip)


def _architecture(architecture: str, chip: Chip) -> tuple[str, ...]:
    known = [core for core in chip.cores if core in _RUNS]
    if not known:
        return (f"the ELF file was built for Arm{architecture}; the chip's core is not known, so this was not compared",)
    if any(architecture in _RUNS[core] for core in known):
        return ()
    cores = " or ".join(dict.fromkeys(_CORES[core] for core in known))
    raise _wrong(f"Arm{architecture}", f"the ELF file was built for Arm{architecture}, which a {cores} cannot run", chip)


def _wrong(built_for: str, message: str, chip: Chip) -> ImageError:
    return ImageError("image-wrong-chip", message, built_for=built_for, chip=chip.part or (chip.names[0] if chip.names else ""))
