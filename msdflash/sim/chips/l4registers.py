"""The flash registers of STM32L47x/L43x, their bits and keys (RM0351 chapter 3), and how long operations take."""

from __future__ import annotations

BASE = 0x40022000
ACR, PDKEYR, KEYR, OPTKEYR, SR, CR, ECCR, OPTR = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18, 0x20
PCROP1SR, PCROP1ER, WRP1AR, WRP1BR, PCROP2SR, PCROP2ER, WRP2AR, WRP2BR = 0x24, 0x28, 0x2C, 0x30, 0x44, 0x48, 0x4C, 0x50
OPTIONS = (OPTR, PCROP1SR, PCROP1ER, WRP1AR, WRP1BR, PCROP2SR, PCROP2ER, WRP2AR, WRP2BR)
# Option registers of a part as it leaves the factory (RM0351 3.4.1 and 3.7: level 0, no write protection, no PCROP)
FACTORY = (0xFFEFF8AA, 0xFFFFFFFF, 0x7FFF0000, 0xFF00FFFF, 0xFF00FFFF, 0xFFFFFFFF, 0xFFFF0000, 0xFF00FFFF, 0xFF00FFFF)

KEYS = (0x45670123, 0xCDEF89AB)  # 3.3.5
OPTION_KEYS = (0x08192A3B, 0x4C5D6E7F)  # 3.4.2
# SR, 3.7.5
EOP, OPERR, PROGERR, WRPERR, PGAERR, SIZERR, PGSERR, MISERR, FASTERR, RDERR, OPTVERR, BSY = (
    1, 2, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x4000, 0x8000, 0x10000,
)  # fmt: skip
SR_CLEARABLE = EOP | OPERR | PROGERR | WRPERR | PGAERR | SIZERR | PGSERR | MISERR | FASTERR | RDERR | OPTVERR
SEQUENCE_ERRORS = PROGERR | WRPERR | PGAERR | SIZERR | PGSERR | MISERR | FASTERR
# CR, 3.7.6
PG, PER, MER1, BKER, MER2, STRT, OPTSTRT, FSTPG, EOPIE, OBL_LAUNCH, OPTLOCK, LOCK = (
    1, 2, 4, 1 << 11, 1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 24, 1 << 27, 1 << 30, 1 << 31,
)  # fmt: skip
PAGE = 2048
ERASED = b"\xff" * 8

# DS10198 (STM32L476 data sheet), flash memory characteristics: typical times
PROGRAM_SECONDS = 81.69e-6
ERASE_SECONDS = 22.02e-3
MASS_ERASE_SECONDS = 22.13e-3


def chosen_pages(cr: int, total: int, dual_bank: bool) -> range:
    """Pages that an erase command in CR means, of ``total`` (3.3.6)."""
    half = total // 2 if dual_bank else total
    if cr & PER:
        page = (cr >> 3 & 0xFF) + (half if dual_bank and cr & BKER else 0)
        return range(page, page + 1) if page < total else range(0)
    first, second = bool(cr & MER1), bool(cr & MER2) and dual_bank
    return range(0 if first else half, total if second else half) if first or second else range(0)


def write_protected(options: list[int], page: int, total: int, dual_bank: bool) -> bool:
    """True if one of the bank's two areas, from STRT to END of WRPxyR, covers the page (3.5.3). Options in the order of OPTIONS."""
    in_bank, areas = page, (3, 4)
    if dual_bank and page >= total // 2:
        in_bank, areas = page - total // 2, (7, 8)
    return any(options[n] & 0xFF <= in_bank <= options[n] >> 16 & 0xFF for n in areas)
