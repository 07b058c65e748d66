"""Every binary of pyOCD's source distribution: recognised, right for its own target, refused elsewhere unless it would start there.

Opt-in. Result: ``docs/images.md``, which ``MSDFLASH_WRITE_PAGE=1`` writes anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from msdflash.chips.families import boot_of_target, devices_of_target, family_of_target
from msdflash.chips.parts import resolve
from msdflash.errors import ImageError
from msdflash.image.checks import check
from msdflash.image.decode import decode
from msdflash.image.layout import MemoryMap, Region

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "images.md"
OTHERS = {"NUCLEO-L476RG": "stm32l475xg", "nRF52840-DK": "nrf52840", "FRDM-K64F": "k64f", "Pico": "rp2040"}
"""Chips of the bench, by their board, and pyOCD's targets for them."""
PROBE_FIRMWARE = {"l1_musca_a1.bin", "l1_musca_b1.bin"}
"""These two really are DAPLink's own firmware (its build key stands at 0x20)."""


@pytest.fixture(scope="module")
def binaries(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    if "pyocd_images" not in str(request.config.option.markexpr):
        pytest.skip("ask for it with -m pyocd_images: it downloads pyOCD's source distribution (16 MB)")
    import pyocd

    folder: Path = tmp_path_factory.mktemp("sdist")
    wanted = f"pyocd=={pyocd.__version__}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pyocd"]
    subprocess.run([*pip, "-d", str(folder), wanted], check=True, timeout=300, capture_output=True)
    found: dict[str, bytes] = {}
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        for member in archive:
            if "/test/data/binaries/" in member.name and member.isfile():
                content = archive.extractfile(member)
                assert content is not None
                found[member.name.rpartition("/")[2]] = content.read()
    return found


def layout_of(target: str, regions: Any) -> MemoryMap:
    """pyOCD's map, with the die's RAM where the chip tables know it."""
    listed = [
        Region(area.name or "", "flash" if area.is_flash else "ram", area.start, area.length, bool(area.is_boot_memory))
        for area in regions
        if area.is_flash or area.is_ram
    ]
    family = family_of_target(target)
    dies = devices_of_target(target)
    listed += [Region(die.part, "ram", start, length) for die in dies for start, length in die.ram]
    complete = bool(dies) and all(die.ram for die in dies)
    return MemoryMap(tuple(listed), family.boot_alias if family else None, ram_complete=complete)


@pytest.mark.pyocd_images
@pytest.mark.timeout(400)
def test_all_binaries(binaries: dict[str, bytes]) -> None:
    from pyocd.board.board_ids import BOARD_ID_TO_INFO
    from pyocd.target.builtin import BUILTIN_TARGETS

    targets = {info.binary: info.target for info in BOARD_ID_TO_INFO.values() if info.binary}
    refused, checked = {}, 0
    for name, data in binaries.items():
        try:
            image = decode(name, data)
            target = targets.get(name, "")
            choice = None if target in BUILTIN_TARGETS else resolve(target)
            target = choice.target if choice is not None else target
            regions = getattr(getattr(BUILTIN_TARGETS.get(target), "MEMORY_MAP", None), "regions", None)
            if regions is None:
                continue
            layout = layout_of(target, regions)
            boot = layout.boot()
            assert boot is not None
            check(image.at(boot.start), layout, boot_of_target(target))
            checked += 1
        except ImageError as error:
            refused[name] = str(error)
    assert set(refused) == PROBE_FIRMWARE, refused
    assert len(binaries) > 80
    assert checked > 50


def verdict(name: str, data: bytes, target: str) -> str:
    """``fits``, a cause's id, or ``no target`` where only a CMSIS-Pack knows the chip."""
    from pyocd.target.builtin import BUILTIN_TARGETS

    choice = None if target in BUILTIN_TARGETS else resolve(target)
    target = choice.target if choice is not None else target
    regions = getattr(getattr(BUILTIN_TARGETS.get(target), "MEMORY_MAP", None), "regions", None)
    if regions is None:
        return "no target"
    try:
        layout = layout_of(target, regions)
        boot = layout.boot()
        assert boot is not None
        check(decode(name, data).at(boot.start), layout, boot_of_target(target))
    except ImageError as error:
        return error.cause
    return "fits"


def would_start(data: bytes, target: str) -> bool:
    """By the words themselves: the stack in the chip's RAM, the reset vector in flash, which an STM32 shows at 0 as well."""
    from pyocd.target.builtin import BUILTIN_TARGETS

    layout = layout_of(target, BUILTIN_TARGETS[target].MEMORY_MAP.regions)
    stack, reset = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4))
    boot = layout.boot()
    assert boot is not None
    starts = {boot.start} | ({0} if target.startswith("stm32") else set())
    ram = any(area.start < stack <= area.start + area.length for area in layout.regions if area.kind == "ram")
    return ram and stack % 4 == 0 and bool(reset & 1) and any(start <= reset < start + boot.length for start in starts)


def page(binaries: dict[str, bytes]) -> Iterator[str]:
    """The page's table, line by line."""
    from pyocd.board.board_ids import BOARD_ID_TO_INFO

    made: dict[str, set[str]] = {}
    for info in BOARD_ID_TO_INFO.values():
        if info.binary:
            made.setdefault(info.binary, set()).add(info.target)
    yield f"| Image | Made for | There | {' | '.join(OTHERS)} |"
    yield f"|---|---|---|{'---|' * len(OTHERS)}"
    for name, data in sorted(binaries.items(), key=lambda item: item[0].lower()):
        targets = sorted(made.get(name, ()))
        there = {verdict(name, data, target) for target in targets} or {"-"}
        told = [verdict(name, data, target) for target in OTHERS.values()]
        shown = f"{targets[0]} and {len(targets) - 1} more" if len(targets) > 1 else "".join(targets) or "no board of pyOCD's table"
        yield f"| {name} | {shown} | {', '.join(sorted(there))} | {' | '.join(told)} |"


@pytest.mark.pyocd_images
@pytest.mark.timeout(400)
def test_on_other_chips_they_are_refused_unless_they_would_start_there(binaries: dict[str, bytes]) -> None:
    for name, data in binaries.items():
        for target in OTHERS.values():
            told = verdict(name, data, target)
            if name in PROBE_FIRMWARE:
                assert told == "probe-firmware"
            elif target == "rp2040":  # its boot ROM wants a checksum that no other chip's image has
                assert told == ("fits" if name == "rp2040.bin" else "image-bad-boot-header"), name
            else:
                assert told == ("fits" if would_start(data, target) else "image-bad-vectors"), (name, target)
    lines = "\n".join(page(binaries))
    if os.environ.get("MSDFLASH_WRITE_PAGE"):
        before = PAGE.read_text(encoding="utf-8").partition("| Image |")[0]
        PAGE.write_text(f"{before}{lines}\n", encoding="utf-8")
    assert lines in PAGE.read_text(encoding="utf-8")
