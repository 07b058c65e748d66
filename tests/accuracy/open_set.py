"""The open set: ideas for scenes by which the rules may be tuned. :mod:`play` says how they are judged.

Each idea is a function of a random generator that draws board, probe, parameters and timing, and knows the true cause from what the bench
does (docs/bench.md, docs/bench-probes.md), not from what the product says. It stands here that a cause cannot be measured, and why.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import msgspec

from msdflash.sim.boards import BOARDS
from msdflash.sim.chips.life import family
from msdflash.sim.scenarios import SCENARIOS
from msdflash.sim.scripts import SCRIPTS
from tests.accuracy import open_from_held_out
from tests.accuracy.play import Draw, Scene

ST = (
    "nucleo-l476rg", "nucleo-l432kc", "stm32f103rc", "stm32f103re", "nucleo-h743zi", "nucleo-f429zi", "nucleo-f412zg", "nucleo-l031k6",
)  # fmt: skip
KINETIS = ("frdm-k64f", "frdm-kl25z")
NRF = ("nrf52840-dk", "nrf51-dk")
OTHERS = (*KINETIS, *NRF, "lpc1768-mbed", "lpcxpresso55s69", "pico")
ALL = (*ST, *OTHERS)
"""Without ``nrf52840-dk-v3``, which comes locked, and ``bench-pack``, which needs a pack that no scene names."""

DAPS = ("cmsis-dap", "cmsis-dap-pushpull", "cmsis-dap-keeps", "cmsis-dap-v1", "cmsis-dap-v1-ep0")
"""Probes that read nRESET back truly and measure no voltage."""
BLIND = "cmsis-dap-const0"
"""Its nRESET reads 0 for ever."""
LINKS = ("stlink-v3", "stlink-v2-1", "stlink-v2-j34")
"""They measure the voltage, and cannot read nRESET back."""
REFUSING = ("stlink-v3", "stlink-v2-1")
"""ST-LINKs that refuse another maker's chip."""
JLINK = "jlink"


def any_probe(r: random.Random, board: str, *, blind: bool = True) -> str:
    """A probe that reaches this board."""
    kinds = list(DAPS) + [BLIND] * blind
    if board != "pico":  # nobody else sends what selects its debug port
        kinds += [JLINK]
        kinds += list(LINKS) * 2 if BOARDS[board].st_chip else ["stlink-v2-j34"] if board not in {"lpcxpresso55s69"} else []
    return r.choice(kinds)


def sees_volts(r: random.Random, board: str) -> str:
    """A probe with a measure of the target's voltage."""
    return r.choice((*LINKS, JLINK)) if BOARDS[board].st_chip else JLINK


def with_script(name: str) -> tuple[str, ...]:
    """Boards that have a program of this name."""
    return tuple(board for board in ALL if family(BOARDS[board].chip) in SCRIPTS[name])


HELD = ("held-in-reset", "reset-held-by-board")
SILENT_IN_RESET = ("nrf51-dk", "pico")
"""Under a low nRESET they are as silent as without power."""


# --- nothing is wrong -------------------------------------------------------------------------------------------------------------------


NAMES = {"nrf51822": "nrf51"}


def named(scene: Scene) -> Scene:
    """A J-Link and an old ST-LINK tell no board; where the chip's own registers name no part either, the user does."""
    chip = BOARDS[scene.board].chip
    if scene.target or scene.board in ST or scene.probe not in {JLINK, "stlink-v2-j34"}:
        return scene
    return msgspec.structs.replace(scene, target=NAMES.get(chip, chip))


def nobody_names_the_target(r: random.Random) -> Scene:
    """A Kinetis tells its family and not its part, and this probe knows no board."""
    return Scene("", r.choice(KINETIS), r.choice((JLINK, "stlink-v2-j34")), ("target-unknown",), twin="wrong-target")


def good_board(r: random.Random) -> Scene:
    board = r.choice(ALL)
    return Scene("", board, any_probe(r, board), (), before=r.choice(("old", "blank", "bootloader")), drop=r.choice(("program", "hex")))


def good_board_whose_nreset_reads_low(r: random.Random) -> Scene:
    """The probe's read-back is a constant: that the line is held is not true."""
    board = r.choice(ALL)
    return Scene("", board, BLIND, (), twin="held-in-reset")


def good_board_after_half_an_erase(r: random.Random) -> Scene:
    board = r.choice((*ST, *NRF))
    return Scene("", board, any_probe(r, board), (), before="first-block-gone", twin="flash-worn")


def good_board_with_the_nreset_wire_open(r: random.Random) -> Scene:
    board = r.choice(ST)
    return Scene("", board, any_probe(r, board), (), faults=("nreset-open",), before="count", twin="held-in-reset")


