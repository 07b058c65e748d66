"""Fills the second-stage boot loader at the start of a file up to 252 bytes and puts its checksum behind (RP2040 datasheet 2.8.1.3.1).

Usage: checksum.py FILE
"""

import sys
from pathlib import Path

SIZE, POLYNOMIAL = 252, 0x04C11DB7


def crc(data: bytes) -> int:
    """Bit by bit, as the datasheet has it: highest bit first, seed all ones, nothing inverted at the end."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (POLYNOMIAL if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def main() -> None:
    """Rewrite the file's first 256 bytes."""
    path = Path(sys.argv[1])
    data = path.read_bytes()
    path.write_bytes(data[:SIZE] + crc(data[:SIZE]).to_bytes(4, "little") + data[SIZE + 4 :])


if __name__ == "__main__":
    main()
