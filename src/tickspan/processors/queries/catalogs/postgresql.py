"""PostgreSQL's catalog: the schema with its statistics, and `pg_stat_statements`. Reads only."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tickspan.analysis.plans.admission import MARKER
from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.analysis.sql.schema import Column, ForeignKey, Index, Schema, Table
from tickspan.processors.queries.catalogs.connection import Connection, rows

__all__ = [
    "CountedStatement",
    "read_index_built_s",
    "read_schema",
    "read_statements",
    "read_statistics_age_s",
]

_TABLES: Final = """
SELECT c.oid, n.nspname, c.relname, c.relkind = 'p',
       CASE WHEN c.relkind = 'p'
            THEN (SELECT sum(greatest(leaf.reltuples, 0)) FROM pg_catalog.pg_partition_tree(c.oid) part
                  JOIN pg_catalog.pg_class leaf ON leaf.oid = part.relid WHERE part.isleaf)
            WHEN c.reltuples >= 0 THEN c.reltuples END,
       CASE WHEN c.relkind = 'p'
            THEN (SELECT sum(pg_catalog.pg_relation_size(part.relid))
                  FROM pg_catalog.pg_partition_tree(c.oid) part WHERE part.isleaf)
            ELSE pg_catalog.pg_relation_size(c.oid) END,
       pg_catalog.pg_stat_get_mod_since_analyze(c.oid),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_depend d
             JOIN pg_catalog.pg_attribute a ON a.attrelid = d.objid AND a.attnum = d.objsubid
             WHERE c.relkind = 'p' AND d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
               AND d.objsubid > 0 AND d.refobjid = c.oid AND d.refobjsubid = 0 ORDER BY a.attnum),
       ARRAY(SELECT leaf.relname::text FROM pg_catalog.pg_partition_tree(c.oid) part
             JOIN pg_catalog.pg_class leaf ON leaf.oid = part.relid
             WHERE c.relkind = 'p' AND part.isleaf ORDER BY leaf.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY n.nspname, c.relname
"""
_COLUMNS: Final = """
SELECT DISTINCT ON (a.attrelid, a.attnum)
       a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       s.n_distinct, s.null_frac, s.avg_width, s.correlation, s.most_common_freqs
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stats s
       ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
WHERE c.relkind IN ('r', 'p', 'm') AND a.attnum > 0 AND NOT a.attisdropped
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY a.attrelid, a.attnum, s.inherited DESC NULLS LAST
"""
_INDEXES: Final = """
SELECT i.indrelid, c.relname, m.amname, i.indisunique, i.indisprimary, i.indisvalid,
       pg_catalog.pg_get_expr(i.indpred, i.indrelid, true), i.indnkeyatts,
       ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, k, true)
             FROM pg_catalog.generate_series(1, i.indnatts) k ORDER BY k),
       i.indoption::int[], pg_catalog.pg_relation_size(i.indexrelid),
       pg_catalog.pg_stat_get_numscans(i.indexrelid)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY c.relname
"""
_FOREIGN_KEYS: Final = """
SELECT k.conrelid, n.nspname, t.relname,
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(number, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number
             ORDER BY place),
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY u(number, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number
             ORDER BY place)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class t ON t.oid = k.confrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
ORDER BY k.conname
"""
_STATEMENTS: Final = """
SELECT s.query, s.calls, s.rows, s.total_exec_time / 1000, pg_catalog.current_database()
FROM {extension}.pg_stat_statements s
WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND s.toplevel AND s.query !~* '{own}'
ORDER BY s.total_exec_time DESC
LIMIT {limit}
"""
_MOST_STATEMENTS: Final = 5_000
_OF_TOOLS: Final = (
    rf"{re.escape(MARKER)}|\mpg_catalog\.|\minformation_schema\.|\mhypopg_|\mfrom \S*pg_stat_statements\M"
)
"""Questions of ours, and of others who look after a server: no program's workload. As PostgreSQL matches."""

_DESCENDING: Final = 1


class CountedStatement(NamedTuple):
    """A statement as a server has counted it.

    Attributes:
        sql: its text, with `$1` for each constant.
        calls: how often it ran.
        rows: that it handed out, or changed.
        total_s: seconds it took in all.
        database: that it ran in.
    """

    sql: str
    calls: int
    rows: int
    total_s: float
    database: str


def read_schema(connection: Connection) -> Schema:
    """Ordinary, partitioned and materialised tables of every namespace but the system's."""
    columns: defaultdict[int, list[Sequence[Any]]] = defaultdict(list)
    for row in rows(connection, _COLUMNS):
        columns[row[0]].append(row[1:])
    indexes: defaultdict[int, list[Sequence[Any]]] = defaultdict(list)
    for row in rows(connection, _INDEXES):
        indexes[row[0]].append(row[1:])
    keys: defaultdict[int, list[ForeignKey]] = defaultdict(list)
    for oid, namespace, name, here, there in rows(connection, _FOREIGN_KEYS):
        keys[oid].append(ForeignKey(tuple(here), f"{namespace}.{name}", tuple(there)))
    ((path,),) = rows(connection, "SELECT pg_catalog.current_schemas(false)::text[]")
    tables = (
        _table(row, columns[row[0]], indexes[row[0]], keys[row[0]]) for row in rows(connection, _TABLES)
    )
    return Schema(tuple(tables), path[0] if path else "", tuple(path))


