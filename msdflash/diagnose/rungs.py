"""What may be tried by itself after a failure: one table, and the evidence that each rung asks for.

A retry follows only evidence that it can help. None follows a cause that is certain, none repeats what has just been tried, and once
flash has been changed only those are left that finish the same image.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.evidence import ANSWERED_ACKS, Evidence, is_register
from msdflash.diagnose.finding import Confidence, Diagnosis
from msdflash.diagnose.rules_wires import all_failed
from msdflash.diagnose.words import hertz
from msdflash.job.order import Connection
from msdflash.job.outcome import Outcome

PLAIN_CLOCK = 1_000_000
"""Hz that pyOCD uses where nobody says otherwise (``frequency`` in core/options.py)."""

LOWER_CLOCKS = (1_000_000, 200_000, 50_000)
"""Hz. Errors of edges fall steeply with the clock, so steps of about five tell; below 50 kHz a job takes minutes."""

_LINK_KINDS = frozenset({"transfer", "flash-read", "no-ap", "no-power-ack", "no-dp", "algo-readback", "ram", "verify", "unexpected"})
"""Failures that a disturbed transfer can make."""

_ONE_ERROR = 3
"""As many errors in the link's own test may be an accident; more are a link that wants another clock."""


class Rung(msgspec.Struct, frozen=True):
    """One thing to try.

    Attributes:
        id: stable word, kept with what was learned of a board.
        what: what is done, for the report; ``{clock}`` is the SWD clock.
        tells: what it says about the board if it helps.
        of_program: it gets around the program on the chip, not the wiring: no reason to do so again with another program.
        late: also after flash was changed, to complete the same image.
    """

    id: str
    what: str
    tells: str
    of_program: bool = False
    late: bool = False


class Step(msgspec.Struct, frozen=True):
    """A rung with the connection that carries it out."""

    rung: Rung
    connection: Connection

    @property
    def what(self) -> str:
        """In words, with this attempt's clock."""
        return self.rung.what.format(clock=hertz(self.connection.frequency or PLAIN_CLOCK))


SAME_AGAIN = Rung(
    "same-again",
    "the same once more",
    "one transfer was disturbed: look at the cable and the plugs if this comes back",
    late=True,
)
LOWER_CLOCK = Rung(
    "lower-clock",
    "a lower SWD clock, {clock}",
    "the wires carry errors at the usual clock: shorten them, and give GND a wire of its own",
    late=True,
)
UNDER_RESET = Rung(
    "under-reset",
    "connecting while nRESET is held low",
    "the program on the chip shuts the debug port: it sleeps deeply or uses the SWD pins",
    of_program=True,
)
PULSE = Rung(
    "pulse-then-connect",
    "a pulse on nRESET, then connecting at once",
    "the program on the chip shuts the debug port some time after its start",
    of_program=True,
)
ONE_PAGE = Rung(
    "one-page",
    "a page buffer of one page",
    "part of the chip's RAM does not hold what is written to it: this chip is damaged",
)

RUNGS: tuple[Rung, ...] = (SAME_AGAIN, LOWER_CLOCK, UNDER_RESET, PULSE, ONE_PAGE)
BY_ID: dict[str, Rung] = {rung.id: rung for rung in RUNGS}


def next_step(outcome: Outcome, diagnosis: Diagnosis, connection: Connection, tried: tuple[str, ...]) -> Step | None:
    """What to try after a failed job, or None.

    Args:
        outcome: of the last attempt.
        diagnosis: of it.
        connection: as that attempt used it.
        tried: ids of the rungs so far, in order. ``lower-clock`` may come more than once.
    """
    evidence = Evidence(outcome)
    if outcome.failure is None or outcome.broken is not None or _is_certain(diagnosis):
        return None
    changed = bool(outcome.changed.erased or outcome.changed.programmed)
    for rung, fits in _TABLE:
        if (rung.id in tried and rung is not LOWER_CLOCK) or (changed and not rung.late):
            continue
        reached = fits(evidence, connection)
        if reached is not None:
            return Step(rung, reached)
    return None


def by_hint(rung: str, connection: Connection, frequency: int | None) -> Step | None:
    """What helped an earlier job on this board, done first this time; None where the user's own choice stands against it."""
    known = BY_ID.get(rung)
    if known is None:
        return None
    if known is LOWER_CLOCK:
        if frequency is None or (connection.frequency or PLAIN_CLOCK) <= frequency:
            return None
        return Step(known, msgspec.structs.replace(connection, frequency=frequency))
    if known is UNDER_RESET and connection.connect == "halt":
        return Step(known, msgspec.structs.replace(connection, connect="under-reset"))
    if known is PULSE and connection.connect == "halt":
        return Step(known, msgspec.structs.replace(connection, connect="pre-reset"))
    if known is ONE_PAGE:
        return Step(known, msgspec.structs.replace(connection, one_page=True))
    return None


