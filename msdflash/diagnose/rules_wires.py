"""Rules about power and the SWD wires.

A silent debug port is one measurement with many causes. Where this probe cannot tell them apart they are told as a set, all ``possible``.
"""

from __future__ import annotations

from msdflash.diagnose.evidence import ANSWERED_ACKS, Evidence, is_register
from msdflash.diagnose.finding import Finding
from msdflash.diagnose.words import (
    CERTAIN,
    LIKELY,
    POSSIBLE,
    RULED_OUT,
    UNLIKELY,
    dp_words,
    engine_said,
    found,
    hertz,
    sweep_words,
)

NO_SUPPLY = 0.3
LOW_SUPPLY = 1.6
HIGH_SUPPLY = 3.7
"""Volts at VTref. Cortex-M parts need 1.62 to 2.0 V (SAM D21, STM32L4, nRF52, STM32F1 datasheets); above 3.7 V a 3.3 V probe cannot drive
0.7 VDD."""

TOUCHED_TARGET = frozenset({"no-dp", "no-power-ack", "no-ap", "core-in-reset", "no-halt", "transfer", "ram", "algo-readback"})
"""Failures for which it helps to say that power and wires are fine."""

READ_BLOCK = 64
"""Registers in one block of the reading ``swd.errors``: an error is counted once a block."""

MANY_READS = 20
"""Reads at one clock from which on their outcome is no accident."""

SILENCE = frozenset({"no-ack", "ack-7", "ack-0", "no-answer", "stlink-5", "stlink-9"})
"""Words in ``swd.ack`` that mean that nobody answered."""

ACK_WORDS = {
    "no-ack": "no acknowledge: nobody drives SWDIO",
    "ack-7": "no acknowledge: nobody drives SWDIO",
    "ack-0": "acknowledge 0: something holds SWDIO low",
    "no-answer": "no answer that the J-Link understood, when asked for CTRL/STAT neither",
    "unspecified": "an error that the J-Link does not name",
    "parity": "wrong parity",
    "wait": "WAIT",
    "fault": "FAULT",
    "stlink-5": "ST-LINK code 5, no device",
    "stlink-9": "ST-LINK code 9, no identity code",
    "stlink-11": "ST-LINK code 11, debug power error",
    "stlink-29": "ST-LINK code 29, bad access port",
}
"""What an acknowledge means on the wire (Arm IHI 0031 B4.2; ST-LINK codes as in pyOCD probe/stlink/constants.py)."""


def ack_words(e: Evidence) -> str:
    """``the debug port's id (DPIDR) was asked for once and did not come back: no acknowledge ...``."""
    if not e.acks:
        return "DPIDR did not come back"
    words = ACK_WORDS.get(e.acks[-1], e.acks[-1])
    often = "once" if len(e.acks) == 1 else f"{len(e.acks)} times"
    return f"the debug port's id (DPIDR) was asked for {often} and did not come back: {words}"


def volts_words(e: Evidence) -> str:
    """What the probe sees at its target-voltage pin, or that it cannot."""
    return (
        "this probe cannot measure the target's voltage" if e.vtref is None else f"the probe sees {e.vtref:.2f} V at its target-voltage pin"
    )


def mute(e: Evidence) -> bool:
    """Silent, and no other clock and no reset made it speak either."""
    return e.silent and not e.dp_ever


def swd_silent(e: Evidence) -> Finding | None:
    """The measured symptom, with what this probe cannot tell apart."""
    if not e.silent:
        return None
    return found("swd-silent", CERTAIN, ack_words(e), sweep_words(e), volts_words(e), rivals=_rivals(e))


def _rivals(e: Evidence) -> str:
    """In the headline: the commonest causes that are left."""
    if e.dp_ever:
        return ""
    wire = "something holds SWDIO low" if "ack-0" in e.acks else "a wire is open or crossed"
    if e.vtref is None:
        return f"it has no power, or {wire}"
    return wire if e.vtref >= LOW_SUPPLY else ""


def no_target_power(e: Evidence) -> Finding | None:
    """No voltage at VTref and a silent port. An answer of the debug port disproves it."""
    if e.dp_ever and all_failed(e):  # that it had power at first says nothing about later
        return found("no-target-power", POSSIBLE, "it had power when the debug port answered; it may have lost it since")
    if e.dp_ever:
        return found("no-target-power", RULED_OUT, dp_words(e)) if e.kind in TOUCHED_TARGET else None
    if not e.silent:
        return None
    if e.vtref is None:
        return found("no-target-power", POSSIBLE, volts_words(e))
    volts = f"{e.vtref:.2f}"
    if e.vtref < NO_SUPPLY:
        return found("no-target-power", LIKELY, volts_words(e), ack_words(e), volts=volts)
    if e.vtref < LOW_SUPPLY:
        return found("no-target-power", POSSIBLE, volts_words(e) + ": it may come in through the SWD wires", volts=volts)
    return found("no-target-power", UNLIKELY, volts_words(e) + ", which is not the chip's own supply pin", volts=volts)


