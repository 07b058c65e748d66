"""Files of the held-out set: what a user drops by mistake or on purpose, and what stood in flash before.

Every builder takes the name of a board, as those of :mod:`msdflash.sim.contents` do, and is registered there under a key that begins
with ``held-``.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from functools import cache

from msdflash.sim.board import Board
from msdflash.sim.boards import BOARDS
from msdflash.sim.contents import BEFORE, CONTENTS, FIRMWARE, Content, base, elf, intel_hex, moved, program, record

Builder = Callable[[str], Content]
UF2_FAMILIES = {"rp2040": 0xE48BFF56, "nrf52840": 0xADA52840}  # uf2families.json of microsoft/uf2, from memory


@cache
def flash_size(board: str) -> int:
    """Bytes of main flash of a board's own chip."""
    made = Board(board, "cmsis-dap", 0)
    try:
        return made.soc.chip.flash.size
    finally:
        made.close()


def _kind(board: str) -> str:
    chip = BOARDS[board].chip
    if chip == "rp2040":
        return "-xip"
    return "-any" if BOARDS[board].st_chip else "-m33" if chip.startswith("lpc55") else "-lpc" if chip.startswith("lpc") else "-zero"


def _at_start(name: str, make: Callable[[str], bytes]) -> Builder:
    """A binary for the start of flash."""

    def build(board: str) -> Content:
        data = make(board)
        return Content(name, data, {base(board): data})

    return build


def _altered(name: str, change: Callable[[bytes], bytes]) -> Builder:
    """The usual hex file with something wrong in it. Nothing of it may arrive as if it were right."""

    def build(board: str) -> Content:
        parts = {base(board): program(board)}
        return Content(name, change(intel_hex(parts)), parts)

    return build


def _with_parts(more: Callable[[str], Mapping[int, bytes]]) -> Builder:
    """The usual program as hex, with parts elsewhere."""

    def build(board: str) -> Content:
        parts = {base(board): program(board), **more(board)}
        return Content("program.hex", intel_hex(parts), parts)

    return build


def _patched(offset: int, data: bytes) -> Callable[[str], bytes]:
    return lambda board: (code := program(board))[:offset] + data + code[offset + len(data) :]


def _firmware(kind: str) -> Callable[[str], bytes]:
    return lambda board: (FIRMWARE / f"{kind}{_kind(board)}.bin").read_bytes()


# --- hex files that went wrong ---------------------------------------------------------------------------------------------


def _cut(share: float, *, in_line: bool) -> Callable[[bytes], bytes]:
    def cut(data: bytes) -> bytes:
        end = data.index(b"\n", int(len(data) * share)) + 1
        return data[: end + 17] if in_line else data[:end]

    return cut


def _digit(share: float) -> Callable[[bytes], bytes]:
    """Another hex digit in the data of one record, its checksum left as it was."""

    def change(data: bytes) -> bytes:
        at = data.index(b"\n", int(len(data) * share)) + 12
        return data[:at] + (b"0" if data[at : at + 1] != b"0" else b"7") + data[at + 1 :]

    return change


