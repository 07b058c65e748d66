"""Rules about RAM, the flash algorithm and what flash holds afterwards.

NOR flash can only clear bits when programmed and set them when erased. So after programming, a 1 that should be 0 was not programmed and
a 0 that should be 1 was not erased; the worker names such patterns in ``verify.pattern``, with the family's erased value in mind.
"""

from __future__ import annotations

from typing import Any

from msdflash.chips.families import family_of_target
from msdflash.diagnose.evidence import Evidence, is_register
from msdflash.diagnose.finding import Finding
from msdflash.diagnose.rules_origin import unordered
from msdflash.diagnose.rules_reset import blocked
from msdflash.diagnose.words import CERTAIN, LIKELY, POSSIBLE, RULED_OUT, UNLIKELY, compared, count, engine_said, found, hex32

FLASH_WORK = frozenset({"erase", "program", "verify", "timeout", "algo-timeout", "write-protected"})
FEW_BYTES = 8
"""FEW_BYTES: at most one double word; a step that was not done at all leaves whole pages behind."""

PROTECTED = frozenset({"WRPERR", "WRPRTERR", "FPVIOL", "LOCKE"})
"""Flags of flash controllers that say "this address is write-protected" (STM32, Kinetis, SAM D)."""

RAM_PATTERNS = {
    "fault": "ram-unclocked",
    "lost": "ram-lost",
    "all": "ram-lost",
    "above": "ram-smaller",
    "alias": "ram-smaller",
    "stuck": "ram-bad",
    "cell": "ram-bad",
    "bits": "ram-bad",
}
"""Pattern of the RAM test -> cause."""

RAM_WORDS = {
    "fault": "the accesses were refused",
    "lost": "nothing that was written arrived",
    "above": "everything is wrong from one address on",
    "alias": "what was written at one address shows up at another one, too",
    "stuck": "one and the same bit is wrong everywhere",
    "cell": "single words are wrong",
    "mixed": "wrong words without a pattern",
}
"""Pattern of the RAM test in words."""

M0_PARTS = frozenset({0xC20, 0xC60, 0xC21})
"""CPUID.PARTNO of ARMv6-M cores: Cortex-M0 C20, M0+ C60, M1 C21 (Arm DDI 0419E B3.2.3)."""

CFSR_UNDEFINSTR = 1 << 16
"""CFSR.UNDEFINSTR (Arm DDI 0403E B3.2.15)."""


def ram_test(e: Evidence) -> Finding | None:
    """The RAM test failed; its pattern names the cause."""
    cell = e.table("ram.test")
    if cell.get("ok") is not False:
        if e.kind == "transfer" and e.step == "load" and e.acks[-1:] == ("fault",):
            return found("ram-unclocked", POSSIBLE, "an access to the algorithm's RAM was answered with FAULT", engine_said(e))
        if cell.get("ok") is True and e.kind in {"algo-readback", "algo-init"}:
            return found("ram-bad", RULED_OUT, f"the RAM test passed on {cell.get('words', 'all')} words")
        return None
    slots: dict[str, Any] = {"address": hex32(cell.get("address")), "wrote": hex32(cell.get("wrote")), "read": hex32(cell.get("read"))}
    reason, pattern = f"RAM test: {compared(cell)}", str(cell.get("kind", ""))
    whole = is_register(cell.get("bad")) and cell.get("bad") == cell.get("words")
    cause = RAM_PATTERNS.get(pattern, "ram-lost" if whole else "ram-bad")
    slots["words"] = count(cell.get("words"))
    because = blocked(e)
    if because:
        return found(cause, UNLIKELY, because + ": RAM of most chips does not answer then", reason, **slots)
    flags = unordered(e)
    if flags:
        again = f"the chip was reset meanwhile ({', '.join(flags)}), and its program may have written there"
        return found(cause, POSSIBLE, reason, again, **slots)
    errors = e.table("swd.errors").get("errors")
    if cause == "ram-bad" and is_register(errors) and errors:
        return found(cause, POSSIBLE, reason, "the SWD link made errors, too", **slots)
    # A whole data line points at the RAM; a few words may have been damaged on their way.
    sure = cause in {"ram-lost", "ram-unclocked"} or pattern == "stuck"
    return found(cause, CERTAIN if sure else LIKELY, reason, RAM_WORDS.get(pattern, ""), **slots)


