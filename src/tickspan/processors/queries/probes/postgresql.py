"""PostgreSQL asked for plans: read-only transactions of a connection of our own, which end in a rollback.

The plan for placeholders is that of a prepared statement under `plan_cache_mode = force_generic_plan`, with
NULL for each value. PostgreSQL 16 has `EXPLAIN (GENERIC_PLAN)` for it; what is done here works from 12 on and
gives the same plan. Everything goes by the extended protocol, where one message holds one statement.

A prepared statement lives in its server's session: behind pgbouncer, connect in session mode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from tickspan.analysis.plans import postgresql
from tickspan.analysis.plans.admission import MARKER, Admitted, CatalogFacts, FunctionFact, admit, judge
from tickspan.analysis.plans.budget import Budget
from tickspan.analysis.plans.document import PlanFormatError
from tickspan.analysis.plans.model import Plan, PlanSource
from tickspan.analysis.plans.placeholders import Place, Role, places
from tickspan.analysis.plans.probe import Refused, Unreachable
from tickspan.analysis.sql import Dialect, Flag
from tickspan.analysis.sql.schema import Schema
from tickspan.processors.queries.catalogs.postgresql import (
    CountedStatement,
    read_index_built_s,
    read_schema,
    read_statements,
)
from tickspan.processors.queries.probes import reasons
from tickspan.processors.queries.probes.question import (
    CATALOG_TIMEOUT_S,
    PLANNING_TIMEOUT_S,
    Overrun,
    missing_driver,
    question,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    import psycopg

__all__ = ["PostgresqlProbe"]

_CONNECT_TIMEOUT_S: Final = 5
_LOCK_TIMEOUT_S: Final = 0.05
_RUN_TIMEOUT_S: Final = 60.0
_MAX_VIEWS: Final = 8
"""Views inside views that are looked at."""
_NAME: Final = "tickspan_probe"
_IN_A_VIEW: Final = "the view "
_COMMENT: Final = f"/* {MARKER} */ "
_REFUSALS: Final[Mapping[str, str]] = {
    "57014": "planning took too long",
    "55P03": "somebody holds a lock on its table",
    "42501": "this account lacks a right on its tables",
    "42P18": "the type of a placeholder cannot be told",
    "25006": "it would write",
}
"""What a SQLSTATE means for a statement that is only explained."""
_CANCELLED: Final = "57014"
_OVERRUNS: Final = frozenset({_CANCELLED, "55P03"})

_FUNCTIONS: Final = """
SELECT q.name, n.nspname::text, p.provolatile::text
FROM unnest(%s::text[], %s::text[], %s::text[]) AS q(name, namespace, bare)
JOIN pg_catalog.pg_proc p ON p.proname = q.bare
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE CASE WHEN q.namespace = '' THEN n.nspname = ANY (pg_catalog.current_schemas(true))
           ELSE n.nspname = q.namespace END
"""
_RELATIONS: Final = """
SELECT q.name, CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_partition_tree(c.oid) part
                                 JOIN pg_catalog.pg_class leaf ON leaf.oid = part.relid
                                 WHERE leaf.relkind = 'f') THEN 'f' ELSE c.relkind::text END,
       c.relrowsecurity, CASE WHEN c.relkind = 'v' THEN pg_catalog.pg_get_viewdef(c.oid) END
