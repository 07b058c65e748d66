"""What can be dropped on a board of the bench, or stand in its flash before: files and bytes by name, fitted to each chip.

The layouts that need a source name it; everything else is firmware out of the folder ``firmware`` with bytes behind it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from msdflash.sim.board import Board
from msdflash.sim.boards import BOARDS
from msdflash.sim.scripts import SCRIPTS, image
from msdflash.sim.serve import STATE_MAGIC
from msdflash.sim.spec import BoardSpec

FIRMWARE = Path(__file__).parent / "firmware"
SIZE = 3000
"""Bytes of the usual program: more than one sector of most chips, and the end of none."""


class Content(NamedTuple):
    """A file, and the bytes by address that must be in flash when it was flashed."""

    name: str
    data: bytes
    parts: Mapping[int, bytes]


def base(board: str) -> int:
    """Where the main flash of a board's chip begins."""
    return 0x08000000 if BOARDS[board].st_chip else 0x10000000 if BOARDS[board].chip == "rp2040" else 0


def program(board: str, version: int = 1, size: int = SIZE) -> bytes:
    """A program that runs on this board, made longer by bytes that differ everywhere and from version to version."""
    chip = BOARDS[board].chip
    kind = "-any" if BOARDS[board].st_chip else "-m33" if chip.startswith("lpc55") else "-lpc" if chip.startswith("lpc") else "-zero"
    kind = "-xip" if chip == "rp2040" else kind
    code = (FIRMWARE / f"blinky{'' if version % 2 else '2'}{kind}.bin").read_bytes()
    return code + bytes((7 * index + (index >> 8) + 41 * version) & 0xFF for index in range(size - len(code)))


def record(kind: int, offset: int, data: bytes = b"") -> bytes:
    """One line of an Intel hex file."""
    raw = bytes([len(data)]) + offset.to_bytes(2, "big") + bytes([kind]) + data
    return b":" + (raw + bytes([-sum(raw) & 0xFF])).hex().upper().encode() + b"\n"


def intel_hex(parts: Mapping[int, bytes], width: int = 16, *, segments: bool = False) -> bytes:
    """An Intel hex file in the order of ``parts``: with type 04 records, or of type 02 (``segments``), which end at 1 MiB."""
    lines: list[bytes] = []
    high = 0
    for address, data in parts.items():
        for at in range(0, len(data), width):
            here = address + at
            if here >> 16 != high:
                high = here >> 16
                lines.append(record(2, 0, (high << 12).to_bytes(2, "big")) if segments else record(4, 0, high.to_bytes(2, "big")))
            lines.append(record(0, here & 0xFFFF, data[at : at + width]))
    return b"".join([*lines, record(1, 0)])


def elf(address: int, data: bytes) -> bytes:
    """A little-endian ELF file for Arm with one loadable segment (System V ABI, chapters 4 and 5; e_machine 40)."""
    head = b"\x7fELF\1\1\1".ljust(16, b"\0")
    head += struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, address | 1, 52, 0, 0x05000200, 52, 32, 1, 0, 0, 0)
    return (head + struct.pack("<8I", 1, 0x100, address, address, len(data), len(data), 5, 4)).ljust(0x100, b"\0") + data


def moved(code: bytes, by: int) -> bytes:
    """The program linked elsewhere: its vectors moved; the code of the bench's firmware runs at any address."""
    vectors = struct.unpack("<7I", code[:28])
    return struct.pack("<7I", vectors[0], *(vector + by for vector in vectors[1:])) + code[28:]


def _binary(board: str) -> Content:
    return Content("program.bin", program(board), {base(board): program(board)})


def _hex(board: str, name: str = "program.hex", width: int = 16) -> Content:
    parts = {base(board): program(board)}
    return Content(name, intel_hex(parts, width), parts)


def _raw(data: bytes, name: str = "program.bin") -> Callable[[str], Content]:
    return lambda board: Content(name, data, {base(board): data})