def ram_or_way(e: Evidence) -> Finding | None:
    """A few wrong words in the RAM test: damaged cells, or data damaged on their way."""
    cell = e.table("ram.test")
    if cell.get("ok") is not False or cell.get("kind") not in {"cell", "mixed"} or blocked(e):
        return None
    return found(
        "data-corrupted-on-the-way", POSSIBLE, "a few wrong words may be damaged on their way instead; the test does not tell them apart"
    )


def algo_download(e: Evidence) -> Finding | None:
    """The algorithm's own read-back differs though RAM as such works."""
    cell = e.table("algo.readback")
    if cell.get("ok") is not False or e.table("ram.test").get("ok") is False or blocked(e):
        return None
    works = "the RAM test passed before" if e.table("ram.test").get("ok") is True else ""
    return found(
        "algo-download-corrupt",
        CERTAIN,
        f"algorithm read back: {compared(cell)}",
        works,
        address=hex32(cell.get("address")),
        wrote=hex32(cell.get("wrote")),
        read=hex32(cell.get("read")),
    )


def _call(e: Evidence) -> dict[str, Any]:
    return e.table("algo.call")


def _call_words(e: Evidence) -> str:
    call = _call(e)
    if not call:
        return ""
    where = f"({hex32(call['address'])})" if is_register(call.get("address")) else ""
    parts = [f"the algorithm's {call.get('function', 'call')}{where}"]
    if call.get("r0") is not None:
        parts.append(f"returned {hex32(call['r0'])}")
    if is_register(call.get("pc")):
        parts.append(f"stopped at PC {hex32(call['pc'])}")
    return f"{parts[0]} {' and '.join(parts[1:])}".rstrip()


def _ipsr(e: Evidence) -> int | None:
    for source in (_call(e).get("ipsr"), e.table("core.fault").get("ipsr")):
        if is_register(source) and 2 <= source <= 6:
            return int(source)
    return None


def algo_reset(e: Evidence) -> Finding | None:
    """Debug enable or the traps were lost in a call: only a reset does that."""
    if e.flag("algo.reset_seen") is not True and e.kind != "reset-under-algorithm":
        return None
    return found("algo-reset", CERTAIN, "the core reported a reset during an algorithm call", _call_words(e))


def algo_wrong_architecture(e: Evidence) -> Finding | None:
    """An ARMv6-M core that faults in an intact algorithm, or UNDEFINSTR on a bigger one."""
    cpuid, cfsr = e.register("core.cpuid"), e.table("core.fault").get("cfsr")
    if is_register(cfsr) and cfsr & CFSR_UNDEFINSTR:
        return found("algo-wrong-architecture", LIKELY, f"undefined instruction (CFSR {hex32(cfsr)})", _call_words(e))
    intact = e.table("algo.readback").get("ok") is True
    if cpuid is not None and (cpuid >> 4) & 0xFFF in M0_PARTS and _ipsr(e) is not None and intact:
        return found(
            "algo-wrong-architecture", POSSIBLE, f"the core is an ARMv6-M (CPUID {hex32(cpuid)}), which lacks most Thumb-2 instructions"
        )
    return None


def algo_faulted(e: Evidence) -> Finding | None:
    """An exception ended the call."""
    ipsr = _ipsr(e)
    if ipsr is None and e.kind != "algo-fault":
        return None
    fault = e.table("core.fault")
    registers = ", ".join(f"{name.upper()} {hex32(fault[name])}" for name in ("pc", "cfsr", "hfsr", "bfar") if is_register(fault.get(name)))
    return found(
        "algo-faulted",
        CERTAIN,
        _call_words(e),
        f"exception number {ipsr}" if ipsr else "it did not stop where it should",
        registers,
        function=_call(e).get("function"),
        ipsr=ipsr,
    )


def algo_init(e: Evidence) -> Finding | None:
    """Init came back with an error code."""
    if e.kind != "algo-init" or _ipsr(e) is not None:
        return None
    return found("algo-init-failed", CERTAIN, _call_words(e), engine_said(e), r0=hex32(_call(e).get("r0")))


