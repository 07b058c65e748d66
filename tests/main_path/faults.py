"""Every fault of the bench, dropped on through the whole path, and which answers to it are right.

``python tests/main_path/faults.py > docs/faults.md`` runs them all and writes down what was answered.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

if "main_path_stage" not in sys.modules:  # run as a program
    _spec = importlib.util.spec_from_file_location("main_path_stage", Path(__file__).with_name("stage.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["main_path_stage"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["main_path_stage"])
scene: Any = sys.modules["main_path_stage"]

PROBES = ("stlink-v3", "cmsis-dap")
TARGET = "stm32l476rgtx"
LONGEST = 15.0
"""Seconds from the file being whole to the report, whatever is wrong."""

BUFFER = 0x20001000
"""Page buffer of the flash algorithm that pyOCD 0.46 has for this chip (stm32l475xx.py, FLASH_ALGO)."""


class Row(msgspec.Struct, frozen=True):
    """What may be answered to one fault.

    Attributes:
        fault: as the bench reads it.
        first: the leading cause by what may be said of it, best first; on all probes.
        stlink: the same for an ST-LINK, where it measures more or less than others.
        certain: causes that may be told as certain anywhere in the report.
        good: the drop may succeed all the same, if flash then really is the file.
        bad: the drop may fail.
        writes: flash may have been changed when it failed.
        targets: whether the user named the target: no, yes or both in turn.
        rare: another row of the same kind is tried each time; this one with ``-m slow``.
    """

    fault: str
    first: frozenset[tuple[str, str]] = frozenset()
    stlink: frozenset[tuple[str, str]] | None = None
    certain: frozenset[str] = frozenset()
    good: bool = False
    bad: bool = True
    writes: bool = False
    targets: tuple[bool, ...] = (False,)
    rare: bool = False

    def allowed(self, probe: str) -> frozenset[tuple[str, str]]:
        return self.stlink if self.stlink is not None and probe == "stlink-v3" else self.first


def _causes(*items: str) -> frozenset[tuple[str, str]]:
    """``"cause confidence"`` each."""
    return frozenset((item.split()[0], item.split()[1]) for item in items)


def _held(fault: str) -> Row:
    return Row(fault, _causes("held-in-reset certain"), certain=frozenset({"held-in-reset"}))


def _silent(fault: str, stlink: frozenset[tuple[str, str]] | None = None) -> Row:
    return Row(fault, _causes("swd-silent certain"), stlink, certain=frozenset({"swd-silent"}))


def _vanished(after: int) -> Row:
    return Row(
        f"unplug-after:{after}",
        _causes("probe-vanished certain", *(["probe-vanished likely"] if after < 30 else [])),
        certain=frozenset({"probe-vanished", "probe-open-failed"}),
        good=after >= 600,  # a small image may be done by then
        writes=after > 300,
        rare=after in (5, 200, 700),
    )


def _noisy(rate: str, seed: int, *, good: bool) -> Row:
    # Which access is hit first is chance; what it looked like may be told, but not why for sure unless slower clocks were clean.
    symptoms = {"bus-fault", "flash-unreadable", "swd-silent", "program-mismatch", "algo-mismatch"}
    return Row(
        f"noise:{rate}:{seed}",
        _causes("link-noise certain", "link-noise likely", "link-noise possible", "data-corrupted-on-the-way likely"),
        certain=frozenset({"link-noise", *symptoms}),
        good=good,
        writes=True,
        rare=rate != "0.01",
    )


ROWS: tuple[Row, ...] = (
    _held("reset-held"),
    _held("reset-held:ignored"),
    _held("probe-stuck-reset"),
    Row("reset-late:400", good=True, bad=False),
    Row("reset-late:3000", _causes("held-in-reset certain", "held-in-reset likely"), certain=frozenset({"held-in-reset"}), good=True),
    _silent("no-power", _causes("no-target-power likely")),
    _silent("no-power:clamped", _causes("no-target-power likely")),
    _silent("swd-open"),
    Row("ram-bad", _causes("ram-lost certain"), certain=frozenset({"ram-lost"})),
    Row("ram-bad:stuck", _causes("ram-bad certain"), certain=frozenset({"ram-bad"})),
    Row("ram-bad:0x20000040", _causes("ram-bad likely")),
    Row("write-protect:1", _causes("write-protected-sector certain"), certain=frozenset({"write-protected-sector"})),
    Row("rdp1", _causes("rdp1 certain"), certain=frozenset({"rdp1"})),
    Row(
        "flash-busy",
        _causes("algo-timeout-flash-busy certain", "algo-timeout-flash-busy likely"),
        certain=frozenset({"algo-timeout-flash-busy", "algo-timeout"}),
        writes=True,
    ),
    Row("bad-cell:0x08001238", _causes("flash-worn likely"), certain=frozenset({"program-mismatch"}), writes=True),
    Row(
        f"corrupt-write:0x{BUFFER + 0x10:08x}:3",
        _causes("data-corrupted-on-the-way likely", "data-corrupted-on-the-way certain"),
        certain=frozenset({"program-mismatch", "data-corrupted-on-the-way"}),
        writes=True,
    ),
    Row(f"corrupt-write:0x{BUFFER + 0x10:08x}:3:1", good=True, bad=False),
    Row(f"fault-write:0x{BUFFER + 0x10:08x}:3", good=True, bad=False),  # one write is refused: the same once more
    _vanished(5),
    _vanished(60),
    _vanished(200),
    _vanished(430),
    _vanished(700),
    _noisy("0.001", 1, good=True),
    _noisy("0.01", 2, good=True),
    _noisy("0.1", 3, good=True),
    Row("other-chip:stm32l433", _causes("wrong-target certain"), certain=frozenset({"wrong-target"}), targets=(False, True)),
    Row("other-chip:stm32f411", _causes("wrong-target certain"), certain=frozenset({"wrong-target"}), targets=(False, True)),
)


class Seen(msgspec.Struct, frozen=True):
    """One fault on one probe: what was answered, and what is wrong with that ("" if nothing)."""

    row: Row
    probe: str
    target: bool
    report: dict[str, Any]
    wrong: str = ""

    def evidence(self) -> str:
        """What was measured, for whoever has to find out."""
        report = self.report
        readings = ", ".join(f"{item['name']}={item['value']}" for item in report["evidence"])
        return f"  step {report['step']}, {report['failure']}: {report['message']}; {readings}"


def check(row: Row, probe: str, result: Any, before: bytes, after: bytes, wanted: bytes) -> str:
    """What is wrong with an answer, or "". ``before`` and ``after``: all of flash; ``wanted``: the file's bytes at its start."""
    span = -(-len(wanted) // scene.PAGE) * scene.PAGE
    findings = {
        "flash outside the image's pages was changed": after[span:] != before[span:],
        f"certain of {result.having('certain') - row.certain}": bool(result.having("certain") - row.certain),
        "FAIL.TXT says otherwise than the report": result.proved == ("FAIL.TXT" in result.drive),
        f"took {result.report['duration']} s": result.report["duration"] > LONGEST,
    }
    if result.proved:
        findings |= {
            "FALSE SUCCESS: flash is not the file": after[: len(wanted)] != wanted,
            "what stood behind the image in its last page was lost": after[len(wanted) :] != before[len(wanted) :],
            "it cannot have worked": not row.good,
        }
    else:
        scene.fail_of(result.drive["FAIL.TXT"])
        changed = result.report["changed"]
        wrote = bool(changed["erased"] or changed["programmed"])
        findings |= {
            f"it must work, but {result.first}": not row.bad,
            f"named {result.first}, not one of {sorted(row.allowed(probe))}": row.bad and result.first not in row.allowed(probe),
            "flash was changed and the report does not say so": after != before and not wrote,
            f"it wrote: {changed}": wrote and not row.writes,
        }
    return "; ".join(text for text, true in findings.items() if true)


def play(start: Callable[..., Any], probe: str, rows: Sequence[Row], boards: int) -> list[Seen]:
    """Drop on each fault in turn, on several boards at once; at the end each board must work again without anything being restarted."""
    from msdflash.daemon.config import BoardOptions

    todo = [(row, target) for row in rows for target in row.targets]
    lots = {f"b{number}": [item for item in todo[number::boards] if not item[1]] for number in range(boards)}
    named = [item for item in todo if item[1]]
    if named:
        lots["named"] = named
    lots = {name: lot for name, lot in lots.items() if lot}
    seen: list[Seen] = []
    lock = threading.Lock()
    options = {"named": BoardOptions(target=TARGET)} if named else None
    first = {scene.BASE: scene.image(1), **scene.neighbours()}
    room = start(options, dict.fromkeys(lots, first), **dict.fromkeys(lots, f"nucleo-l476rg,probe={probe}"))

    def shift(name: str, drive: Any) -> None:
        version = 1
        for row, target in lots[name]:
            version += 1
            wanted = scene.image(version)
            drive.set(f"fault={row.fault}")
            before = drive.flash()
            result = drive.drop("test.hex", scene.intel_hex({scene.BASE: wanted}))
            wrong = check(row, probe, result, before, drive.flash(), wanted)
            with lock:
                seen.append(Seen(row, probe, target, result.report, wrong))
            drive.recover()
        last = drive.drop("last.hex", scene.intel_hex({scene.BASE: scene.image(version + 1)}))
        assert last.proved, last.report
        assert drive.flash()[: len(wanted)] == scene.image(version + 1)

    room.each(shift)
    return seen


def table(seen: Sequence[Seen], when: str) -> str:
    """The page ``docs/faults.md``."""
    lines = [
        "# What is answered to each fault",
        "",
        "Each fault of the [bench](bench.md) was put in, a good image was dropped, and this came back. Measured through the whole path:",
        "folder, daemon, worker, stock pyOCD, USB, probe firmware, wires, chip.",
        f"{when}, by `python tests/main_path/faults.py > docs/faults.md`.",
        "",
        "`tests/main_path/test_faults.py` runs the same and also holds that flash outside the image's pages is never touched, that no",
        "success is told unless flash is the file, that nothing wrong is called certain, and that the next drop works without a restart.",
        "",
        "*Also* are further causes that are certain, likely or possible. *Changed* is what was erased and programmed, in bytes. *Seconds*",
        "run from the file being whole to the answer.",
        "",
        "| Fault | Probe | Answer | Step | Also | Changed | Seconds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    order = {row.fault: number for number, row in enumerate(ROWS)}
    for item in sorted(seen, key=lambda item: (order[item.row.fault], item.target, PROBES.index(item.probe))):
        report = item.report
        changed = report["changed"]
        others = [
            f"{cause['cause']} {cause['confidence']}"
            for cause in report["causes"]
            if cause["confidence"] in ("certain", "likely", "possible") and cause["cause"] != report["cause"]
        ]
        if report["outcome"] == "flashed":
            answer, step = f"flashed and proved; program {report['running']}", ""
            others += [tried["what"] for tried in report["tried"]]
        else:
            answer, step = f"**{report['cause']}** {report['confidence']}", report["step"]
        fault = f"`{item.row.fault}`" + (", target named" if item.target else "")
        line = [fault, item.probe, answer, step, "; ".join(others), f"{changed['erased']}, {changed['programmed']}"]
        lines.append("| " + " | ".join([*line, f"{report['duration']:.1f}"]) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run everything; the page goes to standard output, what is wrong to standard error."""
    seen: list[Seen] = []
    for probe in PROBES:
        with tempfile.TemporaryDirectory() as folder:
            stages: list[Any] = []

            def start(options: Any = None, before: Any = None, **specs: str) -> Any:
                stages.append(scene.Stage(Path(folder), specs, options, before))  # noqa: B023 - used in this turn only
                return stages[-1].__enter__()  # noqa: B023

            try:
                seen += play(start, probe, ROWS, boards=2)
            finally:
                for stage in stages:
                    stage.__exit__()
    sys.stdout.write(table(seen, f"{datetime.now(UTC):%Y-%m-%d}"))
    wrong = [item for item in seen if item.wrong]
    for item in wrong:
        sys.stderr.write(f"{item.probe} {item.row.fault}: {item.wrong}\n{item.evidence()}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
