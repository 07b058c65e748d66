"""The installed unit's own command line, with a service manager that is the test, and a board of the bench."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from msdflash.service.places import program

from .test_notify import Manager

Eventually = Callable[..., None]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")]
FIRMWARE = Path(__file__).parents[2] / "msdflash" / "sim" / "firmware" / "blinky.bin"
HARDENED = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.umask(7); os.execv(sys.argv[1], sys.argv[1:])"
"""Starts a program with what MemoryDenyWriteExecute=yes asks of the kernel: PR_SET_MDWE with PR_MDWE_REFUSE_EXEC_GAIN, prctl(2)."""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A board on a bus of its own."""
    values = {**os.environ, "MSDFLASH_SIM_BUS": str(tmp_path / "bus"), "MSDFLASH_SIM_ONLY": "1"}
    board = subprocess.Popen(
        [*program(), "sim", "serve", "nucleo-l476rg,probe=stlink-v3,serial=SVC1"], env=values, stdout=subprocess.PIPE, text=True
    )
    assert board.stdout is not None
    assert "SVC1" in board.stdout.readline()
    yield values
    board.terminate()
    board.communicate(timeout=20)


def test_the_unit_serves_reloads_and_ends(tmp_path: Path, environment: dict[str, str], eventually: Eventually) -> None:
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(
        [*program(), "service", "install", "--system", "--root", root, "--program", program()[0]], check=True, capture_output=True
    )
    unit = (root / "etc/systemd/system/msdflash.service").read_text(encoding="utf-8")
    found = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert found is not None
    command = [f"{root}{word}" if word.startswith(("/var/lib", "/etc")) else word for word in shlex.split(found[1])]
    config = root / "etc/xdg/msdflash/msdflash.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('"/srv', f'"{root}/srv'), encoding="utf-8")
    log = tmp_path / "log"
    heard: list[str] = []
    with tempfile.TemporaryDirectory() as folder, log.open("w") as stream:
        manager = Manager(f"{folder}/n")
        notify = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "3000000"}
        daemon = subprocess.Popen([sys.executable, "-c", HARDENED, *command], env=environment | notify, stderr=stream, cwd="/")

        def word(text: str) -> bool:
            heard.extend(manager.heard())
            return any(line.startswith(text) for line in heard)

        try:
            eventually(lambda: word("READY=1"), 60, "ready")
            (drive,) = (root / "srv/msdflash").iterdir()
            shutil.copy(FIRMWARE, drive / "a.bin")
            eventually(lambda: b"Last result: flashed" in (drive / "DETAILS.TXT").read_bytes(), 60, "a proved drop")
            with config.open("a", encoding="utf-8") as file:
                file.write('\n[board.SVC1]\nfail_txt = "two-line"\nretries = 99\n')
            eventually(lambda: "the last good one stays in force" in log.read_text(encoding="utf-8"), 10, "the mistake")
            config.write_text(config.read_text(encoding="utf-8").replace("99", "1"), encoding="utf-8")
            heard.clear()
            daemon.send_signal(signal.SIGHUP)
            eventually(lambda: word("RELOADING=1") and word("READY=1"), 10, "the reload")
            eventually(lambda: "fail_txt has changed" in log.read_text(encoding="utf-8"), 10, "the change")
            (drive / "bad.bin").write_bytes(b"\0" * 2000)
            eventually((drive / "WHY.TXT").exists, 30, "an answer in the new form")
            assert word("WATCHDOG=1")
            daemon.terminate()
            assert daemon.wait(60) == 0
            assert word("STOPPING=1")
        finally:
            daemon.kill()
            daemon.wait(10)
            manager.close()
