"""Action and configuration files: the only switches that a drop can set, each known by its name alone.

Names and their meaning on a DAPLink: ARMmbed/DAPLink ca1bfb28 ``source/daplink/drag-n-drop/vfs_user.c`` lines 84-101 and 216-273. Names
match whatever their case; what is inside does not count, except for the order to unlock.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

LONGEST = 4096
"""Bytes of an action file; a longer one is no action file, whatever its name."""

ORDER_LASTS = 60.0
"""Seconds after its writing in which an order to destroy is carried out."""


class Does(StrEnum):
    """What an action file makes us do."""

    REMOUNT = "remount"  # only what each of them does: everything dropped is gone, FAIL.TXT vanishes, the count grows
    SWITCH = "switch"
    ERASE = "erase"
    UNLOCK = "unlock"
    NOTHING = "nothing"  # a DAPLink can, this drive cannot


class Switches(msgspec.Struct, frozen=True):
    """A board's switches, as DETAILS.TXT prints them. They stay until they are set anew.

    Attributes:
        auto_reset: the program is started after flashing; else the core is left halted at its first instruction.
        automation: action files other than AUTO_ON.CFG are obeyed.
        overflow, incompatible, page_erase: told, and without meaning here: there is no serial port, images are always
            checked against the chip, and only sectors that differ are erased.
    """

    auto_reset: bool = True
    automation: bool = True
    overflow: bool = False
    incompatible: bool = True
    page_erase: bool = True


class ActionFile(msgspec.Struct, frozen=True):
    """One row of the table.

    Attributes:
        name: as on a DAPLink, upper case.
        policy: the word by which the configuration allows it.
        does: what it makes us do.
        switch: field of :class:`Switches` and the value it gets.
        means: what it does, as a sentence for documentation and reports.
    """

    name: str
    policy: str
    does: Does
    means: str
    switch: tuple[str, bool] | None = None


def _switch(name: str, policy: str, field: str, value: bool, means: str) -> ActionFile:
    return ActionFile(name, policy, Does.SWITCH, means, (field, value))


ACTIONS: tuple[ActionFile, ...] = (
    ActionFile("REFRESH.ACT", "refresh", Does.REMOUNT, "writes the drive's files anew and takes FAIL.TXT away"),
    _switch("AUTO_RST.CFG", "auto-reset", "auto_reset", True, "starts the program after flashing"),
    _switch("HARD_RST.CFG", "auto-reset", "auto_reset", False, "leaves the core halted after flashing"),
    _switch("AUTO_ON.CFG", "automation", "automation", True, "lets action files be obeyed"),
    _switch("AUTO_OFF.CFG", "automation", "automation", False, "lets no action file be obeyed but AUTO_ON.CFG"),
    _switch("OVFL_ON.CFG", "overflow", "overflow", True, "is shown in DETAILS.TXT; there is no serial port here"),
    _switch("OVFL_OFF.CFG", "overflow", "overflow", False, "is shown in DETAILS.TXT; there is no serial port here"),
    _switch("COMP_ON.CFG", "compatible", "incompatible", True, "is shown in DETAILS.TXT; images are always checked here"),
    _switch("COMP_OFF.CFG", "compatible", "incompatible", False, "is shown in DETAILS.TXT; images are always checked here"),
    _switch("PAGE_ON.ACT", "page-erase", "page_erase", True, "is shown in DETAILS.TXT; only sectors that differ are erased here"),
    _switch("PAGE_OFF.ACT", "page-erase", "page_erase", False, "is shown in DETAILS.TXT; only sectors that differ are erased here"),
    ActionFile("ERASE.ACT", "erase", Does.ERASE, "erases the whole flash, and proves it by reading"),
    ActionFile("UNLOCK.ACT", "unlock", Does.UNLOCK, "removes the chip's read-out protection, which erases all of it"),
    ActionFile("MSD_ON.CFG", "", Does.NOTHING, "would switch the drive on; this one is always on"),
    ActionFile("MSD_OFF.CFG", "", Does.NOTHING, "would switch the drive off; stop msdflash instead"),
    ActionFile("START_BL.ACT", "", Does.NOTHING, "would start the probe's boot loader; use its maker's tool"),
    ActionFile("START_IF.ACT", "", Does.NOTHING, "would start the probe's firmware; it is running"),
    ActionFile("ASSERT.ACT", "", Does.NOTHING, "would make a DAPLink's firmware fail on purpose"),
)
"""Every name that is an action and no image."""

BY_NAME: dict[str, ActionFile] = {row.name: row for row in ACTIONS}
POLICIES: tuple[str, ...] = tuple(dict.fromkeys(row.policy for row in ACTIONS if row.policy))
"""Words that a configuration may allow."""

HARMLESS: tuple[str, ...] = tuple(word for word in POLICIES if word not in ("erase", "unlock"))
"""Allowed where the configuration says nothing."""


def action_of(name: str) -> ActionFile | None:
    """The action that a file's name stands for, or None for a drop like any other."""
    return BY_NAME.get(name.upper()) if name.isascii() else None


def order_names(data: bytes) -> tuple[str, ...]:
    """The serials that an order to unlock names: lines ``serial: WORD``, in any case, as an editor of any system writes them."""
    text = data[:LONGEST].decode("utf-8-sig", "replace")
    return tuple(re.findall(r"(?im)^[ \t]*serial[ \t]*[:=][ \t]*(\S{1,200})[ \t]*\r?$", text))
