"""The bench's way into a stock pyOCD: an entry point that pyOCD loads and that does nothing unless it is asked to.

With ``MSDFLASH_SIM_BUS`` naming a bus folder, the simulated devices stand beside the real ones (``MSDFLASH_SIM_ONLY=1``: instead of
them). Without it nothing is imported and nothing changes. No probe class of ours is ever added: pyOCD's own drivers find the devices.

pyOCD loads this while it is being imported itself; whoever wants it otherwise imports ``pyocd`` first.
"""

from __future__ import annotations

import os
from typing import Any

from pyocd.core.plugin import Plugin


class SimulatedUsb(Plugin):  # type: ignore[misc]  # pyOCD is not checked here
    """Entry point of the group ``pyocd.probe``."""

    def should_load(self) -> bool:
        """Install the backend and the J-Link library if the variable asks for them."""
        bus = os.environ.get("MSDFLASH_SIM_BUS")
        if bus:
            from msdflash.sim.usb import backend, jlinkarm

            only = os.environ.get("MSDFLASH_SIM_ONLY") == "1"
            backend.install(bus, only)
            jlinkarm.install(bus, only)
        return bool(bus)

    def load(self) -> Any:
        """PyOCD's own J-Link driver: pyOCD may have left it out before, because it found no library of SEGGER's."""
        from pyocd.probe.jlink_probe import JLinkProbe

        return JLinkProbe

    @property
    def options(self) -> list[Any]:
        """The options of that driver."""
        from pyocd.probe.jlink_probe import JLinkProbePlugin

        return list(JLinkProbePlugin().options)

    @property
    def name(self) -> str:
        """The name under which pyOCD has that driver."""
        return "jlink"

    @property
    def description(self) -> str:
        """One line about it."""
        return "Simulated boards of msdflash's bench, behind pyOCD's own USB drivers"
