"""Part and board names to builtins."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.chips.boards import BOARDS
from msdflash.chips.parts import decode, resolve


@pytest.mark.parametrize(
    ("name", "target", "part", "kib"),
    [
        ("STM32L476RGT6", "stm32l475xg", "STM32L476RG", 1024),
        ("stm32l476rgtx", "stm32l475xg", "STM32L476RG", 1024),
        ("stm32l476rg", "stm32l475xg", "STM32L476RG", 1024),
        (" STM32L476RE ", "stm32l475xe", "STM32L476RE", 512),
        ("NUCLEO-L476RG", "stm32l475xg", "STM32L476RG", 1024),
        ("nucleo_l476rg", "stm32l475xg", "STM32L476RG", 1024),
        ("DISCO-L475VG-IOT01A", "stm32l475xg", "STM32L475VG", 1024),
        ("0765", "stm32l475xg", "STM32L476RG", 1024),
        ("NUCLEO-L432KC", "stm32l432kc", "STM32L432KC", 256),
        ("stm32l412kb", "stm32l432kc", "STM32L412KB", 128),
        ("stm32l432", "stm32l432kc", "STM32L432", None),
        ("STM32F103RCT6", "stm32f103rc", "STM32F103RC", 256),
        ("stm32f407vgtx", "stm32f412xg", "STM32F407VG", 1024),
        ("stm32h743zitx", "stm32h743xx", "STM32H743ZI", 2048),
        ("stm32f030r8tx", "stm32f051", "STM32F030R8", 64),
        ("stm32l475xg", "stm32l475xg", "STM32L47x/L48x", 1024),
        ("nrf52840", "nrf52840", "nRF52840", 1024),
        ("k64f", "k64f", "MK64F", 1024),
    ],
)
def test_names_that_have_a_builtin(name: str, target: str, part: str, kib: int | None) -> None:
    choice = resolve(name)
    assert choice is not None
    assert (choice.target, choice.part, choice.flash_kib) == (target, part, kib)
    assert choice.how


@pytest.mark.parametrize(
    "name",
    [
        "", "stm32", "nucleo", "1234", "cortex_m", "unknown", "stm32x999zz",
        "STM32F103C8T6",  # 1 KiB pages
        "STM32F103ZGT6",  # two flash controllers
        "stm32l4r5zitx",  # 4 or 8 KiB pages
        "stm32h743vg",  # two banks with a hole between
        "stm32l476",  # any of three sizes
        "stm32l053r8tx", "stm32g071rb", "NUCLEO-G474RE",
    ],
)  # fmt: skip
def test_names_that_have_none(name: str) -> None:
    assert resolve(name) is None


@pytest.mark.parametrize(
    ("part", "dev_id"), [("STM32F103C8", 0x410), ("STM32F103C6", 0x412), ("STM32F103ZE", 0x414), ("STM32F103ZG", 0x430)]
)
def test_one_line_with_several_dies_is_told_apart_by_its_flash(part: str, dev_id: int) -> None:
    decoded = decode(part)
    assert decoded is not None
    assert decoded[1].dev_id == dev_id


def test_every_board_resolves_and_is_as_pyocd_has_it() -> None:
    from pyocd.board.board_ids import BOARD_ID_TO_INFO
    from pyocd.target.builtin import BUILTIN_TARGETS

    for board_id, (title, part) in BOARDS.items():
        choice = resolve(board_id)
        assert choice is not None, board_id
        assert choice.target in BUILTIN_TARGETS
        assert resolve(title) == choice
        assert (BOARD_ID_TO_INFO[board_id].name, BOARD_ID_TO_INFO[board_id].target) == (title, part)
        assert part not in BUILTIN_TARGETS


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.text(max_size=20),
        st.text("stm32lfgh0123456789abcrgx-", max_size=16),
        st.from_regex(r"stm32[flgh][0-9]{3}[a-z0-9]{0,4}", fullmatch=True),
    )
)
def test_no_name_crashes(name: str) -> None:
    choice = resolve(name)
    assert choice is None or choice.target
