"""ELF and AXF files: the loadable segments at their physical addresses, and the core that they were built for.

Sources: "Tool Interface Standard ELF Specification" 1.2 (program headers), Arm IHI 0044 (ELF for the Arm Architecture), Arm IHI 0045
(build attributes: Tag_CPU_arch 6, Tag_CPU_arch_profile 7).

Bounded: at most :data:`MAX_HEADERS` program headers and section headers are looked at.
"""

from __future__ import annotations

import io
import struct
from itertools import islice
from typing import TYPE_CHECKING, Any

from msdflash.errors import ImageError
from msdflash.image.pieces import collect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from msdflash.image.segments import Segment

MAX_HEADERS = 4096
"""Far more than a firmware with one section for each function has segments; sections above it only go unread."""

_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_PROGRAM = struct.Struct("<8I")
_SECTION = struct.Struct("<10I")
_ARM, _EXECUTABLE, _LOAD = 40, 2, 1
_TYPES = {0: "of no type", 1: "an object file that was not linked", 3: "a shared library", 4: "a core dump"}
_MACHINES = {3: "x86", 8: "MIPS", 62: "x86-64", 83: "AVR", 94: "Xtensa (ESP32)", 105: "MSP430", 183: "64-bit Arm", 243: "RISC-V"}
_ATTRIBUTES = 0x7000_0003  # SHT_ARM_ATTRIBUTES
_NOBITS, _ALLOC = 8, 2
_MOST_ATTRIBUTES = 4096

ARCHITECTURES: dict[int, str] = {
    0: "pre-v4",
    1: "v4",
    2: "v4T",
    3: "v5T",
    4: "v5TE",
    5: "v5TEJ",
    6: "v6",
    7: "v6KZ",
    8: "v6T2",
    9: "v6K",
    10: "v7",
    11: "v6-M",
    12: "v6S-M",
    13: "v7E-M",
    14: "v8-A",
    15: "v8-R",
    16: "v8-M.base",
    17: "v8-M.main",
    21: "v8.1-M.main",
    22: "v9-A",
}
"""Tag_CPU_arch -> name."""


