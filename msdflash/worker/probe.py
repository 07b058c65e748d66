"""Finding and opening a probe with pyOCD under options that are safe for a daemon."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from pyocd.core.session import Session
from pyocd.probe.aggregator import PROBE_CLASSES, DebugProbeAggregator
from pyocd.probe.debug_probe import DebugProbe
from pyocd.probe.pydapaccess.interface.common import is_known_cmsis_dap_vid_pid
from pyocd.probe.pydapaccess.interface.interface import Interface
from pyocd.probe.stlink.usb import STLinkUSBInterface

from msdflash.job.order import Connection
from msdflash.job.outcome import ListedProbe, ProbeFacts
from msdflash.worker import hostusb, jlink, packs
from msdflash.worker.channel import Channel, StepFailed
from msdflash.worker.trouble import Trouble, classify, deepen

_DRIVERS = {
    "CMSISDAPProbe": "cmsis-dap",
    "StlinkProbe": "stlink",
    "JLinkProbe": "jlink",
    "Picoprobe": "picoprobe",
}
"""pyOCD's probe class to the word in the reading ``probe.kind``."""

QUICK_CLASSES = ("cmsisdap", "stlink", "picoprobe")
"""Asked first: they answer in milliseconds. The J-Link class loads SEGGER's library and may raise dialogs."""

CMSIS_DAP_PATIENCE = 4.0
"""Seconds that a CMSIS-DAP probe gets for one answer. pyOCD's ten would outlast our steps; the longest command, DAP_SWJ_Pins, takes 3."""

_PATIENCE = {"cmsis-dap": CMSIS_DAP_PATIENCE, "stlink": 1.0}
"""By driver: seconds until a transfer is given up; an ST-LINK's is the default of pyOCD's ``STLinkUSBInterface.transfer``."""

Interface.DEFAULT_USB_TIMEOUT_S, Interface.DEFAULT_USB_TIMEOUT_MS = CMSIS_DAP_PATIENCE, int(1000 * CMSIS_DAP_PATIENCE)

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
        options["pack"] = [packs.read(connection.pack)]
        # An algorithm is what a pack is for; what it calls unlocking may erase the chip, and nobody asked for that.
        options["pack.debug_sequences.disabled_sequences"] = ["DebugDeviceUnlock"]
    return options


def private_project() -> Path:
    """An empty folder for pyOCD to look for files in, and to make its working directory."""
    return Path(tempfile.mkdtemp(prefix="msdflash-engine-"))


def find(unique_id: str, problems: list[str] | None = None) -> DebugProbe | None:
    """The probe with exactly this unique id, quick drivers first; None when pyOCD does not list it.

    A driver that fails is passed over, and what it said is added to ``problems``: a device that it cannot stand is not ours.
    """
    plain = unique_id.split(":", 1)[-1] if unique_id.split(":", 1)[0].lower() in PROBE_CLASSES else unique_id
    if ":" in unique_id and plain != unique_id:
        return DebugProbeAggregator.get_probe_with_id(unique_id)
    order = [name for name in QUICK_CLASSES if name in PROBE_CLASSES]
    order += [name for name in PROBE_CLASSES if name not in order]
    for name in order:
        try:
            probe = PROBE_CLASSES[name].get_probe_with_id(plain, False)
        except Exception as error:  # noqa: BLE001  (as in list_probes)
            if problems is not None:
                problems.append(f"{name}: {classify(error).text}")
            continue
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


_PACE = {"jlink": 4.0}
"""By driver: how many times as long a step may take. pyOCD moves each word through a J-Link by calls of their own, without blocks."""

SEGGER = 0x1366
"""USB vendor id of J-Links. Devices of SEGGER's that are none would only be named as such beside a probe that is missing."""


