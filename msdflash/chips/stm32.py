"""STM32 families.

Sources, by short name in the comments below:

* *header*: ST's ``cmsis_device_<family>`` headers (register addresses, bit positions, DBGMCU base).
* *OpenOCD*: ``src/flash/nor/stm32*.c``/``.h`` and ``tcl/target/stm32*.cfg`` (device ids, DPIDRs, freeze addresses).
* *RM*/*PM*/*DS*: ST reference manual, programming manual, data sheet with its number.
* *pyOCD*: memory maps and algorithms of pyOCD 0.46's builtin targets.

Freeze bits only hold while the core is halted; during an algorithm call a watchdog counts on.
"""

from __future__ import annotations

from msdflash.chips.model import Builtin, Device, Family, FlagRegister, Freeze, RdpRule, Register, Timing, WrpArea, WrpRule
from msdflash.chips.stm32_registers import (
    AHB_M0P,
    AHB_M3M4,
    AHB_M7,
    APB_IDCODE,
    CAUSES,
    ERRORS,
    FLASH,
    KIB,
    L4_SR,
    M0P,
    M3,
    M4,
    M7,
    PPB_IDCODE,
    SAME_CONTROLLER,
    ST,
    flags,
    half_word,
    rdp_byte,
)

_DUAL_BANK = (Register(0x4002_2020, 21, 1), 1)  # header l4: FLASH_OPTR.DUALBANK; set by default (SEGGER wiki, STM32L4)

# The builtin's algorithm sets the bank bit from 0x08080000 on only (disassembled); RM0351 3.3.1 puts bank 2 of smaller
# parts lower.
BANK_NOTE = (
    "parts below 1 MiB with OPTR.DUALBANK set have bank 2 at half their flash; the builtin algorithm only knows bank 2 at 0x08080000"
)

L4 = Family(
    id="stm32l4",
    title="STM32L4",
    vendor="STMicroelectronics",
    cores=(M4,),
    dpidrs=(0x2BA0_1477,),  # OpenOCD stm32l4x.cfg; RM0351 rev 3 prints 1BA01477, which no part shows
    ap_idrs=(AHB_M3M4,),
    designer=ST,
    idcode=PPB_IDCODE,
    flash_kib=half_word(0x1FFF_75E0),  # header l4: FLASHSIZE_BASE
    flash_base=FLASH,
    uid=((0x1FFF_7590, 12),),  # header l4: UID_BASE
    boot_alias=0,
    rdp=rdp_byte(0x4002_2020, 0),  # header l4: FLASH_OPTR; RM0351 3.7.8
    # RM0351 3.7.13-3.7.16, header l4: WRP1AR, WRP1BR, WRP2AR, WRP2BR; pages count from the bank's start.
    wrp=WrpRule(
        "range",
        (
            WrpArea(0x4002_202C, FLASH, (2 * KIB,)),
            WrpArea(0x4002_2030, FLASH, (2 * KIB,)),
            WrpArea(0x4002_204C, FLASH + 512 * KIB, (2 * KIB,)),
            WrpArea(0x4002_2050, FLASH + 512 * KIB, (2 * KIB,)),
        ),
    ),
    flash_sr=(L4_SR,),
    reset_cause=(
        FlagRegister(
            0x4002_1094,  # header l4: RCC_CSR
            flags("24 FWRSTF 25 OBLRSTF 26 PINRSTF 27 BORRSTF 28 SFTRSTF 29 IWDGRSTF 30 WWDGRSTF 31 LPWRRSTF", CAUSES),
        ),
    ),
    freeze=(Freeze(0xE004_2008, 1 << 11 | 1 << 12),),  # header l4: DBGMCU_APB1FZR1 WWDG, IWDG
    timing=Timing(0.02447, 90.76e-6, 8, 0.02459, "DS10198 (STM32L476xx), flash memory characteristics"),
    # The builtins' ProgramPage rounds r1 up to 8 and walks it in 8-byte units without an upper bound (disassembled; a
    # test runs the code). So RAM is the only limit; this figure fits twice beside the algorithm in 48 KiB of SRAM1.
    program_chunk=16 * KIB,
    dp_under_reset=True,
    devices=(
        Device(
            0x415,
            "STM32L47x/L48x",
            ("l471", "l475", "l476", "l485", "l486"),
            (Builtin(256, "stm32l475xc"), Builtin(512, "stm32l475xe"), Builtin(1024, "stm32l475xg")),
            ((0x2000_0000, 96 * KIB), (0x1000_0000, 32 * KIB)),  # RM0351 2.2.2: SRAM1, SRAM2
            (256, 1024),
            BANK_NOTE,
            _DUAL_BANK,
        ),
        Device(
            0x435,
            "STM32L43x/L44x",
            ("l431", "l432", "l433", "l442", "l443"),
            (Builtin(256, "stm32l432kc"),),
            ((0x2000_0000, 64 * KIB), (0x1000_0000, 16 * KIB)),  # RM0394 2.2: SRAM1 48 KiB, SRAM2 again right behind it
            (128, 256),
        ),
        Device(
            0x461,
            "STM32L49x/L4Ax",
            ("l496", "l4a6"),
            (Builtin(1024, "stm32l475xg", SAME_CONTROLLER),),
            ((0x2000_0000, 320 * KIB), (0x1000_0000, 64 * KIB)),  # RM0351 2.2.2
            (512, 1024),
            BANK_NOTE,
            _DUAL_BANK,
        ),
        Device(
            0x462,
            "STM32L45x/L46x",
            ("l451", "l452", "l462"),
            (Builtin(256, "stm32l475xc", SAME_CONTROLLER), Builtin(512, "stm32l475xe", SAME_CONTROLLER)),
            ((0x2000_0000, 160 * KIB), (0x1000_0000, 32 * KIB)),  # RM0394 2.2
            (256, 512),
        ),
        Device(
            0x464,
            "STM32L41x/L42x",
            ("l412", "l422"),
            (Builtin(256, "stm32l432kc", SAME_CONTROLLER),),
            ((0x2000_0000, 40 * KIB), (0x1000_0000, 8 * KIB)),  # RM0394 2.2
            (64, 128),
        ),
        # Other page sizes than the builtins': 4 or 8 KiB.
        Device(0x470, "STM32L4Rx/L4Sx", ("l4r5", "l4r7", "l4r9", "l4s5", "l4s7", "l4s9"), kib=(1024, 2048)),
        Device(0x471, "STM32L4Px/L4Qx", ("l4p5", "l4q5"), kib=(512, 1024)),
    ),
)

