"""The chip tables: consistent with themselves, with pyOCD's builtins and with how its algorithms behave."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.chips.families import (
    FAMILIES,
    boot_of_target,
    builtin_for,
    candidates,
    device,
    devices_of_target,
    family_of_target,
    identify,
    reachable_kib,
    target_for,
)
from msdflash.chips.model import Family
from msdflash.image.checks import _HEADERS
from msdflash.image.transforms import TRANSFORMS

BY_ID = {family.id: family for family in FAMILIES}
L4, F1, F4, L0, H7 = (BY_ID[name] for name in ("stm32l4", "stm32f1", "stm32f4", "stm32l0", "stm32h7"))
ALL = [(family, known, item) for family in FAMILIES for known in family.devices for item in known.builtins]


@pytest.fixture(scope="module")
def builtins() -> dict[str, Any]:
    from pyocd.target.builtin import BUILTIN_TARGETS

    return dict(BUILTIN_TARGETS)


def test_ids_are_unique() -> None:
    assert len(BY_ID) == len(FAMILIES)
    for family in FAMILIES:
        ids = [known.dev_id for known in family.devices]
        assert len(set(ids)) == len(ids), family.id


def test_every_target_is_a_builtin(builtins: dict[str, Any]) -> None:
    names = {item.target for _, _, item in ALL} | {name for family in FAMILIES for name in family.targets}
    assert names <= set(builtins)


def test_flash_base_and_size_agree_with_the_builtins(builtins: dict[str, Any]) -> None:
    wrong = []
    for family, _, item in ALL:
        regions = builtins[item.target].MEMORY_MAP.regions
        boot = next(region for region in regions if region.is_boot_memory)
        near = (region for region in regions if region.is_flash and 0 <= region.start - family.flash_base < 0x100_0000)
        length = sum(region.length for region in near if region.name != "EEPROM")
        # pyOCD's map of the H7B0 is larger than any such part.
        fits = length >= item.kib * 1024 if item.target == "stm32h7b0xx" else length == item.kib * 1024
        if boot.start != family.flash_base or not fits:
            wrong.append((item.target, hex(boot.start), length))
    assert not wrong


def test_the_algorithms_fit_into_the_dies(builtins: dict[str, Any]) -> None:
    """Code, stack and page buffers of each builtin lie in the RAM that the die has."""
    wrong, seen = [], 0
    for _, known, item in ALL:
        regions = [region for region in builtins[item.target].MEMORY_MAP.regions if region.is_flash]
        algorithm = regions[0]._algo
        if algorithm is None:  # made at run time (RP2040)
            continue
        seen += 1
        page = min(0x1000, *(region.page_size for region in regions))
        spans = [(algorithm["load_address"], 4 * len(algorithm["instructions"])), (algorithm["begin_stack"] - 4, 4)]
        spans += [(buffer, page) for buffer in algorithm["page_buffers"]]
        wrong += [
            (known.part, item.target, hex(start))
            for start, length in spans
            if not any(first <= start and start + length <= first + size for first, size in known.ram)
        ]
    assert not wrong
    assert seen > 25


def test_header_kinds_and_transforms_exist() -> None:
    for family in FAMILIES:
        assert family.boot in _HEADERS
        assert set(family.transforms) <= set(TRANSFORMS)


def test_the_document_lists_every_die_and_target() -> None:
    document = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in document.splitlines() if line.startswith("| ")}
    for family in FAMILIES:
        for known in family.devices:
            assert all(f"`{item.target}` ({item.kib} KiB)" in rows[known.part] for item in known.builtins)
            assert known.builtins or "CMSIS-Pack" in rows[known.part]


# --- identity --------------------------------------------------------------------------------------------------------------


def test_an_l476_is_found_by_its_registers() -> None:
    found = candidates(0x2BA01477, 0x24770011, 0x410FC241, 0x020)
    assert found[0] is L4
    assert all(0xC24 in family.cores for family in found)
    family, known = identify(found, 0xE0042000, 0x10076415) or (None, None)
    assert family is L4
    assert known is not None
    assert known.part == "STM32L47x/L48x"
    assert target_for(L4, 0x415, 1024) == "stm32l475xg"


def test_identity_refutes() -> None:
    assert L4 not in candidates(0x0BC11477, None, None)
    assert L4 not in candidates(None, 0x04770031, None)
    assert L4 not in candidates(None, None, 0x410CC601)
    assert L4 not in candidates(None, None, None, 0x244)
    assert L4 in candidates(None, None, None, 0x43B)
    assert candidates(None, None, None) == FAMILIES
    assert candidates(0xDEADBEEF, None, None) == ()


def test_unknown_ids_are_not_guessed() -> None:
    assert identify(FAMILIES, 0xE0042000, 0x10000FFF) is None
    assert identify((L4,), 0x40015800, 0x415) is None
    assert device(L4, 0x999) is None
    assert target_for(L4, 0x999, 1024) is None


def test_nrf51_rows_answer_to_any_hardware_id() -> None:
    nrf51 = BY_ID["nrf51"]
    known = device(nrf51, 0x7A)
    assert known is not None
    assert known.part == "nRF51x22"


@pytest.mark.parametrize(
    ("family", "dev_id", "kib", "target"),
    [
        (L4, 0x415, 256, "stm32l475xc"),
        (L4, 0x415, 512, "stm32l475xe"),
        (L4, 0x435, 128, "stm32l432kc"),
        (L4, 0x435, 256, "stm32l432kc"),
        (L4, 0x461, 1024, "stm32l475xg"),
        (L4, 0x462, 512, "stm32l475xe"),
        (L4, 0x464, 128, "stm32l432kc"),
        (L4, 0x470, 2048, None),  # other page size
        (F1, 0x414, 256, "stm32f103rc"),
        (F1, 0x410, 128, None),  # 1 KiB pages
        (F1, 0x430, 1024, None),  # second controller
        (F4, 0x413, 1024, "stm32f412xg"),
        (F4, 0x419, 2048, "stm32f429xi"),
        (F4, 0x463, 1536, None),
        (L0, 0x425, 32, "stm32l031x6"),
        (L0, 0x417, 64, None),
        (H7, 0x450, 2048, "stm32h743xx"),
        (H7, 0x450, 1024, None),  # a hole in the middle
        (H7, 0x450, 128, "stm32h750xx"),
        (L4, 0x415, 0xFFFF, None),
        (L4, 0x415, 0, None),
        (L4, 0x415, None, None),
        (L4, 0x415, 2048, None),
    ],
)
def test_targets(family: Family, dev_id: int, kib: int | None, target: str | None) -> None:
    assert target_for(family, dev_id, kib) == target


@pytest.mark.parametrize(
    ("target", "family"),
    [
        ("stm32l475xg", "stm32l4"),
        ("STM32L476RGTx", "stm32l4"),
        ("stm32f439xi", "stm32f4"),
        ("stm32l031x6", "stm32l0"),
        ("stm32h743zitx", "stm32h7"),
        ("nrf52840", "nrf52"),
        ("k64f", "kinetis-k6x"),
        ("lpc1768", "lpc17xx"),
        ("rp2040_core0", "rp2040"),
        ("lpc55s28", "lpc55xx"),
        ("stm32wb55rgvx", "stm32wb"),
        ("max32660", None),
        ("cortex_m", None),
    ],
)
def test_family_of_target(target: str, family: str | None) -> None:
    found = family_of_target(target)
    assert (found.id if found else None) == family


@pytest.mark.parametrize(
    ("dev_id", "kib", "optr", "reachable"),
    [(0x415, 1024, 1 << 21, 1024), (0x415, 512, 1 << 21, 256), (0x415, 512, 0, 512), (0x462, 512, 1 << 21, 512)],
)
def test_a_second_bank_out_of_reach(dev_id: int, kib: int, optr: int, reachable: int) -> None:
    known = device(L4, dev_id)
    assert known is not None
    assert reachable_kib(known, kib, optr) == reachable


def test_boot_kinds() -> None:
    kinds = ("stm32l475xg", "rp2040", "mimxrt1064", "cc3220sf", "max32660")
    assert [boot_of_target(name) for name in kinds] == ["cortex-m", "rp2040-boot2", "imxrt-fcfb", "unknown", "cortex-m"]


def test_what_a_target_stands_for() -> None:
    assert [known.dev_id for known in devices_of_target("stm32l475xg")] == [0x415]
    assert [known.dev_id for known in devices_of_target("stm32l496zgtx")] == [0x461]
    assert [known.dev_id for known in devices_of_target("stm32f439xi")] == [0x419]
    assert devices_of_target("cortex_m") == ()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([known for family in FAMILIES for known in family.devices]), st.integers(0, 0xFFFF))
def test_a_builtin_is_never_too_small(known: object, kib: int) -> None:
    found = builtin_for(known, kib)  # type: ignore[arg-type]
    assert found is None or found.kib >= kib


# --- rules -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "word", "level"),
    [
        ("stm32l4", 0xFFEFF8AA, "0"), ("stm32l4", 0xFFEFF8CC, "2"), ("stm32l4", 0xFFEFF8BB, "1"), ("stm32l4", 0, "1"),
        ("stm32f4", 0x0FFFAAED, "0"), ("stm32f4", 0x0FFFCCED, "2"), ("stm32f4", 0x0FFF00ED, "1"),
        ("stm32f1", 0x03FFFFFC, "0"), ("stm32f1", 0x03FFFFFE, "1"),
        ("stm32f0", 0x00FFFFF0, "0"), ("stm32f0", 0x00FFFFF2, "1"), ("stm32f0", 0x00FFFFF6, "2"),
        ("stm32h7", 0x1BC6AAD0, "0"), ("stm32u5", 0x1FEFF855, "0.5 or 1"),
    ],
)  # fmt: skip
def test_read_protection(family: str, word: int, level: str) -> None:
    rule = BY_ID[family].rdp
    assert rule is not None
    assert rule.level(word) == level


FLASH = (0x0800_0000, 0x100000)


@pytest.mark.parametrize(
    ("words", "ranges"),
    [
        ((0x0000_00FF, 0x0000_00FF, 0x0000_00FF, 0x0000_00FF), ()),  # the erased state: start 255, end 0
        ((0x0003_0001, 0x0000_00FF, 0x0000_00FF, 0x0000_00FF), ((0x0800_0800, 0x0800_1FFF),)),
        ((0x0003_0001, 0x0005_0004, 0x0000_00FF, 0x0000_00FF), ((0x0800_0800, 0x0800_2FFF),)),
        ((0x0000_00FF, 0x0000_00FF, 0x0000_0000, 0x0000_00FF), ((0x0808_0000, 0x0808_07FF),)),
        ((0x00FF_0000, 0x0000_00FF, 0x00FF_0000, 0x0000_00FF), ((0x0800_0000, 0x080F_FFFF),)),
    ],
)
def test_l4_write_protection(words: tuple[int, ...], ranges: tuple[tuple[int, int], ...]) -> None:
    assert L4.wrp is not None
    assert L4.wrp.protected(words, FLASH) == ranges


def test_write_protection_by_bits() -> None:
    assert F1.wrp is not None
    assert F4.wrp is not None
    assert L0.wrp is not None
    assert F1.wrp.protected((0xFFFF_FFFF,), (FLASH[0], 0x80000)) == ()
    assert F1.wrp.protected((0xFFFF_FFFE,), (FLASH[0], 0x80000)) == ((0x0800_0000, 0x0800_0FFF),)
    assert F1.wrp.protected((0x7FFF_FFFF,), (FLASH[0], 0x80000)) == ((0x0801_F000, 0x0807_FFFF),)
    assert F4.wrp.protected((0x0FFF_AAED, 0x0FFF_0000), FLASH) == ()
    assert F4.wrp.protected((0x0FEF_AAED, 0), FLASH) == ((0x0801_0000, 0x0801_FFFF),), "a part of 1 MiB has no second register"
    assert F4.wrp.protected((0x0FFF_AAED, 0x0FFE_0000), (FLASH[0], 0x200000)) == ((0x0810_0000, 0x0810_3FFF),)
    assert L0.wrp.protected((0,), (FLASH[0], 0x8000)) == ()
    assert L0.wrp.protected((0x8000_0003,), (FLASH[0], 0x8000)) == ((0x0800_0000, 0x0800_1FFF),)


def test_kinetis_lock_needs_a_valid_status() -> None:
    lock = BY_ID["kinetis-k6x"].lock
    assert lock is not None
    assert lock.is_locked(0b1110) is True
    assert lock.is_locked(0b1010) is False
    assert lock.is_locked(0b0100) is None  # in reset: it always looks locked there


def test_nordic_lock_is_active_low() -> None:
    lock = BY_ID["nrf52"].lock
    assert lock is not None
    assert (lock.is_locked(0), lock.is_locked(1)) == (True, False)


def test_flags_and_busy() -> None:
    status = L4.flash_sr[0]
    assert status.names(1 << 4 | 1 << 7) == ("WRPERR", "PGSERR")
    assert status.is_busy(1 << 16)
    assert not status.is_busy(0)
    ready = BY_ID["nrf52"].flash_sr[0]
    assert ready.is_busy(0)
    assert not ready.is_busy(1)
    assert L4.reset_cause[0].names(0x2400_0000) == ("PINRSTF", "IWDGRSTF")


# --- the algorithms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "family", "unit"),
    [
        ("stm32l475xg", L4, 8),
        ("stm32l432kc", L4, 8),
        ("stm32f103rc", F1, 2),
        ("stm32l031x6", L0, 64),
        ("stm32f429xi", F4, 4),
        ("stm32f439xi", F4, 4),
        ("stm32f412xe", F4, 4),
    ],
)
def test_program_page_takes_more_than_its_page(target: str, family: Family, unit: int, builtins: dict[str, Any]) -> None:
    """Run the builtin's own code over plain memory: all bytes arrive, rounded up to its unit, and nothing behind them."""
    assert family.program_chunk % 0x400 == 0
    for length in (unit, 0x400, 0x404, family.program_chunk):
        run_program_page(target, unit, length, builtins)


