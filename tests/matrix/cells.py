"""Chip by probe by fault: which cells there are, and what must hold in each, whatever is answered.

``python tests/matrix/cells.py [--minutes N] [--only BOARD,PROBE...] > docs/matrix.md`` runs them all, or those it has time for.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from msdflash.chips.families import family_of_target
from msdflash.daemon.config import BoardOptions
from msdflash.diagnose.causes import CATALOGUE
from msdflash.sim import client
from msdflash.sim.board import Board
from msdflash.sim.boards import BOARDS
from msdflash.sim.contents import SIZE, base, intel_hex, program
from msdflash.sim.faults import FaultError
from msdflash.sim.spec import PROBES

if "main_path_stage" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("main_path_stage", Path(__file__).parents[1] / "main_path" / "stage.py")
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["main_path_stage"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["main_path_stage"])
scene: Any = sys.modules["main_path_stage"]

LONGEST = 15.0
"""Seconds from the file being whole to the report, beyond the time that one erase may take, see :func:`longest`."""

PACKS = Path(client.__file__).parent / "pack"

HELD = frozenset({"held-in-reset", "reset-loop"})
LOCKED = frozenset(
    {"rdp1", "debug-locked", "nrf-approtect", "nrf51-readback", "kinetis-security", "lpc55-debug-locked", "write-protected-sector"}
)
LINK = frozenset({"link-noise", "data-corrupted-on-the-way"})
USB = frozenset({"probe-vanished", "probe-hung", "probe-fw-fault", "usb-unstable", "probe-open-failed", "no-probe"})
BUSY = frozenset({"algo-timeout-flash-busy", "algo-timeout"})

FAULTS: dict[str, frozenset[str]] = {
    "reset-held": HELD,
    "reset-held:ignored": HELD,
    "probe-stuck-reset": HELD,
    "reset-late:400": HELD | {"reset-released-late"},
    "no-power": frozenset({"no-target-power"}),
    "no-power:clamped": frozenset({"no-target-power"}),
    "swd-open": frozenset({"swd-open"}),
    "ram-bad": frozenset({"ram-lost", "ram-bad"}),
    "ram-bad:stuck": frozenset({"ram-lost", "ram-bad"}),
    "write-protect:1": LOCKED,
    "rdp1": LOCKED,
    "approtect": LOCKED,
    "security": LOCKED | HELD,
    "crp": LOCKED,
    "debug-lock": LOCKED,
    "flash-busy": BUSY,
    "qspi-open": frozenset({"flash-chip-silent"}),
    "bad-cell": frozenset({"flash-worn", "program-failed"}),
    "noise:0.01:7": LINK,
    "other-chip:stm32f411": frozenset({"wrong-target"}),
    "unplug-after:300": USB,
    "disconnect-reenumerate:300:300": USB,
    "hang": USB,
    "stall": USB,
    "stall:in": USB,
    "short-packet:20": USB | {"probe-fw-fault"},
    "vdd:5.0": frozenset({"level-mismatch"}),
    "vdd:1.2": frozenset({"target-voltage-low", "no-target-power"}),
    "vdda-open": frozenset({"chip-dead"}),
    "weak-supply": frozenset({"brown-out", "algo-reset", "kinetis-security"}),
    "slow-edges": LINK,
    "nreset-open": frozenset({"nreset-no-effect"}),
    "boot0-high": frozenset({"boot-source"}),
    "watchdog-on": frozenset({"watchdog", "algo-reset"}),
    "no-permission": frozenset({"usb-permission"}),
    "busy": frozenset({"probe-busy"}),
}
"""Faults, and what may be told as certain then; besides causes that only name what was seen."""

ORDER = (
    "cmsis-dap", "stlink-v3", "cmsis-dap-v1", "cmsis-dap-const0", "stlink-v2-1", "cmsis-dap-pushpull", "cmsis-dap-v1-ep0", "stlink-v2-old",
    "jlink", "cmsis-dap-keeps", "stlink-v2-j34",
)  # fmt: skip
"""Probes, those first that say most when time is short."""


class Cell(msgspec.Struct, frozen=True, order=True):
    """One board on one probe with one thing done to it: ``good``, ``again`` or a fault."""

    board: str
    probe: str
    what: str


class Seen(msgspec.Struct, frozen=True):
    """What was answered, and what is wrong with that ("" if nothing)."""

    cell: Cell
    answer: str
    seconds: float
    wrong: str = ""
    evidence: str = ""


def has(board: str, fault: str) -> bool:
    """Whether this kind of board can have a fault of the board; those of USB all can."""
    name, _, argument = fault.partition(":")
    from msdflash.sim.usb.faults import USB_FAULTS

    if name in USB_FAULTS:
        return True
    if name == "other-chip" and BOARDS[board].mbed_id == "0000":  # nothing says which chip it ought to be, so none is wrong
        return False
    made = Board(board, "cmsis-dap", 1)
    try:
        made.set_fault(name, _argument(board, name, argument))
    except FaultError:
        return False
    finally:
        made.close()
    return True


def _argument(board: str, name: str, argument: str) -> str:
    return hex(base(board) + 0x238) if name == "bad-cell" else argument


def refused(board: str, probe: str) -> frozenset[str]:
    """Why a good image cannot be flashed on this pair; empty where it can."""
    if probe == "stlink-v2-old":
        return frozenset({"probe-fw-too-old"})
    if "stlink" in probe and probe != "stlink-v2-j34" and not BOARDS[board].st_chip:
        return frozenset({"probe-fw-refuses-target"})
    if board == "pico" and "stlink" in probe:  # no command selects one of its debug ports
        return frozenset({"swd-silent", "probe-cannot-reach-chip"})
    if board == "pico" and probe == "jlink":  # pyOCD's driver sends no bit sequences, and one of them chooses the port (RP2040 2.3.4)
        return frozenset({"probe-cannot-reach-chip"})
    if board == "nrf52840-dk-v3":  # shut since the factory, until firmware opens it (nRF52840 PS 4.8.1, build code Fx0)
        return frozenset({"nrf-approtect"})
    return frozenset()


KINDS = ("cmsis-dap", "cmsis-dap-v1", "stlink-v3", "stlink-v2-1")
"""Kinds of probe that stand on every board: both versions of CMSIS-DAP and both generations of ST-LINK."""

VARIANT_BOARDS = ("nucleo-l476rg", "nrf52840-dk")
"""Boards, one of ST's and one of another maker, on which the other profiles stand, too: they differ from those of :data:`KINDS` in what
they do to nRESET, how they move packets and whom they refuse, not in the chip behind them."""

SLOW_PAIRS = ("nucleo-l476rg", "nrf52840-dk", "bench-pack", "pico")
"""The boards that stand on a J-Link here: three makers, small and large sectors, and one that it cannot reach. pyOCD moves each word
through it on its own, so that others with large sectors take minutes."""


def stands(board: str, probe: str) -> bool:
    """Whether there are cells of this pair."""
    if probe == "jlink":
        return board in SLOW_PAIRS
    return probe in KINDS or board in VARIANT_BOARDS


def works(board: str, probe: str) -> bool:
    """Whether a good image can be flashed on this pair."""
    return not refused(board, probe)


def cells(boards: Sequence[str] = tuple(BOARDS), probes: Sequence[str] = PROBES) -> list[Cell]:
    """All cells; one alone where the probe refuses the board."""
    found = []
    for board in boards:
        faults = [fault for fault in FAULTS if has(board, fault)]
        for probe in [probe for probe in probes if stands(board, probe)]:
            # These do not say which board they stand on: no chip is another one there.
            here = [fault for fault in faults if probe not in ("jlink", "stlink-v2-j34") or not fault.startswith("other-chip")]
            found += [Cell(board, probe, what) for what in (["good", "again", *here] if works(board, probe) else ["good"])]
    return found


def longest(board: str, probe: str) -> float:
    """Seconds until the report: no flash may be called stuck before twice its data sheet's worst case has passed."""
    family = family_of_target(BOARDS[board].chip)
    flash = 2 * family.timing.erase if family is not None and family.timing is not None else 0.0
    return (4 * LONGEST if probe == "jlink" else LONGEST) + flash


