"""The tables themselves: catalogue, DAPLink strings, generated page."""

from __future__ import annotations

from pathlib import Path
from string import Formatter

from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.diagnose import catalogue_md
from msdflash.diagnose.causes import AREAS, CATALOGUE
from msdflash.diagnose.daplink import ERRORS, SENTENCES
from msdflash.diagnose.finding import MEANINGS, Confidence
from msdflash.diagnose.observed import OBSERVED, was_observed
from msdflash.diagnose.rules import diagnose
from msdflash.job.outcome import Failure, Outcome, ProbeFacts, TargetFacts
from msdflash.job.readings import READINGS, Reading
from msdflash.job.steps import Step

DOCS = Path(__file__).parents[2] / "docs"


def test_every_entry_is_usable() -> None:
    assert len(CATALOGUE) == sum(len(area) for area in AREAS.values())
    for entry in CATALOGUE.values():
        assert entry.error in ERRORS, entry.id
        assert ERRORS[entry.error].text
        assert ERRORS[entry.error].types
        assert entry.remedies, entry.id
        assert entry.say({}), entry.id
        slots = [name for _, name, _, _ in Formatter().parse(entry.headline) if name]
        assert bool(slots) == bool(entry.plain), entry.id
        for text in (entry.headline, entry.plain, *(part for step in entry.remedies for part in (step.text, step.cost))):
            assert text.isascii()
            assert not any(sentence.lower() in text.lower() for sentence in SENTENCES)
            assert not any(word in text.lower() for word in ("please", "illegal", "?")), text
        assert not entry.say({}).endswith(".")


def test_remedies_that_erase_say_so_and_never_come_first() -> None:
    for entry in CATALOGUE.values():
        for index, step in enumerate(entry.remedies):
            if "Remove the protection" in step.text or "Unlock" in step.text:
                assert "ERASES" in step.cost
                assert index > 0


def test_daplink_strings() -> None:
    for name, number, text, types in (
        ("ERROR_RESET", 7, "Failed to reset/halt the target MCU", "target"),
        ("ERROR_TRANSFER_TIMEOUT", 4, "The transfer timed out.", "transient, user"),
        ("ERROR_HEX_CKSUM", 21, "The hex file cannot be decoded. Checksum calculation failure occurred.", "transient, user"),
        ("ERROR_FD_INCOMPATIBLE_IMAGE", 29, "The application image is not compatible with the target.", "user"),
        ("ERROR_BL_UPDT_BAD_CRC", 39, "The bootloader CRC did not pass.", "interface"),
    ):
        error = ERRORS[name]
        assert (error.number, error.text, error.type_line) == (number, text, types)


def test_daplink_table_is_whole() -> None:
    assert [error.number for error in ERRORS.values()] == list(range(40))
    assert sum(1 for error in ERRORS.values() if error.old_text) == 8
    # No sentence that we may print holds another one that a reader looks for.
    for error in (ERRORS[entry.error] for entry in CATALOGUE.values()):
        assert [other for other in SENTENCES if other in error.text] == [error.text]


def test_the_page_is_up_to_date() -> None:
    assert (DOCS / "causes.md").read_text(encoding="utf-8") == catalogue_md.render()


def test_words_and_observations() -> None:
    assert set(MEANINGS) == set(Confidence)
    assert [word.rank for word in Confidence] == [0, 1, 2, 3, 4]
    assert set(OBSERVED) <= set(CATALOGUE)
    assert not was_observed("no-such-cause")


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.integers(0, 0xFFFFFFFF)
_words = (
    "address",
    "ok",
    "kind",
    "bad",
    "words",
    "reads",
    "errors",
    "kinds",
    "dev_ids",
    "target",
    "family",
    "present",
    "vid",
    "pid",
    "r0",
    "pc",
    "ipsr",
    "cfsr",
    "100000",
    "4000000",
    "timeout_s",
    "function",
    "expected",
    "read",
    "wrote",
)
_keys = st.sampled_from(_words) | st.text(max_size=6)
_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(_keys, inner, max_size=6), max_leaves=12)
_readings = st.builds(Reading, st.sampled_from(sorted(READINGS)), _values, st.just(0.5), st.text(max_size=8))
KINDS = (
    "no-probe",
    "probe-ambiguous",
    "probe-open",
    "usb",
    "no-dp",
    "no-power-ack",
    "no-ap",
    "core-in-reset",
    "no-halt",
    "transfer",
    "wrong-chip",
    "unknown-target",
    "image",
    "flash-read",
    "ram",
    "algo-readback",
    "algo-init",
    "algo-fault",
    "algo-timeout",
    "reset-under-algorithm",
    "locked",
    "erase",
    "program",
    "verify",
    "timeout",
    "crash",
    "interrupted",
    "cancelled",
    "unexpected",
    "never heard of",
)
_failures = st.none() | st.builds(
    Failure,
    st.sampled_from(list(Step)),
    st.sampled_from(KINDS),
    st.text(max_size=20),
    st.none() | st.sampled_from(sorted(CATALOGUE)) | st.just("no-such-cause"),
    st.none() | st.integers(),
)
outcomes = st.builds(
    Outcome,
    job=st.text(max_size=5),
    proved=st.booleans(),
    failure=_failures,
    running=st.sampled_from(["running", "sleeping", "locked-up", "held-in-reset", "halted", "unknown"]),
    readings=st.lists(_readings, max_size=12).map(tuple),
    probe=st.none() | st.builds(ProbeFacts, st.text(max_size=6), st.sampled_from(["cmsis-dap", "stlink", "jlink", "picoprobe", "other"])),
    target=st.none() | st.builds(TargetFacts, st.sampled_from(["stm32l475xg", "nrf52840", "k64f", ""])),
)


@settings(max_examples=80, deadline=None)
@given(outcomes)
def test_odd_readings_never_break_it(outcome: Outcome) -> None:
    result = diagnose(outcome)
    assert all(item.cause in CATALOGUE for item in result.findings)
    assert len({item.cause for item in result.findings}) == len(result.findings)
    if outcome.failure is not None:
        assert result.first is not None
        assert result.first.confidence.rank <= Confidence.POSSIBLE.rank
