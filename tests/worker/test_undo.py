"""Bytes beside an image: what is written down of them, and when it may be put back."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.diagnose.rules import diagnose
from msdflash.image.segments import Image, Segment
from msdflash.job.outcome import Failure
from msdflash.worker import undo
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.keeping import Keeping
from msdflash.worker.memory import to_words
from msdflash.worker.plan import RegionPlan, Sector
from msdflash.worker.undo import Piece, Undo

SECTOR, COUNT, BASE = 64, 4, 0x08000000
PIECES = (Piece(BASE + 8, b"abc"), Piece(BASE + 200, b"\x00\xff"))


def region() -> SimpleNamespace:
    def sector(address: int) -> SimpleNamespace:
        return SimpleNamespace(base_addr=address - (address - BASE) % SECTOR, size=SECTOR)

    return SimpleNamespace(start=BASE, length=SECTOR * COUNT, flash=SimpleNamespace(get_sector_info=sector))


def image(*segments: tuple[int, bytes]) -> Image:
    return Image(name="x.bin", format="bin", file_size=1, sha256="", segments=tuple(Segment(BASE + at, data) for at, data in segments))


def plans(old: bytes, new: bytes, erased: int = 0xFF) -> list[RegionPlan]:
    """One plan over all sectors."""
    cut = [slice(at, at + SECTOR) for at in range(0, SECTOR * COUNT, SECTOR)]
    return [RegionPlan(region(), tuple(Sector(BASE + part.start, old[part], new[part]) for part in cut), erased)]


def laid(old: bytes, picture: Image) -> bytes:
    data = bytearray(old)
    for segment in picture.segments:
        data[segment.address - BASE : segment.end - BASE] = segment.data
    return bytes(data)


def test_each_chip_has_its_own_file(tmp_path: Path) -> None:
    one, other, nameless = (Undo(tmp_path / "undo", chip, "j1") for chip in ("stm32l4-01", "stm32l4-02", None))
    assert one.pending() == ()
    one.keep(PIECES)
    assert one.pending() == PIECES
    assert (other.pending(), nameless.pending()) == ((), ())
    assert other.strangers() == ("stm32l4-01.undo",)
    nameless.keep(PIECES[:1])
    assert Undo(tmp_path / "undo", None, "j1").pending() == PIECES[:1]
    assert Undo(tmp_path / "undo", None, "j2").pending() == (), "nothing tells that it is the same chip"
    one.path.replace(other.path)
    assert other.pending() == (), "the id inside counts, not the name"
    nameless.keep(())
    assert not nameless.path.exists()


def test_a_torn_file_is_none_and_the_old_one_survives_a_failed_write(tmp_path: Path) -> None:
    kept = Undo(tmp_path, "c", "j")
    kept.keep(PIECES)
    if sys.platform == "linux":
        kept.path.with_suffix(".new").symlink_to("/dev/full")
        with pytest.raises(OSError, match="28"):
            kept.keep(PIECES[:1])
        assert kept.pending() == PIECES
    kept.path.write_bytes(kept.path.read_bytes()[:-3])
    assert kept.pending() == ()


def test_only_so_many_chips_are_kept(tmp_path: Path) -> None:
    for number in range(undo.MOST_FILES + 3):
        Undo(tmp_path, f"c{number:03}", "j").keep(PIECES)
    assert len(list(tmp_path.iterdir())) == undo.MOST_FILES


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_whatever_is_erased_comes_back(data: st.DataObject) -> None:
    """Sectors that change are erased, wholly or up to some bits; the same job, or another image's, puts the rest back."""
    erased = data.draw(st.sampled_from([0xFF, 0x00]))
    size = SECTOR * COUNT
    old = data.draw(st.binary(min_size=size, max_size=size))
    spans = st.tuples(st.integers(0, size - 1), st.integers(1, 80))
    pictures = []
    for _ in range(2):
        start, length = data.draw(spans)
        pictures.append(image((start, bytes((byte + 1) & 0xFF for byte in old[start : start + length]))))
    first, second = pictures
    cut_off = plans(old, laid(old, first), erased)
    kept = undo.beside(cut_off, first)
    now = bytearray(old)
    bits = data.draw(st.binary(min_size=size, max_size=size))
    for sector in cut_off[0].changes:
        for at in range(sector.address - BASE, sector.end - BASE):
            now[at] = now[at] | bits[at] if erased == 0xFF else now[at] & ~bits[at] & 0xFF
    touched = plans(bytes(now), laid(bytes(now), second), erased)
    planned = (RegionPlan(touched[0].region, tuple(item for item in touched[0].sectors if item.differs), erased),)

    def look(address: int) -> tuple[RegionPlan, Sector] | None:
        sector = next(item for item in plans(bytes(now), bytes(now))[0].sectors if item.address <= address < item.end)
        return RegionPlan(touched[0].region, (sector,), erased), sector

    found = undo.restore(list(planned), kept, second, lambda _, content: content, look)
    assert found.foreign == 0
    after = bytearray(now)
    for sector in (item for plan in found.plans for item in plan.sectors):
        after[sector.address - BASE : sector.end - BASE] = sector.new
    for at in range(size):
        if any(segment.address <= BASE + at < segment.end for segment in second.segments):
            assert after[at] == laid(old, second)[at]
        elif not any(segment.address <= BASE + at < segment.end for segment in first.segments):
            assert after[at] == old[at], f"a byte beside both images is lost at {at}"


def test_what_somebody_wrote_since_is_left_alone() -> None:
    now = b"\x12" * SECTOR * COUNT
    kept = (Piece(BASE + 8, b"\xf0" * 4),)
    found = undo.restore(plans(now, now), kept, image((100, b"new")), lambda _, data: data, lambda _: None)
    assert (found.back, found.foreign) == (0, 4)
    assert not found.plans[0].changes
    found = undo.restore([], kept, image((100, b"new")), lambda _, data: data, lambda _: None)
    assert found.foreign == 4, "there is no such flash"


class Words:
    """Flash to read from."""

    def read_memory_block32(self, _address: int, count: int) -> list[int]:
        return to_words(b"\xff" * 4 * count)

    def write_memory_block32(self, address: int, data: object) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("full", [True, False])
def test_what_cannot_be_kept_is_not_put_at_risk(tmp_path: Path, full: bool) -> None:
    """A full disk has its own name; so has a folder that cannot be used."""
    folder = tmp_path / "undo"
    if full:
        if not Path("/dev/full").exists():
            return  # /dev/full is a device of Linux
        folder.mkdir()
        (folder / "chip.new").symlink_to("/dev/full")
    else:
        folder.write_bytes(b"a file, not a folder")
    channel = Channel(io.BytesIO(), "j")
    keeping = Keeping(channel, "j", str(folder))
    old = b"A" * SECTOR * COUNT
    picture = image((8, b"new"))
    planned = keeping.recall(
        plans(old, laid(old, picture)), picture, lambda _, data: data, chip="chip", regions=[(region(), 0xFF)], target=Words()
    )
    with pytest.raises(StepFailed) as failed:
        keeping.keep(planned, picture)
    outcome = channel.outcome(Failure(channel.step, failed.value.kind, str(failed.value)))
    first = diagnose(outcome).first
    assert first is not None
    assert (first.cause, first.confidence) == ("disk-full" if full else "undo-not-kept", "certain")
