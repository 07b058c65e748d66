"""The composition root of ``msdflash run``: one engine, one lane a board, and everything that they are given."""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from msdflash.daemon.acts import Acts
from msdflash.daemon.answer import Reporter, told
from msdflash.daemon.attend import LaneLook
from msdflash.daemon.boards import BoardIdentity, board_name, identify
from msdflash.daemon.config import PORT, BoardOptions, Config
from msdflash.daemon.config_keys import Takes
from msdflash.daemon.history import History, Record
from msdflash.daemon.joblog import JobLog
from msdflash.daemon.keeper import Keeper
from msdflash.daemon.lane import Answer, Context, Drop, Lane, LaneConfig, LaneEvent
from msdflash.daemon.locks import Hold, hold_folder, hold_probe
from msdflash.daemon.memory import Memory
from msdflash.daemon.owner import owner_of
from msdflash.daemon.realdrives import RealDrives
from msdflash.daemon.reload import changes
from msdflash.daemon.retry import run_with_help, wait_while_busy
from msdflash.daemon.served import Served
from msdflash.daemon.usbhint import UsbHint
from msdflash.daemon.usbport import port_of, ports_known
from msdflash.drive.folder import adopt
from msdflash.errors import HeldError, MsdflashError, UsageError, WorkerError
from msdflash.job.order import EraseOrder, FlashOrder
from msdflash.volume.seam import Volume, make_volume

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from msdflash.daemon.paths import Paths
    from msdflash.engine.runner import Engine
    from msdflash.job.messages import Message
    from msdflash.job.outcome import ListedProbe, Outcome

log = logging.getLogger(__name__)
# watchdog complains of its own races when a lane ends; what matters of it is told by the lanes.
logging.getLogger("watchdog").addHandler(logging.NullHandler())

PROGRAM = "msdflash run"
LOOK = 0.5
"""Seconds between looks whether the system says that probes came or went. Such a look costs microseconds and no USB traffic."""
LISTS = (0.0, 1.5)
"""Seconds after a change at which probes are listed: a device may be seen before the system has given it its permissions."""
END = 60.0
"""Seconds that lanes get to end: the engine's own limit for a job that is programming, and some more to publish."""


class Selection(msgspec.Struct, frozen=True):
    """Which boards, and what the command line says about all of them.

    Attributes:
        serials: exactly these, or none for every probe that is or will be connected.
        options: go before the configuration file's.
        config: the configuration file.
        drives: folder that holds the boards' folders.
        real_drives: failures of the probes' own drives are looked into.
        volume: each board's folder is offered as a volume, too, beside the drives folder.
    """

    drives: Path
    serials: tuple[str, ...] = ()
    options: BoardOptions = BoardOptions()
    config: Config = Config()
    real_drives: bool = True
    volume: bool = False