def flash_busy(e: Evidence) -> Finding | None:
    """The controller's busy flag outlives the call's deadline."""
    busy = e.flag("flash.busy")
    if busy is not True or e.kind not in FLASH_WORK | {"algo-init"}:
        return None
    seconds, function = count(_call(e).get("timeout_s")), _call(e).get("function")
    return found(
        "algo-timeout-flash-busy",
        CERTAIN,
        f"the flash controller was still busy after {seconds} s"
        if seconds
        else "the flash controller was still busy after the call's time",
        _call_words(e),
        _status_words(e),
        function=function,
        seconds=seconds,
    )


def algo_timeout(e: Evidence) -> Finding | None:
    """A call that did not come back."""
    call = _call(e)
    seconds = count(call.get("timeout_s"))
    if not seconds or call.get("r0") is not None or e.kind not in FLASH_WORK | {"algo-init"} or _ipsr(e) is not None:
        return None
    return found(
        "algo-timeout", CERTAIN, f"{_call_words(e)} did not finish within {seconds} s", function=call.get("function"), seconds=seconds
    )


def _status(e: Evidence) -> tuple[str, ...]:
    value = e.register("flash.sr")
    family = e.family or (family_of_target(e.outcome.target.name) if e.outcome.target else None)
    return family.flash_sr[0].names(value) if value is not None and family and family.flash_sr else ()


def _status_words(e: Evidence) -> str:
    value = e.register("flash.sr")
    if value is None:
        return ""
    names = _status(e)
    return f"flash status {hex32(value)}" + (f": {', '.join(names)}" if names else "")


def _protected_ranges(e: Evidence) -> list[tuple[int, int]] | None:
    value = e.value("option.wrp")
    if not isinstance(value, (list, tuple)):
        return None
    return [(item[0], item[1]) for item in value if isinstance(item, (list, tuple)) and len(item) == 2 and all(map(is_register, item))]


def write_protected(e: Evidence) -> Finding | None:
    """The failing address lies in a protected range, or the controller's flag says so."""
    if e.kind not in FLASH_WORK:
        return None
    ranges, address = _protected_ranges(e), e.address
    flagged = bool(PROTECTED & set(_status(e))) or e.kind == "write-protected"  # that the option registers say so is measured
    hit = next(((a, b) for a, b in ranges or () if address is not None and a <= address <= b), None)
    if hit:
        reason = f"{hex32(address)} lies in the protected range {hex32(hit[0])} to {hex32(hit[1])}"
        return found("write-protected-sector", CERTAIN if flagged else LIKELY, reason, _status_words(e), address=hex32(address))
    if flagged:
        return found(
            "write-protected-sector",
            LIKELY,
            _status_words(e),
            "the option registers show no range that covers the address" if ranges is not None else "the option registers were not read",
            address=hex32(address),
        )
    if ranges is not None and e.kind != "timeout":
        return found(
            "write-protected-sector",
            RULED_OUT,
            f"no protected range covers {hex32(address)}" if address is not None else "no protected range is set",
        )
    return None


def flash_step_failed(e: Evidence) -> Finding | None:
    """What the failing call itself says."""
    cause = {"erase": "erase-failed", "program": "program-failed", "flash-read": "flash-unreadable"}.get(e.kind)
    if cause is None:
        return None
    address = e.address if e.address is not None else e.register("flash.read_fault")
    return found(
        cause, CERTAIN, _call_words(e) or (e.failure.message if e.failure else ""), _status_words(e), engine_said(e), address=hex32(address)
    )


def _difference(e: Evidence) -> tuple[str, dict[str, Any]]:
    first = e.table("verify.first")
    slots: dict[str, Any] = {name: hex32(first.get(name)) for name in ("address", "expected", "read")}
    for name in ("expected", "read"):
        value = first.get(name)
        if is_register(value) and value <= 0xFF:
            slots[name] = f"0x{value:02X}"
    slots["bad"] = count(first.get("bad"))
    if not first:
        return "", slots
    total = f" of {first['bytes']}" if count(first.get("bytes")) else ""
    return f"at {slots['address']}: should be {slots['expected']}, is {slots['read']} ({slots['bad'] or 'some'}{total} bytes differ)", slots


