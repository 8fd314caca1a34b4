"""SQLite's catalog: the schema of a file, and the statistics that ANALYZE left. Reads only, without a row."""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.analysis.sql.schema import Column, ForeignKey, Index, Schema, Table
from tickspan.processors.queries.catalogs.connection import rows

__all__ = ["read_schema"]

_NAMESPACE: Final = "main"
_TABLES: Final = """
SELECT m.name FROM sqlite_schema m
WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND m.sql NOT LIKE 'create virtual%'
ORDER BY m.name
"""
_COLUMNS: Final = """
SELECT m.name, c.name, c.type, c."notnull", c.pk
FROM sqlite_schema m JOIN pragma_table_xinfo(m.name) c
WHERE m.type = 'table' AND c.hidden IN (0, 2, 3) ORDER BY m.name, c.cid
"""
_INDEXES: Final = """
SELECT m.name, i.name, i."unique", i.origin, s.sql
FROM sqlite_schema m JOIN pragma_index_list(m.name) i
LEFT JOIN sqlite_schema s ON s.type = 'index' AND s.name = i.name
WHERE m.type = 'table' ORDER BY m.name, i.seq
"""
_KEYS: Final = """
SELECT i.name, k.name, k."desc", k.cid
FROM sqlite_schema m JOIN pragma_index_list(m.name) i JOIN pragma_index_xinfo(i.name) k
WHERE m.type = 'table' AND k.key ORDER BY i.name, k.seqno
"""
_FOREIGN_KEYS: Final = """
SELECT m.name, f.id, f."table", f."from", f."to"
FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f
WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq
"""
_HAS_STATISTICS: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'"
_STATISTICS: Final = "SELECT tbl, idx, stat FROM sqlite_stat1"
_EXPRESSION: Final = -2
_BODY: Final = re.compile(r"\bON\s+[^(]+\(", re.IGNORECASE)


def read_schema(connection: sqlite3.Connection) -> Schema:
    """Tables of the main database; virtual ones are left out.

    Row counts and distinct values come from `sqlite_stat1`; both are None where ANALYZE never ran.
    """
    catalog = _Catalog(connection)
    return Schema(tuple(catalog.table(name) for (name,) in rows(connection, _TABLES)), _NAMESPACE)


class _Catalog:
    """Everything, read once; what belongs to a table is picked from it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._columns = rows(connection, _COLUMNS)
        self._indexes = rows(connection, _INDEXES)
        self._keys = rows(connection, _KEYS)
        self._foreign_keys = rows(connection, _FOREIGN_KEYS)
        has_statistics = bool(rows(connection, _HAS_STATISTICS))
        statistics = rows(connection, _STATISTICS) if has_statistics else []
        self._statistics = {
            (table, index): [int(number) for number in str(stat).split() if number.isdigit()]
            for table, index, stat in statistics
        }

    def table(self, name: str) -> Table:
        indexes = tuple(self._index(row) for row in self._indexes if row[0] == name)
        count = self._count(name)
        key = tuple(row for row in self._columns if row[0] == name and row[4])
        if len(key) == 1 and not any(index.is_primary for index in indexes):
            rowid = Index("rowid", name, (key[0][1],), is_unique=True, is_primary=True)
            indexes = (rowid, *indexes)
        return Table(
            name=name,
            columns=tuple(
                Column(
                    name=column,
                    type=str(kind).lower(),
                    is_nullable=not (not_null or in_key),
                    distinct=self._distinct(name, column, indexes),
                )
                for table, column, kind, not_null, in_key in self._columns
                if table == name
            ),
            indexes=indexes,
            foreign_keys=tuple(self._keys_of(name)),
            rows=count,
        )

    def _count(self, table: str) -> int | None:
        counts = [numbers[0] for (name, _), numbers in self._statistics.items() if name == table and numbers]
        return max(counts, default=None)

    def _distinct(self, table: str, column: str, indexes: tuple[Index, ...]) -> float | None:
        """From an index that the column is the first key of: rows, divided by rows for each value."""
        for index in indexes:
            if index.columns[:1] not in {(column,), (f"{column} DESC",)}:
                continue
            numbers = self._statistics.get((table, index.name), [])
            if len(numbers) > 1 and numbers[1]:
                return numbers[0] / numbers[1]
            if index.is_unique and len(index.columns) == 1:
                return self._count(table)
        return None

    def _index(self, row: tuple[str, str, int, str, str | None]) -> Index:
        table, name, is_unique, origin, sql = row
        written = _key_texts(sql or "")
        keys = [
            (written[place] if column == _EXPRESSION and place < len(written) else str(key), descending)
            for place, (_, key, descending, column) in enumerate(
                item for item in self._keys if item[0] == name
            )
        ]
        return Index(
            name=name,
            table=table,
            columns=tuple(f"{key} DESC" if descending else key for key, descending in keys),
            predicate=_predicate(sql or ""),
            is_unique=bool(is_unique),
            is_primary=origin == "pk",
        )

    def _keys_of(self, table: str) -> list[ForeignKey]:
        found: dict[int, tuple[str, list[tuple[str, str | None]]]] = {}
        for name, number, target, here, there in self._foreign_keys:
            if name == table:
                found.setdefault(number, (target, []))[1].append((here, there))
        return [
            ForeignKey(
                tuple(here for here, _ in pairs),
                target,
                tuple(there for _, there in pairs if there) or self._primary_key(target),
            )
            for target, pairs in found.values()
        ]

    def _primary_key(self, table: str) -> tuple[str, ...]:
        """What a foreign key without columns means."""
        key = sorted((row[4], row[1]) for row in self._columns if row[0] == table and row[4])
        return tuple(name for _, name in key)


def _key_texts(sql: str) -> list[str]:
    """The keys between the brackets of CREATE INDEX, without literals."""
    start = _BODY.search(sql)
    if start is None:
        return []
    depth, items, begun = 1, list[str](), start.end()
    for at in range(start.end(), len(sql)):
        depth += (sql[at] == "(") - (sql[at] == ")")
        if not depth or (depth == 1 and sql[at] == ","):
            items.append(_without_literals(sql[begun:at]))
            begun = at + 1
        if not depth:
            break
    return items


def _predicate(sql: str) -> str:
    start = _BODY.search(sql)
    if start is None:
        return ""
    depth = 1
    for at in range(start.end(), len(sql)):
        depth += (sql[at] == "(") - (sql[at] == ")")
        if not depth:
            _, word, predicate = sql[at + 1 :].partition("WHERE")
            if not word:
                _, word, predicate = sql[at + 1 :].partition("where")
            return _without_literals(predicate) if word else ""
    return ""


def _without_literals(expression: str) -> str:
    text = canonicalise(f"SELECT {expression.strip()}", Dialect.SQLITE).text
    return text.removeprefix("SELECT ").removesuffix(" DESC").removesuffix(" desc")
