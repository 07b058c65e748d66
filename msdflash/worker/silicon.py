"""What the silicon says it is, and whether it lets us work: identity, size, read-out and write protection. Raw reads only."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from msdflash.chips import families
from msdflash.chips.model import Device, Family, Register
from msdflash.job.readings import latest
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.measure import DHCSR, usb_failed
from msdflash.worker.raw import RawTarget
from msdflash.worker.trouble import classify

_UNREADABLE_SIZES = {0, 0xFFFF}


class Silicon(msgspec.Struct, frozen=True):
    """Identity out of the chip's own registers; each None where they cannot tell."""

    family: Family | None = None
    device: Device | None = None
    flash_kib: int | None = None


def read_field(channel: Channel, raw: RawTarget, register: Register) -> int | None:
    """A register field, or None where the bus refuses the address (then the sticky error is cleared)."""
    try:
        word = raw.read32(register.address & ~3)
    except Exception as error:
        trouble = classify(error)
        if trouble.kind == "usb":
            raise usb_failed(channel, trouble) from error
        raw.clear_sticky()
        return None
    return register.of((word >> 8 * (register.address & 3)) & ((1 << 8 * register.size) - 1))


def identify(channel: Channel, raw: RawTarget) -> Silicon:
    """Walk the families that the debug port and core allow and read each one's identity register until one knows the device."""
    readings = tuple(channel.readings)
    candidates = families.candidates(latest(readings, "swd.dpidr"), latest(readings, "ap.idr"), latest(readings, "core.cpuid"))
    seen: dict[int, int | None] = {}
    for family in candidates:
        if family.idcode is None:
            continue
        if family.idcode.address not in seen:
            seen[family.idcode.address] = read_field(channel, raw, Register(family.idcode.address))
        word = seen[family.idcode.address]
        if word in {None, 0, 0xFFFFFFFF} or word is None:
            continue
        found = families.identify(candidates, family.idcode.address, word)
        if found is not None:
            known, device = found
            channel.measure("chip.idcode", word)
            channel.measure("chip.dev_id", (known.idcode or family.idcode).of(word))
            channel.measure("chip.family", known.id)
            return Silicon(known, device, _size(channel, raw, known, device))
    for address, word in seen.items():
        if word not in {None, 0, 0xFFFFFFFF}:
            channel.measure("chip.idcode", word, f"at 0x{address:08X}, not in the tables")
    return Silicon()


def _size(channel: Channel, raw: RawTarget, family: Family, device: Device) -> int | None:
    """Flash that can be programmed, in KiB: the size register, less what the die's algorithm cannot reach in its present bank mode."""
    if family.flash_kib is None:
        return None
    kib = read_field(channel, raw, family.flash_kib)
    if kib is None or kib in _UNREADABLE_SIZES:
        return None
    channel.measure("chip.flash_kib", kib)
    word = read_field(channel, raw, Register(device.half_when[0].address)) if device.half_when is not None else 0
    reachable = families.reachable_kib(device, kib, word or 0)
    if reachable != kib:
        channel.measure("chip.flash_kib", reachable, "of which pyOCD's algorithm reaches only so much in dual-bank mode")
    return reachable


def reset_cause(channel: Channel, raw: RawTarget, family: Family | None, how: str) -> None:
    """The reset-cause registers, read and not cleared. Sets ``reset.cause``; nothing where one cannot be read."""
    if family is None or not family.reset_cause:
        return
    names: list[str] = []
    words: list[int] = []
    for item in family.reset_cause:
        word = read_field(channel, raw, Register(item.address, mask=(1 << 8 * item.size) - 1, size=item.size))
        if word is None:
            return
        words.append(word)
        names += item.names(word)
    channel.measure("reset.cause", {"flags": names, "words": words}, how)


MPU_CTRL = 0xE000ED94
"""Arm DDI 0403E B3.5.5, and at the same address in Armv6-M and Armv8-M."""


def limits(channel: Channel, raw: RawTarget) -> None:
    """What guards memory from the core's own code: the MPU, and on Armv8-M the stack limits. Sets ``core.limits``."""
    cell: dict[str, int] = {"mpu": raw.read32(MPU_CTRL)}
    cpuid = latest(tuple(channel.readings), "core.cpuid")
    if isinstance(cpuid, int) and cpuid >> 4 & 0xFFF in _V8M:
        for name, number in _LIMITS.items():
            value = read_core_register(raw, number)
            if value is not None:
                cell[name] = value
    channel.measure("core.limits", cell)


