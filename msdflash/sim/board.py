"""A board on the bench: wires, chip, SWD link, and the faults that somebody has given it."""

from __future__ import annotations

import contextlib
import time
import zlib
from typing import TYPE_CHECKING

import msgspec

from msdflash.sim.boards import BOARDS
from msdflash.sim.chips import life
from msdflash.sim.chips.table import CHIPS
from msdflash.sim.faults import Fault, FaultError, find
from msdflash.sim.link import Link
from msdflash.sim.soc import Chip, Soc
from msdflash.sim.trace import Trace
from msdflash.sim.wires import Wires

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.port import TargetPort

INSTRUCTION_HERTZ = 4_000_000  # the MSI clock after reset, one instruction a cycle; faster clocks only make timers faster
MOST = 200_000  # instructions per call of advance(): beyond that the processor falls behind


OTHER_CHIP = "other-chip"


class State(msgspec.Struct, frozen=True):
    """What survives in a board that lies in a drawer."""

    version: int
    board: str
    powered: bool
    flash: bytes  # compressed with zlib
    options: bytes


class Board:
    """One simulated board.

    Args:
        board: key of :data:`msdflash.sim.boards.BOARDS`.
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
        self._wanted, self._cut, self._starved, self._ignored = True, False, False, False
        self.flash_time: Callable[[float], None] | None = None
        self.wires = Wires(clock)
        self.link = Link(self.wires)
        self.link.after = self._wait_for_flash
        self._undo: dict[str, tuple[str, Callable[[], None]]] = {}
        self._removed: State | None = None
        self._packed: tuple[bytes, bytes] | None = None  # the array as it was last, and compressed: often it has not changed since
        self.soc = self._fit(CHIPS[BOARDS[board].chip](seed))

    @property
    def port(self) -> TargetPort:
        """The connector for a probe."""
        return self.link

    def _fit(self, chip: Chip) -> Soc:
        soc = Soc(chip)
        life.fit(soc)
        soc.ignored_in_reset = self._ignored
        soc.on_internal_reset = self.wires.pulse
        soc.line_low = lambda: not self.wires.level
        self.wires.on_reset = soc.set_nreset
        self.link.dp = soc.dp
        soc.set_power(self.wires.powered and not self._starved, self.wires.level)
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

    def starve(self, starved: bool) -> None:
        """Keep the chip without supply while the rail is up, or no longer."""
        self._starved = starved
        self.soc.set_power(self.wires.powered and not starved, self.wires.level)

    def restart(self) -> None:
        """Take the chip's supply away for a moment, as somebody does who moves a jumper."""
        self.soc.set_power(False, False)
        self.soc.set_power(self.wires.powered and not self._starved, self.wires.level)

    def _apply_power(self) -> None:
        on = self._wanted and not self._cut
        if on == self.wires.powered:
            return
        self.wires.powered = on
        if on:
            self.wires.update()
            self.soc.set_power(not self._starved, self.wires.level)
        else:
            self.soc.set_power(False, False)
            self.wires.update()

    def advance(self, seconds: float) -> None:
        """Let time pass: the firmware runs as far as it can, watchdogs count, and all that only while there is power."""
        self.wires.update()
        if self.soc.powered:
            self.soc.advance(min(int(seconds * INSTRUCTION_HERTZ), MOST))

    def flash_bytes(self) -> bytes:
        """The main flash array as it is."""
        return bytes(self.soc.chip.flash.data)

    def record(self) -> None:
        """Keep a record of the wires from now on."""
        self.link.trace = Trace()

    def trace(self) -> list[str]:
        """The record so far; empty if none is kept."""
        return self.link.trace.lines() if self.link.trace is not None else []

    def tallies(self) -> dict[str, int]:
        """What went over the wire so far."""
        return {"transfers": self.link.transfers, "words": self.link.words}

    # --- faults -----------------------------------------------------------------------------------------------------

    @property
    def faults(self) -> dict[str, str]:
        """The faults that the board has now, with their arguments."""
        return {name: argument for name, (argument, _) in self._undo.items()}

    def set_fault(self, name: str, argument: str | None = None) -> None:
        """Give the board a fault; its argument replaces the former one. Raises :class:`msdflash.sim.faults.FaultError`."""
        fault = find(name)
        if argument is not None and argument and not fault.form:
            raise FaultError(f"{name} takes no argument")
        wanted = argument or fault.default
        if name == OTHER_CHIP:
            self._around_swap(lambda: self._put(name, fault, wanted))
            return
        before = self.faults.get(name)
        self.clear_fault(name)
        try:
            self._put(name, fault, wanted)
        except FaultError:
            if before is not None:
                self._put(name, fault, before)
            raise

    def _put(self, name: str, fault: Fault, argument: str) -> None:
        self._undo[name] = (argument, fault.apply(self, argument))

    def clear_fault(self, name: str) -> None:
        """Take one fault out; nothing happens if the board does not have it. Raises FaultError for an unknown one."""
        find(name)
        if name not in self._undo:
            return
        if name == OTHER_CHIP:
            self._around_swap(None)
        else:
            self._undo.pop(name)[1]()

    def clear_faults(self) -> None:
        """Take all faults out."""
        for name in list(self._undo):
            self.clear_fault(name)

    def _around_swap(self, put: Callable[[], None] | None) -> None:
        """Change the chip with the other faults out of the way; those that the new chip can have come back."""
        others = {name: argument for name, argument in self.faults.items() if name != OTHER_CHIP}
        for name in others:
            self._undo.pop(name)[1]()
        try:
            if OTHER_CHIP in self._undo:
                self._undo.pop(OTHER_CHIP)[1]()
            if put is not None:
                put()
        finally:
            for name, argument in others.items():
                with contextlib.suppress(FaultError):
                    self._put(name, find(name), argument)

    def ignored_in_reset(self, ignored: bool) -> None:
        """Variant: under reset the bus ignores accesses instead of refusing them."""
        self._ignored = self.soc.ignored_in_reset = ignored

    def swap_chip(self, name: str) -> Callable[[], None]:
        """Solder another chip on; gives back what puts the board's own one back, with its content. Raises FaultError."""
        if name not in CHIPS or name == BOARDS[self.board].chip:
            choices = ", ".join(chip for chip in CHIPS if chip != BOARDS[self.board].chip)
            raise FaultError(f"the bench has no other chip {name!r}; it has: {choices}")
        self._removed = self._snapshot()
        self._replace(CHIPS[name](self.seed))

        def undo() -> None:
            removed, self._removed = self._removed, None
            self._replace(CHIPS[BOARDS[self.board].chip](self.seed))
            if removed is not None:
                self._fill(removed)

        return undo

    def _replace(self, chip: Chip) -> None:
        self.soc.close()
        self.soc = self._fit(chip)

    # --- what lasts -------------------------------------------------------------------------------------------------

    def _snapshot(self) -> State:
        chip = self.soc.chip
        if self._packed is None or self._packed[0] != chip.flash.data:
            content = bytes(chip.flash.data)
            self._packed = content, zlib.compress(content, 1)
        return State(1, self.board, self._wanted, self._packed[1], chip.nonvolatile())

    def state(self) -> bytes:
        """What outlasts a loss of power (flash and option bytes of the board's own chip), and whether it is switched on. No faults."""
        return msgspec.msgpack.encode(self._removed or self._snapshot())

    def restore(self, state: bytes) -> None:
        """Put the board back into a state from :meth:`state`, through a power cycle. Raises :class:`ValueError` for another board's."""
        found = msgspec.msgpack.decode(state, type=State)
        if found.version != 1 or found.board != self.board:
            raise ValueError(f"the state is of board {found.board!r}, version {found.version}")
        if self._removed is not None:
            self._removed = found
            return
        self.set_power(False)
        self._fill(found)
        self.set_power(found.powered)

    def _fill(self, state: State) -> None:
        chip = self.soc.chip
        chip.flash.data[:] = zlib.decompress(state.flash)
        chip.set_nonvolatile(state.options)
        self.soc.flash_changed = True
        if self.soc.powered:
            self.soc.set_power(False, False)
            self.soc.set_power(True, self.wires.level)

    def _wait_for_flash(self) -> None:
        seconds = self.soc.flash_seconds
        if seconds:
            self.soc.flash_seconds = 0.0
            if self.flash_time is not None:
                self.flash_time(seconds)
