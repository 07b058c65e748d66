"""What a worker says to its parent: one JSON object a line on its standard output, each of a known type.

The parent says one line (an :data:`~msdflash.job.order.Order`) and later at most one byte stream end: closing the pipe ends the worker.
"""

from __future__ import annotations

import msgspec

from msdflash.job.order import Order
from msdflash.job.outcome import Changed, ListedProbe, Outcome
from msdflash.job.readings import Reading
from msdflash.job.steps import Step


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """pyOCD is imported; the worker waits for its order."""

    pid: int
    engine: str


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """A step begins; the parent kills the worker if the next message takes longer than ``deadline`` seconds."""

    step: Step
    deadline: float
    at: float


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """``done`` of ``total`` bytes of the present step; ``extends`` gives the step that many more seconds from now."""

    step: Step
    done: int
    total: int
    extends: float | None = None


class Measured(msgspec.Struct, frozen=True, tag="measured"):
    """A reading, sent at once, so that it survives the worker's death."""

    reading: Reading


class Touched(msgspec.Struct, frozen=True, tag="touched"):
    """What has been changed on the chip so far; sent *before* each change that it describes takes effect."""

    changed: Changed


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The last message of a flash or diagnose order."""

    outcome: Outcome


class Listed(msgspec.Struct, frozen=True, tag="listed"):
    """The last message of a list order."""

    probes: tuple[ListedProbe, ...]


Message = Ready | Begin | Progress | Measured | Touched | Finished | Listed

_encoder = msgspec.json.Encoder()
_message: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
_order: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)


def encode(value: Message | Order) -> bytes:
    """One line, newline included."""
    return _encoder.encode(value) + b"\n"


def decode_message(line: bytes) -> Message:
    """Parse a worker's line. Raises msgspec.MsgspecError (ValidationError, DecodeError) on nonsense."""
    return _message.decode(line)


def decode_order(line: bytes) -> Order:
    """Parse an order. Raises msgspec.MsgspecError on nonsense."""
    return _order.decode(line)