def open_probe(channel: Channel, connection: Connection, project: Path) -> tuple[DebugProbe, Session]:
    """Find the probe and open it without touching the target.

    Raises:
        StepFailed: ``pack``, ``no-probe``, ``probe-ambiguous`` or ``probe-open``; the readings tell the rest.
    """
    packs.check(channel, connection)
    problems: list[str] = []
    probe = find(connection.probe, problems)
    channel.measure("probe.found", probe is not None)
    listed = hostusb.nodes()
    nodes = hostusb.matching(connection.probe, listed or ())
    if probe is None:
        if problems:
            channel.measure("engine.error", "; ".join(problems))
        nameless = [node for node in listed or () if not node.serial and is_debug_probe(node)]
        if nameless:
            channel.measure("usb.nameless", [f"{node.vid:04x}:{node.pid:04x}" for node in nameless])
        raise _missing(channel, connection.probe, None if listed is None else nodes)
    twins = count_twins(probe, nodes)
    if twins > 1:
        channel.measure("probe.twins", twins)
        raise StepFailed("probe-ambiguous", f"{twins} connected probes have the unique id {connection.probe}")
    channel.opened = probe
    channel.measure("probe.kind", kind_of(probe))
    channel.pace = _PACE.get(kind_of(probe), 1.0)
    session = _open(channel, probe, {**safe_options(connection, project), "target_override": "cortex_m"}, nodes)
    channel.probe = facts(probe, session)
    channel.measure("probe.product", channel.probe.product)
    return probe, session


RELEASE_PATIENCE = 1.0
"""Seconds for a program that has just ended to be rid of the probe."""


def _open(channel: Channel, probe: DebugProbe, options: dict[str, Any], nodes: Sequence[hostusb.UsbNode]) -> Session:
    """Open the probe; one that is taken, but by nobody who can be seen, is tried again for a moment.

    Raises:
        StepFailed: ``probe-open``, after what can be known of the reason was measured.
    """
    end = time.monotonic() + RELEASE_PATIENCE
    while True:
        try:
            session = Session(probe, auto_open=False, options=options)
            session.open(init_board=False)
            return session
        except Exception as error:
            trouble = deepen(classify(error), probe)
            asked = trouble.errno in (errno.EBUSY, errno.EACCES) or jlink.is_jlink(probe)  # whose library gives words instead of a number
            holders = [who for node in nodes if (who := hostusb.holder(node))] if asked else []
            if trouble.errno == errno.EBUSY and not holders and time.monotonic() < end:
                with contextlib.suppress(Exception):
                    probe.close()
                time.sleep(0.1)
                continue
            channel.measure("engine.error", trouble.text)
            if trouble.errno is not None:
                channel.measure("probe.errno", trouble.errno)
            note_timeout(channel, trouble, kind_of(probe))
            _note_late(channel, trouble, probe)
            for who in holders:
                channel.measure("probe.holder", who)
            if trouble.errno == errno.EBUSY:
                channel.measure("usb.drivers", sorted({driver for node in nodes for driver in node.drivers}))
            raise StepFailed("probe-open", f"the probe {probe.unique_id} could not be opened") from error


def count_twins(probe: DebugProbe, nodes: Sequence[hostusb.UsbNode]) -> int:
    """How many connected probes have this one's unique id. ``nodes``: the system's devices of this name, if it tells.

    Devices of one kind count, and those that are known to be debug probes; where that does not settle it, what the driver lists does.
    """
    if len(nodes) == 1:
        return 1
    found = max(hostusb.twins(probe.unique_id, nodes), sum(is_debug_probe(node) for node in nodes))
    if found > 1:
        return found
    with contextlib.suppress(Exception):
        return sum(other.unique_id == probe.unique_id for other in type(probe).get_all_connected_probes(probe.unique_id, False))
    return found


def is_debug_probe(node: hostusb.UsbNode) -> bool:
    """Whether pyOCD's tables know this USB id as a debug probe's, or it is of SEGGER's, whose library keeps its own table."""
    known = node.vid == STLinkUSBInterface.USB_VID and node.pid in STLinkUSBInterface.USB_PID_EP_MAP
    return known or node.vid == SEGGER or is_known_cmsis_dap_vid_pid(node.vid, node.pid)


