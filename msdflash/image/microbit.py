"""Which part of a micro:bit universal hex belongs to which board.

Sources: tech.microbit.org, "Universal Hex Format Specification" 0.4.0 (block types 0x9900 and 0x9903); board ids of the micro:bit
revisions as pyOCD's board table and DAPLink's ``board_id.h`` have them.
"""

from __future__ import annotations

from msdflash.errors import ImageError

V1, V2 = 0x9900, 0x9903
BOARDS: dict[int, int] = {0x9900: V1, 0x9901: V1, 0x9903: V2, 0x9904: V2, 0x9905: V2, 0x9906: V2}
"""Board id -> block type that the specification defines for it."""

_TITLES = {V1: "micro:bit V1", V2: "micro:bit V2"}


def fits(block: int, board_id: int | None) -> bool:
    """A block is for a board if it carries the board's own id or its generation's, or 0, which means every board."""
    return block == 0 or (board_id is not None and block in (board_id, BOARDS.get(board_id)))


def title(block: int) -> str:
    """``micro:bit V2 (0x9903)``."""
    return f"{_TITLES[block]} (0x{block:04X})" if block in _TITLES else f"board 0x{block:04X}"


def no_part(blocks: tuple[int, ...], board_id: int | None) -> ImageError:
    """The file has blocks, and none for this board, or the board is not known."""
    listed = " and ".join(title(block) for block in blocks[:4]) + (f" and {len(blocks) - 4} more" if len(blocks) > 4 else "")
    whose = "which board this is, is not known: its probe gives no board id" if board_id is None else f"this board is 0x{board_id:04X}"
    facts: dict[str, object] = {"blocks": [f"0x{block:04X}" for block in blocks[:16]]}
    if board_id is not None:
        facts["board"] = f"0x{board_id:04X}"
    return ImageError("image-no-part-for-board", f"the universal hex holds programs for {listed}; {whose}", **facts)


def parse_board_id(text: str | None) -> int | None:
    """A board id out of four hex digits, or of a DAPLink serial number (48 hex digits that begin with it). None if it is neither."""
    if text is None or len(text) not in (4, 48):
        return None
    try:
        return int(text[:4], 16)
    except ValueError:
        return None
