"""The copper between probe and chip: the supply rail and the nRESET line with everything that drives it.

nRESET is a wired-OR of open-drain drivers with a pull-up; a short to ground also wins over a probe that drives high push-pull.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msdflash.sim.port import Drive

if TYPE_CHECKING:
    from collections.abc import Callable

RAIL_VOLTS = 3.3  # NUCLEO boards run their target from a 3.3 V regulator (UM1724, power supply section)


class Wires:
    """Supply and reset wiring of one board.

    Attributes:
        powered: the supply rail is up.
        probe: what the probe's nRESET driver was told to do.
        grounded: nRESET is shorted to ground on the board.
        probe_stuck: the probe's own driver pulls low, whatever it is told.
        nreset_open: the probe's nRESET wire is not connected; it sees and drives its own end.
        swdio_low: the probe holds SWDIO low, which is the reset pin of this chip.
        rail: voltage of the supply rail when it is up.
        pending: only the supervisor holds the line, so that it may rise by itself.
        supervisor_seconds: a reset supervisor holds nRESET low this long after every low (0: no supervisor).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.powered = True
        self.probe = Drive.FLOAT
        self.grounded = False
        self.probe_stuck = False
        self.nreset_open = False
        self.swdio_low = False
        self.rail = RAIL_VOLTS
        self.supervisor_seconds = 0.0
        self.on_reset: Callable[[bool], None] | None = None
        self._clock = clock
        self._held_until = 0.0
        self._sources_low = False
        self._level = True
        self.pending = False

    @property
    def level(self) -> bool:
        """Level of nRESET now: True is high."""
        self.update()
        return self._level

    @property
    def volts(self) -> float:
        """Voltage of the supply rail."""
        return self.rail if self.powered else 0.0

    @property
    def _pulled(self) -> bool:
        return self.probe is Drive.LOW or self.probe_stuck

    @property
    def seen(self) -> bool:
        """What the probe reads on its nRESET pin."""
        return not self._pulled if self.nreset_open else self.level

    def update(self) -> None:
        """Work out the level anew; tell the chip when it changed."""
        low = not self.powered or self.grounded or self.swdio_low or (self._pulled and not self.nreset_open)
        if low:
            self._sources_low = True
        elif self._sources_low:
            self._sources_low = False
            self._held_until = self._clock() + self.supervisor_seconds
        level = not low and (self.supervisor_seconds <= 0 or self._clock() >= self._held_until)
        self.pending = not level and not self._sources_low
        if level != self._level:
            self._level = level
            if self.on_reset is not None:
                self.on_reset(level)

    def pulse(self) -> None:
        """The chip pulled its own reset pad low for a moment, as STM32 do on every internal reset (at least 20 us)."""
        if self.supervisor_seconds > 0 and self._level:
            self._held_until = self._clock() + self.supervisor_seconds
            self.update()

    def drive(self, how: Drive) -> None:
        """The probe drives nRESET from now on."""
        self.probe = how
        self.update()
