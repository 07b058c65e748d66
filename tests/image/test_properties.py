"""One memory, written in every format and a random legal layout, ends as the same flash; damage is named at its first place, or nothing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msdflash.errors import ImageError
from msdflash.image.decode import decode
from msdflash.image.segments import Image
from msdflash.worker import plan
from msdflash.worker.memory import to_words

w = sys.modules["image_writers"]
BASE, SECTOR, COUNT = 0x0800_0000, 0x800, 64
BOARD = 0x9903
Memory = list[tuple[int, bytes]]


class Flash:
    """Bytes of a flash that can only be read."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read_memory_block32(self, address: int, count: int) -> list[int]:
        return to_words(self.content[address - BASE : address - BASE + 4 * count])


def region() -> SimpleNamespace:
    def sector(address: int) -> SimpleNamespace:
        return SimpleNamespace(base_addr=address - (address - BASE) % SECTOR, size=SECTOR)

    return SimpleNamespace(start=BASE, length=SECTOR * COUNT, page_size=SECTOR, flash=SimpleNamespace(get_sector_info=sector))


def flashed(image: Image, old: bytes) -> bytes:
    """What flash holds when every sector of the plan is written."""
    new = bytearray(old)
    for part in plan.make(Flash(old), [(region(), 0xFF)], image, lambda _, data: data, lambda _: None):
        for sector in part.changes:
            new[sector.address - BASE : sector.end - BASE] = sector.new
    return bytes(new)


def random_memory(rng: Random) -> Memory:
    """One to five pieces within the flash, with gaps from one byte to several sectors; the first begins with vectors."""
    memory: Memory = []
    address = BASE
    for number in range(rng.randrange(1, 6)):
        data = rng.randbytes(rng.choice([1, 2, 31, 256, 700, 3000]))
        if not number:
            data = (0x2000_8000).to_bytes(4, "little") + (BASE + 0x101).to_bytes(4, "little") + data
        memory.append((address, data))
        address += len(data) + rng.choice([1, 2, 255, 4096, 0x6000])
    return memory


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32))
def test_every_layout_of_every_format_ends_as_the_same_flash(seed: int) -> None:
    rng = Random(seed)
    memory = random_memory(rng)
    old = rng.choice([b"\xff" * SECTOR * COUNT, rng.randbytes(SECTOR * COUNT)])
    wanted = bytearray(old)
    for address, data in memory:
        wanted[address - BASE : address - BASE + len(data)] = data
    for kind in w.FORMATS:
        image = decode("x", w.shuffled(kind, memory, rng, BOARD), board_id=BOARD)
        assert image.format == kind
        assert flashed(image, old) == wanted, kind
    last = memory[0][1]  # a raw binary holds one piece
    image = decode("x.bin", last).at(BASE)
    assert image.format == "bin"
    wanted = bytearray(old)
    wanted[: len(last)] = last
    assert flashed(image, old) == wanted


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["ihex", "srec", "universal-hex"]), st.integers(0, 1 << 32))
def test_the_first_of_several_damages_is_named(kind: str, seed: int) -> None:
    """In each of one to four lines one hex digit is another: each record's checksum finds it, and the first is told."""
    rng = Random(seed)
    lines = w.shuffled(kind, random_memory(rng), rng, BOARD).replace(b"\r\n", b"\n").replace(b"\r", b"\n").splitlines()
    lines = [line for line in lines if line.strip(b"\x1a")]
    hit = sorted(rng.sample(range(len(lines)), min(len(lines), rng.randrange(1, 5))))
    for number in hit:
        line = lines[number]
        at = rng.randrange(2 if kind == "srec" else 1, len(line))
        other = rng.choice(b"0123456789ABCDEF".replace(line[at : at + 1], b""))
        lines[number] = line[:at] + bytes([other]) + line[at + 1 :]
    with pytest.raises(ImageError) as caught:
        decode("x", b"\n".join(lines) + b"\n", board_id=BOARD)
    found = caught.value
    assert found.cause in {"hex-checksum", "hex-syntax", "srec-checksum", "srec-syntax", "image-truncated"}
    if found.cause == "image-truncated":  # the end record itself
        assert hit[0] == len(lines) - 1
    else:
        assert found.facts["line"] == hit[0] + 1


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([*w.FORMATS, "bin"]), st.integers(0, 1 << 32))
def test_any_damage_gets_an_answer_and_checked_formats_never_another_image(kind: str, seed: int) -> None:
    """Bytes changed, cut out, put in, zeroed, the file joined or cut: an image or an ImageError.

    Where each record has a checksum, an image is only what stood there. (A line of an Intel hex file that is missing as a whole
    cannot be seen: the format counts nothing. So whole lines are not taken out here.)
    """
    rng = Random(seed)
    memory = random_memory(rng)
    whole = memory[0][1] if kind == "bin" else w.shuffled(kind, memory, rng, BOARD)
    damaged = bytearray(whole)
    at = rng.randrange(len(damaged))
    how = rng.choice(["change", "cut", "in", "zero", "end", "twice"])
    if how == "change":
        damaged[at] ^= rng.randrange(1, 256)
    elif how == "cut":
        del damaged[at : at + rng.randrange(1, 8)]
    elif how == "in":
        damaged[at:at] = rng.randbytes(rng.randrange(1, 8))
    elif how == "zero":
        damaged[at : at + 512] = bytes(len(damaged[at : at + 512]))
    elif how == "end":
        del damaged[at:]
    else:
        damaged += whole
    found: Image | ImageError
    try:
        found = decode("x", bytes(damaged), board_id=BOARD)
    except ImageError as error:
        found = error
    if isinstance(found, ImageError):
        assert found.cause.startswith(("image-", "hex-", "srec-", "uf2-", "elf-", "probe-firmware"))
        assert str(found)
        return
    image = found
    assert image.size > 0
    if kind in {"ihex", "srec", "universal-hex"} and image.format == kind:
        assert [(segment.address, segment.data) for segment in image.segments] == memory, how


