"""Held-out ideas about power, wires, nRESET, probes and USB. FC-nn are the field cases, M-n the parts of the measurement sheet."""

from __future__ import annotations

import random

from tests.accuracy.held_out_draw import (
    BLIND,
    HELD,
    JLINK,
    KINETIS,
    L0,
    L4,
    LPC17,
    LPC55,
    MEASURES_VOLTS,
    NRF51,
    NRF52,
    OTHERS,
    PICO,
    READS_RESET,
    REFUSING,
    ST,
    STLINK,
    any_probe,
    resetting_probe,
    scene,
)
from tests.accuracy.play import Scene

# --- power -------------------------------------------------------------------------------------------------------------------


def target_without_power(rng: random.Random) -> Scene:
    """FC-46, M-2.3: SWD wires feed no board. The probe measures 0 V and nobody answers."""
    probe = rng.choice(MEASURES_VOLTS)
    board = rng.choice((*ST, *OTHERS)) if probe == JLINK else rng.choice(ST)
    return scene(rng, board, probe, ("no-target-power",), f"no-power:{rng.choice(('floating', 'clamped'))}")


def power_that_only_the_reset_line_tells(rng: random.Random) -> Scene:
    """FC-46 at a probe without a voltmeter: silence, and nRESET lies low with its dead pull-up. On an STM32 a held reset would answer
    (M-4.1), so missing power comes first, though only as possible. It shares the low line with a held reset."""
    board = rng.choice((*L4, "nucleo-f429zi", "stm32f103rc"))
    return scene(rng, board, rng.choice(READS_RESET), ("no-target-power",), "no-power:floating", twin="held-in-reset")


def power_that_nothing_tells(rng: random.Random) -> Scene:
    """M-3, confusions: no voltmeter, a constant nRESET, no answer. No power, an open wire and a dead chip look alike."""
    board = rng.choice((*ST, NRF52, *KINETIS))
    return scene(
        rng, board, BLIND, ("no-target-power",), f"no-power:{rng.choice(('floating', 'clamped'))}", unknowable=True, twin="swd-open"
    )


def sagging_rail(rng: random.Random) -> Scene:
    """M-2.3: 0.3 to 1.6 V is less than any chip of the bench starts from, and the probe reads the figure."""
    volts = rng.choice(("1.0", "1.2", "1.35", "1.5"))
    return scene(rng, rng.choice(ST), rng.choice(MEASURES_VOLTS), ("target-voltage-low",), f"vdd:{volts}", twin="no-target-power")


def sagging_rail_unmeasured(rng: random.Random) -> Scene:
    """The same at a CMSIS-DAP probe: it has no voltmeter, nRESET is pulled up, and there is only silence."""
    volts = rng.choice(("0.9", "1.3", "1.55"))
    return scene(rng, rng.choice(ST), rng.choice((*READS_RESET, BLIND)), ("target-voltage-low",), f"vdd:{volts}", unknowable=True)


def low_but_good_supply(rng: random.Random) -> Scene:
    """1.71 V (L4, DS10198) and 1.7 V (nRF52840, PS) are enough: a board at 1.8 V is as it should be."""
    probe = rng.choice(MEASURES_VOLTS)
    board = rng.choice((*L4, *L0, NRF52)) if probe == JLINK else rng.choice((*L4, *L0))
    return scene(rng, board, probe, (), f"vdd:{rng.choice(('1.75', '1.8', '2.0'))}", twin="target-voltage-low")


def five_volt_target_unmeasured(rng: random.Random) -> Scene:
    """FC-45 at a probe without a voltmeter."""
    return scene(rng, "stm32f103rc", rng.choice((*READS_RESET, BLIND)), ("level-mismatch",), "vdd:5.0", unknowable=True)


def analogue_supply_pin_open(rng: random.Random) -> Scene:
    """FC-48: VDDA not connected. The rail is up and the chip silent; M-3: possible at most with any probe."""
    board = rng.choice(("stm32f103rc", "nucleo-f412zg", "nucleo-h743zi", "nucleo-l432kc"))
    probe = rng.choice((*READS_RESET, *STLINK, JLINK))
    return scene(rng, board, probe, ("chip-dead",), "vdda-open", unknowable=True, twin="swd-open")