def good_board_at_a_low_voltage(r: random.Random) -> Scene:
    board = r.choice(ST)
    return Scene("", board, sees_volts(r, board), (), faults=(f"vdd:{r.choice(('1.8', '2.0', '2.5'))}",), twin="target-voltage-low")


def good_board_with_other_pages_protected(r: random.Random) -> Scene:
    """Protection that lies beside the file's sectors."""
    board, page = r.choice((("nucleo-l476rg", 40), ("nucleo-f429zi", 3), ("nucleo-h743zi", 2), ("stm32f103rc", 20), ("frdm-k64f", 128)))
    return Scene("", board, any_probe(r, board), (), faults=(f"write-protect:{page}",), twin="write-protected-sector")


def good_board_with_a_bad_cell_elsewhere(r: random.Random) -> Scene:
    board = r.choice(ST)
    start = 0x08000000
    return Scene("", board, any_probe(r, board), (), faults=(f"bad-cell:0x{start + 0x6400:08x}",), twin="flash-worn")


def good_blank_chip(r: random.Random) -> Scene:
    """Blank: it locks up, or loops in reset where the maker made a lockup a reset."""
    board = r.choice((*ST, "nrf51-dk", "nrf52840-dk", "pico", "lpc1768-mbed", "lpcxpresso55s69"))
    return Scene("", board, any_probe(r, board), (), before="blank", twin="rdp1")


def good_fed_watchdog(r: random.Random) -> Scene:
    board = r.choice(with_script("watchdog-fed"))
    return Scene("", board, any_probe(r, board), (), before="watchdog-fed", twin="watchdog")


def good_sleeper_that_ticks(r: random.Random) -> Scene:
    """WFI with an interrupt every millisecond: a debugger gets through."""
    board = r.choice(with_script("wfi-ticking"))
    return Scene("", board, any_probe(r, board), ("asleep",), before="wfi-ticking", rescue=True, twin="no-ap")


# --- reset ------------------------------------------------------------------------------------------------------------------------------


def reset_held(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS, "lpc1768-mbed"))
    fault = r.choice(("reset-held:fault", "reset-held:ignored"))
    return Scene("", board, any_probe(r, board), HELD, faults=(fault,), before=r.choice(("old", "blank")))


def reset_held_on_an_nrf52(r: random.Random) -> Scene:
    """The debug port answers and grants no power; the line reads low, and has read high before only where the probe can prove it."""
    return Scene("", "nrf52840-dk", r.choice((*DAPS, JLINK)), HELD, faults=("reset-held:fault",))


def reset_held_on_a_new_probe(r: random.Random) -> Scene:
    """Silent under a low nRESET. The J-Link sees the supply, and a low line; that its read-back works at all was never seen."""
    return Scene("", "nrf51-dk", JLINK, HELD, faults=("reset-held",), unknowable=True, twin="swd-open")


def reset_held_where_silence_may_be_no_power(r: random.Random) -> Scene:
    """A chip that is silent in reset, on a probe without a measure of the supply: an unpowered chip's nRESET is low, too."""
    board, fault = r.choice((*((name, "reset-held") for name in SILENT_IN_RESET), ("nrf52840-dk", "reset-held:ignored")))
    return Scene("", board, r.choice((*DAPS, BLIND)), HELD, faults=(fault,), unknowable=True, twin="no-target-power")


def probe_pulls_reset(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS, "lpc1768-mbed"))
    true = ("held-in-reset", "reset-held-by-probe")
    return Scene("", board, any_probe(r, board), true, faults=("probe-stuck-reset",), twin="reset-held-by-board")


def reset_late(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS, "lpc1768-mbed", "nrf52840-dk"))
    delay = r.choice((150, 400, 900, 2500))
    return Scene(
        "", board, any_probe(r, board), ("reset-released-late",), faults=(f"reset-late:{delay}",), rescue=True, twin="held-in-reset"
    )


def reset_loop_of_a_blank_kinetis(r: random.Random) -> Scene:
    """Its security bit reads as set in half of the loop, and its core is in reset on most looks."""
    board = r.choice(KINETIS)
    twin = r.choice(("held-in-reset", "kinetis-security"))
    return Scene("", board, any_probe(r, board), ("reset-loop", "lockup-reset"), before="blank", rescue=True, twin=twin)


def watchdog_loop(r: random.Random) -> Scene:
    board = r.choice(with_script("watchdog"))
    return Scene(
        "", board, any_probe(r, board), ("watchdog", "reset-loop", "algo-reset"), before="watchdog", rescue=True, twin="held-in-reset"
    )


def window_watchdog(r: random.Random) -> Scene:
    board = r.choice(with_script("window-watchdog"))
    before = r.choice(("window-watchdog", "window-watchdog-early"))
    return Scene("", board, any_probe(r, board), ("watchdog", "reset-loop", "algo-reset"), before=before, rescue=True, twin="held-in-reset")


