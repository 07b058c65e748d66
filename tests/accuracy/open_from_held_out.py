"""Ideas that stood in the held-out set until the product failed them there: since the rules were mended by them, they judge nothing."""

from __future__ import annotations

import random

# The held-out set's own files are needed for a drop of its kind.
from tests.accuracy import held_out_files
from tests.accuracy.held_out_draw import (
    F1,
    JLINK,
    KINETIS,
    L4,
    MEASURES_VOLTS,
    NRF52,
    OTHERS,
    PICO,
    READS_RESET,
    REFUSING,
    ST,
    STLINK,
    any_probe,
    scene,
)
from tests.accuracy.play import Draw, Scene

__all__ = ["IDEAS", "held_out_files"]


def five_volt_target(rng: random.Random) -> Scene:
    """FC-45: at 5 V an input wants 0.7 VDD, which a probe of 3.3 V does not reach. The probe reads 5 V and hears nothing."""
    board = rng.choice(("stm32f103rc", "stm32f103re", "nucleo-f429zi"))
    return scene(rng, board, rng.choice(MEASURES_VOLTS), ("level-mismatch",), f"vdd:{rng.choice(('4.8', '5.0', '5.2'))}", twin="swd-open")


def long_wires_at_every_clock(rng: random.Random) -> Scene:
    """FC-44, worse: acknowledged but damaged data at all usual clocks. M-1.27: parity errors tell of the link, not of an open wire."""
    board = rng.choice((*L4, "stm32f103rc", NRF52))
    return scene(rng, board, rng.choice(READS_RESET), ("link-noise",), "slow-edges:60000:parity", rescue=True, twin="swd-open")


def noise(rng: random.Random) -> Scene:
    """FC-44, M-2.5: seeded disturbances with the square of the clock. What arrives damaged, or reads differently, is true as well."""
    board = rng.choice((*ST, NRF52, "frdm-k64f"))
    fault = f"noise:{rng.choice((0.004, 0.01, 0.03, 0.1))}:{rng.randrange(1, 10_000)}"
    also = ("data-corrupted-on-the-way", "algo-download-corrupt", "verify-misread")
    return scene(rng, board, any_probe(rng, board), ("link-noise",), fault, also=also, rescue=True, twin="flash-worn")


def pico_at_a_probe_without_sequences(rng: random.Random) -> Scene:
    """M-1.24: an RP2040 needs target selection, which only CMSIS-DAP can send. The user has named the chip, so it is known."""
    probe = rng.choice((JLINK, *STLINK))
    # A recent ST-LINK refuses chips that are not ST's, too: by what the user has named, both are right.
    true = ("probe-cannot-reach-chip", *(("probe-fw-refuses-target",) if probe in REFUSING else ()))
    return scene(rng, PICO, probe, true, target="rp2040", twin="swd-open")


def usb_stalled(rng: random.Random) -> Scene:
    """M-2.1: EPIPE is a bug of the probe's firmware. A J-Link's library hides the error: stalled, hung and a bad cable are one
    measurement there, so that none of them can be known. (The scene had it as measurable there.)"""
    probe = rng.choice((*READS_RESET, *STLINK, JLINK))
    board = rng.choice(ST) if probe in STLINK else rng.choice((*ST, *OTHERS))
    true = ("probe-fw-fault", "usb-unstable") if probe == JLINK else ("probe-fw-fault",)
    return scene(rng, board, probe, true, rng.choice(("stall:in", "stall:out")), unknowable=probe == JLINK)


def usb_short_packets(rng: random.Random) -> Scene:
    """FC-30: packets of half their length. USB has a check sum for each packet: no cable shortens one, firmware does. A J-Link's library
    does not show packets: there it is unknowable, as a stall is. (The scene had it as measurable there.)"""
    probe = rng.choice((*READS_RESET, *STLINK, JLINK))
    board = rng.choice(ST) if probe in STLINK else rng.choice((*ST, *OTHERS))
    true = ("probe-fw-fault", "usb-unstable") if probe == JLINK else ("probe-fw-fault",)
    fault = f"short-packet:{rng.choice((0, 15, 60, 120))}"
    return scene(rng, board, probe, true, fault, unknowable=probe == JLINK)


def locked_and_held(rng: random.Random) -> Scene:
    """MDM-AP tells both under nRESET (reading O7), and each alone is enough. Both names are right."""
    true = ("held-in-reset", "reset-held-by-board", "kinetis-security")
    return scene(rng, rng.choice(KINETIS), rng.choice(READS_RESET), true, "security", "reset-held")


def bad_ram_and_protected(rng: random.Random) -> Scene:
    """The protected sector is found while the job is planned, before anything is written to RAM, so that it stands in the way first. That
    RAM is bad is true as well, and nobody looks. (The scene had it the other way round; its truth was wrong.)"""
    board = rng.choice((*L4, *F1))
    fault = rng.choice(("lost", "stuck"))
    also = ("ram-lost",) if fault == "lost" else ("ram-bad",)
    return scene(rng, board, any_probe(rng, board), ("write-protected-sector",), f"ram-bad:{fault}", "write-protect:0", also=also)


def application_behind_its_softdevice(rng: random.Random) -> Scene:
    """The page after the SoftDevice: as it should be. The bench's SoftDevice is its tables alone, without code: nothing runs there."""
    return scene(
        rng, NRF52, any_probe(rng, NRF52), drop="held-app-1f000", before="softdevice", also=("app-locked-up",), twin="softdevice-overlap"
    )


IDEAS: tuple[Draw, ...] = (
    five_volt_target,
    long_wires_at_every_clock,
    noise,
    pico_at_a_probe_without_sequences,
    usb_stalled,
    usb_short_packets,
    locked_and_held,
    bad_ram_and_protected,
    application_behind_its_softdevice,
)
