"""ST-LINK commands byte by byte, as OpenOCD's stlink_usb.c and pyOCD's stlink.py send and parse them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.sim.port import Ack, Drive
from msdflash.sim.usb.stlink import MODELS, StLink

RAM = 0x20000000
OK = b"\x80\x00"


@pytest.fixture
def link(target: Any) -> StLink:
    return StLink(MODELS["stlink-v3"], target, "0765", False, lambda _: None)


def ask(link: StLink, *command: int | bytes) -> bytes:
    data = b"".join(bytes([part]) if isinstance(part, int) else part for part in command)
    answers = link.message(data.ljust(16, b"\0"))
    assert len(answers) <= 1
    return answers[0] if answers else b""


def enter(link: StLink) -> None:
    assert ask(link, 0xF2, 0x30, 0xA3) == OK


def memory(command: int, address: int, length: int, ap: int = 0) -> bytes:
    return struct.pack("<BBIHB3x", 0xF2, command, address, length, ap)


def last(link: StLink) -> tuple[int, int]:
    answer = ask(link, 0xF2, 0x3E)
    assert len(answer) == 12
    return struct.unpack("<H2xI4x", answer)


def test_version_mode_and_identity(link: StLink) -> None:
    assert ask(link, 0xF1) == b"\x30\x00\x83\x04\x4f\x37"  # hardware 3; the rest is in the extended version
    assert ask(link, 0xFB) == b"\x03\x00\x0a\x03\x05\x00\x00\x00\x83\x04\x4f\x37"
    assert ask(link, 0xF5) == b"\x01\x00"
    ids = ask(link, 0xF2, 0x56)
    assert (len(ids), ids[:6]) == (128, OK + b"0765")


def test_voltage_comes_as_two_adc_words(link: StLink, target: Any) -> None:
    for target.volts in (3.3, 1.8, 0.0):
        reference, measured = struct.unpack("<II", ask(link, 0xF7))
        assert 2 * measured * 1.2 / reference == pytest.approx(target.volts, abs=0.01)


def test_enter_selects_swd_and_powers_up(link: StLink, target: Any) -> None:
    enter(link)
    assert (b"\x9e\xe7", 16) in target.sequences
    assert target.ctrl == 0x50000000
    assert ask(link, 0xF5) == b"\x02\x00"
    assert ask(link, 0xF2, 0x31) == struct.pack("<HHII", 0x80, 0, 0x2BA01477, 0)
    assert ask(link, 0xF2, 0x21) == b""  # JTAG_EXIT has no answer
    assert ask(link, 0xF5) == b"\x01\x00"


def test_enter_without_a_target(link: StLink, target: Any) -> None:
    target.answers = [Ack.NONE]
    assert ask(link, 0xF2, 0x30, 0xA3) == b"\x09\x00"
    assert ask(link, 0xF5) == b"\x01\x00"


def test_enter_with_a_sleeper(link: StLink, target: Any) -> None:
    target.power_up_acknowledged = False
    assert ask(link, 0xF2, 0x30, 0xA3) == b"\x0b\x00"


def test_reset_line_is_open_drain_and_works_before_enter(link: StLink, target: Any) -> None:
    target.drives.clear()
    for how in (0, 1, 2):
        assert ask(link, 0xF2, 0x3C, how) == OK
    assert target.drives == [Drive.LOW, Drive.FLOAT, Drive.LOW, Drive.FLOAT]


def test_speeds(link: StLink, target: Any) -> None:
    assert ask(link, 0xF2, 0x61, 0, 0, struct.pack("<I", 4000)) == struct.pack("<HHI", 0x80, 0, 3300)
    assert target.hertz == 3_300_000
    assert ask(link, 0xF2, 0x61, 0, 0, struct.pack("<I", 4)) == struct.pack("<HHI", 0x41, 0, 0)
    speeds = ask(link, 0xF2, 0x62, 0)
    assert len(speeds) == 52
    assert struct.unpack_from("<II2I", speeds, 4) == (3300, 7, 24000, 8000)
    assert ask(link, 0xF2, 0x63, 1)[:2] == OK


def test_registers(link: StLink, target: Any) -> None:
    enter(link)
    assert ask(link, 0xF2, 0x45, struct.pack("<HH", 0xFFFF, 0)) == struct.pack("<HHI", 0x80, 0, 0x2BA01477)
    assert ask(link, 0xF2, 0x45, struct.pack("<HH", 0, 0xFC)) == struct.pack("<HHI", 0x80, 0, 0x24770011)
    assert target.select == 0xF0
    assert ask(link, 0xF2, 0x46, struct.pack("<HHI", 0, 4, RAM)) == OK
    assert target.tar == RAM
    # DP registers of another bank: address bits 7:4 are DPBANKSEL.
    ask(link, 0xF2, 0x45, struct.pack("<HH", 0xFFFF, 0x24))
    assert target.select & 0xF == 2


def test_register_errors_have_codes_for_dp_and_ap(link: StLink, target: Any) -> None:
    enter(link)
    ask(link, 0xF2, 0x45, struct.pack("<HH", 0, 0))  # SELECT is right from here on
    for ack, dp, ap in ((Ack.WAIT, 0x14, 0x10), (Ack.FAULT, 0x15, 0x11), (Ack.NONE, 0x16, 0x12), (Ack.PARITY, 0x17, 0x13)):
        times = 101 if ack == Ack.WAIT else 1  # the firmware repeats a hundred times
        target.answers = [ack] * times
        assert ask(link, 0xF2, 0x45, struct.pack("<HH", 0xFFFF, 0))[0] == dp
        target.answers = [ack] * times
        assert ask(link, 0xF2, 0x45, struct.pack("<HH", 0, 0))[0] == ap


def test_short_waits_are_absorbed(link: StLink, target: Any) -> None:
    enter(link)
    target.answers = [Ack.WAIT] * 100
    assert ask(link, 0xF2, 0x45, struct.pack("<HH", 0xFFFF, 0))[0] == 0x80


def test_a_write_that_arrived_damaged_is_told_apart(link: StLink, target: Any) -> None:
    """CTRL/STAT.WDATAERR: the link, not the bus."""
    enter(link)
    ask(link, 0xF2, 0x45, struct.pack("<HH", 0, 0))
    target.answers = [Ack.FAULT]
    target.ctrl |= 1 << 7
    assert ask(link, 0xF2, 0x46, struct.pack("<HHI", 0, 0, 0))[0] == 0x18


def test_init_ap(link: StLink, target: Any) -> None:
    enter(link)
    assert ask(link, 0xF2, 0x4B, 0, 0) == OK
    assert ask(link, 0xF2, 0x4B, 1, 0) == b"\x1d\x00"
    foreign = StLink(MODELS["stlink-v3"], target, "", True, lambda _: None)
    enter(foreign)
    assert ask(foreign, 0xF2, 0x4B, 0, 0) == b"\x1d\x00"
    older = StLink(MODELS["stlink-v2-j34"], target, "", True, lambda _: None)
    enter(older)
    assert ask(older, 0xF2, 0x4B, 0, 0) == OK


def test_words_go_and_come(link: StLink, target: Any) -> None:
    enter(link)
    data = bytes(range(0x10, 0x10 + 24))
    assert link.message(memory(0x08, RAM + 0x3F4, 24)) == ()
    assert link.message(data) == ()
    assert last(link) == (0x80, 0)
    assert ask(link, memory(0x07, RAM + 0x3F4, 24)) == data
    assert last(link) == (0x80, 0)
    # TAR is written anew at the 1 KiB boundary (ADIv5.2 C2.2.2).
    assert (0x05, RAM + 0x400) in target.log


@pytest.mark.parametrize(("write", "read", "size"), [(0x0D, 0x0C, 1), (0x48, 0x47, 2)])
def test_bytes_and_halfwords_use_their_lanes(link: StLink, target: Any, write: int, read: int, size: int) -> None:
    enter(link)
    target.memory[RAM] = target.memory[RAM + 4] = 0xAAAAAAAA
    link.message(memory(write, RAM + 2, 4))
    link.message(b"\x01\x02\x03\x04")
    assert last(link) == (0x80, 0)
    assert (target.memory[RAM], target.memory[RAM + 4]) == (0x0201AAAA, 0xAAAA0403)
    assert ask(link, memory(read, RAM + 2, 4)) == b"\x01\x02\x03\x04"
    assert target.csw & 7 == size >> 1


def test_unfit_addresses_and_lengths_are_refused(link: StLink, target: Any) -> None:
    enter(link)
    before = len(target.log)
    for command in (memory(0x07, RAM + 1, 4), memory(0x07, RAM, 6), memory(0x07, RAM, 6148), memory(0x0C, RAM, 513)):
        answer = ask(link, command)
        assert len(answer) == struct.unpack_from("<H", command, 6)[0]
        assert last(link)[0] == 0x0A
    assert len(target.log) == before


def test_read_fault_names_the_failing_word(link: StLink) -> None:
    enter(link)
    assert len(ask(link, memory(0x07, RAM + 0x7F8, 16))) == 16
    assert last(link) == (0x11, RAM + 0x800)


def test_write_fault_names_the_failing_word_though_it_is_told_later(link: StLink, target: Any) -> None:
    enter(link)
    link.message(memory(0x08, RAM + 0x7F8, 16))
    link.message(bytes(16))
    assert last(link) == (0x11, RAM + 0x800)
    # Also when the failing word is the last one.
    assert ask(link, 0xF2, 0x46, struct.pack("<HHI", 0xFFFF, 0, 0x1E)) == OK
    link.message(memory(0x08, RAM + 0x7F8, 12))
    link.message(bytes(12))
    assert last(link) == (0x11, RAM + 0x800)


def test_commands_and_data_may_come_in_any_pieces(link: StLink, target: Any) -> None:
    enter(link)
    data = struct.pack("<4I", 1, 2, 3, 4)
    link.message(memory(0x08, RAM, 16))
    for at in range(0, 16, 5):
        link.message(data[at : at + 5])
    assert [target.memory[RAM + 4 * each] for each in range(4)] == [1, 2, 3, 4]


def test_letting_go_of_the_interface_drops_a_half_received_write(link: StLink, target: Any) -> None:
    """ASSUMED (see the module): otherwise the next client's commands would be eaten as data."""
    enter(link)
    link.message(memory(0x08, RAM, 64))
    link.message(bytes(20))
    link.released()
    assert ask(link, 0xF5) == b"\x02\x00"
    assert RAM not in target.memory


