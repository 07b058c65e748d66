"""CMSIS-DAP messages byte by byte (https://arm-software.github.io/CMSIS-DAP/latest, command by command)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.sim.port import Ack, Drive
from msdflash.sim.usb import cmsisdap
from msdflash.sim.usb.cmsisdap import PROFILES, CmsisDap, Identity

IDENTITY = Identity("0765", board_vendor="ST", board_name="NUCLEO")
RAM = 0x20000000
SELECT, CSW, TAR, DRW = 0x08, 0x01, 0x05, 0x0D
READ_DRW, READ_DPIDR, READ_CTRL, READ_RDBUFF = 0x0F, 0x02, 0x06, 0x0E


def word(value: int) -> bytes:
    return struct.pack("<I", value)


def write(request: int, value: int) -> bytes:
    return bytes([request]) + word(value)


@pytest.fixture
def make(target: Any) -> Callable[..., CmsisDap]:
    return lambda profile="cmsis-dap": CmsisDap(target, PROFILES[profile], IDENTITY, lambda _: None)


@pytest.fixture
def dap(make: Callable[..., CmsisDap]) -> CmsisDap:
    return make()


def ask(dap: CmsisDap, *message: int | bytes) -> bytes:
    data = b"".join(bytes([part]) if isinstance(part, int) else part for part in message)
    (answer,) = dap.message(data)
    return answer


def transfer(dap: CmsisDap, *requests: bytes) -> bytes:
    return ask(dap, 0x05, 0, len(requests), *requests)


def ready(dap: CmsisDap, address: int = RAM) -> None:
    """CSW for words with increment, TAR at ``address``."""
    assert transfer(dap, write(SELECT, 0), write(CSW, 0x23000012), write(TAR, address)) == b"\x05\x03\x01"


def test_info(dap: CmsisDap) -> None:
    assert ask(dap, 0, 0xF0) == b"\x00\x01\x11"  # SWD, atomic commands
    assert ask(dap, 0, 0xFE) == b"\x00\x01\x04"
    assert ask(dap, 0, 0xFF) == b"\x00\x02\x00\x02"
    assert ask(dap, 0, 0x04) == b"\x00\x062.1.0\0"
    assert ask(dap, 0, 0x08) == b"\x00\x07NUCLEO\0"
    assert ask(dap, 0, 0x06) == b"\x00\x00"  # no device name: only what clients know without a pack
    assert ask(dap, 0, 0x77) == b"\x00\x00"


def test_full_speed_profile_tells_its_sizes(make: Callable[..., CmsisDap]) -> None:
    assert ask(make("cmsis-dap-const0"), 0, 0xFF) == b"\x00\x02\x40\x00"


def test_connect_knows_only_swd(dap: CmsisDap) -> None:
    assert [ask(dap, 0x02, port)[1] for port in (0, 1, 2, 9)] == [1, 1, 0, 0]


def test_unknown_commands_answer_one_ff(dap: CmsisDap) -> None:
    for command in (0x14, 0x17, 0x1A, 0x42, 0x80, 0xFF):
        assert ask(dap, command, 1, 2) == b"\xff"


def test_empty_messages_and_transfer_abort_have_no_answer(dap: CmsisDap) -> None:
    assert dap.message(b"") == ()
    assert dap.message(b"\x07") == ()


def test_status_clock_sequence_configure_reset(dap: CmsisDap, target: Any) -> None:
    assert ask(dap, 0x01, 0, 1) == b"\x01\x00"
    assert ask(dap, 0x11, word(4_000_000)) == b"\x11\x00"
    assert target.hertz == 4_000_000
    assert ask(dap, 0x11, word(0)) == b"\x11\xff"
    assert ask(dap, 0x12, 16, b"\x9e\xe7") == b"\x12\x00"
    assert target.sequences[-1] == (b"\x9e\xe7", 16)
    ask(dap, 0x12, 0, bytes(32))
    assert target.sequences[-1] == (bytes(32), 256)  # a count of zero is 256
    assert ask(dap, 0x13, 0) == b"\x13\x00"
    assert ask(dap, 0x0A) == b"\x0a\x00\x00"  # no device-specific reset


def test_swd_sequence_sends_and_samples(dap: CmsisDap, target: Any) -> None:
    answer = ask(dap, 0x1D, 2, 0x08, 0x5A, 0x80 | 10)
    assert answer == b"\x1d\x00\xff\x03"  # SWDIO floats high: ten ones
    assert target.sequences[-2] == (b"\x5a", 8)


def test_dp_read_and_write(dap: CmsisDap, target: Any) -> None:
    assert transfer(dap, bytes([READ_DPIDR])) == b"\x05\x01\x01" + word(0x2BA01477)
    assert transfer(dap, write(0x04, 0x50000000), bytes([READ_CTRL])) == b"\x05\x02\x01" + word(0xF0000000)
    assert target.log[-1] == (READ_CTRL, 0)  # the read at the end needs no RDBUFF


def test_a_write_at_the_end_is_checked_with_rdbuff(dap: CmsisDap, target: Any) -> None:
    transfer(dap, write(SELECT, 0))
    assert [request for request, _ in target.log] == [SELECT, READ_RDBUFF]


def test_ap_reads_are_posted(dap: CmsisDap, target: Any) -> None:
    """The data of an AP read come with the next AP read, the last with RDBUFF."""
    target.memory.update({RAM: 0x11, RAM + 4: 0x22, RAM + 8: 0x33})
    ready(dap)
    target.log.clear()
    answer = transfer(dap, bytes([READ_DRW]), bytes([READ_DRW]), bytes([READ_CTRL]), bytes([READ_DRW]))
    assert answer == b"\x05\x04\x01" + word(0x11) + word(0x22) + word(0) + word(0x33)
    assert [request for request, _ in target.log] == [READ_DRW, READ_DRW, READ_RDBUFF, READ_CTRL, READ_DRW, READ_RDBUFF]


def test_wait_is_repeated_as_configured(dap: CmsisDap, target: Any) -> None:
    assert ask(dap, 0x04, 2, struct.pack("<HH", 3, 0)) == b"\x04\x00"
    target.answers = [Ack.WAIT] * 3
    assert transfer(dap, bytes([READ_DPIDR])) == b"\x05\x01\x01" + word(0x2BA01477)
    target.answers = [Ack.WAIT] * 4
    assert transfer(dap, bytes([READ_DPIDR])) == b"\x05\x00\x02"


def test_errors_end_the_transfer_with_count_and_ack(dap: CmsisDap, target: Any) -> None:
    for ack, byte in ((Ack.NONE, 7), (Ack.LOW, 0), (Ack.FAULT, 4), (Ack.PARITY, 8)):
        target.answers = [Ack.OK, ack]
        target.log.clear()
        assert transfer(dap, bytes([READ_DPIDR]), bytes([READ_CTRL]), bytes([READ_CTRL])) == bytes([5, 1, byte]) + word(0x2BA01477)
        assert len(target.log) == 2  # nothing after the error


def test_a_posted_read_that_fails_tells_on_rdbuff(dap: CmsisDap) -> None:
    ready(dap, 0x40000000)
    assert transfer(dap, bytes([READ_DRW])) == b"\x05\x01\x04"  # counted, but no data


def test_value_match(dap: CmsisDap, target: Any) -> None:
    """Bit 4 compares a read with a value under the mask that bit 5 of a write set; match-retry limits the tries."""
    ask(dap, 0x04, 0, struct.pack("<HH", 0, 2))
    transfer(dap, write(0x04, 0x50000000))
    assert transfer(dap, write(0x20, 0xF0000000)) == b"\x05\x01\x01"
    target.log.clear()
    assert transfer(dap, write(READ_CTRL | 0x10, 0xF0000000)) == b"\x05\x01\x01"
    assert len(target.log) == 1
    target.log.clear()
    assert transfer(dap, write(READ_CTRL | 0x10, 0x30000000)) == b"\x05\x00\x11"  # OK, and the mismatch bit
    assert len(target.log) == 3


def test_blocks(dap: CmsisDap, target: Any) -> None:
    ready(dap)
    assert ask(dap, 0x06, 0, b"\x03\x00", DRW, word(1), word(2), word(3)) == b"\x06\x03\x00\x01"
    assert target.log[-1] == (READ_RDBUFF, 0)
    ready(dap)
    assert ask(dap, 0x06, 0, b"\x03\x00", READ_DRW) == b"\x06\x03\x00\x01" + word(1) + word(2) + word(3)
    assert ask(dap, 0x06, 0, b"\x00\x00", READ_DRW) == b"\x06\x00\x00\x00"


def test_a_block_that_faults_tells_how_far_it_came(dap: CmsisDap, target: Any) -> None:
    ready(dap, RAM + 0x7F8)
    # The third word is outside; the write after it sees the sticky flag.
    assert ask(dap, 0x06, 0, b"\x05\x00", DRW, *(word(each) for each in range(5))) == b"\x06\x03\x00\x04"
    assert target.memory[RAM + 0x7FC] == 1
    assert ask(dap, 0x08, 0, word(0x1E)) == b"\x08\x00"
    ready(dap, RAM + 0x7F8)
    assert ask(dap, 0x06, 0, b"\x05\x00", READ_DRW) == b"\x06\x02\x00\x04" + word(0) + word(1)


def test_answers_never_exceed_the_packet(make: Callable[..., CmsisDap]) -> None:
    dap = make("cmsis-dap-const0")
    ready(dap)
    assert len(ask(dap, 0x06, 0, b"\xff\xff", READ_DRW)) == 64
    assert len(transfer(dap, *[bytes([READ_DRW])] * 60)) <= 64
    assert len(ask(dap, 0x7F, 60, *[0x00, 0x04] * 30)) <= 64


def test_execute_runs_several_commands_in_one_message(dap: CmsisDap) -> None:
    answer = ask(dap, 0x7F, 3, b"\x00\xf0", b"\x05\x00\x01" + bytes([READ_DPIDR]), b"\x11" + word(1_000_000))
    assert answer == b"\x7f\x03" + b"\x00\x01\x11" + b"\x05\x01\x01" + word(0x2BA01477) + b"\x11\x00"


def test_queue_waits_for_another_command(dap: CmsisDap) -> None:
    assert dap.message(b"\x7e\x01\x00\xf0") == ()
    assert dap.message(b"\x7e\x01\x13\x00") == ()
    assert dap.message(b"\x00\xfe") == (b"\x7f\x01\x00\x01\x11", b"\x7f\x01\x13\x00", b"\x00\x01\x04")


# nRESET, by interface chip.


def pins(dap: CmsisDap, output: int, select: int, wait: int = 0) -> int:
    return ask(dap, 0x10, output, select, word(wait))[1]


def test_open_drain_drives_and_reads_back(dap: CmsisDap, target: Any) -> None:
    assert pins(dap, 0, 0x80) & 0x80 == 0  # before DAP_Connect too
    assert target.drives[-1] == Drive.LOW
    ask(dap, 0x02, 1)
    assert target.drives[-1] == Drive.FLOAT  # connecting releases it
    pins(dap, 0, 0x80)
    assert pins(dap, 0x80, 0x80) & 0x80
    assert target.drives[-1] == Drive.FLOAT


def test_open_drain_reads_a_line_that_something_else_holds(dap: CmsisDap, target: Any) -> None:
    target.set_nreset = lambda _: None
    target.level = False
    ask(dap, 0x02, 1)
    assert pins(dap, 0x80, 0x80) & 0x80 == 0


def test_push_pull_drives_high_once_connected(make: Callable[..., CmsisDap], target: Any) -> None:
    dap = make("cmsis-dap-pushpull")
    target.drives.clear()
    pins(dap, 0, 0x80)
    assert target.drives == []  # still an input
    ask(dap, 0x02, 1)
    pins(dap, 0, 0x80)
    pins(dap, 0x80, 0x80)
    ask(dap, 0x03)
    assert target.drives == [Drive.HIGH, Drive.LOW, Drive.HIGH, Drive.FLOAT]


def test_one_that_keeps_the_reset_through_connecting(make: Callable[..., CmsisDap], target: Any) -> None:
    for probe, low in (("cmsis-dap-keeps", True), ("cmsis-dap", False)):
        dap = make(probe)
        pins(dap, 0, 0x80)
        ask(dap, 0x02, 1)
        assert (target.drives[-1] == Drive.LOW) is low
        pins(dap, 0x80, 0x80)
        assert target.drives[-1] == Drive.FLOAT


def test_constant_zero_neither_drives_nor_reads(make: Callable[..., CmsisDap], target: Any) -> None:
    dap = make("cmsis-dap-const0")
    target.drives.clear()
    ask(dap, 0x02, 1)
    assert pins(dap, 0, 0x80) & 0x80 == 0
    assert pins(dap, 0x80, 0x80) & 0x80 == 0
    assert target.drives == []


def test_pins_wait_until_they_follow(target: Any) -> None:
    waited: list[float] = []

    def live(seconds: float) -> None:
        waited.append(seconds)
        target.level = target.level or len(waited) >= 5

    target.set_nreset = lambda _: setattr(target, "level", False)
    dap = CmsisDap(target, PROFILES["cmsis-dap"], IDENTITY, live)
    assert pins(dap, 0x80, 0x80, 100_000) & 0x80
    assert sum(waited) == pytest.approx(5e-3)
    waited.clear()
    target.set_nreset = lambda _: setattr(target, "level", True)
    assert pins(dap, 0, 0x80, 9_000_000) & 0x80  # shorted high: it never gets low
    assert sum(waited) == pytest.approx(3.0)  # and the firmware gives up after three seconds


def test_only_what_reaches_the_target_counts_as_use(dap: CmsisDap) -> None:
    dap.take_used()
    ask(dap, 0x00, 0xF0)
    ask(dap, 0x04, bytes(5))
    assert not dap.take_used()
    for message in (b"\x05\x00\x01\x02", b"\x02\x01", b"\x12\x08\xff", b"\x10\x00\x80\x00\x00\x00\x00"):
        ask(dap, message)
        assert dap.take_used()
        assert not dap.take_used()


def test_time_on_the_wire_is_told_once(dap: CmsisDap) -> None:
    dap.take_time()
    ask(dap, 0x11, word(46_000))
    transfer(dap, bytes([READ_DPIDR]))
    assert dap.take_time() == pytest.approx(1e-3, rel=0.1)
    assert dap.take_time() == 0


# Properties.


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just(DRW), st.integers(0, 0xFFFFFFFF)),
            st.tuples(st.just(TAR), st.sampled_from([RAM, RAM + 0x7F4, 0x40000000])),
            st.tuples(st.sampled_from([READ_DRW, READ_CTRL]), st.none()),
        ),
        max_size=40,
    ),
    st.lists(st.sampled_from([Ack.OK, Ack.OK, Ack.WAIT, Ack.FAULT, Ack.NONE]), max_size=40),
)
def test_runs_of_writes_are_the_same_as_one_by_one(
    target_type: Callable[[], Any], requests: list[tuple[int, int | None]], answers: list[Ack]
) -> None:
    """The short cut for runs of writes to DRW changes neither effect nor answer."""
    message = bytes([0x05, 0, len(requests)])
    message += b"".join(bytes([request]) if value is None else write(request, value) for request, value in requests)
    results = []
    with pytest.MonkeyPatch.context() as patch:
        for shortest_run in (3, 1000):
            patch.setattr(cmsisdap, "_RUN", shortest_run)
            target = target_type()
            dap = CmsisDap(target, PROFILES["cmsis-dap"], IDENTITY, lambda _: None)
            target.csw, target.tar, target.answers = 0x23000012, RAM, list(answers)
            results.append((dap.message(message), target.memory, target.tar, target.log))
    assert results[0] == results[1]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=8))
def test_any_message_gets_at_most_one_answer_that_fits(target_type: Callable[[], Any], messages: list[bytes]) -> None:
    dap = CmsisDap(target_type(), PROFILES["cmsis-dap-const0"], IDENTITY, lambda _: None)
    for message in messages:
        answers = dap.message(message)
        assert all(1 <= len(answer) <= 64 for answer in answers)
