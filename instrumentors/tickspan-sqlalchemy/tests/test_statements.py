"""Statements of Core and ORM, blocking and asyncio, on SQLite: each list of spans as a whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event, exc
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session, declarative_base
from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.instrumentation import suppressed
from tickspan.testing import Capture, RecordedEvent, RecordedSpan
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

SQLALCHEMY = tuple(int(part) for part in sqlalchemy.__version__.split(".")[:2])
WHERE = {"db.system.name": "sqlite", "db.namespace": "book.db"}

metadata = sqlalchemy.MetaData()
orders = sqlalchemy.Table(
    "orders",
    metadata,
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("symbol", sqlalchemy.String),
    sqlalchemy.Column("quantity", sqlalchemy.Integer),
)
Base: Any = declarative_base()


class Fill(Base):
    __tablename__ = "fills"

    id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
    order_id = sqlalchemy.Column(sqlalchemy.Integer)
    price = sqlalchemy.Column(sqlalchemy.String)


Spans = Callable[[], list[RecordedSpan]]
Roots = Callable[..., list[RecordedSpan]]


@pytest.fixture
def engine(book: Path) -> Generator[Any]:
    engine = sqlalchemy.create_engine(f"sqlite:///{book}", future=True)
    yield engine
    engine.dispose()


def committed(statements: int, writes: int) -> tuple[str, dict[str, Any]]:
    return ended("COMMIT", statements, writes)


def ended(verb: str, statements: int, writes: int = 0) -> tuple[str, dict[str, Any]]:
    return verb, {
        "db.operation.name": verb,
        "tickspan.db.transaction.statements": statements,
        "tickspan.db.transaction.writes": writes,
    }


def test_a_select_tells_its_literal_free_text_and_its_rows(
    recorded: Capture, spans: Spans, roots: Roots, engine: Any
) -> None:
    with engine.connect() as connection:
        rows = connection.execute(orders.select().where(orders.c.symbol == "AAPL")).all()
    assert [tuple(row) for row in rows] == [(1, "AAPL", 10)]
    text = "SELECT orders.id, orders.symbol, orders.quantity FROM orders WHERE orders.symbol = ?"
    assert spans() == roots(
        WHERE,
        ("SELECT orders", {"db.query.text": text, "db.response.returned_rows": 1}),
        ended("ROLLBACK", 1),
    )


def test_the_fingerprint_is_that_of_the_canonical_text(recorded: Capture, engine: Any) -> None:
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1 WHERE 'secret' = 'secret'")).all()
    statement = canonicalise("SELECT 1 WHERE 'secret' = 'secret'", Dialect.SQLITE)
    assert recorded.spans()[0].attributes["tickspan.db.query.fingerprint"] == statement.fingerprint


def test_a_span_is_the_child_of_the_current_one(recorded: Capture, engine: Any) -> None:
    tracer = recorded.tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("on_tick"), engine.begin() as connection:
        connection.execute(orders.delete())
    assert recorded.tree() == "on_tick\n  DELETE orders\n  COMMIT"


def test_literals_written_into_sql_do_not_leave(recorded: Capture, engine: Any) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE orders SET symbol = 'secret' WHERE id = 424242 -- secret")
        connection.execute(orders.insert().values(symbol=sqlalchemy.literal_column("'secret'")))
    told = repr(recorded.spans())
    assert ("secret" in told, "424242" in told) == (False, False)


def test_a_write_tells_the_rows_it_affected(
    recorded: Capture, spans: Spans, roots: Roots, engine: Any
) -> None:
    with engine.begin() as connection:
        connection.execute(orders.update().where(orders.c.quantity > 10).values(quantity=0))
    text = "UPDATE orders SET quantity = ? WHERE orders.quantity > ?"
    assert spans() == roots(
        WHERE,
        ("UPDATE orders", {"db.query.text": text, "tickspan.db.rows_affected": 2}),
        committed(1, 1),
    )


def test_executemany_is_one_batch(recorded: Capture, spans: Spans, roots: Roots, engine: Any) -> None:
    with engine.begin() as connection:
        connection.execute(orders.insert(), [{"symbol": "TSLA"}, {"symbol": "AMZN"}, {"symbol": "META"}])
    batch = {
        "db.query.text": "INSERT INTO orders (symbol) VALUES (?)",
        "db.operation.name": "BATCH INSERT",
        "db.operation.batch.size": 3,
        "tickspan.db.rows_affected": 3,
    }
    assert spans() == roots(WHERE, ("INSERT orders", batch), committed(1, 1))


def test_a_batch_of_one_is_no_batch(recorded: Capture, spans: Spans, roots: Roots, engine: Any) -> None:
    with engine.begin() as connection:
        connection.execute(orders.insert(), [{"symbol": "TSLA"}])
    insert = {"db.query.text": "INSERT INTO orders (symbol) VALUES (?)", "tickspan.db.rows_affected": 1}
    assert spans() == roots(WHERE, ("INSERT orders", insert), committed(1, 1))


@pytest.mark.library("sqlalchemy", at_least=(2, 0))  # 1.4 has no insertmanyvalues
def test_insertmanyvalues_is_one_span_per_batch_with_its_rows(
    recorded: Capture, spans: Spans, roots: Roots, engine: Any
) -> None:
    rows = [{"symbol": symbol} for symbol in ("TSLA", "AMZN", "META")]
    paged = engine.execution_options(insertmanyvalues_page_size=2)
    with paged.begin() as connection:
        ids = connection.execute(orders.insert().returning(orders.c.id), rows).scalars().all()
    assert sorted(ids) == [4, 5, 6]
    insert = {"db.query.text": "INSERT INTO orders (symbol) VALUES (?) RETURNING id"}
    assert spans() == roots(
        WHERE,
        ("INSERT orders", {**insert, "db.response.returned_rows": 2}),
        ("INSERT orders", {**insert, "db.response.returned_rows": 1}),
        committed(2, 2),
    )


def test_an_orm_flush_on_sqlite_is_one_span_per_row(recorded: Capture, engine: Any) -> None:
    with Session(engine, future=True) as session:
        fills = [Fill(order_id=1, price=f"12.{number}") for number in range(2)]
        session.add_all(fills)
        session.flush()
        assert [fill.id for fill in fills] == [1, 2]
        session.commit()
    assert recorded.tree() == "INSERT fills\nINSERT fills\nCOMMIT"


def test_an_orm_query_tells_its_rows(recorded: Capture, spans: Spans, roots: Roots, engine: Any) -> None:
    with Session(engine, future=True) as session:
        assert session.execute(sqlalchemy.select(Fill)).scalars().all() == []
    text = "SELECT fills.id, fills.order_id, fills.price FROM fills"
    assert spans() == roots(
        WHERE, ("SELECT fills", {"db.query.text": text, "db.response.returned_rows": 0}), ended("ROLLBACK", 1)
    )


SELECT_ALL = "SELECT symbol FROM orders"


def read(name: str, result: Any) -> list[str]:
    readers: dict[str, Callable[[], Any]] = {
        "all": result.all,
        "iteration": lambda: list(result),
        "fetchone": lambda: [result.fetchone(), result.fetchone(), result.fetchone(), result.fetchone()][:3],
        "fetchmany": lambda: [*result.fetchmany(2), *result.fetchmany(2), *result.fetchmany(2)],
        "partitions": lambda: [row for part in result.partitions(2) for row in part],
        "yield_per": lambda: list(result.yield_per(2)),
        "scalars": lambda: [(symbol,) for symbol in result.scalars()],
        "freeze": lambda: result.freeze()().all(),
    }
    return [row[0] for row in readers[name]()]


WAYS = ["all", "iteration", "fetchone", "fetchmany", "partitions", "yield_per", "scalars", "freeze"]


@pytest.mark.parametrize(
    "options", [{}, {"stream_results": True}, {"stream_results": True, "max_row_buffer": 2}]
)
@pytest.mark.parametrize("way", WAYS)
def test_rows_are_counted_however_they_are_read(
    recorded: Capture, engine: Any, way: str, options: dict[str, Any]
) -> None:
    with engine.connect() as connection:
        result = connection.execute(sqlalchemy.text(SELECT_ALL).execution_options(**options))
        assert read(way, result) == ["AAPL", "MSFT", "NVDA"]
        assert [span.attributes["db.response.returned_rows"] for span in recorded.spans()] == [3]


def test_a_result_that_is_closed_early_ends_with_the_rows_read_so_far(recorded: Capture, engine: Any) -> None:
    with engine.connect() as connection:
        result = connection.execute(sqlalchemy.text(SELECT_ALL))
        result.fetchone()
        assert recorded.spans() == []
        result.close()
        assert [span.attributes["db.response.returned_rows"] for span in recorded.spans()] == [1]


def test_a_result_left_open_ends_when_its_connection_goes_back(recorded: Capture, engine: Any) -> None:
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(SELECT_ALL)).fetchone()
    assert [span.attributes.get("db.response.returned_rows") for span in recorded.spans()] == [1, None]


def test_results_that_are_never_closed_do_not_pile_up(recorded: Capture, engine: Any) -> None:
    with engine.connect() as connection:
        results = [connection.execute(sqlalchemy.text(SELECT_ALL)) for _ in range(70)]
        assert len(recorded.spans()) == 6
        assert len(results[0].all()) == 3
    assert len(recorded.spans()) == 71


def test_while_rows_are_read_the_statement_is_not_current(recorded: Capture, engine: Any) -> None:
    tracer = recorded.tracer_provider.get_tracer("test")
    with engine.connect() as connection:
        for _row in connection.execute(sqlalchemy.text(f"{SELECT_ALL} LIMIT 1")):
            tracer.start_span("decide").end()
    assert recorded.tree() == "SELECT orders\ndecide\nROLLBACK"


def test_a_statement_with_a_default_that_is_queried_is_two_spans(recorded: Capture, engine: Any) -> None:
    next_id = sqlalchemy.select(sqlalchemy.func.max(orders.c.id) + 1).scalar_subquery()
    queried = sqlalchemy.Table(
        "orders",
        sqlalchemy.MetaData(),
        sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True, default=next_id),
        sqlalchemy.Column("symbol", sqlalchemy.String),
        implicit_returning=False,
    )
    with engine.begin() as connection:
        connection.execute(queried.insert().values(symbol="TSLA"))
    assert recorded.tree() == "SELECT SELECT orders\nINSERT orders\nCOMMIT"


def test_long_iterations_are_counted_exactly(recorded: Capture, engine: Any) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n"
    with engine.connect() as connection:
        result = connection.execute(sqlalchemy.text(numbers))
        assert [row[0] for row in iter(result.fetchone, None)] == list(range(1, 1001))
    told = recorded.spans()[0].attributes
    assert told["db.response.returned_rows"] == 1000
    assert 0 < told["tickspan.db.fetch.duration"] < 1


# what a span tells besides


def test_equal_parameters_are_recognised_and_not_told(recorded: Capture, engine: Any) -> None:
    query = orders.select().where(orders.c.symbol == sqlalchemy.bindparam("symbol"))
    with engine.connect() as connection:
        for symbol in ("secret", "secret", "other"):
            connection.execute(query, {"symbol": symbol}).all()
    hashes = [span.attributes.get("tickspan.db.params_hash") for span in recorded.spans()]
    assert (hashes[0] == hashes[1], hashes[1] == hashes[2], hashes[3]) == (True, False, None)
    assert "secret" not in repr(recorded.spans())


def test_equal_texts_with_other_literals_are_not_taken_for_one(recorded: Capture, engine: Any) -> None:
    with engine.connect() as connection:
        for number in (1, 2):
            connection.exec_driver_sql(f"SELECT id FROM orders WHERE id = {number}").all()
    first, second, _ = recorded.spans()
    assert (
        first.attributes["tickspan.db.query.fingerprint"]
        == second.attributes["tickspan.db.query.fingerprint"]
    )
    assert first.attributes["tickspan.db.params_hash"] != second.attributes["tickspan.db.params_hash"]


def test_hashes_can_be_switched_off(telemetry: Capture, engine: Any) -> None:
    SQLAlchemyInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, settings={"database": {"params_hash": False}}
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(SELECT_ALL)).all()
    SQLAlchemyInstrumentor().uninstrument()
    assert "tickspan.db.params_hash" not in telemetry.spans()[0].attributes


def places(told: Capture) -> list[str | None]:
    names = [span.attributes.get("code.function.name") for span in told.spans()]
    return [None if name is None else name.rpartition(".")[2] for name in names]


def test_the_first_span_of_a_statement_tells_who_called(recorded: Capture, engine: Any) -> None:
    def read_symbols() -> None:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(SELECT_ALL)).all()

    read_symbols()
    read_symbols()
    assert places(recorded) == ["read_symbols", None, None, None]
    assert recorded.spans()[0].attributes["code.file.path"] == __file__


def test_asyncio_tells_who_called(recorded: Capture, book: Path) -> None:
    async def read_symbols() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{book}")
        async with engine.connect() as connection:
            (await connection.execute(sqlalchemy.text(SELECT_ALL))).all()
        await engine.dispose()

    asyncio.run(read_symbols())
    assert places(recorded) == ["read_symbols", None]


def test_a_slow_statement_tells_each_time_who_called(telemetry: Capture, engine: Any) -> None:
    SQLAlchemyInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, settings={"database": {"slow_s": 0.05}}
    )

    @event.listens_for(engine, "do_execute")
    def delay(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        time.sleep(parameters[0])

    query = sqlalchemy.text("SELECT :seconds")

    def ask(seconds: float) -> None:
        with engine.connect() as connection:
            connection.execute(query, {"seconds": seconds}).all()

    ask(0)
    ask(0)
    ask(0.06)
    SQLAlchemyInstrumentor().uninstrument()
    assert places(telemetry) == ["ask", None, None, None, "ask", None]


# errors


def failed(span: RecordedSpan, error_type: str, message: str) -> RecordedSpan:
    return RecordedSpan(
        span.name,
        span.kind,
        span.trace_id,
        span.span_id,
        span.parent_id,
        {**span.attributes, "error.type": error_type, "db.response.status_code": error_type},
        status="error",
        description=message,
        events=(
            RecordedEvent(
                "exception", {"exception.type": "sqlite3.IntegrityError", "exception.message": message}
            ),
        ),
    )


def test_a_refused_statement_says_code_and_columns_but_no_value(
    recorded: Capture, spans: Spans, roots: Roots, engine: Any
) -> None:
    with pytest.raises(exc.IntegrityError), engine.begin() as connection:
        connection.execute(orders.insert().values(symbol="AAPL"))
    text = "INSERT INTO orders (symbol) VALUES (?)"
    insert, rollback = roots(WHERE, ("INSERT orders", {"db.query.text": text}), ended("ROLLBACK", 1, 1))
    code = "SQLITE_CONSTRAINT_UNIQUE"
    assert spans() == [failed(insert, code, f"IntegrityError {code} columns orders.symbol"), rollback]


def test_the_drivers_exception_is_the_one_it_raised(recorded: Capture, engine: Any) -> None:
    raised: list[BaseException] = []

    @event.listens_for(engine, "handle_error")
    def keep(context: Any) -> None:
        raised.append(context.original_exception)

    with pytest.raises(exc.OperationalError) as caught, engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT * FROM nowhere"))
    assert caught.value.orig is raised[0]
    assert recorded.spans()[0].description == "OperationalError SQLITE_ERROR table nowhere"


def test_an_error_while_rows_are_read_is_the_statements(recorded: Capture, engine: Any) -> None:
    overflow = (
        "SELECT abs(-9223372036854775807 - n) FROM (SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2)"
    )
    with pytest.raises(exc.OperationalError), engine.connect() as connection:
        connection.execute(sqlalchemy.text(overflow)).all()
    select = recorded.spans()[0]
    assert (select.status, select.attributes["error.type"]) == ("error", "SQLITE_ERROR")


def test_an_exception_of_a_later_listener_is_the_callers(recorded: Capture, engine: Any) -> None:
    problem = RuntimeError("a listener's own")

    @event.listens_for(engine, "do_execute")
    def refuse(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        raise problem

    with engine.connect() as connection, pytest.raises(RuntimeError) as caught:
        connection.execute(sqlalchemy.text(SELECT_ALL), {"unused": 1})
    assert caught.value is problem
    assert (recorded.spans()[0].status, recorded.spans()[0].description) == ("error", "RuntimeError")


def test_an_error_after_execution_leaves_no_span_open(recorded: Capture, engine: Any) -> None:
    @event.listens_for(engine, "after_cursor_execute")
    def refuse(*args: Any) -> None:
        raise RuntimeError("a listener's own")

    with pytest.raises(RuntimeError), engine.connect() as connection:
        connection.execute(sqlalchemy.text(SELECT_ALL))
    assert recorded.tree() == "SELECT orders\nROLLBACK"


# beside others


def test_a_later_listener_may_still_take_over(recorded: Capture, engine: Any) -> None:
    calls: list[str] = []

    @event.listens_for(engine, "do_execute")
    def answer(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        calls.append(statement)
        cursor.execute("SELECT 'taken over'")
        return True

    with engine.connect() as connection:
        taken = connection.execute(orders.select().where(orders.c.id == 1).with_only_columns(orders.c.symbol))
        assert taken.scalar() == "taken over"
    assert (len(calls), recorded.spans()[0].name) == (1, "SELECT orders")


def test_an_earlier_listener_that_takes_over_is_left_alone(
    telemetry: Capture, engine: Any, book: Path
) -> None:
    def answer(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        cursor.execute("SELECT 'taken over'")
        return True

    event.listen(sqlalchemy.engine.Engine, "do_execute", answer)
    SQLAlchemyInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    try:
        with engine.connect() as connection:
            taken = connection.execute(sqlalchemy.select(orders.c.symbol).where(orders.c.id == 1)).scalar()
    finally:
        SQLAlchemyInstrumentor().uninstrument()
        event.remove(sqlalchemy.engine.Engine, "do_execute", answer)
    assert (taken, telemetry.spans()) == ("taken over", [])


def test_below_a_statement_other_instrumentation_is_silent(recorded: Capture, engine: Any) -> None:
    from tickspan.instrumentation import is_suppressed

    seen: list[bool] = []

    @event.listens_for(engine, "do_execute_no_params")
    def look(cursor: Any, statement: str, context: Any) -> None:
        seen.append(is_suppressed())

    with engine.connect() as connection:
        connection.execution_options(no_parameters=True).exec_driver_sql("SELECT 1").all()
        seen.append(is_suppressed())
    assert seen == [True, False]


def test_suppressed_statements_do_not_count_in_the_transaction(recorded: Capture, engine: Any) -> None:
    with engine.connect() as connection, suppressed():
        connection.execute(sqlalchemy.text(SELECT_ALL)).all()
    assert recorded.spans() == []


# asyncio


def test_asyncio_tells_the_same_story(recorded: Capture, spans: Spans, roots: Roots, book: Path) -> None:
    async def main() -> list[Any]:
        engine = create_async_engine(f"sqlite+aiosqlite:///{book}")
        async with engine.connect() as connection:
            rows = (await connection.execute(orders.select().where(orders.c.symbol == "AAPL"))).all()
            streamed = await connection.stream(sqlalchemy.text(SELECT_ALL))
            symbols = [row.symbol async for row in streamed]
        await engine.dispose()
        return [*rows, *symbols]

    assert asyncio.run(main()) == [(1, "AAPL", 10), "AAPL", "MSFT", "NVDA"]
    text = "SELECT orders.id, orders.symbol, orders.quantity FROM orders WHERE orders.symbol = ?"
    assert spans() == roots(
        WHERE,
        ("SELECT orders", {"db.query.text": text, "db.response.returned_rows": 1}),
        ("SELECT orders", {"db.query.text": SELECT_ALL, "db.response.returned_rows": 3}),
        ended("ROLLBACK", 2),
    )


def test_tasks_keep_their_statements_apart(recorded: Capture, book: Path) -> None:
    tracer = recorded.tracer_provider.get_tracer("test")

    async def strategy(engine: Any, name: str) -> None:
        with tracer.start_as_current_span(name):
            async with engine.connect() as connection:
                for _ in range(3):
                    (await connection.execute(sqlalchemy.text(SELECT_ALL))).all()

    async def main() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{book}", poolclass=sqlalchemy.pool.NullPool)
        await asyncio.gather(*(strategy(engine, f"strategy {number}") for number in range(4)))
        await engine.dispose()

    asyncio.run(main())
    one = "\n  SELECT orders\n  SELECT orders\n  SELECT orders\n  ROLLBACK"
    assert recorded.tree() == "\n".join(f"strategy {number}{one}" for number in range(4))


# measurement


def test_the_duration_is_measured_by_operation_without_fingerprint_or_text(
    recorded: Capture, engine: Any
) -> None:
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(SELECT_ALL)).all()
        connection.execute(orders.insert(), [{"symbol": "TSLA"}, {"symbol": "AMZN"}])
    points = recorded.points("db.client.operation.duration")
    assert [(point.attributes, point.count) for point in points] == [
        ({**WHERE, "db.query.summary": "SELECT orders"}, 1),
        ({**WHERE, "db.query.summary": "INSERT orders", "db.operation.name": "BATCH INSERT"}, 1),
        ({**WHERE, "db.operation.name": "COMMIT"}, 1),
    ]


def test_a_failure_is_measured_with_its_code(recorded: Capture, engine: Any) -> None:
    with pytest.raises(exc.OperationalError), engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT * FROM nowhere"))
    point = recorded.points("db.client.operation.duration")[0]
    assert point.attributes["error.type"] == "SQLITE_ERROR"
