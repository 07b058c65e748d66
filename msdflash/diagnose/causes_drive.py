"""Causes of an action file that is not obeyed."""

from __future__ import annotations

from msdflash.diagnose.cause import Cause, Remedy, cause

_CONFIGURE = "Whoever runs msdflash can allow it for this board in the configuration file; `docs/drive.md` names the key."
_WRITE_NEW = "Write the file anew and drop it within a minute."

DRIVE_CAUSES: tuple[Cause, ...] = (
    cause(
        "action-not-allowed",
        "the action file {file} is not allowed on this drive",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        _CONFIGURE,
        plain="this action file is not allowed on this drive",
    ),
    cause(
        "action-automation-off",
        "action files are switched off on this drive, so {file} was not obeyed",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        "Drop an empty file called AUTO_ON.CFG, then the action file again.",
        plain="action files are switched off on this drive",
    ),
    cause(
        "action-expired",
        "the order {file} is {age} s old; it would have been carried out within {limit} s of its writing",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        _WRITE_NEW,
        "If it was just written: look at this computer's clock.",
        plain="the order in the action file is too old",
    ),
    cause(
        "action-other-board",
        "the order names {named}, and this is board {serial}",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        "Write one line into the file, `serial:` and this board's number, then drop it again.",
        plain="the order in the action file does not name this board",
    ),
    cause(
        "action-used",
        "the order {file} was begun and cut off, and is not carried out twice",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        "Drop a firmware file: what comes back tells in what state the chip is.",
        Remedy(_WRITE_NEW, "what the order destroys"),
        plain="the order was begun before and is not carried out twice",
    ),
    cause(
        "action-not-here",
        "this drive has no use for {file}",
        "ERROR_FD_UNSUPPORTED_UPDATE",
        "Nothing is wrong. The file was put aside.",
        plain="this drive has no use for this action file",
    ),
)
