"""Other advisors' rules, asked of the same hypopg: what they would create for a workload."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations

from tickspan.analysis.indexes import IndexSpec, WorkloadQuery
from tickspan.analysis.indexes.access import read
from tickspan.analysis.indexes.candidates import is_provided
from tickspan.analysis.indexes.whatif import Estimate, WhatIf
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.schema import Schema


class Counted:
    """A what-if that counts what it is asked, and asks the same only once."""

    def __init__(self, whatif: WhatIf, schema: Schema) -> None:
        self._whatif = whatif
        self._schema = schema
        self._tables: dict[str, frozenset[str]] = {}
        self._known: dict[tuple[str, frozenset[IndexSpec]], Estimate] = {}
        self.explains = 0

    def used(self, query: WorkloadQuery, indexes: Iterable[IndexSpec]) -> Estimate:
        """See `WhatIf.used`."""
        if query.fingerprint not in self._tables:
            tables = read(query.sql, self._schema, Dialect.POSTGRESQL).tables
            self._tables[query.fingerprint] = frozenset(tables)
        offered = [spec for spec in indexes if spec.table in self._tables[query.fingerprint]]
        question = (query.fingerprint, frozenset(offered))
        if question not in self._known:
            self.explains += 1
            self._known[question] = self._whatif.used(query, offered)
        return self._known[question]

    def size(self, index: IndexSpec) -> int | None:
        """See `WhatIf.size`."""
        return self._whatif.size(index)

    def share(self, index: IndexSpec) -> float:
        """See `WhatIf.share`."""
        return self._whatif.share(index)


def dexter(queries: Sequence[WorkloadQuery], schema: Schema, whatif: WhatIf) -> list[IndexSpec]:
    """Dexter's rule: single columns, then pairs; a statement's indexes are kept if they halve its cost."""
    kept: dict[IndexSpec, None] = {}
    for query in queries:
        columns = _compared(query, schema)
        first = whatif.used(query, ()).cost
        singly = whatif.used(query, _new(schema, [(table, (name,)) for table, name in columns]))
        pairs = [
            (table, (one, other)) for (table, one), (same, other) in permutations(columns, 2) if table == same
        ]
        in_pairs = whatif.used(query, _new(schema, [*((t, (n,)) for t, n in columns), *pairs]))
        if in_pairs.cost < singly.cost * 0.5 and singly.cost > 100:
            kept |= dict.fromkeys(_sorted(in_pairs))
        elif singly.cost < first * 0.5 and first > 100:
            kept |= dict.fromkeys(_sorted(singly))
    return list(kept)


def index_advisor(queries: Sequence[WorkloadQuery], schema: Schema, whatif: WhatIf) -> list[IndexSpec]:
    """index_advisor's rule: of single columns of all tables in a statement, those its plan then uses."""
    kept: dict[IndexSpec, None] = {}
    for query in queries:
        tables = [schema.table(name) for name in read(query.sql, schema, Dialect.POSTGRESQL).tables]
        columns = [
            (table.name, (column.name,)) for table in tables if table is not None for column in table.columns
        ]
        first = whatif.used(query, ()).cost
        estimate = whatif.used(query, _new(schema, columns))
        if estimate.cost < first:
            kept |= dict.fromkeys(_sorted(estimate))
    return list(kept)


def every_compared_column(
    queries: Sequence[WorkloadQuery], schema: Schema, whatif: WhatIf
) -> list[IndexSpec]:
    """The rule of thumb: an index for each column in a WHERE or a join."""
    del whatif
    return list(
        dict.fromkeys(
            spec
            for query in queries
            for spec in _new(schema, [(table, (name,)) for table, name in _compared(query, schema)])
        )
    )


def best_singles(queries: Sequence[WorkloadQuery], schema: Schema, whatif: WhatIf) -> list[IndexSpec]:
    """The strongest of its kind: columns one after another, each the best for the whole workload."""
    pool = every_compared_column(queries, schema, whatif)
    first = {query: whatif.used(query, ()).cost for query in queries}
    now = dict(first)
    kept: list[IndexSpec] = []
    while pool:
        scored = [
            (sum(whatif.used(query, [*kept, spec]).cost / first[query] for query in queries), spec)
            for spec in pool
        ]
        best, spec = min(scored, key=lambda item: item[0])
        before = sum(now[query] / first[query] for query in queries)
        if before - best < 0.002 * len(queries):
            break
        kept.append(spec)
        pool.remove(spec)
        now = {query: whatif.used(query, kept).cost for query in queries}
    return kept


def _compared(query: WorkloadQuery, schema: Schema) -> list[tuple[str, str]]:
    """Columns in conditions, joins and ORDER BY, with their tables."""
    return list(
        dict.fromkeys(
            (access.table, name.removesuffix(" DESC"))
            for access in read(query.sql, schema, Dialect.POSTGRESQL).accesses
            for name in (*access.equals, *access.joins, *access.ranges, *access.prefixed, *access.order)
        )
    )


def _new(schema: Schema, columns: Iterable[tuple[str, tuple[str, ...]]]) -> list[IndexSpec]:
    specs = dict.fromkeys(IndexSpec(table, keys) for table, keys in columns)
    return [spec for spec in specs if not is_provided(spec, schema.table(spec.table))]


def _sorted(estimate: Estimate) -> list[IndexSpec]:
    return sorted(estimate.used, key=repr)
