"""Held-out ideas in place of those that were used up, by somebody who had not seen the rules either. FC-nn are the field cases, M-n the
parts of the measurement sheet."""

from __future__ import annotations

import random

from msdflash.sim.contents import CONTENTS, Content, base, intel_hex, moved, program
from tests.accuracy.held_out_draw import (
    BLIND,
    F1,
    F4,
    H7,
    JLINK,
    KINETIS,
    L0,
    L4,
    LPC17,
    MEASURES_VOLTS,
    NRF51,
    NRF52,
    OTHERS,
    PICO,
    READS_RESET,
    ST,
    any_probe,
    resetting_probe,
    scene,
)
from tests.accuracy.play import Scene

BEHIND = 0x6000
"""Where the boot loader of the bench's contents ends."""


def _of_a_pico(_board: str) -> Content:
    parts = {base(PICO): program(PICO)}
    return Content("firmware.hex", intel_hex(parts), parts)


def _application(board: str) -> Content:
    parts = {base(board) + BEHIND: moved(program(board), BEHIND)}
    return Content("application.hex", intel_hex(parts), parts)


CONTENTS.update({"held-hex-of-pico": _of_a_pico, "held-app-6000": _application})


# --- supply, wires, nRESET, probes -------------------------------------------------------------------------------------------


def flat_battery(rng: random.Random) -> Scene:
    """M-2.3: between 0.3 and 1.6 V there is a supply, and no chip of the bench starts from it. ST-LINK and J-Link read the figure, and
    nobody answers, so that it is not an open VTref wire either."""
    probe = rng.choice(MEASURES_VOLTS)
    board = rng.choice((*ST, *OTHERS)) if probe == JLINK else rng.choice(ST)
    fault = f"vdd:{rng.choice(('0.8', '1.1', '1.4', '1.55'))}"
    return scene(rng, board, probe, ("target-voltage-low",), fault, twin="no-target-power")


def flat_battery_without_a_voltmeter(rng: random.Random) -> Scene:
    """The same at a CMSIS-DAP, which has no measure of the voltage (M-3: "C none"): silence is all there is, as with an open wire."""
    board = rng.choice((*ST, NRF52, *KINETIS))
    fault = f"vdd:{rng.choice(('0.8', '1.1', '1.4', '1.55'))}"
    return scene(rng, board, rng.choice((*READS_RESET, BLIND)), ("target-voltage-low",), fault, unknowable=True)


def link_that_wants_a_slower_clock(rng: random.Random) -> Scene:
    """FC-44, M-3 swd-signal-integrity: dirty at the usual clock, clean further down. Either edges that are too slow for 1 MHz and good
    well above 100 kHz, or disturbances of 0.5 to 3 percent at 1 MHz, which fall with the square of the clock (docs/bench.md,
    assumption 7). A slower clock is the way to flash it. What arrives damaged by a disturbance is true as well."""
    board = rng.choice((*ST, NRF52, NRF51, *KINETIS))
    if rng.random() < 0.5:
        fault = f"slow-edges:{rng.choice((250_000, 400_000, 600_000, 850_000))}:{rng.choice(('lost', 'parity'))}"
        also: tuple[str, ...] = ()
    else:
        fault = f"noise:{rng.choice((0.005, 0.012, 0.02, 0.03))}:{rng.randrange(1, 10_000)}"
        also = ("data-corrupted-on-the-way", "algo-download-corrupt", "verify-misread")
    return scene(rng, board, any_probe(rng, board), ("link-noise",), fault, also=also, rescue=True)


def probe_never_lets_go(rng: random.Random) -> Scene:
    """M-2.4: the probe's own driver of nRESET is stuck low. The debug port answers, the core is in reset for ever. Who holds the line
    cannot be told from outside in all cases, so that the general name is right, too; to accuse the board would be wrong."""
    board = rng.choice((*L4, *F4, *H7, *KINETIS, LPC17))
    true = ("reset-held-by-probe", "held-in-reset")
    return scene(rng, board, resetting_probe(rng, board), true, "probe-stuck-reset", twin="reset-held-by-board")


def probe_never_lets_go_of_a_silent_chip(rng: random.Random) -> Scene:
    """The same where the chip's debug port is silent under reset (M-1.25 for the RP2040, docs/bench.md for the nRF51): a low line and no
    answer is what a board without power shows (M-3, confusions). Open-drain probes only: one that drives high could tell the two."""
    probe = rng.choice(("cmsis-dap", "cmsis-dap-keeps", "cmsis-dap-v1"))
    true = ("reset-held-by-probe", "held-in-reset")
    return scene(rng, rng.choice((PICO, NRF51)), probe, true, "probe-stuck-reset", unknowable=True, twin="no-target-power")


def supply_gives_in_at_the_second_erase(rng: random.Random) -> Scene:
    """FC-50: the first erase goes well, from the second on the supply breaks down under each: power-on, and half an erase (reading E5).
    24 KiB stand where 21 KB go, so that every chip here has two sectors to erase, of 5 ms and more. That the algorithm was reset, and
    that what is left of the old program crashes, is true as well. A watchdog resets a chip in mid erase, too; the flags tell them apart
    (M-2.10)."""
    board = rng.choice((*L4, *F1, *F4, *KINETIS))
    also = ("algo-reset", "app-locked-up", "lockup-reset", "reset-loop")
    probe = any_probe(rng, board)
    return scene(rng, board, probe, ("brown-out",), "weak-supply:2", drop="held-longer", before="bootloader", also=also, twin="watchdog")


