"""A table is read from end to end, and nearly all of it thrown away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans.context import PlanContext
from tickspan.analysis.plans.joins import inner_scans
from tickspan.analysis.plans.model import PlanNode

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "seq_scan_selective",
    Severity.WARNING,
    "A whole table is read for a few of its rows.",
    "Create an index on the columns of the condition; `tickspan queries advise` tells which is worth it.",
)
_MIN_ROWS: Final = 10_000
_MAX_KEPT: Final = 0.1


def check(context: PlanContext) -> Iterator[Finding]:
    """For each table of which more than 10,000 rows are read and fewer than a tenth kept."""
    inner = {id(scan.node) for scan in inner_scans(context.plan)}
    told: set[str] = set()
    for node in context.plan.nodes():
        if id(node) in inner or not node.relation or node.relation in told:
            continue
        counted = _COUNTS[context.plan.system](context, node)
        if counted is None:
            continue
        read, kept = counted
        if read > _MIN_ROWS and kept < _MAX_KEPT * read:
            told.add(node.relation)
            yield _finding(context, node, read, kept)


def _finding(context: PlanContext, node: PlanNode, read: float, kept: float) -> Finding:
    comparisons = context.compared_in(node)
    columns = ", ".join(one.column for one in comparisons)
    share = f"of {read:,.0f} rows {kept:,.0f} are kept" if kept >= 0 else f"{read:,.0f} rows"
    evidence: dict[str, str | int | float | bool] = {"table": node.relation, "rows_read": round(read)}
    if kept >= 0:
        evidence["rows_kept"] = round(kept)
    if columns:
        evidence["columns"] = columns
    return context.found(
        RULE,
        f"{node.relation} is read from end to end: {share}.",
        evidence,
        advice=context.index_on(node, comparisons) or None,
    )


def _postgresql(context: PlanContext, node: PlanNode) -> tuple[float, float] | None:
    if node.kind != "Seq Scan" or "Filter" not in node.details:
        return None
    if node.actual_rows is not None:
        loops = node.loops or 0.0
        kept = node.actual_rows * loops
        return kept + (node.removed_rows or 0.0) * loops, kept
    rows = context.rows_of(node.relation)
    return None if rows is None or node.rows is None else (float(rows), node.rows)


def _mysql(_context: PlanContext, node: PlanNode) -> tuple[float, float] | None:
    is_walk = node.kind == "index" and ("update" in node.details or "delete" in node.details)
    if not (node.kind == "ALL" or is_walk) or "attached_condition" not in node.details:
        return None
    if node.actual_rows is not None and node.removed_rows is not None:
        loops = node.loops or 0.0
        return (node.actual_rows + node.removed_rows) * loops, node.actual_rows * loops
    read = node.details.get("rows_examined_per_scan", node.details.get("rows"))
    if not isinstance(read, int | float) or node.rows is None:
        return None
    return float(read), node.rows


def _sqlite(context: PlanContext, node: PlanNode) -> tuple[float, float] | None:
    """Without estimates: a scan where the statement compares a column of the table with a value."""
    rows = context.rows_of(node.relation)
    if node.kind != "SCAN" or node.index or rows is None or not context.compared_in(node):
        return None
    return float(rows), -1.0


_COUNTS: Final = {"postgresql": _postgresql, "mysql": _mysql, "mariadb": _mysql, "sqlite": _sqlite}