def _missing(channel: Channel, unique_id: str, nodes: list[hostusb.UsbNode] | None) -> StepFailed:
    """The failure when pyOCD does not list it, after asking the system. ``nodes``: its devices of this name, None when it cannot tell."""
    channel.measure("probe.listed", [item.unique_id for item in list_probes()])
    if nodes:
        node = nodes[0]
        channel.measure("usb.node", {"present": True, "vid": node.vid, "pid": node.pid, "serial": node.serial})
        number = hostusb.open_errno(node)
        if number is not None:
            channel.measure("probe.errno", number, "opening its USB device without pyOCD")
    elif nodes is not None:
        channel.measure("usb.node", {"present": False})
    return StepFailed("no-probe", f"no debug probe with the unique id {unique_id} is connected")


def note_timeout(channel: Channel, trouble: Trouble, kind: str) -> None:
    """After a time-out: how long the driver waited for that one transfer."""
    if trouble.errno == errno.ETIMEDOUT and kind in _PATIENCE:
        channel.measure("probe.hung", _PATIENCE[kind])


LATE_PATIENCE = 3.0
"""Seconds for which an ST-LINK that overran its driver's one is listened to once more, before it counts as hung."""


def _note_late(channel: Channel, trouble: Trouble, probe: DebugProbe) -> None:
    """After a time-out of an ST-LINK: does it answer late, or not at all? Its driver's second is too short to tell.

    One harmless command (GET_VERSION, as in pyOCD's ``stlink.py``) goes out; whatever comes back, be it the answer to the command before,
    is an answer.
    """
    device = getattr(getattr(probe, "_link", None), "_device", None)
    if trouble.errno != errno.ETIMEDOUT or not isinstance(device, STLinkUSBInterface):
        return
    began = time.monotonic()
    with contextlib.suppress(Exception):
        if not device.is_open:
            device.open()
        milliseconds = int(1000 * LATE_PATIENCE)
        device._ep_out.write(bytes((_GET_VERSION,)).ljust(device.CMD_SIZE, b"\0"), milliseconds)  # noqa: SLF001 - pyOCD fixes its own time
        device._ep_in.read(device.max_packet_size, milliseconds)  # noqa: SLF001
        channel.measure("probe.late", round(time.monotonic() - began + _PATIENCE["stlink"], 2))
        return
    channel.measure("probe.hung", round(time.monotonic() - began + _PATIENCE["stlink"], 1))


_GET_VERSION = 0xF1


def note_presence(channel: Channel, unique_id: str) -> None:
    """After an error of the probe: is it still listed?"""
    names = {reading.name for reading in channel.readings}
    # A probe that goes between listing and opening leaves no error number.
    failed = "probe.errno" in names or "probe.product" not in names
    if failed and any(reading.name == "probe.found" and reading.value for reading in channel.readings):
        with contextlib.suppress(Exception):
            channel.measure("probe.present", find(unique_id) is not None)


def list_probes() -> list[ListedProbe]:
    """Every probe that pyOCD lists, third-party plugins included; a driver that fails is told, not fatal.

    So is an id that says too little: one that several probes have, and one that pyOCD made up for a probe without a serial number.
    """
    found: list[ListedProbe] = []
    for name, driver in PROBE_CLASSES.items():
        try:
            probes = driver.get_all_connected_probes(None, False)
        except Exception as error:  # noqa: BLE001  (one broken driver must not hide the other probes)
            found.append(ListedProbe("", name, "", "", problem=classify(error).text))
            continue
        found.extend(_listed(probe) for probe in probes)
    nodes = hostusb.nodes() or []
    return [msgspec.structs.replace(item, problem=item.problem or _doubt(item, found, nodes)) for item in found]


def _doubt(item: ListedProbe, listed: list[ListedProbe], nodes: list[hostusb.UsbNode]) -> str | None:
    """What is wrong with a probe's unique id."""
    if not item.unique_id:
        return None
    same = sum(other.unique_id == item.unique_id for other in listed)
    if max(same, hostusb.twins(item.unique_id, nodes)) > 1:
        return "several connected probes have this unique id; msdflash does not choose between them: unplug all but one"
    if any(not node.serial for node in hostusb.matching(item.unique_id, nodes)):
        return "this probe has no serial number; its unique id is made up and changes when it is plugged in again"
    return None


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