def supply_breaks_down_under_erase(rng: random.Random) -> Scene:
    """FC-50: the current of an erase is too much. Each time power-on and half an erase; reset flags say power-on (M-2.10). That the chip
    was reset during the algorithm is true as well, and that what is left of the program crashes. Blank flash may need no erase."""
    board = rng.choice((*L4, "stm32f103rc", "nucleo-f429zi", *KINETIS))
    before = rng.choice(("old", "old", "blank"))
    also = ("algo-reset", "app-locked-up", "lockup-reset", "reset-loop")
    return scene(rng, board, any_probe(rng, board), ("brown-out",), "weak-supply:1", before=before, also=also, rescue=before == "blank")


# --- wires -------------------------------------------------------------------------------------------------------------------


def wire_open(rng: random.Random) -> Scene:
    """FC-42: a broken SWD wire. M-3: open, swapped, port off and dead chip cannot be told apart by any probe."""
    board = rng.choice((*ST, *OTHERS))
    return scene(rng, board, any_probe(rng, board), ("swd-open",), "swd-open", unknowable=True)


def long_wires(rng: random.Random) -> Scene:
    """FC-44: above some clock nothing or only rubbish gets through; below it all is well. A slower clock is a rescue."""
    kind = rng.choice(("lost", "parity"))
    board = rng.choice((*ST, NRF52, *KINETIS))
    hertz = rng.choice((150_000, 300_000, 450_000, 700_000))
    return scene(rng, board, any_probe(rng, board), ("link-noise",), f"slow-edges:{hertz}:{kind}", rescue=True)


def reset_wire_open(rng: random.Random) -> Scene:
    """FC-40: the pin follows the probe, the chip does not. SYSRESETREQ does the work, so that it can be flashed all the same."""
    board = rng.choice((*ST, *KINETIS))
    return scene(rng, board, resetting_probe(rng, board), ("nreset-no-effect",), "nreset-open", rescue=True)


# --- nRESET ------------------------------------------------------------------------------------------------------------------


def switch_mounted_askew(rng: random.Random) -> Scene:
    """FC-35, FC-36: the debug port answers, the core is in reset for ever; the pin is low where it can be read."""
    board = rng.choice((*ST, *KINETIS, LPC17, NRF52))
    probe = resetting_probe(rng, board)
    variant = "fault" if board in (NRF52, *KINETIS) else rng.choice(("fault", "ignored"))
    return scene(rng, board, probe, HELD, f"reset-held:{variant}", twin="ram-lost" if variant == "ignored" else "")


def held_at_a_blind_probe(rng: random.Random) -> Scene:
    """FC-35 with nRESET unreadable: DHCSR and the reset catch (M-2.10), or MDM-AP (M-2.8), still tell that the core is in reset."""
    board = rng.choice((*L4, "nucleo-f429zi", "frdm-k64f"))
    return scene(rng, board, BLIND, HELD, "reset-held", twin="reset-loop")


def blind_probe_on_a_good_board(rng: random.Random) -> Scene:
    """M-1.2: nRESET reads 0 for ever on the commonest classroom board. Nothing is held and nothing is wrong."""
    board = rng.choice((*ST, NRF52, *KINETIS, LPC17))
    # A blank Kinetis would be in a reset loop.
    before = "old" if board in KINETIS else rng.choice(("old", "blank"))
    return scene(rng, board, BLIND, twin="held-in-reset", before=before)


def probe_driver_stuck(rng: random.Random) -> Scene:
    """M-2.4: the probe's own driver holds the line. That the chip is held is as true as who does it."""
    board = rng.choice((*ST, *KINETIS))
    true = ("held-in-reset", "reset-held-by-probe")
    return scene(rng, board, resetting_probe(rng, board), true, "probe-stuck-reset", twin="reset-held-by-board")


def probe_driver_stuck_at_an_open_wire(rng: random.Random) -> Scene:
    """The probe's end is low, the chip's is not: all accesses work and the core runs. A pin alone proves nothing (M-1.2)."""
    board = rng.choice((*L4, *KINETIS, "stm32f103re"))
    faults = ("probe-stuck-reset", "nreset-open")
    also = ("nreset-no-effect", "reset-held-by-probe")
    return scene(rng, board, rng.choice(READS_RESET), (), *faults, also=also, twin="held-in-reset")


