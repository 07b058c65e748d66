"""The private peripheral bus: system control space, DWT, FPB, ROM table and the identification of each component.

Sources: Armv7-M ARM (DDI 0403) B3.2 to B3.4 and C1; component and ROM table identification after ADIv5 (IHI 0031) chapter D and
the Cortex-M4 TRM (ROM table and component ID tables).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim import nvic as exc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from msdflash.sim.core import Core
    from msdflash.sim.cores import CoreKind

SCS_BASE, DWT_BASE, FPB_BASE, ITM_BASE, TPIU_BASE, ETM_BASE, ROM_BASE = (
    0xE000E000, 0xE0001000, 0xE0002000, 0xE0000000, 0xE0040000, 0xE0041000, 0xE00FF000,
)  # fmt: skip
DHCSR, DWT_PCSR = 0xE000EDF0, 0xE000101C
AIRCR_KEY = 0x05FA

ARM_DESIGNER, CLASS_ROM, CLASS_DEBUG, CLASS_GENERIC = (4, 0x3B), 0x1, 0x9, 0xE


def identification(part: int, designer: tuple[int, int], kind: int, revision: int = 0) -> dict[int, int]:
    """PIDR and CIDR words of a component by offset; ``designer`` is (JEP106 continuation count, code)."""
    count, code = designer
    return {
        0xFD0: count,
        0xFE0: part & 0xFF,
        0xFE4: (part >> 8) | (code & 0xF) << 4,
        0xFE8: revision << 4 | 8 | code >> 4,
        0xFEC: 0,
        0xFF0: 0x0D,
        0xFF4: kind << 4,
        0xFF8: 0x05,
        0xFFC: 0xB1,
    }


def component(part: int, kind: CoreKind, arch: int, revision: int) -> dict[int, int]:
    """Identification of a part of the core: with DEVARCH on Armv8-M (DDI 0553, from memory), of the generic class before."""
    if kind.v8m:
        return {**identification(part, ARM_DESIGNER, CLASS_DEBUG), 0xFBC: arch}
    return identification(part, ARM_DESIGNER, CLASS_GENERIC, revision)


class RegisterPage:
    """4 KiB of word registers: constants by offset, the rest keeps what is written. Sub-word accesses work on the word."""

    size = 0x1000

    def __init__(self, base: int, constants: Mapping[int, int] | None = None) -> None:
        self.base = base
        self.constants = dict(constants or {})
        self.values: dict[int, int] = {}

    def read(self, offset: int, size: int) -> int:
        """Value of a register or of a part of it."""
        word = offset & ~3
        value = self.constants[word] if word in self.constants else self.load(word)
        return value >> 8 * (offset & 3) & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """Store to a register; a part of one is merged into it first."""
        word = offset & ~3
        if word in self.constants:
            return
        if size < 4:
            shift = 8 * (offset & 3)
            mask = (1 << 8 * size) - 1 << shift
            value = (self.merge_base(word) & ~mask) | (value << shift & mask)
        self.store(word, value)

    def merge_base(self, word: int) -> int:
        """The word that a partial store is merged into; 0 for registers where ones mean actions."""
        return self.load(word)

    def load(self, word: int) -> int:
        """Value of a register that is not constant."""
        return self.values.get(word, 0)

    def store(self, word: int, value: int) -> None:
        """Store to a register that is not constant."""
        self.values[word] = value


class Dwt(RegisterPage):
    """Data watchpoint and trace: the PC sample and the cycle counter. Comparators only keep their values."""

    def __init__(self, core: Core) -> None:
        super().__init__(DWT_BASE, component(core.kind.parts[1], core.kind, 0x47701A02, 3))
        self._core = core

    def load(self, word: int) -> int:
        """Value of a register."""
        if word == 0x00:
            return 0x40000000 | self.values.get(0, 0) & 0x0FFFFFFF  # four comparators
        if word == 0x04:
            return self._core.cycles & 0xFFFFFFFF
        if word == 0x1C:
            return self._core.sample_pc()
        return super().load(word)


class Fpb(RegisterPage):
    """Flash patch and breakpoint: six instruction comparators; remapping and literal comparators only keep their values."""

    def __init__(self, core: Core) -> None:
        super().__init__(FPB_BASE, component(core.kind.parts[2], core.kind, 0x47701A03, 2))
        self._core = core

    def load(self, word: int) -> int:
        """Value of a register."""
        if word == 0x00:
            kind = self._core.kind  # NUM_CODE; NUM_LIT 2 on Armv7-M, none on Armv6-M
            literals = 0x200 if kind.mainline and kind.fpb_version == 1 else 0
            return kind.fpb_version - 1 << 28 | literals | kind.breakpoints << 4 | self.values.get(0, 0) & 1
        return super().load(word)

    def store(self, word: int, value: int) -> None:
        """Store to a register; comparators take effect at once."""
        if word == 0 and not value & 2:
            return  # the key bit must be written as one
        super().store(word, value)
        enabled = self.values.get(0, 0) & 1
        for index in range(self._core.kind.breakpoints):
            comparator = self.values.get(8 + 4 * index, 0)
            address: int | None = None
            if self._core.kind.fpb_version == 2:
                address = comparator & ~1 if enabled and comparator & 1 else None
            elif enabled and comparator & 1 and comparator >> 30 in (1, 2):
                address = (comparator & 0x1FFFFFFC) | (2 if comparator >> 30 == 2 else 0)
            if self._core.breakpoints.get(index) != address:
                self._core.set_breakpoint(index, address)


class Scs(RegisterPage):
    """The system control space 0xE000E000."""

    def __init__(self, core: Core) -> None:
        kind = core.kind
        super().__init__(SCS_BASE, {**component(kind.parts[0], kind, 0x47702A04, 0), **kind.fixed, 0xD00: kind.cpuid})
        self._core = core

    # Replay interface: a store from the processor ends its slice, so that what it made pending is seen at once.
    def quick(self, _address: int, _size: int, _value: int) -> bool:
        """Never: see :class:`msdflash.sim.cpu.StoreWatcher`."""
        return False

    def before(self, _address: int, _size: int, _value: int) -> None:
        """Nothing to note: the device callback itself acts."""

    def after(self) -> None:
        """Nothing to undo."""

    def merge_base(self, word: int) -> int:
        """Zero where writing a one acts."""
        return 0 if word in (0xD28, 0xD2C, 0xD30, 0xD04) or 0x100 <= word < 0x300 else self.load(word)

    def load(self, word: int) -> int:
        """Value of a register."""
        core, nvic = self._core, self._core.nvic
        if 0x10 <= word <= 0x1C:
            return self._tick(word)
        if 0x100 <= word < 0x400:
            return self._lines(word)
        if 0x400 <= word < 0x500:
            at = exc.FIRST_IRQ + word - 0x400
            return int.from_bytes(nvic.priorities[at : at + 4], "little")
        if 0xD18 <= word <= 0xD20:
            at = 4 + word - 0xD18
            return int.from_bytes(nvic.priorities[at : at + 4], "little")
        if word == 0xD04:
            return self._icsr()
        if word == 0xDF0:
            return core.read_dhcsr(debugger=False)
        found = {
            0xD08: nvic.vtor, 0xD0C: 0xFA050000, 0xD10: core.scr, 0xD14: core.ccr, 0xD24: core.shcsr, 0xD28: core.cfsr,
            0xD2C: core.hfsr, 0xD30: core.dfsr, 0xD34: core.mmfar, 0xD38: core.bfar, 0xDF4: 0, 0xDF8: core.dcrdr,
            0xDFC: core.demcr,
        }.get(word)  # fmt: skip
        return super().load(word) if found is None else found

    def _tick(self, word: int) -> int:
        tick = self._core.nvic.tick
        if word == 0x10:
            value = tick.control | (0x10000 if tick.count_flag else 0)
            tick.count_flag = False
            return value
        return {0x14: tick.reload, 0x18: tick.value(self._core.cycles)}.get(word, 0)

    def _lines(self, word: int) -> int:
        nvic = self._core.nvic
        first = exc.FIRST_IRQ + (word & 0x7F) * 8
        numbers = nvic.enabled if word < 0x200 else nvic.pending if word < 0x300 else nvic.active
        return sum(1 << bit for bit in range(32) if first + bit in numbers)

    def _icsr(self) -> int:
        nvic = self._core.nvic
        value = nvic.active[-1] if nvic.active else 0
        best = nvic.best()
        if best is not None:
            value |= best << 12 | (1 << 22 if best >= exc.FIRST_IRQ else 0)
        if len(nvic.active) <= 1:
            value |= 1 << 11
        return value | (1 << 28 if exc.PENDSV in nvic.pending else 0) | (1 << 26 if exc.SYSTICK in nvic.pending else 0)

    def store(self, word: int, value: int) -> None:
        """Store to a register."""
        core, nvic = self._core, self._core.nvic
        if 0x10 <= word <= 0x18:
            self._store_tick(word, value)
        elif 0x100 <= word < 0x300:
            self._store_lines(word, value)
        elif 0x400 <= word < 0x500:
            at = exc.FIRST_IRQ + word - 0x400
            nvic.priorities[at : at + 4] = (value & 0xF0F0F0F0).to_bytes(4, "little")
        elif 0xD18 <= word <= 0xD20:
            at = 4 + word - 0xD18
            nvic.priorities[at : at + 4] = (value & 0xF0F0F0F0).to_bytes(4, "little")
        elif word == 0xD04:
            self._store_icsr(value)
        elif word == 0xD0C:
            self._store_aircr(value)
        elif word in (0xD28, 0xD2C, 0xD30):
            name = {0xD28: "cfsr", 0xD2C: "hfsr", 0xD30: "dfsr"}[word]
            setattr(core, name, getattr(core, name) & ~value)
        elif word == 0xD08:
            nvic.vtor = value & 0x3FFFFF80 if core.kind.vtor else 0
        elif word in (0xD10, 0xD14, 0xD24):
            setattr(core, {0xD10: "scr", 0xD14: "ccr", 0xD24: "shcsr"}[word], value)
        else:
            self._store_debug(word, value)

    def _store_debug(self, word: int, value: int) -> None:
        core = self._core
        if word == 0xDF4:
            core.write_dcrsr(value)
        elif word == 0xDF8:
            core.dcrdr = value
        elif word == 0xDFC:
            core.demcr = value & (0x010F07F1 if core.kind.mainline else 0x01000401)
        elif word == 0xF00:
            core.nvic.pending.add(exc.FIRST_IRQ + (value & 0x1FF))
        elif word != 0xDF0:  # only a debugger writes DHCSR: see the chip's debug bus
            super().store(word, value)

    def _store_tick(self, word: int, value: int) -> None:
        core = self._core
        tick = core.nvic.tick
        if word == 0x10:
            started = value & 1 and not tick.control & 1
            tick.control = value & 7
            if started:
                tick.restart(core.cycles)
        elif word == 0x14:
            tick.reload = value & 0xFFFFFF
            tick.restart(core.cycles)
        else:
            tick.restart(core.cycles)

    def _store_lines(self, word: int, value: int) -> None:
        nvic = self._core.nvic
        first = exc.FIRST_IRQ + (word & 0x7F) * 8
        numbers = {first + bit for bit in range(32) if value >> bit & 1}
        target = nvic.enabled if word < 0x200 else nvic.pending
        if word & 0x80:
            target -= numbers
        else:
            target |= numbers

    def _store_icsr(self, value: int) -> None:
        pending = self._core.nvic.pending
        for bit, number in ((31, exc.NMI), (28, exc.PENDSV), (26, exc.SYSTICK)):
            if value >> bit & 1:
                pending.add(number)
        for bit, number in ((27, exc.PENDSV), (25, exc.SYSTICK)):
            if value >> bit & 1:
                pending.discard(number)

    def _store_aircr(self, value: int) -> None:
        if value >> 16 != AIRCR_KEY:
            return
        if value & 4:  # SYSRESETREQ
            self._core.request_reset(system=True)
        elif value & 1:  # VECTRESET: the core alone
            self._core.request_reset(system=False)


def rom_tables(base: int, part: int, designer: tuple[int, int], kind: CoreKind) -> list[RegisterPage]:
    """The chip's ROM table under its maker's identification; if it is not the core's own one, then that one under Arm's as well."""
    if base == ROM_BASE:
        return [_rom_table(base, part, designer, kind.rom_entries)]
    link = (ROM_BASE - base & 0xFFFFF000) | 3
    return [_rom_table(base, part, designer, (link, *kind.outer)), _rom_table(ROM_BASE, kind.table_part, ARM_DESIGNER, kind.rom_entries)]


def _rom_table(base: int, part: int, designer: tuple[int, int], entries: Sequence[int]) -> RegisterPage:
    constants = identification(part, designer, CLASS_ROM)
    constants.update({4 * index: entry for index, entry in enumerate(entries)})
    constants[0xFCC] = 1  # MEMTYPE: system memory is on this bus
    return RegisterPage(base, constants)


def trace_components(kind: CoreKind) -> list[RegisterPage]:
    """ITM, TPIU and ETM: identification only."""
    if kind.v8m:
        part = kind.parts[0]
        return [
            RegisterPage(ITM_BASE, {**component(part, kind, 0x47701A01, 0), 0xFCC: 0x43}),
            RegisterPage(TPIU_BASE, {**identification(part, ARM_DESIGNER, CLASS_DEBUG), 0xFC8: 0xCA0, 0xFCC: 0x11}),
        ]
    return [
        RegisterPage(ITM_BASE, identification(0x001, ARM_DESIGNER, CLASS_GENERIC, 3)),
        RegisterPage(TPIU_BASE, {**identification(0x9A1, ARM_DESIGNER, CLASS_DEBUG), 0xFC8: 0xCA1, 0xFCC: 0x11}),
        RegisterPage(ETM_BASE, {**identification(0x925, ARM_DESIGNER, CLASS_DEBUG), 0xFCC: 0x13}),
    ]
