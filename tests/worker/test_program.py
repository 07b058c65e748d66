"""The order in which sectors are written, deadlines by sector, and a page buffer that was not filled anew."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.chips.families import FAMILIES
from msdflash.worker import program, salvage
from msdflash.worker.plan import RegionPlan, Sector, chunks

BY_ID = {family.id: family for family in FAMILIES}
K64F, KL25Z = BY_ID["kinetis-k6x"], BY_ID["kinetis-kl2x"]


def plan_of(size: int, count: int, page: int, fill: bytes = b"\x5a") -> RegionPlan:
    sectors = tuple(Sector(at, b"\xff" * size, fill * size) for at in range(0, size * count, size))
    return RegionPlan(SimpleNamespace(start=0, page_size=page), sectors)


def test_words_that_lock_the_chip_come_first_and_alone() -> None:
    for family, size in ((K64F, 4096), (KL25Z, 1024)):
        plan = plan_of(size, 4, size)
        first, rest = program.stages(plan, family)
        assert [sector.address for sector in first.sectors] == [0x400 - 0x400 % size]
        assert sorted(sector.address for part in (first, rest) for sector in part.sectors) == [sector.address for sector in plan.sectors]
        pieces = program.urgent_first(list(chunks(first.changes, size, size, 0xFF)), family)
        assert (pieces[0][0], len(pieces[0][1])) == (0x400, 16)
        assert sorted(at for address, data in pieces for at in range(address, address + len(data))) == list(
            range(first.sectors[0].address, first.sectors[0].end)
        )
    plan = plan_of(2048, 3, 2048)
    assert program.stages(plan, BY_ID["stm32l4"]) == program.stages(plan, None) == [plan]


def test_a_small_sector_does_not_get_the_time_of_a_large_one() -> None:
    timing = BY_ID["stm32f4"].timing
    assert timing is not None
    assert program.erase_deadline(timing, 16 << 10) < program.erase_deadline(timing, 128 << 10)
    assert program.erase_deadline(timing, 128 << 10) >= 2 * timing.erase


def test_a_page_of_an_earlier_part_is_told_from_other_damage() -> None:
    size = 512
    parts = [bytes([number]) * 8 + bytes(range(256)) * 2 for number in range(4)]
    sectors = tuple(Sector(at * size, b"\xff" * size, parts[at][:size]) for at in range(4))
    plan = RegionPlan(SimpleNamespace(start=0, page_size=size), sectors)
    assert program.stale_buffer(plan, sectors[2], sectors[1].new, size)
    assert not program.stale_buffer(plan, sectors[2], sectors[3].new, size), "a later part is none that the buffer has held"
    assert not program.stale_buffer(plan, sectors[2], sectors[1].new[:300] + b"\0" * 212, size)
    assert not program.stale_buffer(plan, sectors[0], sectors[1].new, size), "nothing was programmed before the first piece"
    same = RegionPlan(plan.region, tuple(Sector(at * size, b"\xff" * size, bytes([at]) * size) for at in range(3)))
    assert not program.stale_buffer(same, same.sectors[1], same.sectors[0].new, size), "one value all over is no pattern"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60), unique=True, max_size=30), st.sampled_from([1, 3, 8]))
def test_neighbouring_units_are_joined_and_none_is_lost(units: list[int], most: int) -> None:
    runs = list(salvage._runs([unit * 8 for unit in units], 8, most * 8))
    assert [at for start, end in runs for at in range(start, end, 8)] == [unit * 8 for unit in units]
    assert all(0 < end - start <= most * 8 for start, end in runs)
