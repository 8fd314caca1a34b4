"""`tickspan.performance_summary`: the history of this process's metrics, and its alerts."""

from __future__ import annotations

import re
import time
from typing import Any, Final

from tickspan.alerts.wiring import wired
from tickspan.providers import MeterProvider
from tickspan.providers.collector import COLLECTOR
from tickspan.providers.history import History
from tickspan.providers.summary import PerformanceSummary, summarised

__all__ = ["keep_history", "performance_summary"]

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_SECONDS: Final = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0}

_histories: list[History] = []


def keep_history(provider: Any, most: int, interval_s: float) -> None:
    """Sample this provider from now on; nothing is kept of one without a sink, or of none."""
    _histories.clear()
    if most > 0 and isinstance(provider, MeterProvider):
        history = History(provider, most, interval_s)
        _histories.append(history)
        COLLECTOR.watch(history)


def performance_summary(window: str | float = "5m") -> PerformanceSummary:
    """What this process measured in the last `window`: rates, quantiles, trends, and its alerts.

    Samples are kept from the start of telemetry on, as `metrics.history` says. `print` it for a table. Each
    series takes a third of a millisecond: not for hot paths.

    Args:
        window: a duration such as `30s` or `5m`, or seconds.

    Raises:
        ValueError: the window is no duration.
    """
    window_s = _seconds(window)
    if not _histories:
        return PerformanceSummary(window_s, 0.0, (), _alerts())
    history = _histories[0]
    COLLECTOR.watch(history)  # a forked child has to be told
    history.collect()
    now_s = time.monotonic()
    pasts = history.pasts(now_s - window_s)
    covered_s = max((past.moments[-1].at_s - past.moments[0].at_s for past in pasts), default=0.0)
    return PerformanceSummary(window_s, covered_s, summarised(pasts), _alerts(), history.left_out)


def _alerts() -> tuple[Any, ...]:
    if wired() is None:
        return ()
    from tickspan.alerts.handles import active  # the evaluator: nobody without rules is to load it at start

    return active()


def _seconds(window: str | float) -> float:
    if isinstance(window, str):
        found = _DURATION.fullmatch(window.strip())
        seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    else:
        seconds = float(window)
    if not 0 < seconds < float("inf"):
        raise ValueError(f"window: expected a duration like '5m', got {window!r}")
    return seconds
