"""Outcomes: what a worker found and did. The only input of diagnosis."""

from __future__ import annotations

from typing import Any

import msgspec

from msdflash.job.readings import Reading
from msdflash.job.steps import Step


class Failure(msgspec.Struct, frozen=True):
    """Where and how a job stopped.

    Attributes:
        step: the step that failed.
        kind: short stable word for what failed there: ``no-probe``, ``probe-ambiguous``, ``probe-open``, ``usb``, ``no-dp``,
            ``no-power-ack``, ``no-ap``, ``core-in-reset``, ``no-halt``, ``transfer``, ``wrong-chip``, ``unknown-target``, ``locked``,
            ``image`` and ``pack`` (then ``cause`` is set), ``undo``, ``unlock``, ``flash-read``, ``write-protected``, ``ram``,
            ``algo-readback``, ``algo-init``, ``algo-timeout``, ``algo-fault``, ``reset-under-algorithm``, ``erase``, ``program``,
            ``verify``, ``timeout``, ``crash``, ``interrupted``, ``cancelled``, ``unexpected``.
        message: one plain sentence for logs; verbatim text of a foreign error goes into the reading ``engine.error``.
        cause: id of the cause where the step itself proves it (image checks), else None: then diagnosis decides.
        address: address concerned, or None.
    """

    step: Step
    kind: str
    message: str
    cause: str | None = None
    address: int | None = None


class Changed(msgspec.Struct, frozen=True):
    """What was and was not changed on the chip. Bytes are counted as they happened, so a report is right after a crash, too.

    Attributes:
        connected: the debug port answered this job.
        halted: the core was halted.
        reset: the target was reset.
        unlocked: a protection was removed (only ever on order).
        ram_overwritten: RAM of the running program was overwritten.
        erased: bytes of flash erased (whole sectors).
        programmed: bytes of flash programmed.
        total: bytes to be programmed: whole pages of the sectors that differ, kept neighbours included; before the plan, of the image.
        verified: bytes read back and found equal, kept neighbours included.
        affected: bytes of all sectors that the image touches: what has to be verified.
        beside: bytes beside the image that were erased with it and are not known to be back; they are kept on this computer.
        state: how the target was left: ``untouched``, ``running``, ``halted``, ``in-reset``, ``unknown``.
    """

    connected: bool = False
    halted: bool = False
    reset: bool = False
    unlocked: bool = False
    ram_overwritten: bool = False
    erased: int = 0
    programmed: int = 0
    total: int = 0
    verified: int = 0
    affected: int = 0
    beside: int = 0
    state: str = "untouched"


class ProbeFacts(msgspec.Struct, frozen=True):
    """The probe of a job. ``unique_id`` is what ``--probe`` takes."""

    unique_id: str
    kind: str = "other"
    product: str = ""
    vendor: str = ""
    board: str | None = None
    target: str | None = None


class TargetFacts(msgspec.Struct, frozen=True):
    """The target of a job.

    Attributes:
        name: pyOCD target used.
        part: what the silicon says it is, or None.
        asked: what the user asked for, or None.
        how: how it was chosen: ``given``, ``board``, ``chip``.
        flash: flash ranges ``(first, length)``.
    """

    name: str
    part: str | None = None
    asked: str | None = None
    how: str = "given"
    flash: tuple[tuple[int, int], ...] = ()


class ImageFacts(msgspec.Struct, frozen=True):
    """The image of a job, as flashed. ``transforms`` names each deliberate difference between file and flash."""

    name: str
    format: str
    size: int
    sha256: str
    ranges: tuple[tuple[int, int], ...] = ()
    transforms: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Tried(msgspec.Struct, frozen=True):
    """Something done automatically because evidence said that it could help, and what came of it."""

    what: str
    result: str


class Outcome(msgspec.Struct, frozen=True):
    """Everything that came out of a job.

    Attributes:
        job: job id.
        proved: every byte that should be in flash was read back and compared equal.
        unchanged: flash already held the image; nothing was erased or programmed.
        failure: None when ``proved`` (or, for diagnose, when nothing is wrong).
        running: ``running``, ``sleeping``, ``debug-unreachable``, ``locked-up``, ``held-in-reset``, ``halted`` or ``unknown``.
        readings: all measured facts, in time order.
        timings: seconds by step.
        tallies: costs, such as ``sectors_read``, ``sectors_erased``, ``chunks_programmed``.
        log: the last lines of the engine's log.
        proved_at: when the last byte was compared, UTC, ISO 8601; empty while ``proved`` is not.
        action: name of the action file that was carried out instead of an image, or "".
        broken: why the probe must not be used any more (its worker cannot be ended), or None. Set by the parent only.
    """

    job: str
    proved: bool = False
    unchanged: bool = False
    failure: Failure | None = None
    running: str = "unknown"
    changed: Changed = Changed()
    readings: tuple[Reading, ...] = ()
    probe: ProbeFacts | None = None
    target: TargetFacts | None = None
    image: ImageFacts | None = None
    tried: tuple[Tried, ...] = ()
    timings: dict[str, float] = msgspec.field(default_factory=dict)
    tallies: dict[str, int] = msgspec.field(default_factory=dict)
    log: tuple[str, ...] = ()
    proved_at: str = ""
    action: str = ""
    broken: str | None = None


class ListedProbe(msgspec.Struct, frozen=True):
    """One row of ``msdflash boards``."""

    unique_id: str
    kind: str
    vendor: str
    product: str
    board: str | None = None
    board_id: str | None = None
    target: str | None = None
    problem: str | None = None


def to_builtins(value: Any) -> Any:
    """Plain dicts, lists and scalars of any record here (for JSON)."""
    return msgspec.to_builtins(value)
