"""STM32 families that are known by identity, lock and reset cause, most of them without a pyOCD builtin.

They are here so that a report can name the chip and its state, and say that it needs a CMSIS-Pack. Sources as in
:mod:`msdflash.chips.stm32`; device ids from OpenOCD ``stm32l4x.h``, ``stm32f2x.c``, ``stm32f1x.c``, ``stm32lx.c`` and
``stm32h7x.c``.
"""

from __future__ import annotations

from msdflash.chips.model import (
    Builtin,
    Device,
    Family,
    FlagRegister,
    Freeze,
    RdpRule,
    Register,
    Timing,
    WrpArea,
    WrpRule,
)
from msdflash.chips.stm32_registers import (
    AHB_M0,
    AHB_M0P,
    AHB_M3M4,
    AHB_M7,
    APB_IDCODE,
    CAUSES,
    ERRORS,
    FLASH,
    KIB,
    L4_SR,
    M0,
    M0P,
    M3,
    M4,
    M7,
    M33,
    PPB_IDCODE,
    ST,
    flags,
    half_word,
    rdp_byte,
)

_V = "STMicroelectronics"
_CAUSES_G = "25 OBLRSTF 26 PINRSTF 27 PWRRSTF 28 SFTRSTF 29 IWDGRSTF 30 WWDGRSTF 31 LPWRRSTF"
_CAUSES_F = "25 OBLRSTF 26 PINRSTF 27 PORRSTF 28 SFTRSTF 29 IWDGRSTF 30 WWDGRSTF 31 LPWRRSTF"
_CAUSES_F2 = "25 BORRSTF 26 PINRSTF 27 PORRSTF 28 SFTRSTF 29 IWDGRSTF 30 WWDGRSTF 31 LPWRRSTF"
_E004_FREEZE = (Freeze(0xE004_2008, 1 << 11 | 1 << 12),)
_APB_FREEZE = (Freeze(0x4001_5808, 1 << 11 | 1 << 12),)
_OBR_LEVELS = ((0, "0"), (1, "1"), (3, "2"))  # headers f0, f3: FLASH_OBR [2:1]
_F0_SR = (FlagRegister(0x4002_200C, flags("2 PGERR 4 WRPRTERR", ERRORS), busy=0),)  # headers f0, f3: as F1


def _cause(address: int, bits: str) -> tuple[FlagRegister, ...]:
    return (FlagRegister(address, flags(bits, CAUSES)),)


F0 = Family(
    id="stm32f0",
    title="STM32F0",
    vendor=_V,
    cores=(M0,),
    dpidrs=(0x0BB1_1477,),
    ap_idrs=(AHB_M0,),
    designer=ST,
    idcode=APB_IDCODE,
    flash_kib=half_word(0x1FFF_F7CC),
    flash_base=FLASH,
    uid=((0x1FFF_F7AC, 12),),  # header f0: UID_BASE
    boot_alias=0,
    rdp=RdpRule(Register(0x4002_201C, 1, 3), _OBR_LEVELS, "1"),
    wrp=WrpRule("zero", (WrpArea(0x4002_2020, FLASH, (4 * KIB,) * 32),), tail=True),  # RM0091 4: WRPR, 4 KiB a bit
    flash_sr=_F0_SR,
    reset_cause=_cause(0x4002_1024, _CAUSES_F),
    freeze=_APB_FREEZE,
    timing=Timing(0.040, 60e-6, 2, 0.040, "DS8668 (STM32F051xx), flash memory characteristics"),
    dp_under_reset=True,
    devices=(
        Device(
            0x440,
            "STM32F05x/F030x8",
            ("f051", "f030", "f058"),
            (Builtin(64, "stm32f051"),),
            ((0x2000_0000, 8 * KIB),),
            (16, 64),
        ),
        Device(0x444, "STM32F03x", ("f030", "f031", "f038"), ram=((0x2000_0000, 4 * KIB),), kib=(16, 32)),
        Device(0x445, "STM32F04x/F070x6", ("f042", "f048", "f070"), ram=((0x2000_0000, 6 * KIB),), kib=(16, 32)),
        Device(0x448, "STM32F07x", ("f070", "f071", "f072", "f078"), ram=((0x2000_0000, 16 * KIB),), kib=(64, 128)),
        Device(0x442, "STM32F09x/F030xC", ("f091", "f098", "f030"), ram=((0x2000_0000, 32 * KIB),), kib=(128, 256)),
    ),
)

