"""The demo does what it tells, and leaves nothing behind."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.skipif(importlib.util.find_spec("unicorn") is None, reason="the extra `sim` is not installed")
def test_demo(msdflash: Callable[..., Any]) -> None:
    result = msdflash("demo", "--no-wait")
    assert result.status == 0, result.err
    told = ["1. A good drop", "flashed and proved", "bytes equal the file", "2. ", "error: Failed to reset/halt", "3. ", "FAIL.TXT is gone"]
    places = [result.out.find(words) for words in told]
    assert places == sorted(places)
    assert -1 not in places
