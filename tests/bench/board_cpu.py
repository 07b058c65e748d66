"""How much processor time the simulated board's own process takes, and how much of the wall time it sleeps.

    python tests/bench/board_cpu.py                        # 1 MiB through CMSIS-DAP v2: pyocd load, msdflash flash; and 64 KiB with time=on
    python tests/bench/board_cpu.py --size 262144 --probe stlink-v3 --rounds 3

The board is blank before each run, and its flash is read past the probe afterwards and must hold the image. Start-up of the board is not
counted. Processor time is user and system time of the board's process alone, as the system tells it (psutil).
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from msdflash.sim import client
from msdflash.sim.spec import parse

MOST_SECONDS = 2.5
"""The target for 1 MiB on the STM32L4 through CMSIS-DAP v2."""
FIRMWARE = Path(client.__file__).parent / "firmware" / "blinky.bin"
TOOLS = {
    "pyocd load": ("pyocd", "load", "-W", "--no-config", "-t", "stm32l475xg", "--base-address", "0x08000000", "-u"),
    "msdflash flash": ("msdflash", "flash", "--target", "stm32l476rg", "--probe"),
}


def moved_so_far(board: client.RunningBoard) -> int:
    """USB transfers that went through."""
    counts = board.tallies()["usb"]
    return int(counts["out"] + counts["in"] + counts["control"])


def run(tool: str, probe: str, size: int, timed: bool) -> tuple[float, float, float, int]:
    """Flash a blank board once: processor time of user and system, wall time, and USB transfers. Raises what subprocess raises."""
    program = FIRMWARE.read_bytes()
    data = program + random.Random(size).randbytes(size - len(program))
    with tempfile.TemporaryDirectory(prefix="c-") as name:
        root = Path(name)
        (root / "image.bin").write_bytes(data)
        spec = parse(f"nucleo-l476rg,probe={probe}" + (",time=on" if timed else ""))
        with client.start(spec, bus=root / "bus") as board:
            if board.process is None:
                raise RuntimeError("the board is served by somebody else")
            process = psutil.Process(board.process.pid)
            before, begin, transfers = process.cpu_times(), time.monotonic(), moved_so_far(board)
            module, *words = TOOLS[tool]
            subprocess.run(
                [sys.executable, "-m", module, *words, board.serial, str(root / "image.bin")],
                cwd=root,
                env=os.environ | client.environment(root / "bus", only=True) | {"XDG_STATE_HOME": name, "XDG_CACHE_HOME": name},
                check=True,
                capture_output=True,
                timeout=600,
            )
            wall, after = time.monotonic() - begin, process.cpu_times()
            moved = moved_so_far(board) - transfers
            if board.flash(0, size) != data:
                raise RuntimeError(f"{tool}: the flash does not hold the image")
    return after.user - before.user, after.system - before.system, wall, moved


def main() -> int:
    """The command line: 0 if no run of 1 MiB through CMSIS-DAP v2 without the time model took more than the target."""
    parser = argparse.ArgumentParser(description="processor time of the board's process")
    parser.add_argument("--probe", default="cmsis-dap")
    parser.add_argument("--size", type=int, default=1 << 20)
    parser.add_argument("--timed-size", type=int, default=1 << 16, help="bytes with the time model on; 0: leave that out")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    print("| tool | probe | bytes | time model | user s | system s | processor s | wall s | processor / wall | USB transfers |")
    print("|---" * 10 + "|")
    worst = 0.0
    for timed, size in ((False, options.size), (True, options.timed_size)):
        for tool in TOOLS if size else ():
            for _ in range(options.rounds):
                user, system, wall, transfers = run(tool, options.probe, size, timed)
                spent = user + system
                if not timed:
                    worst = max(worst, spent)
                what = f"| {tool} | {options.probe} | {size} | {'on' if timed else 'off'}"
                print(f"{what} | {user:.2f} | {system:.2f} | {spent:.2f} | {wall:.1f} | {spent / wall:.2f} | {transfers} |", flush=True)
    return int((options.probe, options.size) == ("cmsis-dap", 1 << 20) and worst > MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
