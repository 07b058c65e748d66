"""Causes between probe and chip: power, SWD wires, the reset line."""

from __future__ import annotations

from msdflash.diagnose.cause import Cause, Remedy, cause

_METER = "a voltmeter and a minute"
_LOOK = Remedy("Look at the plug: pin 1, orientation, each wire of SWDIO, SWCLK and GND.", "a minute")
_POWER = "Switch the target on and look for its power LED. SWD wires do not feed a board."

BOARD_CAUSES: tuple[Cause, ...] = (
    cause(
        "swd-silent",
        "the chip does not answer on the SWD wires: {rivals}",
        "ERROR_RESET",
        _POWER,
        _LOOK,
        Remedy("Measure the 3.3 V supply at the chip itself, probe connected.", _METER),
        Remedy("Hold RESET, drop the file, let go after a second: this catches firmware that switches SWD off.", "resets the program"),
        plain="the chip does not answer on the SWD wires",
        retryable=True,
        symptom=True,
    ),
    cause(
        "target-lost",
        "the chip answered at first, and then no more",
        "ERROR_RESET",
        "Look whether the target's power LED still lights.",
        Remedy("Push the plug and the wires in again.", "a minute"),
        Remedy(
            'Set `connect = "under-reset"` for this drive: a program that sleeps or takes the SWD pins cannot do so then.',
            "resets the program",
        ),
        retryable=True,
        symptom=True,
    ),
    cause(
        "no-target-power",
        "the target has no power: the probe sees {volts} V at its target-voltage pin",
        "ERROR_RESET",
        _POWER,
        Remedy("Measure the supply at the chip. Below 1.6 V no Cortex-M works.", _METER),
        "Check the power jumper and that the board's own USB or supply is plugged in.",
        plain="the target has no power",
        retryable=True,
    ),
    cause(
        "target-voltage-low",
        "the target's supply is too low: the probe sees {volts} V",
        "ERROR_RESET",
        "Check the supply: a nearly empty battery, a current limit, a wrong jumper.",
        Remedy("Measure the supply at the chip while the probe tries.", _METER),
        plain="the target's supply is too low",
        retryable=True,
    ),
    cause(
        "vtref-not-wired",
        "the probe's target-voltage pin is not connected: it reads {volts} V while the chip answers",
        "ERROR_RESET",
        Remedy("Wire VTref (pin 1 of the 10-pin plug) to the target's 3.3 V.", "a wire"),
        plain="the probe's target-voltage pin is not connected to the target's supply",
    ),
    cause(
        "level-mismatch",
        "the target's signal level does not match the probe: {volts} V",
        "ERROR_RESET",
        Remedy("Compare the target's supply with the levels that the probe can drive.", _METER),
        plain="the target's signal level does not match the probe",
    ),
    cause("swd-open", "an SWD wire is not connected (SWDIO, SWCLK or GND)", "ERROR_RESET", _LOOK, retryable=True),
    cause(
        "swd-swapped", "SWDIO and SWCLK are swapped", "ERROR_RESET", Remedy("Swap the two wires and try again.", "a minute"), retryable=True
    ),
    cause(
        "swd-short",
        "something holds the SWDIO wire low",
        "ERROR_RESET",
        Remedy("Measure SWDIO to GND with the probe unplugged, target powered: a short shows less than 10 ohm without power.", _METER),
        _POWER,
        retryable=True,
    ),
    cause(
        "debug-off",
        "the program in the chip has switched the debug port off",
        "ERROR_RESET",
        Remedy(
            'Set `connect = "under-reset"` for this drive and drop the file again. The nRESET wire must be connected.', "resets the program"
        ),
        Remedy("Hold RESET (or the BOOT0 jumper) while you drop the file.", "resets the program"),
        retryable=True,
    ),
    cause(
        "chip-dead",
        "the chip is damaged, or a supply pin of it is open",
        "ERROR_RESET",
        Remedy("Try the probe on a board that is known to work.", "a second board"),
        Remedy("Check every supply pin of the chip: VDD, VDDA, VCAP.", _METER),
    ),
    cause(
        "link-noise",
        "the SWD link makes errors: {errors} of {reads}",
        "ERROR_ERROR_DURING_TRANSFER",
        "Set a lower `frequency` for this drive, such as 500 kHz.",
        Remedy("Use shorter wires (below 15 cm), with GND beside SWCLK.", "a minute"),
        Remedy("Put 22 to 100 ohm in series with SWCLK at the probe.", "a resistor"),
        plain="the SWD link makes errors",
        retryable=True,
    ),
    cause(
        "held-in-reset",
        "the chip {how}",
        "ERROR_RESET",
        "Let go of the RESET button and of anything clipped to the reset pin. Then drop the file again.",
        "Look at the reset switch: contacts of a four-pin switch that is mounted rotated by 90 degrees short nRESET to GND for good.",
        Remedy(
            "Unplug the probe, power the board, and measure nRESET to GND. Below 0.8 V: the board pulls it. High: the probe does.", _METER
        ),
        "Unplug every other debugger, serial adapter and shield: an unpowered one can pull nRESET low.",
        Remedy("Measure the supply: a reset supervisor holds nRESET while its supply is too low.", _METER),
        plain="the chip is being held in reset",
    ),
    cause(
        "reset-held-by-board",
        "something on the board pulls nRESET low: the switch, a supervisor chip, or a short",
        "ERROR_RESET",
        "Press and release the RESET button. Look whether its contacts are mounted rotated.",
        Remedy("Unplug the probe and measure nRESET to GND with the board powered. Below 0.8 V proves the board.", _METER),
        Remedy("Lift or cut off what hangs on nRESET, one part after the other.", "soldering"),
    ),
    cause(
        "reset-held-by-probe",
        "the probe itself pulls nRESET low, or its reset wire is shorted",
        "ERROR_RESET",
        "Unplug the probe: if the board starts now, the probe was holding it.",
        Remedy("Leave the nRESET wire off and drop the file again.", "a minute"),
        Remedy("Try another probe.", "another probe"),
    ),
    cause(
        "reset-held-by-own-session",
        "the debug session itself left nRESET low",
        "ERROR_RESET",
        "Unplug the probe, plug it in again, then drop the file again.",
        retryable=True,
    ),
    cause(
        "reset-released-late",
        "nRESET rises only {ms} ms after it is released",
        "ERROR_RESET",
        "Drop the file again: the chip may be out of reset by now.",
        Remedy("Check the capacitor on nRESET (100 nF is usual) and its pull-up (10 kilohm is usual).", _METER),
        Remedy("Look up the delay of the reset supervisor chip.", "its data sheet"),
        plain="nRESET rises too late after it is released",
        retryable=True,
    ),
    cause(
        "reset-weakly-held",
        "nRESET is low until this probe drives it high",
        "ERROR_RESET",
        "Expect the board to stop when the probe is unplugged.",
        Remedy("Check the pull-up on nRESET, and look for an unpowered second debugger on that line.", _METER),
    ),
    cause(
        "reset-loop",
        "the chip resets again and again",
        "ERROR_RESET",
        Remedy('Set `connect = "under-reset"` for this drive and drop the file again.', "resets the program"),
        "If the chip's flash is blank or its program crashes: on Kinetis and nRF that alone makes the loop. Flashing cures it.",
        "Disconnect an external watchdog or supervisor from nRESET.",
        Remedy("Measure the supply under load: a weak one makes brown-out resets.", _METER),
        retryable=True,
    ),
    cause(
        "nreset-no-effect",
        "a pulse on nRESET by this probe does not reset the chip",
        "ERROR_RESET",
        "Wire nRESET from the probe to the chip. Some probes, and some builds of their firmware, have no reset output.",
        Remedy("Check whether the chip's reset pin is switched off (nRF52: PSELRESET; STM32 G0, G4, C0: NRST_MODE).", "the maker's tool"),
    ),
)
"""Causes that a person finds with eyes, fingers and a voltmeter."""
