"""The page ``docs/accuracy.md``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import median

from msdflash.sim.spec import PROBES
from tests.accuracy.daplink_says import daplink_says
from tests.accuracy.play import Played, Score, score

TITLES = {"open": "The open set", "held-out": "The held-out set"}
WHAT = {
    "open": "Ideas by which the rules were tuned (`tests/accuracy/open_set.py`).",
    "held-out": "Ideas written by somebody else, which nobody who works on the rules may look at (`tests/accuracy/held_out.py`).",
}

HEAD = """# How often the diagnosis is right

Boards of the [bench](bench.md) with a known fault, played through the product as `msdflash flash` does: real workers, stock pyOCD, the
bench's USB. The true cause is known, because the bench made it. {date}, by `python tests/accuracy/run.py > docs/accuracy.md` ({how}), on a
shared Linux machine with two processors.

*Right* is a scene whose true cause leads the report, or whose file was flashed and proved where that is possible in spite of the cause, or
where nothing is wrong. A symptom that was measured and that nothing explains may stand above the causes. *Unknowable* is one whose cause
cannot be measured with that probe (silence without a voltage to measure, mostly): there, no cause may be told as certain or likely; it must
be `unexplained`, or the true cause *possible* among others. A *twin* shares most of its
evidence with another cause. *Wrong certain* counts causes that are told as certain and are not true.
"""


def page(results: Mapping[str, Sequence[Played]], said: Mapping[str, str], how: str, pairs: str = "") -> str:
    """All of it. ``said``: what pyOCD says, by set and scene; ``pairs``: the section's text about random pairs."""
    timed = {name: items for name, items in results.items() if name.endswith(", timed")}
    results = {name: items for name, items in results.items() if name not in timed}
    lines = [HEAD.format(date=f"{datetime.now(UTC):%Y-%m-%d}", how=how), "## Figures", "", *_figures(results)]
    for name, items in results.items():
        lines += ["", f"### {TITLES[name]}, by probe", "", *_by_probe(items)]
    lines += ["", "## How long it takes", "", *_times({**results, **timed})]
    if pairs:
        lines += ["", "## Random pairs of faults", "", pairs.strip()]
    for name, items in results.items():
        lines += ["", f"## {TITLES[name]}", "", WHAT[name], "", *_wrong(items), "", *_table(items, said)]
    return "\n".join([*lines, "", *LEGEND, ""])


LEGEND = (
    "*DAPLink would say* is derived from its firmware's sequence (`tests/accuracy/daplink_says.py`), not run: chip erase first, automation",
    "off, and the scene's probe taken for a DAPLink. *pyOCD says* is the last line of `pyocd load`, told the target; **not so** marks a",
    "success after which flash is not the file, **destroys** that bytes beside the file were lost. *Rank* is the place of the true cause",
    "among those that may be true.",
)

ROWS: tuple[tuple[str, Callable[[Score], str]], ...] = (
    ("scenes", lambda s: str(s.scenes)),
    ("true cause first, or flashed where that is right", lambda s: f"{s.first} of {s.measurable} ({100 * s.first_share:.1f} %)"),
    ("in the first three", lambda s: f"{s.in_three} of {s.measurable} ({100 * s.three_share:.1f} %)"),
    ("unknowable, and told so", lambda s: f"{s.unknowable_right} of {s.unknowable}"),
    ("twins told apart", lambda s: f"{s.twins_right} of {s.twins}"),
    ("wrong *certain*", lambda s: str(s.wrong_certain)),
    ("false success", lambda s: str(s.false_success)),
    ("uninvited erase or unlock", lambda s: str(s.destroyed)),
    ("crashes, late answers and other wrongs", lambda s: str(s.other_wrong)),
)


def _figures(results: Mapping[str, Sequence[Played]]) -> list[str]:
    scores = {name: score(items) for name, items in results.items()}
    lines = ["| | " + " | ".join(TITLES[name].lower() for name in scores) + " |", "| --- |" + " --- |" * len(scores)]
    rows = [f"| {text} | " + " | ".join(show(found) for found in scores.values()) + " |" for text, show in ROWS]
    sure = {name: Counter(_sure(item) for item in items if item.right and not item.scene.unknowable) for name, items in results.items()}
    for word in ("certain", "likely", "possible"):
        lines_of = " | ".join(str(found[word]) for found in sure.values())
        rows.append(f"| true cause first, and told as *{word}* | {lines_of} |")
    rows.append("| flashed and proved | " + " | ".join(str(found["flashed"]) for found in sure.values()) + " |")
    return lines + rows


