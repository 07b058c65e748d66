"""Images against memory maps: every refusal names both sides in numbers."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.errors import ImageError
from msdflash.image.checks import check, crc32_mpeg2
from msdflash.image.layout import MemoryMap, Region
from msdflash.image.segments import Image, Segment
from msdflash.image.transforms import TRANSFORMS, apply, apply_to

FLASH, RAM = 0x0800_0000, 0x2000_0000
L476 = MemoryMap(
    (
        Region("flash", "flash", FLASH, 0x100000, boot=True, sector=0x800, page=0x400),
        Region("sram1", "ram", RAM, 0x18000),
        Region("sram2", "ram", 0x1000_0000, 0x8000),
    ),
    boot_alias=0,
)
RP2040 = MemoryMap((Region("xip", "flash", 0x1000_0000, 0x200000, boot=True), Region("sram", "ram", RAM, 0x42000)))


def image(*segments: tuple[int, bytes], relocatable: bool = False) -> Image:
    return Image("x", "ihex", "0" * 64, 0, tuple(Segment(*segment) for segment in segments), relocatable=relocatable)


def vectors(stack: int = RAM + 0x18000, reset: int = FLASH + 0x131, size: int = 64) -> bytes:
    return struct.pack("<II", stack, reset).ljust(size, b"\x55")


def refused(candidate: Image, memory_map: MemoryMap = L476, header: str = "cortex-m") -> tuple[str, dict[str, Any]]:
    with pytest.raises(ImageError) as caught:
        check(candidate, memory_map, header)
    return caught.value.cause, caught.value.facts


def test_a_good_image_passes_without_notes() -> None:
    assert check(image((FLASH, vectors())), L476, "cortex-m") == ()


@pytest.mark.parametrize("stack", [RAM + 4, RAM + 8, RAM + 0x18000, 0x1000_8000])
def test_stack_pointers_that_work(stack: int) -> None:
    notes = check(image((FLASH, vectors(stack))), L476, "cortex-m")
    assert bool(notes) == (stack % 8 != 0)


@pytest.mark.parametrize("stack", [0, RAM, RAM + 0x18004, FLASH, 0xFFFF_FFFF, RAM + 0x101, 0x464C_457F])
def test_stack_pointers_that_cannot(stack: int) -> None:
    why, facts = refused(image((FLASH, vectors(stack))))
    assert (why, facts["word"], facts["value"], facts["address"]) == ("image-bad-vectors", "initial stack pointer", stack, FLASH)


@pytest.mark.parametrize("reset", [FLASH + 1, FLASH + 0xFFFFF, 0x131])
def test_reset_vectors_that_work(reset: int) -> None:
    assert check(image((FLASH, vectors(reset=reset))), L476, "cortex-m") == ()


@pytest.mark.parametrize("reset", [FLASH + 0x130, FLASH + 0x100001, 0xFFFF_FFFF, RAM + 1, 0x0010_0001])
def test_reset_vectors_that_cannot(reset: int) -> None:
    why, facts = refused(image((FLASH, vectors(reset=reset))))
    assert (why, facts["word"], facts["value"]) == ("image-bad-vectors", "reset vector", reset)


def test_no_alias_no_reset_vector_there() -> None:
    assert refused(image((FLASH, vectors(reset=0x131))), msgspec.structs.replace(L476, boot_alias=None))[0] == "image-bad-vectors"


def test_too_big_gives_both_numbers() -> None:
    why, facts = refused(image((FLASH, vectors(size=0x100001))))
    assert (why, facts["size"], facts["room"], facts["over"]) == ("image-too-big", 0x100001, 0x100000, 1)


def test_outside_flash_names_the_range_and_all_flash() -> None:
    why, facts = refused(image((0, vectors())))
    assert (why, facts["first"], facts["last"]) == ("image-outside-flash", 0, 63)
    assert facts["flash"] == [[FLASH, FLASH + 0xFFFFF]]


def test_a_segment_that_begins_below_flash_is_outside() -> None:
    assert refused(image((FLASH - 1, b"\x00" * 4)))[0] == "image-outside-flash"


def test_data_in_ram_is_told() -> None:
    why, facts = refused(image((FLASH, vectors()), (RAM + 16, b"\x01\x02")))
    assert (why, facts["ram"]) == ("image-uses-ram", [RAM, RAM + 0x17FFF])


def test_adjacent_flash_regions_are_one() -> None:
    two = MemoryMap(
        (
            Region("b", "flash", FLASH + 0x1000, 0x1000),
            Region("a", "flash", FLASH, 0x1000, boot=True),
            Region("ram", "ram", RAM, 0x1000),
        )
    )
    assert check(image((FLASH, vectors(RAM + 0x1000, size=0x2000))), two, "cortex-m") == ()
    assert two.flash_ranges() == ((FLASH, FLASH + 0x2000),)


def test_not_covering_the_boot_address_is_a_note() -> None:
    assert "0x08000000" in check(image((FLASH + 0x8000, b"\x00" * 64)), L476, "cortex-m")[0]


def test_half_a_vector_is_a_note() -> None:
    assert check(image((FLASH, vectors()[:6])), L476, "cortex-m") == ("the image holds only part of the first two vectors at 0x08000000",)


def test_an_incomplete_map_does_not_refuse_a_stack_pointer_above_it() -> None:
    loose = msgspec.structs.replace(L476, ram_complete=False)
    for stack in (RAM + 0x20000, 0x1000_9000):
        assert "0x" in check(image((FLASH, vectors(stack))), loose, "cortex-m")[0]
    for stack in (FLASH + 64, 0x0700_0000, RAM + 0x20001, 0xFFFF_FFFC):
        assert refused(image((FLASH, vectors(stack))), loose)[0] == "image-bad-vectors"


def test_an_unknown_header_is_only_noted() -> None:
    assert "vector table" in check(image((FLASH, b"\x5a\xa5\xa5\x5a" * 4)), L476, "unknown")[0]
    assert check(image((FLASH, vectors())), L476, "unknown") == ()


def test_a_binary_too_short_for_its_vectors_is_refused() -> None:
    short = msgspec.structs.replace(image((FLASH, vectors()[:7])), format="bin")
    assert refused(short)[1]["size"] == 7


def test_a_relocatable_image_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="relocatable"):
        check(image((0, vectors()), relocatable=True), L476, "cortex-m")
    with pytest.raises(ValueError, match="header"):
        check(image((FLASH, vectors())), L476, "nonsense")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FF00), st.integers(1, 64))
def test_no_words_crash(stack: int, reset: int, address: int, size: int) -> None:
    for candidate in (image((FLASH, vectors(stack, reset))), image((address, b"\x00" * size))):
        facts: dict[str, Any] = {"fits": True}
        try:
            check(candidate, L476, "cortex-m")
        except ImageError as error:
            facts = error.facts
        assert facts


def boot2(block: bytes = bytes(range(252))) -> bytes:
    return block + crc32_mpeg2(block).to_bytes(4, "little")


def test_the_checksum_of_boot_headers_is_crc32_mpeg2() -> None:
    assert crc32_mpeg2(b"123456789") == 0x0376E6E7  # check value of CRC-32/MPEG-2 (reveng catalogue)


def test_rp2040_wants_boot2_and_vectors_behind_it() -> None:
    good = boot2() + vectors(RAM + 0x42000, 0x1000_01F7)
    assert check(image((0x1000_0000, good)), RP2040, "rp2040-boot2") == ()
    damaged = good[:10] + b"\xee" + good[11:]
    assert refused(image((0x1000_0000, damaged)), RP2040, "rp2040-boot2")[1]["word"] == "boot2 checksum"
    assert refused(image((0x1000_0000, damaged)), RP2040, "rp2040-boot2")[0] == "image-bad-boot-header"
    assert refused(image((0x1000_0000, good[:200])), RP2040, "rp2040-boot2")[0] == "image-bad-boot-header"
    wrong = boot2() + vectors(0, 0x1000_01F7)
    assert refused(image((0x1000_0000, wrong)), RP2040, "rp2040-boot2")[1]["address"] == 0x1000_0100


@pytest.mark.parametrize(("data", "fits"), [(b"FCFB" + bytes(60), True), (bytes(0x400) + b"FCFB", True), (bytes(64), False)])
def test_imxrt_wants_its_tag(data: bytes, fits: bool) -> None:
    layout = MemoryMap((Region("flexspi", "flash", 0x6000_0000, 0x400000, boot=True),))
    if fits:
        assert check(image((0x6000_0000, data)), layout, "imxrt-fcfb") == ()
    else:
        why, facts = refused(image((0x6000_0000, data)), layout, "imxrt-fcfb")
        assert (why, facts["word"], facts["value"]) == ("image-bad-boot-header", "FCFB tag", 0)


LPC55 = MemoryMap(
    (
        Region("nsflash", "flash", 0, 0x98000, boot=True, sector=0x8000, page=512),
        Region("sflash", "flash", 0x1000_0000, 0x98000, boot=True, sector=0x8000, page=512),
        Region("ram", "ram", RAM, 0x44000),
    )
)


def lpc55(kind: int, length: int | None = None, base: int = 0, wrong: int = 0) -> Image:
    """A program of 2048 bytes with a boot header; its checksum is off by ``wrong``."""
    data = bytearray(vectors(reset=base + 0x131, size=2048))
    data[0x20:0x28] = (2048 if length is None else length).to_bytes(4, "little") + kind.to_bytes(4, "little")
    body = bytes(data[: length or 2048])
    data[0x28:0x2C] = (crc32_mpeg2(body[:0x28] + body[0x2C:]) ^ wrong).to_bytes(4, "little")
    return image((base, bytes(data)))


@pytest.mark.parametrize("base", [0, 0x1000_0000])
def test_lpc55_wants_length_and_checksum_of_a_crc_image(base: int) -> None:
    """The same flash is in the map as Secure, too: an image there is no less whole."""
    assert check(lpc55(5, base=base), LPC55, "lpc55") == ()
    assert check(lpc55(0x4005, 1024, base), LPC55, "lpc55") == ()
    assert check(lpc55(0, wrong=1, base=base), LPC55, "lpc55") == ()
    why, facts = refused(lpc55(5, base=base, wrong=1), LPC55, "lpc55")
    assert (why, facts["word"], facts["address"]) == ("image-bad-boot-header", "image checksum", base + 0x28)
    assert facts["value"] == facts["expected"] ^ 1
    for length in (0, 2049, 0x99999):
        why, facts = refused(lpc55(5, length, base), LPC55, "lpc55")
        assert (why, facts["word"], facts["value"]) == ("image-bad-boot-header", "image length", length)


def test_lpc55_images_that_only_the_boot_rom_can_judge_are_noted() -> None:
    assert "signed" in check(lpc55(4), LPC55, "lpc55")[0]
    assert "not known" in check(lpc55(9), LPC55, "lpc55")[0]
    whole = lpc55(5).segments[0].data
    gap = image((0, whole[:0x100]), (0x200, whole[0x200:]))
    assert "was not checked" in check(gap, LPC55, "lpc55")[0]
    assert "only part" in check(image((0, vectors(reset=0x11, size=0x24))), LPC55, "lpc55")[0]


def test_a_map_without_flash_holds_nothing() -> None:
    assert refused(image((0, b"\x00")), MemoryMap(()))[0] == "image-outside-flash"


# --- transforms ------------------------------------------------------------------------------------------------------------


def test_lpc_checksum_makes_the_first_words_sum_to_zero() -> None:
    source = image((0, vectors(0x1000_8000, 0x101)))
    changed, said = apply(source, ("lpc-vector-checksum",))
    assert sum(struct.unpack_from("<8I", changed.segments[0].data)) & 0xFFFF_FFFF == 0
    assert len(said) == 1
    assert changed.segments[0].data[0x20:] == source.segments[0].data[0x20:]
    assert apply(changed, ("lpc-vector-checksum",)) == (changed, ())


def test_kinetis_field_is_forced_open_and_told() -> None:
    changed, said = apply(image((0x400, bytes(16))), ("kinetis-fcf",))
    assert changed.segments[0].data == bytes(8) + b"\xff\xff\xff\xff\xfe\x00\xff\xff"
    assert "0x40C 0x00->0xFE" in said[0]


def test_kinetis_field_in_part_and_elsewhere() -> None:
    changed, _ = apply(image((0x40C, b"\x00\x00")), ("kinetis-fcf",))
    assert changed.segments[0].data == b"\xfe\x00"
    same = image((0x800, bytes(64)))
    assert apply(same, ("kinetis-fcf",)) == (same, ())


def test_no_names_change_nothing_and_unknown_ones_are_errors() -> None:
    source = image((FLASH, vectors()))
    assert apply(source, ()) == (source, ())
    with pytest.raises(KeyError):
        apply(source, ("nonsense",))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 0x500), st.binary(min_size=1, max_size=0x500))
def test_transforms_settle_and_keep_the_length(address: int, data: bytes) -> None:
    names = tuple(TRANSFORMS)
    once = apply_to(address, data, names)
    assert len(once) == len(data)
    assert apply_to(address, once, names) == once
