"""Every binary of pyOCD's source distribution decodes and passes the checks of the target it was built for. Opt-in."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from msdflash.chips.families import boot_of_target, devices_of_target, family_of_target
from msdflash.chips.parts import resolve
from msdflash.errors import ImageError
from msdflash.image.checks import check
from msdflash.image.decode import decode
from msdflash.image.layout import MemoryMap, Region

if TYPE_CHECKING:
    from pathlib import Path

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
