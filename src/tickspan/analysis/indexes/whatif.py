"""What-if: how a database would plan a statement if it had indexes that it does not have."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from tickspan.analysis.indexes.model import IndexSpec, WorkloadQuery

__all__ = ["Estimate", "NoPlan", "WhatIf"]


class NoPlan(Exception):  # noqa: N818 - an answer: many statements of a workload cannot be planned
    """The database would not plan a statement; the message is one line without a literal."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the planner says of one statement.

    Attributes:
        cost: of the whole statement, in the planner's units; above 0.
        used: those of the asked-for indexes that its plan reads.
    """

    cost: float
    used: frozenset[IndexSpec]


class WhatIf(Protocol):
    """Plans with hypothetical indexes beside the real ones. Nobody but its own connection sees them."""

    def used(self, query: WorkloadQuery, indexes: Collection[IndexSpec]) -> Estimate:
        """Plan a statement as if these indexes, and of hypothetical ones no others, were there.

        An index that the database cannot imagine (a GIN for hypopg) counts as absent.

        Raises:
            NoPlan: it cannot be planned.
        """
        ...

    def size(self, index: IndexSpec) -> int | None:
        """Bytes that it would take on disk, estimated; None when that is not known."""
        ...

    def share(self, index: IndexSpec) -> float:
        """Share of its table's rows that it would hold, 0 to 1, estimated; less than 1 for a partial one."""
        ...
