"""The family table and the questions that are asked of it.

How the worker uses it: :func:`candidates` with what the debug port says; read the identity register of the first
candidate that has one; :func:`identify` with the address and the word. Only candidates' registers are read, since a
foreign address can hit a peripheral that does not like to be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.chips import nordic, nxp, raspberry, stm32, stm32_ids

if TYPE_CHECKING:
    from msdflash.chips.model import Builtin, Device, Family

FAMILIES: tuple[Family, ...] = (
    stm32.L4,
    stm32.F1,
    stm32.F4,
    stm32.L0,
    stm32.H7,
    stm32_ids.F0,
    stm32_ids.F2,
    stm32_ids.F3,
    stm32_ids.F7,
    stm32_ids.G0,
    stm32_ids.G4,
    stm32_ids.C0,
    stm32_ids.L1,
    stm32_ids.L5,
    stm32_ids.U5,
    stm32_ids.H5,
    stm32_ids.WB,
    stm32_ids.WL,
    nordic.NRF51,
    nordic.NRF52,
    nxp.K64F,
    nxp.KL25Z,
    nxp.LPC17,
    nxp.LPC55,
    raspberry.RP2040,
)
"""Every family, in the order in which candidates are offered."""

UNREADABLE_SIZES = (0, 0xFFFF, 0xFFFF_FFFF)
"""Values of a flash size register that mean "not readable now", never a size."""


def candidates(dpidr: int | None, ap_idr: int | None, cpuid: int | None, designer: int | None = None) -> tuple[Family, ...]:
    """Families that none of the given identity values refutes. A value of None refutes nothing.

    Args:
        dpidr: DPIDR of the debug port.
        ap_idr: IDR of the memory access port; its revision is ignored.
        cpuid: CPUID 0xE000ED00; only the part number [15:4] counts.
        designer: JEP106 designer out of the ROM table (bank in [11:8]), where it is not Arm's generic 0x43B.
    """
    return tuple(
        family
        for family in FAMILIES
        if (dpidr is None or dpidr in family.dpidrs)
        and (ap_idr is None or ap_idr & 0x0FFF_FFFF in family.ap_idrs)
        and (cpuid is None or cpuid >> 4 & 0xFFF in family.cores)
        and (designer in (None, 0x43B) or family.designer in (None, designer))
    )


def identify(families: tuple[Family, ...], address: int, word: int) -> tuple[Family, Device] | None:
    """Which of ``families`` has its identity register at ``address`` and knows the device id in ``word``, or None."""
    for family in families:
        if family.idcode is not None and family.idcode.address == address:
            known = device(family, family.idcode.of(word))
            if known is not None:
                return family, known
    return None


def device(family: Family, dev_id: int) -> Device | None:
    """The die with this device id, or None. nRF51 has many hardware ids for one die: its row answers to all of them."""
    for known in family.devices:
        if known.dev_id == dev_id:
            return known
    return family.devices[0] if len(family.devices) == 1 and family.devices[0].dev_id == 0 else None


OTHER_BOOT: tuple[tuple[str, str], ...] = (
    ("mimxrt", "imxrt-fcfb"),
    ("cc32", "unknown"),  # TI cookie before the vectors
    ("s5js", "unknown"),
    ("rtl8", "unknown"),
    ("cy8c64", "unknown"),  # signed images
    ("musca", "unknown"),
)
"""Boot header kinds of targets without a family here, by how the target's name begins."""


def boot_of_target(target: str) -> str:
    """Boot header kind of any pyOCD target: the family's, else by :data:`OTHER_BOOT`, else ``cortex-m``."""
    name = target.lower()
    family = family_of_target(name)
    if family is not None:
        return family.boot
    return next((kind for prefix, kind in OTHER_BOOT if name.startswith(prefix)), "cortex-m")


def family_of_target(target: str) -> Family | None:
    """The family of a pyOCD target name: by the table, else by the line that it spells. None where no row fits."""
    name = target.lower()
    for family in FAMILIES:
        builtins = [item.target for known in family.devices for item in known.builtins]
        if name in family.targets or name in builtins:
            return family
    for family in FAMILIES:
        if any(_has_line(name, line) for known in family.devices for line in known.lines):
            return family
    return None


def devices_of_target(target: str) -> tuple[Device, ...]:
    """The dies that a target name stands for: rows that have it as ``same die``, else those whose line it spells."""
    name = target.lower()
    dies = [known for family in FAMILIES for known in family.devices]
    exact = [known for known in dies if any(item.target == name and item.why == "same die" for item in known.builtins)]
    if not exact:
        exact = [known for known in dies if any(_has_line(name, line) for line in known.lines)]
    return tuple(exact)


_SYSTEM_MEMORY = ((0x1FF0_0000, 0x1FFF_FFFF),)
"""STM32: nothing that can run but the boot loader lies here (from memory: system memory, OTP and option bytes of each reference manual)."""

BOOT_ROMS: dict[str, tuple[tuple[int, int], ...]] = {
    "lpc17xx": ((0x1FFF_0000, 0x1FFF_1FFF),),  # UM10360 table 3
    "lpc55xx": ((0x0300_0000, 0x0301_FFFF), (0x1300_0000, 0x1301_FFFF)),  # UM11126, memory map (from memory)
    "rp2040": ((0x0000_0000, 0x0000_3FFF),),  # RP2040 data sheet 2.8
}
"""Family -> addresses of its maker's boot ROM, first and last; all STM32 have :data:`_SYSTEM_MEMORY`."""


def boot_rom(family: Family) -> tuple[tuple[int, int], ...]:
    """Where the maker's boot ROM lies, as ``(first, last)``; empty where there is none, or none is known."""
    return _SYSTEM_MEMORY if family.id.startswith("stm32") else BOOT_ROMS.get(family.id, ())


def builtin_for(known: Device, flash_kib: int | None) -> Builtin | None:
    """The builtin for a die with this much flash: the smallest large enough, or None."""
    if flash_kib is None or flash_kib in UNREADABLE_SIZES:
        return None
    fitting = [item for item in known.builtins if item.kib == flash_kib or (item.kib > flash_kib and not item.exact)]
    return min(fitting, key=lambda item: item.kib, default=None)


def reachable_kib(known: Device, flash_kib: int, word: int) -> int:
    """How much of a part's flash its builtin's algorithm can really erase and program, in KiB, from the start on.

    Args:
        known: the die.
        flash_kib: what the size register says.
        word: value of the register in ``known.half_when`` (anything where that is None).
    """
    if known.half_when is None or flash_kib >= known.kib[1]:
        return flash_kib
    register, value = known.half_when
    return flash_kib // 2 if register.of(word) == value else flash_kib


def target_for(family: Family, dev_id: int, flash_kib: int | None) -> str | None:
    """PyOCD's builtin target with this die's flash controller and layout, or None: then only a CMSIS-Pack helps.

    Where the builtin has more flash than the part, the caller cuts the map to ``flash_kib``.
    """
    known = device(family, dev_id)
    found = builtin_for(known, flash_kib) if known is not None else None
    return found.target if found is not None else None


def _has_line(name: str, line: str) -> bool:
    return name.startswith("stm32" + line) or (not name.startswith("stm32") and name.startswith(line))
