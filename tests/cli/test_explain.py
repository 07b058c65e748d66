"""``msdflash explain``: by id, by message, out of a file and out of a pipe; text and JSON."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msdflash.diagnose.causes import CATALOGUE
from msdflash.report.explained import SCHEMA

Run = Callable[..., Any]
OLD = "The interface firmware FAILED to download the flash programming algorithms to the target MCU."


def test_the_founding_users_message(msdflash: Run) -> None:
    for words in ([OLD], OLD.split()):
        result = msdflash("explain", *words)
        assert result.status == 0
        lines = result.out.splitlines()
        assert lines.index("CAUSES FOUND BEHIND IT") + 1 == lines.index("  held-in-reset")
        assert "rotated switch" in " ".join(result.out.split())
        assert "  msdflash diagnose --reset" in result.out
        assert "https://community.st.com/" in result.out
        assert all(len(line) <= 79 or "://" in line for line in lines)


def test_json(msdflash: Run) -> None:
    told = msdflash("explain", "--json", "STLink error (11): Debug power error").report
    assert (told["schema"], told["known"], told["measured"]) == (SCHEMA, True, False)
    assert told["texts"][0]["tool"] == "pyOCD"
    assert told["causes"][0]["cause"] == "asleep"
    assert told["causes"][0]["remedies"]
    assert told["commands"][0] == "msdflash diagnose"
    assert msdflash("explain", "--json", "rdp1").report["causes"][0]["cause"] == "rdp1"
    unknown = msdflash("explain", "--json", "a text that nobody has seen")
    assert unknown.status == 1
    assert (unknown.report["known"], unknown.report["causes"]) == (False, [])
    assert "msdflash diagnose" in unknown.report["commands"]


def test_list(msdflash: Run) -> None:
    assert [cause["cause"] for cause in msdflash("explain", "--list", "--json").report["causes"]] == list(CATALOGUE)
    text = msdflash("explain", "--list").out
    assert text == msdflash("explain").out
    assert [line.split()[0] for line in text.splitlines() if line.startswith("  ")] == list(CATALOGUE)
    assert msdflash("explain", "--list", "rdp1").status == 2


def test_a_file_and_a_pipe(msdflash: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "FAIL.TXT"
    file.write_bytes(b"error: The transfer timed out.\r\ntype: transient, user\r\n")
    assert "image-bad-vectors" in msdflash("explain", str(file)).out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\x00 0000412 C flash init timed out [__main__]\n" * 3)))
    assert '"flash init timed out"' in msdflash("explain", "-").out
    assert msdflash("explain", str(tmp_path)).status == 1
    assert msdflash("explain", "\0").status == 1
    assert msdflash("explain", "x" * 100_000).status == 1


def test_a_report_of_our_own(msdflash: Run, tmp_path: Path) -> None:
    file = tmp_path / "FAIL.TXT"
    file.write_text('\r\n{"schema":"msdflash/report/1","cause":"held-in-reset","causes":[["held-in-reset","certain"]]}\r\n', "ascii")
    out = msdflash("explain", str(file)).out
    assert "certain     held-in-reset" in out
    assert "mounted" in out


def test_unknown_text_is_admitted(msdflash: Run) -> None:
    result = msdflash("explain", "it is broken")
    assert result.status == 1
    assert result.out.startswith("msdflash does not know this text.")
    assert "msdflash diagnose" in result.out


def test_colour_is_for_terminals_that_want_it(msdflash: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in msdflash("explain", "rdp1").out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in msdflash("explain", "rdp1").out
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in msdflash("explain", "rdp1").out
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = msdflash("explain", "rdp1").out
    assert "\x1b[1m" in coloured
    assert "ERASES THE WHOLE CHIP" in coloured
