"""The drive of a probe's own firmware: takes a file, flashes it in its own way, and says what it believes went wrong.

After DAPLink ca1bfb28 (``source/daplink``: ``drag-n-drop/vfs_manager.c``, ``vfs_user.c``, ``interface/target_flash.c``, ``swd_host.c``,
``error.c``) and public listings of ST-LINK drives. Each error is named after the stage that failed, whatever the reason: no measurement is
behind it. The chip is an STM32L4, flashed by hand through its registers (RM0351 3.3) instead of by an algorithm.

The drive is a plain folder here; away means that the folder is empty and not in the list of mounts. Time is what the given clock says.

Assumptions: an ST-LINK's firmware is closed. It is taken not to wait for the core to halt, because it is known to end with "FAILED to
download the flash programming algorithms" where nRESET is held. A DAPLink waits for the halt without limit (swd_host.c lines 952-956).
"""

from __future__ import annotations

import os
import shutil
import struct
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from msdflash.sim.debugger import DEMCR, DHCSR, Debugger, Fault
from msdflash.sim.usb.hosttree import HOST_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from msdflash.sim.port import TargetPort

SETTLE = 0.5
"""Seconds without a write before an image that can be finished is (vfs_manager.c lines 56-58)."""
GIVE_UP = 20.0
"""Seconds without a write before one that cannot be is given up (line 54)."""
AWAY = 2.5
"""Seconds that the drive is away (line 52)."""

FLASH, FLASH_SIZE, PAGE = 0x08000000, 0x100000, 2048
RAM, RAM_SIZE = 0x20000000, 0x18000
AIRCR, SYSRESETREQ = 0xE000ED0C, 0x05FA0004
S_HALT, CR, LOCK = 1 << 17, 0x40022014, 1 << 31
ERRORS = 0xC3FA  # RM0351 3.7.5: every error flag of FLASH_SR
_TRIES = 4
_LOOKS = 50


class Style(StrEnum):
    """Whose firmware."""

    DAPLINK = "daplink"
    ST_LINK = "st-link"


TEXTS: dict[str, tuple[str, str, str]] = {
    "timeout": ("The transfer timed out.", "The transfer timed out.", "transient, user"),
    "reset": ("Failed to reset/halt the target MCU", "The interface firmware FAILED to reset/halt the target MCU", "target"),
    "download": (
        "Failed to download flash algorithm to target MCU",
        "The interface firmware FAILED to download the flash programming algorithms to the target MCU",
        "target",
    ),
    "init": ("Failed to initialize the target MCU", "The interface firmware FAILED to initialize the target MCU", "target"),
    "erase": ("Flash algorithm erase sector command FAILURE", "Flash algorithm erase sector command FAILURE", "target"),
    "write": ("Flash algorithm write command FAILURE", "Flash algorithm write command FAILURE", "target"),
    "verify": ("Flash algorithm write verify command FAILURE", "Flash algorithm write verify command FAILURE", "target"),
}
"""Stage -> its error text today, before 2019-11-23 (as ST-LINKs say it), and the type words (error.c lines 28-236)."""


class _Failed(Exception):  # noqa: N818 - private way out of the stages
    """A stage failed."""


class _Hung(Exception):  # noqa: N818 - private way out of the stages
    """The firmware waits for ever."""


