"""What may be tried after which evidence, and what never is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.diagnose.finding import Confidence, Diagnosis, Finding
from msdflash.diagnose.rules import diagnose
from msdflash.diagnose.rungs import LOWER_CLOCKS, RUNGS, by_hint, next_step
from msdflash.job.order import Connection
from msdflash.job.outcome import Changed, Failure, Outcome
from msdflash.job.readings import READINGS, Reading
from msdflash.job.steps import Step

PLAIN = Connection("P1")
DPIDR = 0x2BA01477


def failed(kind: str, changed: Changed | None = None, step: Step = Step.PLAN, **readings: Any) -> Outcome:
    told = tuple(Reading(name.replace("__", "."), value) for name, value in readings.items())
    return Outcome("j", failure=Failure(step, kind, "it failed"), changed=changed or Changed(), readings=told)


def errors(count: int) -> dict[str, Any]:
    return {"reads": 6400, "errors": count, "kinds": {"parity": count} if count else {}}


def rung(outcome: Outcome, connection: Connection = PLAIN, tried: tuple[str, ...] = ()) -> str | None:
    step = next_step(outcome, diagnose(outcome), connection, tried)
    return None if step is None else step.rung.id


ONE_OFF = failed("transfer", swd__dpidr=DPIDR, swd__errors=errors(0))
NOISY = failed("transfer", swd__dpidr=DPIDR, swd__errors=errors(40))
SHUT = failed("no-dp", swd__dpidr=None, swd__dpidr_under_reset=DPIDR, probe__kind="cmsis-dap")
STALL = failed("usb", probe__errno=32, probe__present=True)
STOPPED = failed(
    "no-power-ack", swd__dpidr=DPIDR, swd__dpidr_under_reset=DPIDR, dp__power_ack_under_reset=True, core__seen_under_reset=True
)
DEAF = failed("no-dp", swd__dpidr=None, swd__dpidr_under_reset=None, swd__after_pulse=True, probe__kind="cmsis-dap")
HALF_BAD = failed("ram", swd__dpidr=DPIDR, ram__test={"ok": False, "kind": "cell", "bad": 1, "words": 4096, "spare": True})


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (ONE_OFF, "same-again"), (NOISY, "lower-clock"), (SHUT, "under-reset"), (STALL, "same-again"), (STOPPED, "under-reset"),
        (DEAF, "pulse-then-connect"), (HALF_BAD, "one-page"),
    ],
)  # fmt: skip
def test_each_follows_its_evidence(outcome: Outcome, expected: str) -> None:
    assert rung(outcome) == expected


@pytest.mark.parametrize(
    "outcome",
    [
        failed("transfer", swd__dpidr=DPIDR),  # the link was not measured
        failed("transfer", swd__errors=errors(0)),  # the port never answered
        failed("usb", probe__errno=32, probe__present=False),
        failed("usb", probe__errno=110, probe__present=True, probe__hung=4.0),
        failed("no-dp", swd__dpidr=None, swd__dpidr_under_reset=None),
        failed("no-dp", swd__dpidr=None, swd__dpidr_under_reset=None, swd__after_pulse=False),
        failed("no-power-ack", swd__dpidr=DPIDR, swd__dpidr_under_reset=DPIDR, dp__power_ack_under_reset=False),
        failed("probe-open", probe__errno=32, probe__present=True),  # pyOCD never clears a halted endpoint, so it is halted the next time
        failed("ram", swd__dpidr=DPIDR, ram__test={"ok": False, "kind": "cell", "spare": False}),
        failed("image", swd__dpidr=DPIDR, swd__errors=errors(0)),
        Outcome("j", proved=True),
    ],
)
def test_without_it_nothing_is_tried(outcome: Outcome) -> None:
    assert rung(outcome) is None


def test_chips_that_are_silent_in_reset_are_not_connected_under_it() -> None:
    assert rung(failed("no-dp", swd__dpidr=None, swd__dpidr_under_reset=DPIDR, chip__family="nrf52")) is None


def test_nothing_follows_a_certain_cause() -> None:
    sure = Diagnosis((Finding("held-in-reset", Confidence.CERTAIN),))
    assert next_step(ONE_OFF, sure, PLAIN, ()) is None
    likely = Diagnosis((Finding("held-in-reset", Confidence.LIKELY),))
    assert next_step(ONE_OFF, likely, PLAIN, ()) is not None


def test_once_flash_has_changed_only_completion_is_left() -> None:
    begun = Changed(connected=True, erased=2048)
    for outcome, late in ((ONE_OFF, True), (NOISY, True), (SHUT, False)):
        changed = Outcome("j", failure=outcome.failure, changed=begun, readings=outcome.readings)
        assert (rung(changed) is not None) is late


def test_clocks_go_down_and_end() -> None:
    clocks, connection = [], PLAIN
    while (step := next_step(NOISY, diagnose(NOISY), connection, ("lower-clock",))) is not None:
        connection = step.connection
        clocks.append(connection.frequency)
        assert str(step.what)
    assert clocks == [clock for clock in LOWER_CLOCKS if clock < 1_000_000]


def test_a_clock_that_was_clean_is_taken_at_once() -> None:
    sweep = {"100000": [3, 3], "1000000": [3, 3], "4000000": [0, 3]}
    step = next_step(failed("no-dp", swd__sweep=sweep), Diagnosis(), Connection("P1", frequency=4_000_000), ())
    assert step is not None
    assert step.connection.frequency == 1_000_000


def test_the_same_again_is_tried_once() -> None:
    assert rung(ONE_OFF, tried=("same-again",)) is None


def test_a_chip_that_fell_silent_is_looked_at_anew_and_not_at_a_lower_clock() -> None:
    lost = failed("transfer", swd__dpidr=DPIDR, swd__ack="no-ack", swd__errors={"reads": 640, "errors": 10, "kinds": {"no-ack": 10}})
    assert rung(lost) == "same-again"
    assert rung(lost, tried=("same-again",)) is None


def test_a_chip_that_the_probe_refuses_is_left_alone() -> None:
    """The refusals are answers: neither another attempt nor another clock changes them."""
    refused = {"reads": 640, "errors": 10, "kinds": {"stlink-29": 10}}
    assert rung(failed("no-ap", swd__dpidr=DPIDR, swd__ack="stlink-29", swd__errors=refused)) is None


def test_a_hint_gives_way_to_the_users_own_choice() -> None:
    assert by_hint("lower-clock", Connection("P1", frequency=100_000), 200_000) is None
    assert by_hint("under-reset", Connection("P1", connect="attach"), None) is None
    assert by_hint("from another version", PLAIN, None) is None
    lowered = by_hint("lower-clock", PLAIN, 200_000)
    assert lowered is not None
    assert lowered.connection.frequency == 200_000


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["transfer", "no-dp", "usb", "ram", "verify", "unexpected", "crash", "odd"]),
    st.dictionaries(
        st.sampled_from(sorted(READINGS)),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.dictionaries(st.text(max_size=8), st.integers(), max_size=3)
        ),
    ),
    st.lists(st.sampled_from([rung.id for rung in RUNGS]), max_size=3),
)
def test_odd_readings_never_break_it(kind: str, readings: dict[str, Any], tried: list[str]) -> None:
    outcome = Outcome("j", failure=Failure(Step.PLAN, kind, "m"), readings=tuple(Reading(name, value) for name, value in readings.items()))
    step = next_step(outcome, diagnose(outcome), PLAIN, tuple(tried))
    assert step is None or step.connection != PLAIN or step.rung.id == "same-again"
