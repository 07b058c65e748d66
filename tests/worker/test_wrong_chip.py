"""Another chip, and another chip's file: told before anything is written, from what little such a chip says."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from msdflash.errors import ImageError
from msdflash.image import decode
from msdflash.image.layout import MemoryMap, Region
from msdflash.worker import fitting, target
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.silicon import Silicon

FIRMWARE = Path(__file__).parents[2] / "msdflash" / "sim" / "firmware"
M4, M0P = 0x410F_C241, 0x410C_C601
K64F_PORT, KL25Z_PORT = 0x2BA0_1477, 0x0BC1_1477


def contradicts(how: str, cpuid: int, dpidr: int) -> bool:
    """Whether a chip that does not name itself is refused as a KL25Z."""
    channel = Channel(io.BytesIO(), "1")
    channel.measure("swd.dpidr", dpidr)
    channel.measure("core.cpuid", cpuid)
    chosen = target.Chosen("kl25z", "kl25z", how, None, None)
    try:
        target._contradiction(channel, chosen, Silicon())
    except StepFailed as failed:
        return failed.kind == "wrong-chip"
    return False


def test_a_chip_that_does_not_name_itself_is_refused_by_core_and_debug_port() -> None:
    assert contradicts("board", M4, K64F_PORT)
    assert contradicts("board", M4, KL25Z_PORT), "a board's identity may be another board's: the core alone is enough"
    assert contradicts("given", M4, K64F_PORT)
    assert not contradicts("given", M4, KL25Z_PORT), "a copy with another core, named by its owner"
    for cpuid in (M0P, 0, 0xFFFF_FFFF):
        assert not contradicts("board", cpuid, KL25Z_PORT)


@pytest.mark.parametrize(("name", "cause"), [("blinky.bin", "image-wrong-chip"), (None, "image-bad-vectors")])
def test_a_table_that_fits_other_chips_is_theirs(name: str | None, cause: str) -> None:
    data = (FIRMWARE / name).read_bytes() if name else bytes(range(256)) * 8
    image = decode.decode("x.bin", data, placed=True).at(0)
    layout = MemoryMap((Region("flash", "flash", 0, 128 << 10, boot=True), Region("ram", "ram", 0x1FFF_F000, 16 << 10)))
    error = fitting.name_other_chip(ImageError("image-bad-vectors", "it does not fit", word="reset vector"), image, layout)
    assert error.cause == cause
    assert ("fits" in error.facts) == (name is not None)
    assert error.facts["word"] == "reset vector"
    assert name is None or "STM32" in str(error.facts["fits"])
