"""Which causes a scenario of the bench has really produced and diagnosed. The others are knowledge, not experience, and say so."""

from __future__ import annotations

OBSERVED: dict[str, str] = {
    "algo-timeout-flash-busy": "bench fault flash-busy",
    "bus-fault": "bench fault fault-write",
    "data-corrupted-on-the-way": "bench fault corrupt-write",
    "flash-chip-silent": "bench fault qspi-open",
    "flash-unchanged": "bench fault write-protect, on an nRF51822",
    "flash-worn": "bench fault bad-cell",
    "held-in-reset": "bench faults reset-held and probe-stuck-reset",
    "image-bad-vectors": "field case FC-16 on the bench",
    "image-needs-base": "field case FC-17 on the bench",
    "kinetis-security": "bench fault security",
    "link-noise": "bench fault noise",
    "lpc55-debug-locked": "bench fault debug-lock",
    "no-probe": "bench: unplugged, and the system's own USB list asked",
    "no-target-power": "bench fault no-power, on an ST-LINK",
    "nrf-approtect": "bench fault approtect, on an nRF52840",
    "nrf51-readback": "bench fault approtect, on an nRF51822",
    "pack-invalid": "bench: files that are no pack, and damaged ones",
    "pack-lacks-algorithm": "bench: packs without one, or with a broken one",
    "pack-lacks-target": "bench: a part that the bench's pack does not have",
    "pack-unreadable": "bench: a pack that is not there",
    "probe-ambiguous": "bench fault equal-serial",
    "probe-busy": "bench fault busy, held by another process",
    "probe-firmware": "field case FC-15 on the bench",
    "probe-fw-fault": "bench faults stall and short-packet",
    "probe-fw-refuses-target": "bench: an nRF52840 on an ST-LINK",
    "probe-fw-too-old": "bench probe stlink-v2-old",
    "probe-hung": "bench fault hang",
    "probe-no-serial": "bench fault no-serial",
    "probe-slow": "bench fault slow",
    "probe-vanished": "bench faults unplug-after and disconnect-reenumerate",
    "ram-bad": "bench faults ram-bad:stuck and corrupt-write",
    "ram-lost": "bench fault ram-bad",
    "rdp1": "bench fault rdp1",
    "reset-held-by-board": "bench fault reset-held",
    "reset-held-by-probe": "bench fault probe-stuck-reset, told as possible",
    "reset-loop": "a blank K64F on the bench",
    "softdevice-overlap": "field case FC-25 on the bench",
    "swd-open": "bench fault swd-open, told as possible in a set",
    "swd-silent": "bench faults no-power and swd-open, on CMSIS-DAP",
    "usb-permission": "bench fault no-permission",
    "write-protected-sector": "bench fault write-protect",
    "wrong-target": "bench fault other-chip",
}
"""Cause id -> where it was met, on the simulated bench so far and never on hardware. Nothing stands here that has not happened."""


def was_observed(cause_id: str) -> bool:
    """True if the cause has been met by a scenario."""
    return cause_id in OBSERVED
