"""Index advice for a workload: from its text alone, or proved by plans with hypothetical indexes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan.analysis.findings import Confidence
from tickspan.analysis.indexes.access import Access, NotUnderstood, Reading, read
from tickspan.analysis.indexes.candidates import best_guess, candidates, covers, trigram_hint
from tickspan.analysis.indexes.ddl import column_of, create, drop, identity, index_name
from tickspan.analysis.indexes.library import Task
from tickspan.analysis.indexes.model import IndexAdvice, IndexSpec, WorkloadQuery
from tickspan.analysis.indexes.select import Limits, Selected, Selection, select, weights
from tickspan.analysis.indexes.sizes import btree_bytes
from tickspan.analysis.indexes.whatif import WhatIf
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.schema import Schema

__all__ = ["QueryChange", "WorkloadAnalysis", "advise", "tasks_of"]

_BTREE_WRITE_S: Final = 2.8e-6
"""Added to each row written by one more B-tree of PostgreSQL: 2.0 µs without, 24.2 with eight."""

_BRIN_WRITE_S: Final = 0.1e-6
_HOT_UPDATE_LOSS: Final = 2.0
"""An update of an indexed column cannot be heap-only: every index of the table gets an entry."""


@dataclass(frozen=True, slots=True)
class QueryChange:
    """What the advice does to one statement.

    Attributes:
        query: the statement.
        weight: its share of the workload, 0 to 1.
        before: its cost now, in the planner's units.
        after: its cost with all indexes that are advised.
        indexes: names of those that its plan then uses.
    """

    query: WorkloadQuery
    weight: float
    before: float
    after: float
    indexes: tuple[str, ...]

    @property
    def relative(self) -> float:
        """Cost that is left, as a share of the cost before."""
        return self.after / self.before


@dataclass(frozen=True, slots=True)
class WorkloadAnalysis:
    """Advice for a workload.

    Attributes:
        advice: indexes worth having, the most valuable first.
        queries: what they do to each statement that was planned, the heaviest first; none without a what-if.
        unknown: what could not be told and why, one line each.
        hints: what else would help that no what-if can try, one line each.
        explains: how often the planner was asked.
        read: how many statements were understood.
        not_understood: how many were not.
    """

    advice: tuple[IndexAdvice, ...]
    queries: tuple[QueryChange, ...] = ()
    unknown: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    explains: int = 0
    read: int = 0
    not_understood: int = 0

    @property
    def relative_cost(self) -> float | None:
        """Geometric mean of the cost that is left to each statement, by weight; None without plans."""
        whole = sum(change.weight for change in self.queries)
        if not whole:
            return None
        return math.exp(sum(change.weight * math.log(change.relative) for change in self.queries) / whole)

    @property
    def size_bytes(self) -> int | None:
        """Of all advised indexes; None when one's is not known."""
        sizes = [advice.size_bytes for advice in self.advice]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