def check(cell: Cell, result: Any, before: bytes, after: bytes, wanted: bytes) -> str:
    """What is wrong with an answer, or ""."""
    lpc = BOARDS[cell.board].chip.startswith("lpc17")
    expected = wanted + before[len(wanted) :]
    if lpc:  # the checksum that the boot ROM wants is put there, and reported
        expected, after = (data[:0x1C] + bytes(4) + data[0x20:] for data in (expected, after))
    allowed = FAULTS.get(cell.what, frozenset())
    allowed |= refused(cell.board, cell.probe)
    kinetis = cell.board.startswith("frdm") and cell.what != "security"
    secured, shut = (kinetis and data[0x40C] & 3 != 2 for data in (before, after))  # FSEC.SEC
    if secured:
        allowed |= {"kinetis-security"}
    seen_only = {key for key, cause in CATALOGUE.items() if cause.symptom}
    findings = {
        f"certain of {sorted(result.having('certain') - allowed - seen_only)}": bool(result.having("certain") - allowed - seen_only),
        f"took {result.report['duration']:.1f} s": result.report["duration"] > longest(cell.board, cell.probe),
        "FAIL.TXT says otherwise than the report": result.proved == ("FAIL.TXT" in result.drive),
        "FALSE SUCCESS: flash is not the file": result.proved and after[: len(wanted)] != expected[: len(wanted)],
        "bytes beside the image were lost": result.proved and after[len(wanted) :] != expected[len(wanted) :],
        "bytes beside the image are missing, and it does not say so": not result.proved
        and len(after) == len(before)
        and after[len(wanted) :] != before[len(wanted) :]
        and not result.report.get("changed", {}).get("beside"),
        "it left the chip secured, and did not say so": shut and not secured and not _told_locked(result),
        "the last bytes of flash were lost": len(after) == len(before) and after[-16:] != before[-16:],
    }
    if cell.what in ("good", "again"):
        findings["it must work"] = works(cell.board, cell.probe) and not result.proved
        findings["the same file was written again"] = cell.what == "again" and result.report["changed"]["programmed"] != 0
    return "; ".join(text for text, true in findings.items() if true)


