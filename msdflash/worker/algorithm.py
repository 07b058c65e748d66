"""pyOCD's flash algorithm in the target's RAM: the RAM is tested, the download read back, each call watched.

pyOCD itself loads without looking back, takes any halt for success and cannot see a fault inside the algorithm. Here a call counts only
when the core stopped at the algorithm's own breakpoint with no exception active.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import msgspec

from msdflash.chips import corrections
from msdflash.worker import memory
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.measure import C_DEBUGEN, C_HALT, DBGKEY, DEMCR, DHCSR, S_HALT, S_LOCKUP, S_RESET_ST, VC_HARDERR
from msdflash.worker.trouble import classify

CFSR = 0xE000ED28
HFSR = 0xE000ED2C
BFAR = 0xE000ED38
"""Arm DDI 0403E B3.2.15 and on."""

XPSR_THUMB = 0x01000000
ERASE, PROGRAM = 1, 2
"""Function codes of Init and UnInit (CMSIS-Pack, Flash Programming, "Algorithm functions")."""

_POLL_START = 0.0005
_POLL_MOST = 0.01
_FEWEST_POLLS = 20
"""Looks at the core before a call may count as overrun, the last of them begun after its deadline: a computer that is busy with other
things looks rarely, and what it missed is not the flash's fault. In 0.75 s a quiet one looks 80 times."""


class Call(msgspec.Struct, frozen=True):
    """One call of an algorithm function and what came of it."""

    function: str
    address: int
    length: int
    r0: int | None
    pc: int | None
    ipsr: int | None
    timeout_s: float | None = None

    @property
    def returned(self) -> bool:
        """The function came back to its caller."""
        return self.timeout_s is None and self.r0 is not None


