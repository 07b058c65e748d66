"""One flash order, from the spooled file to the proof: every byte that must be in flash was read back and compared."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from msdflash.chips import families
from msdflash.errors import ImageError
from msdflash.image import checks, decode, transforms
from msdflash.image.layout import MemoryMap
from msdflash.image.microbit import parse_board_id
from msdflash.image.segments import Image
from msdflash.job.order import FlashOrder
from msdflash.job.outcome import Failure, ImageFacts, Tried
from msdflash.job.steps import Step
from msdflash.worker import chipid, fitting, measure, memory, plan, program, target, vendor_lock
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.keeping import Keeping
from msdflash.worker.measure import C_DEBUGEN, C_HALT, DBGKEY, DHCSR
from msdflash.worker.shared import forget_cached
from msdflash.worker.target_job import TargetJob

_CAREFUL = 200_000
"""SWD clock in Hz of a rescue's second attempt."""


class FlashJob(TargetJob):
    """The state of one flash order while it runs."""

    def __init__(self, channel: Channel, order: FlashOrder) -> None:
        super().__init__(channel, order.connection, unlocks=order.unlock, starts=order.run)
        self.order = order
        self.keeping = Keeping(channel, order.job, order.beside, one_page=order.connection.one_page)
        self.layout = MemoryMap(())

    def run(self) -> None:
        """See the base."""
        image = self._decode()
        self._open()
        self._measure()
        self._connect()
        image = self._place(image)
        plans = self._plan(image)
        if all(not item.changes for item in plans):
            self.channel.unchanged = True
            if self.order.resumed:
                self.channel.tried.append(Tried("read flash after the interruption", "it held the image already: completed before"))
            self.channel.touch(verified=self.channel.changed.affected)
        else:
            self.keeping.keep(plans, image)
            self._write_plans(plans, self.keeping.at_risk)
        self.channel.proved = True
        self.keeping.settle()
        self._observe()

    # --- the image ------------------------------------------------------------------------------------------------------------------

    def _decode(self) -> Image:
        self.channel.begin(Step.IMAGE, 30)
        try:
            data = Path(self.order.path).read_bytes()
        except OSError as error:
            raise StepFailed("image", f"the spooled file cannot be read: {error.strerror}", cause="unreadable") from error
        try:
            board_id = parse_board_id(self.order.board_id or self.order.connection.probe)
            image = decode.decode(self.order.name, data, placed=self.order.base is not None, board_id=board_id)
        except ImageError as error:
            self._tell_image(error)
            raise StepFailed("image", str(error), cause=error.cause) from error
        if image.sha256 != self.order.sha256:
            raise StepFailed("image", "the spooled file is not the file that was dropped", cause="copy-altered")
        self._remember(image)
        return image

    def _tell_image(self, error: ImageError) -> None:
        self.channel.measure("image.facts", dict(error.facts))

    def _remember(self, image: Image, names: tuple[str, ...] = (), notes: tuple[str, ...] = ()) -> None:
        self.channel.image = ImageFacts(
            name=image.name,
            format=image.format,
            size=image.file_size,
            sha256=image.sha256,
            ranges=() if image.relocatable else image.ranges(),
            transforms=names,
            notes=image.notes + notes,
        )

    def _place(self, image: Image) -> Image:
        channel = self.channel
        channel.begin(Step.CHECK, 5)
        self.layout = layout = target.memory_map(self._session(), self.family, self.silicon.device)
        channel.measure("image.map", [[item.name, item.start, item.start + item.length - 1] for item in layout.regions])
        base = self.order.base
        if image.relocatable and base is None:
            boot = next((item for item in layout.regions if item.boot and item.kind == "flash"), None)
            if boot is None:
                raise StepFailed("image", "the target has no boot flash; give --base", cause="image-needs-base")
            base = boot.start
        image = image.at(base or 0)
        name = self._session().board.target_type
        chip = target.chip_facts(channel, name, self.family, self.silicon.device)
        try:
            notes = checks.check(image, layout, families.boot_of_target(name), chip, allow_locking=self.order.allow_locking_images)
        except ImageError as refused:
            error = fitting.name_other_chip(refused, image, layout)
            self._remember(image)
            self._tell_image(error)
            raise StepFailed("image", str(error), cause=error.cause) from refused
        if self.family is None:
            notes += (target.on_trust(name),)
        image, names = transforms.apply(image, self.family.transforms if self.family is not None else ())
        self._remember(image, names, notes)
        channel.touch(total=image.size)
        return image

    def _plan(self, image: Image) -> list[plan.RegionPlan]:
        channel = self.channel
        regions = target.flash_regions(self._session())
        names = self.family.transforms if self.family is not None else ()
        channel.begin(Step.PLAN, program.transfer_deadline(max(image.size, memory.BLOCK)))  # progress comes block by block
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            channel.progress(min(done, image.size), image.size, program.transfer_deadline(count))

        def transform(address: int, data: bytes) -> bytes:
            return transforms.apply_to(address, data, names)

        erased = [(region, target.erased_byte(region, self.family)) for region in regions]
        try:
            fitting.against_flash(channel, self._session().target, self.layout, self.family, image)
            plans = plan.make(self._session().target, erased, image, transform, advance)
            chip = chipid.unique_id(channel, self._raw_on_session(), self.family)
            plans = self.keeping.recall(plans, image, transform, chip=chip, regions=erased, target=self._session().target)
        except StepFailed:
            raise
        except Exception as error:
            raise self._trouble("flash-read", "reading the flash failed", error) from error
        plan.tell_unread(channel, plans)
        channel.tally("sectors_read", sum(len(item.sectors) for item in plans))
        covered = sum(len(sector.new) for item in plans for sector in item.sectors)
        wanted = sum(program.planned_bytes(item) for item in plans)
        channel.touch(affected=covered - plan.unread(plans), total=wanted)
        if covered < image.size:
            raise StepFailed("image", "part of the image lies in no flash that the target can program", cause="image-outside-flash")
        self._refuse_protected(plans)
        return plans

    # --- after a failure --------------------------------------------------------------------------------------------------------------

    def rescue(self, failed: Failure) -> None:
        """After a failure: bytes beside the image that were erased go back, or are kept. Never raises."""
        self.keeping.rescue(failed.kind == "usb", self.family, self.session and self.session.target, self._regain)
        begun = self.channel.changed.erased or self.channel.changed.programmed
        if failed.kind != "usb" and begun and self.family is not None and self.family.critical and self.family.lock is not None:
            # A reset in the middle, a supply that broke down for one, may have locked it already.
            with contextlib.suppress(Exception):
                raw = self._raw()
                try:
                    measure.pick_up(raw)
                    self.channel.measure("lock.after", vendor_lock.read(raw, self.family.lock))
                finally:
                    # Else pyOCD would believe the memory's port selected, and write to the maker's own: resets, and worse.
                    forget_cached(self._core())

    def _regain(self, again: bool, may_reset: bool) -> Any:
        """The core, halted and within reach once more; the second time slower, and after a reset where that does no harm."""
        raw, core = self._raw(), self._core()
        if again:
            self._probe().set_clock(_CAREFUL)
            measure.pick_up(raw)
        raw.clear_sticky()
        forget_cached(core)
        if again and may_reset:
            self._reset_and_halt()
        core.write32(DHCSR, DBGKEY | C_DEBUGEN | C_HALT)
        if self.family is not None and self.family.serial is not None:
            self._show_flash_chip(self.family.serial)
        return core
