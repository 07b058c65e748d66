"""Descriptors, pipes and standard requests (USB 2.0)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.sim.usb import cmsisdap, stlink
from msdflash.sim.usb.backend import Backend
from msdflash.sim.usb.device import Device, InPipe, PipeOverflow, PipeStall

Make = Callable[..., Device]


@pytest.fixture
def make(target: SimpleNamespace) -> Make:
    """A device with its firmware on the target: a CMSIS-DAP profile by name, or ``stlink-v3``."""

    def device(probe: str = "cmsis-dap") -> Device:
        if probe == "stlink-v3":
            model = stlink.MODELS["stlink-v3"]
            return Device(stlink.description(model, "A" * 24), stlink.StLink(model, target, "0765", False, lambda _: None))
        identity = cmsisdap.Identity("0765" + "a" * 44)
        profile = cmsisdap.PROFILES[probe]
        return Device(cmsisdap.description(profile, identity), cmsisdap.CmsisDap(target, profile, identity, lambda _: None))

    return device


def get(device: Device, value: int, length: int = 255, index: int = 0) -> bytes:
    return device.control(struct.pack("<BBHHH", 0x80, 6, value, index, length))


@pytest.mark.parametrize("probe", ["cmsis-dap", "cmsis-dap-const0", "stlink-v3"])
def test_descriptors_are_consistent(make: Make, probe: str) -> None:
    """9.6: lengths, totals and counts agree, and every string index leads to a string."""
    device = make(probe)
    descriptor, configuration = get(device, 0x0100), get(device, 0x0200)
    assert len(descriptor) == descriptor[0] == 18
    assert descriptor[17] == 1  # configurations
    assert struct.unpack_from("<H", configuration, 2)[0] == len(configuration)
    kinds, at, strings = [], 0, {*descriptor[14:17]}
    while at < len(configuration):
        kinds.append(configuration[at + 1])
        if kinds[-1] == 4:
            strings.add(configuration[at + 8])
        at += configuration[at]
    assert at == len(configuration)
    endpoints = len(device.description.interfaces[0].endpoints)
    assert kinds == [2, 4, *[5] * endpoints]
    for index in strings:
        text = get(device, 0x0300 | index)
        assert text[0] == len(text)
        assert text[1] == 3


def test_cmsis_dap_is_recognised_by_its_interface(make: Make) -> None:
    """The interface's name holds "CMSIS-DAP", its class is FF/00, bulk OUT is first and bulk IN second."""
    device = make()
    configuration = get(device, 0x0200)
    assert "CMSIS-DAP" in get(device, 0x0300 | configuration[9 + 8])[2:].decode("utf-16-le")
    assert configuration[9 + 5 : 9 + 7] == b"\xff\x00"
    assert (configuration[18 + 2], configuration[25 + 2]) == (0x01, 0x81)
    assert get(device, 0x0100)[4] in (0x00, 0xEF)


def test_the_host_never_gets_more_than_it_asked_for(make: Make) -> None:
    assert len(get(make(), 0x0200, 9)) == 9
    assert len(get(make(), 0x0300, 2)) == 2


def test_unknown_requests_are_stalled(make: Make) -> None:
    for setup in (
        (0x80, 6, 0x0363, 0, 255),  # a string that is not there
        (0x80, 6, 0x0600, 0, 10),  # device qualifier: not a device that has one
        (0x80, 6, 0x0201, 0, 255),  # a second configuration
        (0xC0, 1, 0, 0, 8),  # vendor request
        (0x21, 9, 0x0200, 0, 0),  # class request
        (0x00, 9, 7, 0, 0),  # configuration 7
        (0x02, 1, 0, 0x05, 0),  # halt of an endpoint that is not there
        (0x82, 0, 0, 0x05, 2),
    ):
        with pytest.raises(PipeStall):
            make().control(struct.pack("<BBHHH", *setup))


def test_halt_is_set_told_and_cleared(make: Make) -> None:
    """9.4.1, 9.4.5, 9.4.9."""
    device = make()
    device.control(struct.pack("<BBHHH", 0x02, 3, 0, 0x81, 0))
    assert device.halted == {0x81}
    assert device.control(struct.pack("<BBHHH", 0x82, 0, 0, 0x81, 2)) == b"\x01\x00"
    device.control(struct.pack("<BBHHH", 0x02, 1, 0, 0x81, 0))
    assert device.control(struct.pack("<BBHHH", 0x82, 0, 0, 0x81, 2)) == b"\x00\x00"


def test_configuration_is_kept(make: Make) -> None:
    device = make()
    device.control(struct.pack("<BBHHH", 0x00, 9, 0, 0, 0))
    assert device.control(struct.pack("<BBHHH", 0x80, 8, 0, 0, 1)) == b"\x00"
    device.reset()
    assert device.control(struct.pack("<BBHHH", 0x80, 8, 0, 0, 1)) == b"\x01"


