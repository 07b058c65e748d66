"""Folder names: safe everywhere, unique, and the same tomorrow."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.daemon.boards import folder_name, identify


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("NUCLEO-L476RG", "NUCLEO_L476RG"),
        ("bench 3, left", "BENCH_3_LEFT"),
        ("../../etc", "ETC"),
        ("con", "BOARD_CON"),
        ("COM1", "BOARD_COM1"),
        ("Größe", "GROSSE"),
        ("主板", "BOARD"),
        ("", "BOARD"),
        ("x" * 99, "X" * 32),
    ],
)
def test_names(name: str, folder: str) -> None:
    assert folder_name(name) == folder


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_name_gives_a_safe_folder(name: str) -> None:
    assert re.fullmatch(r"[A-Z0-9]+(_[A-Z0-9]+)*", folder_name(name))
    assert len(folder_name(name)) <= 38


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1, max_size=30), st.sampled_from(["A", "a-", "B"])), unique_by=lambda t: t[0]))
def test_folders_are_unique(boards: list[tuple[str, str]]) -> None:
    found = identify([(serial, name, None, None) for serial, name in boards], lambda folder: None)
    assert len({board.folder for board in found}) == len(boards)
    assert [board.serial for board in found] == [serial for serial, _ in boards]


def test_a_board_keeps_its_folder_when_its_twin_is_away() -> None:
    """Two boards of a kind: which of them has the short name must not depend on which is plugged in."""
    disk: dict[str, str] = {}
    first, second = ("AAAA111111", "Nucleo", None, None), ("BBBB222222", "Nucleo", None, None)
    for board in identify([first, second], disk.get):
        disk[board.folder] = board.serial
    assert disk == {"NUCLEO": "AAAA111111", "NUCLEO_222222": "BBBB222222"}
    assert identify([second], disk.get)[0].folder == "NUCLEO_222222"
    assert [board.folder for board in identify([second, first], disk.get)] == ["NUCLEO_222222", "NUCLEO"]


def test_a_foreign_folder_is_left_alone() -> None:
    assert identify([("S1", "Nucleo", None, None)], {"NUCLEO": ""}.get)[0].folder == "NUCLEO_S1"
