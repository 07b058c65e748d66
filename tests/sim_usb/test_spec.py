"""Specs of boards."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.sim import faults
from msdflash.sim.boards import BOARDS
from msdflash.sim.spec import PROBES, BoardSpec, Fault, SpecError, default_serial, parse
from msdflash.sim.usb.faults import USB_FAULTS
from msdflash.sim.usb.jlink import KIND as JLINK
from msdflash.sim.usb.stlink import MODELS


def test_no_usb_fault_hides_one_of_the_board() -> None:
    assert not set(USB_FAULTS) & set(faults.FAULTS)


def test_a_name_alone_gives_defaults() -> None:
    spec = parse("nucleo-l476rg")
    assert spec == BoardSpec("nucleo-l476rg", "cmsis-dap", default_serial("nucleo-l476rg", "cmsis-dap"))


def test_everything_at_once() -> None:
    spec = parse("nucleo-l476rg,probe=stlink-v3,serial=ABC,fault=noise:0.01:7,fault=unplug-after:10,time=on")
    assert spec.faults == (Fault("noise", "0.01:7"), Fault("unplug-after", "10"))
    assert (spec.probe, spec.serial, spec.timed) == ("stlink-v3", "ABC", True)
    assert parse(spec.text()) == spec


def test_default_serials_look_like_their_makers() -> None:
    serials = {probe: default_serial("nucleo-l476rg", probe) for probe in PROBES}
    assert len(set(serials.values())) == len(PROBES)
    for probe, serial in serials.items():
        # 12 characters would be taken for an old ST-LINK/V2's unprintable serial.
        assert len(serial) == (24 if probe in MODELS else 9 if probe == JLINK else 48)
        assert int(serial, 10 if probe == JLINK else 16)
        assert probe in (*MODELS, JLINK) or serial.startswith("0765")


def test_mistakes_are_told_with_what_is_allowed() -> None:
    for text, says in (
        ("", "nucleo-l476rg"),
        ("nucleo", "nucleo-l476rg"),
        ("nucleo-l476rg,probe=picoprobe", "stlink-v3"),
        ("nucleo-l476rg,colour=red", "probe, serial, fault, time"),
        ("nucleo-l476rg,probe", "KEY=VALUE"),
        ("nucleo-l476rg,probe=stlink-v3,probe=cmsis-dap", "twice"),
        ("nucleo-l476rg,serial=../x", "letters"),
        ("nucleo-l476rg,serial=.hidden", "dot"),
        ("nucleo-l476rg,fault=fire", "reset-held"),
        ("nucleo-l476rg,fault=unplug-after", "number"),
        ("nucleo-l476rg,fault=unplug-after:-1", "number"),
        ("nucleo-l476rg,fault=hang:5", "no argument"),
        ("nucleo-l476rg,fault=stall:both", "stall:in"),
        ("nucleo-l476rg,fault=swd-open:5", "no argument"),
        ("nucleo-l476rg,time=slow", "on or off"),
    ):
        with pytest.raises(SpecError, match=says):
            parse(text)


FAULTS = st.one_of(
    st.builds(Fault, st.just("unplug-after"), st.integers(0, 10**6).map(str)),
    st.sampled_from([Fault("hang"), Fault("stall"), Fault("swd-open"), Fault("ram-bad", "lost")]),
)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        BoardSpec,
        st.sampled_from(list(BOARDS)),
        st.sampled_from(PROBES),
        st.from_regex(r"[0-9A-Za-z_-][0-9A-Za-z_.-]{0,20}", fullmatch=True),
        st.lists(FAULTS, max_size=3).map(tuple),
        st.booleans(),
    )
)
def test_every_spec_survives_its_text(spec: BoardSpec) -> None:
    assert parse(spec.text()) == spec


@settings(max_examples=80, deadline=None)
@given(st.one_of(st.text(max_size=60), st.from_regex(r"nucleo-l476rg(,(probe|serial|fault|time)=[a-z0-9:./-]{0,12}){0,4}", fullmatch=True)))
def test_any_text_is_a_spec_or_a_spec_error(text: str) -> None:
    try:
        spec = parse(text)
    except SpecError:
        return
    assert "/" not in spec.serial
    assert parse(spec.text()) == spec
