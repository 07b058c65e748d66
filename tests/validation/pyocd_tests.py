"""Run pyOCD's own functional tests, unmodified, against boards of the bench.

They were written by pyOCD's maintainers for real boards, and know nothing of the bench. They come with pyOCD's source distribution,
which is fetched from PyPI when needed and never kept in the repository. Each test runs in a process of its own, in a copy of their
folder with a generated ``pyocd.yaml`` in it, on a bus with one board. The board stays the same from test to test, as on a desk; before
the first one it is given the test image, since boards leave the factory with a program and two of the tests expect one.

    python tests/validation/pyocd_tests.py                        # every board, both makers' probes, every test; an hour
    python tests/validation/pyocd_tests.py -b nucleo-l476rg -p stlink-v3 -t "flash test"
    python tests/validation/pyocd_tests.py --mutants halt-ignored wrong-bank    # which test notices a seeded defect first

Needs ``arm-none-eabi-objcopy`` on the PATH, and the extra ``sim``; for the GDB test also ``arm-none-eabi-gdb-py`` (a link of that name to a
``gdb-multiarch`` with Python will do).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from msdflash.sim import client
from msdflash.sim.boards import BOARDS
from msdflash.sim.spec import parse

PYOCD = "0.46.0"


@dataclass(frozen=True)
class Subject:
    """How pyOCD's tests are run on a board.

    Attributes:
        target: the chip as pyOCD names it.
        binary: which of pyOCD's test images was built for the board; if none was, one of the bench's own firmwares.
        small: the image for the flash test, where the board's own is larger than that test can do with (it adds a second block in the
            middle of each region, which must not overlap the first).
        named: the file name in pyOCD's own board table, which goes before its configuration; the image is put there.
        dap: the CMSIS-DAP probe.
    """

    target: str
    binary: str
    small: str = ""
    named: str = ""
    dap: str = "cmsis-dap"


def probes(board: str) -> tuple[str, str]:
    """A CMSIS-DAP v2 and an ST-LINK: for other makers' chips one whose firmware does not refuse them yet."""
    return SUBJECTS[board].dap, "stlink-v3" if BOARDS[board].st_chip else "stlink-v2-j34"


OWN = "bench:"
PACKS = Path(client.__file__).parent / "pack"

SUBJECTS = {
    "nucleo-l476rg": Subject("stm32l475xg", "NUCLEO_L476RG.bin"),
    "nucleo-l432kc": Subject("stm32l432kc", OWN + "blinky-any.bin", named="NUCLEO_L432KC.bin"),
    "stm32f103rc": Subject("stm32f103rc", "ST-Nucleo-F103RB.bin"),
    "stm32f103re": Subject("stm32f103rc", "ST-Nucleo-F103RB.bin"),
    "nucleo-f412zg": Subject("stm32f412xg", "nucleo_f412zg.bin", "NUCLEO_F411RE.bin", named="nucleo_f412zg.bin"),
    "nucleo-f429zi": Subject("stm32f429xi", "nucleo_f429zi.bin", "NUCLEO_F411RE.bin", named="nucleo_f429zi.bin"),
    "nucleo-h743zi": Subject("stm32h743xx", OWN + "blinky-any.bin", dap="cmsis-dap-keeps"),
    "nucleo-l031k6": Subject("stm32l031x6", OWN + "blinky-any.bin"),
    "nrf52840-dk": Subject("nrf52840", "l1_nrf52840-dk.bin"),
    "nrf51-dk": Subject("nrf51", "l1_nrf51-dk.bin"),
    "frdm-k64f": Subject("k64f", "l1_k64f.bin"),
    "frdm-kl25z": Subject("kl25z", "l1_kl25z.bin"),
    "lpcxpresso55s69": Subject("lpc55s69", "lpcxpresso55s69.bin"),
    "lpc1768-mbed": Subject("lpc1768", "l1_lpc1768.bin"),
    "pico": Subject("rp2040", "rp2040.bin", dap="cmsis-dap-const0"),  # its debug connector has no RUN
    "bench-pack": Subject("bench_m4", OWN + "blinky-zero.bin"),
}
"""By the bench's name. Rows whose board the bench does not have are left out."""


