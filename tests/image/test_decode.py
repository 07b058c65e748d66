"""Files to images: formats told apart by content, Intel hex in every legal layout, damage named where it is."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msdflash.errors import ImageError
from msdflash.image.decode import MAX_FILE, decode
from msdflash.image.detect import detect
from msdflash.image.pieces import line_of
from msdflash.image.segments import Image, Segment
from msdflash.image.whole import hex_is_whole

END = b":00000001FF"
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def record(kind: int, offset: int, data: bytes = b"") -> bytes:
    raw = bytes([len(data)]) + offset.to_bytes(2, "big") + bytes([kind]) + data
    return b":" + (raw + bytes([-sum(raw) & 0xFF])).hex().upper().encode()


def text(*records: bytes, end: bytes = END, newline: bytes = b"\n") -> bytes:
    return newline.join((*records, end)) + newline


def cause(data: bytes, name: str = "x.hex") -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(name, data)
    return caught.value


def attempt(data: bytes, name: str = "x.hex") -> Image | ImageError:
    try:
        return decode(name, data)
    except ImageError as error:
        return error


def parts(image: Image) -> list[tuple[int, bytes]]:
    return [(segment.address, segment.data) for segment in image.segments]


@st.composite
def memories(draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """Segments with at least one byte between them, anywhere in 4 GiB."""
    segments: list[tuple[int, bytes]] = []
    address = draw(st.sampled_from([0, 0xFFF0, 0x0800_0000, 0x0800_FFF8, 0x1000_1000, 0xFFFE_0000]))
    for _ in range(draw(st.integers(1, 4))):
        data = draw(st.binary(min_size=1, max_size=90))
        if address + len(data) > 1 << 32:
            break
        segments.append((address, data))
        address += len(data) + draw(st.integers(1, 70000))
        if address >= 1 << 32:
            break
    return segments


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[tuple[int, bytes]], bytes]:
    """The same memory and one legal hex file of it."""
    memory = draw(memories())
    newline = draw(st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b" \n"]))
    width = draw(st.sampled_from([1, 7, 16, 32, 255]))
    chunks = [(address + at, data[at : at + width]) for address, data in memory for at in range(0, len(data), width)]
    if draw(st.booleans()):
        chunks = draw(st.permutations(chunks))
    lines: list[bytes] = []
    for address, chunk in chunks:
        if address + len(chunk) <= 1 << 20 and (address & 0xF) + len(chunk) <= 1 << 16 and draw(st.booleans()):
            lines.append(record(2, 0, (address >> 4).to_bytes(2, "big")))
            lines.append(record(0, address & 0xF, chunk))
        else:
            lines.append(record(4, 0, (address >> 16).to_bytes(2, "big")))
            lines.append(record(0, address & 0xFFFF, chunk))
    if draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), record(5, 0, b"\x08\x00\x01\x31"))
    body = newline.join([*lines, END]) + (newline if draw(st.booleans()) else b"")
    return memory, body.lower() if draw(st.booleans()) else body


@QUICK
@given(layouts())
def test_every_legal_layout_gives_the_same_memory(case: tuple[list[tuple[int, bytes]], bytes]) -> None:
    memory, body = case
    image = decode("whatever", body)
    assert parts(image) == memory
    assert image.format == "ihex"
    assert not image.relocatable
    assert hex_is_whole(body)


@QUICK
@given(st.binary(min_size=1, max_size=300).map(lambda tail: b"\x00\x80\x01\x20\x31\x01\x00\x08" + tail))
def test_a_raw_binary_is_one_relocatable_segment(data: bytes) -> None:
    image = decode("x.bin", data)
    assert (image.format, image.relocatable, parts(image)) == ("bin", True, [(0, data)])
    assert parts(image.at(0x0800_0000)) == [(0x0800_0000, data)]


FIRM = [record(4, 0, b"\x08\x00")] + [record(0, at, bytes([at & 0xFF, 1] * 8)) for at in range(0, 0x100, 16)]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_named_or_harmless(data: st.DataObject) -> None:
    """One changed byte: an equal image, or an error that names the damaged line (or the one after a lost line end)."""
    whole = text(*FIRM)
    good = decode("x.hex", whole)
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    found = attempt(damaged)
    line = line_of(whole, at)
    if isinstance(found, Image):
        assert parts(found) == parts(good)
    elif found.cause == "image-truncated":
        assert line == len(FIRM) + 1
    else:
        assert found.cause in {"hex-checksum", "hex-syntax"}
        assert found.facts["line"] in {line, line + 1}


@QUICK
@given(st.integers(0, len(text(*FIRM)) - 2))
def test_a_cut_file_is_truncated_after_its_last_good_record(length: int) -> None:
    whole = text(*FIRM)
    cut = whole[:length]
    assert not hex_is_whole(cut)
    error = cause(cut)
    if not cut:
        assert error.cause == "image-empty"
        return
    if len(cut) < 9:  # not yet recognisable as a record, except by its name
        assert error.cause in {"image-truncated", "image-unknown-format"}
        return
    assert error.cause == "image-truncated"
    complete = sum(1 for end in (index + len(line) for index, line in _lines(whole)) if end <= length)
    assert error.facts["line"] == complete


def _lines(whole: bytes) -> list[tuple[int, bytes]]:
    result, at = [], 0
    for line in whole.splitlines():
        result.append((at, line))
        at += len(line) + 1
    return result


@QUICK
@given(st.binary(max_size=400), st.sampled_from(["x.bin", "x.hex", "x", "._x.hex"]))
def test_no_content_crashes(data: bytes, name: str) -> None:
    found = attempt(data, name)
    assert str(found) if isinstance(found, ImageError) else found.size > 0


@QUICK
@given(st.lists(st.sampled_from([b":", b"00", b"10", b"FF", b"0A", b"\n", b"\r", b" ", b"\x00", END, FIRM[1], b"Z"]), max_size=30))
def test_no_hex_soup_crashes(soup: list[bytes]) -> None:
    found = attempt(FIRM[0] + b"\n" + b"".join(soup))
    if isinstance(found, ImageError):
        assert found.cause in {"hex-syntax", "hex-checksum", "image-truncated", "image-empty", "image-unknown-format"}


def test_checksum_error_gives_line_expected_and_found() -> None:
    bad = FIRM[2][:-2] + b"00"
    error = cause(text(FIRM[0], FIRM[1], bad))
    assert error.cause == "hex-checksum"
    assert error.facts == {"line": 3, "expected": int(FIRM[2][-2:], 16), "found": 0}


def test_bad_character_gives_line_and_column() -> None:
    error = cause(text(FIRM[0], FIRM[1][:7] + b"G" + FIRM[1][8:]))
    assert (error.cause, error.facts["line"], error.facts["column"]) == ("hex-syntax", 2, 8)


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        (b":10000000AA", "digits"),
        (record(6, 0), "type"),
        (record(4, 0, b"\x08"), "type"),
        (record(1, 0, b"\x00"), "type"),
        (b":", "digits"),
        (b"junk", "column"),
        (FIRM[1] + b" " + FIRM[2], "column"),
        (FIRM[1][:9] + b"  " + FIRM[1][9:-2], "column"),  # blanks inside a record are not padding
    ],
)
def test_other_syntax_errors_name_the_line(line: bytes, fact: str) -> None:
    error = cause(text(FIRM[0], line))
    assert (error.cause, error.facts["line"]) == ("hex-syntax", 2)
    assert fact in error.facts


def test_records_after_the_end_record_are_refused() -> None:
    joined = text(*FIRM) + text(FIRM[0], record(0, 0x4000, b"\x01"))
    error = cause(joined)
    assert (error.cause, error.facts["end_line"], error.facts["line"]) == ("hex-syntax", len(FIRM) + 1, len(FIRM) + 2)


@pytest.mark.parametrize("padding", [b"\r\n\r\n", b"\x1a", b"\x00" * 400, b"  \n"])
def test_padding_after_the_end_record_is_harmless(padding: bytes) -> None:
    assert parts(decode("x.hex", text(*FIRM) + padding)) == parts(decode("x.hex", text(*FIRM)))


def test_zeros_instead_of_the_rest_are_a_truncation() -> None:
    whole = text(*FIRM)
    error = cause(whole[:200] + b"\x00" * (len(whole) - 200))
    assert error.cause == "image-truncated"
    assert error.facts["line"] == whole[:200].count(b"\n")


def test_overlap_with_other_data_names_both_lines() -> None:
    error = cause(text(FIRM[0], record(0, 0x10, b"\x01\x02\x03"), record(0, 0x20, b"\x00"), record(0, 0x11, b"\x02\x09")))
    assert error.cause == "image-overlap"
    assert error.facts == {"address": 0x0800_0012, "line": 2, "other_line": 4, "expected": 3, "found": 9}


def test_overlap_with_equal_data_is_a_note() -> None:
    image = decode("x.hex", text(record(0, 0x10, b"\x01\x02\x03"), record(0, 0x20, b"\x00"), record(0, 0x11, b"\x02\x03\x04")))
    assert parts(image) == [(0x10, b"\x01\x02\x03\x04"), (0x20, b"\x00")]
    assert any(note.startswith("2 bytes stand") for note in image.notes)


def test_segmented_offsets_wrap_and_linear_ones_do_not() -> None:
    assert parts(decode("x", text(record(2, 0, b"\x10\x00"), record(0, 0xFFFF, b"\x01\x02")))) == [
        (0x10000, b"\x02"),
        (0x1FFFF, b"\x01"),
    ]
    assert parts(decode("x", text(record(4, 0, b"\x00\x01"), record(0, 0xFFFF, b"\x01\x02")))) == [(0x1FFFF, b"\x01\x02")]


def test_a_start_address_is_told_once() -> None:
    image = decode("x.hex", text(record(3, 0, b"\x00\x00\x01\x00"), *FIRM, record(5, 0, b"\x08\x00\x01\x00")))
    assert [note for note in image.notes if "start address" in note] == ["line 1: start address 0x00000100 is not used by the hardware"]


@pytest.mark.parametrize(
    ("data", "kind", "why"),
    [
        (b"", "empty", "image-empty"),
        (b"\x00" * 4096, "zeros", "image-empty"),
        (b"\xff" * 4096, "blank", "image-empty"),
        (text(), "ihex", "image-empty"),
        (b"\x7fELF\x01\x01\x01" + bytes(80), "elf", "image-wrong-chip"),
        (b"UF2\nWQ]\x9e" + bytes(504), "uf2", "uf2-damaged"),
        (b"\xe9\x03\x02\x20\x34\x12\x08\x40" + bytes(60), "esp", "image-wrong-chip"),
        (b"\x27\x05\x19\x56" + bytes(60), "uimage", "image-unknown-format"),
        (bytes(20) + b"STMP" + bytes(60), "sb", "image-unknown-format"),
        (b"\x3d\xb8\xf3\x96" + bytes(60), "mcuboot", "image-needs-base"),
        (b"PK\x03\x04" + bytes(60), "zip", "image-unknown-format"),
        (b"\x1f\x8b\x08" + bytes(60), "gzip", "image-unknown-format"),
        (b"\x00\x05\x16\x07" + bytes(60), "appledouble", "image-unknown-format"),
        (bytes(0x20) + b"\x8f\x9e\x93\x9b" + bytes(60), "daplink-interface", "probe-firmware"),
        (b"S00F000068656C6C6F202020202000003C\n", "srec", "image-truncated"),
        (b"<!DOCTYPE html><html>", "html", "image-unknown-format"),
        (b'{"a": 1}', "json", "image-unknown-format"),
        (b"a: 1\nb: 2\n", "yaml", "image-unknown-format"),
        (b"import os\nprint(os)\n", "python", "image-unknown-format"),
        (b"#include <stdio.h>\n", "source", "image-unknown-format"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs", "image-unknown-format"),
        (b"hello world\n", "text", "image-unknown-format"),
        ("h\u00e4\u00f6".encode() * 3000, "text", "image-unknown-format"),
        (bytes(range(48)) + b"\x00\x01\x02\x10\x00\x01UFD\x10\x12\x34\x56\x78", "dfu", "image-unknown-format"),
    ],
)
def test_other_content_is_named(data: bytes, kind: str, why: str) -> None:
    assert detect(data).id == kind
    error = cause(data, "firmware.bin")
    assert error.cause == why
    assert kind in {"ihex", "srec", "uf2", "elf"} or error.facts["kind"] == kind


def test_the_name_does_not_decide() -> None:
    assert decode("x.bin", text(*FIRM)).format == "ihex"
    image = decode("x.hex", b"\x00\x80\x01\x20\x31\x01\x00\x08" + bytes(40))
    assert image.format == "bin"
    assert image.notes


def test_hex_with_a_damaged_first_record_is_still_hex() -> None:
    error = cause(b"x" + text(*FIRM)[1:], "download")
    assert (error.cause, error.facts["line"], error.facts["column"]) == ("hex-syntax", 1, 1)


def test_probe_firmware_inside_hex_is_named() -> None:
    image = bytes(0x20) + b"\x8f\x9e\x93\x9b" + bytes(12)
    assert cause(text(record(0, 0, image))).facts["kind"] == "daplink-interface"


def test_a_base_lets_a_signed_slot_pass() -> None:
    data = b"\x3d\xb8\xf3\x96" + bytes(60)
    assert decode("slot.bin", data, placed=True).segments == (Segment(0, data),)


def test_a_file_above_the_limit_is_refused() -> None:
    error = cause(bytes(MAX_FILE + 1), "x.bin")
    assert (error.cause, error.facts["limit"]) == ("image-too-big", MAX_FILE)


@pytest.mark.parametrize(
    "hostile",
    [
        b":0000000000\n" + b"\n" * 1_000_000,
        b":00000000" + b"0" * 1_000_000,
        b":0000000000\n" + b" " * 1_000_000,
        b":0000000000\n" + b"\r" * 1_000_000,
        b":" * 1_000_000,
        (record(5, 0, b"\x00" * 4) + b"\n") * 5_000,
        (record(0, 0, b"\x01") + b" \n") * 7_000 + record(0, 0, b"\x02"),
    ],
    ids=["newlines", "one-line", "blanks", "returns", "colons", "starts", "overlap-late"],
)
def test_hostile_text_is_bounded(hostile: bytes) -> None:
    begin = time.perf_counter()
    tracemalloc.start()
    try:
        cause(hostile)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * len(hostile) + 4_000_000
    assert time.perf_counter() - begin < 10


def test_addresses_all_over_4_gib_cost_nothing() -> None:
    lines = [record(4, 0, high.to_bytes(2, "big")) + b"\n" + record(0, 0, b"\x01") for high in range(0, 0x10000, 64)]
    tracemalloc.start()
    try:
        image = decode("x.hex", text(*lines))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(image.segments) == 1024
    assert peak < 8_000_000


def test_too_many_pieces_are_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msdflash.image.pieces.MERGE_AT", 400)
    monkeypatch.setattr("msdflash.image.pieces.MAX_SEGMENTS", 200)
    lines = [record(0, at * 2, b"\x01") for at in range(1000)]
    error = cause(text(*lines))
    assert (error.cause, error.facts["limit"]) == ("image-too-big", 200)


def test_merging_on_the_way_keeps_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msdflash.image.pieces.MERGE_AT", 50)
    lines = [record(0, at, bytes([at & 0xFF])) for at in range(999, -1, -1)]
    assert parts(decode("x.hex", text(*lines))) == [(0, bytes(at & 0xFF for at in range(1000)))]


@pytest.mark.parametrize(
    ("tail", "whole"),
    [(END, True), (END + b"\r\n", True), (b":00000001fe", False), (b":00000001F", False), (b"", False), (b"\x00" * 64, False),
     (b":0080000180\n", False), (b":008000017F\n", True), (END + b"\n:10", False)],
)  # fmt: skip
def test_whole_by_its_tail(tail: bytes, whole: bool) -> None:
    assert hex_is_whole(b"\n" * 200 + tail) is whole