F2 = Family(
    id="stm32f2",
    title="STM32F2",
    vendor=_V,
    cores=(M3,),
    dpidrs=(0x2BA0_1477,),
    ap_idrs=(AHB_M3M4,),
    designer=ST,
    idcode=PPB_IDCODE,
    flash_kib=half_word(0x1FFF_7A22),
    flash_base=FLASH,
    boot_alias=0,
    rdp=rdp_byte(0x4002_3C14, 8),
    reset_cause=_cause(0x4002_3874, _CAUSES_F2),
    freeze=_E004_FREEZE,
    dp_under_reset=True,
    devices=(Device(0x411, "STM32F2x", ("f205", "f207", "f215", "f217"), ram=((0x2000_0000, 128 * KIB),), kib=(128, 1024)),),
)

F3 = Family(
    id="stm32f3",
    title="STM32F3",
    vendor=_V,
    cores=(M4,),
    dpidrs=(0x2BA0_1477,),
    ap_idrs=(AHB_M3M4,),
    designer=ST,
    idcode=PPB_IDCODE,
    flash_kib=half_word(0x1FFF_F7CC),
    flash_base=FLASH,
    boot_alias=0,
    rdp=RdpRule(Register(0x4002_201C, 1, 3), _OBR_LEVELS, "1"),
    flash_sr=_F0_SR,
    reset_cause=_cause(0x4002_1024, _CAUSES_F),
    freeze=_E004_FREEZE,
    dp_under_reset=True,
    devices=(
        Device(0x422, "STM32F302xB/xC, F303xB/xC, F358", ("f302", "f303", "f358"), kib=(128, 256)),
        Device(0x432, "STM32F37x", ("f373", "f378"), kib=(64, 256)),
        Device(0x438, "STM32F303x6/x8, F328, F334", ("f303", "f328", "f334"), kib=(16, 64)),
        Device(0x439, "STM32F301, F302x6/x8, F318", ("f301", "f302", "f318"), kib=(16, 64)),
        Device(0x446, "STM32F302xD/xE, F303xD/xE, F398", ("f302", "f303", "f398"), kib=(384, 512)),
    ),
)

F7 = Family(
    id="stm32f7",
    title="STM32F7",
    vendor=_V,
    cores=(M7,),
    dpidrs=(0x5BA0_2477,),
    ap_idrs=(AHB_M7,),
    designer=ST,
    # F72x/F73x keep their size elsewhere (0x1FF07A22): the word read here means nothing for their device id.
    idcode=PPB_IDCODE,
    flash_kib=half_word(0x1FF0_F442),
    flash_base=FLASH,
    uid=((0x1FF0_F420, 12),),  # header f7: UID_BASE
    # RM0410 FLASH_OPTCR, from memory: nWRP [27:16], one bit a sector while nDBANK (29) is set; else two sectors a bit.
    wrp=WrpRule(
        "zero",
        (WrpArea(0x4002_3C14, FLASH, (*(32 * KIB,) * 4, 128 * KIB, *(256 * KIB,) * 7), shift=16),),
        flip=(Register(0x4002_3C14, 29, 1), 0),
    ),
    boot_alias=0x0020_0000,  # RM0385 2.2.2: flash on the ITCM bus; ITCM RAM is at 0
    rdp=rdp_byte(0x4002_3C14, 8),
    reset_cause=_cause(0x4002_3874, _CAUSES_F2),
    freeze=_E004_FREEZE,
    dp_under_reset=True,
    timing=Timing(8.0, 100e-6, 1, 32.0, "DS11532 (STM32F765xx/F767xx), flash programming, x8 maximum"),
    devices=(
        Device(
            0x451,
            "STM32F76x/F77x",
            ("f765", "f767", "f768", "f769", "f777", "f778", "f779"),
            (Builtin(2048, "stm32f767zi"),),
            ((0x2000_0000, 512 * KIB), (0x0000_0000, 16 * KIB)),
            (1024, 2048),
            "the builtin's map is that of the single-bank setting (nDBANK = 1)",
        ),
        Device(0x449, "STM32F74x/F75x", ("f745", "f746", "f750", "f756"), kib=(64, 1024)),
        Device(0x452, "STM32F72x/F73x", ("f722", "f723", "f730", "f732", "f733"), kib=(64, 512)),
    ),
)

