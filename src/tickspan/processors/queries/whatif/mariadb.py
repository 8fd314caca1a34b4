"""What-if for MariaDB: empty twins of the tables in a scratch schema, with the statistics of the real ones.

MariaDB plans by `mysql.table_stats`, `column_stats` and `index_stats` where they are filled, whatever rows a
table has. MySQL 8 has no such tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

from tickspan.analysis.indexes.ddl import column_of, definition
from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.plans.model import Plan, PlanNode
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.schema import Schema, Table
from tickspan.processors.queries.catalogs.connection import rows
from tickspan.processors.queries.probes.mysql import MysqlProbe
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
    import pymysql

__all__ = ["MariadbWhatIf"]

_DEFAULT_WIDTH: Final = 8
_ENTRY_BYTES: Final = 20
_FILL: Final = 0.7
"""How full InnoDB's pages are after inserts in no order."""

_STATISTICS: Final = {
    "table_stats": "table_name, cardinality",
    "column_stats": (
        "table_name, column_name, min_value, max_value, nulls_ratio, avg_length, avg_frequency, hist_size,"
        " hist_type, histogram"
    ),
}

_SORTS: Final = frozenset({"filesort", "temporary_table"})
_SINGLE: Final = frozenset({"eq_ref", "const", "system", "unique_subquery"})
_HANDS_ON: Final = frozenset(
    {"nested_loop", "read_sorted_file", "filesort", "temporary_table", "block-nl-join", "query_block"}
)
_IN_THE_LOOP: Final = frozenset({"block-nl-join", "expression_cache", "filesort", "read_sorted_file"})


