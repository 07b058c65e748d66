"""Fails when a test was skipped for a reason that is not on the committed list."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def main() -> int:
    """Compare the skips in a JUnit file with the allowed reasons, one a line, ``#`` starts a comment."""
    results, allowed_file = sys.argv[1:3]
    lines = Path(allowed_file).read_text(encoding="utf-8").splitlines()
    allowed = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    bad = []
    for case in ET.parse(results).iter("testcase"):  # noqa: S314  (our own file)
        for skip in case.iter("skipped"):
            reason = skip.get("message") or ""
            if not any(item in reason for item in allowed):
                bad.append(f"{case.get('classname')}.{case.get('name')}: {reason}")
    for line in bad:
        sys.stdout.write(f"skipped without leave: {line}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
