"""The process that serves one mount: ``python -m msdflash.volume ROOT MOUNTPOINT``. Linux, with the extra ``volume``.

It tells on standard output, one JSON object a line: first ``{"ready": true}``, then each :class:`~msdflash.volume.passthrough.Released`.
When its standard input ends, it unmounts and ends, so that no mount outlives the daemon.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from msdflash.volume.passthrough import Passthrough, Released

SUBTYPE = "msdflash"


def serve(root: Path, mountpoint: Path) -> int:
    """Serve until standard input ends; the exit status."""
    try:
        from mfusepy import FUSE

        from msdflash.volume.mounted import Mounted
    except (ImportError, OSError) as error:  # without libfuse the import itself fails
        sys.stderr.write(f"FUSE cannot be used: {error}\n")
        return 1
    main, ending = threading.main_thread(), threading.Event()

    def say(line: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    def released(what: Released) -> None:
        say(msgspec.structs.asdict(what))

    def end_with_input() -> None:
        while os.read(0, 64):
            pass
        ending.set()
        if main.ident is not None and sys.platform != "win32":
            signal.pthread_kill(main.ident, signal.SIGTERM)  # libfuse leaves its loop and unmounts

    def ready() -> None:
        threading.Thread(target=end_with_input, daemon=True).start()
        say({"ready": True})

    files = Passthrough(root, released)
    # Tools that read `df` want a source that begins with a slash; a comma would end the option.
    source = SUBTYPE if set(",\\") & set(str(root)) else str(root)
    options = {"fsname": source, "subtype": SUBTYPE, "nosuid": True, "nodev": True, "noexec": True}
    try:
        FUSE(Mounted(files, ready), str(mountpoint), foreground=True, nothreads=True, **options)
    except RuntimeError as error:  # a loop that ended by the signal counts as one, too
        if not ending.is_set():
            sys.stderr.write(f"FUSE ended with status {error}\n")
            return 1
    finally:
        files.close()
    return 0


if __name__ == "__main__":
    sys.exit(serve(Path(sys.argv[1]), Path(sys.argv[2])))
