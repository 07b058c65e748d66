"""What can be wrong with a board: physical causes, one entry each, put in and taken out while it runs.

A fault never makes an error message. It changes a wire, a cell or a register, and whatever a tool then says follows from that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.chips.qspi import Qspi
from msdflash.sim.electric import ELECTRIC
from msdflash.sim.faultkind import Bench, Fault, FaultError, flash_of, fraction, number, one_of
from msdflash.sim.link import Noise, WriteTrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.bus import Memory

__all__ = ["FAULTS", "Fault", "FaultError", "find"]


def _reset_held(board: Bench, argument: str) -> Callable[[], None]:
    board.ignored_in_reset(one_of(argument, ("fault", "ignored")) == "ignored")
    board.wires.grounded = True
    board.wires.update()

    def undo() -> None:
        board.wires.grounded = False
        board.ignored_in_reset(False)
        board.wires.update()

    return undo


def _reset_late(board: Bench, argument: str) -> Callable[[], None]:
    board.wires.supervisor_seconds = number(argument, "the supervisor's delay in ms") / 1000

    def undo() -> None:
        board.wires.supervisor_seconds = 0.0
        board.wires.update()

    return undo


def _probe_stuck(board: Bench, _argument: str) -> Callable[[], None]:
    board.wires.probe_stuck = True
    board.wires.update()

    def undo() -> None:
        board.wires.probe_stuck = False
        board.wires.update()

    return undo


def _no_power(board: Bench, argument: str) -> Callable[[], None]:
    board.link.clamped = one_of(argument, ("floating", "clamped")) == "clamped"
    board.cut_power(True)

    def undo() -> None:
        board.link.clamped = False
        board.cut_power(False)

    return undo


def _swd_open(board: Bench, _argument: str) -> Callable[[], None]:
    board.link.broken = True

    def undo() -> None:
        board.link.broken = False

    return undo


LINE = 0x08  # the data line, or the bit of a cell, that is stuck low


def _ram_bad(board: Bench, argument: str) -> Callable[[], None]:
    base = getattr(board.soc.chip, "ram_base", 0x20000000)
    memory = next(memory for memory in board.soc.bus.memories if memory.base == base)
    before: list[Callable[[], None]] = []
    after: list[Callable[[], None]] = []
    if argument == "lost":
        before, after = _lose_writes(memory)
    elif argument == "stuck":
        after = _stick_line(memory)
    else:
        after = _stick_cell(memory, number(argument, "ram-bad's argument, if not 'lost' or 'stuck',"))
    soc = board.soc
    soc.before_slice.extend(before)
    soc.after_slice.extend(after)

    def undo() -> None:
        memory.filter = None
        for hooks, mine in ((soc.before_slice, before), (soc.after_slice, after)):
            hooks[:] = [hook for hook in hooks if hook not in mine]

    return undo


def _lose_writes(memory: Memory) -> tuple[list[Callable[[], None]], list[Callable[[], None]]]:
    """Every write is lost. The processor's own are put back when its slice is over: inside one it still sees them."""
    kept: list[bytes] = []

    def remember() -> None:
        kept[:] = [bytes(memory.data)]

    def put_back() -> None:
        if kept:
            memory.data[:] = kept.pop()

    memory.filter = lambda offset, data: bytes(memory.data[offset : offset + len(data)])
    return [remember], [put_back]


