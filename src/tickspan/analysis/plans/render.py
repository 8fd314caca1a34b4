"""A plan as a tree that people read: one line a step, with cost, rows, loops and its share of the time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from tickspan.analysis.findings import Finding
from tickspan.analysis.plans.model import Plan, PlanNode

__all__ = ["render"]

_SHOWN: Final = (
    *("Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter"),
    *("Sort Key", "Group Key", "Sort Method", "Subplan Name"),
    *("attached_condition", "index_condition", "sort_key", "columns", "message"),
)
"""Details that say what a step does, in this order."""
_MS: Final = 1e3


def render(plan: Plan, findings: Iterable[Finding] = ()) -> str:
    """The plan as text of several lines without a line break at the end.

    Steps on a table that a finding is about are marked `!` (`!!` for errors), and the findings stand below.

    >>> node = PlanNode("Seq Scan", relation="orders", rows=12, cost=40.5)
    >>> print(render(Plan("postgresql", node, PlanSource.GENERIC, cost=40.5)))
    postgresql, generic: cost 40.5
    Seq Scan on orders  cost 40.5  rows 12
    """
    told = list(findings)
    lines = [_head(plan)]
    total_ms = _total_ms(plan)
    for prefix, below, node, processes in _tree(plan.root, "", "", 1.0):
        share = _share(_own_ms(node, processes), total_ms)
        lines.append(prefix + _mark(node, told) + _name(node) + "".join(_figures(node)) + share)
        lines.extend(f"{below}    {name}: {node.details[name]}" for name in _SHOWN if name in node.details)
    lines.extend(
        f"trigger {trigger.name} on {trigger.relation}  calls {trigger.calls}{_time(trigger.time_s)}"
        for trigger in plan.triggers
    )
    lines.extend(f"{_sign(found)} {found.rule}: {found.message} {found.advice}" for found in told)
    return "\n".join(lines)


def _head(plan: Plan) -> str:
    parts = [f"cost {_number(plan.cost)}"] if plan.cost is not None else []
    parts += [f"planned in {plan.planning_s * _MS:.1f} ms"] if plan.planning_s is not None else []
    parts += [f"ran {plan.execution_s * _MS:.1f} ms"] if plan.execution_s is not None else []
    return f"{plan.system}, {plan.source}" + (": " + ", ".join(parts) if parts else "")


def _tree(
    node: PlanNode, prefix: str, below: str, processes: float
) -> Iterator[tuple[str, str, PlanNode, float]]:
    """Each node with what stands before it and its further lines, and how many processes run it at once."""
    yield prefix, below + ("│ " if node.children else ""), node, processes
    inner = _processes(node, processes)
    for place, child in enumerate(node.children, start=1):
        is_last = place == len(node.children)
        yield from _tree(
            child, below + ("└─ " if is_last else "├─ "), below + ("   " if is_last else "│  "), inner
        )


def _processes(node: PlanNode, processes: float) -> float:
    """How many processes run the steps below a node: the leader takes part, too."""
    workers = node.details.get("Workers Launched")
    return processes if not isinstance(workers, int | float) else workers + 1.0


def _name(node: PlanNode) -> str:
    name = node.kind
    if node.index:
        name += f" using {node.index}"
    if node.relation:
        name += f" on {node.relation}"
    if node.alias and node.alias != node.relation:
        name += f" {node.alias}"
    purpose = node.details.get("for") or node.details.get("Join Type")
    return f"{name} ({purpose})" if purpose and purpose != "Inner" else name


def _figures(node: PlanNode) -> Iterator[str]:
    if node.cost is not None:
        yield f"  cost {_number(node.cost)}"
    if node.rows is not None:
        yield f"  rows {_number(node.rows)}"
    if node.actual_rows is not None:
        yield f"{' →' if node.rows is not None else '  rows'} {_number(node.actual_rows)}"
    if node.loops is not None and node.loops != 1:
        yield f"  loops {_number(node.loops)}" if node.loops else "  never run"
    if node.removed_rows:
        yield f"  removed {_number(node.removed_rows)}"
    if node.details.get("Sort Space Type") == "Disk":
        yield f"  on disk {_number(_as_number(node.details.get('Sort Space Used')))} kB"


def _share(own_ms: float | None, total_ms: float | None) -> str:
    if own_ms is None:
        return ""
    return f"  {own_ms:.1f} ms" + (f" {100 * own_ms / total_ms:.0f}%" if total_ms else "")


def _own_ms(node: PlanNode, processes: float) -> float | None:
    """A step's own time, without that of the steps below it."""
    spent = _spent_ms(node, processes)
    if spent is None or not _is_inclusive(node):
        return spent
    return max(0.0, spent - _below_ms(node, _processes(node, processes)))


def _is_inclusive(node: PlanNode) -> bool:
    """MariaDB times its tables and sorts alone, its blocks with all that is in them; PostgreSQL all steps."""
    return node.kind == "query_block" or "Actual Total Time" in node.details


def _below_ms(node: PlanNode, processes: float) -> float:
    """Of all steps below, each counted once.

    Init plans run before, and are counted where they are first asked for: not always in their parent.
    """
    total = 0.0
    for child in node.children:
        if child.details.get("Parent Relationship") != "InitPlan":
            total += _spent_ms(child, processes) or 0.0
            if not _is_inclusive(child):
                total += _below_ms(child, _processes(child, processes))
    return total


def _spent_ms(node: PlanNode, processes: float) -> float | None:
    """Over all loops; what several processes do at once takes its time once."""
    per_loop = node.details.get("Actual Total Time")
    if isinstance(per_loop, int | float):
        return float(per_loop) * (node.loops or 0.0) / processes
    told = [
        float(value)
        for name in ("r_total_time_ms", "r_table_time_ms", "r_other_time_ms")
        if isinstance(value := node.details.get(name), int | float)
    ]
    return sum(told) if told else None


def _total_ms(plan: Plan) -> float | None:
    if plan.execution_s is not None:
        return plan.execution_s * _MS
    return _spent_ms(plan.root, 1.0)


def _mark(node: PlanNode, findings: Iterable[Finding]) -> str:
    """Of the worst finding about this step's table, or about its kind where it reads none."""
    about = [found for found in findings if _is_about(found, node)]
    return f"{_sign(max(about, key=lambda found: found.severity))} " if about else ""


def _is_about(found: Finding, node: PlanNode) -> bool:
    table, step = found.evidence.get("table"), found.evidence.get("step")
    if step is not None and step != node.kind:
        return False
    return (bool(table) and table == node.relation) or (not table and step == node.kind)


def _sign(found: Finding) -> str:
    return "!!" if found.severity.letter in "EC" else "!"


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"  {seconds * _MS:.1f} ms"


def _as_number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.2f}".rstrip("0").rstrip(".")  # noqa: PLR2004 - three digits tell enough
