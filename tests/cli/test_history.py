"""``msdflash history``: lists, one job whole, counts, and a kept image flashed again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from msdflash.cli import main
from msdflash.cli.history import parse_since
from msdflash.daemon.history import History, Record
from msdflash.daemon.paths import HOME_VARIABLE, find_paths
from msdflash.diagnose.rules import diagnose
from msdflash.errors import UsageError
from msdflash.job.outcome import Failure, ImageFacts, Outcome
from msdflash.job.readings import Reading
from msdflash.job.steps import Step
from msdflash.report.record import Context, make_report, to_builtins

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    history = History(find_paths().history)
    for number, failure in enumerate([None, Failure(Step.MEASURE, "no-dp", "silent"), None]):
        readings = (Reading("swd.ack", "no-ack"), Reading("swd.dpidr", None)) if failure else ()
        image = ImageFacts("blinky.bin", "bin", 3, f"{number:064x}")
        outcome = Outcome(f"j{number}", proved=failure is None, failure=failure, readings=readings, image=image)
        report = make_report(outcome, diagnose(outcome), Context(f"2026-11-2{number}T09:00:00+00:00", file="blinky.bin"))
        history.add(Record(f"j{number}", "S1", "left", to_builtins(report)))
    return history


def test_list_one_and_counts(kept: History, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == ["j2", "j1", "j0"]
    assert "swd-silent (certain)" in lines[1]
    assert main(["history", "--cause", "swd-silent", "--json"]) == 0
    [job] = json.loads(capsys.readouterr().out)["jobs"]
    assert (job["job"], job["outcome"], job["board"]) == ("j1", "not-flashed", "left")
    assert main(["history", "j1"]) == 0
    assert "does not answer on the SWD wires" in capsys.readouterr().out
    assert main(["history", "--counts"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["left", "flashed", "2"], ["left", "swd-silent", "1"]]
    assert main(["history", "--board", "nobody"]) == 0
    assert "No job fits." in capsys.readouterr().out


def test_wrong_use(kept: History, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["nothing"], ["j"], ["--again"], ["--since", "yesterday"], ["j0", "--again"]):
        assert main(["history", *words]) == 2
    assert "is not kept any more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "then"),
    [("", ""), ("2h", "2026-11-23T10:00:00+00:00"), ("7d", "2026-11-16T12:00:00+00:00"), ("2w", "2026-11-09T12:00:00+00:00")],
)
def test_since(text: str, then: str) -> None:
    assert parse_since(text, NOW) == then


@pytest.mark.parametrize("text", ["x", "7", "d", "-1d", "99999d", "2026-13-01"])
def test_since_that_means_nothing(text: str) -> None:
    with pytest.raises(UsageError, match="2026-11-23"):
        parse_since(text, NOW)
