"""A sort or a hash that did not fit into its memory, or a temporary table that may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans.context import PlanContext, Step
from tickspan.analysis.plans.model import PlanNode

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "spill",
    Severity.WARNING,
    "Rows are sorted or grouped outside of memory.",
    "Create an index that has the order, or give this statement more memory.",
)
_MIN_ROWS: Final = 10_000
_KIB_PER_MIB: Final = 1024


def check(context: PlanContext) -> Iterator[Finding]:
    """For each step that went to disk, or whose temporary table takes more than 10,000 rows."""
    for step in context.steps():
        found = _CHECKS[context.plan.system](context, step)
        if found is not None:
            yield found


def _postgresql(context: PlanContext, step: Step) -> Finding | None:
    node = step.node
    details = node.details
    if node.kind in {"Sort", "Incremental Sort"} and details.get("Sort Space Type") == "Disk":
        used_kib = _number(details.get("Sort Space Used"))
        return _spilled(context, node, "sorted on disk", used_kib, used_kib * 3)
    batches = max(_number(details.get("Hash Batches")), _number(details.get("HashAgg Batches")))
    if batches > 1:
        used_kib = _number(details.get("Disk Usage")) or _number(details.get("Peak Memory Usage")) * batches
        return _spilled(context, node, f"hashed in {batches:.0f} batches", used_kib, used_kib * 2)
    return None


def _spilled(context: PlanContext, node: PlanNode, how: str, used_kib: float, wanted_kib: float) -> Finding:
    """On disk, rows take about a third of their room in memory."""
    wanted_mib = max(8, 1 << (int(wanted_kib) // _KIB_PER_MIB).bit_length())
    return context.found(
        RULE,
        f"{node.kind} {how}: {used_kib / _KIB_PER_MIB:,.1f} MiB.",
        {"step": node.kind, "size_kib": round(used_kib)},
        advice=f"SET LOCAL work_mem = '{wanted_mib}MB' in this transaction, or an index that has the order.",
    )


def _mysql(context: PlanContext, step: Step) -> Finding | None:
    node = step.node
    passes = _number(node.details.get("r_sort_passes"))
    if passes:
        return context.found(
            RULE,
            f"A sort went over the disk in {passes:.0f} passes.",
            {"step": node.kind, "sort_passes": round(passes)},
            advice="Raise sort_buffer_size for this session, or create an index that has the order.",
        )
    uses_table = node.kind == "temporary_table" or node.details.get("using_temporary_table") is True
    rows = node.actual_rows if node.actual_rows is not None else node.rows
    if not uses_table or rows is None or rows <= _MIN_ROWS:
        return None
    return context.found(
        RULE,
        f"A temporary table takes {rows:,.0f} rows.",
        {"step": node.kind, "rows": round(rows)},
        advice="Create an index in the order of GROUP BY or ORDER BY; tmp_table_size bounds it in memory.",
    )


def _sqlite(context: PlanContext, step: Step) -> Finding | None:
    """A temporary B-tree beside the scan of a large table; a LIMIT bounds one that only sorts."""
    node, parent = step.node, step.parent
    if node.kind != "USE TEMP B-TREE" or parent is None:
        return None
    text = context.statement.text.upper() if context.statement else ""
    if "ORDER BY" in str(node.details.get("for")) and " LIMIT " in text:
        return None
    scans = [child for child in parent.children if child.kind == "SCAN"]
    rows, table = max(
        ((context.rows_of(scan.relation) or 0, scan.relation) for scan in scans), default=(0, "")
    )
    if rows <= _MIN_ROWS:
        return None
    return context.found(
        RULE,
        f"{table} with {rows:,} rows goes through a temporary B-tree for {node.details['for']}.",
        {"table": table, "rows": rows, "step": f"{node.kind} FOR {node.details['for']}"},
        advice="Create an index in the order of GROUP BY or ORDER BY.",
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


_CHECKS: Final = {"postgresql": _postgresql, "mysql": _mysql, "mariadb": _mysql, "sqlite": _sqlite}
