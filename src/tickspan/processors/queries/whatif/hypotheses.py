"""The indexes that a what-if has imagined, whichever database plans with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Final, Self

from tickspan.analysis.indexes.model import IndexSpec, WorkloadQuery
from tickspan.analysis.indexes.sizes import partial_fraction
from tickspan.analysis.indexes.whatif import Estimate, NoPlan
from tickspan.analysis.plans import Plan
from tickspan.analysis.plans.probe import Probe, Refused
from tickspan.analysis.sql.schema import Schema

__all__ = ["PREFIX", "Hypotheses"]

PREFIX: Final = "tickspan_what_if_"
"""Of the names of indexes that are made, where the database does not name them itself."""


class Hypotheses(ABC):
    """A `WhatIf` but for what its database knows alone: how to imagine an index, and what a plan costs.

    One thread at a time; a context manager that forgets the indexes.
    """

    def __init__(self, probe: Probe, schema: Schema) -> None:
        self._probe = probe
        self._schema = schema
        self._names: dict[IndexSpec, str] = {}
        self._specs: dict[str, IndexSpec] = {}
        self._impossible: set[IndexSpec] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._names)} hypothetical indexes>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Forget the hypothetical indexes."""

    @abstractmethod
    def size(self, index: IndexSpec) -> int | None:
        """See `WhatIf.size`."""

    def share(self, index: IndexSpec) -> float:
        """See `WhatIf.share`: an even share of the values of the column in the predicate."""
        table = self._schema.table(index.table)
        return 1.0 if table is None else partial_fraction(index, table)

    def used(self, query: WorkloadQuery, indexes: Collection[IndexSpec]) -> Estimate:
        """See `WhatIf.used`."""
        self._offer(indexes)
        try:
            plan = self._probe.explain(query.sql)
        except Refused as refused:
            raise NoPlan(str(refused)) from None
        named = {name.strip() for node in plan.nodes() for name in node.index.split(",")}
        used = frozenset(self._specs[name] for name in named if name in self._specs)
        return Estimate(self._cost(plan), used)

    def _offer(self, indexes: Collection[IndexSpec]) -> None:
        """Have these and no others."""
        wanted = dict.fromkeys(spec for spec in indexes if spec not in self._impossible)
        gone = [spec for spec in self._names if spec not in wanted]
        new = [spec for spec in wanted if spec not in self._names]
        if gone or new:
            self._change(gone, new)

    @abstractmethod
    def _change(self, gone: Sequence[IndexSpec], new: Sequence[IndexSpec]) -> None:
        """Drop some and make others; those that cannot be made become `_impossible`."""

    @abstractmethod
    def _cost(self, plan: Plan) -> float:
        """What it costs to run, in units of one's own; above 0."""

    def _note(self, spec: IndexSpec, name: str) -> None:
        """It exists under this name."""
        self._names[spec] = name
        self._specs[name] = spec

    def _pop(self, spec: IndexSpec) -> str:
        """It is about to go: its name."""
        name = self._names.pop(spec)
        del self._specs[name]
        return name

    def _clear(self) -> None:
        """None of them exists any more."""
        self._names.clear()
        self._specs.clear()
