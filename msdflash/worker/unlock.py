"""Removing read-out protection, on the user's order by name and never otherwise."""

from __future__ import annotations

import contextlib
import time

from msdflash.chips.unlock import RECIPES, Move, Op, Recipe
from msdflash.job.readings import latest
from msdflash.job.steps import Step
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.raw import RawTarget
from msdflash.worker.trouble import classify

_GRACE = 10.0
_POLL = 0.02


def recipe_for(channel: Channel) -> tuple[str, Recipe | None]:
    """The family that the measurements name, by its own access port or its registers, and its recipe."""
    readings = tuple(channel.readings)
    family = latest(readings, "lock.family") or latest(readings, "chip.family") or ""
    return family, RECIPES.get(family)


def carry_out(channel: Channel, raw: RawTarget) -> None:
    """Unlock the chip that was found locked by two readings. Everything on it is gone afterwards, and it has been reset.

    Raises:
        StepFailed: ``locked`` where it cannot be done from here, ``unlock`` where the chip did not do it.
        Exception: whatever the probe raises.
    """
    family, recipe = recipe_for(channel)
    if recipe is None:
        raise StepFailed("locked", f"the order to unlock cannot be carried out: no way is known for {family or 'this chip'}")
    if raw.managed and any(move.op in (Op.AP_WRITE, Op.AP_WAIT) for move in recipe.moves):
        raise StepFailed("locked", "the order to unlock cannot be carried out: an ST-LINK does not reach the maker's access port")
    channel.begin(Step.ERASE, recipe.seconds + _GRACE)
    channel.measure("lock.ordered", {"family": family, "destroys": recipe.destroys})
    # Told before it happens, so that no report says too little: from here on the old content may be gone.
    channel.touch(unlocked=True, reset=True, halted=True, state="unknown")
    for move in recipe.moves:
        _make(raw, move, recipe.port)


def _make(raw: RawTarget, move: Move, port: int) -> None:
    match move.op:
        case Op.WRITE:
            raw.write32(move.where, move.value)
        case Op.WRITE16:
            raw.write16(move.where, move.value)
        case Op.CHANGE:
            raw.write32(move.where, raw.read32(move.where) & ~move.mask | move.value)
        case Op.AP_WRITE:
            raw.write_ap(move.where, move.value, port)
        case Op.LAUNCH:
            with contextlib.suppress(Exception):  # the reset may take the acknowledge of this very write with it
                raw.write32(move.where, move.value)
        case Op.WAIT | Op.AP_WAIT:
            _wait(raw, move, port)


def _wait(raw: RawTarget, move: Move, port: int) -> None:
    end = time.monotonic() + move.seconds
    while True:
        try:
            word = raw.read_ap(move.where, port) if move.op is Op.AP_WAIT else raw.read32(move.where)
        except Exception as error:
            # A chip that erases itself may refuse the bus for that long; a probe that fails is another matter.
            if classify(error).kind == "usb":
                raise
            raw.clear_sticky()
            word = None
        if word is not None and word & move.mask == move.value:
            return
        if time.monotonic() >= end:
            seen = "nothing" if word is None else f"0x{word:08X}"
            raise StepFailed("unlock", f"the chip did not unlock: {move.op} at 0x{move.where:X} showed {seen} after {move.seconds:g} s")
        time.sleep(_POLL)
