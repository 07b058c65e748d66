"""Rules about the computer, USB, the probe and the engine."""

from __future__ import annotations

import re

from msdflash.chips.families import family_of_target
from msdflash.diagnose.evidence import Evidence, is_register
from msdflash.diagnose.finding import Finding
from msdflash.diagnose.words import CERTAIN, LIKELY, POSSIBLE, RULED_OUT, count, engine_said, found

EACCES, EBUSY = 13, 16
GONE = frozenset({19, 5})
ERRNO_WORDS = {
    5: "EIO: the transfer broke off",
    13: "EACCES: not permitted",
    16: "EBUSY: in use",
    19: "ENODEV: no such device",
    32: "EPIPE: the probe refused it",
    71: "EPROTO: errors on the line",
    75: "EOVERFLOW: more bytes than asked for",
    110: "ETIMEDOUT: no answer",
}
"""Linux error numbers of USB transfers in words (errno.h; kernel Documentation/driver-api/usb/error-codes.rst)."""
TIMED_OUT = frozenset({110, 60, 10060, 138})
SIGNAL = frozenset({71, 75, 84, 100})
STALL = 32
"""Error numbers of Linux, macOS and Windows as libusb and Python name them: ENODEV 19, EIO 5; ETIMEDOUT 110, 60, 10060, 138; EPROTO 71,
100; EOVERFLOW 75, 84; EPIPE 32."""

BOOTLOADERS = frozenset({(0x0483, 0x374D)})
"""USB ids of probes in their update mode: ST-LINK DFU."""

MISSING = frozenset({"no-probe"})
_MALFORMED = re.compile(
    r"response is for command|incomplete command response|index out of range|struct\.error|requires a buffer of"
    r"|AssertionError in \w+ \((?:dap_access_\w+|cmsis_dap_core|stlink|usb)\.py\)",
    re.IGNORECASE,
)
_DRIVER_FAILED = re.compile(r"\bstlink: TypeError\b")
_CANNOT = re.compile(r"requires a debug probe with SWD sequence capability|probe that does not support APv2 addresses", re.IGNORECASE)
NO_SEQUENCES = frozenset({"stlink", "jlink"})
"""Probe kinds whose driver cannot send SWD sequences (no ``Capability.SWD_SEQUENCE`` in pyOCD 0.46's probe/stlink_probe.py and
probe/jlink_probe.py). An RP2040's ports share one line and want a selection first (RP2040 datasheet 2.3.4)."""

_TOO_OLD = re.compile(r"unsupported, older firmware|firmware on the probe is outdated|minimum supported firmware", re.IGNORECASE)


def _errno(e: Evidence) -> int | None:
    value = e.number("probe.errno")
    return None if value is None else int(abs(value))


def _usb_trouble(e: Evidence) -> bool:
    return e.kind in {"usb", "probe-open", "timeout", "crash", "transfer", "unexpected"}


def _opening_failed_mutely(e: Evidence) -> bool:
    """Opening failed and nothing says why: no error number, no refusal in the driver's own words."""
    return (
        e.kind == "probe-open" and _errno(e) is None and not any(known.search(e.text("engine.error")) for known in (_TOO_OLD, _MALFORMED))
    )


def _node_words(e: Evidence) -> str:
    node = e.table("usb.node")
    vid, pid = node.get("vid"), node.get("pid")
    if is_register(vid) and is_register(pid):
        return f"the system lists the USB device {vid:04x}:{pid:04x}"
    return "the system lists its USB device"


def no_probe(e: Evidence) -> Finding | None:
    """The engine lists no such probe; the system's own USB list decides between missing and forbidden."""
    if e.kind not in MISSING:
        return None
    listed = e.value("probe.listed")
    number = f"pyOCD lists {len(listed)} probes, and this one is not among them" if isinstance(listed, list) else ""
    probe = e.outcome.probe.unique_id if e.outcome.probe else ""
    present = e.table("usb.node").get("present")
    if present is True or _errno(e) == EACCES:
        reason = _node_words(e) if present is True else "opening its USB device gave EACCES, so it is there"
        return found("no-probe", RULED_OUT, reason, probe=probe)
    if present is False and e.value("usb.nameless"):
        words = "the system's own USB list does not hold it, but holds a debug probe without a serial number, which may be the one"
        return found("no-probe", POSSIBLE, number, words)
    if present is False:
        return found("no-probe", CERTAIN, number, "the system's own USB list does not hold it either", probe=probe)
    return found("no-probe", LIKELY, number or "pyOCD does not list this probe", probe=probe)


