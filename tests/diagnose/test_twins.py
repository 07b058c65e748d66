"""Adversarial twins: boards and probes that share most of their evidence. A wrong ``certain`` here sends somebody to the wrong place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from msdflash.diagnose.finding import Confidence, Diagnosis
from msdflash.diagnose.rules import diagnose
from msdflash.job.outcome import Failure, Outcome, ProbeFacts, TargetFacts
from msdflash.job.readings import Reading
from msdflash.job.steps import Step

RESET = 0x0201_0001
RUNS = 0x0101_0000
DP = 0x2BA0_1477
CORE_HELD: dict[str, Any] = {
    "swd.dpidr": DP, "dp.power_ack": True, "ap.idr": 0x2477_0011, "ap.csw": 0x2300_0052, "core.cpuid": 0x410F_C241,
    "core.dhcsr": [RESET] * 6, "core.dhcsr_ms": 101.0, "core.reset_catch": "still-in-reset", "chip.dev_id": 0x415, "chip.family": "stm32l4",
    "target.expected": {"target": "stm32l475xg", "family": "stm32l4", "dev_ids": [0x415]},
}  # fmt: skip
SILENT: dict[str, Any] = {"swd.ack": "no-ack", "swd.sweep": {"100000": [0, 3], "1000000": [0, 3]}}


def job(
    probe: str, kind: str, readings: dict[str, Any], *, step: Step = Step.MEASURE, target: str = "stm32l475xg", running: str = "unknown"
) -> Diagnosis:
    return diagnose(
        Outcome(
            job="1",
            proved=not kind,
            running=running,
            failure=Failure(step, kind, "it stopped") if kind else None,
            readings=tuple(Reading(name, value) for name, value in readings.items()),
            probe=ProbeFacts("1", probe),
            target=TargetFacts(target) if target else None,
        )
    )


def standing(diagnosis: Diagnosis) -> dict[str, str]:
    return {item.cause: str(item.confidence) for item in diagnosis.findings}


def certain(diagnosis: Diagnosis) -> set[str]:
    return {item.cause for item in diagnosis.findings if item.confidence is Confidence.CERTAIN}


# --- the founding case: a reset switch mounted rotated, nRESET at 0 V for good ----------------------------------------------------


def test_founding_case_on_an_st_link() -> None:
    result = job("stlink", "core-in-reset", CORE_HELD | {"vtref": 3.28})
    told = standing(result)
    assert told["held-in-reset"] == "certain"  # the core, on 5 of 5 reads, and never out of it
    assert told["reset-held-by-board"] == "likely"  # never more: this probe cannot see the pin
    assert told["reset-loop"] == told["no-target-power"] == told["swd-open"] == told["wrong-target"] == "ruled-out"
    first = result.first
    assert first is not None
    assert first.cause == "held-in-reset"
    words = " ".join(first.reasons)
    assert "5 of 5 reads over 101 ms" in words
    assert "cannot read the nRESET pin" in words
    assert "measure nRESET to GND" in result.measure_next


def test_founding_case_on_an_st_link_whose_cached_pin_is_sent_all_the_same() -> None:
    """What an ST-LINK returns for nRESET is what was last written. Whatever arrives must not count."""
    honest = job("stlink", "core-in-reset", CORE_HELD)
    fooled = job(
        "stlink", "core-in-reset", CORE_HELD | {"nreset.undriven": [1] * 10, "nreset.connected": [1] * 5, "nreset.pin_proven": True}
    )
    assert standing(fooled) == standing(honest)


def test_founding_case_on_a_proven_cmsis_dap() -> None:
    line = {"nreset.undriven": [0] * 10, "nreset.connected": [0] * 5, "nreset.pin_proven": True}
    result = job("cmsis-dap", "core-in-reset", CORE_HELD | line)
    told = standing(result)
    assert told["held-in-reset"] == "certain"
    assert told["reset-held-by-board"] == "likely"
    assert told["reset-held-by-probe"] == "possible"  # it may have got stuck since the line was last seen high
    assert "Unplug the probe" in result.measure_next
    words = " ".join(reason for item in result.findings for reason in item.reasons)
    assert "LOW in 10 of 10 samples" in words


def test_founding_case_on_a_j_link() -> None:
    told = standing(job("jlink", "core-in-reset", CORE_HELD | {"nreset.undriven": [0] * 10, "nreset.pin_proven": True, "vtref": 3.3}))
    assert (told["held-in-reset"], told["reset-held-by-board"]) == ("certain", "likely")


# --- twins of it ------------------------------------------------------------------------------------------------------------------


def test_a_stuck_or_unproven_probe_does_not_accuse_the_board() -> None:
    stuck = {"nreset.undriven": [0] * 10, "nreset.connected": [0] * 5, "nreset.released": [0] * 5, "nreset.pin_proven": False}
    result = job("cmsis-dap", "core-in-reset", CORE_HELD | stuck)
    told = standing(result)
    assert told["reset-held-by-board"] == told["reset-held-by-probe"] == "possible"
    assert "Unplug the probe" in result.measure_next
    assert "never been seen high" in " ".join(reason for item in result.findings for reason in item.reasons)


def test_a_constant_0_read_back_on_a_running_board_is_no_reset() -> None:
    """DAPLink on an nRF52820 answers 0 for ever. The core's flag says that it runs."""
    constant = {"nreset.undriven": [0] * 10, "nreset.connected": [0] * 5, "nreset.pin_proven": False, "core.dhcsr": [RESET, RUNS]}
    result = job("cmsis-dap", "verify", CORE_HELD | constant | {"core.reset_catch": ""}, step=Step.VERIFY)
    told = standing(result)
    assert told["held-in-reset"] == "ruled-out"
    assert "reset-held-by-board" not in told


