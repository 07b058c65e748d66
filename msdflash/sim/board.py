"""A board on the bench: wires, chip, SWD link, and the faults that somebody has given it."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

import msgspec

from msdflash.sim.chips.stm32l4 import PARTS, Stm32L4
from msdflash.sim.link import Link
from msdflash.sim.soc import Chip, Soc
from msdflash.sim.wires import Wires

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.port import TargetPort

CORE_HERTZ = 4_000_000  # the MSI clock after reset; one instruction counts as one cycle
MOST_CYCLES = 200_000  # per call of advance(): beyond that the processor falls behind the clock


class BoardType(msgspec.Struct, frozen=True):
    """A kind of board: its name for people, and the chip on it."""

    title: str
    chip: str


BOARDS = {"nucleo-l476rg": BoardType("NUCLEO-L476RG", "stm32l476rg")}


class State(msgspec.Struct, frozen=True):
    """What survives in a board that lies in a drawer."""

    version: int
    board: str
    chip: str
    powered: bool
    flash: bytes  # compressed with zlib
    options: bytes


def make_chip(name: str, seed: int = 1) -> Chip:
    """A new chip by name. Raises :class:`KeyError` for one that the bench does not have."""
    return Stm32L4(PARTS[name], seed)


class Board:
    """One simulated board.

    Args:
        board: key of :data:`BOARDS`.
        probe_kind: what is plugged into it; noted only.
        seed: seeds everything that is random about this board.
        clock: seconds, for reset supervisors.

    Attributes:
        port: what the probe's side sees.
        wires: supply and nRESET.
        soc: the chip as it is now.
        flash_time: called with the seconds that flash operations would have taken; a server can sleep there.
    """

    def __init__(self, board: str, probe_kind: str, seed: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self.board = board
        self.probe_kind = probe_kind
        self.seed = seed
        self._wanted, self._cut = True, False
        self.flash_time: Callable[[float], None] | None = None
        self.wires = Wires(clock)
        self.link = Link(self.wires)
        self.link.after = self._wait_for_flash
        self.soc = self._fit(make_chip(BOARDS[board].chip, seed))

    @property
    def port(self) -> TargetPort:
        """The connector for a probe."""
        return self.link

    def _fit(self, chip: Chip) -> Soc:
        soc = Soc(chip)
        soc.on_internal_reset = self.wires.pulse
        soc.line_low = lambda: not self.wires.level
        self.wires.on_reset = soc.set_nreset
        self.link.dp = soc.dp
        soc.set_power(self.wires.powered, self.wires.level)
        return soc

    def close(self) -> None:
        """Free the emulator."""
        self.link.dp = None
        self.link.after = None
        self.wires.on_reset = None
        self.soc.close()

    def set_power(self, on: bool) -> None:
        """Switch the supply. While a fault cuts the rail it stays down and comes up when the fault goes."""
        self._wanted = on
        self._apply_power()

    def cut_power(self, cut: bool) -> None:
        """Interrupt the rail, or mend it."""
        self._cut = cut
        self._apply_power()

    def _apply_power(self) -> None:
        on = self._wanted and not self._cut
        if on == self.wires.powered:
            return
        self.wires.powered = on
        if on:
            self.wires.update()
            self.soc.set_power(True, self.wires.level)
        else:
            self.soc.set_power(False, False)
            self.wires.update()

    def advance(self, seconds: float) -> None:
        """Let the firmware run for so long, as far as it has power and is not halted."""
        self.wires.update()
        if self.soc.running:
            self.soc.advance(min(int(seconds * CORE_HERTZ), MOST_CYCLES))

    def flash_bytes(self) -> bytes:
        """The main flash array as it is."""
        return bytes(self.soc.chip.flash.data)

    def tallies(self) -> dict[str, int]:
        """What went over the wire so far."""
        return {"transfers": self.link.transfers, "words": self.link.words}

    def state(self) -> bytes:
        """Everything that outlasts a loss of power, and whether there is power."""
        chip = self.soc.chip
        return msgspec.msgpack.encode(
            State(1, self.board, chip.name, self._wanted, zlib.compress(bytes(chip.flash.data), 1), chip.nonvolatile())
        )

    def restore(self, state: bytes) -> None:
        """Put a board back into a state from :meth:`state`: it then powers up. Raises :class:`ValueError` for another board's."""
        found = msgspec.msgpack.decode(state, type=State)
        if found.version != 1 or found.board != self.board:
            message = f"the state is of board {found.board!r}, version {found.version}"
            raise ValueError(message)
        self.set_power(False)
        if found.chip != self.soc.chip.name:
            self.replace_chip(make_chip(found.chip, self.seed))
        self.soc.chip.flash.data[:] = zlib.decompress(found.flash)
        self.soc.chip.set_nonvolatile(found.options)
        self.set_power(found.powered)

    def replace_chip(self, chip: Chip) -> None:
        """Solder another chip on."""
        self.soc.close()
        self.soc = self._fit(chip)

    def _wait_for_flash(self) -> None:
        seconds = self.soc.flash_seconds
        if seconds:
            self.soc.flash_seconds = 0.0
            if self.flash_time is not None:
                self.flash_time(seconds)
