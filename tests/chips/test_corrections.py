"""Only code that was looked at is touched, and the installed pyOCD still has that code."""

from __future__ import annotations

import hashlib
import struct

import pytest
from pyocd.core.memory_map import FlashRegion
from pyocd.target import TARGET

from msdflash.chips.corrections import CORRECTIONS, correct


def codes(target: str) -> set[bytes]:
    regions = [region for region in TARGET[target].MEMORY_MAP.regions if isinstance(region, FlashRegion)]
    return {struct.pack(f"<{len(words)}I", *words) for words in (region.algo["instructions"] for region in regions)}


@pytest.mark.parametrize("target", ["stm32h743xx", "stm32h750xx"])
def test_the_sector_behind_is_not_erased(target: str) -> None:
    (code,) = codes(target)
    new, notes = correct(code)
    assert len(notes) == 1
    changed = [at for at in range(len(code)) if code[at] != new[at]]
    assert changed == [0x2D0, 0x2D1]
    # B<c>.W, encoding T3 (Arm DDI 0403 A7.7.12): only the condition changes, from "lower or same" to "lower".
    before, after = (int.from_bytes(part[0x2D0:0x2D2], "little") for part in (code, new))
    assert (before >> 6 & 0xF, after >> 6 & 0xF) == (9, 3)
    assert before & ~0x3C0 == after & ~0x3C0


def test_other_code_is_left_alone() -> None:
    (code,) = codes("stm32h743xx")
    for other in (b"", code[:-1], code[:4] + b"\x00" + code[5:], *codes("stm32h723xx"), *codes("stm32f429xi")):
        assert correct(other) == (other, ())


def test_each_row_fits_some_builtin() -> None:
    found = {
        hashlib.sha256(struct.pack(f"<{len(words)}I", *(word & 0xFFFFFFFF for word in words))).hexdigest()
        for target in TARGET.values()
        for region in getattr(getattr(target, "MEMORY_MAP", None), "regions", ())
        if isinstance(region, FlashRegion) and region.algo and (words := region.algo["instructions"])
    }
    assert {row.sha256 for row in CORRECTIONS} <= found
    for row in CORRECTIONS:
        assert len(row.old) == len(row.new) > 0
        assert row.old != row.new
