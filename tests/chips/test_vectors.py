"""Whose vector table is it: firmware of the bench against the tables, and what must not be taken for a table."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from msdflash.chips.vectors import fitting

FIRMWARE = Path(__file__).parents[2] / "msdflash" / "sim" / "firmware"


def parts(data: bytes) -> set[str]:
    return {device.part for _, device in fitting(data, len(data))}


def test_firmware_fits_its_own_chip_and_no_other_maker() -> None:
    for name, own, others in (
        ("blinky.bin", "STM32L47x/L48x", {"MK64F", "MKL25Z", "LPC1768", "nRF52840"}),
        ("blinky-zero.bin", "nRF52840", {"LPC1768", "STM32L47x/L48x"}),
        ("blinky-lpc.bin", "LPC1768", {"nRF52840", "MK64F", "STM32L47x/L48x"}),
    ):
        found = parts((FIRMWARE / name).read_bytes())
        assert own in found, (name, sorted(found))
        assert not found & others, name


def test_what_is_no_table_fits_nothing() -> None:
    noise = random.Random(1)
    assert not any(parts(noise.randbytes(4096)) for _ in range(50))
    assert parts(b"") == parts(b"\xff" * 64) == parts(b"\0" * 64) == parts(b"Dear reader, this is a letter. " * 9) == set()
    good = struct.pack("<4I", 0x2000_1000, 0x0800_0011, 0, 0) + bytes(64)
    assert parts(good)
    assert parts(struct.pack("<4I", 0x2000_1001, 0x0800_0011, 0, 0) + bytes(64)) == set(), "an odd stack pointer"
    assert parts(struct.pack("<4I", 0x2000_1000, 0x0800_0010, 0, 0) + bytes(64)) == set(), "no Thumb bit"
    assert parts(struct.pack("<4I", 0x2000_1000, 0x0800_0111, 0, 0) + bytes(64)) == set(), "a handler behind the file's end"
