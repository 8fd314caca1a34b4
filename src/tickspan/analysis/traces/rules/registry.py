"""All rules about traces, and what a trace must have for a rule to be asked about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from tickspan.analysis.findings import Rule
from tickspan.analysis.traces.habits import Habits
from tickspan.analysis.traces.rules import (
    autocommit_burst,
    cacheable_read,
    chatty_transaction,
    connect_storm,
    duplicate_query,
    error_burst,
    external_call_in_transaction,
    idle_in_transaction,
    large_result,
    lock_wait,
    long_transaction,
    n_plus_one,
    pool_wait,
    row_by_row_writes,
    single_read_transaction,
    slow_commit,
    slow_query,
)
from tickspan.analysis.traces.sighting import Sighting
from tickspan.analysis.traces.thresholds import Thresholds
from tickspan.analysis.traces.trace import Trace

__all__ = ["CHECKS", "RULES", "Check"]

Check: TypeAlias = Callable[[Trace, Habits, Thresholds], Iterator[Sighting]]

_OF_TRACES: Final = (
    n_plus_one,
    duplicate_query,
    row_by_row_writes,
    autocommit_burst,
    chatty_transaction,
    idle_in_transaction,
    external_call_in_transaction,
    long_transaction,
    slow_commit,
    single_read_transaction,
    lock_wait,
    large_result,
    slow_query,
    pool_wait,
    error_burst,
    cacheable_read,
)

RULES: Final[tuple[Rule, ...]] = (*(module.RULE for module in _OF_TRACES), connect_storm.RULE)
"""All of them."""

CHECKS: Final[tuple[tuple[int, Rule, Check], ...]] = tuple(
    (module.NEEDS, module.RULE, module.check) for module in _OF_TRACES
)
"""What a trace must have, see `shape`, for a rule to be asked about it."""