class Header:
    """The fixed part of a 32-bit little-endian ELF file. Raises ImageError for everything else.

    Attributes:
        programs: ``(offset, entry size, count)`` of the program headers.
        sections: the same of the section headers.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEADER.size:
            raise _truncated(data, "it has no whole header")
        ident, kind, machine, _, self.entry, phoff, shoff, _, self.size, phsize, phnum, shsize, shnum, _ = _HEADER.unpack_from(data)
        if ident[4] != 1 or ident[5] != 1 or machine != _ARM:
            bits, order = {1: "32", 2: "64"}.get(ident[4], "?"), {1: "little", 2: "big"}.get(ident[5], "unknown")
            if ident[5] == 2:  # its fields have the other byte order
                machine = int.from_bytes(data[18:20], "big")
            name = "Arm" if machine == _ARM else _MACHINES.get(machine, f"machine {machine}")
            message = f"the ELF file is for {name}, {bits} bits, {order}-endian; Cortex-M wants Arm, 32 bits, little-endian"
            raise ImageError("image-wrong-chip", message, machine=machine, built_for=name)
        if kind != _EXECUTABLE:
            title = f"an ELF file, {_TYPES.get(kind, f'type {kind}')}"
            message = f"the file is {title}; drop the linked program"
            raise ImageError("image-unknown-format", message, kind="elf-type", title=title, type=kind)
        if phnum > MAX_HEADERS or (phnum and phsize != _PROGRAM.size):
            message = f"the ELF file says that it has {phnum} program headers of {phsize} bytes; firmware has a few of {_PROGRAM.size}"
            raise ImageError("elf-damaged", message, headers=phnum, size=phsize)
        self.programs = (phoff, phsize, phnum)
        self.sections = (shoff, shsize, shnum)


def decode_elf(data: bytes) -> tuple[tuple[Segment, ...], tuple[str, ...], str]:
    """Segments (sorted, merged, not empty), notes, and the architecture (a value of :data:`ARCHITECTURES` or "").

    Raises:
        ImageError: ``image-wrong-chip`` (no 32-bit little-endian Arm), ``image-unknown-format`` (not linked), ``image-truncated``,
            ``elf-damaged``, ``image-overlap``, ``image-empty``, with ``segment`` (number of the program header) where one is to blame.
    """
    header = Header(data)
    sections = _sections(data, header)
    segments, notes = collect(lambda notes: _walk(data, header, sections, notes), lambda where: where, "segment")
    return segments, notes, architecture(data, sections)


def _walk(data: bytes, header: Header, sections: list[tuple[int, ...]], notes: list[str]) -> Iterator[tuple[int, int, bytes]]:
    """``(number of the program header, physical address, bytes)`` of each loadable segment that has bytes in the file."""
    table, entry, count = header.programs
    if table + entry * count > len(data):
        raise _truncated(data, f"its program headers would end at {table + entry * count}")
    for number in range(count):
        kind, offset, _, address, size, _, _, _ = _PROGRAM.unpack_from(data, table + number * entry)
        if kind != _LOAD or not size:
            continue
        if offset + size > len(data):
            raise _truncated(data, f"segment {number} would end at {offset + size}", segment=number)
        if address + size > 1 << 32:
            message = f"segment {number} of the ELF file goes beyond the last address of 32 bits: 0x{address:08X} and {size} bytes"
            raise ImageError("elf-damaged", message, segment=number, address=address, size=size)
        cut = _own_headers(header, sections, offset, size)
        if cut:
            notes.append(f"segment {number}: the {cut} bytes of the ELF file's own headers in front of it were left out")
        if cut < size:
            yield number, address + cut, data[offset + cut : offset + size]


def _own_headers(header: Header, sections: list[tuple[int, ...]], offset: int, size: int) -> int:
    """Bytes to leave out at the start of a segment, where the linker let it begin with the file's own headers.

    GNU ld does so when it pages (no ``-n``); objcopy and the chip know only what stands in sections.
    """
    table, entry, count = header.programs
    if offset >= max(header.size, table + entry * count):
        return 0
    held = (item for item in sections if item[2] & _ALLOC and item[1] not in (0, _NOBITS) and item[5])
    starts = [item[4] for item in held if offset <= item[4] < offset + size]
    return min(starts) - offset if starts else 0


def _sections(data: bytes, header: Header) -> list[tuple[int, ...]]:
    """Section headers, as far as the file has them; a stripped file has none."""
    table, entry, count = header.sections
    if not table or entry != _SECTION.size or table + entry * count > len(data):
        return []
    return [_SECTION.unpack_from(data, table + number * entry) for number in range(min(count, MAX_HEADERS))]


def architecture(data: bytes, sections: list[tuple[int, ...]]) -> str:
    """The architecture out of the build attributes, or "" where the file has none that can be read."""
    found = next((item for item in sections if item[1] == _ATTRIBUTES), None)
    if found is None or found[5] > _MOST_ATTRIBUTES or found[4] + found[5] > len(data):
        return ""
    try:
        for name, value in _attributes(data[found[4] : found[4] + found[5]]):
            if name == "TAG_CPU_ARCH":
                return ARCHITECTURES.get(value, "")
    except Exception:  # noqa: BLE001  (pyelftools meets hostile bytes with errors of many kinds; the architecture then stays unknown)
        return ""
    return ""


def _attributes(section: bytes) -> Iterator[tuple[str, Any]]:
    """Names and values of the whole file's build attributes, by pyelftools.

    Only the first sub-section is read: walking on by the lengths that a hostile file gives need never end.
    """
    from elftools.elf.sections import ARMAttributesSubsection
    from elftools.elf.structs import ELFStructs

    structs = ELFStructs(little_endian=True, elfclass=32)
    structs.create_basic_structs()
    structs.create_advanced_structs("ET_EXEC", "EM_ARM", "ELFOSABI_SYSV")
    if section[:1] != b"A":
        return
    subsection = ARMAttributesSubsection(io.BytesIO(section), structs, 1)
    for part in islice(subsection.iter_subsubsections(), 1):
        for attribute in part.iter_attributes():
            yield str(attribute.tag), attribute.value


def _truncated(data: bytes, what: str, **facts: int) -> ImageError:
    return ImageError("image-truncated", f"the ELF file has {len(data)} bytes, {what}", size=len(data), **facts)