class MariadbWhatIf(Hypotheses):
    """Plans with indexes on empty twins, which `close` drops together with their statistics.

    One thread at a time.

    Args:
        dsn: of an account that may create tables in `scratch` and write the statistics tables of `mysql`.
        schema: of the database that `dsn` names.
        scratch: name of a schema that exists and is empty; nothing else is written to.

    Raises:
        LookupError: `scratch` is not there or not empty, or the server is no MariaDB; the message says which.
        Unreachable: there is no connection.
    """

    def __init__(self, dsn: str, schema: Schema, scratch: str) -> None:
        self._scratch = scratch
        self._real = MysqlProbe(dsn)
        self._session: pymysql.Connection[Any] = self._real.session()
        _refuse(self._session, scratch, schema.default_namespace)
        self._planner = MysqlProbe(_with_database(dsn, scratch))
        super().__init__(self._planner, schema)
        with self._planner.session().cursor() as cursor:
            cursor.execute("SET SESSION optimizer_switch = 'index_merge=off'")  # the twins' dives mislead it
        self._twins: list[str] = []
        self._made = 0
        try:
            for table in schema:
                self._make_twin(table)
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<MariadbWhatIf {len(self._twins)} twins, {len(self._names)} hypothetical indexes>"

    def size(self, index: IndexSpec) -> int | None:
        """Rows times widths, the primary key's with them; None when the rows are not known."""
        table = self._schema.table(index.table)
        if table is None or table.rows is None:
            return None
        primary = [key for known in table.indexes if known.is_primary for key in known.columns]
        names = dict.fromkeys(column_of(key) for key in (*index.keys, *index.includes, *primary))
        columns = [table.column(name) for name in names]
        width = sum((column and column.width_bytes) or _DEFAULT_WIDTH for column in columns)
        return int(table.rows * (width + _ENTRY_BYTES) / _FILL)

    def close(self) -> None:
        """Drop the twins and forget their statistics."""
        twins, self._twins = self._twins, []
        self._clear()
        with suppress(OSError):
            for name in twins:
                self._do(f"DROP TABLE IF EXISTS {_quoted(self._scratch)}.{_quoted(name)}")
            self._forget()
        self._real.close()
        self._planner.close()

    # -- twins

    def _make_twin(self, table: Table) -> None:
        bare = table.name.rpartition(".")[2]
        here = f"{_quoted(self._scratch)}.{_quoted(bare)}"
        self._do(f"CREATE TABLE {here} LIKE {_quoted(self._schema.default_namespace)}.{_quoted(bare)}")
        self._twins.append(bare)
        count = rows_of(table)
        self._do("REPLACE INTO mysql.table_stats VALUES (%s, %s, %s)", self._scratch, bare, count)
        for column in table.columns:
            each = rows_per_value((column.name,), table)[1]
            self._do(
                "REPLACE INTO mysql.column_stats"
                " (db_name, table_name, column_name, nulls_ratio, avg_length, avg_frequency)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                *(self._scratch, bare, column.name),
                *(column.null_fraction or 0.0, column.width_bytes or _DEFAULT_WIDTH, each),
            )
        self._copy_statistics(bare)
        for index in table.indexes:
            self._tell(bare, index.name, index.columns, table)
        self._flush(bare)

    def _copy_statistics(self, bare: str) -> None:
        """What ANALYZE … PERSISTENT left for the real table, histograms included, takes their place."""
        real = self._schema.default_namespace
        for name, columns in _STATISTICS.items():
            marks = ", ".join(["%s"] * (columns.count(",") + 2))
            with self._session.cursor() as cursor:
                cursor.execute(
                    f"SELECT {columns} FROM mysql.{name}"  # noqa: S608 - our own names
                    " WHERE db_name = %s AND table_name = %s",
                    (real, bare),
                )
                found = cursor.fetchall()
                for row in found:
                    cursor.execute(
                        f"REPLACE INTO mysql.{name} (db_name, {columns}) VALUES ({marks})",  # noqa: S608 - the same
                        (self._scratch, *row),
                    )

    def _tell(self, bare: str, name: str, keys: Sequence[str], table: Table) -> None:
        """Rows for each value of the first key, of the first two, and so on."""
        for arity, number in enumerate(rows_per_value(keys, table)[1:], 1):
            self._do(
                "REPLACE INTO mysql.index_stats VALUES (%s, %s, %s, %s, %s)",
                *(self._scratch, bare, name, arity, number),
            )

    def _flush(self, bare: str) -> None:
        self._do(f"FLUSH TABLES {_quoted(self._scratch)}.{_quoted(bare)}")

    def _forget(self) -> None:
        for name in ("table_stats", "column_stats", "index_stats"):
            self._do(f"DELETE FROM mysql.{name} WHERE db_name = %s", self._scratch)  # noqa: S608 - the same

    # -- indexes of the twins

    def _change(self, gone: Sequence[IndexSpec], new: Sequence[IndexSpec]) -> None:
        changed: dict[str, None] = {}
        for spec in gone:
            name, bare = self._pop(spec), spec.table.rpartition(".")[2]
            self._do(f"DROP INDEX {name} ON {_quoted(self._scratch)}.{_quoted(bare)}")
            self._do(
                "DELETE FROM mysql.index_stats WHERE db_name = %s AND table_name = %s AND index_name = %s",
                *(self._scratch, bare, name),
            )
            changed[bare] = None
        for spec in new:
            if self._imagine(spec):
                changed[spec.table.rpartition(".")[2]] = None
        for bare in changed:
            self._flush(bare)

    def _imagine(self, spec: IndexSpec) -> bool:
        import pymysql  # the probe has it already

        table = self._schema.table(spec.table)
        if table is None:
            return False
        self._made += 1
        name, bare = f"{PREFIX}{self._made}", spec.table.rpartition(".")[2]
        here = f"{_quoted(self._scratch)}.{_quoted(bare)}"
        try:
            self._do(f"CREATE INDEX {name} ON {here} {definition(spec, Dialect.MYSQL)}")
        except pymysql.err.OperationalError:
            self._impossible.add(spec)
            return False
        self._tell(bare, name, (*spec.keys, *spec.includes), table)
        self._note(spec, name)
        return True

    # -- cost

    def _cost(self, plan: Plan) -> float:
        return max(1.0, self._visits(plan.root, 1.0)[0])

    def _visits(self, node: PlanNode, loops: float) -> tuple[float, float]:
        """Rows that are visited at and below a node, and how many come out of it."""
        total, rows = 0.0, loops
        for child in node.children:
            if child.relation:
                visited, out = self._access(child)
                total += rows * visited
                rows *= out
            else:
                starts = rows if child.kind in _IN_THE_LOOP else 1.0
                below, out = self._visits(child, starts)
                total += below
                rows = out if child.kind in _HANDS_ON else rows
        if node.kind in _SORTS:
            total += sort_cost(rows)
        return total, max(rows, 1.0)

    def _access(self, node: PlanNode) -> tuple[float, float]:
        """Rows that one loop visits, and how many it hands on.

        A range or a constant is estimated by diving into the index, and the twin's is empty: the plan's own
        numbers stand for scans only.
        """
        table = self._schema.table(node.relation.rpartition(".")[2])
        count = rows_of(table)
        filtered = float(node.details.get("filtered", 100.0)) / 100.0
        if node.kind == "ALL":
            return float(count), max(1.0, count * filtered)
        is_covered = bool(node.details.get("using_index")) or node.index == "PRIMARY"
        if node.kind == "index":
            return count * (ENTRY_OF_ROW if is_covered else 1.0), max(1.0, count * filtered)
        if node.kind in _SINGLE:
            return search_cost(1.0, count, is_covered=is_covered), 1.0
        parts = [part.strip() for part in str(node.details.get("used_key_parts", "")).split(",")]
        bounds = int(node.kind == "range")
        found = found_by_search(rows_per_value(parts, table), len(parts) - bounds, bounds)
        return search_cost(found, count, is_covered=is_covered), max(1.0, found)

    def _do(self, sql: str, *values: object) -> None:
        with self._session.cursor() as cursor:
            cursor.execute(sql, values or None)


def _refuse(session: pymysql.Connection[Any], scratch: str, real: str) -> None:
    """Raise `LookupError` where twins cannot or must not be made."""
    ((version,),) = rows(session, "SELECT version()")
    if "mariadb" not in str(version).lower():
        raise LookupError("MySQL plans by no statistics that could be copied: what-if needs MariaDB")
    names = {str(name).casefold() for (name,) in rows(session, "SHOW DATABASES")}
    if scratch.casefold() == real.casefold():
        raise LookupError("the scratch schema is the database itself: name another, empty one")
    if scratch.casefold() not in names:
        raise LookupError(f"there is no schema {scratch}: CREATE DATABASE {_quoted(scratch)}")
    if rows(session, f"SHOW TABLES FROM {_quoted(scratch)}"):
        raise LookupError(f"the schema {scratch} is not empty: name one that is for this alone")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _with_database(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{quote(database, safe='')}"))
