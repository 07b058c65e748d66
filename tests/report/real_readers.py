"""Runs the real mbed-flasher and mbed-ls on folders; started by ``test_readers_real.py`` in an environment of their own.

Argument: a folder of drives. Standard output: one JSON object, drive name -> what each reader said.
"""

import json
import logging
import sys
from pathlib import Path

from mbed_flasher.common import FlashError  # type: ignore[import-not-found]
from mbed_flasher.flashers.FlasherMbed import FlasherMbed  # type: ignore[import-not-found]
from mbed_os_tools.detect.lstools_base import MbedLsToolsBase  # type: ignore[import-not-found]

logging.disable(logging.CRITICAL)


def flasher(folder: Path) -> int:
    """Exit code of mbed-flasher's look at a drive."""
    try:
        return int(FlasherMbed().verify_flash_success({"mount_point": str(folder), "target_id": "x"}, str(folder / "dropped.hex")))
    except FlashError as error:
        return int(error.return_code)


class OneDrive(MbedLsToolsBase):  # type: ignore[misc]
    """mbed-ls with the search for USB drives replaced by one folder; all that reads the drive is its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__(list_unmounted=True)

    def find_candidates(self) -> list[dict[str, object]]:
        """The one folder."""
        return [{"mount_point": str(self._folder), "target_id_usb_id": "0" * 48, "serial_port": None, "vendor_id": "0d28"}]


def lister(folder: Path) -> dict[str, object]:
    """What mbed-ls makes of a drive."""
    found = OneDrive(folder).list_mbeds(read_details_txt=True)[0]
    names = ("target_id", "platform_name", "daplink_version", "daplink_remount_count", "mount_point")
    return {name: found.get(name) for name in names}


if __name__ == "__main__":
    folders = sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_dir())
    sys.stdout.write(json.dumps({path.name: {"mbed-flasher": flasher(path), "mbed-ls": lister(path)} for path in folders}))
