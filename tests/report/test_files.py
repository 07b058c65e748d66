"""FAIL.TXT, DETAILS.TXT, MBED.HTM and RUNNING.TXT, read by the rules of the tools that read them.

The readers here are written anew from those rules: DAPLink's harness (``test/board.py``), mbed-flasher (counts known sentences),
htrun (parses the remount count), mbed-ls (splits at the first colon).
"""

from __future__ import annotations

import html.parser
import json
import re
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.daplink import ERRORS, SENTENCES
from msdflash.diagnose.finding import Confidence, Diagnosis, Finding
from msdflash.diagnose.rules import diagnose
from msdflash.job.outcome import Changed, Failure, ImageFacts, Outcome, ProbeFacts, TargetFacts, Tried
from msdflash.job.readings import Reading
from msdflash.job.steps import Step
from msdflash.report import details, fail_txt, mbed_htm, running_txt, story, terminal
from msdflash.report.record import Context, Report, make_report

HOSTILE = "The transfer timed out. \r\nerror: An error has occurred\r\n<script>alert(1)</script>\udcff\u202e\x07" + "A" * 300 + ".hex"
NASTY = (
    "blinky.hex",
    HOSTILE,
    "An internal error has occurred",
    "",
    "Failed to reset/halt the target MCU.bin",
    "#" * 255,
    "\u00e4\u4e2d.hex",
)
TIME = "2026-11-22T09:14:07+00:00"


def report_for(cause: str, name: str = "blinky.hex", confidence: Confidence = Confidence.CERTAIN, **changes: Any) -> Report:
    """A report about one cause, with everything that can be hostile being ``name``."""
    slots = dict.fromkeys(
        ("probe", "holder", "step", "errno", "exit", "title", "function", "found", "expected", "volts", "address", "read"), name
    )
    others = (
        Finding("swd-open", Confidence.RULED_OUT, ("the debug port answered: DPIDR 0x2BA01477",)),
        Finding("chip-dead", Confidence.POSSIBLE, (name,)),
    )
    diagnosis = Diagnosis((Finding(cause, confidence, (f"measured 3.28 V; {name}", name), slots), *others), f"Measure {name}.")
    outcome = Outcome(
        job="412",
        failure=Failure(Step.CONNECT, "unexpected", name),
        readings=(
            Reading("swd.dpidr", 0x2BA01477),
            Reading("engine.error", name),
            Reading("core.dhcsr", [0x02010001] * 6),
            Reading("swd.ack", name),
        ),
        image=ImageFacts(name, "ihex", 27648, "5f" * 32, ((0x08000000, 27648), (0x08010000, 4), (0x08020000, 4)), notes=(name,)),
        probe=ProbeFacts(name, "stlink", name, name, name),
        target=TargetFacts(name),
        changed=msgspec.structs.replace(Changed(connected=True, total=27648, state="halted"), **changes),
        tried=(Tried(name, name),),
    )
    return make_report(
        outcome, diagnosis, Context(TIME, board=name, drive=name, log=name, version="0.1.0", duration=1.9, file=name, notes=(name,))
    )


# --- readers of FAIL.TXT ----------------------------------------------------------------------------------------------------------------


def daplink_harness(text: str) -> tuple[str, str]:
    """DAPLink ``test/board.py``: two lines, ``error: `` and ``type: ``, ASCII, CRLF only."""
    lines = text.split("\r\n")
    assert lines.pop() == ""
    assert len(lines) == 2
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("type: ")
    return lines[0].removeprefix("error: "), lines[1].removeprefix("type: ")


def clean_lines(text: str) -> list[str]:
    """ASCII, CRLF, no lone CR or LF, no trailing blanks, a last CRLF."""
    text.encode("ascii")
    assert text.endswith("\r\n")
    assert "\r" not in text.replace("\r\n", "")
    assert "\n" not in text.replace("\r\n", "")
    lines = text.split("\r\n")[:-1]
    assert all(line == line.rstrip() for line in lines)
    assert all(" " <= char <= "~" for line in lines for char in line)
    return lines


def mbed_flasher(text: str) -> list[str]:
    """Known sentences found anywhere in the file; more than one is an assertion there."""
    return [sentence for sentence in SENTENCES if sentence in text]


def check_fail_txt(report: Report) -> list[str]:
    text = fail_txt.render(report)
    lines = clean_lines(text)
    assert len(text) < 4096
    assert report.daplink is not None
    assert mbed_flasher(text) == [report.daplink.text]
    assert sum(text.count(sentence) for sentence in SENTENCES) == 1
    assert lines[0] == f"error: {report.daplink.text}"
    assert lines[1] == f"type: {', '.join(report.daplink.types)}"
    assert all(len(line) <= 80 for line in lines[1:-1])  # the first is DAPLink's own, letter for letter
    data = json.loads(lines[-1])
    assert data["schema"] == "msdflash/report/1"
    assert (data["cause"], data["confidence"]) == (report.cause, report.confidence)
    for heading in ("WHY", "TRY", "DONE AND NOT DONE", "WHERE"):
        assert lines.count(heading) == 1
    return lines