def _line(share: float, text: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        at = data.index(b"\n", int(len(data) * share)) + 1
        return data[:at] + text + b"\n" + data[at:]

    return change


def _overlap(board: str) -> Content:
    parts = {base(board): program(board)}
    good = intel_hex(parts).splitlines(keepends=True)
    again = record(0, base(board) + 0x180 & 0xFFFF, bytes(b ^ 0x55 for b in program(board)[0x180:0x190]))
    return Content("merged.hex", b"".join([*good[:-1], again, good[-1]]), parts)


# --- other formats -----------------------------------------------------------------------------------------------------------


def _srec_line(kind: str, body: bytes) -> bytes:
    """Motorola S-record: count of what follows, body, ones' complement of the sum."""
    raw = bytes([len(body) + 1]) + body
    return f"S{kind}".encode() + (raw + bytes([~sum(raw) & 0xFF])).hex().upper().encode() + b"\n"


def _srec(board: str) -> Content:
    code, at = program(board), base(board)
    lines = [_srec_line("0", b"\0\0program")]
    lines += [_srec_line("3", (at + n).to_bytes(4, "big") + code[n : n + 16]) for n in range(0, len(code), 16)]
    return Content("program.s19", b"".join([*lines, _srec_line("7", at.to_bytes(4, "big"))]), {at: code})


def _srec_wrong(board: str) -> Content:
    good = _srec(board)
    return Content(good.name, _digit(0.4)(good.data), good.parts)


def uf2(start: int, data: bytes, family: int) -> bytes:
    """The UF2 format of microsoft/uf2: blocks of 512 bytes with 256 of data, the family's id where flag 0x2000 is set (from memory)."""
    data = data.ljust(-(-len(data) // 256) * 256, b"\0")
    count = len(data) // 256
    blocks = []
    for number in range(count):
        head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, start + 256 * number, 256, number, count, family)
        blocks.append((head + data[256 * number : 256 * number + 256]).ljust(508, b"\0") + struct.pack("<I", 0x0AB16F30))
    return b"".join(blocks)


def _uf2(board: str) -> Content:
    code = program(board, size=3072)
    return Content("program.uf2", uf2(base(board), code, UF2_FAMILIES[BOARDS[board].chip]), {base(board): code})


def _uf2_hole(board: str) -> Content:
    """One block in the middle is not there."""
    good = _uf2(board)
    return Content(good.name, good.data[: 512 * 4] + good.data[512 * 5 :], good.parts)


def _uf2_of(chip: str, start: int) -> Builder:
    def build(_board: str) -> Content:
        code = program("pico" if chip == "rp2040" else "nrf52840-dk", size=3072)
        return Content("program.uf2", uf2(start, code, UF2_FAMILIES[chip]), {start: code})

    return build


def _elf_good(board: str) -> Content:
    code = program(board)
    return Content("program.elf", elf(base(board), code), {base(board): code})


def _elf_of_riscv(board: str) -> Content:
    """e_machine 243 (ELF for RISC-V, psABI)."""
    good = elf(base(board), program(board))
    return Content("program.elf", good[:18] + struct.pack("<H", 243) + good[20:], {base(board): program(board)})


def _zip(_board: str) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr(zipfile.ZipInfo("build/program.bin"), program("frdm-k64f"))
    return memory.getvalue()


_PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n<body><p>Your session has expired.</p></body></html>\n" * 30


# --- images of other chips, and images that hurt ----------------------------------------------------------------------------


def _hex_of(board_of: str) -> Builder:
    """A hex file that was built for another board: with that one's addresses."""

    def build(_board: str) -> Content:
        parts = {base(board_of): program(board_of)}
        return Content("program.hex", intel_hex(parts), parts)

    return build


def _behind(at: int) -> Builder:
    def build(board: str) -> Content:
        parts = {base(board) + at: moved(program(board), at)}
        return Content("application.hex", intel_hex(parts), parts)

    return build


def _options(board: str) -> Mapping[int, bytes]:
    """Option bytes with read protection level 1, each half with its inverse (RM0351 3.4.1; PM0075 2.3)."""
    if BOARDS[board].chip.startswith("stm32l4"):
        return {0x1FFF7800: struct.pack("<II", 0xFFEFF8BB, 0x00100744)}
    return {0x1FFFF800: bytes([0x00, 0xFF, 0xFF, 0x00])}


def _beyond(board: str) -> Mapping[int, bytes]:
    return {base(board) + flash_size(board) + 0x400: b"nothing of this chip is here "}


def _into_ram(board: str) -> Mapping[int, bytes]:
    return {0x10000400 if BOARDS[board].chip == "lpc1768" else 0x20000400: b"initialised data that the linker left in RAM"}


def _gap(board: str) -> Mapping[int, bytes]:
    return {base(board) + 0xE00: b"a table behind a gap; what lies in the gap belongs to the owner"}


_HELD: dict[str, Builder] = {
    "held-tiny": _at_start("tiny.bin", _firmware("blinky")),
    "held-odd": _at_start("odd.bin", lambda board: program(board, 3, 2047)),
    "held-longer": _at_start("longer.bin", lambda board: program(board, 3, 21_333)),
    "held-gap": _with_parts(_gap),
    "held-sleeper": _at_start("sleeper.bin", _firmware("sleeper")),
    "held-crasher": _at_start("crasher.bin", _firmware("crasher")),
    "held-elf": _elf_good,
    "held-srec": _srec,
    "held-uf2": _uf2,
    "held-cut-hex-1": _altered("program.hex", _cut(0.5, in_line=False)),
    "held-cut-hex-2": _altered("program.hex", _cut(0.8, in_line=True)),
    "held-cut-hex-3": _altered("program.hex", lambda data: data[: data.rindex(b":")]),
    "held-hex-sum-1": _altered("program.hex", _digit(0.2)),
    "held-hex-sum-2": _altered("program.hex", _digit(0.9)),
    "held-hex-text-1": _altered("program.hex", _line(0.3, b"<<<<<<< HEAD")),
    "held-hex-text-2": _altered("program.hex", _line(0.7, b"// end of block")),
    "held-hex-overlap": _overlap,
    "held-srec-sum": _srec_wrong,
    "held-uf2-hole": _uf2_hole,
    "held-empty": _at_start("program.bin", lambda _: b""),
    "held-page-as-bin": _at_start("program.bin", lambda _: _PAGE),
    "held-page-as-hex": _at_start("program.hex", lambda _: _PAGE),
    "held-zip-as-bin": _at_start("program.bin", _zip),
    "held-elf-of-riscv": _elf_of_riscv,
    "held-uf2-of-rp2040": _uf2_of("rp2040", 0x10000000),
    "held-uf2-of-nrf52840": _uf2_of("nrf52840", 0x1000),
    "held-hex-of-nrf52": _hex_of("nrf52840-dk"),
    "held-hex-of-stm32": _hex_of("nucleo-l476rg"),
    "held-even-reset": _at_start(
        "program.bin", lambda board: program(board)[:4] + struct.pack("<I", base(board) + 0x42) + program(board)[8:]
    ),
    "held-blank-vectors": _at_start("program.bin", _patched(0, b"\xff" * 8)),
    "held-too-big": _at_start("program.bin", lambda board: program(board, size=flash_size(board) + 777)),
    "held-beyond": _with_parts(_beyond),
    "held-into-ram": _with_parts(_into_ram),
    "held-options": _with_parts(_options),
    "held-uicr-lock": _with_parts(lambda _: {0x10001208: struct.pack("<I", 0xFFFFFF00)}),
    "held-fcf-lock-1": _at_start("program.bin", _patched(0x40C, b"\xff")),
    "held-fcf-lock-2": _at_start("program.bin", _patched(0x404, bytes(12))),
    "held-crp-1": _at_start("program.bin", _patched(0x2FC, struct.pack("<I", 0x12345678))),
    "held-crp-3": _at_start("program.bin", _patched(0x2FC, struct.pack("<I", 0x43218765))),
    "held-no-boot2": _at_start("program.bin", lambda _: program("nrf52840-dk")),
    "held-boot2-flipped": _at_start("program.bin", _patched(0x20, b"\xa5\x5a")),
    "held-app-1f000": _behind(0x1F000),
    "held-app-27000": _behind(0x27000),
}
CONTENTS.update(_HELD)

BEFORE.update(
    {
        "held-same": lambda board: {base(board): program(board)},
        "held-crasher": lambda board: {base(board): _firmware("crasher")(board)},
        "held-sleeper": lambda board: {base(board): _firmware("sleeper")(board)},
    }
)