def test_a_constant_0_read_back_on_a_silent_board_says_nothing_of_reset() -> None:
    constant = {"nreset.undriven": [0] * 10, "nreset.connected": [0] * 5, "nreset.pin_proven": False}
    told = standing(job("cmsis-dap", "no-dp", SILENT | constant))
    assert "held-in-reset" not in told
    assert told["no-target-power"] == told["swd-open"] == told["swd-swapped"] == "possible"


def test_a_3_us_loop_reads_like_held_until_the_catch_test() -> None:
    before = {name: value for name, value in CORE_HELD.items() if name != "core.reset_catch"}
    untested = standing(job("stlink", "core-in-reset", before, target="mk64fn1m0vll12"))
    assert untested["held-in-reset"] == untested["reset-loop"] == "possible"
    caught = standing(job("stlink", "no-halt", CORE_HELD | {"core.reset_catch": "halted", "nreset.rise_ms": 0.3}, target="mk64fn1m0vll12"))
    assert (caught["held-in-reset"], caught["reset-loop"]) == ("ruled-out", "likely")


def test_a_late_supervisor_is_neither_held_nor_looping() -> None:
    late = CORE_HELD | {"core.reset_catch": "halted", "nreset.rise_ms": 380.0}
    for probe in ("stlink", "cmsis-dap"):
        result = job(probe, "no-halt", late)
        told = standing(result)
        assert result.first is not None
        assert result.first.cause == "reset-released-late"
        assert told["held-in-reset"] == "ruled-out"
        assert "reset-held-by-board" not in told
        assert "380 ms" in " ".join(result.first.reasons)
    pulsed = CORE_HELD | {"nreset.undriven": [0] * 10, "nreset.released": [0, 0, 0, 1, 1], "nreset.rise_ms": 60.0}
    result = job("cmsis-dap", "core-in-reset", pulsed)
    assert result.first is not None
    assert result.first.cause == "reset-released-late"
    assert "held-in-reset" not in certain(result)


def test_a_line_that_rises_at_once_is_not_late() -> None:
    quick = {"nreset.undriven": [1] * 10, "nreset.released": [1] * 5, "nreset.rise_ms": 85.0, "swd.dpidr": DP, "core.dhcsr": [RESET, RUNS]}
    assert standing(job("cmsis-dap", "", quick, running="running")) == {}


