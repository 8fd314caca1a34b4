"""Index advice for a workload: from its text alone, or proved by plans with hypothetical indexes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tickspan.analysis.findings import Confidence
from tickspan.analysis.indexes.access import Access, NotUnderstood, Reading, read
from tickspan.analysis.indexes.candidates import best_guess, candidates, covers, trigram
from tickspan.analysis.indexes.ddl import column_of, create, drop, family_of, identity, index_names
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

_WORD: Final = re.compile(r"\w+")
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
        untried: indexes that would help besides, by the text alone, and that no what-if can try; not within
            a limit of storage.
        explains: how often the planner was asked.
        read: how many statements were understood.
        not_understood: how many were not.
    """

    advice: tuple[IndexAdvice, ...]
    queries: tuple[QueryChange, ...] = ()
    unknown: tuple[str, ...] = ()
    untried: tuple[IndexAdvice, ...] = ()
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
    trigrams = _trigrams(readings, schema, dialect)
    if whatif is None:
        if not len(schema):
            unknown.append("no schema: existing indexes and row counts unknown")
        guesses = _guesses(readings, schema, dialect)
        writer = _Writer([*guesses, *trigrams], schema, dialect)
        return WorkloadAnalysis(
            tuple(writer.guessed(guess, access, readings) for guess, access in guesses.items()),
            unknown=tuple(unknown),
            untried=tuple(writer.untried(spec, served) for spec, served in trigrams.items()),
            read=counts[0],
            not_understood=counts[1],
        )
    selection = select(
        _tasks(readings, schema, dialect),
        whatif,
        Limits(storage_bytes),
        penalty=_WriteCost(readings, dialect, whatif.share).share,
        progress=tell,
    )
    unknown += [
        f"{_label(query)}: {selection.unplanned[query.fingerprint]}"
        for query in readings
        if query.fingerprint in selection.unplanned
    ]
    writer = _Writer([*(chosen.index for chosen in selection.indexes), *trigrams], schema, dialect)
    return WorkloadAnalysis(
        advice=tuple(writer.proved(chosen, selection, readings) for chosen in selection.indexes),
        queries=_changes(readings, selection, writer.names),
        unknown=tuple(unknown),
        untried=tuple(writer.untried(spec, served) for spec, served in trigrams.items()),
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


def _trigrams(
    readings: Mapping[WorkloadQuery, Reading], schema: Schema, dialect: Dialect
) -> dict[IndexSpec, tuple[str, ...]]:
    """Indexes for searches inside of texts, with the fingerprints of the statements that search."""
    found: dict[IndexSpec, tuple[str, ...]] = {}
    for query, reading in readings.items():
        specs = (trigram(access, schema.table(access.table), dialect) for access in reading.accesses)
        for spec in dict.fromkeys(specs):
            if spec is not None:
                found[spec] = (*found.get(spec, ()), query.fingerprint)
    return found


# -- from the text alone


def _guesses(
    readings: Mapping[WorkloadQuery, Reading], schema: Schema, dialect: Dialect
) -> dict[IndexSpec, Access]:
    """Of each statement's shape, without those that others contain; each with the first that asks for it."""
    guesses: dict[IndexSpec, Access] = {}
    for reading in readings.values():
        for access in reading.accesses:
            guess = best_guess(access, schema.table(access.table), dialect)
            if guess is not None:
                guesses.setdefault(guess, access)
    return {
        spec: access
        for spec, access in guesses.items()
        if not any(spec != other and covers(spec, other) for other in guesses)
    }


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


class _Writer:
    """Writes advice: names that differ, DDL, and why.

    Args:
        specs: all that is advised together.
        schema: of its database.
        dialect: of the DDL.
    """

    def __init__(self, specs: Sequence[IndexSpec], schema: Schema, dialect: Dialect) -> None:
        self._schema = schema
        self._dialect = dialect
        families = [family_of(spec, self._partitions(spec)) for spec in specs]
        self.names = index_names(families, _taken(schema))

    def guessed(
        self, spec: IndexSpec, access: Access, readings: Mapping[WorkloadQuery, Reading]
    ) -> IndexAdvice:
        """By the shape of the statements that it is for."""
        served = (query.fingerprint for query, reading in readings.items() if self._serves(spec, reading))
        return self._advice(spec, _shape(spec, access), tuple(served))

    def untried(self, spec: IndexSpec, served: tuple[str, ...]) -> IndexAdvice:
        """A trigram index for searches inside of texts."""
        why = "reads every row. It could not be tried: no what-if has GIN."
        return self._advice(spec, f"LIKE '%...%' on {column_of(spec.keys[0])} {why}", served)

    def proved(
        self, chosen: Selected, selection: Selection, readings: Mapping[WorkloadQuery, Reading]
    ) -> IndexAdvice:
        """By what a planner made of it."""
        costs = {
            query.fingerprint: (
                selection.before[query.fingerprint],
                selection.after[query.fingerprint].cost,
            )
            for query in readings
            if _is_served(query, chosen.index, selection)
        }
        plain = self._advice(chosen.index, _gains(costs), tuple(costs))
        size = plain.size_bytes if chosen.size_bytes is None else chosen.size_bytes
        return replace(plain, confidence=Confidence.WHAT_IF, costs=costs, size_bytes=size)

    def _serves(self, spec: IndexSpec, reading: Reading) -> bool:
        guesses = (
            best_guess(access, self._schema.table(access.table), self._dialect) for access in reading.accesses
        )
        return any(guess is not None and covers(guess, spec) for guess in guesses)

    def _advice(self, spec: IndexSpec, reason: str, served: tuple[str, ...]) -> IndexAdvice:
        table = self._schema.table(spec.table)
        is_partitioned = table is not None and table.is_partitioned
        return IndexAdvice(
            id=identity(spec, f"{self._dialect} {self._schema.default_namespace}"),
            index=spec,
            name=self.names[spec],
            ddl=create(
                spec,
                self._dialect,
                is_partitioned=is_partitioned,
                partitions=self._partitions(spec),
                names=self.names,
            ),
            rollback_ddl=drop(spec, self._dialect, is_partitioned=is_partitioned, names=self.names),
            confidence=Confidence.SYNTACTIC,
            reason=f"{reason}{_PARTITIONED}"
            if is_partitioned and self._dialect is Dialect.POSTGRESQL
            else reason,
            size_bytes=None if table is None else btree_bytes(spec, table),
            write_cost_s=_write_s(spec) if self._dialect is Dialect.POSTGRESQL else None,
            fingerprints=served,
        )

    def _partitions(self, spec: IndexSpec) -> tuple[str, ...]:
        """Of a table whose partitions are tables."""
        table = self._schema.table(spec.table)
        is_of_tables = table is not None and self._dialect is Dialect.POSTGRESQL
        return table.partitions if is_of_tables and table is not None else ()


_PARTITIONED: Final = " It becomes valid when the index of every partition is attached."


def _taken(schema: Schema) -> set[str]:
    """Names that an index cannot have, since a table or another index has them."""
    taken: set[str] = set()
    for table in schema:
        namespace, dot, _ = table.name.rpartition(".")
        taken |= {table.name, *(f"{namespace}{dot}{index.name}" for index in table.indexes)}
    return taken


def _write_s(spec: IndexSpec) -> float | None:
    """Seconds that one more index adds to each row written; None when nobody measured it."""
    return {"btree": _BTREE_WRITE_S, "brin": _BRIN_WRITE_S}.get(spec.method)


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
    """What an index costs those who write to its table, as a share of the workload's time.

    Args:
        readings: of the workload.
        dialect: of its database.
        held: the share of a table's rows that an index holds.
    """

    def __init__(
        self,
        readings: Mapping[WorkloadQuery, Reading],
        dialect: Dialect,
        held: Callable[[IndexSpec], float],
    ) -> None:
        self._writes = [
            (query.calls, reading.write) for query, reading in readings.items() if reading.write is not None
        ]
        self._total_s = sum(query.calls * query.mean_s for query in readings)
        self._dialect = dialect
        self._held = held

    def share(self, spec: IndexSpec) -> float:
        """0 where no times are known."""
        writes = [(calls, write) for calls, write in self._writes if write.table == spec.table]
        if not self._total_s or not writes:
            return 0.0
        columns = (
            {column_of(key) for key in spec.keys} | set(spec.includes) | set(_WORD.findall(spec.predicate))
        )
        rows = 0.0
        for calls, write in writes:
            if not write.columns:
                rows += calls * self._held(spec)
            elif columns & set(write.columns):
                rows += calls * _HOT_UPDATE_LOSS
        row_s = _write_s(spec) if self._dialect is Dialect.POSTGRESQL else None
        return rows * (row_s or _BTREE_WRITE_S) / self._total_s


def _is_served(query: WorkloadQuery, index: IndexSpec, selection: Selection) -> bool:
    estimate = selection.after.get(query.fingerprint)
    return estimate is not None and index in estimate.used


def _gains(costs: Mapping[str, tuple[float, float]]) -> str:
    if not costs:
        return "Helps together with the others."
    best = min(after / before for before, after in costs.values())
    count = "1 statement" if len(costs) == 1 else f"{len(costs)} statements"
    return f"Used by {count}; the cost of one falls to {best:.2%} of what it was."


def _changes(
    readings: Mapping[WorkloadQuery, Reading], selection: Selection, names: Mapping[IndexSpec, str]
) -> tuple[QueryChange, ...]:
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
