"""The worker process: ready, one order, its messages, the end.

Standard output carries messages only: the real descriptor is taken away first, so that nothing that a library prints can break the
contract. The process ends when its standard input does, whatever it is doing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from msdflash.worker.channel import Channel


def _take_stdout() -> BinaryIO:
    """A private handle on the original standard output; descriptor 1 then leads to standard error."""
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stream


def _die_with_parent() -> None:
    """Linux: be killed when the parent dies, even inside a C call (prctl(2), PR_SET_PDEATHSIG = 1, SIGKILL = 9).

    One that died before that is told by its end of our standard input: all that is loaded from here on would be for nobody.
    """
    if sys.platform == "linux":
        import ctypes
        import select

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
        look = select.poll()
        look.register(0, 0)  # POLLHUP needs not be asked for
        if any(event & select.POLLHUP for _, event in look.poll(0)):
            os._exit(70)


def _watch_stdin() -> None:
    """End at once when the parent closes its side: nobody is left to report to."""
    with contextlib.suppress(OSError, ValueError):
        while sys.stdin.buffer.read(1):
            pass
    os._exit(70)


def main() -> int:
    """Run one order. Exit status 0 when the final message was sent, 65 on an order that is nonsense, 70 when the parent left."""
    stream = _take_stdout()
    _die_with_parent()
    import pyocd
    import pyocd.core.session
    import pyocd.target

    from msdflash.job import messages
    from msdflash.worker import diagnose_job, flash_job  # noqa: F401
    from msdflash.worker.channel import Channel

    logging.captureWarnings(capture=True)
    stream.write(messages.encode(messages.Ready(os.getpid(), f"pyOCD {pyocd.__version__}")))
    stream.flush()
    line = sys.stdin.buffer.readline()
    if not line:
        return 70
    try:
        order = messages.decode_order(line)
    except Exception:  # noqa: BLE001  (whatever is wrong with it, it is the parent's mistake)
        return 65
    threading.Thread(target=_watch_stdin, name="parent", daemon=True).start()
    channel = Channel(stream, order.job)
    _run(channel, order)
    stream.flush()
    # pyOCD and libusb leave threads behind after USB errors; the result is out, so nothing may keep us.
    os._exit(0)


def _run(channel: Channel, order: object) -> None:
    from msdflash.job.messages import Finished, Listed
    from msdflash.job.order import DiagnoseOrder, EraseOrder, FlashOrder
    from msdflash.job.outcome import Failure
    from msdflash.job.steps import Step
    from msdflash.worker import diagnose_job, erase_job, flash_job, probe
    from msdflash.worker.channel import LogTap, StepFailed
    from msdflash.worker.trouble import classify

    engine = logging.getLogger("pyocd")
    engine.setLevel(logging.INFO)
    engine.propagate = False
    engine.addHandler(LogTap(channel.log.append))
    if not isinstance(order, FlashOrder | EraseOrder | DiagnoseOrder):
        channel.begin(Step.OPEN, 30)
        channel.send(Listed(tuple(probe.list_probes())))
        return
    job: flash_job.FlashJob | erase_job.EraseJob | diagnose_job.DiagnoseJob
    if isinstance(order, FlashOrder):
        job = flash_job.FlashJob(channel, order)
    elif isinstance(order, EraseOrder):
        job = erase_job.EraseJob(channel, order)
    else:
        job = diagnose_job.DiagnoseJob(channel, order)
    failure: Failure | None = None
    try:
        job.run()
    except StepFailed as failed:
        failure = Failure(channel.step, failed.kind, str(failed), failed.cause, failed.address)
        job.autopsy(failed)
    except Exception as error:  # noqa: BLE001  (an unforeseen error is a report, not a silent death)
        channel.measure("engine.error", classify(error).text)
        failure = Failure(channel.step, "unexpected", f"{type(error).__name__}: {error}"[:300])
    if failure is not None and isinstance(job, flash_job.FlashJob):
        job.rescue(failure)
    channel.begin(Step.CLOSE, 15)
    job.close()
    channel.send(Finished(channel.outcome(failure)))


if __name__ == "__main__":
    raise SystemExit(main())
