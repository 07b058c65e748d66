"""A chip: processor, bus, memories and reset domains put together from one entry of the chip table.

Three reset domains, as STM32 have them: power-on (everything), system (core and peripherals; from nRESET, SYSRESETREQ, watchdogs),
and the debug registers, which only power-on clears (RM0351 6.1 and 48.2; DDI 0403 C1.6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msdflash.sim import ppb
from msdflash.sim.ap import AhbAp, Stall
from msdflash.sim.armv7m import S_SLEEP
from msdflash.sim.bus import Bus, BusError, Memory
from msdflash.sim.core import GLANCE, LOOK, Core, Depth, State
from msdflash.sim.cores import CORES, DEFAULT_CORE
from msdflash.sim.cpu import Cpu
from msdflash.sim.dp import SwDp

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.ap import AccessPort
    from msdflash.sim.multidrop import Multidrop

INSTRUCTION_HERTZ = 4_000_000  # instructions a second: the time in which a processor's own is counted
WAITED = 200  # instructions in the 50 us that a transfer takes at 1 MHz which is answered with WAIT
PPB_START, PPB_END = 0xE0000000, 0xE0100000
# A look-up in an enumeration costs as much as ten of a plain name, and each access of a debugger makes several.
_ASLEEP, _LOCKUP, _SLEEP, _STOP, _OFF = State.ASLEEP, State.LOCKUP, Depth.SLEEP, Depth.STOP, Depth.OFF
_CLOCKED = (Depth.SLEEP, Depth.KEPT)
SRAM_START, PERIPHERAL_START = 0x20000000, 0x40000000


class Chip(Protocol):
    """What a module under ``chips`` offers for one part."""

    name: str
    dpidr: int
    rom_part: int
    designer: tuple[int, int]
    flash: Memory

    def attach(self, soc: Soc) -> None:
        """Put memories and devices on the bus and in front of the processor."""

    def power_on(self) -> None:
        """The supply came up: lose what is volatile, load the options."""

    def system_reset(self, cause: str) -> None:
        """Peripherals to their reset values. ``cause``: power, pin, software or option."""

    def debugger_access(self, address: int) -> None:
        """A debugger reaches for the bus: chips note it for their read protection."""

    def nonvolatile(self) -> bytes:
        """Option bytes, in a form that :meth:`set_nonvolatile` takes back."""

    def set_nonvolatile(self, data: bytes) -> None:
        """Restore option bytes."""


class Block(Protocol):
    """A part of a chip beside processor, flash and buses: watchdogs, power control, pins."""

    def power_on(self) -> None:
        """The supply came up."""

    def reset(self, cause: str) -> None:
        """A system reset, after the chip's own registers have their reset values."""


class Habits:
    """What chips do differently at reset, at lockup and at their debug port. These are the ways of STM32; others override them.

    Attributes:
        core: name of the core in :data:`msdflash.sim.cores.CORES`.
        debug_in_reset: under nRESET the debug port is ``alive``, answers without granting debug power (``no-power``) or is ``silent``.
        pin_clears_debug: nRESET also clears the core's debug registers.
        pin_clears_port: nRESET also puts the debug port into its power-on state.
        resets_core_only: SYSRESETREQ resets the processor and nothing around it.
        vectors: where the core finds its vector table after reset.
        pc_samples: DWT_PCSR is implemented; it need not be on Armv6-M (DDI 0419 C1.8).
        rom_table: where the access port says the chip's ROM table is. If that is not the core's own one, it points to it.
    """

    core = DEFAULT_CORE
    debug_in_reset = "alive"
    pin_clears_debug = False
    pin_clears_port = False
    resets_core_only = False
    vectors = 0
    pc_samples = True
    rom_table = ppb.ROM_BASE

    def fitted(self, soc: Soc) -> None:
        """The chip was put together."""

    def closed(self) -> None:
        """The chip is taken apart."""

    def ports(self) -> dict[int, AccessPort]:
        """The maker's own access ports by number."""
        return {}

    def memory_port_open(self) -> bool:
        """CSW.DeviceEn of the memory access port."""
        return True

    def memory_port_hidden(self) -> bool:
        """The memory access port reads as one that is not there."""
        return False

    def pin_works(self) -> bool:
        """Whether nRESET is connected to anything inside."""
        return True

    def lockup_resets(self) -> bool:
        """A locked-up core resets the chip."""
        return False

    def debug_dead(self) -> bool:
        """The chip has switched its debug port off."""
        return False

    def core_held(self) -> bool:
        """A register keeps the core, and nothing else, in reset."""
        return False

    def blocked(self, address: int) -> bool:
        """The bus refuses a debugger's access now, for reasons of the chip's own."""
        del address
        return False


