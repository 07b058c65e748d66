"""Finding and opening a probe with pyOCD under options that are safe for a daemon."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from pyocd.core.session import Session
from pyocd.probe.aggregator import PROBE_CLASSES, DebugProbeAggregator
from pyocd.probe.debug_probe import DebugProbe

from msdflash.job.order import Connection
from msdflash.job.outcome import ListedProbe, ProbeFacts
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.trouble import classify

_DRIVERS = {
    "CMSISDAPProbe": "cmsis-dap",
    "StlinkProbe": "stlink",
    "JLinkProbe": "jlink",
    "Picoprobe": "picoprobe",
}
"""pyOCD's probe class to the word in the reading ``probe.kind``."""

QUICK_CLASSES = ("cmsisdap", "stlink", "picoprobe")
"""Asked first: they answer in milliseconds. The J-Link class loads SEGGER's library and may raise dialogs."""

NO_SCRIPT = os.devnull
"""pyOCD executes ``pyocd_user.py`` from its project folder unless it is given another script (session.py, _load_user_script)."""


def safe_options(connection: Connection, project: Path) -> dict[str, Any]:
    """Session options: no configuration, no user script, no unlocking, no cleverness that hides failures.

    ``auto_unlock`` is True by default in pyOCD and mass-erases chips that it believes to be locked (core/options.py).
    """
    options: dict[str, Any] = {
        "project_dir": str(project),
        "no_config": True,
        "user_script": NO_SCRIPT,
        "auto_unlock": False,
        "smart_flash": False,
        "fast_program": False,
        "keep_unwritten": True,
        "chip_erase": "sector",
        "hide_programming_progress": True,
        "dap_protocol": "swd",
        "connect_mode": connection.connect,
        "resume_on_disconnect": False,
        "jlink.power": False,
        "jlink.non_interactive": True,
        "primary_core": 0,
        "warning.cortex_m_default": False,
        "cmsis_dap.deferred_transfers": True,
        "reset.hold_time": 0.02,
        "reset.post_delay": 0.0,
    }
    if connection.frequency is not None:
        options["frequency"] = connection.frequency
    if connection.pack is not None:
        options["pack"] = [connection.pack]
    return options


def private_project() -> Path:
    """An empty folder for pyOCD to look for files in, and to make its working directory."""
    return Path(tempfile.mkdtemp(prefix="msdflash-engine-"))


def find(unique_id: str) -> DebugProbe | None:
    """The probe with exactly this unique id, quick drivers first; None when pyOCD does not list it."""
    plain = unique_id.split(":", 1)[-1] if unique_id.split(":", 1)[0].lower() in PROBE_CLASSES else unique_id
    if ":" in unique_id and plain != unique_id:
        return DebugProbeAggregator.get_probe_with_id(unique_id)
    order = [name for name in QUICK_CLASSES if name in PROBE_CLASSES]
    order += [name for name in PROBE_CLASSES if name not in order]
    for name in order:
        probe = PROBE_CLASSES[name].get_probe_with_id(plain, False)
        if probe is not None and probe.unique_id.lower() == plain.lower():
            return probe
    return None


def kind_of(probe: DebugProbe) -> str:
    """The driver's word for the reading ``probe.kind``."""
    return _DRIVERS.get(type(probe).__name__, "other")


def facts(probe: DebugProbe, session: Session) -> ProbeFacts:
    """What the opened probe says of itself."""
    board = getattr(session.board, "name", None)
    if board is not None and board.startswith("Generic "):
        board = None
    info = getattr(session.board, "_info", None)
    firmware = _firmware(probe)
    return ProbeFacts(
        unique_id=probe.unique_id,
        kind=kind_of(probe),
        product=f"{probe.product_name} {firmware}".strip(),
        vendor=probe.vendor_name or "",
        board=board,
        target=getattr(info, "target", None),
    )


def _firmware(probe: DebugProbe) -> str:
    link = getattr(probe, "_link", None)
    version = getattr(link, "version_str", None)
    if isinstance(version, str):
        return version
    identify = getattr(link, "identify", None)
    if identify is not None:
        try:
            from pyocd.probe.pydapaccess import DAPAccess

            answer = identify(DAPAccess.ID.CMSIS_DAP_PROTOCOL_VERSION)
        except Exception:  # noqa: BLE001  (identity is a nicety; the job must go on)
            return ""
        return str(answer) if answer else ""
    return ""


def open_probe(channel: Channel, connection: Connection, project: Path) -> tuple[DebugProbe, Session]:
    """Find the probe and open it without touching the target.

    Raises:
        StepFailed: ``no-probe`` or ``probe-open``; the readings tell the rest.
    """
    probe = find(connection.probe)
    channel.measure("probe.found", probe is not None)
    if probe is None:
        channel.measure("probe.listed", [item.unique_id for item in list_probes()])
        raise StepFailed("no-probe", f"no debug probe with the unique id {connection.probe} is connected")
    channel.measure("probe.kind", kind_of(probe))
    try:
        session = Session(probe, auto_open=False, options={**safe_options(connection, project), "target_override": "cortex_m"})
        session.open(init_board=False)
    except Exception as error:
        trouble = classify(error)
        channel.measure("engine.error", trouble.text)
        if trouble.errno is not None:
            channel.measure("probe.errno", trouble.errno)
        raise StepFailed("probe-open", f"the probe {connection.probe} could not be opened") from error
    channel.probe = facts(probe, session)
    channel.measure("probe.product", channel.probe.product)
    return probe, session


def list_probes() -> list[ListedProbe]:
    """Every probe that pyOCD lists, third-party plugins included; a driver that fails is told, not fatal."""
    found: list[ListedProbe] = []
    for name, driver in PROBE_CLASSES.items():
        try:
            probes = driver.get_all_connected_probes(None, False)
        except Exception as error:  # noqa: BLE001  (one broken driver must not hide the other probes)
            found.append(ListedProbe("", name, "", "", problem=classify(error).text))
            continue
        found.extend(_listed(probe) for probe in probes)
    return found


def _listed(probe: DebugProbe) -> ListedProbe:
    board = target = board_id = problem = None
    try:
        info = probe.associated_board_info
        board_id = getattr(probe, "board_id", None)
        if info is not None:
            board, target = info.name, info.target
    except Exception as error:  # noqa: BLE001  (a busy probe is still a probe)
        problem = classify(error).text
    return ListedProbe(
        unique_id=probe.unique_id,
        kind=kind_of(probe),
        vendor=probe.vendor_name or "",
        product=probe.product_name or "",
        board=board,
        board_id=board_id,
        target=target,
        problem=problem,
    )