@dataclass(frozen=True)
class Trial:
    """One of pyOCD's tests.

    Attributes:
        name: as ``automated_test.py`` spells it, in lower case.
        seconds: how long it may take.
        needs: a program without which it cannot run.
    """

    name: str
    seconds: float = 180
    needs: str = ""


TRIALS = (
    Trial("basic test"),
    Trial("json lists test"),
    Trial("connect test"),
    Trial("speed test"),
    Trial("cortex test"),
    Trial("concurrency test"),
    Trial("flash test", 420),
    Trial("flash loader test"),
    Trial("debug context test"),
    Trial("gdb test", 300, "arm-none-eabi-gdb-py"),
    Trial("commands test"),
    Trial("commander test"),
    Trial("probeserver test"),
    Trial("user script test"),
)

COUNT = re.compile(r"Pass count (\d+) of (\d+)")
VERDICT = re.compile(r": finished (.+)\.\.\. (PASSED|FAILED)")
COMPLAINT = re.compile(r"^.*(?:\bTEST FAILED|\bFAILED\b|\bERROR\b|^Failed to|Exception |test failed|Error:).*$", re.MULTILINE)
HARMLESS = re.compile(r"Could not get disk devices by id|got expected error|Failed to find pattern|finished .*\.\.\.|PASSED")


