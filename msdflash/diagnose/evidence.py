"""A typed, forgiving view of an outcome's readings: what is missing or malformed reads as "not measured", never as a value."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

from msdflash.chips.families import FAMILIES
from msdflash.chips.model import Family
from msdflash.job.outcome import Outcome
from msdflash.job.readings import Reading
from msdflash.job.steps import PHASES

READS_NRESET = frozenset({"cmsis-dap", "jlink"})
"""Probe kinds whose nRESET read-back can be the pin's level. ST-LINK and picoprobe return what was last written (pyOCD 0.46)."""

NO_NRESET = frozenset({"stlink", "picoprobe"})
NO_VOLTAGE = frozenset({"cmsis-dap", "picoprobe"})
"""Probe kinds without a command for the target's voltage (CMSIS-DAP command set)."""

SILENT_IN_RESET = ("nrf51", "nrf52", "nrf53", "nrf91", "rp2040", "samd", "atsamd", "same5", "atsame5", "max78")
"""Families whose debug port may be dead while nRESET is low: Nordic PS "Reset behavior", RP2040 datasheet 2.12 (RUN), SAM D21 datasheet
13.6 (DAP in reset until cold-plugging), MAX78000 UG."""

ANSWERED_ACKS = frozenset(
    {"wait", "fault", "stlink-11", "stlink-16", "stlink-17", "stlink-20", "stlink-21", "stlink-24", "stlink-25", "stlink-29"}
)
"""Words in ``swd.ack`` that are an answer of somebody: not silence."""


FAMILY: dict[str, Family] = {family.id: family for family in FAMILIES}


def is_register(value: Any) -> TypeGuard[int]:
    """True for an integer that fits 32 bits (and is no boolean)."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFFFFFF


def is_number(value: Any) -> TypeGuard[int | float]:
    """True for a finite number that a measurement can give (no boolean, no astronomic integer)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e15 < value < 1e15


def is_dpidr(value: Any) -> TypeGuard[int]:
    """True for a word that can be a DPIDR: bit 0 reads as one, all zeros or all ones are no reading (Arm IHI 0031 B2.2.5)."""
    return is_register(value) and value not in (0, 0xFFFFFFFF) and bool(value & 1)


