"""NXP families.

Sources: SVD files that pyOCD ships (``MK64F12``, ``MKL25Z4``, ``LPC176x5x``, ``LPC55S69``), OpenOCD ``kinetis.c`` and
``lpc2000.c``, pyOCD ``flash_kinetis.py`` and ``target_kinetis.py``; times from the data sheets named in each row.
"""

from __future__ import annotations

from msdflash.chips.model import (
    ApLock,
    BlankCheck,
    Builtin,
    Critical,
    Device,
    Family,
    Flag,
    FlagRegister,
    Mailbox,
    Register,
    Timing,
    WrpArea,
    WrpRule,
)

_NXP = "NXP"

_MDM = ApLock(
    1,
    0x001C_0000,  # MDM-AP; K 0x00, L/M/V/E 0x20 in [7:4]
    Register(0x00, shift=2, mask=1),  # STATUS.SYSSEC
    1,
    valid=(1 << 1 | 1 << 3, 1 << 1 | 1 << 3),  # FREADY and SYSRES (1 = out of reset): otherwise SYSSEC says nothing
    times=10,
    running=1 << 3,  # SYSRES
)
_FSTAT = (
    Flag(0, "MGSTAT0", "the command failed its own check"),
    Flag(4, "FPVIOL", "the address is protected"),
    Flag(5, "ACCERR", "illegal access or command"),
    Flag(6, "RDCOLERR", "flash was read during a command"),
)
_SRS0 = (
    Flag(0, "WAKEUP", "woken from a low-leakage mode"),
    Flag(1, "LVD", "low voltage"),
    Flag(2, "LOC", "loss of clock"),
    Flag(5, "WDOG", "watchdog"),
    Flag(6, "PIN", "reset pin"),
    Flag(7, "POR", "power-on"),
)
_SRS1 = (
    Flag(1, "LOCKUP", "core lockup"),
    Flag(2, "SW", "software reset"),
    Flag(3, "MDM_AP", "debugger through the MDM-AP"),
)
_SRS = (
    FlagRegister(0x4007_F000, _SRS0, size=1, sticky=False),
    FlagRegister(0x4007_F001, _SRS1, size=1, sticky=False),
)

# FPROT3 (at 0x10) has regions 0 to 7, FPROT0 the last eight: one word, region by bit. A clear bit protects a 32nd of the flash
# (SVD MK64F12, MKL25Z4; K64P144M120SF5RM chapter 29, FPROT).
_FPROT = WrpRule("zero", (WrpArea(0x4002_0010, 0, share=32),))
# The flash configuration field: backdoor key, FPROT, FSEC, FOPT. Erased, FSEC reads 0xFF: secure (K64P144M120SF5RM chapter 29).
_FCF = (
    Critical(0x400, 16, Register(0x40C, mask=3, size=1), 2, "the chip is secured: no debugger gets in, and only a mass erase opens it"),
)

K64F = Family(
    id="kinetis-k6x",
    title="Kinetis K6x (FTFE)",
    vendor=_NXP,
    cores=(0xC24,),
    dpidrs=(0x2BA0_1477,),
    ap_idrs=(0x0477_0011,),
    designer=None,  # the ROM table carries Arm's generic designer
    idcode=Register(0x4004_8024, shift=20, mask=0xFFF),  # SIM_SDID FAMILYID, SUBFAMID, SERIESID
    flash_kib=None,  # SIM_FCFG1.PFSIZE is a code, not KiB
    flash_base=0,
    wrp=_FPROT,
    critical=_FCF,
    uid=((0x4004_8054, 16),),  # SIM_UIDH to UIDL
    lock=_MDM,
    flash_sr=(FlagRegister(0x4002_0000, _FSTAT, busy=7, idle_when=1, size=1),),  # FTFE_FSTAT, CCIF
    reset_cause=_SRS,
    transforms=("kinetis-fcf",),
    timing=Timing(0.113, 18e-6 * 8, 8, 3.7, "K64P144M120SF5 data sheet, flash timing (swap and mass erase with margin)"),
    program_chunk=4 * 1024,  # any number of phrases up to its page (a test runs the code on the bench)
    dp_under_reset=True,
    devices=(Device(0x640, "MK64F", ("mk64fn1m0", "k64f"), (Builtin(1024, "k64f"),), ((0x1FFF_0000, 256 * 1024),), (512, 1024)),),
)

