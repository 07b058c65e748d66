"""What pyOCD prints, and what was behind it.

Texts: pyOCD 0.46.0, files and lines of its source distribution; older wording where it says so. Causes: from the source, from threads that
are named, and from runs of pyOCD against the simulated bench (``docs/scenarios.md``).
"""

from __future__ import annotations

from functools import partial

from msdflash.diagnose.foreign import SILENT, Saying, said

PYOCD = "pyOCD"

_RAM = ("wrong-target", "ram-smaller", "ram-unclocked", "ram-bad", "ram-lost")
_DAP = "pyOCD 0.46.0 probe/pydapaccess/dap_access_cmsis_dap.py lines 366-389"
_STLINK = "pyOCD 0.46.0 probe/stlink/constants.py"
_FLASH = "pyOCD 0.46.0 flash/flash.py"
_CORTEX = "pyOCD 0.46.0 coresight/cortex_m.py"
_ISSUES = "https://github.com/pyocd/pyOCD/issues/"


_row = partial(said, PYOCD)

PYOCD_SAYINGS: tuple[Saying, ...] = (
    # --- the link -------------------------------------------------------------------------------------------------------------
    _row(
        "communication failure (No ACK)",
        *SILENT,
        "target-lost",
        "link-noise",
        note="Nothing answered on the wires. The advice in the text (cable, clock) names two of many reasons.",
        source=(_DAP, f"{_ISSUES}698", "https://github.com/raspberrypi/debugprobe/issues/41"),
    ),
    _row(
        "No ACK received",
        *SILENT,
        "reset-loop",
        note="The wording of pyOCD before 0.34. It also came from blank Kinetis parts, which reset themselves all the time.",
        source=(f"{_ISSUES}1123", f"{_ISSUES}239"),
    ),
    _row("Unexpected ACK '", "swd-short", "link-noise", *SILENT[:3], note="ACK 0 means that SWDIO is held low.", source=(_DAP,)),
    _row(
        "communication failure (FAULT ACK)",
        "held-in-reset",
        "bus-fault",
        "wrong-target",
        "rdp1",
        "debug-locked",
        "reset-loop",
        note="The link is good; something behind the debug port refused. The address may be that of a later access.",
        source=(_DAP,),
    ),
    _row(
        "communication failure (WAIT ACK)",
        "asleep",
        "bus-fault",
        "algo-timeout-flash-busy",
        "held-in-reset",
        note="The link is good; the chip's bus does not move.",
        source=(_DAP,),
    ),
    _row("SWD protocol error", "link-noise", "swd-short", source=(_DAP,)),
    _row(
        "Target not detected. Check connection to target",
        *SILENT,
        note="The debug port did not answer at all.",
        source=("pyOCD 0.46.0 coresight/dap.py lines 478-481",),
    ),
    _row(
        "Memory transfer fault",
        "held-in-reset",
        "rdp1",
        "wrong-target",
        "bus-fault",
        "flash-unreadable",
        "reset-loop",
        "ram-unclocked",
        note="An address was refused. In flash: read-out protection, or a blank LPC55. In RAM: a held reset line, or another chip.",
        beyond=("blank flash of an LPC55, which faults when it is read",),
        source=("pyOCD 0.46.0 core/exceptions.py line 107", f"{_ISSUES}1689", f"{_ISSUES}1136"),
    ),
    _row(
        "response error: response is for command",
        "probe-fw-fault",
        "usb-unstable",
        source=(_DAP, "https://github.com/rgrr/yapicoprobe/issues/112"),
    ),
    _row("bytearray index out of range", "probe-fw-fault", source=("https://github.com/rgrr/yapicoprobe/issues/130",)),
    _row("CMSIS-DAP command * failed", "probe-busy", "probe-fw-fault", "probe-slow", source=("https://github.com/wuxx/nanoDAP/issues/19",)),
    # --- ST-LINK --------------------------------------------------------------------------------------------------------------
    _row("STLink error (5)", "asleep", "debug-off", *SILENT[:3], "nrf-approtect", source=(_STLINK, f"{_ISSUES}775")),
    _row("STLink error (9)", *SILENT, note="No answer at all on the wires.", source=(_STLINK, f"{_ISSUES}661", f"{_ISSUES}1523")),
    _row(
        "STLink error (11)",
        "asleep",
        "debug-power-not-acknowledged",
        "debug-off",
        note="The chip answers but does not power its debug logic: it sleeps. It seldom has to do with the supply.",
        source=(_STLINK, "https://github.com/zephyrproject-rtos/zephyr/issues/21681"),
    ),
    _row("STLink error (16)", "asleep", "bus-fault", source=(_STLINK,)),
    _row("STLink error (17)", "bus-fault", "held-in-reset", "rdp1", "wrong-target", source=(_STLINK,)),
    _row("STLink error (20)", "asleep", "bus-fault", source=(_STLINK, f"{_ISSUES}698")),
    _row("STLink error (21)", "bus-fault", "held-in-reset", "rdp1", "debug-locked", source=(_STLINK,)),
    _row("STLink error (25)", "bus-fault", "held-in-reset", source=(_STLINK,)),
    _row(
        "STLink error (29)",
        "probe-fw-refuses-target",
        "nrf-approtect",
        "debug-locked",
        note="Newer ST-LINK firmware refuses access ports of chips of other makers, locked or not.",
        source=(_STLINK, f"{_ISSUES}918"),
    ),
    _row("STLink error", "swd-silent", "bus-fault", "asleep", note="A code of the ST-LINK itself.", source=(_STLINK,)),
    _row("is using an unsupported, older firmware version", "probe-fw-too-old", source=("pyOCD 0.46.0 probe/stlink/stlink.py line 209",)),
    _row(
        "firmware does not support JTAG/SWD",
        "probe-fw-too-old",
        "probe-in-bootloader",
        source=("pyOCD 0.46.0 probe/stlink/stlink.py line 206",),
    ),
    # --- the probe --------------------------------------------------------------------------------------------------------------
    _row(
        "No available debug probes are connected",
        "no-probe",
        "usb-permission",
        "probe-in-bootloader",
        note="Probes that may not be opened are left out of the list, so this is also what a missing permission looks like.",
        source=("pyOCD 0.46.0 core/helpers.py line 132", "https://github.com/raspberrypi/debugprobe/issues/107"),
    ),
    _row("No target device available", "no-probe", "usb-permission", source=("pyOCD 0.46.0 subcommands/load_cmd.py line 107",)),
    _row(
        "Waiting for a debug probe", "no-probe", "usb-permission", "probe-ambiguous", source=("pyOCD 0.46.0 core/helpers.py lines 105-107",)
    ),
    _row(
        "while trying to interrogate a USB device",
        "usb-permission",
        source=("pyOCD 0.46.0 probe/pydapaccess/interface/pyusb_v2_backend.py", "https://github.com/dorssel/usbipd-win/issues/102"),
    ),
    _row(
        "Unable to claim interface for probe",
        "probe-busy",
        "usb-permission",
        source=("pyOCD 0.46.0 probe/pydapaccess/interface/pyusb_v2_backend.py line 128",),
    ),
    _row(
        "Unable to open device",
        "probe-busy",
        "usb-permission",
        "probe-open-failed",
        source=("pyOCD 0.46.0 probe/pydapaccess/interface/hidapi_backend.py line 222",),
    ),
    _row("J-Link is already open", "probe-busy", source=(f"{_ISSUES}877",)),
    _row(
        "read thread exited unexpectedly",
        "probe-vanished",
        "probe-hung",
        note="The same text stands for an unplugged probe and for one that did not answer for 10 s.",
        source=("pyOCD 0.46.0 probe/pydapaccess/interface/pyusb_v2_backend.py",),
    ),
    _row("[Errno 19]", "probe-vanished", source=("Linux errno.h, ENODEV; raised by pyusb",)),
    _row("[Errno 13] Access denied", "usb-permission", source=("Linux errno.h, EACCES; raised by pyusb",)),
    _row("[Errno 16] Resource busy", "probe-busy", source=("Linux errno.h, EBUSY; raised by pyusb",)),
    _row("[Errno 32] Pipe error", "probe-fw-fault", source=("Linux errno.h, EPIPE; raised by pyusb",)),
    _row("[Errno 110] Operation timed out", "probe-hung", "probe-slow", source=("Linux errno.h, ETIMEDOUT; raised by pyusb",)),
    _row("[Errno 71]", "usb-unstable", source=("Linux errno.h, EPROTO; raised by pyusb",)),
    _row(
        "Unspecified error.",
        *SILENT,
        "bus-fault",
        "nrf-approtect",
        note="A J-Link's text for no answer, WAIT and FAULT alike.",
        source=("pyOCD 0.46.0 probe/jlink_probe.py line 507",),
    ),
    # --- the target -------------------------------------------------------------------------------------------------------------
    _row(
        "Target type * not recognized",
        "target-unknown",
        note="The name, not the chip, is unknown to pyOCD: a built-in target is spelt otherwise, or a CMSIS-Pack is missing.",
        beyond=("a wrong board id in the probe's firmware or in a table",),
        source=("pyOCD 0.46.0 board/board.py line 124", f"{_ISSUES}1463", f"{_ISSUES}678"),
    ),
    _row(
        "no memory region defined for address",
        "image-outside-flash",
        "image-too-big",
        "wrong-target",
        "image-uses-ram",
        note="As a warning it means that this part of the file was left out, and that success was reported all the same.",
        source=("pyOCD 0.46.0 flash/loader.py line 237, flash/file_programmer.py line 242", f"{_ISSUES}1589"),
    ),
    _row(
        "No boot memory is defined for this device",
        "target-unknown",
        "wrong-target",
        source=("pyOCD 0.46.0 flash/file_programmer.py line 211",),
    ),
    _row(
        "No cores were discovered!",
        "asleep",
        "debug-locked",
        "nrf-approtect",
        "no-ap",
        source=("pyOCD 0.46.0 coresight/coresight_target.py line 345", f"{_ISSUES}862"),
    ),
    _row(
        "SoCTarget has no selected core",
        "nrf-approtect",
        "debug-locked",
        "kinetis-security",
        "no-ap",
        source=("pyOCD 0.46.0 on the bench, access port closed",),
    ),
    _row(
        "APPROTECT enabled: will try to unlock via mass erase",
        "nrf-approtect",
        note="pyOCD erases the whole chip now, unless it was started with auto_unlock off.",
        source=("pyOCD 0.46.0 target/family/target_nRF52.py line 128", f"{_ISSUES}1766"),
    ),
    _row("APPROTECT enabled", "nrf-approtect", source=("pyOCD 0.46.0 target/family/target_nRF52.py line 139",)),
    _row(
        "in secure state: will try to unlock via mass erase",
        "kinetis-security",
        "reset-loop",
        "held-in-reset",
        note="A Kinetis in reset also reads as secured. pyOCD erases the whole chip now, unless it was started with auto_unlock off.",
        source=("pyOCD 0.46.0 target/family/target_kinetis.py line 154",),
    ),
    _row(
        "in secure state",
        "kinetis-security",
        "reset-loop",
        "held-in-reset",
        source=("pyOCD 0.46.0 target/family/target_kinetis.py line 169",),
    ),
    _row("unable to unlock device", "nrf-approtect", "kinetis-security", source=("pyOCD 0.46.0 target/family/target_nRF52.py line 133",)),
    _row(
        "RP2040 requires a debug probe with SWD sequence capability",
        beyond=("a probe that cannot talk to this chip: use a CMSIS-DAP or picoprobe",),
        source=("pyOCD 0.46.0 target/family/target_rp2.py line 199",),
    ),
    _row(
        "Timed out waiting for core to halt after reset (state is RESET)",
        "held-in-reset",
        "reset-loop",
        "reset-released-late",
        note="The core never came out of reset, or goes back into it all the time.",
        source=(f"{_CORTEX} line 1138", f"{_ISSUES}1532"),
    ),
    _row(
        "Timed out waiting for core to halt",
        "core-will-not-halt",
        "held-in-reset",
        "reset-loop",
        "asleep",
        source=(f"{_CORTEX} line 1138",),
    ),
    _row(
        "because core #* is not halted",
        "held-in-reset",
        "reset-loop",
        "core-will-not-halt",
        "asleep",
        source=(f"{_CORTEX} lines 1309 and 1458", f"{_ISSUES}1532"),
    ),
    _row(
        "Core * is not accessible after reset",
        "reset-loop",
        "debug-off",
        "app-locked-up",
        "nrf-approtect",
        beyond=("the boot ROM of a blank LPC55, which hides the core",),
        source=(f"{_CORTEX} line 981", f"{_ISSUES}1303"),
    ),
    _row(
        "Core #* is not accessible after reset",
        "reset-loop",
        "debug-off",
        "app-locked-up",
        beyond=("the boot ROM of a blank LPC55, which hides the core",),
        source=(f"{_ISSUES}1303",),
    ),
    _row(
        "T bit in XPSR is invalid",
        "app-locked-up",
        "image-bad-vectors",
        "algo-faulted",
        note="Flash is blank, or does not begin with a vector table. pyOCD before 0.37 could not flash such a chip.",
        source=(f"{_CORTEX} line 1152", f"{_ISSUES}1695"),
    ),
    # --- flash algorithm ----------------------------------------------------------------------------------------------------------
    _row(
        "target was not halted as expected after calling flash algorithm routine",
        *_RAM,
        "algo-faulted",
        "algo-reset",
        note="The algorithm crashed. Public cases: RAM at another address than the target says, and a blank vector table.",
        source=(_FLASH + " line 671", f"{_ISSUES}1629", f"{_ISSUES}1695"),
    ),
    _row(
        "flash init timed out",
        *_RAM,
        "algo-faulted",
        "algo-reset",
        note="pyOCD does not read the algorithm back after loading it, so bad RAM and another chip look like this.",
        source=(_FLASH + " line 262",),
    ),
    _row("flash init failure", *_RAM, "algo-init-failed", "algo-download-corrupt", source=(_FLASH,)),
    _row("flash uninit", "algo-faulted", "algo-reset", "wrong-target", source=(_FLASH + " line 303",)),
    _row(
        "flash erase sector timed out",
        "algo-timeout-flash-busy",
        "algo-faulted",
        "algo-reset",
        "algo-timeout",
        source=(_FLASH + " line 383",),
    ),
    _row("flash erase all timed out", "algo-timeout-flash-busy", "algo-faulted", "algo-timeout", source=(_FLASH + " line 364",)),
    _row(
        "flash erase sector failure",
        "write-protected-sector",
        "rdp1",
        "wrong-target",
        "target-voltage-low",
        "erase-failed",
        note="The result code is the algorithm's own; most give 1 for everything.",
        beyond=("a CMSIS-Pack whose algorithm computes the wrong page",),
        source=(_FLASH, f"{_ISSUES}1343", f"{_ISSUES}1212"),
    ),
    _row("flash erase all failure", "write-protected-sector", "rdp1", "kinetis-security", "erase-failed", source=(_FLASH,)),
    _row(
        "FlashEraseFailure",
        "write-protected-sector",
        "nrf-approtect",
        "erase-failed",
        "erase-ineffective",
        beyond=("a CMSIS-Pack whose algorithm computes the wrong page", "pages that the factory or an earlier program has locked"),
        source=(f"{_ISSUES}1212", f"{_ISSUES}1343"),
    ),
    _row(
        "flash program page failure",
        "write-protected-sector",
        "program-failed",
        "erase-ineffective",
        "target-voltage-low",
        "flash-worn",
        "wrong-target",
        source=(_FLASH,),
    ),
    _row(
        "flash program page time", "algo-timeout-flash-busy", "algo-faulted", "algo-reset", "algo-timeout", source=(_FLASH + " line 408",)
    ),
    _row("FlashProgramFailure", "program-failed", "write-protected-sector", "target-voltage-low", "flash-worn", source=(_FLASH,)),
    _row("flash algorithm overflowed stack", "wrong-target", "algo-faulted", source=(_FLASH + " line 678",)),
)
"""pyOCD's messages."""
