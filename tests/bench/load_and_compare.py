"""``pyocd load`` and a full read-back compare, in one process: pyOCD's own API, its default options, every byte of the file.

Usage: ``python load_and_compare.py SERIAL TARGET FILE``. Exit status 1 when flash differs from the file. One process is kinder to pyOCD
than its command line would be (``load``, then ``commander -c savemem``), which starts twice.
"""

import sys
from pathlib import Path

from pyocd.core.helpers import ConnectHelper
from pyocd.flash.file_programmer import FileProgrammer

BASE = 0x08000000


def main() -> int:
    serial, target, path = sys.argv[1:]
    wanted = Path(path).read_bytes()
    session = ConnectHelper.session_with_chosen_probe(blocking=False, unique_id=serial, options={"target_override": target})
    if session is None:
        return 2
    with session:
        FileProgrammer(session).program(path, base_address=BASE)
        found = bytes(session.target.read_memory_block8(BASE, len(wanted)))
        session.target.reset()
    return 0 if found == wanted else 1


if __name__ == "__main__":
    sys.exit(main())
