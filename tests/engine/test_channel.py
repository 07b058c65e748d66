"""Both ways of reading a child's pipes: the one of this system and the one with threads that Windows needs."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msdflash.engine.channel import Channel, Ended, SelectSource, Source, ThreadSource, TooLong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Ends = tuple[Channel, int, int]


@pytest.fixture(params=[pytest.param(SelectSource, marks=pytest.mark.skipif(os.name == "nt", reason="POSIX")), ThreadSource])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """A channel and the far ends of its standard output and standard error."""
    make: Callable[[int, int], Source] = request.param
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    channel = Channel(make(out_read, err_read), longest=100_000)
    yield channel, out_write, err_write
    for fd in (out_write, err_write):
        try:
            os.close(fd)
        except OSError:
            continue
    channel.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("msdflash-pipe")]


def next_line(channel: Channel) -> bytes:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        line = channel.line(0.2)
        if line is not None:
            return line
    raise AssertionError("no line")


def test_lines_whole_and_in_order(ends: Ends) -> None:
    channel, out, _ = ends
    os.write(out, b"one\ntw")
    assert next_line(channel) == b"one"
    assert channel.line(0.0) is None
    os.write(out, b"o\n\nhalf a message")
    assert [next_line(channel), next_line(channel)] == [b"two", b""]
    os.close(out)
    with pytest.raises(Ended):
        next_line(channel)


def test_waiting_ends_in_time(ends: Ends) -> None:
    began = time.monotonic()
    assert ends[0].line(0.1) is None
    assert 0.05 < time.monotonic() - began < 2


def test_line_without_end_is_refused(ends: Ends) -> None:
    channel, out, _ = ends
    for _ in range(3):
        os.write(out, b"x" * 30_000)
        assert channel.line(1.0) is None
    os.write(out, b"x" * 30_000)
    with pytest.raises(TooLong):
        next_line(channel)


def test_standard_error_is_kept_in_part(ends: Ends) -> None:
    channel, out, err = ends
    for number in range(300):
        os.write(err, b"line %d\n" % number)
    os.write(err, b"last words \xff")
    os.write(out, b"done\n")
    assert next_line(channel) == b"done"
    deadline = time.monotonic() + 5
    while "last" not in (channel.tail or [""])[-1] and time.monotonic() < deadline:
        channel.drain()
    assert len(channel.tail) == 200
    assert list(channel.tail)[-2:] == ["line 299", "last words \ufffd"]


def test_closing_amid_a_flood(ends: Ends) -> None:
    """The reader threads must not stay behind a full queue."""
    channel, out, _ = ends
    os.set_blocking(out, False)
    assert channel.line(0.0) is None
    try:
        while True:
            os.write(out, b"y" * 65536)
    except BlockingIOError:
        pass
    os.close(out)


class Script:
    """A source that plays chunks, for arbitrary cuts."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = [(0, chunk) for chunk in chunks if chunk] + [(0, b"")]

    def next(self, timeout: float) -> tuple[int, bytes] | None:
        return self._chunks.pop(0) if self._chunks else None

    def close(self) -> None:
        """Nothing is open."""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=12)))
def test_any_cut_gives_the_same_lines(chunks: list[bytes]) -> None:
    channel = Channel(Script(chunks))
    lines: list[bytes] = []
    while True:
        try:
            line = channel.line(0.0)
        except Ended:
            break
        if line is not None:
            lines.append(line)
    assert lines == b"".join(chunks).split(b"\n")[:-1]
