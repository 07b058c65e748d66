"""Every reader of the drive's files against every report, in both forms of FAIL.TXT.

Each reader's rule is written here anew from its published source; which source, and what must come out, stands in ``readers.toml``.
``UPDATE_SNAPSHOTS=1 pytest tests/report/test_readers.py`` writes ``docs/readers.md`` from that file.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.daplink import ERRORS
from msdflash.diagnose.finding import Confidence, Diagnosis, Finding
from msdflash.job.outcome import Changed, Failure, ImageFacts, Outcome, ProbeFacts, TargetFacts
from msdflash.job.readings import Reading
from msdflash.job.steps import Step
from msdflash.report import details, fail_txt, mbed_htm
from msdflash.report.record import Context, Report, make_report

PAGE = Path(__file__).parents[2] / "docs" / "readers.md"
TABLE = tomllib.loads((Path(__file__).parent / "readers.toml").read_text(encoding="utf-8"))
READERS: list[dict[str, str]] = TABLE["reader"]
EXITS: dict[str, int] = TABLE["mbed_flasher"]
BOARD_ID = "9900"
FORMS = ("long", "two_line")

Root = dict[str, bytes]


class RefusedError(Exception):
    """The reader does not take what it finds."""


# --- the drive --------------------------------------------------------------------------------------------------------------------------


def report(cause: str, name: str = "The transfer timed out. ?code=0240 Remount count: 7.hex") -> Report:
    """A report about a cause. The dropped file's name holds what readers look for."""
    findings = (Finding(cause, Confidence.CERTAIN, (f"measured with {name}",)), Finding("chip-dead", Confidence.POSSIBLE, (name,)))
    outcome = Outcome(
        "412",
        failure=Failure(Step.MEASURE, "unexpected", name),
        readings=(Reading("swd.dpidr", 0x2BA01477), Reading("swd.ack", name)),
        image=ImageFacts(name, "ihex", 27648, "5f" * 32, ((0x08000000, 27648),)),
        probe=ProbeFacts("066DFF", "stlink", name),
        target=TargetFacts("stm32l476rgtx"),
        changed=Changed(connected=True, total=27648),
    )
    return make_report(outcome, Diagnosis(findings), Context("2026-11-22T09:14:07+00:00", board="left", file=name, duration=1.9))


def drive(last: Report, form: str) -> Root:
    """The files of a drive after a failure, as the daemon publishes them where upper and lower case are different files."""
    why = fail_txt.WHY if form == "two_line" else "FAIL.TXT"
    facts = details.DriveFacts(BOARD_ID, "066DFF", "0.1.0", remount_count=42, url=details.url_of(BOARD_ID), last=last, why=why)
    texts = {"DETAILS.TXT": details.render(facts), "MBED.HTM": mbed_htm.render(facts), "FAIL.TXT": fail_txt.render(last)}
    if form == "two_line":
        texts |= {"FAIL.TXT": fail_txt.render_two_line(last), fail_txt.WHY: fail_txt.render_why(last)}
    texts |= {"details.txt": texts["DETAILS.TXT"], "mbed.htm": texts["MBED.HTM"]}
    return {name: text.encode("ascii") for name, text in texts.items()}


# --- readers: each raises RefusedError, or returns quietly --------------------------------------------------------------------------------


def need(condition: object, what: str) -> None:
    if not condition:
        raise RefusedError(what)


def text_of(root: Root, name: str) -> str:
    need(name in root, f"{name} is not there")
    return root[name].decode("ascii").replace("\r\n", "\n")


def daplink_harness(root: Root, told: Report) -> None:
    for name, data in root.items():
        need(not re.search(rb"[^\x20-\x7f\r\n]", data), f"{name} is not ASCII")
        need(not re.search(rb"\r[^\n]|[^\r]\n", data), f"{name} has other line ends than CRLF")
        need(not re.search(rb" [\r\n]", data), f"{name} has blanks at the end of a line")
        need(data.endswith(b"\r\n"), f"{name} does not end in CRLF")
    found: dict[str, str] = {}
    for line in text_of(root, "details.txt").splitlines():
        if not line.startswith("#"):
            match = re.match(r"^([a-zA-Z0-9 ]+): +(.+)$", line)
            need(match, f"no key: {line}")
            assert match
            key = match[1].lower()
            need(key not in found, f"twice: {key}")
            found[key] = match[2].lower().strip()
    for key, form in {
        "unique id": r"[a-f0-9]{48}",
        "hic id": r"[a-f0-9]{8}",
        "git sha": r"[a-f0-9]{40}",
        "local mods": "[01]",
        "usb interfaces": ".+",
        "daplink mode": "interface|bootloader",
        "interface version": "[0-9]{4}",
        "interface crc": "0x[a-f0-9]{8}",
    }.items():
        need(re.fullmatch(form, found.get(key, "")), key)
    need(found["unique id"].endswith(found["hic id"]), "hic id")
    lines = text_of(root, "FAIL.TXT").splitlines()
    need(len(lines) == 2, "wrong number of lines")
    need(lines[0].startswith("error: ") and lines[1].startswith("type: "), "labels")
    need(told.daplink is not None and lines[0][7:] == told.daplink.text, "another error")
    need(told.daplink is not None and lines[1][6:] == ", ".join(told.daplink.types), "other types")


