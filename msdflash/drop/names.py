"""What a name says before anything is opened: clutter of an operating system, a copy under a temporary name, or a drop."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec


class NameKind(StrEnum):
    """What a directory entry's name stands for."""

    CLUTTER = "clutter"
    TEMPORARY = "temporary"
    DROP = "drop"


class NameRule(msgspec.Struct, frozen=True):
    """One row of the table: a pattern over the whole lower-case name, and whose it is."""

    pattern: str
    kind: NameKind
    owner: str


_C, _T = NameKind.CLUTTER, NameKind.TEMPORARY
RULES: tuple[NameRule, ...] = (
    NameRule(r"\.msdflash", _C, "this program's own sub-folder"),
    NameRule(r"\._.*", _C, "macOS: companion with the attributes that the volume cannot hold"),
    NameRule(r"\.ds_store", _C, "macOS Finder"),
    NameRule(r"\.spotlight-v100", _C, "macOS search index"),
    NameRule(r"\.fseventsd", _C, "macOS change log"),
    NameRule(r"\.trash(es|-.*)?", _C, "macOS and freedesktop waste bins"),
    NameRule(r"\.(temporaryitems|apdisk|volumeicon\.icns|com\.apple\..*|documentrevisions-v100|metadata_never_index)", _C, "macOS"),
    NameRule(
        r"\.localized|\.appledouble|\.appledb|\.appledesktop|network trash folder|temporary items", _C, "macOS, and file servers for Macs"
    ),
    NameRule(r"icon\r", _C, "macOS folder icon"),
    NameRule(r"system volume information", _C, "Windows"),
    NameRule(r"\$recycle\.bin|recycler", _C, "Windows waste bin"),
    NameRule(r"thumbs\.db(:.*)?|ehthumbs(_vista)?\.db|desktop\.ini|autorun\.inf", _C, "Windows Explorer"),
    NameRule(r"indexervolumeguid|wpsettings\.dat", _C, "Windows search and storage service"),
    NameRule(r"found\.[0-9]{3}|lost\.dir|\.android_secure", _C, "what Windows and Android leave after a check of the drive"),
    NameRule(r"lost\+found", _C, "ext file systems"),
    NameRule(r"\.(directory|hidden|thumbnails|xdg-volume-info|mtab\.fuseblk)", _C, "Linux desktops"),
    NameRule(r"\.(nfs|fuse_hidden|smbdelete)[0-9a-f]*", _C, "file systems: deleted while open"),
    NameRule(r"\.(stfolder|stignore|stversions|dropbox|dropbox\.attr|sync)", _C, "synchronising programs"),
    NameRule(r"@eadir|#recycle|@recycle|@tmp|\.@__thumb|#snapshot", _C, "network storage boxes"),
    NameRule(r".*\.(crdownload|opdownload|part|partial|download|filepart|tmp|temp|aria2|!ut|swp|swx)", _T, "unfinished download or copy"),
    NameRule(r".*\.sb-[0-9a-f]{8}-[a-z0-9]{6}", _T, "macOS: folder in which a program saves before it swaps"),
    NameRule(r"~.*|.*~", _T, "editors and office programs"),
    NameRule(r"unconfirmed [0-9]+", _T, "Chromium"),
    NameRule(r"\..*", _T, "hidden names: rsync, GNOME and others copy under one and rename at the end"),
)
"""Walked from the top; the first row that fits decides, no row means a drop."""

_compiled = tuple((re.compile(rule.pattern, re.DOTALL), rule.kind) for rule in RULES)


def name_kind(name: str) -> NameKind:
    """What the name stands for. Case does not matter."""
    folded = name.lower()
    for pattern, kind in _compiled:
        if pattern.fullmatch(folded):
            return kind
    return NameKind.DROP


def display(name: str) -> str:
    r"""The name as it can be shown and stored: control characters, line ends and undecodable bytes become ``\xNN`` or ``\uNNNN``."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in name)


def stored(name: str, longest: int = 80) -> str:
    """A harmless file name on any system that still reminds of ``name``: ASCII letters, digits, ``.``, ``-``, ``_``."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-longest:].lstrip(".-")
    return plain or "file"
