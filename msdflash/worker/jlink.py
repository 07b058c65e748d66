"""What a J-Link does not say: its library has one error for everything that goes wrong on the wire, and pyOCD calls that a fault.

(pyOCD pull request 1063: "Unspecified error." becomes TransferFaultError.) Whether somebody answered at all, and what, is asked of the
debug port: CTRL/STAT can be read while sticky errors make every other access fault (Arm IHI 0031G B2.2.2); silence there is silence.
"""

from __future__ import annotations

import errno
from typing import Any

from pylink.errors import JLinkException
from pyocd.core import exceptions
from pyocd.probe.debug_probe import DebugProbe

_CTRL_STAT, _RDBUFF, _DRW = 0x4, 0xC, 0xC
_STICKYERR, _WDATAERR = 1 << 5, 1 << 7
_UNSPECIFIED = -1

NO_ANSWER = "CTRL/STAT cannot be read either"
"""Part of the words of an access that nobody answered."""

_CODES = {-256: errno.EIO, -257: errno.EIO, -258: errno.EIO}
"""pylink's codes for a broken connection between computer and probe (enums.py, JLinkGlobalErrors). None says that the probe is gone."""

_TEXTS = {
    "J-Link is already open.": errno.EBUSY,  # pylink's own lock file: another process has it
    "J-Link connection has been lost.": errno.EIO,
    "J-Link DLL is not open.": errno.EIO,
    "Error in reading hardware status.": errno.EIO,
}


def is_jlink(probe: object) -> bool:
    """Whether pyOCD drives this probe by SEGGER's library."""
    return type(probe).__name__ == "JLinkProbe"


def is_unspecified(error: BaseException) -> bool:
    """The one error for everything on the wire, as the library gave it or as pyOCD passed it on."""
    return isinstance(error, JLinkException) and error.code == _UNSPECIFIED


def usb_errno(error: BaseException) -> int | None:
    """The error number that stands for what went wrong between computer and probe; None for anything else."""
    if not isinstance(error, JLinkException):
        return None
    return _CODES.get(error.code) or _TEXTS.get(str(error))


def why(probe: Any) -> BaseException:
    """What CTRL/STAT says after an unspecified error: the exception that pyOCD has for it with other probes."""
    try:
        status = int(probe.read_dp(_CTRL_STAT))
    except exceptions.TransferError:
        silence: BaseException = exceptions.TransferError(f"the access failed, and {NO_ANSWER}")
        return silence
    except Exception as error:  # noqa: BLE001  (the probe itself is gone: that explains it)
        return error
    found: BaseException = exceptions.TransferError(f"the access failed; CTRL/STAT, read after it, is 0x{status:08X} without an error flag")
    if status & _STICKYERR:
        found = exceptions.TransferFaultError("STICKYERR is set")
    elif status & _WDATAERR:
        found = exceptions.TransferProtocolError("WDATAERR is set")
    return found


class Explained:
    """A J-Link whose refusals are looked into at once, so that each raises what other probes' drivers raise.

    Everything else is the driver's own. A word written through an access port is waited for: else its fault belonged to a later access.
    """

    def __init__(self, probe: DebugProbe) -> None:
        self._probe = probe

    def __getattr__(self, name: str) -> Any:
        return getattr(self._probe, name)

    def _asked(self, function: str, *arguments: Any) -> Any:
        try:
            return getattr(self._probe, function)(*arguments)
        except exceptions.TransferError as error:
            if not is_unspecified(error.__cause__ or error):
                raise
            raise why(self._probe) from error

    def read_dp(self, address: int, now: bool = True) -> Any:
        """As the driver's."""
        return self._asked("read_dp", address, now)

    def write_dp(self, address: int, data: int) -> Any:
        """As the driver's."""
        return self._asked("write_dp", address, data)

    def read_ap(self, address: int, now: bool = True) -> Any:
        """As the driver's."""
        return self._asked("read_ap", address, now)

    def read_ap_multiple(self, address: int, count: int = 1, now: bool = True) -> Any:
        """As the driver's."""
        return self._asked("read_ap_multiple", address, count, now)

    def write_ap(self, address: int, data: int) -> Any:
        """As the driver's; a data word is waited for."""
        result = self._asked("write_ap", address, data)
        if address & 0xFF == _DRW:
            self._asked("read_dp", _RDBUFF)
        return result


def explained(probe: DebugProbe) -> Any:
    """The probe, seen through :class:`Explained` if it is a J-Link."""
    return Explained(probe) if is_jlink(probe) else probe