G0 = Family(
    id="stm32g0",
    title="STM32G0",
    vendor=_V,
    cores=(M0P,),
    dpidrs=(0x0BC1_1477,),
    ap_idrs=(AHB_M0P,),
    designer=ST,
    idcode=APB_IDCODE,
    flash_kib=half_word(0x1FFF_75E0),
    flash_base=FLASH,
    boot_alias=0,
    rdp=rdp_byte(0x4002_2020, 0),
    reset_cause=_cause(0x4002_1060, _CAUSES_G),
    freeze=_APB_FREEZE,
    dp_under_reset=True,
    devices=(
        Device(0x456, "STM32G05x/G06x", ("g050", "g051", "g061"), kib=(32, 64)),
        Device(0x460, "STM32G07x/G08x", ("g070", "g071", "g081"), kib=(32, 128)),
        Device(0x466, "STM32G03x/G04x", ("g030", "g031", "g041"), kib=(16, 64)),
        Device(0x467, "STM32G0Bx/G0Cx", ("g0b0", "g0b1", "g0c1"), kib=(128, 512)),
    ),
)

C0 = Family(
    id="stm32c0",
    title="STM32C0",
    vendor=_V,
    cores=(M0P,),
    dpidrs=(0x0BC1_1477,),
    ap_idrs=(AHB_M0P,),
    designer=ST,
    idcode=APB_IDCODE,
    flash_kib=half_word(0x1FFF_75A0),
    flash_base=FLASH,
    boot_alias=0,
    rdp=rdp_byte(0x4002_2020, 0),
    reset_cause=_cause(0x4002_1060, _CAUSES_G),
    freeze=_APB_FREEZE,
    dp_under_reset=True,
    devices=(
        Device(0x443, "STM32C011", ("c011",), kib=(16, 32)),
        Device(0x453, "STM32C031", ("c031",), kib=(16, 32)),
    ),
)

G4 = Family(
    id="stm32g4",
    title="STM32G4",
    vendor=_V,
    cores=(M4,),
    dpidrs=(0x2BA0_1477,),
    ap_idrs=(AHB_M3M4,),
    designer=ST,
    idcode=PPB_IDCODE,
    flash_kib=half_word(0x1FFF_75E0),
    flash_base=FLASH,
    boot_alias=0,
    rdp=rdp_byte(0x4002_2020, 0),
    flash_sr=(L4_SR,),
    reset_cause=_cause(0x4002_1094, _CAUSES_G.replace("27 PWRRSTF", "27 BORRSTF")),
    freeze=_E004_FREEZE,
    dp_under_reset=True,
    devices=(
        Device(0x468, "STM32G43x/G44x", ("g431", "g441"), kib=(32, 128)),
        Device(0x469, "STM32G47x/G48x", ("g471", "g473", "g474", "g483", "g484"), kib=(128, 512)),
        Device(0x479, "STM32G49x/G4Ax", ("g491", "g4a1"), kib=(256, 512)),
    ),
)

L1 = Family(
    # Flash size: 0x1FF8004C on categories 1 and 2, 0x1FF800CC above, so there is no single address.
    id="stm32l1",
    title="STM32L1",
    vendor=_V,
    cores=(M3,),
    dpidrs=(0x2BA0_1477,),
    ap_idrs=(AHB_M3M4,),
    designer=ST,
    idcode=PPB_IDCODE,
    flash_kib=None,
    flash_base=FLASH,
    boot_alias=0,
    rdp=rdp_byte(0x4002_3C1C, 0),
    freeze=_E004_FREEZE,
    erased=0x00,
    dp_under_reset=True,
    devices=(
        Device(0x416, "STM32L1 category 1", kib=(32, 128)),
        Device(0x429, "STM32L1 category 2", kib=(32, 128)),
        Device(0x427, "STM32L1 category 3", kib=(128, 256)),
        Device(0x436, "STM32L1 category 3/4", kib=(256, 384)),
        Device(0x437, "STM32L1 category 5/6", kib=(256, 512)),
    ),
)

