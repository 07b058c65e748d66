"""The matrix stands on the stage of the whole-path tests, and on its own table of cells."""

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
SIM = importlib.util.find_spec("unicorn") is not None


def load(full: str, path: Path) -> ModuleType:
    """A module by its path; pytest's importlib mode puts no test folder on the path."""
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


if SIM:
    load("main_path_stage", HERE.parent / "main_path" / "stage.py")
    load("matrix_cells", HERE / "cells.py")
else:
    collect_ignore = ["test_matrix.py"]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """``stage(name=spec, ...)``: boards with a daemon over them, ended after the test."""
    with contextlib.ExitStack() as stack:

        def start(options: Any = None, **specs: str) -> Any:
            return stack.enter_context(sys.modules["main_path_stage"].Stage(tmp_path, specs, options))

        yield start
