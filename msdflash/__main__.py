"""``python -m msdflash``: the command line."""

from __future__ import annotations

from msdflash.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
