"""The planner's statistics are of another time than the table's rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans.context import PlanContext
from tickspan.analysis.sql.schema import Table

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "stale_statistics",
    Severity.WARNING,
    "The planner knows a table by statistics that no longer hold, or by none.",
    "Gather statistics with ANALYZE, and let it happen by itself after bulk loads.",
)
_MAX_SHARE: Final = 0.2
_MIN_CHANGED: Final = 1_000


def check(context: PlanContext) -> Iterator[Finding]:
    """For each table of the plan of which more than a fifth has changed since; SQLite: without statistics."""
    for name in dict.fromkeys(node.relation for node in context.plan.nodes() if node.relation):
        table = context.table(name)
        if table is None:
            continue
        look = _without_any if context.plan.system == "sqlite" else _changed
        found = look(context, table)
        if found is not None:
            yield found


def _without_any(context: PlanContext, table: Table) -> Finding | None:
    """SQLite chooses between indexes by `sqlite_stat1` alone."""
    if table.rows is not None or not table.indexes:
        return None
    return context.found(
        RULE,
        f"{table.name} has indexes and no statistics.",
        {"table": table.name, "indexes": len(table.indexes)},
        advice=f"ANALYZE {context.quoted(table.name)}; PRAGMA optimize at a connection's end keeps it so.",
    )


def _changed(context: PlanContext, table: Table) -> Finding | None:
    changed = table.modified_since_analyze
    if changed is None or changed < _MIN_CHANGED:
        return None
    if table.rows is not None and changed <= _MAX_SHARE * table.rows:
        return None
    known = "never counted" if table.rows is None else f"{table.rows:,} known"
    verb = "ANALYZE" if context.plan.system == "postgresql" else "ANALYZE TABLE"
    evidence: dict[str, str | int | float | bool] = {"table": table.name, "rows_changed": changed}
    if table.rows is not None:
        evidence["rows"] = table.rows
    return context.found(
        RULE,
        f"{changed:,} rows of {table.name} have changed since its statistics were gathered ({known}).",
        evidence,
        advice=f"{verb} {'.'.join(context.quoted(part) for part in table.name.split('.'))};",
    )
