"""One debug port, two users: raw accesses of ours and pyOCD's session, each with a memory of what it wrote last."""

from __future__ import annotations

from typing import Any

from pyocd.probe.debug_probe import DebugProbe

from msdflash.worker.raw import RawTarget


class SharedRaw(RawTarget):
    """Single words through pyOCD's core object, so that its cached SELECT, CSW and TAR stay right."""

    def __init__(self, core: Any) -> None:
        self._shared = core

    def read32(self, address: int) -> int:
        """One word."""
        return int(self._shared.read32(address))

    def write32(self, address: int, value: int) -> None:
        """One word."""
        self._shared.write32(address, value)

    def clear_sticky(self) -> None:
        """PyOCD clears them itself when it meets an error."""


def forget_cached(core: Any) -> None:
    """Make pyOCD trust no remembered SELECT or CSW: raw accesses came between (DebugPort and MEM_AP of pyOCD 0.46)."""
    for holder in (core.ap.dp, core.ap):
        forget = getattr(holder, "_invalidate_cache", None)
        if forget is not None:
            forget()


def quick_errors(opened: DebugProbe) -> None:
    """CMSIS-DAP queues writes; while measuring, an error must belong to the access that met it."""
    link: Any = getattr(opened, "_link", None)
    if hasattr(link, "set_deferred_transfer"):
        link.set_deferred_transfer(False)


def queued_writes(opened: DebugProbe) -> None:
    """Back to queueing: several times faster, and every access of ours that follows raises what a queued one met."""
    link: Any = getattr(opened, "_link", None)
    if hasattr(link, "set_deferred_transfer"):
        link.set_deferred_transfer(True)
