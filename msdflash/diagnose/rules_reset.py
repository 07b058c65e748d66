"""Rules about reset: held, looping, let go too late; and who pulls the line.

Two different measurements exist. DHCSR.S_RESET_ST and the reset-catch test (Arm DDI 0403E C1.6) tell of the *core*. The read-back of the
probe's pin tells of the *line*, but only on probes that have one, and only once a high level has been seen: some interface chips answer a
constant 0 (DAPLink for the nRF52820). So the core's state may be certain where the line's is not.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec

from msdflash.diagnose.evidence import FAMILY, NO_NRESET, READS_NRESET, Evidence
from msdflash.diagnose.finding import Confidence, Finding
from msdflash.diagnose.rules_wires import LOW_SUPPLY, TOUCHED_TARGET, mute
from msdflash.diagnose.words import CERTAIN, LIKELY, POSSIBLE, RULED_OUT, UNLIKELY, found, hex32, level_words

S_RETIRE_ST = 1 << 24
S_RESET_ST = 1 << 25
"""Bits of DHCSR (Arm DDI 0403E C1.6.2)."""

SLOW_RISE_MS = 10.0
"""A line with 100 nF and 10 kilohm is high after about 2 ms; more than 10 ms means a big capacitor or a supervisor."""

WATCHED_MS = 1100.0
"""A core that left reset later than this was not seen to leave it at all: the worker watches for 1.2 s."""

LOOP_PERIOD_MS = 50.0
"""Samples stand at most 25 ms apart: a core in reset at every one of them, because it loops, is caught within two periods."""


RESETS_MATTER = frozenset({"core-in-reset", "transfer", "no-ap", "no-halt", "reset-under-algorithm"})
"""Failures that a reset loop can explain. A blank Kinetis or nRF loops until its first program is in."""


class ResetPicture(msgspec.Struct, frozen=True):
    """Everything that was measured about reset.

    Attributes:
        reads: DHCSR samples that count (the first tells of the past and is left out).
        in_reset: how many of them had S_RESET_ST set.
        span: "over 76 ms" or "".
        catch: result of the reset-catch test, or "".
        undriven, connected, released: pin levels; empty where the probe cannot read the pin.
        ever_high: a high level was seen in this job.
        proven: the read-back has been high before, or is now.
        rise_ms: how long after release, or after the first look, reset ended; None if not measured.
        flickers: the maker's own access port told of reset on some of its reads and not on others.
    """

    reads: int
    in_reset: int
    span: str
    catch: str
    undriven: tuple[int, ...]
    connected: tuple[int, ...]
    released: tuple[int, ...]
    ever_high: bool
    proven: bool
    rise_ms: float | None
    flickers: bool = False

    @property
    def always(self) -> bool:
        """In reset on every sample, and there were enough of them."""
        return self.reads >= 3 and self.in_reset == self.reads

    @property
    def core_held(self) -> bool:
        """The core is in reset and never left it while its first instruction was trapped."""
        return self.always and self.catch == "still-in-reset"

    @property
    def left(self) -> bool:
        """The core came out of reset during the reset-catch test."""
        return self.always and self.catch in {"halted", "not-caught"}

    @property
    def line_low(self) -> bool:
        """Every undriven sample was low."""
        return bool(self.undriven) and 1 not in self.undriven

    @property
    def late(self) -> bool:
        """Reset ended by itself, but slowly."""
        if self.rise_ms is None:
            return False
        if self.released:
            rose = self.released[-1] == 1 or self.rise_ms < WATCHED_MS
            return self.released[0] == 0 and rose and self.rise_ms > SLOW_RISE_MS
        return self.left and self.rise_ms > LOOP_PERIOD_MS and not self.flickers


def picture(e: Evidence) -> ResetPicture:
    """Gather what was measured; levels of a probe without read-back are left out, whatever was sent."""
    later = e.series("core.dhcsr")[1:]
    undriven, connected, released = (e.levels(name) for name in ("nreset.undriven", "nreset.connected", "nreset.released"))
    high = 1 in undriven + connected + released
    if e.probe_kind in NO_NRESET or (e.probe_kind not in READS_NRESET and not high):
        undriven = connected = released = ()
        high = False
    spent = e.number("core.dhcsr_ms")
    return ResetPicture(
        reads=len(later),
        in_reset=sum(1 for value in later if value & S_RESET_ST),
        span=f" over {spent:.0f} ms" if spent is not None else "",
        catch=e.text("core.reset_catch"),
        undriven=undriven,
        connected=connected,
        released=released,
        ever_high=high,
        proven=high or bool(undriven and e.flag("nreset.pin_proven")),
        rise_ms=e.number("nreset.rise_ms"),
        flickers=_flickers(e),
    )


def _flickers(e: Evidence) -> bool:
    family = FAMILY.get(e.text("lock.family"))
    if family is None or family.lock is None or family.lock.valid is None:
        return False
    mask, value = family.lock.valid
    return len({word & mask == value for word in e.registers("lock.status")}) > 1


def status_in_reset(e: Evidence) -> str:
    """In words, where the maker's own access port said on each of its reads that the chip is in reset; "" else.

    A part that loops in reset is out of it now and then, and these are more reads than it takes to meet that.
    """
    family = FAMILY.get(e.text("lock.family"))
    if family is None or family.lock is None or not family.lock.running:
        return ""
    lock, words = family.lock, e.registers("lock.status")
    if len(words) < lock.times or any(word & lock.running for word in words):
        return ""
    return f"access port {lock.ap} said on {len(words)} of {len(words)} reads that the chip is in reset (status {hex32(words[-1])})"


def _core_words(p: ResetPicture) -> str:
    if not p.reads:
        return ""
    state = "set" if p.in_reset == p.reads else "clear" if p.in_reset == 0 else "set now and then"
    amount = f"{p.in_reset} of {p.reads}" if p.in_reset else f"{p.reads} of {p.reads}"
    return f"the core's reset flag (DHCSR bit 25, clears on reading) was {state} on {amount} reads{p.span}"


def _catch_words(e: Evidence, p: ResetPicture) -> str:
    how = next((reading.how for reading in reversed(e.entries("core.reset_catch")) if reading.how), "")
    how = f" ({how})" if how else ""
    return {
        "still-in-reset": f"with its first instruction trapped, the core never left reset{how}",
        "halted": f"the core left reset and stopped at its trapped first instruction{how}",
        "not-caught": f"the core left reset during the trap test, but was not stopped{how}",
    }.get(p.catch, "")


def _line_words(p: ResetPicture) -> str:
    return f"nRESET read {level_words(p.undriven)} while this probe was not driving it" if p.undriven else ""


def _blind_words(e: Evidence, p: ResetPicture) -> str:
    if e.probe_kind in NO_NRESET:
        return "this probe cannot read the nRESET pin: only the core's state is measured"
    if p.undriven and not p.proven:
        return "this probe's nRESET read-back has never been seen high, so its low level proves nothing"
    return ""


def held_confidence(e: Evidence, p: ResetPicture) -> Confidence | None:
    """How sure it is that the chip is held in reset; None where nothing speaks of it."""
    if p.core_held:
        return POSSIBLE if p.late else CERTAIN
    if p.left:
        return RULED_OUT
    line = p.proven and p.line_low and 1 not in p.connected
    if p.always:
        return LIKELY if line else POSSIBLE
    if p.reads:
        return None if p.in_reset else RULED_OUT
    if status_in_reset(e):
        return LIKELY
    if e.dp_ever or not e.silent:
        return _held_without_core(e, line)
    if e.silent_in_reset:
        # An unpowered chip is silent, and its nRESET low, as well: only a measured supply tells these apart.
        return LIKELY if line and e.vtref is not None and e.vtref >= LOW_SUPPLY else POSSIBLE
    return POSSIBLE if line or (p.line_low and not e.families) else None


def _held_without_core(e: Evidence, line: bool) -> Confidence | None:
    """The debug port answered, the core could not be asked."""
    if e.kind == "core-in-reset" or e.outcome.running == "held-in-reset":
        return LIKELY if line or e.outcome.running == "held-in-reset" else POSSIBLE
    if e.kind in {"no-power-ack", "no-ap"}:
        return LIKELY if line or e.rom_silent else POSSIBLE if e.silent_in_reset else None
    return LIKELY if line and e.kind in TOUCHED_TARGET else None


def _relevant(e: Evidence, p: ResetPicture) -> bool:
    return e.kind in TOUCHED_TARGET or p.line_low or e.outcome.running == "held-in-reset"


def held_in_reset(e: Evidence) -> Finding | None:
    """The chip is held in reset; says nothing yet of who does it."""
    p = picture(e)
    confidence = held_confidence(e, p)
    if confidence is None or (confidence is RULED_OUT and not _relevant(e, p)):
        return None
    reasons = [_core_words(p), _catch_words(e, p), _line_words(p)]
    if confidence is not RULED_OUT:
        reasons.append(_blind_words(e, p))
    if not p.reads:
        reasons.append(status_in_reset(e))
    if e.rom_silent:
        reasons.append("the chip's boot ROM, which runs after each reset, answered nothing through its mailbox")
    if e.silent_in_reset and not p.reads and not p.line_low:
        reasons.append("on this family a chip held in reset does not answer properly")
    if e.outcome.running == "held-in-reset" and not p.reads:
        reasons.append("after the last reset the core stayed in reset")
    how = (
        "is being held in reset: its nRESET line is low"
        if p.proven and p.line_low
        else "is in reset and did not come out of it"
        if p.core_held
        else ""
    )
    return found("held-in-reset", confidence, *reasons, how=how)


def _held(e: Evidence, p: ResetPicture) -> bool:
    confidence = held_confidence(e, p)
    return confidence is not None and confidence.rank <= POSSIBLE.rank and not p.late


def _went_low_with_us(p: ResetPicture) -> bool:
    return bool(p.undriven and p.connected) and 0 not in p.undriven and 1 not in p.connected


def _who(e: Evidence, p: ResetPicture, cause: str, confidence: Confidence, *reasons: str) -> Finding:
    """Who pulls the line is never surer than that it is pulled."""
    held = held_confidence(e, p) or POSSIBLE
    return found(cause, max(confidence, held, key=lambda word: word.rank), *reasons)


def reset_held_by_board(e: Evidence) -> Finding | None:
    """The board side of the line: switch, supervisor, short, another device."""
    p, cause = picture(e), "reset-held-by-board"
    if not _held(e, p):
        return None
    if not p.undriven:
        if not p.core_held:
            return _who(e, p, cause, POSSIBLE, _blind_words(e, p))
        return _who(e, p, cause, LIKELY, "it explains every reading: the debug port works, the core never runs")
    if p.line_low and p.proven:
        before = "this probe's read-back was high before, so the low level is real"
        return _who(e, p, cause, LIKELY, _line_words(p), before)
    if p.line_low:
        return _who(e, p, cause, POSSIBLE, _line_words(p), _blind_words(e, p))
    if 0 not in p.undriven:
        return found(cause, RULED_OUT, _line_words(p))
    return _who(e, p, cause, POSSIBLE, _line_words(p))


def reset_held_by_probe(e: Evidence) -> Finding | None:
    """A probe whose driver is stuck looks like a shorted board until it is unplugged."""
    p, cause = picture(e), "reset-held-by-probe"
    if not _held(e, p) or _went_low_with_us(p) or (p.undriven and 0 not in p.undriven):
        return None
    if not p.undriven:
        return _who(e, p, cause, POSSIBLE, "from here it looks the same; unplugging the probe tells")
    if p.proven:
        return _who(e, p, cause, POSSIBLE, "its line has been high before, but it may be stuck since; unplugging the probe tells")
    return _who(e, p, cause, POSSIBLE, "nRESET was never seen high on this probe; unplugging the probe tells")


def reset_held_by_own_session(e: Evidence) -> Finding | None:
    """The line fell when this session connected."""
    p = picture(e)
    if not _held(e, p) or not _went_low_with_us(p):
        return None
    return _who(e, p, "reset-held-by-own-session", LIKELY, _line_words(p), f"after connecting it read {level_words(p.connected)}")


def reset_released_late(e: Evidence) -> Finding | None:
    """Reset ends, but long after it was released or first looked at."""
    p = picture(e)
    if not p.late or p.rise_ms is None:
        return None
    line = (
        f"nRESET read high {p.rise_ms:.0f} ms after this probe let go of it"
        if p.released
        else f"the core left reset by itself {p.rise_ms:.0f} ms after the first look; in reset on {p.in_reset} of {p.reads} reads before"
    )
    aside = e.kind not in TOUCHED_TARGET | {"algo-init", "erase", "program", "timeout"}
    return found("reset-released-late", LIKELY, line, _catch_words(e, p), ms=f"{p.rise_ms:.0f}", aside=aside)


def left_reset_late(e: Evidence) -> Finding | None:
    """After flashing, the core left our reset by itself, but late."""
    late = e.number("core.left_reset_ms")
    if late is None or not e.outcome.proved:
        return None
    line = f"the core left the reset into the new program {late:.0f} ms after that began"
    return found("reset-released-late", LIKELY, line, ms=f"{late:.0f}", aside=True)


def reset_weakly_held(e: Evidence) -> Finding | None:
    """Low until a probe with a push-pull driver lifts it: the board works only while the probe is connected."""
    p = picture(e)
    if p.line_low and p.connected and 0 not in p.connected:
        return found("reset-weakly-held", LIKELY, _line_words(p), f"after connecting it read {level_words(p.connected)}", aside=True)
    return None


def nreset_no_effect(e: Evidence) -> Finding | None:
    """We pulled the line, and the core's reset flag, cleared just before, stayed clear."""
    if mute(e) and e.flag("swd.after_pulse") is False:
        return found("nreset-no-effect", POSSIBLE, "while this probe pulled nRESET low, and right after, nothing changed on the SWD wires")
    if e.flag("nreset.no_effect") is not True:
        return None
    words = "after a pulse of 20 ms the core's reset flag (DHCSR bit 25), cleared just before, was clear"
    return found("nreset-no-effect", CERTAIN, words, aside=True)


