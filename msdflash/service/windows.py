"""The installation on Windows: a task of the Task Scheduler, which every Windows has; nothing is downloaded.

A wrapper such as WinSW could end the daemon gently, but it is a foreign program to fetch, to trust and to update. The task is ended
hard; that costs nothing, because the journal is made for it. Elements: [MS-TSCH] 2.5; S-1-5-19 is LocalService ([MS-DTYP] 2.4.2.4, from
memory), S-1-5-32-545 the group Users, S-1-5-32-544 Administrators, S-1-5-18 the system itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.daemon.config_file import toml_text
from msdflash.daemon.config_md import sample
from msdflash.service.plan import Command, Plan, PutFile, PutFolder, Site
from msdflash.service.templates import filled, windows_arguments, xml_text

if TYPE_CHECKING:
    from pathlib import Path

TASK = "msdflash"
LOCAL_SERVICE, USERS, ADMINISTRATORS, SYSTEM = "*S-1-5-19", "*S-1-5-32-545", "*S-1-5-32-544", "*S-1-5-18"
_MODIFY, _FULL = ":(OI)(CI)M", ":(OI)(CI)F"
"""Rights as icacls writes them: for the folder, and inherited by files and folders in it."""


def plan(site: Site) -> Plan:
    """What is installed. The task's file lies in the service's home; the Task Scheduler keeps a copy of its own."""
    file = site.home / "msdflash-task.xml"
    arguments = ["run", *(("--home", str(site.home)) if site.system else ()), "--config", str(site.config)]
    content = filled(
        "msdflash-task.xml" if site.system else "msdflash-task-user.xml",
        COMMAND=xml_text(site.program[0]),
        ARGUMENTS=xml_text(windows_arguments([*site.program[1:], *arguments])),
        HOME=xml_text(str(site.home)),
        USER=xml_text(site.user),
    ).decode()
    folders = [PutFolder(site.home, 0o700, "state, logs and locks")]
    setup: list[Command] = []
    if site.system:
        folders.append(PutFolder(site.drives, 0o775, "drive folders"))
        setup = [_grant(site.home, "only the service and administrators get at its state", private=True)]
        setup.append(_grant(site.drives, "the service and every user may drop", private=False))
    setup.append(
        Command(
            ("schtasks", "/Create", "/TN", TASK, "/XML", str(file), "/F"),
            f"starts with {'the machine' if site.system else 'your login'}",
            f"schtasks /Delete /TN {TASK} /F",
            needed=True,
        )
    )
    words = sample(drives=toml_text(str(site.drives))) if site.system else sample()
    stop = Command(("schtasks", "/End", "/TN", TASK), "ends it", needed=True)
    return Plan(
        folders=tuple(folders),
        files=(
            # schtasks takes the form in which Windows itself exports tasks: UTF-16 with its mark.
            PutFile(file, ('<?xml version="1.0" encoding="UTF-16"?>\n' + content).encode("utf-16"), "the task"),
            PutFile(site.config, words.encode(), "configuration", theirs=True),
        ),
        setup=tuple(setup),
        teardown=(stop, Command(("schtasks", "/Delete", "/TN", TASK, "/F"), "the task is gone")),
        afterwards=(),
        start=Command(("schtasks", "/Run", "/TN", TASK), "starts it", needed=True),
        stop=stop,
        status=Command(("schtasks", "/Query", "/TN", TASK, "/V", "/FO", "LIST"), "how it is"),
        notes=("start it now: msdflash service start",),
    )


def _grant(folder: Path, purpose: str, *, private: bool) -> Command:
    others = ("/inheritance:r", ADMINISTRATORS + _FULL, SYSTEM + _FULL) if private else (USERS + _MODIFY,)
    switches = tuple(word for word in others if word.startswith("/"))
    rights = (LOCAL_SERVICE + _MODIFY, *(word for word in others if not word.startswith("/")))
    return Command(("icacls", str(folder), *switches, "/grant", *rights), purpose, needed=True)
