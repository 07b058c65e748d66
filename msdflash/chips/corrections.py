"""Errors in pyOCD's builtin flash algorithms that would cost somebody data, and how their code is put right before it is downloaded.

An algorithm is known by the SHA-256 of its code as pyOCD has it: no other code is ever touched, and a test sees to it that the code
of the installed pyOCD is the one that was looked at.
"""

from __future__ import annotations

import hashlib

import msgspec


class Correction(msgspec.Struct, frozen=True):
    """One place in one algorithm.

    Attributes:
        sha256: of the algorithm's code, all words little-endian.
        offset: of the place, in bytes from the load address.
        old: bytes that stand there.
        new: bytes that are downloaded instead.
        what: what was wrong, as a sentence for the log.
    """

    sha256: str
    offset: int
    old: bytes
    new: bytes
    what: str


CORRECTIONS: tuple[Correction, ...] = (
    # stm32h743xx and stm32h750xx of pyOCD 0.46 (disassembled; run on the bench): EraseSector counts from the sector's address up to and
    # with address + 128 KiB, so it erases the next sector, too. The loop's branch is "lower or same"; "lower" ends it in time (encoding
    # T3 of B<c>.W, Arm DDI 0403 A7.7.12: the condition 0b1001 becomes 0b0011).
    Correction(
        "fd8d2fa2542be87e46c4511aa2a1eb83a19713fe31626b662f551518bf35162c",
        0x2D0,
        bytes.fromhex("7ff66aaf"),
        bytes.fromhex("fff46aaf"),
        "pyOCD's algorithm would erase the sector behind each sector, too: corrected in the copy that was downloaded",
    ),
)


def correct(code: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The code to download instead of ``code``, and what was put right in it."""
    digest = hashlib.sha256(code).hexdigest()
    notes = []
    for item in CORRECTIONS:
        end = item.offset + len(item.old)
        if item.sha256 == digest and code[item.offset : end] == item.old:
            code = code[: item.offset] + item.new + code[end:]
            notes.append(item.what)
    return code, tuple(notes)
