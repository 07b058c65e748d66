"""Action and configuration files on the drive: obeyed where the configuration allows it, answered in any case, never flashed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.daemon.acts import Acts
from msdflash.drop.actions import ACTIONS, BY_NAME, HARMLESS, LONGEST, Does, action_of, order_names
from msdflash.drop.record import Drop
from msdflash.job.order import EraseOrder
from msdflash.job.outcome import Outcome

ALL = (*HARMLESS, "erase", "unlock")
ORDER = b"serial: S1\r\n"


def drop_of(name: str, *, written: float | None = None) -> Drop:
    now = int((time.time() if written is None else written) * 1e9)
    action = action_of(name)
    assert action is not None
    return Drop("j", name.encode(), name, "1:1", 0, now, now, "2026-01-01T00:00:00+00:00", action=action.name)


def cause(outcome: Outcome | None) -> str | None:
    return None if outcome is None or outcome.failure is None else outcome.failure.cause


@pytest.mark.parametrize("name", [row.name for row in ACTIONS])
@pytest.mark.parametrize("spelt", [str.upper, str.lower, str.title])
def test_each_is_known_in_any_case(name: str, spelt: Any) -> None:
    assert action_of(spelt(name)) is BY_NAME[name]


@pytest.mark.parametrize("name", ["erase.act.hex", "erase", "xerase.act", "erase.act ", "\u0131mage.bin", "fail.txt"])
def test_no_other_name_is_one(name: str) -> None:
    assert action_of(name) is None


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"serial: 066DFF\n", ("066DFF",)),
        (b"\xef\xbb\xbfSerial = 066DFF\r\n", ("066DFF",)),
        (b"please erase\n  SERIAL:0240000034544e45 \n", ("0240000034544e45",)),
        (b"serial: A\nserial: B\n", ("A", "B")),
        (b"", ()),
        (b"066DFF\n", ()),
        (b"my serial: X\n", ()),
        (b"serial: \n", ()),
    ],
)
def test_whom_an_order_names(data: bytes, names: tuple[str, ...]) -> None:
    assert order_names(data) == names


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300))
def test_odd_orders_name_nobody_or_words(data: bytes) -> None:
    assert all(name and not name.isspace() for name in order_names(data))


def test_switches_stay(tmp_path: Path) -> None:
    acts = Acts(tmp_path, "S1", HARMLESS)
    assert acts.switches.auto_reset
    for name in ("HARD_RST.CFG", "ovfl_on.cfg", "REFRESH.ACT"):
        assert acts.refusal(drop_of(name), b"", again=False) is None
        assert acts.obey(drop_of(name)).failure is None
    for fresh in (acts, Acts(tmp_path, "S1", HARMLESS)):
        assert (fresh.switches.auto_reset, fresh.switches.overflow, fresh.switches.automation) == (False, True, True)
    (tmp_path / "switches.json").write_bytes(b"{nonsense")
    assert Acts(tmp_path, "S1", HARMLESS).switches.auto_reset


def test_with_automation_off_only_switching_it_on_is_obeyed(tmp_path: Path) -> None:
    acts = Acts(tmp_path, "S1", ALL)
    acts.obey(drop_of("AUTO_OFF.CFG"))
    assert cause(acts.refusal(drop_of("REFRESH.ACT"), b"", again=False)) == "action-automation-off"
    assert cause(acts.refusal(drop_of("ERASE.ACT"), b"", again=False)) == "action-automation-off"
    assert acts.refusal(drop_of("AUTO_ON.CFG"), b"", again=False) is None
    acts.obey(drop_of("AUTO_ON.CFG"))
    assert acts.refusal(drop_of("REFRESH.ACT"), b"", again=False) is None


def test_nothing_is_destroyed_unless_it_is_allowed(tmp_path: Path) -> None:
    acts = Acts(tmp_path, "S1", HARMLESS)
    for name in ("ERASE.ACT", "UNLOCK.ACT"):
        assert cause(acts.refusal(drop_of(name), ORDER, again=False)) == "action-not-allowed"
    allowed = Acts(tmp_path, "S1", ALL)
    for name in ("ERASE.ACT", "UNLOCK.ACT"):
        assert allowed.refusal(drop_of(name), ORDER, again=False) is None


def test_an_order_to_destroy_is_for_now_for_this_board_and_once(tmp_path: Path) -> None:
    acts = Acts(tmp_path, "S1", ALL)
    for name in ("ERASE.ACT", "UNLOCK.ACT"):
        for written in (time.time() - 61, time.time() + 61):
            assert cause(acts.refusal(drop_of(name, written=written), ORDER, again=False)) == "action-expired"
        assert cause(acts.refusal(drop_of(name), ORDER, again=True)) == "action-used"
    for content in (b"", b"serial: S2\n", b"serial: S1\nserial: S2\n"):
        assert cause(acts.refusal(drop_of("UNLOCK.ACT"), content, again=False)) == "action-other-board"
    assert acts.refusal(drop_of("UNLOCK.ACT"), b"serial: s1", again=False) is None


def test_what_this_drive_has_no_use_for(tmp_path: Path) -> None:
    acts = Acts(tmp_path, "S1", ALL)
    for row in ACTIONS:
        if row.does is Does.NOTHING:
            assert cause(acts.refusal(drop_of(row.name), b"", again=False)) == "action-not-here"


def test_on_the_drive(rig: Any) -> None:
    rig.start()
    rig.wait_count(0)
    rig.drop("bad.bin", b"FAIL")
    rig.wait_count(1)
    assert rig.read("FAIL.TXT")
    rig.drop("refresh.act", b"")
    rig.wait_count(2)
    assert rig.read("FAIL.TXT") is None
    rig.drop("Hard_Rst.cfg", b"whatever")
    rig.wait_count(3)
    rig.drop("good.bin", b"good")
    rig.wait_count(4)
    rig.drop("ERASE.ACT", b"")
    rig.wait_count(5)
    assert rig.answers()[1:] == [
        ("refresh.act", "proved"),
        ("Hard_Rst.cfg", "proved"),
        ("good.bin", "proved"),
        ("ERASE.ACT", "action-not-allowed"),
    ]
    assert [line["name"] for line in rig.lines("run")] == ["bad.bin", "good.bin"]
    assert rig.users_files() == set()
    assert msgspec.json.decode((rig.state / "switches.json").read_bytes())["auto_reset"] is False


def test_orders_reach_the_worker_once(rig: Any) -> None:
    orders: list[Any] = []

    def run_job(order: Any, hear: Any) -> Outcome:
        orders.append(order)
        return Outcome(order.job, proved=True)

    rig.start(run_job=run_job, actions=("erase", "unlock"))
    rig.wait_count(0)
    rig.drop("erase.act", b"")
    rig.wait_count(1)
    rig.drop("UNLOCK.ACT", ORDER)
    rig.wait_count(2)
    old = rig.drop("erase.act", b"x" * (LONGEST + 1))  # too long for an action file: an image like any other, and no good one
    rig.wait_count(3)
    assert [type(order) for order in orders[:2]] == [EraseOrder, EraseOrder]
    assert [order.unlock for order in orders[:2]] == [False, True]
    assert not isinstance(orders[2], EraseOrder)
    assert not old.exists()


def test_an_old_order_is_not_carried_out_at_the_next_start(rig: Any) -> None:
    rig.start(actions=("erase",))
    rig.wait_count(0)
    rig.stop()
    rig.drop("erase.act", b"")
    real = (rig.root / "erase.act").stat().st_ctime
    rig.start(actions=("erase",), acts=Acts(rig.state, "S1", ("erase",), lambda: real + 100))
    rig.wait_count(1)
    assert rig.answers() == [("erase.act", "action-expired")]
    assert not rig.lines("run")


def test_the_page_tells_of_each(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / "docs" / "drive.md").read_text(encoding="utf-8")
    for row in ACTIONS:
        assert f"| `{row.name}` | {row.means} | {f'`{row.policy}`' if row.policy else '-'} |" in page