F1 = Family(
    id="stm32f1",
    title="STM32F1",
    vendor="STMicroelectronics",
    cores=(M3,),
    dpidrs=(0x1BA0_1477, 0x2BA0_1477),  # OpenOCD stm32f1x.cfg; 2BA01477 is what copies of the F103 show
    ap_idrs=(AHB_M3M4,),
    designer=ST,
    idcode=PPB_IDCODE,
    flash_kib=half_word(0x1FFF_F7E0),  # header f1
    flash_base=FLASH,
    uid=((0x1FFF_F7E8, 12),),  # header f1: UID_BASE
    boot_alias=0,
    rdp=RdpRule(Register(0x4002_201C, 1, 1), ((0, "0"), (1, "1")), "1"),  # header f1: RDPRT; PM0075: no level 2
    # PM0075: FLASH_WRPR, 4 KiB a bit, the last bit all the rest.
    wrp=WrpRule("zero", (WrpArea(0x4002_2020, FLASH, (4 * KIB,) * 32),), tail=True),
    flash_sr=(FlagRegister(0x4002_200C, flags("2 PGERR 4 WRPRTERR", ERRORS), busy=0),),  # header f1
    reset_cause=(
        FlagRegister(
            0x4002_1024,  # header f1: RCC_CSR
            flags("26 PINRSTF 27 PORRSTF 28 SFTRSTF 29 IWDGRSTF 30 WWDGRSTF 31 LPWRRSTF", CAUSES),
        ),
    ),
    freeze=(Freeze(0xE004_2004, 1 << 8 | 1 << 9),),  # header f1: DBGMCU_CR IWDG, WWDG
    timing=Timing(0.040, 70e-6, 2, 0.040, "DS5319 (STM32F103x8/xB), flash memory characteristics"),
    # The builtin's ProgramPage walks any number of half-words (disassembled; a test runs the code). The stack begins 6 KiB behind
    # the buffer's start: this leaves it 2 KiB.
    program_chunk=4 * KIB,
    dp_under_reset=True,
    devices=(
        # The builtin is the high-density die with 2 KiB pages: it must not be used where pages are 1 KiB.
        Device(0x412, "STM32F10x low-density", ("f101", "f102", "f103"), ram=((0x2000_0000, 10 * KIB),), kib=(16, 32)),
        Device(0x410, "STM32F10x medium-density", ("f101", "f102", "f103"), ram=((0x2000_0000, 20 * KIB),), kib=(64, 128)),
        Device(
            0x414,
            "STM32F10x high-density",
            ("f101", "f103"),
            (Builtin(512, "stm32f103rc"),),
            ((0x2000_0000, 64 * KIB),),
            (256, 512),
        ),
        Device(
            0x418,
            "STM32F105/F107",
            ("f105", "f107"),
            (Builtin(512, "stm32f103rc", SAME_CONTROLLER),),
            ((0x2000_0000, 64 * KIB),),
            (64, 256),
        ),
        Device(0x420, "STM32F100 low/medium-density", ("f100",), ram=((0x2000_0000, 8 * KIB),), kib=(16, 128)),
        Device(
            0x428,
            "STM32F100 high-density",
            ("f100",),
            (Builtin(512, "stm32f103rc", SAME_CONTROLLER),),
            ((0x2000_0000, 32 * KIB),),
            (256, 512),
        ),
        # Two banks with a controller each: the builtin only drives the first.
        Device(0x430, "STM32F10x XL-density", ("f101", "f103"), ram=((0x2000_0000, 96 * KIB),), kib=(768, 1024)),
    ),
)