def flasher_table() -> dict[str, str]:
    """Sentences that mbed-flasher knows, by error: the old wording where there is one; a few not at all, one without its full stop."""
    known = {error.name: error.old_text or error.text for error in ERRORS.values() if error.types and (error.old_text or error.text)}
    for name in ("ERROR_ALGO_MISSING", "ERROR_UNINIT", "ERROR_WRITE_VERIFY", "ERROR_FD_INCOMPATIBLE_IMAGE"):
        del known[name]
    known["ERROR_FD_UNSUPPORTED_UPDATE"] = known["ERROR_FD_UNSUPPORTED_UPDATE"].rstrip(".")
    known["ERROR_HEX_INVALID_ADDRESS"] = known["ERROR_HEX_INVALID_ADDRESS"].replace("device. Are", "device.Are")
    return known


KNOWN = flasher_table()
CLASSES = {"internal": 100, "transient": 101, "user": 102, "target": 103, "interface": 104}


def mbed_flasher_exit(text: str) -> int:
    """Exit code for a FAIL.TXT. The classes are its own: a time-out is the user's, "An error has occurred" is transient."""
    hits = [name for name, sentence in KNOWN.items() if sentence in text]
    need(len(hits) <= 1, "more than one known sentence")
    if not hits:
        return 14
    if hits[0] == "ERROR_FAILURE":
        return 101
    return CLASSES[ERRORS[hits[0]].types[-1]]


def mbed_flasher(root: Root, told: Report) -> None:
    need(any(name.lower().endswith("htm") for name in root), "no htm file, so it waits")
    need("ASSERT.TXT" not in root, "an assert")
    assert told.daplink
    need(mbed_flasher_exit(text_of(root, "FAIL.TXT")) == EXITS[told.daplink.error], "another exit code")


def split_details(text: str) -> dict[str, str]:
    rows = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {key: value.strip() for key, _, value in rows if value}


def mbed_ls(root: Root, told: Report) -> None:
    codes = re.findall(r"\?code=([a-fA-F0-9]+)", text_of(root, "mbed.htm"))
    need(codes and codes[0].startswith(BOARD_ID), "the page names another board")
    found = split_details(text_of(root, "DETAILS.TXT"))
    need(found.get("Unique ID") == codes[0], "DETAILS.TXT names another board")
    need(found.get("Interface Version"), "no version")


def htrun(root: Root, told: Report) -> None:
    line = next((line for line in text_of(root, "DETAILS.TXT").splitlines() if "Remount count:" in line), "")
    try:
        count = int(line.replace("Remount count: ", ""))
    except ValueError as error:
        raise RefusedError(line) from error
    need(count == 42, "another count")
    need({name.upper() for name in root} & {"FAIL.TXT"}, "it sees no failure")
    text_of(root, "FAIL.TXT")


def mbed_tools(root: Root, told: Report) -> None:
    for name in root:
        if name.lower().endswith(".htm"):
            match = re.search(r"(?:code|auth)=([a-fA-F0-9]{4})", text_of(root, name))
            need(match and match[1] == BOARD_ID, "the page names another board")
    need("code" not in split_details(text_of(root, "DETAILS.TXT")), "DETAILS.TXT names another board")


def thonny(root: Root, told: Report) -> None:
    text = text_of(root, "DETAILS.TXT")
    need("microbit" in text.lower() and "calliope" not in text.lower(), "no micro:bit")
    ids = [line[10:].strip()[:4] for line in text.splitlines() if line.startswith("Unique ID:")]
    need(ids[:1] == [BOARD_ID], "another board")


def platformio(root: Root, told: Report) -> None:
    need("mbed.htm" in root, "no page")


def jumpstarter(root: Root, told: Report) -> None:
    need({"MBED.HTM", "DETAILS.TXT"} & set(root), "no drive")
    need(split_details(text_of(root, "DETAILS.TXT")).get("Unique ID"), "no id")


def notepad(root: Root, told: Report) -> None:
    for name in ("FAIL.TXT", "WHY.TXT"):
        data = root.get(name, b"")
        need(len(data) < 4096, f"{name} is too long")
        lines = data.decode("ascii").split("\r\n")
        prose = [line for line in lines if not line.startswith(("error: ", '{"schema"'))]
        need(all(len(line) <= 80 and line.isprintable() for line in prose), f"{name} is too wide")
    page = root.get("WHY.TXT", root["FAIL.TXT"]).decode("ascii").split("\r\n")
    need(json.loads(page[-2])["cause"] == told.cause, "no JSON line")
    need({"WHY", "TRY", "DONE AND NOT DONE", "WHERE"} <= set(page), "a section is missing")


def nothing(root: Root, told: Report) -> None:
    """For readers that open none of our files."""


