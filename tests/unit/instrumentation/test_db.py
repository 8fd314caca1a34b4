"""Database operations and drivers' errors as telemetry tells them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass

import pytest

from tickspan.instrumentation import Failure, Operation
from tickspan.instrumentation.db import (
    ActiveStatement,
    Database,
    DatabaseOperations,
    describe_error,
    start_statement,
)
from tickspan.instrumentation.workbench import Workbench
from tickspan.testing import Capture

BOOK = Database("postgresql", "trading", "db.internal", 5432)
WHERE = {
    "db.system.name": "postgresql",
    "db.namespace": "trading",
    "server.address": "db.internal",
    "server.port": 5432,
}


@dataclass
class Diagnostics:
    constraint_name: str | None = "fills_order_id_fkey"
    table_name: str | None = "fills"


class PsycopgError(Exception):
    sqlstate = "23503"
    diag = Diagnostics()


class Psycopg2Error(Exception):
    pgcode = "40P01"


class AsyncpgAdapterError(Exception):
    sqlstate = "23505"


class AsyncpgError(Exception):
    constraint_name = "orders_symbol_key"
    table_name = "orders"


class MysqlError(Exception):
    pass


class MysqlConnectorError(Exception):
    errno = 1213


class WrappedError(Exception):
    def __init__(self, orig: BaseException) -> None:
        super().__init__(f"{orig} [parameters: ('secret',)]")
        self.orig = orig


def chained(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def failure(code: str, description: str) -> Failure:
    return Failure(code, {"db.response.status_code": code}, description)


ERRORS = [
    (PsycopgError("secret"), "23503", "PsycopgError 23503 constraint fills_order_id_fkey table fills"),
    (Psycopg2Error("secret"), "40P01", "Psycopg2Error 40P01"),
    (
        chained(AsyncpgAdapterError("secret"), AsyncpgError("secret")),
        "23505",
        "AsyncpgAdapterError 23505 constraint orders_symbol_key table orders",
    ),
    (MysqlError(1205, "secret"), "1205", "MysqlError 1205"),
    (MysqlConnectorError("secret"), "1213", "MysqlConnectorError 1213"),
    (WrappedError(MysqlError(1205, "secret")), "1205", "MysqlError 1205"),
]


@pytest.mark.parametrize(
    ("error", "code", "description"), ERRORS, ids=[description for *_, description in ERRORS]
)
def test_a_drivers_error_is_its_code_and_what_it_concerns(
    error: BaseException, code: str, description: str
) -> None:
    assert describe_error(error) == failure(code, description)


def refused(*statements: str) -> sqlite3.Error:
    def run() -> None:
        with closing(sqlite3.connect(":memory:")) as connection:
            for statement in statements:
                connection.execute(statement)

    with pytest.raises(sqlite3.Error) as raised:
        run()
    return raised.value


TABLE = "CREATE TABLE t (a TEXT UNIQUE NOT NULL, b INTEGER CHECK (b > 0))"
INSERT = "INSERT INTO t VALUES ('secret', 1)"


@pytest.mark.parametrize(
    ("statements", "code", "description"),
    [
        (
            [TABLE, INSERT, INSERT],
            "SQLITE_CONSTRAINT_UNIQUE",
            "IntegrityError SQLITE_CONSTRAINT_UNIQUE columns t.a",
        ),
        (
            [TABLE, "INSERT INTO t VALUES (NULL, 1)"],
            "SQLITE_CONSTRAINT_NOTNULL",
            "IntegrityError SQLITE_CONSTRAINT_NOTNULL columns t.a",
        ),
        (
            [TABLE, "INSERT INTO t VALUES ('secret', 0)"],
            "SQLITE_CONSTRAINT_CHECK",
            "IntegrityError SQLITE_CONSTRAINT_CHECK",
        ),
        (["SELECT * FROM nowhere"], "SQLITE_ERROR", "OperationalError SQLITE_ERROR table nowhere"),
        (["SELECT secret"], "SQLITE_ERROR", "OperationalError SQLITE_ERROR"),
    ],
)
def test_sqlites_own_errors_name_no_value(statements: list[str], code: str, description: str) -> None:
    assert describe_error(refused(*statements)) == failure(code, description)


def test_an_error_without_a_code_is_its_class_without_its_text() -> None:
    assert describe_error(ValueError("secret")) == Failure("ValueError", description="ValueError")


def test_an_operating_systems_errno_is_no_database_code() -> None:
    assert describe_error(ConnectionRefusedError(111, "refused")).error_type == "ConnectionRefusedError"


def test_a_statement_is_an_operation_named_by_its_summary() -> None:
    operations = DatabaseOperations(BOOK)
    statement = operations.statement("SELECT * FROM orders WHERE symbol = 'AAPL'")
    assert operations.execution(statement) == Operation(
        "SELECT orders",
        {
            **WHERE,
            "db.query.text": "SELECT * FROM orders WHERE symbol = ?",
            "db.query.summary": "SELECT orders",
            "tickspan.db.query.fingerprint": statement.fingerprint,
        },
        is_leaf=True,
    )


def test_a_statement_that_nobody_knows_is_named_by_its_system() -> None:
    operations = DatabaseOperations(Database("sqlite"))
    told = operations.execution(operations.statement("FROB orders"))
    assert (told.name, "db.query.summary" in told.attributes) == ("sqlite", False)


def test_a_batch_tells_its_size() -> None:
    operations = DatabaseOperations(BOOK)
    told = operations.execution(operations.statement("insert into t values (?)"), batch_size=500).attributes
    assert (told["db.operation.name"], told["db.operation.batch.size"]) == ("BATCH INSERT", 500)


@pytest.fixture
def statement(telemetry: Capture) -> ActiveStatement:
    tracer, meter = telemetry.tracer_provider.get_tracer("test"), telemetry.meter_provider.get_meter("test")
    bench = Workbench("test", tracer, meter, telemetry.logger_provider.get_logger("test"), {})
    return start_statement(bench, DatabaseOperations(BOOK), "SELECT 1 FROM t")


def test_a_statement_ends_once(telemetry: Capture, statement: ActiveStatement) -> None:
    statement.executed()
    statement.fetched(3)
    statement.succeed()
    statement.succeed()
    statement.fail(ValueError("too late"))
    assert [(span.status, span.attributes["db.response.returned_rows"]) for span in telemetry.spans()] == [
        ("unset", 3)
    ]
    assert [point.count for point in telemetry.points("db.client.operation.duration")] == [1]


def test_a_statement_that_ends_late_ends_at_its_last_row(
    telemetry: Capture, statement: ActiveStatement
) -> None:
    telemetry.clock.now_ns += 3_600_000_000_000
    statement.executed()
    statement.succeed(is_late=True)
    span = telemetry.spans()[0]
    assert 0 <= span.end_ns - span.start_ns < 60_000_000_000