def daplink_stalls(rng: random.Random) -> Scene:
    """M-2.1: a halted endpoint is EPIPE, in either direction and over bulk or HID: the probe's firmware refused, no cable does that."""
    board = rng.choice((*ST, *OTHERS, PICO))
    return scene(rng, board, rng.choice((*READS_RESET, BLIND)), ("probe-fw-fault",), rng.choice(("stall", "stall:in", "stall:out")))


# --- the chip ----------------------------------------------------------------------------------------------------------------


def bought_locked(rng: random.Random) -> Scene:
    """A board out of a product, its program running. FC-61: level 1 in the option register and flash that faults (RM0433 4, RM0377 3,
    RM0090 3). FC-64: SYSSEC in MDM-AP while flash is ready and nothing is in reset. Both are measured directly (M-2.8)."""
    board, cause, fault = rng.choice(
        (
            (rng.choice((*H7, *F4, *L0)), "rdp1", "rdp1"),
            (rng.choice(KINETIS), "kinetis-security", "security"),
        )
    )
    return scene(rng, board, any_probe(rng, board), (cause,), fault, drop=rng.choice(("hex", "held-elf")))


def protected_in_the_middle(rng: random.Random) -> Scene:
    """FC-62: the image begins and ends in open flash, and one of its sectors between is protected: WRP (RM0351 3.3.8 from memory;
    PM0075; RM0377 3). Nothing stands there before, so an erase alone need not meet it. Of these chips no group that shares a bit
    reaches the first sector of the image. No Kinetis: the image itself holds FPROT, so that writing its start would open the region."""
    board = rng.choice((*L4, *F1, *L0))
    low, high = (40, 120) if board in L0 else (3, 8)
    fault = f"write-protect:{rng.randrange(low, high)}"
    return scene(rng, board, any_probe(rng, board), ("write-protected-sector",), fault, drop="held-longer")


def starts_again_and_again(rng: random.Random) -> Scene:
    """FC-58: a Kinetis resets itself on lockup, whether its flash is blank or its program crashes. FC-59: an option starts IWDG with each
    reset of an STM32 (RM0090 21), and its program does not know of it. In each the chip loops, which is true as well; under reset it
    can be flashed."""
    if rng.random() < 0.5:
        board = rng.choice(KINETIS)
        probe, before = rng.choice((*READS_RESET, JLINK)), rng.choice(("blank", "held-crasher"))
        return scene(rng, board, probe, ("lockup-reset",), before=before, also=("reset-loop", "app-locked-up"), rescue=True)
    board = rng.choice((*L4, *F1, *F4, *L0))
    also = ("reset-loop", "algo-reset")
    return scene(
        rng, board, any_probe(rng, board), ("watchdog",), "watchdog-on", before=rng.choice(("old", "count")), also=also, rescue=True
    )


# --- the file ----------------------------------------------------------------------------------------------------------------


def taken_for_another_chip(rng: random.Random) -> Scene:
    """FC-77: the user names another chip, whose identity is not the one that the silicon tells (DEV_ID 0x441 against 0x435; Cortex-M0
    against M0+ and another maker). FC-14: or drops a hex file for a Pico, at 0x10000000, where these chips have neither flash nor RAM;
    by addresses alone that is data outside of flash, and that it is another chip's is as true."""
    if rng.random() < 0.5:
        board, target = rng.choice((("nucleo-f412zg", "stm32l432kc"), (NRF51, "kl25z")))
        also = ("ram-smaller", "algo-wrong-architecture")
        return scene(rng, board, any_probe(rng, board), ("wrong-target",), target=target, also=also)
    board = rng.choice((*F1, *L0, "frdm-kl25z"))
    return scene(rng, board, any_probe(rng, board), ("image-wrong-chip", "image-outside-flash"), drop="held-hex-of-pico")


def application_beside_its_boot_loader(rng: random.Random) -> Scene:
    """FC-20 made right: the application goes right behind the boot loader in the chip. On F4 and H7 both share a sector, and not a byte
    of the boot loader may be lost. Nothing is wrong. Not the H7 at a J-Link: 128 KiB word by word take minutes (docs/bench-probes.md)."""
    board = rng.choice((*L4, *F1, *F4, *H7, *L0, *KINETIS, LPC17, NRF51))
    probe = rng.choice(READS_RESET) if board in H7 else any_probe(rng, board)
    return scene(rng, board, probe, drop="held-app-6000", before="bootloader", twin="bootloader-overlap")


IDEAS = (
    flat_battery,
    flat_battery_without_a_voltmeter,
    link_that_wants_a_slower_clock,
    probe_never_lets_go,
    probe_never_lets_go_of_a_silent_chip,
    supply_gives_in_at_the_second_erase,
    daplink_stalls,
    bought_locked,
    protected_in_the_middle,
    starts_again_and_again,
    taken_for_another_chip,
    application_beside_its_boot_loader,
)
