"""What several STM32 families have in common: cores, bit names, how sizes and protection bytes are read.

Sources: as in :mod:`msdflash.chips.stm32`.
"""

from __future__ import annotations

from msdflash.chips.model import Flag, FlagRegister, RdpRule, Register

KIB = 1024
ST = 0x020  # JEP106 bank 1, 0x20; OpenOCD src/helper/jep106.inc
FLASH = 0x0800_0000
M0, M0P, M3, M4, M7, M33 = 0xC20, 0xC60, 0xC23, 0xC24, 0xC27, 0xD21
AHB_M0, AHB_M0P, AHB_M3M4, AHB_M7 = 0x0477_0021, 0x0477_0031, 0x0477_0011, 0x0477_0001
SAME_CONTROLLER = "same flash controller"

PPB_IDCODE = Register(0xE004_2000, mask=0xFFF)  # in the private bus: read even under system reset (RM0401 26.6.1)
APB_IDCODE = Register(0x4001_5800, mask=0xFFF)  # on the APB: faults under reset and in Stop


def half_word(address: int) -> Register:
    """A flash size register: 16 bits, in KiB."""
    return Register(address, mask=0xFFFF, size=2)


def rdp_byte(address: int, shift: int, *, half: bool = False) -> RdpRule:
    """RDP as a byte: AA level 0, CC level 2, everything else level 1 (OpenOCD stm32l4x.c, stm32f2x.c)."""
    levels = ((0xAA, "0"), (0xCC, "2"), *(((0x55, "0.5 or 1"),) if half else ()))
    return RdpRule(Register(address, shift, 0xFF), levels, "1")


def flags(text: str, meanings: dict[str, str]) -> tuple[Flag, ...]:
    """``"1 OPERR 3 PROGERR"`` and their meanings as flags."""
    words = text.split()
    return tuple(Flag(int(bit), name, meanings[name]) for bit, name in zip(words[::2], words[1::2], strict=True))


ERRORS = {
    "OPERR": "operation error",
    "PROGERR": "a word to be programmed was not erased before",
    "WRPERR": "the address is write-protected",
    "PGAERR": "programming alignment error",
    "SIZERR": "wrong access size while programming",
    "PGSERR": "programming sequence error (can be left over from the old firmware)",
    "PGPERR": "programming parallelism error",
    "MISERR": "fast programming data missed",
    "FASTERR": "fast programming error",
    "RDERR": "read of a protected area",
    "OPTVERR": "option bytes did not load cleanly",
    "PGERR": "a half-word to be programmed was not erased before",
    "WRPRTERR": "the address is write-protected",
    "NOTZEROERR": "programming of a place that was not erased",
    "FWWERR": "write or erase aborted by a fetch",
    "STRBERR": "strobe error: the same byte was written more than once",
    "INCERR": "inconsistency error",
    "RDPERR": "read protection error",
    "RDSERR": "secure area error",
    "SNECCERR": "single ECC error corrected",
    "DBECCERR": "double ECC error",
}
CAUSES = {
    "LPWRRSTF": "reset on entering a low-power mode against the option bytes",
    "WWDGRSTF": "window watchdog",
    "IWDGRSTF": "independent watchdog",
    "SFTRSTF": "software reset",
    "PORRSTF": "power-on",
    "BORRSTF": "brown-out",
    "PWRRSTF": "power-on or brown-out",
    "PINRSTF": "NRST pin (internal resets pull it, too)",
    "OBLRSTF": "option bytes were loaded",
    "FWRSTF": "firewall",
    "CPURSTF": "CPU",
}

L4_SR = FlagRegister(
    0x4002_2010,  # header l4: FLASH_SR; PEMPTY (17) is missing on L47x to L4Ax and left out
    flags("1 OPERR 3 PROGERR 4 WRPERR 5 PGAERR 6 SIZERR 7 PGSERR 8 MISERR 9 FASTERR 14 RDERR 15 OPTVERR", ERRORS),
    busy=16,
)
