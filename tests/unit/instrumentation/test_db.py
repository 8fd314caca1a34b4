"""Database operations and drivers' errors as telemetry tells them."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from tickspan.config import SqlCommenter
from tickspan.instrumentation import Failure
from tickspan.instrumentation.db import (
    ActiveStatement,
    Comments,
    Database,
    DatabaseOperations,
    Teller,
    Transaction,
    caller_attributes,
    describe_error,
    keyed_hash,
    scrub,
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


def test_what_may_be_recorded_of_a_wrapped_error_is_the_drivers_code() -> None:
    assert scrub(WrappedError(PsycopgError("secret"))) == (
        "PsycopgError 23503 constraint fills_order_id_fkey table fills"
    )
    assert scrub(ValueError("secret")) == "ValueError"


@pytest.mark.parametrize(
    ("database", "place"),
    [
        (BOOK, "db.internal:5432/trading"),
        (Database("sqlite", "book.db"), "book.db"),
        (Database("sqlite"), "sqlite"),
        (
            Database.on_server("postgresql", "trading", "/run/postgresql", 5433),
            "/run/postgresql/.s.PGSQL.5433/trading",
        ),
    ],
)
def test_a_database_is_named_by_where_it_is(database: Database, place: str) -> None:
    assert database.place == place


def test_a_statement_is_named_by_its_summary() -> None:
    told = DatabaseOperations(BOOK).told("SELECT * FROM orders WHERE symbol = 'AAPL'")
    assert (told.name, told.attributes) == (
        "SELECT orders",
        {
            **WHERE,
            "db.query.text": "SELECT * FROM orders WHERE symbol = ?",
            "db.query.summary": "SELECT orders",
            "tickspan.db.query.fingerprint": told.statement.fingerprint,
        },
    )


def test_a_statement_that_nobody_knows_is_named_by_its_system() -> None:
    told = DatabaseOperations(Database("sqlite")).told("FROB orders")
    assert (told.name, "db.query.summary" in told.attributes) == ("sqlite", False)


def test_a_batch_tells_its_size() -> None:
    told = DatabaseOperations(BOOK).told("insert into t values (?)")
    assert told.batch(500) == {"db.operation.name": "BATCH INSERT", "db.operation.batch.size": 500}


@pytest.mark.parametrize(
    ("sql", "ends"),
    [
        ("COMMIT", True),
        ("rollback;", True),
        ("END TRANSACTION", True),
        ("ROLLBACK TO SAVEPOINT a", False),
        ("BEGIN", False),
        ("COMMIT PREPARED 'x'", False),
        ("SELECT 1", False),
    ],
)
def test_a_text_may_end_a_transaction(sql: str, ends: bool) -> None:
    assert DatabaseOperations(BOOK).told(sql).ends_transaction is ends


@pytest.mark.parametrize(
    ("sql", "is_write"),
    [
        ("COPY orders FROM STDIN", True),
        ("COPY (SELECT a FROM orders) TO STDOUT", False),
        ("DELETE FROM orders", True),
        ("SELECT 1", False),
    ],
)
def test_a_copy_writes_if_it_reads_from_the_client(sql: str, is_write: bool) -> None:
    assert DatabaseOperations(BOOK).told(sql).is_write is is_write


# parameters


def test_equal_parameters_have_equal_hashes_however_they_are_given() -> None:
    hashed = keyed_hash()
    told = hashed(("AAPL", 1), "")
    assert told is not None
    assert (len(told), hashed(["AAPL", 1], ""), hashed({"a": "AAPL", "b": 1}, "")) == (16, told, told)


def test_other_parameters_and_other_texts_have_other_hashes() -> None:
    hashed = keyed_hash()
    given = [
        (("AAPL",), ""),
        (("MSFT",), ""),
        ((1,), ""),
        ((True,), ""),
        (("1",), ""),
        (None, ""),
        (None, "SELECT 1"),
    ]
    assert len({hashed(parameters, text) for parameters, text in given}) == len(given)


def test_a_hash_is_that_of_one_process() -> None:
    assert keyed_hash()(("AAPL",), "") != keyed_hash()(("AAPL",), "")


@pytest.mark.parametrize("parameters", [tuple(range(17)), ("x" * 1025,), (object(),), ([1],), "text", 7])
def test_many_long_and_unknown_parameters_have_no_hash(parameters: object) -> None:
    assert keyed_hash()(parameters, "") is None


# comments

SPAN = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)))
TRACE = "00-00000000000000000000000000000001-0000000000000002-01"


@pytest.mark.parametrize(
    ("mode", "sql", "is_prepared", "doubles_percent", "commented"),
    [
        (
            SqlCommenter.SERVICE,
            "SELECT 1",
            False,
            False,
            "SELECT 1 /*application='my%20bot',db_driver='psycopg'*/",
        ),
        (
            SqlCommenter.SERVICE,
            "SELECT 1; ",
            False,
            True,
            "SELECT 1 /*application='my%%20bot',db_driver='psycopg'*/;",
        ),
        (
            SqlCommenter.FULL,
            "SELECT 1",
            False,
            False,
            f"SELECT 1 /*application='my%20bot',db_driver='psycopg',traceparent='{TRACE}'*/",
        ),
        (
            SqlCommenter.FULL,
            "SELECT 1",
            True,
            False,
            "SELECT 1 /*application='my%20bot',db_driver='psycopg'*/",
        ),
        (SqlCommenter.FULL, "SELECT 1 /* mine */", False, False, "SELECT 1 /* mine */"),
    ],
)
def test_a_comment_tells_the_service_and_on_request_the_trace(
    mode: SqlCommenter, sql: str, is_prepared: bool, doubles_percent: bool, commented: str
) -> None:
    comments = Comments(mode, "my bot", "psycopg")
    assert comments.added(sql, SPAN, is_prepared=is_prepared, doubles_percent=doubles_percent) == commented


def test_a_name_cannot_end_the_comment() -> None:
    comments = Comments(SqlCommenter.SERVICE, "*/ DROP TABLE orders; --'", "psycopg")
    added = comments.added("SELECT 1", SPAN, is_prepared=False, doubles_percent=False)
    assert added.count("*/") == 1
    assert added.endswith("*/")


# transactions


def test_a_transaction_is_idle_between_its_statements() -> None:
    transaction = Transaction(1_000)
    transaction.begin_statement(1_000, is_write=False)
    transaction.busy_until_ns = 2_000
    transaction.begin_statement(5_000, is_write=True)
    transaction.busy_until_ns = 6_000
    transaction.wake(7_000)
    times = transaction.times()
    assert transaction.counts() == {
        "tickspan.db.transaction.id": transaction.id,
        "tickspan.db.transaction.statements": 2,
        "tickspan.db.transaction.writes": 1,
    }
    assert (times["tickspan.db.transaction.idle"], times["tickspan.db.transaction.idle_max"]) == (
        4e-06,
        3e-06,
    )


# statements under way


def test_a_caller_is_the_line_that_called() -> None:
    told = caller_attributes()
    assert str(told["code.function.name"]).endswith(".test_a_caller_is_the_line_that_called")
    assert (told["code.file.path"], isinstance(told["code.line.number"], int)) == (__file__, True)


@pytest.fixture
def teller(telemetry: Capture) -> Teller:
    tracer, meter = telemetry.tracer_provider.get_tracer("test"), telemetry.meter_provider.get_meter("test")
    return Teller(Workbench("test", tracer, meter, telemetry.logger_provider.get_logger("test"), {}))


@pytest.fixture
def statement(teller: Teller) -> ActiveStatement:
    return teller.start(DatabaseOperations(BOOK), "SELECT 1 FROM t")


def test_settings_that_cannot_be_understood_are_named(telemetry: Capture) -> None:
    tracer, meter = telemetry.tracer_provider.get_tracer("test"), telemetry.meter_provider.get_meter("test")
    logger = telemetry.logger_provider.get_logger("test")
    with pytest.raises(ValueError, match=r"database\.slow_s: expected a number"):
        Teller(Workbench("test", tracer, meter, logger, {"database": {"slow_s": "soon"}}))


def test_the_first_span_of_a_text_tells_the_line_and_a_slow_one_again(telemetry: Capture) -> None:
    tracer, meter = telemetry.tracer_provider.get_tracer("test"), telemetry.meter_provider.get_meter("test")
    logger = telemetry.logger_provider.get_logger("test")
    usual = Teller(Workbench("test", tracer, meter, logger, {}))
    slow = Teller(Workbench("test", tracer, meter, logger, {"database": {"slow_s": 0}}))
    operations = DatabaseOperations(BOOK)
    for teller in (usual, usual, slow):
        active = teller.start(operations, "SELECT 1 FROM t")
        active.executed()
        active.succeed()
    assert ["code.line.number" in span.attributes for span in telemetry.spans()] == [True, False, True]


def test_the_time_inside_fetches_is_told_apart(telemetry: Capture, statement: ActiveStatement) -> None:
    statement.executed()
    statement.fetched(0)
    since_ns = time.perf_counter_ns() - 5_000_000
    statement.fetched(2, since_ns)
    statement.succeed()
    told = telemetry.spans()[0].attributes
    assert told["db.response.returned_rows"] == 2
    assert 0.005 <= told["tickspan.db.fetch.duration"] < 1
    assert telemetry.points("db.client.operation.duration")[0].value >= told["tickspan.db.fetch.duration"]


def test_the_parameters_are_told_as_a_hash_and_not_in_a_batch(telemetry: Capture, teller: Teller) -> None:
    operations = DatabaseOperations(BOOK)
    for parameters, size in ((("AAPL",), 1), (("AAPL",), 1), (("MSFT",), 1), (None, 3)):
        active = teller.start(operations, "INSERT INTO t VALUES (?)", parameters, batch_size=size)
        active.executed()
        active.succeed()
    hashes = [span.attributes.get("tickspan.db.params_hash") for span in telemetry.spans()]
    assert (hashes[0] == hashes[1] != hashes[2], hashes[3]) == (True, None)


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
