"""DETAILS.TXT: the facts of a drive, in the order and form in which DAPLink prints them, then ours.

Order and formats: ARMmbed/DAPLink ca1bfb28 ``source/daplink/drag-n-drop/vfs_user.c`` lines 520-606. Its test harness
(``test/board.py`` lines 113-150, 657-738) accepts further ``Key: value`` lines with keys of letters, digits and spaces, each once.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from msdflash.report.text import CRLF, safe

if TYPE_CHECKING:
    from msdflash.report.record import Report

INTERFACE_VERSION = "0259"
"""The DAPLink release whose drive this one resembles (``records/tools/version.yaml``)."""

BOARD_URL = "https://mbed.org/device/"
"""Page of a board that has none of its own."""

_HEX48 = re.compile(r"[0-9a-f]{48}")
_KEY = re.compile(r"[A-Za-z0-9 ]+")


class DriveFacts(msgspec.Struct, frozen=True):
    """What DETAILS.TXT tells.

    Attributes:
        board_id: four hex digits by which tools know the board ("0000" if it has none).
        serial: what makes this drive unique: the probe's unique id, or the drive's name.
        version: of msdflash.
        auto_reset, automation, overflow, incompatible, page_erase: switches, as DAPLink prints them.
        remount_count: grows by one with each finished drop.
        url: page of the board or the project.
        present: the probe is connected.
        probe, target: names of what is behind the drive, or "".
        last: report of the last job, or None.
        why: name of the file that tells why the last job failed.
        notes: told as comment lines.
    """

    board_id: str = "0000"
    serial: str = ""
    version: str = ""
    auto_reset: bool = True
    automation: bool = True
    overflow: bool = False
    incompatible: bool = True
    page_erase: bool = True
    remount_count: int = 0
    url: str = BOARD_URL
    present: bool = True
    probe: str = ""
    target: str = ""
    last: Report | None = None
    why: str = "FAIL.TXT"
    notes: tuple[str, ...] = ()


def url_of(board_id: str) -> str:
    """The board's page, as its DAPLink names it (``source/board/microbit.c``, ``microbitv2.c``). Thonny knows a micro:bit by this line."""
    return f"https://microbit.org/device/?id={board_id}&v={INTERFACE_VERSION}" if re.fullmatch("99[0-9]{2}", board_id) else BOARD_URL


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def unique_id(board_id: str, serial: str) -> str:
    """48 lower-case hex digits: board id 4, family id 4, host id 32, interface chip id 8 (DAPLink ``info.c`` lines 163-170).

    A probe that already has such an id and such a board id keeps it; else it is made from the serial, the same one each time.
    """
    board = board_id.lower() if re.fullmatch(r"[0-9A-Fa-f]{4}", board_id) else "0000"
    own = serial.lower()
    if _HEX48.fullmatch(own) and (board in {"0000", own[:4]}):
        return own
    return f"{board}0000{_digest(serial)[:32]}{_digest('msdflash interface')[:8]}"


def rows(facts: DriveFacts) -> list[tuple[str, str]]:
    """All keys and values, in order. Keys that have nothing to say are left out."""
    identity = unique_id(facts.board_id, facts.serial)
    revision = _digest(f"msdflash {facts.version}")
    table = [
        ("Build ID", f"msdflash-{safe(facts.version or 'unknown', 40)} (python)"),
        ("Unique ID", identity),
        ("HIC ID", identity[-8:]),
        ("Auto Reset", _bit(facts.auto_reset)),
        ("Automation allowed", _bit(facts.automation)),
        ("Overflow detection", _bit(facts.overflow)),
        ("Incompatible image detection", _bit(facts.incompatible)),
        ("Page erasing", _bit(facts.page_erase)),
        ("Daplink Mode", "Interface"),
        ("Interface Version", INTERFACE_VERSION),
        ("Git SHA", revision[:40]),
        ("Local Mods", "0"),
        ("USB Interfaces", "MSD"),
        ("Interface CRC", f"0x{revision[40:48]}"),
        ("Remount count", str(max(facts.remount_count, 0))),
        ("URL", safe(facts.url, 120)),
        ("Probe", safe(facts.probe, 100)),
        ("Probe connected", _bit(facts.present)),
        ("Target", safe(facts.target, 60)),
        *_last(facts.last),
    ]
    return [(key, value.strip()) for key, value in table if value.strip()]


def _bit(value: bool) -> str:
    return "1" if value else "0"


def _last(report: Report | None) -> list[tuple[str, str]]:
    if report is None:
        return []
    image = report.image
    return [
        ("Last image", safe(report.file or (image.name if image else ""), 80)),
        ("Last sha256", safe(image.sha256, 64) if image else ""),
        ("Last result", str(report.outcome)),
        ("Last cause", f"{report.cause} {report.confidence}" if report.cause else ""),
        ("Last help", _help(report)),
        ("Last notice", _notice(report)),
        ("Last running", safe(report.running, 40)),
        ("Last verified bytes", str(report.changed.verified)),
        ("Last duration", f"{report.duration:.1f} s"),
        ("Last time", safe(report.time, 40)),
        ("Last job", safe(report.job, 40)),
    ]


def _help(report: Report) -> str:
    """What a good job needed beyond the plain way."""
    return "; ".join(f"{safe(item.what, 80)}: {safe(item.result, 120)}" for item in report.tried[-1:]) if report.good else ""


def _notice(report: Report) -> str:
    """What is worth knowing of a good job all the same: the first cause that may be told."""
    return next((f"{cause.cause} {cause.confidence}" for cause in report.causes), "") if report.good else ""


def render(facts: DriveFacts) -> str:
    """The whole file: ASCII, CRLF, no trailing blanks."""
    lines = ["# DAPLink Firmware - see https://daplink.io", "# This drive is served by msdflash."]
    lines += [f"# {safe(note, 160)}".rstrip() for note in facts.notes]
    lines += [f"{key}: {value}" for key, value in rows(facts)]
    return CRLF.join(lines) + CRLF


def key_is_valid(key: str) -> bool:
    """True for a key that every known reader accepts."""
    return bool(_KEY.fullmatch(key))