def test_the_line_falls_when_we_connect() -> None:
    told = standing(job("cmsis-dap", "core-in-reset", CORE_HELD | {"nreset.undriven": [1] * 10, "nreset.connected": [0] * 5}))
    assert told["reset-held-by-own-session"] == "likely"
    assert told["reset-held-by-board"] == "ruled-out"


def test_a_push_pull_probe_lifts_a_weak_line() -> None:
    weak = {"nreset.undriven": [0] * 10, "nreset.connected": [1] * 5, "swd.dpidr": DP, "core.dhcsr": [RESET, RUNS]}
    told = standing(job("cmsis-dap", "", weak, running="running"))
    assert told == {"reset-weakly-held": "likely"}


def test_a_held_nrf52_is_silent_and_not_called_unpowered() -> None:
    line = {"nreset.undriven": [0] * 10, "nreset.connected": [0] * 5, "nreset.pin_proven": True}
    result = job("jlink", "no-dp", SILENT | line | {"vtref": 3.3}, target="nrf52840")
    told = standing(result)
    assert result.first is not None
    assert (result.first.cause, told["held-in-reset"]) == ("held-in-reset", "likely")
    assert told["no-target-power"] == "unlikely"


def test_a_low_line_and_silence_without_a_measured_supply_are_no_sign_of_either() -> None:
    """An unpowered board has a low nRESET, too, and a CMSIS-DAP probe sees no voltage."""
    line = {"nreset.undriven": [0] * 10, "nreset.connected": [0] * 5, "nreset.pin_proven": True}
    result = job("cmsis-dap", "no-dp", SILENT | line, target="nrf52840")
    told = standing(result)
    assert (told["held-in-reset"], told["no-target-power"]) == ("possible", "possible")
    assert certain(result) == {"swd-silent"}
    assert not [item.cause for item in result.findings if item.confidence is Confidence.LIKELY]


def test_a_line_that_reads_low_is_told_though_nothing_names_the_chip() -> None:
    """A probe that was never seen to read high, and a board that nobody knows: it may be held, and no more."""
    line = {"nreset.undriven": [0] * 10, "nreset.connected": [0] * 5, "vtref": 3.3}
    told = standing(job("jlink", "no-dp", SILENT | line, target=""))
    assert told["held-in-reset"] == "possible"
    assert "held-in-reset" not in standing(job("jlink", "no-dp", SILENT | line, target="stm32l475xg"))  # which answers in reset


# --- a probe that does not answer --------------------------------------------------------------------------------------------------


def test_a_slow_probe_and_a_hung_one() -> None:
    timed_out = {"probe.errno": 110, "probe.present": True}
    short = standing(job("stlink", "probe-open", timed_out | {"probe.hung": 1.0}, step=Step.OPEN))
    assert (short["probe-hung"], short["probe-slow"]) == ("likely", "possible")  # a second is what pyOCD waits, and proves nothing
    long = standing(job("stlink", "probe-open", timed_out | {"probe.hung": 4.0}, step=Step.OPEN))
    assert long["probe-hung"] == "certain"
    assert "probe-slow" not in long
    late = job("stlink", "probe-open", timed_out | {"probe.hung": 1.0, "probe.late": 1.5}, step=Step.OPEN)
    assert standing(late)["probe-slow"] == "likely"
    assert standing(late)["probe-hung"] == "ruled-out"
    assert late.first is not None
    assert late.first.cause == "probe-slow"


def test_a_j_link_does_not_say_what_happened_on_usb() -> None:
    told = standing(job("jlink", "usb", {"probe.errno": 5, "probe.present": True}))
    assert {told[name] for name in ("usb-unstable", "probe-hung", "probe-fw-fault")} == {"possible"}
    assert standing(job("cmsis-dap", "usb", {"probe.errno": 5, "probe.present": True}))["usb-unstable"] == "likely"


def test_a_probe_that_may_be_the_one_without_a_name() -> None:
    gone: dict[str, Any] = {"probe.listed": [], "usb.node": {"present": False}}
    assert standing(job("other", "no-probe", gone, step=Step.OPEN))["no-probe"] == "certain"
    told = standing(job("other", "no-probe", gone | {"usb.nameless": ["0d28:0204"]}, step=Step.OPEN))
    assert (told["no-probe"], told["probe-no-serial"]) == ("possible", "possible")


