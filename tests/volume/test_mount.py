"""The real mount, where FUSE works: what is written through it arrives, and it goes with the daemon, however that ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from msdflash.volume.fuse import KIND, FuseVolume, is_mounted, mounted_at, unmount
from msdflash.volume.passthrough import SIZE, Released

Eventually = Callable[..., None]

usable = sys.platform == "linux" and os.access("/dev/fuse", os.R_OK | os.W_OK) and shutil.which("fusermount3") is not None
needs_fuse = pytest.mark.skipif(not usable, reason="only on Linux: FUSE with /dev/fuse and fusermount3")

OTHER = """
import sys, time
from pathlib import Path
from msdflash.volume.fuse import FuseVolume
volume = FuseVolume(Path(sys.argv[1]), Path(sys.argv[2]), lambda released: None, lambda text: None)
volume.start()
volume.mounted.wait(20)
print(volume._process.pid, flush=True)
time.sleep(60)
"""
"""Another daemon, which tells the id of its mount's process."""


class Mount:
    def __init__(self, folder: Path) -> None:
        self.root = folder / "drives" / "BOARD"
        self.point = folder / "drives-volumes" / "BOARD"
        self.root.mkdir(parents=True)
        self.told: list[str] = []
        self.released: list[Released] = []
        self.volume = FuseVolume(self.root, self.point, self.released.append, self.told.append)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    made = Mount(tmp_path)
    yield made
    made.volume.stop()
    unmount(made.point)


def test_a_place_that_is_not_empty_is_left_alone(mount: Mount, eventually: Eventually) -> None:
    mount.point.mkdir(parents=True)
    (mount.point / "mine").write_bytes(b"x")
    mount.volume.start()
    eventually(lambda: mount.told)
    assert "is not empty" in mount.told[0]
    assert mount.volume.stop()
    assert (mount.point / "mine").exists()


@pytest.mark.slow
@needs_fuse
def test_a_copy_through_the_mount(mount: Mount, eventually: Eventually) -> None:
    (mount.root / "DETAILS.TXT").write_bytes(b"Remount count: 0\r\n")
    mount.volume.start()
    assert mount.volume.mounted.wait(10)
    found = mounted_at(mount.point)
    assert found is not None
    assert (found.kind, found.source) == (KIND, str(mount.root))
    assert (mount.point / "details.txt").read_bytes() == b"Remount count: 0\r\n"
    if sys.platform != "win32":
        space = os.statvfs(mount.point)
        assert space.f_blocks * space.f_frsize == SIZE
    data = os.urandom(300_000)
    source = mount.root.parent / "source"
    source.write_bytes(data)
    shutil.copy2(source, mount.point / "App.BIN")
    subprocess.run(["sync", "-f", str(mount.point / "APP.bin")], check=True, timeout=10)
    assert (mount.root / "App.BIN").read_bytes() == data
    eventually(lambda: mount.released and mount.released[-1].mtime_ns == source.stat().st_mtime_ns)
    assert (mount.released[-1].name, mount.released[-1].size) == ("App.BIN", 300_000)
    # What the daemon does below is seen at once, and nothing of it is remembered.
    (mount.root / "FAIL.TXT").write_bytes(b"error: x")
    assert (mount.point / "fail.txt").read_bytes() == b"error: x"
    (mount.root / "App.BIN").unlink()
    assert sorted(os.listdir(mount.point)) == ["DETAILS.TXT", "FAIL.TXT"]  # noqa: PTH208
    (mount.root / "FAIL.TXT").write_bytes(b"error: longer")
    assert (mount.point / "FAIL.TXT").read_bytes() == b"error: longer"
    assert mount.volume.stop()
    assert not is_mounted(mount.point)
    assert not mount.point.exists()


@pytest.mark.slow
@needs_fuse
def test_a_mount_in_use_goes_all_the_same(mount: Mount) -> None:
    mount.volume.start()
    assert mount.volume.mounted.wait(10)
    descriptor = os.open(mount.point / "open.bin", os.O_CREAT | os.O_WRONLY)
    try:
        assert mount.volume.stop()
        assert not is_mounted(mount.point)
    finally:
        with contextlib.suppress(OSError):  # nobody serves it any more
            os.close(descriptor)


@pytest.mark.slow
@needs_fuse
def test_a_mount_whose_process_dies_is_made_again(mount: Mount, eventually: Eventually) -> None:
    mount.volume.start()
    assert mount.volume.mounted.wait(10)
    process = mount.volume._process
    assert process is not None
    mount.volume.mounted.clear()
    process.kill()
    assert mount.volume.mounted.wait(15)
    (mount.point / "a.bin").write_bytes(b"x")
    assert (mount.root / "a.bin").read_bytes() == b"x"
    assert "is not there" in mount.told[1]


@pytest.mark.slow
@needs_fuse
def test_a_stopped_mount_hangs_nobody(mount: Mount) -> None:
    """The serving process is frozen, and somebody waits in its mount: ending takes its limits and no more."""
    mount.volume.start()
    assert mount.volume.mounted.wait(10)
    process = mount.volume._process
    assert process is not None
    psutil.Process(process.pid).suspend()

    def look() -> None:
        try:
            list(mount.point.iterdir())
        except OSError:
            return

    stuck = threading.Thread(target=look)
    stuck.start()
    assert mount.volume.stop()
    stuck.join(10)
    assert not stuck.is_alive()
    assert not is_mounted(mount.point)


def other(mount: Mount) -> tuple[subprocess.Popen[str], int]:
    """Another daemon that has the mount, and the id of the mount's process."""
    command = [sys.executable, "-c", OTHER, str(mount.root), str(mount.point)]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    server = int(daemon.stdout.readline())
    assert is_mounted(mount.point)
    return daemon, server


@pytest.mark.slow
@needs_fuse
def test_what_a_killed_daemon_left_is_cleared(mount: Mount) -> None:
    daemon, server = other(mount)
    with daemon:
        psutil.Process(server).kill()  # so that nobody unmounts
        daemon.kill()
    assert is_mounted(mount.point)
    mount.volume.start()
    assert mount.volume.mounted.wait(10)
    (mount.point / "a.bin").write_bytes(b"x")
    assert (mount.root / "a.bin").read_bytes() == b"x"


@pytest.mark.slow
@needs_fuse
def test_a_killed_daemon_takes_its_mount_with_it(mount: Mount, eventually: Eventually) -> None:
    daemon, _ = other(mount)
    with daemon:
        daemon.kill()
    eventually(lambda: not is_mounted(mount.point), 10)
