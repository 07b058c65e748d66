"""The drive contract: statements of docs/contract.md that no other test holds, and the page itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from msdflash.daemon.acts import Acts
from msdflash.daemon.answer import Reporter
from msdflash.daemon.boards import BoardIdentity
from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.daplink import ERRORS
from msdflash.drop.actions import ACTIONS, HARMLESS, Does
from msdflash.drop.names import RULES, NameKind, name_kind
from msdflash.drop.record import Drop

HEX = b":020000040800F2\r\n:00000001FF\r\n"
ROOT = Path(__file__).parents[2]
# fmt: off
CLUTTER = [
    "._good.hex", "._.Trashes", ".DS_Store", ".Spotlight-V100", ".fseventsd", ".Trash",
    ".Trashes", ".Trash-1000", ".TemporaryItems", ".apdisk", ".VolumeIcon.icns", ".com.apple.timemachine.supported",
    ".metadata_never_index", ".localized", ".AppleDouble", ".AppleDB", "Network Trash Folder", "Temporary Items",
    "Icon\r", "System Volume Information", "$RECYCLE.BIN", "RECYCLER", "Thumbs.db", "ehthumbs.db",
    "desktop.ini", "autorun.inf", "IndexerVolumeGuid", "WPSettings.dat", "FOUND.000", "LOST.DIR",
    ".android_secure", "lost+found", ".directory", ".hidden", ".thumbnails", ".xdg-volume-info",
    ".nfs00000000abc", ".fuse_hidden01", ".smbdelete0a", ".stfolder", ".dropbox", "@eaDir",
    "#recycle", "@Recycle", "#snapshot",
]
# fmt: on


def first_rule(name: str) -> str:
    return next(rule.pattern for rule in RULES if re.fullmatch(rule.pattern, name.lower(), re.DOTALL))


def test_every_row_of_clutter_has_an_example() -> None:
    assert {name for name in CLUTTER if name_kind(name) is not NameKind.CLUTTER} == set()
    known = {first_rule(name) for name in CLUTTER} | {r"\.msdflash"}
    assert {rule.pattern for rule in RULES if rule.kind is NameKind.CLUTTER} - known == set()


@pytest.mark.parametrize("first", [True, False])
def test_clutter_is_neither_flashed_nor_in_the_way(rig: Any, first: bool) -> None:
    """A good image under each name, and half of them as folders: there before the start, or coming while the drive is served."""
    if not first:
        rig.start()
        rig.wait_count(0)
    rig.root.mkdir(exist_ok=True)
    there = set()
    for number, name in enumerate(CLUTTER):
        try:
            if number % 2:
                (rig.root / name).mkdir()
                (rig.root / name / "inside.hex").write_bytes(HEX)
            else:
                (rig.root / name).write_bytes(HEX)
        except OSError:  # not every system has every name
            continue
        there.add(name)
    if first:
        rig.start()
        rig.wait_count(0)
    rig.drop("good.hex", HEX)
    rig.wait_count(1, 30)
    rig.drop("bad.bin", b"FAIL")
    rig.wait_count(2, 30)
    rig.settle(0.2)
    assert rig.answers() == [("good.hex", "proved"), ("bad.bin", "verify")]
    assert len(rig.lines("run")) == 2
    assert rig.users_files() == there
    assert len(list(rig.kept.iterdir())) == 1


def test_hidden_names_hold_nothing_up_and_are_never_flashed(rig: Any) -> None:
    names = (".good.hex", ".a.hex.Xy12Zz", ".profile", "good.hex.part", "good.hex~")
    quiet = msgspec.structs.replace(rig.scripted.CONFIG.quiet, temporary=2.0)
    rig.start(hold=0.0, fail_hold=0.0, quiet=quiet)
    rig.wait_count(0)
    for name in names:
        rig.drop(name, HEX)
    rig.drop("good.hex", HEX)
    rig.wait_count(1, 30)
    assert rig.answers() == [("good.hex", "proved")], "it waited for them"
    rig.wait_count(1 + len(names), 30)
    assert dict(rig.answers()) == dict.fromkeys(names, "half-download") | {"good.hex": "proved"}
    assert [line["name"] for line in rig.lines("run")] == ["good.hex"]
    assert rig.users_files() == set()


def test_fail_txt_lives_until_the_next_remount_and_no_longer(rig: Any) -> None:
    """Whatever remounts: each action file that is obeyed, a good image; nothing else takes it away."""
    rig.start()
    rig.wait_count(0)
    count = 0
    for name in ("refresh.act", "OVFL_ON.CFG", "good.bin"):
        rig.drop("bad.bin", b"FAIL")
        count += 1
        rig.wait_count(count, 30)
        rig.settle(0.1)
        assert rig.read("FAIL.TXT")
        rig.drop(name, b"good")
        count += 1
        rig.wait_count(count, 30)
        assert rig.read("FAIL.TXT") is None, name
        assert rig.count() == count


def test_automation_off_holds_no_image_up(rig: Any) -> None:
    rig.start()
    rig.wait_count(0)
    for count, (name, data) in enumerate([("AUTO_OFF.CFG", b""), ("a.bin", b"good"), ("refresh.act", b""), ("auto_on.cfg", b"")], 1):
        rig.drop(name, data)
        rig.wait_count(count, 30)
    told = ["proved", "proved", "action-automation-off", "proved"]
    assert [what for _, what in rig.answers()] == told


def test_every_switch_is_shown(tmp_path: Path) -> None:
    acts = Acts(tmp_path, "S1", HARMLESS)
    reporter = Reporter(BoardIdentity("S1", "left", "LEFT"), tmp_path, acts, lambda: True)
    labels = {
        "auto_reset": "Auto Reset",
        "automation": "Automation allowed",
        "overflow": "Overflow detection",
        "incompatible": "Incompatible image detection",
        "page_erase": "Page erasing",
    }
    for row in ACTIONS:
        if row.does is Does.SWITCH:
            acts.obey(Drop("j", row.name.encode(), row.name, "1:1", 0, 0, 0, "", action=row.name))
            assert row.switch is not None
            field, value = row.switch
            assert f"\r\n{labels[field]}: {int(value)}\r\n".encode() in reporter.resting(3).details, row.name


# --- the page -------------------------------------------------------------------------------------------------------------------------


def rows() -> list[list[str]]:
    page = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in page.splitlines() if line.startswith("| ")]
    return [row for row in cells if row[0] not in {"Row", "---"}]


def test_every_row_is_held_or_deliberately_different() -> None:
    found: dict[str, set[str]] = {}
    for row in rows():
        assert len(row) == 4, row
        assert all(row), row
        tests = re.findall(r"`(tests/[\w/.]+)::(\w+)`", row[3])
        reason = row[3].removeprefix("deliberately different: ")
        assert bool(tests) != (len(reason) > 20 and reason != row[3]), row
        for file, test in tests:
            if file not in found:
                tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
                found[file] = {item.name for item in tree.body if isinstance(item, ast.FunctionDef)}
            assert test in found[file], f"{row[0]}: {file}::{test}"
    names = [row[0] for row in rows()]
    assert len(set(names)) == len(names)


def test_no_error_is_missing_and_each_is_used_as_it_says() -> None:
    told = {row[0]: row for row in rows() if row[0].startswith("error ")}
    used = {cause.error for cause in CATALOGUE.values()}
    assert set(told) == {f"error {error.number}" for error in ERRORS.values()}
    for name, error in ERRORS.items():
        row = told[f"error {error.number}"]
        assert row[1].startswith(f"`{name}`: ")
        assert (row[2] == "not used") == (name not in used), row
        assert all(cause in CATALOGUE for cause in re.findall("`([a-z0-9-]+)`", row[2])), row
