"""Runs one unmodified client on one drive; started by ``test_clients.py`` in an environment of the clients' own.

Arguments: client, folder of the drive, image. Standard output: one JSON object with ``said``: what the client itself came to.
"""

import contextlib
import importlib.util
import io
import json
import logging
import os
import shutil
import sys
import types
from pathlib import Path
from typing import Any

logging.disable(logging.CRITICAL)


def only_drive(folder: Path) -> str:
    """Let mbed-ls find this one folder, whose search wants USB disks; all that it reads on the drive it reads itself. Returns the id."""
    from mbed_os_tools import detect  # type: ignore[import-not-found]

    details = dict(line.split(": ", 1) for line in (folder / "DETAILS.TXT").read_text("ascii").splitlines() if ": " in line)
    found = {
        "mount_point": str(folder),
        "target_id_usb_id": details["Unique ID"],
        "serial_port": None,
        "vendor_id": "0d28",
        "product_id": "0204",
    }
    type(detect.create()).find_candidates = lambda _: [dict(found)]
    return str(details["Unique ID"])


def mbed_flasher(folder: Path, image: Path) -> str:
    from mbed_flasher.common import FlashError  # type: ignore[import-not-found]
    from mbed_flasher.flashers.FlasherMbed import FlasherMbed  # type: ignore[import-not-found]

    target = {"target_id": only_drive(folder), "mount_point": str(folder)}
    try:
        return f"exit {FlasherMbed().flash(str(image), target, 'simple', True, 'flasher' + image.suffix)}"
    except FlashError as error:
        return f"exit {error.return_code}"


def htrun(folder: Path, image: Path) -> str:
    from mbed_os_tools.test.host_tests_runner.mbed_base import Mbed  # type: ignore[import-not-found]

    return _copy_image(Mbed, folder, image)


def greentea(folder: Path, image: Path) -> str:
    from htrun.host_tests_runner.target_base import TargetBase  # type: ignore[import-not-found]

    return _copy_image(TargetBase, folder, image)


def _copy_image(client: Any, folder: Path, image: Path) -> str:
    identity = only_drive(folder)
    unused: tuple[str, ...] = (
        "port",
        "global_resource_mgr",
        "fast_model_connection",
        "forced_reset_type",
        "json_test_configuration",
        "baud_rate_override",
    )
    unused += ("compare_log", "serial_output_file", "format", "sync_behavior", "sync_timeout", "config", "tag_filters", "sync_predelay")
    options = types.SimpleNamespace(
        **dict.fromkeys(unused),
        disk=str(folder),
        micro="",
        image_path=str(image),
        copy_method="shell",
        retry_copy=1,
        program_cycle_s=4,
        target_id=identity,
        polling_timeout=5,
        forced_reset_timeout=1,
        skip_reset=True,
        skip_flashing=False,
        run_binary=True,
        baud_rate=115200,
        verbose=False,
    )
    with contextlib.redirect_stdout(sys.stderr):
        return str(client(options).copy_image(retry_copy=1, copy_method="shell"))


def mbed_tools(folder: Path, image: Path) -> str:
    for name in ("git", "tqdm"):  # for its work on projects; flashing needs neither
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__getattr__ = lambda name: type(name, (), {})  # type: ignore[method-assign]
    from mbed_tools.build.flash import flash_binary  # type: ignore[import-not-found]

    build = Path(os.environ["TMPDIR"]) / "build"
    build.mkdir()
    shutil.copy(image, build / ("tools" + image.suffix))
    flash_binary(folder, Path("tools"), build, "NUCLEO_L476RG", image.suffix == ".hex")
    return "returns"


def uflash(folder: Path, image: Path) -> str:
    import uflash as client  # type: ignore[import-not-found]

    client.save_hex(image.read_text("ascii"), str(folder / "micropython.hex"))
    return "returns"


def uflash_script(folder: Path, image: Path) -> str:
    """``uflash SCRIPT DRIVE``: MicroPython with a script in it, as a universal hex of its own making. The image is the script."""
    import uflash as client

    with contextlib.redirect_stdout(sys.stderr):
        client.flash(path_to_python=str(image), paths_to_microbits=[str(folder)])
    return "returns"


def platformio(folder: Path, image: Path) -> str:
    for name in ("SCons", "SCons.Script"):  # the build system inside which it runs; the upload asks it for two names only
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["SCons.Script"].ARGUMENTS = {}  # type: ignore[attr-defined]
    from platformio.builder.tools.pioupload import UploadToDisk  # type: ignore[import-not-found]

    build = Path(os.environ["TMPDIR"]) / "build"
    build.mkdir()
    shutil.copy(image, build / ("firmware" + image.suffix))

    class Env(dict[str, str]):
        def subst(self, text: str) -> str:
            return self[text.removeprefix("$")]

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        UploadToDisk(None, None, None, Env(PROGNAME="firmware", BUILD_DIR=str(build), UPLOAD_PORT=str(folder)))
    return said.getvalue().splitlines()[0]


def mbed_ls(folder: Path, image: Path) -> str:
    """Its own search, with nothing replaced: what it finds of a folder."""
    from mbed_os_tools import detect

    found = [item["mount_point"] for item in detect.create(list_unmounted=True).list_mbeds()]
    return "finds the folder" if str(folder) in found else "does not find the folder"


CLIENTS = {item.__name__: item for item in (mbed_flasher, htrun, greentea, mbed_tools, uflash, uflash_script, platformio, mbed_ls)}

if __name__ == "__main__":
    sys.stdout.write(json.dumps({"said": CLIENTS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))}))
