"""MySQL and MariaDB asked for plans: transactions of a connection of our own, rolled back.

Neither plans a statement without values, so placeholders are filled with made-up ones of the right type. The
connection cannot send two statements at once: the protocol's flag for it stays off.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote, urlsplit

from tickspan.analysis.plans import mysql
from tickspan.analysis.plans.admission import MARKER, Admitted, admit
from tickspan.analysis.plans.budget import Budget
from tickspan.analysis.plans.document import PlanFormatError
from tickspan.analysis.plans.model import Plan, PlanSource
from tickspan.analysis.plans.probe import Refused, Unreachable
from tickspan.analysis.plans.stand_ins import with_stand_ins
from tickspan.analysis.sql import Dialect, Flag, Kind
from tickspan.analysis.sql.schema import Schema
from tickspan.processors.queries.catalogs.mysql import read_schema
from tickspan.processors.queries.probes import reasons
from tickspan.processors.queries.probes.question import (
    CATALOG_TIMEOUT_S,
    PLANNING_TIMEOUT_S,
    Overrun,
    missing_driver,
    question,
)

if TYPE_CHECKING:
    import pymysql

__all__ = ["MysqlProbe"]

_CONNECT_TIMEOUT_S: Final = 5
_READ_TIMEOUT_S: Final = 90
_RUN_TIMEOUT_S: Final = 60
_PORT: Final = 3306
_MAX_VIEWS: Final = 8
_IN_A_VIEW: Final = "the view "
_COMMENT: Final = f"/* {MARKER} */ "
_GONE: Final = frozenset({1040, 1044, 1045, 1049, 1053, 1129, 1130, 2002, 2003, 2005, 2006, 2013, 2055})
_REFUSALS: Final[Mapping[int, str]] = {
    1142: "this account may not do that to its tables",
    1143: "this account may not read its columns",
    1205: "somebody holds a lock on its table",
    1345: "this account may not look into its view",
    1969: "planning took too long",
    3024: "planning took too long",
}
"""What an error's number means for a statement that is only explained."""
_OVERRUNS: Final = frozenset({1205, 1969, 3024})
_REMOTE: Final = frozenset({"FEDERATED", "CONNECT", "SPIDER", "S3", "OQGRAPH"})
_TABLES: Final = (
    "SELECT t.table_type, t.engine, v.view_definition FROM information_schema.tables t"
    " LEFT JOIN information_schema.views v USING (table_schema, table_name)"
    " WHERE t.table_schema = coalesce(%s, database()) AND t.table_name = %s"
)


