"""Hostile workers: little programs that keep the message contract only as far as each one's text says."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

COMMON = """
import json, os, signal, subprocess, sys, time
def say(**message):
    sys.stdout.write(json.dumps(message) + "\\n"); sys.stdout.flush()
def begin(step, deadline=20.0):
    say(type="begin", step=step, deadline=deadline, at=0.0)
def measured(name, value):
    say(type="measured", reading={"name": name, "value": value})
def touched(**changed):
    say(type="touched", changed=changed)
def finished(job=None, **more):
    say(type="finished", outcome={"job": job or order["job"], **more})
def for_ever():
    while True: time.sleep(3600)
say(type="ready", pid=os.getpid(), engine="hostile")
line = sys.stdin.readline()
if not line: sys.exit(0)
order = json.loads(line)
"""


def worker(body: str, *, prelude: str = "") -> list[str]:
    """The command line of a worker with this behaviour after its order has come."""
    return [sys.executable, "-S", "-E", "-c", prelude + COMMON + body]


@pytest.fixture
def hostile() -> Callable[..., list[str]]:
    """Makes command lines, see :func:`worker`."""
    return worker
