"""The whole catalogue of causes, by id."""

from __future__ import annotations

from msdflash.diagnose.cause import Cause
from msdflash.diagnose.causes_board import BOARD_CAUSES
from msdflash.diagnose.causes_chip import CHIP_CAUSES
from msdflash.diagnose.causes_drive import DRIVE_CAUSES
from msdflash.diagnose.causes_host import HOST_CAUSES
from msdflash.diagnose.causes_image import IMAGE_CAUSES
from msdflash.diagnose.causes_program import PROGRAM_CAUSES

AREAS: dict[str, tuple[Cause, ...]] = {
    "Computer, USB, probe, engine": HOST_CAUSES,
    "The file": IMAGE_CAUSES,
    "Action files": DRIVE_CAUSES,
    "Power, wires, reset": BOARD_CAUSES,
    "The program in the chip, and what resets it": PROGRAM_CAUSES,
    "The chip": CHIP_CAUSES,
}
"""The catalogue in the order of its documentation."""

CATALOGUE: dict[str, Cause] = {entry.id: entry for area in AREAS.values() for entry in area}
"""Every cause by id."""

UNEXPLAINED = "unexplained"
"""Id of the cause that admits that nothing fits."""
