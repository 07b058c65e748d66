"""Writers of every format, written for the tests alone: what they write is known from the inside."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def load(name: str) -> ModuleType:
    """A module beside this one; pytest's importlib mode puts no test folder on the path."""
    full = f"image_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


load("writers")


@pytest.fixture(scope="session")
def writers() -> ModuleType:
    return load("writers")
