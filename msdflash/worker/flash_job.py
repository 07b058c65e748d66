"""One flash order, from the spooled file to the proof: every byte that must be in flash was read back and compared."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

from pyocd.core.session import Session
from pyocd.probe.debug_probe import DebugProbe

from msdflash.chips import families
from msdflash.chips.model import Family, SerialFlash
from msdflash.errors import ImageError
from msdflash.image import checks, decode, transforms
from msdflash.image.layout import MemoryMap
from msdflash.image.microbit import parse_board_id
from msdflash.image.segments import Image
from msdflash.job.measurements import Phase
from msdflash.job.order import FlashOrder
from msdflash.job.outcome import Failure, ImageFacts, Tried
from msdflash.job.readings import Effect
from msdflash.job.steps import Step
from msdflash.worker import erased as unreadable
from msdflash.worker import chipid, fitting, measure, memory, observe, plan, probe, program, serialflash, silicon, target, unlock
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.keeping import Keeping
from msdflash.worker.ladder import Ladder, connect_under_reset
from msdflash.worker.measure import C_DEBUGEN, C_HALT, DBGKEY, DEMCR, DHCSR, S_HALT
from msdflash.worker.raw import RawTarget
from msdflash.worker.salvage import locks_at_reset
from msdflash.worker.shared import SharedRaw, forget_cached, queued_writes, quick_errors
from msdflash.worker.trouble import classify, deepen
from msdflash.worker.write import ALGORITHM_FAILED, Writer

_LINK_MATTERS = {"transfer", "flash-read", "no-ap", "unexpected", "ram", "algo-readback", "verify", "no-halt"}
"""Failures that a bad link can cause, too: then the link itself is measured."""


_CAREFUL = 200_000
"""SWD clock in Hz of a rescue's second attempt."""


