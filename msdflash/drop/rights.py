"""Whose a file is, what its mode lets others do, and who we are: what somebody needs to know to make an unreadable file readable."""

from __future__ import annotations

import os
import stat
import sys

if sys.platform != "win32":
    import pwd


def rights(status: os.stat_result) -> dict[str, str]:
    """Facts for a report: ``owner`` and ``reader`` as ``uid (name)``, ``mode`` in octal. Empty on Windows, where these say nothing."""
    if sys.platform == "win32":
        return {}
    return {"owner": _user(status.st_uid), "mode": f"{stat.S_IMODE(status.st_mode):04o}", "reader": _user(os.geteuid())}


def _user(uid: int) -> str:
    if sys.platform != "win32":
        try:
            return f"uid {uid} ({pwd.getpwuid(uid).pw_name})"
        except (KeyError, OSError):
            pass  # of another machine, or of a container
    return f"uid {uid}"
