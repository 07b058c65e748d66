"""Which causes a scenario of the bench has really produced and diagnosed. The others are knowledge, not experience, and say so."""

from __future__ import annotations

OBSERVED: dict[str, str] = {
    "algo-timeout-flash-busy": "bench fault flash-busy",
    "bus-fault": "bench fault fault-write",
    "flash-worn": "bench fault bad-cell",
    "held-in-reset": "bench faults reset-held and probe-stuck-reset",
    "link-noise": "bench fault noise",
    "kinetis-security": "bench fault security",
    "nrf-approtect": "bench fault approtect, on an nRF52840",
    "nrf51-readback": "bench fault approtect, on an nRF51822",
    "no-target-power": "bench fault no-power, on an ST-LINK",
    "probe-fw-fault": "bench fault stall",
    "probe-hung": "bench fault hang",
    "probe-vanished": "bench fault unplug-after",
    "ram-bad": "bench faults ram-bad:stuck and corrupt-write",
    "ram-lost": "bench fault ram-bad",
    "rdp1": "bench fault rdp1",
    "reset-loop": "a blank K64F on the bench",
    "reset-held-by-board": "bench fault reset-held",
    "reset-held-by-probe": "bench fault probe-stuck-reset, told as possible",
    "swd-open": "bench fault swd-open, told as possible in a set",
    "swd-silent": "bench faults no-power and swd-open, on CMSIS-DAP",
    "write-protected-sector": "bench fault write-protect",
    "wrong-target": "bench fault other-chip",
}
"""Cause id -> where it was met, on the simulated bench so far and never on hardware. Nothing stands here that has not happened."""


def was_observed(cause_id: str) -> bool:
    """True if the cause has been met by a scenario."""
    return cause_id in OBSERVED
