"""A serial NOR flash behind a synchronous serial interface: the chip by its commands, and the interface by its registers.

Sources: W25Q16JV data sheet (chapters 6 status registers, 8 instructions, 9.6 AC characteristics); RP2040 datasheet 4.10 (SSI) and the
register layout of pico-sdk ``hardware/regs/ssi.h`` and ``io_qspi.h``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msdflash.sim.chips.norflash import NorFlash, Setting
from msdflash.sim.ppb import RegisterPage

if TYPE_CHECKING:
    from collections.abc import Callable

    from msdflash.sim.bus import Memory
    from msdflash.sim.soc import Soc

PAGE, SECTOR, HALF_BLOCK, BLOCK = 256, 4096, 0x8000, 0x10000
JEDEC = bytes.fromhex("ef4015")  # Winbond, W25Q16JV-IQ: 2 to the power of 0x15 bytes
# Instructions, 8.1.2
WRITE_STATUS, PROGRAM, READ, WRITE_DISABLE, READ_STATUS, WRITE_ENABLE = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
READ_STATUS_2, READ_STATUS_3, READ_ID = 0x35, 0x15, 0x9F
ERASES = {0x20: SECTOR, 0x52: HALF_BLOCK, 0xD8: BLOCK}
SECONDS = {0x20: 0.045, 0x52: 0.12, 0xD8: 0.15, PROGRAM: 0.4e-3}  # typical, 9.6
CHIP_ERASES, CHIP_ERASE_SECONDS = (0x60, 0xC7), 5.0
WIP, WEL, QUAD_ENABLE = 1, 2, 2
BP, TB, SEC = 0x1C, 0x20, 0x40  # status register 1: block protect, from the bottom, in sectors

# SSI, offsets and fields (ssi.h)
CTRLR0, SSIENR, SER, RXFLR, SR, VERSION, DR0, SPI_CTRLR0 = 0x00, 0x08, 0x10, 0x24, 0x28, 0x5C, 0x60, 0xF4
SSI_VERSION = 0x3430312A
EEPROM_READ = 3
SR_TFNF, SR_TFE, SR_RFNE = 1 << 1, 1 << 2, 1 << 3
NORMAL, LOW, HIGH = 0, 2, 3  # OUTOVER of a pin of IO_QSPI


class Qspi(NorFlash):
    """The flash chip: a transaction is what passes while its chip select is low.

    Attributes:
        silent: a fault: what every bit of an answer reads as, since nobody drives the data lines; None: the chip answers.
        on_defect: told when a defect comes or goes.
    """

    def __init__(self, array: Memory) -> None:
        super().__init__(array, PAGE, SECTOR, "")
        self.silent: int | None = None
        self.on_defect: Callable[[], None] | None = None
        self._status = [0, QUAD_ENABLE, 0]
        self._enabled = False
        self._taken = bytearray()

    def attach(self, soc: Soc) -> None:
        """The array is only reached through the interface: note whose time passes."""
        self._soc = soc

    def refresh(self) -> None:
        """A defect came or went."""
        if self.on_defect is not None:
            self.on_defect()

    def power_on(self) -> None:
        """The supply came up. Status bits that the chip keeps stay."""
        self._enabled = False
        self.hung = False
        self._taken.clear()

    def transact(self, data: bytes) -> bytes:
        """A whole transaction: the bytes sent, and as many that came back meanwhile."""
        answer = bytes(self.exchange(byte) for byte in data)
        self.deselect()
        return answer

    def exchange(self, byte: int) -> int:
        """One byte each way while selected."""
        if self.silent is not None:
            return self.silent
        self._taken.append(byte)
        taken = self._taken
        at = len(taken) - 1
        if self.hung and taken[0] not in (READ_STATUS, READ_STATUS_2, READ_STATUS_3):
            return 0xFF  # 7.1: while busy it ignores everything else
        if taken[0] == READ_STATUS and at:
            return self._status[0] | (WIP if self.hung else 0) | (WEL if self._enabled else 0)
        if taken[0] in (READ_STATUS_2, READ_STATUS_3) and at:
            return self._status[1 if taken[0] == READ_STATUS_2 else 2]
        if taken[0] == READ_ID and at:
            return JEDEC[at - 1] if at <= len(JEDEC) else 0xFF
        if taken[0] == READ and at > 3:
            return self.array.data[(int.from_bytes(taken[1:4], "big") + at - 4) % self.array.size]
        return 0xFF

    def deselect(self) -> None:
        """Chip select rises: a command that changes something begins now (8.2)."""
        taken, self._taken = bytes(self._taken), bytearray()
        if not taken or self.silent is not None or self.hung:
            return
        command, address = taken[0], int.from_bytes(taken[1:4], "big") % self.array.size
        if command == WRITE_ENABLE:
            self._enabled = True
        elif command == WRITE_DISABLE or (self._enabled and self._starts(command, taken, address)):
            self._enabled = False

    def _starts(self, command: int, taken: bytes, address: int) -> bool:
        if command == PROGRAM and len(taken) > 4:
            if not self._protected(address) and self.begin():
                page = bytearray(b"\xff" * PAGE)
                for at, byte in enumerate(taken[4:]):  # 8.2.13: it wraps within the page
                    page[(address + at) % PAGE] = byte
                self.program(address - address % PAGE, bytes(page))
                self.spend(SECONDS[PROGRAM])
        elif command in ERASES and len(taken) == 4:
            length = ERASES[command]
            start = address - address % length
            if not any(self._protected(at) for at in range(start, start + length, SECTOR)) and self.begin():
                self.erase(start, length)
                self.spend(SECONDS[command])
        elif command in CHIP_ERASES:
            if not self._status[0] & BP and self.begin():
                self.erase(0, self.array.size)
                self.spend(CHIP_ERASE_SECONDS)
        elif command == WRITE_STATUS and len(taken) > 1:
            for at, byte in enumerate(taken[1:3]):
                self._status[at] = byte & 0xFC if at == 0 else byte
        else:
            return False
        return True

    def _protected(self, address: int) -> bool:
        """7.1.8, CMP = 0: how much from which end."""
        level, size = (self._status[0] & BP) >> 2, self.array.size
        if not level:
            return False
        if level >= 6:
            return True
        length = SECTOR << min(level - 1, 3) if self._status[0] & SEC else BLOCK << level - 1
        return address < length if self._status[0] & TB else address >= size - length

    def protect_sector(self, number: int) -> Callable[[], None]:
        """Status register 1 protects the array from its start to this sector and perhaps beyond."""
        wanted = (number + 1) * SECTOR
        levels = [(SECTOR << n, SEC | TB | n + 1 << 2) for n in range(4)] + [(BLOCK << n, TB | n + 1 << 2) for n in range(5)]
        bits = next((bits for length, bits in levels if length >= wanted), BP)

        def write(value: int) -> None:
            self._status[0] = value

        return Setting(lambda: self._status[0], write).put(bits)

    def protect_reads(self) -> Callable[[], None]:
        """There is no such protection: the fault of that name asks for the lock's name first."""
        return lambda: None

    def status(self) -> bytes:
        """The status registers, which keep their values without supply."""
        return bytes(self._status)

    def set_status(self, data: bytes) -> None:
        """Restore them."""
        self._status[: len(data)] = data


