"""What FAIL.TXT of a DAPLink or an ST-LINK means: every error of DAPLink's table, in today's and in the older wording.

The texts come from :mod:`msdflash.diagnose.daplink`. The causes were found in public threads (named in each row) or follow from where
DAPLink ca1bfb28 raises the error (``source/daplink/drag-n-drop``, ``source/daplink/interface/target_flash.c``).
"""

from __future__ import annotations

from msdflash.diagnose.daplink import ERRORS, DaplinkError
from msdflash.diagnose.foreign import Saying

DRIVE = "drive of a DAPLink or ST-LINK (FAIL.TXT)"

_SILENT = ("no-target-power", "swd-open", "swd-swapped")
_COPY = "https://github.com/ARMmbed/DAPLink/issues/1025"
_OWN_ALGORITHM = "the probe's own flash algorithm does not fit the board: another build of its firmware cured it"
_UPDATE = ("probe-firmware",)
_RETRY_TEXT = "It comes from the way in which the computer wrote the file, not from the board. A folder of msdflash is not affected."

_KNOWN: dict[str, tuple[tuple[str, ...], str, tuple[str, ...], tuple[str, ...]]] = {
    "ERROR_FAILURE": ((), "The probe's firmware was built without a target.", ("a probe firmware that is made for no board",), ()),
    "ERROR_INTERNAL": (
        ("image-outside-flash",),
        "The drive's ASSERT.TXT, if there is one, names a file and a line of the probe's firmware.",
        ("records of the hex file in falling order of address, with older DAPLink firmware",),
        ("https://github.com/ARMmbed/DAPLink/issues/506", "https://github.com/ARMmbed/DAPLink/issues/951"),
    ),
    "ERROR_ERROR_DURING_TRANSFER": (
        ("copy-altered",),
        "The file shrank, moved or changed its kind while it was copied. " + _RETRY_TEXT,
        ("two files dropped at once",),
        ("DAPLink vfs_manager.c lines 597-679",),
    ),
    "ERROR_TRANSFER_TIMEOUT": (
        ("image-bad-vectors", "image-needs-base", "image-unknown-format", "half-download", "image-truncated", "copy-altered"),
        "It seldom has to do with time: the probe did not recognise the file, or never saw its end.",
        ("a file name without an extension", "a computer that writes the file in pieces and out of order"),
        (
            "https://github.com/ARMmbed/DAPLink/issues/667",
            "https://github.com/ARMmbed/DAPLink/issues/729",
            "https://github.com/ARMmbed/DAPLink/issues/492",
            "https://github.com/ARMmbed/DAPLink/issues/838",
        ),
    ),
    "ERROR_FILE_BOUNDS": (("copy-altered", "image-truncated"), _RETRY_TEXT, (), ()),
    "ERROR_OOO_SECTOR": (
        ("copy-altered",),
        _RETRY_TEXT,
        ("Windows updates of February 2023 and later", "a folder that the system makes on the drive in the middle of the copy"),
        ("https://github.com/ARMmbed/DAPLink/issues/1032", "https://github.com/ARMmbed/DAPLink/pull/286"),
    ),
    "ERROR_RESET": (
        (
            "held-in-reset",
            *_SILENT,
            "asleep",
            "debug-off",
            "reset-loop",
            "rdp1",
            "nrf-approtect",
            "kinetis-security",
            "wrong-target",
        ),
        "One text for no power, no wire, a held reset line, a sleeping or locked chip.",
        (_OWN_ALGORITHM,),
        ("https://github.com/ARMmbed/DAPLink/issues/467", "https://github.com/pyocd/pyOCD/issues/808"),
    ),
    "ERROR_ALGO_DL": (
        ("held-in-reset", "ram-unclocked", "ram-lost", "ram-smaller", "ram-bad", "wrong-target", "link-noise", "bus-fault"),
        "The chip was found, but its RAM does not take the algorithm. In a public case nRESET was tied low by a rotated switch.",
        (),
        ("https://community.st.com/t5/stm32-mcus-boards-and-hardware/stlink-detects-mcu-but-fails-to-flash/m-p/183667",),
    ),
    "ERROR_ALGO_MISSING": (("image-outside-flash", "wrong-target"), "", (), ("DAPLink target_flash.c lines 133-137",)),
    "ERROR_ALGO_DATA_SEQ": (
        ("data-corrupted-on-the-way", "link-noise", "ram-smaller", "target-lost"),
        "The same text stands for a failed write to RAM and for a failed read-back.",
        (),
        ("DAPLink target_flash.c lines 236-279",),
    ),
    "ERROR_INIT": (
        ("wrong-target", "algo-init-failed", "algo-faulted", "ram-smaller"),
        "",
        (_OWN_ALGORITHM, "another external flash chip than the probe's firmware was built for"),
        ("https://github.com/ARMmbed/DAPLink/issues/916", "https://github.com/ARMmbed/DAPLink/issues/704"),
    ),
    "ERROR_UNINIT": (("algo-faulted", "wrong-target"), "", (_OWN_ALGORITHM,), ()),
    "ERROR_SECURITY_BITS": (("image-would-lock",), "The probe may have erased the chip before it refused.", (), ()),
    "ERROR_UNLOCK": (("rdp1", "nrf-approtect", "kinetis-security", "debug-locked", "rdp2"), "", (), ()),
    "ERROR_ERASE_SECTOR": (
        ("write-protected-sector", "algo-timeout-flash-busy", "algo-reset", "wrong-target", "erase-failed"),
        "",
        (),
        ("DAPLink target_flash.c lines 315-327",),
    ),
    "ERROR_ERASE_ALL": (("write-protected-sector", "rdp1", "algo-timeout-flash-busy", "erase-failed"), "", (), ()),
    "ERROR_WRITE": (
        ("program-failed", "write-protected-sector", "wrong-target", "target-voltage-low", "flash-worn"),
        "",
        (_OWN_ALGORITHM, "an LPC chip, whose checksum word the algorithm changes, checked byte for byte"),
        ("https://github.com/ARMmbed/DAPLink/issues/454", "https://github.com/ARMmbed/DAPLink/issues/346"),
    ),
    "ERROR_WRITE_VERIFY": (
        ("program-mismatch", "erase-ineffective", "program-ineffective", "flash-worn", "verify-misread", "write-protected-sector"),
        "",
        ("a hex file with records of 32 bytes, with the micro:bit V2.20's factory firmware",),
        ("https://github.com/ARMmbed/DAPLink/pull/936",),
    ),
    "ERROR_HEX_CKSUM": (
        ("hex-checksum", "hex-syntax", "copy-altered"),
        "If the same file is right on the computer's disk, the copy went wrong: that has happened since the Windows updates of 2023.",
        (),
        (_COPY, "https://support.microbit.org/support/solutions/articles/19000145576"),
    ),
    "ERROR_HEX_PARSER": (("hex-syntax", "copy-altered"), "", (), (_COPY,)),
    "ERROR_HEX_PROGRAM": (("image-outside-flash", "hex-syntax"), "", (), ()),
    "ERROR_HEX_INVALID_ADDRESS": (("probe-firmware", "image-wrong-chip"), "", (), ()),
    "ERROR_HEX_INVALID_APP_OFFSET": (("image-outside-flash", "bootloader-missing"), "", (), ()),
    "ERROR_FD_BL_UPDT_ADDR_WRONG": (_UPDATE, "", (), ()),
    "ERROR_FD_INTF_UPDT_ADDR_WRONG": (_UPDATE, "The drive is in MAINTENANCE mode; replug it without holding its button.", (), ()),
    "ERROR_FD_UNSUPPORTED_UPDATE": (
        ("probe-firmware", "image-unknown-format", "image-bad-vectors"),
        "The commonest case on a micro:bit (528): firmware for the interface chip, dropped on the ordinary drive.",
        (),
        ("https://github.com/ARMmbed/DAPLink/issues/684",),
    ),
    "ERROR_FD_INCOMPATIBLE_IMAGE": (
        ("image-wrong-chip", "image-no-part-for-board", "image-outside-flash"),
        "",
        (),
        ("https://github.com/microsoft/pxt-microbit/issues/5231", "https://github.com/yokobond/scratch-microbit-more/issues/3"),
    ),
    "ERROR_IAP_OUT_OF_BOUNDS": (_UPDATE, "", (), ("https://github.com/ARMmbed/DAPLink/issues/684",)),
    "ERROR_IAP_UPDT_INCOMPLETE": (
        ("image-truncated", "image-empty", "image-no-part-for-board", "probe-firmware"),
        "It also comes for a program of fewer than 48 bytes in one piece.",
        (),
        ("DAPLink flash_decoder.c lines 374-378",),
    ),
    "ERROR_BL_UPDT_BAD_CRC": (("image-truncated", "copy-altered"), "It speaks of an update of the probe's boot loader.", (), ()),
}
"""Error name -> causes, note, causes beyond the catalogue, sources."""

