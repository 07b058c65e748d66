"""The two-line form, from the option to the folder: FAIL.TXT has DAPLink's lines, WHY.TXT the page, and both come and go together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from msdflash.daemon.acts import Acts
from msdflash.daemon.answer import Reporter
from msdflash.daemon.boards import BoardIdentity
from msdflash.daemon.lane_data import Context
from msdflash.drive.folder import adopt
from msdflash.drive.publish import Publisher
from msdflash.drop.attic import Attic
from msdflash.drop.record import Drop
from msdflash.job.outcome import Failure, Outcome
from msdflash.job.readings import Reading
from msdflash.job.steps import Step

Run = Callable[..., Any]
BAD = Outcome("7", failure=Failure(Step.MEASURE, "no-dp", "silent"), readings=(Reading("swd.ack", "no-ack"),))
GOOD = Outcome("8", proved=True)
LINES = b"error: Failed to reset/halt the target MCU\r\ntype: target\r\n"
DROP = Drop("7", b"a.hex", "a.hex", "x", 3, 0, 0, "2026-11-22T09:14:07+00:00")


def context(remount: int) -> Context:
    return Context(remount, 1, "/drive", None, final=True, finished_at="2026-11-22T09:14:09+00:00")


@pytest.mark.parametrize("form", ["long", "two-line"])
def test_both_files_come_and_go_together(tmp_path: Path, form: str) -> None:
    reporter = Reporter(BoardIdentity("S1", "left", "LEFT"), tmp_path, Acts(tmp_path, "S1", ()), lambda: True, form)
    folder = adopt(tmp_path / "LEFT", "S1", tmp_path / "state")
    attic = Attic(tmp_path / "kept")
    bad, good = (reporter.answer(outcome, DROP, context(count)).publication for count, outcome in ((1, BAD), (2, GOOD)))
    with folder.opened() as opened:
        Publisher(folder, attic, lambda: 0.0).publish(opened, bad, lambda: None)
        text = (folder.path / "FAIL.TXT").read_bytes()
        assert text.startswith(LINES)
        assert (text == LINES) == (form == "two-line")
        why = "WHY.TXT" if form == "two-line" else "FAIL.TXT"
        page = (folder.path / why).read_bytes().decode("ascii")
        assert "a.hex was not programmed." in page
        assert json.loads(page.splitlines()[-1])["cause"] == "swd-silent"
        assert f"{why} tells why" in (folder.path / "MBED.HTM").read_text("ascii")
        # A later run does not know what this one published but from the journal.
        later = Publisher(folder, attic, lambda: 0.0)
        later.adopt_extras(bad.extras)
        assert later.rest(opened, bad) is None
        later.begin(opened)
        assert not {"FAIL.TXT", "WHY.TXT"} & {path.name for path in folder.path.iterdir()}
        later.publish(opened, good, lambda: None)
        assert not {"FAIL.TXT", "WHY.TXT"} & {path.name for path in folder.path.iterdir()}
    assert not attic.path.exists()


def test_option(msdflash: Run) -> None:
    wrong = msdflash("run", "--fail-txt", "short")
    assert (wrong.status, wrong.out) == (2, "")
    assert "long, two-line" in wrong.err