class Evidence:
    """The readings of one outcome, by name; the last one with a name counts, unless a method says otherwise."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.failure = outcome.failure
        self.kind = outcome.failure.kind if outcome.failure else ""
        self.step = str(outcome.failure.step) if outcome.failure else ""
        self.phase = PHASES.get(outcome.failure.step, self.step) if outcome.failure else ""

    # --- by name ----------------------------------------------------------------------------------------------------------
    def entries(self, name: str) -> tuple[Reading, ...]:
        """All readings with a name, in time order."""
        return tuple(reading for reading in self.outcome.readings if reading.name == name)

    def value(self, name: str) -> Any:
        """The last value, or None."""
        found = self.entries(name)
        return found[-1].value if found else None

    def has(self, name: str) -> bool:
        """A reading with this name exists, whatever its value."""
        return bool(self.entries(name))

    def number(self, name: str) -> float | None:
        """A finite number, or None."""
        value = self.value(name)
        return float(value) if is_number(value) else None

    def register(self, name: str) -> int | None:
        """A 32-bit register, or None."""
        value = self.value(name)
        return value if is_register(value) else None

    def registers(self, name: str) -> tuple[int, ...]:
        """A series of registers; a single one is a series of one; readings of the same name are joined."""
        values: list[int] = []
        for reading in self.entries(name):
            items = reading.value if isinstance(reading.value, (list, tuple)) else [reading.value]
            values.extend(item for item in items if is_register(item))
        return tuple(values)

    def series(self, name: str) -> tuple[int, ...]:
        """The registers of the last reading only."""
        value = self.value(name)
        items = value if isinstance(value, (list, tuple)) else [value]
        return tuple(item for item in items if is_register(item))

    def levels(self, name: str) -> tuple[int, ...]:
        """Pin levels, 0 or 1, of the last reading."""
        value = self.value(name)
        items = value if isinstance(value, (list, tuple)) else [value]
        return tuple(int(item) for item in items if isinstance(item, (bool, int)) and item in (0, 1))

    def flag(self, name: str) -> bool | None:
        """A boolean, or None."""
        value = self.value(name)
        return value if isinstance(value, bool) else None

    def text(self, name: str) -> str:
        """A string, or ""."""
        value = self.value(name)
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """All strings with this name."""
        return tuple(reading.value for reading in self.entries(name) if isinstance(reading.value, str) and reading.value)

    def table(self, name: str) -> dict[str, Any]:
        """A dict with string keys, or an empty one."""
        value = self.value(name)
        return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}

    # --- what the probe can know ------------------------------------------------------------------------------------------
    @property
    def probe_kind(self) -> str:
        """``cmsis-dap``, ``stlink``, ``jlink``, ``picoprobe`` or ``other``."""
        return self.text("probe.kind") or (self.outcome.probe.kind if self.outcome.probe else "other")

    @property
    def vtref(self) -> float | None:
        """Volts at the probe's target-voltage pin; None where this kind of probe cannot measure it, whatever was sent."""
        return None if self.probe_kind in NO_VOLTAGE else self.number("vtref")

    # --- link -------------------------------------------------------------------------------------------------------------
    @property
    def dpidr(self) -> int | None:
        """DPIDR if the debug port answered in the ordinary way."""
        return next((item for item in self.registers("swd.dpidr") if is_dpidr(item)), None)

    @property
    def dpidr_under_reset(self) -> int | None:
        """DPIDR that came only while this probe held nRESET low."""
        value = self.value("swd.dpidr_under_reset")
        return value if is_dpidr(value) else None

    @property
    def sweep(self) -> tuple[tuple[int, int, int], ...]:
        """``(clock in Hz, good reads, reads)``, by rising clock."""
        rows = []
        for clock, cell in self.table("swd.sweep").items():
            if re.fullmatch(r"[0-9]{1,9}", clock) and isinstance(cell, (list, tuple)) and len(cell) == 2:
                good, reads = cell
                if is_register(good) and is_register(reads) and reads and good <= reads:
                    rows.append((int(clock), good, reads))
        return tuple(sorted(rows))

    @property
    def turns(self) -> tuple[tuple[int, int, int], ...]:
        """``(clock in Hz, good reads, reads)`` at two clocks by turns, in time order."""
        value = self.value("swd.turns")
        rows = [tuple(item) for item in value if isinstance(item, (list, tuple))] if isinstance(value, (list, tuple)) else []
        return tuple(row for row in rows if len(row) == 3 and all(map(is_register, row)) and 0 < row[2] >= row[1])

    @property
    def dp_ever(self) -> bool:
        """The debug port answered at least once in this job, in whatever way."""
        return self.dpidr is not None or self.dpidr_under_reset is not None or any(good for _, good, _ in self.sweep)

    @property
    def acks(self) -> tuple[str, ...]:
        """What came instead of answers."""
        return self.texts("swd.ack")

    @property
    def silent(self) -> bool:
        """The debug port gave no answer to the ordinary connection, not even WAIT or FAULT."""
        if self.dpidr is not None or any(ack in ANSWERED_ACKS for ack in self.acks):
            return False
        return self.kind == "no-dp" or (self.has("swd.dpidr") and self.kind not in {"usb", "no-probe", "probe-open"})

    # --- chip -------------------------------------------------------------------------------------------------------------
    @property
    def families(self) -> tuple[str, ...]:
        """What the chip may be called: by its silicon first, then by what was asked for. Lower case, letters and digits only."""
        names = [self.text("chip.family")]
        target = self.outcome.target
        if target:
            names += [target.part or "", target.name, target.asked or ""]
        if self.outcome.probe and self.outcome.probe.target:
            names.append(self.outcome.probe.target)
        expected = self.table("target.expected").get("target")
        names.append(expected if isinstance(expected, str) else "")
        return tuple(re.sub(r"[^a-z0-9]", "", name.lower()) for name in names if name)

    def is_family(self, *prefixes: str) -> bool:
        """The best known name of the chip begins with one of these."""
        return bool(self.families) and self.families[0].startswith(prefixes)

    @property
    def family(self) -> Family | None:
        """The family that the silicon itself named, out of the table; None where it did not."""
        return FAMILY.get(self.text("chip.family"))

    @property
    def silent_in_reset(self) -> bool:
        """The chip is of a family whose debug port may be dead during reset."""
        return any(name.startswith(SILENT_IN_RESET) for name in self.families)

    @property
    def rom_silent(self) -> bool:
        """A boot ROM that hides the processors was asked through its mailbox, and never answered: it does not run."""
        sessions = self.value("mailbox.session")
        return (
            isinstance(sessions, list)
            and bool(sessions)
            and all(isinstance(item, dict) and item.get("answer") is None for item in sessions)
        )

    @property
    def address(self) -> int | None:
        """The address concerned: of the failure, else of the failing algorithm call, else of the first difference."""
        if self.failure and is_register(self.failure.address):
            return self.failure.address
        for name in ("algo.call", "verify.first"):
            value = self.table(name).get("address")
            if is_register(value):
                return int(value)
        return None
