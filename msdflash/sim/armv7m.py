"""Bits of the Armv7-M debug and fault registers (DDI 0403, chapters B3.2 and C1.6)."""

from __future__ import annotations

# DHCSR, C1.6.2
C_DEBUGEN, C_HALT, C_STEP, C_MASKINTS = 1, 2, 4, 8
S_REGRDY, S_HALT, S_SLEEP, S_LOCKUP, S_RETIRE_ST, S_RESET_ST = 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 24, 1 << 25
S_SDE = 1 << 20  # Armv8-M (DDI 0553): Secure debugging is on
DBGKEY = 0xA05F
# DEMCR, C1.6.5
VC_CORERESET, VC_MMERR, VC_NOCPERR, VC_CHKERR, VC_STATERR, VC_BUSERR, VC_INTERR, VC_HARDERR = (
    1, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 10,
)  # fmt: skip
TRCENA = 1 << 24
# DFSR, C1.6.1
DFSR_HALTED, DFSR_BKPT, DFSR_VCATCH, DFSR_EXTERNAL = 1, 2, 8, 16
# CFSR, B3.2.15
IACCVIOL = 1
IBUSERR, PRECISERR, STKERR, UNSTKERR, BFARVALID = 1 << 8, 1 << 9, 1 << 12, 1 << 11, 1 << 15
UNDEFINSTR, INVSTATE, INVPC = 1 << 16, 1 << 17, 1 << 18
HFSR_VECTTBL, HFSR_FORCED, HFSR_DEBUGEVT = 1 << 1, 1 << 30, 1 << 31
LOCKUP_PC = 0xFFFFFFFE
