"""Seeded defects of what runs beside the core: power control, debug pins, watchdogs, boot source, supply."""

from __future__ import annotations

from typing import Any

from msdflash.sim import ap, core, electric, soc
from msdflash.sim.chips import life, stm32life, watchdogs
from msdflash.sim.core import Depth, State
from tests.validation.mutant import Method, Mutant, after, before, instead, nothing


def _always_clocked(_self: stm32life.Sleep, depth: Depth) -> bool:
    return depth in (Depth.SLEEP, Depth.KEPT)


def _grants_power(self: soc.Soc) -> None:
    self.dp.debug_power = True


def _stops_at_most(old: Method) -> Method:
    def falls(self: stm32life.Sleep) -> Depth:
        depth: Depth = old(self)
        return Depth.STOP if depth is Depth.OFF else depth

    return falls


def _heeds_no_debug_bit(old: Method) -> Method:
    def falls(self: stm32life.Sleep) -> Depth:
        depth: Depth = old(self)
        return Depth.STOP if depth is Depth.KEPT else depth

    return falls


def _frozen_when_halted(chip: soc.Soc, *_: Any) -> Any:
    return lambda: chip.core.state is State.HALTED


def _timeless(old: property) -> property:
    def put(self: soc.Soc, seconds: float) -> None:
        time = self.core.time
        assert old.fset is not None
        old.fset(self, seconds)
        self.core.time = time

    return property(old.fget, put)


def _stops_each_time(self: watchdogs.NordicWdt, _cause: str) -> None:
    self.counter.stop()


def _opens_again(self: watchdogs.Cop, *_: Any) -> None:
    self._open = True


def _forgives_keys(self: watchdogs.Wdog, register: int, value: int) -> None:
    if self._step[register] and value == 0x1234:
        self._step[register] = 0


def _boot0_low(self: stm32life.Boot, _cause: str) -> None:
    self.high = False