def _sure(item: Played) -> str:
    """How sure the report is of the true cause that leads."""
    if item.proved:
        return "flashed"
    return next((sure for cause, sure, _ in item.told if cause in item.scene.true), "")


def _by_probe(items: Sequence[Played]) -> list[str]:
    lines = ["| probe | scenes | first | in three | unknowable | wrong *certain* |", "| --- | --- | --- | --- | --- | --- |"]
    for probe in PROBES:
        mine = [item for item in items if item.scene.probe == probe]
        if mine:
            found = score(mine)
            lines.append(
                f"| `{probe}` | {found.scenes} | {found.first} of {found.measurable} | {found.in_three} of {found.measurable} | "
                f"{found.unknowable_right} of {found.unknowable} | {found.wrong_certain} |"
            )
    return lines


def _times(results: Mapping[str, Sequence[Played]]) -> list[str]:
    lines = [
        "From the beginning of the step that failed first to the answer: what that step itself takes, the measurements, and what was tried",
        "after them (for four seconds at most, unless flash is being written). Scenes that ended without success. *Timed*: some ideas,",
        "where USB, SWD and flash take as long as they would on a board (`--timed`); else the bench answers as fast as it can.",
        "",
        "| set | scenes | median | 95 of 100 within | longest |",
        "| --- | --- | --- | --- | --- |",
    ]
    slow: list[str] = []
    for name, items in results.items():
        failed = sorted((item for item in items if not item.proved and item.diagnosis_s), key=lambda item: item.diagnosis_s)
        if failed:
            times = [item.diagnosis_s for item in failed]
            most = times[int(0.95 * (len(times) - 1))]
            lines.append(f"| {_title(name)} | {len(times)} | {median(times):.1f} s | {most:.1f} s | {times[-1]:.1f} s |")
            slow += [f"* {item.scene.name}: {item.diagnosis_s:.1f} s, {item.first}" for item in failed[:-4:-1]]
    return [*lines, "", "The slowest of each set:", "", *slow]


def _title(name: str) -> str:
    kind, comma, rest = name.partition(",")
    return TITLES[kind].lower() + comma + rest


def _wrong(items: Sequence[Played]) -> list[str]:
    wrong = [item for item in items if item.wrong or not item.right]
    if not wrong:
        return ["Nothing was wrong."]
    lines = ["Not right:", ""]
    for item in wrong:
        told = ", ".join(f"{cause} {sure}" for cause, sure, aside in item.told if sure in {"certain", "likely", "possible"} and not aside)
        what = "; ".join(item.wrong) or ("rank " + str(item.rank) if item.rank else "the true cause is not told")
        lines.append(f"* {item.scene.name}, true cause {_true(item)}: told {told or 'nothing'} ({what})")
    return lines


def _true(item: Played) -> str:
    scene = item.scene
    marks = [word for word, on in (("unknowable", scene.unknowable), ("can be flashed", scene.rescue)) if on]
    return (scene.true[0] if scene.true else "none") + (f" ({', '.join(marks)})" if marks else "")


def _table(items: Sequence[Played], said: Mapping[str, str]) -> list[str]:
    pyocd = any(item.scene.name in said for item in items)
    heads = ["Scene", "Board, probe, faults", "Before, dropped", "True cause", "Twin of", "DAPLink would say"]
    heads += ["pyOCD says"] * pyocd + ["msdflash says", "Rank", "s"]
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for item in items:
        scene = item.scene
        spec = scene.spec.replace("probe=", "").replace("fault=", "") + (f", target {scene.target}" if scene.target else "")
        first = "flashed" if item.proved else "**" + item.first.replace(" ", "** ", 1)
        cells = [scene.name, f"`{spec}`", f"{scene.before}, {scene.drop}", _true(item), scene.twin, daplink_says(scene)]
        cells += [_short(said.get(scene.name, ""))] * pyocd
        cells += [first + ("" if item.right and not item.wrong else ", **wrong**"), str(item.rank or ""), f"{item.seconds:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _short(text: str) -> str:
    text = text.replace("|", "\\|")
    return text if len(text) < 110 else text[:107] + "..."
