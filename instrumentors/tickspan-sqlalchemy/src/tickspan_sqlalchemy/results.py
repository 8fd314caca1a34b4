"""Rows: a statement's span ends with its last row, and says how many there were.

SQLAlchemy reads rows through `result.cursor_strategy`. Ours stands before the real one and counts. The real
one may close the result in the middle of a fetch and put another in its place: both are noticed here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tickspan.instrumentation import Workbench
from tickspan.instrumentation.db import following

__all__ = ["with_counted_rows"]


def with_counted_rows(original: Callable[..., Any], bench: Workbench) -> Callable[..., Any]:
    """Around `DefaultExecutionContext._setup_result_proxy`, which makes the result of an execution."""
    guard = bench.guard("results")

    return functools.wraps(original)(following(original, guard))