# Pipes (5.8.3: a bulk transfer ends when it has all it expects, or with a packet that is not full).


def test_short_packet_ends_a_transfer() -> None:
    pipe = InPipe(64, 512, True)
    pipe.put(bytes(65))
    assert pipe.read(512) == bytes(65)


def test_full_packets_need_an_empty_one_to_end() -> None:
    pipe = InPipe(64, 512, True)
    pipe.put(bytes(128))
    assert pipe.read(512) == bytes(128)
    assert pipe.read(512) is None


def test_the_largest_message_has_no_empty_packet() -> None:
    pipe = InPipe(64, 512, True)
    pipe.put(bytes(512))
    assert pipe.read(512) == bytes(512)
    assert pipe.read(512) is None


def test_without_the_empty_packet_the_transfer_goes_on() -> None:
    """Right for ST-LINK, whose clients ask for exactly what they expect; wrong for CMSIS-DAP."""
    pipe = InPipe(512, 1 << 16, False)
    pipe.put(bytes(512))
    assert pipe.read(1024) is None
    pipe.put(b"next")
    assert pipe.read(1024) == bytes(512) + b"next"
    pipe.put(bytes(1024))
    pipe.put(b"status")
    assert (pipe.read(1024), pipe.read(512)) == (bytes(1024), b"status")


def test_an_exact_read_leaves_an_empty_packet_to_the_next() -> None:
    pipe = InPipe(512, 1 << 16, True)
    pipe.put(bytes(512))
    pipe.put(b"next")
    assert (pipe.read(512), pipe.read(512), pipe.read(512)) == (bytes(512), b"", b"next")


def test_timed_out_transfers_keep_what_came() -> None:
    pipe = InPipe(64, 512, False)
    pipe.put(bytes(64))
    assert pipe.read(512) is None
    assert pipe.give_up() == bytes(64)
    assert pipe.give_up() == b""


def test_a_packet_larger_than_the_buffer_overflows() -> None:
    pipe = InPipe(64, 512, True)
    pipe.put(bytes(100))
    with pytest.raises(PipeOverflow):
        pipe.read(32)
    assert pipe.read(64) == bytes(36)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=512), max_size=8), st.sampled_from([64, 512]))
def test_messages_come_one_by_one_whatever_their_length(messages: list[bytes], packet: int) -> None:
    pipe = InPipe(packet, 512, True)
    for message in messages:
        pipe.put(message)
    assert [pipe.read(512) for _ in messages] == messages
    assert len(pipe) == 0


def test_out_messages_end_with_a_short_packet_or_at_full_size(make: Make) -> None:
    """CMSIS-DAP at full speed with room for several packets in a message (the host adds an empty packet where it must)."""
    device = make("cmsis-dap")
    device.firmware.message_size = 1024
    info = b"\x00\xf0"
    assert device.out(info) == (b"\x00\x01\x11",)
    assert device.out(info.ljust(512, b"\0")) == ()  # full packets: more may follow
    assert device.out(b"") == (b"\x00\x01\x11",)
    assert device.out(info.ljust(1024, b"\0")) == (b"\x00\x01\x11",)


def test_a_full_buffer_is_answered_with_nak(make: Make) -> None:
    device = make()
    for _ in range(4):
        assert device.accepts()
        device.in_pipe.put(b"answer")
    assert not device.accepts()
    device.in_pipe.read(512)
    assert device.accepts()


# What the backend makes of the bytes.


def test_backend_parses_the_descriptors_and_ends_with_index_errors(make: Make) -> None:
    from msdflash.sim.usb.backend import SimulatedDevice

    device = make("stlink-v3")
    description = device.description
    record = {"address": "unix:x", "number": 9, "port": 2, "speed": 3}
    record |= {"device": description.device().hex(), "configuration": description.configuration().hex()}
    found = SimulatedDevice(record)
    backend = Backend(None, lambda: None)  # type: ignore[arg-type]
    top = backend.get_device_descriptor(found)
    assert (top.idVendor, top.idProduct, top.address, top.speed, top.port_numbers) == (0x0483, 0x374F, 9, 3, (2,))
    assert backend.get_configuration_descriptor(found, 0).bNumInterfaces == 1
    assert backend.get_interface_descriptor(found, 0, 0, 0).bNumEndpoints == 3
    assert [backend.get_endpoint_descriptor(found, each, 0, 0, 0).bEndpointAddress for each in range(3)] == [0x01, 0x81, 0x82]
    assert backend.get_endpoint_descriptor(found, 0, 0, 0, 0).wMaxPacketSize == 512
    for past in ((1, 0, 0), (0, 1, 0)):
        with pytest.raises(IndexError):
            backend.get_interface_descriptor(found, *past)
    with pytest.raises(IndexError):
        backend.get_endpoint_descriptor(found, 3, 0, 0, 0)
    with pytest.raises(IndexError):
        backend.get_configuration_descriptor(found, 1)