@dataclass(frozen=True)
class Result:
    """What one test said.

    Attributes:
        verdict: ``passed``, ``failed``, ``timeout`` or ``not run``.
        count: how many of its checks passed of how many, where it counts them.
        complaints: lines that speak of a failure. Some tests print an error and pass all the same, so these are read too.
    """

    board: str
    probe: str
    test: str
    verdict: str
    count: str
    seconds: float
    complaints: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Passed, and nothing in its output says otherwise."""
        return self.verdict == "passed" and not self.complaints


def fetch(folder: Path) -> Path:
    """The unpacked source distribution below ``folder``; downloaded with pip unless it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    unpacked = folder / f"pyocd-{PYOCD}"
    if not unpacked.is_dir():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pyocd"]
        subprocess.run([*pip, "-d", str(folder), f"pyocd=={PYOCD}"], check=True, timeout=300)
        with tarfile.open(next(folder.glob("pyocd-*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
    return unpacked


def cache() -> Path:
    """Where the download is kept between runs: outside the repository."""
    return Path(platformdirs.user_cache_dir("msdflash-validation"))


def image(binary: str, binaries: Path) -> Path:
    """Where a test image is."""
    if binary.startswith(OWN):
        return Path(client.__file__).parent / "firmware" / binary.removeprefix(OWN)
    return binaries / binary


class Bench:
    """One board with its probe on a bus of its own, and a folder that tells pyOCD which target it is."""

    def __init__(self, sdist: Path, board: str, probe: str, mutant: str = "") -> None:
        self._stack = ExitStack()
        self.board, self.probe = board, probe
        self.root = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="v-")))
        for name in ("test", "src"):  # the tests write into their own folder: give them a copy
            shutil.copytree(sdist / name, self.root / "pyocd" / name, ignore=shutil.ignore_patterns("unit", "packs"))
        self.project = self.root / "pyocd" / "test"
        spec = parse(f"{board},probe={probe}")
        self._binaries = sdist / "test" / "data" / "binaries"
        self.bus = self.root / "bus"
        self.serial = spec.serial
        self.image = self._configure(SUBJECTS[board].binary)
        if mutant:
            self._serve_mutant(mutant, spec.text())
        else:
            self._stack.enter_context(client.start(spec, bus=self.bus))

    def _configure(self, binary: str) -> Path:
        """Write the configuration that pyOCD's tests ask for; gives back where the image is."""
        subject = SUBJECTS[self.board]
        found = image(binary, self._binaries)
        if subject.named:
            shutil.copyfile(found, self.project / "data" / "binaries" / subject.named)
        yaml = f"probes:\n  {self.serial}:\n    target_override: {subject.target}\n    test_binary: {found.as_posix()}\n"
        pack = BOARDS[self.board].pack[0]
        if pack:
            yaml += f"    pack:\n    - {(PACKS / pack).as_posix()}\n"
        (self.project / "pyocd.yaml").write_text(yaml, encoding="utf-8")
        return found

    def load(self) -> None:
        """Give a new board its first program. Raises :class:`subprocess.SubprocessError`."""
        command = [sys.executable, "-m", "pyocd", "load", "-W", "-u", self.serial, str(self.image)]
        environment = os.environ | client.environment(self.bus, only=True)
        subprocess.run(command, cwd=self.project, env=environment, stdin=subprocess.DEVNULL, check=True, capture_output=True, timeout=120)

    def refused(self) -> str:
        """Load the first program; what pyOCD said if that failed, else empty."""
        try:
            self.load()
        except subprocess.CalledProcessError as error:
            lines = error.stderr.decode(errors="replace").strip().splitlines()
            return f"pyocd load: {lines[-1] if lines else error.returncode}"
        return ""

    def _serve_mutant(self, mutant: str, spec: str) -> None:
        self.bus.mkdir(mode=0o700)
        script = Path(__file__).with_name("mutants.py")
        command = [sys.executable, str(script), "serve", mutant, "--owned", "--bus", str(self.bus), spec]
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        self._stack.callback(process.wait, 10)
        if process.stdin is not None:
            self._stack.callback(process.stdin.close)
        deadline = time.monotonic() + 20
        while not client.boards(self.bus):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the board with {mutant} did not start")
            time.sleep(0.05)

    def close(self) -> None:
        """End the board and remove the folders."""
        self._stack.close()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, trial: Trial, log: Path | None = None) -> Result:
        """Run one of pyOCD's tests to its end or its deadline."""
        if trial.needs and shutil.which(trial.needs) is None:
            return Result(self.board, self.probe, trial.name, "not run", "", 0.0, (f"needs {trial.needs}",))
        subject = SUBJECTS[self.board]
        self._configure(subject.small if subject.small and trial.name == "flash test" else subject.binary)
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        environment = os.environ | client.environment(self.bus, only=True) | {"PATH": path, "TMPDIR": str(self.root), "PYTHONUTF8": "1"}
        script = self.root / "pyocd" / "test" / "automated_test.py"
        begin = time.monotonic()
        with subprocess.Popen(
            [sys.executable, str(script), "-b", self.serial, "-i", trial.name],
            cwd=self.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                output = process.communicate(timeout=trial.seconds)[0]
                timed_out = False
            except subprocess.TimeoutExpired:
                process.kill()
                output = process.communicate()[0]
                timed_out = True
        if log is not None:
            log.mkdir(parents=True, exist_ok=True)
            (log / f"{self.board}_{self.probe}_{trial.name.replace(' ', '_')}.log").write_text(output, encoding="utf-8")
        return self._judge(trial, output, time.monotonic() - begin, timed_out)

    def _judge(self, trial: Trial, output: str, seconds: float, timed_out: bool) -> Result:
        said = VERDICT.search(output)
        verdict = "timeout" if timed_out else {"PASSED": "passed"}.get(said[2] if said else "", "failed")
        counted = COUNT.findall(output)
        count = f"{counted[-1][0]}/{counted[-1][1]}" if counted else ""
        body = output.partition("------ TEST RESULTS ------")[0]
        lines = (found[0].strip() for found in COMPLAINT.finditer(body))
        complaints = tuple(dict.fromkeys(line for line in lines if line and not HARMLESS.search(line)))
        if not said and not timed_out:
            complaints += (f"no verdict: {output.strip().splitlines()[-1] if output.strip() else 'no output'}",)
        return Result(self.board, self.probe, trial.name, verdict, count, seconds, complaints)


SHARP = ("cortex test", "flash loader test", "connect test", "basic test")
"""What mutants are tried with, quick ones first."""


def killer(sdist: Path, board: str, probe: str, mutant: str) -> str:
    """Which of pyOCD's tests first notices a seeded defect, and how; empty if none does. A test that only takes too long proves nothing."""
    with Bench(sdist, board, probe, mutant) as bench:
        refused = bench.refused()
        if refused:
            return refused
        for name in SHARP:
            result = bench.run(Trial(name, 150))
            if result.verdict == "failed" or (result.verdict == "passed" and result.complaints):
                return f"{name}: {result.verdict} {result.count}; {'; '.join(result.complaints[:2])}"
    return ""


def table(results: list[Result]) -> str:
    """The results as a Markdown table: one line a board and probe, one column a test that was run."""
    by_place = {(result.board, result.probe, result.test): result for result in results}
    ran = [trial.name for trial in TRIALS if any(result.test == trial.name for result in results)]
    lines = ["| board, probe | " + " | ".join(ran) + " |", "|---" * (len(ran) + 1) + "|"]
    for board, probe in dict.fromkeys((result.board, result.probe) for result in results):
        found = [by_place.get((board, probe, name)) for name in ran]
        cells = [" ".join(filter(None, (result.verdict, result.count))) if result else "-" for result in found]
        lines.append(f"| {board}, {probe} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """The command line: 0 if every test that ran was good."""
    parser = argparse.ArgumentParser(description="pyOCD's functional tests against the bench")
    parser.add_argument("-b", "--board", action="append", help="default: all that the bench has")
    parser.add_argument("-p", "--probe", action="append", help="default: a CMSIS-DAP v2 and an ST-LINK that takes the chip")
    parser.add_argument("-t", "--test", action="append", help="as automated_test.py names it; default: all")
    parser.add_argument("--sdist", type=Path, help="unpacked source distribution of pyOCD; default: fetched with pip")
    parser.add_argument("--cache", type=Path, default=cache(), help="where the source distribution is kept")
    parser.add_argument("--log", type=Path, help="folder for the tests' output")
    parser.add_argument("--keep", type=Path, help="add the results to this file of JSON lines, and show all that it has")
    parser.add_argument("--mutants", nargs="+", metavar="NAME", help="which test notices these seeded defects, on the first board")
    options = parser.parse_args()
    sdist = options.sdist or fetch(options.cache)
    if options.mutants:
        survived = 0
        for name in options.mutants:
            how = killer(sdist, options.board[0] if options.board else "nucleo-l476rg", "cmsis-dap", name)
            survived += not how
            print(f"{name}: {how or 'not noticed'}", flush=True)
        return survived
    boards = options.board or [board for board in SUBJECTS if board in BOARDS]
    trials = [trial for trial in TRIALS if not options.test or trial.name in [name.lower() for name in options.test]]
    results: list[Result] = []
    for board in boards:
        for probe in options.probe or probes(board):
            with Bench(sdist, board, probe) as bench:
                refused = bench.refused()
                for trial in trials:
                    result = Result(board, probe, trial.name, "not run", "", 0.0, (refused,)) if refused else bench.run(trial, options.log)
                    results.append(result)
                    if options.keep:
                        with options.keep.open("a", encoding="utf-8") as kept:
                            kept.write(json.dumps(asdict(result)) + "\n")
                    print(board, probe, trial.name, result.verdict, result.count, f"{result.seconds:.1f} s", flush=True)
                    for line in result.complaints:
                        print("    ", line, flush=True)
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, pyOCD {PYOCD}\n")
    everything = [Result(**json.loads(line)) for line in options.keep.open(encoding="utf-8")] if options.keep else results
    print(table(everything))
    return int(any(result.verdict != "not run" and not result.good for result in results))


if __name__ == "__main__":
    sys.exit(main())