# --- silence ----------------------------------------------------------------------------------------------------------------------


def test_no_power_and_open_wires_are_one_set_on_cmsis_dap() -> None:
    result = job("cmsis-dap", "no-dp", SILENT, target="")
    told = standing(result)
    assert result.first is not None
    assert result.first.cause == "swd-silent"
    assert {told[name] for name in ("no-target-power", "swd-open", "swd-swapped", "debug-off", "chip-dead", "debug-locked")} == {"possible"}
    assert certain(result) == {"swd-silent"}
    assert "power LED" in result.measure_next


def test_a_voltage_that_this_probe_cannot_measure_does_not_count() -> None:
    assert standing(job("cmsis-dap", "no-dp", SILENT | {"vtref": 0.0})) == standing(job("cmsis-dap", "no-dp", SILENT))


def test_counting_errors_on_a_silent_board_is_no_noise() -> None:
    counted = {"swd.errors": {"reads": 640, "errors": 10, "kinds": {"no-ack": 10}}}
    assert standing(job("cmsis-dap", "no-dp", SILENT | counted)) == standing(job("cmsis-dap", "no-dp", SILENT))


def test_the_same_silence_on_an_st_link_with_and_without_voltage() -> None:
    dead = job("stlink", "no-dp", SILENT | {"vtref": 0.01})
    assert dead.first is not None
    assert (dead.first.cause, dead.first.confidence) == ("no-target-power", "likely")
    alive = standing(job("stlink", "no-dp", SILENT | {"vtref": 3.29}))
    assert (alive["no-target-power"], alive["swd-open"]) == ("unlikely", "possible")


def test_vtref_0_with_an_answering_chip_is_a_missing_wire_not_missing_power() -> None:
    told = standing(job("stlink", "core-in-reset", CORE_HELD | {"vtref": 0.0}))
    assert told["vtref-not-wired"] == "certain"
    assert told["no-target-power"] == "ruled-out"
    healthy = job("stlink", "", {"swd.dpidr": DP, "vtref": 0.0}, running="running")
    assert standing(healthy) == {"vtref-not-wired": "certain"}


def test_silence_under_reset_proves_nothing_while_the_wire_may_lead_nowhere() -> None:
    """A read-back that works tells of the probe's end of nRESET: a wire that is off there reads high, too."""
    under: dict[str, Any] = SILENT | {"swd.dpidr_under_reset": None, "swd.after_pulse": False}
    for probe, more in (("stlink", {}), ("cmsis-dap", {"nreset.undriven": [1] * 10, "nreset.pin_proven": True})):
        told = standing(job(probe, "no-dp", under | more))
        assert told["debug-off"] == told["deep-sleep"] == told["swd-pins-taken"] == "possible"


def test_a_port_that_answers_at_a_lower_clock_is_not_called_asleep() -> None:
    """Under reset it was asked at the clock that the sweep had found clean."""
    edges = {"swd.sweep": {"100000": [23, 23], "1000000": [0, 23], "4000000": [0, 3]}, "swd.dpidr_under_reset": DP}
    turns = [[1000000, 0, 10], [100000, 10, 10]] * 2
    told = standing(job("cmsis-dap", "no-dp", SILENT | edges | {"swd.turns": turns}))
    assert told["link-noise"] == "certain"
    assert not {"debug-off", "deep-sleep", "swd-pins-taken"} & set(told)


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [[1000000, 0, 10], [100000, 10, 10]],  # one sweep: noise for as long as the higher clock had its turn looks like this
        [[1000000, 0, 10], [100000, 10, 10], [1000000, 10, 10], [100000, 10, 10]],  # and ended then
        [[1000000, 0, 10], [100000, 10, 10], [1000000, 0, 10], [100000, 7, 10]],
        [[1000000, 0, 10], [1000000, 0, 10], [100000, 10, 10], [100000, 10, 10]],  # not by turns
    ],
)
def test_a_burst_of_noise_that_passes_a_sweep_is_not_called_the_clock_for_sure(turns: list[list[int]]) -> None:
    edges = {"swd.sweep": {"100000": [23, 23], "1000000": [0, 23], "4000000": [0, 3]}, "swd.turns": turns}
    assert standing(job("cmsis-dap", "no-dp", SILENT | edges))["link-noise"] == "likely"


