"""What the program in the chip, its supply and its jumpers do to a debugger: bench boards, one attempt each, and what must be told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from msdflash.diagnose.rules import diagnose
from msdflash.engine.pool import Pool
from msdflash.engine.runner import Engine
from msdflash.job.order import Connection, FlashOrder
from msdflash.job.outcome import Outcome
from msdflash.sim import client, scripts
from msdflash.sim.boards import BOARDS
from msdflash.sim.contents import lay_down, program
from msdflash.sim.spec import parse


class Row(msgspec.Struct, frozen=True):
    """A board as it is found, and what must be said of it.

    Attributes:
        board, probe: of the bench.
        before: the program in it, out of :data:`msdflash.sim.scripts.SCRIPTS`, or "": blank.
        first: the leading cause and how sure it is; "" for nothing at all.
        also: further causes that must be told, each with its confidence.
        faults: of the bench.
        good: it is flashed and proved all the same.
        connect: how msdflash was told to connect.
    """

    board: str
    probe: str
    before: str
    first: str
    also: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    good: bool = False
    connect: str = "halt"


DAP, V21, V3 = "cmsis-dap", "stlink-v2-1", "stlink-v3"
PAIR = ("deep-sleep possible", "swd-pins-taken possible")
ROWS: tuple[Row, ...] = (
    Row("nucleo-l476rg", V3, "count", "brown-out likely", faults=("weak-supply:1",)),
    Row("nucleo-l476rg", DAP, "count", "boot-source certain", faults=("boot0-high",), good=True),
    Row("nucleo-l476rg", DAP, "standby", "debug-off likely", PAIR),
    Row("nucleo-l476rg", V3, "standby", "debug-off likely", PAIR),
    Row("nucleo-l476rg", DAP, "standby", "", good=True, connect="under-reset"),
    Row("stm32f103rc", V21, "pins-taken", "debug-off likely", PAIR),
    Row("stm32f103rc", V21, "pins-taken", "", good=True, connect="under-reset"),
    Row("nucleo-l476rg", DAP, "stop", "asleep likely", ("debug-power-not-acknowledged certain",)),
    Row("nucleo-l476rg", V3, "stop", "asleep likely"),
    Row("stm32f103rc", V21, "wfi", "asleep likely", ("no-ap certain",)),
    Row("stm32f103rc", V21, "wfi", "", good=True, connect="under-reset"),
    Row("nucleo-l476rg", DAP, "count", "brown-out likely", faults=("weak-supply:2",)),
    Row("frdm-k64f", DAP, "count", "brown-out likely", faults=("weak-supply:1",)),
    Row("nucleo-l476rg", DAP, "count", "link-noise certain", faults=("slow-edges:500000",)),
    Row("nucleo-l476rg", V3, "count", "link-noise certain", faults=("slow-edges:500000:parity",)),
    Row("nrf52840-dk", DAP, "watchdog", "watchdog likely", ("reset-loop likely",), good=True),
    Row("lpc1768-mbed", DAP, "", "swd-silent certain", ("lpc-crp possible",), ("crp",)),
    Row("nucleo-l476rg", DAP, "standby", "swd-silent certain", ("nreset-no-effect possible", *PAIR), ("nreset-open",)),
    Row("nucleo-h743zi", V3, "supply-bypass", "swd-silent certain", ("supply-set-wrong possible",)),
    Row("nucleo-l476rg", V3, "count", "swd-silent certain", ("chip-dead possible",), ("vdda-open",)),
    Row("nrf51-dk", DAP, "count", "swd-silent certain", ("level-mismatch possible", "no-target-power possible"), ("vdd:5.0",)),
)
"""The first two run always; all with ``-m slow``."""


LONGEST = 5.0
"""Seconds from the beginning of the step that failed to the end of the job: the first step's own work and all that is measured after it."""


def spent(outcome: Outcome) -> float:
    """Seconds since the failed step began, rescue and closing included; 0 for a good job."""
    names = list(outcome.timings)
    failed = outcome.failure.step.value if outcome.failure else ""
    return sum(list(outcome.timings.values())[names.index(failed) :]) if failed in names else 0.0


def play(row: Row, folder: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> str:
    """What is wrong with the answer, or ""."""
    bus = folder / "bus"
    bus.mkdir(mode=0o700, parents=True)
    spec = parse(",".join([row.board, f"probe={row.probe}", *(f"fault={fault}" for fault in row.faults)]))
    if row.before:
        lay_down(spec, bus, {0x0800_0000 if BOARDS[row.board].st_chip else 0: scripts.image(row.board, row.before)})
    file = folder / "program.bin"
    file.write_bytes(program(row.board))
    for name, value in client.environment(bus, only=True).items():
        monkeypatch.setenv(name, value)
    with client.start(spec, bus=bus) as board:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        outcome = engine.run(FlashOrder("1", Connection(board.serial, connect=row.connect), str(file), file.name, digest))
        arrived = board.flash()[: len(file.read_bytes())] == file.read_bytes()
    result = diagnose(outcome)
    told = [f"{item.cause} {item.confidence}" for item in result.findings]
    wrong = {
        "FALSE SUCCESS": outcome.proved and not arrived,
        "not flashed" if row.good else "flashed": outcome.proved != row.good,
        f"leads with {told[:1]}": (told[0] if told else "") != row.first,
        f"does not tell {set(row.also) - set(told)}": bool(set(row.also) - set(told)),
        f"took {spent(outcome):.1f} s to say so": spent(outcome) > LONGEST,
    }
    return "; ".join(text for text, is_wrong in wrong.items() if is_wrong)


def judge(rows: tuple[Row, ...], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(Pool(warm=0))
    try:
        wrong = {
            f"{row.board} {row.probe} {row.before} {row.faults}": found
            for number, row in enumerate(rows)
            if (found := play(row, folder / str(number), monkeypatch, engine))
        }
    finally:
        engine.close()
    assert wrong == {}


def test_a_supply_that_breaks_down_and_a_boot_pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(ROWS[:2], tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(ROWS, tmp_path, monkeypatch)