def board_holds_behind_an_open_wire(rng: random.Random) -> Scene:
    """The other way round: the probe reads high, yet the core is in reset and no catch helps (M-2.10)."""
    board = rng.choice((*L4, "nucleo-f412zg", "stm32f103rc"))
    return scene(rng, board, rng.choice(READS_RESET), HELD, "reset-held", "nreset-open", also=("nreset-no-effect",), twin="reset-loop")


def supervisor_is_slow(rng: random.Random) -> Scene:
    """FC-38, M-3 nreset-slow-rise: after each low the line stays low, for the chip's own resets too. Who waits long enough can flash."""
    board = rng.choice((*ST, *KINETIS, LPC17))
    delay = rng.choice((150, 350, 700, 1500, 4000))
    return scene(
        rng, board, resetting_probe(rng, board), ("reset-released-late",), f"reset-late:{delay}", rescue=True, twin="held-in-reset"
    )


def nrf51_held(rng: random.Random) -> Scene:
    """The nRF51's port is silent while its pin is low (docs/bench.md). A J-Link sees supply and pin; a CMSIS-DAP cannot exclude that
    there is no power (M-3, confusions)."""
    probe = rng.choice((JLINK, "cmsis-dap", "cmsis-dap-v1"))
    return scene(rng, NRF51, probe, HELD, "reset-held", unknowable=probe != JLINK, twin="no-target-power")


def pico_run_low(rng: random.Random) -> Scene:
    """M-1.25: RUN low resets the debug ports with all else: silence, and a low line. An unpowered Pico shows the same."""
    return scene(rng, PICO, rng.choice(READS_RESET), HELD, "reset-held", unknowable=True, twin="no-target-power")


def nrf52_held_in_silence(rng: random.Random) -> Scene:
    """M-1.10: users report no SWD at all while nRST is low. Without a voltmeter that could as well be a board without power."""
    return scene(rng, NRF52, rng.choice(READS_RESET), HELD, "reset-held:ignored", unknowable=True, twin="no-target-power")


def idle_probe_holds_swdio(rng: random.Random) -> Scene:
    """FC-39: SWDIO is the nRF51's reset pin. Whoever scans wakes the chip, so it can be flashed; between sessions it is held."""
    true = ("reset-held-by-probe", "swd-short", "held-in-reset")
    return scene(rng, NRF51, rng.choice((*READS_RESET, JLINK)), true, "swdio-low", rescue=True)


# --- probes ------------------------------------------------------------------------------------------------------------------


def probe_firmware_from_long_ago(rng: random.Random) -> Scene:
    """FC-27: pyOCD refuses ST-LINK firmware before J24, whatever is wrong with the board behind it."""
    faults = rng.choice(((), ("reset-held",), ("rdp1",)))
    also = {(): (), ("reset-held",): HELD, ("rdp1",): ("rdp1",)}[faults]
    return scene(rng, rng.choice(ST), "stlink-v2-old", ("probe-fw-too-old",), *faults, also=also)


def stlink_refuses_other_makers(rng: random.Random) -> Scene:
    """FC-28: firmware from J37 on answers 0x1D where the chip is not ST's."""
    return scene(rng, rng.choice((*OTHERS, LPC55)), rng.choice(REFUSING), ("probe-fw-refuses-target",))


def stlink_refuses_a_locked_chip(rng: random.Random) -> Scene:
    """FC-29: the same probe on a locked nRF52. The refusal comes first; the lock is true behind it, and not to be measured from here."""
    return scene(rng, NRF52, rng.choice(REFUSING), ("probe-fw-refuses-target",), "approtect", also=("nrf-approtect",))


def unnamed_pico_at_a_probe_without_sequences(rng: random.Random) -> Scene:
    """The same where nobody says what chip it is: a dormant port is silence (IHI 0031 B5.3), like an open wire."""
    return scene(rng, PICO, rng.choice((JLINK, *STLINK)), ("probe-cannot-reach-chip",), target="", unknowable=True, twin="swd-open")


# --- USB ---------------------------------------------------------------------------------------------------------------------


def _board(rng: random.Random, probe: str) -> str:
    return rng.choice(ST) if probe in STLINK else rng.choice((*ST, *OTHERS))


