"""The configuration file as a whole: lines, all mistakes at once, the tables of keys, the commands, the page."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.daemon.config import BoardOptions, Config
from msdflash.daemon.config_file import find_config, load_config, locate, read_config, site_file, toml_text, user_file
from msdflash.daemon.config_keys import BOARD_KEYS, BY_NAME, TOP_KEYS
from msdflash.daemon.config_md import config_md, sample

Run = Callable[..., Any]
PAGE = Path(__file__).parents[2] / "docs" / "config.md"

MISTAKES = """\
drives = "boards"

[board."066DFF"]
target = "stm32l476rgtx"
actions = [
  "refresh",
  "explode",
]
frequncy = "4M"
connect = "fast"
[board."port:1-2.x"]
[board.other]
folder = "a"
[board.third]
folder = "./a"
retries = 9
"""


def test_all_mistakes_are_told_with_their_lines(tmp_path: Path, msdflash: Run) -> None:
    file = tmp_path / "m.toml"
    file.write_bytes(MISTAKES.replace("\n", "\r\n").encode())
    loaded = read_config(file)
    assert [problem.line for problem in loaded.problems] == [5, 9, 10, 11, 15, 16]
    for text, words in zip(
        loaded.told().splitlines(),
        ("explode", "did you mean frequency?", "'fast'", "port:1-2.3", 'the folder of board."other"', "retries = 9"),
        strict=True,
    ):
        assert text.startswith(f"{file}:")
        assert words in text
    result = msdflash("config", "check", str(file))
    assert result.status == 2
    assert result.out == ""
    assert f"{file}:16: " in result.err
    assert msdflash("run", "--config", str(file)).status == 2
    assert msdflash("config", "show", "--config", str(file)).status == 2


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a = 1\n\nb = = 2\n", 3),
        (b"\n[board", 2),
        (b"a = '\xff'\n", 1),
        (b"drives = 'x'\ndrives = 'y'\n", 2),
    ],
)
def test_what_is_not_toml_has_a_line_too(tmp_path: Path, content: bytes, line: int) -> None:
    file = tmp_path / "m.toml"
    file.write_bytes(content)
    (problem,) = read_config(file).problems
    assert problem.line == line
    assert "not TOML" in problem.text


def test_lines_of_every_form() -> None:
    text = 'a.b = """\n[x]\n"""\n# c\n[ "t" . u ]\nk = [\n1,\n# [y]\n2]\nm = {n = {o = 1}}\n[[l]]\np=1\n'
    tomllib.loads(text)
    assert locate(text) == {
        ("a",): 1,
        ("a", "b"): 1,
        ("t",): 5,
        ("t", "u"): 5,
        ("t", "u", "k"): 6,
        ("t", "u", "m"): 10,
        ("t", "u", "m", "n"): 10,
        ("t", "u", "m", "n", "o"): 10,
        ("l",): 11,
        ("l", "p"): 12,
    }


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(BY_NAME)), st.text(max_size=8), max_size=4), st.integers(0, 3))
def test_each_key_is_found_on_its_line(keys: dict[str, str], blank: int) -> None:
    text = "\n" * blank + "[board.X]\n" + "".join(f"{name} = {toml_text(value)}\n" for name, value in keys.items())
    assert tomllib.loads(text)["board"]["X"] == keys
    lines = locate(text)
    assert [lines["board", "X", name] for name in keys] == [blank + 2 + index for index in range(len(keys))]


def test_the_tables_are_the_options() -> None:
    assert set(BY_NAME) == set(BoardOptions.__struct_fields__)
    assert {key.name for key in TOP_KEYS} | {"boards"} == set(Config.__struct_fields__)
    plain = BoardOptions()
    for key in BOARD_KEYS:
        default = getattr(plain, key.name)
        if default is not None:
            stated = tomllib.loads(f"x = {key.default.strip('`')}")["x"]
            assert key.parse(stated) == default
        assert key.allowed != "anything"


def test_the_sample_changes_nothing_and_every_line_of_it_is_right(tmp_path: Path, msdflash: Run) -> None:
    file = tmp_path / "m.toml"
    file.write_text(msdflash("config", "sample").out, encoding="utf-8")
    assert load_config(file) == Config()
    uncommented = "\n".join(line.removeprefix("#") for line in sample().splitlines() if not line.startswith("# "))
    file.write_text(uncommented, encoding="utf-8")
    loaded = read_config(file)
    assert loaded.problems == ()
    assert {where[-1] for where in loaded.lines if len(where) == 3} == set(BY_NAME)


def test_the_page_is_made_from_the_tables() -> None:
    if "UPDATE_SNAPSHOTS" in os.environ:
        PAGE.write_text(config_md(), encoding="utf-8", newline="\n")
    assert PAGE.read_text(encoding="utf-8") == config_md()


def test_show_and_which_file(msdflash: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "site"))
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_a, **_k: tmp_path / "user")
    monkeypatch.setattr("platformdirs.site_config_path", lambda *_a, **_k: tmp_path / "site")
    assert find_config().file is None
    assert msdflash("config", "check").status == 0
    for file in (site_file(), user_file()):
        file.parent.mkdir()
        file.write_text("\n[board.X]\nretries = 1\n", encoding="utf-8")
        assert find_config().file == file
    shown = msdflash("config", "show")
    assert shown.out.startswith(f"# {user_file()} (this user's)")
    assert "retries = 1  # line 3" in shown.out
    assert 'connect = "halt"  # default' in shown.out
    tomllib.loads(shown.out)
    assert find_config(str(tmp_path / "z.toml")).file == tmp_path / "z.toml"


def test_sections_by_serial_and_by_port() -> None:
    config = Config(boards={"S": BoardOptions(target="a"), "port:1-2": BoardOptions(target="b", retries=0)})
    assert config.board("S", "1-2") == BoardOptions(target="a", retries=0)
    assert config.board("T", "1-2").target == "b"
    assert config.board("T", "1-3") == BoardOptions()
    assert config.board("S").target == "a"
