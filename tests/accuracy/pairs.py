"""Random pairs of faults, often with noise beside them, on random boards and probes: what must hold there, whatever is answered.

Which of two causes leads is not judged: no crash, an answer in time, no false success, nothing lost untold, and nothing told as certain
that is not true of one of both.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msdflash.sim.board import Board
from msdflash.sim.boards import BOARDS
from msdflash.sim.chips.life import family
from msdflash.sim.faults import FaultError
from msdflash.sim.scripts import SCRIPTS
from msdflash.sim.usb.faults import USB_FAULTS
from tests.accuracy.open_set import ALL, BUFFERS, any_probe, named
from tests.accuracy.play import Played, Scene

HELD = ("held-in-reset", "reset-held-by-board", "reset-held-by-probe", "reset-by-pin")
RESETS = ("reset-loop", "algo-reset", "watchdog", "reset-by-pin", "lockup-reset")
DAMAGE = ("data-corrupted-on-the-way", "algo-download-corrupt", "verify-misread", "flash-worn")
LOCKED = (
    "rdp1",
    "nrf-approtect",
    "nrf51-readback",
    "kinetis-security",
    "lpc55-debug-locked",
    "lpc-crp",
    "debug-locked",
    "flash-unreadable",
)
"""What a fault makes true beside itself: a noisy wire does damage the algorithm on its way, and to say so is no error."""

FAULTS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "reset-held": (("reset-held:fault", "reset-held:ignored"), HELD),
    "reset-late": (("reset-late:300", "reset-late:1500"), ("reset-released-late", *HELD)),
    "probe-stuck-reset": (("probe-stuck-reset",), HELD),
    "no-power": (("no-power:floating", "no-power:clamped"), ("no-target-power",)),
    "swd-open": (("swd-open",), ("swd-open",)),
    "ram-bad": (("ram-bad:lost", "ram-bad:stuck", "ram-bad:0x20000080"), ("ram-lost", "ram-bad", "algo-download-corrupt")),
    "write-protect": (("write-protect:0", "write-protect:1"), ("write-protected-sector",)),
    "rdp1": (("rdp1",), LOCKED),
    "approtect": (("approtect",), LOCKED),
    "security": (("security",), LOCKED),
    "crp": (("crp",), LOCKED),
    "debug-lock": (("debug-lock",), LOCKED),
    "flash-busy": (("flash-busy",), ("algo-timeout-flash-busy",)),
    "bad-cell": (("bad-cell",), ("flash-worn",)),
    "qspi-open": (("qspi-open:ff", "qspi-open:00"), ("flash-chip-silent",)),
    "corrupt-write": ((), DAMAGE),
    "fault-write": ((), ("bus-fault",)),
    "noise": (("noise:0.001", "noise:0.005", "noise:0.02", "noise:0.1"), ("link-noise", *DAMAGE)),
    "slow-edges": (("slow-edges:300000:lost", "slow-edges:800000:parity"), ("link-noise", *DAMAGE)),
    "other-chip": (
        ("other-chip:stm32l433", "other-chip:k64f"),
        ("wrong-target", "target-unknown", "clone-chip", "image-wrong-chip", *RESETS),
    ),
    "vdd": (("vdd:1.2", "vdd:5.0"), ("target-voltage-low", "level-mismatch", "no-target-power", "vtref-not-wired")),
    "vdda-open": (("vdda-open",), ("chip-dead",)),
    "weak-supply": (("weak-supply:1", "weak-supply:2"), ("brown-out", *RESETS)),
    "nreset-open": (("nreset-open",), ("nreset-no-effect",)),
    "boot0-high": (("boot0-high",), ("boot-source",)),
    "watchdog-on": (("watchdog-on",), RESETS),
    "sleep-port": (("sleep-port:open", "sleep-port:waits"), ("asleep",)),
    "swdio-low": (("swdio-low",), ("reset-held-by-probe", "held-in-reset", "swd-short")),
    "unplug-after": (("unplug-after:20", "unplug-after:100", "unplug-after:300"), ("probe-vanished",)),
    "disconnect-reenumerate": (("disconnect-reenumerate:50:100", "disconnect-reenumerate:200:1000"), ("probe-vanished", "usb-unstable")),
    "hang": (("hang",), ("probe-hung",)),
    "slow": (("slow:20", "slow:1500"), ("probe-slow",)),
    "stall": (("stall", "stall:in"), ("probe-fw-fault",)),
    "short-packet": (("short-packet:10", "short-packet:50"), ("probe-fw-fault",)),
    "no-permission": (("no-permission",), ("usb-permission",)),
    "busy": (("busy",), ("probe-busy",)),
    "no-serial": (("no-serial",), ("probe-no-serial", "no-probe")),
}
"""Kind of fault -> how it is put in, and what may be told as certain of it."""

BEFORE: Mapping[str, Sequence[str]] = {
    "old": (), "blank": ("reset-loop", "lockup-reset", "app-locked-up"), "count": (), "wfi": ("asleep",), "stop": ("asleep", "debug-off"),
    "standby": ("deep-sleep", "debug-off"), "pins-taken": ("swd-pins-taken", "debug-off"), "watchdog": RESETS,
}  # fmt: skip
"""What stands in flash before, and what is true of it."""
DROPS: Mapping[str, Sequence[str]] = {
    "program": (), "hex": (), "hex-flipped": ("hex-checksum",),
    "no-vectors": ("image-bad-vectors", "image-bad-boot-header", "image-would-lock"),
    "outside-flash": ("image-outside-flash",),
}  # fmt: skip


def scenes(number: int, seed: int) -> list[Scene]:
    """So many, the same for the same seed."""
    return [_scene(random.Random(f"pairs {seed} {turn}"), f"pair#{turn + 1}") for turn in range(number)]


def _scene(r: random.Random, name: str) -> Scene:
    while True:
        board = r.choice(ALL)
        probe = any_probe(r, board)
        if r.random() < 0.05 and BOARDS[board].st_chip:
            probe = "stlink-v3"
        kinds = r.sample(sorted(FAULTS), 2)
        if r.random() < 0.25 and "noise" not in kinds:
            kinds.append("noise")
        faults = [_fault(r, kind, board) for kind in kinds]
        before = r.choice(["old"] * 8 + sorted(BEFORE))
        if (
            (before in SCRIPTS and family(BOARDS[board].chip) not in SCRIPTS[before])
            or not all(faults)
            or not _possible(board, probe, faults)
        ):
            continue
        drop = r.choice(["program"] * 8 + sorted(DROPS))
        if drop == "no-vectors" and board in {"pico", "lpcxpresso55s69"}:
            continue
        true = [*(cause for kind in kinds for cause in FAULTS[kind][1]), *BEFORE[before], *DROPS[drop]]
        return named(Scene(name, board, probe, tuple(dict.fromkeys(true)), tuple(faults), drop, before, rescue=True))


def _fault(r: random.Random, kind: str, board: str) -> str:
    if kind in {"corrupt-write", "fault-write"}:
        at = BUFFERS.get(board, 0x20001000) + 4 * r.randrange(40)
        return f"{kind}:0x{at:08x}:{r.choice((3, 5))}"
    text = r.choice(list(FAULTS[kind][0]))
    return f"{text}:{r.randrange(1000)}" if kind == "noise" else text


def _possible(board: str, probe: str, faults: Iterable[str]) -> bool:
    """The bench has these faults on this board."""
    bench = Board(board, probe, 0)
    try:
        for fault in faults:
            name, _, argument = fault.partition(":")
            if name not in USB_FAULTS:
                bench.set_fault(name, argument)
    except FaultError:
        return False
    finally:
        bench.close()
    return True


def summary(played: Sequence[Played], seed: int) -> str:
    """What came of it, for the page."""
    wrong = [item for item in played if item.wrong]
    texts = [text for item in played for text in item.wrong]

    def count(*heads: str) -> int:
        return sum(text.startswith(heads) for text in texts)

    seconds = sorted(item.seconds for item in played) or [0.0]
    flashed = sum(item.proved for item in played)
    named = sum(not item.proved and item.rank > 0 for item in played)
    lines = [
        f"{len(played)} pairs, seed {seed}: {count('CRASH')} crashes, {count('HANG', 'TOOK')} not answered in time,",
        f"{count('FALSE SUCCESS')} false successes, {count('WRONG CERTAIN')} wrong *certain*,",
        f"{count('ERASED', 'UNLOCKED')} uninvited erases,",
        f"{len(texts) - count('CRASH', 'HANG', 'TOOK', 'FALSE SUCCESS', 'WRONG CERTAIN', 'ERASED', 'UNLOCKED')} other wrongs.",
        f"{flashed} were flashed and proved in spite of both; in {named} of the {len(played) - flashed} others",
        "one of the true causes is told.",
        f"Answered after {seconds[len(seconds) // 2]:.1f} s (median), {seconds[-1]:.1f} s (longest).",
        "",
    ]
    leads = Counter(item.first.rsplit(" ", 1)[0] if not item.proved else "flashed" for item in played)
    lines += ["Led by: " + ", ".join(f"{cause} {number}" for cause, number in leads.most_common(12)) + ".", ""]
    lines += [f"* {item.scene.name} `{item.scene.spec}`, {item.scene.before}, {item.scene.drop}: {'; '.join(item.wrong)}" for item in wrong]
    return "\n".join([*lines, ""])
