"""Whose drive a folder is, without touching it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from msdflash.drive.folder import HIDDEN, MARKER, Marker
from msdflash.drop.names import NameKind, name_kind
from msdflash.drop.place import Place

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT = 4096


def owner_of(folder: Path) -> str | None:
    """Serial in the folder's marker; None if there is no folder or an empty one; "" if it is not ours or cannot be read."""
    try:
        with Place.open(folder) as root:
            names = root.names()
            if HIDDEN not in names:
                return "" if any(name_kind(name) is not NameKind.CLUTTER for name in names) else None
            with root.sub(HIDDEN) as hidden:
                return msgspec.json.decode(hidden.read(MARKER, _LIMIT), type=Marker).serial
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError):
        return ""
