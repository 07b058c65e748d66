"""``msdflash sim``: the simulated bench from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

OK, WRONG_USE = 0, 2


def out(line: str) -> None:
    """One line for the user or for a program."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def err(line: str) -> None:
    """One line about what went wrong."""
    sys.stderr.write(f"{line}\n")


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add ``sim`` with its ``list``, ``serve`` and ``set``.

    Each sets ``handler`` in the parsed arguments: a function that takes them and returns the exit status (0 done, 2 wrong use,
    3 this serial is served already).
    """
    parser = subparsers.add_parser("sim", help="simulated boards that a stock pyOCD sees")
    commands = parser.add_subparsers(dest="sim_command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="boards that are served now, and what can be served")
    listing.add_argument("--json", action="store_true", help="for programs")
    listing.set_defaults(handler=list_boards)

    serving = commands.add_parser("serve", help="serve one board until interrupted")
    serving.add_argument("spec", metavar="SPEC", help="BOARD[,probe=KIND][,serial=ID][,fault=NAME[:ARG]]...[,time=on]")
    serving.set_defaults(handler=serve_board)

    changing = commands.add_parser("set", help="change a board that is served")
    changing.add_argument("serial", metavar="SERIAL")
    changing.add_argument("changes", metavar="CHANGE", nargs="+", help="fault=NAME[:ARG], fault=none, power=on, power=off, unplug, replug")
    changing.set_defaults(handler=set_board)

    for each in (listing, serving, changing):
        each.add_argument("--bus", type=Path, help="bus folder (default: MSDFLASH_SIM_BUS, else a private run-time folder)")


def list_boards(options: argparse.Namespace) -> int:
    """``msdflash sim list``."""
    from msdflash.sim import client
    from msdflash.sim.boards import BOARDS
    from msdflash.sim.spec import PROBES

    bus = options.bus or client.bus_folder(create=False)
    served = client.boards(bus)
    if options.json:
        found = [{"serial": each.serial, "spec": each.spec, "pid": each.pid, "plugged": each.plugged} for each in served]
        out(json.dumps({"bus": str(bus), "served": found, "boards": list(BOARDS), "probes": list(PROBES)}))
        return OK
    for each in served:
        out(f"{each.serial}  {each.spec}  pid {each.pid}{'' if each.plugged else '  (unplugged)'}")
    if not served:
        out(f"no board is served on {bus}")
    out(f"boards: {', '.join(BOARDS)}; probes: {', '.join(PROBES)}")
    return OK


def serve_board(options: argparse.Namespace) -> int:
    """``msdflash sim serve``."""
    from msdflash.sim import client
    from msdflash.sim.spec import SpecError, parse

    try:
        spec = parse(options.spec)
    except SpecError as error:
        err(str(error))
        return WRONG_USE
    try:
        from msdflash.sim.serve import serve
    except ImportError as error:
        err(f"the bench needs {error.name}: pip install 'msdflash[sim]'")
        return WRONG_USE
    bus = options.bus or client.bus_folder()
    bus.mkdir(mode=0o700, parents=True, exist_ok=True)

    def ready() -> None:
        out(f"{spec.serial} is on the bus: {spec.text()}")
        out(f"a stock pyocd sees it with {client.BUS_VARIABLE}={bus} in its environment; Ctrl-C ends it, its flash is kept")

    return serve(spec, bus, owned=False, ready=ready)


def set_board(options: argparse.Namespace) -> int:
    """``msdflash sim set``."""
    from msdflash.sim import client

    try:
        for each in options.changes:
            client.change(options.serial, each, options.bus)
    except client.BenchError as error:
        err(str(error))
        return WRONG_USE
    return OK
