"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msdflash.daemon.config import (
    CONNECT_MODES,
    FAIL_FORMS,
    MOST_RETRIES,
    BoardOptions,
    parse_address,
    parse_connect,
    parse_fail_txt,
    parse_frequency,
    parse_retries,
    parse_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def add_probe(parser: argparse.ArgumentParser, *, many: bool = False) -> None:
    """``--probe`` and ``--sim``: which board."""
    group = parser if many else parser.add_mutually_exclusive_group()
    action = "append" if many else "store"
    again = "; may be given several times" if many else ""
    group.add_argument("--probe", metavar="UID", action=action, type=_probe, help=f"probe by its unique id, see `msdflash boards`{again}")
    group.add_argument(
        "--sim", metavar="SPEC", action=action, help=f"start a simulated board, such as nucleo-l476rg,probe=stlink-v3{again}"
    )


def add_connection(parser: argparse.ArgumentParser) -> None:
    """``--target``, ``--pack``, ``--frequency``, ``--connect``: how to reach the chip."""
    parser.add_argument(
        "--target", metavar="NAME", type=_checked(parse_target), help="pyOCD target or part; default: found out from board and chip"
    )
    parser.add_argument("--pack", metavar="FILE", type=_file, help="CMSIS-Pack with the target")
    parser.add_argument("--frequency", metavar="HZ", type=_checked(parse_frequency), help="SWD clock, such as 4M or 400k")
    parser.add_argument(
        "--connect",
        metavar="MODE",
        type=_checked(parse_connect),
        default="halt",
        help=f"{', '.join(CONNECT_MODES)}; default halt",
    )


def add_base(parser: argparse.ArgumentParser) -> None:
    """``--base``: where a file without addresses goes."""
    parser.add_argument("--base", metavar="ADDR", type=_checked(parse_address), help="address for a .bin; default: the chip's boot flash")


def add_retries(parser: argparse.ArgumentParser) -> None:
    """``--retries``: how often a failure may be got around."""
    parser.add_argument(
        "--retries",
        metavar="N",
        type=_checked(parse_retries),
        default=MOST_RETRIES,
        help=f"ways around a failure that may be tried where evidence says that they can help, 0 to {MOST_RETRIES}; default {MOST_RETRIES}",
    )


def add_fail_txt(parser: argparse.ArgumentParser) -> None:
    """``--fail-txt``: what a drive's FAIL.TXT looks like."""
    parser.add_argument(
        "--fail-txt",
        metavar="FORM",
        type=_checked(parse_fail_txt),
        default=FAIL_FORMS[0],
        help=f"{', '.join(FAIL_FORMS)} (DAPLink's two lines alone, the rest in WHY.TXT); default {FAIL_FORMS[0]}",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``: a machine reads it."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def board_options(options: argparse.Namespace) -> BoardOptions:
    """What the options say about a board."""
    return BoardOptions(
        target=options.target,
        base=getattr(options, "base", None),
        frequency=options.frequency,
        connect=options.connect,
        pack=options.pack,
        retries=getattr(options, "retries", MOST_RETRIES),
        fail_txt=getattr(options, "fail_txt", FAIL_FORMS[0]),
    )


def _checked(parse: Callable[[object], Any]) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed; allowed: {error}") from None

    return convert


def _probe(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise argparse.ArgumentTypeError("an empty unique id; `msdflash boards` lists the probes")
    return text.strip()


def _file(text: str) -> str:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    return str(path)