def test_a_supply_that_broke_down_is_no_noise() -> None:
    """The first access after it finds a port that has forgotten everything; afterwards the wires are as clean as before."""
    gone = {"swd.dpidr": DP, "swd.ack": "no-ack", "core.debug_lost": True, "swd.errors": {"reads": 6400, "errors": 0, "kinds": {}}}
    result = job("cmsis-dap", "transfer", gone, step=Step.ERASE)
    told = standing(result)
    assert result.first is not None
    assert (result.first.cause, told["brown-out"]) == ("brown-out", "likely")
    assert told["link-noise"] in ("possible", "unlikely")
    assert standing(job("cmsis-dap", "transfer", gone, step=Step.ERASE, target="nrf52840"))["brown-out"] == "possible"


def test_a_watchdog_that_outlives_the_new_program_is_told_after_a_good_flash() -> None:
    looks = {"core.dhcsr": [RUNS, RUNS, RUNS, RESET, RUNS, RUNS], "chip.family": "nrf52"}
    cell = {"reset.cause": {"flags": ["DOG"], "words": [2]}}
    assert standing(job("cmsis-dap", "", looks | cell, running="running")) == {"watchdog": "likely", "reset-loop": "likely"}
    late = {"core.dhcsr": [RESET, RESET, RUNS, RUNS, RUNS, RUNS]}  # our own reset, and a slow line
    assert standing(job("cmsis-dap", "", late | cell, running="running")) == {}


# --- locks, RAM, flash --------------------------------------------------------------------------------------------------------------


def test_an_open_f1_whose_flag_is_0_is_not_locked() -> None:
    """F1 has a flag, not a byte: 0 is open. A byte rule would call it level 1."""
    told = standing(
        job("stlink", "erase", {"swd.dpidr": 0x1BA0_1477, "chip.family": "stm32f1", "option.rdp": [0, 0]}, target="stm32f103rb")
    )
    assert told["rdp1"] == "ruled-out"
    assert standing(job("stlink", "locked", {"chip.family": "stm32f1", "option.rdp": [1, 1]}))["rdp1"] == "likely"


def test_a_lock_that_is_read_once_or_flickers_is_not_certain() -> None:
    base = {"swd.dpidr": DP, "chip.family": "stm32l4", "flash.read_fault": 0x0800_0000}
    assert standing(job("stlink", "locked", base | {"option.rdp": [0xBB]}))["rdp1"] == "likely"
    assert standing(job("stlink", "locked", base | {"option.rdp": [0xBB, 0xAA]}))["rdp1"] == "unlikely"


def test_ram_that_fails_in_reset_is_not_called_bad() -> None:
    ram = {"ram.test": {"ok": False, "address": 0x2000_0000, "wrote": 1, "read": 0, "bad": 256, "words": 256, "kind": "lost"}}
    result = job("stlink", "ram", CORE_HELD | ram, step=Step.LOAD)
    assert standing(result)["ram-lost"] == "unlikely"
    assert result.first is not None
    assert result.first.cause == "held-in-reset"


def test_one_wrong_byte_is_no_missing_step() -> None:
    one = {"swd.dpidr": DP, "verify.pattern": "not-programmed", "verify.reread": "same"}
    first = {"address": 0x0800_0100, "expected": 0xFE, "read": 0xFF, "bad": 1, "bytes": 4096}
    told = standing(job("stlink", "verify", one | {"verify.first": first}, step=Step.VERIFY))
    assert told["flash-worn"] == "likely"
    assert "program-ineffective" not in told


def test_one_bad_word_in_ram_may_be_the_way_there() -> None:
    ram = {"ok": False, "address": 0x2000_1000, "wrote": 0x2000_1000, "read": 0x2001_1100, "bad": 1, "words": 512, "kind": "cell"}
    told = standing(job("stlink", "ram", {"swd.dpidr": DP, "ram.test": ram}, step=Step.LOAD))
    assert (told["ram-bad"], told["data-corrupted-on-the-way"]) == ("likely", "possible")