def usb_not_permitted(rng: random.Random) -> Scene:
    """FC-10: EACCES at open; the system lists the device."""
    probe = rng.choice((*READS_RESET, *STLINK, JLINK))
    return scene(rng, _board(rng, probe), probe, ("usb-permission",), "no-permission", twin="no-probe")


def usb_busy(rng: random.Random) -> Scene:
    """FC-11: another program has claimed the probe: EBUSY, and a holder of its node."""
    probe = rng.choice((*READS_RESET, *STLINK, JLINK))
    return scene(rng, _board(rng, probe), probe, ("probe-busy",), "busy")


def usb_slow(rng: random.Random) -> Scene:
    """M-2.2: answers come, late. pyOCD's ST-LINK driver gives up after a second and SEGGER's library says nothing: there it may also
    be told as hung or as a bad link."""
    probe = rng.choice((*READS_RESET, "stlink-v3", JLINK))
    more = {"stlink-v3": ("probe-hung",), JLINK: ("probe-hung", "usb-unstable")}.get(probe, ())
    return scene(rng, _board(rng, probe), probe, ("probe-slow", *more), f"slow:{rng.choice((1200, 1500, 2500))}", twin="engine-timeout")


def usb_hangs(rng: random.Random) -> Scene:
    """M-4.4: NAK for ever, the device still listed. A J-Link's library does not say more than that USB failed."""
    probe = rng.choice((*READS_RESET, *STLINK, JLINK))
    true = ("probe-hung", "usb-unstable") if probe == JLINK else ("probe-hung",)
    return scene(rng, _board(rng, probe), probe, true, "hang", twin="probe-vanished")


def usb_unplugged(rng: random.Random) -> Scene:
    """FC-13: the device is gone after some transfers. Gone before it was opened it is no more than not there."""
    probe = rng.choice((*READS_RESET, *STLINK, JLINK))
    count = rng.choice((8, 40, 90, 120, 150))
    true = ("probe-vanished", "no-probe") if count < 60 else ("probe-vanished",)
    return scene(rng, _board(rng, probe), probe, true, f"unplug-after:{count}")


def usb_enumerates_anew(rng: random.Random) -> Scene:
    """FC-13: a new address is a link that broke for a moment. The probe vanished and came back: both names are right."""
    probe = rng.choice((*READS_RESET, *STLINK))
    fault = f"disconnect-reenumerate:{rng.choice((50, 120, 200))}:{rng.choice((100, 300, 1500))}"
    return scene(rng, _board(rng, probe), probe, ("probe-vanished", "usb-unstable"), fault, rescue=True)


def usb_without_serial(rng: random.Random) -> Scene:
    """A clone without a serial number: no probe of the wanted id is there, because this one has none."""
    probe = rng.choice((*READS_RESET, "stlink-v3", JLINK))
    return scene(rng, _board(rng, probe), probe, ("probe-no-serial", "no-probe"), "no-serial")


def usb_other_serial(rng: random.Random) -> Scene:
    """Another probe is plugged in than the drive is set up for."""
    probe = rng.choice(READS_RESET)
    return scene(rng, _board(rng, probe), probe, ("no-probe",), "equal-serial:0240A1B2C3D4", twin="probe-no-serial")


IDEAS = (
    target_without_power,
    power_that_only_the_reset_line_tells,
    power_that_nothing_tells,
    sagging_rail,
    sagging_rail_unmeasured,
    low_but_good_supply,
    five_volt_target_unmeasured,
    analogue_supply_pin_open,
    supply_breaks_down_under_erase,
    wire_open,
    long_wires,
    reset_wire_open,
    switch_mounted_askew,
    held_at_a_blind_probe,
    blind_probe_on_a_good_board,
    probe_driver_stuck,
    probe_driver_stuck_at_an_open_wire,
    board_holds_behind_an_open_wire,
    supervisor_is_slow,
    nrf51_held,
    pico_run_low,
    nrf52_held_in_silence,
    idle_probe_holds_swdio,
    probe_firmware_from_long_ago,
    stlink_refuses_other_makers,
    stlink_refuses_a_locked_chip,
    unnamed_pico_at_a_probe_without_sequences,
    usb_not_permitted,
    usb_busy,
    usb_slow,
    usb_hangs,
    usb_unplugged,
    usb_enumerates_anew,
    usb_without_serial,
    usb_other_serial,
)
