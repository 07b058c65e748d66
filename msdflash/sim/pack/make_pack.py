"""Put files into a CMSIS-Pack that is the same, byte for byte, whenever and wherever it is made.

``python make_pack.py PACK FILE[=NAME]...``: a zip archive with fixed dates and rights, uncompressed (compressors differ from release
to release), its members in the order given.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

WHEN = (2026, 1, 1, 0, 0, 0)


def make(pack: Path, members: list[tuple[str, bytes]]) -> None:
    """Write ``pack`` with ``(name, content)`` members. Raises OSError."""
    with zipfile.ZipFile(pack, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members:
            entry = zipfile.ZipInfo(name, WHEN)
            entry.create_system = 3  # Unix, also on Windows
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)


def main(arguments: list[str]) -> int:
    """The command line; returns the exit status."""
    if len(arguments) < 2:
        sys.stderr.write("make_pack.py PACK FILE[=NAME]...\n")
        return 2
    pairs = [(word.partition("=")[0], word.partition("=")[2] or word) for word in arguments[1:]]
    make(Path(arguments[0]), [(name, Path(file).read_bytes()) for file, name in pairs])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
