"""Every known failure has its causes, every cause of that table exists, and what is called observed was really met."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.observed import OBSERVED

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
cases: Any = sys.modules["diagnose_cases"]

PYOCD_ROWS = {*"bm", "d1b"} | {
    f"{row[0]}{number}"
    for row in ("a5", "c2", "d3", "e4", "f6", "g2", "h9", "i3", "j3", "k5", "l2")
    for number in range(1, int(row[1]) + 1)
}

RECORDS = ("docs/faults.md", "docs/scenarios.md", "docs/matrix.md")
"""Pages that programs wrote down from runs of the bench."""

RUNS = ("main_path", "matrix", "cli", "sim_usb", "kill", "bench", "worker")
"""Folders of tests that run the bench, or the system's own USB list, and name what must be answered."""


def test_no_case_is_missing() -> None:
    scenarios = pytest.importorskip("msdflash.sim.scenarios") if importlib.util.find_spec("unicorn") else None
    assert set(cases.PYOCD) == PYOCD_ROWS
    for name, (what, causes, note) in {**cases.FIELD, **cases.PYOCD}.items():
        assert what, name
        assert causes or note, name
        assert set(causes.split()) <= set(CATALOGUE), name
    if scenarios is not None:
        assert list(cases.FIELD) == [f"FC-{number:02}" for number in scenarios.CASES]
        for name, row in scenarios.SCENARIOS.items():
            assert row.cause == "" or row.cause in cases.FIELD[name][1].split(), name


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "cases.md").read_text(encoding="utf-8") == cases.page()


def _told_in_records() -> set[str]:
    """Causes that recorded runs name, however sure."""
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in RECORDS if (ROOT / name).exists())
    found = set(re.findall(r"\*\*([a-z0-9-]+)\*\* (?:certain|likely|possible)", text))
    return found | set(re.findall(r"\b([a-z0-9-]+) (?:certain|likely|possible)\b", text)) & set(CATALOGUE)


def _named_in_runs() -> set[str]:
    """Causes that tests on the bench ask for."""
    files = [path for folder in RUNS for path in (ROOT / "tests" / folder).glob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return {cause for cause in CATALOGUE if re.search(rf"[\"' ]{re.escape(cause)}[\"' ]", text)}


def test_observed_means_met() -> None:
    assert set(OBSERVED) <= set(CATALOGUE)
    assert set(OBSERVED) - _told_in_records() - _named_in_runs() == set(), "called observed, and no run or record of one names it"
    # And the other way round: what a recorded run gave as its answer is experience.
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in RECORDS if (ROOT / name).exists())
    led = set(re.findall(r"\*\*([a-z0-9-]+)\*\* (?:certain|likely)", text)) & set(CATALOGUE)
    assert led - set(OBSERVED) - {"unexplained"} == set(), "met by a recorded run, and not called observed"
