"""A CMSIS-Pack that a user names: what is wrong with it is told before a probe is opened, and a hostile one costs next to nothing."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import msdflash.sim.pack.make_pack as packing
from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.rules import diagnose
from msdflash.job.order import Connection
from msdflash.job.outcome import Failure, Outcome
from msdflash.job.steps import Step
from msdflash.sim.boards import BOARDS
from msdflash.worker import packs
from msdflash.worker.channel import Channel, StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

PACK = Path(packing.__file__).parent / BOARDS["bench-pack"].pack[0]
PDSC, FLM = "msdflash-bench.BENCH_M4_DFP.pdsc", "Flash/BENCH-M4.FLM"


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The archives that a worker would keep open until its end."""
    opened: list[packs._Bounded] = []

    def bounded(file: object) -> packs._Bounded:
        archive: packs._Bounded = original(file)
        opened.append(archive)
        return archive

    original: Any = packs._Bounded
    monkeypatch.setattr(packs, "_Bounded", bounded)
    yield
    packs._read.cache_clear()
    for archive in opened:
        if archive.fp is not None:
            archive.fp.close()


def members() -> dict[str, bytes]:
    with zipfile.ZipFile(PACK) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(folder: Path, **changes: bytes | None) -> Path:
    """The bench's pack with members changed, or without them; ``pdsc`` and ``flm`` are their names here."""
    names = {"pdsc": PDSC, "flm": FLM}
    found: dict[str, bytes | None] = {**members(), **{names.get(name, name): data for name, data in changes.items()}}
    packing.make(folder / "made.pack", [(name, data) for name, data in found.items() if data is not None])
    return folder / "made.pack"


def told(path: Path | str, target: str | None = "bench_m4") -> tuple[str, str]:
    """The cause and its words, as a report has them; ("", "") where nothing is wrong."""
    channel = Channel(io.BytesIO(), "job")
    try:
        packs.check(channel, Connection("PROBE", target=target, pack=str(path)))
    except StepFailed as failed:
        failure = Failure(Step.OPEN, failed.kind, str(failed), failed.cause)
        outcome = msgspec.structs.replace(Outcome("job"), failure=failure, readings=tuple(channel.readings))
        first = diagnose(outcome).findings[0]
        return first.cause, CATALOGUE[first.cause].say(first.slots)
    return "", ""


@pytest.mark.parametrize("target", ["bench_m4", "BENCH-M4", None, "stm32l475xg", "STM32F103RC"])
def test_a_good_pack_with_a_part_of_its_own_or_one_that_the_engine_has(target: str | None) -> None:
    assert told(PACK, target) == ("", "")


def test_a_pack_that_is_not_there_or_cannot_be_read(tmp_path: Path) -> None:
    for path, why in (
        (tmp_path / "none.pack", "No such file or directory"),
        (tmp_path, "it is not a file"),
        ("a" * 5000, "File name too long"),
    ):
        cause, words = told(path)
        assert cause == "pack-unreadable"
        assert why in words
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo.pack")  # opening one would wait for ever
        assert told(tmp_path / "fifo.pack")[0] == "pack-unreadable"


