"""What Linux shows of a device besides libusb: its folder in sysfs and its node below /dev, as files below the bus folder.

Layout of sysfs: Linux ``Documentation/ABI/stable/sysfs-bus-usb`` and ``testing/sysfs-bus-usb``. A program that opens a simulated device
opens its node here, too, so that the system's own list of open files tells who holds it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from msdflash.sim.usb.device import Description

BUS_NUMBER = 255
HOST_FOLDER = "host"
_ADDRESSES = 127


class HostTree:
    """One device's files.

    Args:
        bus: the bus folder.
        owner: the serial by which the bench knows the device; marks the files as its own.
    """

    def __init__(self, bus: Path, owner: str) -> None:
        self._devices = bus / HOST_FOLDER / "sys" / "bus" / "usb" / "devices"
        self._nodes = bus / HOST_FOLDER / "dev" / "bus" / "usb" / f"{BUS_NUMBER:03}"
        self._owner = owner
        self._held: int | None = None
        self.address = 0
        self._forget_old()

    @property
    def node(self) -> Path:
        """The device's node; of no use before :meth:`show`."""
        return self._nodes / f"{self.address:03}"

    @property
    def _folder(self) -> Path:
        return self._devices / f"{BUS_NUMBER}-{self.address}"

    def show(self, description: Description, wanted: int) -> int:
        """Put the device there under a free address from ``wanted`` on (1 to 127), which is returned."""
        self.hide()
        self._devices.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._nodes.mkdir(mode=0o700, parents=True, exist_ok=True)
        for turn in range(_ADDRESSES):
            self.address = 1 + (wanted - 1 + turn) % _ADDRESSES
            with suppress(FileExistsError), self.node.open("x", encoding="ascii") as file:
                file.write(self._owner)
                break
        files = {
            "idVendor": f"{description.vendor_id:04x}",
            "idProduct": f"{description.product_id:04x}",
            "bcdDevice": f"{description.release:04x}",
            "manufacturer": description.manufacturer,
            "product": description.product,
            "busnum": str(BUS_NUMBER),
            "devnum": str(self.address),
        }
        if description.serial:
            files["serial"] = description.serial
        new = Path(tempfile.mkdtemp(dir=self._devices, prefix=".new"))
        for name, text in files.items():
            (new / name).write_text(f"{text}\n", encoding="utf-8")
        for each in description.interfaces:
            part = new / f"{BUS_NUMBER}-{self.address}:1.{each.number}"
            part.mkdir()
            (part / "bInterfaceClass").write_text(f"{each.interface_class:02x}\n", encoding="ascii")
        new.rename(self._folder)
        return self.address

    def hide(self) -> None:
        """Take it away."""
        if not self.address:
            return
        self.let_go()
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):
            self.node.unlink()
        self.address = 0

    def bind(self, interface: int, driver: str) -> None:
        """Which driver has an interface: "usbfs" for a program that claimed it, a kernel driver's name, or "" for none."""
        if sys.platform != "linux" or not self.address:
            return
        link = self._folder / f"{BUS_NUMBER}-{self.address}:1.{interface}" / "driver"
        link.unlink(missing_ok=True)
        if driver:
            with suppress(OSError):
                link.symlink_to(f"../../../drivers/{driver}")

    def hold(self) -> None:
        """Have the node open in this process."""
        if self._held is None and self.address and sys.platform == "linux":
            self._held = os.open(self.node, os.O_RDWR)

    def let_go(self) -> None:
        """End :meth:`hold` and :meth:`forbid`."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
        if self.address:
            with suppress(OSError):
                self.node.chmod(0o600)

    def forbid(self) -> None:
        """Nobody may open the node; for the system's administrator that is no hindrance."""
        if self.address:
            self.node.chmod(0)

    def _forget_old(self) -> None:
        """Take away what a board of this serial left behind when it was killed."""
        for node in self._nodes.glob("*"):
            with suppress(OSError, UnicodeDecodeError):
                if node.read_text(encoding="ascii") == self._owner:
                    self.address = int(node.name)
                    self.hide()
