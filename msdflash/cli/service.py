"""``msdflash service``: run without anybody logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from msdflash.service.setup import Setup

ACTIONS = {
    "install": "write the service's files and enable it; each thing is told, with how to undo it",
    "uninstall": "undo that; history stays",
    "start": "start it now",
    "stop": "end it; a job that is programming is finished first",
    "status": "how it is; exit status 0: it runs",
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "service",
        help="install, start or stop the service",
        description="Run without anybody logged in: systemd, launchd, or the Task Scheduler of Windows. See docs/service.md.",
        allow_abbrev=False,
    )
    parts = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, words in ACTIONS.items():
        part = parts.add_parser(name, help=words, description=words, allow_abbrev=False)
        scope = part.add_mutually_exclusive_group()
        scope.add_argument("--system", action="store_true", help="for the whole machine; default for an administrator on Linux and macOS")
        scope.add_argument("--user", action="store_true", help="for this user; default for others")
        if name in ("install", "uninstall"):
            part.add_argument("--root", metavar="DIR", help="place the files below this folder, for an image or a package")
        if name == "install":
            part.add_argument("--program", metavar="PATH", help="msdflash as the service will find it; default: this one")
            part.add_argument("--run-as", metavar="USER", help="macOS: the account that runs a service of the machine")
        part.set_defaults(handler=run, action=name)


def run(options: argparse.Namespace) -> int:
    """Carry out one action."""
    setup = _setup(options)
    if options.action == "install":
        setup.install()
        return 0
    if options.action == "uninstall":
        setup.uninstall()
        return 0
    status = setup.call({"start": setup.plan.start, "stop": setup.plan.stop, "status": setup.plan.status}[options.action])
    return 0 if status == 0 else 1


def _setup(options: argparse.Namespace) -> Setup:
    import os
    import sys
    from pathlib import Path

    from msdflash.cli.output import say
    from msdflash.errors import UsageError
    from msdflash.service.places import check_program, plan_of, program, site_of
    from msdflash.service.setup import Setup

    system = options.system or (not options.user and sys.platform != "win32" and os.geteuid() == 0)
    named = getattr(options, "program", None)
    command = (str(Path(named).expanduser().absolute()),) if named else program()
    run_as = getattr(options, "run_as", None)
    if run_as and sys.platform != "darwin":
        raise UsageError("--run-as is for macOS; elsewhere the service has an account of its own")
    root = getattr(options, "root", None)
    if options.action == "install" and system and sys.platform == "linux" and not root:
        check_program(command)
    if options.action != "install" and sys.platform == "darwin":
        run_as = run_as or os.environ.get("SUDO_USER") or "nobody"  # the account is only written by install
    site = site_of(system=system, command=command, run_as=run_as)
    return Setup(plan_of(site), site, Path(root).absolute() if root else None, say)