def _stick_line(memory: Memory) -> list[Callable[[], None]]:
    """One data line is low in every word."""

    def stick(offset: int, data: bytes) -> bytes:
        lines = int.from_bytes(bytes([~LINE & 0xFF, 0xFF, 0xFF, 0xFF]) * (len(data) // 4 + 2), "little") >> 8 * (offset & 3)
        return (int.from_bytes(data, "little") & lines & (1 << 8 * len(data)) - 1).to_bytes(len(data), "little")

    def stick_all() -> None:
        memory.data[:] = stick(0, bytes(memory.data))

    memory.filter = stick
    stick_all()
    return [stick_all]


def _stick_cell(memory: Memory, address: int) -> list[Callable[[], None]]:
    """One bit of one byte is low for ever."""
    cell = address - memory.base
    if not 0 <= cell < memory.size:
        raise FaultError(f"ram-bad takes 'lost', 'stuck' or an address from 0x{memory.base:08x} on for 0x{memory.size:x} bytes")

    def stick(offset: int, data: bytes) -> bytes:
        at = cell - offset
        return data[:at] + bytes([data[at] & ~LINE]) + data[at + 1 :] if 0 <= at < len(data) else data

    def clear() -> None:
        memory.data[cell] &= ~LINE & 0xFF

    memory.filter = stick
    clear()
    return [clear]


def _write_protect(board: Bench, argument: str) -> Callable[[], None]:
    flash = flash_of(board)
    sector = number(argument, "the page or sector")
    if not 0 <= sector < flash.sectors:
        raise FaultError(f"the pages or sectors of this chip are 0 to {flash.sectors - 1}")
    return flash.protect_sector(sector)


def _lock(name: str) -> Callable[[Bench, str], Callable[[], None]]:
    """The chip's own read-out protection, under the name that it has there."""

    def apply(board: Bench, _argument: str) -> Callable[[], None]:
        flash = flash_of(board)
        kind = getattr(flash, "lock", "rdp1")
        if kind != name:
            lock = f"the lock of the {board.soc.chip.name} is the fault {kind!r}"
            raise FaultError(lock if kind else f"the {board.soc.chip.name} has no lock")
        return flash.protect_reads()

    return apply


def _flash_busy(board: Bench, _argument: str) -> Callable[[], None]:
    flash = flash_of(board)
    flash.stuck = True
    flash.refresh()

    def undo() -> None:
        flash.stuck = False
        flash.unhang()

    return undo


def _bad_cell(board: Bench, argument: str) -> Callable[[], None]:
    flash = flash_of(board)
    offset = number(argument, "the cell's address") - flash.array.base if argument else 0x100
    if not 0 <= offset < flash.array.size:
        raise FaultError(f"the flash of this chip is 0x{flash.array.base:08x} on for 0x{flash.array.size:x} bytes")
    first = offset - offset % flash.unit
    flash.bad_cells[first] = 1 << 8 * (offset - first)
    flash.refresh()

    def undo() -> None:
        flash.bad_cells.pop(first, None)
        flash.refresh()

    return undo


def _qspi_open(board: Bench, argument: str) -> Callable[[], None]:
    level = {"ff": 0xFF, "00": 0x00}[one_of(argument, ("ff", "00"))]
    flash = flash_of(board)
    if not isinstance(flash, Qspi):
        raise FaultError(f"the flash of the {board.soc.chip.name} is inside the chip")
    flash.silent = level
    flash.refresh()

    def undo() -> None:
        flash.silent = None
        flash.refresh()

    return undo


def _trap(name: str, *, refuse: bool) -> Callable[[Bench, str], Callable[[], None]]:
    def apply(board: Bench, argument: str) -> Callable[[], None]:
        parts = argument.split(":")
        if len(parts) > (2 if refuse else 3):
            raise FaultError(f"{name} takes {FAULTS[name].form}")
        numbers = [number(part, "each part") for part in parts]
        first = numbers[1] if len(numbers) > 1 else 1
        if first < 1:
            raise FaultError("writes are counted from 1")
        count = 1 if refuse else numbers[2] if len(numbers) > 2 else 0
        board.link.traps[name] = WriteTrap(numbers[0] & ~3, first, count, refuse)

        def undo() -> None:
            board.link.traps.pop(name, None)

        return undo

    return apply


def _noise(board: Bench, argument: str) -> Callable[[], None]:
    rate, _, seed = argument.partition(":")
    board.link.noise = Noise(fraction(rate, "the noise"), number(seed, "the seed") if seed else board.seed)
    board.link.noise.clock(board.link.hertz)

    def undo() -> None:
        board.link.noise = None

    return undo


def _other_chip(board: Bench, argument: str) -> Callable[[], None]:
    return board.swap_chip(argument)


FAULTS = {
    "reset-held": Fault("[fault|ignored]", "fault", "nRESET is shorted to ground; the bus refuses or ignores accesses", _reset_held),
    "reset-late": Fault("[ms]", "400", "a reset supervisor keeps nRESET low so long after every low", _reset_late),
    "probe-stuck-reset": Fault("", "", "the probe's own nRESET driver is stuck low", _probe_stuck),
    "no-power": Fault("[floating|clamped]", "floating", "the supply rail is down; SWDIO floats up or is clamped low", _no_power),
    "swd-open": Fault("", "", "SWDIO or SWCLK is interrupted between probe and chip", _swd_open),
    "ram-bad": Fault("[lost|stuck|ADDR]", "lost", "SRAM1 loses writes, has data line 3 stuck low, or one bad cell", _ram_bad),
    "write-protect": Fault("[SECTOR]", "0", "an option byte protects a flash page or sector against erase and program", _write_protect),
    "rdp1": Fault("", "", "the option bytes hold read protection level 1", _lock("rdp1")),
    "approtect": Fault("", "", "an nRF: UICR shuts the access port (nRF52) or hides code memory (nRF51)", _lock("approtect")),
    "security": Fault("", "", "a Kinetis: the flash configuration field secures the chip", _lock("security")),
    "crp": Fault("", "", "an LPC: the word at 0x2FC forbids debugging", _lock("crp")),
    "debug-lock": Fault("", "", "an LPC55: the customer's page of the flash (CMPA) shuts debugging", _lock("debug-lock")),
    "flash-busy": Fault("", "", "the next flash operation begins and never ends: BSY stays set", _flash_busy),
    "bad-cell": Fault("[ADDR]", "", "one bit of a programming unit always comes out inverted, without a flag", _bad_cell),
    "qspi-open": Fault("[ff|00]", "ff", "an external flash does not answer: its data lines read as ones or as zeros", _qspi_open),
    "corrupt-write": Fault(
        "ADDR[:FROM[:COUNT]]", "0x20001000", "two bits flip on the way in writes to an address; parity stays right",
        _trap("corrupt-write", refuse=False),
    ),
    "fault-write": Fault(
        "ADDR[:N]", "0x20001000", "the N-th write to an address is refused by the bus", _trap("fault-write", refuse=True)
    ),
    "noise": Fault("[p[:seed]]", "0.001", "each transfer is disturbed with probability p at 1 MHz", _noise),
    "other-chip": Fault("[CHIP]", "stm32l433", "another chip than the board's name says is soldered on", _other_chip),
    **ELECTRIC,
}  # fmt: skip


def find(name: str) -> Fault:
    """A fault by name. Raises :class:`FaultError` with the names there are."""
    try:
        return FAULTS[name]
    except KeyError:
        raise FaultError(f"there is no fault {name!r}; there are: {', '.join(FAULTS)}") from None