def watchdog_shorter_than_an_erase(r: random.Random) -> Scene:
    board = r.choice(with_script("watchdog-short"))
    true = ("watchdog", "algo-reset", "reset-loop")
    return Scene("", board, any_probe(r, board), true, before="watchdog-short", rescue=True, twin="brown-out")


def watchdog_by_option(r: random.Random) -> Scene:
    board = r.choice(ST)
    true = ("watchdog", "algo-reset", "reset-loop")
    return Scene("", board, any_probe(r, board), true, faults=("watchdog-on",), rescue=True, twin="brown-out")


def idle_probe_holds_swdio_low(r: random.Random) -> Scene:
    return Scene("", "nrf51-dk", any_probe(r, "nrf51-dk"), ("reset-held-by-probe",), faults=("swdio-low",), rescue=True)


# --- power, levels, wires ---------------------------------------------------------------------------------------------------------------


def no_power_seen(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS, "nrf52840-dk"))
    fault = r.choice(("no-power:floating", "no-power:clamped"))
    return Scene("", board, sees_volts(r, board), ("no-target-power",), faults=(fault,), twin="swd-open")


def no_power_unseen(r: random.Random) -> Scene:
    """No CMSIS-DAP probe measures the voltage: like open wires, like a dead chip."""
    board = r.choice(ALL)
    fault = r.choice(("no-power:floating", "no-power:clamped"))
    return Scene("", board, r.choice((*DAPS, BLIND)), ("no-target-power",), faults=(fault,), unknowable=True, twin="held-in-reset")


def wire_open(r: random.Random) -> Scene:
    """Silence with a supply: an open wire, crossed wires, a dead chip."""
    board = r.choice(ALL)
    return Scene("", board, any_probe(r, board), ("swd-open",), faults=("swd-open",), unknowable=True, twin="no-target-power")


def supply_pin_open(r: random.Random) -> Scene:
    board = r.choice(ST)
    return Scene("", board, any_probe(r, board), ("chip-dead",), faults=("vdda-open",), unknowable=True, twin="swd-open")


def supply_too_low(r: random.Random) -> Scene:
    board = r.choice(ST)
    return Scene(
        "", board, sees_volts(r, board), ("target-voltage-low",), faults=(f"vdd:{r.choice(('0.8', '1.2', '1.5'))}",), twin="swd-open"
    )


def supply_too_low_unseen(r: random.Random) -> Scene:
    board = r.choice(ST)
    true = ("target-voltage-low", "no-target-power")
    return Scene("", board, r.choice((*DAPS, BLIND)), true, faults=("vdd:1.2",), unknowable=True, twin="swd-open")


def levels_apart(r: random.Random) -> Scene:
    """That the rail stands at 5 V is seen or not; that the chip does not hear the probe for that reason is never measured."""
    board = r.choice(ST)
    return Scene("", board, any_probe(r, board), ("level-mismatch",), faults=("vdd:5.0",), unknowable=True, twin="swd-open")


def supply_breaks_down(r: random.Random) -> Scene:
    board = r.choice((*ST, "frdm-k64f"))
    true = ("brown-out", "algo-reset", "target-voltage-low")
    return Scene("", board, any_probe(r, board), true, faults=(f"weak-supply:{r.choice((1, 2))}",), rescue=True, twin="watchdog")


def noisy_wires(r: random.Random) -> Scene:
    board = r.choice(ALL)
    fault = f"noise:{r.choice(('0.001', '0.003', '0.01', '0.03', '0.1'))}:{r.randrange(1000)}"
    also = ("algo-download-corrupt", "verify-misread")
    return Scene("", board, any_probe(r, board), ("link-noise",), faults=(fault,), also=also, rescue=True, twin="flash-worn")


def edges_too_slow(r: random.Random) -> Scene:
    board = r.choice(ST)
    fault = f"slow-edges:{r.choice((150000, 500000, 900000))}:{r.choice(('lost', 'parity'))}"
    return Scene("", board, any_probe(r, board), ("link-noise",), faults=(fault,), rescue=True, twin="swd-open")


# --- the program in the chip ------------------------------------------------------------------------------------------------------------


def waits_for_ever(r: random.Random) -> Scene:
    board = r.choice(with_script("wfi"))
    return Scene("", board, any_probe(r, board), ("asleep",), before="wfi", rescue=True, twin="no-ap")


def stopped(r: random.Random) -> Scene:
    board = r.choice(with_script("stop"))
    faults = r.choice(((), ("sleep-port:waits",)))
    return Scene("", board, any_probe(r, board), ("asleep", "debug-off"), faults=faults, before="stop", rescue=True, twin="held-in-reset")


