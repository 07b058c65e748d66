"""What was learned about each probe and must outlive the daemon: a small JSON file, replaced whole."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from typing import TYPE_CHECKING

import msgspec

from msdflash.daemon.retry import Hint
from msdflash.diagnose.rungs import BY_ID

if TYPE_CHECKING:
    from pathlib import Path

    from msdflash.daemon.retry import Helped
    from msdflash.job.outcome import Outcome

log = logging.getLogger(__name__)

_MOST_PROBES = 1000
_HIGH_SEEN_IN = ("nreset.undriven", "nreset.connected", "nreset.released")


class Known(msgspec.Struct, frozen=True):
    """One probe.

    Attributes:
        pin_proven: its nRESET read-back has been seen high. Some probes' read-back is a constant low, so only after a
            high does a low level mean anything.
        name: what its board was called.
        target: its board's pyOCD target.
        board_id: its board's four hex digits.
        program: sha256 of the last file that was proved on its board.
        hint: what got around a failure there, see :mod:`msdflash.daemon.retry`.
    """

    pin_proven: bool = False
    name: str | None = None
    target: str | None = None
    board_id: str | None = None
    program: str = ""
    hint: Hint | None = None


class Memory:
    """All probes ever used. Safe for several threads; of several processes the last writer's probes win, the others' stay."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()

    def get(self, serial: str) -> Known:
        """What is known of a probe."""
        with self._lock:
            return self._read().get(serial, Known())

    def learn(self, serial: str, outcome: Outcome) -> None:
        """Keep what a job showed about its probe."""
        if outcome.probe is not None and outcome.probe.kind in ("stlink", "picoprobe"):
            return  # these report what was last driven, not the pin
        for reading in outcome.readings:
            samples = reading.value if isinstance(reading.value, list) else [reading.value]
            if reading.name in _HIGH_SEEN_IN and any(sample in (1, True) for sample in samples):
                self._change(serial, pin_proven=True)
                return

    def conclude(self, serial: str, helped: Helped, sha256: str) -> None:
        """Keep what a flash job showed: about its probe, and what helped it."""
        self.learn(serial, helped.outcome)
        if not helped.outcome.proved:
            return
        hint = helped.hint
        if hint is not None and BY_ID[hint.rung].of_program and self.get(serial).program != sha256:
            hint = None  # it got around the program before; this one is another
        self._change(serial, hint=hint, program=sha256)

    def replugged(self, serial: str) -> None:
        """The probe was away: wires may be others now, so the plain way comes first."""
        if self.get(serial).hint is not None:
            self._change(serial, hint=None)

    def remember(self, serial: str, name: str, target: str | None, board_id: str | None) -> None:
        """Keep a board's identity, for a start at which its probe is not plugged in."""
        self._change(serial, name=name, target=target, board_id=board_id)

    def _change(self, serial: str, **fields: object) -> None:
        with self._lock:
            known = self._read()
            old = known.get(serial, Known())
            new = msgspec.structs.replace(old, **fields)
            if new == old:
                return
            known.pop(serial, None)
            known[serial] = new
            kept = dict(list(known.items())[-_MOST_PROBES:])
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}")
                fresh.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
                fresh.replace(self._file)
            except OSError as error:
                log.warning("cannot keep what was learned about probe %s: %s", serial, error)

    def _read(self) -> dict[str, Known]:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, Known])
        return {}
