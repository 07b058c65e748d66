"""The Cortex-M4's instruction set, run by Unicorn in short, counted slices on memories that it shares with the bus.

Facts about Unicorn 2.1 that shape this module, each measured:

* ``emu_stop`` inside a store or device callback leaves the PC at that instruction, and starting again repeats it. So a
  store that needs care is stopped first and then *replayed* alone, with its meaning applied after it went through.
* Stopping from another thread is not exact; counted slices are.
* Stores by the host need the translations of those addresses removed.
* WFI ends a slice silently behind itself; WFE and YIELD end it as an invalid instruction, also behind themselves.
* An exception return arrives as interrupt number 8, SVC as 2, BKPT as 7.
"""

from __future__ import annotations

import ctypes
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

import unicorn
from unicorn import arm_const as arm
from unicorn.unicorn_py3.unicorn import uclib

from msdflash.sim.bus import BusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from msdflash.sim.bus import Device, Memory

_STORE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int64, ctypes.c_void_p)
_REFUSED = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int64, ctypes.c_void_p)
_INTERRUPT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
_CODE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)

_INVALID = (
    unicorn.UC_HOOK_MEM_READ_UNMAPPED
    | unicorn.UC_HOOK_MEM_WRITE_UNMAPPED
    | unicorn.UC_HOOK_MEM_FETCH_UNMAPPED
    | unicorn.UC_HOOK_MEM_READ_PROT
    | unicorn.UC_HOOK_MEM_WRITE_PROT
    | unicorn.UC_HOOK_MEM_FETCH_PROT
)
# Keeps the interpreter's lock, which the callbacks need anyway: giving it up and taking it back cost each of them more than its work.
_start_emulator = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_size_t)(
    ctypes.cast(uclib.uc_emu_start, ctypes.c_void_p).value or 0
)
_FETCH = (unicorn.UC_MEM_FETCH_UNMAPPED, unicorn.UC_MEM_FETCH_PROT)
_NOWHERE = 0xFFFFFFFF
_HINTS = (0xBF20, 0xBF10)  # WFE, YIELD
_WFI = 0xBF30
THUMB = 1 << 24

CORE = [getattr(arm, f"UC_ARM_REG_R{n}") for n in range(13)] + [
    arm.UC_ARM_REG_SP,
    arm.UC_ARM_REG_LR,
    arm.UC_ARM_REG_PC,
    arm.UC_ARM_REG_XPSR,
    arm.UC_ARM_REG_MSP,
    arm.UC_ARM_REG_PSP,
]
FLOATS = [getattr(arm, f"UC_ARM_REG_S{n}") for n in range(32)]
_GE = 0xF << 16  # of xPSR
_SCRATCH = 0x1E000000  # code region (only there it may execute); no chip of the bench has anything there
_MSR_APSR_G_R0 = bytes.fromhex("80f30084")  # MSR APSR_g, R0
SP, LR, PC, XPSR, MSP, PSP = range(13, 19)  # numbers as DCRSR.REGSEL has them


class Stop(Enum):
    """Why a slice ended."""

    COUNT = "all instructions run"
    BREAKPOINT = "before an instruction with a breakpoint"
    BKPT = "at a BKPT instruction"
    SVC = "behind an SVC instruction"
    RETURN = "exception return"
    WFI = "behind a WFI"
    REPLAYED = "after a store that needed care"
    BUS = "data access refused"
    FETCH = "instruction fetch refused"
    UNDEFINED = "undefined instruction"


_COUNT = Stop.COUNT


class StoreWatcher(Protocol):
    """Somebody who gives stores to a range of memory their meaning."""

    def quick(self, address: int, size: int, value: int) -> bool:
        """A store is about to happen. True: dealt with, let it through. False: nothing done, replay it with care."""

    def before(self, address: int, size: int, value: int) -> None:
        """Replay: this store goes through next; an instruction may make several."""

    def after(self) -> None:
        """Replay: the stores have gone through; put right what they must not have done and do what they mean.

        Raises :class:`msdflash.sim.bus.BusError` where the bus refuses one.
        """


