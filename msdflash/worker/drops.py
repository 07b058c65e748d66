"""Several debug ports on one SWD line: waking them and selecting one, by hand, for a look before pyOCD's own target does it.

Source: Arm IHI 0031G B4.3.4 (target selection: line reset, write of TARGETSEL that nobody acknowledges, read of DPIDR) and B5.3 (dormant
state). Costs seven messages to the probe for each port that is tried, and writes nothing but TARGETSEL.
"""

from __future__ import annotations

from pyocd.core import exceptions
from pyocd.probe.debug_probe import DebugProbe
from pyocd.probe.swj import SWJSequenceSender
from pyocd.utility.mask import parity32_high

from msdflash.chips.families import FAMILIES

DP_IDR = 0x0
TARGETSEL_WRITE = 0x99  # start, debug port write to 0xC, stop, park: as on the wire, first bit lowest
UNDRIVEN = 5  # turnaround, three bits of acknowledge, turnaround


def can_select(probe: DebugProbe) -> bool:
    """Whether this probe can send a write that is not acknowledged."""
    return DebugProbe.Capability.SWD_SEQUENCE in probe.capabilities and DebugProbe.Capability.SWJ_SEQUENCE in probe.capabilities


def doubtful(dpidr: int) -> bool:
    """A DPIDR that several ports may have made together: version 2, which can share a line, and of no part that is alone on its own."""
    alone = {known for family in FAMILIES if not family.targetsels for known in family.dpidrs}
    return dpidr >> 12 & 0xF == 2 and dpidr not in alone  # IHI 0031G B2.2.5: DPIDR.VERSION


def only_rescues(dpidr: int) -> bool:
    """The answer of a port that is not a processor's: asked for power, it resets the chip."""
    return any(family.rescue_dpidr == dpidr for family in FAMILIES)


def select(probe: DebugProbe, targetsel: int) -> int:
    """Wake all ports and select one. Returns its DPIDR; raises what the probe raises when it does not answer."""
    sender = SWJSequenceSender(probe, True)
    sender.dormant_to_swd()
    sender.line_reset()
    sender.idle_cycles(2)
    probe.swd_sequence([(8, TARGETSEL_WRITE), (UNDRIVEN,), (33, targetsel | parity32_high(targetsel)), (2, 0)])
    return int(probe.read_dp(DP_IDR))


def search(probe: DebugProbe) -> tuple[int, int] | None:
    """Try the ports of the parts that share a line. Returns ``(TARGETSEL, DPIDR)`` of the first that answers as its row says."""
    for family in FAMILIES:
        for targetsel in family.targetsels:
            try:
                dpidr = select(probe, targetsel)
            except exceptions.TransferError:
                continue
            if dpidr in family.dpidrs:
                return targetsel, dpidr
    return None
