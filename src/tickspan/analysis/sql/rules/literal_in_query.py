"""Values are written into the text of statements."""

from __future__ import annotations

from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.statement import Flag

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "literal_in_query",
    Severity.WARNING,
    "One statement comes with ever other values in its text: each is planned anew, and a value may be SQL.",
    "Use parameters of the driver in place of values in the text.",
)
_TEXTS: Final = 3


def check(context: Context) -> Finding | None:
    """Of a statement that came as three or more raw texts which hold literals."""
    flags, texts = context.statement.flags, context.raw_texts
    if Flag.LITERAL_IN_QUERY not in flags and (Flag.LITERALS not in flags or texts < _TEXTS):
        return None
    return RULE.found(
        f"{context.statement.summary} came as {max(texts, _TEXTS)} texts or more that differ in values.",
        {"texts": max(texts, _TEXTS)},
    )
