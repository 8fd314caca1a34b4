"""A whole table is updated or deleted from."""

from __future__ import annotations

from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.statement import Flag

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "write_without_where",
    Severity.CRITICAL,
    "UPDATE or DELETE without WHERE changes every row of its table.",
    "Add the WHERE clause; to empty a table on purpose, use TRUNCATE in a migration.",
)


def check(context: Context) -> Finding | None:
    """Of an UPDATE or DELETE that neither WHERE nor a join restricts."""
    if Flag.WRITE_WITHOUT_WHERE not in context.statement.flags:
        return None
    return RULE.found(
        f"{context.statement.summary} has no WHERE: it changes every row.",
        {"summary": context.statement.summary},
    )
