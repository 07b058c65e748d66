"""The documented sample, and docs/config.md, both made from the tables of keys."""

from __future__ import annotations

import textwrap

from msdflash.daemon.config import PORT
from msdflash.daemon.config_keys import BOARD_KEYS, TOP_KEYS, Key

_INTRO = """\
# Configuration of msdflash. Everything here is a comment: without changes it changes nothing.
# "msdflash config check" finds mistakes, "msdflash config show" tells what is in force.
# Relative paths count from this file's own folder.
"""

_BOARD = f"""\
# One section for each board that needs one: by the probe's unique id, as "msdflash boards" lists it, or by its USB port on Linux
# ("{PORT}1-2.3", the folder's name in /sys/bus/usb/devices) for whatever probe is plugged in there.
#[board."066DFF323532543457112345"]
"""

_PAGE = """\
# Configuration file

This page is made from the table of keys (`msdflash/daemon/config_keys.py`).

TOML. The file in force is the one that `--config` names, else this user's, else the whole machine's; `msdflash run` tells at its start
which one it is. A system service is started with the machine's. The file is called `msdflash.toml` and lies in

| | Linux | macOS | Windows |
|---|---|---|---|
| user | `~/.config/msdflash` | `~/Library/Application Support/msdflash` | `%LOCALAPPDATA%\\msdflash` |
| machine | `/etc/xdg/msdflash` | `/Library/Application Support/msdflash` | `%ProgramData%\\msdflash` |

```
msdflash config sample          a documented sample, all of it comments
msdflash config check [FILE]    exit status 0: right; 2: every mistake, one a line, with file, line, key, value and what is allowed
msdflash config show [--config FILE]    what is in force, and from where
```

Options of the command line go first, then the section by unique id, then the section by port. Ports are known on Linux only; elsewhere
such a section matches nothing, and `run` says so. Relative paths count from the file's own folder; `~` is the user's.
"""

_RELOAD = """\
## While the daemon runs

The file is read again when it changes (its time, size or identity; looked at twice a second, which costs one `stat`) and on SIGHUP
(`msdflash service` installs that as the unit's reload). A file with a mistake changes nothing: the last good one stays in force, and the
log names every mistake. A file that is gone counts as wrong, too.

The last column above says when a changed value holds. A lane is restarted only while it is idle: a job that has begun is finished with the
values it began with, and a drop that is on its way is not lost, as the journal and the folder say what is there. Boards whose section did
not change are left alone. Options of the command line stay what they were.
"""


def sample(*, drives: str | None = None) -> str:
    """A documented configuration file. All keys are comments, but ``drives`` if it is given (TOML text)."""
    parts = [_INTRO]
    for key in TOP_KEYS:
        given = drives if key.name == "drives" else None
        parts.append(_entry(key, given))
    parts.append(_BOARD)
    parts += [_entry(key) for key in BOARD_KEYS]
    return "\n".join(parts)


def config_md() -> str:
    """docs/config.md."""
    parts = [_PAGE, "## Keys\n"]
    parts.append(_table(TOP_KEYS))
    parts.append(f'In a section `[board."SERIAL"]` or `[board."{PORT}BUS-PORT"]`:\n')
    parts.append(_table(BOARD_KEYS))
    parts.append(_RELOAD)
    parts.append("## Sample\n")
    parts.append(f"```toml\n{sample()}```\n")
    return "\n".join(parts)


def _entry(key: Key, value: str | None = None) -> str:
    words = f"{key.meaning} Allowed: {key.allowed}. Default: {key.default.replace('`', '')}."
    comment = textwrap.fill(words, 110, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    return f"{comment}\n{'#' if value is None else ''}{key.name} = {key.sample if value is None else value}\n"


def _table(keys: tuple[Key, ...]) -> str:
    rows = [f"| `{k.name}` | {k.kind} | {k.allowed} | {k.default} | {k.meaning} | {k.takes} |" for k in keys]
    return "\n".join(["| key | type | allowed | default | meaning | a change holds |", "|---|---|---|---|---|---|", *rows, ""])
