"""The RP2040's boot ROM: what it looks like from outside, and what its flash routines and its start do.

Source: RP2040 datasheet 2.8.1 (boot sequence, checksum), 2.8.2 (boot from flash) and 2.8.3 (contents, function table). The ROM's code is
not copied: its functions are a few instructions that call back into this module.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from msdflash.sim.bus import BusError
from msdflash.sim.chips import qspi
from msdflash.sim.cpu import LR

if TYPE_CHECKING:
    from msdflash.sim.chips.qspi import Qspi, Ssi
    from msdflash.sim.soc import Soc

SIZE = 0x4000
VERSION = 3  # 2.8.3: the byte at 0x13; 3 is in silicon B2
BOOT, USB_BOOT, WAIT, LOOKUP, TABLE, FUNCTIONS = 0x100, 0x140, 0x160, 0x180, 0x200, 0x300
NAMES = ("IF", "EX", "RE", "RP", "FC", "CX", "MS", "S4", "MC", "C4", "P3", "R3", "L3", "T3")
BOOT2, BOOT2_SIZE, BOOT2_AT = 0x20041F00, 256, 0  # 2.8.1: the first 256 bytes of flash, run from the end of SRAM
ROM_STACK = 0x20041F00
# As datasheet 4.10 and the routine's comments describe them: bytes each way; plain 03h reads of words
MANUAL = {qspi.CTRLR0: 7 << 16, qspi.SER: 1, qspi.SSIENR: 1}
PLAIN_READS = {qspi.CTRLR0: 31 << 16 | 3 << 8, qspi.SER: 1, qspi.SPI_CTRLR0: 0x03 << 24 | 2 << 8 | 6 << 2, qspi.SSIENR: 1}

_CALL = "00bf002bfdd17047"  # nop; cmp r3, #0; bne -; bx lr: the nop does the work, r3 keeps it there

# r0 table, r1 code: ldrh r2, [r0]; cmp r2, r1; beq found; cmp r2, #0; beq none; adds r0, #4; b back;
# found: ldrh r0, [r0, #2]; bx lr; none: movs r0, #0; bx lr
_LOOKUP = "02888a4203d0002a03d00430f8e74088704700207047"


def checksum(data: bytes) -> int:
    """CRC-32 with polynomial 0x04C11DB7, seed all ones, not reflected, no final inversion (2.8.1.3.1)."""
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    return int(f"{zlib.crc32(mirrored) ^ 0xFFFFFFFF:032b}"[::-1], 2)


def image() -> bytes:
    """The ROM's bytes: vectors, the magic at 0x10, table pointers, function table, and our few instructions."""
    rom = bytearray(SIZE)
    struct.pack_into("<II", rom, 0, ROM_STACK, BOOT | 1)
    struct.pack_into("<3sBHHH", rom, 0x10, b"Mu\x01", VERSION, TABLE, TABLE + 0x80, LOOKUP | 1)
    places = [
        (BOOT, "00bf80f308880847"),  # nop; msr msp, r0; bx r1
        (USB_BOOT, "fee7"),
        (WAIT, "30bffde7"),  # wfi; b -: core 1 until core 0 starts it
        (LOOKUP, _LOOKUP),
    ]
    for index, name in enumerate(NAMES):
        at = FUNCTIONS + 16 * index
        struct.pack_into("<2sH", rom, TABLE + 4 * index, name.encode(), at | 1)
        places.append((at, _CALL))
    for at, code in places:
        rom[at : at + len(code) // 2] = bytes.fromhex(code)
    return bytes(rom)


BIT_FUNCTIONS: tuple[Callable[[int], int], ...] = (
    int.bit_count,
    lambda word: int(f"{word:032b}"[::-1], 2),
    lambda word: 32 - word.bit_length(),
    lambda word: (word & -word).bit_length() - 1 if word else 32,
)
"""How many bits are set, the word backwards, zeros in front, zeros behind."""


class Rom:
    """What happens when the processor comes to the marked places.

    Attributes:
        rescued: the next start was asked for by the rescue port, and stops in the ROM.
        started: how the last start ended: ``flash``, ``usb`` or ``rescue``.
    """

    def __init__(self, flash: Qspi, ssi: Ssi) -> None:
        self._flash = flash
        self._ssi = ssi
        self._soc: Soc | None = None
        self.rescued = False
        self.started = ""
        self._waits = False  # a routine waits for a flash that says for ever that it is busy

    def attach(self, soc: Soc) -> None:
        """Mark the places."""
        self._soc = soc
        soc.cpu.call_at(BOOT, self._boot)
        flash = (self._connect, self._exit_xip, self._erase, self._program, self._flush, self._enter_xip)
        others = (self._set, self._set, self._copy, self._copy, *(self._bits(how) for how in BIT_FUNCTIONS))
        actions: tuple[Callable[[], None], ...] = (*flash, *others)
        for index, action in enumerate(actions):
            soc.cpu.call_at(FUNCTIONS + 16 * index, self._called(action))

    def _called(self, action: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            if self._soc is not None:
                self._waits = False
                action()
                self._soc.cpu.write(3, int(self._waits))

        return run

    def _argument(self, number: int) -> int:
        return self._soc.cpu.read(number) if self._soc is not None else 0

    def _boot(self) -> None:
        """2.8.1: the second stage runs from SRAM if its checksum is right; otherwise the ROM is a USB drive and waits."""
        soc = self._soc
        if soc is None:
            return
        self._connect()
        self._exit_xip()
        stage = self._flash.transact(bytes((qspi.READ, 0, 0, 0)) + bytes(BOOT2_SIZE))[4:]
        good = checksum(stage[:-4]) == int.from_bytes(stage[-4:], "little")
        rescued, self.rescued = self.rescued, False
        self.started = "rescue" if rescued else "flash" if good else "usb"
        entry = USB_BOOT
        if self.started == "flash":
            for at in range(0, BOOT2_SIZE, 4):
                soc.bus.write(BOOT2 + at, 4, int.from_bytes(stage[at : at + 4], "little"))
            self._flush()
            entry = BOOT2
        else:
            # Blank flash leaves the interface as after power-on (seen by debuggers: blackmagic pull request 1312).
            self._ssi.reset()
        soc.cpu.write(LR, 0)  # by that a second stage knows that it was not called by a program (pico-sdk, boot_stage2)
        soc.cpu.write(0, ROM_STACK)
        soc.cpu.write(1, entry | 1)

    def _connect(self) -> None:
        """IF: pins to the interface, and the interface to its reset state."""
        self._ssi.reset()

    def _exit_xip(self) -> None:
        """EX: manual mode, then what gets a flash out of its continuous reads; chip select stays forced high until FC."""
        self._ssi.set_mode(MANUAL)
        self._ssi.force(qspi.HIGH)
        self._flash.deselect()

    def _flush(self) -> None:
        """FC: empty the cache, and give chip select back to the interface."""
        self._ssi.force(qspi.NORMAL)

    def _enter_xip(self) -> None:
        """CX: plain 03h reads."""
        self._ssi.set_mode(PLAIN_READS)

    def _ready(self) -> bool:
        """Manual mode; without it the routines' bytes do not reach the flash."""
        return self._ssi.manual and not self._waits

    def _wait(self) -> None:
        """The routines wait until the status register says that it is not busy."""
        self._waits = bool(self._flash.transact(bytes((qspi.READ_STATUS, 0)))[1] & qspi.WIP)

    def _set(self) -> None:
        """MS and S4 (address, byte, count), 2.8.3.1.2."""
        address, value, count = (self._argument(n) for n in range(3))
        if self._soc is not None and count:
            self._soc.bus.write_block(address, bytes((value & 0xFF,)) * count)

    def _copy(self) -> None:
        """MC and C4 (to, from, count), 2.8.3.1.2."""
        to, source, count = (self._argument(n) for n in range(3))
        data = self._soc.bus.read_block(source, count) if self._soc is not None and count else None
        if self._soc is not None and data:
            self._soc.bus.write_block(to, data)

    def _bits(self, how: Callable[[int], int]) -> Callable[[], None]:
        """P3, R3, L3 and T3 (word), 2.8.3.1.1."""

        def run() -> None:
            if self._soc is not None:
                self._soc.cpu.write(0, how(self._argument(0)))

        return run

    def _erase(self) -> None:
        """RE (address, count, block size, block command): blocks where they fit, sectors elsewhere."""
        address, count, block, command = (self._argument(n) for n in range(4))
        while count and self._ready():
            whole = block and address % block == 0 and count >= block
            length = block if whole else qspi.SECTOR
            self._flash.transact(bytes((qspi.WRITE_ENABLE,)))
            self._flash.transact(bytes((command & 0xFF if whole else 0x20,)) + (address & 0xFFFFFF).to_bytes(3, "big"))
            self._wait()
            address, count = address + length, max(count - length, 0)

    def _program(self) -> None:
        """RP (address, data, count): page by page."""
        address, source, count = (self._argument(n) for n in range(3))
        while count and self._ready() and self._soc is not None:
            try:
                data = bytes(self._soc.bus.read(source + n, 1) for n in range(min(count, qspi.PAGE)))
            except BusError:
                return  # assumption: a source outside of memory programs nothing
            self._flash.transact(bytes((qspi.WRITE_ENABLE,)))
            self._flash.transact(bytes((qspi.PROGRAM,)) + (address & 0xFFFFFF).to_bytes(3, "big") + data)
            self._wait()
            address, source, count = address + qspi.PAGE, source + qspi.PAGE, max(count - qspi.PAGE, 0)
