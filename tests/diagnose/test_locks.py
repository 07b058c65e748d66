"""Locks of the chips' makers: the readings that look like one and are none."""

from __future__ import annotations

from typing import Any

from msdflash.diagnose.finding import Diagnosis
from msdflash.diagnose.rules import diagnose
from msdflash.job.outcome import Changed, Failure, Outcome, ProbeFacts, TargetFacts
from msdflash.job.readings import Reading
from msdflash.job.steps import Step

# MDM-AP status: 0x02 ready, 0x04 secure, 0x08 out of reset, 0x20 mass erase allowed
LOCKED, OPEN, IN_RESET, NOT_READY = 0x2E, 0x2A, 0x26, 0x0C
PORT = {"swd.dpidr": 0x2BA0_1477, "ap.idr": 0x2477_0011, "ap.csw": 0x0300_0000, "lock.family": "kinetis-k6x"}


def told(kind: str, readings: dict[str, Any], target: str = "k64f") -> tuple[Diagnosis, dict[str, str]]:
    outcome = Outcome(
        "1",
        proved=not kind,
        failure=Failure(Step.MEASURE, kind, "it stopped") if kind else None,
        readings=tuple(Reading(name, value) for name, value in readings.items()),
        probe=ProbeFacts("1", "cmsis-dap"),
        target=TargetFacts(target),
        changed=Changed(connected=True),
    )
    result = diagnose(outcome)
    return result, {finding.cause: finding.confidence.value for finding in result.findings}


def test_a_kinetis_in_reset_looks_locked_and_is_not_called_so() -> None:
    for words in ([IN_RESET] * 40, [NOT_READY] * 40):
        assert "kinetis-security" not in told("core-in-reset", PORT | {"lock.status": words})[1]


def test_a_blank_kinetis_that_loops_is_open_or_locked_by_its_valid_reads_alone() -> None:
    loop = [IN_RESET, NOT_READY] * 10
    result, standing = told("core-in-reset", PORT | {"lock.status": loop + [OPEN] * 10, "core.dhcsr": [0x0201_0001] * 6})
    assert "kinetis-security" not in standing
    assert result.first is not None
    assert (result.first.cause, standing["reset-loop"]) == ("reset-loop", "certain")
    result, standing = told("locked", PORT | {"lock.status": loop + [LOCKED] * 10})
    assert result.first is not None
    assert (result.first.cause, standing["kinetis-security"]) == ("kinetis-security", "certain")
    assert "valid on 10" in " ".join(result.first.reasons)
    assert told("no-ap", PORT | {"lock.status": [*loop, LOCKED]})[1]["kinetis-security"] == "likely"
    assert told("no-ap", PORT | {"lock.status": [LOCKED, OPEN] * 5})[1]["kinetis-security"] == "unlikely"
    assert told("no-ap", PORT | {"lock.status": [OPEN] * 10})[1]["kinetis-security"] == "ruled-out"


def test_a_lock_for_good_is_told() -> None:
    result, _ = told("locked", PORT | {"lock.status": [LOCKED & ~0x20] * 10})
    assert result.first is not None
    assert "no tool can unlock it" in " ".join(result.first.reasons)
    assert "no tool" not in " ".join(told("locked", PORT | {"lock.status": [LOCKED] * 10})[0].findings[0].reasons)


def test_a_loop_before_the_first_program_is_no_news() -> None:
    flicker = {"lock.status": [IN_RESET, OPEN] * 10}
    assert "reset-loop" not in told("", PORT | flicker)[1]
    # It slows nobody's nRESET down either.
    late = flicker | {"core.dhcsr": [0x0201_0001] * 6, "core.reset_catch": "halted", "nreset.rise_ms": 88.0}
    assert "reset-released-late" not in told("erase", PORT | late)[1]


def test_a_flag_of_the_flash_module_is_read_by_the_target_that_was_chosen() -> None:
    """A looping chip may not name itself; the algorithm that failed was this target's all the same."""
    result, standing = told("erase", {"flash.sr": 0x90, "algo.call": {"function": "EraseSector", "address": 0x1000, "r0": 0x68}})
    assert standing["write-protected-sector"] == "likely"
    assert result.first is not None
    assert "FPVIOL" in " ".join(result.first.reasons)


def test_a_family_without_device_ids_is_never_the_wrong_chip() -> None:
    ids = {"chip.dev_id": 0x83, "chip.family": "nrf51", "target.expected": {"target": "nrf51", "family": "nrf51", "dev_ids": [0]}}
    assert "wrong-target" not in told("", ids, "nrf51")[1]
    other = ids | {"target.expected": {"target": "nrf52", "family": "nrf52", "dev_ids": [0x52840]}}
    assert told("wrong-chip", other, "nrf52840")[1]["wrong-target"] == "certain"


def test_a_chip_that_a_broken_job_left_locked_is_told_beside_the_cause() -> None:
    open_before = PORT | {"chip.family": "kinetis-k6x", "lock.status": [OPEN] * 10, "swd.ack": "no-ack"}
    result, standing = told("transfer", open_before | {"lock.after": [LOCKED] * 10})
    assert standing["kinetis-security"] == "certain"
    assert result.first is not None
    assert result.first.cause != "kinetis-security", "that is what came of it, not why it failed"
    for words in ([OPEN] * 10, [IN_RESET] * 40, [LOCKED, OPEN] * 5, []):
        assert told("transfer", open_before | {"lock.after": words})[1].get("kinetis-security") != "certain"


def test_a_port_that_says_reset_on_every_read_is_a_chip_held_in_reset() -> None:
    """Whether it is locked as well cannot be told until it leaves reset; a part that loops is out of it now and then."""
    shut = PORT | {"ap.csw": 0x0300_0000, "swd.ack": "fault"}
    result, standing = told("no-ap", shut | {"lock.status": [IN_RESET] * 40})
    assert standing["held-in-reset"] == "likely"
    assert "kinetis-security" not in standing
    assert result.first is not None
    assert result.first.cause == "held-in-reset"
    assert "40 of 40 reads" in " ".join(result.first.reasons)
    for words in ([IN_RESET, OPEN] * 20, [IN_RESET] * 39 + [LOCKED], [IN_RESET] * 9, []):
        assert told("no-ap", shut | {"lock.status": words})[1].get("held-in-reset") != "likely"
