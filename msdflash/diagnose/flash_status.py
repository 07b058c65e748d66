"""Flash status registers: which bit says what, by family. Read after the failing call, before the next one could clear it."""

from __future__ import annotations

_L4 = {
    1: "OPERR",
    3: "PROGERR",
    4: "WRPERR",
    5: "PGAERR",
    6: "SIZERR",
    7: "PGSERR",
    8: "MISSERR",
    9: "FASTERR",
    14: "RDERR",
    15: "OPTVERR",
    16: "BSY",
}
_F4 = {1: "OPERR", 4: "WRPERR", 5: "PGAERR", 6: "PGPERR", 7: "PGSERR", 8: "RDERR", 16: "BSY"}
_F1 = {0: "BSY", 2: "PGERR", 4: "WRPRTERR", 5: "EOP"}
_L0 = {0: "BSY", 8: "WRPERR", 9: "PGAERR", 10: "SIZERR", 11: "OPTVERR", 13: "RDERR", 16: "NOTZEROERR"}
_H7 = {0: "BSY", 17: "WRPERR", 18: "PGSERR", 19: "STRBERR", 21: "INCERR", 23: "RDPERR", 24: "RDSERR", 25: "SNECCERR", 26: "DBECCERR"}

STATUS_BITS: dict[str, dict[int, str]] = {
    "stm32l4": _L4,
    "stm32g4": _L4,
    "stm32g0": _L4,
    "stm32c0": _L4,
    "stm32wb": _L4,
    "stm32wl": _L4,
    "stm32f4": _F4,
    "stm32f2": _F4,
    "stm32f7": _F4,
    "stm32f1": _F1,
    "stm32f0": _F1,
    "stm32f3": _F1,
    "stm32l0": _L0,
    "stm32l1": _L0,
    "stm32h7": _H7,
}
"""FLASH_SR: RM0351 3.7.5 (L4), RM0090 3.9.5 (F4), PM0075 3.4 (F1), RM0367 3.7.6 (L0), RM0433 4.9.5 (H7)."""

PROTECTED = frozenset({"WRPERR", "WRPRTERR"})
"""Names of the bits that say "this address is write-protected"."""


def status_names(family: str, value: int) -> tuple[str, ...]:
    """Names of the bits set, lowest first; empty for a family that is not in the table."""
    table = next((bits for prefix, bits in STATUS_BITS.items() if family.startswith(prefix)), {})
    return tuple(name for bit, name in sorted(table.items()) if value >> bit & 1)
