"""Held-out ideas about the program that stood in the chip before, and about what starts it."""

from __future__ import annotations

import random

from msdflash.sim.boards import BOARDS
from tests.accuracy.held_out_draw import (
    BLIND,
    F4,
    H7,
    KINETIS,
    L4,
    NRF51,
    NRF52,
    OTHERS,
    READS_RESET,
    ST,
    STLINK,
    any_probe,
    resetting_probe,
    scene,
)
from tests.accuracy.play import Scene


def sleeping_program(rng: random.Random) -> Scene:
    """FC-53: WFI without debug bits: accesses wait. A reset wakes it, so it can be flashed. The variant that answers is harmless."""
    board = rng.choice(ST)
    faults = rng.choice(((), (), ("sleep-port:open",)))
    before = rng.choice(("wfi", "wfi-ticking", "held-sleeper"))
    return scene(rng, board, resetting_probe(rng, board), ("asleep",), *faults, before=before, rescue=True)


def sleeping_program_without_reset_wire(rng: random.Random) -> Scene:
    """FC-53 where no reset gets through: the debug port answers WAIT, which is sleep and not a broken wire (M-2.6)."""
    board = rng.choice((*L4, *F4, "stm32f103rc"))
    probe = resetting_probe(rng, board)
    return scene(rng, board, probe, ("asleep",), "nreset-open", before="wfi", also=("nreset-no-effect",), rescue=True, twin="swd-open")


def stopped_program(rng: random.Random) -> Scene:
    """M-1.8: in Stop the debug port answers and grants no power, or (variant) accesses wait. Asleep and deep sleep are both true."""
    board = rng.choice(ST)
    faults = rng.choice(((), ("sleep-port:waits",)))
    return scene(rng, board, resetting_probe(rng, board), ("deep-sleep", "asleep"), *faults, before="stop", rescue=True)


def stopped_program_without_reset_wire(rng: random.Random) -> Scene:
    """The same without a reset. On an STM32 with nRESET high nothing but sleep keeps debug power away (M-2.6)."""
    board = rng.choice((*L4, *F4))
    also = ("nreset-no-effect",)
    true = ("deep-sleep", "asleep")
    return scene(rng, board, rng.choice(READS_RESET), true, "nreset-open", before="stop", also=also, rescue=True, twin="held-in-reset")


def standby_program(rng: random.Random) -> Scene:
    """FC-54: silent, but for a moment after each reset; under reset it can be flashed."""
    board = rng.choice(ST)
    before = rng.choice(("standby", "standby-late", "standby-by-turns"))
    also = ("watchdog", "reset-loop") if before == "standby-by-turns" else ()
    return scene(rng, board, resetting_probe(rng, board), ("deep-sleep",), before=before, also=also, rescue=True)


def standby_program_without_reset(rng: random.Random) -> Scene:
    """M-3, confusions: silence where no reset gets through. Sleep, taken pins and a broken wire look alike."""
    board = rng.choice((*L4, *F4, "nucleo-l031k6"))
    probe, faults = rng.choice(((BLIND, ()), ("cmsis-dap", ("nreset-open",)), ("stlink-v3", ("nreset-open",))))
    also = ("nreset-no-effect",)
    return scene(rng, board, probe, ("deep-sleep",), *faults, before="standby", also=also, rescue=True, unknowable=True, twin="swd-open")


def nrf_system_off(rng: random.Random) -> Scene:
    """POWER (nRF PS): a request for debug power wakes a chip in System OFF. Nothing stands in the way."""
    board = rng.choice((NRF52, NRF51))
    return scene(rng, board, any_probe(rng, board), before="system-off", twin="deep-sleep")


def program_takes_the_pins(rng: random.Random) -> Scene:
    """FC-55, FC-56: silent while the program runs, fine under reset. An F1's SWJ_CFG switches the port off, which is the other name."""
    board = rng.choice((*ST, *KINETIS))
    before = rng.choice(("pins-taken", "pins-taken-late"))
    return scene(rng, board, resetting_probe(rng, board), ("swd-pins-taken", "debug-off"), before=before, rescue=True)