_F4_SECTORS = (*(16 * KIB,) * 4, 64 * KIB, *(128 * KIB,) * 7)

F4 = Family(
    id="stm32f4",
    title="STM32F4",
    vendor="STMicroelectronics",
    cores=(M4,),
    dpidrs=(0x2BA0_1477,),  # OpenOCD stm32f4x.cfg
    ap_idrs=(AHB_M3M4,),
    designer=ST,
    idcode=PPB_IDCODE,
    flash_kib=half_word(0x1FFF_7A22),  # header f4
    flash_base=FLASH,
    uid=((0x1FFF_7A10, 12),),  # header f4: UID_BASE
    boot_alias=0,
    rdp=rdp_byte(0x4002_3C14, 8),  # header f4: FLASH_OPTCR
    # header f4: nWRP [27:16] of OPTCR for bank 1, of OPTCR1 for bank 2. SPRMOD (31) turns them into PCROP bits; not on F405/F407.
    wrp=WrpRule(
        "zero",
        (
            WrpArea(0x4002_3C14, FLASH, _F4_SECTORS, shift=16),
            WrpArea(0x4002_3C18, FLASH + 1024 * KIB, _F4_SECTORS, shift=16),
        ),
        flip=(Register(0x4002_3C14, 31, 1), 1),
    ),
    flash_sr=(  # header f4: FLASH_SR; RDERR not on F40x/F41x
        FlagRegister(0x4002_3C0C, flags("1 OPERR 4 WRPERR 5 PGAERR 6 PGPERR 7 PGSERR 8 RDERR", ERRORS), busy=16),
    ),
    reset_cause=(
        FlagRegister(
            0x4002_3874,  # header f4: RCC_CSR
            flags("25 BORRSTF 26 PINRSTF 27 PORRSTF 28 SFTRSTF 29 IWDGRSTF 30 WWDGRSTF 31 LPWRRSTF", CAUSES),
        ),
    ),
    freeze=(Freeze(0xE004_2008, 1 << 11 | 1 << 12),),  # header f4: DBGMCU_APB1_FZ
    # The smaller sectors from memory of the same table.
    timing=Timing(4.0, 100e-6, 1, 32.0, "DS8626 (STM32F405xx/F407xx), flash programming, x8 maximum", ((16 * KIB, 0.8), (64 * KIB, 2.4))),
    # Any number of words (disassembled; a test runs the code); fits behind the highest buffer in 64 KiB, the least RAM here.
    program_chunk=16 * KIB,
    dp_under_reset=True,
    devices=(
        Device(
            0x413,
            "STM32F405/F407/F415/F417",
            ("f405", "f407", "f415", "f417"),
            (Builtin(512, "stm32f412xe", SAME_CONTROLLER), Builtin(1024, "stm32f412xg", SAME_CONTROLLER)),
            ((0x2000_0000, 128 * KIB), (0x1000_0000, 64 * KIB)),
            (512, 1024),
        ),
        Device(
            0x419,
            "STM32F42x/F43x",
            ("f427", "f429", "f437", "f439"),
            (Builtin(1024, "stm32f429xg"), Builtin(2048, "stm32f429xi")),
            ((0x2000_0000, 192 * KIB), (0x1000_0000, 64 * KIB)),
            (512, 2048),
        ),
        Device(
            0x423,
            "STM32F401xB/xC",
            ("f401",),
            (Builtin(512, "stm32f412xe", SAME_CONTROLLER),),
            ((0x2000_0000, 64 * KIB),),
            (128, 256),
        ),
        Device(
            0x433,
            "STM32F401xD/xE",
            ("f401",),
            (Builtin(512, "stm32f412xe", SAME_CONTROLLER),),
            ((0x2000_0000, 96 * KIB),),
            (384, 512),
        ),
        Device(
            0x431,
            "STM32F411",
            ("f411",),
            (Builtin(512, "stm32f412xe", SAME_CONTROLLER),),
            ((0x2000_0000, 128 * KIB),),
            (256, 512),
        ),
        Device(
            0x421,
            "STM32F446",
            ("f446",),
            (Builtin(512, "stm32f412xe", SAME_CONTROLLER),),
            ((0x2000_0000, 128 * KIB),),
            (256, 512),
        ),
        Device(
            0x441,
            "STM32F412",
            ("f412",),
            (Builtin(512, "stm32f412xe"), Builtin(1024, "stm32f412xg")),
            ((0x2000_0000, 256 * KIB),),
            (512, 1024),
        ),
        Device(
            0x434,
            "STM32F469/F479",
            ("f469", "f479"),
            (Builtin(1024, "stm32f429xg", SAME_CONTROLLER), Builtin(2048, "stm32f429xi", SAME_CONTROLLER)),
            ((0x2000_0000, 320 * KIB), (0x1000_0000, 64 * KIB)),
            (512, 2048),
        ),
        Device(0x458, "STM32F410", ("f410",), ram=((0x2000_0000, 32 * KIB),), kib=(64, 128)),
        Device(0x463, "STM32F413/F423", ("f413", "f423"), ram=((0x2000_0000, 320 * KIB),), kib=(1024, 1536)),
    ),
    targets=("stm32f439xg", "stm32f439xi"),
)

