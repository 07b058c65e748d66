"""Flash of the LPC55S69: an array with error correction whose erased pages cannot be read, its controller, and the ROM's routines for it.

Sources: registers after ``LPC55S69_cm33_core0.xml`` (the SVD file that pyOCD ships); commands as UM11126 is quoted in Zephyr issue 86432,
and as pyOCD's ``target_lpc5500.py`` and Oxide's ``lpc55-flash`` driver use them (STARTA and STOPA count words of 16 bytes, both ends
included; a blank check that fails names the first page that is not erased in DATAW0); the tree of ROM routines as pyOCD's algorithm walks
it, their status codes as in NXP's ``fsl_iap.h`` (the number of their group from memory); that erased flash does not pass its error check:
NXP community, "LPC55xx: How to fix AHB Read HardFault Error". Times of the data sheet from memory. Nothing of the ROM is copied: its
routines call back into this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.bus import BusError
from msdflash.sim.chips.norflash import NorFlash, Setting
from msdflash.sim.ppb import RegisterPage

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.bus import Memory
    from msdflash.sim.soc import Soc

FLASH_SIZE, PAGE, SECTOR, WORD = 0x98000, 512, 0x8000, 16
BLOCK = 0x1000  # what the emulator can forbid by itself
BLANK, WRITTEN, BROKEN = 0, 1, 2
EMPTY = b"\xff" * PAGE
"""How erased pages stand in the bench's array. Nobody can see it: reading them fails."""
SECURE = 0x10000000  # bit 28 of an address: the secure alias
CONTROLLER = 0x40034000
CMD, STARTA, STOPA, DATAW, INT_STATUS, INT_CLR_STATUS, INT_SET_STATUS, MODULE_ID = (
    0x000, 0x010, 0x014, 0x080, 0xFE0, 0xFE8, 0xFEC, 0xFFC,
)  # fmt: skip
FAIL, ERR, DONE, ECC_ERR = 1, 2, 4, 8
READ_SINGLE_WORD, ERASE_RANGE, BLANK_CHECK, WRITE, PROGRAM = 3, 4, 5, 8, 12
SUCCESS, INVALID_ARGUMENT, ALIGNMENT_ERROR, ADDRESS_ERROR, COMMAND_FAILURE, ERASE_KEY_ERROR = 0, 4, 101, 102, 105, 107
ERASE_KEY = 0x6B65666C  # "lfek"
ERASE_SECONDS, PROGRAM_SECONDS = 2e-3, 1.09e-3  # any number of pages; one page
FLASH_INIT, FLASH_ERASE, FLASH_PROGRAM, VERIFY_ERASE, VERIFY_PROGRAM = 0x13004100, 0x13004140, 0x13004180, 0x130041C0, 0x13004200
TREE, DRIVER = 0x130010F0, 0x13001200
CC_SOCU = 0x9E400 + 0x10  # CMPA: CC_SOCU_PIN, and CC_SOCU_DFLT behind it
DEBUG_SHUT = 0xFFFD0002, 0xFFFF0000  # CPU0_DBGEN: settled by PIN, to off; each with its inverse in the upper half


