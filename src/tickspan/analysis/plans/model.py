"""A plan as a tree of nodes, whichever database made it. It holds names and numbers, no literal."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

__all__ = ["Plan", "PlanNode", "PlanSource", "Trigger"]


class PlanSource(enum.StrEnum):
    """Where a plan comes from."""

    AUTO_EXPLAIN = "auto_explain"
    """Written by the server while the statement ran."""
    GENERIC = "generic"
    """Asked for with placeholders in place of values."""
    CUSTOM = "custom"
    """Asked for with values: those of the text, or common ones of the catalog's statistics."""
    ANALYZE = "analyze"
    """The statement was run for it, by a person's wish."""


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One step of a plan.

    Attributes:
        kind: in the database's words: `Seq Scan`, `ALL`, `SCAN`, `Sort`, `Nested Loop`.
        relation: the table that it reads, "" for none.
        alias: under which it is read.
        index: that it uses, "" for none.
        rows: that the planner expects, for one loop.
        cost: total, in the planner's units; None where it has none.
        actual_rows: that came, for one loop; None when it was not run.
        loops: how often it ran.
        removed_rows: read and thrown away by a filter, for one loop.
        details: everything else that is safe, by the database's own keys; expressions are canonical.
        children: in order; the outer side of a join first.
    """

    kind: str
    relation: str = ""
    alias: str = ""
    index: str = ""
    rows: float | None = None
    cost: float | None = None
    actual_rows: float | None = None
    loops: float | None = None
    removed_rows: float | None = None
    details: Mapping[str, str | int | float | bool] = field(
        default_factory=dict[str, "str | int | float | bool"]
    )
    children: tuple[PlanNode, ...] = ()

    def walk(self) -> Iterator[PlanNode]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Trigger:
    """What ran besides the plan's steps: a trigger, or a constraint's check, over all its calls.

    Attributes:
        name: of the trigger, or of the constraint.
        relation: that it is on.
        calls: how often it ran.
        time_s: seconds in all; None when they were not measured.
    """

    name: str
    relation: str
    calls: int
    time_s: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one statement.

    Attributes:
        system: `postgresql`, `mysql`, `mariadb` or `sqlite`.
        root: the last step, which hands the rows out.
        source: how it was got.
        cost: total, in the planner's units; None where the database tells none.
        planning_s: seconds spent planning.
        execution_s: seconds spent running; None when it was not run.
        triggers: that ran with it.
    """

    system: str
    root: PlanNode
    source: PlanSource
    cost: float | None = None
    planning_s: float | None = None
    execution_s: float | None = None
    triggers: tuple[Trigger, ...] = ()

    def nodes(self) -> Iterator[PlanNode]:
        """All of them, parents first."""
        return self.root.walk()

    @property
    def is_measured(self) -> bool:
        """Whether it was run."""
        return self.root.actual_rows is not None

    @property
    def hash(self) -> str:
        """16 hex digits of its shape: steps, tables and indexes, without numbers."""
        shape = repr(_shape(self.root)).encode("utf-8", "surrogatepass")
        return blake2b(shape, digest_size=8).hexdigest()


def _shape(node: PlanNode) -> tuple[object, ...]:
    return (node.kind, node.relation, node.index, *(_shape(child) for child in node.children))
