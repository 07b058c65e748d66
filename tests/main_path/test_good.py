"""A good image, dropped: flash is the file, what stood beside it survives, the board runs, and the drive says so."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(150)  # its own waits end first, also on a busy machine
scene = sys.modules["main_path_stage"]
Start = Callable[..., Any]


def accepted(result: Any, name: str, count: int) -> None:
    """The drive and the report after a good drop of ``name``, with the count that it must have reached."""
    assert result.proved, result.report
    assert "FAIL.TXT" not in result.drive
    assert name not in result.drive
    details = scene.details_of(result.drive["DETAILS.TXT"])
    assert details["Remount count"] == str(count)
    assert (details["Last result"], details["Last image"]) == ("flashed", name)
    assert details["Last running"] == "running"
    assert details["Last sha256"] == result.report["image"]["sha256"]


def test_bin_and_hex(stage: Start) -> None:
    room = stage(stlink="nucleo-l476rg,probe=stlink-v3", cmsis="nucleo-l476rg,probe=cmsis-dap")

    def drops(_name: str, drive: Any) -> None:
        count = int(scene.details_of(drive.files()["DETAILS.TXT"])["Remount count"])
        first = drive.drop("first.hex", scene.intel_hex({scene.BASE: scene.image(2), **scene.neighbours()}))
        accepted(first, "first.hex", count + 1)
        flash = bytearray(b"\xff" * (1 << 20))
        for address, data in {scene.BASE: scene.image(2), **scene.neighbours()}.items():
            flash[address - scene.BASE : address - scene.BASE + len(data)] = data
        assert drive.flash() == flash

        second = drive.drop("second.bin", scene.image(1))
        accepted(second, "second.bin", count + 2)
        flash[:5000] = scene.image(1)
        assert drive.flash() == flash, "flash is not the file, or something beside it did not survive"

        third = drive.drop("third.hex", scene.intel_hex({scene.BASE: scene.image(3)[:3000], scene.BASE + 0x1404: scene.image(4)[:44]}))
        accepted(third, "third.hex", count + 3)
        flash[:3000] = scene.image(3)[:3000]
        flash[0x1404 : 0x1404 + 44] = scene.image(4)[:44]
        assert drive.flash() == flash
        assert third.report["changed"]["verified"] == third.report["changed"]["affected"] == 3 * scene.PAGE

    room.each(drops)


@pytest.fixture(scope="module")
def nucleo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The Mbed build for this board out of pyOCD's source distribution."""
    if "pyocd_images" not in str(request.config.option.markexpr):
        pytest.skip("ask for it with -m pyocd_images: it downloads pyOCD's source distribution (16 MB)")
    import pyocd

    folder: Path = tmp_path_factory.mktemp("sdist")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pyocd", "-d", str(folder)]
    subprocess.run([*pip, f"pyocd=={pyocd.__version__}"], check=True, timeout=300, capture_output=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        member = next(item for item in archive if item.name.endswith("/test/data/binaries/NUCLEO_L476RG.bin"))
        content = archive.extractfile(member)
        assert content is not None
        return content.read()


@pytest.mark.pyocd_images
@pytest.mark.timeout(400)
def test_real_mbed_build(stage: Start, nucleo: bytes) -> None:
    """The firmware that pyOCD's own tests flash on this board, on every kind of probe of the bench that pyOCD takes."""
    from msdflash.sim.spec import PROBES

    probes = [probe for probe in PROBES if probe not in ("stlink-v2-old", "jlink")]
    room = stage(**{f"p{number}": f"nucleo-l476rg,probe={probe}" for number, probe in enumerate(probes)})

    def drops(_name: str, drive: Any) -> None:
        accepted(drive.drop("mbed.bin", nucleo), "mbed.bin", 1)
        assert drive.flash() == nucleo.ljust(1 << 20, b"\xff")
        other = bytearray(nucleo)
        other[-1] ^= 0xFF
        accepted(drive.drop("mbed.hex", scene.intel_hex({scene.BASE: bytes(other)})), "mbed.hex", 2)
        assert drive.flash() == bytes(other).ljust(1 << 20, b"\xff")

    room.each(drops)