L0 = Family(
    id="stm32l0",
    title="STM32L0",
    vendor="STMicroelectronics",
    cores=(M0P,),
    dpidrs=(0x0BC1_1477,),  # OpenOCD stm32l0.cfg
    ap_idrs=(AHB_M0P,),
    designer=ST,
    idcode=APB_IDCODE,
    flash_kib=half_word(0x1FF8_007C),  # header l0
    flash_base=FLASH,
    uid=((0x1FF8_0050, 8), (0x1FF8_0064, 4)),  # RM0377 28.2; that the third word is apart, from memory
    boot_alias=0,
    rdp=rdp_byte(0x4002_201C, 0),  # header l0: FLASH_OPTR
    # header l0: FLASH_WRPROT1, 4 KiB a bit, 1 = protected unless OPTR.WPRMOD (8) turns it into PCROP (RM0367 3.8.2).
    wrp=WrpRule("one", (WrpArea(0x4002_2020, FLASH, (4 * KIB,) * 32),), flip=(Register(0x4002_201C, 8, 1), 1)),
    flash_sr=(
        FlagRegister(
            0x4002_2018,  # header l0; the SVD that pyOCD ships has RDERR one bit too high
            flags("8 WRPERR 9 PGAERR 10 SIZERR 11 OPTVERR 13 RDERR 16 NOTZEROERR 17 FWWERR", ERRORS),
            busy=0,
        ),
    ),
    reset_cause=(
        FlagRegister(
            0x4002_1050,  # header l0: RCC_CSR
            flags("24 FWRSTF 25 OBLRSTF 26 PINRSTF 27 PORRSTF 28 SFTRSTF 29 IWDGRSTF 30 WWDGRSTF 31 LPWRRSTF", CAUSES),
        ),
    ),
    freeze=(Freeze(0x4001_5808, 1 << 11 | 1 << 12),),  # header l0: DBGMCU_APB1_FZ
    erased=0x00,  # OpenOCD stm32lx.c; pyOCD's memory map says 0xFF, which is wrong
    timing=Timing(3.94e-3, 3.94e-3, 4, 3.94e-3 * 256, "DS10668 (STM32L031x4/x6), flash memory and EEPROM"),
    # Any number of half pages (disassembled; a test runs the code); the buffer then fills the upper half of 8 KiB.
    program_chunk=4 * KIB,
    program_unit=64,
    dp_under_reset=True,
    devices=(
        Device(
            0x425,
            "STM32L031/L041",
            ("l031", "l041"),
            (Builtin(32, "stm32l031x6"),),
            ((0x2000_0000, 8 * KIB),),
            (16, 32),
        ),
        # The builtin's buffers do not fit into 2 KiB of RAM.
        Device(0x457, "STM32L010/L011/L021", ("l011", "l021"), ram=((0x2000_0000, 2 * KIB),), kib=(8, 16)),
        Device(
            0x417,
            "STM32L05x/L06x",
            ("l051", "l052", "l053", "l062", "l063"),
            ram=((0x2000_0000, 8 * KIB),),
            kib=(32, 64),
        ),
        Device(
            0x447,
            "STM32L07x/L08x",
            ("l071", "l072", "l073", "l081", "l082", "l083"),
            ram=((0x2000_0000, 20 * KIB),),
            kib=(64, 192),
        ),
    ),
)

