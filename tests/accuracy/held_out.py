"""The held-out set: scenes written from manuals, field cases and the bench's documentation by somebody who had not seen the rules.

It judges the diagnosis and is not to be tuned to it. Where a scene turns out to contradict a manual or the bench, mend its truth and say
why in its docstring; never change one because the answer differs. ``IDEAS`` is what :func:`tests.accuracy.play.drawn` takes.

The ideas stand in ``held_out_wires`` (supply, wires, nRESET, probes, USB), ``held_out_chip`` (locks, flash, RAM, wrong chips),
``held_out_program``, ``held_out_pairs`` (two things at once) and ``held_out_images`` (files, and boards with nothing wrong);
``held_out_second`` has those written later, in place of ideas that were used up. What they share: ``held_out_draw``, ``held_out_files``.
"""

from __future__ import annotations

from tests.accuracy import (
    held_out_chip,
    held_out_files,
    held_out_images,
    held_out_pairs,
    held_out_program,
    held_out_second,
    held_out_wires,
)
from tests.accuracy.play import Draw

__all__ = ["IDEAS", "held_out_files"]

IDEAS: tuple[Draw, ...] = (
    *held_out_wires.IDEAS,
    *held_out_chip.IDEAS,
    *held_out_program.IDEAS,
    *held_out_pairs.IDEAS,
    *held_out_images.IDEAS,
    *held_out_second.IDEAS,
)
"""One function each. What failed once was moved to the open set and replaced; figures are of the draws since."""