def run_program_page(target: str, unit: int, length: int, builtins: dict[str, Any]) -> None:
    unicorn = pytest.importorskip("unicorn")
    from unicorn import arm_const as arm

    region = next(r for r in builtins[target].MEMORY_MAP.regions if r.is_flash)
    algorithm = region._algo or region.attributes["algo"]
    cpu = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    for start, size in ((0x2000_0000, 0x18000), (FLASH[0], 0x40000), (0x4000_3000, 0x1000)):
        cpu.mem_map(start, size)
    # A flash controller that is always ready and content.
    cpu.mmio_map(0x4002_2000, 0x2000, lambda *_: 0, None, lambda *_: None, None)
    code, stop = algorithm["load_address"], algorithm["load_address"]
    cpu.mem_write(code, struct.pack(f"<{len(algorithm['instructions'])}I", *algorithm["instructions"]))
    data = bytes(index * 7 % 251 for index in range(length + 64))
    buffer = algorithm["page_buffers"][0]
    cpu.mem_write(buffer, data)
    cpu.mem_write(FLASH[0], b"\xff" * 0x10000)
    registers = (
        (arm.UC_ARM_REG_R0, FLASH[0]), (arm.UC_ARM_REG_R1, length), (arm.UC_ARM_REG_R2, buffer), (arm.UC_ARM_REG_LR, stop | 1),
        (arm.UC_ARM_REG_SP, algorithm["begin_stack"]), (arm.UC_ARM_REG_R9, algorithm["static_base"]),
    )  # fmt: skip
    for register, value in registers:
        cpu.reg_write(register, value)
    cpu.emu_start(algorithm["pc_program_page"], stop, count=200_000)
    assert cpu.reg_read(arm.UC_ARM_REG_PC) == stop
    assert cpu.reg_read(arm.UC_ARM_REG_R0) == 0
    written = -(-length // unit) * unit
    assert bytes(cpu.mem_read(FLASH[0], written)) == data[:written]
    assert bytes(cpu.mem_read(FLASH[0] + written, 64)) == b"\xff" * 64


# --- write protection, unique ids, order of work ----------------------------------------------------------------------------


def test_every_family_that_is_flashed_says_how_it_protects() -> None:
    """By a rule, or in words why there is nothing to be read."""
    for family in FAMILIES:
        if any(known.builtins for known in family.devices):
            assert bool(family.wrp) != bool(family.wrp_none), family.id
        assert all(length and length % 4 == 0 and start % 4 == 0 for start, length in family.uid), family.id


@pytest.mark.parametrize(("kib", "part"), [(1024, "kinetis-k6x"), (128, "kinetis-kl2x"), (32, "kinetis-kl2x")])
def test_kinetis_regions_are_a_32nd_of_the_flash(kib: int, part: str) -> None:
    rule = BY_ID[part].wrp
    assert rule is not None
    share = kib * 1024 // 32
    assert rule.protected((0xFFFF_FFFF,), (0, kib * 1024)) == ()
    assert rule.protected((0x7FFF_FFF6,), (0, kib * 1024)) == ((0, share - 1), (3 * share, 4 * share - 1), (31 * share, 32 * share - 1))


def test_nrf51_region_0() -> None:
    rule = BY_ID["nrf51"].wrp
    assert rule is not None
    assert rule.protected((0xFFFF_FFFF,), (0, 0x40000)) == ()
    assert rule.protected((0x18000,), (0, 0x40000)) == ((0, 0x17FFF),)
    assert rule.gate is not None
    assert rule.gate[0].of(0xFFFF_FF00) == rule.gate[1]


def test_sectors_of_one_chip_take_different_times() -> None:
    assert F4.timing is not None
    assert [F4.timing.erase_of(kib * 1024) for kib in (16, 64, 128)] == [0.8, 2.4, 4.0]


@pytest.mark.parametrize("family", [family for family in FAMILIES if family.critical], ids=lambda family: family.id)
def test_critical_words_can_be_written_alone(family: Family) -> None:
    assert family.timing is not None
    for item in family.critical:
        assert item.address % family.timing.unit == item.length % family.timing.unit == 0
        assert item.address <= item.field.address < item.address + item.length
        assert item.field.of(0xFFFF_FFFF) != item.open, "erased, it would stay open: then it is not critical"
    assert family.program_chunk
