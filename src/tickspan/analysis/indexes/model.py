"""Workload in, advice out: the values that index advice deals in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tickspan.analysis.findings import Confidence

__all__ = ["IndexAdvice", "IndexSpec", "WorkloadQuery"]


@dataclass(frozen=True, slots=True)
class WorkloadQuery:
    """One statement of a workload, and how much of it there is.

    Attributes:
        sql: text that the dialect's parser reads; values may stand in it, and leave it nowhere.
        fingerprint: of its canonical text.
        calls: how often it ran.
        mean_s: seconds it took on average; 0 when that is not known.
        name: what people call it, "" for none.
    """

    sql: str = field(repr=False)
    fingerprint: str
    calls: int = 1
    mean_s: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """An index that could be created.

    Attributes:
        table: as the schema names it.
        keys: columns or expressions in order, ` DESC` behind a descending one.
        includes: columns stored beside the keys.
        method: `btree`, `brin`, …
        predicate: of a partial index, in the dialect's words; "" for a whole one.
    """

    table: str
    keys: tuple[str, ...]
    includes: tuple[str, ...] = ()
    method: str = "btree"
    predicate: str = ""

    @property
    def width(self) -> int:
        """How many keys."""
        return len(self.keys)


@dataclass(frozen=True, slots=True)
class IndexAdvice:
    """One index worth having. Nothing of it is executed by this project.

    Attributes:
        id: 12 hex digits of database, table, keys and predicate: `tickspan queries verify` takes it.
        index: what to create.
        name: of the index, at most 63 bytes.
        ddl: statements that create it without blocking writers, in order.
        rollback_ddl: statements that remove it, in order.
        confidence: what the numbers rest on.
        costs: per fingerprint, (before, after) in the planner's units.
        size_bytes: estimated; None when unknown.
        write_cost_s: seconds added to each row written, estimated; None when unknown.
        reason: one sentence for people.
        fingerprints: of the statements that it is for.
    """

    id: str
    index: IndexSpec
    name: str
    ddl: tuple[str, ...]
    rollback_ddl: tuple[str, ...]
    confidence: Confidence
    reason: str
    costs: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    size_bytes: int | None = None
    write_cost_s: float | None = None
    fingerprints: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(f"{statement};" for statement in self.ddl)
