"""One committed FAIL.TXT for each cause, made from committed example findings: what people read does not change unseen.

``UPDATE_SNAPSHOTS=1 pytest tests/report/test_snapshots.py`` writes ``snapshots/`` anew after a wanted change of words, and makes an example
in ``findings.json`` for each cause that has none (from its scene in ``tests/diagnose``, if there is one). Read the difference before
committing it. An example that should be made anew is deleted from ``findings.json`` first.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path
from string import Formatter
from types import ModuleType
from typing import Any

import msgspec

from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.finding import Confidence, Diagnosis, Finding
from msdflash.diagnose.rules import diagnose
from msdflash.errors import ImageError
from msdflash.image.decode import decode
from msdflash.job.outcome import Changed, Failure, ImageFacts, Outcome, ProbeFacts, TargetFacts
from msdflash.job.readings import Reading
from msdflash.job.steps import Step
from msdflash.report import fail_txt, running_txt, terminal
from msdflash.report.record import Context, Report, make_report, to_json
from msdflash.report.story import remedies_of
from msdflash.report.summary import Summary
from msdflash.report.text import CRLF, WIDTH

HERE = Path(__file__).parent
SNAPSHOTS = HERE / "snapshots"
EXAMPLES = HERE / "findings.json"
UPDATE = bool(os.environ.get("UPDATE_SNAPSHOTS"))
HINT = "UPDATE_SNAPSHOTS=1 pytest tests/report/test_snapshots.py"
GOOD = Changed(connected=True, reset=True, erased=28672, programmed=27648, total=27648, verified=28672, affected=28672, state="running")
AFTER_ERASE = frozenset({Step.PROGRAM, Step.VERIFY, Step.RESET, Step.OBSERVE})


class Example(msgspec.Struct, frozen=True):
    """What diagnosis said in one job, and where that job stopped."""

    step: str
    kind: str
    probe: str
    diagnosis: Diagnosis
    readings: dict[str, Any]
    running: str = "unknown"


def report_of(example: Example) -> Report:
    """The report of an example; everything that it does not say is the same in each."""
    step = Step(example.step)
    written = step in AFTER_ERASE
    changed = Changed(connected=step not in {Step.TAKE, Step.IMAGE, Step.START, Step.OPEN}, total=27648, affected=28672, state="halted")
    if written:
        changed = msgspec.structs.replace(changed, erased=28672, programmed=27648, reset=True)
    if not changed.connected:
        changed = msgspec.structs.replace(changed, state="untouched")
    outcome = Outcome(
        job="2026-0412",
        failure=Failure(step, example.kind, "it stopped"),
        readings=tuple(Reading(name, value) for name, value in example.readings.items()),
        image=ImageFacts("blinky.hex", "ihex", 77831, "5f" * 32, ((0x08000000, 27648),)),
        probe=ProbeFacts("066DFF323532543457112345", example.probe, "STM32 STLink" if example.probe == "stlink" else "DAPLink CMSIS-DAP"),
        target=TargetFacts("stm32l476rgtx"),
        changed=changed,
    )
    action = "ERASE.ACT" if example.step == "take" and example.diagnosis.findings[0].cause.startswith("action-") else ""
    if not example.kind:  # a good job, and worth knowing all the same
        outcome = msgspec.structs.replace(outcome, failure=None, proved=True, running=example.running, changed=GOOD)
    if action:
        outcome = msgspec.structs.replace(outcome, action=action, image=None)
    where = Context(
        "2026-11-22T09:14:07+00:00",
        board="bench3-left",
        log="/home/lab/.local/state/msdflash/log/2026-0412.log",
        file=action or "blinky.hex",
        duration=1.9,
    )
    return make_report(outcome, example.diagnosis, where)


def text_of(report: Report) -> str:
    """FAIL.TXT; after a good job, RUNNING.TXT or what the terminal shows."""
    if not report.good:
        return fail_txt.render(report).replace(CRLF, "\n")
    if running_txt.is_needed(report):
        return running_txt.render(report).replace(CRLF, "\n")
    return "\n".join(terminal.lines(report)) + "\n"


def scenes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scenes_of_causes", HERE.parent / "diagnose" / "test_scenes.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SAMPLES = {
    "address": "0x08001000",
    "seconds": "5",
    "function": "EraseSector",
    "wrote": "0x12345678",
    "read": "0x12345679",
    "step": "program",
    "title": "a ZIP archive",
    "volts": "0.02",
    "file": "ERASE.ACT",
    "holder": "openocd (pid 812)",
    "probe": "066DFF323532543457112345",
    "count": "2",
    "pack": "Keil.STM32L4xx_DFP.2.6.1.pack",
    "why": "it is no ZIP archive",
    "target": "stm32l476rgtx",
    "parts": "STM32L431CBTx, STM32L433CCTx and 60 more",
    "errno": "EPROTO",
    "exit": "signal 11",
    "times": "2",
    "age": "3700",
    "limit": "300",
    "named": "0240",
    "serial": "066DFF323532543457112345",
    "effect": "the chip is secured",
    "expected": "stm32l476rg",
    "found": "0x435",
    "id": "ffffff",
    "ms": "420",
}


FILES = {
    "image-empty": ("blinky.hex", b":00000001FF\n"),
    "image-truncated": ("blinky.hex", b":0400000001020304F2\n"),
    "hex-checksum": ("blinky.hex", b":0400000001020304F3\n:00000001FF\n"),
    "hex-syntax": ("blinky.hex", b":0400000001020304F2\nhello\n:00000001FF\n"),
    "srec-checksum": ("blinky.srec", b"S1070000010203040E\nS9030000FC\n"),
    "srec-syntax": ("blinky.srec", b"S107000001020304EE\nhello\nS9030000FC\n"),
    "image-overlap": ("blinky.hex", b":0400000001020304F2\n:0400000001020305F1\n:00000001FF\n"),
    "half-download": ("blinky.hex.crdownload", b":0400000001020304F2\n:00000001FF\n"),
    "image-unknown-format": ("blinky.hex", b"PK\x03\x04" + bytes(60)),
}
"""Files that the decoder itself refuses, for examples with its own words."""


def example_for(cause: str) -> Example:
    """An example out of the cause's scene; for one without a scene the cause alone, with sample values."""
    made = scenes()
    scene = next((scene for scene in made.SCENES if scene.cause == cause), None)
    if scene is not None:
        diagnosis = diagnose(made.outcome(scene, scene.readings, scene.kind))
        return Example(str(scene.step), scene.kind, scene.probe, diagnosis, scene.readings, scene.running)
    if cause in FILES:
        try:
            decode(*FILES[cause])
        except ImageError as error:
            wrong = Failure(Step.IMAGE, "image", str(error), cause=error.cause)
            facts = Reading("image.facts", error.facts)
            return Example("image", "image", "cmsis-dap", diagnose(Outcome("1", failure=wrong, readings=(facts,))), {})
    slots = {name: SAMPLES.get(name, "7") for _, name, _, _ in Formatter().parse(CATALOGUE[cause].headline) if name}
    step = "take" if cause.startswith("action-") else "image"
    return Example(step, "image", "cmsis-dap", Diagnosis((Finding(cause, Confidence.CERTAIN, (), slots),)), {})


