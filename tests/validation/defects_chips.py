"""Seeded defects of flash controllers, chips and boards."""

from __future__ import annotations

from typing import Any

from msdflash.sim import bus, core, soc
from msdflash.sim.chips import controller, ftf, l4flash, norflash, nrf, stm32l0
from msdflash.sim.chips import l4registers as reg
from tests.validation.mutant import Method, Mutant, Wrapper, after, before, instead, nothing


def _erase_reports_only(old: Method) -> Method:
    def erase(self: l4flash.L4Flash, cr: int) -> None:
        content = bytes(self.array.data)
        old(self, cr)
        self.array.data[:] = content

    return erase


def _erase_first(self: l4flash.L4Flash, offset: int, *_: Any) -> None:
    if self._values[reg.CR] & reg.PG and not offset & 7:
        self.array.data[offset : offset + 8] = reg.ERASED


def _erase_stored(self: l4flash.L4Flash, address: int, *_: Any) -> None:
    if address & 0xFFFFF000 != reg.BASE:
        _erase_first(self, address & 0xFFFFF)


def _like_nor(old: Method) -> Method:
    def program(self: l4flash.L4Flash, offset: int, new: bytes) -> None:
        there = bytes(self.array.data[offset : offset + 8])
        self.array.data[offset : offset + 8] = reg.ERASED
        old(self, offset, bytes(a & b for a, b in zip(there, new, strict=True)))

    return program


def _without_flag(flag: int) -> Wrapper:
    def wrap(old: Method) -> Method:
        return lambda self, wanted: old(self, wanted & ~flag)

    return wrap


def _any_key(self: l4flash.L4Flash, _value: int) -> None:
    self._values[reg.CR] &= ~reg.LOCK


def _keep_flags(old: Method) -> Method:
    def register(self: l4flash.L4Flash, number: int, value: int) -> None:
        if number != reg.SR:
            old(self, number, value)

    return register


def _no_sequence_errors(old: Method) -> Method:
    def program(self: l4flash.L4Flash, offset: int, size: int, value: int) -> None:
        flags = self._values[reg.SR]
        self._values[reg.SR] &= ~reg.SEQUENCE_ERRORS
        old(self, offset, size, value)
        self._values[reg.SR] |= flags

    return program


def _regresses_only(old: Method) -> Method:
    def program(self: l4flash.L4Flash) -> None:
        content = bytes(self.array.data)
        old(self)
        self.array.data[:] = content

    return program


def _reads_zero(old: Method) -> Method:
    def read(self: bus.Bus, address: int, size: int) -> int:
        try:
            return int(old(self, address, size))
        except bus.BusError:
            return 0

    return read


def _overwrites(self: norflash.NorFlash, offset: int, new: bytes) -> None:
    self.array.data[offset : offset + len(new)] = b"\xff" * len(new)


def _reads_under_reset(_self: soc.Soc, _address: int) -> bool:
    return False


def _forgets_flash(self: soc.Soc, on: bool, *_: Any) -> None:
    if not on:
        self.chip.flash.data[:] = b"\xff" * self.chip.flash.size


