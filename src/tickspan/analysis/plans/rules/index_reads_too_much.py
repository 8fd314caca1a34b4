"""An index is used, and most of what it leads to is thrown away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans.context import PlanContext, Step
from tickspan.analysis.plans.model import PlanNode

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "index_reads_too_much",
    Severity.WARNING,
    "An index leads to far more rows than the statement needs.",
    "Create an index that begins with the columns of the condition.",
)
_MIN_ROWS: Final = 1_000
_TIMES: Final = 10
_MAX_KEPT: Final = 0.1
_LARGE_TABLE: Final = 10_000
_INDEX_SCANS: Final = frozenset({"Index Scan", "Index Only Scan", "Bitmap Heap Scan"})
_INDEX_ACCESS: Final = frozenset({"ref", "range", "index", "ref_or_null"})


def check(context: PlanContext) -> Iterator[Finding]:
    """For each index scan that throws away ten times what it keeps, and 1,000 rows or more."""
    for step in context.steps():
        counted = _COUNTS[context.plan.system](context, step)
        if counted is not None:
            yield _finding(context, step.node, *counted)


def _finding(context: PlanContext, node: PlanNode, read: float, kept: float | None) -> Finding:
    comparisons = context.compared_in(node)
    index = node.index or _index_below(node)
    evidence: dict[str, str | int | float | bool] = {
        "table": node.relation,
        "index": index,
        "rows_read": round(read),
    }
    if kept is not None:
        evidence["rows_kept"] = round(kept)
    if "used_key_parts" in node.details:
        evidence["used_key_parts"] = node.details["used_key_parts"]
    outcome = "" if kept is None else f", {kept:,.0f} are kept"
    return context.found(
        RULE,
        f"{index or 'An index'} leads to {read:,.0f} rows of {node.relation}{outcome}.",
        evidence,
        advice=context.index_on(node, comparisons) or None,
    )


def _index_below(node: PlanNode) -> str:
    return next((inner.index for inner in node.walk() if inner.index), "")


def _postgresql(context: PlanContext, step: Step) -> tuple[float, float] | None:
    node = step.node
    if node.kind not in _INDEX_SCANS:
        return None
    if node.actual_rows is None:
        return _walk(context, step)
    loops = node.loops or 0.0
    kept, removed = node.actual_rows * loops, (node.removed_rows or 0.0) * loops
    if removed < _MIN_ROWS or removed < _TIMES * max(1.0, kept):
        return None
    return kept + removed, kept


def _walk(context: PlanContext, step: Step) -> tuple[float, float] | None:
    """A walk along the index for its order alone, until enough rows have passed the filter."""
    node = step.node
    limit = next((above for above in step.above if above.kind == "Limit"), None)
    rows = context.rows_of(node.relation)
    is_walk = "Filter" in node.details and "Index Cond" not in node.details
    if limit is None or not is_walk or rows is None or rows <= _LARGE_TABLE or not node.rows:
        return None
    wanted = min(limit.rows or 1.0, node.rows)
    read = wanted * rows / node.rows
    return (read, wanted) if read >= _MIN_ROWS and read > _TIMES * wanted else None


def _mysql(_context: PlanContext, step: Step) -> tuple[float, float] | None:
    node = step.node
    if node.kind not in _INDEX_ACCESS or not node.index or "update" in node.details:
        return None
    if node.actual_rows is not None and node.removed_rows is not None:
        loops = node.loops or 0.0
        kept = node.actual_rows * loops
        read = kept + node.removed_rows * loops
    else:
        told = node.details.get("rows_examined_per_scan", node.details.get("rows"))
        if not isinstance(told, int | float) or node.rows is None:
            return None
        read, kept = float(told), node.rows
    return (read, kept) if read > _MIN_ROWS and kept < _MAX_KEPT * read else None


def _sqlite(context: PlanContext, step: Step) -> tuple[float, None] | None:
    """A scan along an index for its order, where the statement compares another column."""
    node = step.node
    rows = context.rows_of(node.relation)
    if node.kind != "SCAN" or not node.index or "covering" in node.details:
        return None
    if rows is None or rows <= _LARGE_TABLE or not context.compared_in(node):
        return None
    return float(rows), None


_COUNTS: Final = {"postgresql": _postgresql, "mysql": _mysql, "mariadb": _mysql, "sqlite": _sqlite}
