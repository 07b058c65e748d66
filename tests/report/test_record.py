"""The record itself: verdicts, JSON both ways, and the terminal's view."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from msdflash.diagnose.finding import Diagnosis
from msdflash.diagnose.rules import diagnose
from msdflash.job.outcome import Changed, Failure, ImageFacts, Outcome, ProbeFacts, TargetFacts, Tried
from msdflash.job.readings import Reading
from msdflash.job.steps import Step
from msdflash.report import terminal
from msdflash.report.record import (
    SCHEMA,
    Context,
    Daplink,
    Evidence,
    RankedCause,
    RemedyLine,
    Report,
    Verdict,
    exit_status,
    make_report,
    to_json,
)
from msdflash.report.text import sentence

TIME = "2026-11-22T09:14:07+01:00"
GOOD = Outcome(
    job="8",
    proved=True,
    running="running",
    changed=Changed(connected=True, erased=4096, programmed=2000, total=2000, verified=4096, state="running"),
    image=ImageFacts(
        "a.hex", "ihex", 2000, "ab" * 32, ((0x08000000, 2000),), ("lpc-checksum: word 7 set",), ("record 9: start address ignored",)
    ),
    readings=(Reading("swd.dpidr", 0x2BA01477, 0.01), Reading("vtref", 3.3, 0.02, "again")),
)
BAD = Outcome(
    "9",
    failure=Failure(Step.MEASURE, "no-dp", "the debug port did not answer"),
    readings=(Reading("swd.ack", "no-ack"),),
    probe=ProbeFacts("u", "stlink"),
)


def test_verdict() -> None:
    for outcome, looking, verdict, status in (
        (GOOD, False, Verdict.FLASHED, 0),
        (BAD, False, Verdict.NOT_FLASHED, 1),
        (Outcome("1", running="running"), True, Verdict.HEALTHY, 0),
        (BAD, True, Verdict.NOT_HEALTHY, 1),
    ):
        report = make_report(outcome, diagnose(outcome), Context(TIME, diagnosis=looking))
        assert report.outcome is verdict
        assert exit_status(report) == status
        assert (report.cause is None) == report.good


def test_every_field_is_documented() -> None:
    """``docs/report-schema.md`` has a row for each field, and none for a field that does not exist."""
    page = (Path(__file__).parents[2] / "docs" / "report-schema.md").read_text(encoding="utf-8")
    for struct in (Report, RankedCause, RemedyLine, Evidence, Daplink, Changed, Tried, ImageFacts, ProbeFacts, TargetFacts):
        section = re.search(rf"## [^\n]*`{struct.__name__}`.*?(?=\n## |\Z)", page, re.DOTALL)
        assert section, struct.__name__
        assert set(re.findall(r"^\| `(\w+)`", section.group(0), re.MULTILINE)) == set(struct.__struct_fields__), struct.__name__


def test_no_failure_and_no_proof_is_no_success() -> None:
    """Neither a failure nor a proof: somebody lost the result. That must not read as flashed."""
    report = make_report(Outcome("1"), Diagnosis(), Context(TIME))
    assert report.outcome is Verdict.NOT_FLASHED
    assert report.cause == "unexplained"
    assert exit_status(report) == 1


def test_json_holds_everything_and_reads_back() -> None:
    for outcome in (GOOD, BAD):
        report = make_report(
            outcome, diagnose(outcome), Context(TIME, "12", board="left", drive="D", log="x.log", version="0.1.0", duration=1.5)
        )
        text = to_json(report)
        assert text.isascii()
        assert "\n" not in text
        assert next(iter(json.loads(text))) == "schema"
        assert json.loads(text)["schema"] == SCHEMA
        assert msgspec.json.decode(text.encode(), type=Report) == report
    assert json.loads(to_json(report, indent=2))["causes"][0]["remedies"]


def test_json_survives_a_name_that_is_no_unicode() -> None:
    report = make_report(BAD, diagnose(BAD), Context(TIME, file="caf\udce9.hex", file_size=3))
    assert json.loads(to_json(report))["file"] == "caf\udce9.hex"
    assert report.image is not None
    assert report.image.size == 3


def test_evidence_says_how_and_what_it_did() -> None:
    evidence = make_report(GOOD, diagnose(GOOD), Context(TIME)).evidence
    volts = next(item for item in evidence if item.name == "vtref")
    assert (volts.value, volts.unit, volts.effect, volts.at) == (3.3, "V", "passive", 0.02)
    assert volts.how.endswith("again")
    odd = msgspec.structs.replace(GOOD, readings=(Reading("no.such.reading", 1),))
    assert make_report(odd, diagnose(odd), Context(TIME)).evidence[0].unit == ""


def test_terminal_tells_the_same_in_words_and_in_colour() -> None:
    good = make_report(GOOD, diagnose(GOOD), Context(TIME, duration=0.8))
    lines = terminal.lines(good)
    assert lines[0] == "a.hex: flashed. 2000 bytes written, 4096 read back and equal, 0.8 s."
    assert any("lpc-checksum" in line for line in lines)
    bad = make_report(BAD, diagnose(BAD), Context(TIME, file="a.hex"))
    assert terminal.lines(bad)[0] == "a.hex was not programmed."
    assert terminal.lines(bad)[1].startswith("The chip does not answer on the SWD wires")
    assert "TRY" in terminal.lines(bad)
    assert "  explain     msdflash explain swd-silent" in terminal.lines(bad)
    assert "DONE AND NOT DONE" in terminal.lines(bad)
    for report in (good, bad):
        assert terminal.rich_text(report).plain.splitlines() == terminal.lines(report)
        assert all(len(line) <= 60 for line in terminal.lines(report, 60))
    same = msgspec.structs.replace(GOOD, unchanged=True)
    assert (
        "nothing written"
        in terminal.lines(make_report(same, diagnose(same), Context(TIME)))[0]
        + terminal.lines(make_report(same, diagnose(same), Context(TIME)))[1]
    )
    well = Outcome("1", running="running", target=TargetFacts("", part="STM32L47x"))
    assert terminal.lines(make_report(well, diagnose(well), Context(TIME, diagnosis=True)))[0].startswith("STM32L47x is healthy: ")
    assert sentence("nRESET is low") == "nRESET is low."
    assert sentence("the line is low.") == "The line is low."