class MysqlProbe:
    """One database over one connection, made at the first question. One thread at a time.

    Args:
        dsn: `mysql://account:password@host:port/database`, of an account that may read and nothing more.
        budget: that questions are taken from; None for a person who waits for the answer.
    """

    def __init__(self, dsn: str, *, budget: Budget | None = None) -> None:
        self._dsn = dsn
        self._budget = budget
        self._connection: pymysql.Connection[Any] | None = None
        self._schema: Schema | None = None

    def __repr__(self) -> str:
        return f"<MysqlProbe {'connected' if self._connection else 'not connected'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; the next question connects again."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.open:
            connection.close()

    def schema(self) -> Schema:
        """See `Probe.schema`."""
        try:
            with self._told(), self._patient():
                schema = self._schema = read_schema(self._connected())
        except Refused as refused:
            raise Unreachable(f"the catalog cannot be read: {refused}") from None
        return schema

    def explain(self, sql: str, *, analyze: bool = False) -> Plan:
        """See `Probe.explain`. MySQL, other than MariaDB, measures no plans as JSON: it refuses `analyze`."""
        admitted = admit(sql, Dialect.MYSQL, analyze=analyze)
        with question(self._budget), self._told():
            schema = self._schema or self.schema()
            connection = self._connected()
            system = _system(connection)
            if analyze and system != "mariadb":
                raise Refused("MySQL tells measured plans as text only")
            self._judge(admitted)
            text = with_stand_ins(admitted.text, Dialect.MYSQL, admitted.aliases, schema)
            verb = f"SET STATEMENT max_statement_time={_RUN_TIMEOUT_S} FOR ANALYZE" if analyze else "EXPLAIN"
            with self._transaction(admitted.statement.kind):
                ((document,),) = self._all(f"{verb} FORMAT=JSON {text}")
                cost = self._cost(admitted)
            has_values = Flag.LITERALS in admitted.statement.flags and not admitted.parameters
            source = PlanSource.CUSTOM if has_values else PlanSource.GENERIC
            return mysql.read_plan(
                document,
                PlanSource.ANALYZE if analyze else source,
                system=system,
                cost=cost,
                aliases=admitted.aliases,
            )

    def session(self) -> pymysql.Connection[Any]:
        """The connection, in autocommit mode, for what must share its session. Raises `Unreachable`."""
        with self._told():
            return self._connected()

    def _cost(self, admitted: Admitted) -> float | None:
        """Of the statement just explained: one that writes leaves it, one of several parts sets it to 0."""
        if admitted.statement.kind is not Kind.SELECT:
            return None
        ((_, cost),) = self._all("SHOW SESSION STATUS LIKE 'Last_query_cost'")
        return float(cost) or None

    @contextmanager
    def _patient(self) -> Generator[None]:
        """Let statements take the time of a read of the catalog."""
        system = _system(self._connected())
        self._all(f"SET SESSION {_limit(system, CATALOG_TIMEOUT_S)}")
        try:
            yield
        finally:
            if self._connection is not None and self._connection.open:
                self._all(f"SET SESSION {_limit(system, PLANNING_TIMEOUT_S)}")

    @contextmanager
    def _transaction(self, kind: Kind) -> Generator[None]:
        # MariaDB refuses to explain a write in a read-only transaction, though it would not run it (1792).
        self._all("START TRANSACTION READ ONLY" if kind is Kind.SELECT else "START TRANSACTION")
        try:
            yield
        finally:
            self._all("ROLLBACK")

    def _judge(self, admitted: Admitted, depth: int = _MAX_VIEWS) -> None:
        """Look at what its tables are, and into its views. Raises `Refused`."""
        for name in admitted.relations:
            namespace, _, bare = name.rpartition(".")
            found = self._all(_TABLES, (namespace or None, bare))
            if not found:
                raise Refused(f"{name} is no table that this account can see")
            kind, engine, definition = found[0]
            if kind == "SEQUENCE":
                raise Refused(f"{name} is a sequence")
            if engine in _REMOTE:
                raise Refused(f"{name} is kept elsewhere: its server would be asked")
            if kind == "VIEW":
                self._look_into(name, definition, depth)

    def _look_into(self, name: str, definition: str | None, depth: int) -> None:
        if not definition:
            raise Refused(f"{name} is a view that this account may not look into")
        if not depth:
            raise Refused(f"{name} is a view of too many views")
        try:
            self._judge(admit(definition, Dialect.MYSQL), depth - 1)
        except Refused as refused:
            told = str(refused)
            raise Refused(told if told.startswith(_IN_A_VIEW) else f"{_IN_A_VIEW}{name}: {told}") from None

    def _all(self, sql: str, values: tuple[object, ...] | None = None) -> list[tuple[Any, ...]]:
        with self._connected().cursor() as cursor:
            cursor.execute(_COMMENT + sql, values)
            return list(cursor.fetchall())

    def _connected(self) -> pymysql.Connection[Any]:
        if self._connection is None or not self._connection.open:
            self._connection = _connect(self._dsn)
        return self._connection

    @contextmanager
    def _told(self) -> Generator[None]:
        """The driver's errors as ours: class and number, since messages quote values."""
        try:
            yield
        except PlanFormatError as error:
            raise Refused(str(error)) from None
        except Exception as error:
            if not type(error).__module__.startswith("pymysql"):
                raise
            number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            if not number or number in _GONE:
                self.close()
                raise reasons.unreachable("MySQL", self._dsn, reasons.of_mysql(error)) from None
            reason = _REFUSALS.get(number, f"the database does not plan it: {type(error).__name__}")
            kind = Overrun if number in _OVERRUNS else Refused
            raise kind(f"{reason} ({number})") from None


def _connect(dsn: str) -> pymysql.Connection[Any]:
    try:
        import pymysql  # an optional dependency
    except ImportError:
        raise missing_driver("pymysql") from None
    url = urlsplit(dsn)
    connection = pymysql.connect(
        host=url.hostname or "127.0.0.1",
        port=url.port or _PORT,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        database=unquote(url.path.lstrip("/")) or None,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=_CONNECT_TIMEOUT_S,
        read_timeout=_READ_TIMEOUT_S,
        program_name="tickspan",
    )
    limit = _limit(_system(connection), PLANNING_TIMEOUT_S)
    with connection.cursor() as cursor:
        # The empty mode: in another one double quotes may be names, or backslashes no escapes, to the server.
        cursor.execute(
            f"{_COMMENT}SET SESSION sql_mode = '', {limit}, lock_wait_timeout = 1,"
            " innodb_lock_wait_timeout = 1, eq_range_index_dive_limit = 1"
        )
    return connection


def _limit(system: str, seconds: float) -> str:
    if system == "mariadb":
        return f"max_statement_time = {seconds}"
    return f"max_execution_time = {round(seconds * 1e3)}"


def _system(connection: pymysql.Connection[Any]) -> str:
    return "mariadb" if "mariadb" in connection.get_server_info().lower() else "mysql"