LIFE = (
    Mutant(
        "sleep-clocked", "plain sleep leaves a debugger its bus without DBG_SLEEP", "RM0090 38.16.3",
        "test_life.py::test_plain_sleep_keeps_the_debugger_waiting_without_dbg_sleep[stm32l4]",
        ((stm32life.Sleep, "_clocked", instead(_always_clocked)),),
    ),
    Mutant(
        "waits-for-good", "an access that the bus keeps waiting never gets through", "IHI 0031 B4.2.4",
        "test_life.py::test_an_access_gets_through_when_the_core_wakes", ((ap.AhbAp, "retry", instead(nothing)),),
    ),
    Mutant(
        "stop-answers", "in Stop a debugger gets its power as if nothing were", "RM0090 5.3",
        "test_life.py::test_stop_ends_debugging_unless_dbg_stop_is_set[stm32l4]", ((soc.Soc, "settle_port", after(_grants_power)),),
    ),
    Mutant(
        "dbg-stop-ignored", "DBG_STOP changes nothing", "RM0090 38.16.3",
        "test_life.py::test_stop_ends_debugging_unless_dbg_stop_is_set[stm32l4]",
        ((stm32life.Sleep, "_falls", _heeds_no_debug_bit),),
    ),
    Mutant(
        "standby-is-stop", "Standby is no deeper than Stop", "RM0090 5.3.5",
        "test_life.py::test_standby_is_silent_and_a_reset_ends_it[stm32f1-standby]",
        ((stm32life.Sleep, "_falls", _stops_at_most),),
    ),
    Mutant(
        "standby-forgets-nothing", "what has no supply in Standby keeps its state", "RM0090 5.3.5",
        "test_life.py::test_standby_is_silent_and_a_reset_ends_it[stm32f1-standby]", ((soc.Soc, "_come_back", instead(nothing)),),
    ),
    Mutant(
        "off-is-for-good", "a debugger does not wake an nRF from System OFF", "nRF52840 PS, System OFF",
        "test_life.py::test_system_off_of_an_nrf_ends_when_a_debugger_comes", ((life.SystemOff, "_asked", instead(nothing)),),
    ),
    Mutant(
        "pins-kept", "the debug port keeps PA13 and PA14 whatever the ports say", "RM0351 8.3.1",
        "test_life.py::test_a_program_can_hold_swdio_low[stm32l4]", ((stm32life.Pins, "_moder", instead(nothing)),),
    ),
    Mutant(
        "swj-cfg-ignored", "SWJ_CFG of an F1 changes nothing", "RM0008 9.3.5",
        "test_life.py::test_without_the_nreset_wire_there_is_no_way_back", ((stm32life.Pins, "_mapr", instead(nothing)),),
    ),
    Mutant(
        "ports-come-up-zero", "all ports are inputs after reset, the debug pins too", "RM0090 8.4.1",
        "test_life.py::test_ports_come_up_with_their_reset_values[stm32f4]", ((stm32life.Pins, "reset", instead(nothing)),),
    ),
    Mutant(
        "dog-never-bites", "a watchdog that ran down resets nothing", "RM0090 21.3",
        "test_life.py::test_the_watchdog_of_an_nrf_outlasts_a_soft_reset", ((watchdogs.Counter, "bite", instead(watchdogs.Counter.stop)),),
    ),
    Mutant(
        "dog-always-frozen", "a halted core stops the watchdog, whatever DBGMCU says", "RM0090 38.16.4",
        "test_life.py::test_a_halted_core_is_reset_unless_the_watchdog_is_frozen[stm32f1]",
        ((watchdogs, "_halted_and", instead(_frozen_when_halted)),),
    ),
    Mutant(
        "dog-never-frozen", "the freeze bits of DBGMCU change nothing", "RM0090 38.16.4",
        "test_life.py::test_a_halted_core_is_reset_unless_the_watchdog_is_frozen[stm32f1]",
        ((watchdogs, "_halted_and", instead(lambda *_: lambda: False)),),
    ),
    Mutant(
        "time-needs-the-core", "no time passes for anybody while the core is halted", "RM0090 38.16.4",
        "test_life.py::test_a_halted_core_is_reset_unless_the_watchdog_is_frozen[stm32f1]", ((core.Core, "_stand", instead(nothing)),),
    ),
    Mutant(
        "flash-takes-no-time", "no watchdog counts while flash is erased", "DS10198; RM0351 32.3",
        "test_life.py::test_a_watchdog_bites_in_the_middle_of_an_erase", ((soc.Soc, "flash_seconds", _timeless),),
    ),
    Mutant(
        "nordic-dog-stops", "a soft reset stops the watchdog of an nRF", "nRF52840 PS, reset behaviour",
        "test_life.py::test_the_watchdog_of_an_nrf_outlasts_a_soft_reset", ((watchdogs.NordicWdt, "reset", before(_stops_each_time)),),
    ),
    Mutant(
        "wdog-any-key", "wrong keys do nothing to the watchdog of a K64F", "K64P144M120SF5RM, WDOG",
        "test_life.py::test_the_watchdog_of_a_k64f_opens_with_two_keys_only", ((watchdogs.Wdog, "_sequence", instead(_forgives_keys)),),
    ),
    Mutant(
        "cop-at-will", "COPC of a KL25Z can be written again and again", "KL25P80M48SF0RM, SIM",
        "test_life.py::test_the_cop_of_a_kl25z_is_configured_once", ((watchdogs.Cop, "store", after(_opens_again)),),
    ),
    Mutant(
        "boot0-ignored", "BOOT0 changes nothing", "RM0090 2.4", "test_life.py::test_boot0_high_starts_the_boot_loader[stm32l0]",
        ((stm32life.Boot, "reset", before(_boot0_low)),),
    ),
    Mutant(
        "erase-whole-or-not", "an erase that is cut off is done all the same", "assumption E5",
        "test_life.py::test_a_weak_supply_breaks_down_under_an_erase", ((electric, "_cut_short", instead(nothing)),),
    ),
)  # fmt: skip
