"""``msdflash run``: the daemon, in the foreground; a service manager does the rest."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from msdflash.cli.options import add_base, add_connection, add_fail_txt, add_probe, add_retries, board_options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

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
    parser.add_argument("--config", metavar="FILE", help="TOML configuration, see docs/config.md; default: this user's, else the machine's")
    parser.add_argument("--home", metavar="DIR", help="state, logs, locks and drives below this folder, as MSDFLASH_HOME does")
    add_probe(parser, many=True)
    add_connection(parser)
    add_base(parser)
    add_retries(parser)
    add_fail_txt(parser)
    parser.add_argument("--volume", action="store_true", help="offer each board's folder as a volume, too, see docs/drive.md")
    parser.add_argument("--verbose", "-v", action="store_true", help="log more")
    parser.set_defaults(handler=run)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; exit status 0 then."""
    from msdflash.cli.bench import simulated
    from msdflash.cli.session import interruptible
    from msdflash.daemon.attend import Attendant
    from msdflash.daemon.config import Config
    from msdflash.daemon.config_file import find_config, load_config
    from msdflash.daemon.notify import Notifier
    from msdflash.daemon.paths import HOME_VARIABLE, find_paths
    from msdflash.daemon.reload import Reload
    from msdflash.daemon.run import Daemon, Selection
    from msdflash.engine.pool import Pool
    from msdflash.engine.process import sweep
    from msdflash.engine.runner import Engine

    found = find_config(options.config)
    config = load_config(found.file) if found.file else Config()
    paths = find_paths({HOME_VARIABLE: options.home} if options.home else None).make()
    log_to_stderr(verbose=options.verbose)
    logging.getLogger("msdflash").info("configuration: %s (%s)", found.file or "none", found.why)
    stop = threading.Event()
    with simulated(options.sim or []) as boards, interruptible(stop):
        drives = choose_drives(options.drives, config, paths)
        named = [board.serial for board in boards] + (options.probe or [])
        selection = Selection(
            drives=drives,
            serials=tuple(dict.fromkeys(named)),
            options=board_options(options),
            config=config,
            real_drives=config.real_drives,
            volume=options.volume or config.volume,
        )
        logging.getLogger("msdflash").info("drives in %s", drives)
        sweep()
        pool = Pool(warm=1)
        engine = Engine(pool)
        daemon = Daemon(paths, engine, selection)
        reload = Reload(found, options.config, daemon.reconfigure)
        attendant = Attendant(daemon.lanes, Notifier(), reload)
        try:
            with on_hangup(reload.request, stop.set):
                daemon.start()
                pool.keep(max(1, len(daemon.boards)))
                engine.warm_up()
                daemon.wait(stop, attendant.look)
            logging.getLogger("msdflash").info("ending")
        finally:
            attendant.end()
            ended = daemon.close()
            engine.close()
    return 0 if ended else 1


@contextlib.contextmanager
def on_hangup(reload: Callable[[], object], gone: Callable[[], object], streams: tuple[int, ...] = (0, 1, 2)) -> Iterator[None]:
    """SIGHUP calls ``reload``, or ``gone`` if a terminal that was there has been closed. Only in the main thread, and not on Windows."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    terminals = [stream for stream in streams if os.isatty(stream)]

    def heard(_number: int, _frame: object) -> None:
        (reload if not terminals or any(os.isatty(stream) for stream in terminals) else gone)()

    before = signal.signal(signal.SIGHUP, heard)
    try:
        yield
    finally:
        # One that comes while the daemon ends must not kill it.
        signal.signal(signal.SIGHUP, before if before is not signal.SIG_DFL else signal.SIG_IGN)


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
