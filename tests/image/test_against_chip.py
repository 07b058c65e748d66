"""An image against its chip: what it was built for, what it would lock, what it needs in flash. Each answer names both sides."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.chips.families import FAMILIES as CHIPS
from msdflash.errors import ImageError
from msdflash.image.checks import check
from msdflash.image.existing import MAGIC, check_existing
from msdflash.image.fit import Chip, check_chip
from msdflash.image.layout import MemoryMap, Region
from msdflash.image.locks import OPTION_BYTES, check_locks
from msdflash.image.segments import Image, Segment
from msdflash.image.uf2 import FAMILIES

each: Callable[[Any], Callable[[Any], Any]] = sys.modules["image_writers"].each
L476 = Chip("STM32L475/L476/L486", ("stm32l476rgtx", "stm32l4", "l476", "stm32l476"), (0xC24,), "stm32l4")
NRF52 = Chip("nRF52840", ("nrf52840", "nrf52"), (0xC24,), "nrf52")
NRF51 = Chip("nRF51x22", ("nrf51", "nrf51822"), (0xC20,), "nrf51")
K64F = Chip("K64F", ("k64f", "kinetis-k6x"), (0xC24,), "kinetis-k6x")
LPC = Chip("LPC17xx", ("lpc1768", "lpc17xx"), (0xC23,), "lpc17xx")


def image(*segments: tuple[int, bytes], **facts: Any) -> Image:
    return msgspec.structs.replace(Image("x", "ihex", "0" * 64, 0, tuple(Segment(*segment) for segment in segments)), **facts)


def refused(action: Callable[[], Any]) -> tuple[str, dict[str, Any]]:
    with pytest.raises(ImageError) as caught:
        action()
    return caught.value.cause, caught.value.facts


def word(value: int) -> bytes:
    return value.to_bytes(4, "little")


# --- built for ---------------------------------------------------------------------------------------------------------------------


@each(
    [
        (0x00FF6919, L476, True),
        (0x57755A57, L476, False),
        (0xE48BFF56, L476, False),
        (0x12345678, L476, False),  # unknown to the list, but this chip has an id of its own
        (0xADA52840, NRF52, True),
        (0x1B57745F, NRF52, True),
        (0x621E937A, NRF52, False),
        (0x55114460, K64F, False),  # the chip has no id, the file's is another's
    ]
)
def test_uf2_family(family: int, chip: Chip, fits: bool) -> None:
    firmware = image((0, bytes(8)), uf2_family=family)
    if fits:
        assert check_chip(firmware, chip) == ()
    else:
        cause, facts = refused(lambda: check_chip(firmware, chip))
        assert (cause, facts["chip"]) == ("image-wrong-chip", chip.part)
        assert f"0x{family:08X}" in facts["built_for"]


def test_what_cannot_be_compared_is_only_told() -> None:
    assert "not compared" in check_chip(image((0, b"\0"), uf2_family=0x1234_5678), K64F)[0]
    assert "not compared" in check_chip(image((0, b"\0"), uf2_family=0x00FF_6919), Chip())[0]
    assert "not compared" in check_chip(image((0, b"\0"), architecture="v7E-M"), Chip())[0]
    assert check_chip(image((0, b"\0")), L476) == ()


def test_every_family_with_a_uf2_id_is_found_by_its_own_name() -> None:
    """The prefixes of the UF2 list are those of the chip tables: an id of ST's or Nordic's fits exactly the family that it names."""
    prefixes = {prefix for _, known in FAMILIES.values() for prefix in known}
    for family in CHIPS:
        chip = Chip(family.title, (family.id,), family.cores, family.id)
        fitting = [known for known, (_, starts) in FAMILIES.items() if any(family.id.startswith(start) for start in starts)]
        for known in fitting:
            assert check_chip(image((0, b"\0"), uf2_family=known), chip) == ()
        assert bool(fitting) == any(family.id.startswith(prefix) for prefix in prefixes)


@each(
    [
        ("v6S-M", 0xC20, True),
        ("v6-M", 0xC27, True),
        ("v7E-M", 0xC60, False),
        ("v7", 0xC60, False),
        ("v7E-M", 0xC23, False),
        ("v7", 0xC23, True),
        ("v7E-M", 0xD21, True),
        ("v8-M.main", 0xC24, False),
        ("v8-M.base", 0xC60, False),
        ("v4T", 0xC24, False),
        ("v8-A", 0xD21, False),
    ]
)
def test_elf_architecture(architecture: str, core: int, fits: bool) -> None:
    firmware, chip = image((0, bytes(8)), architecture=architecture), Chip("chip", ("chip",), (core,))
    if fits:
        assert check_chip(firmware, chip) == ()
    else:
        cause, facts = refused(lambda: check_chip(firmware, chip))
        assert (cause, facts["built_for"]) == ("image-wrong-chip", f"Arm{architecture}")


# --- would lock --------------------------------------------------------------------------------------------------------------------


def fcf(security: int = 0xFE, options: int = 0xFF) -> bytes:
    return b"\xff" * 12 + bytes([security, options]) + b"\xff\xff"


LOCKING = [
    (K64F, 0x400, fcf(0x00), 0x40C),
    (K64F, 0x400, fcf(0xFF)[:13].replace(b"\xff" * 13, b"\xfe" + b"\xff" * 12), 0x40C),  # a key is set, security left on
    (K64F, 0x400, fcf(0xEE), 0x40C),  # mass erase forbidden
    (NRF52, 0x1000_1208, word(0xFFFF_FF00), 0x1000_1208),
    (NRF52, 0x1000_1208, b"\0", 0x1000_1208),
    (NRF51, 0x1000_1004, word(0xFFFF_00FF), 0x1000_1004),
    (LPC, 0x2FC, word(0x1234_5678), 0x2FC),
    (LPC, 0x2FC, word(0x4321_8765), 0x2FC),
]


@each(LOCKING)
def test_locking_words_are_refused_unless_ordered(chip: Chip, address: int, data: bytes, at: int) -> None:
    firmware = image((address, data))
    cause, facts = refused(lambda: check_locks(firmware, chip))
    assert (cause, facts["address"]) == ("image-would-lock", at)
    assert facts["value"] >= 0
    told = check_locks(firmware, chip, allow=True)
    assert "allow_locking_images" in told[0]
    assert check_locks(firmware, L476) == ()


@each(
    [
        (K64F, 0x400, fcf(), False),
        (K64F, 0x400, b"\xff" * 16, False),  # padding: opened by the engine, and told as a transform
        (K64F, 0x400, fcf(options=0xF7), True),
        (NRF52, 0x1000_1208, word(0x5A), False),
        (NRF52, 0x1000_1208, word(0xFFFF_FFFF), False),
        (NRF52, 0x1000_1200, word(18) * 2, False),
        (NRF52, 0x1000_1200, word(18) + word(21), True),
        (NRF52, 0x1000_1304, word(5), False),  # REGOUT0
        (NRF51, 0x1000_10C0, word(0x17EE_B07C), False),
        (LPC, 0x2FC, word(0x4E69_7370), True),
        (LPC, 0x2FC, word(0), False),
        (L476, 0x2FC, word(0x1234_5678), False),
    ]
)
def test_harmless_words_pass(chip: Chip, address: int, data: bytes, told: bool) -> None:
    assert bool(check_locks(image((address, data)), chip)) is told


def test_option_bytes_are_never_written() -> None:
    for family, areas in OPTION_BYTES.items():
        for first, end in areas:
            firmware, chip = image((first - 4, bytes(8)), (end + 64, b"\0")), Chip("ST", (family,), (), family)
            assert refused(lambda f=firmware, c=chip: check_locks(f, c, allow=True))[0] == "image-sets-option-bytes"  # type: ignore[misc]
            assert check_locks(image((end, b"\0"), (first - 4, bytes(4))), chip) == ()


NRF_FLASH = Region("flash", "flash", 0, 0x100000, boot=True, sector=0x1000)
NRF_RAM = Region("ram", "ram", 0x2000_0000, 0x40000)
NRF_MAP = MemoryMap((NRF_FLASH, Region("uicr", "flash", 0x1000_1000, 0x400), NRF_RAM))


def program(address: int, size: int = 64) -> bytes:
    return struct.pack("<II", 0x2000_8000, address + 9).ljust(size, b"\x11")


def test_uicr_is_flashed_where_the_target_has_it_and_told_where_not() -> None:
    firmware = image((0, program(0)), (0x1000_1200, word(18) * 2))
    assert check(firmware, NRF_MAP, "cortex-m", NRF52) == ()
    cause, facts = refused(lambda: check(firmware, MemoryMap((NRF_FLASH, NRF_RAM)), "cortex-m", NRF52))
    assert cause == "image-outside-flash"
    assert facts["image"] == [[0, 63], [0x1000_1200, 0x1000_1207]]
    assert facts["flash"] == [[0, 0xFFFFF]]


# --- what is in flash --------------------------------------------------------------------------------------------------------------


def flash(*pieces: tuple[int, bytes]) -> Callable[[int, int], bytes]:
    def read(address: int, length: int) -> bytes:
        assert address % 4 == length % 4 == 0
        region = NRF_MAP.at(address)
        assert region is not None
        assert address + length <= region.end
        found = bytearray(b"\xff" * length)
        for start, data in pieces:
            for index, byte in enumerate(data):
                if address <= start + index < address + length:
                    found[start + index - address] = byte
        return bytes(found)

    return read


def softdevice(end: int) -> tuple[tuple[int, bytes], ...]:
    return (0, program(0)), (0x3000, struct.pack("<IIII", 0x10, MAGIC, end, 0xCAFE))


def existing(firmware: Image, *pieces: tuple[int, bytes], family: str = "nrf52") -> tuple[str, ...]:
    return check_existing(firmware, NRF_MAP, family, flash(*pieces))


def test_a_program_behind_nothing_would_not_start() -> None:
    app = image((0x26000, program(0x26000)))
    for family in ("nrf52", ""):
        cause, facts = refused(lambda f=family: existing(app, family=f))  # type: ignore[misc]
        assert (cause, facts["first"], facts["boot_address"]) == ("bootloader-missing", 0x26000, 0)
    assert existing(app, (0, program(0))) == ()
    assert existing(image((0, program(0)), (0x26000, program(0x26000)))) == ()
    assert existing(image((0x26000, b"mere data" * 10))) == ()


def test_a_program_for_another_softdevice() -> None:
    app = image((0x26000, program(0x26000)))
    assert existing(app, *softdevice(0x26000)) == ()
    cause, facts = refused(lambda: existing(app, *softdevice(0x27000)))
    assert (cause, facts["first"], facts["softdevice_last"]) == ("softdevice-overlap", 0x26000, 0x26FFF)
    cause, facts = refused(lambda: existing(app, *softdevice(0x25000)))
    assert (cause, facts["first"], facts["program_address"]) == ("softdevice-mismatch", 0x26000, 0x25000)
    # A size that is no whole number of pages: the program stands on the next one.
    assert existing(app, *softdevice(0x25BF0)) == ()
    cause, facts = refused(lambda: existing(image((0x27000, program(0x27000))), *softdevice(0x25BF0)))
    assert (cause, facts["program_address"]) == ("softdevice-mismatch", 0x26000)
    assert existing(app, *softdevice(0x25000), (0x25000, program(0x25000))) == ()
    assert existing(app, *softdevice(0x25000), (0x1000_1014, word(0xF8000)), (0xF8000, program(0xF8000))) == ()
    assert existing(image((0, program(0))), *softdevice(0x26000))[0].startswith("the SoftDevice")
    own = image((0, program(0, 0x3000) + struct.pack("<IIII", 0x10, MAGIC, 0x24000, 1)), (0x24000, program(0x24000)))
    assert existing(own, *softdevice(0x26000)) == ()
    for chance in (0, 0x3000, 0x100000, 0x26001, 0xFFFF_FFFF):
        assert existing(app, *softdevice(chance)) == ()


@pytest.mark.parametrize("where", [0x1000_1014, 0xFF8])
def test_a_boot_loader_is_not_cut_into(where: int) -> None:
    there = (*softdevice(0x26000), (where, word(0x70000)), (0x70000, program(0x70000)))
    app = image((0x26000, program(0x26000, 0x4B000)))
    cause, facts = refused(lambda: existing(app, *there))
    assert (cause, facts["bootloader_address"], facts["last"]) == ("bootloader-overlap", 0x70000, 0x70FFF)
    assert existing(image((0x26000, program(0x26000, 0x4A000))), *there) == ()
    assert existing(image((0x70000, program(0x70000))), *there) == ()
    assert existing(app, *softdevice(0x26000), (where, word(0x70000))) == ()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([0, 0x800, 0x1000, 0x3004, 0x26000, 0x70000, 0xFFF00]), min_size=1, max_size=3, unique=True),
    st.binary(min_size=1, max_size=300),
    st.integers(0, 0xFFFF_FFFF),
    st.integers(0, 0xFFFF_FFFF),
)
def test_no_flash_content_crashes(places: list[int], data: bytes, end: int, loader: int) -> None:
    firmware = image(*((address, data[:256]) for address in sorted(places)))
    try:
        told = existing(firmware, *softdevice(end), (0x1000_1014, word(loader)), (0xFF8, word(loader ^ 0x1000)))
    except ImageError as error:
        told = (str(error),)
    assert all("0x" in sentence for sentence in told)
