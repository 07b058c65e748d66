"""The configuration file: what is right is taken, what is wrong is named with file, key, value and what is allowed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.daemon.config import BoardOptions, Config, parse_address, parse_frequency
from msdflash.daemon.config_file import load_config
from msdflash.errors import UsageError

WHOLE = """
drives = "boards"
[board."066DFF"]
name = "bench3-left"
target = "STM32L476RGTx"
base = "0x08000000"
frequency = 4_000_000
connect = "under-reset"
pack = "x.pack"
[board.other]
base = 0x20000000
frequency = "400k"
"""


def test_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "msdflash.toml"
    file.write_text(WHOLE, encoding="utf-8")
    config = load_config(file)
    assert config.drives == tmp_path / "boards"
    assert config.board("066DFF") == BoardOptions(
        "bench3-left", "stm32l476rgtx", 0x0800_0000, 4_000_000, "under-reset", str(tmp_path / "x.pack")
    )
    assert config.board("other") == BoardOptions(base=0x2000_0000, frequency=400_000)
    assert config.board("unknown") == BoardOptions()


def test_the_switches_of_the_whole_daemon(tmp_path: Path) -> None:
    file = tmp_path / "msdflash.toml"
    assert (Config().real_drives, Config().volume) == (True, False)
    file.write_text("real_drives = false\nvolume = true\n", encoding="utf-8")
    config = load_config(file)
    assert (config.real_drives, config.volume) == (False, True)
    file.write_text("volume = 'yes'", encoding="utf-8")
    with pytest.raises(UsageError, match="true or false"):
        load_config(file)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("drive = 'x'", ["drive = 'x'", "drives"], id="top-key"),
        pytest.param("drives = 3", ["drives = 3", "path in quotes"], id="drives-number"),
        pytest.param("board = 3", ["board = 3", 'board."SERIAL"'], id="board-number"),
        pytest.param("[board]\nX = 1", ['board."X" = 1', "name, folder"], id="board-value"),
        pytest.param("[board.X]\nspeed = 1", ['board."X".speed = 1', "frequency"], id="board-key"),
        pytest.param("[board.X]\nconnect = 'fast'", ["'fast'", "under-reset"], id="connect"),
        pytest.param("[board.X]\nfrequency = 5", ["frequency = 5", "1k to 50M"], id="slow"),
        pytest.param("[board.X]\nfrequency = true", ["True", "1k to 50M"], id="bool"),
        pytest.param("[board.X]\nfail_txt = 'short'", ["fail_txt = 'short'", "long, two-line"], id="fail-txt"),
        pytest.param("[board.X]\nallow_locking_images = 1", ["allow_locking_images = 1", "true or false"], id="switch"),
        pytest.param("[board.X]\nbase = -1", ["base = -1", "0xFFFFFFFF"], id="base"),
        pytest.param("[board.X]\nbase = '08000000x'", ["08000000x", "0xFFFFFFFF"], id="base-text"),
        pytest.param("[board.X]\ntarget = '../x'", ["../x", "pyOCD target"], id="target"),
        pytest.param("[board.X]\nname = ''", ["name = ''", "printable"], id="name"),
        pytest.param("[board.X]\npack = ['a']", ["pack", "path in quotes"], id="pack"),
        pytest.param("[board", ["not TOML"], id="syntax"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, told: list[str]) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_config(file)
    message = str(caught.value)
    assert str(file) in message
    for words in told:
        assert words in message


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.toml"):
        load_config(tmp_path / "gone.toml")


@settings(max_examples=50, deadline=None)
@given(st.one_of(st.text(), st.binary()))
def test_any_content_is_a_config_or_a_usage_error(content: str | bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "any.toml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        told = ""
        try:
            load_config(file)
        except UsageError as error:
            told = str(error)
        assert not told or str(file) in told


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(), st.integers(), st.from_regex(r"0x[0-9a-f]{1,9}", fullmatch=True)))
def test_addresses_are_32_bits(value: str | int) -> None:
    try:
        number = parse_address(value)
    except ValueError:
        return
    assert 0 <= number <= 0xFFFF_FFFF


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(), st.integers(), st.from_regex(r"[0-9]{1,10}(\.[0-9])?[kM]?", fullmatch=True)))
def test_frequencies_are_sane(value: str | int) -> None:
    try:
        number = parse_frequency(value)
    except ValueError:
        return
    assert 1_000 <= number <= 50_000_000


def test_forms_of_numbers() -> None:
    assert [parse_frequency(text) for text in ("4M", "400k", "1.8MHz", "4000000", "100 kHz")] == [
        4_000_000,
        400_000,
        1_800_000,
        4_000_000,
        100_000,
    ]
    assert [parse_address(text) for text in ("0x08000000", "134217728", 0)] == [0x0800_0000, 0x0800_0000, 0]


def test_command_line_goes_before_the_file() -> None:
    file = BoardOptions(name="n", target="a", frequency=1_000_000, connect="attach")
    assert BoardOptions(target="b").over(file) == BoardOptions("n", "b", None, 1_000_000, "attach")
    assert BoardOptions(connect="under-reset").over(file).connect == "under-reset"
    assert BoardOptions().over(BoardOptions(fail_txt="two-line")).fail_txt == "two-line"
