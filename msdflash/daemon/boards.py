"""Which boards a daemon serves, and what each one's folder is called."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from msdflash.daemon.config import BoardOptions
    from msdflash.job.outcome import ListedProbe

_RESERVED = re.compile(r"(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\..*)?")
"""Names that Windows gives to devices in every folder."""
_LONGEST = 32
_TAIL = 6


class BoardIdentity(msgspec.Struct, frozen=True):
    """A board that has a drive.

    Attributes:
        serial: unique id of its probe, as pyOCD lists it.
        name: for people: what the user called it, else what the probe calls the board, else the probe's product.
        folder: name of its drive folder: safe in every file system, unique here.
        target: pyOCD target, if it is known without asking the chip.
        board_id: four hex digits by which tools know this kind of board, if the probe tells them.
    """

    serial: str
    name: str
    folder: str
    target: str | None = None
    board_id: str | None = None


def board_name(probe: ListedProbe, options: BoardOptions) -> str:
    """What to call a board."""
    return options.name or probe.board or " ".join(part for part in (probe.vendor, probe.product) if part) or probe.unique_id


def folder_name(name: str) -> str:
    """A name in upper-case ASCII letters, digits and single underscores, never empty, never a device of Windows."""
    plain = unicodedata.normalize("NFKD", name.upper()).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Z0-9]+", "_", plain.upper()).strip("_")[:_LONGEST].strip("_")
    if not safe or _RESERVED.fullmatch(safe):
        return f"BOARD_{safe}".rstrip("_")
    return safe


def identify(
    wanted: Iterable[tuple[str, str, str | None, str | None]],
    owner_of: Callable[[str], str | None],
    taken: Iterable[BoardIdentity] = (),
) -> tuple[BoardIdentity, ...]:
    """Give each board its folder, the same one as last time.

    Args:
        wanted: ``(serial, name, target, board id)`` of each board, in a fixed order.
        owner_of: serial that the marker in an existing folder of this name holds: an empty text for a folder without a
            marker (it is not ours to use), None where there is no folder.
        taken: boards that already have theirs.

    Returns:
        One identity per board. A name that another board has, now or on the disk, gets the serial's last characters.
    """
    used = {board.folder for board in taken}
    found: list[BoardIdentity] = []
    for serial, name, target, board_id in wanted:
        short = folder_name(name)
        tail = re.sub(r"[^A-Z0-9]", "", serial.upper())
        candidates = [short, f"{short[: _LONGEST - _TAIL - 1]}_{tail[-_TAIL:]}", f"{short[: _LONGEST - 25]}_{tail[-24:]}"]
        # A folder that already carries this board's marker comes first, so that a neighbour's coming and going moves nothing.
        own = [folder for folder in candidates if folder not in used and owner_of(folder) == serial]
        free = [folder for folder in candidates if folder not in used and owner_of(folder) is None]
        folder = (own + free + [f"{candidates[-1]}_{number}" for number in range(2, 100) if f"{candidates[-1]}_{number}" not in used])[0]
        used.add(folder)
        found.append(BoardIdentity(serial, name, folder, target, board_id))
    return tuple(found)