def _falls(levels: tuple[int, ...]) -> int:
    return sum(1 for before, after in pairwise(levels) if before and not after)


def reset_loop(e: Evidence) -> Finding | None:
    """The core leaves reset and goes back into it."""
    p = picture(e)
    if p.core_held:
        return found("reset-loop", RULED_OUT, _catch_words(e, p))
    falls = _falls(p.undriven) + _falls(p.connected)
    line = f"nRESET fell {falls} times in {len(p.undriven) + len(p.connected)} samples" if falls else ""
    if 2 <= p.in_reset < p.reads:
        return found("reset-loop", CERTAIN, _core_words(p), "so it was reset anew between the reads", line)
    if p.flickers and e.kind:  # before a first program was flashed it is no news
        words = "the chip's own access port showed a reset on some of its reads and none on others"
        return found("reset-loop", CERTAIN, words, _core_words(p), _catch_words(e, p), line, aside=e.kind not in RESETS_MATTER)
    if p.left:
        if p.late:
            return found("reset-loop", UNLIKELY, f"a looping core would have been caught within {LOOP_PERIOD_MS:.0f} ms")
        return found("reset-loop", LIKELY, _core_words(p), _catch_words(e, p), line)
    if falls >= 2:
        return found("reset-loop", LIKELY, line, _core_words(p))
    if p.always and not p.catch:
        return found("reset-loop", POSSIBLE, _core_words(p), "a fast loop reads the same as a held line; the reset-catch test was not made")
    if e.kind == "core-in-reset" and not p.reads:
        return found("reset-loop", POSSIBLE, "the core was in reset; whether it ever leaves it was not measured")
    return None


RESET_RULES = (
    reset_released_late,
    left_reset_late,
    held_in_reset,
    reset_held_by_own_session,
    reset_held_by_board,
    reset_held_by_probe,
    reset_loop,
    reset_weakly_held,
    nreset_no_effect,
)


def blocked(e: Evidence) -> str:
    """Why readings of RAM and flash mean little now: the core is in reset on every sample. "" if it is not."""
    p = picture(e)
    return _core_words(p) if p.always and not p.left else ""
