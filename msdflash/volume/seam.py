"""How a board's folder is offered as a volume: one interface, one way for each system.

Linux: FUSE (:mod:`msdflash.volume.fuse`). Windows: a drive letter (:mod:`msdflash.volume.subst`). macOS: nothing, since a mount of one's
own needs an extension of the kernel there, or a disk image whose contents nobody sees while they are written.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from msdflash.volume.passthrough import Released


class Volume(Protocol):
    """One board's volume. Neither call waits for a mount, and nothing that goes wrong with one is more than told."""

    def start(self) -> None:
        """Begin to offer it."""

    def stop(self) -> bool:
        """Take it away; False if that did not work. May be called again."""


class NoVolume:
    """A system without volumes: the plain folder stays what it is."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def start(self) -> None:
        """Tell that there is none."""
        self._tell("this system offers no volume without an extension of its kernel; use the folder")

    def stop(self) -> bool:
        """Nothing."""
        return True


def make_volume(
    root: Path, point: Path, released: Callable[[Released], None], tell: Callable[[str], None], system: str = sys.platform
) -> Volume:
    """The volume of this system, not started.

    Args:
        root: the board's real folder.
        point: where it is mounted, on systems that mount in folders; its last part is the label.
        released: told when nobody writes a file any more, where the volume can see that; in another thread.
        tell: told in a sentence what people should know; in another thread.
        system: as ``sys.platform``.
    """
    if system == "linux":
        from msdflash.volume.fuse import FuseVolume

        return FuseVolume(root, point, released, tell)
    if system == "win32":
        from msdflash.volume.subst import SubstVolume

        return SubstVolume(root, tell)
    return NoVolume(tell)