def target_voltage_low(e: Evidence) -> Finding | None:
    """A voltage at which no chip works, and silence."""
    if e.vtref is not None and NO_SUPPLY <= e.vtref < LOW_SUPPLY and mute(e):
        return found("target-voltage-low", LIKELY, volts_words(e) + f"; a chip needs about {LOW_SUPPLY} V or more", volts=f"{e.vtref:.2f}")
    return None


def vtref_not_wired(e: Evidence) -> Finding | None:
    """The chip answers though VTref shows no supply: then the pin, not the supply, is what is missing."""
    if e.vtref is None or e.vtref >= LOW_SUPPLY:
        return None
    volts = f"{e.vtref:.2f}"
    if e.dp_ever:
        return found("vtref-not-wired", CERTAIN, volts_words(e), dp_words(e), volts=volts, aside=True)
    return found("vtref-not-wired", POSSIBLE, volts_words(e) + "; that alone would not silence the chip", volts=volts) if e.silent else None


def level_mismatch(e: Evidence) -> Finding | None:
    """More volts than a 3.3 V probe can serve; never excluded where they cannot be measured."""
    if e.vtref is None and mute(e):
        return found("level-mismatch", POSSIBLE, volts_words(e) + "; above 3.7 V a 3.3 V probe is not heard")
    if e.vtref is not None and e.vtref > HIGH_SUPPLY and (e.silent or e.kind in TOUCHED_TARGET):
        return found(
            "level-mismatch",
            LIKELY if mute(e) else POSSIBLE,
            volts_words(e) + f"; a 3.3 V probe reaches its levels only up to {HIGH_SUPPLY} V",
            volts=f"{e.vtref:.2f}",
        )
    return None


def swd_open(e: Evidence) -> Finding | None:
    """A missing wire: like no power, on the wire."""
    if e.dp_ever:
        if all_failed(e):
            return found("swd-open", POSSIBLE, "the wires were connected when the debug port answered; one may have come loose since")
        return found("swd-open", RULED_OUT, dp_words(e)) if e.kind in TOUCHED_TARGET else None
    if not e.silent:
        return None
    if "ack-0" in e.acks:
        return found("swd-open", UNLIKELY, "SWDIO is held low; an open wire floats high")
    if "no-answer" in e.acks:
        return found("swd-open", POSSIBLE, "an open wire gives no answer; what stood on SWDIO instead, a J-Link does not tell")
    return found("swd-open", POSSIBLE, "an open wire leaves SWDIO undriven, and that is what was read")


def swd_swapped(e: Evidence) -> Finding | None:
    """Looks the same as open wires."""
    if not mute(e):
        return None
    return found("swd-swapped", POSSIBLE, "on the wire this looks the same as an open wire")


def swd_short(e: Evidence) -> Finding | None:
    """Acknowledge 0: SWDIO is low while nobody should drive it. An unpowered chip clamps it, too."""
    if not (mute(e) and "ack-0" in e.acks):
        return None
    powered = e.vtref is not None and e.vtref >= LOW_SUPPLY
    return found(
        "swd-short",
        LIKELY if powered else POSSIBLE,
        ack_words(e),
        volts_words(e),
        "" if powered else "an unpowered chip clamps SWDIO low, too",
    )


def debug_off(e: Evidence) -> Finding | None:
    """The port speaks under reset only, or may do so: deep sleep, or SWD pins taken by the program."""
    if not e.silent:
        return None
    if e.dpidr_under_reset is not None and not any(good == reads for _, good, reads in e.sweep):
        return found("debug-off", LIKELY, ack_words(e), dp_words(e), "so power and wires are fine while the program does not run")
    if e.flag("swd.after_pulse") is True:
        return found("debug-off", LIKELY, ack_words(e), "it answered right after a pulse on nRESET, before the program had run far")
    if any(good for _, good, _ in e.sweep):
        return None
    if e.has("swd.dpidr_under_reset"):
        # That the probe reads its pin back says nothing of the wire to the chip.
        return found("debug-off", POSSIBLE, "silent under reset, too, but whether nRESET reaches the chip is not proven")
    return found("debug-off", POSSIBLE, "deep sleep or re-used SWD pins look like this; not tried under reset")


def debug_locked_silent(e: Evidence) -> Finding | None:
    """Some locks switch the whole debug port off."""
    if not mute(e) or (e.vtref is not None and e.vtref < NO_SUPPLY):
        return None
    return found("debug-locked", POSSIBLE, "some locks (STM32 RDP 2 and BOOT_LOCK, LPC CRP) switch the whole debug port off")


def chip_dead(e: Evidence) -> Finding | None:
    """Nothing can prove it from here."""
    if not mute(e) or (e.vtref is not None and e.vtref < NO_SUPPLY):
        return None
    return found("chip-dead", POSSIBLE, "a dead chip is silent, too; this is rare")


