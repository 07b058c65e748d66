"""The steps of a job, in the order in which they happen."""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """Where a job is, or where it ended. Reports name the step, deadlines belong to it."""

    TAKE = "take"  # the file was copied into the spool (parent)
    IMAGE = "image"  # decoding the file (parent)
    START = "start"  # worker process ready
    OPEN = "open"  # finding and opening the probe over USB
    MEASURE = "measure"  # raw look at the target before pyOCD's board initialisation
    CONNECT = "connect"  # pyOCD's board initialisation, reset and halt
    IDENTIFY = "identify"  # is the silicon what the target says
    CHECK = "check"  # image against memory map and boot header
    PLAN = "plan"  # reading each affected sector, overlay of the image
    LOAD = "load"  # RAM test, algorithm download and its read-back
    ERASE = "erase"
    PROGRAM = "program"
    VERIFY = "verify"
    RESET = "reset"  # reset into the new program
    OBSERVE = "observe"  # is it running
    RESTORE = "restore"  # after a failure: bytes beside the image go back
    CLOSE = "close"
    DONE = "done"


PHASES: dict[Step, str] = {
    Step.TAKE: "taking the file",
    Step.IMAGE: "reading the file",
    Step.START: "starting",
    Step.OPEN: "opening the probe",
    Step.MEASURE: "measuring",
    Step.CONNECT: "connecting",
    Step.IDENTIFY: "identifying the chip",
    Step.CHECK: "checking the image",
    Step.PLAN: "reading flash",
    Step.LOAD: "loading the flash algorithm",
    Step.ERASE: "erasing",
    Step.PROGRAM: "programming",
    Step.VERIFY: "verifying",
    Step.RESET: "resetting",
    Step.OBSERVE: "watching the program start",
    Step.RESTORE: "putting bytes beside the image back",
    Step.CLOSE: "closing",
}
"""What a person reads while a step runs."""
