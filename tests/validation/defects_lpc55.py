"""Seeded defects of the LPC55S69: flash with error correction, boot ROM, debug mailbox."""

from __future__ import annotations

from typing import Any

from msdflash.sim.chips import lpc55, lpc55flash
from tests.validation.mutant import Mutant, after, instead

HEADERS, CONTROLLER = "test_lpc55.py::test_the_image_header_is_checked", "test_lpc55.py::test_the_controller_tells_what_may_be_read"


def _programs_again(self: lpc55flash.EccFlash, page: int, data: bytes) -> None:
    self.pages[page] = lpc55flash.WRITTEN
    self.program(page * lpc55flash.PAGE, data)


def _halts_in_the_rom(self: lpc55.Lpc55S69, *_: Any) -> None:
    if self.soc is not None:
        self.soc.core.debuggable = True


LPC55: tuple[Mutant, ...] = (
    Mutant(
        "ecc-erased-readable", "erased flash of an LPC55 reads as ones", "NXP community, AHB Read HardFault Error", CONTROLLER,
        ((lpc55flash.EccFlash, "_unreadable", instead(lambda *_: False)),),
    ),
    Mutant(
        "ecc-programmed-twice", "a page of an LPC55 that is programmed twice can be read", "bench.md, LPC55S69", CONTROLLER,
        ((lpc55flash.EccFlash, "program_page", instead(_programs_again)),),
    ),
    Mutant(
        "blank-check-blind", "the blank check of an LPC55 finds everything erased", "UM11126, as in Zephyr issue 86432", CONTROLLER,
        ((lpc55flash.EccFlash, "first_used", instead(lambda *_: None)),),
    ),
    Mutant(
        "lpc55-unlocked", "an LPC55 heeds no CC_SOCU word", "UM11126 (from memory)", "test_lpc55.py::test_debugging_can_be_shut_for_good",
        ((lpc55flash.EccFlash, "debug_allowed", lambda _: property(lambda _self: True)),),
    ),
    Mutant(
        "lpc55-never-hidden", "an LPC55 shows its processors while the boot ROM runs", "pyOCD pull request 1022",
        "test_lpc55.py::test_a_blank_part_hides_its_cores_until_the_mailbox_is_asked",
        ((lpc55.Lpc55S69, "hidden", instead(lambda _self: False)),),
    ),
    Mutant(
        "lpc55-starts-anything", "the boot ROM of an LPC55 checks no image header", "UM11126 (from memory)", HEADERS,
        ((lpc55.Lpc55S69, "bootable", instead(lambda self: self.controller.pages[0] == lpc55flash.WRITTEN)),),
    ),
    Mutant(
        "lpc55-trap-in-rom", "a trap at reset stops an LPC55 in its boot ROM", "pyOCD target_lpc5500.py",
        "test_lpc55.py::test_the_rom_starts_a_program_and_lets_debuggers_in",
        ((lpc55.Lpc55S69, "system_reset", after(_halts_in_the_rom)),),
    ),
)  # fmt: skip
"""By what they are about."""
