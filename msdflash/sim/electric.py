"""Faults of supply, levels, edges, jumpers and option bytes that say how a chip starts; and readings of the manuals to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msdflash.sim.chips.life import family
from msdflash.sim.chips.stm32life import HARDWARE_WATCHDOG, Boot, Sleep, hardware_watchdog
from msdflash.sim.faultkind import Bench, Fault, FaultError, flash_of, number, one_of
from msdflash.sim.link import REFERENCE_HERTZ, Edges
from msdflash.sim.wires import RAIL_VOLTS

if TYPE_CHECKING:
    from collections.abc import Callable


class OptionWords(Protocol):
    """What a flash controller with option words offers beside :class:`msdflash.sim.faultkind.Flash`."""

    options: list[int]

    def set_options(self, slot: int, value: int) -> Callable[[], None]:
        """Change one, as if the part had come that way; gives back what undoes that."""


LEAST_VOLTS = 1.6
"""Below it the chips of the bench hold themselves in reset: brown-out levels begin at 1.6 to 1.8 V (their data sheets)."""
HIGH_FROM = 0.7
"""Part of the supply from which an input counts as high (JESD8, CMOS inputs)."""
PROBE_VOLTS = 3.3
LONG = 0.005
"""Seconds from which on an operation is an erase, which draws the most."""


def _vdd(board: Bench, argument: str) -> Callable[[], None]:
    try:
        volts = float(argument)
    except ValueError:
        volts = -1.0
    if not 0 < volts <= 5.5:
        raise FaultError(f"the supply is more than 0 and no more than 5.5 V, not {argument!r}")
    board.wires.rail = volts
    board.link.unheard = volts * HIGH_FROM > PROBE_VOLTS
    board.starve(volts < LEAST_VOLTS)

    def undo() -> None:
        board.wires.rail = RAIL_VOLTS
        board.link.unheard = False
        board.starve(False)

    return undo


def _vdda_open(board: Bench, _argument: str) -> Callable[[], None]:
    board.starve(True)
    return lambda: board.starve(False)


def _weak_supply(board: Bench, argument: str) -> Callable[[], None]:
    first = number(argument, "the first erase that is too much")
    if first < 1:
        raise FaultError("erases are counted from 1")
    soc, array = board.soc, flash_of(board).array
    kept = bytes(array.data)
    count = 0

    def sag(seconds: float) -> None:
        nonlocal kept, count
        if seconds < LONG:
            return
        count += 1
        if count >= first:
            _cut_short(array.data, kept)
            soc.flash_changed = soc.sagging = True
        kept = bytes(array.data)

    soc.on_current = sag

    def undo() -> None:
        soc.on_current = None

    return undo


def _cut_short(cells: bytearray, before: bytes) -> None:
    """An erase that was cut off has cleared the first half of what it would have (assumption E5)."""
    changed = [at for at in range(0, len(cells), 64) if cells[at : at + 64] != before[at : at + 64]]
    for at in changed[len(changed) // 2 :]:
        cells[at : at + 64] = before[at : at + 64]


def _slow_edges(board: Bench, argument: str) -> Callable[[], None]:
    hertz, _, kind = argument.partition(":")
    fastest = number(hertz, "the fastest clock in Hz")
    board.link.edges = Edges(fastest, one_of(kind or "lost", ("lost", "parity")) == "lost")

    def undo() -> None:
        board.link.edges = None

    return undo


def _nreset_open(board: Bench, _argument: str) -> Callable[[], None]:
    board.wires.nreset_open = True
    board.wires.update()

    def undo() -> None:
        board.wires.nreset_open = False
        board.wires.update()

    return undo


def _boot0_high(board: Bench, _argument: str) -> Callable[[], None]:
    boot = next((block for block in board.soc.blocks if isinstance(block, Boot)), None)
    if boot is None:
        raise FaultError(f"the {board.soc.chip.name} has no BOOT0 pin")
    boot.high = True
    board.restart()

    def undo() -> None:
        boot.high = False
        board.restart()

    return undo


def _watchdog_on(board: Bench, _argument: str) -> Callable[[], None]:
    kind = family(board.soc.chip.name)
    flash: OptionWords | None = getattr(board.soc.chip, "controller", None)
    if kind not in HARDWARE_WATCHDOG or flash is None:
        raise FaultError(f"the {board.soc.chip.name} has no option that starts a watchdog")
    undo_option = flash.set_options(*hardware_watchdog(kind, flash.options))
    board.restart()

    def undo() -> None:
        undo_option()
        board.restart()

    return undo


def _sleep_port(board: Bench, argument: str) -> Callable[[], None]:
    sleep = next((block for block in board.soc.blocks if isinstance(block, Sleep)), None)
    if sleep is None:
        raise FaultError(f"the bench knows one reading only of how the {board.soc.chip.name} sleeps")
    soc = board.soc
    if one_of(argument, ("open", "waits")) == "open":
        sleep.open_sleep = True
    else:
        soc.stop_waits = True
    soc.settle_port()

    def undo() -> None:
        sleep.open_sleep = soc.stop_waits = False
        soc.settle_port()

    return undo


def _swdio_low(board: Bench, _argument: str) -> Callable[[], None]:
    soc, wires, link = board.soc, board.wires, board.link
    if not soc.chip.name.startswith("nrf51"):
        raise FaultError(f"SWDIO is not the reset pin of the {soc.chip.name}")
    debugging = False

    def rest() -> None:
        wires.swdio_low = True
        wires.update()

    def wake() -> None:
        wires.swdio_low = False
        wires.update()

    def over() -> None:
        nonlocal debugging
        was, debugging = debugging, soc.dp.debugging
        if was and not debugging:
            rest()

    link.on_sequence, link.on_quiet = wake, over
    rest()

    def undo() -> None:
        link.on_sequence = link.on_quiet = None
        wake()

    return undo


ELECTRIC = {
    "vdd": Fault("[VOLTS]", "5.0", "the supply rail has another voltage: the chip holds itself in reset, or does not hear the probe", _vdd),
    "vdda-open": Fault("", "", "a supply pin of the chip (VDDA, VCAP) is open: the rail is up, and the chip does not start", _vdda_open),
    "weak-supply": Fault("[N]", "1", "from the N-th erase on the supply breaks down under its current, for a moment", _weak_supply),
    "slow-edges": Fault(
        "[HZ[:lost|parity]]", str(REFERENCE_HERTZ), "above a clock no request is understood, or all data are damaged", _slow_edges
    ),
    "nreset-open": Fault("", "", "the probe's nRESET wire leads nowhere; the probe sees its own end", _nreset_open),
    "boot0-high": Fault("", "", "BOOT0 is high: an STM32 starts its boot loader, not the program", _boot0_high),
    "watchdog-on": Fault("", "", "an option byte starts the watchdog of an STM32 with each reset", _watchdog_on),
    "sleep-port": Fault("[open|waits]", "open", "reading of the manual: what a sleeping STM32 answers to a debugger", _sleep_port),
    "swdio-low": Fault("", "", "an idle probe holds SWDIO low, which is the reset pin of an nRF51", _swdio_low),
}
"""Added to :data:`msdflash.sim.faults.FAULTS`."""
