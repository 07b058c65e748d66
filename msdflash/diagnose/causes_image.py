"""Causes in the dropped file itself, or in how it fits the chip."""

from __future__ import annotations

from msdflash.diagnose.cause import Cause, Remedy, cause

_COPY_AGAIN = "Copy the file again, from its original."
_REBUILD = Remedy("Build the firmware again.", "a build")

IMAGE_CAUSES: tuple[Cause, ...] = (
    cause("image-empty", "the file holds no data", "ERROR_TRANSFER_TIMEOUT", _COPY_AGAIN, _REBUILD, retryable=True),
    cause(
        "image-truncated",
        "the file ends too early",
        "ERROR_TRANSFER_TIMEOUT",
        "Copy the file again and let the copy finish.",
        _REBUILD,
        retryable=True,
    ),
    cause("hex-checksum", "a checksum in the hex file is wrong", "ERROR_HEX_CKSUM", _COPY_AGAIN, _REBUILD, retryable=True),
    cause("hex-syntax", "the hex file holds something that is not a hex record", "ERROR_HEX_PARSER", _COPY_AGAIN, _REBUILD, retryable=True),
    cause(
        "image-overlap",
        "the file gives two different values for the same address",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        Remedy("Merge the parts again so that they do not overlap. A bootloader and an application often do.", "a build"),
    ),
    cause(
        "image-outside-flash",
        "the file has data outside the flash of this chip",
        "ERROR_FD_INCOMPATIBLE_IMAGE",
        "Check that the file was built for this chip.",
        "Check that this drive is set up for the right target: `msdflash boards`.",
        Remedy("Correct the linker script's flash address.", "a build"),
    ),
    cause(
        "image-too-big",
        "the file is larger than the flash of this chip",
        "ERROR_FD_INCOMPATIBLE_IMAGE",
        "Check that the file was built for this chip.",
        Remedy("Build with size optimisation, or leave parts out.", "a build"),
    ),
    cause(
        "image-bad-vectors",
        "the file does not start with a vector table that fits this chip",
        "ERROR_FD_INCOMPATIBLE_IMAGE",
        "Check that the file was built for this chip.",
        "If it is meant for another address, give the base address in the drive's settings, or use a hex file.",
    ),
    cause(
        "image-wrong-chip",
        "the file was built for another chip",
        "ERROR_FD_INCOMPATIBLE_IMAGE",
        Remedy("Build the firmware for this chip.", "a build"),
    ),
    cause(
        "image-would-lock",
        "the file would lock the chip",
        "ERROR_SECURITY_BITS",
        Remedy("Take the words that set the protection out of the image.", "a build"),
    ),
    cause(
        "image-unknown-format",
        "the file is not firmware that can be flashed: it is {title}",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        "Drop the .hex or .bin file that your build made.",
        Remedy("From an ELF file: `arm-none-eabi-objcopy -O ihex firmware.elf firmware.hex`.", "a minute"),
        plain="the file is in no format that can be flashed",
    ),
    cause(
        "image-needs-base",
        "the file carries no address, and it does not belong at the start of flash",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        "Drop the hex file of the same build: it carries addresses.",
        "Or give the base address in the drive's settings.",
    ),
    cause(
        "image-huge",
        "the file is far larger than any firmware",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        "Check that this is the file that you meant to drop.",
    ),
    cause(
        "copy-altered",
        "the file changed between two looks at it",
        "ERROR_ERROR_DURING_TRANSFER",
        "Drop the file again, and let the copy finish.",
        "Copy it with another program: some copy a file in pieces and out of order.",
        retryable=True,
    ),
    cause(
        "image-uses-ram",
        "the file has data for RAM, which cannot be flashed",
        "ERROR_FD_INCOMPATIBLE_IMAGE",
        Remedy("Correct the linker script: initialised data must be loaded from flash.", "a build"),
    ),
    cause(
        "half-download",
        "the file is an unfinished download",
        "ERROR_TRANSFER_TIMEOUT",
        "Let the download finish, then drop the file under its final name.",
        retryable=True,
    ),
    cause(
        "symlink",
        "the file is a link to another place, and links are not followed",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        "Drop the real file instead of a link to it.",
    ),
    cause(
        "unreadable",
        "this computer does not let msdflash read the file",
        "ERROR_INTERNAL",
        "Give msdflash's user the right to read the file, then drop it again.",
    ),
    cause(
        "special-file",
        "this is not a regular file (a pipe, socket or device)",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        "Drop a regular .hex or .bin file.",
    ),
    cause("dropped-folder", "this is a folder, not a firmware file", "ERROR_FD_UNSUPPORTED_UPDATE", "Drop the .hex or .bin file itself."),
)
"""Causes that lie in the file; checks prove them, so they are certain."""
