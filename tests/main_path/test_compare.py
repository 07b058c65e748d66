"""A word that changes on its way into flash is found by the compare, wherever in the page it stands, and told with both sides."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(150)  # its own waits end first, also on a busy machine
scene = sys.modules["main_path_stage"]
faults = sys.modules["main_path_faults"]
Start = Callable[..., Any]

PAGE_WORDS = 256
"""Words of the page that pyOCD's algorithm for this chip programs at a time (1 KiB)."""
AFTER_RAM_TEST = 3
"""The RAM test writes each word of the buffer twice; the third write is the image's."""


def is_caught(drive: Any, word: int, version: int) -> None:
    """One drop with one word altered on its way; the report must say which, what was wanted and what flash holds."""
    wanted = scene.image(version, 4 * PAGE_WORDS)
    drive.set(f"fault=corrupt-write:0x{faults.BUFFER + 4 * word:08x}:{AFTER_RAM_TEST}")
    result = drive.drop("word.hex", scene.intel_hex({scene.BASE: wanted}))
    drive.set("fault=none")
    flash = drive.flash()[: len(wanted)]
    wrong = [index for index in range(len(wanted)) if flash[index] != wanted[index]]
    assert {index // 4 for index in wrong} == {word}, "the fault did not do what this test is about"
    assert not result.proved
    assert result.reading("verify.pattern") is not None
    told = result.reading("verify.first")
    assert told["address"] == scene.BASE + wrong[0]
    assert (told["expected"], told["read"], told["bad"]) == (wanted[wrong[0]], flash[wrong[0]], len(wrong))
    at = slice(4 * word, 4 * word + 4)
    assert told["word"] == {
        "address": scene.BASE + 4 * word,
        "expected": int.from_bytes(wanted[at], "little"),
        "read": int.from_bytes(flash[at], "little"),
    }
    assert f"0x{scene.BASE + wrong[0]:08X}" in str(result.report["causes"])
    assert result.report["changed"]["verified"] < result.report["changed"]["affected"]


def play(stage: Start, probes: Sequence[str], words: Sequence[int]) -> None:
    room = stage(**{f"b{number}": f"nucleo-l476rg,probe={probe}" for number, probe in enumerate(probes)})
    lots = {f"b{number}": words[number :: len(probes)] for number in range(len(probes))}

    def drops(name: str, drive: Any) -> None:
        for version, word in enumerate(lots[name]):
            is_caught(drive, word, version)
        assert drive.drop("good.hex", scene.intel_hex({scene.BASE: scene.image(99)})).proved

    room.each(drops)


def test_altered_words_of_a_page(stage: Start) -> None:
    chance = random.Random(476)  # the same ones each time
    words = [0, PAGE_WORDS // 2, PAGE_WORDS - 1, *chance.sample(range(1, PAGE_WORDS - 1), 5)]
    play(stage, ("stlink-v3", "stlink-v3", "cmsis-dap", "cmsis-dap"), words)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("probe", faults.PROBES)
def test_every_word_of_a_page(stage: Start, probe: str) -> None:
    play(stage, (probe,) * 6, range(PAGE_WORDS))
