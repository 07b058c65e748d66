"""Every kind of probe through ``msdflash flash``, and every USB fault through worker and diagnosis to its cause."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from msdflash.cli import main
from msdflash.daemon.paths import HOME_VARIABLE
from msdflash.diagnose.observed import was_observed
from msdflash.diagnose.rules import diagnose
from msdflash.engine.pool import Pool
from msdflash.engine.runner import Engine
from msdflash.job.order import Connection, FlashOrder
from msdflash.sim import client
from msdflash.sim.client import RunningBoard
from msdflash.sim.spec import parse

scene = sys.modules["main_path_stage"]
KINDS = ("cmsis-dap-v1", "cmsis-dap-v1-ep0", "stlink-v2-1", "stlink-v2-old")
LINUX = sys.platform == "linux"

CAUSES: dict[str, tuple[str, str]] = {
    "no-permission": ("usb-permission", "certain"),
    "busy": ("probe-busy", "certain"),
    "stall:in": ("probe-fw-fault", "likely"),
    "short-packet:30": ("probe-fw-fault", "likely"),
    "disconnect-reenumerate:60:5000": ("probe-vanished", "certain"),
    "hang": ("probe-hung", "certain"),
}
"""What is told first, on each kind of probe."""


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bus and a home of the test's own, for this process and its workers."""
    for name, value in client.environment(tmp_path / "bus", only=True).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "bus"


@pytest.fixture
def serve(bus: Path) -> Iterator[Callable[..., dict[str, RunningBoard]]]:
    """Boards by their specs, without "nucleo-l476rg" where that is the board."""
    running: list[RunningBoard] = []

    def start(*specs: str, board: str = "nucleo-l476rg") -> dict[str, RunningBoard]:
        found = {}
        for spec in specs:
            found[spec] = client.start(parse(f"{board},probe={spec}"), bus=bus)
            running.append(found[spec])
        return found

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def engine(bus: Path) -> Iterator[Engine]:
    found = Engine(Pool(warm=2))
    yield found
    found.close()


def flash(engine: Engine, probe: str, path: Path) -> Any:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return engine.run(FlashOrder(job="1", connection=Connection(probe), path=str(path), name=path.name, sha256=digest))


def told(outcome: Any) -> list[tuple[str, str]]:
    return [(item.cause, item.confidence.value) for item in diagnose(outcome).findings]


def reading(outcome: Any, name: str) -> Any:
    return next((item.value for item in reversed(outcome.readings) if item.name == name), None)


def test_every_kind_flashes_through_the_command_and_the_old_one_is_refused(
    serve: Callable[..., dict[str, RunningBoard]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(scene.image())
    for kind, board in serve(*KINDS).items():
        status = main(["flash", str(path), "--probe", board.serial, "--json"])
        report = json.loads(capfd.readouterr().out)
        if kind == "stlink-v2-old":
            assert (status, report["cause"], report["confidence"]) == (1, "probe-fw-too-old", "certain")
            assert {item["cause"] for item in report["causes"]} == {"probe-fw-too-old", "probe-open-failed"}
            assert board.flash() == b"\xff" * len(board.flash())
        else:
            assert (status, report["outcome"]) == (0, "flashed"), report
            assert board.flash() == scene.image().ljust(len(board.flash()), b"\xff")


QUICK = {"cmsis-dap": ("no-permission", "busy", "stall:in"), "stlink-v3": ("short-packet:30", "disconnect-reenumerate:60:5000", "hang")}
"""Each fault once; a CMSIS-DAP driver gives a hung probe four seconds."""
ALL = {kind: tuple(CAUSES) for kind in ("cmsis-dap", "cmsis-dap-v1", "stlink-v3")}


@pytest.mark.parametrize("lots", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)], ids=["quick", "all"])
def test_every_fault_is_told(
    serve: Callable[..., dict[str, RunningBoard]], engine: Engine, tmp_path: Path, lots: dict[str, tuple[str, ...]]
) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(scene.image())
    boards = serve(*lots)

    def shift(board: RunningBoard) -> list[str]:
        wrong = []
        for fault in lots[board.spec.probe]:
            first = CAUSES[fault]
            board.set(f"fault={fault}")
            outcome = flash(engine, board.serial, path)
            found = told(outcome)
            if found[:1] != [first] or any(
                cause not in (first[0], "probe-open-failed") for cause, sure in found if sure in ("certain", "likely")
            ):
                wrong.append(f"{board.spec.probe} {fault}: {found} {[(item.name, item.value) for item in outcome.readings]}")
            if LINUX and fault == "busy":
                assert f"(pid {board.process.pid if board.process else 0}, user " in str(reading(outcome, "probe.holder"))
            if LINUX and fault == "no-permission":
                assert reading(outcome, "usb.node")["serial"] == board.serial
            if fault == "hang":
                assert reading(outcome, "probe.hung") == 4.0
            board.set("fault=none")
            board.set("replug")
        if not flash(engine, board.serial, path).proved:
            wrong.append(f"{board.spec.probe}: does not work afterwards")
        return wrong

    with ThreadPoolExecutor(len(boards)) as room:
        assert not [line for lines in room.map(shift, boards.values()) for line in lines]


