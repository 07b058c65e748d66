"""A job that fails after an erase: what stood beside the image survives, a Kinetis stays open, and the report says what is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msdflash.daemon.config import BoardOptions
from msdflash.drop.actions import HARMLESS
from msdflash.sim.contents import SIZE, base, intel_hex, program
from msdflash.worker.undo import Piece, Undo

pytestmark = pytest.mark.timeout(150)
scene = sys.modules["main_path_stage"]
Start = Callable[..., Any]

BEHIND = b"behind the image" * 3
GAP = 8
FSEC = 0x40C


def good(board: str) -> bytes:
    """An image with foreign bytes in its last page."""
    return intel_hex(parts(board))


def parts(board: str) -> dict[int, bytes]:
    """The same as it stands in flash."""
    return {base(board): program(board), base(board) + SIZE + GAP: BEHIND}


def image(board: str, version: int) -> bytes:
    return intel_hex({base(board): program(board, version)})


def beside(drive: Any) -> bytes:
    """What stands in flash behind the image."""
    return bytes(drive.flash()[SIZE : SIZE + GAP + len(BEHIND) + 2048])


def kept(drive: Any) -> list[Path]:
    return list(drive.stage.root.rglob("*.undo"))


def is_open(drive: Any) -> bool:
    return bool(drive.flash()[FSEC] & 3 == 2)


def test_a_bad_cell_costs_nothing_beside_it_and_does_not_lock_the_chip(stage: Start) -> None:
    """The algorithm stops at the cell, after all sectors were erased; in the second drop the cell is in the word that locks the chip."""
    drive = stage(None, {"b": parts("frdm-kl25z")}, b="frdm-kl25z,probe=cmsis-dap")["b"]
    before = beside(drive)
    drive.set("fault=bad-cell:0x238")
    result = drive.drop("a.hex", image("frdm-kl25z", 2))
    assert result.first == ("program-failed", "certain")
    assert result.report["changed"]["erased"] >= SIZE
    assert (beside(drive), result.report["changed"]["beside"], kept(drive)) == (before, 0, [])
    assert is_open(drive)
    assert "read back" in str(result.report["tried"])

    drive.set("fault=none")
    drive.set(f"fault=bad-cell:{FSEC:#x}")
    result = drive.drop("b.hex", image("frdm-kl25z", 3))
    assert not is_open(drive)
    assert "locks-at-reset" in result.having("certain")
    assert b"locks itself at its next reset" in result.drive["FAIL.TXT"]

    drive.set("fault=none")  # the chip was not reset since: it is still open, and the next job does not reset it before it is right
    assert drive.drop("c.hex", image("frdm-kl25z", 4)).proved
    assert (beside(drive), is_open(drive)) == (before, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "probe", "fault"),
    [
        ("frdm-k64f", "cmsis-dap", "bad-cell:0x238"),
        ("frdm-k64f", "cmsis-dap", "flash-busy"),
        ("stm32f103rc", "stlink-v3", "bad-cell:0x08000a38"),
        ("nucleo-l031k6", "stlink-v3", "bad-cell:0x08000b80"),
        ("nucleo-h743zi", "stlink-v3", "flash-busy"),
        ("nucleo-f429zi", "cmsis-dap", "noise:0.02:5"),
        ("nucleo-l476rg", "cmsis-dap", "noise:0.05:3"),
        ("nrf52840-dk", "cmsis-dap", "bad-cell:0xa38"),
        ("nrf51-dk", "cmsis-dap", "fault-write:0x20001010:3"),
        ("lpc1768-mbed", "cmsis-dap", "bad-cell:0xa38"),
        ("nucleo-l476rg", "stlink-v3", "fault-write:0x20001010:3"),
        *[("nucleo-l476rg", "cmsis-dap", f"unplug-after:{after}") for after in range(250, 700, 50)],
    ],
)
def test_whatever_fails_nothing_beside_is_lost(stage: Start, board: str, probe: str, fault: str) -> None:
    """At once, or after the next job of another image; and what is missing in between is told."""
    drive = stage(b=f"{board},probe={probe}")["b"]
    assert drive.drop("good.hex", good(board)).proved
    before = beside(drive)
    drive.set(f"fault={fault}")
    result = drive.drop("a.hex", image(board, 2))
    missing = beside(drive) != before
    if missing:
        assert not result.proved
        assert result.report["changed"]["beside"] > 0
        assert len(kept(drive)) == 1
        assert b"beside the image" in result.drive["FAIL.TXT"]
    drive.recover()
    last = drive.drop("b.hex", image(board, 3))
    assert last.proved, last.report
    assert (beside(drive), kept(drive)) == (before, [])
    assert not missing or "put back" in str(last.report["tried"])


@pytest.mark.slow
def test_what_another_chip_lost_is_kept_and_never_written(stage: Start) -> None:
    """The drop on the exchanged chip says so; the file waits for the chip that it belongs to."""
    drive = stage(b="nucleo-l476rg,probe=stlink-v3")["b"]
    assert drive.drop("good.hex", good("nucleo-l476rg")).proved
    folder = next((drive.stage.root / "home" / "state" / "boards").iterdir()) / "undo"
    folder.mkdir(exist_ok=True)
    (folder / "stm32l4-000000010000000200000003.undo").write_bytes(b"another chip's")
    before = beside(drive)
    result = drive.drop("a.hex", image("nucleo-l476rg", 2))
    assert result.proved
    assert "belong to another chip" in str(result.report["tried"])
    assert (beside(drive), len(kept(drive))) == (before, 1)


@pytest.mark.slow
def test_what_cannot_be_kept_is_not_erased(stage: Start) -> None:
    drive = stage(b="nucleo-l476rg,probe=stlink-v3")["b"]
    assert drive.drop("good.hex", good("nucleo-l476rg")).proved
    folder = next((drive.stage.root / "home" / "state" / "boards").iterdir()) / "undo"
    folder.write_bytes(b"in its place")  # nothing was kept so far: all that stood beside the first image was erased
    before = drive.flash()
    result = drive.drop("a.hex", image("nucleo-l476rg", 2))
    assert result.first == ("undo-not-kept", "certain")
    assert drive.flash() == before
    assert result.report["changed"]["erased"] == 0


@pytest.mark.slow
def test_an_order_to_erase_leaves_nothing_to_put_back(stage: Start) -> None:
    options = BoardOptions(actions=(*HARMLESS, "erase"))
    drive = stage({"b": options}, b="nucleo-l476rg,probe=stlink-v3")["b"]
    result = drive.drop("good.hex", good("nucleo-l476rg"))
    folder = next((drive.stage.root / "home" / "state" / "boards").iterdir()) / "undo"
    lost = Undo(folder, result.reading("chip.uid"), "x")
    lost.keep([Piece(base("nucleo-l476rg") + 0x10000, b"lost by an earlier job")])
    assert drive.drop("ERASE.ACT", b"").report["outcome"] == "done"
    assert kept(drive) == []
    assert drive.drop("a.hex", image("nucleo-l476rg", 2)).proved
    assert set(drive.flash()[SIZE + GAP :]) == {0xFF}