class FirmwareDrive:
    """One probe's drive.

    Attributes:
        folder: what the computer sees, while it is mounted.
        mounted: it is there.
        mountings: how often it was mounted; differs after each.
        remounts: DAPLink's count.
        error: stage that failed last, or "".
        hung: the firmware waits for a core that does not halt.
    """

    def __init__(self, folder: Path, port: TargetPort, unique_id: str, clock: Callable[[], float], style: Style = Style.DAPLINK) -> None:
        self.folder = folder
        self.mounted = False
        self.mountings = 0
        self.remounts = 0
        self.error = ""
        self.hung = False
        self._port = port
        self._unique_id = unique_id
        self._clock = clock
        self._style = style
        self._seen: dict[str, tuple[int, int]] = {}
        self._changed = clock()
        self._back = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._show()

    def step(self) -> None:
        """Do what is due by now."""
        now = self._clock()
        if not self.mounted:
            if now >= self._back:
                self._show()
            return
        files = {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in self.folder.iterdir() if path.is_file()}
        if files != self._seen:
            self._seen, self._changed = files, now
        dropped = sorted(name for name in files if name.upper() not in self._own() and name.upper().endswith((".BIN", ".HEX")))
        if not dropped or self.hung:
            return
        data = (self.folder / dropped[0]).read_bytes()
        if now - self._changed > (SETTLE if _is_image(data) else GIVE_UP):
            self._finish(data)

    def _finish(self, data: bytes) -> None:
        try:
            self.error = self._flash(data) if _is_image(data) else "timeout"
        except _Hung:
            self.hung = True
            return
        self._hide()

    def _hide(self) -> None:
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.remounts += 1
        self.mounted = False
        self._back = self._clock() + AWAY

    def _show(self) -> None:
        for name, text in self._own().items():
            (self.folder / name).write_bytes(text.replace("\n", "\r\n").encode("ascii"))
        self._seen = {}
        self.mountings += 1
        self.mounted = True

    def _own(self) -> dict[str, str]:
        page = f'<html><head><title>mbed Website Shortcut</title><script>window.location.replace("https://mbed.org/device/?code={self._unique_id}")'
        page += "</script></head></html>\n"
        if self._style is Style.DAPLINK:
            details = f"# DAPLink Firmware - see https://daplink.io\nUnique ID: {self._unique_id}\nHIC ID: {self._unique_id[-8:]}\n"
            details += f"Daplink Mode: Interface\nInterface Version: 0259\nRemount count: {self.remounts}\n"
        else:
            details = "Version: 0221\nBuild:   Jan  7 2019 10:26:09\n"
        files = {"MBED.HTM": page, "DETAILS.TXT": details}
        if self.error:
            today, before, types = TEXTS[self.error]
            text = today if self._style is Style.DAPLINK else before
            files["FAIL.TXT"] = f"error: {text}\n" + (f"type: {types}\n" if self._style is Style.DAPLINK else "")
        return files

    # --- the firmware at work ---------------------------------------------------------------------------------------------------------

    def _flash(self, data: bytes) -> str:
        """The stages of target_flash.c; returns the one that failed, or ""."""
        debugger = Debugger(self._port, patience=10)
        stages: tuple[tuple[str, Callable[[], None]], ...] = (
            ("reset", lambda: self._connect(debugger)),
            ("download", lambda: self._download(debugger)),
            ("init", lambda: self._unlock(debugger)),
            ("erase", lambda: self._erase(debugger, len(data))),
            ("write", lambda: self._write(debugger, data)),
            ("verify", lambda: self._verify(debugger, data)),
        )
        for stage, work in stages:
            try:
                work()
            except (Fault, _Failed):
                return stage
        debugger.write(AIRCR, SYSRESETREQ)
        return ""

    def _connect(self, debugger: Debugger) -> None:
        for left in range(_TRIES - 1, -1, -1):
            try:
                debugger.connect()
                break
            except Fault:
                if not left:
                    raise
        debugger.write(DHCSR, 0xA05F0003)
        debugger.write(DEMCR, 1)
        debugger.write(AIRCR, SYSRESETREQ)
        if not any(debugger.read(DHCSR) & S_HALT for _ in range(_LOOKS)) and self._style is Style.DAPLINK:
            raise _Hung

    @staticmethod
    def _download(debugger: Debugger) -> None:
        words = [(0x9E3779B9 * (index + 1)) & 0xFFFFFFFF for index in range(64)]
        for index, word in enumerate(words):
            debugger.write(RAM + 4 * index, word)
        if debugger.read_bytes(RAM, 256) != struct.pack("<64I", *words):
            raise _Failed

    @staticmethod
    def _unlock(debugger: Debugger) -> None:
        debugger.write(0x40022010, ERRORS)
        if debugger.read(CR) & LOCK:
            debugger.unlock()
        if debugger.read(CR) & LOCK:
            raise _Failed

    @staticmethod
    def _erase(debugger: Debugger, size: int) -> None:
        for page in range((size + PAGE - 1) // PAGE):
            if debugger.erase(page) & ERRORS:
                raise _Failed

    @staticmethod
    def _write(debugger: Debugger, data: bytes) -> None:
        padded = data + b"\xff" * (-len(data) % 8)
        for offset, (word,) in zip(range(0, len(padded), 8), struct.iter_unpack("<Q", padded), strict=True):
            if debugger.program(FLASH + offset, word) & ERRORS:
                raise _Failed

    @staticmethod
    def _verify(debugger: Debugger, data: bytes) -> None:
        if debugger.read_bytes(FLASH, len(data) + -len(data) % 4)[: len(data)] != data:
            raise _Failed


def _is_image(data: bytes) -> bool:
    """The check of a bin's first vectors, bounds inclusive at both ends (validation.c lines 28-85). Hex files are not modelled."""
    if len(data) < 16:
        return False
    stack, *vectors = struct.unpack_from("<4I", data)
    return RAM <= stack <= RAM + RAM_SIZE and all(FLASH <= vector <= FLASH + FLASH_SIZE for vector in vectors)


def show_mounts(bus: Path, drives: Sequence[tuple[FirmwareDrive, str]]) -> None:
    """Write what Linux would show of these drives below the bus folder: their mounts, and each block device below its USB device's folder.

    Args:
        bus: the bus folder of the bench.
        drives: each with the serial of the USB device that it belongs to.
    """
    host = bus / HOST_FOLDER
    blocks = host / "sys" / "dev" / "block"
    blocks.mkdir(parents=True, exist_ok=True)
    (host / "proc" / "self").mkdir(parents=True, exist_ok=True)
    lines = []
    for index, (drive, serial) in enumerate(drives):
        number, name = f"8:{16 * index}", f"sd{chr(ord('a') + index)}"
        for device in (host / "sys" / "bus" / "usb" / "devices").glob("*"):
            if (device / "serial").is_file() and (device / "serial").read_text(encoding="utf-8").strip() == serial:
                block = device / "storage" / "block" / name
                block.mkdir(parents=True, exist_ok=True)
                link = blocks / number
                link.unlink(missing_ok=True)
                link.symlink_to(os.path.relpath(block, blocks))
        if drive.mounted:
            path = str(drive.folder).replace("\\", "\\134").replace(" ", "\\040")
            lines.append(f"{drive.mountings * 10 + index} 1 {number} / {path} rw,relatime - vfat /dev/{name} rw\n")
    fresh = host / "proc" / "self" / "mountinfo.new"
    fresh.write_text("".join(lines), encoding="utf-8")
    fresh.replace(fresh.with_name("mountinfo"))
