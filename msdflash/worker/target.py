"""Choosing the pyOCD target, and refusing to flash where the silicon contradicts the choice."""

from __future__ import annotations

import msgspec
from pyocd.core.memory_map import FlashRegion, MemoryType
from pyocd.core.session import Session
from pyocd.probe.debug_probe import DebugProbe
from pyocd.target import TARGET, normalise_target_type_name

from msdflash.chips import families, parts
from msdflash.chips.model import Device, Family
from msdflash.image.fit import Chip
from msdflash.image.layout import MemoryMap, Region
from msdflash.job.order import Connection
from msdflash.job.outcome import ProbeFacts, TargetFacts
from msdflash.job.readings import latest
from msdflash.worker import packs
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.silicon import Silicon


class Chosen(msgspec.Struct, frozen=True):
    """The target of a job.

    Attributes:
        name: pyOCD target.
        asked: what the user or the board named, or None.
        how: ``given``, ``board`` or ``chip``.
        flash_kib: flash of the part, or None where neither its name nor its size register tells.
        part: part name for people.
    """

    name: str
    asked: str | None
    how: str
    flash_kib: int | None
    part: str | None


def choose(channel: Channel, connection: Connection, probe: ProbeFacts | None, silicon: Silicon) -> Chosen:
    """Given by the user, else by the board's identity, else by the chip's own registers.

    Raises:
        StepFailed: ``unknown-target`` when nothing names one, ``wrong-chip`` when the silicon is another.
    """
    part = silicon.device.part if silicon.device is not None else None
    if connection.target is not None:
        chosen = _named(connection.target, "given", connection.pack, silicon, part)
        if chosen is None:
            raise StepFailed("unknown-target", f"no pyOCD target is known for {connection.target}")
        _contradiction(channel, chosen, silicon)
        return chosen
    for identity in (probe.target, probe.board) if probe is not None else ():
        chosen = _named(identity, "board", connection.pack, silicon, part) if identity else None
        if chosen is not None:
            _contradiction(channel, chosen, silicon)
            return chosen
    if silicon.family is not None and silicon.device is not None:
        name = families.target_for(silicon.family, silicon.device.dev_id, silicon.flash_kib)
        if name is not None:
            return Chosen(name, None, "chip", silicon.flash_kib, part)
    hint = f"; the CMSIS-Pack has: {packs.listed(connection.pack)}" if connection.pack is not None else ""
    raise StepFailed("unknown-target", f"neither the board nor the chip's registers name a target that pyOCD has{hint}")


def _named(name: str, how: str, pack: str | None, silicon: Silicon, part: str | None) -> Chosen | None:
    """A name that the pack has means the pack's part: who gives a pack wants it used."""
    plain = normalise_target_type_name(name)
    in_pack = pack is not None and packs.device(pack, name) is not None
    choice = None if in_pack else parts.resolve(name)
    if choice is not None:
        return Chosen(choice.target, name, how, silicon.flash_kib or choice.flash_kib, part or choice.part)
    if in_pack or plain in TARGET:
        return Chosen(plain, name, how, silicon.flash_kib, part)
    return None


def _contradiction(channel: Channel, chosen: Chosen, silicon: Silicon) -> None:
    """Flashing is refused when the chip names itself and is not what was chosen."""
    family = families.family_of_target(chosen.name)
    if family is None:
        return
    fitting = [device for device in family.devices if any(builtin.target == chosen.name for builtin in device.builtins)]
    channel.measure("target.expected", {"target": chosen.name, "family": family.id, "dev_ids": [device.dev_id for device in fitting]})
    if silicon.family is None or silicon.device is None:
        _other_core(channel, chosen, family)
    elif silicon.family.id != family.id or (fitting and silicon.device.dev_id not in {device.dev_id for device in fitting}):
        meant = fitting[0].part if fitting else family.title
        raise StepFailed("wrong-chip", f"the chip is {silicon.device.part}, the target stands for {meant}")


def _other_core(channel: Channel, chosen: Chosen, family: Family) -> None:
    """Where the chip does not name itself, its core and its debug port may still say that it is another.

    A core alone counts against a board's identity, which may be that of another board. Against a target that somebody named both must
    speak: copies of a part are sold with a newer core, and are named as what they copy.
    """
    readings = tuple(channel.readings)
    cpuid, dpidr = latest(readings, "core.cpuid"), latest(readings, "swd.dpidr")
    if not isinstance(cpuid, int) or cpuid in (0, 0xFFFFFFFF) or cpuid >> 4 & 0xFFF in family.cores:
        return
    if chosen.how == "board" or dpidr not in family.dpidrs:
        raise StepFailed("wrong-chip", f"no chip of the family {family.title} has this core (CPUID 0x{cpuid:08X})")


