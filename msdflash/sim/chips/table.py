"""The chips that the bench can solder on, by name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msdflash.sim.chips import kinetis, lpc17, nrf, rp2040, stm32f1, stm32f429
from msdflash.sim.chips.benchm4 import BenchM4
from msdflash.sim.chips.lpc55 import Lpc55S69
from msdflash.sim.chips.stm32f4 import Stm32F411
from msdflash.sim.chips.stm32h7 import Stm32H743
from msdflash.sim.chips.stm32l0 import Stm32L031
from msdflash.sim.chips.stm32l4 import PARTS, Stm32L4

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.soc import Chip

CHIPS: dict[str, Callable[[int], Chip]] = {
    **{name: partial(Stm32L4, part) for name, part in PARTS.items()},
    Stm32F411.name: Stm32F411,
    **{name: partial(stm32f1.Stm32F103, part) for name, part in stm32f1.PARTS.items()},
    "stm32h743xx": Stm32H743,
    **{name: partial(stm32f429.Stm32F42, name) for name in stm32f429.PARTS},
    "stm32l031x6": Stm32L031,
    **{name: partial(kinetis.Kinetis, part) for name, part in kinetis.PARTS.items()},
    lpc17.Lpc1768.name: lpc17.Lpc1768,
    Lpc55S69.name: Lpc55S69,
    **{name: partial(nrf.Nrf, part) for name, part in nrf.PARTS.items()},
    rp2040.Rp2040.name: rp2040.Rp2040,
    BenchM4.name: BenchM4,
}
"""Takes a serial number, which goes into the chip's unique id."""
