"""Images as files: small writers whose every freedom is a parameter. They share no code with the decoders."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Memory = list[tuple[int, bytes]]


def ihex_record(kind: int, offset: int, data: bytes = b"") -> bytes:
    raw = bytes([len(data)]) + offset.to_bytes(2, "big") + bytes([kind]) + data
    return b":" + (raw + bytes([-sum(raw) & 0xFF])).hex().upper().encode()


def universal(parts: dict[int, Memory], *, newline: bytes = b"\n", width: int = 16, pad: bool = True, others: int = 0) -> bytes:
    """A universal hex with one section a board; the first in plain data records, the others in custom ones, as the specification has it."""
    lines: list[bytes] = []
    for number, (board, memory) in enumerate(parts.items()):
        high = -1
        for index, (address, data) in enumerate(memory):
            for at in range(0, len(data), width):
                here = address + at
                if here >> 16 != high or index == at == 0:
                    high = here >> 16
                    lines.append(ihex_record(4, 0, high.to_bytes(2, "big")))
                    if index == at == 0:
                        lines.append(ihex_record(0x0A, 0, board.to_bytes(2, "big") + b"\xc0\xde"))
                chunk = data[at : at + width]
                room = 0x10000 - (here & 0xFFFF)
                lines.append(ihex_record(0x0D if number else 0, here & 0xFFFF, chunk[:room]))
                if chunk[room:]:
                    high += 1
                    lines.append(ihex_record(4, 0, high.to_bytes(2, "big")))
                    lines.append(ihex_record(0x0D if number else 0, 0, chunk[room:]))
        lines += [ihex_record(0x0C, 0, b"\xff" * 8)] if pad else []
        lines.append(ihex_record(0x0B, 0, b"\xff" * 4 if pad else b""))
    lines += [ihex_record(0x0E, 0, b"source")] * others
    return newline.join([*lines, ihex_record(1, 0)]) + newline


def srec_record(kind: int, address: int, data: bytes = b"") -> bytes:
    width = {0: 2, 1: 2, 2: 3, 3: 4, 5: 2, 6: 3, 7: 4, 8: 3, 9: 2}[kind]
    raw = bytes([len(data) + width + 1]) + address.to_bytes(width, "big") + data
    return f"S{kind}".encode() + (raw + bytes([~sum(raw) & 0xFF])).hex().upper().encode()


def srec(chunks: Memory, *, newline: bytes = b"\n", kind: int = 3, header: bool = True, count: bool = True) -> bytes:
    lines = [srec_record(0, 0, b"HDR")] if header else []
    lines += [srec_record(kind, address, data) for address, data in chunks]
    if count:
        lines.append(srec_record(5, len(chunks)))
    return newline.join([*lines, srec_record({1: 9, 2: 8, 3: 7}[kind], 0)]) + newline


def uf2_block(address: int, data: bytes, number: int, total: int, *, family: int | None = None, flags: int = 0) -> bytes:
    flags |= 0x2000 if family is not None else 0
    head = struct.pack("<8s6I", b"UF2\nWQ]\x9e", flags, address, len(data), number, total, family or 0)
    return head + data.ljust(476, b"\xff") + b"\x30\x6f\xb1\x0a"


def uf2(memory: Memory, *, family: int | None = None, width: int = 256, order: list[int] | None = None) -> bytes:
    chunks = [(address + at, data[at : at + width]) for address, data in memory for at in range(0, len(data), width)]
    blocks = [uf2_block(address, chunk, number, len(chunks), family=family) for number, (address, chunk) in enumerate(chunks)]
    return b"".join(blocks if order is None else [blocks[index] for index in order])


def attributes(arch: int) -> bytes:
    """A section of build attributes with Tag_CPU_arch alone (Arm IHI 0045)."""
    tags = bytes([6, arch])
    file = bytes([1]) + (5 + len(tags)).to_bytes(4, "little") + tags
    return b"A" + (4 + 6 + len(file)).to_bytes(4, "little") + b"aeabi\0" + file


def elf(
    memory: Memory,
    *,
    machine: int = 40,
    kind: int = 2,
    arch: int | None = None,
    sections: bool = True,
    empty: bool = False,
    virtual: int = 0,
    first_with_headers: bool = False,
) -> bytes:
    """An ELF file: one loadable segment a piece, ``virtual`` bytes away from its physical address; optionally an empty RAM segment."""
    count = len(memory) + empty
    body_at = 52 + 32 * count
    body, programs, table = b"", b"", [struct.pack("<10I", *[0] * 10)]
    for index, (address, data) in enumerate(memory):
        offset = body_at + len(body)
        if index == 0 and first_with_headers:
            programs += struct.pack("<8I", 1, 0, address - offset, address - offset, offset + len(data), offset + len(data), 5, 4)
        else:
            programs += struct.pack("<8I", 1, offset, address + virtual & 0xFFFF_FFFF, address, len(data), len(data), 5, 4)
        table.append(struct.pack("<10I", 0, 1, 2, address, offset, len(data), 0, 0, 4, 0))
        body += data
    if empty:
        programs += struct.pack("<8I", 1, body_at, 0x2000_0000, 0x2000_0000, 0, 512, 6, 4)
    if arch is not None:
        table.append(struct.pack("<10I", 0, 0x7000_0003, 0, 0, body_at + len(body), len(attributes(arch)), 0, 0, 1, 0))
        body += attributes(arch)
    headers = b"".join(table) if sections else b""
    shoff = body_at + len(body) if sections else 0
    ident = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    shape = (len(table) if sections else 0, 0)
    head = struct.pack("<16sHHIIIIIHHHHHH", ident, kind, machine, 1, 0x0800_0001, 52, shoff, 0x0500_0200, 52, 32, count, 40, *shape)
    return head + programs + body + headers


def ihex(chunks: Memory, rng: Random, *, newline: bytes = b"\n", last: bytes = b"") -> bytes:
    """Data records in the order given; 02 and 04 records mixed where both can say the address, left out where they need not be repeated."""
    lines: list[bytes] = []
    base: tuple[int, int] | None = None
    for address, data in chunks:
        if base is None or address - base[1] not in range(0x10001 - len(data)) or rng.random() < 0.1:
            if address + len(data) <= 1 << 20 and rng.random() < 0.5:
                low = rng.randrange(16) if address >= 16 and (address & 15) + 16 + len(data) < 1 << 16 else 0
                base = (2, (address & ~15) - (16 if low else 0))
                lines.append(ihex_record(2, 0, (base[1] >> 4).to_bytes(2, "big")))
            else:
                base = (4, address & ~0xFFFF)
                lines.append(ihex_record(4, 0, (address >> 16).to_bytes(2, "big")))
        room = 0x10000 - (address - base[1])
        lines.append(ihex_record(0, address - base[1], data[:room]))
        if data[room:]:
            base = (4, base[1] + 0x10000)
            lines.append(ihex_record(4, 0, (base[1] >> 16).to_bytes(2, "big")))
            lines.append(ihex_record(0, 0, data[room:]))
    if rng.random() < 0.3:
        lines.insert(rng.randrange(len(lines) + 1), ihex_record(5, 0, b"\x08\x00\x01\x31"))
    return newline.join([*lines, ihex_record(1, 0)]) + last


FORMATS = ("ihex", "universal-hex", "srec", "uf2", "elf")


def shuffled(kind: str, memory: Memory, rng: Random, board: int = 0x9903, *, family: int | None = None) -> bytes:
    """A file of this format with the memory in it, in some legal layout: order, widths, line ends, repeats and extras are random."""
    newline = rng.choice([b"\n", b"\r\n", b"\r"])
    if kind == "universal-hex":
        return universal(
            {0x9900 if board != 0x9900 else 0x9903: [(0, rng.randbytes(40))], board: memory}, newline=newline, width=rng.choice([16, 32])
        )
    if kind == "uf2":
        width = rng.choice([64, 256, 476])
        count = sum(-(-len(data) // width) for _, data in memory)
        return uf2(memory, family=family, width=width, order=rng.sample(range(count), count))
    if kind == "elf":
        return elf(rng.sample(memory, len(memory)), arch=rng.choice([None, 11]), sections=rng.random() < 0.7, empty=rng.random() < 0.5)
    most = 255 if kind == "ihex" else 240
    chunks: Memory = []
    for address, data in memory:
        at = 0
        while at < len(data):
            width = rng.choice([1, 7, 16, 32, 33, 64, most]) if len(data) < 2000 else rng.choice([16, 32, most])
            chunks.append((address + at, data[at : at + width]))
            at += width
    chunks += rng.sample(chunks, min(len(chunks), rng.randrange(3)))
    if rng.random() < 0.5:
        rng.shuffle(chunks)
    if kind == "ihex":
        return ihex(chunks, rng, newline=newline, last=rng.choice([b"", newline, newline + b"\x1a"]))
    high = max(address + len(data) for address, data in memory) > 1 << 24
    text = srec(chunks, newline=newline, kind=3 if high else rng.choice([2, 3]), header=rng.random() < 0.5, count=rng.random() < 0.5)
    return text if rng.random() < 0.5 else text.rstrip()


def each(rows: Sequence[tuple[Any, ...]]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """A table of cases in one test (the guards around a test cost more than a case); a failure names its row."""

    def wrap(case: Callable[..., None]) -> Callable[[], None]:
        def run() -> None:
            for row in rows:
                try:
                    case(*row)
                except BaseException as error:
                    error.add_note(f"row: {row!r}"[:500])
                    raise

        run.__name__, run.__doc__ = case.__name__, case.__doc__
        return run

    return wrap
