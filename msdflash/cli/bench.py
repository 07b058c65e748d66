"""``--sim SPEC``: start simulated boards for the time of a command, and let the workers see them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import warnings
from typing import TYPE_CHECKING

from msdflash.errors import MsdflashError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from msdflash.sim.client import RunningBoard

MISSING = "simulated boards need the extra `sim`: pip install 'msdflash[sim]'"


@contextlib.contextmanager
def simulated(specs: Sequence[str]) -> Iterator[tuple[RunningBoard, ...]]:
    """The boards, served while the block runs; this process' environment then shows them to workers.

    Raises:
        UsageError: the extra is not installed, or a spec asks for what the bench does not have (the message says what it has).
    """
    if not specs:
        yield ()
        return
    if importlib.util.find_spec("unicorn") is None:
        raise UsageError(MISSING)
    from msdflash.sim import client
    from msdflash.sim.spec import SpecError, parse

    try:
        parsed = [parse(spec) for spec in specs]
    except SpecError as error:
        raise UsageError(f"--sim: {error}") from error
    serials = [spec.serial for spec in parsed]
    if len(set(serials)) < len(serials):
        raise UsageError("--sim: two boards with the same serial; add serial=ID to one of them")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # no login session: the fallback is as good
        bus = client.bus_folder()
    with contextlib.ExitStack() as stack:
        boards: list[RunningBoard] = []
        for spec in parsed:
            served = next((board for board in client.boards(bus) if board.serial == spec.serial), None)
            if served is not None and served.spec != spec.text():
                raise UsageError(f"--sim: a board with this serial is served already, as {served.spec}; add another serial=ID")
            try:
                boards.append(stack.enter_context(client.start(spec, owned=True, bus=bus)))
            except client.BenchError as error:
                raise MsdflashError(f"the simulated board does not start: {error}") from error
        variables = client.environment(bus)
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield tuple(boards)
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
