"""What a simulated board is made of, and how a person writes it down.

``BOARD[,probe=KIND][,serial=ID][,fault=NAME[:ARG]]...[,time=on][,trace=on]``
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from msdflash.sim.boards import BOARDS, BoardKind
from msdflash.sim.usb.cmsisdap import PROFILES
from msdflash.sim.usb.faults import USB_FAULTS
from msdflash.sim.usb.jlink import KIND as JLINK
from msdflash.sim.usb.stlink import MODELS


class SpecError(ValueError):
    """The text asks for something that the bench does not have; the message says what it has."""


PROBES = (*PROFILES, *MODELS, JLINK)
DEFAULT_PROBE = "cmsis-dap"


_SERIAL = re.compile(r"[0-9A-Za-z_.-]{1,64}")


@dataclass(frozen=True)
class Fault:
    """A fault by name, with its argument ("" where it has none)."""

    name: str
    argument: str = ""

    def text(self) -> str:
        """As written in a spec."""
        return f"{self.name}:{self.argument}" if self.argument else self.name


@dataclass(frozen=True)
class BoardSpec:
    """One simulated board.

    Attributes:
        board: a key of ``BOARDS``.
        probe: one of ``PROBES``.
        serial: of the probe; names its files in the bus folder.
        faults: present from the start.
        timed: sleep as long as USB, SWD and flash would take.
        traced: leave a record of the target's wires in the bus folder when the board ends.
    """

    board: str
    probe: str
    serial: str
    faults: tuple[Fault, ...] = ()
    timed: bool = False
    traced: bool = False

    @property
    def kind(self) -> BoardKind:
        """The entry of ``BOARDS``."""
        return BOARDS[self.board]

    def text(self) -> str:
        """The spec as :func:`parse` reads it."""
        words = [self.board, f"probe={self.probe}", f"serial={self.serial}", *(f"fault={fault.text()}" for fault in self.faults)]
        if self.timed:
            words.append("time=on")
        if self.traced:
            words.append("trace=on")
        return ",".join(words)


def default_serial(board: str, probe: str) -> str:
    """The serial of a board that got none: always the same for the same board and probe, in the form of the probe's maker.

    DAPLink: 48 hex digits, Mbed board id first and the interface chip's id last. ST-LINK: 24 (a serial of 12 characters would be taken
    for the unprintable one of an old ST-LINK/V2 and changed by clients). J-Link: a number of nine digits.
    """
    digest = hashlib.sha256(f"msdflash bench {board} {probe}".encode()).hexdigest()
    if probe in MODELS:
        return digest[:24].upper()
    if probe == JLINK:
        return str(600_000_000 + int(digest[:8], 16) % 100_000_000)
    return f"{BOARDS[board].mbed_id}0221{digest[:32]}{PROFILES[probe].hic}".lower()


def parse(text: str) -> BoardSpec:
    """Read a spec.

    Raises:
        SpecError: with what is allowed.
    """
    board, *words = (word.strip() for word in text.split(","))
    if board not in BOARDS:
        raise SpecError(f"no board {board!r}; there are: {', '.join(BOARDS)}")
    probe, serial, switches = DEFAULT_PROBE, "", {"time": False, "trace": False}
    faults: list[Fault] = []
    seen = set()
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise SpecError(f"{word!r} is not KEY=VALUE; the keys are: probe, serial, fault, time, trace")
        if key in seen and key != "fault":
            raise SpecError(f"{key} is given twice")
        seen.add(key)
        if key == "probe":
            if value not in PROBES:
                raise SpecError(f"no probe {value!r}; there are: {', '.join(PROBES)}")
            probe = value
        elif key == "serial":
            serial = _checked_serial(value)
        elif key == "fault":
            faults.append(parse_fault(value))
        elif key in switches:
            if value not in ("on", "off"):
                raise SpecError(f"{key}={value}: it is on or off")
            switches[key] = value == "on"
        else:
            raise SpecError(f"no key {key!r}; the keys are: probe, serial, fault, time, trace")
    return BoardSpec(board, probe, serial or default_serial(board, probe), tuple(faults), switches["time"], switches["trace"])


def parse_fault(text: str) -> Fault:
    """Read ``NAME[:ARG]``.

    Raises:
        SpecError: with what is allowed.
    """
    name, _, argument = text.partition(":")
    if name in USB_FAULTS:
        if wrong := USB_FAULTS[name].wrong(name, argument):
            raise SpecError(wrong)
        return Fault(name, argument)
    check_board_fault(name, argument)
    return Fault(name, argument)


def _checked_serial(value: str) -> str:
    # It becomes a file name, on Windows too: no separators, no leading dot, no case games.
    if not _SERIAL.fullmatch(value) or value.startswith("."):
        raise SpecError(f"serial {value!r}: 1 to 64 letters, digits, '_', '-' or '.', not starting with a dot")
    return value


def check_board_fault(name: str, argument: str) -> None:
    """Check the name of a fault of the board, and that it takes an argument if it is given one; the board checks the argument itself.

    Raises:
        SpecError: with what there is.
    """
    from msdflash.sim.faults import FAULTS

    if name not in FAULTS:
        raise SpecError(f"no fault {name!r}; there are: {', '.join(sorted((*FAULTS, *USB_FAULTS)))}")
    if argument and not FAULTS[name].form:
        raise SpecError(f"fault {name} takes no argument")
