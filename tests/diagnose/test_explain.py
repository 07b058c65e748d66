"""Other tools' texts: the table itself, real cases by their message, and arbitrary text."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.diagnose import messages_md
from msdflash.diagnose.causes import CATALOGUE
from msdflash.diagnose.daplink import ERRORS
from msdflash.diagnose.explain import SAYINGS, explain_text, own_report, texts_of
from msdflash.diagnose.foreign import LONGEST, Saying, normalise, recognise
from msdflash.diagnose.foreign_drive import by_number
from msdflash.diagnose.telling import PRICES, TELLING, Command, commands_for, telling

D, P, OCD, R, ST, J, F, B, E, S, N = (
    "drive of a DAPLink or ST-LINK (FAIL.TXT)",
    "pyOCD",
    "OpenOCD",
    "probe-rs",
    "ST's programmers and servers",
    "J-Link",
    "st-flash",
    "Black Magic Probe",
    "edbg",
    "the operating system",
    "nrfjprog",
)
HEX = "The hex file cannot be decoded. Checksum calculation failure occurred"
ORDER = "File sent out of order by PC. Target might not be programmed correctly"
OLD = "The interface firmware FAILED to "
NO_IDR = "Error: Error connecting DP: cannot read IDR"
NOT_HALTED = "target was not halted as expected after calling flash algorithm routine (IPSR=3)"

CASES: tuple[tuple[str, str, str, str], ...] = (
    # Public case, tool, message as quoted there, and what it was: a cause's id, or words of a cause that has none.
    ("DAPLink 1025", D, f"error: {HEX}.\ntype: transient, user", "copy-altered"),
    ("ST community 586348", D, HEX, "copy-altered"),
    ("DAPLink 1032", D, f"error: {ORDER}.\r\ntype: transient\r\n", "copy-altered"),
    ("DAPLink 982", S, "The operation can\u2019t be completed because an unexpected error occurred (error code 100093).", "copy-altered"),
    ("DAPLink pull 286", D, ORDER, "copy-altered"),
    ("DAPLink 492", D, "error: The transfer timed out.\ntype: transient, user", "half-download"),
    ("pxt pull 11610", D, "File sent out of order by PC. Target might not be programmed correctly.", "copy-altered"),
    ("pxt pull 11610, display", D, "521", "copy-altered"),
    ("DAPLink 838", D, "The transfer timed out.", "without an extension"),
    ("greentea 286", S, "cp: error writing: No space left on device", "stale mount"),
    ("mbed-os 2909", S, "There is not enough space on MBED", "very small targets"),
    (
        "usbipd-win 102",
        P,
        "[Errno 13] Access denied (insufficient permissions) while trying to interrogate a USB device (VID=0d28 PID=0204).",
        "usb-permission",
    ),
    ("debugprobe 107", P, "No available debug probes are connected", "usb-permission"),
    ("pyOCD 877", P, "J-Link is already open", "probe-busy"),
    ("nanoDAP 19", OCD, "could not claim interface: Resource busy", "serial-port interface"),
    ("nanoDAP 19, second line", P, "CMSIS-DAP command CMD_INFO failed.", "probe-fw-fault"),
    ("Sino:bit 15", OCD, "Error: unable to find CMSIS-DAP device", "only carries power"),
    ("pxt-microbit 5231", D, "error: The application image is not compatible with the target.\r\ntype: user", "image-wrong-chip"),
    ("micro:bit 528", D, "error 528", "probe-firmware"),
    ("DAPLink 684", D, "In application programming aborted due to an out of bounds address.", "probe-firmware"),
    ("DAPLink 667", D, "The transfer timed out.", "image-bad-vectors"),
    ("DAPLink 729", D, "error: The transfer timed out.", "image-needs-base"),
    ("DAPLink 506", D, "An internal error has occurred", "falling order of address"),
    ("DAPLink 936", D, "ERROR_WRITE_VERIFY", "records of 32 bytes"),
    ("debugprobe 133", OCD, "Error: Failed to connect multidrop rp2040.dap0", "other pins"),
    ("probe-rs 414", R, "The firmware on the probe is outdated", "probe-fw-too-old"),
    ("rp2040-project-template 109", R, "... The minimum supported firmware version is 2.2.0.", "probe-fw-too-old"),
    ("pyOCD 628", P, "STLink 066D is using an unsupported, older firmware version.", "probe-fw-too-old"),
    ("pyOCD 918", P, "STLink error (29)", "probe-fw-refuses-target"),
    (
        "heystack 4",
        OCD,
        "A high level adapter (like a ST-Link) you are currently using cannot access the CTRL-AP so 'nrf52_recover' command will not work.",
        "nrf-approtect",
    ),
    ("yapicoprobe 112", P, "DAP_TRANSFER response error: response is for command 00", "probe-fw-fault"),
    ("yapicoprobe 130", P, "bytearray index out of range", "probe-fw-fault"),
    ("pyOCD 678", P, "Target type 'mimxrt0164cvl5a' not recognized.", "wrong board id"),
    ("pyOCD 808", D, f"{OLD}reset/halt the target MCU", "own flash algorithm"),
    ("DAPLink 916", D, "error: Failed to initialize the target MCU\ntype: target", "own flash algorithm"),
    ("DAPLink 454", D, "error: Flash algorithm write command FAILURE\ntype: target", "own flash algorithm"),
    ("ST community 183667", D, f"{OLD}download the flash programming algorithms to the target MCU.", "held-in-reset"),
    ("Keil, cold joint at RST", J, "Could not stop Cortex-M device", "reset-released-late"),
    ("Keil, cold joint at RST, later", J, "could not set S_reset_st", "reset-released-late"),
    ("edbg 116", E, "Error: invalid response during transfer (count = 0/1, status = 7)", "nRESET wire"),
    ("MaximAI 63", OCD, NO_IDR, "nRESET wire"),
    ("tiny-blackbox 3", ST, "connect under reset", "swd-swapped"),
    ("blackmagic 385", B, "SW-DP scan failed!", "link-noise"),
    ("blackmagic 1001", B, "swd: Failed to set R0-3", "link-noise"),
    ("debugprobe 41", OCD, "Error: Failed to connect multidrop rp2040.dap0", "no-target-power"),
    ("debugprobe 41, debug log", OCD, "SWD ack not OK @ 0 JUNK", "no-target-power"),
    ("rp2040-project-template 5", R, "Failed to get information for AP ApAddress { dp: Default, ap: 0 }", "no-target-power"),
    ("ST community 258133", ST, "Can not connect to target!", "VDDA"),
    ("ST community 258133, log", ST, "Internal command error", "VDDA"),
    ("STM32H7 supply", ST, "Target is not responding, retrying...", "LDO or SMPS"),
    ("pyOCD 862", P, "No cores were discovered!", "asleep"),
    ("zephyr 21681", P, "STLink error (11): Debug power error", "asleep"),
    ("pyOCD 698", P, "STLink error (20): DP wait", "asleep"),
    ("zephyr 21681, H743", P, "STLink error (5): No device connected", "asleep"),
    ("probe-rs 1340", R, "Command failed with status SwdDpWait", "asleep"),
    ("zephyr 50590", ST, "ST-LINK error (DEV_TARGET_CMD_ERR)", "asleep"),
    ("MAX78000_SDK 64", OCD, NO_IDR, "asleep"),
    ("ST community 625673", ST, "Error: No STM32 target found!", "debug-off"),
    ("pico-sdk 1055", OCD, "DAP init failed", "debug-off"),
    ("pyOCD 1123", P, "No ACK received", "reset-loop"),
    ("pyOCD 1532", P, "Timed out waiting for core to halt after reset (state is RESET)", "reset-loop"),
    ("pyOCD 1532, last line", P, "cannot write registers pc, r0, r1, sp because core #0 is not halted", "reset-loop"),
    ("pyOCD 1689", P, "Memory transfer fault (read) @ 0x08000000-0x0800003f", "rdp1"),
    ("stlink 705", F, "Flash: 0 bytes (0 KiB) in pages of 2048 bytes", "write-protected-sector"),
    ("specter-diy 193", ST, "Error: failed to erase memory", "write-protected-sector"),
    ("OpenCM9.04 76", OCD, "stm32x device protected", "write-protected-sector"),
    ("probe-rs 3131", R, "Memory AP is not accessible, DeviceEn bit not set", "kinetis-security"),
    (
        "pyOCD 1212",
        P,
        "pyocd.core.exceptions.FlashEraseFailure: flash erase sector failure (address 0x0; result code 0x1)",
        "write-protected-sector",
    ),
    ("probe-rs 247", R, "erase_sector failed with code 1", "write-protected-sector"),
    ("zephyr 68850", N, "Access protection is enabled, can't read block protection state.", "nrf-approtect"),
    ("Adafruit_DAP 16", OCD, "Error: SAM: NVM lock error", "write-protected-sector"),
    ("edbg 78", E, "Error: invalid response while writing the register 0x00 (count = 0, value = 0)", "debug-locked"),
    ("pyOCD 1136", P, "Memory transfer fault @ 0x00000130-0x000001ff", "blank flash of an LPC55"),
    ("pyOCD 1303", P, "Core #0 is not accessible after reset", "blank LPC55"),
    ("pyOCD 1629", P, NOT_HALTED, "ram-smaller"),
    ("pyOCD 1695", P, f"T bit in XPSR is invalid; the vector table may be invalid or corrupt\n{NOT_HALTED}", "algo-faulted"),
    ("pyOCD 1343", P, "FlashEraseFailure", "wrong page"),
    ("stlink 1456", F, "Flash memory contains a non-erased value", "bank 2 of an STM32G4"),
    ("stlink pull 1330", F, "Loader state: R2 0x40 R15 0xFFFFFFFE", "algo-wrong-architecture"),
    ("stlink 1203", F, "write_half_pages failed == -1", "algo-wrong-architecture"),
    ("pyOCD 1463", P, "Target type stm32g070cb not recognized.", "target-unknown"),
    ("pyOCD 1589", P, "no memory region defined for address 0x00008000", "wrong-target"),
    ("platform-gd32 57", OCD, "Error: Failed to write memory at 0x40023808", "wrong-target"),
    ("blue-pill-quickstart 9", OCD, "Warn : UNEXPECTED idcode: 0x2ba01477", "clone-chip"),
    ("DAPLink 346, cut there", D, "Flash algorithm write command FAILUR", "LPC chip"),
)


def test_the_message_of_each_real_case_leads_to_what_it_was() -> None:
    wrong = []
    for case, tool, message, truth in CASES:
        told = explain_text(message)
        answers = [*told.causes, *told.beyond]
        right = truth in answers if truth in CATALOGUE else any(truth in words for words in told.beyond)
        if not right or tool not in {saying.tool for saying in told.sayings}:
            wrong.append((case, tool, truth, answers))
    assert wrong == []


def test_inside_a_log_and_in_other_clothes() -> None:
    message = "flash init timed out"
    for text in (
        f"0000412 I Loading x.bin [load_cmd]\n0010532 C {message} [__main__]\n",
        f"\x1b[31m0010532 C {message.upper()}\x1b[0m",
        "flash  init\r\n   timed\tout",
        "x" * (2 * LONGEST) + message,
    ):
        assert [saying.pattern for saying in explain_text(text).sayings] == [message]
    assert not explain_text(message + "x" * LONGEST).known


def test_the_more_specific_text_comes_first_and_swallows_what_lies_in_it() -> None:
    old = f"{OLD}reset/halt the target MCU"
    assert [saying.pattern for saying in explain_text(old).sayings] == [old]
    two = explain_text("Memory transfer fault (SWD/JTAG communication failure (FAULT ACK)) @ 0x20000000").sayings
    assert [saying.weight for saying in two] == sorted((saying.weight for saying in two), reverse=True)
    assert len(two) == 2
    gap = (Saying("t", "one*two", ("held-in-reset",)),)
    assert recognise("zero one ... one and two", gap)
    assert not recognise("one" + " ." * 200 + " two", gap)
    assert not recognise("two one", gap)
    assert not recognise("anything", (Saying("t", "*", ()),))


def test_every_row_is_usable() -> None:
    for saying in SAYINGS:
        assert set(saying.causes) <= set(CATALOGUE), saying
        assert len(set(saying.causes)) == len(saying.causes), saying
        assert saying.causes or saying.beyond, saying
        assert saying.source, saying
        assert all(source.isascii() and source == source.strip() for source in saying.source)
        assert saying.weight >= 6, saying
        assert not saying.note or saying.note.endswith("."), saying
        found = recognise(saying.pattern, SAYINGS)
        assert saying.pattern in {match.saying.pattern for match in found}, saying
        assert all(telling(cause).by for cause in saying.causes), saying
    assert len({(saying.tool, normalise(saying.pattern)) for saying in SAYINGS}) == len(SAYINGS)
    assert set(TELLING) <= set(CATALOGUE)
    assert set(PRICES) == set(Command)


@pytest.mark.parametrize("old", [False, True])
def test_every_text_of_a_drive_is_known(old: bool) -> None:
    for error in ERRORS.values():
        text = error.old_text if old else error.text
        if text and error.types and not text.startswith("End of stream"):
            told = explain_text(f"error: {text}\r\ntype: {error.type_line}\r\n")
            assert told.sayings[0].pattern == text.rstrip("."), text
            assert told.commands or told.beyond
            if not old:
                assert by_number(f"Error {500 + error.number}") == text
    assert [by_number(text) for text in ("500", "540", "4", "", "\u0665\u0660\u0664", "519")] == [""] * 6


def test_own_reports_are_read_as_measured() -> None:
    line = {"schema": "msdflash/report/1", "cause": "rdp1", "confidence": "certain", "causes": [["rdp1", "certain"], ["bus-fault", "x"]]}
    text = "error: Failed to unlock target MCU for programming\r\ntype: target\r\n\r\n" + json.dumps(line, separators=(",", ":")) + "\r\n"
    told = explain_text(text)
    assert [(item.cause, item.confidence) for item in told.measured] == [("rdp1", "certain"), ("bus-fault", "")]
    assert told.sayings == ()
    assert told.commands == (Command.LOOK,)
    whole = json.dumps({"schema": "msdflash/report/1", "causes": [{"cause": "asleep", "confidence": "likely"}]}, indent=2)
    assert own_report(whole)[0].cause == "asleep"
    assert own_report(json.dumps(line | {"causes": 7}))[0].cause == "rdp1"
    for broken in (line | {"schema": "other"}, line | {"cause": "no-such", "causes": [[1, 2], "x", ["no-such", "likely"]]}):
        assert own_report(json.dumps(broken, separators=(",", ":"))) == ()
    assert own_report('{"schema":"msdflash/report/1"' + "[" * 100_000) == ()


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "messages.md"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        page.write_text(messages_md.render(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == messages_md.render()


def test_commands_are_mildest_first_and_each_once() -> None:
    assert commands_for(("rdp1", "held-in-reset", "no-probe", "asleep")) == (Command.BOARDS, Command.LOOK, Command.RESET)
    assert commands_for(()) == ()
    assert telling("a-cause-of-tomorrow").command is Command.LOOK
    assert {saying.tool for saying in texts_of("held-in-reset")} >= {D, P, OCD}


_pieces = st.sampled_from([part for saying in SAYINGS for part in saying.parts])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30) | _pieces | st.sampled_from(["\x1b[", '{"schema":"msdflash/report/1"', "*", "\ud800"]), max_size=12))
def test_any_text_is_answered(pieces: list[str]) -> None:
    for glue in ("", " ", "\r\n"):
        told = explain_text(glue.join(pieces))
        assert told.known == bool(told.sayings or told.measured)
        assert set(told.causes) <= set(CATALOGUE)