def standby(r: random.Random) -> Scene:
    before = r.choice(("standby", "standby-late", "standby-by-turns"))
    board = r.choice(with_script(before))
    true = ("deep-sleep", "debug-off", "asleep")
    return _shut(Scene("", board, any_probe(r, board), true, before=before, rescue=True, also=("watchdog",), twin="swd-open"))


def _shut(scene: Scene) -> Scene:
    """A reset opens such a port, and shows by that what shut it: not with a probe that does not drive nRESET at all."""
    return msgspec.structs.replace(scene, unknowable=scene.probe == BLIND)


def system_off(r: random.Random) -> Scene:
    board = r.choice(NRF)
    return Scene("", board, any_probe(r, board), ("deep-sleep",), before="system-off", rescue=True, twin="swd-open")


def pins_taken(r: random.Random) -> Scene:
    before = r.choice(("pins-taken", "pins-taken-late", "pins-low"))
    board = r.choice(with_script(before))
    return _shut(Scene("", board, any_probe(r, board), ("swd-pins-taken", "debug-off"), before=before, rescue=True, twin="swd-open"))


def pins_taken_without_nreset(r: random.Random) -> Scene:
    """Silent, and no way to reset it: what the program did cannot be seen."""
    board = r.choice(("nucleo-l476rg", "nucleo-l031k6", "stm32f103rc"))
    true = ("swd-pins-taken", "debug-off", "nreset-no-effect")
    return Scene("", board, any_probe(r, board), true, faults=("nreset-open",), before="pins-taken", unknowable=True, twin="swd-open")


def standby_without_nreset(r: random.Random) -> Scene:
    board = r.choice(("nucleo-l476rg", "nucleo-f429zi", "stm32f103re"))
    true = ("deep-sleep", "debug-off", "nreset-no-effect")
    return Scene("", board, any_probe(r, board), true, faults=("nreset-open",), before="standby", unknowable=True, twin="no-target-power")


def supply_chosen_wrong(r: random.Random) -> Scene:
    board = "nucleo-h743zi"
    return Scene("", board, any_probe(r, board), ("supply-set-wrong",), before="supply-bypass", unknowable=True, twin="swd-open")


def boots_elsewhere(r: random.Random) -> Scene:
    board = r.choice(ST)
    return Scene("", board, any_probe(r, board), ("boot-source",), faults=("boot0-high",), rescue=True, twin="app-locked-up")


# --- locks ------------------------------------------------------------------------------------------------------------------------------

LOCKS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(ST, ("rdp1", ("rdp1",))),
    "nrf52840-dk": ("approtect", ("nrf-approtect",)),
    "nrf51-dk": ("approtect", ("nrf51-readback",)),
    **dict.fromkeys(KINETIS, ("security", ("kinetis-security",))),
    "lpcxpresso55s69": ("debug-lock", ("lpc55-debug-locked",)),
}
"""Board -> its lock and what that is called."""


def locked(r: random.Random) -> Scene:
    board = r.choice(list(LOCKS))
    fault, true = LOCKS[board]
    # A J-Link and an ST-LINK cannot reach every maker's own port; those pairs are ideas of their own.
    probe = r.choice((*DAPS, BLIND)) if board not in ST else any_probe(r, board)
    return Scene("", board, probe, true, faults=(fault,), before=r.choice(("old", "blank")), twin="reset-loop")


def locked_behind_a_refusing_st_link(r: random.Random) -> Scene:
    """Both hold: this ST-LINK refuses every chip of another maker, locked or not, and the lock switches the access port off."""
    board = r.choice(("nrf52840-dk", *KINETIS))
    fault, true = LOCKS[board]
    return Scene("", board, r.choice(REFUSING), ("debug-locked", "probe-fw-refuses-target", *true), faults=(fault,), twin="no-ap")


def refused_by_an_st_link(r: random.Random) -> Scene:
    board = r.choice(("nrf52840-dk", "nrf51-dk", *KINETIS, "lpc1768-mbed"))
    return Scene("", board, r.choice(REFUSING), ("probe-fw-refuses-target",), twin="debug-locked")


def lpc_locked(r: random.Random) -> Scene:
    """Code read protection makes the port deaf."""
    board = "lpc1768-mbed"
    return Scene("", board, any_probe(r, board), ("lpc-crp", "debug-locked"), faults=("crp",), unknowable=True, twin="swd-open")


def hardened_nrf(r: random.Random) -> Scene:
    return Scene("", "nrf52840-dk-v3", r.choice(DAPS), ("nrf-approtect",), faults=("approtect",), twin="held-in-reset")


