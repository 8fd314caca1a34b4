"""Database operations: how a statement, a batch, a transaction's end and a driver's error are told.

A call of a database library is one logical operation and one span: `Operation.is_leaf` silences the driver's
instrumentation below it. Neither a parameter nor a literal nor the text of an error leaves this module.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Final

from opentelemetry.metrics import Histogram

from tickspan.analysis.sql import Dialect, Flag, Kind, Statement, StatementCache
from tickspan.instrumentation.active import ActiveOperation
from tickspan.instrumentation.faults import type_name
from tickspan.instrumentation.operation import NO_ATTRIBUTES, Attributes, Duration, Failure, Operation
from tickspan.instrumentation.positions import VOUCHED, vouch
from tickspan.instrumentation.workbench import Workbench
from tickspan.recording import AttributeValue
from tickspan.semconv.common import ERROR_TYPE, SERVER_ADDRESS, SERVER_PORT
from tickspan.semconv.db import (
    DB_CLIENT_OPERATION_DURATION,
    DB_NAMESPACE,
    DB_OPERATION_BATCH_SIZE,
    DB_OPERATION_NAME,
    DB_QUERY_SUMMARY,
    DB_QUERY_TEXT,
    DB_RESPONSE_RETURNED_ROWS,
    DB_RESPONSE_STATUS_CODE,
    DB_SYSTEM_NAME,
    TICKSPAN_DB_QUERY_FINGERPRINT,
    TICKSPAN_DB_ROWS_AFFECTED,
    TICKSPAN_DB_TRANSACTION_STATEMENTS,
    TICKSPAN_DB_TRANSACTION_WRITES,
)

DURATION: Final = Duration(
    DB_CLIENT_OPERATION_DURATION,
    "Duration of database client operations: execution and the time inside fetches.",
    (DB_SYSTEM_NAME, DB_NAMESPACE, DB_OPERATION_NAME, DB_QUERY_SUMMARY, SERVER_ADDRESS, SERVER_PORT),
)


@dataclass(frozen=True, slots=True)
class Database:
    """Where statements go."""

    system: str
    """A `db.system.name`: postgresql, mysql, mariadb, sqlite, …"""
    namespace: str | None = None
    address: str | None = None
    port: int | None = None

    def attributes(self) -> Attributes:
        """What every operation on this database carries."""
        known: dict[str, AttributeValue | None] = {
            DB_SYSTEM_NAME: self.system,
            DB_NAMESPACE: self.namespace,
            SERVER_ADDRESS: self.address,
            SERVER_PORT: self.port,
        }
        return {name: value for name, value in known.items() if value is not None}


class DatabaseOperations:
    """Operations on one database. Pure but for its cache of statements; safe from several threads."""

    __slots__ = ("_statements", "_where", "database")

    def __init__(self, database: Database) -> None:
        self.database = database
        self._where = database.attributes()
        self._statements = StatementCache(Dialect.of(database.system))

    def __repr__(self) -> str:
        return f"<DatabaseOperations {self.database.system} {self._statements!r}>"

    def statement(self, sql: str) -> Statement:
        """What may be known of a text."""
        return self._statements.get(sql)

    def execution(self, statement: Statement, batch_size: int = 1) -> Operation:
        """One execution of `statement`; `batch_size` is how many sets of parameters go with it."""
        if statement.text not in VOUCHED:
            vouch(statement.text)
        attributes: dict[str, AttributeValue] = {
            **self._where,
            DB_QUERY_TEXT: statement.text,
            TICKSPAN_DB_QUERY_FINGERPRINT: statement.fingerprint,
        }
        if statement.summary:
            attributes[DB_QUERY_SUMMARY] = statement.summary
        if batch_size > 1:
            verb = statement.summary.partition(" ")[0].upper()
            attributes[DB_OPERATION_NAME] = f"BATCH {verb}".rstrip()
            attributes[DB_OPERATION_BATCH_SIZE] = batch_size
        return Operation(statement.summary or self.database.system, attributes, is_leaf=True)

    def transaction_end(self, verb: str, statements: int, writes: int) -> Operation:
        """A COMMIT, ROLLBACK or PREPARE that goes through the driver's own call, without a text."""
        attributes: dict[str, AttributeValue] = {
            **self._where,
            DB_OPERATION_NAME: verb,
            TICKSPAN_DB_TRANSACTION_STATEMENTS: statements,
            TICKSPAN_DB_TRANSACTION_WRITES: writes,
        }
        return Operation(verb, attributes, is_leaf=True)


def changes_rows(statement: Statement) -> bool:
    """Whether the statement writes to a table."""
    return Flag.WRITES in statement.flags or statement.kind is Kind.COPY


