"""DAPLink's errors: the strings and types that tools on the reading side of FAIL.TXT parse, letter for letter.

Source: ARMmbed/DAPLink at commit ca1bfb28, ``source/daplink/error.h`` lines 33-97 (numbers, type bits) and ``error.c`` lines 28-236 (texts,
types); texts before commit 3afef212 of 2019-11-23 from its parent. These strings are an interface, not prose.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class ErrorType(StrEnum):
    """DAPLink's type words, in the order in which it prints them (``vfs_user.c`` line 397)."""

    INTERNAL = "internal"
    TRANSIENT = "transient"
    USER = "user"
    TARGET = "target"
    INTERFACE = "interface"


class DaplinkError(msgspec.Struct, frozen=True):
    """One row of DAPLink's error table.

    Attributes:
        number: value of the enum; a micro:bit shows 500 plus this number.
        name: the enum's name.
        text: what FAIL.TXT says today ("" for flow values that are never shown).
        types: type words, in print order.
        old_text: what firmware before 2019-11-23 said, where that was different; readers in use still look for it.
    """

    number: int
    name: str
    text: str
    types: tuple[ErrorType, ...]
    old_text: str | None = None

    @property
    def type_line(self) -> str:
        """The types as FAIL.TXT prints them: ``transient, user``."""
        return ", ".join(self.types)


_INTERNAL = (ErrorType.INTERNAL,)
_TRANSIENT = (ErrorType.TRANSIENT,)
_RETRY = (ErrorType.TRANSIENT, ErrorType.USER)
_USER = (ErrorType.USER,)
_TARGET = (ErrorType.TARGET,)
_INTERFACE = (ErrorType.INTERFACE,)

_ROWS: tuple[tuple[str, str, tuple[ErrorType, ...], str | None], ...] = (
    ("ERROR_SUCCESS", "Operation was successful", (), None),
    ("ERROR_FAILURE", "An error has occurred", _INTERNAL, None),
    ("ERROR_INTERNAL", "An internal error has occurred", _INTERNAL, None),
    ("ERROR_ERROR_DURING_TRANSFER", "An error occurred during the transfer", _TRANSIENT, None),
    ("ERROR_TRANSFER_TIMEOUT", "The transfer timed out.", _RETRY, None),
    ("ERROR_FILE_BOUNDS", "Possible mismatch between file size and size programmed", _TRANSIENT, None),
    ("ERROR_OOO_SECTOR", "File sent out of order by PC. Target might not be programmed correctly.", _TRANSIENT, None),
    ("ERROR_RESET", "Failed to reset/halt the target MCU", _TARGET, "The interface firmware FAILED to reset/halt the target MCU"),
    (
        "ERROR_ALGO_DL",
        "Failed to download flash algorithm to target MCU",
        _TARGET,
        "The interface firmware FAILED to download the flash programming algorithms to the target MCU",
    ),
    ("ERROR_ALGO_MISSING", "Flash algorithm missing for a region", _TARGET, "The flash algo missing for a region"),
    (
        "ERROR_ALGO_DATA_SEQ",
        "Failed to download the flash data contents to be programmed",
        _TARGET,
        "The interface firmware FAILED to download the flash data contents to be programmed",
    ),
    ("ERROR_INIT", "Failed to initialize the target MCU", _TARGET, "The interface firmware FAILED to initialize the target MCU"),
    ("ERROR_UNINIT", "Failed to uninitialize the target MCU", _TARGET, "The interface firmware FAILED to uninitialize the target MCU"),
    (
        "ERROR_SECURITY_BITS",
        "Programming aborted: image would lock target MCU",
        _USER,
        "The interface firmware ABORTED programming. Image is trying to set security bits",
    ),
    (
        "ERROR_UNLOCK",
        "Failed to unlock target MCU for programming",
        _TARGET,
        "The interface firmware FAILED to unlock the target for programming",
    ),
    ("ERROR_ERASE_SECTOR", "Flash algorithm erase sector command FAILURE", _TARGET, None),
    ("ERROR_ERASE_ALL", "Flash algorithm erase all command FAILURE", _TARGET, None),
    ("ERROR_WRITE", "Flash algorithm write command FAILURE", _TARGET, None),
    ("ERROR_WRITE_VERIFY", "Flash algorithm write verify command FAILURE", _TARGET, None),
    ("ERROR_SUCCESS_DONE", "End of stream has been reached", _INTERNAL, None),
    ("ERROR_SUCCESS_DONE_OR_CONTINUE", "End of stream is unknown", _INTERNAL, None),
    ("ERROR_HEX_CKSUM", "The hex file cannot be decoded. Checksum calculation failure occurred.", _RETRY, None),
    ("ERROR_HEX_PARSER", "The hex file cannot be decoded. Parser logic failure occurred.", _RETRY, None),
    ("ERROR_HEX_PROGRAM", "The hex file cannot be programmed. Logic failure occurred.", _RETRY, None),
    (
        "ERROR_HEX_INVALID_ADDRESS",
        "The hex file you dropped isn't compatible with this mode or device. Are you in MAINTENANCE mode? See HELP FAQ.HTM",
        _USER,
        None,
    ),
    ("ERROR_HEX_INVALID_APP_OFFSET", "The hex file offset load address is not correct.", _USER, None),
    ("ERROR_FD_BL_UPDT_ADDR_WRONG", "The starting address for the bootloader update is wrong.", _USER, None),
    ("ERROR_FD_INTF_UPDT_ADDR_WRONG", "The starting address for the interface update is wrong.", _USER, None),
    ("ERROR_FD_UNSUPPORTED_UPDATE", "The application file format is unknown and cannot be parsed and/or processed.", _USER, None),
    ("ERROR_FD_INCOMPATIBLE_IMAGE", "The application image is not compatible with the target.", _USER, None),
    ("ERROR_IAP_INIT", "In application programming initialization failed.", _INTERFACE, None),
    ("ERROR_IAP_UNINIT", "In application programming uninit failed.", _INTERFACE, None),
    ("ERROR_IAP_WRITE", "In application programming write failed.", _INTERFACE, None),
    ("ERROR_IAP_ERASE_SECTOR", "In application programming sector erase failed.", _INTERFACE, None),
    ("ERROR_IAP_ERASE_ALL", "In application programming mass erase failed.", _INTERFACE, None),
    ("ERROR_IAP_OUT_OF_BOUNDS", "In application programming aborted due to an out of bounds address.", _INTERFACE, None),
    ("ERROR_IAP_UPDT_NOT_SUPPORTED", "In application programming not supported on this device.", _INTERFACE, None),
    ("ERROR_IAP_UPDT_INCOMPLETE", "In application programming failed because the update sent was incomplete.", _INTERFACE, None),
    ("ERROR_IAP_NO_INTERCEPT", "", _INTERFACE, None),
    ("ERROR_BL_UPDT_BAD_CRC", "The bootloader CRC did not pass.", _INTERFACE, None),
)

ERRORS: dict[str, DaplinkError] = {
    name: DaplinkError(number, name, text, types, old) for number, (name, text, types, old) in enumerate(_ROWS)
}
"""Every DAPLink error by enum name."""

SENTENCES: tuple[str, ...] = tuple(
    sorted({text for error in ERRORS.values() for text in (error.text, error.old_text) if text}, key=lambda text: (-len(text), text))
)
"""Every sentence that a reader may search for, old and new, longest first. A FAIL.TXT holds exactly one of them."""