def usb_permission(e: Evidence) -> Finding | None:
    """EACCES on the probe's device node. pyOCD leaves such probes out of its list."""
    if _errno(e) == EACCES and not e.text("probe.holder") and _usb_trouble(e) | (e.kind in MISSING):
        return found("usb-permission", CERTAIN, "opening the probe's USB device gave error 13 (EACCES)", _node_words(e))
    if e.kind in MISSING and e.table("usb.node").get("present") is True:
        return found("usb-permission", POSSIBLE, _node_words(e), "pyOCD leaves probes out of its list that it may not open")
    if e.kind in MISSING and not e.has("usb.node"):
        return found("usb-permission", POSSIBLE, "pyOCD leaves probes out of its list that it may not open")
    if _opening_failed_mutely(e):
        return found("usb-permission", POSSIBLE, "opening the probe failed without an error number")
    return None


def probe_in_bootloader(e: Evidence) -> Finding | None:
    """The USB id is that of the probe's own boot loader."""
    node = e.table("usb.node")
    vid, pid = node.get("vid"), node.get("pid")
    if e.kind in MISSING and is_register(vid) and is_register(pid) and (vid, pid) in BOOTLOADERS:
        return found("probe-in-bootloader", CERTAIN, _node_words(e))
    return None


def probe_nameless(e: Evidence) -> Finding | None:
    """A debug probe without a serial number: pyOCD makes up an id for a CMSIS-DAP, and cannot list any ST-LINK beside such a one."""
    ids = [item for item in e.value("usb.nameless") or () if isinstance(item, str)] if isinstance(e.value("usb.nameless"), list) else []
    if e.kind not in MISSING or not ids:
        return None
    words = f"the system lists a debug probe without a serial number: {', '.join(ids)}"
    if _DRIVER_FAILED.search(e.text("engine.error")) and e.table("usb.node").get("present") is True:
        return found("probe-no-serial", CERTAIN, words, _node_words(e) + ", and pyOCD's driver stopped at the other one", engine_said(e))
    return found("probe-no-serial", POSSIBLE, words)


def probe_slow(e: Evidence) -> Finding | None:
    """Opening talks to nothing but the probe: when it overruns its deadline and no transfer failed, the probe answers, but slowly."""
    late = e.number("probe.late")
    if late is not None:
        words = f"its answer came {late:g} s after it was asked, when the driver had given up"
        return found("probe-slow", LIKELY, words, seconds=f"{late:g}")
    if _timed_out(e) and not _long_enough(e):
        return found("probe-slow", POSSIBLE, "no reply in the time that its driver waits; it may come later")
    if e.kind != "timeout" or e.step != "open" or e.flag("probe.found") is not True or _errno(e) is not None:
        return None
    seconds = count(e.number("engine.deadline"))
    return found("probe-slow", LIKELY, f"opening the probe took more than {seconds} s, and no transfer failed", seconds=seconds)


def probe_ambiguous(e: Evidence) -> Finding | None:
    """More than one probe answers to the unique id."""
    twins = e.number("probe.twins")
    if twins is None or twins < 2:
        return None
    number = count(twins)
    probe = e.outcome.probe.unique_id if e.outcome.probe else ""
    reason = f"{number} connected probes answer to this unique id"
    return found("probe-ambiguous", CERTAIN, reason, probe=probe, count=number)


def probe_busy(e: Evidence) -> Finding | None:
    """EBUSY, or a known holder of the device node while opening failed."""
    holder = e.text("probe.holder")
    if holder and (e.kind in {"probe-open", "usb"} | MISSING or _errno(e) == EBUSY):
        return found("probe-busy", CERTAIN, f"its device node is open in: {holder}", _errno_words(e), holder=holder)
    if _errno(e) == EBUSY and _usb_trouble(e):
        if _taken_by(e):
            return found("probe-busy", POSSIBLE, "opening the probe gave error 16 (EBUSY)", "no program has claimed one of its interfaces")
        return found("probe-busy", CERTAIN, "opening the probe gave error 16 (EBUSY)", "who holds it could not be read")
    if _opening_failed_mutely(e):
        return found("probe-busy", POSSIBLE, "opening the probe failed without an error number")
    return None


PROGRAM_DRIVER = "usbfs"
"""Linux: the driver of an interface that a program has claimed."""


