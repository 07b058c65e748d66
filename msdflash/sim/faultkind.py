"""What a fault is: a physical cause by name, that can be put into a board and taken out again while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.bus import Memory
    from msdflash.sim.link import Link
    from msdflash.sim.soc import Soc
    from msdflash.sim.wires import Wires


class FaultError(ValueError):
    """A fault that there is not, or an argument that it does not take. The message says what is allowed."""


class Flash(Protocol):
    """What a flash controller offers to be broken: a chip has it as ``controller``.

    Attributes:
        array: the main flash.
        unit: bytes that are programmed at once.
        sectors: how many pages or sectors there are; faults name them by number from 0.
        stuck: an operation that has begun never ends.
        bad_cells: offset of a programming unit: bits of it that come out inverted.
    """

    array: Memory
    unit: int
    sectors: int
    stuck: bool
    bad_cells: dict[int, int]

    def refresh(self) -> None:
        """Defects changed: look again which stores need care."""

    def unhang(self) -> None:
        """An operation that never ended ends now."""

    def protect_sector(self, number: int) -> Callable[[], None]:
        """Write-protect a page or sector by its option bytes, as if the part had come that way; gives back what undoes that."""

    def protect_reads(self) -> Callable[[], None]:
        """Set read protection level 1 the same way."""


class Bench(Protocol):
    """What a fault reaches of a board."""

    soc: Soc
    wires: Wires
    link: Link
    seed: int

    def ignored_in_reset(self, ignored: bool) -> None:
        """Variant: under reset the bus ignores accesses instead of refusing them."""

    def cut_power(self, cut: bool) -> None:
        """Interrupt the supply rail, or mend it."""

    def starve(self, starved: bool) -> None:
        """Keep the chip without supply while the rail is up, or no longer."""

    def restart(self) -> None:
        """Take the chip's supply away for a moment, as somebody does who moves a jumper."""

    def swap_chip(self, name: str) -> Callable[[], None]:
        """Solder another chip on; gives back what puts the board's own one back."""


class Fault(msgspec.Struct, frozen=True):
    """One way in which a board can be broken.

    Attributes:
        form: how its argument is written; empty if it takes none.
        default: the argument if none is given.
        what: what is physically wrong.
        apply: puts it in; gives back what takes it out again.
    """

    form: str
    default: str
    what: str
    apply: Callable[[Bench, str], Callable[[], None]]


def number(text: str, what: str) -> int:
    """An address or count, decimal or 0x hexadecimal. Raises :class:`FaultError`."""
    try:
        return int(text, 0)
    except ValueError:
        raise FaultError(f"{what} must be a number such as 12 or 0x08001000, not {text!r}") from None


def fraction(text: str, what: str) -> float:
    """A number from 0 to 1. Raises :class:`FaultError`."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise FaultError(f"{what} must be a number from 0 to 1, not {text!r}")
    return value


def one_of(text: str, choices: tuple[str, ...]) -> str:
    """One of some words. Raises :class:`FaultError`."""
    if text not in choices:
        raise FaultError(f"{text!r} is none of {', '.join(repr(choice) for choice in choices)}")
    return text


def flash_of(board: Bench) -> Flash:
    """The chip's flash controller. Raises :class:`FaultError` where it is not modelled."""
    chip = board.soc.chip
    flash: Flash | None = getattr(chip, "controller", None)
    if flash is None:
        raise FaultError(f"the flash controller of the {chip.name} is not modelled, so it cannot have this fault")
    return flash