def test_who_pulls_the_line_is_never_surer_than_that_it_is_pulled() -> None:
    """An unpowered board has a low nRESET, too."""
    line = {"nreset.undriven": [0] * 10, "nreset.connected": [0] * 5, "nreset.pin_proven": True}
    result = job("cmsis-dap", "no-dp", SILENT | line)
    told = standing(result)
    assert result.first is not None
    assert result.first.cause == "swd-silent"
    assert told["held-in-reset"] == told["reset-held-by-board"] == "possible"


def test_a_protection_found_before_erasing_is_certain() -> None:
    wrp = {"swd.dpidr": DP, "chip.family": "stm32l4", "option.wrp": [[0x0800_0000, 0x0800_07FF]]}
    outcome = Outcome(
        "1", failure=Failure(Step.PLAN, "write-protected", "the image needs protected flash", address=0x0800_0000),
        readings=tuple(Reading(name, value) for name, value in wrp.items()),
    )  # fmt: skip
    assert standing(diagnose(outcome))["write-protected-sector"] == "certain"


def test_link_noise_is_not_called_worn_flash() -> None:
    noisy = {
        "swd.dpidr": DP,
        "verify.pattern": "bits",
        "verify.first": {"address": 0x0800_0000, "expected": 1, "read": 3, "bad": 1, "bytes": 4096},
    }
    moved = standing(job("stlink", "verify", noisy | {"verify.reread": "moved"}, step=Step.VERIFY))
    assert "flash-worn" not in moved
    assert moved["verify-misread"] == "certain"


def test_a_stale_status_flag_without_a_covering_range_is_not_certain() -> None:
    call = {"function": "EraseSector", "address": 0x0800_1000, "r0": 1}
    stale = {"swd.dpidr": DP, "chip.family": "stm32l4", "algo.call": call, "flash.sr": 0x10, "option.wrp": []}
    assert standing(job("stlink", "erase", stale, step=Step.ERASE))["write-protected-sector"] == "likely"


def test_two_causes_at_once_are_both_told() -> None:
    wrong = {"chip.dev_id": 0x435, "target.expected": {"target": "stm32l475xg", "dev_ids": [0x415]}}
    assert {"held-in-reset", "wrong-target"} <= certain(job("stlink", "core-in-reset", CORE_HELD | wrong))


def test_a_same_device_id_of_another_family_is_another_chip() -> None:
    wrong = {
        "chip.dev_id": 0x415,
        "chip.family": "stm32f4",
        "target.expected": {"target": "stm32l475xg", "family": "stm32l4", "dev_ids": [0x415]},
    }
    assert standing(job("stlink", "wrong-chip", CORE_HELD | wrong))["wrong-target"] == "certain"


def test_another_core_than_the_target_family_has_is_another_chip() -> None:
    """A blank K64F on a board that says it is a KL25Z: it resets for ever, so its identity register was never read."""
    kl25z = {"target": "kl25z", "family": "kinetis-kl2x", "dev_ids": [0x251]}
    seen = {"swd.dpidr": DP, "core.cpuid": 0x410F_C241, "target.expected": kl25z}
    result = job("cmsis-dap", "algo-fault", seen, step=Step.ERASE, target="kl25z")
    assert standing(result)["wrong-target"] == "certain"
    assert standing(job("cmsis-dap", "algo-fault", seen | {"swd.dpidr": 0x0BC1_1477}, step=Step.ERASE))["wrong-target"] == "likely"
    assert "wrong-target" not in standing(job("cmsis-dap", "algo-fault", seen | {"core.cpuid": 0x410C_C601}, step=Step.ERASE))


def test_a_start_from_the_boot_rom_takes_two_readings_to_be_certain() -> None:
    """An H743 shows nothing at 0; there the table in force speaks. A program may call the ROM, or point VTOR anywhere."""
    rom = {"chip.family": "stm32h7", "core.pcsr": [0x1FF0_0100] * 4}
    assert standing(job("stlink", "", rom | {"core.vtor": 0x1FF0_0000}, running="running")) == {"boot-source": "certain"}
    assert standing(job("stlink", "", rom | {"core.vtor": 0x0800_0000}, running="running")) == {"boot-source": "likely"}
    assert standing(job("stlink", "", rom | {"core.pcsr": [0x0800_0100] * 4, "core.vtor": 0x1FF0_0000}, running="running")) == {}