@pytest.mark.skipif(not LINUX, reason="the bench shows its tree as Linux does; elsewhere the system's own list is asked")
def test_equal_and_missing_serials_are_told_and_nothing_is_guessed(
    serve: Callable[..., dict[str, RunningBoard]], engine: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(scene.image())
    first, second, link = serve("cmsis-dap", "cmsis-dap-v1", "stlink-v3").values()
    second.set(f"fault=equal-serial:{first.serial}")
    outcome = flash(engine, first.serial, path)
    assert told(outcome) == [("probe-ambiguous", "certain")]
    assert reading(outcome, "probe.twins") == 2
    assert first.flash() == second.flash() == b"\xff" * len(first.flash())
    problems = {item.unique_id: item.problem or "" for item in engine.list_probes()}
    assert "several connected probes" in problems[first.serial]
    assert problems[link.serial] == ""

    second.set("fault=no-serial")
    (made_up, problem) = next((item.unique_id, item.problem) for item in engine.list_probes() if item.unique_id not in problems)
    assert "no serial number" in str(problem)
    assert flash(engine, made_up, path).proved  # asked for by that very id, it is no guess
    assert told(flash(engine, second.serial, path)) == [("no-probe", "possible"), ("probe-no-serial", "possible")]
    second.set("unplug")
    assert told(flash(engine, second.serial, path)) == [("no-probe", "certain")]

    first.set(f"fault=equal-serial:{link.serial}")  # of different makers, so each driver lists only one
    assert told(flash(engine, link.serial, path)) == [("probe-ambiguous", "certain")]


@pytest.mark.slow
@pytest.mark.skipif(not LINUX, reason="the bench shows its tree as Linux does; elsewhere the system's own list is asked")
def test_a_nameless_st_link_that_stops_pyocds_driver_is_told(
    serve: Callable[..., dict[str, RunningBoard]], engine: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(scene.image())
    good, nameless = serve("stlink-v3", "stlink-v2-1").values()
    nameless.set("fault=no-serial")
    outcome = flash(engine, good.serial, path)
    assert told(outcome)[0] == ("probe-no-serial", "certain")
    nameless.set("unplug")
    assert flash(engine, good.serial, path).proved


def test_an_st_link_refuses_another_makers_chip(serve: Callable[..., dict[str, RunningBoard]], engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(scene.image())
    (board,) = serve("stlink-v2-1", board="nrf52840-dk").values()
    found = told(flash(engine, board.serial, path))
    assert found[0][0] == "probe-fw-refuses-target"
    assert "link-noise" not in {cause for cause, sure in found if sure in ("certain", "likely")}


@pytest.mark.slow
def test_a_slow_probe_is_told(serve: Callable[..., dict[str, RunningBoard]], engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(scene.image())
    (board,) = serve("cmsis-dap").values()
    board.set("fault=slow:1500")
    assert told(flash(engine, board.serial, path)) == [("probe-slow", "likely"), ("engine-timeout", "certain")]
    board.set("fault=slow:30")
    assert flash(engine, board.serial, path).proved


def test_what_is_told_here_counts_as_observed() -> None:
    named = {cause for cause, _ in CAUSES.values()} | {
        "probe-fw-too-old",
        "probe-ambiguous",
        "probe-no-serial",
        "probe-fw-refuses-target",
        "no-probe",
    }
    assert {cause for cause in named if not was_observed(cause)} == set()
