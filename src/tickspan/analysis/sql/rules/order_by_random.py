"""A random order is made of all rows."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import sources, table_of

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "order_by_random",
    Severity.WARNING,
    "ORDER BY random() draws a number for every row and sorts them all.",
    "Draw random keys in the program and look them up.",
)
ON: Final = (exp.Order,)

_FEW_ROWS: Final = 1000
_SAMPLE: Final = (
    "Draw random keys in the program, or use TABLESAMPLE SYSTEM_ROWS (extension tsm_system_rows)."
)
_RANDOM: Final = (exp.Rand, exp.Uuid, exp.Randn)


def check(order: exp.Order, context: Context) -> Finding | None:
    """Of a query's ORDER BY that begins with a random value; tables known to be small are fine."""
    query = order.parent
    if not isinstance(query, exp.Select) or not order.expressions:
        return None
    first = order.expressions[0]
    if not isinstance(first, exp.Ordered) or not isinstance(first.this, _RANDOM):
        return None
    tables = [table_of(source, context) for source in sources(query, context)]
    rows = [table.rows for table in tables if table is not None and table.rows is not None]
    if not tables or (len(rows) == len(tables) and max(rows) < _FEW_ROWS):
        return None
    return RULE.found(
        "ORDER BY a random value sorts every row.",
        {
            "tables": ", ".join(
                context.told(source.table) for source in sources(query, context) if source.table
            )
        },
        advice=_SAMPLE if context.dialect is Dialect.POSTGRESQL else None,
    )
