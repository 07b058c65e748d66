"""The product's worker on the LPC55S69: flash whose erased pages cannot be read, and a boot ROM that hides the processor."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING, Any

import pytest

from msdflash.chips import nxp
from msdflash.image.segments import Image, Segment
from msdflash.job.readings import Effect, latest
from msdflash.sim.board import Board
from msdflash.sim.chips.lpc55 import Lpc55S69
from msdflash.worker import attach, erased, mailbox, memory, observe, plan, program, silicon, undo
from msdflash.worker import target as targets
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.ladder import Ladder
from msdflash.worker.raw import RawTarget
from msdflash.worker.write import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyocd.core.session import Session

    from msdflash.sim.chips.lpc55flash import EccFlash

PAGE, SECTOR, BASE = 512, 0x8000, 0x8000
NEW = random.Random(2).randbytes(3 * PAGE)
OLD = random.Random(3).randbytes(PAGE)
ONES, NOTHING = b"\xff" * PAGE, None
BLANK, WRITTEN, BROKEN = 0, 1, 2


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board("lpcxpresso55s69", "cmsis-dap")
    yield made
    made.close()


def flash_of(board: Board) -> EccFlash:
    assert isinstance(board.soc.chip, Lpc55S69)
    return board.soc.chip.controller


def lay(board: Board, pages: dict[int, bytes | None]) -> None:
    """Pages of the sector at BASE, by number; all else is erased."""
    flash = flash_of(board)
    for number, data in pages.items():
        flash.array.data[BASE + number * PAGE : BASE + (number + 1) * PAGE] = data or ONES
        flash.pages[BASE // PAGE + number] = BLANK if data is None else WRITTEN
    flash.changed()


def states(board: Board, count: int) -> list[int]:
    """Erased, written or broken: the first pages of the sector."""
    return list(flash_of(board).pages[BASE // PAGE : BASE // PAGE + count])


class Job:
    """What a flash job has in hand when it plans."""

    def __init__(self, session: Session) -> None:
        self.channel = Channel(io.BytesIO(), "1")
        self.target, self.core = session.target, session.target.primary_core
        self.target.reset_and_halt()
        self.regions: list[tuple[Any, int]] = [(region, 0xFF) for region in targets.flash_regions(session)]
        spans = [(int(region.start), int(region.start + region.length)) for region, _ in self.regions]
        erased.install(self.core, nxp.LPC55.blank_check, spans)

    def look(self, address: int, data: bytes) -> tuple[list[plan.RegionPlan], Image]:
        image = Image(name="x.bin", format="bin", file_size=len(data), sha256="", segments=(Segment(address, data),))
        return plan.make(self.target, self.regions, image, lambda _, part: part, lambda _: None), image

    def write(self, plans: list[plan.RegionPlan]) -> None:
        self.channel.touch(affected=sum(len(sector.new) for item in plans for sector in item.sectors) - plan.unread(plans))
        Writer(self.channel, self.target, self.core, nxp.LPC55).write(plans)


@pytest.fixture
def job(board: Board, pyocd_session: Callable[..., Session]) -> Job:
    return Job(pyocd_session(target_override="lpc55s69", **{"reset.post_delay": 0.1}))


def test_neighbours_survive_and_erased_pages_stay_erased(board: Board, job: Job) -> None:
    lay(board, {0: OLD, 1: NOTHING, 2: NOTHING, 3: ONES, 5: OLD})
    plans, _ = job.look(BASE + 0x100, NEW[:700])
    (sector,) = plans[0].sectors
    assert (sector.partial, sector.touched, len(sector.left)) == ((0, PAGE), (0, PAGE), SECTOR // PAGE - 4)
    assert plan.fill_words(plans)[0].startswith("page-fill: 0xFF stands in the rest of 1 page(s)")
    job.write(plans)
    assert states(board, 7) == [WRITTEN, WRITTEN, BLANK, WRITTEN, BLANK, WRITTEN, BLANK]
    assert board.flash_bytes()[BASE : BASE + 2 * PAGE] == OLD[:0x100] + NEW[:700] + b"\xff" * (2 * PAGE - 0x100 - 700)
    assert board.flash_bytes()[BASE + 5 * PAGE : BASE + 6 * PAGE] == OLD
    assert job.channel.changed.verified == 4 * PAGE, "what was not read is not counted as read"
    again, _ = job.look(BASE + 0x100, NEW[:700])
    assert not again[0].changes
    assert memory.read(job.target, BASE + 0x100, 4) == NEW[:4]


def test_ones_are_programmed_where_a_program_may_read_them(board: Board, job: Job) -> None:
    """An erased page is not 0xFF: the program would fault."""
    plans, _ = job.look(BASE, NEW[:PAGE] + ONES + NEW[:PAGE])
    job.write(plans)
    assert states(board, 4) == [WRITTEN] * 3 + [BLANK]
    assert plan.fill_words(plans) == ()
    plans, _ = job.look(BASE + SECTOR, ONES)
    job.write(plans)
    assert states(board, SECTOR // PAGE + 2)[-2:] == [WRITTEN, BLANK]


def test_a_broken_page_goes_where_the_image_fills_it_and_is_not_guessed_elsewhere(board: Board, job: Job) -> None:
    lay(board, {0: OLD, 1: OLD})
    flash_of(board).pages[BASE // PAGE + 1] = BROKEN
    with pytest.raises(StepFailed, match="neither erased nor readable") as refused:
        job.look(BASE, NEW[:PAGE])
    assert (refused.value.kind, refused.value.address) == ("flash-read", BASE + PAGE)
    plans, _ = job.look(BASE + PAGE, bytes(PAGE))
    assert plans[0].sectors[0].damaged
    job.write(plans)
    assert (states(board, 3), board.flash_bytes()[BASE : BASE + 2 * PAGE]) == ([WRITTEN, WRITTEN, BLANK], OLD + bytes(PAGE))


def test_the_proof_knows_an_erased_page_from_one_full_of_ones(board: Board, job: Job) -> None:
    plans, _ = job.look(BASE, ONES + NEW[:PAGE])
    job.write(plans)
    for changed, message in (({0: NOTHING}, "is erased, and was programmed"), ({4: ONES}, "is no longer")):
        lay(board, {0: ONES, 4: NOTHING, **changed})
        with pytest.raises(StepFailed, match=message) as wrong:
            program.verify(job.channel, job.target, plans[0])
        assert wrong.value.kind == "verify"
    lay(board, {0: ONES, 4: NOTHING})
    flash_of(board).pages[BASE // PAGE] = BROKEN
    with pytest.raises(StepFailed, match="fails its error correction"):
        program.verify(job.channel, job.target, plans[0])


def test_bytes_that_an_interrupted_job_lost_come_back_page_by_page(board: Board, job: Job) -> None:
    lay(board, {0: OLD, 1: ONES, 2: NOTHING, 3: OLD})
    plans, image = job.look(BASE, NEW[:PAGE])
    pieces = undo.beside(plans, image)
    assert [(piece.address - BASE, len(piece.data)) for piece in pieces] == [(PAGE, PAGE), (3 * PAGE, PAGE)]
    lay(board, dict.fromkeys(range(4), NOTHING))
    plans, image = job.look(BASE, NEW[:PAGE])
    found = undo.restore(plans, pieces, image, lambda _, data: data, lambda _: None)
    job.write(found.plans)
    assert states(board, 5) == [WRITTEN, WRITTEN, BLANK, WRITTEN, BLANK]
    assert board.flash_bytes()[BASE : BASE + 4 * PAGE] == NEW[:PAGE] + ONES + ONES + OLD


def test_a_controller_that_does_not_answer_is_told(board: Board, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msdflash.worker.erased._PATIENCE", 0.02)
    board.set_fault("flash-busy")
    flash_of(board).begin()
    with pytest.raises(StepFailed, match="does not say which pages are erased"):
        job.look(BASE, NEW)


def test_the_boot_rom_is_asked_twice_before_it_counts_as_a_refusal(
    board: Board, pyocd_session: Callable[..., Session], firmware: Callable[[str], bytes]
) -> None:
    probe = pyocd_session(init_board=False, target_override="lpc55s69").probe

    def attach() -> tuple[RawTarget, Channel]:
        raw, channel = RawTarget(probe), Channel(io.BytesIO(), "1")
        channel.measure("swd.dpidr", raw.attach())
        raw.clear_sticky()
        raw.power_up()
        return raw, channel

    raw, channel = attach()
    mailbox.knock(channel, raw)
    channel.measure("core.cpuid", raw.read32(0xE000ED00))
    assert latest(tuple(channel.readings), "mailbox.session") == [{"answer": 0, "idr": 0x84770001}]
    assert silicon.identify(channel, raw).device == nxp.LPC55.devices[0]
    board.set_power(False)
    board.soc.chip.flash.data[:1040] = firmware("blinky-m33")
    board.set_power(True)
    board.set_fault("debug-lock")
    raw, channel = attach()
    with pytest.raises(StepFailed) as refused:
        mailbox.knock(channel, raw)
    assert refused.value.kind == "locked"
    assert latest(tuple(channel.readings), "mailbox.session") == [{"answer": 1, "idr": 0}] * 2
    board.soc.bus.write(0x20000108, 4, 0)
    board.advance(0.01)
    assert board.soc.bus.read(0x20000108, 4) == 1  # the program runs again
    board.clear_fault("debug-lock")
    board.set_fault("reset-held")
    with pytest.raises(StepFailed) as silent:
        mailbox.knock(channel, raw)
    assert silent.value.kind == "no-ap"


def test_under_reset_means_before_the_program_starts(
    board: Board, pyocd_session: Callable[..., Session], firmware: Callable[[str], bytes]
) -> None:
    """While this probe holds nRESET the processors are hidden; the mailbox's own reset is used instead."""
    board.set_power(False)
    board.soc.chip.flash.data[:1040] = firmware("blinky-m33")
    board.set_power(True)
    probe = pyocd_session(init_board=False, target_override="lpc55s69").probe
    raw, channel = RawTarget(probe), Channel(io.BytesIO(), "1")
    attach.under_reset(Ladder(channel, probe, raw, pays=Effect.RESET, pin_proven=False, target="lpc55s69"))
    readings = tuple(channel.readings)
    assert latest(readings, "mailbox.session") == [{"answer": 0, "idr": 0x84770001}]
    assert (latest(readings, "core.cpuid"), raw.read32(0x20000108)) == (0x410FD213, 0)


def test_the_new_program_runs(board: Board, job: Job, firmware: Callable[[str], bytes]) -> None:
    plans, _ = job.look(0, firmware("blinky-m33"))
    job.write(plans)
    observe.release(job.core)
    assert observe.watch(job.channel, job.core) == "running"