_WAY_AROUND = frozenset({"link-noise"})
"""Certain means here that the clock is to blame, and which one is clean: then that one is the way."""


def _is_certain(diagnosis: Diagnosis) -> bool:
    """Whether a cause is proved that nothing here gets around; a symptom that was measured is none."""
    return any(
        finding.confidence is Confidence.CERTAIN
        and not finding.aside
        and not CATALOGUE[finding.cause].symptom
        and finding.cause not in _WAY_AROUND
        for finding in diagnosis.findings
    )


def _errors(e: Evidence) -> int | None:
    """Errors in the link's own test after the failure, or None where it was not made. A refusal is an answer, and no error."""
    cell = e.table("swd.errors")
    value, kinds = cell.get("errors"), cell.get("kinds")
    answers = sum(n for name, n in kinds.items() if name in ANSWERED_ACKS and is_register(n)) if isinstance(kinds, dict) else 0
    return max(0, value - answers) if is_register(value) else None


def _same_again(e: Evidence, connection: Connection) -> Connection | None:
    """The link is clean now, or nearly so; or the probe stalled once and is still there."""
    if e.kind == "usb":
        return connection if e.flag("probe.present") and not e.has("probe.hung") else None
    errors = _errors(e)
    if "stlink-29" in e.acks:
        return None  # the probe refuses this chip, and will do so again
    if e.dpidr is not None and all_failed(e):
        return connection  # nobody answers any more: the next look measures from silence on what that is
    return connection if e.kind in _LINK_KINDS and e.dp_ever and errors is not None and errors <= _ONE_ERROR else None


def _lower_clock(e: Evidence, connection: Connection) -> Connection | None:
    """Errors were counted that only a link makes, or reads that failed at this clock came right at a lower one."""
    now = connection.frequency or PLAIN_CLOCK
    clean = [clock for clock, good, reads in e.sweep if good == reads and clock < now]
    # A port that is silent at every clock does not mind which one it is.
    mixed = any(good < reads for _, good, reads in e.sweep) and any(good for _, good, _ in e.sweep)
    noisy = mixed or (bool(_errors(e)) and not all_failed(e))
    if e.kind not in _LINK_KINDS or not noisy or not e.dp_ever:
        return None
    lower = [max(clean)] if clean else [clock for clock in LOWER_CLOCKS if clock < now]
    return msgspec.structs.replace(connection, frequency=lower[0]) if lower else None


def _under_reset(e: Evidence, connection: Connection) -> Connection | None:
    """The debug port, or what is behind it, answered while nRESET was low and not otherwise."""
    if connection.connect != "halt" or e.silent_in_reset or e.dpidr_under_reset is None:
        return None
    if e.kind != "no-dp" and not (e.flag("dp.power_ack_under_reset") and e.flag("core.seen_under_reset")):
        return None  # the port itself always answers: what is behind it tells
    return msgspec.structs.replace(connection, connect="under-reset")


def _pulse(e: Evidence, connection: Connection) -> Connection | None:
    """As under reset, for chips that are silent while nRESET is low: they speak right after a pulse."""
    deaf = e.silent_in_reset or e.dpidr_under_reset is None
    if connection.connect != "halt" or not deaf or not e.flag("swd.after_pulse"):
        return None
    return msgspec.structs.replace(connection, connect="pre-reset")


def _one_page(e: Evidence, connection: Connection) -> Connection | None:
    """RAM failed its test behind what algorithm, stack and one page need."""
    spare = e.table("ram.test").get("spare")
    if connection.one_page or e.kind != "ram" or spare is not True:
        return None
    return msgspec.structs.replace(connection, one_page=True)


_TABLE: tuple[tuple[Rung, Callable[[Evidence, Connection], Connection | None]], ...] = (
    (SAME_AGAIN, _same_again),
    (LOWER_CLOCK, _lower_clock),
    (UNDER_RESET, _under_reset),
    (PULSE, _pulse),
    (ONE_PAGE, _one_page),
)
"""Rungs in the order of trying, each with its evidence: the connection to try, or None where nothing says that it can help."""