def _taken_by(e: Evidence) -> str:
    """Kernel drivers on the probe's interfaces, where no program has claimed any; "" else."""
    value = e.value("usb.drivers")
    names = [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
    return "" if PROGRAM_DRIVER in names else ", ".join(names)


def probe_interface_taken(e: Evidence) -> Finding | None:
    """EBUSY, and nobody but drivers of the system has an interface of the device."""
    if _errno(e) != EBUSY or not _usb_trouble(e) or e.text("probe.holder") or not _taken_by(e):
        return None
    drivers = _taken_by(e)
    words = f"the system lists the drivers {drivers} on its interfaces, and no program"
    return found("probe-interface-taken", LIKELY, "opening the probe gave error 16 (EBUSY)", words, drivers=drivers)


def probe_cannot_reach(e: Evidence) -> Finding | None:
    """The engine's own table of what a driver can do; or silence, and a named chip that only answers when its port is selected."""
    if _CANNOT.search(e.text("engine.error")):
        return found("probe-cannot-reach-chip", CERTAIN, engine_said(e))
    if e.probe_kind not in NO_SEQUENCES or not e.silent or e.dp_ever:
        return None
    family = next((family for family in map(family_of_target, e.families) if family is not None), None)
    if family is None or not family.targetsels:
        return None
    words = f"the target is set to {family.title}, whose debug port answers only once it is selected by a bit sequence"
    return found("probe-cannot-reach-chip", LIKELY, words, "this kind of probe sends none", "the debug port did not answer")


def _errno_words(e: Evidence) -> str:
    number = _errno(e)
    if number is None:
        return ""
    name = ERRNO_WORDS.get(number, "")
    return f"the USB transfer failed with error {number}{f' ({name})' if name else ''}"


def probe_vanished(e: Evidence) -> Finding | None:
    """The device is gone: not listed after the failure, or ENODEV."""
    if not _usb_trouble(e):
        return None
    present = e.flag("probe.present")
    if present is False:
        # A probe that could not even be opened may drop out of the list because somebody else took it.
        sure = LIKELY if e.kind == "probe-open" else CERTAIN
        return found("probe-vanished", sure, _errno_words(e), "after the failure the probe was no longer listed", step=e.phase)
    if _errno(e) == 19 or (_errno(e) in GONE and present is None):
        again = "it is listed again now" if present else "whether it is listed now was not seen"
        return found("probe-vanished", LIKELY, _errno_words(e), again, step=e.phase)
    return None


LONG_WAIT = 3.0
"""Seconds without a reply from which on a probe that is still listed has stopped: the longest CMSIS-DAP command, DAP_SWJ_Pins, takes 3."""


def _long_enough(e: Evidence) -> bool:
    waited = e.number("probe.hung")
    return waited is not None and waited >= LONG_WAIT


def _timed_out(e: Evidence) -> bool:
    return _usb_trouble(e) and e.flag("probe.present") is not False and (e.has("probe.hung") or _errno(e) in TIMED_OUT)


def _nameless_error(e: Evidence) -> bool:
    """SEGGER's library has one number for whatever happens on USB; the worker reads it as EIO."""
    return e.probe_kind == "jlink" and _errno(e) == 5 and e.flag("probe.present") is True


def probe_hung(e: Evidence) -> Finding | None:
    """No reply within the transfer's time, while the device is still there."""
    if not _usb_trouble(e) or e.flag("probe.present") is False:
        return None
    if e.has("probe.late"):
        return found("probe-hung", RULED_OUT, "an answer came, but late")
    if _nameless_error(e):
        return found("probe-hung", POSSIBLE, "the J-Link's library does not say what went wrong on USB")
    hung = e.number("probe.hung")
    seconds = "" if hung is None else f"{hung:g}"
    if hung is not None or _errno(e) in TIMED_OUT:
        there = "it is still listed" if e.flag("probe.present") else ""
        waited = f"no reply to a USB transfer for {seconds} s" if seconds else _errno_words(e)
        return found("probe-hung", CERTAIN if there and _long_enough(e) else LIKELY, waited, there, seconds=seconds)
    if e.kind == "usb" and _errno(e) is None:
        return found("probe-hung", POSSIBLE, engine_said(e))
    return None


def usb_unstable(e: Evidence) -> Finding | None:
    """Signal errors on the bus, or transfers that fail while the device stays."""
    if not _usb_trouble(e):
        return None
    if _errno(e) in SIGNAL:
        return found("usb-unstable", LIKELY, _errno_words(e) + ", a signal error on the bus", errno=f"error {_errno(e)}")
    if _errno(e) == 5 and e.flag("probe.present"):
        sure = POSSIBLE if _nameless_error(e) else LIKELY
        return found("usb-unstable", sure, _errno_words(e) + " (EIO)", "the probe is still listed", errno="error 5")
    if e.kind == "usb" and _errno(e) is None:
        return found("usb-unstable", POSSIBLE, engine_said(e))
    return None


def probe_firmware(e: Evidence) -> Finding | None:
    """Malformed answers, refused versions and ST-LINK's refusal of other makers' chips."""
    said = e.text("engine.error")
    if _TOO_OLD.search(said):
        return found("probe-fw-too-old", CERTAIN, engine_said(e))
    if _errno(e) == STALL or _MALFORMED.search(said):
        return found("probe-fw-fault", LIKELY, _errno_words(e), engine_said(e))
    if _nameless_error(e):
        return found("probe-fw-fault", POSSIBLE, "the J-Link's library does not say what went wrong on USB", engine_said(e))
    refused = "stlink-29" in e.acks or "STLink error (29)" in said
    if refused and e.probe_kind in {"stlink", "other"}:
        foreign = bool(e.families) and not any(name.startswith("stm32") for name in e.families)
        return found(
            "probe-fw-refuses-target",
            LIKELY if foreign else POSSIBLE,
            "the ST-LINK answered with code 29 (bad access port)",
            f"the target {e.families[0]} is not an STM32" if foreign else "",
        )
    return None


def probe_open_failed(e: Evidence) -> Finding | None:
    """What is left to say when opening failed."""
    return found("probe-open-failed", CERTAIN, _errno_words(e), engine_said(e)) if e.kind == "probe-open" else None


NO_ROOM = ("[Errno 28]", "[Errno 122]", "[Errno 69]")
"""ENOSPC; EDQUOT on Linux and on macOS."""


def disk_full(e: Evidence) -> Finding | None:
    """No room for what is written on this computer: the spool's copy, or bytes beside the image."""
    if any(number in e.text("engine.error") for number in NO_ROOM):
        return found("disk-full", CERTAIN, engine_said(e))
    return None


def undo_not_kept(e: Evidence) -> Finding | None:
    """Bytes beside the image cannot be written down before their sectors are erased; not for want of room."""
    if e.kind != "undo" or disk_full(e) is not None:
        return None
    return found("undo-not-kept", CERTAIN, engine_said(e), "nothing was erased: what cannot be kept must not be put at risk")


def engine_crash(e: Evidence) -> Finding | None:
    """The worker process ended without its last message."""
    if e.kind != "crash":
        return None
    ended = e.text("engine.exit")
    return found(
        "engine-crash",
        CERTAIN,
        f"the worker process ended: {ended}" if ended else "the worker process ended early",
        engine_said(e),
        step=e.phase,
        exit=ended,
    )


def engine_timeout(e: Evidence) -> Finding | None:
    """A step overran its deadline and the worker was ended."""
    if e.kind != "timeout":
        return None
    seconds = count(e.number("engine.deadline"))
    words = f"its deadline of {seconds} s passed" if seconds else "its deadline passed"
    return found("engine-timeout", CERTAIN, words, step=e.phase, seconds=seconds)


def interrupted(e: Evidence) -> Finding | None:
    """The job was cut off: by a kill, a crash of this computer, a power cut."""
    if e.kind != "interrupted":
        return None
    times = count(e.value("engine.interrupted"))
    return found(
        "interrupted", CERTAIN, f"the job was cut off {times} times" if times else "the journal shows a job without an end", times=times
    )


def cancelled(e: Evidence) -> Finding | None:
    """Somebody took the file away or asked to stop."""
    return found("cancelled", CERTAIN, e.failure.message if e.failure else "") if e.kind == "cancelled" else None


HOST_RULES = (
    disk_full,
    undo_not_kept,
    no_probe,
    probe_ambiguous,
    probe_nameless,
    probe_slow,
    probe_in_bootloader,
    usb_permission,
    probe_busy,
    probe_interface_taken,
    probe_cannot_reach,
    probe_vanished,
    probe_hung,
    usb_unstable,
    probe_firmware,
    engine_crash,
    interrupted,
    cancelled,
)
HOST_SYMPTOMS = (probe_open_failed, engine_timeout)