CHIPS = (
    Mutant(
        "erase-nothing", "an erase ends well and clears nothing", "RM0351 3.3.6", "test_flash.py::test_erases_exactly_one_page",
        ((l4flash.L4Flash, "_erase", _erase_reports_only),),
    ),
    Mutant(
        "program-anything", "a double word is programmed over content as if it were erased", "RM0351 3.3.7",
        "test_flash.py::test_does_not_program_over_content_except_with_zeros",
        ((l4flash.L4Flash, "_double_word", before(_erase_first)), (l4flash.L4Flash, "quick", before(_erase_stored))),
    ),
    Mutant(
        "program-twice", "a second programming clears further bits, as NOR flash without ECC would", "RM0351 3.3.7",
        "test_flash.py::test_does_not_program_over_content_except_with_zeros", ((l4flash.L4Flash, "_double_word", _like_nor),),
    ),
    Mutant(
        "wrong-bank", "BKER chooses the other bank", "RM0351 3.3.6", "test_flash.py::test_erases_exactly_one_page",
        ((reg, "chosen_pages", lambda old: lambda cr, *rest: old(cr ^ reg.BKER, *rest)),),
    ),
    Mutant(
        "wrperr-never", "WRPERR is never set", "RM0351 3.5.3", "test_flash.py::test_write_protection",
        ((l4flash.L4Flash, "_flag", _without_flag(reg.WRPERR)),),
    ),
    Mutant(
        "pgserr-never", "PGSERR is never set", "RM0351 3.7.5", "test_flash.py::test_needs_pg",
        ((l4flash.L4Flash, "_flag", _without_flag(reg.PGSERR)),),
    ),
    Mutant(
        "sizerr-never", "a byte store sets no SIZERR", "RM0351 3.3.7", "test_flash.py::test_bytes_are_refused",
        ((l4flash.L4Flash, "_flag", _without_flag(reg.SIZERR)),),
    ),
    Mutant(
        "pgaerr-never", "words of two double words set no PGAERR", "RM0351 3.3.7", "test_flash.py::test_words_of_two_double_words",
        ((l4flash.L4Flash, "_flag", _without_flag(reg.PGAERR)),),
    ),
    Mutant(
        "flash-flags-stay", "writing ones to SR clears nothing", "RM0351 3.7.5",
        "test_flash.py::test_does_not_program_over_content_except_with_zeros", ((l4flash.L4Flash, "_register", _keep_flags),),
    ),
    Mutant(
        "flash-errors-ignored", "an error that was not cleared does not block the next operation", "RM0351 3.3.7",
        "test_flash.py::test_does_not_program_over_content_except_with_zeros", ((l4flash.L4Flash, "_program", _no_sequence_errors),),
    ),
    Mutant(
        "any-flash-key", "any key unlocks the flash", "RM0351 3.3.5", "test_flash.py::test_a_wrong_key_locks_until_reset",
        ((l4flash.L4Flash, "_unlock", instead(_any_key)),),
    ),
    Mutant(
        "launch-without-reset", "OBL_LAUNCH resets nothing", "RM0351 3.4.2", "test_flash.py::test_option_bytes_take_effect_at_launch",
        ((core.Core, "request_reset", instead(nothing)),),
    ),
    Mutant(
        "options-at-once", "programmed option bytes act before OBL_LAUNCH", "RM0351 3.4.2",
        "test_flash.py::test_option_bytes_take_effect_at_launch",
        ((l4flash.L4Flash, "_program_options", after(lambda self: setattr(self, "_loaded", list(self.options)))),),
    ),
    Mutant(
        "level-1-readable", "a debugger reads the flash at read protection level 1", "RM0351 3.5.1",
        "test_flash.py::test_read_protection_level_1", ((l4flash.L4Flash, "_gate", instead(lambda *_: False)),),
    ),
    Mutant(
        "regression-keeps-flash", "going back to level 0 erases nothing", "RM0351 3.5.1",
        "test_flash.py::test_going_back_to_level_0_erases",
        ((l4flash.L4Flash, "_program_options", _regresses_only),),
    ),
    Mutant(
        "no-bus-faults", "reads of nothing give zero instead of a fault", "IHI 0031 C2.3",
        "test_debug_port.py::test_a_fault_is_an_exception_in_these_tests", ((bus.Bus, "read", _reads_zero),),
    ),
    Mutant(
        "reset-bus-open", "memory answers while nRESET is low", "RM0401 26.6.1; assumption 1",
        "test_core.py::test_held_in_reset_reads_reset_each_time", ((soc.Soc, "_blocked", instead(_reads_under_reset)),),
    ),
    Mutant(
        "flash-forgets", "flash is lost with the supply", "RM0351 3.1", "test_firmware.py::test_flash_outlasts_the_supply",
        ((soc.Soc, "set_power", before(_forgets_flash)),),
    ),
    Mutant(
        "stm32-any-key", "any key opens the locks of F1, F4 and H7", "PM0075 2.3.1",
        "test_stm32_controllers.py::test_f1_locks_and_a_wrong_key_locks_until_reset",
        ((controller.KeyLock, "opens", instead(lambda *_: True)),),
    ),
    Mutant(
        "stm32-erase-nothing", "an erase of F1, F4, L0 or H7 clears nothing", "PM0075 2.3.3",
        "test_stm32_controllers.py::test_f1_erases_one_page_or_all", ((controller.FlashController, "erase", instead(nothing)),),
    ),
    Mutant(
        "l0-erases-to-ones", "an erased STM32L0 reads ones", "RM0377 3.3.4",
        "test_stm32_controllers.py::test_l0_erases_a_page_to_zero_and_programs_words", ((stm32l0.L0Flash, "erased", lambda _: 0xFF),),
    ),
    Mutant(
        "nor-sets-bits", "programming a Nordic flash sets bits, too", "nRF52840 PS, NVMC",
        "test_nrf.py::test_programming_clears_bits_and_only_when_enabled", ((norflash.NorFlash, "program", before(_overwrites)),),
    ),
    Mutant(
        "nrf-pin-always", "the reset pin works whatever UICR says", "nRF52840 PS, PSELRESET",
        "test_nrf.py::test_the_reset_pin_is_there_only_where_uicr_says_so", ((nrf.NrfHabits, "pin_works", instead(lambda _: True)),),
    ),
    Mutant(
        "kinetis-open", "a secured Kinetis stays open for a debugger", "K64P144M120SF5RM, flash security",
        "test_kinetis.py::test_security_shuts_all_but_the_mdm_ap", ((ftf.Ftf, "secure", lambda _: property(lambda _self: False)),),
    ),
)  # fmt: skip