def program_takes_the_pins_without_reset(rng: random.Random) -> Scene:
    """FC-57: no reset gets through, no answer. M-3: not to be told from sleep or a broken wire."""
    board, before = rng.choice(
        (("nucleo-l476rg", "pins-taken"), ("stm32f103rc", "pins-taken"), ("frdm-k64f", "pins-taken"), ("nucleo-f429zi", "pins-low"))
    )
    probe, faults = rng.choice(((BLIND, ()), ("cmsis-dap", ("nreset-open",))))
    true, also = ("swd-pins-taken", "debug-off"), ("nreset-no-effect",)
    return scene(rng, board, probe, true, *faults, before=before, also=also, rescue=True, unknowable=True, twin="swd-open")


def program_with_a_watchdog(rng: random.Random) -> Scene:
    """FC-59: fed or not, it bites while an algorithm runs, or all the time. Under reset, or frozen, it can be flashed."""
    board = rng.choice((*ST, *OTHERS))
    kinds = ["watchdog", "watchdog-fed"]
    if BOARDS[board].st_chip:
        kinds += ["watchdog-short", "window-watchdog", "window-watchdog-early"]
    also = ("reset-loop", "algo-reset")
    return scene(rng, board, any_probe(rng, board), ("watchdog",), before=rng.choice(kinds), also=also, rescue=True, twin="reset-by-pin")


def hardware_watchdog(rng: random.Random) -> Scene:
    """FC-59: an option byte starts IWDG at each reset, so that even a chip caught in reset has it running."""
    board = rng.choice(ST)
    before = rng.choice(("old", "blank"))
    also = ("reset-loop", "algo-reset", *(("app-locked-up",) if before == "blank" else ()))
    return scene(rng, board, any_probe(rng, board), ("watchdog",), "watchdog-on", also=also, rescue=True, before=before)


def program_that_crashes(rng: random.Random) -> Scene:
    """A crashed or missing program is what flashing is for: an STM32 or an nRF under a debugger waits in lockup and can be flashed."""
    board = rng.choice((*ST, NRF52, NRF51))
    return scene(rng, board, any_probe(rng, board), before=rng.choice(("blank", "held-crasher")), twin="lockup-reset")


def harmless_leftovers(rng: random.Random) -> Scene:
    """Old programs that hurt nobody: one that counts, one that maps RAM to address 0, a gap where a block was, a large one."""
    board = rng.choice((*L4, *F4))
    before, twin = rng.choice(
        (("count", ""), ("remap-to-ram", "boot-source"), ("first-block-gone", ""), ("bootloader", "bootloader-overlap"))
    )
    return scene(rng, board, any_probe(rng, board), before=before, twin=twin)


def boot_jumper(rng: random.Random) -> Scene:
    """Field cases, wishes: BOOT0 left high. Flashing works; the program does not start. It also keeps a bad old program from running."""
    board = rng.choice(ST)
    before = rng.choice(("old", "blank", "pins-taken", "standby"))
    return scene(rng, board, any_probe(rng, board), ("boot-source",), "boot0-high", before=before, rescue=True, twin="app-locked-up")


def wrong_supply_chosen(rng: random.Random) -> Scene:
    """FC-49: the H7 goes dark soon after power-on, with its rail up. Not even a reset helps; M-3: possible at most."""
    probe = rng.choice((*READS_RESET, *STLINK))
    return scene(rng, H7[0], probe, ("supply-set-wrong",), before="supply-bypass", unknowable=True, rescue=True, twin="chip-dead")


IDEAS = (
    sleeping_program,
    sleeping_program_without_reset_wire,
    stopped_program,
    stopped_program_without_reset_wire,
    standby_program,
    standby_program_without_reset,
    nrf_system_off,
    program_takes_the_pins,
    program_takes_the_pins_without_reset,
    program_with_a_watchdog,
    hardware_watchdog,
    program_that_crashes,
    harmless_leftovers,
    boot_jumper,
    wrong_supply_chosen,
)
