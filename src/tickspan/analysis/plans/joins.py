"""Which steps of a plan are run again for each row of another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tickspan.analysis.plans.model import Plan, PlanNode

__all__ = ["InnerScan", "inner_scans"]

_THROUGH: Final = frozenset({"Materialize", "Memoize", "Result"})
_HASHED: Final = ("BNLH", "BKAH", "hash join")


@dataclass(frozen=True, slots=True)
class InnerScan:
    """A table that is read from end to end for each row of the join's outer side.

    Attributes:
        node: the scan.
        loops: how often its rows are gone through.
        rows_per_loop: how many that are each time; None when nothing tells.
    """

    node: PlanNode
    loops: float
    rows_per_loop: float | None


def inner_scans(plan: Plan) -> Iterator[InnerScan]:
    """All full scans on the inner side of a nested loop; not those that a hash join reads once."""
    for node in plan.nodes():
        if node.kind == "Nested Loop":
            yield from _postgresql(node)
        elif node.kind == "nested_loop":
            yield from _mysql(node)
        elif plan.system == "sqlite":
            yield from _sqlite(node)


def _postgresql(join: PlanNode) -> Iterator[InnerScan]:
    if len(join.children) < 2:  # noqa: PLR2004 - an outer and an inner side
        return
    outer, inner = join.children[:2]
    scan = inner
    while scan.kind in _THROUGH and scan.children:
        scan = scan.children[0]
    if scan.kind != "Seq Scan":
        return
    if inner.loops is not None:
        kept = inner.actual_rows or 0.0
        yield InnerScan(scan, inner.loops, kept + (inner.removed_rows or 0.0))
    elif outer.rows is not None:
        yield InnerScan(scan, outer.rows, inner.rows)


def _mysql(join: PlanNode) -> Iterator[InnerScan]:
    loops = join.children[0].rows or 1.0
    measured = join.children[0].actual_rows
    for step in join.children[1:]:
        node = step.children[0] if step.kind == "block-nl-join" and step.children else step
        how = f"{step.details.get('join_type', '')} {node.details.get('using_join_buffer', '')}"
        read = node.details.get("rows_examined_per_scan", node.details.get("rows"))
        if node.kind == "ALL" and not any(word in how for word in _HASHED):
            times = step.loops if step.loops is not None and measured is not None else loops
            yield InnerScan(node, times, float(read) if isinstance(read, int | float) else None)
        loops *= step.rows or 1.0


def _sqlite(parent: PlanNode) -> Iterator[InnerScan]:
    """Scans and searches of one level are loops one inside another."""
    accesses = [child for child in parent.children if child.kind in {"SCAN", "SEARCH"}]
    is_list = parent.kind in {"QUERY PLAN", "MATERIALIZE", "CO-ROUTINE"} or "SUBQUERY" in parent.kind
    for node in accesses[1:] if is_list else ():
        if node.kind == "SCAN" and node.relation and not node.index:
            yield InnerScan(node, 2.0, None)