def _told_locked(result: Any) -> bool:
    """A supply that breaks down right after an erase resets a chip that nothing can keep open; then that has to be told."""
    return bool({"kinetis-security", "locks-at-reset"} & result.having("certain"))


def answer_of(result: Any) -> str:
    """In a few words."""
    if result.proved:
        return "proved"
    return f"{result.report['cause']} {result.report['confidence']}"


def evidence_of(result: Any) -> str:
    """What was measured, for whoever has to find out."""
    report = result.report
    causes = [(item["cause"], item["confidence"], item["reasons"]) for item in report["causes"] if item["confidence"] != "ruled-out"]
    readings = ", ".join(f"{item['name']}={item['value']}" for item in report["evidence"])
    return f"step {report['step']}, {report['failure']}: {report['message']}; changed {report['changed']}; {causes}; {readings}"


def shift(drive: Any, board: str, probe: str, whats: Sequence[str], note: Callable[[Seen], None], until: float = float("inf")) -> None:
    """Go through the cells of one board; the first drop puts something into its flash, after each fault the board is mended."""
    version = 1
    first = {base(board): program(board), base(board) + SIZE + 8: b"behind the image"}
    size = len(drive.flash())
    first[base(board) + size - 16] = b"the last 16 byte"
    file = intel_hex(first)
    for what in ["good", *[item for item in whats if item != "good"]]:
        if time.monotonic() > until:
            return
        cell = Cell(board, probe, what)
        if what not in ("good", "again"):
            version += 1
            file = intel_hex({base(board): program(board, version)})
            name, _, argument = what.partition(":")
            argument = _argument(board, name, argument)
            drive.set(f"fault={name}" + (f":{argument}" if argument else ""))
        try:
            before = drive.flash()
            result = drive.drop("program.hex", file)
            if what == "good" and result.proved:  # what the first drop wrote beside its image, as it must stand now
                before = b"\xff" * size
                if BOARDS[board].chip.startswith("stm32l0"):
                    before = bytes(size)
                for address, data in first.items():
                    before = before[: address - base(board)] + data + before[address - base(board) + len(data) :]
            wrong = check(cell, result, before, drive.flash(), program(board, version))
            seen = Seen(cell, answer_of(result), result.report["duration"], wrong, evidence_of(result) if wrong else "")
        except Exception as error:  # noqa: BLE001  (whatever happens in one cell, the others are run)
            note(Seen(cell, "NO ANSWER", 0.0, f"{type(error).__name__}: {error}"[:300]))
            return
        note(seen)
        if not works(board, probe):
            return
        if what not in ("good", "again"):
            drive.recover()


def options_of(board: str, probe: str) -> BoardOptions:
    """What a user gives for a chip that only a CMSIS-Pack knows, and where the probe does not tell which board it sits on."""
    pack, target = BOARDS[board].pack
    if pack:
        return BoardOptions(pack=str(PACKS / pack), target=target)
    return BoardOptions(target=BOARDS[board].part or None) if probe == "jlink" else BoardOptions()


