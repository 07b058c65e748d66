"""What each system does for a volume, as far as it can be tried anywhere."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from msdflash.volume.fuse import FuseVolume
from msdflash.volume.seam import NoVolume, make_volume
from msdflash.volume.subst import SubstVolume, choose_letter, parse_list

LIST = "M:\\: => C:\\Users\\me\\msdflash\\NUCLEO\r\nZ:\\: => C:\\other\r\nnonsense\r\n"


def test_the_list_of_letters() -> None:
    assert parse_list(LIST) == {"M": "C:\\Users\\me\\msdflash\\NUCLEO", "Z": "C:\\other"}
    assert choose_letter(parse_list(LIST), "C:\\Users\\me\\msdflash\\NUCLEO", "CD") == ("M", True)
    assert choose_letter(parse_list(LIST), "C:\\new", ["C", "D", "Y"]) == ("X", False)
    assert choose_letter({}, "C:\\new", "ZYXWVUTSRQPONMLKJIHGFED") == ("", False)


def test_a_letter_is_taken_and_given_back() -> None:
    ran: list[list[str]] = []
    told: list[str] = []

    def run(command: Sequence[str]) -> str:
        ran.append(list(command))
        return LIST if len(command) == 1 else ""

    volume = SubstVolume(Path("C:\\new"), told.append, run, lambda: "CD")
    volume.start()
    assert volume.stop()
    assert volume.stop()
    assert ran == [["subst"], ["subst", "Y:", "C:\\new"], ["subst", "Y:", "/D"]]
    assert told == ["also as drive Y:"]


def test_a_system_that_refuses_costs_nothing_but_the_volume() -> None:
    told: list[str] = []

    def run(command: Sequence[str]) -> str:
        raise subprocess.CalledProcessError(1, command)

    volume = SubstVolume(Path("C:\\new"), told.append, run, lambda: "CD")
    volume.start()
    assert volume.stop()
    assert "use the folder" in told[0]


@pytest.mark.parametrize(("system", "kind"), [("linux", FuseVolume), ("win32", SubstVolume), ("darwin", NoVolume), ("freebsd14", NoVolume)])
def test_each_system_has_its_way(tmp_path: Path, system: str, kind: type) -> None:
    told: list[str] = []
    volume = make_volume(tmp_path, tmp_path / "V", lambda _: None, told.append, system)
    assert type(volume) is kind
    if kind is NoVolume:
        volume.start()
        assert volume.stop()
        assert "use the folder" in told[0]
