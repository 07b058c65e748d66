"""The plan reads as little as it may, and never takes what it did not read for unchanged, blank or kept."""

from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.image.segments import Image, Segment
from msdflash.worker import plan, program
from msdflash.worker.memory import to_words

SECTOR, COUNT, BASE = 256, 12, 0x08000000


class Flash:
    """Bytes of a flash, and how many of them were read."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.read = 0

    def read_memory_block32(self, address: int, count: int) -> list[int]:
        self.read += 4 * count
        return to_words(self.content[address - BASE : address - BASE + 4 * count])

    def write_memory_block32(self, address: int, data: object) -> None:
        raise NotImplementedError


def region() -> SimpleNamespace:
    def sector(address: int) -> SimpleNamespace:
        return SimpleNamespace(base_addr=address - (address - BASE) % SECTOR, size=SECTOR)

    return SimpleNamespace(start=BASE, length=SECTOR * COUNT, page_size=SECTOR, flash=SimpleNamespace(get_sector_info=sector))


def planned(content: bytes, segments: list[tuple[int, bytes]]) -> tuple[plan.RegionPlan, Flash]:
    flash = Flash(content)
    parts = tuple(Segment(BASE + offset, data) for offset, data in segments)
    image = Image(name="x.bin", format="bin", file_size=1, sha256="", segments=parts)
    told: list[int] = []
    (found,) = plan.make(flash, [(region(), 0xFF)], image, lambda _, data: data, told.append)
    assert sum(told) == sum(len(sector.new) for sector in found.sectors)  # each byte once, or a slow link runs into the deadline
    return found, flash


def test_a_changed_image_is_hardly_read_and_an_unchanged_one_in_full() -> None:
    old, new = bytes(SECTOR * COUNT), b"\x55" * SECTOR * COUNT
    changed, flash = planned(old, [(0, new)])
    assert len(changed.changes) == COUNT
    assert flash.read == COUNT * plan.SAMPLE
    same, flash = planned(new, [(0, new)])
    assert not same.changes
    assert flash.read == SECTOR * COUNT + 3 * plan.SAMPLE


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_sector_ends_as_old_content_under_the_image(data: st.DataObject) -> None:
    kinds = st.lists(st.sampled_from([b"\xff", b"\x00", b"\x5a"]), min_size=COUNT, max_size=COUNT)
    old = bytearray(b"".join(kind * SECTOR for kind in data.draw(kinds)))
    start = data.draw(st.integers(0, COUNT * SECTOR - 8))
    end = data.draw(st.integers(start + 1, COUNT * SECTOR))
    written = data.draw(st.sampled_from([bytes(old[start:end]), b"\x5a" * (end - start), b"\xff" * (end - start)]))
    spot = data.draw(st.integers(0, end - start - 1))
    written = written[:spot] + b"\x33" + written[spot + 1 :]
    wanted = bytes(old[:start]) + written + bytes(old[end:])
    found, _ = planned(bytes(old), [(start, written)])
    for sector in found.sectors:
        place = slice(sector.address - BASE, sector.end - BASE)
        assert sector.new == wanted[place]
        assert sector.differs == (bytes(old[place]) != wanted[place])
        assert sector.is_blank(0xFF) == (bytes(old[place]) == b"\xff" * SECTOR)


def test_a_small_job_gets_a_small_buffer() -> None:
    page = SimpleNamespace(page_size=2048)
    flash = SimpleNamespace(page_buffers=[0x20001000])
    family = SimpleNamespace(program_chunk=16384)
    sizes = [program.chunk_for(page, flash, family, 0x20018000, wanted) for wanted in (1, 16 << 10, 256 << 10, 1 << 20)]  # type: ignore[arg-type]
    assert sizes == [2048, 4096, 16384, 16384]