class Ssi(RegisterPage):
    """The interface: in its manual mode a byte each way for every write to DR0; in its memory mode it makes the window readable.

    Chip select falls with the first byte and rises when somebody looks and finds it idle, unless the pin is forced.

    Attributes:
        on_window: told whenever the window becomes readable or ceases to be.
        forced: OUTOVER of the chip select pin.
    """

    def __init__(self, base: int, flash: Qspi) -> None:
        super().__init__(base, {VERSION: SSI_VERSION})
        self._flash = flash
        self._received: list[int] = []
        self.forced = NORMAL
        self.on_window: Callable[[bool], None] | None = None
        self._shown = False

    def reset(self) -> None:
        """As after power-on."""
        self.values = {}
        self._received.clear()
        self.force(NORMAL)

    def force(self, how: int) -> None:
        """OUTOVER of the chip select pin changed."""
        if how != self.forced:
            self.forced = how
            self._flash.deselect()
        self._tell()

    @property
    def window(self) -> bool:
        """Reads of the window become reads of the flash."""
        mode = self.values.get(CTRLR0, 0)
        return (
            bool(self.values.get(SSIENR, 0) & self.values.get(SER, 0) & 1)
            and mode >> 8 & 3 == EEPROM_READ
            and mode >> 16 & 0x1F == 31
            and bool(self.values.get(SPI_CTRLR0, 0) >> 2 & 0xF)
            and self.forced == NORMAL
        )

    @property
    def manual(self) -> bool:
        """Bytes go out as they are written."""
        mode = self.values.get(CTRLR0, 0)
        return bool(self.values.get(SSIENR, 0) & self.values.get(SER, 0) & 1) and mode >> 8 & 3 == 0 and mode >> 16 & 0x1F == 7

    def load(self, word: int) -> int:
        """Value of a register. Nothing is ever under way when somebody looks."""
        if word in (SR, RXFLR):
            if self.forced == NORMAL:
                self._flash.deselect()
            return len(self._received) if word == RXFLR else SR_TFNF | SR_TFE | (SR_RFNE if self._received else 0)
        if DR0 <= word < 0xF0:
            return self._received.pop(0) if self._received else 0
        return super().load(word)

    def store(self, word: int, value: int) -> None:
        """Store to a register; most may only be changed while it is disabled, which is not checked."""
        if DR0 <= word < 0xF0:
            if self.manual and self.forced != HIGH:
                self._received.append(self._flash.exchange(value & 0xFF))
            elif self.manual:
                self._received.append(0xFF)
            return
        super().store(word, value)
        if word == SSIENR and not value & 1:
            self._received.clear()
            if self.forced == NORMAL:
                self._flash.deselect()
        self._tell()

    def set_mode(self, registers: dict[int, int]) -> None:
        """What a routine of the boot ROM leaves in the registers."""
        self.values = dict(registers)
        self._received.clear()
        self._tell()

    def _tell(self) -> None:
        if self.window != self._shown:
            self._shown = self.window
            if self.on_window is not None:
                self.on_window(self._shown)