def test_a_good_job_has_nothing_to_say() -> None:
    good = {"swd.dpidr": DP, "vtref": 3.3, "nreset.undriven": [1] * 10, "core.dhcsr": [RESET, RUNS], "ram.test": {"ok": True, "words": 9}}
    assert job("stlink", "", good, running="running") == Diagnosis()


def test_nothing_fits() -> None:
    first = job("stlink", "unexpected", {"swd.dpidr": DP, "engine.error": "KeyError: 'x'"}, step=Step.CONNECT).first
    assert first is not None
    assert (first.cause, first.confidence) == ("unexplained", "possible")
    assert "KeyError" in " ".join(first.reasons)


def test_an_access_that_was_lost_on_the_link_says_nothing_of_what_is_behind_the_port() -> None:
    noisy = {
        "swd.dpidr": DP,
        "ap.idr": 0x2477_0011,
        "swd.ack": "stlink-22",
        "swd.errors": {"reads": 640, "errors": 7, "kinds": {"parity": 7}},
    }
    told = standing(job("stlink", "no-ap", noisy))
    assert (told["link-noise"], told["no-ap"]) == ("likely", "possible")
    refused = standing(job("stlink", "no-ap", {"swd.dpidr": DP, "ap.idr": 0}))
    assert refused["no-ap"] == "certain"


def test_a_probe_that_is_gone_before_it_is_open() -> None:
    """Between listing and opening there is no error number, only a probe that is listed no longer."""
    result = job("cmsis-dap", "probe-open", {"probe.found": True, "engine.error": "ProbeError: not found", "probe.present": False})
    first = result.first
    assert first is not None
    assert (first.cause, str(first.confidence)) == ("probe-vanished", "likely")
    assert "no longer listed" in " ".join(first.reasons)


def test_an_answer_at_first_does_not_rule_out_what_may_have_happened_since() -> None:
    """The supply dropped out, or the plug came loose, in the middle of the job: both were fine when the debug port answered."""
    lost = CORE_HELD | {"core.dhcsr": [RUNS] * 2, "swd.ack": "no-ack", "swd.errors": {"reads": 640, "errors": 10, "kinds": {"no-ack": 10}}}
    told = standing(job("cmsis-dap", "transfer", lost, step=Step.PROGRAM))
    assert told["target-lost"] == "certain"
    assert (told["no-target-power"], told["swd-open"]) == ("possible", "possible")
    few = lost | {"swd.errors": {"reads": 6400, "errors": 41, "kinds": {"parity": 30, "no-ack": 11}}}
    assert standing(job("cmsis-dap", "transfer", few, step=Step.PROGRAM))["no-target-power"] == "ruled-out"


def test_a_port_that_falls_silent_under_a_running_program_may_have_been_shut_by_it() -> None:
    lost = {"swd.dpidr": DP, "swd.ack": "no-ack", "swd.errors": {"reads": 640, "errors": 10, "kinds": {"no-ack": 10}}}
    told = standing(job("cmsis-dap", "transfer", lost))
    assert told["target-lost"] == "certain"
    # A link so bad that no block of 64 words comes through looks the same.
    assert {told[name] for name in ("deep-sleep", "swd-pins-taken", "no-target-power", "swd-open", "link-noise")} == {"possible"}