def link_noise(e: Evidence) -> Finding | None:
    """Errors that only a bad link makes: parity and lost acknowledges between good reads, or a clock limit."""
    trend = _clock_trend(e)
    if trend:
        best, worst = trend
        agreed = _by_turns(e, best[0], worst[0])
        return found(
            "link-noise",
            CERTAIN if agreed and min(best[2], worst[2]) >= MANY_READS else LIKELY,
            sweep_words(e),
            f"clean at {hertz(best[0])}, failing at {hertz(worst[0])}" + (f", {agreed} times by turns" if agreed else ""),
            errors=worst[2] - worst[1],
            reads=f"{worst[2]} reads failed at {hertz(worst[0])}",
        )
    if not e.silent and not all_failed(e):
        counted = _link_errors(e)
        if counted:
            return counted
    if e.silent and any(0 < good < reads for _, good, reads in e.sweep):
        done, good = sum(row[2] for row in e.sweep), sum(row[1] for row in e.sweep)
        return found("link-noise", POSSIBLE, sweep_words(e), errors=done - good, reads=f"{done} reads failed")
    if e.kind == "transfer" and e.acks and e.acks[-1] in {"parity", "no-ack", "ack-7", "error"} and e.dp_ever:
        return found(
            "link-noise", POSSIBLE, f"the failing access ended with: {ACK_WORDS.get(e.acks[-1], e.acks[-1])}", dp_words(e), engine_said(e)
        )
    return None


def _link_errors(e: Evidence) -> Finding | None:
    """What counting after a failure says. WAIT and FAULT are answers: they do not count."""
    cell = e.table("swd.errors")
    kinds = cell.get("kinds") if isinstance(cell.get("kinds"), dict) else {}
    reads, errors = cell.get("reads"), cell.get("errors")
    if not is_register(reads) or not is_register(errors) or not reads:
        return None
    told = {str(name): n for name, n in (kinds or {}).items() if is_register(n) and name not in ANSWERED_ACKS}
    of_link = sum(told.values()) if kinds else errors
    if len(told) == 1 and errors > 2 and errors * READ_BLOCK >= reads and not cell.get("revived"):
        return None  # the same error each time and not one answer between: noise makes several kinds, and lets something through
    if 0 < of_link < reads:
        listed = ", ".join(f"{n} x {name}" for name, n in sorted(told.items()))
        words = f"{of_link} errors in {reads} reads of known registers" + (f" ({listed})" if listed else "")
        return found("link-noise", LIKELY, words, errors=of_link, reads=f"{reads} reads failed{_clock(e)}")
    if errors == 0 and reads >= 20 and e.kind in {"transfer", "algo-readback", "ram", "verify"}:
        return found("link-noise", UNLIKELY, f"0 errors in {reads} reads of known registers afterwards")
    return None


def all_failed(e: Evidence) -> bool:
    """Every single block got no answer at all, nor did picking the link up after one: that is no noise, nobody is there.

    One disturbed word loses a block of 64: a chip on a bad link may lose all of them, and yet answer in between.
    """
    cell = e.table("swd.errors")
    reads, errors, kinds = cell.get("reads"), cell.get("errors"), cell.get("kinds")
    if not isinstance(kinds, dict) or not kinds or set(map(str, kinds)) - SILENCE or cell.get("revived"):
        return False
    return is_register(reads) and is_register(errors) and errors >= 3 and errors * READ_BLOCK >= reads


def target_lost(e: Evidence) -> Finding | None:
    """The chip answered in this job, and then not once more."""
    if e.dpidr is None or not all_failed(e):
        return None
    attempts = e.table("swd.errors").get("errors")
    return found("target-lost", CERTAIN, dp_words(e), f"after the failure, {attempts} of {attempts} attempts got no answer", volts_words(e))


def _clock(e: Evidence) -> str:
    value = e.number("swd.clock")
    return f" at {hertz(int(value))}" if value else ""


def _clock_trend(e: Evidence) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
    """The highest clean clock and the first dirty one above it, where every clock below is clean and every one above is not."""
    rows = e.sweep
    clean = [row for row in rows if row[1] == row[2]]
    dirty = [row for row in rows if row[1] < row[2]]
    if clean and dirty and clean[-1][0] < dirty[0][0] and clean[-1][2] >= 3:
        return clean[-1], dirty[0]
    return None


def _by_turns(e: Evidence, clean: int, dirty: int) -> int:
    """How often both clocks had their turn and always read so; 0 where they did not, or had only one.

    A burst of noise, or a chip that answers now and then, passes one sweep by chance, but does not come and go in step with the clock.
    """
    turns = [row for row in e.turns if row[0] in (clean, dirty)]
    pairs = list(zip(turns[::2], turns[1::2], strict=False))
    agree = all(one[0] != two[0] for one, two in pairs) and all((row[1] == row[2]) is (row[0] == clean) for row in turns)
    return len(pairs) if agree and len(pairs) > 1 else 0


WIRE_RULES = (
    no_target_power,
    target_voltage_low,
    debug_off,
    swd_short,
    swd_open,
    swd_swapped,
    debug_locked_silent,
    vtref_not_wired,
    level_mismatch,
    link_noise,
    chip_dead,
)
WIRE_SYMPTOMS = (swd_silent, target_lost)
