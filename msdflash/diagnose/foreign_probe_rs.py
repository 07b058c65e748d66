"""What probe-rs prints, and what was behind it. Texts: probe-rs 67993c4b6, files and lines of its source, or the thread that is named."""

from __future__ import annotations

from functools import partial

from msdflash.diagnose.foreign import SILENT, Saying, said

PROBE_RS = "probe-rs"
_probe_rs = partial(said, PROBE_RS)

PROBE_RS_SAYINGS: tuple[Saying, ...] = (
    _probe_rs("Target device did not respond to request", *SILENT, source=("probe-rs 67993c4b6 probe-rs/src/architecture/arm/mod.rs",)),
    _probe_rs(
        "No target responded to the debug port", *SILENT, source=("probe-rs 67993c4b6 probe-rs/src/architecture/arm/mod.rs line 65",)
    ),
    _probe_rs(
        "responded with a FAULT response",
        "held-in-reset",
        "bus-fault",
        "debug-locked",
        "wrong-target",
        source=("probe-rs 67993c4b6 probe-rs/src/architecture/arm",),
    ),
    _probe_rs("responded with a WAIT response", "asleep", "bus-fault", source=("probe-rs 67993c4b6 probe-rs/src/architecture/arm",)),
    _probe_rs(
        "Target power-up failed",
        "debug-power-not-acknowledged",
        "asleep",
        "held-in-reset",
        source=("probe-rs 67993c4b6 probe-rs/src/architecture/arm",),
    ),
    _probe_rs(
        "Failed to get information for AP",
        "no-target-power",
        "swd-open",
        "debug-locked",
        source=("https://github.com/rp-rs/rp2040-project-template/issues/5",),
    ),
    _probe_rs(
        "Is your target device powered",
        "no-target-power",
        "vtref-not-wired",
        note="The probe measures its own target-voltage pin, not the chip.",
        source=("probe-rs 67993c4b6 probe-rs/src/probe/stlink/mod.rs line 185",),
    ),
    _probe_rs(
        "SwdDpWait",
        "asleep",
        note="The chip's clock stands still.",
        source=("https://github.com/probe-rs/probe-rs/issues/1340", "https://github.com/probe-rs/probe-rs/issues/350"),
    ),
    _probe_rs("SwdApWait", "asleep", "bus-fault", source=("probe-rs 67993c4b6 probe-rs/src/probe/stlink",)),
    _probe_rs("SwdApFault", "held-in-reset", "bus-fault", "rdp1", source=("probe-rs 67993c4b6 probe-rs/src/probe/stlink",)),
    _probe_rs(
        "JtagNoDeviceConnected",
        *SILENT,
        "nrf-approtect",
        "probe-fw-refuses-target",
        source=("https://github.com/probe-rs/probe-rs/pull/65",),
    ),
    _probe_rs("JtagGetIdcodeError", *SILENT, source=("probe-rs 67993c4b6 probe-rs/src/probe/stlink",)),
    _probe_rs(
        "Failed to reset, and then halt the CPU",
        "held-in-reset",
        "reset-loop",
        "core-will-not-halt",
        source=("probe-rs 67993c4b6 probe-rs/src/flashing/error.rs line 106",),
    ),
    _probe_rs(
        "DeviceEn bit not set",
        "kinetis-security",
        "debug-locked",
        "nrf-approtect",
        "asleep",
        note="The access port is switched off, mostly by a lock.",
        source=("https://github.com/probe-rs/probe-rs/issues/3131",),
    ),
    _probe_rs(
        "it lacked the permission to do so",
        "nrf-approtect",
        "kinetis-security",
        "debug-locked",
        note="It wants --allow-erase-all, which erases the whole chip.",
        source=("probe-rs 67993c4b6 probe-rs/src/error.rs",),
    ),
    _probe_rs(
        "RAM contents did not match the expected contents",
        "ram-bad",
        "ram-smaller",
        "wrong-target",
        "link-noise",
        "held-in-reset",
        source=("probe-rs 67993c4b6 probe-rs/src/flashing/error.rs line 113",),
    ),
    _probe_rs(
        "initialization of the flash algorithm failed",
        "algo-init-failed",
        "wrong-target",
        "algo-faulted",
        source=("probe-rs 67993c4b6 probe-rs/src/flashing/error.rs line 61",),
    ),
    _probe_rs(
        "Failed to erase flash sector",
        "write-protected-sector",
        "rdp1",
        "algo-timeout-flash-busy",
        "erase-failed",
        source=("probe-rs 67993c4b6 probe-rs/src/flashing/error.rs line 43", "https://github.com/probe-rs/probe-rs/issues/395"),
    ),
    _probe_rs(
        "erase_sector",
        "write-protected-sector",
        "nrf-approtect",
        "erase-failed",
        source=("https://github.com/probe-rs/probe-rs/issues/247",),
    ),
    _probe_rs(
        "page write of the page at address",
        "program-failed",
        "write-protected-sector",
        "target-voltage-low",
        "flash-worn",
        source=("probe-rs 67993c4b6 probe-rs/src/flashing/error.rs line 52",),
    ),
    _probe_rs(
        "Flash content verification failed",
        "program-mismatch",
        "erase-ineffective",
        "flash-worn",
        "verify-misread",
        source=("probe-rs 67993c4b6 probe-rs/src/flashing/error.rs line 172",),
    ),
    _probe_rs(
        "No flash memory contains the entire requested memory range",
        "image-outside-flash",
        "image-wrong-chip",
        "wrong-target",
        source=("probe-rs 67993c4b6 probe-rs/src/flashing/error.rs line 23",),
    ),
    _probe_rs("firmware on the probe is outdated", "probe-fw-too-old", source=("https://github.com/probe-rs/probe-rs/issues/414",)),
    _probe_rs(
        "minimum supported firmware version is", "probe-fw-too-old", source=("https://github.com/rp-rs/rp2040-project-template/issues/109",)
    ),
    _probe_rs(
        "Failed to open the debug probe",
        "probe-busy",
        "usb-permission",
        "probe-open-failed",
        source=("probe-rs 67993c4b6 probe-rs-tools/src/bin/probe-rs/util/common_options.rs line 577",),
    ),
    _probe_rs("exclusive access and device already open", "probe-busy", source=("from memory, not seen in a source",)),
    _probe_rs(
        "No connected probes were found",
        "no-probe",
        "usb-permission",
        source=("probe-rs 67993c4b6 probe-rs-tools/src/bin/probe-rs/util/common_options.rs line 564",),
    ),
)
"""Messages of probe-rs."""