class ActiveStatement:
    """A statement under way, from execution to its last row.

    `executed` takes its span out of the current context; the span ends with `succeed` or `fail`, at the
    time of the last row that was fetched. One caller owns it; ending twice does nothing. `histogram` is
    given execution plus the time inside fetches, not the time that the rows lay in between.
    """

    __slots__ = (
        "_active",
        "_histogram",
        "_last_ns",
        "_rows",
        "_spent_ns",
        "_started_ns",
        "is_over",
        "statement",
    )

    def __init__(self, active: ActiveOperation, statement: Statement, histogram: Histogram) -> None:
        self.statement = statement
        self.is_over = False
        self._active = active
        self._histogram = histogram
        self._rows: int | None = None
        self._spent_ns = 0
        self._started_ns = time.perf_counter_ns()
        self._last_ns = self._started_ns

    def __repr__(self) -> str:
        return f"<ActiveStatement {self.statement.summary!r} {'over' if self.is_over else 'running'}>"

    def executed(self) -> None:
        """The database has answered; rows may follow."""
        self._last_ns = time.perf_counter_ns()
        self._spent_ns = self._last_ns - self._started_ns
        self._active.release()

    def fetched(self, rows: int, since_ns: int | None = None) -> None:
        """`rows` more are here; `since_ns` is the `perf_counter_ns` at which they were asked for."""
        self._rows = rows if self._rows is None else self._rows + rows
        if since_ns is not None:
            self._last_ns = time.perf_counter_ns()
            self._spent_ns += self._last_ns - since_ns

    def succeed(self, rows_affected: int | None = None, is_late: bool = False) -> None:
        """End it; `is_late` when the last row is some time ago."""
        if self.is_over:
            return
        self.is_over = True
        attributes: dict[str, AttributeValue] = {}
        if self._rows is not None:
            attributes[DB_RESPONSE_RETURNED_ROWS] = self._rows
        if rows_affected is not None:
            attributes[TICKSPAN_DB_ROWS_AFFECTED] = rows_affected
        self._active.succeed(attributes, end_time_ns=self._last_time_ns() if is_late else None)
        self._measure(NO_ATTRIBUTES)

    def fail(self, error: BaseException) -> None:
        """End it with the caller's own exception."""
        if self.is_over:
            return
        self.is_over = True
        if not self._spent_ns:
            self._spent_ns = time.perf_counter_ns() - self._started_ns
        self._active.fail(error)
        self._measure({ERROR_TYPE: describe_error(error).error_type})

    def _last_time_ns(self) -> int | None:
        started: int | None = getattr(self._active.span, "start_time", None)
        return None if started is None else started + self._last_ns - self._started_ns

    def _measure(self, late: Attributes) -> None:
        known = self._active.operation.attributes
        measured = {key: known[key] for key in DURATION.attributes if key in known}
        self._histogram.record(self._spent_ns / 1e9, {**measured, **late}, self._active.context)


def start_statement(
    bench: Workbench, operations: DatabaseOperations, sql: str, batch_size: int = 1
) -> ActiveStatement:
    """Begin the execution of `sql`; its span is current until `executed`."""
    statement = operations.statement(sql)
    histogram = bench.histogram(DURATION)
    active = bench.start(operations.execution(statement, batch_size), describe_error=describe_error)
    return ActiveStatement(active, statement, histogram)


def describe_error(error: BaseException) -> Failure:
    """What a driver's exception, or one that wraps it as `orig`, means on a span.

    The code is the database's own: SQLSTATE, SQLite's error name, MySQL's number. The description holds
    class, code, constraint and table; the text of the exception quotes values and is never kept.
    """
    cause = _drivers_own(error)
    code = _status_code(cause)
    name = type(cause).__name__
    if code is None:
        return Failure(type_name(cause), description=name)
    description = " ".join((name, code, *_concerned(cause)))
    return Failure(code, {DB_RESPONSE_STATUS_CODE: code}, description)


def _drivers_own(error: BaseException) -> BaseException:
    original = getattr(error, "orig", None)
    return original if isinstance(original, BaseException) else error


def _status_code(error: BaseException) -> str | None:
    for name in ("sqlstate", "pgcode", "sqlite_errorname"):
        code = getattr(error, name, None)
        if isinstance(code, str) and code:
            return code
    if isinstance(error, OSError):
        return None  # its number is the operating system's
    number = getattr(error, "errno", None)
    first = error.args[0] if error.args else None
    for code in (number, first):
        if isinstance(code, int) and not isinstance(code, bool) and code > 0:
            return str(code)
    return None


_NAMED: Final = (("constraint_name", "constraint"), ("table_name", "table"))
_SQLITE_SAYS: Final = re.compile(
    r"(?:UNIQUE|NOT NULL) constraint failed: ([\w., ]{1,200})|no such (table): ([\w.]{1,100})"
)


def _concerned(error: BaseException) -> list[str]:
    """Constraint and table by name, from the fields that drivers have for them."""
    found: list[str] = []
    for holder in (getattr(error, "diag", None), error, error.__cause__):
        for field, word in _NAMED:
            name = getattr(holder, field, None)
            if isinstance(name, str) and name:
                found.append(f"{word} {name}")
    return list(dict.fromkeys(found)) or _concerned_in_sqlite(error)


def _concerned_in_sqlite(error: BaseException) -> list[str]:
    if not hasattr(error, "sqlite_errorname"):
        return []
    said = _SQLITE_SAYS.fullmatch(str(error))
    if said is None:
        return []
    columns, _, table = said.groups()
    return [f"columns {columns}"] if columns else [f"table {table}"]
