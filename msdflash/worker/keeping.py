"""What a flash job does so that bytes outside its image survive: looks for what an earlier job lost, keeps its own, rescues, tells."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msdflash.chips.model import Family
from msdflash.image.segments import Image
from msdflash.job.outcome import Tried
from msdflash.job.steps import Step
from msdflash.worker import memory, plan, undo
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.salvage import Salvage
from msdflash.worker.trouble import classify

_LOOKED = "looked for bytes beside the image that an earlier job could not put back"
_RESCUED = "put the bytes beside the image back after the failure"
_UNLOCKED = "wrote the words that keep the chip open after the failure"

Regain = Callable[[bool, bool], Any]
"""``regain(again, may_reset)``: make the halted core reachable once more; returns it. May raise anything."""


class Keeping:
    """The bytes beside the image of one job.

    Attributes:
        pieces: what the plan puts at risk; set by :meth:`keep`.
    """

    def __init__(self, channel: Channel, job: str, folder: str | None, *, one_page: bool = False) -> None:
        """``folder``: of the board, for such bytes; None where nothing is kept. ``one_page``: as in the job's connection."""
        self._channel = channel
        self._job = job
        self._folder = folder
        self._one_page = one_page
        self._undo: undo.Undo | None = None
        self._lost_before: tuple[undo.Piece, ...] = ()
        self._back = 0
        self._plans: list[plan.RegionPlan] = []
        self.pieces: tuple[undo.Piece, ...] = ()

    def recall(
        self,
        plans: list[plan.RegionPlan],
        image: Image,
        transform: Callable[[int, bytes], bytes],
        *,
        chip: str | None,
        regions: list[tuple[Any, int]],
        target: Any,
    ) -> list[plan.RegionPlan]:
        """The plans, and with them what an earlier job on this chip lost.

        Args:
            chip: its unique id, or None.
            regions: flash regions, each with the value of its erased bytes.
            target: pyOCD's target; sectors that only an earlier job touched are read.
        """
        if self._folder is None:
            return plans
        self._undo = kept = undo.Undo(Path(self._folder), chip, self._job)
        strangers = kept.strangers()
        if strangers:
            told = f"{len(strangers)} file(s) belong to another chip, {strangers[-1]} the newest: kept, not written"
            self._channel.tried.append(Tried(_LOOKED, told))
        if self._channel.changed.unlocked:  # what was on the chip is gone as ordered
            kept.forget()
        self._lost_before = kept.pending()

        def look(address: int) -> tuple[plan.RegionPlan, plan.Sector] | None:
            for region, erased in regions:
                if region.start <= address < region.start + region.length:
                    first, size = plan.sector_bounds(region, address)
                    old = memory.read(target, first, size)
                    sector = plan.marked(target, plan.Sector(first, old, old), image)
                    return plan.RegionPlan(region, (sector,), erased), sector
            return None

        found = undo.restore(plans, self._lost_before, image, transform, look)
        self._back = found.back
        if found.foreign:
            self._channel.tried.append(Tried(_LOOKED, f"{found.foreign} hold something else by now, and were left alone"))
        return found.plans

    def erased_as_ordered(self, chip: str | None) -> None:
        """The whole chip was erased on order: nothing that was on it comes back."""
        if self._folder is not None:
            undo.Undo(Path(self._folder), chip, self._job).forget()

    def keep(self, plans: list[plan.RegionPlan], image: Image) -> None:
        """Write down what the plans put at risk, before anything is changed.

        Raises:
            StepFailed: ``undo``; nothing was erased.
        """
        self._plans, self.pieces = plans, undo.beside(plans, image)
        if self._undo is None:
            return
        try:
            self._undo.keep(self.pieces)
        except OSError as error:
            self._channel.measure("engine.error", f"[Errno {error.errno}] {error.strerror}")
            message = "the bytes beside the image cannot be kept on this computer's disk, so nothing was erased"
            raise StepFailed("undo", message) from error

    @property
    def at_risk(self) -> int:
        """Bytes beside the image that are erased with it."""
        return sum(len(piece.data) for piece in self.pieces)

    def settle(self) -> None:
        """All is proved: nothing needs to be kept any more."""
        if self._undo is not None:
            self._undo.forget()
        if self._back:
            result = f"{self._back} had been erased when that was cut off or failed; they are put back"
            self._channel.tried.append(Tried(_LOOKED, result))

    def rescue(self, usb: bool, family: Family | None, target: Any, regain: Regain) -> None:
        """After a failure: put back what was lost, keep what could not be, and tell. Never raises.

        Args:
            usb: the probe itself failed: nothing can be reached.
        """
        changed = self._channel.changed
        if not self._plans or self._channel.proved:
            return
        if not (changed.erased or changed.programmed):
            if not self._back and self._undo is not None:
                self._undo.forget()
            return
        critical = family is not None and bool(family.critical)
        if not self.pieces and not critical:
            return
        lost: tuple[undo.Piece, ...] | None = None
        if not usb:
            lost = self._repair(family, target, regain, critical=critical)
        self._tell(lost)

    def _repair(self, family: Family | None, target: Any, regain: Regain, *, critical: bool) -> tuple[undo.Piece, ...] | None:
        """Two attempts. Returns what is still lost, None where it could not be read."""
        lost: tuple[undo.Piece, ...] | None = None
        locks = critical
        for again in (False, True):
            try:
                # A reset while the chip is shut would lock it for good.
                core = regain(again, not locks)
                salvage = Salvage(self._channel, target, core, family, self._plans, self.pieces, one_page=self._one_page)
                self._channel.begin(Step.RESTORE, salvage.seconds() + 10)
                before = salvage.missing(), salvage.shut()
                if any(before):
                    self._try(salvage)
                lost, shut = (salvage.missing(), salvage.shut()) if any(before) else before
                self._note(len(before[0]), lost, bool(before[1]), shut)
                locks = bool(shut)
                if not lost and not shut:
                    break
            except Exception as error:  # noqa: BLE001  (the job has failed already; this only tells how far the rescue came)
                self._channel.log.append(classify(error).text)
        return lost

    def _try(self, salvage: Salvage) -> None:
        try:
            salvage.repair()
        except Exception as error:  # noqa: BLE001  (what it reached is read back in any case)
            self._channel.log.append(classify(error).text)

    def _note(self, before: int, lost: tuple[undo.Piece, ...], was_shut: bool, shut: tuple[Any, ...]) -> None:
        if was_shut:
            for item in shut:
                self._channel.measure("flash.critical", {"address": item.address, "open": False, "effect": item.effect})
            result = "they do not hold" if shut else "they hold, read back"
            self._replace(Tried(_UNLOCKED, result))
        if before:
            left = sum(len(piece.data) for piece in lost)
            still = f"{left} of {self.at_risk} are still missing{self._kept()}"
            back = still if lost else f"all {self.at_risk} are in flash, read back"
            self._replace(Tried(_RESCUED, back))

    def _kept(self) -> str:
        return "" if self._undo is None else "; they are kept, and the next job on this chip puts them back"

    def _replace(self, tried: Tried) -> None:
        self._channel.tried[:] = [item for item in self._channel.tried if item.what != tried.what] + [tried]

    def _tell(self, lost: tuple[undo.Piece, ...] | None) -> None:
        """Book what is missing, and keep exactly that."""
        if lost is None:
            if self.pieces:
                self._replace(Tried(_RESCUED, f"not possible; up to {self.at_risk} bytes are missing{self._kept()}"))
            return
        self._channel.touch(beside=sum(len(piece.data) for piece in lost))
        if self._undo is not None:
            with contextlib.suppress(OSError):
                self._undo.keep(lost)
