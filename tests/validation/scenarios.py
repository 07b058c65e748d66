"""Each field case of the bench with plain ``pyocd load`` and with ``msdflash flash``: what both say, and what flash then holds.

``python tests/validation/scenarios.py > docs/scenarios.md`` runs them all; arguments FC-nn run these only. Both tools get the same board,
fresh for each, with the same flash and faults; pyOCD is told the target, msdflash only where the case does so.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msdflash.daemon.paths import HOME_VARIABLE
from msdflash.sim import client
from msdflash.sim.boards import BOARDS
from msdflash.sim.contents import BEFORE, CONTENTS, Content, base, lay_down
from msdflash.sim.scenarios import NOT_MODELLED, SCENARIOS, Scenario
from msdflash.sim.spec import parse

LONGEST = 90.0
"""Seconds after which a tool counts as hanging."""

TARGETS = {"stm32l476rg": "stm32l475xg", "nrf51822": "nrf51", "nrf52840-f0": "nrf52840"}
"""pyOCD's builtin target by chip, where it has another name."""

COMPLETED = {"lpc1768": (0x1C, 0x20), "k64f": (0x400, 0x410), "kl25z": (0x400, 0x410)}
"""Where an image is completed on purpose, by both tools: the boot ROM's checksum, and a flash configuration field that stays open."""


@dataclass(frozen=True)
class Said:
    """What one tool did.

    Attributes:
        ok: it told success.
        text: pyOCD: its last line. msdflash: its first cause and confidence, or what it told of success.
        seconds: from start to end of its process.
        arrived: flash holds the file.
        beside: flash outside of the file's bytes is what it was.
        report: msdflash's.
    """

    ok: bool
    text: str
    seconds: float
    arrived: bool
    beside: bool
    report: Mapping[str, Any] | None = None


def untouched(before: bytes, after: bytes, content: Content, start: int) -> bool:
    """Whether every byte outside of the file is unchanged."""
    for address, data in content.parts.items():
        at = address - start
        if 0 <= at < len(before):
            before = before[:at] + after[at : at + len(data)] + before[at + len(data) :]
    return before == after


def arrived(flash: bytes, content: Content, start: int, chip: str) -> bool:
    """Whether every byte of the file is in flash."""
    first, last = COMPLETED.get(chip, (0, 0))
    for address, data in content.parts.items():
        at = address - start
        if not 0 <= at < len(flash):
            continue
        found, wanted = bytearray(flash[at : at + len(data)]), bytearray(data)
        if at == 0:
            found[first:last] = wanted[first:last] = bytes(last - first)
        if found != wanted:
            return False
    return True


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int | None, str, str, float]:
    """Exit status (None: it hung and was ended), output, errors, seconds."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        errors="replace",
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        return None, out, err, time.monotonic() - began
    return process.returncode, out, err, time.monotonic() - began


def last_line(text: str) -> str:
    """pyOCD's last word, without its time stamp, thread and progress bars."""
    lines = [line.strip() for line in text.splitlines() if re.match(r"\d{7} [EWC] ", line.strip())]
    line = lines[-1] if lines else (text.strip().splitlines() or ["nothing"])[-1]
    return re.sub(r"^\d{7} |\s*\[\w+\]$", "", line)


def play(row: Scenario, tool: str) -> Said:
    """Let one tool flash a fresh board of this case."""
    with tempfile.TemporaryDirectory(prefix="case-") as name:
        folder = Path(name)
        bus = folder / "bus"
        bus.mkdir(mode=0o700)
        content = CONTENTS[row.drop](row.board)
        file = folder / content.name
        file.write_bytes(content.data)
        spec = parse(row.spec())
        lay_down(spec, bus, BEFORE[row.before](row.board))
        source = str(Path(__file__).parents[2])
        environment = os.environ | client.environment(bus, only=True) | {HOME_VARIABLE: str(folder / "home"), "PYTHONPATH": source}
        with client.start(spec, bus=bus) as board:
            before = board.flash()
            if tool == "pyocd":
                chip = BOARDS[row.board].chip
                target = row.target or TARGETS.get(chip, chip)
                command = [sys.executable, "-m", "pyocd", "load", "-W", "--no-config", "-u", board.serial, "-t", target, str(file)]
            else:
                command = [sys.executable, "-m", "msdflash", "flash", str(file), "--probe", board.serial, "--json"]
                command += ["--target", row.target] if row.target else []
            status, out, err, seconds = run(command, folder, environment)
            flash = board.flash()
        start = base(row.board)
        there = arrived(flash, content, start, BOARDS[row.board].chip)
        beside = untouched(before, flash, content, start)
        if tool == "pyocd":
            text = "hangs" if status is None else "success" if status == 0 else last_line(err).replace(f"{folder}{os.sep}", "")
            return Said(status == 0, text, seconds, there, beside)
        return _msdflash(status, out, err, seconds, there, beside)


