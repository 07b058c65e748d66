"""Whose drive it is, and what its firmware says. Pure: bytes of files in, facts out.

DAPLink: DETAILS.TXT has ``Unique ID`` and ``Remount count`` (``vfs_user.c`` lines 520-606 at ca1bfb28). ST-LINK: MBED.HTM beside a
DETAILS.TXT without either, known from public listings of such drives (mbed-ls pull requests 70, 90, 92, 105).
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

_LINE = re.compile(r"([A-Za-z0-9 ]{1,40}):[ \t]*(.{0,200})")
_CODE = re.compile(r"[?&](?:code|auth)=([0-9A-Fa-f]{4,48})")


class DriveKind(StrEnum):
    """Whose firmware shows the drive."""

    DAPLINK = "DAPLink"
    ST_LINK = "ST-LINK"


class DriveFacts(msgspec.Struct, frozen=True):
    """What a drive says of itself.

    Attributes:
        kind: whose it is.
        version: of the interface's firmware, or "".
        unique_id: in DETAILS.TXT, or "". It only confirms; it never ties.
        code: the id in the HTML page, or "".
        remounts: DAPLink's count; None where there is none.
        fail: text of FAIL.TXT, None where there is none.
        failed_assert: text of ASSERT.TXT, None where there is none.
    """

    kind: DriveKind
    version: str = ""
    unique_id: str = ""
    code: str = ""
    remounts: int | None = None
    fail: str | None = None
    failed_assert: str | None = None

    @property
    def failing(self) -> bool:
        """The firmware left a complaint."""
        return self.fail is not None or self.failed_assert is not None


def facts_of(texts: dict[str, bytes]) -> DriveFacts | None:
    """The facts, out of a drive's files by upper-case name; None if it is neither kind of drive. Never raises."""
    details = _pairs(texts.get("DETAILS.TXT", b""))
    page = next((name for name in sorted(texts) if name.endswith(".HTM")), None)
    if not details or page is None:
        return None
    unique_id = details.get("unique id", "")
    if not unique_id and "MBED.HTM" not in texts:
        return None
    code = _CODE.search(texts[page].decode("ascii", "replace"))
    count = details.get("remount count", "")
    return DriveFacts(
        kind=DriveKind.DAPLINK if unique_id else DriveKind.ST_LINK,
        version=details.get("interface version") or details.get("version") or "",
        unique_id=unique_id,
        code=code[1] if code else "",
        remounts=int(count) if re.fullmatch(r"[0-9]{1,9}", count) else None,
        fail=_told(texts.get("FAIL.TXT")),
        failed_assert=_told(texts.get("ASSERT.TXT")),
    )


def _pairs(data: bytes) -> dict[str, str]:
    """``Label: value`` lines, by label in lower case; the first of equal labels counts."""
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        match = _LINE.fullmatch(line.strip())
        if match and not line.startswith("#"):
            found.setdefault(match[1].strip().lower(), match[2].strip())
    return found


def _told(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")
