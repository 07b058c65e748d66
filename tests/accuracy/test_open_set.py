"""Scenes of the open set: a few always, all of them and random pairs with ``-m slow`` or by ``run.py``."""

from __future__ import annotations

import random

import pytest

from msdflash.diagnose.causes import CATALOGUE
from msdflash.sim.contents import BEFORE, CONTENTS
from msdflash.sim.faults import FAULTS
from msdflash.sim.scenarios import SCENARIOS
from msdflash.sim.spec import PROBES, parse
from msdflash.sim.usb.faults import USB_FAULTS
from tests.accuracy import open_set, pairs, run
from tests.accuracy.play import Played, Room, drawn, score

SCENES = drawn(open_set.IDEAS, 1, 3)
CHEAP = (
    open_set.forbidden_probe,
    open_set.reset_held,
    open_set.locked,
    open_set.wire_open,
    open_set.other_chip,
    open_set.no_power_seen,
    open_set.bad_file_on_a_held_board,
)
"""Answered within a second, without writing flash."""


def wrong(played: list[Played]) -> list[str]:
    return [f"{item.scene}: {item.told} {item.wrong}" for item in played if item.wrong or not item.right]


def test_a_sample_is_right() -> None:
    ideas = random.Random(4).sample(CHEAP, 4)
    with Room() as room:
        played = [room.play(scene) for scene in drawn(ideas, 4, 1)]
    assert not wrong(played)


def test_every_scene_can_be_played() -> None:
    for scene in SCENES:
        parse(scene.spec)
        assert scene.drop in CONTENTS, scene
        assert scene.before in BEFORE, scene
        assert {*scene.true, *scene.also, *([scene.twin] if scene.twin else [])} <= set(CATALOGUE), scene
        assert not (scene.unknowable and not scene.true), scene


def test_the_set_covers_the_bench() -> None:
    faults = {fault.partition(":")[0] for scene in SCENES for fault in scene.faults}
    # A second board with the same serial cannot stand in one scene; it is tried in tests/main_path/test_usb.py.
    assert {*FAULTS, *USB_FAULTS} - faults == {"equal-serial"}
    assert {scene.probe for scene in drawn(open_set.IDEAS, 1, 6)} == set(PROBES)
    assert set(SCENARIOS) <= {scene.name.partition("#")[0] for scene in SCENES}
    assert sum(scene.unknowable for scene in SCENES if scene.name.endswith("#1")) >= 10


def test_what_is_told_as_certain_has_a_twin() -> None:
    """A cause that this set sees told for sure is also what another scene only looks like."""
    twins = {scene.twin for scene in SCENES} | {cause for scene in SCENES if scene.twin for cause in scene.true}
    assert {
        "held-in-reset", "reset-loop", "kinetis-security", "rdp1", "wrong-target", "probe-vanished", "probe-hung", "probe-busy",
        "write-protected-sector", "ram-lost", "algo-timeout-flash-busy", "flash-chip-silent", "usb-permission", "probe-fw-too-old",
        "image-bad-vectors", "image-truncated", "hex-checksum", "image-too-big", "image-outside-flash", "target-unknown", "nrf-approtect",
        "lpc55-debug-locked", "link-noise", "boot-source", "softdevice-overlap", "bootloader-missing", "image-would-lock",
    } <= twins  # fmt: skip


def test_the_same_seed_draws_the_same_scenes() -> None:
    assert drawn(open_set.IDEAS, 1, 1) == [scene for scene in SCENES if scene.name.endswith("#1")]
    assert drawn(open_set.IDEAS[5:6], 1, 1)[0] == drawn(open_set.IDEAS, 1, 1)[5]  # whatever other ideas there are
    assert pairs.scenes(1, 1) == pairs.scenes(2, 1)[:1]


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_whole_set() -> None:
    played = run.play_all(run.scenes_of("open", 1, 2))
    found = score(played)
    assert (found.wrong_certain, found.false_success, found.destroyed, found.other_wrong) == (0, 0, 0, 0), wrong(played)
    assert found.first_share >= 0.95, wrong(played)
    assert found.three_share >= 0.99, wrong(played)
    assert found.unknowable_right == found.unknowable, wrong(played)


@pytest.mark.slow
@pytest.mark.timeout(6000)
def test_random_pairs() -> None:
    played = run.play_all(pairs.scenes(200, 5))
    assert not [f"{item.scene}: {item.told} {item.wrong}" for item in played if item.wrong]