def test_fail_txt_of_every_cause_and_hostile_name() -> None:
    for index, cause in enumerate(CATALOGUE):
        check_fail_txt(report_for(cause))
        check_fail_txt(report_for(cause, NASTY[index % len(NASTY)]))
        error, kinds = daplink_harness(fail_txt.render_two_line(report_for(cause, HOSTILE)))
        assert ERRORS[CATALOGUE[cause].error].text == error
        assert kinds


def test_hostile_names_stay_text() -> None:
    for name in NASTY:
        report = report_for("held-in-reset", name)
        check_fail_txt(report)
        page = mbed_htm.render(details.DriveFacts("9900", name, name, url=name, probe=name, target=name, last=report, notes=(name,)))
        assert "<script" not in page
        clean_lines(page)
        for line in terminal.lines(report):
            assert all(" " <= char <= "~" for char in line)


def test_what_was_and_was_not_done() -> None:
    nothing = "\n".join(check_fail_txt(report_for("held-in-reset")))
    assert "Nothing was erased or written." in nothing
    assert "0 of 27648 bytes" in nothing
    cut = msgspec.structs.replace(report_for("probe-vanished", erased=4096, programmed=1024), step="program")
    assert "up to 1024 of 27648 bytes were written" in story.damage(cut)
    half = "\n".join(check_fail_txt(report_for("probe-vanished", erased=4096, programmed=1024)))
    assert "Flash was changed: 4096 bytes were erased, 1024 of 27648 bytes were written." in half
    assert json.loads(half.splitlines()[-1])["flash_changed"] is True


def test_the_founding_user_finds_his_switch() -> None:
    reset = 0x0201_0001
    outcome = Outcome(
        job="412",
        failure=Failure(Step.MEASURE, "core-in-reset", "the core is in reset and does not come out of it"),
        readings=tuple(
            Reading(name, value)
            for name, value in {
                "probe.kind": "stlink",
                "vtref": 3.28,
                "swd.dpidr": 0x2BA01477,
                "core.dhcsr": [reset] * 6,
                "core.dhcsr_ms": 101.2,
                "core.reset_catch": "still-in-reset",
            }.items()
        ),
        image=ImageFacts("blinky.hex", "ihex", 27648, "5f" * 32, ((0x08000000, 27648),)),
        probe=ProbeFacts("0672FF", "stlink", "STLINK-V3MINI"),
        changed=Changed(connected=True, total=27648, state="in-reset"),
    )
    report = make_report(outcome, diagnose(outcome), Context(TIME))
    lines = check_fail_txt(report)
    assert lines[0] == "error: Failed to reset/halt the target MCU"
    assert lines[3:5] == ["blinky.hex was not programmed.", "The chip is in reset and did not come out of it."]
    text = " ".join(" ".join(lines).split())
    assert "RESET button" in text
    assert "mounted rotated" in text
    assert "5 of 5 reads over 101 ms" in text
    assert "measure nRESET to GND" in text
    assert lines.index("WHY") < 8


# --- DETAILS.TXT ------------------------------------------------------------------------------------------------------------------------


def daplink_details(text: str) -> dict[str, str]:
    """DAPLink ``test/board.py``: only ``Key: value`` and ``#`` lines, no key twice; required keys and their forms."""
    found: dict[str, str] = {}
    for line in clean_lines(text):
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-zA-Z0-9 ]+): +(.+)", line)
        assert match, line
        key = match.group(1).strip().lower()
        assert key not in found
        found[key] = match.group(2)
    assert re.fullmatch(r"[0-9a-f]{48}", found["unique id"].lower())
    assert found["unique id"][-8:] == found["hic id"]
    assert re.fullmatch(r"[0-9a-f]{40}", found["git sha"])
    assert found["local mods"] in {"0", "1"}
    assert found["daplink mode"] == "Interface"
    assert found["usb interfaces"] == "MSD"
    assert re.fullmatch(r"[0-9]{4}", found["interface version"])
    assert re.fullmatch(r"0x[0-9a-f]{8}", found["interface crc"])
    return found


def htrun(text: str) -> int | None:
    """mbed-host-tests: the first line that starts with the label, through int()."""
    for line in text.splitlines():
        if line.startswith("Remount count: "):
            return int(line.replace("Remount count: ", ""))
    return None


