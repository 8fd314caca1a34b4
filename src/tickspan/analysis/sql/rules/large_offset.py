"""A page is reached by reading all pages before it."""

from __future__ import annotations

from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.statement import Flag

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "large_offset",
    Severity.WARNING,
    "OFFSET of 1,000 or more reads and throws away all rows before the page.",
    "Page by key: WHERE key > the last key seen, ORDER BY key, LIMIT.",
)


def check(context: Context) -> Finding | None:
    """Of a literal offset; a parameter's value is not known."""
    if Flag.LARGE_OFFSET not in context.statement.flags:
        return None
    return RULE.found(
        f"{context.statement.summary} skips 1,000 rows or more by OFFSET.",
        {"summary": context.statement.summary},
    )
