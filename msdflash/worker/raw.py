"""Raw access to the debug port and memory, before pyOCD's board initialisation can clear the evidence.

pyOCD's own DebugPort writes ABORT and clears CTRL/STAT before its caller sees an error, and its core initialisation reads DHCSR, which
clears S_RESET_ST. Here nothing is cleared that was not asked for. Register layouts: Arm IHI 0031G (ADIv5.2) part B and C.
"""

from __future__ import annotations

import time
from typing import Any

from pyocd.core import exceptions
from pyocd.coresight.ap import APv1Address
from pyocd.coresight.dap import DPConnector
from pyocd.probe.debug_probe import DebugProbe

from msdflash.worker import drops, jlink

DP_ABORT = 0x0
DP_IDR = 0x0
DP_CTRL_STAT = 0x4
DP_SELECT = 0x8

AP_CSW = 0x00
AP_TAR = 0x04
AP_DRW = 0x0C
AP_IDR = 0xFC

ABORT_CLEAR = 0x1E
"""STKCMPCLR, STKERRCLR, WDERRCLR, ORUNERRCLR (IHI 0031G B2.2.1). Never DAPABORT: it may leave the AP unusable until reset."""

POWER_REQUEST = 0x50000000
POWER_ACK = 0xA0000000
"""CSYSPWRUPREQ|CDBGPWRUPREQ and their acknowledges (IHI 0031G B2.2.2)."""

CSW_32_SINGLE = 0x23000052
"""HPROT privileged data, debug master, address increment single, 32 bit (as CoreSight SoC-400 TRM AHB-AP CSW recommends)."""


class RawTarget:
    """The debug port and access port 0 of a target, word by word.

    Every method raises what the probe raises; nothing is retried here.
    """

    def __init__(self, probe: DebugProbe) -> None:
        self._probe: Any = jlink.explained(probe)
        self._select: int | None = None
        self._memory: Any = None
        self._csw_set = False
        self._targetsel: int | None = None
        capabilities = probe.capabilities
        self._managed = DebugProbe.Capability.MANAGED_AP_SELECTION in capabilities

    def forget(self) -> None:
        """Somebody else used the debug port meanwhile: trust no remembered SELECT or CSW."""
        self._select = None
        self._csw_set = False

    def attach(self) -> int:
        """DAP_Connect (or the probe's like), select SWD, read DPIDR as the first access. Returns DPIDR."""
        self._probe.connect(DebugProbe.Protocol.SWD)
        return self.identify()

    def identify(self) -> int:
        """Line reset and DPIDR once more. Where several ports share the line, the first core's is selected."""
        self.forget()
        if self._targetsel is not None:
            return drops.select(self._probe, self._targetsel)
        connector = DPConnector(self._probe)
        try:
            connector.connect()
        except exceptions.TransferError:
            if (dpidr := self._search()) is None:
                raise
            return dpidr
        dpidr = int(connector.idr.idr)
        if drops.doubtful(dpidr):
            shared = self._search()
            if shared is not None:
                return shared
            if drops.only_rescues(dpidr):
                raise exceptions.TransferError("No ACK from a processor's debug port, only from the one that resets the chip")
            connector.connect()
        return dpidr

    def _search(self) -> int | None:
        """A port that answers only when it is selected: its DPIDR, or None."""
        found = drops.search(self._probe) if drops.can_select(self._probe) else None
        if found is None:
            return None
        self._targetsel, dpidr = found
        return dpidr

    def read_dp(self, register: int) -> int:
        """One debug-port register of bank 0."""
        if register != DP_IDR and not self._managed:
            self._write_select(0)
        return int(self._probe.read_dp(register))

    def read_ctrl_stat(self) -> int:
        """CTRL/STAT without touching SELECT: it must answer even while sticky errors make everything else fault."""
        return int(self._probe.read_dp(DP_CTRL_STAT))

    def write_dp(self, register: int, value: int) -> None:
        """One debug-port register of bank 0."""
        if register == DP_CTRL_STAT and not self._managed:
            self._write_select(0)
        self._probe.write_dp(register, value)

    def clear_sticky(self) -> None:
        """Clear the sticky error flags, without a DAP abort."""
        self._probe.write_dp(DP_ABORT, ABORT_CLEAR)

    def power_up(self, seconds: float = 0.1) -> tuple[bool, int]:
        """Ask for debug and system power. Returns (acknowledged, last CTRL/STAT)."""
        self.write_dp(DP_CTRL_STAT, POWER_REQUEST)
        deadline = time.monotonic() + seconds
        while True:
            status = self.read_dp(DP_CTRL_STAT)
            if status & POWER_ACK == POWER_ACK:
                return True, status
            if time.monotonic() > deadline:
                return False, status

    def _write_select(self, value: int) -> None:
        if self._select != value:
            self._probe.write_dp(DP_SELECT, value)
            self._select = value

    @property
    def managed(self) -> bool:
        """The probe selects access ports itself (ST-LINK)."""
        return self._managed

    def read_ap(self, register: int, port: int = 0) -> int:
        """One register of an access port."""
        if not self._managed:
            self._write_select(port << 24 | register & 0xF0)
        return int(self._probe.read_ap(port << 24 | register))

    def write_ap(self, register: int, value: int, port: int = 0) -> None:
        """One register of an access port. The write is posted: a following access tells whether it was taken."""
        if not self._managed:
            self._write_select(port << 24 | register & 0xF0)
        self._probe.write_ap(port << 24 | register, value)

    def _interface(self) -> Any:
        """The probe's own memory commands, where it has them (ST-LINK)."""
        if self._memory is None:
            self._memory = self._probe.get_memory_interface_for_ap(APv1Address(0)) or False
        return self._memory

    def read32(self, address: int) -> int:
        """One word of target memory through access port 0."""
        interface = self._interface()
        if interface:
            return int(interface.read_memory(address, 32))
        self._setup(address)
        return int(self._probe.read_ap(AP_DRW))

    def read_block(self, address: int, count: int) -> list[int]:
        """``count`` words from ``address`` on, within one KiB, in one go."""
        interface = self._interface()
        if interface:
            return [int(word) for word in interface.read_memory_block32(address, count)]
        self._setup(address)
        return [int(word) for word in self._probe.read_ap_multiple(AP_DRW, count)]

    def write32(self, address: int, value: int) -> None:
        """One word of target memory through access port 0."""
        interface = self._interface()
        if interface:
            interface.write_memory(address, value, 32)
            return
        self._setup(address)
        self._probe.write_ap(AP_DRW, value)
        # The write is posted: only a further access tells whether the bus took it.
        self._probe.read_dp(DP_CTRL_STAT)

    def write16(self, address: int, value: int) -> None:
        """One half-word of target memory through access port 0, on its own byte lanes (IHI 0031G C2.2.6)."""
        interface = self._interface()
        if interface:
            interface.write_memory(address, value, 16)
            return
        self.write_ap(AP_CSW, CSW_32_SINGLE & ~0x37 | 1)
        self._csw_set = False
        self.write_ap(AP_TAR, address)
        self._probe.write_ap(AP_DRW, value << 8 * (address & 2))
        self._probe.read_dp(DP_CTRL_STAT)

    def _setup(self, address: int) -> None:
        if not self._csw_set:
            self.write_ap(AP_CSW, CSW_32_SINGLE)
            self._csw_set = True
        self.write_ap(AP_TAR, address)