_IAP = "It speaks of the probe's own flash: an update of its firmware, not of your program."


def _rows(error: DaplinkError) -> list[Saying]:
    causes, note, beyond, source = _KNOWN.get(error.name, ((), "", (), ()))
    if error.name not in _KNOWN:
        causes, note = ("probe-firmware",), _IAP if error.name.startswith("ERROR_IAP") else ""
    texts = [text.rstrip(".") for text in (error.text, error.old_text) if text]  # ST-LINKs leave the full stop out
    if error.name == "ERROR_WRITE":
        texts.append(error.text[:-1])  # some firmware cuts it, https://github.com/ARMmbed/DAPLink/issues/346
    source = (*source, f"DAPLink ca1bfb28 source/daplink/error.c, {error.name}")
    rows = [Saying(DRIVE, text, causes, note, beyond, source) for text in texts]
    return [*rows, Saying(DRIVE, error.name, causes, note, beyond, source)]


_NEVER_SHOWN = frozenset({"ERROR_SUCCESS", "ERROR_SUCCESS_DONE", "ERROR_SUCCESS_DONE_OR_CONTINUE", "ERROR_IAP_NO_INTERCEPT"})

DRIVE_SAYINGS: tuple[Saying, ...] = tuple(row for error in ERRORS.values() if error.name not in _NEVER_SHOWN for row in _rows(error))
"""Every text that a FAIL.TXT can hold, and the names of the errors in DAPLink's source."""


def by_number(text: str) -> str:
    """The error's text where ``text`` is the number that a micro:bit shows on its display (500 and the error's number), else ""."""
    word = text.strip().lower().removeprefix("error").removeprefix("code").strip(" :#")
    if not (word.isascii() and word.isdigit() and len(word) == 3):
        return ""
    return next((error.text for error in ERRORS.values() if error.number == int(word) - 500 and error.name not in _NEVER_SHOWN), "")