def test_unknown_commands(link: StLink) -> None:
    assert ask(link, 0x99) == b"\x42\x00"
    assert ask(link, 0xF2, 0x99) == b"\x42\x00"
    assert ask(link, 0xF2, 0x40) == b"\x20\x00"  # no trace


@settings(max_examples=60, deadline=None)
@given(
    st.integers(RAM, RAM + 0x7FF), st.binary(min_size=1, max_size=200), st.sampled_from([(0x08, 0x07, 4), (0x0D, 0x0C, 1), (0x48, 0x47, 2)])
)
def test_memory_round_trip(target_type: Callable[[], Any], address: int, data: bytes, commands: tuple[int, int, int]) -> None:
    write, read, size = commands
    address -= address % size
    data = data[: min(len(data) - len(data) % size, RAM + 0x800 - address)]
    target = target_type()
    link = StLink(MODELS["stlink-v3"], target, "0765", False, lambda _: None)
    enter(link)
    link.message(memory(write, address, len(data)))
    if data:
        link.message(data)
        assert last(link) == (0x80, 0)
        assert ask(link, memory(read, address, len(data))) == data


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8))
def test_any_bytes_are_survived(target_type: Callable[[], Any], messages: list[bytes]) -> None:
    link = StLink(MODELS["stlink-v3"], target_type(), "0765", False, lambda _: None)
    for message in messages:
        link.message(b"\xf2" + message)
    link.released()
    assert ask(link, 0xF1)[0] == 0x30
