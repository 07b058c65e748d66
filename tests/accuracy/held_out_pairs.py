"""Held-out ideas with two things wrong at once: ``true`` is what stands in the way first, ``also`` the other."""

from __future__ import annotations

import random

from msdflash.sim.contents import base
from tests.accuracy.held_out_draw import (
    ALL,
    F1,
    F4,
    HELD,
    L0,
    L4,
    READS_RESET,
    ST,
    any_probe,
    resetting_probe,
    scene,
    sector_of_image,
)
from tests.accuracy.play import Scene


def locked_and_protected(rng: random.Random) -> Scene:
    """Level 1 comes first: nothing is erased in it. The sector would be refused as well."""
    board = rng.choice((*L4, *F4, *L0))
    faults = ("rdp1", f"write-protect:{sector_of_image(rng, board)}")
    return scene(rng, board, any_probe(rng, board), ("rdp1",), *faults, also=("write-protected-sector",))


def asleep_and_locked(rng: random.Random) -> Scene:
    """A sleeper that is locked: awake under reset, its flash is still shut."""
    board = rng.choice((*L4, *F4))
    before, also = rng.choice((("wfi", ("asleep",)), ("standby", ("deep-sleep",)), ("pins-taken", ("swd-pins-taken", "debug-off"))))
    return scene(rng, board, resetting_probe(rng, board), ("rdp1",), "rdp1", before=before, also=also, twin=also[0])


def slow_supervisor_and_locked(rng: random.Random) -> Scene:
    """The line rises late but rises; the lock stays."""
    board = rng.choice((*L4, *F1))
    also = ("reset-released-late",)
    return scene(
        rng, board, resetting_probe(rng, board), ("rdp1",), "rdp1", f"reset-late:{rng.choice((200, 600))}", also=also, twin=also[0]
    )


def noise_and_worn_cell(rng: random.Random) -> Scene:
    """The link can be made clean with a slower clock, the cell cannot. Either may be met first."""
    board = rng.choice((*L4, *F4))
    at = base(board) + rng.choice((0x208, 0x610))
    faults = (f"bad-cell:{at:#x}", f"noise:0.003:{rng.randrange(1, 10_000)}")
    also = ("data-corrupted-on-the-way", "algo-download-corrupt", "verify-misread")
    return scene(rng, board, any_probe(rng, board), ("flash-worn", "link-noise"), *faults, also=also)


def busy_flash_and_watchdog(rng: random.Random) -> Scene:
    """A flash that never ends, and a watchdog that an option byte starts: frozen only while the core is halted (RM0351 48.16.2), it
    may bite in the middle of the endless wait. Both names are right."""
    board = rng.choice(L4)
    true, also = ("algo-timeout-flash-busy", "watchdog"), ("algo-reset", "reset-loop")
    return scene(rng, board, any_probe(rng, board), true, "flash-busy", "watchdog-on", also=also)


def held_and_unplugged(rng: random.Random) -> Scene:
    """The cable goes before the reset line can matter; both are true."""
    return scene(rng, rng.choice(L4), rng.choice(READS_RESET), ("probe-vanished", "no-probe"), "reset-held", "unplug-after:30", also=HELD)


def held_and_wire_open(rng: random.Random) -> Scene:
    """No access at all: the wire comes first. That nRESET is low is to be seen, and could as well be missing power."""
    true, also = ("swd-open",), HELD
    return scene(
        rng, rng.choice(ST), rng.choice(READS_RESET), true, "swd-open", "reset-held", also=also, unknowable=True, twin="no-target-power"
    )


def no_power_and_busy_probe(rng: random.Random) -> Scene:
    """Nothing can be said about the board while another program has the probe."""
    board = rng.choice(ALL[:8])
    return scene(rng, board, rng.choice(READS_RESET), ("probe-busy",), "busy", "no-power", also=("no-target-power",))


IDEAS = (
    locked_and_protected,
    asleep_and_locked,
    slow_supervisor_and_locked,
    noise_and_worn_cell,
    busy_flash_and_watchdog,
    held_and_unplugged,
    held_and_wire_open,
    no_power_and_busy_probe,
)