def _mcuboot(board: str) -> Content:
    """MCUboot ``image.h``: magic 0x96f3b83d, header size 0x200, image size."""
    data = struct.pack("<IIHHI", 0x96F3B83D, 0, 0x200, 0, SIZE).ljust(0x200, b"\0") + program(board)
    return Content("signed.bin", data, {base(board): data})


def _elf(board: str) -> Content:
    data, at = moved(program(board), 0x7000), base(board) + 0x7000
    return Content("program.bin", elf(at, data), {at: data})


def _order(board: str) -> Content:
    parts = {0x4000: b"the last flash block comes first", 0x2000: b"then one below", 0: program(board)}
    return Content("program.hex", intel_hex(parts), parts)


def _segments(board: str) -> Content:
    parts = {0: program(board), 0x1F000: b"behind the first 64 KiB, told by a type 02 record"}
    return Content("program.hex", intel_hex(parts, segments=True), parts)


def _behind(at: int) -> Callable[[str], Content]:
    def make(board: str) -> Content:
        parts = {at: moved(program(board), at)}
        return Content("program.hex", intel_hex(parts), parts)

    return make


def _probe_firmware(board: str) -> Content:
    """DAPLink ``daplink.h``: the key of interface firmware stands at 0x20."""
    code = program(board)
    data = code[:0x20] + b"\x8f\x9e\x93\x9b" + code[0x24:]
    return Content("interface.bin", data, {base(board): data})


_SHOUT = bytes((37 * index + 129) & 0xFF for index in range(SIZE))


def _other_maker() -> bytes:
    """A program for an STM32L4. Where a Kinetis has its flash configuration field it is open, so that only the chip is wrong."""
    data = bytearray((FIRMWARE / "blinky.bin").read_bytes() + _SHOUT)
    data[0x400:0x410] = b"\xff" * 12 + b"\xfe\xff\xff\xff"
    return bytes(data)


def _flash_size(board: str) -> int:
    chip = Board(board, "cmsis-dap", 0)
    try:
        return chip.soc.chip.flash.size
    finally:
        chip.close()


def _too_big(board: str) -> Content:
    data = program(board, size=_flash_size(board) + 1000)
    return Content("program.bin", data, {base(board): data})


def _second_part(at: int) -> Callable[[str], Content]:
    """A program with a few bytes elsewhere; ``at`` below 0: so far behind the end of flash."""

    def make(board: str) -> Content:
        far = at if at >= 0 else base(board) + _flash_size(board) - at
        parts = {base(board): program(board), far: b"some more, at an address of its own"}
        return Content("program.hex", intel_hex(parts), parts)

    return make


def _altered_hex(change: Callable[[bytes], bytes]) -> Callable[[str], Content]:
    def make(board: str) -> Content:
        good = _hex(board)
        return Content(good.name, change(good.data), good.parts)

    return make


