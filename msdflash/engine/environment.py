"""What a worker process inherits: an allow-list of variables and isolated interpreter options.

pyOCD runs ``pyocd_user.py`` out of its working directory and takes options from ``PYOCD_*``; Python imports from the
working directory and from ``PYTHON*`` variables. A dropped file must reach neither, so a worker gets none of these
variables and an empty folder to stand in.
"""

from __future__ import annotations

import site
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msdflash

if TYPE_CHECKING:
    from collections.abc import Mapping

_POSIX = (
    "HOME", "PATH", "USER", "LOGNAME", "SHELL", "TZ", "LANG", "LANGUAGE",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH",
)  # fmt: skip

# Without SYSTEMROOT sockets and random numbers fail on Windows; the rest finds user folders and DLLs.
_WINDOWS = (
    "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "USERNAME", "HOMEDRIVE",
    "HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "NUMBER_OF_PROCESSORS",
    "PROCESSOR_ARCHITECTURE", "OS",
)  # fmt: skip

KEPT = frozenset((*_POSIX, *_WINDOWS))
"""Names of variables that a worker keeps (compared in upper case: Windows does not tell them apart)."""

KEPT_PREFIXES = ("LC_", "XDG_", "LIBUSB_", "MSDFLASH_SIM_")
"""A worker also keeps variables that begin so: locale, user folders, libusb's own switches, the simulated bench."""


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of ``environ`` that a worker may see, and the search path of a package run from its checkout."""
    kept = {name: value for name, value in environ.items() if name.upper() in KEPT or name.upper().startswith(KEPT_PREFIXES)}
    root = _package_root()
    if root.name not in ("site-packages", "dist-packages"):
        kept["PYTHONPATH"] = str(root)
    return kept


def worker_command() -> list[str]:
    """The default command line of a worker: this interpreter, nothing importable from the working directory."""
    options = ["-P"]
    # An installation below the user's own site folder needs that folder; every other one is better off without it.
    user_site = site.getusersitepackages()
    if not _package_root().is_relative_to(user_site):
        options.append("-s")
    return [sys.executable, *options, "-m", "msdflash.worker"]


def _package_root() -> Path:
    return Path(msdflash.__file__).resolve().parent.parent