FROM unnest(%s::text[], %s::text[]) AS q(name, quoted)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(q.quoted)
"""
_TYPES: Final = """
SELECT q.name, CASE WHEN n.nspname = 'pg_catalog' THEN 'b' WHEN t.typtype = 'e' THEN 'e' ELSE 'd' END
FROM unnest(%s::text[], %s::text[]) AS q(name, bare)
JOIN pg_catalog.pg_type t ON t.typname = q.bare
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
"""
_COMMON_VALUE: Final = """
SELECT (s.most_common_vals::text::text[])[1]
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname
WHERE c.oid = pg_catalog.to_regclass(%s) AND s.attname = %s
ORDER BY s.inherited DESC LIMIT 1
"""

if TYPE_CHECKING:
    _Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]


class PostgresqlProbe:
    """One database over one connection, made at the first question. One thread at a time.

    Args:
        dsn: of an account that may read the tables and nothing more.
        budget: that questions are taken from; None for a person who waits for the answer.
    """

    def __init__(self, dsn: str, *, budget: Budget | None = None) -> None:
        self._dsn = dsn
        self._budget = budget
        self._connection: _Connection | None = None

    def __repr__(self) -> str:
        return f"<PostgresqlProbe {'connected' if self._connection else 'not connected'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; the next question connects again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def schema(self) -> Schema:
        """See `Probe.schema`."""
        try:
            with self.telling(), self._transaction(CATALOG_TIMEOUT_S) as ask:
                return read_schema(ask.connection)
        except Refused as refused:
            raise Unreachable(f"the catalog cannot be read: {refused}") from None

    def explain(self, sql: str, *, analyze: bool = False) -> Plan:
        """See `Probe.explain`: with placeholders, the generic plan."""
        admitted = admit(sql, Dialect.POSTGRESQL, analyze=analyze)
        timeout_s = _RUN_TIMEOUT_S if analyze else PLANNING_TIMEOUT_S
        told = self.telling(f"it ran for more than {timeout_s:g} s" if analyze else None)
        with question(self._budget), told, self._transaction(timeout_s) as ask:
            ask.judge(admitted)
            if admitted.parameters:
                nulls = ["NULL"] * admitted.parameters
                return ask.prepared(admitted, "force_generic_plan", nulls, PlanSource.GENERIC)
            options = "ANALYZE, BUFFERS, FORMAT JSON" if analyze else "FORMAT JSON"
            answer = ask.one(f"EXPLAIN ({options}) {admitted.text}")
            has_values = Flag.LITERALS in admitted.statement.flags
            source = PlanSource.CUSTOM if has_values else PlanSource.GENERIC
            return postgresql.plan_of(answer, PlanSource.ANALYZE if analyze else source)

    def explain_custom(self, sql: str) -> Plan:
        """The plan with values that are most common in the catalog's statistics. Raises as `explain`.

        `Refused`, too, when a placeholder stands beside no column that has such a value.
        """
        admitted = admit(sql, Dialect.POSTGRESQL)
        with question(self._budget), self.telling(), self._transaction() as ask:
            ask.judge(admitted)
            values = [
                ask.common_value(place, admitted.aliases)
                for place in places(admitted.text, Dialect.POSTGRESQL)
            ]
            return ask.prepared(admitted, "force_custom_plan", values, PlanSource.CUSTOM)

    def session(self) -> _Connection:
        """The connection, in autocommit mode, for what must share its session. Raises `Unreachable`."""
        with self.telling():
            return self._connected()

    def counted(self) -> list[CountedStatement]:
        """What the server has counted of its statements: see `read_statements`.

        Raises:
            LookupError: the extension is not there; the message says what to do.
            Unreachable: it cannot be asked.
        """
        try:
            with self.telling(), self._transaction(CATALOG_TIMEOUT_S) as ask:
                return read_statements(ask.connection)
        except Refused as refused:
            raise Unreachable(f"pg_stat_statements cannot be read: {refused}") from None

    def index_built_s(self, name: str) -> float | None:
        """When an index was built: see `read_index_built_s`. Raises `Unreachable`."""
        try:
            with self.telling(), self._transaction(CATALOG_TIMEOUT_S) as ask:
                return read_index_built_s(ask.connection, name)
        except Refused as refused:
            raise Unreachable(f"the catalog cannot be read: {refused}") from None

    @contextmanager
    def telling(self, too_long: str | None = None) -> Generator[None]:
        """The driver's errors as ours, `Refused` and `Unreachable`: messages quote values, codes do not.

        `too_long` is what a timeout means, where it is not planning that took long.
        """
        try:
            yield
        except PlanFormatError as error:
            raise Refused(str(error)) from None
        except Exception as error:
            code = getattr(error, "sqlstate", None)
            if isinstance(error, Refused | Unreachable) or not _is_drivers(error):
                raise
            if code is None or code.startswith(("08", "57P", "53", "28", "3D")):
                self.close()
                raise reasons.unreachable("PostgreSQL", self._dsn, reasons.of_postgresql(error)) from None
            reason = _REFUSALS.get(code, f"the database does not plan it: {type(error).__name__}")
            if code == _CANCELLED and too_long is not None:
                reason = too_long
            kind = Overrun if code in _OVERRUNS else Refused
            raise kind(f"{reason} ({code})") from None

    @contextmanager
    def _transaction(self, timeout_s: float = PLANNING_TIMEOUT_S) -> Generator[_Transaction]:
        ask = _Transaction(self._connected())
        ask.do("BEGIN READ ONLY")
        try:
            ask.do(f"SET LOCAL statement_timeout = {round(timeout_s * 1e3)}")
            ask.do(f"SET LOCAL lock_timeout = {round(_LOCK_TIMEOUT_S * 1e3)}")
            ask.do("SET LOCAL standard_conforming_strings = on")
            yield ask
        finally:
            ask.end()

    def _connected(self) -> _Connection:
        if self._connection is None or self._connection.closed:
            try:
                import psycopg  # an optional dependency
            except ImportError:
                raise missing_driver("psycopg") from None
            self._connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=_CONNECT_TIMEOUT_S,
                prepare_threshold=None,
                fallback_application_name="tickspan",
            )
        return self._connection


def _is_drivers(error: Exception) -> bool:
    return type(error).__module__.startswith("psycopg")


class _Transaction:
    """A transaction that is open."""

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection
        self._is_prepared = False

    def do(self, sql: str) -> None:
        """Run a statement without an answer; binary results keep psycopg from the simple protocol."""
        with self.connection.cursor(binary=True) as cursor:
            cursor.execute((_COMMENT + sql).encode())

    def one(self, sql: str) -> Any:
        """The only value of a statement's only row."""
        ((value,),) = self._all(sql, None)
        return value

    def _all(self, sql: str, values: Sequence[object] | None) -> list[tuple[Any, ...]]:
        with self.connection.cursor(binary=True) as cursor:
            return cursor.execute((_COMMENT + sql).encode(), values).fetchall()

    def end(self) -> None:
        """Roll back; what was prepared goes by name, since ALL would take what is another's."""
        self.do("ROLLBACK")
        if self._is_prepared:
            self.do(f"DEALLOCATE {_NAME}")

    def prepared(self, admitted: Admitted, mode: str, values: Sequence[str], source: PlanSource) -> Plan:
        """The plan of a prepared statement; `values` are written as SQL."""
        self.do(f"SET LOCAL plan_cache_mode = {mode}")
        self.do(f"PREPARE {_NAME} AS {admitted.text}")
        self._is_prepared = True
        arguments = f"({', '.join(values)})" if values else ""
        return postgresql.plan_of(self.one(f"EXPLAIN (FORMAT JSON) EXECUTE {_NAME}{arguments}"), source)

    def judge(self, admitted: Admitted, depth: int = _MAX_VIEWS) -> None:
        """Ask the catalog about every name, and about those inside of views. Raises `Refused`."""
        functions = sorted(admitted.functions)
        relations = self._relations(admitted.relations)
        types = sorted(admitted.types)
        facts = CatalogFacts(
            functions=self._functions(functions) if functions else {},
            relations={name: kind for name, kind, _, _ in relations},
            secured=frozenset(name for name, _, is_secured, _ in relations if is_secured),
            types=self._types(types) if types else {},
        )
        judge(admitted, facts)
        for name, _, _, definition in relations:
            if definition is not None and not depth:
                raise Refused(f"{name} is a view of too many views")
            if definition is not None:
                self._judge_view(name, definition, depth - 1)

    def _judge_view(self, name: str, definition: str, depth: int) -> None:
        try:
            self.judge(admit(definition, Dialect.POSTGRESQL), depth)
        except Refused as refused:
            told = str(refused)
            raise Refused(told if told.startswith(_IN_A_VIEW) else f"{_IN_A_VIEW}{name}: {told}") from None

    def _functions(self, names: Sequence[str]) -> dict[str, list[FunctionFact]]:
        found: dict[str, list[FunctionFact]] = {}
        parts = [name.rpartition(".") for name in names]
        lists = [list(names), [part[0] for part in parts], [part[2] for part in parts]]
        for name, namespace, volatility in self._all(_FUNCTIONS, lists):
            found.setdefault(name, []).append(FunctionFact(namespace, volatility))
        return found

    def _relations(self, names: Sequence[str]) -> list[tuple[Any, ...]]:
        if not names:
            return []
        return self._all(_RELATIONS, [list(names), [_quoted(name) for name in names]])

    def _types(self, names: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, kind in self._all(_TYPES, [list(names), [name.rpartition(".")[2] for name in names]]):
            found[name] = kind if found.get(name, kind) == kind else "d"
        return found

    def common_value(self, place: Place, aliases: Mapping[str, str]) -> str:
        """A value of the catalog's statistics, as SQL. Raises `Refused` when there is none."""
        if place.role in {Role.LIMIT, Role.OFFSET}:
            return "10" if place.role is Role.LIMIT else "0"
        tables = dict.fromkeys(aliases.values())
        known = {alias.casefold(): name for alias, name in aliases.items()}
        table = known.get(place.qualifier.casefold()) or (next(iter(tables)) if len(tables) == 1 else None)
        found = self._all(_COMMON_VALUE, [_quoted(table), place.column]) if table and place.column else []
        if not found or found[0][0] is None:
            raise Refused("a placeholder stands beside no column with a common value")
        text = str(found[0][0])
        return _literal("{" + _array_item(text) + "}" if place.role is Role.ARRAY else text)


def _quoted(name: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _array_item(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