def on_trust(name: str) -> str:
    """What is told of a chip that no table knows: nothing of it was compared with silicon."""
    return f"no register of this chip is known here: that it is a {name}, how much flash it has and what is protected was not measured"


def open_target(channel: Channel, probe: DebugProbe, options: dict[str, object], chosen: Chosen) -> Session:
    """PyOCD's board initialisation for the chosen target, on the probe that is already open.

    The background parse of the SVD file is left out: nobody here asks for peripherals by name, and it costs a quarter of a second.
    """
    session = Session(probe, auto_open=False, options={**options, "target_override": chosen.name})
    board = session.board
    if board is None:
        raise StepFailed("unknown-target", f"pyOCD made no board for {chosen.name}")
    board.target._svd_location = None  # noqa: SLF001  (no option exists for it)
    session._closed = False  # noqa: SLF001  (the probe was opened by the measuring session)
    board.init()
    session._inited = True  # noqa: SLF001
    cut_flash(session, chosen.flash_kib)
    channel.target = TargetFacts(
        name=chosen.name,
        part=chosen.part,
        asked=chosen.asked,
        how=chosen.how,
        flash=tuple((region.start, region.length) for region in flash_regions(session)),
    )
    return session


def tell_flash(channel: Channel, session: Session) -> None:
    """The flash of the target, after it was cut once more."""
    if channel.target is not None:
        flash = tuple((region.start, region.length) for region in flash_regions(session))
        channel.target = msgspec.structs.replace(channel.target, flash=flash)


def cut_flash(session: Session, kib: int | None) -> None:
    """Cut the target's boot flash to what the size register says: less flash than the map is no flash at all."""
    boot = session.target.memory_map.get_boot_memory()
    if kib is None or boot is None or boot.type is not MemoryType.FLASH:
        return
    length = kib * 1024
    if length < boot.length and length % boot.sector_size == 0:
        boot._end = boot.start + length - 1  # noqa: SLF001  (a clone would lose the flash object that was made for this region)


def flash_regions(session: Session) -> list[FlashRegion]:
    """Flash regions that have an algorithm, in address order."""
    regions = session.target.memory_map.iter_matching_regions(type=MemoryType.FLASH)
    return sorted((region for region in regions if region.flash is not None), key=lambda region: int(region.start))


def erased_byte(region: FlashRegion, family: Family | None) -> int:
    """Value of an erased byte: the tables know better than pyOCD's maps (STM32L0 and L1 erase to zero)."""
    return family.erased if family is not None else int(region.erased_byte_value)


def memory_map(session: Session, family: Family | None, device: Device | None) -> MemoryMap:
    """The target's map as plain data, for the image checks: pyOCD's regions, and the die's RAM where the tables have it."""
    regions = []
    for region in session.target.memory_map.regions:
        if region.type is MemoryType.FLASH:
            regions.append(
                Region(
                    name=region.name or "flash",
                    kind="flash",
                    start=region.start,
                    length=region.length,
                    boot=bool(region.is_boot_memory),
                    sector=region.sector_size,
                    page=region.page_size,
                    erased=erased_byte(region, family),
                )
            )
        elif region.type is MemoryType.RAM:
            regions.append(Region(name=region.name or "ram", kind="ram", start=region.start, length=region.length))
    known = device.ram if device is not None else ()
    regions += [Region(name="ram", kind="ram", start=start, length=length) for start, length in known]
    return MemoryMap(tuple(regions), boot_alias=family.boot_alias if family is not None else None, ram_complete=bool(known))


def chip_facts(channel: Channel, name: str, family: Family | None, device: Device | None) -> Chip:
    """The chip as an image's own claims are compared with it: what the silicon says, else what the target stands for."""
    names = [name.lower()]
    if family is not None:
        names.append(family.id)
    if device is not None:
        names += [device.part.lower(), *device.lines, *("stm32" + line for line in device.lines)]
    cpuid = latest(tuple(channel.readings), "core.cpuid")
    cores = (cpuid >> 4 & 0xFFF,) if isinstance(cpuid, int) and cpuid else family.cores if family is not None else ()
    part = device.part if device is not None else family.title if family is not None else name
    return Chip(part, tuple(dict.fromkeys(names)), cores, family.id if family is not None else "")