def protected_pages(r: random.Random) -> Scene:
    board, page = r.choice(
        (
            ("nucleo-l476rg", r.choice((0, 1))), ("nucleo-l432kc", r.choice((0, 1))), ("stm32f103rc", 0), ("stm32f103re", 0),
            ("nucleo-f429zi", 0), ("nucleo-f412zg", 0), ("nucleo-h743zi", 0), ("nucleo-l031k6", 0), ("frdm-k64f", 0), ("frdm-kl25z", 0),
            ("pico", 0),
        )
    )  # fmt: skip
    return Scene("", board, any_probe(r, board), ("write-protected-sector",), faults=(f"write-protect:{page}",), twin="flash-worn")


def protected_pages_of_an_nrf(r: random.Random) -> Scene:
    """Region 0 of an nRF51: writes to it do nothing, and no flag says so. (ACL of an nRF52 is set by a program, and gone with a reset.)"""
    board = "nrf51-dk"
    return Scene("", board, any_probe(r, board), ("write-protected-sector",), faults=("write-protect:0",), twin="flash-unchanged")


# --- the chip ---------------------------------------------------------------------------------------------------------------------------


def other_chip(r: random.Random) -> Scene:
    board, chip = r.choice(
        (
            ("nucleo-l476rg", "stm32l433"), ("nucleo-l476rg", "stm32f411"), ("frdm-kl25z", "k64f"), ("frdm-k64f", "kl25z"),
            ("nucleo-f429zi", "stm32f103rc"), ("nucleo-l432kc", "stm32f429xi"), ("nucleo-h743zi", "stm32l476rg"),
        )
    )  # fmt: skip
    probe = r.choice((*DAPS, BLIND)) if not BOARDS[board].st_chip else any_probe(r, board)
    # Without a board id and without a named target a J-Link has nothing that could be contradicted.
    target = BOARDS[board].chip.replace("stm32l476rg", "stm32l475xg") if probe == JLINK else ""
    # The chip that was soldered on is blank, and a blank Kinetis loops in reset.
    also = ("reset-loop", "lockup-reset") if chip in {"k64f", "kl25z"} else ()
    return Scene("", board, probe, ("wrong-target",), faults=(f"other-chip:{chip}",), target=target, also=also, twin="rdp1")


def wrong_name(r: random.Random) -> Scene:
    board, target = r.choice(
        (
            ("nrf52840-dk", "nrf52832"), ("nucleo-l476rg", "stm32f103rc"), ("stm32f103rc", "stm32f429xi"), ("frdm-k64f", "kl25z"),
            ("nucleo-l031k6", "stm32l475xg"), ("nucleo-f429zi", "stm32l432kc"), ("lpc1768-mbed", "k64f"),
        )
    )  # fmt: skip
    return Scene("", board, any_probe(r, board), ("wrong-target",), target=target, twin="target-unknown")


def nobody_knows_the_target(r: random.Random) -> Scene:
    board = r.choice(ST)
    return Scene("", board, any_probe(r, board), ("target-unknown",), target="stm32z999", twin="wrong-target")


def ram_loses_writes(r: random.Random) -> Scene:
    board = r.choice(ALL)
    return Scene("", board, any_probe(r, board), ("ram-lost", "ram-bad"), faults=("ram-bad:lost",), twin="held-in-reset")


def ram_line_stuck(r: random.Random) -> Scene:
    board = r.choice(ALL)
    return Scene("", board, any_probe(r, board), ("ram-bad",), faults=("ram-bad:stuck",), twin="data-corrupted-on-the-way")


def ram_cell_stuck(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS, *NRF))
    cell = 0x20000000 + r.randrange(0x20, 0x100)
    return Scene("", board, any_probe(r, board), ("ram-bad",), faults=(f"ram-bad:0x{cell:08x}",), twin="data-corrupted-on-the-way")


BUFFERS = {
    "nucleo-l476rg": 0x20001000, "nucleo-l432kc": 0x20001000, "stm32f103rc": 0x20001000, "nucleo-f429zi": 0x20001000,
    "nucleo-l031k6": 0x20001000, "nrf52840-dk": 0x20002000, "frdm-k64f": 0x20003000,
}  # fmt: skip
"""Where the first page buffer of pyOCD's builtin algorithm lies."""


def words_damaged_on_their_way(r: random.Random) -> Scene:
    """From the third write of a page buffer's word on: the RAM test is over by then."""
    board = r.choice(list(BUFFERS))
    fault = f"corrupt-write:0x{BUFFERS[board] + 4 * r.randrange(2, 40):08x}:3"
    return Scene("", board, any_probe(r, board), ("data-corrupted-on-the-way",), faults=(fault,), rescue=True, twin="flash-worn")


def one_word_damaged_once(r: random.Random) -> Scene:
    board = r.choice(list(BUFFERS))
    fault = f"corrupt-write:0x{BUFFERS[board] + 4 * r.randrange(2, 40):08x}:3:1"
    return Scene("", board, any_probe(r, board), ("data-corrupted-on-the-way",), faults=(fault,), rescue=True, twin="flash-worn")


