"""``msdflash run``: the daemon, in the foreground; a service manager does the rest."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msdflash.cli.options import add_base, add_connection, add_fail_txt, add_probe, add_retries, board_options

if TYPE_CHECKING:
    import argparse

    from msdflash.daemon.config import Config
    from msdflash.daemon.paths import Paths


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "run",
        help="serve a drive folder for each board",
        description="Make a folder for each board, flash what is dropped there, and answer with DETAILS.TXT or FAIL.TXT.",
        allow_abbrev=False,
    )
    parser.add_argument("--drives", metavar="DIR", help="folder for the boards' folders; default ~/msdflash")
    parser.add_argument("--config", metavar="FILE", help="TOML configuration, see docs/cli.md")
    add_probe(parser, many=True)
    add_connection(parser)
    add_base(parser)
    add_retries(parser)
    add_fail_txt(parser)
    parser.add_argument("--verbose", "-v", action="store_true", help="log more")
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; exit status 0 then."""
    import threading

    from msdflash.cli.bench import simulated
    from msdflash.cli.session import interruptible
    from msdflash.daemon.config import Config
    from msdflash.daemon.config_file import find_config, load_config
    from msdflash.daemon.paths import find_paths
    from msdflash.daemon.run import Daemon, Selection
    from msdflash.engine.pool import Pool
    from msdflash.engine.process import sweep
    from msdflash.engine.runner import Engine

    found = find_config(options.config)
    config = load_config(found.file) if found.file else Config()
    paths = find_paths().make()
    log_to_stderr(verbose=options.verbose)
    stop = threading.Event()
    with simulated(options.sim or []) as boards, interruptible(stop):
        drives = choose_drives(options.drives, config, paths)
        named = [board.serial for board in boards] + (options.probe or [])
        selection = Selection(drives=drives, serials=tuple(dict.fromkeys(named)), options=board_options(options), config=config)
        logging.getLogger("msdflash").info("drives in %s", drives)
        sweep()
        pool = Pool(warm=1)
        engine = Engine(pool)
        daemon = Daemon(paths, engine, selection)
        try:
            daemon.start()
            pool.keep(max(1, len(daemon.boards)))
            engine.warm_up()
            daemon.wait(stop)
            logging.getLogger("msdflash").info("ending")
        finally:
            ended = daemon.close()
            engine.close()
    return 0 if ended else 1


def choose_drives(option: str | None, config: Config, paths: Paths) -> Path:
    """The drives folder: command line, then configuration file, then the user's own."""
    if option:
        return Path(option).expanduser().absolute()
    return config.drives or paths.drives


def log_to_stderr(*, verbose: bool = False) -> None:
    """One line an event on standard error; without a time under systemd, whose journal has its own."""
    handler = logging.StreamHandler(sys.stderr)
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    handler.setFormatter(logging.Formatter(f"{stamp}%(levelname).1s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger("msdflash")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False
