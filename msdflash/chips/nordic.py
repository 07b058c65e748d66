"""Nordic families.

Sources: nrfx MDK headers (``nrf51.h``, ``nrf52840.h``, ``*_bitfields.h``), the SVD files that pyOCD ships, OpenOCD
``nordic/nrf52.cfg``, pyOCD ``target_nRF52.py``; times from the product specifications (PS).
"""

from __future__ import annotations

from msdflash.chips.model import ApLock, Builtin, Device, Family, Flag, FlagRegister, RdpRule, Register, Timing, WrpArea, WrpRule

NORDIC = 0x244  # JEP106 bank 3, 0x44

_RESETREAS = (
    Flag(0, "RESETPIN", "reset pin"),
    Flag(1, "DOG", "watchdog"),
    Flag(2, "SREQ", "software reset"),
    Flag(3, "LOCKUP", "core lockup"),
    Flag(16, "OFF", "woken from System OFF by a pin"),
    Flag(17, "LPCOMP", "woken from System OFF by the comparator"),
    Flag(18, "DIF", "woken from System OFF by the debugger"),
)
# NVMC.READY, bit 0: 1 = ready. It carries no error bits: the controller never says why.
_NVMC = FlagRegister(0x4001_E400, (), busy=0, idle_when=1, sticky=False)

NRF51 = Family(
    id="nrf51",
    title="nRF51",
    vendor="Nordic Semiconductor",
    cores=(0xC20,),
    dpidrs=(0x0BB1_1477,),
    ap_idrs=(0x0477_0021,),
    designer=NORDIC,
    idcode=Register(0x1000_005C, mask=0xFFFF),  # FICR.CONFIGID, HWID: many ids, one die
    flash_kib=Register(0x1000_0014),  # FICR.CODESIZE in pages of CODEPAGESIZE = 1 KiB (nrf51.svd)
    flash_base=0,
    # UICR.RBPCONF.PALL: 0xFF is open (nrf51_bitfields.h); no levels, but the same question
    rdp=RdpRule(Register(0x1000_1004, shift=8, mask=0xFF), ((0xFF, "0"),), "1"),
    # Region 0: UICR.CLENR0 bytes from 0 on, where RBPCONF.PR0 is 0 (nRF51 RM v3.0 chapter 8; nrf51.svd).
    wrp=WrpRule("length", (WrpArea(0x1000_1000, 0),), gate=(Register(0x1000_1004, mask=0xFF), 0)),
    uid=((0x1000_0060, 8),),  # FICR.DEVICEID
    flash_sr=(_NVMC,),
    reset_cause=(FlagRegister(0x4000_0400, _RESETREAS),),
    timing=Timing(22.3e-3, 46.3e-6, 4, 22.3e-3, "nRF51822 PS v3.x, NVMC timing"),
    dp_under_reset=False,
    devices=(
        Device(
            0,
            "nRF51x22",
            ("nrf51822", "nrf51422", "nrf51"),
            (Builtin(256, "nrf51"),),
            ((0x2000_0000, 32 * 1024),),
            (128, 256),
        ),
    ),
    targets=("nrf51822",),
)

NRF52 = Family(
    id="nrf52",
    title="nRF52",
    vendor="Nordic Semiconductor",
    cores=(0xC24,),
    dpidrs=(0x2BA0_1477,),
    ap_idrs=(0x0477_0011,),
    designer=NORDIC,
    idcode=Register(0x1000_0100),  # FICR.INFO.PART
    flash_kib=Register(0x1000_0110),  # FICR.INFO.FLASH, KiB (nrf52.svd)
    flash_base=0,
    # CTRL-AP.APPROTECTSTATUS: 0 = protected. RESET (0x00) and ERASEALL (0x04) of this port are never written.
    lock=ApLock(1, 0x0288_0000, Register(0x0C, mask=1), 0),
    wrp_none="ACL and BPROT last until the next reset, and a job resets and halts the core before it writes (nRF52840 PS v1.7 4.3.8)",
    uid=((0x1000_0060, 8),),  # FICR.DEVICEID
    flash_sr=(_NVMC,),
    reset_cause=(
        FlagRegister(0x4000_0400, (*_RESETREAS, Flag(19, "NFC", "woken by an NFC field"), Flag(20, "VBUS", "woken by USB power"))),
    ),
    timing=Timing(89.7e-3, 338e-6, 4, 295.3e-3, "nRF52832 PS v1.4, NVMC electrical specification (slowest of the family)"),
    # Reports differ: nothing at all, or a DPIDR without power-up acknowledge. The pin is live only where UICR says so.
    dp_under_reset=None,
    devices=(
        Device(
            0x52832,
            "nRF52832",
            ("nrf52832", "nrf52"),
            (Builtin(512, "nrf52832"),),
            ((0x2000_0000, 64 * 1024),),
            (256, 512),
        ),
        Device(
            0x52833,
            "nRF52833",
            ("nrf52833",),
            (Builtin(512, "nrf52833"),),
            ((0x2000_0000, 128 * 1024), (0x0080_0000, 128 * 1024)),
            (512, 512),
        ),
        Device(
            0x52840,
            "nRF52840",
            ("nrf52840",),
            (Builtin(1024, "nrf52840"),),
            ((0x2000_0000, 256 * 1024), (0x0080_0000, 256 * 1024)),
            (1024, 1024),
        ),
    ),
    targets=("nrf52",),
)
