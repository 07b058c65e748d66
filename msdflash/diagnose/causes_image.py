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
    cause("srec-checksum", "a checksum in the S-record file is wrong", "ERROR_HEX_CKSUM", _COPY_AGAIN, _REBUILD, retryable=True),
    cause(
        "srec-syntax",
        "the S-record file holds something that is not an S-record",
        "ERROR_HEX_PARSER",
        _COPY_AGAIN,
        _REBUILD,
        retryable=True,
    ),
    cause("uf2-damaged", "a block of the UF2 file is damaged or missing", "ERROR_HEX_PARSER", _COPY_AGAIN, _REBUILD, retryable=True),
    cause("elf-damaged", "the headers of the ELF file contradict themselves", "ERROR_HEX_PARSER", _COPY_AGAIN, _REBUILD, retryable=True),
    cause(
        "image-no-part-for-board",
        "the file holds programs for several boards, and none is known to be for this one",
        "ERROR_FD_INCOMPATIBLE_IMAGE",
        "Save or download the file for this board's version alone, and drop that.",
    ),
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
        "image-bad-boot-header",
        "the file does not start with the boot header that this chip's boot ROM wants",
        "ERROR_FD_INCOMPATIBLE_IMAGE",
        "Check that the file was built for this chip, and that it is the whole file, not the program without its boot header.",
        Remedy(
            "Build with the maker's boot header: boot2 on an RP2040, FlexSPI block on an i.MX RT, length and CRC on an LPC55.",
            "a build",
        ),
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
        Remedy(
            "If it is meant so: set `allow_locking_images = true` for this board in the configuration, then drop the file again.",
            "the chip is locked: to open it again erases it, and some chips never open again",
        ),
    ),
    cause(
        "image-sets-option-bytes",
        "the file has data for the chip's option bytes, which msdflash does not write",
        "ERROR_SECURITY_BITS",
        Remedy("Leave the option bytes out of the image, and set them with the maker's program.", "a build"),
    ),
    cause(
        "bootloader-missing",
        "the program is linked behind a boot loader or SoftDevice, and there is none in the chip",
        "ERROR_FD_INCOMPATIBLE_IMAGE",
        "Drop the boot loader or SoftDevice first, or one file that holds both.",
        Remedy("Link the program to the start of flash, if it is meant to run alone.", "a build"),
    ),
    cause(
        "softdevice-overlap",
        "the file would overwrite part of the SoftDevice that it needs",
        "ERROR_FD_INCOMPATIBLE_IMAGE",
        Remedy("Link the program behind the SoftDevice that is in the chip.", "a build"),
        Remedy("Or drop one file that holds the program and its own SoftDevice.", "replaces the SoftDevice in the chip"),
    ),
    cause(
        "softdevice-mismatch",
        "the program is linked for a longer SoftDevice than the one in the chip, which would not start it",
        "ERROR_FD_INCOMPATIBLE_IMAGE",
        Remedy("Drop the SoftDevice that the program was linked for, or one file that holds both.", "replaces the SoftDevice in the chip"),
        Remedy("Or link the program directly behind the SoftDevice that is in the chip.", "a build"),
    ),
    cause(
        "bootloader-overlap",
        "the file would overwrite part of the boot loader in the chip",
        "ERROR_FD_INCOMPATIBLE_IMAGE",
        Remedy("Make the program smaller, or correct the linker script, so that it ends before the boot loader.", "a build"),
        Remedy("Or drop one file that holds a boot loader of its own.", "replaces the boot loader in the chip"),
    ),
    cause(
        "image-unknown-format",
        "the file is not firmware that can be flashed: it is {title}",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        "Drop the firmware that your build made: .hex, .bin, .elf, .uf2 or .srec.",
        plain="the file is in no format that can be flashed",
    ),
    cause(
        "probe-firmware",
        "the file is firmware for the debug probe itself, not for the board's chip: {title}",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        "Drop your own program here.",
        "To update the probe: hold its reset button while plugging it in, and copy the file to the drive MAINTENANCE that appears.",
        plain="the file is firmware for the debug probe itself, not for the board's chip",
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
