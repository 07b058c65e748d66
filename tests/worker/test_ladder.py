"""The ladder of measurements: its table, its page, and how it is walked."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from msdflash.job import measurements
from msdflash.job.measurements import LADDER, TOTAL_SECONDS, Phase, of_phase
from msdflash.job.readings import READINGS, Effect
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.ladder import DOING, Ladder
from msdflash.worker.raw import RawTarget

ORDER = list(Effect)
ELSEWHERE = {Phase.HOST, Phase.WORK, Phase.AFTER, Phase.LEAVE}
"""Phases whose measurements are part of what the job does at that point anyway."""


def test_the_table_is_whole() -> None:
    ids = [item.id for item in LADDER]
    assert len(set(ids)) == len(ids)
    assert set(DOING) == {item.id for item in LADDER if item.phase not in ELSEWHERE}
    assert [item.phase for item in LADDER] == sorted((item.phase for item in LADDER), key=list(Phase).index)
    for item in LADDER:
        assert set(item.readings) <= set(READINGS), item.id
        assert 0 < item.seconds <= 60
        assert item.proves
        worst = max((READINGS[name].effect for name in item.readings), key=ORDER.index)
        assert item.phase in ELSEWHERE or ORDER.index(worst) <= ORDER.index(item.effect) or worst is Effect.RESET, item.id


def test_the_mildest_comes_first() -> None:
    """Except where a measurement must come early, because what follows would clear what it reads."""
    for phase in set(Phase) - ELSEWHERE:
        prices = [ORDER.index(item.effect) for item in of_phase(phase) if item.id not in {"sticky-flags", "new-resets", "debug-kept"}]
        assert prices == sorted(prices), phase


def test_nothing_takes_long() -> None:
    """From the first failed step to the report: less than five seconds, whatever phase it fails in."""
    looking = [Phase.PINS, Phase.PORT, Phase.SILENT, Phase.DEBUG, Phase.CORE, Phase.CHIP, Phase.OPTIONS, Phase.LINK, Phase.CALL]
    spent = {phase: min(TOTAL_SECONDS.get(phase, 60.0), sum(item.seconds for item in of_phase(phase))) for phase in looking}
    assert spent[Phase.PORT] + spent[Phase.SILENT] < 5
    assert spent[Phase.DEBUG] + spent[Phase.CORE] < 5
    assert spent[Phase.LINK] + spent[Phase.CALL] < 5


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "measurements.md"
    assert page.read_text(encoding="utf-8") == measurements.page()


class OpenProbe:
    """A probe's driver object with nothing behind it: no capability, no answer."""

    capabilities: frozenset[object] = frozenset()

    def __init__(self) -> None:
        self.connected = 0

    def connect(self, _protocol: object) -> None:
        self.connected += 1
        raise RuntimeError("nobody there")

    def set_clock(self, _hertz: int) -> None: ...

    def assert_reset(self, _low: bool) -> None: ...


def climb(pays: Effect) -> tuple[Ladder, Channel, OpenProbe]:
    channel, probe = Channel(io.BytesIO(), "1"), OpenProbe()
    return Ladder(channel, probe, RawTarget(probe), pays=pays, pin_proven=False, target=None), channel, probe


def test_only_what_is_paid_for_is_done() -> None:
    for pays in Effect:
        ladder, _, _ = climb(pays)
        for item in LADDER:
            assert ladder.may(item) == (ORDER.index(item.effect) <= ORDER.index(pays) and (not item.probes or "other" in item.probes))


def test_a_silent_port_ends_the_climb_and_passive_means_no_reset() -> None:
    for pays in (Effect.STICKY, Effect.RESET):
        ladder, channel, _ = climb(pays)
        with pytest.raises(StepFailed, match="did not answer"):
            ladder.first_look()
        names = [reading.name for reading in channel.readings]
        assert "swd.sweep" in names
        assert ("swd.dpidr_under_reset" in names) == (pays is Effect.RESET) == channel.changed.reset
        assert not {"dp.power_ack", "core.cpuid"} & set(names)


def test_a_phase_without_time_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    ladder, channel, probe = climb(Effect.RESET)
    monkeypatch.setitem(TOTAL_SECONDS, Phase.SILENT, 0.0)
    with pytest.raises(StepFailed):
        ladder.climb(Phase.PORT)
    assert probe.connected == 2
    assert "swd.sweep" not in [reading.name for reading in channel.readings]
    assert any("no time was left" in line for line in channel.log)