def examples() -> dict[str, Example]:
    known = msgspec.json.decode(EXAMPLES.read_bytes(), type=dict[str, Example]) if EXAMPLES.exists() else {}
    if UPDATE:
        known = {cause: known.get(cause) or example_for(cause) for cause in CATALOGUE}
        EXAMPLES.write_bytes(msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n")
    return known


def test_each_cause_reads_as_committed() -> None:
    SNAPSHOTS.mkdir(exist_ok=True)
    told = {cause: text_of(report_of(example)) for cause, example in examples().items()}
    if UPDATE:
        for path in SNAPSHOTS.iterdir():
            if path.stem not in told:
                path.unlink()
        for cause, text in told.items():
            (SNAPSHOTS / f"{cause}.txt").write_bytes(text.encode("ascii"))
    committed = {path.stem: path.read_text(encoding="ascii") for path in SNAPSHOTS.iterdir()}
    assert set(told) == set(CATALOGUE) == set(committed), f"a cause without its example or snapshot; {HINT}"
    changed = [cause for cause, text in told.items() if committed[cause] != text]
    assert changed == [], f"other words than committed; if that is wanted: {HINT}"


def test_each_report_obeys_its_schema() -> None:
    for cause, example in examples().items():
        report = report_of(example)
        assert msgspec.json.decode(to_json(report).encode(), type=Report) == report
        for text in (fail_txt.render(report), fail_txt.render_why(report)):
            line = text.split(CRLF)[-2]
            small = msgspec.json.decode(line.encode(), type=Summary)
            assert (small.schema, small.cause) == ("msdflash/report/1", report.cause)
            assert set(json.loads(line)) == set(Summary.__struct_fields__)
            assert [pair[0] for pair in small.causes] == [item.cause for item in report.causes[:6]], cause


LONGEST = {
    "title": "an Intel hex file of a MicroPython build for the micro:bit",
    "holder": "STM32_Programmer_CLI (pid 4194304), STM32CubeMonitor (pid 4194303)",
    "probe": "0240000034544e45001a00018aa90022a111000097969900",
    "expected": "stm32h745xihx_cm7_and_its_long_name",
    "function": "EraseSector",
    "errors": "4096 of 6400 reads failed at 4 MHz",
    "how": "is in reset and did not come out of it; its nRESET pin is low",
    "file": "F" * 60,
}


def test_the_published_schema_is_up_to_date() -> None:
    """``docs/report-schema.json``: JSON Schema (2020-12) of the report and of the line, for readers in other languages."""
    schemas, parts = msgspec.json.schema_components((Report, Summary), ref_template="#/$defs/{name}")
    text = json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", "anyOf": list(schemas), "$defs": parts}, indent=1) + "\n"
    page = HERE.parents[1] / "docs" / "report-schema.json"
    if UPDATE:
        page.write_text(text, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == text, HINT


def test_every_field_of_the_line_is_documented() -> None:
    section = (HERE.parents[1] / "docs" / "report-schema.md").read_text(encoding="utf-8").split("## The JSON line of FAIL.TXT")[1]
    assert tuple(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == Summary.__struct_fields__


def test_the_longest_plausible_report_of_each_cause_fits() -> None:
    reason = "the core's reset flag (DHCSR bit 25, clears on reading) was set on 5 of 5 reads over 101 ms, with its first word trapped "
    others = tuple(Finding(cause, Confidence.POSSIBLE, (reason + str(number),) * 3) for number, cause in enumerate(list(CATALOGUE)[:5]))
    long_path = "/home/laboratory-of-embedded-systems/.local/state/msdflash/log/" + "x" * 80 + ".log"
    for entry in CATALOGUE.values():
        slots = {name: LONGEST.get(name, "0x08001000 and more") for _, name, _, _ in Formatter().parse(entry.headline) if name}
        diagnosis = Diagnosis((Finding(entry.id, Confidence.CERTAIN, (reason * 2,) * 4, slots), *others), "Measure nRESET to GND. " * 8)
        example = Example("verify", "verify", "cmsis-dap", diagnosis, {"core.dhcsr": [0x02010001] * 6})
        report = msgspec.structs.replace(report_of(example), file="f" * 250, log=long_path, board="b" * 64)
        text = fail_txt.render(report)
        assert len(text) < fail_txt.LIMIT, entry.id
        lines = text.split(CRLF)
        prose = [line for line in lines[:-2] if not line.startswith("error: ")]
        assert max(map(len, prose)) <= WIDTH <= 80, entry.id
        assert {"WHY", "TRY", "DONE AND NOT DONE", "WHERE"} <= set(lines), entry.id
        assert remedies_of(report, 1)[0][0][:40] in " ".join(text.split()), entry.id