class Soc:
    """One powered or unpowered chip.

    Attributes:
        dp: its debug port.
        core: its processor.
        ignored_in_reset: variant: accesses outside the debug components are ignored under reset, not refused.
        blocks: what else is in the chip.
        bus_clocked: asked whether a debugger's accesses get through while the core sleeps so deep.
        pins: asked what a program has made of the debug pins: None, they are the debug port's; else what it drives on SWDIO: ``float``,
            ``low`` or ``high``.
        stop_waits: variant: with all clocks off, a debugger's accesses wait; else the chip grants no debug power.
        off_port: the debug port answers while the core has no supply, and a request for debug power wakes the chip.
        on_current: told the seconds of each flash operation, which draws current.
        sagging: the supply is about to break down for a moment: the chip starts anew when the current access is over.
        flash_changed: the array was erased or programmed since translations were last dropped.
    """

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.habits: Habits = getattr(chip, "habits", None) or Habits()
        kind = CORES[self.habits.core]
        self.bus = Bus()
        self.cpu = Cpu(kind.model)
        self.core = Core(self.cpu, self._core_read, self._core_store, kind)
        self.core.set_vectors(self.habits.vectors)
        self.core.pc_samples = self.habits.pc_samples
        self.ap = AhbAp(self, kind.ap_idr, kind.wrap, self.habits.rom_table | 3, kind.csw)
        kept = type(self.habits)
        self.ap.enabled = self.habits.memory_port_open if kept.memory_port_open is not Habits.memory_port_open else None
        self.ap.hidden = self.habits.memory_port_hidden if kept.memory_port_hidden is not Habits.memory_port_hidden else None
        self.ap.others = self.habits.ports()
        self.dp: SwDp | Multidrop = SwDp(chip.dpidr, self.ap)
        self.ignored_in_reset = False
        self.blocks: list[Block] = []
        self.bus_clocked: Callable[[Depth], bool] = lambda depth: depth in _CLOCKED
        self.pins: Callable[[], str | None] = lambda: None
        self.detached: Callable[[int], bool] = lambda _port: False
        self.stop_waits = False
        self.off_port = False
        self.on_current: Callable[[float], None] | None = None
        self.sagging = False
        self._flash_seconds = 0.0
        self.flash_changed = False
        self.powered = False
        self._held = True
        self.on_internal_reset: Callable[[], None] | None = None
        self.line_low: Callable[[], bool] | None = None
        self.before_slice: list[Callable[[], None]] = []
        self.after_slice: list[Callable[[], None]] = []
        chip.attach(self)
        scs = ppb.Scs(self.core)
        tables = ppb.rom_tables(self.habits.rom_table, chip.rom_part, chip.designer, kind)
        trace = ppb.trace_components(kind) if kind.mainline else []
        for page in (scs, ppb.Dwt(self.core), ppb.Fpb(self.core), *tables, *trace):
            self.bus.add(page)
            self.cpu.map_device(page, scs if page is scs else None)
        self.bus.on_host_store = self._host_stored
        self._stale: list[tuple[int, int]] = []
        self.core.before_run = self._before_run
        self.core.after_run = self._after_run
        self.core.on_reset_request = self._internal_reset
        self._lockup = False
        self.habits.fitted(self)

    def close(self) -> None:
        """Break the links into the emulator."""
        self.habits.closed()
        self.cpu.close()
        self.before_slice.clear()
        self.after_slice.clear()
        self.on_internal_reset = self.line_low = None
        self.core.before_run = self.core.after_run = self.core.on_reset_request = None
        self.bus.on_host_store = None

    @property
    def flash_seconds(self) -> float:
        """Time that flash operations have taken and nobody has waited for yet. It passes for watchdogs when the operation is done."""
        return self._flash_seconds

    @flash_seconds.setter
    def flash_seconds(self, seconds: float) -> None:
        took, self._flash_seconds = seconds - self._flash_seconds, seconds
        if took > 0:
            self.core.time += int(took * INSTRUCTION_HERTZ)
            if self.on_current is not None:
                self.on_current(took)

    # --- power and reset ---------------------------------------------------------------------------------------------

    def set_power(self, on: bool, reset_high: bool) -> None:
        """The supply rail goes up or down; ``reset_high`` is nRESET's level then."""
        if on == self.powered:
            return
        self.powered = on
        self._hold(True)
        self.core.power_on()
        if not on:
            return
        for memory in self.bus.memories:
            if memory.volatile:
                memory.data[:] = bytes(memory.size)
        self.cpu.invalidate_all()
        self.ap.power_on()
        self.dp.power_on()
        self.chip.power_on()
        for block in self.blocks:
            block.power_on()
        self._system_reset("power")
        if reset_high or not self.habits.pin_works():
            self._release()

    def set_nreset(self, high: bool) -> None:
        """The nRESET line changed."""
        if not self.powered:
            return
        if high:
            self._release()
        elif not self._held and self.habits.pin_works():
            self._come_back()
            self._hold(True)
            self.ap.stalled = False
            if self.habits.pin_clears_port:
                self.ap.power_on()
                self.dp.power_on()
            if self.habits.pin_clears_debug:
                self.core.power_on()
            else:
                self.core.enter_reset()
            self._system_reset("pin")
            self.settle_port()

    def _system_reset(self, cause: str) -> None:
        self.chip.system_reset(cause)
        for block in self.blocks:
            block.reset(cause)

    def _come_back(self) -> None:
        """A reset begins. A core that was switched off has lost its debug registers, its RAM and its debug port's state."""
        if self.core.state is not State.ASLEEP or self.core.depth is not Depth.OFF:
            return
        if not self.off_port:
            self.core.power_on()
            self.ap.power_on()
            self.dp.power_on()
        for memory in self.bus.memories:
            if memory.volatile:
                memory.data[:] = bytes(memory.size)

    def _hold(self, held: bool) -> None:
        """The system reset begins or ends."""
        self._held = held
        self.dp.deaf = (held and self.habits.debug_in_reset == "silent") or self.habits.debug_dead()
        self.settle_port()

    def settle_port(self) -> None:
        """What the debug port can do now: under reset, in deep sleep, and when a program has taken its pins."""
        depth = self.core.depth if self.core.state is _ASLEEP else _SLEEP
        awake = depth in _CLOCKED or (depth is _STOP and self.stop_waits)
        self.dp.debug_power = awake and (not self._held or self.habits.debug_in_reset == "alive")
        taken = None if self._held else self.pins()
        for number, port in enumerate((self.dp,) if isinstance(self.dp, SwDp) else self.dp.ports):
            off = not self.powered or (depth is _OFF and not self.off_port)
            port.cut = taken is not None or off or self.detached(number)
            port.low = taken == "low"

    @property
    def held(self) -> bool:
        """System reset is asserted."""
        return self._held

    def _release(self) -> None:
        if self._held:
            self._hold(False)
            self.free_core()

    def free_core(self) -> None:
        """The core leaves reset, if nothing holds it there."""
        if not self._held and self.core.state is State.RESET and not self.habits.core_held():
            self.core.leave_reset()

    def glance(self) -> None:
        """Time passes while somebody looks at something that is not on the bus."""
        self.core.run(GLANCE)

    def _internal_reset(self, system: bool) -> None:
        if not self.powered:
            return
        if not system or self.habits.resets_core_only:
            self.core.enter_reset()
            self.core.leave_reset()
            return
        lockup, self._lockup = self._lockup, False
        self.reset("lockup" if lockup else self.core.reset_cause)

    def reset(self, cause: str) -> None:
        """A system reset that the chip itself makes; it pulls nRESET low for a moment."""
        self.ap.stalled = False
        self._come_back()
        self.core.enter_reset()
        self._system_reset(cause)
        held = self._held
        self._hold(True)
        if self.on_internal_reset is not None:
            self.on_internal_reset()
        if not held and (self.line_low is None or not self.line_low() or not self.habits.pin_works()):
            self._release()

    def _sag(self) -> None:
        """The supply fell below the brown-out level and is back: a power-on like any other. nRESET is high afterwards as it was before."""
        self.sagging = False
        if self.powered:
            self.set_power(False, False)
            self.set_power(True, self.line_low is None or not self.line_low())

    def _reach(self) -> None:
        """Wait for the clock of the debugger's bus. Raises :class:`msdflash.sim.ap.Stall` while it is off."""
        if self.sagging:
            self._sag()
            raise BusError(0)  # the debug domain has just lost what it was told
        core = self.core
        if core.state is not _ASLEEP or self.bus_clocked(core.depth):
            return
        wakes = core.wakes
        core.run(WAITED)
        if core.state is State.ASLEEP and (core.wakes == wakes or not core.lives):
            raise Stall

    # --- the debugger's view -------------------------------------------------------------------------------------------

    def read(self, address: int, size: int) -> int:
        """One access of the debugger. Raises :class:`BusError` or :class:`msdflash.sim.ap.Stall`."""
        self._reach()
        if self._private(address):
            if address == ppb.DHCSR:
                self.core.run(LOOK)
                value = self.core.read_dhcsr(debugger=True)
                # Who can be read is awake.
                return value & ~S_SLEEP if value & S_SLEEP and not self.bus_clocked(self.core.depth) else value
            self.core.run(LOOK if address == ppb.DWT_PCSR else GLANCE)
            return self.bus.read(address, size)
        if self._blocked(address):
            return 0
        self.core.run(GLANCE)
        self.chip.debugger_access(address)
        return self.bus.read(address, size)

    def write(self, address: int, size: int, value: int) -> None:
        """One access of the debugger. Raises :class:`BusError` or :class:`msdflash.sim.ap.Stall`."""
        self._reach()
        if self._private(address):
            if address == ppb.DHCSR:
                self.core.write_dhcsr(value)
            else:
                self.bus.write(address, size, value)
                self.core.settle_reset()
            return
        if self._blocked(address):
            return
        self.core.run(GLANCE)
        self.chip.debugger_access(address)
        self.bus.write(address, size, value)
        self.core.settle_reset()  # the access may have asked for one (RM0351 3.4.2: OBL_LAUNCH), also of a core that does not run

    def read_block(self, address: int, length: int) -> bytes | None:
        """Many words at once where one memory holds them and nothing special is going on."""
        if self._one_by_one(address):
            return None
        self.core.run(GLANCE)
        self.chip.debugger_access(address)
        try:
            return self.bus.read_block(address, length)
        except Stall:
            return None

    def read_still(self, address: int, length: int) -> bytes | None:
        """As so many single reads of words, where the core stands, no watchdog counts, and so nothing can happen between them."""
        core = self.core
        if core.lives or core.guards or core.reset_wanted is not None or self.sagging or self._one_by_one(address):
            return None
        self.chip.debugger_access(address)
        try:
            data = self.bus.read_block(address, length)
        except Stall:
            return None
        if data is not None:
            core.run(length // 4 * GLANCE)
        return data

    def write_block(self, address: int, data: bytes) -> bool:
        """The same for writes."""
        if self._one_by_one(address):
            return False
        self.core.run(GLANCE)
        self.chip.debugger_access(address)
        return self.bus.write_block(address, data)

    def _one_by_one(self, address: int) -> bool:
        asleep = self.core.state is _ASLEEP and not self.bus_clocked(self.core.depth)
        return self._held or asleep or PPB_START <= address < PPB_END or self.habits.blocked(address)

    def _private(self, address: int) -> bool:
        """The debug components, which system reset leaves alone."""
        return PPB_START <= address < PPB_END or 0 <= address - self.habits.rom_table < 0x1000

    def _blocked(self, address: int) -> bool:
        """Under system reset the bus refuses everything but the debug components (variant: ignores it)."""
        if not self._held:
            if self.habits.blocked(address):
                raise BusError(address)
            return False
        if not self.ignored_in_reset:
            raise BusError(address)
        return True

    # --- the processor's view ------------------------------------------------------------------------------------------

    def _core_read(self, address: int) -> int:
        owner = self.bus.owner(address)
        if not isinstance(owner, Memory) or owner.forbidden:
            raise BusError(address)
        offset = address - owner.base
        return int.from_bytes(owner.data[offset : offset + 4], "little")

    def _core_store(self, address: int, data: bytes) -> None:
        owner = self.bus.owner(address)
        if not isinstance(owner, Memory) or not owner.writable or address + len(data) > owner.base + owner.size:
            raise BusError(address)
        offset = address - owner.base
        owner.data[offset : offset + len(data)] = data

    def _host_stored(self, address: int, length: int) -> None:
        self._stale.append((address, length))

    def _before_run(self) -> None:
        if self.flash_changed and not SRAM_START <= self.core.pc < PERIPHERAL_START:
            self.flash_changed = False
            self.cpu.invalidate_all()
        if len(self._stale) > 8:
            self.cpu.invalidate_all()
        else:
            for address, length in self._stale:
                self.cpu.invalidate(address, length)
        self._stale.clear()
        for hook in self.before_slice:
            hook()

    def _after_run(self) -> None:
        for hook in self.after_slice:
            hook()
        if self.core.state is _LOCKUP and self.habits.lockup_resets():
            self._lockup = True
            self.core.request_reset(system=True)
        if self.sagging:
            self._sag()
        self.settle_port()

    def advance(self, instructions: int) -> None:
        """Let the processor run on its own for the time of so many instructions."""
        self.core.run(instructions)

    @property
    def running(self) -> bool:
        """The processor would do something if time passed."""
        return self.powered and self.core.state in (State.RUNNING, State.ASLEEP)