class EccFlash(NorFlash):
    """The array by pages of 512 bytes: erased (unreadable), written, or broken (unreadable, and not erased either)."""

    def __init__(self, array: Memory, alias: Memory, upper: Memory) -> None:
        super().__init__(array, PAGE, SECTOR, "debug-lock")
        self.pages = bytearray(array.size // PAGE)
        self._upper = upper
        self._alias = alias
        for memory in (array, alias):
            memory.gate = self._gate
            memory.by_words = self._by_words
        self._open: set[int] = set()
        self.judge: Callable[[], None] | None = None

    def attach(self, soc: Soc) -> None:
        """Map the array twice; only the controller and the ROM change it."""
        self._soc = soc
        for memory in (self.array, self._alias):
            soc.bus.add(memory)
            soc.cpu.map_memory(memory)
            soc.cpu.shut(memory.base, memory.size, True)

    def settle(self) -> None:
        """Somebody put bytes into the array from outside, as if programmed long ago: where they stand, pages are written.

        Up to 4 KiB of 0xFF between two such pages count as part of the same program.
        """
        last = -BLOCK
        for page, state in enumerate(self.pages):
            if state == BLANK and self.array.data[page * PAGE : (page + 1) * PAGE] != EMPTY:
                between = range(last + 1, page) if page - last <= BLOCK // PAGE else range(0)
                for found in (*between, page):
                    self.pages[found] = WRITTEN
                last = page
        self.changed()

    def reset(self) -> None:
        """System reset."""
        self.hung = False

    def _unreadable(self, offset: int, length: int) -> bool:
        return self.pages[offset // PAGE : (offset + length - 1) // PAGE + 1].strip(b"\x01") != b""

    def _gate(self, address: int, write: bool) -> bool:
        return not write and self._unreadable(address & ~SECURE, 1)

    def _by_words(self, address: int, length: int) -> bool:
        return self._unreadable(address & ~SECURE, length)

    def changed(self) -> None:
        """See the base. The emulator's own accesses fail in blocks of 4 KiB that hold no written page (an approximation)."""
        super().changed()
        if self._soc is None:
            return
        written = {page // (BLOCK // PAGE) for page, state in enumerate(self.pages) if state == WRITTEN}
        for block in written ^ self._open:
            for memory in (self.array, self._alias):
                self._soc.cpu.shut(memory.base + block * BLOCK, BLOCK, block not in written)
        self._open = written

    def erase_pages(self, first: int, last: int) -> None:
        """Erase pages, both ends included."""
        self.pages[first : last + 1] = bytes(last + 1 - first)
        self.erase(first * PAGE, (last + 1 - first) * PAGE)
        self.spend(ERASE_SECONDS)

    def program_page(self, page: int, data: bytes) -> None:
        """Write a page. Twice without erasing breaks its error correction (assumption: and changes what the cells hold)."""
        self.pages[page] = WRITTEN if self.pages[page] == BLANK else BROKEN
        self.program(page * PAGE, data)
        self.spend(PROGRAM_SECONDS)

    def first_used(self, first: int, last: int) -> int | None:
        """The first page that is not erased, both ends included."""
        return next((page for page in range(first, last + 1) if self.pages[page] != BLANK), None)

    def word(self, address: int) -> int:
        """A word of the array, or of the protected region behind it."""
        data = self.array.data if address < self.array.size else self._upper.data
        at = address if address < self.array.size else address - self._upper.base
        return int.from_bytes(data[at : at + 4], "little")

    def set_word(self, address: int, value: int) -> None:
        """Change a word of the protected region from outside."""
        at = address - self._upper.base
        self._upper.data[at : at + 4] = value.to_bytes(4, "little")

    def protect_sector(self, _number: int) -> Callable[[], None]:
        """See :class:`msdflash.sim.faults.Flash`."""
        from msdflash.sim.faults import FaultError

        raise FaultError("the LPC55S69 has no write protection of sectors")

    def protect_reads(self) -> Callable[[], None]:
        """See :class:`msdflash.sim.faults.Flash`: the customer's page (CMPA) shuts debugging; the ROM looks at the next reset."""
        undo = [
            Setting(lambda: self.word(CC_SOCU), lambda value: self.set_word(CC_SOCU, value)).put(DEBUG_SHUT[0]),
            Setting(lambda: self.word(CC_SOCU + 4), lambda value: self.set_word(CC_SOCU + 4, value)).put(DEBUG_SHUT[1]),
        ]
        self._judge()

        def take_out() -> None:
            for step in undo:
                step()
            self._judge()

        return take_out

    def _judge(self) -> None:
        if self.judge is not None:
            self.judge()

    @property
    def debug_allowed(self) -> bool:
        """What the CMPA says of CPU0's debugging: a word without its inverse in the upper half is not set, and forbids nothing."""
        pin, default = self.word(CC_SOCU), self.word(CC_SOCU + 4)
        if any((word >> 16 ^ 0xFFFF) != word & 0xFFFF for word in (pin, default)):
            return True
        return bool(pin & 2 and default & 2)


class Registers(RegisterPage):
    """The controller's registers. Commands are over at once, except one that never ends."""

    def __init__(self, flash: EccFlash) -> None:
        super().__init__(CONTROLLER, {MODULE_ID: 0xC40F0800})
        self._flash = flash
        self._row = bytearray(PAGE)
        self.reset()

    def reset(self) -> None:
        """System reset."""
        self.values = {}
        self._row[:] = bytes(PAGE)

    def store(self, word: int, value: int) -> None:
        """Store to a register; CMD starts."""
        status = self.values.get(INT_STATUS, 0)
        if word == INT_CLR_STATUS:
            self.values[INT_STATUS] = status & ~value
        elif word == INT_SET_STATUS:
            self.values[INT_STATUS] = status | value & 0xF
        elif word == CMD:
            self._command(value)
        elif word != INT_STATUS:
            super().store(word, value)

    def _command(self, command: int) -> None:
        flash = self._flash
        if flash.hung:
            return
        start, stop = (self.values.get(at, 0) & 0x3FFFF for at in (STARTA, STOPA))
        first, last = start * WORD // PAGE, stop * WORD // PAGE
        status = DONE
        if command == WRITE:  # one row of 16 bytes into the page register
            at = start * WORD % PAGE
            self._row[at : at + WORD] = b"".join(self.values.get(DATAW + 4 * n, 0).to_bytes(4, "little") for n in range(4))
        elif command in (ERASE_RANGE, PROGRAM, BLANK_CHECK, READ_SINGLE_WORD) and first <= last < len(flash.pages):
            if command in (ERASE_RANGE, PROGRAM) and not flash.begin():
                return
            status |= self._do(command, start, first, last)
        else:
            status |= ERR
        self.values[INT_STATUS] = self.values.get(INT_STATUS, 0) | status

    def _do(self, command: int, start: int, first: int, last: int) -> int:
        flash = self._flash
        if command == ERASE_RANGE:
            flash.erase_pages(first, last)
        elif command == PROGRAM:
            flash.program_page(first, bytes(self._row))
        elif command == BLANK_CHECK:
            used = flash.first_used(first, last)
            if used is not None:
                self.values[DATAW] = used * PAGE // WORD
                return FAIL
        elif flash.pages[first] != WRITTEN:
            return ECC_ERR
        else:
            for n in range(4):
                self.values[DATAW + 4 * n] = flash.word(start * WORD + 4 * n)
        return 0


class RomFlash:
    """The ROM's flash routines (``fsl_iap.h``): arguments in r0 to r3 and on the stack, status in r0. r3 keeps a stuck one there."""

    def __init__(self, flash: EccFlash) -> None:
        self._flash = flash
        self._soc: Soc | None = None
        self._call: tuple[str, tuple[int, ...]] | None = None

    def fill(self, rom: bytearray, base: int) -> None:
        """The tree of routines at its address, version 3 (parts of revision 1B), and code that only calls back."""

        def put(address: int, *words: int) -> None:
            for index, word in enumerate(words):
                at = address - base + 4 * index
                rom[at : at + 4] = word.to_bytes(4, "little")

        put(TREE, 0, 0x4B030000, 0, 0, DRIVER)
        put(DRIVER, 0x00030000, *(entry | 1 for entry in ROUTINES))
        for entry in ROUTINES:
            rom[entry - base : entry - base + 8] = bytes.fromhex("00bf002bfdd17047")  # nop; cmp r3, #0; bne -; bx lr

    def attach(self, soc: Soc) -> None:
        """Listen at the entry points, and at the instruction behind each: an instruction may be announced twice where a slice ends."""
        self._soc = soc
        for entry, name in ROUTINES.items():
            soc.cpu.call_at(entry, lambda name=name: self._enter(name))  # type: ignore[misc]
            soc.cpu.call_at(entry + 2, self._work)

    def _enter(self, name: str) -> None:
        """A call has come: its arguments."""
        if self._soc is not None:
            self._call = name, tuple(self._soc.cpu.read(n) for n in range(4))

    def _work(self) -> None:
        """The call's work, once."""
        soc, call, self._call = self._soc, self._call, None
        if soc is None:
            return
        if call is not None:
            try:
                soc.cpu.write(0, getattr(self, "_" + call[0])(*call[1]))
            except BusError:
                soc.cpu.write(0, INVALID_ARGUMENT)
        soc.cpu.write(3, int(self._flash.hung))

    def _wrong(self, start: int, length: int) -> int:
        if start % PAGE or length % PAGE or not length:
            return ALIGNMENT_ERROR
        return ADDRESS_ERROR if start + length > self._flash.array.size else SUCCESS

    def _init(self, *_: int) -> int:
        return SUCCESS

    def _erase(self, _config: int, start: int, length: int, key: int) -> int:
        if key != ERASE_KEY:
            return ERASE_KEY_ERROR
        wrong = self._wrong(start, length)
        if not wrong and self._flash.begin():
            self._flash.erase_pages(start // PAGE, (start + length) // PAGE - 1)
        return wrong

    def _program(self, _config: int, start: int, source: int, length: int) -> int:
        wrong = self._wrong(start, length)
        if wrong or self._soc is None:
            return wrong
        data = self._soc.bus.read_block(source, length)
        if data is None:
            return INVALID_ARGUMENT
        if self._flash.begin():
            for at in range(0, length, PAGE):
                self._flash.program_page((start + at) // PAGE, data[at : at + PAGE])
        return SUCCESS

    def _verify_erase(self, _config: int, start: int, length: int, *_: int) -> int:
        wrong = self._wrong(start, length)
        if wrong:
            return wrong
        return SUCCESS if self._flash.first_used(start // PAGE, (start + length) // PAGE - 1) is None else COMMAND_FAILURE

    def _verify_program(self, _config: int, start: int, length: int, expected: int) -> int:
        wrong = self._wrong(start, length)
        if wrong or self._soc is None:
            return wrong
        same = self._soc.bus.read_block(start, length) == self._soc.bus.read_block(expected, length)
        return SUCCESS if same else COMMAND_FAILURE


ROUTINES = {
    FLASH_INIT: "init",
    FLASH_ERASE: "erase",
    FLASH_PROGRAM: "program",
    VERIFY_ERASE: "verify_erase",
    VERIFY_PROGRAM: "verify_program",
}
"""Entry points (the bench's own addresses) in the order of ``flash_driver_interface_t``."""