def play(start: Callable[..., Any], lots: Mapping[tuple[str, str], Sequence[str]], until: float = float("inf")) -> list[Seen]:
    """Run lots of cells at once, each on its own board: ``{(board, probe): what...}``."""
    seen: list[Seen] = []
    lock = threading.Lock()
    names = {f"b{number}": pair for number, pair in enumerate(lots)}
    options = {name: options_of(*pair) for name, pair in names.items()}
    room = start(options=options, **{name: f"{board},probe={probe}" for name, (board, probe) in names.items()})

    def note(item: Seen) -> None:
        with lock:
            seen.append(item)

    room.each(lambda name, drive: shift(drive, *names[name], lots[names[name]], note, until))
    return seen


def on_their_own(lots: Mapping[tuple[str, str], Sequence[str]], until: float = float("inf")) -> list[Seen]:
    """:func:`play` on a stage of its own, which ends with it."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="m-")))
        return play(lambda options=None, **specs: stack.enter_context(scene.Stage(folder, specs, options)), lots, until)


def sample(seed: int, pairs: int, each: int) -> dict[tuple[str, str], list[str]]:
    """Some boards on some probes, with some of their cells each; the same for the same seed."""
    dice = random.Random(seed)
    boards = dice.sample(sorted(BOARDS), pairs)
    chosen = [(board, dice.choice([probe for probe in PROBES if stands(board, probe) and works(board, probe)])) for board in boards]
    return {pair: dice.sample([item.what for item in cells([pair[0]], [pair[1]]) if item.what != "good"], each) for pair in chosen}


def page(seen: Sequence[Seen], total: int) -> str:
    """The page ``docs/matrix.md``."""
    wrong = [item for item in seen if item.wrong]
    lines = [
        "# Every chip on every probe with every fault",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, by `python tests/matrix/cells.py > docs/matrix.md`: {len(seen)} of {total} cells were run,",
        f"{len(wrong)} with something wrong.",
        "",
        "A cell is one board of the [bench](bench.md) on one probe, with a good image dropped on it (*good*), the same again (*again*),",
        "or another good image while a fault is in. In each, whatever the answer: it comes, the board's process lives, a success is none",
        "unless flash is the file and what stood beside it, and only what is true is told as certain. `pytest -m slow tests/matrix` runs",
        "all of it, the default suite a seeded sample.",
        "",
    ]
    if wrong:
        lines += ["## Wrong", ""]
        lines += [
            f"* {item.cell.board}, {item.cell.probe}, `{item.cell.what}`: {item.answer}: {item.wrong}" for item in sorted(wrong, key=_key)
        ]
        lines.append("")
    for board in BOARDS:
        here = [item for item in seen if item.cell.board == board]
        probes = [probe for probe in PROBES if any(item.cell.probe == probe for item in here)]
        if not here:
            continue
        lines += [f"## {board}", "", "| | " + " | ".join(probes) + " |", "| --- |" + " --- |" * len(probes)]
        by = {(item.cell.what, item.cell.probe): item for item in here}
        for what in ["good", "again", *FAULTS]:
            row = [by.get((what, probe)) for probe in probes]
            if any(row):
                said = [f"{item.answer}{', **wrong**' if item.wrong else ''}, {item.seconds:.1f} s" if item else "" for item in row]
                lines.append(f"| `{what}` | " + " | ".join(said) + " |")
        lines.append("")
    return "\n".join(lines)


def _key(item: Seen) -> Cell:
    return item.cell


def main() -> int:
    """Run all of it, two boards at a time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--only", default="", help="boards and probes, with commas")
    options = parser.parse_args()
    only = [word for word in options.only.split(",") if word]
    boards = [board for board in BOARDS if board in only or not set(only) & set(BOARDS)]
    probes = [probe for probe in PROBES if probe in only or not set(only) & set(PROBES)]
    lots: dict[tuple[str, str], list[str]] = {}
    for cell in cells(boards, probes):
        lots.setdefault((cell.board, cell.probe), []).append(cell.what)
    pairs = sorted(lots, key=lambda pair: (ORDER.index(pair[1]), boards.index(pair[0])))
    until = time.monotonic() + 60 * options.minutes
    seen: list[Seen] = []
    for number in range(0, len(pairs), 2):
        if time.monotonic() > until:
            break
        found = on_their_own({pair: lots[pair] for pair in pairs[number : number + 2]}, until)
        seen += found
        sys.stderr.write("".join(f"{item.cell}: {item.answer}: {item.wrong}\n  {item.evidence}\n" for item in found if item.wrong))
        sys.stderr.write(f"{len(seen)} cells\n")
        sys.stderr.flush()
    sys.stdout.write(page(seen, len(cells())))
    return 1 if any(item.wrong for item in seen) else 0


if __name__ == "__main__":
    raise SystemExit(main())