def read_statistics_age_s(connection: Connection) -> float:
    """Seconds for which `Index.scans` were counted; since the server's start where nobody reset them."""
    ((age,),) = rows(
        connection,
        "SELECT extract(epoch FROM"
        " now() - coalesce(stats_reset, pg_catalog.pg_postmaster_start_time()))::float"
        " FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()",
    )
    return float(age)


def read_index_built_s(connection: Connection, name: str) -> float | None:
    """When an index became what it is, in seconds since 1970: by the transaction that made it valid.

    None where there is no such index, and where the server keeps no such times (`track_commit_timestamp`).

    Args:
        connection: to ask.
        name: with its namespace, quoted where it needs that.
    """
    place = name.replace("'", "''")
    found = rows(
        connection,
        "SELECT CASE WHEN pg_catalog.current_setting('track_commit_timestamp') = 'on'"  # noqa: S608 - quoted
        " THEN extract(epoch FROM pg_catalog.pg_xact_commit_timestamp(i.xmin))::float END"
        f" FROM pg_catalog.pg_index i WHERE i.indexrelid = pg_catalog.to_regclass('{place}')",
    )
    return None if not found or found[0][0] is None else float(found[0][0])


def read_statements(connection: Connection) -> list[CountedStatement]:
    """What `pg_stat_statements` has of this database, the most expensive first; at most 5,000 statements.

    Without those that read the catalog, ours among them. What other accounts ran may be hidden: its text then
    is `<insufficient privilege>`.

    Raises:
        LookupError: the extension is not there; the message says what to do.
    """
    found = rows(
        connection,
        "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e"
        " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'",
    )
    if not found:
        raise LookupError(
            "pg_stat_statements is not there: add it to shared_preload_libraries, restart the server, "
            "and run CREATE EXTENSION pg_stat_statements"
        )
    text = _STATEMENTS.format(extension=found[0][0], limit=_MOST_STATEMENTS, own=_OF_TOOLS)
    counted = rows(connection, text)
    return [
        CountedStatement(sql, int(calls), int(count), float(total_s), str(database))
        for sql, calls, count, total_s, database in counted
    ]


def _table(
    row: Sequence[Any],
    columns: Sequence[Sequence[Any]],
    indexes: Sequence[Sequence[Any]],
    keys: Sequence[ForeignKey],
) -> Table:
    _oid, namespace, name, is_partitioned, tuples, size, modified, partition_key, partitions = row
    full_name = f"{namespace}.{name}"
    count = None if tuples is None else int(tuples)
    return Table(
        name=full_name,
        columns=tuple(_column(column, count) for column in columns),
        indexes=tuple(_index(index, full_name) for index in indexes),
        foreign_keys=tuple(keys),
        rows=count,
        size_bytes=None if size is None else int(size),
        modified_since_analyze=None if modified is None else int(modified),
        is_partitioned=is_partitioned,
        partition_key=tuple(partition_key),
        partitions=tuple(partitions),
    )


def _column(row: Sequence[Any], rows_of_table: int | None) -> Column:
    name, written_type, is_nullable, distinct, null_fraction, width, correlation, fractions = row
    return Column(
        name=name,
        type=written_type.lower(),
        is_nullable=is_nullable,
        distinct=_distinct(distinct, rows_of_table),
        null_fraction=null_fraction,
        width_bytes=width,
        correlation=correlation,
        common_fractions=tuple(fractions or ()),
    )


def _distinct(written: float | None, count: int | None) -> float | None:
    """`pg_stats.n_distinct`: below zero it is minus the share of rows."""
    if written is None or written == 0:
        return None
    if written > 0:
        return float(written)
    return None if count is None else -written * count


def _index(row: Sequence[Any], table: str) -> Index:
    name, method, is_unique, is_primary, is_valid, predicate, key_count, columns, options, size, scans = row
    keys = [
        f"{_bare(column)} DESC" if option & _DESCENDING and method == "btree" else _bare(column)
        for column, option in zip(columns[:key_count], options, strict=False)
    ]
    return Index(
        name=name,
        table=table,
        columns=tuple(keys),
        includes=tuple(_bare(column) for column in columns[key_count:]),
        method=method,
        predicate="" if predicate is None else _without_literals(predicate),
        is_unique=is_unique,
        is_primary=is_primary,
        is_valid=is_valid,
        size_bytes=int(size),
        scans=None if scans is None else int(scans),
    )


def _bare(column: str) -> str:
    """A column without its quotes; an expression without what it holds of data."""
    if column.startswith('"') and column.endswith('"'):
        return column[1:-1].replace('""', '"')
    return _without_literals(column) if "(" in column else column


def _without_literals(expression: str) -> str:
    return canonicalise(f"SELECT {expression}", Dialect.POSTGRESQL).text.removeprefix("SELECT ")
