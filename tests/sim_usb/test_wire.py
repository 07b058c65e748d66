"""Frames between host and board."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.sim.usb import wire

REQUESTS = st.builds(
    wire.Request,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, wire.MAX_PAYLOAD),
    st.binary(max_size=600),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(REQUESTS, max_size=6), st.lists(st.integers(1, 900), max_size=30))
def test_requests_survive_any_way_of_being_cut(requests: list[wire.Request], cuts: list[int]) -> None:
    data = b"".join(wire.pack_request(*request) for request in requests)
    stream = wire.RequestStream()
    found = []
    for cut in [*cuts, len(data)]:
        found += stream.feed(data[:cut])
        data = data[cut:]
    assert found == requests


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_either_requests_or_a_wire_error(data: bytes) -> None:
    try:
        found = wire.RequestStream().feed(data)
    except wire.WireError:
        return
    assert all(len(each.payload) <= wire.MAX_PAYLOAD for each in found)


@pytest.mark.parametrize(("length", "wanted"), [(wire.MAX_PAYLOAD + 1, 0), (0, wire.MAX_PAYLOAD + 1)])
def test_a_request_beyond_the_limit_is_refused_before_its_bytes_come(length: int, wanted: int) -> None:
    with pytest.raises(wire.WireError, match="limit"):
        wire.RequestStream().feed(struct.pack("<IBBHII", length, wire.Op.OUT, 1, 0, 0, wanted))


def test_hello_needs_magic_version_token_and_role() -> None:
    token = bytes(range(16))
    good = wire.pack_hello(wire.Role.ENDPOINT, 7, token)
    assert len(good) == wire.HELLO_BYTES
    assert wire.parse_hello(good, token) == (wire.Role.ENDPOINT, 7)
    with pytest.raises(wire.WireError, match="token"):
        wire.parse_hello(good, bytes(16))
    with pytest.raises(wire.WireError, match="version"):
        wire.parse_hello(good[:4] + struct.pack("<H", wire.VERSION + 1) + good[6:], token)
    with pytest.raises(wire.WireError, match="client"):
        wire.parse_hello(b"GET " + good[4:], token)
    with pytest.raises(wire.WireError, match="role"):
        wire.parse_hello(good[:6] + b"\x63" + good[7:], token)


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=60), st.from_regex(r"(tcp|unix):[0-9]{0,6}:?[0-9a-f]{0,34}", fullmatch=True)))
def test_address_is_parsed_or_refused(text: str) -> None:
    try:
        address = wire.Address.parse(text)
    except wire.WireError:
        return
    assert wire.Address.parse(address.text()) == address


def test_long_paths_go_through_tcp_with_a_token(tmp_path: Path) -> None:
    server, address = wire.listen(str(tmp_path / ("x" * wire.MAX_UNIX_PATH)))
    try:
        assert server.family == socket.AF_INET
        assert address.path is None
        assert address.token != bytes(wire.TOKEN_BYTES)
        assert wire.Address.parse(address.text()) == address
        with pytest.raises(TimeoutError):  # it is let in, and then nobody answers
            wire.Caller(address, wire.Role.CONTROL, timeout=0.05)
    finally:
        server.close()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets on this system")
def test_short_paths_are_unix_sockets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    server, address = wire.listen("s")
    try:
        assert address.text() == "unix:s"
        wire.dial(address, 1).close()
    finally:
        server.close()
    with pytest.raises(OSError, match="refused"):
        wire.dial(address, 1)
