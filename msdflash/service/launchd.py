"""The installation on macOS: a LaunchDaemon that runs as an ordinary account, or a LaunchAgent of this user. See launchd.plist(5)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msdflash.daemon.config_file import toml_text
from msdflash.daemon.config_md import sample
from msdflash.service.plan import Command, Plan, PutFile, PutFolder, Site
from msdflash.service.templates import filled, xml_text

if TYPE_CHECKING:
    from pathlib import Path

DAEMON, AGENT = "org.msdflash.daemon", "org.msdflash.agent"


def plan(site: Site, units: Path) -> Plan:
    """What is installed. ``units``: folder of property lists."""
    label = DAEMON if site.system else AGENT
    domain = "system" if site.system else f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"
    file = units / f"{label}.plist"
    arguments = [*site.program, "run", *(("--home", str(site.home)) if site.system else ()), "--config", str(site.config)]
    content = filled(
        f"{label}.plist",
        ARGUMENTS="\n".join(f"\t\t<string>{xml_text(word)}</string>" for word in arguments),
        USER=xml_text(site.user),
        LOG=xml_text(str(site.home / "daemon.log")),
    )
    folders = [PutFolder(site.home, 0o750, "state, logs and locks")]
    setup: list[Command] = []
    if site.system:
        folders.append(PutFolder(site.drives, 0o2775, "drive folders"))
        setup = [
            Command(("chown", site.user, str(site.home)), f"state belongs to {site.user}", needed=True),
            Command(("chown", f"{site.user}:staff", str(site.drives)), f"drives belong to {site.user} and to everybody with an account"),
        ]
    words = sample(drives=toml_text(str(site.drives))) if site.system else sample()
    return Plan(
        folders=tuple(folders),
        files=(PutFile(file, content, "the service"), PutFile(site.config, words.encode(), "configuration", theirs=True)),
        setup=tuple(setup),
        teardown=(Command(("launchctl", "bootout", f"{domain}/{label}"), "ends it and keeps it from starting"),),
        afterwards=(),
        start=Command(("launchctl", "bootstrap", domain, str(file)), "starts it", needed=True),
        stop=Command(("launchctl", "bootout", f"{domain}/{label}"), "ends it until the next start of the machine", needed=True),
        status=Command(("launchctl", "print", f"{domain}/{label}"), "how it is"),
        notes=(f"it starts with {'the machine' if site.system else 'your login'}; now: msdflash service start",),
    )