def mbed_ls(text: str) -> dict[str, str]:
    """mbed-os-tools: skip ``#``, split at the first colon."""
    rows = (line.split(":", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, value in rows}


def test_details_for_every_reader() -> None:
    for name in NASTY:
        facts = details.DriveFacts("9900", name, "0.1.0", remount_count=41, url=name, probe=name, target=name, notes=(name,))
        for last in (None, report_for("held-in-reset", name)):
            text = details.render(msgspec.structs.replace(facts, last=last))
            found = daplink_details(text)
            assert htrun(text) == 41
            assert mbed_ls(text)["Unique ID"].startswith("9900")
            assert mbed_ls(text)["Interface Version"] == details.INTERFACE_VERSION
            assert all(details.key_is_valid(key) for key, _ in details.rows(facts))
            if last is not None:
                assert found["last cause"] == "held-in-reset certain"
                assert found["last result"] == "not-flashed"


def test_details_in_daplinks_order() -> None:
    labels = [
        line.split(":")[0] for line in details.render(details.DriveFacts("9900", "x", "0.1.0")).splitlines() if not line.startswith("#")
    ]
    assert labels.pop() == "Probe connected"
    assert labels == [
        "Build ID",
        "Unique ID",
        "HIC ID",
        "Auto Reset",
        "Automation allowed",
        "Overflow detection",
        "Incompatible image detection",
        "Page erasing",
        "Daplink Mode",
        "Interface Version",
        "Git SHA",
        "Local Mods",
        "USB Interfaces",
        "Interface CRC",
        "Remount count",
        "URL",
    ]
    assert details.render(details.DriveFacts()).startswith("# DAPLink Firmware - see https://daplink.io\r\n")


def test_the_boards_page() -> None:
    assert details.url_of("9904") == "https://microbit.org/device/?id=9904&v=0259"
    assert details.url_of("0740") == details.url_of("") == details.DriveFacts().url


def test_unique_id() -> None:
    first = details.unique_id("9904", "0672FF")
    assert first == details.unique_id("9904", "0672FF")
    assert first != details.unique_id("9904", "0672FE")
    assert (len(first), first[:4]) == (48, "9904")
    own = "0240000034544e45001a00018aa90022a111000097969900"
    assert details.unique_id("0240", own.upper()) == own
    assert details.unique_id("zzzz", own) == own
    assert details.unique_id("9904", own)[:4] == "9904"


# --- MBED.HTM and RUNNING.TXT -----------------------------------------------------------------------------------------------------------


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_gives_the_board_code_and_is_well_formed() -> None:
    for last in (None, report_for("held-in-reset", HOSTILE)):
        page = mbed_htm.render(details.DriveFacts("9900", "0672FF", "0.1.0", last=last))
        match = re.search(r"\?code=([a-fA-F0-9]+)", page)
        assert match
        assert match.group(1)[:4] == "9900"
        tags = Tags()
        tags.feed(page)
        assert tags.open == []
        assert not mbed_flasher(page)


def test_the_page_is_plain_html5_that_runs_nothing() -> None:
    """Names of files, boards and probes may hold markup; the page knows no script, no handler and nothing from elsewhere."""
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;--><b>.hex"
    for last in (None, report_for("held-in-reset", evil)):
        facts = details.DriveFacts("9900", evil, evil, remount_count=7, url=f"javascript:{evil}", probe=evil, target=evil, last=last)
        page = mbed_htm.render(facts)
        seen: list[tuple[str, dict[str, str | None]]] = []

        class Elements(html.parser.HTMLParser):
            def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
                seen.append((tag, dict(attrs)))  # noqa: B023 - used in this round only

        Elements().feed(page)
        known = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "table", "tr", "td", "a", "strong", "ol", "li"}
        assert {tag for tag, _ in seen} <= known
        assert {name for _, attributes in seen for name in attributes} == {"lang", "charset", "href"}
        assert [attributes["href"] for tag, attributes in seen if tag == "a"] == [
            f"https://mbed.org/device/?code={details.unique_id('9900', evil)}"
        ]
        assert page.startswith("<!doctype html>\r\n")
        assert ("meta", {"charset": "utf-8"}) in seen
        assert page.count("-->") == 1
        for told in ("Remount count</td><td>7", "Probe connected</td><td>1", "<td>Target</td>"):
            assert told in page
        if last is not None:
            assert "Last cause</td><td>held-in-reset" in page
            assert "<ol>" in page


def test_running_txt_is_for_proved_flash_that_does_not_run() -> None:
    outcome = Outcome(
        "9",
        proved=True,
        running="locked-up",
        readings=(Reading("core.dhcsr", [0x00090000] * 4),),
        image=ImageFacts(HOSTILE, "ihex", 4, "00"),
        changed=Changed(connected=True, programmed=4, total=4, verified=4096),
    )
    report = make_report(outcome, diagnose(outcome), Context(TIME))
    assert running_txt.is_needed(report)
    text = running_txt.render(report)
    assert not mbed_flasher(text)
    assert all(len(line) <= 80 for line in clean_lines(text))
    assert "lockup" in text
    assert not running_txt.is_needed(msgspec.structs.replace(report, running="sleeping"))
    assert not running_txt.is_needed(report_for("held-in-reset"))
    assert running_txt.NAME != "FAIL.TXT"


# --- anything -----------------------------------------------------------------------------------------------------------------------------

_foreign = st.text(max_size=40) | st.sampled_from(SENTENCES) | st.sampled_from(SENTENCES).map(lambda text: f"{text}{text}")


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(CATALOGUE)), _foreign, st.sampled_from(list(Confidence)), st.integers(0, 2**40))
def test_any_text_in_any_place(cause: str, name: str, confidence: Confidence, size: int) -> None:
    check_fail_txt(report_for(cause, name, confidence, erased=size, programmed=size // 2))
    daplink_details(details.render(details.DriveFacts("9900", name, name, url=name, last=report_for(cause, name), notes=(name,))))