def test_ram_that_a_program_wrote_to_after_a_watchdogs_reset_is_not_called_bad() -> None:
    ram = {"ok": False, "address": 0x2000_0100, "wrote": 0x2000_0100, "read": 0x66B5, "bad": 2, "words": 1884, "kind": "cell"}
    base: dict[str, Any] = {"swd.dpidr": DP, "chip.family": "stm32h7", "ram.test": ram}
    assert standing(job("cmsis-dap", "ram", base, step=Step.LOAD))["ram-bad"] == "likely"
    first = Reading("reset.cause", {"flags": ["PORRSTF"], "words": [0]})
    later = {"flags": ["PORRSTF", "SFTRSTF", "IWDG1RSTF"], "words": [0]}
    failure = Failure(Step.LOAD, "ram", "it stopped")
    readings = (first, *(Reading(name, value) for name, value in base.items()), Reading("reset.cause", later))
    result = diagnose(Outcome("1", failure=failure, readings=readings, probe=ProbeFacts("1", "cmsis-dap")))
    assert result.first is not None
    assert (result.first.cause, standing(result)["watchdog"], standing(result)["ram-bad"]) == ("watchdog", "likely", "possible")


def test_a_chip_that_answers_between_lost_blocks_is_not_lost() -> None:
    """At one disturbed word in ten, no block of 64 comes through; the debug port answers all the same when the link is picked up."""
    noisy = {"reads": 640, "errors": 10, "kinds": {"no-ack": 8, "ack-0": 2}, "revived": 7}
    lost = CORE_HELD | {"core.dhcsr": [RUNS] * 2, "swd.ack": "no-ack"}
    told = standing(job("cmsis-dap", "transfer", lost | {"swd.errors": noisy}, step=Step.PROGRAM))
    assert "target-lost" not in told
    assert told["link-noise"] == "likely"
    gone = standing(job("cmsis-dap", "transfer", lost | {"swd.errors": noisy | {"revived": 0}}, step=Step.PROGRAM))
    assert gone["target-lost"] == "certain"
    assert gone["link-noise"] == "possible"


def test_five_volts_and_silence_are_levels_and_no_open_wire() -> None:
    for volts, sure in ((5.2, "likely"), (3.72, "likely"), (3.3, None)):
        result = job("jlink", "no-dp", SILENT | {"vtref": volts})
        assert standing(result).get("level-mismatch") == sure
        assert result.first is not None
        assert (result.first.cause == "level-mismatch") is (sure is not None)
    assert standing(job("jlink", "no-ap", {"swd.dpidr": DP, "vtref": 5.2}))["level-mismatch"] == "possible"
    # A probe that cannot measure it says nothing, whatever was sent.
    assert standing(job("cmsis-dap", "no-dp", SILENT | {"vtref": 5.2}))["level-mismatch"] == "possible"


def test_a_port_that_must_be_selected_is_silent_at_a_probe_without_sequences() -> None:
    for probe in ("stlink", "jlink"):
        result = job(probe, "no-dp", SILENT | {"vtref": 3.3}, target="rp2040")
        assert result.first is not None
        assert (result.first.cause, str(result.first.confidence)) == ("probe-cannot-reach-chip", "likely")
        assert "probe-cannot-reach-chip" not in standing(job(probe, "no-dp", SILENT | {"vtref": 3.3}, target="stm32l475xg"))
        assert "probe-cannot-reach-chip" not in standing(job(probe, "no-dp", SILENT | {"vtref": 3.3}, target=""))
    for probe in ("cmsis-dap", "picoprobe"):
        assert "probe-cannot-reach-chip" not in standing(job(probe, "no-dp", SILENT, target="rp2040"))


def test_the_same_error_each_time_is_no_noise() -> None:
    """A chip that went to sleep or lost its supply, behind a probe with a code of its own for that."""
    readings = (
        Reading("probe.kind", "stlink"),
        Reading("swd.dpidr", 0x6BA02477),
        Reading("swd.errors", {"reads": 640, "errors": 10, "kinds": {"stlink-22": 10}, "revived": 0}),
    )
    outcome = Outcome("1", failure=Failure(Step.MEASURE, "transfer", "reading the core's state failed"), readings=readings)
    assert all(finding.cause != "link-noise" or finding.confidence.rank > 1 for finding in diagnose(outcome).findings)
    mixed = Reading("swd.errors", {"reads": 640, "errors": 10, "kinds": {"stlink-22": 6, "stlink-19": 4}, "revived": 0})
    again = msgspec.structs.replace(outcome, readings=(*readings[:2], mixed))
    assert any(finding.cause == "link-noise" and finding.confidence.rank <= 1 for finding in diagnose(again).findings)