class Daemon:
    """Serves boards until it is closed. Made, started and closed in one thread; lanes have their own.

    Attributes:
        boards: who is served, by serial.
    """

    def __init__(
        self,
        paths: Paths,
        engine: Engine,
        selection: Selection,
        notify: Callable[[BoardIdentity, LaneEvent], None] | None = None,
    ) -> None:
        """Prepare. ``notify`` hears everything that happens in any lane, in that lane's thread; it must not block."""
        self._paths = paths
        self._engine = engine
        self._selection = selection
        self._notify = notify
        self._memory = Memory(paths.state / "probes.json")
        self._history = History(paths.history)
        self._hint = UsbHint()
        self.boards: dict[str, BoardIdentity] = {}
        self._served: dict[str, Served] = {}
        self._present: frozenset[str] | None = None
        self._ports: dict[str, str | None] = {}
        self._renew: set[str] = set()
        self._real: RealDrives | None = None
        if selection.real_drives:
            self._real = RealDrives(engine, lambda: list(self._served), self._served.get, self._memory.learn)

    def start(self) -> None:
        """Find the boards, make their folders, start their lanes.

        Raises:
            UsageError: a folder cannot be used.
            HeldError: a named board, or every board, is held by another process.
        """
        self._tell_ports()
        try:
            probes = self._list()
        except WorkerError as error:
            if not self._selection.serials:
                raise
            log.warning("%s", error)
            probes = ()
        try:
            self._serve(probes, first=True)
        except MsdflashError:
            self.close()
            raise
        if not self._served:
            log.info("no probe is connected; waiting for one")
        if self._real is not None:
            self._real.start()

    def wait(self, stop: threading.Event, each: Callable[[], object] = bool) -> None:
        """Serve until ``stop`` is set; take in probes that come, unless the boards were named. ``each`` is called after each look."""
        due: list[float] = []
        # Never without a limit: on Windows a signal is not seen while the main thread waits.
        while not stop.wait(min(LOOK, 0.5) if sys.platform == "win32" else LOOK):
            each()
            self._renew = {serial for serial in self._renew if not self._renewed(serial)}
            now = time.monotonic()
            if self._hint.changed():
                due = [now + after for after in LISTS]
            if not due or now < due[0]:
                continue
            due.pop(0)
            try:
                self._serve(self._list(), first=False)
            except MsdflashError as error:
                log.warning("%s", error)

    def close(self) -> bool:
        """End all lanes and let go of everything. False if a lane did not end in time. May be called again."""
        keepers = [board.keeper for board in self._served.values() if board.keeper is not None]
        for board in self._served.values():
            if board.keeper is not None:
                board.keeper.stop()
            # The engine kills a job that has changed nothing, and bounds the time of any other.
            board.cancel.set()
        if self._real is not None:
            self._real.close()
        for board in self._served.values():
            if board.volume is not None and not board.volume.stop():
                log.error("the volume of %s could not be taken away", board.identity.folder)
        late = [keeper.name for keeper in keepers if not keeper.join(END)]
        for board in self._served.values():
            board.release()
        self._served.clear()
        self._hint.close()
        for name in late:
            log.error("the lane of %s has not ended", name)
        return not late

    def lanes(self) -> tuple[LaneLook, ...]:
        """How the lanes are now."""
        boards = [(board.identity.folder, board.keeper) for board in self._served.values()]
        return tuple(LaneLook(name, keeper.alive, keeper.status()) for name, keeper in boards if keeper is not None)

    def reconfigure(self, config: Config) -> None:
        """Put another configuration in force: the waiting loop's thread only. Lanes are restarted when they are idle."""
        before = {serial: self._options(serial) for serial in self._served}
        if config.drives != self._selection.config.drives:
            log.warning("drives: a change holds %s", Takes.START)
        self._selection = msgspec.structs.replace(self._selection, config=config)
        self._tell_ports()
        for serial, board in self._served.items():
            changed = changes(before[serial], self._options(serial))
            for key in changed:
                log.info("%s: %s has changed, which holds %s", board.identity.folder, key.name, key.takes)
            if any(key.takes is Takes.IDLE for key in changed):
                self._renew.add(serial)

    def folder(self, serial: str) -> Path:
        """The drive folder of a board that is served."""
        return self._served[serial].folder

    # --- boards ---------------------------------------------------------------------------------------------------------------

    def _list(self) -> tuple[ListedProbe, ...]:
        return tuple(probe for probe in self._engine.list_probes() if probe.unique_id)

    def _serve(self, probes: Sequence[ListedProbe], *, first: bool) -> None:
        found = {probe.unique_id: probe for probe in probes}
        if self._present is not None:
            for serial in found.keys() - self._present:
                self._memory.replugged(serial)
        self._present = frozenset(found)
        self._ports.update((serial, port_of(serial)) for serial in found)
        for serial, board in self._served.items():
            board.tell(present=serial in found)
        # A unique id may be given in any case; what is listed is how it is spelt.
        spelt = {serial.casefold(): serial for serial in found}
        asked = [spelt.get(serial.casefold(), serial) for serial in self._selection.serials] or sorted(found)
        serials = [serial for serial in dict.fromkeys(asked) if serial not in self._served]
        wanted = [(serial, *self._name(serial, found.get(serial))) for serial in serials]
        drives = self._selection.drives
        identities = identify(wanted, lambda folder: owner_of(drives / folder), tuple(self.boards.values()))
        held: list[HeldError] = []
        for identity in identities:
            try:
                self._add(identity)
            except HeldError as error:
                if self._selection.serials:
                    raise
                held.append(error)
                log.warning("%s", error)
        if first and held and not self._served:
            raise held[0]

    def _name(self, serial: str, probe: ListedProbe | None) -> tuple[str, str | None, str | None]:
        options = self._options(serial)
        if probe is not None:
            name = board_name(probe, options)
            self._memory.remember(serial, name, probe.target, probe.board_id)
            return name, probe.target, probe.board_id
        known = self._memory.get(serial)
        return options.name or known.name or serial, known.target, known.board_id

    def _options(self, serial: str) -> BoardOptions:
        return self._selection.options.over(self._selection.config.board(serial, self._ports.get(serial)))

    def _renewed(self, serial: str) -> bool:
        board = self._served.get(serial)
        return board is None or board.keeper is None or board.keeper.renew()

    def _tell_ports(self) -> None:
        if not ports_known() and any(section.startswith(PORT) for section in self._selection.config.boards):
            log.warning("this system does not tell USB ports: sections of the configuration that begin with %s match nothing", PORT)

    def _add(self, identity: BoardIdentity) -> None:
        said = self._options(identity.serial).folder
        path = Path(said) if said else self._selection.drives / identity.folder
        holds: list[Hold] = []
        try:
            holds.append(hold_probe(self._paths.runtime, identity.serial, PROGRAM))
            holds.append(hold_folder(self._paths.runtime, path, PROGRAM))
            board = Served(identity, path, holds, lambda: self._options(identity.serial))
            board.present = self._present is None or identity.serial in self._present
            lane = self._lane(board)
        except (MsdflashError, OSError) as error:
            for hold in holds:
                hold.release()
            if isinstance(error, OSError):
                raise UsageError(f"the board {identity.name} cannot be served: {error}") from error
            raise
        self._served[identity.serial] = board
        self.boards[identity.serial] = identity
        board.keeper = Keeper(identity.folder, lambda: self._lane(board), lane)
        board.keeper.start()
        if self._real is not None:
            self._real.watcher.wake()
        if self._selection.volume:
            board.volume = self._volume(board)
            board.volume.start()
        log.info("%s (probe %s): drop firmware on %s", identity.name, identity.serial, path)

    def _lane(self, board: Served) -> Lane:
        serial = board.identity.serial
        options = self._options(serial)
        state = self._paths.board(serial)
        board.cancel.clear()  # what ended the lane before this one; a keeper that is to end lets no other begin
        folder = adopt(board.folder, serial, state)
        acts = Acts(state, serial, (*options.actions, *(("unlock",) if options.unlock != "never" else ())))
        reporter = Reporter(board.identity, self._paths.logs, acts, lambda: board.present, options.fail_txt, lambda: board.notes)

        def answer(outcome: Outcome, drop: Drop, context: Context) -> Answer:
            made = reporter.answer(outcome, drop, context)
            if not made.ok:
                self._keep_log(board, drop, outcome)  # before the answer is written down: it names the log
            return made

        lane = Lane(
            LaneConfig(
                connection=board.connection(),
                base=options.base,
                board_id=board.identity.board_id,
                allow_locking_images=options.allow_locking_images,
                unlock=options.unlock == "always",
            ),
            folder,
            state,
            acts=acts,
            run_job=lambda order, heard: self._run_job(board, order, heard),
            answer=answer,
            resting=reporter.resting,
            abort=board.cancel.set,
            notify=lambda event: self._heard(board, event),
        )
        reporter.recall(lane.journal.last)
        return lane

    def _volume(self, board: Served) -> Volume:
        name, keeper, drives = board.identity.folder, board.keeper, self._selection.drives
        return make_volume(
            board.folder,
            drives.with_name(f"{drives.name}-volumes") / name,
            lambda what: keeper.released(what.name, what.identity, what.size, what.mtime_ns) if keeper is not None else None,
            lambda text: log.info("%s: %s", name, text),
        )

    # --- jobs -----------------------------------------------------------------------------------------------------------------

    def _run_job(self, board: Served, order: FlashOrder | EraseOrder, heard: Callable[[Message], None]) -> Outcome:
        with board.turn.drop():
            board.notes = {}  # what its own drive said before is over
            return self._carry_out(board, order, heard)

    def _carry_out(self, board: Served, order: FlashOrder | EraseOrder, heard: Callable[[Message], None]) -> Outcome:
        serial = board.identity.serial
        known = self._memory.get(serial)
        connection = msgspec.structs.replace(order.connection, pin_proven=known.pin_proven)
        if isinstance(order, EraseOrder):  # an order to destroy is carried out once, as it was given
            return self._engine.run(msgspec.structs.replace(order, connection=connection), heard, board.cancel)
        helped = run_with_help(
            msgspec.structs.replace(order, connection=connection),
            wait_while_busy(self._engine.run, self._options(serial).busy_wait, board.cancel.wait),
            heard,
            board.cancel,
            hint=known.hint,
            rungs=self._options(serial).retries,
        )
        self._memory.conclude(serial, helped, order.sha256)
        return helped.outcome

    def _heard(self, board: Served, event: LaneEvent) -> None:
        name = board.identity.folder
        if event.drop is not None:
            job = event.drop.id
            if event.what == "started":
                board.logs[job] = JobLog()
            elif event.what == "message" and event.message is not None and job in board.logs:
                board.logs[job].hear(event.message)
            elif event.what == "answered" and event.answer is not None:
                self._answered(board, event)
            elif event.what == "cleared":
                self._remember(board, event)
        if event.what in ("absent", "back", "trouble"):
            log.warning("%s: %s: %s", name, event.what, event.text)
        if self._notify is not None:
            self._notify(board.identity, event)

    def _answered(self, board: Served, event: LaneEvent) -> None:
        drop, answer = event.drop, event.answer
        if drop is None or answer is None:
            return
        self._remember(board, event)
        board.logs.pop(drop.id, None)
        kept = board.kept.pop(drop.id, None)
        line = told(answer) + (f" (log {kept})" if kept else "")
        log.info("%s: %s: %s", board.identity.folder, drop.name, line)

    def _remember(self, board: Served, event: LaneEvent) -> None:
        """Into the history: at its answer, and once more when it is cleared, in case this process died in between."""
        drop, answer = event.drop, event.answer
        if drop is None or answer is None:
            return
        spooled = self._paths.board(board.identity.serial) / "spool" / drop.spool if drop.spool else None
        image = spooled if spooled is not None and spooled.exists() else None
        self._history.add(Record(drop.id, board.identity.serial, board.identity.name, answer.report_json), image)

    def _keep_log(self, board: Served, drop: Drop, outcome: Outcome) -> None:
        board.kept[drop.id] = board.logs.get(drop.id, JobLog()).save(self._paths.logs, drop.name, outcome)
        if outcome.broken is not None:
            log.error("%s: %s", board.identity.folder, outcome.broken)