# --- sizes ------------------------------------------------------------------------------------------------------------------------------


def scaled(line: Any, size: int) -> bytes:
    """Lines ``line(0)`` to ``line(131071)``, again and again until there are ``size`` bytes."""
    cycle = b"\n".join(line(number) for number in range(1 << 17)) + b"\n"
    return cycle * (size // len(cycle))


def record(kind: int, at: int, data: bytes = b"") -> bytes:
    return bytes(w.ihex_record(kind, at, data))


MIB = 1 << 20
HOSTILE: dict[str, Any] = {
    "hex, one byte a record": lambda: scaled(lambda n: record(0, n & 0xFFFF, b"\x01"), 62 * MIB),
    "hex, an address before each byte": lambda: scaled(
        lambda n: record(4, 0, (n * 7 & 0xFFFF).to_bytes(2, "big")) + b"\n" + record(0, n & 0xFFFF, b"\x01"), 62 * MIB
    ),
    "hex, without line ends": lambda: record(0, 0, bytes(16)) * (62 * MIB // 43),
    "hex, returns": lambda: record(4, 0, b"\0\0") + b"\r" * 62 * MIB,
    "srec, one byte a record": lambda: scaled(lambda n: w.srec_record(3, 2 * n, b"\x01"), 62 * MIB),
    "uf2, every block elsewhere": lambda: b"".join(w.uf2_block(n * 0x4000, b"\x01", n, 120_000) for n in range(120_000)),
    "uf2, one number for all": lambda: w.uf2_block(0, b"\x01" * 256, 0, 120_000) * 120_000,
    "elf, 4000 segments and 60 MiB behind them": lambda: w.elf([(n * 8, b"\x01" * 4) for n in range(4000)]) + bytes(60 * MIB),
    "text of one line": lambda: b"a" * 62 * MIB,
    "zeros": lambda: bytes(62 * MIB),
    "zip": lambda: b"PK\x03\x04" + bytes(62 * MIB),
}
DECODER = """
import json, re, resource, sys, time
from pathlib import Path
from msdflash.errors import ImageError
from msdflash.image.decode import decode
began = time.process_time()
try:
    said = f"{decode('x', Path(sys.argv[1]).read_bytes(), board_id=0x9903).size} bytes decoded"
except ImageError as error:
    said = error.cause
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1 << 20)
if sys.platform == "linux":  # there, the figure above counts the process that we were forked from, too
    peak = int(re.search("VmHWM:\\s*([0-9]+)", Path("/proc/self/status").read_text())[1]) // 1024
json.dump([said, time.process_time() - began, peak], sys.stdout)
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(importlib.util.find_spec("resource") is None, reason="no peak memory here")
def test_hostile_files_of_64_mib_cost_bounded_memory_and_time(tmp_path: Path) -> None:
    """In a process of its own, as the worker decodes them. Bounds are twice to four times what docs/formats.md tells."""
    import json
    import subprocess

    file, told = tmp_path / "hostile", {}
    for name, make in HOSTILE.items():
        file.write_bytes(make())
        done = subprocess.run([sys.executable, "-c", DECODER, str(file)], capture_output=True, check=True, timeout=600)
        told[name] = json.loads(done.stdout)
        print(f"| {name} | {told[name][1]:.1f} s | {told[name][2]} MiB | {told[name][0]} |")
    assert max(seconds for _, seconds, _ in told.values()) < 30, told
    assert max(peak for _, _, peak in told.values()) < 512, told
