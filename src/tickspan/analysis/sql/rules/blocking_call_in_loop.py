"""A synchronous driver holds up an event loop."""

from __future__ import annotations

from typing import Final

from tickspan.analysis.findings import Confidence, Finding, Rule, Severity
from tickspan.analysis.sql.rules.context import Context

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "blocking_call_in_loop",
    Severity.ERROR,
    "A synchronous database call in an event loop's thread stops all tasks until the database answers.",
    "Use an asynchronous driver (asyncpg, psycopg's AsyncConnection, aiosqlite), or asyncio.to_thread().",
)


def check(context: Context) -> Finding | None:
    """Of a statement that was seen to block a loop; its text cannot tell."""
    if not context.blocks_event_loop:
        return None
    return RULE.found(
        f"{context.statement.summary} is run by a synchronous driver while the event loop waits.",
        {"summary": context.statement.summary},
        confidence=Confidence.MEASURED,
    )