def one_access_refused(r: random.Random) -> Scene:
    """A single access that the bus refuses: what the catalogue calls so is what was wrong."""
    board = r.choice(("nucleo-l476rg", "nucleo-f429zi", "stm32f103rc"))
    fault = f"fault-write:0x{BUFFERS[board] + 0x10:08x}:3"
    return Scene("", board, any_probe(r, board), ("bus-fault",), faults=(fault,), rescue=True, twin="held-in-reset")


def flash_never_ready(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS, *NRF))
    return Scene("", board, any_probe(r, board), ("algo-timeout-flash-busy",), faults=("flash-busy",), twin="algo-timeout")


def worn_cell(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS, *NRF, "lpc1768-mbed", "pico"))
    start = 0x08000000 if board in ST else 0x10000000 if board == "pico" else 0
    # Behind 0x420, where nothing has a meaning of its own.
    fault = f"bad-cell:0x{start + r.randrange(0x440, 2800):08x}"
    return Scene("", board, any_probe(r, board), ("flash-worn", "program-failed"), faults=(fault,), twin="data-corrupted-on-the-way")


def silent_flash_chip(r: random.Random) -> Scene:
    return Scene(
        "", "pico", r.choice((*DAPS, BLIND)), ("flash-chip-silent",), faults=(f"qspi-open:{r.choice(('ff', '00'))}",), twin="flash-worn"
    )


# --- probe and cable --------------------------------------------------------------------------------------------------------------------


def unplugged(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS, *NRF))
    probe = any_probe(r, board)
    after = r.choice((30, 60, 150, 280)) if probe.startswith("cmsis") else r.choice((60, 150, 400))
    return Scene("", board, probe, ("probe-vanished",), faults=(f"unplug-after:{after}",), twin="probe-hung")


def dropped_out_and_back(r: random.Random) -> Scene:
    """The device comes back with another address: it is listed again when one looks."""
    board = r.choice((*ST, *KINETIS))
    probe = any_probe(r, board)
    fault = f"disconnect-reenumerate:{r.choice((40, 100, 250))}:{r.choice((50, 300, 1500))}"
    return Scene("", board, probe, ("probe-vanished", "usb-unstable"), faults=(fault,), rescue=True, twin="probe-hung")


def unplugged_from_a_held_board(r: random.Random) -> Scene:
    """Before it could be measured that the board is held."""
    board = r.choice(ST)
    probe = r.choice((*DAPS, *LINKS))
    return Scene("", board, probe, ("probe-vanished",), faults=("reset-held", "unplug-after:25"), also=HELD, twin="held-in-reset")


def hung_probe(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS))
    return Scene(
        "", board, r.choice((*DAPS, *LINKS)) if board in ST else r.choice(DAPS), ("probe-hung",), faults=("hang",), twin="probe-slow"
    )


def slow_probe(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS))
    probe = r.choice(DAPS)
    return Scene("", board, probe, ("probe-slow",), faults=("slow:1500",), twin="probe-hung")


def slow_st_link(r: random.Random) -> Scene:
    """pyOCD waits one second for each of its answers: one that comes later looks like one that never comes, at first."""
    board = r.choice(ST)
    return Scene("", board, r.choice(LINKS), ("probe-slow",), faults=(f"slow:{r.choice((1200, 1500, 2000))}",), twin="probe-hung")


def stalling_probe(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS))
    probe = r.choice((*DAPS, *LINKS)) if board in ST else r.choice(DAPS)
    return Scene("", board, probe, ("probe-fw-fault",), faults=(r.choice(("stall", "stall:in")),), rescue=True, twin="probe-vanished")


def short_packets(r: random.Random) -> Scene:
    board = r.choice((*ST, *KINETIS))
    probe = r.choice((*DAPS, *LINKS)) if board in ST else r.choice(DAPS)
    return Scene("", board, probe, ("probe-fw-fault",), faults=(f"short-packet:{r.choice((0, 20, 60))}",), twin="link-noise")


def troubled_j_link(r: random.Random) -> Scene:
    """SEGGER's library has one number for all that can happen on USB."""
    board = r.choice((*ST, *KINETIS))
    fault, true = r.choice((("hang", "probe-hung"), ("stall", "probe-fw-fault"), ("short-packet:20", "probe-fw-fault")))
    return Scene("", board, JLINK, (true,), faults=(fault,), unknowable=True, rescue=True, twin="usb-unstable")


def forbidden_probe(r: random.Random) -> Scene:
    board = r.choice(ALL)
    return Scene("", board, any_probe(r, board), ("usb-permission",), faults=("no-permission",), twin="no-probe")


