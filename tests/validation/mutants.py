"""Seeded defects of the bench's board model, and the check that our conformance tests notice every one of them.

A test suite that passes says little unless it fails when the model is wrong. So each row here makes the model wrong in one way that a
plausible misreading of a manual would have made it, by replacing methods from outside. The model itself has no switch for it.

    python tests/validation/mutants.py check [NAME...]      # the named killer of each mutant must fail; and must pass without it
    python tests/validation/mutants.py survey [NAME...]     # every conformance test against each mutant; minutes
    python tests/validation/mutants.py table                # the mutants as a Markdown table
    python tests/validation/mutants.py serve NAME ...       # a board with the defect on a bus; the rest is for msdflash.sim.serve
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # this is a program: its folder alone is on the path

from tests.validation.defects_chips import CHIPS  # noqa: E402
from tests.validation.defects_core import CORE  # noqa: E402
from tests.validation.defects_life import LIFE  # noqa: E402
from tests.validation.defects_lpc55 import LPC55  # noqa: E402
from tests.validation.mutant import Mutant  # noqa: E402

MUTANTS: tuple[Mutant, ...] = (*CHIPS, *CORE, *LIFE, *LPC55)
CONFORMANCE = (
    "test_debug_port.py", "test_core.py", "test_flash.py", "test_firmware.py", "test_stm32_controllers.py", "test_nrf.py",
    "test_kinetis.py", "test_lpc.py", "test_lpc55.py", "test_life.py",
)  # fmt: skip


BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


class Judge:
    """A pytest plugin: runs each test as it is, then again for each mutant that concerns it, and notes who failed.

    Attributes:
        sound: tests that pass on the right model.
        failed: tests that fail on it.
        killed: by mutant, the tests that failed.
    """

    def __init__(self, mutants: tuple[Mutant, ...], every: bool) -> None:
        self.mutants = mutants
        self.every = every
        self.sound: list[str] = []
        self.failed: list[str] = []
        self.killed: dict[str, list[str]] = {mutant.name: [] for mutant in mutants}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Take the place of pytest's own protocol."""
        name = item.nodeid.rpartition("/")[2]
        if not self._passes(item, nextitem):
            self.failed.append(name)
            return True
        self.sound.append(name)
        for mutant in self.mutants:
            if self.every or mutant.killer in (name, name.partition("[")[0]):
                if not self.every and self.killed[mutant.name]:
                    continue
                with mutant.applied():
                    if not self._passes(item, nextitem):
                        self.killed[mutant.name].append(name)
        return True

    @staticmethod
    def _passes(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        item._initrequest()  # type: ignore[attr-defined]  # what pytest-rerunfailures does, too, to run an item once more
        bad = [report for report in runtestprotocol(item, log=False, nextitem=nextitem) if not report.passed]
        for report in bad:
            said = str(report.longrepr)
            if any(f"E   {kind}" in said for kind in ("TypeError", "AttributeError", "NameError", "ImportError")):
                raise SystemExit(f"{item.name}: the defect itself is broken, which kills nothing:\n{said}")
        return not bad


def judge(names: list[str], every: bool, extra: list[str]) -> Judge:
    """Run conformance tests against mutants in this process."""
    mutants = tuple(BY_NAME[name] for name in names) or MUTANTS
    folder = ROOT / "tests" / "sim"
    files = sorted({mutant.killer.partition("::")[0] for mutant in mutants})
    chosen = [str(folder / name) for name in CONFORMANCE] if every else sorted({str(folder / mutant.killer) for mutant in mutants})
    result = Judge(mutants, every)
    options = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "--timeout", "20", f"--rootdir={ROOT}", *extra]
    status = pytest.main([*options, *chosen], plugins=[result])
    if not result.sound or status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(f"pytest could not run {files}: {status!r}")
    return result


def main(arguments: list[str]) -> int:
    """The command line: 0 if every mutant was killed and nothing failed without one."""
    command, *names = arguments
    extra: list[str] = []
    if "--basetemp" in names:
        at = names.index("--basetemp")
        extra, names = names[at : at + 2], names[:at] + names[at + 2 :]
    if command == "serve":
        from msdflash.sim import serve

        with BY_NAME[names[0]].applied():
            return serve.main(names[1:])
    if command == "table":
        print("| mutant | what is wrong | against | killed by (tests/sim) |\n|---|---|---|---|")
        for mutant in MUTANTS:
            print(f"| {mutant.name} | {mutant.wrong} | {mutant.against} | `{mutant.killer}` |")
        return 0
    result = judge(names, command == "survey", extra)
    survivors = [name for name, killers in result.killed.items() if not killers]
    print(json.dumps({"killed": result.killed, "survivors": survivors, "failed": result.failed}, indent=1))
    return int(bool(survivors or result.failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
