"""MBED.HTM: a page about the drive that a person can read, with the code by which tools know the board.

mbed tools take the board from ``?code=`` in this file (mbed-os-tools ``lstools_base.py``, mbed-tools). DAPLink's own page only
redirects; this one needs no script.
"""

from __future__ import annotations

from html import escape

from msdflash.report.details import DriveFacts, rows, unique_id
from msdflash.report.story import damage, headline, remedies_of
from msdflash.report.text import CRLF, safe

_STYLE = "body{font:16px/1.4 sans-serif;max-width:44em;margin:2em auto;padding:0 1em}td{padding:.1em 1em .1em 0;vertical-align:top}"


def render(facts: DriveFacts) -> str:
    """The whole page: ASCII, CRLF, everything foreign escaped."""
    code = unique_id(facts.board_id, facts.serial)
    lines = [
        "<!doctype html>",
        # Readers take the first ``code=`` that they find; a file's name further down could hold another.
        f"<!-- mbed Platform Website and Authentication Shortcut: https://mbed.org/device/?code={code} -->",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',  # HTML knows no other; the page itself is ASCII
        "<title>msdflash drive</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{_h(facts.target or facts.probe or 'msdflash drive')}</h1>",
        "<p>Drop a .hex or .bin file here. It is flashed, read back and compared.</p>",
        *_last(facts),
        "<h2>This drive</h2>",
        "<table>",
        *(f"<tr><td>{_h(key)}</td><td>{_h(value)}</td></tr>" for key, value in rows(facts)),
        "</table>",
        f'<p><a href="https://mbed.org/device/?code={code}">Board page</a></p>',
        "</body>",
        "</html>",
    ]
    return CRLF.join(lines) + CRLF


def _h(text: str) -> str:
    return escape(safe(text, 200))


def _last(facts: DriveFacts) -> list[str]:
    report = facts.last
    if report is None:
        return ["<p>Nothing has been flashed through this drive yet.</p>"]
    if report.good:
        return [
            "<h2>Last drop</h2>",
            f"<p>{_h(report.file)}: {_h(str(report.outcome))}, {report.changed.verified} bytes compared equal.</p>",
        ]
    steps = [f"<li>{_h(text)}</li>" for text, _ in remedies_of(report, 4)]
    return [
        "<h2>Last drop</h2>",
        f"<p><strong>{_h(headline(report))}</strong></p>",
        f"<p>{_h(damage(report))}</p>",
        *(["<ol>", *steps, "</ol>"] if steps else []),
        f"<p>{_h(facts.why)} tells why.</p>",
    ]
