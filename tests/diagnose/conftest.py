"""Modules beside the tests, by names of their own; pytest's importlib mode puts no test folder on the path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

for _name, _file in (("diagnose_scenes", "test_scenes.py"), ("diagnose_cases", "cases.py")):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(_file))
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])