def test_an_unpacked_folder_is_refused(tmp_path: Path) -> None:
    """A description in a folder could name files outside of it."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / PDSC).write_bytes(members()[PDSC].replace(b"Flash/BENCH-M4.FLM", b"../../../../etc/passwd"))
    assert told(tmp_path / "pack")[0] == "pack-unreadable"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no zip archive"),
        (b"<!DOCTYPE html><html>404</html>", "no zip archive"),
        (PACK.read_bytes()[:-30], "no zip archive"),
        (PACK.read_bytes()[:-200] + bytes(178) + PACK.read_bytes()[-22:], ""),
        (b"PK\5\6" + bytes(18), "missing a .pdsc"),
        (struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFF0, 0, 0), "its directory says 4294967280 bytes"),
        (b"PK\6\7" + bytes(16) + b"PK\5\6" + bytes(18), "64-bit"),
    ],
)
def test_files_that_are_no_pack(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "file.pack").write_bytes(data)
    cause, words = told(tmp_path / "file.pack")
    assert cause == "pack-invalid"
    assert why in words


def test_a_description_that_says_nothing_or_nonsense(tmp_path: Path) -> None:
    assert told(pack(tmp_path, pdsc=None))[0] == "pack-invalid"
    assert told(pack(tmp_path, pdsc=b"<package>"))[0] == "pack-invalid"
    assert told(pack(tmp_path, pdsc=b"<package/>")) == ("pack-lacks-target", "the CMSIS-Pack made.pack has no part bench_m4; it has: none")
    cause, words = told(PACK, "stm32l4r5zi")
    assert (cause, words.partition("has no")[2]) == ("pack-lacks-target", " part stm32l4r5zi; it has: bench_m4")


def test_a_part_without_an_algorithm_that_can_be_used(tmp_path: Path) -> None:
    without = members()[PDSC].replace(b"<algorithm", b"<nothing")
    assert told(pack(tmp_path, pdsc=without))[0] == "pack-lacks-algorithm"
    for flm in (None, b"", b"no ELF file", members()[FLM].replace(b"EraseSector", b"EraseNothin"), members()[FLM][:600]):
        assert told(pack(tmp_path, flm=flm))[0] in ("pack-invalid", "pack-lacks-algorithm"), flm


def test_names_that_lead_out_of_the_pack_lead_nowhere(tmp_path: Path) -> None:
    """Members are looked up in the archive by name; the disk is not asked."""
    (tmp_path / "outside.FLM").write_bytes(members()[FLM])
    for name in (b"../outside.FLM", b"..\\outside.FLM", str(tmp_path / "outside.FLM").encode()):
        made = pack(tmp_path, pdsc=members()[PDSC].replace(b"Flash/BENCH-M4.FLM", name).replace(b"SVD/BENCH-M4.svd", name))
        assert told(made)[0] in ("pack-invalid", "pack-lacks-algorithm"), name


def test_bombs_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that unpacks to more than is allowed is not unpacked; entities that multiply end the parser."""
    monkeypatch.setattr(packs, "MOST_MEMBER", 1 << 20)
    for name in (PDSC, FLM):
        with zipfile.ZipFile(tmp_path / "bomb.pack", "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in members().items():
                archive.writestr(member, bytes(1 << 21) if member == name else data)
        cause, words = told(tmp_path / "bomb.pack")
        assert cause == "pack-invalid"
        assert "2097152 bytes" in words
    monkeypatch.setattr(packs, "MOST_MEMBER", 32 << 20)
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    laughs = f'<!DOCTYPE p [<!ENTITY e0 "{"x" * 1000}">{entities}]><package><name>&e11;</name></package>'.encode()
    before = psutil.Process().memory_info().rss
    assert told(pack(tmp_path, pdsc=laughs))[0] == "pack-invalid"
    assert psutil.Process().memory_info().rss - before < 200 << 20
    monkeypatch.setattr(packs, "MOST_BYTES", 1000)
    assert told(PACK)[0] == "pack-invalid"


def test_a_member_that_says_less_than_it_holds_is_cut(tmp_path: Path) -> None:
    data = bytearray(PACK.read_bytes())
    at = data.index(b"PK\1\2")
    struct.pack_into("<I", data, at + 24, 100)  # uncompressed size in the directory (APPNOTE 4.3.12)
    (tmp_path / "less.pack").write_bytes(data)
    assert told(tmp_path / "less.pack")[0] == "pack-invalid"


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_damage_is_a_cause_and_no_crash(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(PACK.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.pack"
    path.write_bytes(content)
    assert told(path)[0] in ("", "pack-invalid", "pack-lacks-target", "pack-lacks-algorithm")