def _flipped(data: bytes) -> bytes:
    """One hex digit of a line in the middle is another one, as after a bad copy."""
    at = data.index(b"\n", len(data) // 2) + 12
    return data[:at] + (b"1" if data[at : at + 1] != b"1" else b"2") + data[at + 1 :]


def _locking(board: str) -> Content:
    """FSEC of a Kinetis (K64P144M120SF5RM 29.3.1), the CRP word of an LPC (UM10360 32.6), UICR of an nRF (nRF52840 PS 4.4)."""
    chip = BOARDS[board].chip
    if chip in {"k64f", "kl25z"}:
        data = bytearray(program(board))
        data[0x400:0x410] = b"\xff" * 12 + b"\xfd\xff\xff\xff"
        return Content("program.bin", bytes(data), {0: bytes(data)})
    if chip == "lpc1768":
        data = bytearray(program(board))
        data[0x2FC:0x300] = (0x12345678).to_bytes(4, "little")
        return Content("program.bin", bytes(data), {0: bytes(data)})
    parts = {0: program(board), 0x10001208: (0xFFFFFF00).to_bytes(4, "little")}
    return Content("program.hex", intel_hex(parts), parts)


def _twice(board: str) -> Content:
    """Two records that disagree about one address."""
    lines = [record(4, 0, (base(board) >> 16).to_bytes(2, "big")), record(0, 0x100, b"one"), record(0, 0x100, b"two"), record(1, 0)]
    return Content("program.hex", b"".join(lines), {})


CONTENTS: dict[str, Callable[[str], Content]] = {
    "program": _binary,
    "hex": _hex,
    "hex-without-suffix": lambda board: _hex(board, "program"),
    "hex-of-32-byte-records": lambda board: _hex(board, width=32),
    "hex-out-of-order": _order,
    "hex-of-segments": _segments,
    "no-vectors": _raw(_SHOUT),
    "mcuboot": _mcuboot,
    "elf-as-bin": _elf,
    "other-maker": _raw(_other_maker()),
    "probe-firmware": _probe_firmware,
    "behind-0x1c000": _behind(0x1C000),
    "too-big": _too_big,
    "outside-flash": _second_part(0x60000000),
    "behind-the-end": _second_part(-0x1000),
    "data-for-ram": _second_part(0x20000100),
    "hex-cut": _altered_hex(lambda data: data[: len(data) // 2].rpartition(b"\n")[0] + b"\n"),
    "hex-flipped": _altered_hex(_flipped),
    "hex-with-text": _altered_hex(lambda data: data[: len(data) // 2].rpartition(b"\n")[0] + b"\nnot a record\n" + data),
    "hex-twice": _twice,
    "locks-the-chip": _locking,
    "nothing": _raw(b""),
    "web-page": _raw(b"<!DOCTYPE html><html><body>404: not found</body></html>\n" * 40),
    "archive": _raw(b"PK\x03\x04" + bytes(26) + _SHOUT),
}
"""What is dropped: a function from the board's name to the file."""


_OWNERS = b"data of the owner's, which must survive"


def _softdevice(_board: str) -> dict[int, bytes]:
    """Nordic ``nrf_sdm.h``: information structure 0x2000 behind an MBR of 4 KiB, magic at +4, size (it ends there) at +8."""
    return {0: _SHOUT, 0x3000: struct.pack("<III", 0x20, 0x51B1E5DB, 0x1EBF0), 0x4000: bytes(range(256)) * 100}


def _script(name: str) -> Callable[[str], Mapping[int, bytes]]:
    """A program of :mod:`msdflash.sim.scripts`. Raises KeyError where the board's family has no such one."""
    return lambda board: {base(board): image(board, name), base(board) + 0x7000: _OWNERS}


BEFORE: dict[str, Callable[[str], Mapping[int, bytes]]] = {
    "blank": lambda _: {},
    "old": lambda board: {base(board): program(board, 2), base(board) + 0x7000: _OWNERS},
    "bootloader": lambda board: {base(board): program(board, 2, 0x6000)},
    "softdevice": _softdevice,
    "first-block-gone": lambda board: {base(board) + 0x2000: program(board, 2, 0x6000)[0x2000:]},
    **{name: _script(name) for name in SCRIPTS},
}
"""What stands in flash before: a function from the board's name to bytes by address. The rest is erased."""


def lay_down(spec: BoardSpec, bus: Path, parts: Mapping[int, bytes]) -> None:
    """Let a board of this spec find ``parts`` in its flash when it is served next, as if programmed long ago.

    Raises:
        IndexError: a part is outside of flash.
    """
    board = Board(spec.board, spec.probe, 0)
    try:
        flash = board.soc.chip.flash
        board.set_power(False)
        for address, data in parts.items():
            at = address - flash.base
            if not 0 <= at <= flash.size - len(data):
                raise IndexError(f"0x{address:08x} is not in flash")
            flash.data[at : at + len(data)] = data
        board.set_power(True)
        head = json.dumps({"board": spec.board, "powered": True}).encode() + b"\n"
        (bus / f"{spec.serial}.state").write_bytes(STATE_MAGIC + head + board.state())
    finally:
        board.close()
