"""Orders: what the parent asks of a worker. Plain frozen data, sent as one JSON line."""

from __future__ import annotations

import msgspec


class Connection(msgspec.Struct, frozen=True):
    """Which probe and target, and how to connect.

    Attributes:
        probe: unique id as pyOCD lists it.
        target: pyOCD target or part name the user gave; None = from board identity, then from the chip's registers.
        pack: CMSIS-Pack file, or None.
        frequency: SWD clock in Hz, or None for the probe kind's default.
        connect: ``halt``, ``under-reset``, ``pre-reset`` or ``attach``.
        pin_proven: this probe's nRESET read-back was seen high in an earlier job.
        one_page: the algorithm gets one page at a time, for chips with damaged RAM behind it.
    """

    probe: str
    target: str | None = None
    pack: str | None = None
    frequency: int | None = None
    connect: str = "halt"
    pin_proven: bool = False
    one_page: bool = False


class FlashOrder(msgspec.Struct, frozen=True, tag="flash"):
    """Flash one file.

    Attributes:
        job: job id, unique on this machine.
        connection: probe and target.
        path: private copy of the file (spool); its content has ``sha256``.
        name: the file's name as dropped.
        sha256: of the file.
        base: address for files that carry none, or None for the boot flash.
        resumed: an earlier attempt at this drop was interrupted: equal flash is success without programming.
        board_id: four hex digits by which tools know this kind of board, or None: chooses the part of a micro:bit universal hex.
        allow_locking_images: the user ordered for this board that an image may lock the chip.
        run: the program is started afterwards; else the core is left halted at its first instruction.
        unlock: the user ordered for this board that a locked chip is unlocked, which erases all of it.
        beside: the board's folder for bytes beside an image while their sectors are erased (see ``worker.undo``), or None.
    """

    job: str
    connection: Connection
    path: str
    name: str
    sha256: str
    base: int | None = None
    resumed: bool = False
    board_id: str | None = None
    allow_locking_images: bool = False
    run: bool = True
    unlock: bool = False
    beside: str | None = None


class EraseOrder(msgspec.Struct, frozen=True, tag="erase"):
    """Destroy, on the user's order by name.

    Attributes:
        job: job id.
        connection: probe and target.
        unlock: remove the read-out protection, which erases everything; a chip without one is left alone. Else: erase the whole flash.
        beside: the board's folder for bytes beside an image; what is kept there of this chip goes with the rest. Or None.
    """

    job: str
    connection: Connection
    unlock: bool = False
    beside: str | None = None


class DiagnoseOrder(msgspec.Struct, frozen=True, tag="diagnose"):
    """Look at a board. Passive unless ``reset``: then the whole ladder, which halts and resets. Flash is never written."""

    job: str
    connection: Connection
    reset: bool = False


class ListOrder(msgspec.Struct, frozen=True, tag="list"):
    """Enumerate probes. Opens none of them for longer than pyOCD itself needs."""

    job: str


Order = FlashOrder | EraseOrder | DiagnoseOrder | ListOrder
