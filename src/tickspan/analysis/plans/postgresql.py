"""PostgreSQL's plans: `EXPLAIN (FORMAT JSON)` with whatever options, and what auto_explain writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tickspan.analysis.plans.document import (
    Json,
    PlanFormatError,
    as_list,
    as_mapping,
    as_number,
    as_text,
    load,
    scalar,
)
from tickspan.analysis.plans.model import Plan, PlanNode, PlanSource, Trigger
from tickspan.analysis.plans.redact import redact
from tickspan.analysis.sql import Dialect

__all__ = ["plan_of", "read_plan"]

_MS: Final = 1e-3
_PLACES: Final = {
    name: place for place, name in enumerate(("Outer", "Inner", "Member", "Subquery", "InitPlan", "SubPlan"))
}
"""Where a child stands, by `Parent Relationship`: init plans come first in the document, and last here."""
_FIELDS: Final = frozenset(
    {
        *("Node Type", "Relation Name", "Alias", "Index Name", "Plan Rows", "Total Cost"),
        *("Actual Rows", "Actual Loops", "Plans"),
    }
)
_REMOVED: Final = (
    "Rows Removed by Filter",
    "Rows Removed by Index Recheck",
    "Rows Removed by Join Filter",
)


def read_plan(text: str, source: PlanSource) -> Plan:
    """The plan in a text of JSON. Raises `PlanFormatError`."""
    return plan_of(load(text), source)


def plan_of(document: object, source: PlanSource) -> Plan:
    """The plan in a decoded document: a list with one plan, or the plan's object.

    It is redacted here, so what it is called with may hold data. Raises `PlanFormatError`.
    """
    clean = redact(document, Dialect.POSTGRESQL)
    outer = as_mapping(_only(clean))
    root = as_mapping(outer.get("Plan"))
    if not as_text(root.get("Node Type")):
        raise PlanFormatError("expected PostgreSQL's EXPLAIN (FORMAT JSON), got JSON without a Plan")
    node = _node(root)
    return Plan(
        system="postgresql",
        root=node,
        source=source,
        cost=node.cost,
        planning_s=_seconds(outer, "Planning Time"),
        execution_s=_execution(outer, root),
        triggers=tuple(_trigger(as_mapping(one)) for one in as_list(outer.get("Triggers"))),
    )


def _only(document: Json) -> object:
    items = as_list(document)
    return items[0] if len(items) == 1 else document


def _node(members: Mapping[str, object]) -> PlanNode:
    children = [as_mapping(child) for child in as_list(members.get("Plans"))]
    children.sort(key=lambda child: _PLACES.get(as_text(child.get("Parent Relationship")), len(_PLACES)))
    return PlanNode(
        kind=as_text(members.get("Node Type")),
        relation=as_text(members.get("Relation Name")),
        alias=as_text(members.get("Alias")),
        index=as_text(members.get("Index Name")),
        rows=as_number(members.get("Plan Rows")),
        cost=as_number(members.get("Total Cost")),
        actual_rows=as_number(members.get("Actual Rows")),
        loops=as_number(members.get("Actual Loops")),
        removed_rows=_removed(members),
        details=_details(members),
        children=tuple(_node(child) for child in children),
    )


def _details(members: Mapping[str, object]) -> dict[str, str | int | float | bool]:
    details = {
        name: value
        for name, raw in members.items()
        if name not in _FIELDS and (value := scalar(raw)) is not None
    }
    on_disk = sum(_kilobytes_on_disk(part) for part in (members, *_parts(members)))
    if on_disk:
        details |= {"Sort Space Type": "Disk", "Sort Space Used": on_disk}
    return details


def _parts(members: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """What a sort says of its workers, or of groups that were sorted one by one."""
    yield from (as_mapping(worker) for worker in as_list(members.get("Workers")))
    for name in ("Full-sort Groups", "Pre-sorted Groups"):
        yield as_mapping(members.get(name))


def _kilobytes_on_disk(part: Mapping[str, object]) -> float:
    if part.get("Sort Space Type") == "Disk":
        return as_number(part.get("Sort Space Used")) or 0.0
    return as_number(as_mapping(part.get("Sort Space Disk")).get("Peak Sort Space Used")) or 0.0


def _removed(members: Mapping[str, object]) -> float | None:
    counted = [number for name in _REMOVED if (number := as_number(members.get(name))) is not None]
    return sum(counted) if counted else None


def _seconds(members: Mapping[str, object], name: str) -> float | None:
    milliseconds = as_number(members.get(name))
    return None if milliseconds is None else milliseconds * _MS


def _execution(outer: Mapping[str, object], root: Mapping[str, object]) -> float | None:
    """auto_explain writes no `Execution Time`: there the root's time is the nearest."""
    told = _seconds(outer, "Execution Time")
    return _seconds(root, "Actual Total Time") if told is None else told


def _trigger(members: Mapping[str, object]) -> Trigger:
    return Trigger(
        name=as_text(members.get("Trigger Name")) or as_text(members.get("Constraint Name")),
        relation=as_text(members.get("Relation")),
        calls=int(as_number(members.get("Calls")) or 0),
        time_s=_seconds(members, "Time"),
    )