_V8M = frozenset({0xD20, 0xD21, 0xD22, 0xD23})
"""CPUID part numbers of Armv8-M cores: Cortex-M23, M33, M55, M85."""
_LIMITS = {"msplim": 0x1C, "psplim": 0x1D}
"""DCRSR.REGSEL of the secure state's limits, or of the only one's (from memory: Arm DDI 0553, DCRSR)."""
_DCRSR, _DCRDR = 0xE000EDF4, 0xE000EDF8
_S_REGRDY = 1 << 16


def read_core_register(raw: RawTarget, number: int) -> int | None:
    """One register of a halted core (Arm DDI 0403E C1.6.3); None where it does not become ready."""
    raw.write32(_DCRSR, number)
    for _ in range(10):
        if raw.read32(DHCSR) & _S_REGRDY:
            return raw.read32(_DCRDR)
    return None


def check_lock(channel: Channel, raw: RawTarget, family: Family) -> None:
    """Read-out protection; what looks locked is read once more 20 ms later.

    Raises:
        StepFailed: ``locked`` when both readings say so; nobody is told to erase on one.
    """
    rule = family.rdp
    if rule is None:
        return
    whole = Register(rule.register.address)
    readings: list[int] = []
    levels: set[str] = set()
    for attempt in range(2):
        if attempt:
            time.sleep(0.02)
        word = read_field(channel, raw, whole)
        if word is None:
            return
        readings.append(rule.register.of(word))
        levels.add(rule.level(word))
        if "0" in levels:
            break
    channel.measure("option.rdp", readings)
    if "0" in levels:
        return
    confirm_read_fault(channel, raw, [family.flash_base])
    raise StepFailed("locked", f"read-out protection is on (level {' / '.join(sorted(levels))})")


def confirm_read_fault(channel: Channel, raw: RawTarget, addresses: list[int], times: int = 3) -> None:
    """Sets ``flash.read_fault`` to the first address that the bus refuses every time; one refusal may be a disturbed transfer."""
    for address in addresses:
        refused = 0
        for _ in range(times):
            try:
                raw.read32(address)
            except Exception as error:  # noqa: BLE001  (a refusal is the finding)
                refused += classify(error).kind == "fault"
                raw.clear_sticky()
        if refused == times:
            channel.measure("flash.read_fault", address, f"refused {times} of {times} times")
            return


def main_flash(regions: list[Any]) -> tuple[int, int]:
    """``(first address, length)`` of the main flash: the first region and those that follow it without a gap, by address."""
    start = end = int(regions[0].start)
    for region in regions:
        if int(region.start) == end:
            end += int(region.length)
    return start, end - start


def protected_ranges(channel: Channel, raw: RawTarget, family: Family, flash: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Write-protected ``(first, last)`` addresses as the option registers say; empty where the table cannot tell."""
    rule = family.wrp
    if rule is None:
        return ()
    if rule.flip is not None:
        flipped = read_field(channel, raw, rule.flip[0])
        if flipped is None or flipped == rule.flip[1]:
            return ()
    if rule.gate is not None and read_field(channel, raw, rule.gate[0]) != rule.gate[1]:
        return ()
    # A part without the flash that a register speaks of need not have the register.
    rule = msgspec.structs.replace(rule, areas=tuple(area for area in rule.areas if area.base < sum(flash)))
    words = [read_field(channel, raw, Register(area.address)) for area in rule.areas]
    if any(word is None for word in words):
        return ()
    ranges = rule.protected(tuple(word or 0 for word in words), flash)
    channel.measure("option.wrp", [list(pair) for pair in ranges])
    return ranges


def flash_status(channel: Channel, raw: RawTarget, family: Family) -> None:
    """The flash controller's status before anything can clear it; sets the readings ``flash.sr`` and ``flash.busy``.

    Of several banks the one that says most is noted last: that is the reading that counts.
    """
    found = []
    for status in family.flash_sr:
        word = read_field(channel, raw, Register(status.address, mask=(1 << 8 * status.size) - 1, size=status.size))
        if word is not None:
            found.append((status.is_busy(word), status.names(word), word))
    for busy, names, word in sorted(found, key=lambda item: (item[0], len(item[1]))):
        channel.measure("flash.sr", word, ", ".join(names))
        channel.measure("flash.busy", busy)
