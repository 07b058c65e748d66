"""Locks: one holder, named to the next; the death of a holder frees; stale records mean nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from msdflash.daemon.locks import hold_folder, hold_probe
from msdflash.errors import HeldError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from msdflash.daemon.locks import hold_probe
hold = hold_probe(Path(sys.argv[1]), sys.argv[2], "msdflash run")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds probe P1."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path), "P1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_second_process_is_told_who_and_since_when(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(HeldError, match="probe P1 is held by msdflash run") as caught:
        hold_probe(tmp_path, "P1", "msdflash flash")
    owner = caught.value.owner
    assert owner["pid"] == holder.pid
    assert owner["since"].startswith("20")
    assert set(owner) == {"pid", "program", "user", "since"}
    with hold_probe(tmp_path, "P2", "msdflash flash"):
        pass


def test_death_of_the_holder_frees(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.kill()
    holder.wait(10)
    with hold_probe(tmp_path, "P1", "msdflash flash"), pytest.raises(HeldError) as caught:
        hold_probe(tmp_path, "P1", "again")
    assert caught.value.owner["pid"] == os.getpid()


@pytest.mark.parametrize("content", [b"", b"garbage", b'{"pid": 999999999, "program": "x", "user": "", "since": ""}', b"[" * 9999])
def test_unusable_record_of_a_holder(tmp_path: Path, content: bytes) -> None:
    with hold_probe(tmp_path, "P1", "msdflash run"):
        next(tmp_path.glob("*.json")).write_bytes(content)
        with pytest.raises(HeldError, match="another process"):
            hold_probe(tmp_path, "P1", "msdflash flash")


def test_stale_record_does_not_hold(tmp_path: Path) -> None:
    with hold_probe(tmp_path, "P1", "x"):
        record = next(tmp_path.glob("*.json"))
        text = record.read_bytes()
    assert not record.exists()
    record.write_bytes(text)
    hold_probe(tmp_path, "P1", "y").release()


def test_released_twice_and_taken_again(tmp_path: Path) -> None:
    hold = hold_probe(tmp_path, "P1", "x")
    hold.release()
    hold.release()
    hold_probe(tmp_path, "P1", "x").release()


def test_same_probe_in_other_spellings(tmp_path: Path) -> None:
    with hold_probe(tmp_path, "0240ABCD", "x"):
        for spelling in ("0240abcd", "cmsisdap:0240ABCD"):
            with pytest.raises(HeldError):
                hold_probe(tmp_path, spelling, "y")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_folder_is_held_by_whatever_path(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "drive")
    with hold_folder(tmp_path, tmp_path / "drive", "x"), pytest.raises(HeldError):
        hold_folder(tmp_path, tmp_path / "link", "y")


@pytest.mark.parametrize("serial", ["", "../../../x", "a/b\\c:d", "\u4e3b" * 200, "nul"])
def test_any_serial_makes_a_plain_file_name(tmp_path: Path, serial: str) -> None:
    with hold_probe(tmp_path, serial, "x"):
        assert len(list(tmp_path.glob("probe-*.lock"))) == 1
