"""What resets the chip: its reset-cause register, where resets were seen.

A flag that was set before is old news on most chips: it stays until the program clears it. So flags count only where resets were
measured, and most where one is new since an earlier look. On STM32 the pin's flag is set by every reset (RM0351 6.1.1: internal resets
pull NRST), so it counts only alone.
"""

from __future__ import annotations

import msgspec

from msdflash.chips.families import family_of_target
from msdflash.diagnose.evidence import FAMILY, Evidence
from msdflash.diagnose.finding import Finding
from msdflash.diagnose.rules_reset import S_RESET_ST, ResetPicture, picture
from msdflash.diagnose.words import LIKELY, POSSIBLE, RULED_OUT, UNLIKELY, found

FLAGS: dict[str, str] = {
    "WWDGRSTF": "watchdog",
    "IWDGRSTF": "watchdog",
    "WWDG1RSTF": "watchdog",
    "IWDG1RSTF": "watchdog",
    "WDOG": "watchdog",
    "DOG": "watchdog",
    "WDTR": "watchdog",
    "WDTRESET": "watchdog",
    "TIMER": "watchdog",
    "LOCKUP": "lockup-reset",
    "BORRSTF": "brown-out",
    "LVD": "brown-out",
    "BODR": "brown-out",
    "BODRESET": "brown-out",
    "PINRSTF": "reset-by-pin",
    "PIN": "reset-by-pin",
    "EXTR": "reset-by-pin",
    "RESETPIN": "reset-by-pin",
    "PADRESET": "reset-by-pin",
    "HAD_RUN": "reset-by-pin",
}
"""Name of a flag in the tables of chips -> the cause that it names."""

POWER = frozenset({"PORRSTF", "PWRRSTF", "POR", "HAD_POR"})
"""Flags of a power-on: new ones, after the job began, mean that the supply was gone for a moment."""

_DIP, _UP = 0.4, 2.0
"""Volts: a supply that falls by so much, from a level at which chips work, is no noise of the probe's converter."""


class Resets(msgspec.Struct, frozen=True):
    """What speaks of resets that nobody ordered.

    Attributes:
        under_way: one came while the flash algorithm ran.
        again: several came, or the core left reset and went back.
        before, after: flags at the first look and after a failure; None where they were not read.
        sticky: flags stay until they are cleared.
    """

    under_way: bool
    again: bool
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None
    sticky: bool

    @property
    def seen(self) -> bool:
        """There is something to explain."""
        return self.under_way or self.again

    @property
    def flags(self) -> tuple[str, ...] | None:
        """The flags that speak of these resets."""
        return self.after if self.under_way else self.before

    @property
    def new(self) -> tuple[str, ...]:
        """Flags that came between two looks."""
        return tuple(name for name in self.after or () if name not in (self.before or self.after or ()))


def resets(e: Evidence) -> Resets:
    """Gather it."""
    p = picture(e)
    cells = [reading.value for reading in e.entries("reset.cause") if isinstance(reading.value, dict)]
    named = [tuple(str(name) for name in cell.get("flags") or ()) for cell in cells if isinstance(cell.get("flags"), (list, tuple))]
    under_way = e.flag("algo.reset_seen") is True or e.kind == "reset-under-algorithm"
    family = FAMILY.get(e.text("chip.family")) or (family_of_target(e.outcome.target.name) if e.outcome.target else None)
    return Resets(
        under_way=under_way,
        again=_after_start(e) > 0 or _looping(e, p),
        before=named[0] if named else None,
        after=named[-1] if len(named) > 1 else None,
        sticky=all(register.sticky for register in family.reset_cause) if family is not None else True,
    )


def _looping(e: Evidence, p: ResetPicture) -> bool:
    return bool(e.kind) and not p.core_held and ((p.left and not p.late) or p.flickers or 2 <= p.in_reset < p.reads)


def _after_start(e: Evidence) -> int:
    """Resets between looks at the program that was just started; one that ends late is none."""
    if e.kind or not e.outcome.proved:
        return 0
    looks = [bool(value & S_RESET_ST) for value in e.series("core.dhcsr")]
    return sum(1 for index, look in enumerate(looks) if look and not all(looks[:index]))