class Cpu:
    """One emulated processor.

    Attributes:
        fault_address: address of the last refused access.
        executed: instructions run, where known; cut slices count as a nominal few.
    """

    def __init__(self, model: str = "M4") -> None:
        self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(getattr(arm, f"UC_CPU_ARM_CORTEX_{model}"))
        self._handle = self._uc._uch  # noqa: SLF001 - raw callbacks: the binding's wrappers cost twice as much
        self._word = ctypes.c_uint32()
        self._word_at = ctypes.byref(self._word)
        self._half = ctypes.create_string_buffer(2)
        self._keep: list[Any] = []
        self._maps: list[tuple[int, int]] = []
        self._breakpoints: list[tuple[int, int]] = []
        self._replaying = False
        self._replay_writes: list[StoreWatcher] = []
        self._interrupt = -1
        self._hit_breakpoint = False
        self._wants_replay = False
        self._fault_kind = -1
        self._has_ge = model not in ("M0", "M3")  # DDI 0403 A2.3.2 (section from memory): with the DSP extension only
        self.fault_address = 0
        self._hook(unicorn.UC_HOOK_INTR, _INTERRUPT(self._on_interrupt))
        self._hook(_INVALID, _REFUSED(self._on_refused))

    def close(self) -> None:
        """Let go of the emulator and of every callback into the bench."""
        if self._handle is None:
            return
        for base, size in self._maps:
            self._uc.mem_unmap(base, size)
        self._maps.clear()
        self._handle = None
        self._uc = None
        self._keep.clear()
        self._breakpoints.clear()

    def _hook(self, kind: int, callback: Any, begin: int = 1, end: int = 0) -> int:
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(self._handle, ctypes.byref(handle), kind, callback, None, ctypes.c_uint64(begin), ctypes.c_uint64(end))
        if status:
            raise unicorn.UcError(status)
        self._keep.append(callback)
        return handle.value

    def map_memory(self, memory: Memory, base: int | None = None) -> None:
        """Share a memory with the processor, perhaps at a second address."""
        place = (ctypes.c_char * memory.size).from_buffer(memory.data)
        self._keep.append(place)
        at = memory.base if base is None else base
        self._uc.mem_map_ptr(at, memory.size, unicorn.UC_PROT_ALL, ctypes.addressof(place))
        self._maps.append((at, memory.size))

    def map_part(self, memory: Memory, start: int, size: int) -> None:
        """Share whole pages of a memory, at their own addresses; nothing may be executed there."""
        place = (ctypes.c_char * size).from_buffer(memory.data, start - memory.base)
        self._keep.append(place)
        self._uc.mem_map_ptr(start, size, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE, ctypes.addressof(place))
        self._maps.append((start, size))

    def map_around(self, memory: Memory, *pages: int) -> None:
        """Share a memory but for some of its pages of 4 KiB, which others serve; nothing may be executed there."""
        start, end = memory.base, memory.base + memory.size
        for page in sorted(page for page in pages if start <= page < end):
            if page > start:
                self.map_part(memory, start, page - start)
            start = page + 0x1000
        if end > start:
            self.map_part(memory, start, end - start)

    def map_device(self, device: Device, watcher: StoreWatcher | None = None) -> None:
        """Put registers into the processor's address space. With a watcher, stores are replayed through it."""

        def read(_uc: Any, offset: int, size: int, _data: Any) -> int:
            return device.read(offset, size)

        def write(_uc: Any, offset: int, size: int, value: int, _data: Any) -> None:
            if watcher is not None and not self._replaying:
                self._wants_replay = True
                uclib.uc_emu_stop(self._handle)
                return
            device.write(offset, size, value)

        size = device.size + 0xFFF & ~0xFFF
        self._uc.mmio_map(device.base, size, read, None, write, None)
        self._maps.append((device.base, size))

    def give_page(self, device: Device, watcher: StoreWatcher | None = None) -> None:
        """Put registers in the place of a page of 4 KiB that shows memory so far."""
        page = device.base
        base, size = next(entry for entry in self._maps if entry[0] <= page < entry[0] + entry[1])
        self._maps.remove((base, size))
        self._uc.mem_unmap(page, 0x1000)
        rest = ((base, page - base), (page + 0x1000, base + size - page - 0x1000))
        self._maps.extend(entry for entry in rest if entry[1])
        self.map_device(device, watcher)

    def watch_stores(self, begin: int, end: int, watcher: StoreWatcher) -> None:
        """Tell a watcher about every store to ``begin`` <= address < ``end``."""
        quick = watcher.quick
        stop = uclib.uc_emu_stop
        handle = self._handle

        def on_store(_uc: Any, _kind: int, address: int, size: int, value: int, _data: Any) -> None:
            if self._replaying:
                watcher.before(address, size, value & (1 << 8 * size) - 1)
                if watcher not in self._replay_writes:
                    self._replay_writes.append(watcher)
            elif not quick(address, size, value & 0xFFFFFFFF):
                self._wants_replay = True
                stop(handle)

        self._hook(unicorn.UC_HOOK_MEM_WRITE, _STORE(on_store), begin, end - 1)

    def forbid(self, base: int, size: int, forbidden: bool) -> None:
        """Make the processor's own reads of a mapped memory fail, or allow them again. Stores still reach their watchers."""
        self._uc.mem_protect(base, size, unicorn.UC_PROT_WRITE if forbidden else unicorn.UC_PROT_ALL)

    def shut(self, base: int, size: int, shut: bool) -> None:
        """Make every access of the processor to a mapped memory fail, fetching included; or let it read and fetch, never store."""
        self._uc.mem_protect(base, size, unicorn.UC_PROT_NONE if shut else unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)

    def protect(self, base: int, size: int) -> None:
        """Make the processor's stores to a mapped memory fail."""
        self._uc.mem_protect(base, size, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)

    def call_at(self, address: int, action: Callable[[], None]) -> None:
        """Do something each time the instruction at an address is about to run: code of a boot ROM that nobody may copy."""

        def on_code(_uc: Any, _address: int, _size: int, _data: Any) -> None:
            action()

        self._hook(unicorn.UC_HOOK_CODE, _CODE(on_code), address, address)

    def set_breakpoints(self, addresses: Iterable[int]) -> None:
        """Stop before the instructions at these addresses."""
        for handle, address in self._breakpoints:
            uclib.uc_hook_del(self._handle, ctypes.c_size_t(handle))
            self._uc.ctl_remove_cache(address, address + 4)
        self._breakpoints = []
        for address in addresses:
            self._breakpoints.append((self._hook(unicorn.UC_HOOK_CODE, _CODE(self._on_code), address, address), address))
            self.invalidate(address, 4)

    def invalidate(self, address: int, size: int) -> None:
        """Forget translations: the host changed these bytes."""
        self._uc.ctl_remove_cache(address, address + size)

    def invalidate_all(self) -> None:
        """Forget every translation."""
        self._uc.ctl_flush_tb()

    def _on_interrupt(self, _uc: Any, number: int, _data: Any) -> None:
        self._interrupt = number
        uclib.uc_emu_stop(self._handle)

    def _on_refused(self, _uc: Any, kind: int, address: int, _size: int, _value: int, _data: Any) -> bool:
        self._fault_kind = kind
        self.fault_address = address & 0xFFFFFFFF
        return False

    def _on_code(self, _uc: Any, _address: int, _size: int, _data: Any) -> None:
        self._hit_breakpoint = True
        uclib.uc_emu_stop(self._handle)

    def read(self, register: int) -> int:
        """A core register by its DCRSR number, 0 to 18."""
        uclib.uc_reg_read(self._handle, CORE[register], self._word_at)
        return int(self._word.value)

    def write(self, register: int, value: int) -> None:
        """Set a core register by its DCRSR number, 0 to 18."""
        if register == PC:
            value |= 1
        elif register == XPSR and self._has_ge and (value ^ self.read(XPSR)) & _GE:
            self._write_ge(value)
        self._word.value = value
        uclib.uc_reg_write(self._handle, CORE[register], self._word_at)

    def _write_ge(self, value: int) -> None:
        """The emulator keeps GE when xPSR is written, so an instruction has to do it, on a page that is there for just that long."""
        kept = self.read(0), self.read(PC)
        self._uc.mem_map(_SCRATCH, 0x1000)
        try:
            self._uc.mem_write(_SCRATCH, _MSR_APSR_G_R0)
            for register, word in ((XPSR, 1 << 24 | self.read(XPSR) & 0x1FF), (0, value)):
                self._word.value = word
                uclib.uc_reg_write(self._handle, CORE[register], self._word_at)
            self._uc.emu_start(_SCRATCH | 1, _SCRATCH + len(_MSR_APSR_G_R0), 0, 1)
        finally:
            self._uc.mem_unmap(_SCRATCH, 0x1000)
            self.write(0, kept[0])
            self.write(PC, kept[1])

    def read_special(self) -> int:
        """CONTROL, FAULTMASK, BASEPRI and PRIMASK, as DCRSR register 20 packs them."""
        read = self._uc.reg_read
        return int(
            (read(arm.UC_ARM_REG_CONTROL) & 7) << 24
            | (read(arm.UC_ARM_REG_FAULTMASK) & 1) << 16
            | (read(arm.UC_ARM_REG_BASEPRI) & 0xFF) << 8
            | (read(arm.UC_ARM_REG_PRIMASK) & 1)
        )

    def write_special(self, value: int) -> None:
        """Set what :meth:`read_special` shows."""
        write = self._uc.reg_write
        write(arm.UC_ARM_REG_CONTROL, value >> 24 & 7)
        write(arm.UC_ARM_REG_FAULTMASK, value >> 16 & 1)
        write(arm.UC_ARM_REG_BASEPRI, value >> 8 & 0xFF)
        write(arm.UC_ARM_REG_PRIMASK, value & 1)

    def read_float(self, index: int) -> int:
        """S0 to S31 as raw bits; 32 is FPSCR."""
        return int(self._uc.reg_read(arm.UC_ARM_REG_FPSCR if index == 32 else FLOATS[index]))

    def write_float(self, index: int, value: int) -> None:
        """Set S0 to S31 or (32) FPSCR."""
        self._uc.reg_write(arm.UC_ARM_REG_FPSCR if index == 32 else FLOATS[index], value)

    def run(self, count: int) -> Stop:
        """Run at most ``count`` instructions from the current PC."""
        stop = self._start(count)
        if not self._wants_replay:
            return stop
        self._wants_replay = False
        self._replaying = True
        try:
            stop = self._start(1)
            for watcher in self._replay_writes:
                watcher.after()
        except BusError as error:
            self.fault_address = error.address
            stop = Stop.BUS
        finally:
            self._replaying = False
            self._replay_writes.clear()
        return Stop.REPLAYED if stop is _COUNT else stop

    def _start(self, count: int) -> Stop:
        self._interrupt = self._fault_kind = -1
        self._hit_breakpoint = False
        start = self.read(PC)
        status = _start_emulator(self._handle, start | 1, _NOWHERE, 0, count)
        if status == 0 and self._interrupt < 0 and not self._hit_breakpoint:
            return Stop.WFI if not self._wants_replay and self._behind() == _WFI else _COUNT
        return self._why(status, start)

    def _behind(self) -> int:
        """The halfword before the PC, or -1."""
        if uclib.uc_mem_read(self._handle, ctypes.c_uint64((self.read(PC) & ~1) - 2), self._half, ctypes.c_size_t(2)):
            return -1
        return int.from_bytes(self._half.raw, "little")

    def _why(self, status: int, start: int) -> Stop:
        if self._hit_breakpoint:
            return Stop.BREAKPOINT
        if self._interrupt >= 0:
            return {2: Stop.SVC, 7: Stop.BKPT, 8: Stop.RETURN}.get(self._interrupt, Stop.UNDEFINED)
        if self._fault_kind >= 0:
            return Stop.FETCH if self._fault_kind in _FETCH else Stop.BUS
        at = self.read(PC)
        if not status:
            return Stop.COUNT
        if self._behind() not in _HINTS:
            return Stop.UNDEFINED
        if at != start:
            return Stop.COUNT
        # Behind a hint, where this slice began: a loop came round to it, or what stands here cannot be executed. Run it to see.
        status = _start_emulator(self._handle, at | 1, _NOWHERE, 0, 1)
        if self._hit_breakpoint or self._interrupt >= 0 or self._fault_kind >= 0:
            return self._why(status, -1)
        if status:
            return Stop.UNDEFINED if self.read(PC) == at else Stop.COUNT
        return Stop.WFI if not self._wants_replay and self._behind() == _WFI else Stop.COUNT
