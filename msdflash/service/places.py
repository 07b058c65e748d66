"""Where each system has its services, and which command starts msdflash there."""

from __future__ import annotations

import getpass
import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from msdflash.daemon.config_file import site_file, user_file
from msdflash.daemon.paths import find_paths
from msdflash.errors import UsageError
from msdflash.service import launchd, systemd, windows
from msdflash.service.plan import Site

if TYPE_CHECKING:
    from msdflash.service.plan import Plan

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - named to be refused
"""Folders that the hardened unit cannot see (ProtectHome=, PrivateTmp=)."""


def program() -> tuple[str, ...]:
    """The command of this installation: its script, else its interpreter with the module, without the present folder in its path."""
    name = "msdflash.exe" if sys.platform == "win32" else "msdflash"
    script = Path(sysconfig.get_path("scripts")) / name
    return (str(script),) if script.is_file() else (sys.executable, "-P", "-m", "msdflash")


def check_program(command: tuple[str, ...]) -> None:
    """Raises UsageError if a system service on Linux could not start it: it lies where the unit sees nothing."""
    places = {Path(command[0]).absolute(), Path(os.path.realpath(command[0]))}
    if command == program():
        places |= {Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable))}
    for place in sorted(places):
        inside = next((folder for folder in HIDDEN if place.is_relative_to(folder)), None)
        if inside:
            raise UsageError(
                f"msdflash is installed in {place}, and a system service sees nothing below {inside}. Install it for the whole machine "
                "(python3 -m venv /opt/msdflash && /opt/msdflash/bin/pip install msdflash, then /opt/msdflash/bin/msdflash service install "
                "--system), or name another with --program, or use --user."
            )


def site_of(*, system: bool, command: tuple[str, ...], run_as: str | None = None, platform: str = sys.platform) -> Site:
    """The site of a service here. Raises UsageError if an account must be named."""
    if not system:
        paths = find_paths()
        return Site(False, command, user_file(), paths.drives, paths.state, _me())
    if platform == "win32":
        base = platformdirs.site_data_path("msdflash", appauthor=False)
        return Site(True, command, site_file(), base / "drives", base / "service")
    if platform == "darwin":
        user = run_as or os.environ.get("SUDO_USER", "")
        if not user or user == "root":
            raise UsageError("name the account that runs the service with --run-as; it needs no rights beside its own")
        base = Path("/Library/Application Support/msdflash")
        return Site(True, command, base / "msdflash.toml", Path("/Users/Shared/msdflash"), base / "service", user)
    return Site(True, command, Path("/etc/xdg/msdflash/msdflash.toml"), Path("/srv/msdflash"), Path("/var/lib/msdflash"))


def plan_of(site: Site, platform: str = sys.platform) -> Plan:
    """The plan of an installation here. Raises UsageError for a path that no service file can hold."""
    if platform == "win32":
        return windows.plan(site)
    if platform == "darwin":
        return launchd.plan(site, Path("/Library/LaunchDaemons") if site.system else Path.home() / "Library" / "LaunchAgents")
    etc = Path("/etc")
    units = etc / "systemd" / "system" if site.system else _user_units()
    return systemd.plan(site, units, etc)


def _user_units() -> Path:
    return platformdirs.user_config_path() / "systemd" / "user"


def _me() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for this id, as in a container
        return ""
