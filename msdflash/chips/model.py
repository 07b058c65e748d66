"""The shape of chip knowledge: registers, rules, dies, families. The vendor modules fill it."""

from __future__ import annotations

import msgspec


class Register(msgspec.Struct, frozen=True):
    """A field in a memory-mapped register.

    Attributes:
        address: absolute address; ``size`` bytes are read there.
        shift: lowest bit of the field.
        mask: of the field, after shifting.
        size: access width in bytes (4, 2 or 1). A 16-bit register next to an unmapped half must not be read as a word.
    """

    address: int
    shift: int = 0
    mask: int = 0xFFFF_FFFF
    size: int = 4

    def of(self, word: int) -> int:
        """The field's value out of the register's value."""
        return (word >> self.shift) & self.mask


class Flag(msgspec.Struct, frozen=True):
    """One named bit, with what it says in plain words."""

    bit: int
    name: str
    meaning: str


class FlagRegister(msgspec.Struct, frozen=True):
    """A register of named bits.

    Attributes:
        address: absolute address.
        flags: its named bits.
        busy: bit that says that the controller works (or None).
        idle_when: value of the busy bit when the controller is idle (Kinetis and Nordic say *ready*, not *busy*).
        size: access width in bytes.
        sticky: a set flag may be old news: it stays until software clears it, so compare with a reading from before.
    """

    address: int
    flags: tuple[Flag, ...]
    busy: int | None = None
    idle_when: int = 0
    size: int = 4
    sticky: bool = True

    def names(self, word: int) -> tuple[str, ...]:
        """Names of the bits that are set."""
        return tuple(flag.name for flag in self.flags if word >> flag.bit & 1)

    def is_busy(self, word: int) -> bool:
        """The controller was working when the word was read. False where no bit says so."""
        return self.busy is not None and (word >> self.busy & 1) != self.idle_when


class RdpRule(msgspec.Struct, frozen=True):
    """How a family codes STM32 read-out protection.

    Attributes:
        register: the field.
        levels: ``(value, level)``; level is ``0``, ``0.5 or 1``, ``1`` or ``2``.
        otherwise: level of every other value.
    """

    register: Register
    levels: tuple[tuple[int, str], ...]
    otherwise: str

    def level(self, word: int) -> str:
        """Protection level out of the whole register's value."""
        return dict(self.levels).get(self.register.of(word), self.otherwise)


class WrpArea(msgspec.Struct, frozen=True):
    """One write-protection register and the flash that it speaks of.

    Attributes:
        address: of the register.
        base: flash address of its first unit.
        units: length in bytes of each unit; the last one repeats for ever when ``tail`` is set in the rule.
        shift: lowest bit of the unit bits (bit kinds), or of the start page (range kind).
        end_shift: lowest bit of the end page (range kind).
        width: bits of a page number (range kind).
        share: the flash, whatever its length, in so many equal units; then ``units`` is empty.
    """

    address: int
    base: int
    units: tuple[int, ...] = ()
    shift: int = 0
    end_shift: int = 16
    width: int = 8
    share: int = 0


