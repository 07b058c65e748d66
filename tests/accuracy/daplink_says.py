"""What DAPLink's firmware would say on its own drive about a scene: derived from its sequence, not run.

Source: ARMmbed/DAPLink at commit ca1bfb28, ``vfs_manager.c``, ``flash_manager.c``, ``target_flash.c``, ``swd_host.c``. It recognises
the stream, connects and waits for the halt (without a time limit), runs the family's unlock routine (a Kinetis is mass-erased there),
erases the whole chip, downloads the algorithm, programs. Nothing is read back unless automation is on, and an address is not compared with
the map. The first failing status ends the transfer, and is the text. The texts are those of :mod:`msdflash.diagnose.daplink`.
"""

from __future__ import annotations

from collections.abc import Mapping

from msdflash.diagnose.daplink import ERRORS
from msdflash.sim.usb.faults import USB_FAULTS
from tests.accuracy.play import Scene

WAITS = "nothing: it waits for the halt without a time limit"
NO_DRIVE = "nothing: the drive is the probe"
SUCCESS, SUCCESS_NOT_SO = "success", "success, **not so**"
SUCCESS_ERASED = "success, after a mass erase that it does not tell"

BY_CAUSE: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "no-target-power", "swd-open", "chip-dead", "target-voltage-low", "level-mismatch", "deep-sleep", "swd-pins-taken", "lpc-crp",
            "debug-locked", "supply-set-wrong", "nreset-no-effect", "asleep", "nrf-approtect", "lpc55-debug-locked", "link-noise",
        ),
        "ERROR_RESET",
    ),
    "held-in-reset": WAITS,
    "reset-released-late": SUCCESS,
    "reset-held-by-probe": SUCCESS,
    "reset-loop": SUCCESS_ERASED,
    "watchdog": "ERROR_ERASE_ALL",
    "brown-out": "ERROR_ERASE_ALL",
    "boot-source": SUCCESS,
    "rdp1": "ERROR_ERASE_ALL",
    "nrf51-readback": SUCCESS_ERASED,
    "kinetis-security": SUCCESS_ERASED,
    "write-protected-sector": "ERROR_ERASE_ALL",
    "wrong-target": "ERROR_INIT",
    "ram-lost": "ERROR_INIT",
    "ram-bad": "ERROR_INIT",
    "data-corrupted-on-the-way": SUCCESS_NOT_SO,
    "bus-fault": "ERROR_ALGO_DATA_SEQ",
    "algo-timeout-flash-busy": "ERROR_ERASE_ALL",
    "flash-worn": SUCCESS_NOT_SO,
    "flash-chip-silent": SUCCESS_NOT_SO,
    "image-too-big": SUCCESS_NOT_SO,
    "image-overlap": SUCCESS_NOT_SO,
    "softdevice-overlap": SUCCESS,
    "bootloader-missing": SUCCESS,
    "probe-firmware": "ERROR_FD_UNSUPPORTED_UPDATE",
    "hex-checksum": "ERROR_HEX_CKSUM",
    "hex-syntax": "ERROR_HEX_CKSUM",
    **dict.fromkeys(("image-outside-flash", "image-uses-ram"), "ERROR_INTERNAL"),
    **dict.fromkeys(
        (
            "image-wrong-chip", "image-bad-vectors", "image-bad-boot-header", "image-truncated", "image-needs-base", "image-empty",
            "image-unknown-format",
        ),
        "ERROR_TRANSFER_TIMEOUT",
    ),
}  # fmt: skip
"""First cause of a scene -> name of an error, or what happens instead."""

SAYS_NOTHING = frozenset({"target-unknown", "probe-fw-too-old", "probe-fw-refuses-target"})
"""Its target is compiled in, and it is no ST-LINK."""


def daplink_says(scene: Scene) -> str:
    """Its sentence, "success" or what happens instead; "-" where the question does not arise."""
    if any(fault.partition(":")[0] in USB_FAULTS for fault in scene.faults):
        return NO_DRIVE
    cause = scene.true[0] if scene.true else ""
    if scene.target or cause in SAYS_NOTHING or cause.startswith("probe-fw"):
        return "-"
    if scene.drop == "elf-as-bin":
        word = "ERROR_TRANSFER_TIMEOUT"
    elif scene.drop == "hex-without-suffix":
        word = "nothing: it takes names that end in BIN or HEX"
    elif cause == "image-would-lock":  # its check knows Kinetis parts; the erase is over by then
        word = "ERROR_SECURITY_BITS" if scene.board.startswith("frdm") else "success, and the chip is locked"
    elif scene.board == "nrf51-dk" and cause == "held-in-reset":
        word = "ERROR_RESET"
    elif scene.board == "nrf51-dk" and cause == "write-protected-sector":
        word = SUCCESS_NOT_SO
    else:
        word = BY_CAUSE.get(cause, SUCCESS if not cause else "-")
    return ERRORS[word].text if word in ERRORS else word
