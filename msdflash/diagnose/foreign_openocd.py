"""What OpenOCD prints, and what was behind it. Texts: OpenOCD abbbc2e05, files and lines of its source, or the thread that is named."""

from __future__ import annotations

from functools import partial

from msdflash.diagnose.foreign import SILENT, Saying, said

OPENOCD = "OpenOCD"
_openocd = partial(said, OPENOCD)

OPENOCD_SAYINGS: tuple[Saying, ...] = (
    _openocd(
        "Error connecting DP: cannot read IDR",
        *SILENT,
        note="Nothing answered on the wires.",
        beyond=("an nRESET wire that is missing, on a chip that needs it to connect",),
        source=(
            "OpenOCD abbbc2e05 src/target/arm_adi_v5.c",
            "https://github.com/Analog-Devices-MSDK/MAX78000_SDK/issues/64",
            "https://github.com/analogdevicesinc/MaximAI_Documentation/issues/63",
        ),
    ),
    _openocd(
        "init mode failed (unable to connect to the target)", *SILENT, source=("OpenOCD abbbc2e05 src/jtag/drivers/stlink_usb.c line 3782",)
    ),
    _openocd(
        "target voltage may be too low for reliable debugging",
        "no-target-power",
        "vtref-not-wired",
        "target-voltage-low",
        note="The probe measures its own target-voltage pin, not the chip.",
        source=("OpenOCD abbbc2e05 src/jtag/drivers/stlink_usb.c line 1760",),
    ),
    _openocd(
        "Examination failed",
        "held-in-reset",
        "asleep",
        "debug-locked",
        "rdp1",
        "nrf-approtect",
        "debug-power-not-acknowledged",
        source=("OpenOCD abbbc2e05 src/target/target.c line 694",),
    ),
    _openocd(
        "Failed to connect multidrop",
        "no-target-power",
        "swd-open",
        "swd-swapped",
        beyond=("firmware on the probe that was made for other pins",),
        source=(
            "https://github.com/raspberrypi/debugprobe/issues/41",
            "https://github.com/raspberrypi/debugprobe/issues/133",
            "https://github.com/raspberrypi/pico-feedback/issues/392",
        ),
    ),
    _openocd(
        "SWD ack not OK",
        *SILENT,
        beyond=("firmware on the probe that was made for other pins",),
        source=("https://github.com/raspberrypi/debugprobe/issues/41",),
    ),
    _openocd("DAP init failed", "debug-off", *SILENT, source=("https://github.com/raspberrypi/pico-sdk/issues/1055",)),
    _openocd(
        "timed out while waiting for target halted",
        "held-in-reset",
        "core-will-not-halt",
        "reset-loop",
        "asleep",
        source=("OpenOCD abbbc2e05 src/target/target.c line 3258",),
    ),
    _openocd("clearing lockup after double fault", "app-locked-up", source=("OpenOCD abbbc2e05 src/target/cortex_m.c line 986",)),
    _openocd(
        "Failed to write memory at",
        "wrong-target",
        "bus-fault",
        "held-in-reset",
        beyond=("a script for another chip family",),
        source=("OpenOCD abbbc2e05 src/target/arm_adi_v5.c", "https://github.com/CommunityGD32Cores/platform-gd32/issues/57"),
    ),
    _openocd(
        "UNEXPECTED idcode",
        "clone-chip",
        "wrong-target",
        note="The debug port is not the one that the script expects: a copy of the chip, or another family.",
        source=("https://github.com/TeXitoi/blue-pill-quickstart/issues/9",),
    ),
    _openocd(
        "Cannot identify target as a STM32",
        "wrong-target",
        "clone-chip",
        "held-in-reset",
        source=("OpenOCD abbbc2e05 src/flash/nor/stm32f1x.c line 975",),
    ),
    _openocd(
        "no flash bank found for address",
        "image-outside-flash",
        "wrong-target",
        source=("OpenOCD abbbc2e05 src/flash/nor/core.c line 794",),
    ),
    _openocd(
        "stm32x device protected",
        "write-protected-sector",
        "rdp1",
        note="Read-out protection and write protection give the same text.",
        source=("OpenOCD abbbc2e05 src/flash/nor", "https://github.com/ROBOTIS-GIT/OpenCM9.04/issues/76"),
    ),
    _openocd("flash memory write protected", "write-protected-sector", source=("OpenOCD abbbc2e05 src/flash/nor",)),
    _openocd("device has AP lock engaged", "nrf-approtect", source=("OpenOCD abbbc2e05 tcl/target/nrf52.cfg line 63",)),
    _openocd(
        "cannot access the CTRL-AP",
        "nrf-approtect",
        "probe-fw-refuses-target",
        note="An ST-LINK cannot unlock a Nordic chip: take a CMSIS-DAP or J-Link.",
        source=("OpenOCD abbbc2e05 tcl/target/nrf52.cfg line 45", "https://github.com/pyocd/pyOCD/issues/775"),
    ),
    _openocd(
        "large enough working area not available",
        "wrong-target",
        "ram-smaller",
        note="It goes on, slower, word by word.",
        source=("OpenOCD abbbc2e05 src/flash/nor",),
    ),
    _openocd("allocating working area failed", "wrong-target", "ram-smaller", source=("OpenOCD abbbc2e05 src/flash/nor",)),
    _openocd(
        "timeout waiting for algorithm",
        "algo-faulted",
        "algo-reset",
        "algo-timeout-flash-busy",
        "ram-bad",
        "wrong-target",
        source=("OpenOCD abbbc2e05 src/target/target.c line 1033",),
    ),
    _openocd(
        "error executing * flash write algorithm",
        "program-failed",
        "write-protected-sector",
        "ram-bad",
        "algo-faulted",
        "target-voltage-low",
        source=("OpenOCD abbbc2e05 src/flash/nor",),
    ),
    _openocd(
        "failed erasing sectors",
        "write-protected-sector",
        "rdp1",
        "erase-failed",
        source=("OpenOCD abbbc2e05 src/flash/nor/core.c line 36",),
    ),
    _openocd(
        "NVM lock error",
        "write-protected-sector",
        note="The boot loader's protection (BOOTPROT) of a SAM chip.",
        source=("OpenOCD abbbc2e05 src/flash/nor/at91samd.c line 546", "https://github.com/adafruit/Adafruit_DAP/pull/16"),
    ),
    _openocd(
        "** Verify Failed **",
        "program-mismatch",
        "erase-ineffective",
        "flash-worn",
        "verify-misread",
        beyond=("an LPC chip, whose checksum word is written by the programmer",),
        source=("OpenOCD abbbc2e05 src/flash/startup.tcl line 79",),
    ),
    _openocd(
        "checksum mismatch",
        "program-mismatch",
        "erase-ineffective",
        "flash-worn",
        "verify-misread",
        source=("OpenOCD abbbc2e05 src/target/target.c line 3851",),
    ),
    _openocd(
        "could not claim interface",
        "probe-busy",
        "usb-permission",
        beyond=("a serial-port interface of the probe, taken for the debug interface",),
        source=("OpenOCD abbbc2e05 src/jtag/drivers/cmsis_dap_usb_bulk.c line 363", "https://github.com/wuxx/nanoDAP/issues/19"),
    ),
    _openocd("the selected device is already used", "probe-busy", source=("OpenOCD abbbc2e05 src/jtag/drivers/stlink_usb.c line 3689",)),
    _openocd(
        "libusb_open() failed", "usb-permission", "probe-busy", source=("OpenOCD abbbc2e05 src/jtag/drivers/libusb_helper.c line 179",)
    ),
    _openocd(
        "unable to find * CMSIS-DAP device",
        "no-probe",
        "usb-permission",
        "usb-unstable",
        "probe-in-bootloader",
        beyond=("a USB cable that only carries power",),
        source=("OpenOCD abbbc2e05 src/jtag/drivers/cmsis_dap.c line 301", "https://github.com/sinobitorg/hardware/issues/15"),
    ),
    _openocd(
        "unable to find CMSIS-DAP device",
        "no-probe",
        "usb-permission",
        "usb-unstable",
        beyond=("a USB cable that only carries power",),
        source=("https://github.com/sinobitorg/hardware/issues/15",),
    ),
    _openocd(
        "ST-LINK open failed",
        "no-probe",
        "usb-permission",
        "probe-busy",
        source=("OpenOCD abbbc2e05 src/jtag/drivers/stlink_usb.c line 3678",),
    ),
)
"""Messages of OpenOCD."""
