"""A lock is waited for without end."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.trees import sources

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "lock_without_limit",
    Severity.WARNING,
    "SELECT … FOR UPDATE waits for other transactions as long as they take.",
    "Add NOWAIT or SKIP LOCKED.",
)
ON: Final = (exp.Lock,)

_ADVICE: Final = {
    Dialect.POSTGRESQL: "Add NOWAIT or SKIP LOCKED, or set a bound before: SET LOCAL lock_timeout = '250ms';",
    Dialect.MYSQL: "Add NOWAIT or SKIP LOCKED, or set a bound before: SET innodb_lock_wait_timeout = 1;",
}


def check(lock: exp.Lock, context: Context) -> Finding | None:
    """Of FOR UPDATE and FOR NO KEY UPDATE without NOWAIT, SKIP LOCKED, WAIT n or a session's lock timeout."""
    if not lock.args.get("update") or lock.args.get("wait") is not None or context.has_lock_timeout:
        return None
    query = lock.parent
    tables = (
        [context.told(source.table) for source in sources(query, context) if source.table] if query else []
    )
    return RULE.found(
        f"FOR UPDATE of {', '.join(tables) or 'a query'} waits without a limit.",
        {"tables": ", ".join(tables)},
        advice=_ADVICE.get(context.dialect),
    )
