"""One text holds several statements."""

from __future__ import annotations

from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.statement import Flag

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "multi_statement",
    Severity.WARNING,
    "Several statements in one text cannot be prepared, and are how injected SQL gets in.",
    "Send one statement per call, in an explicit transaction where they belong together.",
)


def check(context: Context) -> Finding | None:
    """Of a text with more than one statement; an empty one behind the last semicolon does not count."""
    if Flag.MULTI_STATEMENT not in context.statement.flags:
        return None
    return RULE.found(
        f"One text holds several statements: {context.statement.summary}.",
        {"summary": context.statement.summary},
    )
