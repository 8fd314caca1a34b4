"""Rows that a plan's loops visit: the cost of a plan where a database tells none that is worth the name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from tickspan.analysis.indexes.ddl import column_of
from tickspan.analysis.sql.schema import Table

__all__ = ["ENTRY_OF_ROW", "found_by_search", "rows_of", "rows_per_value", "search_cost", "sort_cost"]

ENTRY_OF_ROW: Final = 0.5
"""An entry of an index, beside a row of the table, for one who reads them all."""
_UNKNOWN_ROWS: Final = 100_000
_DISTINCT_SHARE: Final = 0.1
"""Of the rows, how many different values a column has of which nothing is known."""

_RANGE_SHARE: Final = 0.25
"""What SQLite assumes that one bound leaves."""

_LOOKUP: Final = 1.5
"""Visits of entries that it costs to fetch a row behind an index that does not hold what is read."""


def rows_of(table: Table | None) -> int:
    """At least 1; a guess where nothing is known."""
    return _UNKNOWN_ROWS if table is None or table.rows is None else max(table.rows, 1)


def rows_per_value(keys: Sequence[str], table: Table | None) -> list[int]:
    """All rows, then rows for each value of the first key, of the first two, …: a line of `sqlite_stat1`."""
    count = rows_of(table)
    numbers = [count]
    different = 1.0
    for key in keys:
        column = None if table is None else table.column(column_of(key))
        known = None if column is None else column.distinct
        different = min(count, different * (known or max(1.0, count * _DISTINCT_SHARE)))
        numbers.append(max(1, round(count / different)))
    return numbers


def found_by_search(per_value: Sequence[int], equals: int, bounds: int) -> float:
    """Rows that one search finds: `equals` keys are given, and `bounds` limits on the key behind them."""
    return float(per_value[min(equals, len(per_value) - 1)]) * float(_RANGE_SHARE**bounds)


def search_cost(found: float, count: int, *, is_covered: bool) -> float:
    """Visits of one search in a tree of `count` entries."""
    return math.log2(count + 2) + found * (1.0 if is_covered else 1.0 + _LOOKUP)


def sort_cost(rows: float) -> float:
    """Visits that a sort is worth."""
    return rows * math.log2(rows + 2)
