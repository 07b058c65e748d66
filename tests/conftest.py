"""Guards around every test: nothing may be left behind. And the few fixtures that all parts share."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

GRACE = 3.0
"""Seconds that something may need to end by itself after the test that made it."""


def _wait_until_empty(leftovers: Callable[[], set[str]], seconds: float = GRACE) -> set[str]:
    deadline = time.monotonic() + seconds
    while True:
        found = leftovers()
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def _threads() -> dict[int, str]:
    return {thread.ident or 0: thread.name for thread in threading.enumerate()}


def _children() -> dict[int, str]:
    names: dict[int, str] = {}
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.status() != psutil.STATUS_ZOMBIE:
                names[child.pid] = " ".join(child.cmdline()[:6])
    return names


def _descriptors() -> set[str]:
    """Open descriptors with what they lead to (Linux; elsewhere nothing is seen)."""
    folder = Path("/proc/self/fd")
    found: set[str] = set()
    if not folder.is_dir():
        return found
    for entry in os.listdir(folder):  # noqa: PTH208  (names only; the listing's own descriptor is gone when it is read)
        with contextlib.suppress(OSError):
            found.add(f"{entry} -> {os.readlink(folder / entry)}")  # noqa: PTH115
    return found


_numbers = itertools.count()
_frozen = {"modules": 0}


def _collect() -> None:
    """Collect garbage, but not again and again in what imports left for good: pyOCD alone is a third of a million objects."""
    gc.collect()
    if len(sys.modules) != _frozen["modules"]:
        _frozen["modules"] = len(sys.modules)
        gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No thread, process, descriptor or temporary file outlives its test."""
    temporary = tmp_path_factory.getbasetemp() / f"t{next(_numbers)}"  # pytest's own numbering looks through all that came before
    temporary.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    threads, children, descriptors = set(_threads()), set(_children()), _descriptors()
    yield
    _collect()
    left = _wait_until_empty(lambda: {name for ident, name in _threads().items() if ident not in threads})
    assert not left, f"threads left: {left}"
    left = _wait_until_empty(lambda: {name for pid, name in _children().items() if pid not in children})
    assert not left, f"processes left: {left}"
    left = _wait_until_empty(lambda: {item for item in _descriptors() - descriptors if _counts(item)})
    assert not left, f"descriptors left: {left}"
    files = sorted(str(item.relative_to(temporary)) for item in temporary.rglob("*"))
    assert not files, f"temporary files left: {files}"
    temporary.rmdir()


def _counts(descriptor: str) -> bool:
    """Descriptors that Python or pytest open once and keep are no leaks of a test."""
    return not any(word in descriptor for word in ("/dev/urandom", "/proc/", ".hypothesis", "pytest"))


@pytest.fixture
def eventually() -> Callable[..., None]:
    """``eventually(condition, seconds=5, what="...")``: polls until true; fails with ``what`` at the deadline."""

    def wait(condition: Callable[[], object], seconds: float = 5.0, what: str = "condition") -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.01)

    return wait


@pytest.fixture(scope="session", autouse=True)
def _no_sim_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests never see a developer's own simulated bus or pyOCD settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("MSDFLASH_", "PYOCD_")):
                patch.delenv(name)
        home = tmp_path_factory.mktemp("home")
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
            patch.setenv(name, str(home / name.lower()))
            (home / name.lower()).mkdir(mode=0o700)
        if sys.platform != "win32":
            patch.setenv("HOME", str(home))
        yield
