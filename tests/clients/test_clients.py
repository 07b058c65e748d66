"""The programs that people copy with, unmodified, on the drive of a simulated board. Opt-in: it installs them from PyPI.

Result: ``docs/readers.md``, "The clients themselves".
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
VERSIONS = {
    "mbed-flasher": "0.10.1",
    "mbed-os-tools": "1.8.15",
    "mbed-ls": "1.8.15",
    "greentea-host": "2.0.3",
    "mbed-tools": "7.59.0",
    "uflash": "2.0.0",
    "nudatus": "0.0.5",
    "platformio": "6.2.0",
}
"""Installed without what they ask for, as mbed-flasher wants an old pyOCD and PlatformIO a build system."""
NEEDS = [
    "six",
    "pyserial",
    "requests",
    "fasteners",
    "prettytable<3",
    "lockfile",
    "appdirs",
    "future",
    "intelhex",
    "beautifulsoup4",
    "junit-xml",
    "colorama",
    "Jinja2",
    "pyudev",
    "psutil",
    "click<8.2",
    "python-dotenv",
    "tabulate",
    "typing-extensions",
    "ajsonrpc",
    "bottle",
    "semantic-version",
    "marshmallow",
]
UPLOADED = "Firmware has been successfully uploaded."
EXPECTED = {
    # client: what it says of a good image, and of one with a wrong checksum
    "mbed_flasher": ("exit 0", "exit 102"),
    "htrun": ("True", "False"),
    "greentea": ("True", "False"),
    "mbed_tools": ("returns", "returns"),
    "uflash": ("returns", "returns"),
    "platformio": (UPLOADED, UPLOADED),
}


def load(name: str, path: Path) -> Any:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with the clients; ``MSDFLASH_TEST_CLIENTS`` names one that has them already."""
    given = os.environ.get("MSDFLASH_TEST_CLIENTS")
    if given:
        return given
    place = tmp_path_factory.mktemp("venv")
    venv.create(place, with_pip=True)
    made = str(place / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    wanted = [f"{name}=={version}" for name, version in VERSIONS.items()]
    for packages in (["--no-deps", *wanted], NEEDS):
        subprocess.run([made, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True, timeout=300)
    return made


class Clients:
    """Runs clients on drives."""

    def __init__(self, python: str, scratch: Path) -> None:
        self.python = python
        self.scratch = scratch
        self.runs = 0

    def run(self, client: str, drive: Any, image: Path) -> str:
        self.runs += 1
        temp = self.scratch / f"t{self.runs}"
        temp.mkdir()
        done = subprocess.run(
            [self.python, "-W", "ignore", str(HERE / "drive_client.py"), client, str(drive.path), str(image)],
            cwd=temp,
            env=os.environ | {"TMPDIR": str(temp)},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return str(json.loads(done.stdout)["said"])


@pytest.fixture
def clients(python: str, tmp_path: Path) -> Clients:
    return Clients(python, tmp_path)


scene = load("main_path_stage", HERE.parent / "main_path" / "stage.py")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mbed-ls is led to the folder by its Linux search")
def test_each_client_with_a_good_and_a_bad_image(clients: Clients, tmp_path: Path) -> None:
    said: dict[str, tuple[str, str]] = {}
    with scene.Stage(tmp_path, {"b": "nucleo-l476rg,probe=cmsis-dap"}) as stage:
        drive = stage["b"]
        for number, client in enumerate(EXPECTED, 1):
            good, bad = tmp_path / f"good{number}.hex", tmp_path / f"bad{number}.hex"
            text = scene.intel_hex({scene.BASE: scene.image(number)})
            good.write_bytes(text)
            lines = text.splitlines(keepends=True)
            lines[9] = lines[9].replace(b"\n", b"").rstrip()[:-1] + (b"0" if lines[9].rstrip()[-1:] != b"0" else b"1") + b"\n"
            bad.write_bytes(b"".join(lines))
            answers = []
            for image, cause in ((good, None), (bad, "hex-checksum")):
                before = len(drive.answered())
                answers.append(clients.run(client, drive, image))
                scene.poll(lambda: len(drive.answered()) > before, what=f"an answer to {client}")  # noqa: B023 - used at once
                assert len(drive.answered()) == before + 1, client
                report = next(event.answer.report_json for event in reversed(drive.events) if event.what == "answered")
                assert report["cause"] == cause, (client, report)
                assert drive.flash()[:5000] == scene.image(number), client
                assert ("FAIL.TXT" in drive.files()) == (cause is not None)
            said[client] = (answers[0], answers[1])
        assert clients.run("mbed_ls", drive, good) == "does not find the folder"
    assert said == EXPECTED


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("board", "identity"), [("nrf51-dk", "9900"), ("nucleo-l476rg", "0765")])
def test_uflash_with_a_script(clients: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: str, identity: str) -> None:
    """Its universal hex is flashed on a board that calls itself a micro:bit, and refused by name on any other."""
    monkeypatch.setattr(scene, "serial_of", lambda name, spec: identity + "ab" * 22)
    script = tmp_path / "main.py"
    script.write_text("from microbit import display\ndisplay.scroll('hello')\n", encoding="ascii")
    with scene.Stage(tmp_path, {"b": f"{board},probe=cmsis-dap"}) as stage:
        drive = stage["b"]
        assert clients.run("uflash_script", drive, script) == "returns"
        scene.poll(drive.answered, what="an answer")
        report = next(event.answer.report_json for event in reversed(drive.events) if event.what == "answered")
        print(board, report["outcome"], report["cause"], report["message"], report["image"])
        if identity == "0765":
            assert report["cause"] == "image-no-part-for-board"
        else:
            assert report["outcome"] == "flashed", report
