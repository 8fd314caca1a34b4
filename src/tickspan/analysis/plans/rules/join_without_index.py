"""A join that reads its inner table from end to end for each row of the outer one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans.context import PlanContext
from tickspan.analysis.plans.joins import InnerScan, inner_scans

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "join_without_index",
    Severity.WARNING,
    "A join goes through a whole table again and again.",
    "Create an index on the column that the inner table is joined by.",
)
_MIN_ROWS_PER_LOOP: Final = 100
_MIN_ROWS: Final = 10_000
_ERROR_LOOPS: Final = 1_000


def check(context: PlanContext) -> Iterator[Finding]:
    """For each inner scan that goes through 10,000 rows in all; an error above 1,000 loops.

    SQLite builds an index for the time of one statement instead: that is told, too.
    """
    for scan in inner_scans(context.plan):
        rows = _rows_per_loop(context, scan)
        if rows >= _MIN_ROWS_PER_LOOP and scan.loops > 1 and rows * scan.loops >= _MIN_ROWS:
            yield _finding(context, scan, rows)
    for node in context.plan.nodes():
        rows_of_table = context.rows_of(node.relation)
        is_small = rows_of_table is not None and rows_of_table < _MIN_ROWS_PER_LOOP
        if "automatic" in node.details and not is_small:
            yield context.found(
                RULE,
                f"SQLite builds an index on {node.relation or node.alias} each time the statement runs.",
                {"table": node.relation or node.alias, "columns": node.details.get("columns", "")},
            )


def _rows_per_loop(context: PlanContext, scan: InnerScan) -> float:
    if scan.rows_per_loop is not None:
        return scan.rows_per_loop
    return float(context.rows_of(scan.node.relation) or 0)


def _finding(context: PlanContext, scan: InnerScan, rows: float) -> Finding:
    evidence: dict[str, str | int | float | bool] = {
        "table": scan.node.relation,
        "rows_per_loop": round(rows),
    }
    if context.plan.system == "sqlite":
        message = f"{scan.node.relation} with {rows:,.0f} rows is read for each row of the table before it."
    else:
        message = f"{scan.node.relation} is gone through {scan.loops:,.0f} times, {rows:,.0f} rows each time."
        evidence["loops"] = round(scan.loops)
    severity = Severity.ERROR if scan.loops > _ERROR_LOOPS else None
    return context.found(RULE, message, evidence, severity=severity)