WB = Family(
    id="stm32wb",
    title="STM32WB",
    vendor=_V,
    cores=(M4,),
    dpidrs=(0x6BA0_2477,),
    ap_idrs=(AHB_M3M4,),
    designer=ST,
    idcode=PPB_IDCODE,
    flash_kib=half_word(0x1FFF_75E0),
    flash_base=FLASH,
    boot_alias=0,
    rdp=rdp_byte(0x5800_4020, 0),
    dp_under_reset=True,
    devices=(
        Device(0x494, "STM32WB1x", ("wb10", "wb15"), kib=(128, 320)),
        Device(0x495, "STM32WB5x", ("wb50", "wb55", "wb5m"), kib=(256, 1024)),
        Device(0x496, "STM32WB3x", ("wb30", "wb35"), kib=(256, 512)),
    ),
)

WL = Family(
    id="stm32wl",
    title="STM32WL",
    vendor=_V,
    cores=(M4,),
    dpidrs=(0x6BA0_2477,),
    ap_idrs=(AHB_M3M4,),
    designer=ST,
    idcode=PPB_IDCODE,
    flash_kib=half_word(0x1FFF_75E0),
    flash_base=FLASH,
    boot_alias=0,
    rdp=rdp_byte(0x5800_4020, 0),
    dp_under_reset=True,
    devices=(Device(0x497, "STM32WL5x/WLEx", ("wl54", "wl55", "wle4", "wle5"), kib=(64, 256)),),
)

_E0044 = Register(0xE004_4000, mask=0xFFF)  # headers l5, u5

L5 = Family(
    id="stm32l5",
    title="STM32L5",
    vendor=_V,
    cores=(M33,),
    dpidrs=(0x0BE1_2477,),
    ap_idrs=(0x0477_0015,),
    designer=ST,
    idcode=_E0044,
    flash_kib=half_word(0x0BFA_05E0),
    flash_base=FLASH,
    boot_alias=0,
    rdp=rdp_byte(0x4002_2040, 0, half=True),
    dp_under_reset=True,
    devices=(Device(0x472, "STM32L55x/L56x", ("l552", "l562"), kib=(256, 512)),),
)

U5 = Family(
    id="stm32u5",
    title="STM32U5",
    vendor=_V,
    cores=(M33,),
    dpidrs=(0x0BE1_2477,),
    ap_idrs=(0x0477_0015,),
    designer=ST,
    idcode=_E0044,
    flash_kib=half_word(0x0BFA_07A0),
    flash_base=FLASH,
    boot_alias=0,
    rdp=rdp_byte(0x4002_2040, 0, half=True),
    dp_under_reset=True,
    devices=(
        Device(0x455, "STM32U53x/U54x", ("u535", "u545"), kib=(128, 512)),
        Device(0x481, "STM32U59x/U5Ax", ("u595", "u599", "u5a5", "u5a9"), kib=(2048, 4096)),
        Device(0x482, "STM32U57x/U58x", ("u575", "u585"), kib=(1024, 2048)),
    ),
)

H5 = Family(
    # No RDP but PRODUCT_STATE (FLASH_OPTSR_CUR 0x40022050 [15:8]), which is not decoded here. The core sits on AP 1.
    id="stm32h5",
    title="STM32H5",
    vendor=_V,
    cores=(M33,),
    dpidrs=(0x6BA0_2477,),
    ap_idrs=(0x0477_0015,),
    designer=ST,
    idcode=Register(0x4402_4000, mask=0xFFF),
    flash_kib=half_word(0x08FF_F80C),
    flash_base=FLASH,
    boot_alias=0,
    dp_under_reset=True,
    devices=(
        Device(0x474, "STM32H503", ("h503",), kib=(128, 128)),
        Device(0x484, "STM32H562/H563/H573", ("h562", "h563", "h573"), kib=(512, 2048)),
    ),
)
