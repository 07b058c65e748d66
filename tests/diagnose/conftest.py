"""The scenes are told to the other tests by a name of their own; pytest's importlib mode puts no test folder on the path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

if "diagnose_scenes" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("diagnose_scenes", Path(__file__).with_name("test_scenes.py"))
    assert _spec is not None
    assert _spec.loader is not None
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["diagnose_scenes"] = _module
    _spec.loader.exec_module(_module)
