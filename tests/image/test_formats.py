"""One memory, written in every format and any legal layout, is one image; damage is named where it is, or cannot be seen in that format."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.errors import ImageError
from msdflash.image.decode import decode
from msdflash.image.pieces import line_of
from msdflash.image.segments import Image
from msdflash.image.whole import EDGE, is_whole

w = sys.modules["image_writers"]
each: Callable[[Any], Callable[[Any], Any]] = w.each
QUICK = settings(max_examples=40, deadline=None)
NEWLINES = [b"\n", b"\r\n", b"\r", b"\n\n", b" \n"]
Memory = list[tuple[int, bytes]]


def parts(image: Image) -> Memory:
    return [(segment.address, segment.data) for segment in image.segments]


def attempt(data: bytes, name: str = "x", **options: Any) -> Image | ImageError:
    try:
        return decode(name, data, **options)
    except ImageError as error:
        return error


def error(data: bytes, name: str = "x", **options: Any) -> ImageError:
    found = attempt(data, name, **options)
    assert isinstance(found, ImageError), found
    return found


@st.composite
def memories(draw: st.DrawFn, top: int = 1 << 32) -> Memory:
    segments: Memory = []
    address = draw(st.sampled_from([0, 0xFFF0, 0x0800_0000, 0x0800_FFF8, 0x1000_1000, top - 0x2_0000]))
    for _ in range(draw(st.integers(1, 4))):
        data = draw(st.binary(min_size=1, max_size=700))
        if address + len(data) > top:
            break
        segments.append((address, data))
        address += len(data) + draw(st.integers(1, 70000))
    return segments


def chunks(draw: Any, memory: Memory, most: int) -> Memory:
    """The memory in chunks of a width, in any order, some of them given twice."""
    width = draw(st.sampled_from([1, 7, 16, 32, most])) if sum(len(data) for _, data in memory) < 600 else most
    pieces = [(address + at, data[at : at + width]) for address, data in memory for at in range(0, len(data), width)]
    pieces += pieces[: draw(st.integers(0, 2))]
    return draw(st.permutations(pieces)) if draw(st.booleans()) else pieces


@QUICK
@given(st.data())
def test_every_format_gives_the_same_image(data: st.DataObject) -> None:
    draw = data.draw
    memory = draw(memories())
    newline = draw(st.sampled_from(NEWLINES))
    kind = 3 if memory[-1][0] + len(memory[-1][1]) > 1 << 24 else draw(st.sampled_from([2, 3]))
    total = [(address + at, chunk[at : at + 256]) for address, chunk in memory for at in range(0, len(chunk), 256)]
    order = draw(st.permutations(range(len(total))))
    files = {
        "srec": w.srec(chunks(draw, memory, 240), newline=newline, kind=kind, header=draw(st.booleans()), count=draw(st.booleans())),
        "uf2": w.uf2(memory, family=draw(st.sampled_from([None, 0x00FF_6919])), order=order),
        "elf": w.elf(
            draw(st.permutations(memory)),
            arch=draw(st.sampled_from([None, 11, 13])),
            sections=draw(st.booleans()),
            empty=draw(st.booleans()),
            virtual=draw(st.sampled_from([0, 0x1000_0000])),
        ),
        "universal-hex": w.universal(
            {0x9900: [(0, b"\x01" * 40)], 0x9903: memory},
            newline=newline,
            width=draw(st.sampled_from([8, 16, 32])),
            pad=draw(st.booleans()),
        ),
    }
    for expected, content in files.items():
        image = decode("whatever", content, board_id=0x9904)
        assert parts(image) == memory, expected
        assert image.format == expected
        assert not image.relocatable


FIRM: Memory = [(0x0800_0000, bytes(range(256)) * 3), (0x0800_1000, b"\x5a" * 100)]
SREC = w.srec([(address + at, data[at : at + 16]) for address, data in FIRM for at in range(0, len(data), 16)])
UNIVERSAL = w.universal({0x9900: [(0, bytes(range(200)))], 0x9903: FIRM})
UF2 = w.uf2(FIRM)
ELF = w.elf(FIRM, arch=13)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([SREC, UNIVERSAL]), st.data())
def test_damaged_text_is_named_or_harmless(whole: bytes, data: st.DataObject) -> None:
    """One changed byte: an equal image, or an error that names the damaged line (or the one after a lost line end)."""
    at = data.draw(st.integers(0, len(whole) - 1))
    found = attempt(whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :], board_id=0x9903)
    line, last = line_of(whole, at), whole.count(b"\n")
    if isinstance(found, Image):
        assert parts(found) == FIRM
    elif found.cause == "image-truncated":
        assert line >= last - 1
    else:
        assert found.cause in {"hex-checksum", "hex-syntax", "srec-checksum", "srec-syntax"}
        missed = whole is SREC and line == 1 and found.facts["line"] >= last - 1  # a header that became data: the count tells
        assert found.facts["line"] in {line, line + 1} or missed


@QUICK
@given(st.sampled_from([SREC, UNIVERSAL]), st.data())
def test_cut_text_is_truncated_after_its_last_good_line(whole: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(40, len(whole) - 3))
    found = error(whole[:length], board_id=0x9903)
    assert found.cause == "image-truncated"
    assert found.facts["line"] in {whole[:length].count(b"\n"), whole[: length + 1].count(b"\n")}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_to_a_uf2_blocks_frame_is_named(data: st.DataObject) -> None:
    """Marks, sizes, numbers. What a block holds and where it goes has no checksum in UF2: there only that one block may differ."""
    index = data.draw(st.integers(0, len(UF2) // 512 - 1))
    at = data.draw(st.integers(0, 511))
    place = index * 512 + at
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != UF2[place]))
    found = attempt(UF2[:place] + bytes([value]) + UF2[place + 1 :])
    if at < 8 or at >= 508:
        assert isinstance(found, ImageError)
        assert (found.cause, found.facts["block"]) == ("uf2-damaged", index)
    elif 20 <= at < 28:  # number or count
        assert isinstance(found, ImageError)
        assert found.cause in {"uf2-damaged", "image-truncated"}
        assert found.facts["block"] in range(len(UF2) // 512 + 1)
    elif isinstance(found, Image) and at >= 32:
        before, after = (b"".join(chunk for _, chunk in memory) for memory in (FIRM, parts(found)))
        assert len(before) == len(after)
        assert sum(one != other for one, other in zip(before, after, strict=True)) <= 1
    else:
        assert isinstance(found, Image) or found.cause in {
            "uf2-damaged",
            "image-overlap",
            "image-no-part-for-board",
            "image-unknown-format",
        }


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([ELF, w.elf(FIRM), w.elf(FIRM, first_with_headers=True)]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
)
def test_damaged_elf_never_crashes(whole: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(whole)
    for at, value in changes:
        place = at if at < 200 else len(whole) - 401 + at
        damaged[place] = value
    found = attempt(bytes(damaged))
    assert found.size > 0 if isinstance(found, Image) else str(found)


@QUICK
@given(st.sampled_from([UF2, ELF]), st.data())
def test_cut_binaries_are_truncated(whole: bytes, data: st.DataObject) -> None:
    """An ELF file cut in its section headers still has all its segments: then it is the same image."""
    found = attempt(whole[: data.draw(st.integers(60, len(whole) - 1))])
    if isinstance(found, Image):
        assert (whole, parts(found)) == (ELF, FIRM)
    else:
        assert found.cause == "image-truncated"


@QUICK
@given(
    st.sampled_from([b"UF2\nWQ]\x9e", b"\x7fELF\x01\x01\x01", b"S0", b"S3", b":020000040000FA\n:0400000A9900C0DEBB\n"]),
    st.binary(max_size=1500),
)
def test_no_content_crashes(start: bytes, rest: bytes) -> None:
    found = attempt(start + rest)
    assert found.size > 0 if isinstance(found, Image) else str(found)


# --- universal hex -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("board", "block"), [(0x9900, 0x9900), (0x9901, 0x9900), (0x9903, 0x9903), (0x9906, 0x9903), (0x1234, 0x1234)])
def test_the_part_of_the_board_is_taken(board: int, block: int) -> None:
    sections = {number: [(0, number.to_bytes(2, "big") * 20)] for number in (0x9900, 0x9903, 0x1234)}
    image = decode("x.hex", w.universal(sections, others=3), board_id=board)
    assert parts(image) == sections[block]
    assert any("3 records of type 0E" in note for note in image.notes)
    assert any(f"0x{block:04X}" in note for note in image.notes)


@pytest.mark.parametrize("board", [None, 0x0765])
def test_no_part_for_this_board_lists_what_is_there(board: int | None) -> None:
    found = error(w.universal({0x9900: FIRM, 0x9903: FIRM}), board_id=board)
    assert (found.cause, found.facts["blocks"]) == ("image-no-part-for-board", ["0x9900", "0x9903"])
    assert ("0x0765" in str(found)) == (board is not None)


@pytest.mark.parametrize("kind", [0, 0x0D])
def test_data_outside_the_blocks_is_refused(kind: int) -> None:
    lines = w.universal({0x9903: FIRM}).splitlines(keepends=True)
    stray = w.ihex_record(kind, 0, b"\x01") + b"\n"
    for at, line in ((1, 2), (len(lines) - 1, len(lines))):
        found = error(b"".join([*lines[:at], stray, *lines[at:]]), board_id=0x9903)
        assert (found.cause, found.facts["line"]) == ("hex-syntax", line)


def test_a_block_start_without_a_board_is_refused() -> None:
    found = error(w.ihex_record(4, 0, b"\0\0") + b"\n" + w.ihex_record(0x0A, 0, b"\x99") + b"\n")
    assert (found.cause, found.facts["line"]) == ("hex-syntax", 2)


def test_a_plain_hex_may_hold_other_programs_data() -> None:
    image = decode("x.hex", b"\n".join([w.ihex_record(0, 0, b"\x01\x02"), w.ihex_record(0x0E, 0, b"text"), w.ihex_record(1, 0)]))
    assert (image.format, parts(image)) == ("ihex", [(0, b"\x01\x02")])


# --- S-record ----------------------------------------------------------------------------------------------------------------------


@each(
    [
        (w.srec_record(3, 0x100, b"\x01\x02")[:-2] + b"00", "srec-checksum", "found"),
        (w.srec_record(3, 0x100, b"\x01\x02").replace(b"S3", b"S4"), "srec-syntax", "column"),
        (w.srec_record(3, 0x100, b"\x01\x02") + b"00", "srec-syntax", "digits"),
        (w.srec_record(3, 0x100, b"\x01\x02")[:9] + b"G" + w.srec_record(3, 0x100, b"\x01\x02")[10:], "srec-syntax", "column"),
        (w.srec_record(3, 0xFFFF_FFFF, b"\x01\x02"), "srec-syntax", "line"),
        (w.srec_record(5, 7), "srec-syntax", "expected"),
        (b"S1020000"[:6] + b"FD", "srec-syntax", "line"),
        (b":020000040000FA", "srec-syntax", "column"),
    ]
)
def test_wrong_lines_are_named(line: bytes, cause: str, fact: str) -> None:
    found = error(b"\n".join([w.srec_record(0, 0, b"x"), w.srec_record(3, 0, b"\x01"), line, w.srec_record(7, 0)]))
    assert (found.cause, found.facts["line"]) == (cause, 3)
    assert fact in found.facts


def test_another_record_type_is_no_other_address() -> None:
    """The checksum leaves the type out: a damaged one would move or drop data."""
    lines = SREC.splitlines(keepends=True)
    for line, kinds in ((1, b"0124"), (5, b"0124"), (len(lines) - 1, b"89")):
        for kind in kinds:
            damaged = [*lines[:line], lines[line][:1] + bytes([kind]) + lines[line][2:], *lines[line + 1 :]]
            found = error(b"".join(damaged))
            assert (found.cause, found.facts["line"]) == ("srec-syntax", line + 1 if line > 1 or kind in b"04" else 3), kind


def test_srec_goes_on_after_its_end_and_contradicts_itself() -> None:
    assert error(SREC + SREC).facts["end_line"] == SREC.count(b"\n")
    found = error(w.srec([(0, b"\x01\x02"), (1, b"\x03")]))
    assert found.cause == "image-overlap"
    assert found.facts == {"address": 1, "line": 2, "other_line": 3, "expected": 2, "found": 3}
    assert error(b"x" + SREC[1:]).facts == {"line": 1, "column": 1, "found": ord("x")}


# --- UF2 ---------------------------------------------------------------------------------------------------------------------------


def test_missing_and_repeated_blocks() -> None:
    blocks = [UF2[at : at + 512] for at in range(0, len(UF2), 512)]
    assert error(b"".join(blocks[:-1])).cause == "image-truncated"
    found = error(b"".join([blocks[0], *blocks[2:]]))
    assert (found.cause, found.facts["block"], found.facts["missing"]) == ("uf2-damaged", 1, 1)
    twice = decode("x.uf2", b"".join([*blocks, blocks[1]]))
    assert parts(twice) == FIRM
    assert any("twice" in note for note in twice.notes)
    changed = blocks[1][:40] + b"\xee" + blocks[1][41:]
    found = error(b"".join([*blocks, changed]))
    assert (found.cause, found.facts["block"], found.facts["other_block"]) == ("uf2-damaged", len(blocks), 1)
    found = error(b"".join(blocks[:2]) + bytes(512 * (len(blocks) - 2)))
    assert (found.cause, found.facts["block"]) == ("image-truncated", 2)


def test_uf2_flags() -> None:
    blocks = [w.uf2_block(0x100, b"\x01" * 8, 0, 3), w.uf2_block(0, b"comment", 1, 3, flags=1), w.uf2_block(0x108, b"\x02" * 8, 2, 3)]
    image = decode("x", b"".join(blocks))
    assert parts(image) == [(0x100, b"\x01" * 8 + b"\x02" * 8)]
    assert any("1 blocks are not meant" in note for note in image.notes)
    assert error(w.uf2_block(0, b"file", 0, 1, flags=0x1000)).facts["kind"] == "uf2-container"
    assert error(w.uf2_block(0, b"\1" * 460, 0, 1, flags=0x4000)).cause == "uf2-damaged"
    assert error(w.uf2_block(0, b"no flash", 0, 1, flags=1)).cause == "image-empty"


def test_the_lone_block_in_front_of_an_rp2350_file_is_left_out() -> None:
    front = w.uf2_block(0x10FF_FF00, b"\xef" * 256, 0, 2, family=0xE48B_FF57)
    memory = [(0x1000_0000, bytes(range(256)) * 3)]
    file = front + w.uf2(memory, family=0xE48B_FF59)
    image = decode("x.uf2", file)
    assert parts(image) == memory
    assert image.uf2_family == 0xE48B_FF59
    assert any("RP2350" in note for note in image.notes)
    assert is_whole(file[:EDGE], file[-EDGE:], len(file)) is True
    assert is_whole(file[:EDGE], file[-512 - EDGE : -512], len(file) - 512) is False
    assert error(file[:-512]).cause == "image-truncated"
    assert error(front).cause in {"image-truncated", "uf2-damaged"}
    absolute = front[:32] + b"\x01" + front[33:]
    assert error(absolute + w.uf2(memory, family=0xE48B_FF59)).cause == "uf2-damaged"


def test_uf2_for_several_chips_is_not_guessed() -> None:
    found = error(w.uf2_block(0, b"\1" * 8, 0, 2, family=0x00FF_6919) + w.uf2_block(8, b"\2" * 8, 1, 2, family=0x5775_5A57))
    assert found.cause == "image-no-part-for-board"
    assert "STM32L4" in str(found)
    assert "STM32F4" in str(found)


# --- ELF ---------------------------------------------------------------------------------------------------------------------------


@each(
    [
        (w.elf(FIRM, machine=62), "image-wrong-chip"),
        (w.elf(FIRM, machine=243), "image-wrong-chip"),
        (b"\x7fELF\x02\x01\x01" + bytes(100), "image-wrong-chip"),
        (b"\x7fELF\x01\x02\x01" + bytes(11) + b"\x00\x28" + bytes(100), "image-wrong-chip"),
        (w.elf(FIRM, kind=1), "image-unknown-format"),
        (w.elf(FIRM, kind=3), "image-unknown-format"),
        (w.elf(FIRM)[:50], "image-truncated"),
        (w.elf(FIRM)[:200], "image-truncated"),
        (w.elf([], empty=True), "image-empty"),
        (w.elf([(0, b"\x01\x02"), (1, b"\x03")]), "image-overlap"),
        (w.elf([(0xFFFF_FFFF, b"\x01\x02")]), "elf-damaged"),
        (w.elf(FIRM)[:44] + b"\xff\xff" + w.elf(FIRM)[46:], "elf-damaged"),
    ]
)
def test_elf_that_cannot_be_flashed(content: bytes, cause: str) -> None:
    assert error(content, "x.elf").cause == cause


def test_the_linkers_own_headers_are_left_out() -> None:
    image = decode("x.axf", w.elf(FIRM, first_with_headers=True))
    assert parts(image) == FIRM
    assert "own headers" in image.notes[0]


def test_the_architecture_is_read() -> None:
    assert decode("x", w.elf(FIRM, arch=13)).architecture == "v7E-M"
    assert decode("x", w.elf(FIRM, arch=99)).architecture == ""
    assert decode("x", w.elf(FIRM)).architecture == ""


# --- all ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [w.srec([(0, bytes(0x40))]), w.uf2([(0, bytes(0x40))]), w.elf([(0, bytes(0x40))])], ids=["srec", "uf2", "elf"]
)
def test_probe_firmware_is_recognised_in_every_format(content: bytes) -> None:
    assert decode("x", content).size == 0x40
    image = bytes(0x20) + b"\x8f\x9e\x93\x9b" + bytes(28)
    for file in (w.srec([(0x8000, image)]), w.uf2([(0x8000, image)]), w.elf([(0x8000, image)])):
        assert (error(file).cause, error(file).facts["kind"]) == ("probe-firmware", "daplink-interface")
        assert decode("x", file, placed=True).size == 0x40


def test_names_are_only_hints() -> None:
    assert error(UF2, "firmware.uf2.crdownload").cause == "half-download"
    for name, noted in (("x.uf2", False), ("x.bin", True), ("x", False), ("x.elf", True)):
        assert bool(decode(name, UF2).notes) is noted


def test_the_writers_are_not_the_readers() -> None:
    """Nothing of the product is in the files that these tests write."""
    assert "msdflash" not in (Path(__file__).parent / "writers.py").read_text()
