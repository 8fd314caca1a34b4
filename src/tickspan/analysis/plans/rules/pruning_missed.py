"""A partitioned table is read in all its partitions, though the statement names the key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans.context import PlanContext
from tickspan.analysis.plans.model import PlanNode
from tickspan.analysis.sql.schema import Table

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "pruning_missed",
    Severity.WARNING,
    "All partitions of a table are read, though a condition is on its partition key.",
    "Compare the bare key with values of its own type: no function, cast or arithmetic around the column.",
)
_FEWEST: Final = 2


def check(context: PlanContext) -> Iterator[Finding]:
    """For each partitioned table of which the plan reads every partition, with its key in a condition."""
    partitioned = [
        table for table in context.schema or () if table.partition_key and len(table.partitions) >= _FEWEST
    ]
    for table in partitioned:
        reading = _reading(context, table)
        if len(reading) >= len(table.partitions) and _names_the_key(table, reading):
            yield context.found(
                RULE,
                f"All {len(table.partitions)} partitions of {table.name} are read, though"
                f" {', '.join(table.partition_key)} is in a condition.",
                {
                    "table": table.name,
                    "partitions": len(table.partitions),
                    "partition_key": ", ".join(table.partition_key),
                },
            )


def _reading(context: PlanContext, table: Table) -> dict[str, PlanNode]:
    """The partitions that the plan may read, with a step that reads each."""
    bare = {name.rpartition(".")[2].casefold() for name in table.partitions}
    found: dict[str, PlanNode] = {}
    for step in context.steps():
        node = step.node
        if any(_number(above.details.get("Subplans Removed")) for above in step.above):
            return {}  # pruned when it ran, or will be
        if context.plan.system == "postgresql":
            names = [node.relation]
        else:
            names = str(node.details.get("partitions", "")).split(", ")
        found |= {name.casefold(): node for name in names if name.casefold() in bare}
    return found


def _names_the_key(table: Table, reading: dict[str, PlanNode]) -> bool:
    """In WHERE, by itself or inside an expression; a join's condition cannot prune when it is hashed."""
    key = {name.casefold() for name in table.partition_key}
    return all(
        any(_has_word(str(value).casefold(), name) for name in key for value in _conditions(node))
        for node in reading.values()
    ) and bool(reading)


def _conditions(node: PlanNode) -> Iterator[object]:
    for name in ("Filter", "Index Cond", "Recheck Cond", "attached_condition", "index_condition"):
        if name in node.details:
            yield node.details[name]


def _has_word(text: str, word: str) -> bool:
    return word in text.translate(_TO_BLANKS).split()


_TO_BLANKS: Final = str.maketrans(dict.fromkeys("()[]{},.:=<>!~+-*/%|&^`\"'?", " "))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
