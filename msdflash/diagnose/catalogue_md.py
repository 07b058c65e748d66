"""The catalogue as a page: ``docs/causes.md`` is what this prints, and a test holds them equal.

``python -m msdflash.diagnose.catalogue_md`` writes it to standard output.
"""

from __future__ import annotations

import sys

from msdflash.diagnose.cause import Cause
from msdflash.diagnose.causes import AREAS
from msdflash.diagnose.daplink import ERRORS
from msdflash.diagnose.finding import MEANINGS
from msdflash.diagnose.observed import OBSERVED
from msdflash.diagnose.proofs import PROOFS


def render() -> str:
    """The whole page in Markdown, newline at the end."""
    parts = [
        "# Causes",
        "",
        "Every cause that a report can name. This page is made from the catalogue (`msdflash/diagnose/causes*.py`) by",
        "`python -m msdflash.diagnose.catalogue_md`; do not edit it by hand.",
        "",
        "## How sure a report is",
        "",
        "The words have fixed meanings, the same in every report.",
        "",
        *(f"- **{word}**: {meaning}." for word, meaning in MEANINGS.items()),
        "",
        "`unexplained` always stands as *possible*: it says that nothing fits, and shows the evidence.",
        "",
    ]
    for area, causes in AREAS.items():
        parts += [f"## {area}", ""]
        for entry in causes:
            parts += _entry(entry)
    return "\n".join(parts).rstrip() + "\n"


def _entry(entry: Cause) -> list[str]:
    error = ERRORS[entry.error]
    headline = entry.plain or entry.headline
    lines = [f'<a id="{entry.id}"></a>', "", f"### {entry.id}", "", f"{headline[0].upper()}{headline[1:]}.", ""]
    if entry.symptom:
        lines += ["This names what was seen. It leads a report only where no cause explains it.", ""]
    lines += [f"{number}. {remedy.text} *({remedy.cost})*" for number, remedy in enumerate(entry.remedies, 1)]
    proof = PROOFS.get(entry.id)
    if proof is not None:
        lines += ["", f"*Shown by*: {proof.proves}. *Against it*: {proof.refutes}."]
    again = "may succeed when dropped again" if entry.retryable else "dropping again alone will not help"
    seen = f"met on {OBSERVED[entry.id]}" if entry.id in OBSERVED else "never observed by a scenario yet"
    return [*lines, "", f"DAPLink error `{error.name}` ({error.type_line}); {again}; {seen}.", ""]


if __name__ == "__main__":
    sys.stdout.write(render())