class Algorithm:
    """One region's flash algorithm on a halted core.

    Args:
        core: pyOCD's core object (memory and registers).
        flash: pyOCD's Flash object of the region: entry points, addresses, code.
        chunk: bytes that one ProgramPage call takes; the buffer is as large.
        least: bytes of the shortest chunk that would do, one page; None: ``chunk`` is it.
    """

    def __init__(self, channel: Channel, core: Any, flash: Any, chunk: int, *, least: int | None = None) -> None:
        self._channel = channel
        self._core = core
        self._flash = flash
        self._table: dict[str, Any] = flash.flash_algo
        self.chunk = chunk
        self._least = chunk if least is None else least
        self.buffer: int = flash.page_buffers[0]
        self._loaded = False
        self._active: int | None = None
        # The algorithm as it must stand in RAM, and what was put right in it.
        self.code, self._corrections = corrections.correct(memory.to_bytes(self._table["instructions"]))

    def ram(self, chunk: int | None = None) -> list[tuple[int, int]]:
        """``(start, length)`` of the RAM that is used: code with stack and data, then the page buffer; overlaps merged.

        ``chunk``: with a page buffer of another length.
        """
        chunk = self.chunk if chunk is None else chunk
        load = int(self._table["load_address"])
        end = max(load + len(self.code), int(self._table["begin_stack"]))
        spans = sorted([(load & ~3, (end + 3) & ~3), (self.buffer & ~3, (self.buffer + chunk + 3) & ~3)])
        merged = [spans[0]]
        for start, stop in spans[1:]:
            if start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
            else:
                merged.append((start, stop))
        return [(start, stop - start) for start, stop in merged]

    def test_ram(self) -> None:
        """Each word holds its own address, then the inverse; all is written before anything is read, so that aliases show.

        Raises:
            StepFailed: ``ram``. Whether the RAM would do for a page buffer of one page was measured, too (``spare``).
        """
        self._channel.touch(ram_overwritten=True)
        result = self._test(self.ram())
        if not result["ok"] and self._least < self.chunk:
            result["spare"] = self._test(self.ram(self._least))["ok"]
        self._channel.measure("ram.test", result)
        if not result["ok"]:
            raise StepFailed("ram", "RAM that the flash algorithm needs does not hold data", address=result["address"])

    def _test(self, spans: list[tuple[int, int]]) -> dict[str, Any]:
        """The value of ``ram.test`` for these spans; ends at the first pattern that does not come back."""
        words = 0
        for inverse in (0, 0xFFFFFFFF):
            patterns = {
                start: memory.to_bytes([address ^ inverse for address in range(start, start + length, 4)]) for start, length in spans
            }
            for start, pattern in patterns.items():
                memory.write(self._core, start, pattern)
            for start, pattern in patterns.items():
                found = memory.read(self._core, start, len(pattern))
                words += len(pattern) // 4
                if found != pattern:
                    return _compare(start, pattern, found) | {"kind": _ram_kind(pattern, found, inverse)}
        return {"ok": True, "words": words, "bad": 0}

    def load(self) -> None:
        """Download the code and read every byte back.

        Raises:
            StepFailed: ``algo-readback``.
        """
        self._flash.prepare_target()
        self._channel.log.extend(self._corrections)
        code, start = self.code, int(self._table["load_address"])
        memory.write(self._core, start, code)
        found = memory.read(self._core, start, len(code))
        result = _compare(start, code, found)
        self._channel.measure("algo.readback", result)
        if not result["ok"]:
            raise StepFailed("algo-readback", "the flash algorithm in RAM is not what was sent", address=result["address"])
        self._core.write32(DEMCR, self._core.read32(DEMCR) | VC_HARDERR)
        self._loaded = True

    def enter(self, operation: int, address: int, deadline: float) -> None:
        """Init for erasing or programming; leaves another operation first.

        Raises:
            StepFailed: ``algo-init``.
        """
        if self._active == operation:
            return
        self.leave(deadline)
        entry = self._table.get("pc_init")
        if entry:
            call = self._call("Init", entry, deadline, address, 0, (address, 0, operation), first=True)
            self._require(call, "algo-init", "the flash algorithm could not prepare the flash controller")
        self._active = operation

    def leave(self, deadline: float) -> None:
        """UnInit, if an operation is open."""
        operation, self._active = self._active, None
        entry = self._table.get("pc_unInit")
        if operation is not None and entry:
            call = self._call("UnInit", entry, deadline, 0, 0, (operation,))
            self._require(call, "algo-init", "the flash algorithm could not finish with the flash controller")

    def erase(self, address: int, length: int, deadline: float) -> None:
        """Erase one sector. Raises StepFailed ``erase``."""
        call = self._call("EraseSector", self._table["pc_erase_sector"], deadline, address, length, (address,))
        self._require(call, "erase", f"erasing the sector at 0x{address:08X} failed")

    def program(self, address: int, data: bytes, deadline: float) -> None:
        """Program at most one chunk. Raises StepFailed ``program``."""
        self.fill_buffer(data)
        call = self._call("ProgramPage", self._table["pc_program_page"], deadline, address, len(data), (address, len(data), self.buffer))
        self._require(call, "program", f"programming at 0x{address:08X} failed")

    def fill_buffer(self, data: bytes) -> None:
        """Send data to the page buffer."""
        memory.write(self._core, self.buffer, data + b"\xff" * (-len(data) % 4))

    def recheck_buffer(self, data: bytes) -> None:
        """Send data to the page buffer once more and read it back: did they arrive? Sets ``buffer.readback``."""
        padded = data + b"\xff" * (-len(data) % 4)
        memory.write(self._core, self.buffer, padded)
        found = memory.read(self._core, self.buffer, len(padded))
        self._channel.measure("buffer.readback", _compare(self.buffer, padded, found))

    def finish(self, deadline: float) -> None:
        """Leave the open operation and restore what the algorithm's class changed on the target."""
        if self._loaded:
            self.leave(deadline)
            self._flash.restore_target()
            self._loaded = False

    # ------------------------------------------------------------------------------------------------------------------------------

    def _call(
        self,
        function: str,
        entry: int,
        deadline: float,
        address: int,
        length: int,
        arguments: tuple[int, ...],
        *,
        first: bool = False,
    ) -> Call:
        registers: dict[str, int] = {"pc": entry}
        registers |= {f"r{index}": value for index, value in enumerate(arguments)}
        registers["lr"] = int(self._table["load_address"]) + 1
        if first:
            registers |= {"r9": self._table["static_base"], "sp": self._table["begin_stack"], "xpsr": XPSR_THUMB}
        core = self._core
        core.write_core_registers_raw(list(registers), list(registers.values()))
        core.read32(DHCSR)  # clears the memory of resets before this call
        core.write32(DHCSR, DBGKEY | C_DEBUGEN)
        self._channel.tally("algorithm_calls")
        if not self._wait(deadline):
            return self._overrun(function, address, length, deadline)
        pc, r0, xpsr = core.read_core_registers_raw(["pc", "r0", "xpsr"])
        return Call(function, address, length, int(r0), int(pc), int(xpsr) & 0x1FF)

    def _wait(self, deadline: float) -> bool:
        """True when the core has halted in time. Raises StepFailed when it was reset meanwhile."""
        end = time.monotonic() + deadline
        pause = _POLL_START
        polls = 0
        while True:
            late = time.monotonic() > end and polls >= _FEWEST_POLLS
            status = int(self._core.read32(DHCSR))
            if status & S_RESET_ST:
                self._channel.measure("algo.reset_seen", True)
                raise StepFailed("reset-under-algorithm", "the chip was reset while the flash algorithm ran")
            if status & S_HALT:
                return True
            if status & S_LOCKUP or late:
                return False
            polls += 1
            if polls > 3:
                # The flash works for milliseconds; asking faster only keeps the bus busy.
                time.sleep(pause)
                pause = min(pause * 1.5, _POLL_MOST)

    def _overrun(self, function: str, address: int, length: int, deadline: float) -> Call:
        core = self._core
        pc = ipsr = None
        with contextlib.suppress(Exception):
            core.write32(DHCSR, DBGKEY | C_DEBUGEN | C_HALT)
            values = core.read_core_registers_raw(["pc", "xpsr"])
            pc, ipsr = int(values[0]), int(values[1]) & 0x1FF
        return Call(function, address, length, None, pc, ipsr, deadline)

    def _require(self, call: Call, kind: str, message: str) -> None:
        home = int(self._table["load_address"])
        if call.returned and call.r0 == 0 and call.ipsr == 0 and call.pc == home:
            return
        self._channel.measure("algo.call", msgspec.to_builtins(call))
        if not call.returned:
            raise StepFailed("algo-timeout", f"{message}: no answer within {call.timeout_s:g} s", address=call.address or None)
        if call.pc != home or call.ipsr:
            self._fault(call)
            raise StepFailed("algo-fault", f"{message}: the algorithm crashed", address=call.address or None)
        raise StepFailed(kind, f"{message} (result {call.r0})", address=call.address or None)

    def _fault(self, call: Call) -> None:
        fault = {"pc": call.pc, "ipsr": call.ipsr}
        for name, register in (("cfsr", CFSR), ("hfsr", HFSR), ("bfar", BFAR)):
            try:
                fault[name] = int(self._core.read32(register))
            except Exception as error:  # noqa: BLE001  (Armv6-M has none of them)
                self._channel.log.append(classify(error).text)
        self._channel.measure("core.fault", fault)


