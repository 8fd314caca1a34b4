"""A pattern begins with a wildcard."""

from __future__ import annotations

from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.statement import Flag

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "leading_wildcard",
    Severity.WARNING,
    "LIKE with a leading % cannot use an index: every row is read.",
    "Match from the beginning of the value, or index the text for search.",
)
_ADVICE: Final = {
    Dialect.POSTGRESQL: "Match from the beginning of the value, or create a trigram index (pg_trgm, "
    "USING gin (column gin_trgm_ops)).",
    Dialect.MYSQL: "Match from the beginning of the value, or use MATCH … AGAINST with a FULLTEXT index.",
    Dialect.SQLITE: "Match from the beginning of the value, or keep the text in an FTS5 table and use MATCH.",
}


def check(context: Context) -> Finding | None:
    """Of `LIKE '%…'` and `LIKE '%' || …`; a pattern that is a parameter is not known."""
    if Flag.LEADING_WILDCARD not in context.statement.flags:
        return None
    return RULE.found(
        f"{context.statement.summary} looks for a pattern that begins with %.",
        {"summary": context.statement.summary},
        advice=_ADVICE.get(context.dialect),
    )