def _msdflash(status: int | None, out: str, err: str, seconds: float, there: bool, beside: bool) -> Said:
    try:
        report = json.loads(out)
    except ValueError:
        return Said(False, f"no report (status {status}): {err.strip()[-200:]}", seconds, there, beside, {})
    if report["outcome"] == "flashed":
        return Said(True, f"flashed and proved; program {report['running']}", seconds, there, beside, report)
    return Said(False, f"{report['cause']} {report['confidence']}", seconds, there, beside, report)


def verdict(row: Scenario, said: Said) -> str:
    """What is wrong with msdflash's answer, or ""."""
    report = said.report or {}
    told = {item["cause"]: item["confidence"] for item in report.get("causes", ()) if not item.get("aside")}
    if not report:
        return "NO REPORT"
    if said.ok:
        if not said.arrived:
            return "FALSE SUCCESS"
        if not said.beside:
            return "bytes beside the image were lost"
        return "" if row.cause == "" or row.rescue else "success, though the file is wrong for this board"
    if row.cause == "":
        return "must be flashed"
    if row.cause in told:
        return ""
    return f"does not tell {row.cause}"


def page(results: Mapping[str, tuple[Said, Said]]) -> str:
    """The page ``docs/scenarios.md``."""
    lines = [
        "# Field cases: what pyOCD says, and what msdflash says",
        "",
        "Each row is a failure that people met with real boards, rebuilt on the [bench](bench.md): the same board, flash, faults and file",
        "for `pyocd load` and for `msdflash flash --json`. The rows are in `msdflash/sim/scenarios.py`; the true cause is known, since the",
        "bench made it. pyOCD is told the chip's target (without it most of these boards are `cortex_m` for it), msdflash finds out.",
        f"{datetime.now(UTC):%Y-%m-%d}, by `python tests/validation/scenarios.py > docs/scenarios.md`, on a shared machine with two",
        "processors: seconds are of whole processes and only comparable within a row.",
        "",
        "*pyOCD* is the last line that it printed, shortened. **Not so** marks a success after which flash is not the file, **destroys**",
        "that bytes beside the file were lost. *Listed* says how sure msdflash is of the true cause where that is not its first one.",
        "",
        "| Case | Board, probe, faults | Before, dropped | True cause | pyOCD | s | msdflash | Listed | s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for case, (pyocd, ours) in results.items():
        row = SCENARIOS[case]
        report = ours.report or {}
        listed = ""
        if report and report["cause"] != row.cause and not ours.ok:
            listed = next((item["confidence"] for item in report["causes"] if item["cause"] == row.cause), "**not told**")
        first = pyocd.text if len(pyocd.text) < 160 else pyocd.text[:157] + "..."
        said = first.replace("|", "\\|") if not pyocd.ok else "success" + ("" if pyocd.arrived else ", **not so**")
        said += "" if pyocd.beside else ", **destroys**"
        wrong = verdict(row, ours)
        answer = ours.text if ours.ok else "**" + ours.text.replace(" ", "** ", 1)
        cells = [
            case, f"`{row.spec().replace('probe=', '').replace('fault=', '')}`", f"{row.before}, {row.drop}", row.cause or "none",
            said, f"{pyocd.seconds:.1f}", answer + (f" ({wrong})" if wrong else ""), listed, f"{ours.seconds:.1f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## The stories", ""]
    lines += [f"* **{case}**: {row.story}" for case, row in SCENARIOS.items()]
    lines += ["", "## Cases that the bench cannot rebuild", ""]
    reasons: dict[str, list[str]] = {}
    for case, why in NOT_MODELLED.items():
        reasons.setdefault(why, []).append(case)
    lines += [f"* {', '.join(cases)}: {why}." for why, cases in reasons.items()]
    lines += ["", NOTES, "| Case | Before | Here | Why |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in DIFFERENCES), ""])


NOTES = """## Beside an earlier measurement

What pyOCD 0.46 says was measured before on another simulator: plugin-level probe models and a CMSIS-DAP firmware model. The
same there and here: no power (FC-46), a lock of an nRF52 that is answered by an unasked mass erase
(FC-66), page protection on an nRF that is told as success (FC-65), silicon that is never compared with the target (FC-77), the first
disturbed transfer that ends the job (FC-44), `[Errno 19]` of an unplugged probe (FC-13).

Where it differs, and why:
"""

FAULT_ACK = "`Memory transfer fault (SWD/JTAG communication failure (FAULT ACK))`"
DIFFERENCES = (
    ("FC-35", f"{FAULT_ACK} `@ 0x20000000-0x200001bb`", "`Memory transfer fault (write)` at the same addresses",
     "The ST-LINK driver words it so. The step is the same: the download of the algorithm."),
    ("FC-36", f"{FAULT_ACK} at the algorithm's download, or at DHCSR", "the same at `0x00000004`",
     "pyOCD's LPC1768 target reads the reset vector before each reset (`set_reset_catch`)."),
    ("FC-61", "silent for 30 s, then `flash erase sector failure` (an L4)", "`Memory transfer fault (read)` on flash at once",
     "The L4's target compares flash by code on the chip, that of the L031 cannot (`analyzer_supported`). Users reported this line."),
    ("FC-62", "`flash erase sector failure` (an L4)", "`flash program page failure`",
     "EraseSector of pyOCD's algorithm for the F103 always returns 0; its ProgramPage compares what it wrote."),
    ("FC-28, FC-29", "`'SoCTarget has no selected core'` for a locked nRF52 with `auto_unlock` off", "the same line",
     "The ST-LINK refuses to open the access port, so pyOCD finds no core: one text for two causes."),
    ("FC-31", f"{FAULT_ACK} with an address, while opening (a K64F as an STM32)", "the same without an address, after a long wait",
     "Another pair of chips; these two have more in common."),
    ("FC-51, FC-53", "as without power: `Target not detected`, No ACK", "`No cores were discovered!`",
     "There the sleeping chip was taken to be silent. In Sleep and Stop the debug port answers; it is the access port that does not."),
    ("FC-54 to FC-57", "as without power", "the same line",
     "In Standby, and with its pins taken, the chip is silent: no tool can tell which."),
    ("FC-27, FC-30", "not measured", "a clear text about the version; `index out of range`", "The probe models of that time had neither."),
)  # fmt: skip


def main() -> int:
    """Run all cases, or those named."""
    wanted = sys.argv[1:] or list(SCENARIOS)
    results: dict[str, tuple[Said, Said]] = {}
    wrong = 0
    for case in wanted:
        row = SCENARIOS[case]
        results[case] = (play(row, "pyocd"), play(row, "msdflash"))
        problem = verdict(row, results[case][1])
        wrong += bool(problem)
        sys.stderr.write(f"{case}: {problem or 'ok'}\n    {results[case][0].text} [{results[case][0].arrived} {results[case][0].beside}]\n")
        sys.stderr.write(f"    {results[case][1].text} [{results[case][1].arrived} {results[case][1].beside}]\n")
        if problem:
            report = results[case][1].report or {}
            evidence = ", ".join(f"{item['name']}={item['value']}" for item in report.get("evidence", ()))
            told = [(item["cause"], item["confidence"]) for item in report.get("causes", ())]
            sys.stderr.write(f"    {told} {report.get('step')} {report.get('failure')}: {report.get('message')}; {evidence}\n")
        sys.stderr.flush()
    sys.stdout.write(page(results))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