def _compare(start: int, expected: bytes, found: bytes) -> dict[str, Any]:
    """Word-wise result of a read-back for the readings: first bad word, both sides, how many."""
    index = memory.first_difference(expected, found)
    words = len(expected) // 4
    if index is None:
        return {"ok": True, "words": words, "bad": 0}
    want, have = memory.to_words(expected), memory.to_words(found)
    bad = sum(1 for left, right in zip(want, have, strict=True) if left != right)
    word = index // 4
    return {"ok": False, "address": start + 4 * word, "wrote": want[word], "read": have[word], "bad": bad, "words": words}


def _ram_kind(expected: bytes, found: bytes, inverse: int) -> str:
    """Word for the pattern of a failed RAM test: ``stuck`` (one bit), ``lost`` (nothing arrived), ``cell``, ``alias`` or ``mixed``."""
    want, have = memory.to_words(expected), memory.to_words(found)
    bad = [(left, right) for left, right in zip(want, have, strict=True) if left != right]
    flips = 0
    for left, right in bad:
        flips |= left ^ right
    if flips.bit_count() == 1 and len(bad) > 2:
        return "stuck"
    if len(bad) == len(want):
        return "lost"
    if len(bad) <= 2:
        return "cell"
    addresses = {word ^ inverse for word in want}
    if all((right ^ inverse) in addresses for _, right in bad):
        return "alias"
    return "mixed"
