"""Other tools' messages as a page: ``docs/messages.md`` is what this prints, and a test holds them equal.

``python -m msdflash.diagnose.messages_md`` writes it to standard output.
"""

from __future__ import annotations

import sys

from msdflash.diagnose.explain import SAYINGS
from msdflash.diagnose.foreign import Saying


def render() -> str:
    """The whole page in Markdown, newline at the end."""
    parts = [
        "# What other tools say, and what it was",
        "",
        "Every message that `msdflash explain` knows. This page is made from the tables `msdflash/diagnose/foreign_*.py` by",
        "`python -m msdflash.diagnose.messages_md`; do not edit it by hand.",
        "",
        "A message names a step and never proves a cause. The causes stand in the order in which they were met or are to be expected;",
        "`msdflash diagnose` measures which one it is. `...` stands for anything. DAPLink's errors are known by the",
        "names in its source, too, and by the number on a micro:bit's display (500 and the error's number).",
        "",
    ]
    for tool in dict.fromkeys(saying.tool for saying in SAYINGS):
        parts += [f"## {tool[0].upper()}{tool[1:]}", ""]
        for saying in SAYINGS:
            if saying.tool == tool and not saying.pattern.startswith("ERROR_"):
                parts += _entry(saying)
    return "\n".join(parts).rstrip() + "\n"


def _entry(saying: Saying) -> list[str]:
    causes = [f"[{cause}](causes.md#{cause})" for cause in saying.causes] + list(saying.beyond)
    sources = ", ".join(f"<{source}>" if source.startswith("https://") else source for source in saying.source)
    lines = [f"### `{saying.pattern.replace('*', '...')}`", "", *([saying.note, ""] if saying.note else [])]
    return [*lines, f"Causes: {', '.join(causes)}.", "", f"Known from: {sources}.", ""]


if __name__ == "__main__":
    sys.stdout.write(render())
