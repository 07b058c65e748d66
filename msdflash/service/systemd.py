"""The installation on Linux: a unit, udev rules, and for the whole machine a user of its own and the shared drives folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.daemon.config_file import toml_text
from msdflash.daemon.config_md import sample
from msdflash.service.plan import Command, Plan, PutFile, PutFolder, Site
from msdflash.service.templates import filled, systemd_command, systemd_word, template, tmpfiles_path

if TYPE_CHECKING:
    from pathlib import Path

UNIT = "msdflash.service"


def plan(site: Site, units: Path, etc: Path) -> Plan:
    """What is installed. ``units``: folder of unit files; ``etc``: where the machine's other settings lie."""
    return _system(site, units, etc) if site.system else _user(site, units)


def _system(site: Site, units: Path, etc: Path) -> Plan:
    sysusers, tmpfiles = etc / "sysusers.d" / "msdflash.conf", etc / "tmpfiles.d" / "msdflash.conf"
    command = (*site.program, "run", "--home", str(site.home), "--config", str(site.config))
    unit = filled("msdflash.service", EXEC=systemd_command(command), DRIVES=systemd_word(f"-{site.drives}"))
    folders = (PutFolder(site.drives, 0o2775, "drive folders; people of the group msdflash drop here"),)
    files = (
        PutFile(units / UNIT, unit, "the service"),
        PutFile(etc / "udev" / "rules.d" / "60-msdflash.rules", template("60-msdflash.rules").encode(), "access to debug probes"),
        PutFile(sysusers, template("sysusers.conf").encode(), "the user and group msdflash"),
        PutFile(tmpfiles, filled("tmpfiles.conf", DRIVES=tmpfiles_path(site.drives)), "owner, group and ACL of the drives folder"),
        PutFile(site.config, sample(drives=toml_text(str(site.drives))).encode(), "configuration", theirs=True),
    )
    reload = Command(("systemctl", "daemon-reload"), "systemd reads its units")
    udev = Command(("udevadm", "control", "--reload"), "udev reads its rules")
    return Plan(
        folders=folders,
        files=files,
        setup=(
            Command(("systemd-sysusers", str(sysusers)), "makes the user msdflash", "userdel msdflash", needed=True),
            Command(("systemd-tmpfiles", "--create", str(tmpfiles)), "gives the drives folder to the group msdflash", needed=True),
            udev,
            Command(("udevadm", "trigger", "--subsystem-match=usb", "--subsystem-match=hidraw"), "so do probes that are plugged in"),
            reload,
            Command(
                ("systemctl", "enable", UNIT), "starts with the machine", f"systemctl disable {UNIT}",
                rooted=("systemctl", "--root={root}", "enable", UNIT),
            ),
        ),
        teardown=(
            Command(
                ("systemctl", "disable", "--now", UNIT), "ends it and keeps it from starting",
                rooted=("systemctl", "--root={root}", "disable", UNIT),
            ),
        ),
        afterwards=(reload, udev),
        start=Command(("systemctl", "start", UNIT), "starts it", needed=True),
        stop=Command(("systemctl", "stop", UNIT), "ends it", needed=True),
        status=Command(("systemctl", "status", "--no-pager", "--lines=5", UNIT), "how it is"),
        notes=("who may drop: usermod -aG msdflash NAME (holds from that user's next login)", "start it: msdflash service start --system"),
        remains=("the user and group msdflash, as files belong to them: userdel msdflash",),
    )  # fmt: skip


def _user(site: Site, units: Path) -> Plan:
    command = systemd_command((*site.program, "run", "--config", str(site.config)))
    manager = ("systemctl", "--user")
    reload = Command((*manager, "daemon-reload"), "systemd reads your units")
    return Plan(
        folders=(),
        files=(
            PutFile(units / UNIT, filled("msdflash-user.service", EXEC=command), "the service"),
            PutFile(site.config, sample().encode(), "configuration", theirs=True),
        ),
        setup=(reload, Command((*manager, "enable", UNIT), "starts with your first login", f"systemctl --user disable {UNIT}")),
        teardown=(Command((*manager, "disable", "--now", UNIT), "ends it and keeps it from starting"),),
        afterwards=(reload,),
        start=Command((*manager, "start", UNIT), "starts it", needed=True),
        stop=Command((*manager, "stop", UNIT), "ends it", needed=True),
        status=Command((*manager, "status", "--no-pager", "--lines=5", UNIT), "how it is"),
        notes=(
            "to run without being logged in: loginctl enable-linger (undo: loginctl disable-linger)",
            "access to probes needs the udev rules, see README.md; start it: msdflash service start --user",
        ),
    )