MODELS: Mapping[str, Callable[[Root, Report], None]] = {
    model.__name__: model for model in (daplink_harness, mbed_flasher, mbed_ls, htrun, mbed_tools, thonny, platformio, jumpstarter, notepad)
} | {"": nothing}


# --- tests ----------------------------------------------------------------------------------------------------------------------------


def verdict(model: Callable[[Root, Report], None], root: Root, told: Report) -> str:
    try:
        model(root, told)
    except RefusedError as why:
        return f"refuses: {why}"
    return "accepts"


def test_every_reader_form_and_report() -> None:
    wrong: list[Any] = []
    reports = [report(cause) for cause in CATALOGUE] + [report("held-in-reset", name) for name in (*KNOWN.values(), "a.hex", "\u00e4")]
    for told in reports:
        for form in FORMS:
            root = drive(told, form)
            for reader in READERS:
                got = verdict(MODELS[reader["model"]], root, told)
                if not got.startswith(reader[form]):
                    wrong.append((reader["name"], form, told.cause, told.file, got))
    assert wrong == []


def test_the_models_can_refuse() -> None:
    told = report("held-in-reset", "a.hex")
    root = drive(told, "two_line")
    broken: dict[str, dict[str, bytes]] = {
        "daplink_harness": {"details.txt": root["details.txt"] + b"Unique ID: 1\r\n"},
        "mbed_flasher": {"FAIL.TXT": root["FAIL.TXT"] + b"The transfer timed out. An internal error has occurred"},
        "mbed_ls": {"mbed.htm": b"?code=0240"},
        "htrun": {"DETAILS.TXT": b"Remount count: many"},
        "mbed_tools": {"a.htm": b"code=0240"},
        "thonny": {"DETAILS.TXT": b"Unique ID: 9900"},
        "notepad": {"FAIL.TXT": b"x" * 81},
        "jumpstarter": {"DETAILS.TXT": b""},
    }
    for name, change in broken.items():
        assert verdict(MODELS[name], root, told) == "accepts"
        assert verdict(MODELS[name], root | change, told).startswith("refuses"), name
    assert verdict(platformio, {}, told).startswith("refuses")


def test_the_exit_codes_cover_the_catalogue() -> None:
    assert {cause.error for cause in CATALOGUE.values()} <= set(EXITS)
    for name, code in EXITS.items():
        assert mbed_flasher_exit(ERRORS[name].text) == code, name


def test_a_good_drop_leaves_neither_file_and_nobody_sees_a_failure() -> None:
    told = msgspec.structs.replace(report("held-in-reset"), causes=())
    root = {name: data for name, data in drive(told, "long").items() if name != "FAIL.TXT"}
    assert verdict(htrun, root, told) == "refuses: it sees no failure"


def page() -> str:
    """``docs/readers.md``."""
    out = [
        "# Who reads the drive's files",
        "",
        "Other programs read FAIL.TXT and DETAILS.TXT, each by rules of its own. This page is made from",
        "`tests/report/readers.toml`; `tests/report/test_readers.py` applies each rule, written anew from the reader's source, to a report",
        "of every cause in the catalogue, in both forms of FAIL.TXT, with file names that hold what readers look for.",
        "",
        "- **long** (the default): DAPLink's two lines, an empty line, the page for people, one JSON line. Exactly one DAPLink sentence",
        "  stands in it, whatever a dropped file is called. Every reader but DAPLink's own test harness takes it.",
        '- **two-line** (`fail_txt = "two-line"`, or `msdflash run --fail-txt two-line`): DAPLink\'s two lines and nothing else; the page',
        "  and the JSON line stand in `WHY.TXT`. Every reader takes it.",
        "",
        "| reader | reads | its rule | long | two-line |",
        "|---|---|---|---|---|",
        *(f"| {row['name']} | {row['reads']} | {row['rule']} | {row['long']} | {row['two_line']} |" for row in READERS),
        "",
        "## Where the rules were read",
        "",
        *(f"- {row['name']}: {row['source']}" for row in READERS),
        "",
        "## mbed-flasher's exit code",
        "",
        "The same in both forms. 14 means that it found no sentence that it knows: DAPLink changed these on 2019-11-23 and mbed-flasher",
        "was never told, so a real DAPLink of today gives 14, too. Causes by DAPLink error: [causes.md](causes.md).",
        "",
        "| DAPLink error | exit code |",
        "|---|---|",
        *(f"| `{name}` | {code} |" for name, code in EXITS.items()),
        "",
        "## The readers themselves",
        "",
        "Models can be wrong, so real programs were run as well, unmodified, on the files of every cause in both forms",
        "(`pytest -m slow tests/report/test_readers_real.py`; it installs them from PyPI).",
        "",
        "| reader | as run | result |",
        "|---|---|---|",
        *(f"| {row['name']} | {row['as_run']} | {row['ran']} |" for row in READERS if row.get("ran")),
        "",
    ]
    return "\n".join(out)


def test_the_page_is_up_to_date() -> None:
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page()
