"""Whole-path tests: a file is dropped on the folder of a real daemon, with real workers and stock pyOCD, on boards of the bench."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    """A module beside this one; pytest's importlib mode puts no test folder on the path."""
    full = f"main_path_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


load("stage")
load("faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without the extra ``sim`` there is no bench."""
    if importlib.util.find_spec("unicorn") is None:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="the extra `sim` is not installed"))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """``stage(options={}, before={}, name=spec, ...)``: boards with a daemon over them, ended after the test."""
    with contextlib.ExitStack() as stack:

        def start(options: Any = None, before: Any = None, **specs: str) -> Any:
            return stack.enter_context(load("stage").Stage(tmp_path, specs, options, before))

        yield start