def advise(
    queries: Sequence[WorkloadQuery],
    schema: Schema,
    dialect: Dialect,
    *,
    whatif: WhatIf | None = None,
    storage_bytes: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> WorkloadAnalysis:
    """Which indexes a workload is missing.

    Without a what-if the advice is what a statement's shape asks for: columns of equality, then of a range or
    of ORDER BY, with confidence `syntactic`. With one, every advised index lowers the cost of some statement
    by 30 % or more, and all together are worth what writing to them costs.

    Args:
        queries: of one database. What is not understood is listed in `unknown`; the rest goes on.
        schema: what is known of its tables; an empty one when nothing is.
        dialect: of the statements, and of the DDL.
        whatif: plans with hypothetical indexes.
        storage_bytes: that all advised indexes may take together; None for any. Needs a what-if.
        progress: told what goes on, one line at a time, without literals.

    Raises:
        ValueError: `storage_bytes` is below zero.
    """
    if storage_bytes is not None and storage_bytes < 0:
        raise ValueError(f"expected storage_bytes of 0 or more, got {storage_bytes}")
    tell = progress or _silent
    unknown: list[str] = []
    readings: dict[WorkloadQuery, Reading] = {}
    for query in _once_each(queries):
        try:
            readings[query] = read(query.sql, schema, dialect)
        except NotUnderstood as error:
            unknown.append(f"{_label(query)}: {error}")
    counts = len(readings), len(unknown)
    tell(f"{counts[0]} statement{'' if counts[0] == 1 else 's'} to look at")
    hints = _hints(readings.values(), dialect)
    if whatif is None:
        if not len(schema):
            unknown.append("no schema: existing indexes and row counts unknown")
        return WorkloadAnalysis(
            _from_text(readings, schema, dialect),
            unknown=tuple(unknown),
            hints=hints,
            read=counts[0],
            not_understood=counts[1],
        )
    selection = select(
        _tasks(readings, schema, dialect),
        whatif,
        Limits(storage_bytes),
        penalty=_WriteCost(readings).share,
        progress=tell,
    )
    unknown += [
        f"{_label(query)}: {selection.unplanned[query.fingerprint]}"
        for query in readings
        if query.fingerprint in selection.unplanned
    ]
    return WorkloadAnalysis(
        advice=tuple(
            _advice_of(chosen, selection, readings, schema, dialect) for chosen in selection.indexes
        ),
        queries=_changes(readings, selection),
        unknown=tuple(unknown),
        hints=hints,
        explains=selection.explains,
        read=counts[0],
        not_understood=counts[1],
    )


def _silent(_line: str) -> None: ...


def _label(query: WorkloadQuery) -> str:
    return query.name or query.fingerprint


def _once_each(queries: Iterable[WorkloadQuery]) -> list[WorkloadQuery]:
    """One query for each fingerprint: calls added up, the time averaged, the first text kept."""
    found: dict[str, WorkloadQuery] = {}
    for query in queries:
        known = found.get(query.fingerprint)
        found[query.fingerprint] = query if known is None else _added(known, query)
    return list(found.values())


def _added(one: WorkloadQuery, other: WorkloadQuery) -> WorkloadQuery:
    calls = one.calls + other.calls
    total_s = one.calls * one.mean_s + other.calls * other.mean_s
    return WorkloadQuery(one.sql, one.fingerprint, calls, total_s / calls if calls else 0.0, one.name)


def _hints(readings: Iterable[Reading], dialect: Dialect) -> tuple[str, ...]:
    told = (trigram_hint(access, dialect) for reading in readings for access in reading.accesses)
    return tuple(dict.fromkeys(hint for hint in told if hint))


# -- from the text alone


def _from_text(
    readings: Mapping[WorkloadQuery, Reading], schema: Schema, dialect: Dialect
) -> tuple[IndexAdvice, ...]:
    guesses: dict[IndexSpec, Access] = {}
    for reading in readings.values():
        for access in reading.accesses:
            guess = best_guess(access, schema.table(access.table), dialect)
            if guess is not None:
                guesses.setdefault(guess, access)
    kept = [spec for spec in guesses if not any(spec != other and covers(spec, other) for other in guesses)]
    return tuple(_advice(spec, schema, dialect, _shape(spec, guesses[spec])) for spec in kept)


def _shape(spec: IndexSpec, access: Access) -> str:
    served = [
        f"{word} {', '.join(columns)}"
        for word, columns in (
            ("equality on", _among(spec, access.equals)),
            ("a join on", _among(spec, access.joins)),
            ("a range of", _among(spec, access.ranges)),
            ("order by", tuple(key for key in spec.keys if key in access.order)),
            ("comparison of", tuple(key for key in spec.keys if key in access.expressions)),
        )
        if columns
    ]
    return f"Serves {', '.join(served)}."


def _among(spec: IndexSpec, columns: Sequence[str]) -> tuple[str, ...]:
    keys = {column_of(key) for key in spec.keys}
    return tuple(column for column in columns if column in keys)


def _advice(spec: IndexSpec, schema: Schema, dialect: Dialect, reason: str) -> IndexAdvice:
    table = schema.table(spec.table)
    is_partitioned = table is not None and table.is_partitioned
    return IndexAdvice(
        id=identity(spec, f"{dialect} {schema.default_namespace}"),
        index=spec,
        name=index_name(spec),
        ddl=create(
            spec,
            dialect,
            is_partitioned=is_partitioned,
            partitions=() if table is None else table.partitions,
        ),
        rollback_ddl=drop(spec, dialect, is_partitioned=is_partitioned),
        confidence=Confidence.SYNTACTIC,
        reason=f"{reason}{_PARTITIONED}" if is_partitioned and dialect is Dialect.POSTGRESQL else reason,
        size_bytes=None if table is None else btree_bytes(spec, table),
        write_cost_s=_write_s(spec, dialect),
    )


_PARTITIONED: Final = " It becomes valid when the index of every partition is attached."


def _write_s(spec: IndexSpec, dialect: Dialect) -> float | None:
    if dialect is not Dialect.POSTGRESQL:
        return None
    return _BRIN_WRITE_S if spec.method == "brin" else _BTREE_WRITE_S


# -- with a what-if


def tasks_of(queries: Sequence[WorkloadQuery], schema: Schema, dialect: Dialect) -> list[Task]:
    """What `select` takes, for statements that are all understood. Raises `NotUnderstood`."""
    return _tasks({query: read(query.sql, schema, dialect) for query in queries}, schema, dialect)


def _tasks(readings: Mapping[WorkloadQuery, Reading], schema: Schema, dialect: Dialect) -> list[Task]:
    queries = list(readings)
    return [
        _task(query, weight, readings[query], schema, dialect)
        for query, weight in zip(queries, weights(queries), strict=True)
        if readings[query].accesses
    ]


def _task(query: WorkloadQuery, weight: float, reading: Reading, schema: Schema, dialect: Dialect) -> Task:
    tables = [
        (access, table) for access in reading.accesses if (table := schema.table(access.table)) is not None
    ]
    guesses = (best_guess(access, table, dialect) for access, table in tables)
    return Task(
        query=query,
        weight=weight,
        candidates=_flat(candidates(access, table, dialect) for access, table in tables),
        guesses=tuple(dict.fromkeys(guess for guess in guesses if guess is not None)),
    )


def _flat(groups: Iterable[tuple[IndexSpec, ...]]) -> tuple[IndexSpec, ...]:
    return tuple(dict.fromkeys(spec for group in groups for spec in group))


class _WriteCost:
    """What an index costs those who write to its table, as a share of the workload's time."""

    def __init__(self, readings: Mapping[WorkloadQuery, Reading]) -> None:
        self._writes = [
            (query.calls, reading.write) for query, reading in readings.items() if reading.write is not None
        ]
        self._total_s = sum(query.calls * query.mean_s for query in readings)

    def share(self, spec: IndexSpec) -> float:
        """0 where no times are known."""
        if not self._total_s:
            return 0.0
        columns = {column_of(key) for key in spec.keys} | set(spec.includes)
        rows = 0.0
        for calls, write in self._writes:
            if write.table != spec.table:
                continue
            if not write.columns:
                rows += calls
            elif columns & set(write.columns):
                rows += calls * _HOT_UPDATE_LOSS
        return rows * _BTREE_WRITE_S / self._total_s


def _advice_of(
    chosen: Selected,
    selection: Selection,
    readings: Mapping[WorkloadQuery, Reading],
    schema: Schema,
    dialect: Dialect,
) -> IndexAdvice:
    plain = _advice(chosen.index, schema, dialect, "")
    served = [query for query in readings if _is_served(query, chosen.index, selection)]
    costs = {
        query.fingerprint: (
            selection.before[query.fingerprint],
            selection.after[query.fingerprint].cost,
        )
        for query in served
    }
    return IndexAdvice(
        id=plain.id,
        index=plain.index,
        name=plain.name,
        ddl=plain.ddl,
        rollback_ddl=plain.rollback_ddl,
        confidence=Confidence.WHAT_IF,
        reason=f"{_gains(costs)}{plain.reason}",
        costs=costs,
        size_bytes=plain.size_bytes if chosen.size_bytes is None else chosen.size_bytes,
        write_cost_s=plain.write_cost_s,
    )


def _is_served(query: WorkloadQuery, index: IndexSpec, selection: Selection) -> bool:
    estimate = selection.after.get(query.fingerprint)
    return estimate is not None and index in estimate.used


def _gains(costs: Mapping[str, tuple[float, float]]) -> str:
    if not costs:
        return "Helps together with the others."
    best = min(after / before for before, after in costs.values())
    count = "1 statement" if len(costs) == 1 else f"{len(costs)} statements"
    return f"Used by {count}; the cost of one falls to {best:.2%} of what it was."


def _changes(readings: Mapping[WorkloadQuery, Reading], selection: Selection) -> tuple[QueryChange, ...]:
    names = {chosen.index: index_name(chosen.index) for chosen in selection.indexes}
    queries = list(readings)
    changes = [
        QueryChange(
            query,
            weight,
            selection.before[query.fingerprint],
            selection.after[query.fingerprint].cost,
            tuple(sorted(names[spec] for spec in selection.after[query.fingerprint].used if spec in names)),
        )
        for query, weight in zip(queries, weights(queries), strict=True)
        if query.fingerprint in selection.after
    ]
    return tuple(sorted(changes, key=lambda change: -change.weight))
