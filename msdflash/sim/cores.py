"""Processor cores as a debugger tells them apart: one row a core.

Sources: technical reference manuals of the cores (Cortex-M0 DDI 0432, M0+ DDI 0484, M3 DDI 0337, M4 DDI 0439, M7 DDI 0489), chapters on
debug and on identification; Armv6-M ARM (DDI 0419) C1; access port identities as OpenOCD and pyOCD list them from real parts. Cortex-M33:
identification values after its TRM (100230) and the Armv8-M ARM (DDI 0553) from memory, components as in pyOCD's issue 868 (LPC55S69).
"""

from __future__ import annotations

import msgspec

_SCS, _DWT, _FPB, _ITM, _TPIU, _ETM = 0xFFF0F003, 0xFFF02003, 0xFFF03003, 0xFFF01003, 0xFFF41003, 0xFFF42003
_FIXED_V7M = {
    0x004: 2,  # ICTR: up to 96 interrupts
    0xD40: 0x030, 0xD44: 0x200, 0xD48: 0x100000, 0xD50: 0x100030, 0xD58: 0x1000000,  # processor feature and memory model
    0xD60: 0x1141110, 0xD64: 0x2111000, 0xD68: 0x21112231, 0xD6C: 0x1111110, 0xD70: 0x1310132,  # instruction sets
    0xD90: 0x800,  # MPU_TYPE: 8 regions
}  # fmt: skip
_FPU = {0xF40: 0x10110021, 0xF44: 0x11000011, 0xF48: 0x40}  # MVFR0..2: single precision

_FPU_DOUBLE = {0xF40: 0x10110221, 0xF44: 0x12000011, 0xF48: 0x40}  # MVFR0..2: single and double precision


class CoreKind(msgspec.Struct, frozen=True):
    """One kind of core.

    Attributes:
        model: the emulator's name for it.
        cpuid: CPUID 0xE000ED00.
        ap_idr: IDR of its memory access port.
        parts: part numbers of system control space, watchpoint and breakpoint unit, as their PIDR have them.
        rom_entries: of the ROM table.
        table_part: part number of the core's own ROM table.
        fixed: read-only words of the system control space, by offset.
        breakpoints: code comparators.
        fpb_version: of the breakpoint unit: 1 matches in the code area only, 2 anywhere (DDI 0403 C1.11.3).
        mainline: Armv7-M: configurable faults with status registers, vector catch for each. Armv6-M has HardFault alone.
        vtor: the vector table can be moved.
        wrap: the access port's address steps within blocks of this size.
        v8m: Armv8-M with the security extension, debugged in Secure state: CoreSight components, DHCSR.S_SDE.
        csw: of its memory access port after reset, without DeviceEn.
        outer: entries of the chip's ROM table behind the one that leads to the core's own, where the chip has one.
    """

    model: str
    cpuid: int
    ap_idr: int
    parts: tuple[int, int, int] = (0x00C, 0x002, 0x003)
    rom_entries: tuple[int, ...] = (_SCS, _DWT, _FPB, _ITM, _TPIU, _ETM)
    table_part: int = 0x4C4
    fixed: dict[int, int] = {}
    breakpoints: int = 6
    fpb_version: int = 1
    mainline: bool = True
    vtor: bool = True
    wrap: int = 4096
    v8m: bool = False
    csw: int = 0x03000000
    outer: tuple[int, ...] = ()


_SMALL = (_SCS, _DWT, _FPB)
_FIXED_V8M = {
    0x004: 1,  # ICTR: up to 64 interrupts
    0xD40: 0x30, 0xD44: 0x210, 0xD48: 0x200000, 0xD50: 0x101F40, 0xD58: 0x1000000,  # processor features: security extension
    0xD60: 0x1101110, 0xD64: 0x2212000, 0xD68: 0x20232232, 0xD6C: 0x1111131, 0xD70: 0x1310132,  # instruction sets, with DSP
    0xD90: 0x800, 0xDD0: 8,  # MPU_TYPE, SAU_TYPE: 8 regions each
    0xE08: 0x10000,  # DSCSR.CDS: the processor is in Secure state (no program of the bench leaves it)
    0xFB8: 0xFF, 0xFBC: 0x47702A04,  # DAUTHSTATUS: all debugging on; DDEVARCH
}  # fmt: skip
CORES = {
    "cortex-m0": CoreKind(
        "M0", 0x410CC200, 0x04770021, (0x008, 0x00A, 0x00B), _SMALL, breakpoints=4, mainline=False, vtor=False, wrap=1024
    ),
    # The emulator has no M0+; its M0 runs the same instructions (DDI 0419 covers both).
    "cortex-m0plus": CoreKind("M0", 0x410CC601, 0x04770031, (0x008, 0x00A, 0x00B), _SMALL, 0x4C0, breakpoints=4, mainline=False, wrap=1024),
    "cortex-m3": CoreKind("M3", 0x412FC230, 0x24770011, (0x000, 0x002, 0x003), fixed=_FIXED_V7M),
    "cortex-m7": CoreKind(
        "M7",
        0x411FC271,
        0x84770001,
        (0x00C, 0x002, 0x00E),
        (_SCS, _DWT, _FPB, _ITM),
        0x4C7,
        fixed={**_FIXED_V7M, **_FPU_DOUBLE},
        breakpoints=8,
        fpb_version=2,
        wrap=1024,
    ),
    "cortex-m33": CoreKind(
        "M33",
        0x410FD213,
        0x84770001,
        (0xD21, 0xD21, 0xD21),
        (_SCS, _DWT, _FPB, _ITM),
        0x4C9,
        fixed={**_FIXED_V8M, **_FPU},
        breakpoints=8,
        fpb_version=2,
        wrap=1024,
        v8m=True,
        csw=0x43800000,  # HNONSEC, HPROT, SPIDEN
        outer=(0xFFF42003,),  # TPIU
    ),
    "cortex-m4": CoreKind("M4", 0x410FC241, 0x24770011, fixed={**_FIXED_V7M, **_FPU}),
}
"""Cores by name, as chips ask for them."""
DEFAULT_CORE = "cortex-m4"