class WrpRule(msgspec.Struct, frozen=True):
    """How a family codes write protection.

    Attributes:
        kind: ``range`` (start and end page, start above end means none), ``zero`` (a clear bit protects), ``one`` (a
            set bit protects) or ``length`` (that many bytes from the base on are protected; all ones mean none).
        areas: the registers.
        tail: the last bit stands for all the rest of the flash.
        flip: ``(register, value)`` of the bit that gives the bits another meaning (read protection of areas). Where it
            has that value, :meth:`protected` must not be used.
        gate: ``(register, value)`` without which nothing is protected.
    """

    kind: str
    areas: tuple[WrpArea, ...]
    tail: bool = False
    flip: tuple[Register, int] | None = None
    gate: tuple[Register, int] | None = None

    def protected(self, words: tuple[int, ...], flash: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """Write-protected ``(first, last)`` addresses.

        Args:
            words: values of the areas' registers, in their order.
            flash: ``(first address, length)`` of the main flash; ranges are cut to it.
        """
        ranges: list[tuple[int, int]] = []
        for area, word in zip(self.areas, words, strict=True):
            if self.kind == "range":
                ranges += self._range(area, word)
            elif self.kind == "length":
                ranges += [(area.base, area.base + word - 1)] if 0 < word < 0xFFFF_FFFF else []
            else:
                ranges += self._bits(area, word, flash)
        first, end = flash[0], sum(flash)
        cut = sorted((max(a, first), min(b, end - 1)) for a, b in ranges if b >= first and a < end)
        merged: list[tuple[int, int]] = []
        for a, b in cut:
            if merged and a <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
            else:
                merged.append((a, b))
        return tuple(merged)

    def _range(self, area: WrpArea, word: int) -> list[tuple[int, int]]:
        mask = (1 << area.width) - 1
        start, end, page = word >> area.shift & mask, word >> area.end_shift & mask, area.units[0]
        return [(area.base + start * page, area.base + (end + 1) * page - 1)] if start <= end else []

    def _bits(self, area: WrpArea, word: int, flash: tuple[int, int]) -> list[tuple[int, int]]:
        ranges = []
        first, flash_end = area.base, sum(flash)
        units = (flash[1] // area.share,) * area.share if area.share else area.units
        for index, length in enumerate(units):
            last = flash_end - 1 if self.tail and index == len(units) - 1 else first + length - 1
            if (word >> (area.shift + index) & 1) == (self.kind == "one") and first < flash_end:
                ranges.append((first, last))
            first += length
        return ranges


class ApLock(msgspec.Struct, frozen=True):
    """A vendor access port that tells of a lock while the memory port is closed. Read only; nothing here unlocks.

    Attributes:
        ap: index of the access port.
        idr: its IDR without the revision ([31:28] zero).
        register: its status field.
        locked: value of the field that means locked.
        valid: ``(mask, value)`` that the status must show before the field means anything, or None.
        times: equal readings needed before it may be believed (blank Kinetis parts flicker while they loop in reset).
        running: bit of the status that is 0 while the chip is in reset, or 0 where it tells nothing of that.
    """

    ap: int
    idr: int
    register: Register
    locked: int
    valid: tuple[int, int] | None = None
    times: int = 2
    running: int = 0

    def is_locked(self, word: int) -> bool | None:
        """True or False as the port says; None where the status is not valid now."""
        if self.valid is not None and word & self.valid[0] != self.valid[1]:
            return None
        return self.register.of(word) == self.locked


class Mailbox(msgspec.Struct, frozen=True):
    """An access port through which the boot ROM is asked to let a debugger in, while the processors' own ports are hidden.

    Attributes:
        ap: index of the access port.
        idr: its IDR.
        status: register that reads 0 once the ROM listens; writing ``resynch`` to it resets the chip and has the ROM listen.
        resynch: see ``status``.
        reset: written to ``status``, only resets the chip.
        pending: bits of ``status`` that say that a request was not taken yet.
        request: register for requests.
        answer: register of the answer; its lower half is 0 for yes. Reading it before there is one keeps the port waiting.
        start: the request for a debug session.
    """

    ap: int
    idr: int
    status: int
    resynch: int
    reset: int
    pending: int
    request: int
    answer: int
    start: int


class BlankCheck(msgspec.Struct, frozen=True):
    """How a flash controller is asked which pages are erased, where reading an erased page is a bus fault.

    Attributes:
        base: of its registers.
        secure: the same for a core in Secure state.
        page: bytes of a page.
        word: bytes that its addresses count in.
        mask: of an address, in words.
        start: register of the first word; ``stop`` of the last, included; ``command``, ``clear``, ``status`` likewise.
        found: register that names a word of the first page that is not erased.
        check: the command.
        done: status bits: over; ``failed`` not all is erased; ``refused`` the command was not carried out.
    """

    base: int
    secure: int
    page: int
    word: int
    mask: int
    start: int
    stop: int
    command: int
    clear: int
    status: int
    found: int
    check: int
    done: int
    failed: int
    refused: int

    def unit(self, address: int) -> int:
        """An address as the controller counts."""
        return address // self.word & self.mask


class Freeze(msgspec.Struct, frozen=True):
    """Bits that stop watchdogs while the core is halted: ``value = value | bits`` at ``address``."""

    address: int
    bits: int


class Critical(msgspec.Struct, frozen=True):
    """Words in the main flash whose *erased* value locks the chip at its next reset.

    They are written right after they were erased, before anything else, and repaired first when a job fails.

    Attributes:
        address: first of them, at a programming unit's start.
        length: bytes, whole programming units.
        field: the field that decides.
        open: its value while the chip stays open.
        effect: what another value does, in a few words.
    """

    address: int
    length: int
    field: Register
    open: int
    effect: str


class Timing(msgspec.Struct, frozen=True):
    """Worst-case flash times of a data sheet, in seconds.

    Attributes:
        erase: one sector (the largest).
        program: one unit of ``unit`` bytes.
        unit: bytes of a programming unit.
        mass_erase: the whole flash (used for deadlines of other people's calls only; msdflash never orders one).
        source: data sheet or manual.
        smaller: ``(most bytes, seconds)`` of smaller sectors, by size, where the data sheet tells them apart.
    """

    erase: float
    program: float
    unit: int
    mass_erase: float
    source: str
    smaller: tuple[tuple[int, float], ...] = ()

    def erase_of(self, length: int) -> float:
        """Worst case of one sector of this length."""
        return next((seconds for most, seconds in self.smaller if length <= most), self.erase)


class Builtin(msgspec.Struct, frozen=True):
    """A pyOCD builtin target that fits a device.

    Attributes:
        kib: flash of the builtin's memory map; parts with less use it with the map cut to the size register.
        target: pyOCD's name.
        why: ``same die`` or ``same flash controller`` (then page size, layout and algorithm RAM were compared).
        exact: only for parts with exactly this much flash: a shorter part has another layout, not just an earlier end.
    """

    kib: int
    target: str
    why: str = "same die"
    exact: bool = False


class SerialFlash(msgspec.Struct, frozen=True):
    """How to pass bytes to a flash chip beside the processor while the flash algorithm has its interface in plain mode.

    Attributes:
        data: register that takes a byte and gives one.
        status: register that tells whether one came.
        ready: bit of it.
        depth: bytes that the interface can hold.
        select: ``(register, low, high)``: what moves the chip select pin.
        least: shortest flash in KiB that such boards have: what is used where the chip does not tell its length.
    """

    data: int
    status: int
    ready: int
    depth: int
    select: tuple[int, int, int]
    least: int


class Device(msgspec.Struct, frozen=True):
    """A die.

    Attributes:
        dev_id: device id out of the family's identity register; 0 where the family has none.
        part: name for people.
        lines: first letters of ordering codes (``L476``), lower case without maker prefix.
        builtins: pyOCD targets, by flash size; empty where none fits (then a CMSIS-Pack is needed).
        ram: ``(start, length)`` of each RAM, aliases included; what an initial stack pointer may point into.
        kib: least and most flash of parts with this die, in KiB.
        note: what a user of this row has to know, or empty.
        half_when: ``(register, value)``: where the field has this value, parts with less than ``kib[1]`` have a bank at half
            their flash that the builtins' algorithms cannot address. See :func:`msdflash.chips.families.reachable_kib`.
    """

    dev_id: int
    part: str
    lines: tuple[str, ...] = ()
    builtins: tuple[Builtin, ...] = ()
    ram: tuple[tuple[int, int], ...] = ()
    kib: tuple[int, int] = (0, 0xFFFF)
    note: str = ""
    half_when: tuple[Register, int] | None = None


class Family(msgspec.Struct, frozen=True):
    """Everything that msdflash knows about a family of chips.

    Attributes:
        id: stable name (``stm32l4``).
        title: name for people.
        vendor: maker.
        cores: CPUID [15:4] of its cores.
        dpidrs: DPIDR values seen. They identify the debug port, never the part: they can refute, not prove.
        ap_idrs: IDR of its memory access ports, revision [31:28] zeroed.
        designer: JEP106 designer in the ROM table, bank in [11:8] (``0x020`` ST), or None where it is generic.
        idcode: identity register with the device id field, or None.
        flash_kib: flash size register in KiB, or None. 0xFFFF and 0 mean unreadable now, not a size.
        flash_base: first address of the main flash.
        rdp: STM32 read-out protection rule.
        wrp: write-protection rule.
        wrp_none: why there is no such rule, where that is known.
        critical: words whose erased value locks the chip.
        uid: ``(address, bytes)`` of the chip's unique id, a multiple of four; () where it has none that a debugger can read.
        lock: vendor access port that tells of a lock.
        flash_sr: flash status registers (one per bank).
        reset_cause: reset-cause registers.
        freeze: watchdog freeze bits for debug halts.
        erased: value of an erased byte.
        boot: kind of boot header at the start of the boot flash: ``cortex-m``, ``rp2040-boot2``, ``imxrt-fcfb``, ``unknown``.
        transforms: named changes that the path to flash makes to the data.
        timing: worst-case flash times, or None where none was looked up.
        boot_alias: address at which the boot flash appears a second time (0 on STM32), or None.
        program_chunk: bytes that one ProgramPage call of the builtin algorithms takes, page size or not; 0 = page size
            only. The caller still bounds it by the RAM that it has.
        program_unit: bytes that such a call is rounded up to, where that is more than a programming unit; else 0.
        dp_under_reset: the debug port answers while nRESET is low; None = differs or unknown.
        targets: further pyOCD builtin targets of the family that no row of ``devices`` names.
        targetsels: TARGETSEL of the first core's debug port, where several ports share the SWD line.
        rescue_dpidr: DPIDR of a port on the same line that only resets the chip when it is asked for power; nobody means it.
        serial: the way to a flash chip beside the processor, for families that have no flash inside.
        mailbox: access port of the boot ROM, where that hides the processors' own.
        blank_check: how to find erased pages, where they cannot be read.
        flash_shown: ``(address, value)`` to write after a reset-halt, so that flash is seen at its address instead of the boot
            ROM; None where nothing else is ever seen there.
        devices: the dies.
    """

    id: str
    title: str
    vendor: str
    cores: tuple[int, ...]
    dpidrs: tuple[int, ...]
    ap_idrs: tuple[int, ...]
    designer: int | None
    idcode: Register | None
    flash_kib: Register | None
    flash_base: int
    devices: tuple[Device, ...]
    rdp: RdpRule | None = None
    wrp: WrpRule | None = None
    wrp_none: str = ""
    critical: tuple[Critical, ...] = ()
    uid: tuple[tuple[int, int], ...] = ()
    lock: ApLock | None = None
    flash_sr: tuple[FlagRegister, ...] = ()
    reset_cause: tuple[FlagRegister, ...] = ()
    freeze: tuple[Freeze, ...] = ()
    erased: int = 0xFF
    boot: str = "cortex-m"
    transforms: tuple[str, ...] = ()
    timing: Timing | None = None
    boot_alias: int | None = None
    program_chunk: int = 0
    program_unit: int = 0
    dp_under_reset: bool | None = None
    targets: tuple[str, ...] = ()
    flash_shown: tuple[int, int] | None = None
    mailbox: Mailbox | None = None
    blank_check: BlankCheck | None = None
    targetsels: tuple[int, ...] = ()
    rescue_dpidr: int | None = None
    serial: SerialFlash | None = None