_H7_SR = flags("17 WRPERR 18 PGSERR 19 STRBERR 21 INCERR 22 OPERR 23 RDPERR 24 RDSERR 25 SNECCERR 26 DBECCERR", ERRORS)

H7 = Family(
    id="stm32h7",
    title="STM32H7",
    vendor="STMicroelectronics",
    cores=(M7,),
    dpidrs=(0x6BA0_2477,),  # OpenOCD stm32h7x.cfg; shared with H5, WB, WL, LPC55 and others
    ap_idrs=(AHB_M7,),
    designer=ST,
    # header h7. Reads 0 on some boards until the clocks in DBGMCU_CR are on: 0 is not another chip.
    idcode=Register(0x5C00_1000, mask=0xFFF),
    flash_kib=half_word(0x1FF1_E880),  # header h7
    flash_base=FLASH,  # RM0433 2.3.2: ITCM RAM is at 0, flash has no second address
    uid=((0x1FF1_E800, 12),),  # header h7: UID_BASE
    rdp=rdp_byte(0x5200_201C, 8),  # header h7: FLASH_OPTSR_CUR
    wrp=WrpRule(  # header h7: WPSN_CUR1R, WPSN_CUR2R; a bit each 128 KiB
        "zero",
        (
            WrpArea(0x5200_2038, FLASH, (128 * KIB,) * 8),
            WrpArea(0x5200_2138, FLASH + 1024 * KIB, (128 * KIB,) * 8),
        ),
    ),
    flash_sr=(FlagRegister(0x5200_2010, _H7_SR, busy=0), FlagRegister(0x5200_2110, _H7_SR, busy=0)),
    reset_cause=(
        FlagRegister(
            0x5802_44D0,  # header h7: RCC_RSR
            flags("17 CPURSTF 21 BORRSTF 22 PINRSTF 23 PORRSTF 24 SFTRSTF 26 IWDGRSTF 28 WWDGRSTF 30 LPWRRSTF", CAUSES),
        ),
    ),
    freeze=(Freeze(0x5C00_1034, 1 << 6), Freeze(0x5C00_1054, 1 << 18)),  # header h7: APB3FZ1 WWDG1, APB4FZ1 IWDG1
    timing=Timing(4.0, 580e-6, 32, 26.0, "DS12110 (STM32H743xI), flash memory characteristics, x8 maximum"),
    dp_under_reset=True,
    devices=(
        Device(
            0x450,
            "STM32H74x/H75x",
            ("h742", "h743", "h745", "h747", "h750", "h753", "h755", "h757"),
            # 1 MiB parts put bank 2 at 0x08100000 with a hole below it: a map cut to the size would be wrong. No row.
            (Builtin(128, "stm32h750xx"), Builtin(2048, "stm32h743xx", exact=True)),
            (
                (0x0000_0000, 64 * KIB),
                (0x2000_0000, 128 * KIB),
                (0x2400_0000, 512 * KIB),
                (0x3000_0000, 288 * KIB),
                (0x3800_0000, 64 * KIB),
            ),
            (128, 2048),
        ),
        Device(
            0x483,
            "STM32H72x/H73x",
            ("h723", "h725", "h730", "h733", "h735"),
            (Builtin(1024, "stm32h723xx"),),
            (
                (0x0000_0000, 256 * KIB),
                (0x2000_0000, 128 * KIB),
                (0x2400_0000, 320 * KIB),
                (0x3000_0000, 32 * KIB),
                (0x3800_0000, 16 * KIB),
            ),
            (128, 1024),
        ),
        Device(
            0x480,
            "STM32H7A3/H7B3/H7B0",
            ("h7a3", "h7b3", "h7b0"),
            (Builtin(128, "stm32h7b0xx"),),
            (
                (0x0000_0000, 64 * KIB),
                (0x2000_0000, 128 * KIB),
                (0x2400_0000, 1024 * KIB),
                (0x3000_0000, 128 * KIB),
                (0x3800_0000, 32 * KIB),
            ),
            (128, 2048),
        ),
    ),
)
