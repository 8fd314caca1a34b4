"""What-if for SQLite: indexes made in an empty copy in memory, with statistics as if they held the rows.

SQLite tells which indexes a plan uses, but no cost. The cost here is the number of rows that its loops visit:
a search visits as many as `sqlite_stat1` has for each value of its keys, a scan all, a sort n log n.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from tickspan.analysis.indexes.ddl import column_of, definition, quoted
from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.plans.model import Plan, PlanNode
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.schema import Schema, Table
from tickspan.processors.queries.whatif.hypotheses import PREFIX, Hypotheses
from tickspan.processors.queries.whatif.visits import (
    ENTRY_OF_ROW,
    found_by_search,
    rows_of,
    rows_per_value,
    search_cost,
    sort_cost,
)

if TYPE_CHECKING:
    from tickspan.processors.queries.probes.sqlite import SqliteProbe

__all__ = ["SqliteWhatIf"]

_ENTRY_BYTES: Final = 10
_DEFAULT_WIDTH: Final = 10


class SqliteWhatIf(Hypotheses):
    """Plans with indexes that only a copy of the schema has. The file is read once, by the probe.

    One thread at a time.

    Args:
        probe: asks for the plans, in its copy.
        schema: of its file.
    """

    def __init__(self, probe: SqliteProbe, schema: Schema) -> None:
        super().__init__(probe, schema)
        self._copies = probe
        self._clone: sqlite3.Connection | None = None
        self._made = 0

    def size(self, index: IndexSpec) -> int | None:
        """Rows times widths; None where ANALYZE never ran."""
        table = self._schema.table(index.table)
        if table is None or table.rows is None:
            return None
        columns = [table.column(column_of(key)) for key in (*index.keys, *index.includes)]
        width = sum((column and column.width_bytes) or _DEFAULT_WIDTH for column in columns)
        return round(table.rows * self.share(index) * (width + _ENTRY_BYTES))

    def close(self) -> None:
        """Drop them from the copy."""
        if self._clone is not None:
            self._offer(())

    # -- indexes of the copy

    def _offer(self, indexes: Collection[IndexSpec]) -> None:
        self._current()
        super()._offer(indexes)

    def _change(self, gone: Sequence[IndexSpec], new: Sequence[IndexSpec]) -> None:
        clone = self._current()
        clone.execute("PRAGMA query_only = OFF")
        for spec in gone:
            name = self._pop(spec)
            clone.execute(f"DROP INDEX {name}")
            clone.execute("DELETE FROM sqlite_stat1 WHERE idx = ?", (name,))
        for spec in new:
            self._imagine(spec, clone)
        clone.execute("ANALYZE sqlite_schema")
        clone.execute("PRAGMA query_only = ON")

    def _current(self) -> sqlite3.Connection:
        """The probe's copy, which it makes anew now and then; a new one has no index of ours."""
        clone = self._copies.session()
        if clone is not self._clone:
            self._clone = clone
            self._clear()
            known = clone.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchall()
            if not known:
                clone.execute("PRAGMA query_only = OFF")
                clone.execute("ANALYZE")  # makes the table; there is no row to count
        return clone

    def _imagine(self, spec: IndexSpec, clone: sqlite3.Connection) -> None:
        self._made += 1
        name = f"{PREFIX}{self._made}"
        body = definition(spec, Dialect.SQLITE)
        try:
            clone.execute(f"CREATE INDEX {name} ON {quoted(spec.table, Dialect.SQLITE)} {body}")
        except sqlite3.Error:
            self._impossible.add(spec)
            return
        table = self._schema.table(spec.table)
        statistic = " ".join(str(number) for number in rows_per_value((*spec.keys, *spec.includes), table))
        clone.execute("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", (spec.table, name, statistic))
        self._note(spec, name)

    # -- cost

    def _cost(self, plan: Plan) -> float:
        return max(1.0, self._visits(plan.root, 1.0)[0])

    def _visits(self, node: PlanNode, loops: float) -> tuple[float, float]:
        """Rows that are visited below a node, and how many come out of its loops."""
        total = 0.0
        rows = loops
        for child in node.children:
            if child.kind in {"SCAN", "SEARCH"}:
                visited, out = self._access(child)
                total += rows * visited
                rows *= out
                total += self._visits(child, rows)[0]
            elif child.kind == "USE TEMP B-TREE":
                total += sort_cost(rows)
            elif child.kind.startswith("CORRELATED"):
                total += rows * self._visits(child, 1.0)[0]
            else:
                total += self._visits(child, 1.0)[0]
        return total, max(rows, 1.0)

    def _access(self, node: PlanNode) -> tuple[float, float]:
        """Rows that one loop visits, and how many it hands on."""
        table = self._schema.table(node.relation) if node.relation else None
        count = rows_of(table)
        is_covered = bool(node.details.get("covering")) or node.index == "PRIMARY KEY"
        if node.kind == "SCAN":
            return count * (ENTRY_OF_ROW if is_covered else 1.0), float(count)
        terms = [term for term in str(node.details.get("columns", "")).split(" AND ") if term]
        equals = sum("<" not in term and ">" not in term for term in terms)
        per_value = [count, 1] if node.index == "PRIMARY KEY" else self._per_value(node.index, table)
        found = found_by_search(per_value, equals, len(terms) - equals)
        return search_cost(found, count, is_covered=is_covered), max(found, 1.0)

    def _per_value(self, name: str, table: Table | None) -> list[int]:
        found = self._current().execute("SELECT stat FROM sqlite_stat1 WHERE idx = ?", (name,)).fetchone()
        if found:
            return [int(word) for word in str(found[0]).split() if word.isdigit()]
        index = next((index for index in table.indexes if index.name == name), None) if table else None
        if index is None:
            return rows_per_value((), table)
        numbers = rows_per_value(index.columns, table)
        return [*numbers[:-1], 1] if index.is_unique else numbers
