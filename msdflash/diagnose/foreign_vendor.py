"""What the makers' closed tools print: STM32CubeProgrammer, ST-LINK Utility and ST's gdb server, J-Link, nrfjprog.

Their texts stand in public threads, which are named; a few are told from memory and say so.
"""

from __future__ import annotations

from functools import partial

from msdflash.diagnose.foreign import SILENT, Saying, said

ST = "ST's programmers and servers"
JLINK = "J-Link"
NRFJPROG = "nrfjprog"
_st = partial(said, ST)
_jlink = partial(said, JLINK)
_nrfjprog = partial(said, NRFJPROG)

VENDOR_SAYINGS: tuple[Saying, ...] = (
    _st(
        "No STM32 target found",
        "no-target-power",
        "debug-off",
        "asleep",
        "swd-open",
        "swd-swapped",
        "held-in-reset",
        "rdp2",
        note="Look at the line `Voltage` above it: near 0 V speaks for the supply or the target-voltage wire.",
        source=(
            "https://community.st.com/t5/stm32cubeprogrammer-mcus/first-upload-flash-stm32-f0-works-than-error-no-stm32-target/m-p/616710",
            "https://community.st.com/t5/stm32cubemx-mcus/cannot-access-stm32f103cbt6-again-after-downloading-program/m-p/625673",
        ),
    ),
    _st(
        "Target no device found",
        "no-target-power",
        "debug-off",
        "asleep",
        "swd-open",
        "held-in-reset",
        source=("https://community.st.com/t5/stm32cubeide-mcus/updated-stm32cubeide-can-t-find-device-on-target/m-p/716665",),
    ),
    _st(
        "No device found on target",
        "no-target-power",
        "debug-off",
        "asleep",
        "swd-open",
        "held-in-reset",
        source=("https://community.st.com/t5/stm32cubeide-mcus/updated-stm32cubeide-can-t-find-device-on-target/m-p/716665",),
    ),
    _st(
        "Can not connect to target",
        *SILENT,
        "held-in-reset",
        "rdp1",
        note="Its advice, connect under reset, helps against a program that sleeps or takes the pins, and against nothing else.",
        beyond=("VDDA or VSSA left open",),
        source=(
            "https://community.st.com/t5/stm32-mcus-boards-and-hardware/cant-connect-to-stm32f103-can-not-connect-to-target-error/td-p/258133",
            "https://github.com/alexeystn/tiny-blackbox/issues/3",
        ),
    ),
    _st(
        "Internal command error",
        *SILENT,
        "rdp1",
        beyond=("VDDA or VSSA left open",),
        source=(
            "https://community.st.com/t5/stm32-mcus-boards-and-hardware/cant-connect-to-stm32f103-can-not-connect-to-target-error/td-p/258133",
        ),
    ),
    _st(
        "connect under reset",
        *SILENT,
        "held-in-reset",
        note="Advice, not a cause.",
        source=("https://github.com/alexeystn/tiny-blackbox/issues/3",),
    ),
    _st(
        "Target is not responding, retrying",
        *SILENT,
        "held-in-reset",
        beyond=("an STM32H7 whose program chose another supply (LDO or SMPS) than the board has",),
        source=("https://community.st.com/s/article/FAQ-Unable-to-connect-to-STM32H7-devices",),
    ),
    _st(
        "DEV_TARGET_CMD_ERR",
        "asleep",
        "debug-off",
        "held-in-reset",
        "bus-fault",
        source=("https://github.com/zephyrproject-rtos/zephyr/issues/50590",),
    ),
    _st("DEV_TARGET_RESET_ERR", "held-in-reset", "reset-released-late", source=("from memory, not seen in a source",)),
    _st("DEV_TARGET_NOT_HALTED", "held-in-reset", "core-will-not-halt", "reset-loop", source=("from memory, not seen in a source",)),
    _st("DEV_CONNECT_ERR", *SILENT, source=("https://winenfood.com/fixing-errors-in-stm32-programmer-software",)),
    _st("DEV_USB_COMM_ERR", "usb-unstable", "probe-busy", "probe-vanished", source=("from memory, not seen in a source",)),
    _st("No debug probe detected", "no-probe", "usb-permission", "probe-busy", source=("from memory, not seen in a source",)),
    _st("Unable to get core ID", "held-in-reset", "asleep", "debug-locked", "swd-silent", source=("from memory, not seen in a source",)),
    _st("Data read failed", "rdp1", "held-in-reset", "flash-unreadable", source=("from memory, not seen in a source",)),
    _st("verify flash protection", "write-protected-sector", "rdp1", source=("from memory, not seen in a source",)),
    _st(
        "failed to erase memory",
        "write-protected-sector",
        "rdp1",
        "erase-failed",
        source=("https://github.com/cryptoadvance/specter-diy/issues/193",),
    ),
    _st(
        "failed to download Segment",
        "write-protected-sector",
        "image-outside-flash",
        "ram-bad",
        "held-in-reset",
        source=("from memory, not seen in a source",),
    ),
    _st(
        "Data mismatch found at address",
        "program-mismatch",
        "erase-ineffective",
        "flash-worn",
        source=("from memory, not seen in a source",),
    ),
    _st(
        "Download verification failed", "program-mismatch", "erase-ineffective", "flash-worn", source=("from memory, not seen in a source",)
    ),
    _st("unknown or unsupported device", "clone-chip", "held-in-reset", "target-unknown", source=("from memory, not seen in a source",)),
    _jlink(
        "VTref=0.0",
        "no-target-power",
        "vtref-not-wired",
        note="The probe measures its own target-voltage pin, not the chip.",
        source=("https://en.eeworld.com/bbs/thread-1156949-1-1.html",),
    ),
    _jlink(
        "VTarget = 0.0",
        "no-target-power",
        "vtref-not-wired",
        note="The probe measures its own target-voltage pin, not the chip.",
        source=("https://community.nxp.com/t5/LPC-Microcontrollers/LPC1778-can-t-connect-after-programming-by-JLINK/m-p/2376399",),
    ),
    _jlink(
        "Could not establish a connection to target",
        *SILENT,
        "held-in-reset",
        "image-would-lock",
        source=("https://community.nxp.com/t5/LPC-Microcontrollers/LPC1778-can-t-connect-after-programming-by-JLINK/m-p/2376399",),
    ),
    _jlink(
        "Cannot connect to target",
        *SILENT,
        "held-in-reset",
        "link-noise",
        source=("https://devzone.nordicsemi.com/f/nordic-q-a/61871/j-link-can-t-connect-to-the-nrf52810-in-high-frequency",),
    ),
    _jlink(
        "Failed to attach to CPU",
        *SILENT,
        "held-in-reset",
        "debug-locked",
        source=("https://devzone.nordicsemi.com/f/nordic-q-a/101534/cannot-able-to-communicate-with-external-target/438829",),
    ),
    _jlink(
        "Could not find core in Coresight setup",
        "asleep",
        "debug-locked",
        "nrf-approtect",
        "held-in-reset",
        source=("from memory, not seen in a source",),
    ),
    _jlink(
        "(pin 9) low, but should be high", "swd-short", "held-in-reset", "no-target-power", source=("from memory, not seen in a source",)
    ),
    _jlink(
        "has confused core",
        "reset-loop",
        "app-locked-up",
        "link-noise",
        source=("https://forum.segger.com/index.php/Thread/8787-ABANDONED-J-Commander-Could-not-preserve-target-memory-error/",),
    ),
    _jlink(
        "VC_CORERESET did not halt CPU",
        "held-in-reset",
        "reset-loop",
        source=("https://forum.segger.com/index.php/Thread/8787-ABANDONED-J-Commander-Could-not-preserve-target-memory-error/",),
    ),
    _jlink(
        "RAM check failed",
        "ram-bad",
        "ram-smaller",
        "wrong-target",
        "held-in-reset",
        "link-noise",
        note="Compare the lines `Write` and `Read` below it: all ones or all zeros mean that nothing arrived.",
        source=("from memory, not seen in a source",),
    ),
    _jlink(
        "Verification of RAMCode failed",
        "algo-download-corrupt",
        "ram-bad",
        "wrong-target",
        "link-noise",
        source=("from memory, not seen in a source",),
    ),
    _jlink(
        "Failed to download RAMCode",
        "ram-bad",
        "wrong-target",
        "held-in-reset",
        "link-noise",
        source=("from memory, not seen in a source",),
    ),
    _jlink(
        "Could not stop Cortex-M device",
        "held-in-reset",
        "reset-released-late",
        "core-will-not-halt",
        "asleep",
        source=(
            "https://topic.alibabacloud.com/a/font-classtopic-s-color00c1demdkfont-debug-stm32-quotcould-not-stop-cortex-m-devicequot-workaround-appears_8_8_10244578.html",
        ),
    ),
    _jlink(
        "could not set S_reset_st",
        "reset-released-late",
        "held-in-reset",
        source=(
            "https://topic.alibabacloud.com/a/font-classtopic-s-color00c1demdkfont-debug-stm32-quotcould-not-stop-cortex-m-devicequot-workaround-appears_8_8_10244578.html",
        ),
    ),
    _nrfjprog("Access protection is enabled", "nrf-approtect", source=("https://github.com/zephyrproject-rtos/zephyr/issues/68850",)),
    _nrfjprog(
        "due to readback protection",
        "nrf-approtect",
        note="--recover erases the whole chip.",
        source=("from memory, not seen in a source",),
    ),
    _nrfjprog(
        "No debuggers were discovered",
        "no-probe",
        "usb-permission",
        source=("https://devzone.nordicsemi.com/f/nordic-q-a/86733/unable-to-connect-to-external-soc-using-nrf52833-dk/362403",),
    ),
)
"""Messages of ST's programmers and servers, J-Link, nrfjprog."""
