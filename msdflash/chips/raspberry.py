"""Raspberry Pi's RP2040.

Sources: RP2040 datasheet 2.3.4 (debug ports), pico-sdk ``hardware/regs`` headers (ssi.h, io_qspi.h) and ``boot_stage2/pad_checksum``;
W25Q16JV data sheet for times.
"""

from __future__ import annotations

from msdflash.chips.model import Builtin, Device, Family, Flag, FlagRegister, Register, SerialFlash, Timing

RP2040 = Family(
    id="rp2040",
    title="RP2040",
    vendor="Raspberry Pi",
    cores=(0xC60,),
    dpidrs=(0x0BC1_2477,),  # multidrop: only probes that can send SWD sequences reach it
    ap_idrs=(0x0477_0031,),
    designer=None,
    idcode=Register(0x4000_0000, shift=12, mask=0xFFFF),  # SYSINFO CHIP_ID.PART
    flash_kib=None,  # the flash is another chip: only its JEDEC id tells
    flash_base=0x1000_0000,
    wrp_none="protection is in the flash chip's own status register, which is in no address space",
    reset_cause=(
        FlagRegister(
            0x4006_4008,  # VREG_AND_CHIP_RESET CHIP_RESET
            (
                Flag(8, "HAD_POR", "power-on or brown-out"),
                Flag(16, "HAD_RUN", "RUN pin"),
                Flag(20, "HAD_PSM_RESTART", "debugger"),
            ),
        ),
        FlagRegister(0x4005_8008, (Flag(0, "TIMER", "watchdog timer"), Flag(1, "FORCE", "watchdog forced by software"))),
    ),
    boot="rp2040-boot2",
    timing=Timing(0.4, 3e-3, 256, 25.0, "W25Q16JV data sheet, AC characteristics (the flash of the reference board)"),
    dp_under_reset=False,  # RUN resets everything, the debug port too
    devices=(
        Device(
            2,
            "RP2040",
            ("rp2040",),
            (Builtin(16 * 1024, "rp2040"),),
            ((0x2000_0000, 264 * 1024), (0x2100_0000, 256 * 1024), (0x1500_0000, 16 * 1024)),
            (512, 16 * 1024),
        ),
    ),
    targets=("rp2040_core0", "rp2040_core1"),
    program_chunk=4096,  # the boot ROM's routine takes any number of pages
    targetsels=(0x0100_2927,),
    rescue_dpidr=0x1021_2927,  # 2.3.4.2; the id as debuggers log it
    serial=SerialFlash(
        data=0x1800_0060,  # SSI DR0
        status=0x1800_0028,  # SSI SR
        ready=1 << 3,  # RFNE
        depth=16,
        select=(0x4001_800C, 2 << 8, 3 << 8),  # IO_QSPI GPIO_QSPI_SS_CTRL: FUNCSEL 0, OUTOVER low or high
        least=512,
    ),
)
