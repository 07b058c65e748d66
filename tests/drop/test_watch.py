"""The hint: it comes, it survives what kills watchdog's own threads, and it admits when it is deaf."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from watchdog.observers.api import BaseObserver

from msdflash.drop.watch import Watch


def test_a_drop_gives_a_hint_and_reading_gives_none(tmp_path: Path, eventually: Callable[..., None]) -> None:
    root = tmp_path / "drive"
    root.mkdir()
    (root / "old").write_bytes(b"x")
    hint = threading.Event()
    watch = Watch(root, hint)
    assert not watch.healthy()
    assert watch.start()
    try:
        assert watch.healthy()
        (root / "a.hex").write_bytes(b":00000001FF")
        eventually(hint.is_set, what="hint for a new file")
        while hint.is_set():  # until the last event of that write has come
            hint.clear()
            hint.wait(0.2)
        (root / "old").read_bytes()
        list(root.iterdir())
        assert not hint.wait(0.3), "our own looks wake us"
        (root / "a.hex").rename(root / "b.hex")
        eventually(hint.is_set, what="hint for a rename")
    finally:
        watch.stop()
    assert not watch.healthy()
    watch.stop()


def test_it_knows_that_it_is_deaf_once_the_folder_was_exchanged(tmp_path: Path, eventually: Callable[..., None]) -> None:
    root = tmp_path / "drive"
    root.mkdir()
    hint = threading.Event()
    watch = Watch(root, hint)
    assert watch.start()
    try:
        root.rename(tmp_path / "old")  # the old one lives on, and so do its emitters
        root.mkdir()
        assert not watch.healthy()
        shutil.rmtree(root)
        assert not watch.healthy()
        root.mkdir()
        assert watch.start()
        assert watch.healthy()
        hint.clear()
        (root / "a.hex").touch()
        eventually(hint.is_set)
    finally:
        watch.stop()


def test_what_cannot_be_watched_is_polled(tmp_path: Path) -> None:
    def refuse() -> BaseObserver:
        raise OSError(28, "inotify watch limit reached")

    watch = Watch(tmp_path, threading.Event(), refuse)
    assert not watch.start()
    assert not watch.healthy()
    assert not Watch(tmp_path / "missing", threading.Event()).start()
