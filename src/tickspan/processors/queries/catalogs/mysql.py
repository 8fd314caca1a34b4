"""The catalog of MySQL and MariaDB: the schema of the current database, with what statistics there are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from tickspan.analysis.sql.schema import Column, ForeignKey, Index, Schema, Table
from tickspan.processors.queries.catalogs.connection import Connection, rows

__all__ = ["read_schema"]

_TABLES: Final = """
SELECT table_name, table_rows, data_length, create_options LIKE '%partitioned%'
FROM information_schema.tables
WHERE table_schema = database() AND table_type = 'BASE TABLE' ORDER BY table_name
"""
_COLUMNS: Final = """
SELECT table_name, column_name, column_type, is_nullable = 'YES', character_maximum_length
FROM information_schema.columns WHERE table_schema = database() ORDER BY table_name, ordinal_position
"""
_INDEXES: Final = """
SELECT table_name, index_name, non_unique, column_name, collation, sub_part, cardinality, index_type
FROM information_schema.statistics WHERE table_schema = database()
ORDER BY table_name, index_name, seq_in_index
"""
_FOREIGN_KEYS: Final = """
SELECT table_name, constraint_name, column_name, referenced_table_schema, referenced_table_name,
       referenced_column_name
FROM information_schema.key_column_usage
WHERE table_schema = database() AND referenced_table_name IS NOT NULL
ORDER BY table_name, constraint_name, ordinal_position
"""
_PARTITIONS: Final = """
SELECT table_name, partition_name, partition_expression FROM information_schema.partitions
WHERE table_schema = database() AND partition_name IS NOT NULL
ORDER BY table_name, partition_ordinal_position
"""
_QUOTED: Final = re.compile(r"`([^`]+)`")
_COLUMN_STATISTICS: Final = """
SELECT table_name, column_name, nulls_ratio, avg_length, avg_frequency
FROM mysql.column_stats WHERE db_name = database()
"""
_METHODS: Final = {"FULLTEXT": "fulltext", "SPATIAL": "rtree", "HASH": "hash"}
_WIDTHS: Final = {
    "tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8, "float": 4, "double": 8,
    "date": 3, "time": 3, "datetime": 8, "timestamp": 4, "year": 1, "enum": 1, "decimal": 8,
}  # fmt: skip


def read_schema(connection: Connection) -> Schema:
    """Base tables of the connection's database.

    Distinct values come from MariaDB's `mysql.column_stats`, where this account may read them, else from the
    cardinality of an index that a column is the first key of.
    """
    ((database,),) = rows(connection, "SELECT coalesce(database(), '')")
    groups = _Groups(connection)
    statistics = _statistics(connection)
    tables = (
        groups.table(str(database), row, statistics.get(str(row[0]), {})) for row in rows(connection, _TABLES)
    )
    return Schema(tuple(tables), str(database))


def _statistics(connection: Connection) -> dict[str, dict[str, Sequence[Any]]]:
    """By table and column: share of NULL, average length, rows for each value. Empty on MySQL."""
    ((has_table,),) = rows(
        connection,
        "SELECT count(*) FROM information_schema.tables"
        " WHERE table_schema = 'mysql' AND table_name = 'column_stats'",
    )
    found: defaultdict[str, dict[str, Sequence[Any]]] = defaultdict(dict)
    for table, column, *values in rows(connection, _COLUMN_STATISTICS) if has_table else ():
        found[str(table)][str(column)] = values
    return found


class _Groups:
    """Columns, indexes and keys by table."""

    def __init__(self, connection: Connection) -> None:
        self._columns = _by_table(rows(connection, _COLUMNS))
        self._indexes = _by_table(rows(connection, _INDEXES))
        self._foreign_keys = _by_table(rows(connection, _FOREIGN_KEYS))
        self._partitions = _by_table(rows(connection, _PARTITIONS))

    def table(self, database: str, row: Sequence[Any], statistics: dict[str, Sequence[Any]]) -> Table:
        name, count, size, is_partitioned = row
        full_name = f"{database}.{name}"
        known = None if count is None else int(count)
        first_keys = {
            str(column): cardinality
            for index, group in _groups(self._indexes[name], 0).items()
            for _, _, column, _, _, cardinality, _ in group[:1]
            if index is not None and cardinality is not None
        }
        return Table(
            name=full_name,
            columns=tuple(
                _column(column, known, statistics.get(str(column[0])), first_keys.get(str(column[0])))
                for column in self._columns[name]
            ),
            indexes=tuple(
                _index(str(index), full_name, group)
                for index, group in _groups(self._indexes[name], 0).items()
            ),
            foreign_keys=tuple(
                _foreign_key(group) for group in _groups(self._foreign_keys[name], 0).values()
            ),
            rows=known,
            size_bytes=None if size is None else int(size),
            is_partitioned=bool(is_partitioned),
            partition_key=tuple(
                dict.fromkeys(
                    column for _, key in self._partitions[name] for column in _QUOTED.findall(str(key))
                )
            ),
            partitions=tuple(str(partition) for partition, _ in self._partitions[name]),
        )


def _by_table(found: list[tuple[Any, ...]]) -> defaultdict[str, list[tuple[Any, ...]]]:
    groups: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for table, *rest in found:
        groups[str(table)].append(tuple(rest))
    return groups


def _groups(found: Sequence[tuple[Any, ...]], place: int) -> dict[Any, list[tuple[Any, ...]]]:
    groups: dict[Any, list[tuple[Any, ...]]] = {}
    for row in found:
        groups.setdefault(row[place], []).append(row)
    return groups


def _column(
    row: Sequence[Any], count: int | None, statistics: Sequence[Any] | None, cardinality: int | None
) -> Column:
    name, kind, is_nullable, longest = row
    written = str(kind).lower()
    distinct = None if cardinality is None else float(cardinality)
    null_fraction = width = None
    if statistics is not None:
        nulls, length, frequency = statistics
        null_fraction = None if nulls is None else float(nulls)
        width = None if length is None else round(float(length))
        if frequency and count:
            distinct = max(1.0, count / float(frequency))
    return Column(
        name=str(name),
        type=written,
        is_nullable=bool(is_nullable),
        distinct=distinct,
        null_fraction=null_fraction,
        width_bytes=_width(written, longest) if width is None else width,
    )


def _width(kind: str, longest: int | None) -> int | None:
    if longest is not None:
        return max(1, min(int(longest), 255) // 2)
    return _WIDTHS.get(kind.partition("(")[0].split(" ")[0])


def _index(name: str, table: str, group: Sequence[Sequence[Any]]) -> Index:
    return Index(
        name=name,
        table=table,
        columns=tuple(_key(column, collation, part) for _, _, column, collation, part, _, _ in group),
        method=_METHODS.get(str(group[0][6]), "btree"),
        is_unique=not group[0][1],
        is_primary=name == "PRIMARY",
    )


def _key(column: str | None, collation: str | None, part: int | None) -> str:
    """A prefix of a column is no column: it neither sorts nor covers."""
    key = "(expression)" if column is None else f"{column}({part})" if part is not None else column
    return f"{key} DESC" if collation == "D" else key


def _foreign_key(group: Sequence[Sequence[Any]]) -> ForeignKey:
    _, _, namespace, target, _ = group[0]
    return ForeignKey(
        tuple(str(row[1]) for row in group),
        f"{namespace}.{target}",
        tuple(str(row[4]) for row in group),
    )