def taken_probe(r: random.Random) -> Scene:
    board = r.choice(ALL)
    return Scene("", board, any_probe(r, board), ("probe-busy",), faults=("busy",), twin="probe-hung")


def nameless_probe(r: random.Random) -> Scene:
    """A probe without a serial is listed; that it is the one that was meant stands nowhere."""
    board = r.choice((*ST, *KINETIS))
    probe = r.choice((*DAPS, *LINKS)) if board in ST else r.choice(DAPS)
    return Scene("", board, probe, ("probe-no-serial",), faults=("no-serial",), unknowable=True, twin="no-probe")


def old_probe_firmware(r: random.Random) -> Scene:
    return Scene("", r.choice(ST), "stlink-v2-old", ("probe-fw-too-old",), twin="probe-fw-fault")


# --- the file ---------------------------------------------------------------------------------------------------------------------------


def file_idea(name: str, drop: str, true: tuple[str, ...], boards: Sequence[str] = ALL, **more: object) -> Draw:
    """An idea with one file; ``more`` are further fields of the scene."""

    def draw(r: random.Random) -> Scene:
        board = r.choice(list(boards))
        return msgspec.structs.replace(Scene("", board, any_probe(r, board), true, drop=drop), **more)

    draw.__name__ = name
    return draw


FILES: tuple[Draw, ...] = (
    file_idea("file_for_another_maker", "other-maker", ("image-wrong-chip", "image-bad-vectors"), (*KINETIS, *NRF, "lpc1768-mbed"),
              twin="image-bad-vectors"),
    # Not on a Kinetis, which this file would lock as well.
    file_idea("file_without_vectors", "no-vectors", ("image-bad-vectors",), (*ST, *NRF, "lpc1768-mbed"), twin="image-wrong-chip"),
    file_idea("file_without_boot_header", "no-vectors", ("image-bad-boot-header", "image-bad-vectors"), ("pico", "lpcxpresso55s69")),
    file_idea("file_too_big", "too-big", ("image-too-big",), ("nucleo-l031k6", "stm32f103rc", "frdm-kl25z", "nucleo-l432kc"),
              twin="image-outside-flash"),
    file_idea("file_behind_the_end", "behind-the-end", ("image-outside-flash",),
              ("nucleo-l432kc", "nucleo-l476rg", "frdm-kl25z", "stm32f103rc"), twin="image-too-big"),
    file_idea("file_far_outside", "outside-flash", ("image-outside-flash",), (*ST, *KINETIS, *NRF), twin="wrong-target"),
    file_idea("file_with_ram", "data-for-ram", ("image-uses-ram",), (*ST, *KINETIS, *NRF), twin="image-outside-flash"),
    file_idea("file_cut_short", "hex-cut", ("image-truncated",), twin="hex-syntax"),
    file_idea("file_with_a_flipped_digit", "hex-flipped", ("hex-checksum",), twin="hex-syntax"),
    file_idea("file_with_text_in_it", "hex-with-text", ("hex-syntax",), twin="hex-checksum"),
    file_idea("file_that_contradicts_itself", "hex-twice", ("image-overlap",)),
    file_idea("file_that_locks", "locks-the-chip", ("image-would-lock",), (*KINETIS, "nrf52840-dk", "lpc1768-mbed"),
              twin="kinetis-security"),
    file_idea("file_signed_for_mcuboot", "mcuboot", ("image-needs-base",), (*ST, *KINETIS, *NRF), twin="image-bad-vectors"),
    file_idea("file_for_the_probe", "probe-firmware", ("probe-firmware",), (*ST, *KINETIS, *NRF), twin="image-bad-vectors"),
    file_idea("file_over_a_softdevice", "behind-0x1c000", ("softdevice-overlap",), ("nrf52840-dk",), before="softdevice",
              twin="bootloader-missing"),
    file_idea("file_without_its_softdevice", "behind-0x1c000", ("bootloader-missing",), ("nrf52840-dk",), before="blank",
              twin="softdevice-overlap"),
    file_idea("file_that_is_empty", "nothing", ("image-empty",), twin="image-truncated"),
    file_idea("file_of_a_web_page", "web-page", ("image-unknown-format",), twin="image-bad-vectors"),
    file_idea("file_of_an_archive", "archive", ("image-unknown-format",), twin="image-bad-vectors"),
    file_idea("good_file_elf_as_bin", "elf-as-bin", (), ST, before="bootloader", twin="image-bad-vectors"),
    file_idea("good_file_hex_without_suffix", "hex-without-suffix", (), twin="image-unknown-format"),
)  # fmt: skip


def bad_file_on_a_held_board(r: random.Random) -> Scene:
    """The file is refused before the board is looked at."""
    board = r.choice(ST)
    return Scene(
        "", board, any_probe(r, board), ("hex-checksum",), faults=("reset-held",), drop="hex-flipped", also=HELD, twin="held-in-reset"
    )


