"""``msdflash config``: the configuration file's sample, its check, and what is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "config",
        help="sample, check or show the configuration",
        description="The configuration file of `msdflash run`: a sample, a check, and what is in force.",
        allow_abbrev=False,
    )
    parts = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    sample = parts.add_parser("sample", help="print a documented sample, all of it comments", allow_abbrev=False)
    sample.set_defaults(handler=run_sample)
    check = parts.add_parser("check", help="name every mistake with its line; exit status 0: none, 2: some", allow_abbrev=False)
    check.add_argument("file", metavar="FILE", nargs="?", help="default: the file in force")
    check.set_defaults(handler=run_check)
    show = parts.add_parser("show", help="what is in force, and from where", allow_abbrev=False)
    show.add_argument("--config", metavar="FILE", help="as for run")
    show.set_defaults(handler=run_show)


def run_sample(_options: argparse.Namespace) -> int:
    """Print the sample."""
    from msdflash.cli.output import say
    from msdflash.daemon.config_md import sample

    say(sample().rstrip("\n"))
    return 0


def run_check(options: argparse.Namespace) -> int:
    """Check a file; mistakes end in status 2."""
    from msdflash.cli.output import say
    from msdflash.daemon.config_file import find_config, load_config

    found = find_config(options.file)
    if found.file is None:
        say(f"no configuration file: {found.why}")
        return 0
    load_config(found.file)
    say(f"{found.file}: nothing is wrong")
    return 0


def run_show(options: argparse.Namespace) -> int:
    """Print what is in force; a file with mistakes ends in status 2."""
    from msdflash.cli.output import say
    from msdflash.daemon.config_file import find_config, in_force, read_config
    from msdflash.daemon.paths import find_paths
    from msdflash.errors import UsageError

    found = find_config(options.config)
    loaded = None if found.file is None else read_config(found.file)
    if loaded is not None and loaded.problems:
        raise UsageError(loaded.told())
    say(f"# {found.file or 'no file'} ({found.why})")
    for line in in_force(loaded, find_paths().drives):
        say(line)
    return 0