def resets_after_start(e: Evidence) -> Finding | None:
    """The program was flashed and proved, and something resets it."""
    count = _after_start(e)
    if not count:
        return None
    looks = len(e.series("core.dhcsr"))
    return found("reset-loop", LIKELY, f"after its start the new program was reset between {count} of {looks} looks")


def unordered(e: Evidence) -> tuple[str, ...]:
    """Flags of resets that came since the first look and that nobody orders through a debugger: the chip's program ran again."""
    return tuple(name for name in resets(e).new if FLAGS.get(name, "reset-by-pin") != "reset-by-pin" or name in POWER)


def _origin(e: Evidence, cause: str) -> Finding | None:
    seen = resets(e)
    names = [name for name in unordered(e) if FLAGS.get(name) == cause]
    if names and (e.kind or seen.seen):
        return found(cause, LIKELY, f"the reset-cause register shows {', '.join(names)}, which was not set at the first look", _when(seen))
    if not seen.seen or seen.flags is None:
        return None
    names = [name for name in seen.flags if FLAGS.get(name) == cause]
    others = [name for name in seen.flags if name in FLAGS and FLAGS[name] != cause and FLAGS[name] != "reset-by-pin"]
    if not names:
        shown = ", ".join(seen.flags) or "no flag"
        if cause in {"watchdog", "lockup-reset"} and _has(e, cause):
            return found(cause, RULED_OUT if seen.sticky else UNLIKELY, f"the reset-cause register shows {shown}")
        return None
    alone = not others
    if cause == "reset-by-pin" and not alone:
        return None
    if seen.under_way and seen.after == seen.before:
        return found(cause, POSSIBLE, f"the reset-cause register shows {', '.join(names)}, but did so before, too", _when(seen))
    words = f"the reset-cause register shows {', '.join(names)}" + ("" if alone else f", beside {', '.join(others)}")
    return found(cause, LIKELY if alone else POSSIBLE, words, _when(seen))


def _when(seen: Resets) -> str:
    if seen.under_way:
        return "a reset was seen while the flash algorithm ran"
    return "resets were seen that nobody ordered" if seen.again else ""


def _has(e: Evidence, cause: str) -> bool:
    """The chip's register has a flag for this cause at all."""
    family = FAMILY.get(e.text("chip.family")) or (family_of_target(e.outcome.target.name) if e.outcome.target else None)
    names = {flag.name for register in family.reset_cause for flag in register.flags} if family is not None else set()
    return any(FLAGS.get(name) == cause for name in names)


def watchdog(e: Evidence) -> Finding | None:
    """A watchdog's flag."""
    return _origin(e, "watchdog")


def lockup_reset(e: Evidence) -> Finding | None:
    """Kinetis and Nordic parts turn a lockup into a reset."""
    return _origin(e, "lockup-reset")


def reset_by_pin(e: Evidence) -> Finding | None:
    """The pin's flag, and no other."""
    return _origin(e, "reset-by-pin")


def brown_out(e: Evidence) -> Finding | None:
    """The flag, a new power-on, or a voltage that fell while this job ran."""
    by_flag = _origin(e, "brown-out")
    volts = (
        [float(reading.value) for reading in e.entries("vtref") if isinstance(reading.value, (int, float))] if e.vtref is not None else []
    )
    dip = max(volts) - min(volts) if volts else 0.0
    fell = f"the probe saw between {min(volts):.2f} and {max(volts):.2f} V at its target-voltage pin" if dip >= _DIP else ""
    if by_flag is not None:
        return msgspec.structs.replace(by_flag, reasons=(*by_flag.reasons, *([fell] if fell else [])))
    if e.flag("core.debug_lost") is True:
        words = "debug mode, which this job had switched on, was off after the failure: only a power-on does that"
        return found("brown-out", POSSIBLE if e.silent_in_reset else LIKELY, words, fell)
    power = [name for name in resets(e).new if name in POWER]
    if power:
        return found("brown-out", LIKELY, f"the reset-cause register shows {', '.join(power)}, which was not set at the first look", fell)
    if fell and max(volts) >= _UP and e.kind:
        return found("brown-out", LIKELY if resets(e).seen or e.dpidr is not None else POSSIBLE, fell)
    return None


ORIGIN_RULES = (resets_after_start, watchdog, brown_out, lockup_reset, reset_by_pin)
