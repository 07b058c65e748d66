"""What st-flash, Black Magic Probe, edbg and the operating systems print, and what was behind it.

Texts of st-flash: stlink 733893a, files and lines of its source; the others from the threads that are named.
"""

from __future__ import annotations

from functools import partial

from msdflash.diagnose.foreign import SILENT, Saying, said

ST_FLASH = "st-flash"
BLACK_MAGIC = "Black Magic Probe"
EDBG = "edbg"
SYSTEM = "the operating system"
_st_flash = partial(said, ST_FLASH)
_black_magic = partial(said, BLACK_MAGIC)
_edbg = partial(said, EDBG)
_system = partial(said, SYSTEM)

OTHERS_SAYINGS: tuple[Saying, ...] = (
    _st_flash("use 'connect under reset' and try again", *SILENT, source=("stlink 733893a src/stlink-lib/common.c",)),
    _st_flash("unknown chip id", "clone-chip", "held-in-reset", "target-unknown", source=("stlink 733893a src/stlink-lib/common.c",)),
    _st_flash("Could not find chip id", "held-in-reset", "asleep", "target-unknown", source=("stlink 733893a src/stlink-lib/common.c",)),
    _st_flash(
        "0 bytes (0 KiB) in pages of",
        "write-protected-sector",
        "rdp1",
        "held-in-reset",
        "clone-chip",
        note="The flash size could not be read.",
        source=("https://github.com/stlink-org/stlink/issues/705",),
    ),
    _st_flash(
        "Flash memory is write protected", "write-protected-sector", source=("stlink 733893a src/stlink-lib/flash_loader.c line 380",)
    ),
    _st_flash(
        "non-erased value",
        "erase-ineffective",
        "flash-unchanged",
        beyond=("st-flash before its fix of issue 1456, on bank 2 of an STM32G4",),
        source=("stlink 733893a src/stlink-lib/flash_loader.c line 383", "https://github.com/stlink-org/stlink/issues/1456"),
    ),
    _st_flash(
        "loader run error",
        "algo-faulted",
        "algo-wrong-architecture",
        "algo-reset",
        "ram-bad",
        source=("stlink 733893a src/stlink-lib/flash_loader.c line 389",),
    ),
    _st_flash(
        "Loader state: R2",
        "algo-wrong-architecture",
        "algo-faulted",
        "algo-reset",
        note="R15 0xFFFFFFFE is the address of a core in lockup.",
        source=("https://github.com/stlink-org/stlink/pull/1330", "https://github.com/stlink-org/stlink/issues/681"),
    ),
    _st_flash(
        "write_half_pages failed",
        "algo-wrong-architecture",
        "algo-faulted",
        "program-failed",
        source=("https://github.com/stlink-org/stlink/issues/1203",),
    ),
    _st_flash("unable to claim (probably already in use", "probe-busy", source=("stlink 733893a src/stlink-lib/usb.c line 1245",)),
    _black_magic(
        "SW-DP scan failed",
        *SILENT,
        "link-noise",
        source=("https://github.com/blackmagic-debug/blackmagic/issues/385", "https://github.com/blackmagic-debug/blackmagic/issues/421"),
    ),
    _black_magic("Failed to set R0-3", "link-noise", source=("https://github.com/blackmagic-debug/blackmagic/issues/1001",)),
    _edbg(
        "invalid response during transfer",
        *SILENT,
        "debug-off",
        note="Status 7 means that nobody answered.",
        beyond=("an nRESET wire that is missing, on a chip that needs it to connect",),
        source=("https://github.com/ataradov/edbg/issues/116",),
    ),
    _edbg(
        "invalid response while writing the register",
        "debug-locked",
        "swd-silent",
        "link-noise",
        source=("https://github.com/ataradov/edbg/issues/78",),
    ),
    _system(
        "error code 100093",
        "copy-altered",
        note="Finder wants to write attributes that a FAT drive cannot hold. `cp -X` in a terminal does not.",
        beyond=("macOS 13 and later on DAPLink and UF2 drives",),
        source=("https://github.com/ARMmbed/DAPLink/issues/982", "https://github.com/raspberrypi/pico-sdk/issues/1081"),
    ),
    _system(
        "No space left on device",
        "disk-full",
        note="On the drive of a probe it can be an old mount that shows yesterday's content.",
        beyond=("a stale mount of the probe's drive",),
        source=("https://github.com/ARMmbed/greentea/issues/286",),
    ),
    _system(
        "not enough space",
        "disk-full",
        "image-too-big",
        beyond=("Windows 10 with the drives of very small targets",),
        source=("https://github.com/ARMmbed/mbed-os/issues/2909",),
    ),
    _system("0x800703EE", "copy-altered", source=("https://support.microbit.org/support/solutions/articles/19000145576",)),
    _system(
        "0x800701B1", "copy-altered", "probe-vanished", source=("https://support.microbit.org/support/solutions/articles/19000145576",)
    ),
)
"""Messages of st-flash, Black Magic Probe, edbg, the operating system."""