class FlashJob:
    """The state of one flash order while it runs."""

    def __init__(self, channel: Channel, order: FlashOrder) -> None:
        self.channel = channel
        self.order = order
        self.probe: DebugProbe | None = None
        self.session: Session | None = None
        self.raw: RawTarget | None = None
        self.ladder: Ladder | None = None
        self.silicon = silicon.Silicon()
        self.family: Family | None = None
        self.keeping = Keeping(channel, order)
        self.locks_next = False
        self._project = probe.private_project()
        self.layout = MemoryMap(())
        self._demcr = 0
        self._was_halted = False
        self._chip_protects: tuple[tuple[int, int], ...] = ()

    # --- steps --------------------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """All steps in order. Raises StepFailed where it ends early; the channel has the evidence."""
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
            self._write(plans, image)
        self.channel.proved = True
        self.keeping.settle()
        self._observe()

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

    def _open(self) -> None:
        self.channel.begin(Step.OPEN, 15)
        self.probe, self.session = probe.open_probe(self.channel, self.order.connection, self._project)
        if self.order.connection.frequency is not None:
            self.channel.measure("swd.clock", self.order.connection.frequency)

    def _measure(self) -> None:
        try:
            self._look()
        except StepFailed as failed:
            if failed.kind != "locked" or not self.order.unlock:
                raise
            self._unlock()
            self._look()

    def _unlock(self) -> None:
        """On the user's order: the chip, which two readings called locked, is opened, and what was on it is gone."""
        try:
            unlock.carry_out(self.channel, self._raw())
        except StepFailed:
            raise
        except Exception as error:
            raise self._trouble("transfer", "the link failed while the chip was being unlocked", error) from error
        self.channel.tried.append(Tried("removed the read-out protection, as ordered", "the chip was erased by that"))

    def _look(self) -> None:
        channel, connection = self.channel, self.order.connection
        opened = self._probe()
        channel.begin(Step.MEASURE, 10)
        quick_errors(opened)
        self.raw = raw = RawTarget(opened)
        named = connection.target or (channel.probe.target if channel.probe is not None else None)
        self.ladder = Ladder(channel, opened, raw, pays=Effect.RESET, pin_proven=connection.pin_proven, target=named)
        if connection.connect == "under-reset":
            channel.touch(reset=True, halted=True)
            connect_under_reset(self.ladder)
        else:
            self.ladder.first_look()
        channel.begin(Step.IDENTIFY, 5)
        try:
            self.ladder.climb(Phase.CHIP)
            self.silicon = self.ladder.silicon
        except StepFailed:
            raise
        except Exception as error:
            raise self._trouble("transfer", "reading the chip's identity failed", error) from error

    def _connect(self) -> None:
        channel, connection = self.channel, self.order.connection
        chosen = target.choose(channel, connection, channel.probe, self.silicon)
        self.family = self.silicon.family or families.family_of_target(chosen.name)
        channel.begin(Step.CONNECT, 20)
        options = probe.safe_options(connection, self._project)
        if connection.connect == "under-reset":
            options["connect_mode"] = "halt"  # the core is halted at its first instruction already
        # A reset would lock a chip for good whose last job failed in the words that keep it open.
        self.locks_next = self.family is not None and locks_at_reset(channel, self._raw(), self.family)
        channel.touch(halted=True, reset=not self.locks_next)
        queued_writes(self._probe())
        try:
            self.session = target.open_target(channel, self._probe(), options, chosen)
            # PyOCD keeps a Kinetis in reset whose loop made one of its reads fail, and lets go only when told to mass-erase.
            self._probe().assert_reset(False)
            core = self._core()
            self._demcr = core.read32(DEMCR)
            if self.locks_next:
                core.halt()
            else:
                self._reset_and_halt()
            halted = bool(core.read32(DHCSR) & S_HALT)
            if self.family is not None:
                spans = [(int(region.start), int(region.start + region.length)) for region in target.flash_regions(self._session())]
                unreadable.install(core, self.family.blank_check, spans)
        except StepFailed:
            raise
        except Exception as error:
            raise self._trouble("transfer", "connecting to the target failed", error) from error
        if not halted:
            raise self._not_halted()
        if self.family is not None and self.family.serial is not None:
            self._ask_flash_chip(self.family.serial)

    def _reset_and_halt(self) -> None:
        self._session().target.reset_and_halt()
        if self.family is not None and self.family.flash_shown is not None:
            self._core().write32(*self.family.flash_shown)

    def _ask_flash_chip(self, serial: SerialFlash) -> None:
        """A flash chip beside the processor: its answer, its length, and its window readable."""
        try:
            found = self._show_flash_chip(serial)
        except StepFailed:
            raise
        except Exception as error:
            raise self._trouble("transfer", "asking the flash chip failed", error) from error
        kib = found.kib or serial.least
        how = "out of the flash chip's identification" if found.kib else "the shortest that such boards have; this chip does not tell"
        self.channel.measure("chip.flash_kib", kib, how)
        self._chip_protects = found.protected
        target.cut_flash(self._session(), kib)
        target.tell_flash(self.channel, self._session())

    def _show_flash_chip(self, serial: SerialFlash) -> serialflash.Found:
        region = target.flash_regions(self._session())[0]
        return serialflash.look(self.channel, self._core(), region.flash, serial, int(region.start))

    def _not_halted(self) -> StepFailed:
        """After our own reset the core does not stop: in reset still, or refusing."""
        samples, spent = measure.sample_dhcsr(self._raw())
        self.channel.measure("core.dhcsr", samples, "after our reset")
        self.channel.measure("core.dhcsr_ms", round(spent * 1000, 1), "after our reset")
        if all(value & measure.S_RESET_ST for value in samples[1:]):
            caught, seconds = measure.reset_catch(self._raw())
            self.channel.measure("core.reset_catch", caught, f"after our reset, watched for {seconds * 1000:.0f} ms")
            levels = measure.sample_nreset(self._probe(), 5, 0.0)
            if levels is not None:
                self.channel.measure("nreset.released", levels)
            return StepFailed("core-in-reset", "the core did not come out of the reset that we made")
        self.channel.measure("core.halt", samples[-1])
        return StepFailed("no-halt", "the core did not halt")

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
        if self.family is not None and any(item.changes for item in plans):
            ranges = silicon.protected_ranges(channel, self._raw_on_session(), self.family, silicon.main_flash(regions))
            ranges += self._chip_protects
            for item in plans:
                program.refuse_protected(item, ranges)
        return plans

    def _write(self, plans: list[plan.RegionPlan], image: Image) -> None:
        self.keeping.keep(plans, image)
        writer = Writer(self.channel, self._session().target, self._core(), self.family, self.keeping.at_risk)
        try:
            writer.write(plans)
        except StepFailed as failed:
            if failed.kind in ALGORITHM_FAILED:
                self._look_after_call()
            raise
        except Exception as error:
            raise self._trouble("transfer", f"the link failed in step {self.channel.step.value}", error) from error

    def _observe(self) -> None:
        channel = self.channel
        channel.begin(Step.RESET, 10)
        if not self.order.run:
            self._stay_halted()
            return
        channel.touch(reset=True, state="running")
        try:
            since = time.monotonic()
            observe.release(self._core())
            channel.begin(Step.OBSERVE, 5 + observe.LATE)
            channel.running = observe.watch(channel, self._core(), since)
            observe.boot_source(channel, self._core(), self.family)
        except Exception as error:  # noqa: BLE001  (flash is proved; what the program does now is a second result)
            channel.log.append(classify(error).text)
            channel.running = "debug-unreachable"

    def _stay_halted(self) -> None:
        """HARD_RST.CFG: the new program waits at its first instruction."""
        self.channel.touch(reset=True, state="halted")
        try:
            self._session().target.reset_and_halt()
            self.channel.running = "halted"
        except Exception as error:  # noqa: BLE001  (flash is proved all the same)
            self.channel.log.append(classify(error).text)
            self.channel.running = "debug-unreachable"

    # --- endings ------------------------------------------------------------------------------------------------------------------

    def _trouble(self, kind: str, message: str, error: BaseException) -> StepFailed:
        """Evidence out of an escaped exception, and the step failure that it means."""
        trouble = deepen(classify(error), self.probe)
        if trouble.kind == "usb":
            return measure.usb_failed(self.channel, trouble)
        self.channel.measure("engine.error", trouble.text)
        if trouble.ack:
            self.channel.measure("swd.ack", trouble.ack, self.channel.step.value)
        if trouble.kind == "other":
            return StepFailed("unexpected", f"{message}: {trouble.text}"[:300])
        return StepFailed(kind, message)

    def _look_after_call(self) -> None:
        if self.ladder is not None and self.family is not None:
            with contextlib.suppress(Exception):
                self.ladder.after(self._raw_on_session(), self.family).climb(Phase.CALL)
                if self.family.serial is not None:
                    serialflash.note_busy(self.channel, self._core(), self.family.serial)

    def autopsy(self, failed: StepFailed) -> None:
        """More evidence after a failure of the link or the probe; within a second, and never more than reading."""
        if failed.kind in _LINK_MATTERS:
            self._measure_link()
        unreadable_by_design = self.family is not None and self.family.blank_check is not None
        if failed.kind == "flash-read" and self.channel.target is not None and not unreadable_by_design:
            with contextlib.suppress(Exception):
                silicon.confirm_read_fault(self.channel, self._raw(), [first for first, _ in self.channel.target.flash])
        probe.note_presence(self.channel, self.order.connection.probe)

    def rescue(self, failed: Failure) -> None:
        """After a failure: bytes beside the image that were erased go back, or are kept. Never raises."""
        self.keeping.rescue(failed.kind == "usb", self.family, self.session and self.session.target, self._regain)

    def _regain(self, again: bool, may_reset: bool) -> Any:
        """The core, halted and within reach once more; the second time slower, and after a reset where that does no harm."""
        raw, core = self._raw(), self._core()
        if again:
            self._probe().set_clock(_CAREFUL)
            raw.identify()
            raw.power_up()
        raw.clear_sticky()
        forget_cached(core)
        if again and may_reset:
            self._reset_and_halt()
            if self.family is not None and self.family.serial is not None:
                self._show_flash_chip(self.family.serial)
        core.write32(DHCSR, DBGKEY | C_DEBUGEN | C_HALT)
        if self.family is not None and self.family.serial is not None:
            self._show_flash_chip(self.family.serial)
        return core

    def _measure_link(self) -> None:
        if self.raw is None:
            return
        with contextlib.suppress(Exception):
            quick_errors(self._probe())
            self._raw()
            if self.ladder is not None:
                self.ladder.climb(Phase.LINK)

    def close(self) -> None:
        """Leave the target in a state that can be told, let go of nRESET, close the probe. Never raises."""
        channel = self.channel
        begun = channel.changed.erased or channel.changed.programmed
        half = (bool(begun) or self.locks_next) and not channel.proved
        if self.session is not None and self.session.board is not None and self.raw is not None:
            self._leave(half)
        if self.probe is not None:
            with contextlib.suppress(Exception):
                self.probe.assert_reset(False)
        if self.session is not None:
            try:
                self.session.close()
            except Exception as error:  # noqa: BLE001  (closing after an unplug raises USBError; the job's result stands)
                channel.log.append(classify(error).text)
        shutil.rmtree(self._project, ignore_errors=True)

    def _leave(self, half: bool) -> None:
        channel = self.channel
        if channel.proved:
            with contextlib.suppress(Exception):
                observe.leave(self._core(), self._demcr & ~1, halted=not self.order.run)
            return
        if not channel.changed.halted or not channel.changed.connected:
            return
        try:
            if half:
                observe.leave(self._core(), self._demcr & ~1, halted=True)
                channel.touch(state="halted")
            else:
                observe.release(self._core())
                observe.leave(self._core(), self._demcr & ~1, halted=False)
                channel.touch(state="running")
        except Exception:  # noqa: BLE001  (the target is out of reach: say so)
            channel.touch(state="unknown")

    # --- parts that exist from some step on -----------------------------------------------------------------------------------------

    def _probe(self) -> DebugProbe:
        if self.probe is None:
            raise StepFailed("unexpected", "no probe is open")
        return self.probe

    def _session(self) -> Session:
        if self.session is None:
            raise StepFailed("unexpected", "no session is open")
        return self.session

    def _core(self) -> Any:
        core = self._session().target.primary_core
        if core is None:
            raise StepFailed("no-ap", "no core was found behind the debug port")
        return core

    def _raw(self) -> RawTarget:
        if self.raw is None:
            raise StepFailed("unexpected", "the target was not measured")
        self.raw.forget()
        return self.raw

    def _raw_on_session(self) -> RawTarget:
        """Raw access while pyOCD's session is open: both write SELECT, CSW and TAR, so pyOCD's memory of them must go."""
        return SharedRaw(self._core())