def program_mismatch(e: Evidence) -> Finding | None:
    """Read-back differs from what should be there."""
    if e.kind != "verify":
        return None
    words, slots = _difference(e)
    pattern = e.text("verify.pattern")
    return found("program-mismatch", CERTAIN, words or (e.failure.message if e.failure else ""), PATTERN_WORDS.get(pattern, ""), **slots)


PATTERN_WORDS = {
    "not-erased": "bits that should be erased are not",
    "not-programmed": "it reads as erased flash",
    "old-content": "it reads as before",
    "bits": "single bits differ",
    "stale-buffer": "an earlier part of the file stands there",
    "mixed": "the differences have no pattern",
}
"""Pattern of the differences in words."""

PATTERNS = {
    "not-erased": ("erase-ineffective", "bits that should be erased still hold their old value"),
    "not-programmed": ("program-ineffective", "whole areas read as erased flash"),
    "old-content": ("flash-unchanged", "flash still holds exactly what it held before"),
    "stale-buffer": ("stale-buffer", "what was written equals an earlier part of the file"),
    "bits": ("flash-worn", "single bits differ, the same ones when read again"),
}
"""Pattern of the differences -> cause and what it shows."""


def mismatch_pattern(e: Evidence) -> Finding | None:
    """Why read-back differs, out of the pattern of the differences."""
    if e.kind != "verify" or e.text("verify.reread") == "moved" or e.table("buffer.readback").get("ok") is False:
        return None
    cause, shows = PATTERNS.get(e.text("verify.pattern"), ("", ""))
    if not cause:
        return None
    words, slots = _difference(e)
    few = e.table("verify.first").get("bad")
    if cause in {"erase-ineffective", "program-ineffective"} and is_register(few) and few <= FEW_BYTES:
        cause, shows = "flash-worn", f"no more than {few} of the bytes differ: a step that did not run leaves whole pages"
    steady = e.text("verify.reread") == "same"
    if cause == "flash-worn" and not steady:
        return found(cause, POSSIBLE, words, "it was not read again, so the link may be at fault", **slots)
    again = "reading again gave the same" if steady else ""
    return found(cause, LIKELY, words, shows, again, **slots)


def verify_misread(e: Evidence) -> Finding | None:
    """The differences move: the reading is wrong, not the flash."""
    if e.kind != "verify" or e.text("verify.reread") != "moved":
        return None
    words, slots = _difference(e)
    return found("verify-misread", CERTAIN, words, "reading again gave other differences", **slots)


def data_corrupted(e: Evidence) -> Finding | None:
    """The page buffer, sent again, reads back wrong."""
    cell = e.table("buffer.readback")
    if cell.get("ok") is not False or blocked(e) or e.kind not in {"program", "verify", "algo-readback"}:
        return None
    return found(
        "data-corrupted-on-the-way",
        LIKELY,
        f"page buffer sent again and read back: {compared(cell)}",
        address=hex32(cell.get("address")),
        wrote=hex32(cell.get("wrote")),
        read=hex32(cell.get("read")),
    )


def locks_at_reset(e: Evidence) -> Finding | None:
    """Words that keep the chip open were erased and could not be written again."""
    cell = e.table("flash.critical")
    if cell.get("open") is not False:
        return None
    effect = str(cell.get("effect", ""))[:120]
    reason = f"the words at {hex32(cell.get('address'))} were read back after the failure and would lock the chip"
    return found("locks-at-reset", CERTAIN, reason, effect=effect, aside=True)


def flash_chip_silent(e: Evidence) -> Finding | None:
    """Three bytes of identification that nobody drove. The interface moved, or there would be no bytes."""
    answer = e.text("flash.chip_id")
    if e.kind != "flash-chip" or answer not in {"000000", "ffffff"}:
        return None
    return found("flash-chip-silent", CERTAIN, f"its identification (9Fh) read {answer} on each of 3 tries", id=answer)


FLASH_RULES = (
    flash_chip_silent,
    ram_test,
    ram_or_way,
    algo_download,
    algo_reset,
    algo_faulted,
    algo_wrong_architecture,
    flash_busy,
    locks_at_reset,
    write_protected,
    data_corrupted,
    verify_misread,
    mismatch_pattern,
)
FLASH_SYMPTOMS = (algo_init, algo_timeout, flash_step_failed, program_mismatch)
