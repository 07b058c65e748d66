"""The bench's way into a stock pyOCD: an entry point that pyOCD loads and that does nothing unless it is asked to.

With ``MSDFLASH_SIM_BUS`` naming a bus folder, the simulated devices stand beside the real ones (``MSDFLASH_SIM_ONLY=1``: instead of
them). Without it nothing is imported and nothing changes. No probe class is ever added: pyOCD's own drivers find the devices.

pyOCD loads this while it is being imported itself; whoever wants it otherwise imports ``pyocd`` first.
"""

from __future__ import annotations

import os
from typing import Any

from pyocd.core.plugin import Plugin


class SimulatedUsb(Plugin):  # type: ignore[misc]  # pyOCD is not checked here
    """Entry point of the group ``pyocd.probe``."""

    def should_load(self) -> bool:
        """Install the backend if the variable asks for it; never load a probe class."""
        bus = os.environ.get("MSDFLASH_SIM_BUS")
        if bus:
            from msdflash.sim.usb.backend import install

            install(bus, os.environ.get("MSDFLASH_SIM_ONLY") == "1")
        return False

    def load(self) -> Any:
        """Never called, since :meth:`should_load` is False."""
        return None

    @property
    def name(self) -> str:
        """Name of the plugin."""
        return "msdflash_sim"

    @property
    def description(self) -> str:
        """One line about it."""
        return "Simulated boards of msdflash's bench, behind pyOCD's own USB drivers"