KL25Z = Family(
    id="kinetis-kl2x",
    title="Kinetis KL2x (FTFA)",
    vendor=_NXP,
    cores=(0xC60,),
    dpidrs=(0x0BC1_1477,),
    ap_idrs=(0x0477_0031,),
    designer=None,
    idcode=Register(0x4004_8024, shift=20, mask=0xFFF),
    flash_kib=None,
    flash_base=0,
    wrp=_FPROT,
    critical=_FCF,
    uid=((0x4004_8058, 12),),  # SIM_UIDMH to UIDL
    lock=_MDM,
    flash_sr=(FlagRegister(0x4002_0000, _FSTAT, busy=7, idle_when=1, size=1),),  # FTFA_FSTAT, CCIF
    reset_cause=_SRS,
    transforms=("kinetis-fcf",),
    timing=Timing(0.113, 145e-6, 4, 0.5, "KL25P80M48SF0 data sheet, flash timing (mass erase with margin)"),
    program_chunk=1024,  # any number of longwords up to its page (a test runs the code on the bench)
    dp_under_reset=True,
    devices=(Device(0x251, "MKL25Z", ("mkl25z128", "kl25z"), (Builtin(128, "kl25z"),), ((0x1FFF_F000, 16 * 1024),), (32, 128)),),
)

LPC17 = Family(
    id="lpc17xx",
    title="LPC17xx",
    vendor=_NXP,
    cores=(0xC23,),
    dpidrs=(0x2BA0_1477,),
    ap_idrs=(0x0477_0011,),
    designer=None,
    idcode=None,  # the part number comes from the boot ROM (IAP command 54) only
    flash_kib=None,
    flash_base=0,
    wrp_none="no sector of the LPC17xx can be write-protected (UM10360 chapter 32, from memory)",
    reset_cause=(
        FlagRegister(
            0x400F_C180,  # RSID
            (
                Flag(0, "POR", "power-on"),
                Flag(1, "EXTR", "reset pin"),
                Flag(2, "WDTR", "watchdog"),
                Flag(3, "BODR", "brown-out"),
            ),
        ),
    ),
    transforms=("lpc-vector-checksum",),
    flash_shown=(0x400F_C040, 1),  # MEMMAP: after reset the boot ROM is mapped at 0 (UM10360, memory mapping control)
    timing=Timing(0.105, 1.05e-3, 256, 0.105, "LPC1769/68/67/66/65/64/63 data sheet, flash characteristics"),
    dp_under_reset=True,
    devices=(
        Device(
            0,
            "LPC1768",
            ("lpc1768",),
            (Builtin(512, "lpc1768", exact=True),),
            ((0x1000_0000, 32 * 1024), (0x2007_C000, 32 * 1024)),
            (512, 512),
        ),
    ),
)

_FLASH_INT = (
    Flag(0, "FAIL", "the command failed"),
    Flag(1, "ERR", "illegal command or address"),
    Flag(3, "ECC_ERR", "error correction failed"),
)

LPC55 = Family(
    id="lpc55xx",
    title="LPC55Sxx",
    vendor=_NXP,
    cores=(0xD21,),
    dpidrs=(0x6BA0_2477,),
    ap_idrs=(0x0477_0001,),
    designer=None,
    idcode=Register(0x5000_0FFC, shift=4, mask=0xF_FFFF),  # SYSCON.DIEID, MCO_NUM_IN_DIE_ID
    flash_kib=None,
    flash_base=0,
    wrp_none="set up at start out of the protected flash region, not in a register (from memory)",
    reset_cause=(
        FlagRegister(
            0x4002_0084,  # PMC.AOREG1
            (
                Flag(4, "POR", "power-on"),
                Flag(5, "PADRESET", "reset pin"),
                Flag(6, "BODRESET", "brown-out"),
                Flag(7, "SYSTEMRESET", "system reset"),
                Flag(8, "WDTRESET", "watchdog"),
                Flag(9, "SWRRESET", "software reset"),
            ),
        ),
    ),
    timing=Timing(0.004, 0.0022, 512, 0.004, "LPC55S6x data sheet, flash characteristics (twice the typical values, from memory)"),
    boot="lpc55",
    program_chunk=0x4000,
    flash_sr=(FlagRegister(0x4003_4FE0, _FLASH_INT),),  # FLASH.INT_STATUS
    dp_under_reset=None,
    mailbox=Mailbox(2, 0x002A_0000, status=0x00, resynch=0x21, reset=0x20, pending=0x2, request=0x04, answer=0x08, start=7),
    blank_check=BlankCheck(  # commands as Oxide's lpc55-flash driver has them; UM11126 as quoted in Zephyr issue 86432
        0x4003_4000,
        0x5003_4000,
        page=512,
        word=16,
        mask=0x3_FFFF,
        start=0x10,
        stop=0x14,
        command=0x00,
        clear=0xFE8,
        status=0xFE0,
        found=0x80,
        check=5,
        done=4,
        failed=1,
        refused=2,
    ),
    devices=(
        Device(
            0x426B,
            "LPC55S69",
            ("lpc55s69",),
            (Builtin(608, "lpc55s69", exact=True),),
            ((0x2000_0000, 272 * 1024), (0x3000_0000, 272 * 1024), (0x0400_0000, 32 * 1024), (0x1400_0000, 32 * 1024)),
            (608, 640),
            "erased flash cannot be read at all on this family: its controller is asked which pages that is",
        ),
    ),
    targets=("lpc55s16", "lpc55s28", "lpc55s36", "lpc5526"),
)
