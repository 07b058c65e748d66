"""What all jobs on a board share: the probe is opened, the target looked at from the ladder, and everything closed again."""

from __future__ import annotations

import contextlib
import shutil
from typing import Any

from pyocd.core.session import Session
from pyocd.probe.debug_probe import DebugProbe

from msdflash.job.order import Connection
from msdflash.job.outcome import TargetFacts
from msdflash.job.readings import Effect
from msdflash.job.steps import Step
from msdflash.worker import measure, probe
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.ladder import Ladder
from msdflash.worker.raw import RawTarget
from msdflash.worker.shared import quick_errors
from msdflash.worker.trouble import classify, deepen


class ProbeJob:
    """The state of one job with an open probe. What does not exist yet is None, or raises StepFailed ``unexpected``."""

    def __init__(self, channel: Channel, connection: Connection) -> None:
        self.channel = channel
        self.connection = connection
        self.probe: DebugProbe | None = None
        self.session: Session | None = None
        self.raw: RawTarget | None = None
        self.ladder: Ladder | None = None
        self._project = probe.private_project()

    def run(self) -> None:
        """All steps in order. Raises StepFailed where it ends early; the channel has the evidence."""
        raise NotImplementedError

    def _open(self) -> None:
        self.channel.begin(Step.OPEN, 15)
        if self.connection.target:  # a port that stays silent can only be judged by what the user says stands behind it
            self.channel.target = TargetFacts(name="", asked=self.connection.target)
        self.probe, self.session = probe.open_probe(self.channel, self.connection, self._project)
        if self.connection.frequency is not None:
            self.channel.measure("swd.clock", self.connection.frequency)

    def _begin_look(self, pays: Effect) -> Ladder:
        """At the foot of the ladder, for measurements up to this price."""
        opened = self._probe()
        self.channel.begin(Step.MEASURE, 10)
        quick_errors(opened)
        self.raw = RawTarget(opened)
        named = self.connection.target or (self.channel.probe.target if self.channel.probe is not None else None)
        self.ladder = Ladder(self.channel, opened, self.raw, pays=pays, pin_proven=self.connection.pin_proven, target=named)
        return self.ladder

    # --- endings ------------------------------------------------------------------------------------------------------------------

    def _trouble(self, kind: str, message: str, error: BaseException) -> StepFailed:
        """Evidence out of an escaped exception, and the step failure that it means."""
        trouble = deepen(classify(error), self.probe)
        if trouble.kind == "usb":
            return measure.usb_failed(self.channel, trouble)
        self.channel.measure("engine.error", trouble.text)
        if trouble.ack:
            self.channel.measure("swd.ack", trouble.ack, self.channel.step.value)
        if trouble.kind == "other":
            return StepFailed("unexpected", f"{message}: {trouble.text}"[:300])
        return StepFailed(kind, message)

    def autopsy(self, _failed: StepFailed) -> None:
        """More evidence after a failure; within a second, and never more than reading."""
        probe.note_presence(self.channel, self.connection.probe)

    def close(self) -> None:
        """Leave the target in a state that can be told, let go of nRESET, close the probe. Never raises."""
        self._leave()
        if self.probe is not None:
            with contextlib.suppress(Exception):
                self.probe.assert_reset(False)
        if self.session is not None:
            try:
                self.session.close()
            except Exception as error:  # noqa: BLE001  (closing after an unplug raises USBError; the job's result stands)
                self.channel.log.append(classify(error).text)
        shutil.rmtree(self._project, ignore_errors=True)

    def _leave(self) -> None:
        """The target as it is left. Never raises."""

    # --- parts that exist from some step on -----------------------------------------------------------------------------------------

    def _probe(self) -> DebugProbe:
        if self.probe is None:
            raise StepFailed("unexpected", "no probe is open")
        return self.probe

    def _session(self) -> Session:
        if self.session is None:
            raise StepFailed("unexpected", "no session is open")
        return self.session

    def _core(self) -> Any:
        core = self._session().target.primary_core
        if core is None:
            raise StepFailed("no-ap", "no core was found behind the debug port")
        return core

    def _raw(self) -> RawTarget:
        if self.raw is None:
            raise StepFailed("unexpected", "the target was not measured")
        self.raw.forget()
        return self.raw
