"""The one workbench by which governed pools are measured where no instrumentor does that already."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Final

from opentelemetry.trace import get_tracer

from tickspan.instrumentation import Row, Workbench
from tickspan.instrumentation.pooling import PoolBook
from tickspan.pools.telling import SCOPE, logger, meter, on_undo
from tickspan.version import __version__

_applied: Final[set[Row]] = set()
_benches: Final[list[Workbench]] = []


def book() -> PoolBook:
    """The governed pools of this process."""
    if not _benches:
        _benches.append(Workbench(SCOPE, get_tracer(SCOPE, __version__), meter(), logger(), {}))
        on_undo(_undo)
    return PoolBook.of_governed(_benches[0])


def apply(rows: Iterable[Row]) -> None:
    """Apply what is not applied yet, to modules that are imported."""
    bench = book().bench
    for row in rows:
        module = sys.modules.get(row.module)
        if module is not None and row not in _applied:
            row.apply(module, bench)
            _applied.add(row)


def _undo() -> None:
    """Take everything back: pools are governed no more."""
    while _benches:
        _benches.pop().undo()
    _applied.clear()
