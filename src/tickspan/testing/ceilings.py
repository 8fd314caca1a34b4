"""Counted ceilings: how many Python functions something enters, which no machine's load changes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["calls_of"]


def calls_of(function: Callable[..., Any], *args: Any, warm_up: int = 3) -> int:
    """Python functions entered by one call of `function(*args)`, itself included if it is one.

    A generator counts each time it goes on; functions in C do not count. `warm_up` calls come first: they
    fill what is remembered. No garbage is collected meanwhile: whoever hears of that is somebody else's.

    >>> calls_of(lambda: sorted([2, 1], key=lambda number: -number))
    3
    """
    for _ in range(warm_up):
        function(*args)
    count = 0

    def note(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event == "call"

    before, is_collecting = sys.getprofile(), gc.isenabled()
    gc.disable()
    sys.setprofile(note)
    try:
        function(*args)
    finally:
        sys.setprofile(before)
        if is_collecting:
            gc.enable()
    return count
