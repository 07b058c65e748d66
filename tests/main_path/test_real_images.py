"""The programs that pyOCD's own tests flash, on every board of the bench for which it has one: every byte is there. Opt-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

IMAGES = {
    "nucleo-l476rg": ("stm32l475xg", "NUCLEO_L476RG.bin"),
    "stm32f103rc": ("stm32f103rc", "ST-Nucleo-F103RB.bin"),
    "stm32f103re": ("stm32f103rc", "ST-Nucleo-F103RB.bin"),
    "nucleo-f412zg": ("stm32f412xg", "nucleo_f412zg.bin"),
    "nucleo-f429zi": ("stm32f429xi", "nucleo_f429zi.bin"),
    "nrf52840-dk": ("nrf52840", "l1_nrf52840-dk.bin"),
    "nrf51-dk": ("nrf51", "l1_nrf51-dk.bin"),
    "frdm-k64f": ("k64f", "l1_k64f.bin"),
    "frdm-kl25z": ("kl25z", "l1_kl25z.bin"),
    "lpc1768-mbed": ("lpc1768", "l1_lpc1768.bin"),
    "lpcxpresso55s69": ("lpc55s69", "lpcxpresso55s69.bin"),
    "pico": ("rp2040", "rp2040.bin"),
}
"""By board: pyOCD's target and the image. The source distribution has none for the others."""
ALSO = [
    ("nucleo-l476rg", "stm32l475vg_iot01a.bin"),
    ("nrf51-dk", "l1_nrf51.bin"),
    ("nrf51-dk", "l1_microbit.bin"),
    ("nucleo-f412zg", "mtb_mxchip_emw3166.bin"),
    ("nucleo-f412zg", "mtb_usi_wm-bn-bm-22.bin"),
    ("nucleo-f412zg", "mtb_wise-1530.bin"),
]
"""Images of other boards with the same chip."""
ST = ("nucleo-", "stm32")
PAIRS = [(board, name, kind) for board, (_, name) in IMAGES.items() for kind in ("cmsis-dap", "st-link")]
PAIRS = [pair for pair in PAIRS if (pair[0], pair[2]) not in {("lpcxpresso55s69", "st-link"), ("pico", "st-link")}]
"""Left out: the processor's access port of the LPC55S69 opens by its debug mailbox, and an ST-LINK wants port 0 first; the RP2040 is
reached by a choice among debug ports (SWD multi-drop), which an ST-LINK does not offer to pyOCD."""
PAIRS += [(board, name, "cmsis-dap") for board, name in ALSO]
CHANGED = {"lpc1768-mbed": (0x1C, 0x20)}
"""The word that the product makes itself: docs/targets.md, changes that flashing makes to the data."""


@pytest.fixture(scope="module")
def binaries(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """pyOCD's test images by name."""
    if "pyocd_images" not in str(request.config.option.markexpr):
        pytest.skip("ask for it with -m pyocd_images: it downloads pyOCD's source distribution (16 MB)")
    import pyocd

    folder: Path = tmp_path_factory.mktemp("sdist")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pyocd", "-d", str(folder)]
    subprocess.run([*pip, f"pyocd=={pyocd.__version__}"], check=True, timeout=300, capture_output=True)
    found: dict[str, bytes] = {}
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        for member in archive:
            content = archive.extractfile(member) if "/test/data/binaries/" in member.name and member.isfile() else None
            if content is not None:
                found[member.name.rpartition("/")[2]] = content.read()
    return found


def test_every_board_has_its_image() -> None:
    """A board that is new on the bench is either in the table or among those that have none."""
    from msdflash.sim.boards import BOARDS

    without = {"nucleo-h743zi", "nucleo-l031k6", "nucleo-l432kc", "bench-pack", "nrf52840-dk-v3"}
    assert set(BOARDS) - without == set(IMAGES)


@pytest.mark.pyocd_images
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("board", "name", "kind"), PAIRS)
def test_real_image(board: str, name: str, kind: str, binaries: dict[str, bytes], tmp_path: Path) -> None:
    from msdflash.sim import client
    from msdflash.sim.spec import parse

    target = IMAGES[board][0]
    image = binaries[name]
    (tmp_path / "image.bin").write_bytes(image)
    probe = "cmsis-dap" if kind == "cmsis-dap" else "stlink-v3" if board.startswith(ST) else "stlink-v2-j34"
    with client.start(parse(f"{board},probe={probe}"), bus=tmp_path / "bus") as served:
        words = ("flash", "--json", "--target", target, "--probe", served.serial, "image.bin")
        done = subprocess.run(
            [sys.executable, "-m", "msdflash", *words],
            cwd=tmp_path,
            env=os.environ | client.environment(tmp_path / "bus", only=True) | {"MSDFLASH_HOME": str(tmp_path / "home")},
            capture_output=True,
            timeout=300,
            check=False,
        )
        array = served.flash(0, len(image) + 64)
    report = json.loads(done.stdout)
    assert (report["outcome"], done.returncode) == ("flashed", 0), report["message"]
    differs = [at for at, (wanted, there) in enumerate(zip(image, array, strict=False)) if wanted != there]
    first, end = CHANGED.get(board, (0, 0))
    assert not [at for at in differs if not first <= at < end]