# --- field cases ------------------------------------------------------------------------------------------------------------------------

FIELD: Mapping[str, Mapping[str, object]] = {
    "FC-19": {"true": ("image-wrong-chip", "image-bad-vectors")},
    "FC-26": {"unknowable": True},  # CMSIS-DAP: silence
    "FC-29": {"true": ("debug-locked", "probe-fw-refuses-target", "nrf-approtect")},
    "FC-31": {"also": ("reset-loop", "lockup-reset")},  # the chip that was soldered on is blank
    "FC-35": {"true": HELD},
    "FC-36": {"true": HELD},
    "FC-40": {"true": ("nreset-no-effect", "deep-sleep", "debug-off"), "unknowable": True},
    "FC-42": {"unknowable": True},
    "FC-45": {"unknowable": True},
    "FC-46": {"unknowable": True},
    "FC-48": {"unknowable": True},
    "FC-49": {"unknowable": True},
    "FC-51": {"true": ("asleep", "debug-off")},
    "FC-54": {"true": ("deep-sleep", "debug-off")},
    "FC-55": {"true": ("swd-pins-taken", "debug-off")},
    "FC-56": {"true": ("swd-pins-taken", "debug-off")},
    "FC-57": {"true": ("swd-pins-taken", "debug-off", "nreset-no-effect"), "unknowable": True},
    "FC-58": {"true": ("reset-loop", "lockup-reset")},
    "FC-59": {"true": ("watchdog", "algo-reset")},
}
"""What a field case's row does not say: further names of its cause, and that its probe cannot measure it."""


def field_case(number: str) -> Draw:
    """A field case as an idea without chance."""
    row = SCENARIOS[number]
    scene = Scene(
        "", row.board, row.probe, (row.cause,) if row.cause else (), row.faults, row.drop, row.before, row.target, rescue=row.rescue
    )
    scene = msgspec.structs.replace(scene, **FIELD.get(number, {}))

    def draw(_r: random.Random) -> Scene:
        return scene

    draw.__name__ = number
    return draw


def told_the_target(idea: Draw) -> Draw:
    """The same idea with :func:`named` scenes."""

    def draw(r: random.Random) -> Scene:
        return named(idea(r))

    draw.__name__ = getattr(idea, "__name__", "idea")
    return draw


_IDEAS: tuple[Draw, ...] = (
    good_board,
    good_board_whose_nreset_reads_low,
    good_board_after_half_an_erase,
    good_board_with_the_nreset_wire_open,
    good_board_at_a_low_voltage,
    good_board_with_other_pages_protected,
    good_board_with_a_bad_cell_elsewhere,
    good_blank_chip,
    good_fed_watchdog,
    good_sleeper_that_ticks,
    reset_held,
    reset_held_on_an_nrf52,
    reset_held_on_a_new_probe,
    reset_held_where_silence_may_be_no_power,
    probe_pulls_reset,
    reset_late,
    reset_loop_of_a_blank_kinetis,
    watchdog_loop,
    window_watchdog,
    watchdog_shorter_than_an_erase,
    watchdog_by_option,
    idle_probe_holds_swdio_low,
    no_power_seen,
    no_power_unseen,
    wire_open,
    supply_pin_open,
    supply_too_low,
    supply_too_low_unseen,
    levels_apart,
    supply_breaks_down,
    noisy_wires,
    edges_too_slow,
    waits_for_ever,
    stopped,
    standby,
    system_off,
    pins_taken,
    pins_taken_without_nreset,
    standby_without_nreset,
    supply_chosen_wrong,
    boots_elsewhere,
    locked,
    locked_behind_a_refusing_st_link,
    refused_by_an_st_link,
    lpc_locked,
    hardened_nrf,
    protected_pages,
    protected_pages_of_an_nrf,
    other_chip,
    wrong_name,
    nobody_knows_the_target,
    ram_loses_writes,
    ram_line_stuck,
    ram_cell_stuck,
    words_damaged_on_their_way,
    one_word_damaged_once,
    one_access_refused,
    flash_never_ready,
    worn_cell,
    silent_flash_chip,
    unplugged,
    dropped_out_and_back,
    unplugged_from_a_held_board,
    hung_probe,
    slow_probe,
    slow_st_link,
    stalling_probe,
    short_packets,
    troubled_j_link,
    forbidden_probe,
    taken_probe,
    nameless_probe,
    old_probe_firmware,
    *FILES,
    bad_file_on_a_held_board,
)
IDEAS: tuple[Draw, ...] = (
    *map(told_the_target, _IDEAS),
    nobody_names_the_target,
    *open_from_held_out.IDEAS,
    *(field_case(number) for number in SCENARIOS),
)
"""All of them."""
