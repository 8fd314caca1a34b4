"""A list of values is too long to be part of a text."""

from __future__ import annotations

from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.statement import Flag

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "large_in_list",
    Severity.WARNING,
    "An IN list of more than 100 items is parsed and planned anew for each length.",
    "Join with a temporary table of the values.",
)
_ADVICE: Final = {
    Dialect.POSTGRESQL: "Send the values as one array parameter: = ANY($1).",
    Dialect.SQLITE: "Send the values as one JSON parameter: IN (SELECT value FROM json_each(?)).",
}


def check(context: Context) -> Finding | None:
    """Of a list with more than 100 items; with more than 1,000 it is an error."""
    if Flag.LARGE_IN_LIST not in context.statement.flags:
        return None
    items, is_huge = context.longest_list, Flag.HUGE_IN_LIST in context.statement.flags
    many = f"{items:,}" if items else f"more than {'1,000' if is_huge else '100'}"
    return RULE.found(
        f"{context.statement.summary} has a list of {many} items.",
        {"items": items} if items else {},
        severity=Severity.ERROR if is_huge else None,
        advice=_ADVICE.get(context.dialect),
    )
